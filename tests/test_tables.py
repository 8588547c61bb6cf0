"""Tables beside other sources: what is said of them, stores of them, and copies that keep less than files."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from conftest import FIXTURES, Run
from duck_engine import (
    IDENTITY_2016,
    IDENTITY_NOW,
    TABLE_NOW,
    DuckEngine,
    Entry,
    cloudtrail_rows,
    description,
    log_files,
)
from msgspec.structs import replace
from stories import STORIES
from table_answers import entries, same_answers

import cnitrail
from cnitrail import sources
from cnitrail.errors import UsageError
from cnitrail.model import HoleReason, Lost
from cnitrail.model.reason import ReasonCode
from cnitrail.model.table import TablePart
from cnitrail.sources.sql.source import TableSource

TABLE_2016 = {
    name: kind
    for name, kind in TABLE_NOW.items()
    if name
    not in (
        "vpcendpointaccountid",
        "eventcategory",
        "addendum",
        "sessioncredentialfromconsole",
        "edgedevicedetails",
        "tlsdetails",
    )
} | {"useridentity": IDENTITY_2016}
TABLE_2022 = TABLE_2016 | {
    "useridentity": IDENTITY_NOW.replace(
        "struct<federatedprovider:string,attributes:map<string,string>>", "map<string,string>"
    ),
    "tlsdetails": TABLE_NOW["tlsdetails"],
}
SHAPES = {"now": TABLE_NOW, "2016": TABLE_2016, "2022": TABLE_2022}
NOW = "athena://default.now"


class NamedEngine(DuckEngine):
    """A table of a name; its query has an ID of its own."""

    def __init__(self, uri: str, columns: Mapping[str, str], rows: Iterable[tuple[str, Entry]]) -> None:
        super().__init__(description(columns), rows)
        self.uri = uri

    def close(self) -> None:
        """Stay open for the next command."""


class Tables:
    """Tables by their URIs, which may grow between two commands."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[str, Entry]]] = {}
        self.shapes: dict[str, Mapping[str, str]] = {}
        self.gaps: tuple[Lost, ...] = ()
        self._engines: dict[str, NamedEngine] = {}

    def make(self, uri: str, rows: Iterable[tuple[str, Entry]], shape: str = "now") -> str:
        """Make a table, or another content of it."""
        self.rows[uri], self.shapes[uri] = list(rows), SHAPES[shape]
        self._engines.pop(uri, None)
        return uri

    def of(self, story: str, shape: str = "now") -> str:
        """A table with the log files of a story."""
        return self.make(f"athena://default.t{shape}", cloudtrail_rows(log_files(FIXTURES / story)), shape)

    def open(self, uri: str, scope: Any) -> Any:
        engine = self._engines.get(uri) or NamedEngine(uri, self.shapes[uri], self.rows[uri])
        self._engines[uri] = engine
        return _WithGaps(TableSource(engine, scope), self.gaps)


class _InPieces(TableSource):
    """A table whose parts come in pieces: the counts, then some rows at a time."""

    size = 3

    def documents(self) -> Iterator[Any]:
        pieces = 0
        for part in super().documents():
            if not isinstance(part, TablePart):
                yield part
                continue
            yield replace(part, rows=())
            for number, start in enumerate(range(0, len(part.rows), self.size), 1):
                pieces += 1
                rows = part.rows[start : start + self.size]
                uri = f"{part.uri}!/{number}"
                yield replace(part, uri=uri, rows=rows, passed_over=0, signs=frozenset())
        self.found += pieces


class _WithGaps:
    """A table that lacks something, by its properties."""

    def __init__(self, source: TableSource, gaps: Iterable[Lost]) -> None:
        self._source, self._gaps, self.uri = source, gaps, source.uri

    @property
    def found(self) -> int:
        return self._source.found

    def documents(self) -> Iterator[Any]:
        yield from self._gaps
        yield from self._source.documents()


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Tables:
    made = Tables()
    kind = replace(sources._SCHEMES["athena://"], open=made.open)
    monkeypatch.setitem(sources._SCHEMES, "athena://", kind)
    return made


each_story = pytest.mark.parametrize("story", sorted(STORIES))
each_shape = pytest.mark.parametrize("shape", SHAPES)


class TestCopiesOfLess:
    @each_story
    @each_shape
    def test_a_table_beside_the_files_changes_no_answer(self, tables: Tables, story: str, shape: str) -> None:
        files, table = FIXTURES / story, tables.of(story, shape)
        alone = cnitrail.read(files)
        for both in ((files, table), (table, files)):
            case = cnitrail.read(*both)
            same_answers(case, alone)
            assert case.evidence.skipped == alone.evidence.skipped
            assert [event.actor for event in case.history.events] == [
                event.actor for event in alone.history.events
            ]

    @each_story
    def test_two_tables_of_different_shape_do_not_disagree(self, tables: Tables, story: str) -> None:
        made = [tables.of(story, shape) for shape in SHAPES]
        best = cnitrail.read(made[0])
        for order in (made, made[::-1]):
            case = cnitrail.read(*order)
            assert case.evidence.skipped == best.evidence.skipped
            same_answers(case, best)


class TestForgedRows:
    def forged(self, story: str, **changes: Any) -> Iterator[tuple[str, Entry]]:
        for path, row in cloudtrail_rows(log_files(FIXTURES / story)):
            yield path, row | (changes if row["eventname"] == "AssignPrivateIpAddresses" else {})

    @each_shape
    def test_a_changed_row_neither_replaces_nor_disputes_a_record_of_a_file(
        self, tables: Tables, shape: str
    ) -> None:
        files = FIXTURES / "node-life"
        alone = cnitrail.read(files)
        for changes in (
            {"sourceipaddress": "203.0.113.9", "useragent": "evil"},
            {"errorcode": "Client.UnauthorizedOperation", "responseelements": None},
            {"eventtime": "2024-09-24T09:00:00Z"},
            {"useridentity": {"type": "Root", "accountid": "222222222222"}},
        ):
            rows = self.forged("node-life", **changes)
            table = tables.make("athena://default.forged", rows, shape)
            for order in ((files, table), (table, files)):
                case = cnitrail.read(*order)
                assert case.evidence.skipped == ()
                assert entries(case.timeline()) == entries(alone.timeline())
                assert entries(case.leases()) == entries(alone.leases())

    def test_a_row_without_an_event_id_suppresses_no_record(self, tables: Tables) -> None:
        files = FIXTURES / "node-life"
        table = tables.make("athena://default.forged", self.forged("node-life", eventid=None))
        case, alone = cnitrail.read(table, files), cnitrail.read(files)
        assert entries(case.timeline()) == entries(alone.timeline())


class TestVerifiedFilesBesideATable:
    FILES = FIXTURES / "ironman-signed"

    def test_rows_are_not_proven_and_prove_nothing(self, tables: Tables) -> None:
        alone = cnitrail.read(self.FILES, verify=True)
        assert any(reach.proven for reach in alone.evidence.coverage)
        rows = list(cloudtrail_rows(log_files(FIXTURES / "ironman")))
        forged = [
            (path, row | {"eventid": f"{number:08x}-0000-4000-8000-000000000000"})
            for number, (path, row) in enumerate(rows)
        ]
        tables.gaps = (replace(LACK, end=None),)
        table = tables.make("athena://default.forged", [*rows, *forged])
        for order in ((self.FILES, table), (table, self.FILES)):
            case = cnitrail.read(*order, verify=True)
            assert entries(case.leases()) == entries(alone.leases())
            assert [reach.proven for reach in case.evidence.coverage] == [
                reach.proven for reach in alone.evidence.coverage
            ]


class TestStores:
    @each_story
    def test_a_store_of_a_table_gives_the_answers_of_the_table(
        self, tables: Tables, run: Run, tmp_path: Path, story: str
    ) -> None:
        table, store = tables.of(story), tmp_path / "a.db"
        direct = cnitrail.read(table)
        for _ in range(2):
            assert run("collect", table, "--to", store).exit_code == 0
            case = cnitrail.read(store)
            same_answers(case, direct)
            assert counts(case) == counts(direct)
            assert case.evidence.tables == (table,)

    @each_story
    def test_a_table_and_its_files_in_either_order(
        self, tables: Tables, run: Run, tmp_path: Path, story: str
    ) -> None:
        files, table = str(FIXTURES / story), tables.of(story, "2016")
        alone = cnitrail.read(files)
        for number, order in enumerate(([files, table], [table, files])):
            store = tmp_path / f"{number}.db"
            for source in (*order, *order):
                assert run("collect", source, "--to", store).exit_code == 0
            case = cnitrail.read(store)
            same_answers(case, alone)
            assert case.evidence.skipped == ()
            assert counts(case) == counts(cnitrail.read(*order))

    def test_a_table_that_grew_adds_what_is_new(self, tables: Tables, run: Run, tmp_path: Path) -> None:
        rows, store = list(cloudtrail_rows(log_files(FIXTURES / "node-life"))), tmp_path / "a.db"
        paths = sorted({path for path, _ in rows})
        for number in range(1, len(paths) + 1):
            seen = [row for row in rows if row[0] in paths[:number]]
            table = tables.make(NOW, seen)
            assert run("collect", table, "--to", store).exit_code == 0
            assert counts(cnitrail.read(store)) == counts(cnitrail.read(table))
        same_answers(cnitrail.read(store), cnitrail.read(FIXTURES / "node-life"))

    def test_ranges_that_overlap_count_nothing_twice(self, tables: Tables, run: Run, tmp_path: Path) -> None:
        table, store = tables.of("node-life"), tmp_path / "a.db"
        first, last = (getattr(cnitrail.read(table).evidence, name) for name in ("first_event", "last_event"))
        middle = first + (last - first) / 2
        for options in (["--until", middle], ["--since", middle], []):
            run("collect", table, "--to", store, *(str(option) for option in options))
        assert counts(cnitrail.read(store)) == counts(cnitrail.read(table))

    def test_a_part_in_pieces_counts_nothing_twice_however_it_is_cut(
        self, tables: Tables, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        table, store = tables.of("node-life"), tmp_path / "a.db"
        whole = cnitrail.read(table)
        monkeypatch.setitem(globals(), "TableSource", _InPieces)
        for size in (3, 5, 100, 1):
            monkeypatch.setattr(_InPieces, "size", size)
            assert run("collect", table, "--to", store).exit_code == 0
            case = cnitrail.read(store)
            same_answers(case, whole)
            assert case.evidence.tables == (table,)
            assert counts(case) == counts(cnitrail.read(table))
            assert counts(case) | {"files": 1} == counts(whole)

    def test_merged_stores_keep_their_tables(self, tables: Tables, run: Run, tmp_path: Path) -> None:
        table, one, other = tables.of("node-life"), tmp_path / "a.db", tmp_path / "b.db"
        tables.gaps = (LACK,)
        run("collect", table, "--to", one)
        for _ in range(2):
            run("collect", one, "--to", other)
            case = cnitrail.read(other)
            assert case.evidence.tables == (table,)
            assert case.evidence.lost == (LACK,)

    def test_what_a_table_lacks_is_said_by_its_store(self, tables: Tables, run: Run, tmp_path: Path) -> None:
        table, store = tables.of("node-life"), tmp_path / "a.db"
        tables.gaps = (LACK,)
        assert run("collect", table, "--to", store).exit_code == 0
        assert cnitrail.read(store).evidence.lost == cnitrail.read(table).evidence.lost == (LACK,)
        assert cnitrail.read(store).evidence.coverage == cnitrail.read(table).evidence.coverage
        tables.gaps = ()
        run("collect", table, "--to", store, "--since", "2020-01-01")
        (left,) = cnitrail.read(store).evidence.lost
        assert (left.start, left.end) == (LACK.start, datetime(2020, 1, 1, tzinfo=UTC))
        run("collect", table, "--to", store)
        assert cnitrail.read(store).evidence.lost == ()


LACK = Lost(
    account=None,
    region=None,
    start=datetime(2019, 1, 1, tzinfo=UTC),
    end=datetime(2020, 6, 1, tzinfo=UTC),
    reason=HoleReason.NOT_IN_TABLE,
    what="the table has no days before 2020-06-01",
)


def counts(case: cnitrail.Case) -> dict[str, int]:
    names = ("files", "records", "relevant", "kept", "duplicates", "passed_over", "records_skipped")
    return {name: sum(getattr(source, name) for source in case.evidence.sources) for name in names}


class TestHonesty:
    def test_every_answer_says_that_a_table_is_not_checked(self, tables: Tables, run: Run) -> None:
        table = tables.of("node-life")
        (said,) = [
            reason for reason in cnitrail.read(table).limitations() if reason.code == "table-not-checked"
        ]
        assert said.text == (
            f"nothing shows whether {table} returned all records: "
            "query engines skip files that they cannot read, and views and row filters leave records out"
        )
        assert run("timeline", table).stderr.count(said.text) == 1
        address, at = _held(cnitrail.read(table))
        assert run("who", address, table, "--at", at).stderr.count(said.text) == 1

    def test_free_needs_more_than_a_table(self, tables: Tables, run: Run) -> None:
        table, files, asked = tables.of("node-life"), FIXTURES / "node-life", _free(FIXTURES / "node-life")
        assert len(asked) == 7
        for read in ((table,), (table, files)):
            case, assumed = cnitrail.read(*read), cnitrail.read(*read, assume_complete=True)
            for address, at in asked:
                answer = case.who(address, at)
                assert answer.verdict == "unknown"
                assert [reason.code for reason in answer.reasons][-1] == "table-not-checked"
                assert case.explain(address, at).verdict == "unknown"
                assert assumed.who(address, at).verdict == "free"
                assert assumed.explain(address, at).verdict == "free"
        address, at = asked[0]
        for options, verdict in (((), "unknown"), (("--assume-complete",), "free")):
            said = run("who", address, table, "--at", at, "-o", "json", *options)
            assert json.loads(said.stdout)["entries"][0]["verdict"] == verdict

    def test_no_other_answer_depends_on_whether_an_address_is_free(self, tables: Tables) -> None:
        for read in ((tables.of("node-life"),), (tables.of("node-life"), FIXTURES / "node-life")):
            case, files = cnitrail.read(*read), cnitrail.read(FIXTURES / "node-life")
            end = max(reach.last for reach in files.coverage.reaches)
            subnets = sorted({lease.subnet for lease in files.leases() if lease.subnet})
            assert subnets
            assert entries(case.findings()) == entries(files.findings())
            assert entries(case.state(end)) == entries(files.state(end))
            assert entries(case.subnet(subnets, end)) == entries(files.subnet(subnets, end))

    def test_what_the_columns_lose_is_a_limitation_and_lowers_no_verdict(
        self, tables: Tables, run: Run
    ) -> None:
        table = tables.of("node-life", "2016")
        case = cnitrail.read(table)
        (source,) = case.evidence.sources
        assert source.engine is not None
        losses = source.engine.losses
        assert [text.partition(":")[0] for text in losses] == [
            "it has no column for sessionCredentialFromConsole",
            "it has no column addendum",
            "its useridentity has no webidfederationdata",
            "its useridentity has no ec2roledelivery",
        ]
        said = [reason.text for reason in case.limitations() if reason.code == "table-lacks-fields"]
        assert said == [f"{table}: {text}" for text in losses]
        address, at = _held(case)
        for words in (["timeline"], ["who", address, "--at", at], ["findings"], ["timeline", "-q"]):
            stderr = run(*words, table).stderr
            assert all(stderr.count(text) == 1 for text in said), words
        assert case.who(address, at).verdict == cnitrail.read(tables.of("node-life")).who(address, at).verdict

    def test_collect_says_what_the_columns_lose(self, tables: Tables, run: Run, tmp_path: Path) -> None:
        table = tables.of("node-life", "2016")
        said = run("collect", table, "--to", tmp_path / "a.db").stderr
        assert said.count(f"{table}: its useridentity has no ec2roledelivery") == 1

    def test_a_table_does_not_lower_a_certain_verdict(self, tables: Tables) -> None:
        table, files = cnitrail.read(tables.of("node-life")), cnitrail.read(FIXTURES / "node-life")
        for lease in files.leases():
            if lease.start is not None:
                address = str(lease.ip).split("/")[0]
                assert table.who(address, lease.start).verdict == files.who(address, lease.start).verdict

    def test_a_time_that_a_table_lacks_leaves_an_answer_in_doubt(self, tables: Tables) -> None:
        table = tables.of("node-life")
        address, at = _certain(cnitrail.read(table))
        tables.gaps = (replace(LACK, start=None, end=None, what="the table has nothing of it"),)
        case = cnitrail.read(table)
        answer = case.who(address, at)
        assert answer.verdict == "likely"
        assert "not-in-table" in {reason.code for reason in answer.reasons}
        assert {hole.reason for reach in case.coverage.reaches for hole in reach.holes} == {"not-in-table"}

    def test_a_lack_outside_of_what_was_read_is_a_limitation(self, tables: Tables) -> None:
        table = tables.of("node-life")
        tables.gaps = (LACK,)
        case = cnitrail.read(table)
        assert LACK.what in {reason.text for reason in case.limitations(since="2020-01-01")}
        assert LACK.what in {reason.text for reason in case.limitations("2020-01-01")}
        assert LACK.what not in {reason.text for reason in case.limitations(since="2021-01-01")}
        assert ReasonCode.NOT_IN_TABLE not in {reason.code for reason in case.limitations("2021-01-01")}

    def test_verify_needs_the_files_of_a_table(self, tables: Tables, run: Run) -> None:
        result = run("timeline", tables.of("node-life"), "--verify")
        assert result.exit_code == 2
        assert "digests sign log files" in result.stderr
        assert "s3://BUCKET/PREFIX" in result.stderr

    def test_a_table_without_any_row_is_an_error_also_beside_files(self, tables: Tables, run: Run) -> None:
        table = tables.make(NOW, [])
        for order in ((table,), ("node-life", table), (table, "node-life")):
            result = run("timeline", *order)
            assert result.exit_code == 1
            assert f"error: {table}: no record" in result.stderr

    def test_watch_refuses_a_table(self, tables: Tables, run: Run) -> None:
        result = run("timeline", tables.of("node-life"), "--watch")
        assert result.exit_code == 2
        assert "every poll would be a query" in result.stderr


def _free(files: Path) -> list[tuple[str, str]]:
    """The addresses of log files that are free half a minute after their release, and that time."""
    case = cnitrail.read(files)
    ended = [
        (str(lease.ip).split("/")[0], lease.end + timedelta(seconds=30))
        for lease in case.leases()
        if lease.end
    ]
    return [(address, at.isoformat()) for address, at in ended if case.who(address, at).verdict == "free"]


def _held(case: cnitrail.Case) -> tuple[str, str]:
    return _certain(case)


def _certain(case: cnitrail.Case) -> tuple[str, str]:
    for lease in case.leases():
        if lease.start is not None and lease.end is not None:
            middle = lease.start + (lease.end - lease.start) / 2
            address = str(lease.ip).split("/")[0]
            if case.who(address, middle).verdict == "certain":
                return address, middle.isoformat()
    raise AssertionError("no certain answer")


class TestApi:
    def test_options_of_engines_are_those_of_the_command_line(
        self, monkeypatch: pytest.MonkeyPatch, tables: Tables
    ) -> None:
        asked: list[Any] = []
        kind = sources._SCHEMES["athena://"]

        def open_table(uri: str, scope: Any) -> Any:
            asked.append(scope.engine)
            return kind.open(uri, scope)

        monkeypatch.setitem(sources._SCHEMES, "athena://", replace(kind, open=open_table))
        table = tables.of("node-life")
        cnitrail.read(table, work_group="ir", output_location="s3://results/x/", max_scan="10GB")
        cnitrail.read(table, max_scan=500)
        cnitrail.read(table)
        assert [(options.work_group, options.output_location, options.max_scan) for options in asked] == [
            ("ir", "s3://results/x/", 10_000_000_000),
            (None, None, 500),
            (None, None, None),
        ]

    @pytest.mark.parametrize("size", ["", "10", "-1GB", "many", 0, -5, 1.5])
    def test_a_size_that_is_none_is_refused(self, size: Any) -> None:
        with pytest.raises(UsageError, match="max_scan"):
            cnitrail.read(NOW, max_scan=size)
