"""The statement for a table: valid on Athena and Trino, small enough, and quoted."""

import ast
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import ROOT
from duck_engine import OCSF_TABLE, SHAPES, TABLE_2016, TABLE_NOW, TABLE_OWN, description
from trino_sql_validator import validate

from cnitrail.decode import RELEVANT_CALLS
from cnitrail.errors import SourceError
from cnitrail.model import Scope
from cnitrail.scan.rows import names as row_names
from cnitrail.scan.rows import ocsf
from cnitrail.scan.rows.parameters import PARAMETER_NAMES
from cnitrail.sources.sql.expressions import identifier
from cnitrail.sources.sql.partitions import pruning
from cnitrail.sources.sql.scope_conditions import scope_conditions
from cnitrail.sources.sql.shapes import IDENTITY_COLUMNS, RECORD_COLUMNS, Shape, losses, shape_of
from cnitrail.sources.sql.statement import OCSF_PATHS, TableQuery, statement

URI = "athena://default.cloudtrail_logs"
HOSTILE = """it's "quoted"; DROP TABLE x -- ` \\ \n"""


def query_of(
    columns: Mapping[str, str],
    partitions: Mapping[str, str] | None = None,
    scope: Scope | None = None,
    *,
    name: str = '"db"."table"',
    has_paths: bool = True,
) -> TableQuery:
    table = description(columns, partitions)
    scope = scope or Scope()
    return statement(
        shape_of(table, URI),
        table,
        name,
        RELEVANT_CALLS,
        pruning=pruning(table, scope).conditions,
        files=scope_conditions(scope),
        has_paths=has_paths,
    )


def shape_columns() -> Iterator[tuple[str, Mapping[str, str]]]:
    """The columns of a table of each kind."""
    for name, shape in SHAPES.items():
        if shape.columns is not None:
            yield name, shape.columns
    typed = "struct<networkinterfaceid:string,tagset:struct<items:array<struct<key:string,value:string>>>>"
    entry = ",".join(
        f"{name}:{typed if name == 'requestparameters' else kind}" for name, kind in TABLE_NOW.items()
    )
    yield "crawler", {"records": f"array<struct<{entry}>>"}
    yield (
        "ocsf-zoned",
        OCSF_TABLE
        | {
            "time": "timestamp(6) with time zone",
            "unmapped": "row(recipientaccountid varchar, readonly varchar)",
        },
    )
    yield "ocsf-text", OCSF_TABLE | {"unmapped": "varchar", "time_dt": "timestamp(6)"}
    yield (
        "own-json",
        TABLE_OWN | {"useridentity": "json", "eventtime": "bigint", "recipientaccountid": "bigint"},
    )
    yield (
        "own-nested-zone",
        TABLE_OWN
        | {
            "useridentity": "row(type varchar, sessioncontext row(attributes row("
            "creationdate timestamp(3) with time zone)))",
            "resources": 'array(row("arn" varchar, "seen at" timestamp(3) with time zone))',
        },
    )


COLUMNS = dict(shape_columns())
SCOPES = {
    "all": Scope(),
    "times": Scope(since=datetime(2026, 4, 1, tzinfo=UTC), until=datetime(2026, 4, 30, 12, tzinfo=UTC)),
    "places": Scope(accounts=("111111111111", "222222222222"), regions=("eu-west-1", "us-east-1")),
    "everything": Scope(
        since=datetime(2020, 1, 1, tzinfo=UTC),
        until=datetime(2026, 4, 30, tzinfo=UTC),
        accounts=tuple(f"{111122220000 + number}" for number in range(400)),
        regions=tuple(f"us-east-{number}" for number in range(40)),
    ),
}
PARTITIONS: dict[str, Mapping[str, str]] = {
    "none": {},
    "projection": {"account": "string", "region": "string", "timestamp": "string"},
    "days": {"account": "string", "region": "string", "year": "string", "month": "string", "day": "string"},
    "dates": {"dt": "date"},
    "numbers": {"year": "int", "month": "int", "day": "int"},
}


class TestEveryStatement:
    @pytest.mark.parametrize("partitions", PARTITIONS)
    @pytest.mark.parametrize("scope", SCOPES)
    @pytest.mark.parametrize("shape", COLUMNS)
    def test_it_is_valid_and_small_enough(self, shape: str, scope: str, partitions: str) -> None:
        for has_paths in (True, False):
            text = query_of(COLUMNS[shape], PARTITIONS[partitions], SCOPES[scope], has_paths=has_paths).text
            checked = validate(text)
            assert (checked.valid, checked.error, list(checked.warnings)) == (True, None, []), text
            assert len(text.encode()) < 262_144
            assert ("$path" in text) is has_paths

    @pytest.mark.parametrize("shape", COLUMNS)
    def test_hostile_names_are_quoted(self, shape: str) -> None:
        table = f"{identifier(HOSTILE)}.{identifier(HOSTILE)}"
        scope = Scope(accounts=(HOSTILE,), regions=(HOSTILE,))
        columns = {**COLUMNS[shape], HOSTILE: "string", "n": "string", "record_number": "string"}
        text = query_of(columns, {f"{HOSTILE}2": "string"}, scope, name=table).text
        assert validate(text).valid
        assert text.count("DROP TABLE") == text.count('""quoted""') + text.count("it''s")

    def test_only_functions_that_athena_and_trino_both_have_are_called(self) -> None:
        import re

        called = {
            name.lower()
            for columns in COLUMNS.values()
            for name in re.findall(
                r"([A-Za-z_]+)\(", re.sub(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"", "", query_of(columns).text)
            )
        }
        assert called - {"array", "in", "as", "row", "timestamp", "varchar"} <= FUNCTIONS

    def test_five_thousand_accounts_fit(self) -> None:
        scope = Scope(accounts=tuple(f"{number:012d}" for number in range(5_000)))
        assert len(query_of(TABLE_NOW, scope=scope).text.encode()) < 262_144

    def test_rows_come_in_the_order_of_their_parts_and_files_with_the_counts_first(self) -> None:
        assert query_of(TABLE_NOW).text.endswith("ORDER BY account, region, day, record IS NOT NULL, path")


FUNCTIONS = {
    *("array_agg", "array_join", "array_sort", "cardinality", "cast", "coalesce", "date_add", "date_format"),
    *("element_at", "greatest", "json_extract_scalar", "json_format", "lpad", "nullif", "regexp_extract"),
    *("regexp_like", "replace", "sequence", "split_part", "strpos", "substr", "sum", "unnest"),
}
"""Of https://trino.io/docs/current/functions/list.html, which Athena's engine version 3 follows."""


class TestShapeOf:
    @pytest.mark.parametrize(
        ("kind", "shape"),
        [
            ("now", Shape.CLOUDTRAIL),
            ("identity-as-string", Shape.CLOUDTRAIL),
            ("2022", Shape.CLOUDTRAIL_2022),
            ("2016", Shape.CLOUDTRAIL_2016),
            ("crawler", Shape.CRAWLER),
            ("ocsf", Shape.OCSF),
            ("own", Shape.CLOUDTRAIL),
            ("own-snake", Shape.CLOUDTRAIL),
        ],
    )
    def test_a_shape_is_known_by_its_columns(self, kind: str, shape: Shape) -> None:
        assert shape_of(description(COLUMNS[kind]), URI) is shape

    def test_another_table_is_refused_with_its_columns(self) -> None:
        with pytest.raises(SourceError) as raised:
            shape_of(description({"id": "bigint", "name": "string"}), URI)
        assert str(raised.value) == (f"{URI}: not a table of CloudTrail records; its columns are id, name")
        assert raised.value.hint == (
            "docs/athena.md shows the tables that can be read, and the DDL for a new one"
        )

    def test_a_table_without_columns_is_refused(self) -> None:
        with pytest.raises(SourceError, match="its columns are not known"):
            shape_of(description({}), URI)

    def test_a_copy_without_responses_is_refused(self) -> None:
        columns = {name: kind for name, kind in TABLE_OWN.items() if name != "responseelements"}
        with pytest.raises(SourceError, match="no column responseelements, which every answer needs"):
            shape_of(description(columns), URI)

    def test_a_crawled_table_without_responses_is_refused(self) -> None:
        columns = {"records": "array<struct<eventname:string,eventtime:string,requestparameters:string>>"}
        with pytest.raises(SourceError, match="its column records: no column responseelements"):
            shape_of(description(columns), URI)

    def test_ocsf_1_0_is_refused_with_what_to_do(self) -> None:
        api = (
            "struct<operation:string,service:struct<name:string>,response:struct<error:string>,"
            "request:struct<uid:string>>"
        )
        with pytest.raises(SourceError, match=r"OCSF 1\.0, Security Lake's source version 1") as raised:
            shape_of(description(OCSF_TABLE | {"api": api}), URI)
        assert "_cloud_trail_mgmt_2_0" in (raised.value.hint or "")

    def test_a_column_may_be_a_partition(self) -> None:
        columns = {name: kind for name, kind in TABLE_OWN.items() if name not in ("eventname", "awsregion")}
        table = description(columns, {"eventname": "varchar", "awsregion": "varchar"})
        assert shape_of(table, URI) is Shape.CLOUDTRAIL
        assert '"eventname" IN' in query_of(columns, {"eventname": "varchar", "awsregion": "varchar"}).text


class TestLosses:
    def test_the_table_of_the_guide_loses_nothing_that_matters(self) -> None:
        assert losses(Shape.CLOUDTRAIL, description(TABLE_NOW)) == ()

    def test_a_table_of_2016_says_what_it_lacks(self) -> None:
        assert [
            text.partition(":")[0] for text in losses(Shape.CLOUDTRAIL_2016, description(TABLE_2016))
        ] == [
            "it has no column for sessionCredentialFromConsole",
            "it has no column addendum",
            "its useridentity has no webidfederationdata",
            "its useridentity has no ec2roledelivery",
        ]

    def test_a_copy_without_errors_and_callers_says_so(self) -> None:
        left_out = ("errorcode", "useridentity")
        columns = {name: kind for name, kind in TABLE_OWN.items() if name not in left_out}
        assert losses(Shape.CLOUDTRAIL, description(columns)) == (
            "it has no column errorcode: calls without a response are left out, because they may have failed",
            "it has no column useridentity: who made a call is not known",
        )


class TestNames:
    def test_the_columns_are_those_that_rows_are_read_by(self) -> None:
        assert row_names.COLUMNS.keys() == RECORD_COLUMNS
        assert row_names.IDENTITY_COLUMNS.keys() == IDENTITY_COLUMNS

    def test_the_fields_of_ocsf_are_those_that_rows_are_read_by(self) -> None:
        read = {*ocsf._FIELDS, *ocsf._PARAMETERS}
        text = Path(ocsf.__file__).read_text()
        strings = {node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)}
        tops = ("metadata.", "api.", "actor.", "cloud.", "src_endpoint.", "http_request.")
        read |= {value for value in strings if isinstance(value, str) and value.startswith(tops)}
        containers = {"api.response"}
        assert read - containers <= set(OCSF_PATHS)

    def test_every_name_that_decode_reads_is_restored(self) -> None:
        assert {name for name in decoded_names() if PARAMETER_NAMES.get(name.lower()) != name} == set()
        assert len(decoded_names()) > 90


_NOT_OF_PARAMETERS = {
    *("errorMessage", "identityProvider", "invokedBy", "requestID", "requestParameters", "responseElements"),
    *("serviceEventDetails", "sourceIPAddress", "userAgent", "userIdentity"),
}
"""What decode reads of a record itself."""


def decoded_names() -> set[str]:
    """The names with a capital inside that decode reads of requests and responses."""
    import re

    found = set()
    for module in (
        "events",
        "trail_events",
        "managed_eni_calls",
        "sessions",
        "sign_ins",
        "call_body",
        "shapes",
    ):
        tree = ast.parse((ROOT / f"cnitrail/decode/{module}.py").read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(re.findall(r"^[a-z][a-z0-9]*[A-Z][A-Za-z0-9]*$", node.value))
    return found - _NOT_OF_PARAMETERS
