"""Tables in a terminal fit its width, and no word is ever cut."""

import re
from io import StringIO
from typing import IO, cast

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from cnitrail.cli.terminal import Terminal, screen
from cnitrail.render.text import Paragraph, Table, draw, draw_blocks, draw_fitting, width_of

ROWS = [
    (
        [("2026-05-19", "dim"), ("11:02:04", "")],
        [("DeleteNetworkInterface FAILED", "bold")],
        [("eni-0e9b2", "")],
    )
]
TABLE = Table(("TIME", "API CALL", "ENI"), ROWS, {"API CALL": 1})
WORDS = st.text("abc-1", min_size=1, max_size=30)
CELLS = st.lists(st.tuples(st.lists(WORDS, max_size=4).map(" ".join), st.just("")), max_size=3)


def fake_terminal(out: IO[str], width: int) -> IO[str]:
    console = Console(file=out, width=width, force_terminal=True, color_system=None)
    return cast("IO[str]", Terminal(out, console))


def drawn(table: Table, width: int) -> str:
    out = StringIO()
    draw(table, fake_terminal(out, width))
    return out.getvalue()


class TestTables:
    def test_a_wide_terminal_shows_columns_side_by_side(self) -> None:
        assert [line.split() for line in drawn(TABLE, 60).splitlines()] == [
            ["TIME", "API", "CALL", "ENI"],
            ["2026-05-19", "DeleteNetworkInterface", "FAILED", "eni-0e9b2"],
            ["11:02:04"],
        ]

    def test_a_column_with_a_share_is_folded_between_words(self) -> None:
        lines = drawn(TABLE, 50).splitlines()
        assert [line.split() for line in lines[1:]] == [
            ["2026-05-19", "DeleteNetworkInterface", "eni-0e9b2"],
            ["11:02:04", "FAILED"],
        ]

    def test_no_line_ends_with_spaces(self) -> None:
        lines = [line for width in range(20, 80) for line in drawn(TABLE, width).splitlines()]
        assert [line for line in lines if line != line.rstrip()] == []

    def test_numbers_are_aligned_at_the_right(self) -> None:
        table = Table(
            ("ENI", "IPS"), [([("eni-1", "")], [("7", "")]), ([("eni-2", "")], [("1,250", "")])], {}, ["IPS"]
        )
        assert drawn(table, 40) == "ENI      IPS\neni-1      7\neni-2  1,250\n"
        out = StringIO()
        draw(table, out)
        assert out.getvalue() == drawn(table, 40)

    def test_a_narrow_terminal_shows_a_row_as_a_block(self) -> None:
        assert drawn(TABLE, 40) == (
            "TIME      2026-05-19 11:02:04\nAPI CALL  DeleteNetworkInterface FAILED\nENI       eni-0e9b2\n"
        )

    def test_a_word_that_does_not_fit_beside_its_label_is_below_it(self) -> None:
        table = Table(("FILE", "FAULT"), [([("0123456789abcdef", "")], [("was modified", "")])], {})
        assert drawn(table, 18) == "FILE\n  0123456789abcdef\nFAULT  was\n       modified\n"

    def test_the_first_layout_that_fits_is_drawn(self) -> None:
        wide = Table(("A", "B"), [([("0123456789", "")], [("0123456789", "")])], {})
        narrow = Table(("AB",), [([("0123456789", ""), ("0123456789", "")],)], {})
        for width, expected in ((22, wide), (21, narrow), (5, narrow)):
            out = StringIO()
            draw_fitting([wide, narrow], fake_terminal(out, width))
            assert out.getvalue() == drawn(expected, width)

    def test_a_block_is_wrapped_between_words_only(self) -> None:
        out = StringIO()
        block = [
            Paragraph([("HIGH  ", "bold red"), ("pods wait for addresses", "bold")]),
            Paragraph([("in eni-0e9b2", "")], 4),
        ]
        draw_blocks([block], fake_terminal(out, 14))
        assert out.getvalue() == "HIGH  pods\nwait for\naddresses\n    in\n    eni-0e9b2\n"

    @given(
        st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=3),
        st.integers(10, 120),
        st.sets(st.sampled_from("AB")),
    )
    def test_no_word_is_cut_at_any_width(self, rows: list[object], width: int, shares: set[str]) -> None:
        table = Table(("A", "B", "C"), rows, dict.fromkeys(shares, 1))  # type: ignore[arg-type]
        shown = drawn(table, width).split()
        words = [word for row in table.rows for cell in row for text, _ in cell for word in text.split()]
        assert sorted(set(words) - set(shown)) == []


class TestOutputs:
    def test_output_to_a_file_is_not_changed(self) -> None:
        out = StringIO()
        assert screen(out) is out
        assert width_of(out) == 100

    def test_a_terminal_has_a_width(self) -> None:
        out = StringIO()
        terminal = Terminal(out, Console(file=out, width=72, force_terminal=True))
        assert width_of(terminal) == 72  # type: ignore[arg-type]

    def test_piped_output_is_uncut_with_one_line_per_row(self) -> None:
        out = StringIO()
        draw(TABLE, out)
        assert out.getvalue() == (
            "TIME                 API CALL                       ENI\n"
            "2026-05-19 11:02:04  DeleteNetworkInterface FAILED  eni-0e9b2\n"
        )


class TestMarkdownOnAScreen:
    def test_a_wrapped_line_cannot_begin_anything_in_markdown(self) -> None:
        out = StringIO()
        words = "- **failed** x: " + " ".join(["aaaa # head - item > quote 1. one ~~~"] * 9) + " " + "~" * 90
        Terminal(out, Console(file=out, width=60)).draw_block([Paragraph([(words, "")], hanging=6)])
        first, *others = out.getvalue().splitlines()
        assert first.startswith("- **failed** x: aaaa")
        assert len(others) > 4
        assert all(re.match(" {6}[^ ]", line) for line in others)
        assert " ".join(line.strip() for line in (first, *others)) == words
