"""Pod evidence in a store gives the answers of its files, however often and in whatever parts it is read."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from pathlib import Path

import audit_events as audit
import pytest
from conftest import FIXTURES, Run
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from pod_evidence import deliver_pods, write_pods
from pod_runs import random_pods
from records import items, record

from cnitrail.decode import decode
from cnitrail.decode.pods.stored import stored_record
from cnitrail.history import Ledger
from cnitrail.model import Origin, Record, Scope, StoredRecord
from cnitrail.model.pod_facts import (
    AddressFreed,
    AddressKept,
    BranchGiven,
    EniListed,
    IpamdStarted,
    NodeNamed,
    PodBound,
    PodDeleted,
    PodEvidence,
    PodFact,
    PodRecord,
    PodReported,
    PodScraped,
    RegionNamed,
    SandboxAssigned,
    SandboxNamed,
    SandboxReleased,
)
from cnitrail.model.pods import PodName
from cnitrail.workflows.read import read_evidence

IRONMAN = FIXTURES / "ironman" / "AWSLogs"
NODE = "ip-192-168-55-245.eu-west-1.compute.internal"
INSTANCE = "i-03846c730abe852f4"
WEB, API = "shop/web-6d4cf56db6-x2x7k", "shop/api-5f7c9d8b4-k2m9p"
API_UID = "20277585-b79f-44a0-bdcc-c68ec12d012b"
ORIGINS = (Origin("audit.jsonl", 3, "eks-audit"),)
TIME = datetime(2022, 10, 5, 13, 20, 5, 402001, tzinfo=UTC)

FACTS: tuple[PodFact, ...] = (
    SandboxAssigned(ip=ip_address("10.0.1.25"), sandbox="d78e", pod=PodName("shop", "web"), recovered=True),
    SandboxReleased(ip=ip_address("2600:1f13::5"), sandbox="d78e"),
    SandboxNamed(sandbox="d78e", pod=PodName("shop", "web"), is_branch=True),
    EniListed(eni="eni-1", held=ip_network("10.0.1.16/28")),
    EniListed(eni="eni-1", held=ip_address("10.0.1.16")),
    IpamdStarted(),
    AddressFreed(ip=ip_address("10.0.1.25"), earliest=TIME, latest=TIME),
    AddressKept(ip=ip_address("10.0.1.25"), eni=None, sandbox="d78e", pod=None, assigned=TIME, released=None),
    PodBound(pod=PodName("shop", "web"), uid=None, node=NODE),
    PodReported(
        pod=PodName("shop", "web"),
        uid="u",
        node=NODE,
        by_kubelet=True,
        ready=False,
        addresses=(ip_address("10.0.1.25"), ip_address("2600:1f13::5")),
        removed=(ip_address("10.0.1.26"),),
        host_ip=ip_address("10.0.1.10"),
        host_network=False,
        owner="ReplicaSet/web",
        created=TIME,
        running_since=TIME,
        seen=TIME,
    ),
    PodDeleted(pod=PodName("shop", "web"), uid="u", node=NODE, final=True),
    NodeNamed(node=None, instance=INSTANCE, basis="instance-id-file"),
    RegionNamed(region="eu-west-1"),
    BranchGiven(pod=PodName("a", "b"), uid=None, eni="eni-1", ip=ip_address("10.0.1.9"), by_controller=True),
    PodScraped(
        pod=PodName("a", "b"),
        uid=None,
        node=None,
        ip=ip_address("10.0.1.9"),
        host_network=None,
        first=TIME,
        last=TIME,
    ),
)


def life(pod: str, uid: str, ip: str, minute: int) -> list[audit.Event]:
    return audit.life(
        pod,
        uid,
        ips=[ip],
        bound=f"2022-10-05T13:{minute}:01.130000Z",
        reported=f"2022-10-05T13:{minute}:05.402000Z",
        gone=f"2022-10-05T14:{minute}:31.000000Z",
        node=NODE,
        instance=INSTANCE,
    )


EVENTS = [*life(WEB, audit.UID, "192.168.34.201", 20), *life(API, API_UID, "192.168.43.87", 25)]
IPAMD = (
    '{"level":"info","ts":"2022-10-05T13:20:02.290Z","caller":"datastore/data_store.go:782","msg":'
    '"assignPodIPAddressUnsafe: Assign IP 192.168.34.201 to sandbox aws-cni/d78e79e2f3c65976/eth0 with '
    'metadata {K8SPodNamespace:shop K8SPodName:web-6d4cf56db6-x2x7k InterfacesCount:1}"}\n'
    '{"level":"debug","ts":"2022-10-05T13:21:02.290Z","caller":"ipamd/ipamd.go:1","msg":"IP pool stats"}\n'
)


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "logs"
    shutil.copytree(IRONMAN, folder / "AWSLogs")
    (folder / "audit.jsonl").write_bytes(audit.lines(EVENTS))
    (folder / "ipamd.log").write_text(IPAMD)
    return folder


def kept(store: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(store)) as connection:
        return connection.execute(query).fetchall()


def evidence_of(source: Path, scope: Scope | None = None) -> PodEvidence:
    return read_evidence((str(source),), scope or Scope())[0].pods()


def pods_json(facts: bytes, time: bytes = b"null") -> bytes:
    head = b'{"problems":[],"pods":{"key":"k","time":' + time + b',"facts":['
    return head + facts + b'],"cluster":null,"truncated":false}}'


class TestFacts:
    @pytest.mark.parametrize("fact", FACTS, ids=lambda fact: type(fact).__name__)
    def test_a_record_is_read_back_as_it_was(self, fact: PodFact) -> None:
        pods = PodRecord(
            key="pods:1",
            time=TIME,
            facts=(fact,),
            origins=ORIGINS,
            cluster="prod",
            truncated=True,
            whole_second=True,
        )
        found = decode(stored_record(Record(ORIGINS, b"secret"), pods, ("a field",)))
        assert found.pods == pods
        assert found.problems == ("a field",)

    def test_every_kind_of_fact_is_tried(self) -> None:
        assert {type(fact) for fact in FACTS} == set(PodFact.__args__)

    def test_a_record_without_facts_keeps_only_its_problems(self) -> None:
        stored = stored_record(Record(ORIGINS, b"secret"), None, ("broken JSON",))
        assert stored.payload == b'{"problems":["broken JSON"],"pods":null}'
        assert decode(stored).problems == ("broken JSON",)

    @given(st.text(), st.text())
    def test_any_name_is_kept(self, namespace: str, name: str) -> None:
        fact = PodBound(pod=PodName(namespace, name), uid=None, node=name)
        pods = PodRecord(key="k", time=None, facts=(fact,), origins=ORIGINS)
        assert decode(stored_record(Record(ORIGINS, b""), pods, ())).pods == pods

    @pytest.mark.parametrize(
        "payload",
        [
            b"{}",
            b"[]",
            b'{"problems":[1],"pods":null}',
            b'{"problems":[],"pods":{"key":"k"}}',
            pods_json(b"", time=b'"noon"'),
            pods_json(b'{"type":"x"}'),
            pods_json(b'{"type":"pod-bound","pod":1,"uid":null,"node":"n"}'),
            pods_json(b'{"type":"pod-bound","x":1}'),
            pods_json(b'{"type":"sandbox-assigned","sandbox":"d7","ip":"10"}'),
        ],
    )
    def test_what_cnitrail_never_writes_is_a_problem(self, payload: bytes) -> None:
        found = decode(StoredRecord(ORIGINS, payload))
        assert found.pods is None
        assert found.problems[0].startswith("broken JSON (")


class TestAnswers:
    @pytest.mark.parametrize(
        "wanted",
        [
            (),
            ("--ip", "192.168.34.201"),
            ("--ip", "192.168.32.0/19"),
            ("--instance", INSTANCE),
            ("--eni", "eni-06d2f4a81c9b3e750"),
            ("--since", "2022-10-05T14:22:00Z"),
        ],
    )
    def test_a_store_answers_as_its_files_do(self, run: Run, logs: Path, wanted: tuple[str, ...]) -> None:
        store = logs.parent / "trail.db"
        assert run("collect", logs, "--to", store).exit_code == 0
        from_files = run("pods", logs, *wanted, "-o", "jsonl")
        from_store = run("pods", store, *wanted, "-o", "jsonl")
        assert from_files.stdout.count("\n") >= 1
        assert from_store.stdout == from_files.stdout
        assert from_store.stderr == from_files.stderr

    def test_a_store_keeps_the_minutes_that_each_file_covers(self, run: Run, logs: Path) -> None:
        store = logs.parent / "trail.db"
        run("collect", logs, "--to", store)
        heard = evidence_of(store).heard
        assert heard == evidence_of(logs).heard
        assert heard[str(logs / "ipamd.log"), "ipamd-log"] == {"2022-10-05T13:20", "2022-10-05T13:21"}

    def test_an_instance_also_needs_the_enis_of_addresses_that_its_pods_claim(
        self, run: Run, logs: Path
    ) -> None:
        (logs / "audit.jsonl").write_bytes(
            audit.lines(
                [
                    audit.status_patch(
                        "2022-10-05T13:30:05Z",
                        WEB,
                        ips=["192.168.34.201"],
                        node="n",
                        instance="i-0aaaaaaaaaaaaaaaa",
                    )
                ]
            )
        )
        store = logs.parent / "trail.db"
        run("collect", logs, "--to", store)
        for instance in ("i-0aaaaaaaaaaaaaaaa", INSTANCE):
            answers = {
                run("pods", source, "--instance", instance, "-o", "jsonl").stdout for source in (logs, store)
            }
            assert len(answers) == 1

    def test_a_pod_ends_with_its_instance_even_if_no_call_shows_its_address_there(
        self, run: Run, tmp_path: Path
    ) -> None:
        folder, store = tmp_path / "logs", tmp_path / "trail.db"
        folder.mkdir()
        patch = audit.status_patch(
            "2024-05-14T09:20:05Z", WEB, ips=["10.0.1.99"], node="n", instance="i-0aaaaaaaaaaaaaaaa"
        )
        (folder / "audit.jsonl").write_bytes(audit.lines([patch]))
        ended = {"instancesSet": items({"instanceId": "i-0aaaaaaaaaaaaaaaa"})}
        call = record("TerminateInstances", ended, ended, eventTime="2024-05-14T09:30:00Z")
        (folder / "trail.json").write_text(json.dumps({"Records": [call]}))
        run("collect", folder, "--to", store)
        for source in (folder, store):
            result = run("pods", source, "--ip", "10.0.1.99", "-o", "json")
            (entry,) = json.loads(result.stdout)["entries"]
            assert (entry["instance"], entry["end"], entry["end_witness"]) == (
                "i-0aaaaaaaaaaaaaaaa",
                "2024-05-14T09:40:00Z",
                "instance-end",
            )


class TestCollecting:
    def test_nothing_counts_twice(self, run: Run, logs: Path) -> None:
        store = logs.parent / "trail.db"
        first = run("collect", logs, "--to", store)
        assert first.stderr == f"{store}: read 16 files with 64 events, 24 IP-related or about pods, 24 new\n"
        assert run("collect", logs, "--to", store).stderr == f"{store}: nothing new\n"
        shutil.copy(logs / "audit.jsonl", logs / "copy.jsonl")
        run("collect", logs, "--to", store)
        assert kept(store, "SELECT count(*) FROM records WHERE fact = 'pods'") == [(7,)]
        assert kept(store, "SELECT records, relevant, kept, duplicates FROM account") == [(70, 30, 24, 6)]

    def test_a_log_that_grew_adds_only_its_new_events(self, run: Run, logs: Path) -> None:
        store = logs.parent / "trail.db"
        (logs / "audit.jsonl").write_bytes(audit.lines(EVENTS[:3]))
        run("collect", logs, "--to", store)
        (logs / "audit.jsonl").write_bytes(audit.lines(EVENTS))
        assert run("collect", logs, "--to", store).stderr.endswith("3 new\n")
        assert run("pods", store, "-o", "jsonl").stdout == run("pods", logs, "-o", "jsonl").stdout
        assert kept(store, "SELECT records, relevant, kept, duplicates FROM account") == [(64, 24, 24, 0)]

    def test_stores_are_merged(self, run: Run, logs: Path) -> None:
        one, two, both = (logs.parent / name for name in ("one.db", "two.db", "both.db"))
        run("collect", logs / "AWSLogs", logs / "ipamd.log", "--to", one)
        run("collect", logs / "audit.jsonl", logs / "ipamd.log", "--to", two)
        assert run("collect", one, two, "--to", both).exit_code == 0
        assert evidence_of(both) == evidence_of(logs)
        assert run("pods", both, "-o", "jsonl").stdout == run("pods", logs, "-o", "jsonl").stdout

    def test_the_view_of_events_has_no_pods(self, run: Run, logs: Path) -> None:
        with_pods, without = logs.parent / "with.db", logs.parent / "without.db"
        run("collect", logs, "--to", with_pods)
        run("collect", logs / "AWSLogs", "--to", without)
        columns = "time, event, effect, outcome, eni, instance, addresses, account, region, key"
        view = f"SELECT {columns} FROM events ORDER BY key, eni"
        assert kept(with_pods, view) == kept(without, view)

    def test_evidence_without_a_time_counts_as_read(self) -> None:
        ledger = Ledger()
        record = PodRecord(key="k", time=None, facts=FACTS[:1], origins=ORIGINS)
        assert ledger.add_pods(record)
        assert not ledger.add_pods(replace(record, origins=(Origin("other.json", 0, "eks-audit"),)))
        assert len(ledger.pods().records[0].origins) == 2


def test_an_eni_that_only_pod_evidence_beside_a_store_connects_with_its_node_has_its_account(
    run: Run, tmp_path: Path
) -> None:
    write_pods(deliver_pods(random_pods(32039, 22, pool=40)), tmp_path / "logs")
    store = tmp_path / "trail.db"
    (trail,) = (tmp_path / "logs").glob("**/AWSLogs")
    trail.rename(tmp_path / "AWSLogs")
    run("collect", tmp_path / "AWSLogs", "--to", store)
    asked = ("--instance", "i-0f88bb8a8724c81ec", "-o", "json", "--query", "entries")
    from_files, from_store = (
        run("pods", source, tmp_path / "logs", *asked).stdout for source in (tmp_path / "AWSLogs", store)
    )
    assert "eni-08621a03fe0bbdb7b" in from_files
    assert from_store == from_files


def test_the_same_evidence_is_named_as_unread_from_files_and_from_a_store(run: Run, tmp_path: Path) -> None:
    folder, store = tmp_path / "logs", tmp_path / "trail.db"
    folder.mkdir()
    cut = audit.lines(EVENTS[:1])[:-40] + b"[Truncated...]\n"
    (folder / "1-audit.jsonl").write_bytes(cut + audit.lines(EVENTS[1:]))
    (folder / "2-audit.jsonl").write_bytes(audit.lines(EVENTS)[:-40])
    run("collect", folder, "--to", store)
    for source in (folder, store):
        result = run("who", "192.168.34.201", source, "--at", "2022-10-05T13:30:00Z", "-o", "json")
        (answer,) = json.loads(result.stdout)["entries"]
        (unread,) = [one for one in answer["pod"]["reasons"] if one["code"] == "pod-evidence-unread"]
        assert unread["text"] == (
            f"some of the pod evidence could not be read: {folder}/1-audit.jsonl: record 0: partly read: "
            "CloudWatch Logs cut it short, and what is left of it is used (and 1 more problem)"
        )
