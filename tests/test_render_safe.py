"""Untrusted text made harmless, for terminals and for spreadsheets."""

import csv
import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnitrail.render.csv import table
from cnitrail.render.safe import printable, printable_json, spreadsheet

ACTS_OR_HIDES = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode's categories of control and format characters, lone surrogates, line and paragraph ends."""

FORMULA = "=+-@＝＋－＠\t\r\n"
"""The signs at the beginning of a cell of which OWASP warns (CSV Injection)."""


def begins_a_formula(cell: str) -> bool:
    return cell.lstrip(' \u00a0\u3000"')[:1] in tuple(FORMULA)


class TestPrintable:
    def test_no_active_or_hidden_character_of_unicode_is_left(self) -> None:
        everything = "".join(map(chr, range(sys.maxunicode + 1)))
        left = {unicodedata.category(character) for character in printable(everything)}
        assert left.isdisjoint(ACTS_OR_HIDES)

    def test_every_character_is_made_harmless_alone_and_beside_others(self) -> None:
        characters = [chr(code) for code in range(sys.maxunicode + 1)]
        text = "".join(characters)
        assert printable(text) == "".join(map(printable, characters))
        assert printable_json(text) == "".join(map(printable_json, characters))

    def test_every_such_character_is_shown_as_its_python_or_json_escape(self) -> None:
        assert printable("a\x1b[31m\n\u202egnp.exe\U000e0041") == (r"a\x1b[31m\x0a\u202egnp.exe\U000e0041")

    def test_letters_of_every_script_are_unchanged(self) -> None:
        assert printable("Zoë 東京 مرحبا 🐢 – [bold] <b>") == "Zoë 東京 مرحبا 🐢 – [bold] <b>"

    @given(st.text())
    def test_json_keeps_the_exact_values(self, text: str) -> None:
        document = json.dumps({text: text}, ensure_ascii=False)
        assert json.loads(printable_json(document)) == {text: text}


class TestSpreadsheet:
    @pytest.mark.parametrize(
        ("text", "cell"),
        [
            ("=cmd|'/c calc'!A0", "'=cmd|'/c calc'!A0"),
            ("+1", "'+1"),
            ("-2+3", "'-2+3"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("＝1+1", "'＝1+1"),
            ("  =1+1", "'  =1+1"),
            ('"=1+1"', '\'"=1+1"'),
            ("\u00a0\u3000=1+1", "'\u00a0\u3000=1+1"),
            ("\t=1+1", r"\x09=1+1"),
            ("\r=1+1", r"\x0d=1+1"),
            ("ok\n=1+1", r"ok\x0a=1+1"),
            ("\u200b=1+1", r"\u200b=1+1"),
            ("'=1+1", "''=1+1"),
        ],
    )
    def test_a_character_that_begins_a_formula_is_escaped(self, text: str, cell: str) -> None:
        assert spreadsheet(text) == cell

    def test_a_formula_after_a_semicolon_is_escaped_for_other_locales(self) -> None:
        assert spreadsheet('agent;=1+1; "@x";b') == "agent;'=1+1;' \"@x\";b"

    def test_text_that_is_not_a_formula_is_unchanged(self) -> None:
        for text in ("kube-system/aws-node", "eni-0abc<10.0.0.1", "a=b", "aws-cli/2.0 (x; y)", ""):
            assert spreadsheet(text) == text

    @given(st.text(alphabet=st.sampled_from(list("=+-@＝ ;,'\"\t\r\na1")), max_size=12))
    def test_no_cell_of_any_text_is_a_formula_for_any_separator(self, text: str) -> None:
        _, line = table({"a": lambda _: text, "b": lambda _: [text, text]}, [None])
        line = line.removesuffix("\n")
        for cells in (*csv.reader([line]), *csv.reader([line], delimiter=";"), line.split(";")):
            assert not [cell for cell in cells if begins_a_formula(cell)]
