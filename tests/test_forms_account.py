"""What was read of each file and in which form, from files and stores; files that are not CloudTrail's."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest
from accounts import added_up
from msgspec.json import encode
from msgspec.structs import replace
from records import GOOD, compact, record

from cnitrail.decode import decode
from cnitrail.errors import AccountingError, SourceError
from cnitrail.history import Ledger
from cnitrail.model import Document, Extent, Growth, Origin, Record, Scope, Skipped
from cnitrail.scan import Tally
from cnitrail.store.writer import StoreWriter
from cnitrail.workflows.accounting import SourceCounts, named_kinds
from cnitrail.workflows.collect import Collector
from cnitrail.workflows.read import read_evidence
from cnitrail.workflows.scan_pool import Scanned, ScannedDocument, ScanPool

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Run

    from cnitrail.model import Evidence

ASSIGN = GOOD["AssignPrivateIpAddresses"]
DELETE = GOOD["DeleteNetworkInterface"]
CREATE = GOOD["CreateNetworkInterface"]
LOOK = record("DescribeInstances", {"instancesSet": {}}, readOnly=True)
MALLORY = {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/mallory", "userName": "mallory"}


def file(
    uri: str,
    *records: object,
    form: str = "trail",
    compression: tuple[str, ...] = (),
    other_kind: str | None = None,
    failed: bool = False,
    unread: str | None = None,
    document: Document | None = None,
) -> Scanned:
    """Return a file as scanned: its records have one form; 17 is a record that cannot be read."""
    tally = Tally(bytes=100, compression=compression, other_kind=other_kind)
    found: list[Any] = []
    relevant = 0
    for index, entry in enumerate(records):
        tally.records += 1
        if entry == 17:
            found.append(Skipped(uri, f"record {index}: not an object", Extent.RECORD))
            relevant += 1
            continue
        one = Record((Origin(uri, index, form),), compact(entry))
        if entry is LOOK:
            tally.passed_over += 1
        else:
            found.append((one, decode(one)))
            relevant += 1
    if unread is not None:
        found.append(Skipped(uri, unread, Extent.PART))
    tally.forms = {form: tally.records} if tally.records else {}
    return Scanned(
        document=document or Document(uri=uri, chunks=iter(()), etag="etag"),
        uri=uri,
        tally=tally,
        found=found,
        relevant=relevant,
        failed=failed,
    )


def archive(uri: str, *members: Scanned, etag: str | None = "etag") -> ScannedDocument:
    document = Document(uri=uri, chunks=iter(()), etag=etag)
    return ScannedDocument(document, tuple(replace(member, document=document) for member in members))


class Given:
    """A source that delivers these documents, without those that were seen."""

    def __init__(self, *documents: ScannedDocument | Scanned, scope: Scope | None = None) -> None:
        self.uri = "logs"
        self.found = 0
        self.scanned = [
            ScannedDocument(one.document, (one,)) if isinstance(one, Scanned) else one for one in documents
        ]
        self.read: list[str] = []
        self._seen = scope.seen if scope is not None else ()

    def documents(self) -> Iterator[Document]:
        for one in self.scanned:
            if (one.document.uri, one.document.etag) not in self._seen:
                self.found += 1
                self.read.append(one.document.uri)
                yield one.document


@pytest.fixture(autouse=True)
def scanned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let documents of a ``Given`` be scanned as they say; all others really are."""
    scan = ScanPool.scan

    def scan_given(pool: ScanPool, source: Any) -> Iterator[Any]:
        if not isinstance(source, Given):
            yield from scan(pool, source)
            return
        by_uri = {one.document.uri: one for one in source.scanned}
        yield from (by_uri[document.uri] for document in source.documents())

    monkeypatch.setattr(ScanPool, "scan", scan_given)


@pytest.fixture
def from_files(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Ledger, Evidence]]:
    """Read given documents as a command does."""
    from cnitrail.sources import source_type
    from cnitrail.workflows import read

    def read_given(*documents: ScannedDocument | Scanned) -> tuple[Ledger, Evidence]:
        kind = replace(source_type("logs"), open=lambda _uri, scope: Given(*documents, scope=scope))
        with monkeypatch.context() as patch:
            patch.setattr(read, "source_type", lambda _uri: kind)
            return read_evidence(("logs",), Scope())

    return read_given


def collected(store: Path, *documents: ScannedDocument | Scanned) -> list[str]:
    """Collect given documents into a store; return those that were read."""
    with StoreWriter(str(store), pytest.fail) as writer:
        given = Given(*documents, scope=Scope(seen=writer.seen()))
        Collector(writer, ScanPool(Growth())).collect(given, Scope())
        return given.read


def from_store(store: Path) -> tuple[Ledger, Evidence]:
    return read_evidence((str(store),), Scope())


def source_of(evidence: Evidence) -> dict[str, Any]:
    (source,) = evidence.sources
    return added_up(json.loads(encode(source)))


MIXED = (
    file("a.json.gz", ASSIGN, LOOK, LOOK, compression=("gzip",)),
    file("b.csv", ASSIGN | {"userIdentity": MALLORY}, LOOK, 17, form="athena"),
    archive(
        "c.zip",
        file("c.zip!/1.json.gz", ASSIGN, DELETE, compression=("zip", "gzip")),
        file("c.zip!/2.json.gz", DELETE, compression=("zip", "gzip")),
        file("c.zip!/README", compression=("zip",), other_kind="text"),
    ),
    file("d.gz", compression=("gzip",), other_kind="vpc-flow-logs"),
    file("e.gz", compression=("gzip",), other_kind="vpc-flow-logs"),
    file("f.json", form="records"),
)
FORMS = [
    {"form": "athena", "compression": [], "files": 1, "records": 3},
    {"form": "trail", "compression": ["gzip"], "files": 1, "records": 3},
    {"form": "trail", "compression": ["zip", "gzip"], "files": 2, "records": 3},
]


class TestFiles:
    def test_each_says_form_compression_records_and_kept(
        self, from_files: Callable[..., tuple[Ledger, Evidence]]
    ) -> None:
        _, evidence = from_files(*MIXED)
        rows = [
            (one.source, dict(one.forms), one.compression, one.records, one.kept, one.other_kind)
            for one in evidence.files
        ]
        assert rows == [
            ("a.json.gz", {"trail": 3}, ("gzip",), 3, 1, None),
            ("b.csv", {"athena": 3}, (), 3, 0, None),
            ("c.zip!/1.json.gz", {"trail": 2}, ("zip", "gzip"), 2, 1, None),
            ("c.zip!/2.json.gz", {"trail": 1}, ("zip", "gzip"), 1, 0, None),
            ("c.zip!/README", {}, ("zip",), 0, 0, "text"),
            ("d.gz", {}, ("gzip",), 0, 0, "vpc-flow-logs"),
            ("e.gz", {}, ("gzip",), 0, 0, "vpc-flow-logs"),
            ("f.json", {}, (), 0, 0, None),
        ]

    def test_sums_of_forms_and_other_files_are_complete(
        self, from_files: Callable[..., tuple[Ledger, Evidence]]
    ) -> None:
        source = source_of(from_files(*MIXED)[1])
        assert source["forms"] == FORMS
        assert source["other_files"] == {"text": 1, "vpc-flow-logs": 2}
        assert (source["files_found"], source["files"], source["files_skipped"]) == (8, 5, 0)
        assert (source["records"], source["kept"], source["duplicates"]) == (9, 2, 3)

    def test_only_the_first_are_listed_and_all_are_counted(
        self, from_files: Callable[..., tuple[Ledger, Evidence]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("cnitrail.workflows.accounting.MAX_FILES", 2)
        _, evidence = from_files(*MIXED)
        assert [one.source for one in evidence.files] == ["a.json.gz", "b.csv"]
        assert source_of(evidence)["forms"] == FORMS

    def test_a_record_that_no_form_counts_is_an_error(
        self, from_files: Callable[..., tuple[Ledger, Evidence]]
    ) -> None:
        wrong = file("a.json", ASSIGN, LOOK)
        wrong.tally.forms = {"trail": 1}
        with pytest.raises(AccountingError, match="2 records read, but 1 in form trail"):
            from_files(wrong)

    def test_of_a_real_trail_are_listed(self, run: Run) -> None:
        evidence = json.loads(run("timeline", "ironman", "-o", "json").stdout)["evidence"]
        assert len(evidence["files"]) == 14
        assert sum(one["records"] for one in evidence["files"]) == 56
        assert sum(one["kept"] for one in evidence["files"]) == 17


class TestStore:
    def test_knows_the_same_as_the_files(
        self, from_files: Callable[..., tuple[Ledger, Evidence]], tmp_path: Path
    ) -> None:
        collected(tmp_path / "a.db", *MIXED)
        (ledger, evidence), (stored_ledger, stored) = from_files(*MIXED), from_store(tmp_path / "a.db")
        assert stored.files == evidence.files
        assert source_of(stored) | {"uri": "logs"} == source_of(evidence)
        assert stored_ledger.events() == ledger.events()
        assert stored_ledger.disputes() == ledger.disputes() == []

    def test_keeps_raw_and_rebuilt_payloads_with_their_forms(self, tmp_path: Path) -> None:
        collected(tmp_path / "a.db", *MIXED)
        events = {event.name: event for event in from_store(tmp_path / "a.db")[0].events()}
        assigned = events["AssignPrivateIpAddresses"]
        assert assigned.actor.user == "ada"
        assert [origin.form for origin in assigned.origins] == ["trail", "athena", "trail"]
        with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
            query = "SELECT count(*) FROM records WHERE event = 'AssignPrivateIpAddresses'"
            assert connection.execute(query).fetchone() == (2,)

    def test_reads_nothing_twice_not_even_archives_and_other_files(self, tmp_path: Path) -> None:
        read = collected(tmp_path / "a.db", *MIXED)
        assert read == ["a.json.gz", "b.csv", "c.zip", "d.gz", "e.gz", "f.json"]
        assert collected(tmp_path / "a.db", *MIXED) == []

    def test_counts_a_changed_archive_as_it_is_now(self, tmp_path: Path) -> None:
        collected(tmp_path / "a.db", *MIXED)
        changed = archive("c.zip", file("c.zip!/1.json.gz", DELETE, LOOK), etag="changed")
        assert collected(tmp_path / "a.db", changed) == ["c.zip"]
        source = source_of(from_store(tmp_path / "a.db")[1])
        assert (source["files"], source["other_files"]) == (4, {"vpc-flow-logs": 2})
        assert source["passed_over"] == 4

    def test_reads_an_archive_again_if_a_member_could_not_be_read_to_its_end(self, tmp_path: Path) -> None:
        torn = archive("c.zip", file("c.zip!/1.json", DELETE), file("c.zip!/2.json", failed=True, unread="x"))
        collected(tmp_path / "a.db", torn)
        assert [one.source for one in from_store(tmp_path / "a.db")[1].skipped] == ["c.zip!/2.json"]
        whole = archive("c.zip", file("c.zip!/1.json", DELETE), file("c.zip!/2.json", CREATE))
        assert collected(tmp_path / "a.db", whole) == ["c.zip"]
        evidence = from_store(tmp_path / "a.db")[1]
        assert (evidence.skipped, source_of(evidence)["records"]) == ((), 2)
        assert collected(tmp_path / "a.db", whole) == []

    def test_forgets_what_could_not_be_read_in_members_that_are_gone(self, tmp_path: Path) -> None:
        other = file("c.zip.old", DELETE, unread="torn")
        collected(tmp_path / "a.db", archive("c.zip", file("c.zip!/1.json", DELETE, unread="torn")), other)
        collected(tmp_path / "a.db", archive("c.zip", file("c.zip!/2.json", DELETE), etag="changed"))
        assert [one.source for one in from_store(tmp_path / "a.db")[1].skipped] == ["c.zip.old"]

    def test_a_kill_within_an_archive_leaves_it_unread(self, tmp_path: Path) -> None:
        members = [file("c.zip!/1.json", DELETE), file("c.zip!/2.json", CREATE)]
        broken = replace(members[1], found=[("no record", None)])  # as if killed here
        with pytest.raises(AttributeError):
            collected(tmp_path / "a.db", file("a.json", ASSIGN), archive("c.zip", members[0], broken))
        assert collected(tmp_path / "a.db", archive("c.zip", *members)) == ["c.zip"]
        assert source_of(from_store(tmp_path / "a.db")[1])["records"] == 2

    def test_adds_archives_without_an_etag(self, tmp_path: Path) -> None:
        for _ in range(2):
            collected(tmp_path / "a.db", archive("-", file("-!/1.json", DELETE, LOOK), etag=None))
        source = source_of(from_store(tmp_path / "a.db")[1])
        assert (source["files"], source["records"], source["passed_over"]) == (2, 3, 2)

    def test_that_another_store_was_collected_into_keeps_forms_and_other_files(self, tmp_path: Path) -> None:
        collected(tmp_path / "a.db", *MIXED)
        with StoreWriter(str(tmp_path / "b.db"), pytest.fail) as writer:
            from cnitrail.sources import open_source

            source = open_source(str(tmp_path / "a.db"), Scope())
            Collector(writer, ScanPool(Growth())).collect(source, Scope())
        first, second = (source_of(from_store(tmp_path / name)[1]) for name in ("a.db", "b.db"))
        by_form = [
            {name: sum(form["records"] for form in forms) for name, forms in
             groupby(account.pop("forms"), key=lambda form: form["form"])}
            for account in (first, second)
        ]  # fmt: skip
        assert by_form[0] == by_form[1] == {"athena": 3, "trail": 6}
        assert first | {"uri": ""} == second | {"uri": ""}

    def test_with_wrong_sums_of_forms_is_refused(self, run: Run, tmp_path: Path) -> None:
        collected(tmp_path / "a.db", *MIXED)
        with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
            connection.execute("UPDATE form_counts SET records = records + 1")
            connection.commit()
        result = run("timeline", tmp_path / "a.db")
        assert result.exit_code == 1
        assert "the store is damaged (malformed: its counts do not add up)" in result.stderr


class TestOtherFiles:
    def test_alone_are_an_error(self, from_files: Callable[..., tuple[Ledger, Evidence]]) -> None:
        flows = [file(f"{number}.gz", other_kind="vpc-flow-logs") for number in range(8)]
        configs = [file(f"{number}.json.gz", other_kind="config") for number in range(4)]
        with pytest.raises(SourceError) as error:
            from_files(*flows, *configs)
        assert str(error.value) == (
            "logs: no CloudTrail log files or pod evidence in it, "
            "only 12 other files (8 vpc-flow-logs, 4 config)"
        )

    def test_named_beside_log_files_are_passed_over(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "a.json").write_bytes(compact({"Records": [ASSIGN]}))
        (tmp_path / "README.md").write_text("What was collected, and when.\n")
        result = run("timeline", tmp_path / "README.md", tmp_path / "a.json", "-o", "json")
        assert result.exit_code == 0
        assert [source["other_files"] for source in json.loads(result.stdout)["evidence"]["sources"]] == [
            {"text": 1},
            {},
        ]

    def test_named_alone_are_an_error_that_names_them(self, run: Run, tmp_path: Path) -> None:
        for name in ("README.md", "notes.md"):
            (tmp_path / name).write_text("What was collected, and when.\n")
        result = run("timeline", tmp_path / "README.md", tmp_path / "notes.md")
        assert result.exit_code == 1
        assert (
            "notes.md: no CloudTrail log files or pod evidence in it, only 2 other files (2 text)"
            in result.stderr
        )

    def test_one_alone_is_a_file(self) -> None:
        assert named_kinds({"config": 1}) == "1 other file (1 config)"

    def test_give_no_signs_and_no_damage(self, from_files: Callable[..., tuple[Ledger, Evidence]]) -> None:
        named = "AWSLogs/111122223333/111122223333_CloudTrail_eu-west-1_20240514T0935Z_abc.json.gz"
        other = file(named, other_kind="config")
        other.tally.signs.add(("111122223333", "eu-west-1", from_files(MIXED[0])[0].events()[0].time))
        _, with_other = from_files(MIXED[0], other)
        _, without = from_files(MIXED[0])
        assert (with_other.coverage, with_other.skipped) == (without.coverage, ())


class TestSummary:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (
                '{"Records":[{"eventName":"AttachNetworkInterface"},{"eventName":"RunInstances"}]}',
                "nothing could be read of 2 records that may matter; read 1 file with 2 events in all",
            ),
            ("hello", "no event could be read in 1 file"),
        ],
    )
    def test_claims_nothing_about_what_could_not_be_read(
        self, run: Run, tmp_path: Path, text: str, said: str
    ) -> None:
        (tmp_path / "a.json").write_text(text)
        result = run("timeline", tmp_path)
        first, second, *_ = result.stderr.splitlines()
        assert first == said
        hint = "hint: docs/sources.md lists the forms of CloudTrail logs that can be read"
        assert (second == hint) is said.startswith("nothing could be read")
        assert result.exit_code == 3

    def test_does_not_explain_the_forms_of_cloudtrail_if_pod_evidence_was_read(
        self, run: Run, tmp_path: Path
    ) -> None:
        line = (
            '{"level":"info","ts":"2026-05-14T09:30:00.000Z","caller":"datastore/data_store.go:782",'
            '"msg":"assignPodIPAddressUnsafe: Assign IP 10.0.1.25 to sandbox aws-cni/%s/eth0 with metadata '
            '{K8SPodNamespace:shop K8SPodName:web-0 InterfacesCount:1}"}\n' % ("a" * 64)
        )
        (tmp_path / "ipamd.log").write_text(line + line[:-60])
        result = run("pods", tmp_path)
        assert "record 1: a part of a line: " in result.stderr
        assert "hint" not in result.stderr

    def test_still_says_that_there_is_no_event_if_all_was_read(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "a.json").write_bytes(compact({"Records": [LOOK]}))
        result = run("timeline", tmp_path)
        assert result.stderr == "no IP-related events; read 1 file with 1 event\n"
        assert result.exit_code == 0

    def test_names_other_files_in_one_clause(self, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
        report = SourceCounts.report
        others = {"vpc-flow-logs": 8, "config": 4}
        monkeypatch.setattr(
            SourceCounts,
            "report",
            lambda counts, uri: replace(report(counts, uri), other_files=others),
        )
        result = run("timeline", "ironman")
        assert result.stderr.splitlines()[0].endswith(
            "; passed over 12 other files (8 vpc-flow-logs, 4 config)"
        )
