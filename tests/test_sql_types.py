"""The types of columns, as Hive and Trino write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnitrail.sources.sql.column_types import ColumnType, names_of, parse_type

PLAIN = {
    "string": "varchar",
    "bigint": "bigint",
    "int": "integer",
    "boolean": "boolean",
    "double": "double",
    "timestamp": "timestamp(3)",
    "date": "date",
    "decimal(10,2)": "decimal(10,2)",
    "varchar(20)": "varchar(20)",
    "binary": "varbinary",
}
NAMES = st.text("abcdefghijklmnopqrstuvwxyz_0123456789-/.$", min_size=1, max_size=8)

Written = tuple[str, str]


def _array(inner: Written) -> Written:
    return f"array<{inner[0]}>", f"array({inner[1]})"


def _map(inner: Written) -> Written:
    return f"map<string,{inner[0]}>", f"map(varchar, {inner[1]})"


def _struct(fields: list[tuple[str, Written]]) -> Written:
    hive = ",".join(f"{name}:{inner[0]}" for name, inner in fields)
    trino = ", ".join(f'"{name}" {inner[1]}' for name, inner in fields)
    return f"struct<{hive}>", f"row({trino})"


WRITTEN = st.recursive(
    st.sampled_from(sorted(PLAIN.items())),
    lambda inner: (
        inner.map(_array)
        | inner.map(_map)
        | st.lists(st.tuples(NAMES, inner), min_size=1, max_size=4).map(_struct)
    ),
)
_SAME = {"varchar": "string", "integer": "int", "varbinary": "binary"}


def same(column: ColumnType) -> ColumnType:
    """A type with one name for what Hive and Trino name differently."""
    members = tuple((name, same(inner)) for name, inner in column.members)
    return ColumnType(_SAME.get(column.name, column.name), members)


class TestParseType:
    @given(WRITTEN)
    def test_what_hive_writes_and_what_trino_writes_is_the_same_type(self, written: Written) -> None:
        hive, trino = written
        assert same(parse_type(hive)) == same(parse_type(trino))

    @given(WRITTEN)
    def test_case_and_blanks_do_not_matter(self, written: Written) -> None:
        hive, trino = written
        assert parse_type(hive.upper()) == parse_type(hive)
        assert parse_type(trino.replace(" ", "  ").replace("(", " ( ")) == parse_type(trino)

    @given(st.text("struct<row(array>map)\"'`:, ab10\\", max_size=60) | st.text(max_size=40))
    def test_any_other_text_is_a_value_error(self, text: str) -> None:
        try:
            parse_type(text)
        except ValueError as error:
            assert "is not a type" in str(error)  # noqa: PT017  most texts, but not all

    @pytest.mark.parametrize(
        "text",
        [
            "",
            " ",
            "struct",
            "struct<>",
            "struct<a>",
            "struct<a:string",
            "struct<a:string>>",
            "struct<a:string)",
            "row()",
            "array",
            "array<>",
            "array<string,string>",
            "map<string>",
            "decimal(10,2",
            "decimal(ten)",
            "'string'",
            'row("a varchar)',
            "array<" * 5000 + "string" + ">" * 5000,
        ],
    )
    def test_garbage_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="is not a type"):
            parse_type(text)

    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("timestamp(6) with time zone", "timestamp with time zone"),
            ("timestamp(3)", "timestamp"),
            ("varchar(20)", "varchar"),
            ("decimal(10,2)", "decimal"),
            ("double precision", "double precision"),
            ("VARCHAR", "varchar"),
        ],
    )
    def test_a_name_is_without_its_parameters(self, text: str, name: str) -> None:
        assert parse_type(text) == ColumnType(name)

    def test_names_may_be_quoted_and_have_comments(self) -> None:
        column = parse_type('row("a ""b""" varchar, c timestamp(6) with time zone, "row" array(bigint))')
        assert list(names_of(column)) == ['a "b"', "c", "row"]
        assert column.fields["c"].name == "timestamp with time zone"
        commented = parse_type("struct<a:string COMMENT 'it''s <this>, or that', b:int>")
        assert commented == parse_type("struct<a:string,b:int>")

    def test_names_of_keys_may_have_blanks_and_colons(self) -> None:
        text = (
            "struct<x-amz-acl:string,aws:s3:arn:string,Content Type:int,$x:string,1st:array<string>,a/b:int>"
        )
        assert [name for name, _ in parse_type(text).members] == [
            *("x-amz-acl", "aws:s3:arn", "content type", "$x", "1st", "a/b")
        ]
        assert [kind.name for _, kind in parse_type(text).members] == [
            *("string", "string", "int", "string", "array", "int")
        ]

    def test_a_quote_in_a_quoted_name_is_doubled(self) -> None:
        assert [name for name, _ in parse_type("struct<`a``b`:int,`end`:string>").members] == ["a`b", "end"]
        assert [name for name, _ in parse_type('row("a""b" integer, "end" varchar)').members] == [
            'a"b',
            "end",
        ]

    def test_a_type_of_ten_thousand_fields_is_read_at_once(self) -> None:
        fields = ",".join(f"field{number}:struct<a:string,b:array<int>>" for number in range(10_000))
        assert len(parse_type(f"struct<{fields}>").members) == 10_000
