"""docs/athena.md: its DDL makes tables that cnitrail reads, its policy has every action that is called."""

import json
import re

import pytest
import trino_sql_validator
from conftest import ROOT
from duck_engine import TABLE_NOW
from table_ddl import tables

from cnitrail.sources.sql.column_types import parse_type
from cnitrail.sources.sql.shapes import Shape, shape_of

PAGE = (ROOT / "docs" / "athena.md").read_text()
SQL = re.findall(r"^```sql\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
TABLES = list(tables(PAGE))


class TestTables:
    def test_each_ddl_makes_a_table_of_its_shape(self) -> None:
        assert [(name, shape_of(table, name)) for name, table in TABLES] == [
            ("security.cloudtrail_logs", Shape.CLOUDTRAIL),
            ("hive.security.cloudtrail_logs", Shape.CRAWLER),
        ]

    def test_the_recommended_table_has_the_columns_of_the_guide(self) -> None:
        (_, table), _ = TABLES
        assert table.columns == {name: parse_type(text) for name, text in TABLE_NOW.items()}
        assert list(table.partition_columns) == ["account", "region", "timestamp"]
        assert table.properties["projection.timestamp.range"] == "2022/01/01,NOW"
        assert table.properties["storage.location.template"].endswith(
            "/${account}/CloudTrail/${region}/${timestamp}"
        )

    def test_the_table_for_trino_has_the_same_columns_as_texts(self) -> None:
        _, (_, table) = TABLES
        assert list(table.columns) == ["records"]
        fields = table.columns["records"].fields
        assert set(fields) == set(TABLE_NOW)
        assert all(field.is_text for field in fields.values())
        assert list(table.partition_columns) == ["account", "region", "timestamp"]


class TestStatements:
    @pytest.mark.parametrize(
        "text",
        [text for text in SQL if text.startswith(("CREATE TABLE", "WITH"))],
        ids=lambda text: text[:40],
    )
    def test_trinos_parser_accepts_what_is_shown_for_it(self, text: str) -> None:
        result = trino_sql_validator.validate(text)
        assert result.valid, result.error

    def test_the_statement_is_far_below_athenas_limit(self) -> None:
        (text,) = (text for text in SQL if text.startswith("WITH"))
        assert len(text.encode()) < 262_144 / 10


class TestPolicy:
    def test_it_has_every_action_that_the_engine_names(self) -> None:
        (policy,) = re.findall(r"^```json\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
        allowed = {action for part in json.loads(policy)["Statement"] for action in part["Action"]}
        sources = (ROOT / "cnitrail" / "sources" / "sql").rglob("*.py")
        named = {name for path in sources for name in re.findall(r'"(\w+:[A-Z]\w+)"', path.read_text())}
        assert named - allowed <= {"lakeformation:GetDataAccess"}, "which the page names below the policy"
