"""All commands give the same answers about the same evidence: over every story, and the shared cases."""

import gzip
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from conftest import FIXTURES, ROOT
from duck_engine import SHAPES, DuckEngine, log_files
from jsonschema import Draft202012Validator
from msgspec.structs import replace
from pod_evidence import deliver_pods
from pod_runs import random_pods
from pod_truth_figures import read_pods_of

import cnitrail
from cnitrail import sources
from cnitrail.answers.flows.intervals import WORST_LAST
from cnitrail.api import Case
from cnitrail.cli import main
from cnitrail.model import Finding, Scope, StateEntry, Verdict
from cnitrail.model.pods import PodVerdict
from cnitrail.sources.sql.source import TableSource
from cnitrail.text import iso

SHARED = ROOT.parent / "shared" / "cases"
STORIES = sorted(path for path in FIXTURES.iterdir() if path.is_dir() and any(path.rglob("*.gz")))
CASES = [
    *STORIES,
    *sorted(SHARED.glob("[0-9]*/records.json")),
    *sorted(SHARED.glob("trust/*/input")),
    *sorted(path for path in SHARED.glob("truth/*") if path.is_dir()),
]

TABLES = [Path("table", story) for story in ("ironman", "node-life", "prefix-delegation", "two-vpcs")]
"""Stories in tables of a query engine."""

THINNED = [Path("thinned", str(seed)) for seed in range(40, 52)]
"""Two stories at once, of which a fifth of the records is missing: the choice depends on the number alone.

Of all numbers up to 220, these have two of the five with which explain and state once disagreed.
"""

each_case = pytest.mark.parametrize(
    "path", [*CASES, *TABLES, *THINNED], ids=lambda path: "/".join(path.parts[-2:])
)
each_story = pytest.mark.parametrize("path", STORIES, ids=lambda path: path.name)

_MAX_ADDRESSES = 25
"""Addresses of a case that are asked for: a fixed choice of them, if there are more."""

Held = IPv4Address | IPv6Address | IPv4Network | IPv6Network


@contextmanager
def table_of(story: str) -> Iterator[str]:
    """Give the log files of a story as a table; return its URI."""

    def opened(_: str, scope: Scope) -> TableSource:
        return TableSource(SHAPES["now"].engine(log_files(FIXTURES / story)), scope)

    with pytest.MonkeyPatch.context() as patch:
        kind = replace(sources._SCHEMES["athena://"], open=opened)
        patch.setitem(sources._SCHEMES, "athena://", kind)
        yield DuckEngine.uri


def thinned(seed: int) -> Case:
    chance = Random(seed)
    files = [file for story in chance.sample(STORIES, 2) for file in sorted(story.rglob("*_CloudTrail_*.gz"))]
    records = [
        record for file in files for record in json.loads(gzip.decompress(file.read_bytes()))["Records"]
    ]
    with TemporaryDirectory() as folder:
        kept = [record for record in records if chance.random() < 0.8]
        Path(folder, "log.json").write_text(json.dumps({"Records": kept}))
        return cnitrail.read(folder)


@cache
def case_of(path: Path) -> Case:
    if path in THINNED:
        return thinned(int(path.name))
    if path not in TABLES:
        return cnitrail.read(path)
    with table_of(path.name) as uri:
        return cnitrail.read(uri)


def times(case: Case) -> Iterator[datetime]:
    """Yield the end of the evidence, its middle, and a time just before the end."""
    reaches = case.coverage.reaches
    if reaches:
        first, last = min(reach.first for reach in reaches), max(reach.last for reach in reaches)
        yield last
        yield (first + (last - first) / 2).replace(microsecond=0)
        yield last - timedelta(seconds=17)


def addresses(case: Case) -> list[str]:
    """Return addresses that were held, and the first of each prefix."""
    found = sorted({str(ip_network(lease.ip)[0]) for lease in case.leases()})
    return found[:: len(found) // _MAX_ADDRESSES + 1]


def includes(held: Held, ip: str) -> bool:
    return ip_network(ip)[0] in ip_network(held)


def by_eni(case: Case, at: datetime) -> dict[str, StateEntry]:
    return {entry.eni: entry for entry in case.state(at)}


def questions(case: Case) -> Iterator[tuple[datetime, str]]:
    ips = addresses(case)
    return ((at, ip) for at in times(case) for ip in ips)


@each_case
class TestHolders:
    def test_state_has_the_holders_that_who_names(self, path: Path) -> None:
        case = case_of(path)
        for at, ip in questions(case):
            answer, present = case.who(ip, at), by_eni(case, at)
            named = {holder.eni for holder in answer.holders}
            shown = {
                eni
                for eni, entry in present.items()
                if any(includes(address.ip, ip) for address in entry.addresses)
            }
            assert shown <= named, (ip, at, answer.verdict)
            # who answers for a whole second, state for its end
            ended = {
                lease.eni
                for lease in case.history.leases
                if includes(lease.held, ip) and lease.end.time == at
            }
            assert named - ended <= shown, (ip, at, answer.verdict)

    def test_a_holder_has_the_instance_and_cluster_that_state_shows(self, path: Path) -> None:
        case = case_of(path)
        for at, ip in questions(case):
            present = by_eni(case, at)
            for holder in case.who(ip, at).holders:
                entry = present.get(holder.eni)
                if entry is None:
                    continue
                assert (holder.instance, holder.cluster) == (entry.instance, entry.cluster), (ip, at)
                assert holder.service == entry.management.service
                if holder.instance is None:
                    assert holder.attached == entry.attached, (ip, at)
                assert (holder.account, holder.region, holder.vpc, holder.subnet) == (
                    entry.account,
                    entry.region,
                    entry.vpc,
                    entry.subnet,
                )

    def test_an_address_with_a_lease_at_that_time_is_neither_free_nor_unknown(self, path: Path) -> None:
        case = case_of(path)
        leases = case.leases()
        for at, ip in questions(case):
            answer = case.who(ip, at)
            during = [
                lease
                for lease in leases
                if includes(lease.ip, ip)
                and (lease.start is not None and lease.start <= at)
                and (at < lease.end if lease.end is not None else lease.end_basis == "open")
            ]
            assert {lease.eni for lease in during} <= {holder.eni for holder in answer.holders}, (ip, at)
            if answer.verdict in (Verdict.FREE, Verdict.UNKNOWN):
                assert during == [], (ip, at)

    def test_an_address_is_explained_as_who_answers(self, path: Path) -> None:
        case = case_of(path)
        for at, ip in questions(case):
            answer, explained = case.who(ip, at), case.explain(ip, at)
            assert explained.verdict == answer.verdict, (ip, at)
            assert explained.enis == tuple(holder.eni for holder in answer.holders)
            assert set(explained.instances) == {holder.instance for holder in answer.holders} - {None}
            assert set(explained.clusters) == {holder.cluster for holder in answer.holders} - {None}

    def test_an_eni_is_explained_as_state_shows_it(self, path: Path) -> None:
        case = case_of(path)
        for at in times(case):
            for entry in case.state(at):
                explained = case.explain(entry.eni, at)
                assert (explained.account, explained.clusters) == (entry.account, entry.clusters)
                assert set(explained.instances) == {entry.instance} - {None}
                assert set(explained.subnets) == {entry.subnet} - {None}
                assert explained.addresses == len(entry.addresses)

    def test_an_instance_is_explained_as_state_shows_its_enis(self, path: Path) -> None:
        case = case_of(path)
        for at in times(case):
            state = case.state(at)
            for name in {entry.instance for entry in state if entry.instance is not None}:
                enis = [entry for entry in state if entry.instance == name]
                explained = case.explain(name, at)
                assert set(explained.enis) == {entry.eni for entry in enis}
                assert explained.addresses == sum(len(entry.addresses) for entry in enis)
                assert set(explained.clusters) == {cluster for entry in enis for cluster in entry.clusters}

    def test_a_subnet_has_the_addresses_that_state_shows_in_it(self, path: Path) -> None:
        case = case_of(path)
        for at in times(case):
            state = case.state(at)
            for subnet in {entry.subnet for entry in state if entry.subnet is not None}:
                networks = [
                    ip_network(address.ip)
                    for entry in state
                    if entry.subnet == subnet
                    for address in entry.addresses
                ]
                held = {ip for network in networks if network.version == 4 for ip in network}
                (census,) = case.subnet(subnet, at)
                assert census.seen == len(held), (subnet, at)


def documents(path: Path) -> Iterator[tuple[str, ...]]:
    """Yield a command line of each command with JSON, about the end of the evidence."""
    case = case_of(path)
    end = next(times(case))
    ip = addresses(case)[0]
    state = case.state(end)
    source = str(path)
    for command in ("timeline", "leases", "findings", "pool", "doctor", "pods"):
        yield command, source
    yield "who", ip, source, "--at", iso(end)
    yield "state", source, "--at", iso(end)
    subnets = {lease.subnet for lease in case.leases() if lease.subnet is not None}
    yield from (("subnet", name, source) for name in sorted(subnets)[:1])
    targets = (ip, state[0].eni, state[0].instance) if state else (ip,)
    yield from (("explain", target, source) for target in targets if target is not None)


def printed(arguments: tuple[str, ...], output: str) -> str:
    result = CliRunner().invoke(main, [*arguments, "-o", output, "-q"])
    assert result.exit_code in (0, 3), result.stderr
    return result.stdout


@cache
def validator(command: str) -> Draft202012Validator:
    schema = json.loads((ROOT / "docs" / "schemas" / f"{command}.v1.json").read_text(encoding="utf-8"))
    return Draft202012Validator(schema)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads times as text, as JSON has them."""


_LOADED_AS_TEXT = "tag:yaml.org,2002:timestamp"
_Loader.yaml_implicit_resolvers = {
    first: [pair for pair in pairs if pair[0] != _LOADED_AS_TEXT]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@each_story
class TestDocuments:
    def test_every_document_conforms_to_its_schema_and_is_the_same_as_yaml(self, path: Path) -> None:
        for arguments in documents(path):
            document = json.loads(printed(arguments, "json"))
            errors = [error.message for error in validator(arguments[0]).iter_errors(document)]
            assert errors == [], arguments
            assert isinstance(document["limitations"], list)
            loaded = yaml.load(printed(arguments, "yaml"), Loader=_Loader)
            assert _timeless(loaded) == _timeless(document), arguments

    def test_the_document_of_one_row_says_the_same_as_that_of_all(self, path: Path) -> None:
        for arguments in documents(path):
            if arguments[0] == "doctor":
                continue
            rows = [json.loads(line) for line in printed(arguments, "jsonl").splitlines()]
            assert rows == json.loads(printed(arguments, "json"))["entries"], arguments


def _timeless(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document without the time at which a checkup was made."""
    checkup = document.get("checkup")
    return document | {"checkup": checkup | {"at": None}} if checkup else document


def by_rule(findings: Iterable[Finding]) -> Counter[tuple[str, tuple[str, ...]]]:
    return Counter((finding.rule, tuple(event.shown_id for event in finding.events)) for finding in findings)


@each_story
class TestFindings:
    def test_report_and_doctor_show_the_findings_of_findings(self, path: Path) -> None:
        case = case_of(path)
        found = by_rule(case.findings())
        assert by_rule(cited.finding for cited in case.report().findings or ()) == found
        checks = json.loads(printed(("doctor", str(path)), "json"))["entries"]
        assert Counter((check["rule"], tuple(check["events"])) for check in checks if check["rule"]) == found

    def test_an_explanation_counts_the_findings_of_findings(self, path: Path) -> None:
        case = case_of(path)
        end = next(times(case))
        for entry in case.state(end):
            assert case.explain(entry.eni, end).findings == len(case.findings(eni=entry.eni))
            if entry.instance is not None:
                own = case.findings(instance=entry.instance)
                assert case.explain(entry.instance, end).findings == len(own)


@each_story
class TestFlows:
    def test_a_flow_has_the_holders_of_every_second_and_the_worst_verdict(
        self, path: Path, tmp_path: Path
    ) -> None:
        case = case_of(path)
        asked = [(int(at.timestamp()), ip) for at in times(case) for ip in addresses(case)[:4]]
        log = tmp_path / "flows.log"
        lines = [f"{ip} {ip} {at + 60} {at + 63}" for at, ip in asked]
        log.write_text("\n".join(["pkt-srcaddr pkt-dstaddr start end", *lines]) + "\n")
        for (at, ip), flow in zip(asked, case.flows(log), strict=True):
            answers = [case.who(ip, str(second)) for second in range(at, at + 64)]
            enis = {holder.eni for answer in answers for holder in answer.holders}
            worst = max((answer.verdict for answer in answers), key=WORST_LAST.index)
            several = max(worst, Verdict.AMBIGUOUS, key=WORST_LAST.index) if len(enis) > 1 else worst
            # nothing in the record shows the VPC
            expected = {Verdict.CERTAIN: Verdict.LIKELY, Verdict.FREE: Verdict.UNKNOWN}.get(several, several)
            assert (flow["src_verdict"], flow["dst_verdict"]) == (expected, expected), (at, ip)
            assert set((flow["src_eni"] or "").split(";")) - {""} == enis, (at, ip)


PODS = FIXTURES / "pod-behind-an-address"


def pods_agree(case: Case) -> None:
    """Check that each command says of every named pod what ``pods`` lists, and what ``who`` answers."""
    for entry in case.pods():
        if entry.pod is None:
            continue
        name = f"{entry.namespace}/{entry.pod}"
        listed = case.pods(pod=name)
        cited = case.report(pod=name).pods
        assert cited is not None
        assert {pod.entry for pod in cited} == set(listed)
        told = case.explain(name)
        assert told.addresses in range(1, len({pod.ip for pod in listed}) + 1)
        assert set(told.instances) <= {pod.instance for pod in listed}
        if entry.start is None:
            continue
        answer = case.who(entry.ip, entry.start)
        assert answer.pod is not None
        if entry.eni is not None and entry in answer.pod.pods and answer.verdict is Verdict.CERTAIN:
            assert entry.eni in {eni.eni for eni in case.state(entry.start, pod=name)}, name


class TestPods:
    def test_who_names_the_pods_that_pods_lists_for_that_time(self) -> None:
        case = case_of(PODS)
        start = datetime.fromisoformat("2022-10-05T13:10:00Z")
        for minute in range(0, 150, 3):
            at = start + timedelta(minutes=minute)
            for ip in addresses(case):
                pod = case.who(ip, at).pod
                assert pod is not None
                listed = case.pods(at, ip=ip)
                assert pod.pods == tuple(listed), (ip, at)
                assert bool(listed) is (pod.verdict not in (PodVerdict.NONE, PodVerdict.UNKNOWN)), (ip, at)

    def test_timeline_and_leases_have_the_pods_that_pods_lists(self) -> None:
        case = case_of(PODS)
        for entry in case.pods():
            assert entry.pod is not None
            name = f"{entry.namespace}/{entry.pod}"
            around = case.timeline(pod=name)
            assert {pod for call in around for pod in call.pods} == set(case.pods(pod=name))
            held = case.leases(pod=name)
            assert [(lease.ip, lease.eni) for lease in held] == [(entry.ip, entry.eni)]
            assert {call.event_id for call in around} == {held[0].start_event, held[0].end_event}

    def test_explain_state_and_report_have_the_pods_that_pods_lists(self) -> None:
        case = case_of(PODS)
        pods_agree(case)
        assert len({entry.pod for entry in case.pods()}) == 2

    def test_state_is_that_of_a_second_also_for_a_time_within_it(self) -> None:
        case = case_of(PODS)
        for entry in case.pods():
            assert entry.end is not None
            name, last = f"{entry.namespace}/{entry.pod}", entry.end - timedelta(milliseconds=600)
            assert [eni.eni for eni in case.state(last, pod=name)] == [entry.eni]
            assert case.state(last, pod=name) == case.state(last.replace(microsecond=0), pod=name)

    @pytest.mark.parametrize("seed", range(2))
    def test_commands_agree_about_every_pod_of_a_simulated_world(self, seed: int, tmp_path: Path) -> None:
        pods_agree(read_pods_of(deliver_pods(random_pods(seed, 60)), tmp_path))

    def test_pods_are_the_same_whatever_the_order_of_the_sources(self) -> None:
        parts = [PODS / "node", PODS / "audit", PODS / "AWSLogs"]
        assert plain(cnitrail.to_dicts(cnitrail.read(*parts).pods())) == plain(
            cnitrail.to_dicts(cnitrail.read(*parts[::-1]).pods())
        )


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.name)
class TestTables:
    def test_every_command_answers_of_a_table_as_of_its_files(self, path: Path) -> None:
        folder = FIXTURES / path.name
        with table_of(path.name) as uri:
            for arguments in documents(folder):
                of_table = [uri if word == str(folder) else word for word in arguments]
                if arguments[0] == "doctor":  # a warning of an unchecked table is a row of its own
                    continue
                found = json.loads(printed(tuple(of_table), "json"))["entries"]
                assert plain(found) == plain(json.loads(printed(arguments, "json"))["entries"]), arguments


def plain(value: Any) -> Any:
    """Return entries without where their records were found, and without what is said of tables."""
    if isinstance(value, dict):
        left_out = ("origins", "basis", "index", "fidelity", "source", "sentences")
        return {name: plain(inner) for name, inner in value.items() if name not in left_out}
    if not isinstance(value, list):
        return value
    return [plain(item) for item in value if not _is_of_a_table(item)]


def _is_of_a_table(item: Any) -> bool:
    return isinstance(item, dict) and "returned all records" in item.get("text", "").lower()
