"""A real Trino scans only the partitions that are asked for, in each layout (``nox -s trino``)."""

import gzip
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5

import pytest
from conftest import FIXTURES
from duck_engine import OCSF_TABLE, log_files, ocsf_table_rows, of_type
from table_answers import entries, same_entries
from test_trino_real import COLUMNS, HOME, Server, pytestmark, trino_columns
from trino_process import trino_server

import cnitrail
from cnitrail.sources.sql.column_types import parse_type

__all__ = ["pytestmark"]
ACCOUNTS = ("222222222222", "333333333333")
REGIONS = ("us-west-2", "eu-west-1")
MONTH_DAYS = ("08/24", "09/23", "09/24", "09/25")


class Place(NamedTuple):
    """A folder of log files."""

    account: str
    region: str
    year: str
    month: str
    day: str

    @property
    def folder(self) -> str:
        return f"world/AWSLogs/{self.account}/CloudTrail/{self.region}/{self.year}/{self.month}/{self.day}"


PLACES = [
    Place(account, region, "2024", *month_day.split("/"))
    for account in ACCOUNTS
    for region in REGIONS
    for month_day in MONTH_DAYS
]


_ID = re.compile(r"\b((?:[a-z]+-)+)([0-9a-f]{17})\b")


def moved(text: str, place: Place) -> str:
    """A text of the story as if it had happened in another place, where everything has other IDs."""
    for old, new in (
        ("222222222222", place.account),
        ("us-west-2", place.region),
        ("2024-09-24", f"{place.year}-{place.month}-{place.day}"),
        ("20240924", f"{place.year}{place.month}{place.day}"),
    ):
        text = text.replace(old, new)
    return _ID.sub(lambda found: found[1] + uuid5(NAMESPACE_URL, place.folder + found[2]).hex[:17], text)


def write_world(files: Path) -> None:
    """Write a story's log files once for each place."""
    for name, records in log_files(FIXTURES / "node-life"):
        for place in PLACES:
            there: list[dict[str, Any]] = json.loads(moved(json.dumps(records), place))
            for record in there:
                record["eventID"] = str(uuid5(NAMESPACE_URL, place.folder + record["eventID"]))
            target = files / place.folder / moved(Path(name).name, place)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(gzip.compress(json.dumps({"Records": there}, separators=(",", ":")).encode()))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with log files of two accounts, in two Regions, of four days."""
    assert HOME is not None
    folder = tmp_path_factory.mktemp("trino")
    files = folder / "files"
    files.mkdir()
    write_world(files)
    with trino_server(HOME, folder / "node", files) as port:
        running = Server(port, files)
        running.sql("CREATE SCHEMA hive.logs")
        yield running


Values = Callable[[Place], tuple[str, ...]]
REGISTERED: Mapping[str, tuple[Mapping[str, str], Values]] = {
    "year_month_day": (dict.fromkeys(Place._fields, "varchar"), lambda place: place),
    "without_zeros": (
        dict.fromkeys(Place._fields, "varchar"),
        lambda place: (*place[:3], place.month.lstrip("0"), place.day),
    ),
    "numbers": (
        {
            "account": "bigint",
            "region": "varchar",
            "year": "integer",
            "month": "integer",
            "day": "integer",
        },
        lambda place: (*place[:3], str(int(place.month)), place.day),
    ),
    "typed_date": (
        {"account": "varchar", "region": "varchar", "dt": "date"},
        lambda place: (*place[:2], "-".join(place[2:])),
    ),
    "text_dt": (
        {"account_id": "varchar", "aws_region": "varchar", "dt": "varchar"},
        lambda place: (*place[:2], "-".join(place[2:])),
    ),
    "text_day": (
        {"accountid": "varchar", "region": "varchar", "event_date": "varchar"},
        lambda place: (*place[:2], "".join(place[2:])),
    ),
    "number_of_day": (
        {"accountid": "varchar", "region": "varchar", "eventday": "integer"},
        lambda place: (*place[:2], "".join(place[2:])),
    ),
    "folders": (
        {f"partition_{number}": "varchar" for number in range(6)},
        lambda place: (place.account, "CloudTrail", *place[1:]),
    ),
}
"""Layouts whose partitions are added: the columns, and their values of a place."""

_LISTED = (
    "{name} varchar WITH (partition_projection_type = 'enum', partition_projection_values = ARRAY[{values}])"
)
_DATED = (
    "{name} varchar WITH (partition_projection_type = 'date', partition_projection_format = '{form}',"
    " partition_projection_interval = 1, partition_projection_interval_unit = 'DAYS',"
    " partition_projection_range = ARRAY[{values}])"
)


class Projected(NamedTuple):
    """A layout whose partitions are computed: columns, if it has them, and where its files are."""

    account: str | None
    region: str | None
    day: str
    form: str = "yyyy/MM/dd"
    within: str = "world/AWSLogs"

    @property
    def columns(self) -> Iterator[tuple[str, str]]:
        """The names of columns, and what CREATE TABLE has of them."""
        for name, values in ((self.account, ACCOUNTS), (self.region, REGIONS)):
            if name is not None:
                listed = ", ".join(f"'{value}'" for value in values)
                yield name, _LISTED.format(name=name, values=listed)
        begin, end = ("2024/08/01", "2024/09/30")
        if "-" in self.form:
            begin, end = begin.replace("/", "-"), end.replace("/", "-")
        yield self.day, _DATED.format(name=f'"{self.day}"', form=self.form, values=f"'{begin}', '{end}'")

    @property
    def template(self) -> str:
        """The location of a partition."""
        parts = [self.within]
        if self.account is not None:
            parts += [f"${{{self.account}}}", "CloudTrail"]
        if self.region is not None:
            parts.append(f"${{{self.region}}}")
        return "/".join([*parts, f"${{{self.day}}}"])


PROJECTED = {
    "organization": Projected("account", "region", "timestamp"),
    "one_account": Projected(None, "region", "timestamp", within="world/AWSLogs/222222222222/CloudTrail"),
    "guide": Projected(None, None, "timestamp", within="world/AWSLogs/222222222222/CloudTrail/us-west-2"),
    "own_names": Projected("account_partition", "region_partition", "date_partition"),
}

QUESTIONS: Mapping[str, tuple[Mapping[str, Any], Callable[[Place], bool]]] = {
    "a day": (
        {"since": "2024-09-24T01:00:00Z", "until": "2024-09-24T20:00:00Z"},
        lambda place: place[2:] == ("2024", "09", "24"),
    ),
    "the last days": ({"since": "2024-09-24T01:00:00Z"}, lambda place: place[2:] >= ("2024", "09", "24")),
    "the first month": ({"until": "2024-08-31T12:00:00Z"}, lambda place: place.month == "08"),
    "an account": ({"account": ("222222222222",)}, lambda place: place.account == "222222222222"),
    "a Region": ({"region": ("us-west-2",)}, lambda place: place.region == "us-west-2"),
    "a day of an account and a Region": (
        {
            "account": ("222222222222",),
            "region": ("us-west-2",),
            "since": "2024-09-23T01:00:00Z",
            "until": "2024-09-23T20:00:00Z",
        },
        lambda place: place == ("222222222222", "us-west-2", "2024", "09", "23"),
    ),
}
"""What is asked for, and the places of it."""


@pytest.fixture(scope="module", params=[*REGISTERED, *PROJECTED])
def layout(request: pytest.FixtureRequest, server: Server) -> str:
    """The name of a layout, of which the server has a table."""
    name: str = request.param
    if name in REGISTERED:
        _register(server, name, *REGISTERED[name])
    else:
        _project(server, name, PROJECTED[name])
    return name


RECORDS = f"records array(row({COLUMNS}))"


def _register(server: Server, name: str, columns: Mapping[str, str], values: Values) -> None:
    keys = ", ".join(f"{column} {kind}" for column, kind in columns.items())
    listed = ", ".join(f"'{column}'" for column in columns)
    server.create(name, f"{RECORDS}, {keys}", "world/AWSLogs", partitioned_by=f"ARRAY[{listed}]")
    for place in PLACES:
        given = ", ".join(f"'{value}'" for value in values(place))
        server.sql(
            f"CALL hive.system.register_partition('logs', '{name}', ARRAY[{listed}], ARRAY[{given}],"
            f" 'local:///{place.folder}')"
        )


def _project(server: Server, name: str, layout: Projected) -> None:
    listed = ", ".join(f"'{column}'" for column, _ in layout.columns)
    server.create(
        name,
        ", ".join([RECORDS, *(text for _, text in layout.columns)]),
        layout.within,
        partitioned_by=f"ARRAY[{listed}]",
        partition_projection_enabled="true",
        partition_projection_location_template=f"'local:///{layout.template}'",
    )


def stored_bytes(server: Server, places: list[Place]) -> int:
    return sum(
        path.stat().st_size for place in places for path in (server.files / place.folder).glob("*.json.gz")
    )


class TestScannedBytes:
    @pytest.mark.parametrize("question", QUESTIONS)
    def test_only_the_partitions_of_what_is_asked_for_are_scanned(
        self, layout: str, question: str, server: Server
    ) -> None:
        options, is_asked = QUESTIONS[question]
        within = PROJECTED[layout].within if layout in PROJECTED else "world/AWSLogs"
        there = [place for place in PLACES if place.folder.startswith(within)]
        asked = [place for place in there if is_asked(place)]
        limits: dict[str, Any] = {} if options.keys() & {"since", "until"} else {"max_scan": 1 << 40}
        table = cnitrail.read(server.uri(layout), **options, **limits)
        report = table.evidence.sources[0].engine
        assert report is not None
        assert report.scanned_bytes == stored_bytes(server, asked)
        same_entries(table, cnitrail.read(server.files / within, **options))

    def test_the_plan_has_conditions_on_every_partition_column(self, layout: str, server: Server) -> None:
        options, _ = QUESTIONS["a day of an account and a Region"]
        report = cnitrail.read(server.uri(layout), **options).evidence.sources[0].engine
        assert report is not None
        ((text,),) = server.sql(f"SELECT query FROM system.runtime.queries WHERE query_id = '{report.query}'")
        ((plan,),) = server.sql(f"EXPLAIN (TYPE IO) {text}")
        (read,) = json.loads(plan)["inputTableColumnInfos"]
        limited = {found["columnName"] for found in read["constraint"]["columnConstraints"]}
        assert limited >= set(report.pruned_by)


class TestIceberg:
    """Security Lake and CloudWatch keep OCSF in Iceberg, which does not show its partitions as columns."""

    @pytest.fixture(scope="class")
    @staticmethod
    def lake(server: Server) -> str:
        """A table of the world that is partitioned by day, Region and account."""
        types = {name: parse_type(text) for name, text in OCSF_TABLE.items()}
        rows = [
            {name: of_type(row.get(name), kind) for name, kind in types.items()}
            for _, row in ocsf_table_rows(log_files(server.files / "world"))
        ]
        (server.files / "ocsf").mkdir()
        text = "\n".join(map(json.dumps, rows))
        (server.files / "ocsf" / "rows.json.gz").write_bytes(gzip.compress(text.encode()))
        server.create("ocsf", trino_columns(types), "ocsf")
        server.sql("CREATE SCHEMA iceberg.logs")
        server.sql(
            "CREATE TABLE iceberg.logs.lake"
            " WITH (partitioning = ARRAY['day(time_dt)', 'region', 'accountid'])"
            " AS SELECT *, CAST(from_unixtime(time / 1000e0) AT TIME ZONE 'UTC' AS timestamp(6)) AS time_dt,"
            " cloud.region AS region, element_at(unmapped, 'recipientAccountId') AS accountid"
            " FROM hive.logs.ocsf"
        )
        return server.uri("lake", catalog="iceberg")

    @pytest.mark.parametrize(("question", "share"), [("a day", 4), ("a day of an account and a Region", 16)])
    def test_hidden_partitions_are_pruned_by_the_times_of_events(
        self, question: str, share: int, lake: str, server: Server
    ) -> None:
        options, _ = QUESTIONS[question]
        narrow, whole = cnitrail.read(lake, **options), cnitrail.read(lake)
        scanned, everything = (
            case.evidence.sources[0].engine.scanned_bytes  # type: ignore[union-attr]
            for case in (narrow, whole)
        )
        assert scanned is not None
        assert everything is not None
        assert scanned * share == pytest.approx(everything, rel=0.1)
        found = entries(narrow.timeline())
        assert found == entries(cnitrail.read(server.files / "world", **options).timeline())
        assert found
