"""A local store: it gives the same answers as the files, and invalid files are refused."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from ipaddress import ip_network
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import simulator
import write as fixtures
from conftest import FIXTURES, Run
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from stories import STORIES as ALL_STORIES

from cnitrail.answers.filters import Filter
from cnitrail.answers.timeline import timeline
from cnitrail.errors import StoreError
from cnitrail.history import build
from cnitrail.model import (
    Evidence,
    Growth,
    History,
    Origin,
    Record,
    Scope,
    Skipped,
    StoredCounts,
    StoredRecord,
)
from cnitrail.sources import open_source
from cnitrail.store.file_header import is_store
from cnitrail.store.index_columns import IndexEntry
from cnitrail.store.reader import StoreReader
from cnitrail.store.writer import StoreWriter
from cnitrail.workflows.collect import Collector
from cnitrail.workflows.read import read_evidence
from cnitrail.workflows.scan_pool import ScanPool

STORIES = sorted(ALL_STORIES)
I = "i-0000000"  # noqa: E741


def no_wait() -> None:
    pytest.fail("no other process has the store open")


def collect(store: Path, *sources: Path) -> None:
    with StoreWriter(str(store), no_wait) as writer:
        collector = Collector(writer, ScanPool(Growth()))
        for source in sources:
            collector.collect(open_source(str(source), Scope(seen=writer.seen())), Scope())


def read(source: Path, scope: Scope | None = None) -> tuple[History, Evidence]:
    ledger, evidence = read_evidence((str(source),), scope or Scope())
    return build(ledger.events(), ledger.sessions()), evidence


@pytest.fixture
def store(tmp_path: Path) -> Path:
    path = tmp_path / "trail.db"
    collect(path, FIXTURES / "ironman" / "AWSLogs")
    return path


def rows_of(store: Path, query: str) -> list[Any]:
    """Return the rows of a SQL query."""
    with closing(sqlite3.connect(store)) as connection:
        return connection.execute(query).fetchall()


class TestAnswers:
    @pytest.mark.parametrize("story", STORIES)
    def test_a_store_gives_the_same_answers_as_the_files(self, run: Run, tmp_path: Path, story: str) -> None:
        store = tmp_path / "anything.at-all"
        assert run("collect", f"{story}/AWSLogs", "--to", store).exit_code == 0
        for output in ("jsonl", "csv", "table"):
            from_files = run("timeline", f"{story}/AWSLogs", "-o", output)
            from_store = run("timeline", store, "-o", output)
            assert from_store.stdout == from_files.stdout
            assert from_store.stderr == from_files.stderr

    def test_a_report_about_one_instance_has_the_findings_that_the_files_show(
        self, run: Run, tmp_path: Path
    ) -> None:
        logs, store = "subnet-exhausted/AWSLogs", tmp_path / "trail.db"
        run("collect", logs, "--to", store)
        of_instance = ("--instance", "i-0cdc324e657f8304d")
        from_files = run("report", logs, *of_instance).stdout
        assert "A policy refuses the calls of a network plugin" in from_files
        assert run("report", store, *of_instance).stdout.replace(str(store), logs) == from_files

    @pytest.mark.parametrize("story", STORIES)
    def test_the_counts_of_the_evidence_are_those_of_the_files(self, tmp_path: Path, story: str) -> None:
        logs, store = FIXTURES / story / "AWSLogs", tmp_path / "trail.db"
        collect(store, logs)
        _, from_files = read(logs)
        _, from_store = read(store)
        (account,) = from_store.sources
        assert replace(from_store, sources=(replace(account, uri=str(logs)),)) == from_files

    @pytest.mark.parametrize("story", STORIES)
    def test_every_question_about_a_story_has_the_same_answer(self, tmp_path: Path, story: str) -> None:
        store = tmp_path / "trail.db"
        collect(store, FIXTURES / story / "AWSLogs")
        assert_every_question_is_answered_alike(store)

    def test_an_answer_counts_all_evidence_even_if_only_little_is_read(self, store: Path) -> None:
        _, whole = read(store)
        _, part = read(store, Scope(enis=("eni-0bbea279695112970",)))
        assert part == whole

    def test_unreadable_files_are_still_reported(self, run: Run, tmp_path: Path) -> None:
        logs = tmp_path / "logs"
        shutil.copytree(FIXTURES / "ironman" / "AWSLogs", logs)
        (logs / "empty.json").touch()
        (logs / "torn.json").write_text('{"Records":[{"eventName":"AttachNetworkInterface", oops}]}')
        record = json.loads(next(iter(fixtures.files("ironman").values())))["Records"][0]
        record |= {"eventName": "DeleteNetworkInterface", "eventSource": "ec2.amazonaws.com"}
        record |= {"eventTime": "soon", "requestParameters": {"networkInterfaceId": "eni-1"}}
        for name in ("timeless.json", "timeless-too.json"):
            (logs / name).write_text(json.dumps({"Records": [record]}))
        store = tmp_path / "trail.db"
        assert run("collect", logs, "--to", store).exit_code == 3
        from_files = json.loads(run("timeline", logs, "-o", "json").stdout)["evidence"]
        for filters in ((), ("--eni", "eni-0bbea279695112970")):
            result = run("timeline", store, "-o", "json", *filters)
            evidence = json.loads(result.stdout)["evidence"]
            assert result.exit_code == 3
            listed = [skip["source"] + skip["reason"] for skip in evidence["skipped"]]
            assert sorted(listed) == sorted(s["source"] + s["reason"] for s in from_files["skipped"])
            assert evidence["sources"][0]["skipped"] == len(listed) == 4


def questions(history: History) -> Iterator[Filter]:
    """Yield a question about every ENI, instance, address and block of a history."""
    for eni in history.interfaces:
        yield Filter(eni=(eni,))
    instances = {actor.instance for actor in history.actors.values()}
    for instance in {*history.instances, *filter(None, instances)}:
        yield Filter(instance=(instance,))
    for held in history.holders:
        address = ip_network(held)
        yield Filter(ip=(address,))
        if address.version == 4 and address.prefixlen == 32:
            yield Filter(ip=(address.supernet(new_prefix=29),))


def assert_every_question_is_answered_alike(store: Path, most: int = 40) -> None:
    whole, _ = read(store)
    for wanted in [*questions(whole)][:most]:
        part, _ = read(store, Scope(enis=wanted.eni, instances=wanted.instance, addresses=wanted.ip))
        assert list(timeline(part, wanted)) == list(timeline(whole, wanted)), wanted
        assert part.unrecorded == whole.unrecorded, wanted
        for held, groups in whole.holders.items():
            if wanted.ip and wanted.takes_addresses([held]):
                assert part.holders[held] == groups, (wanted, held)
                for lease in (lease for group in groups for lease in group):
                    assert part.interfaces[lease.eni] == whole.interfaces[lease.eni], wanted
        for lease in whole.leases:
            if lease.eni in wanted.eni:
                assert lease in part.leases, (wanted, lease)
        for eni in wanted.eni:
            assert part.interfaces[eni] == whole.interfaces[eni]


def anything(data: st.DataObject, number: int) -> dict[str, Any]:
    """Draw any call on a few resources, even an impossible one, with all kinds of links between them."""

    def one(texts: str) -> str:
        return data.draw(st.sampled_from(texts.split()))

    eni, other, instance = one("eni-a eni-b eni-c eni-d"), one("eni-c eni-d eni-e"), one(f"{I}1 {I}2 {I}3")
    address, prefix = one("10.0.0.1 10.0.0.2 10.0.1.1 10.0.2.2 10.0.3.3"), "10.0.3.0/28"
    attachment, tied = f"eni-attach-{eni}-{instance}", f"trunk-assoc-{eni}-{other}"
    tags = [{"key": "eks:cluster-name", "value": one("blue green")}] if data.draw(st.booleans()) else []
    described = {
        "networkInterfaceId": eni,
        "vpcId": one("vpc-1 vpc-2"),
        "privateIpAddress": address,
        "tagSet": {"items": tags},
        "description": one(f"none aws-K8S-{instance}"),
    }
    launched = described | {"attachment": {"attachmentId": attachment, "deleteOnTermination": True}}
    machine = {
        "instanceId": instance,
        "networkInterfaceSet": {"items": [launched]},
        "tagSet": {"items": tags},
    }
    named = {"items": [{"privateIpAddress": address}, {"privateIpAddress": one("10.0.0.2 10.0.2.2")}]}
    on = {"networkInterfaceId": eni}
    name, request, response = data.draw(
        st.sampled_from(
            [
                ("CreateNetworkInterface", {}, {"networkInterface": described}),
                ("RunInstances", {}, {"instancesSet": {"items": [machine]}}),
                ("AttachNetworkInterface", on | {"instanceId": instance}, {"attachmentId": attachment}),
                ("DetachNetworkInterface", {"attachmentId": attachment}, {}),
                ("DeleteNetworkInterface", on, {}),
                ("TerminateInstances", {"instancesSet": {"items": [{"instanceId": instance}]}}, {}),
                (
                    "ModifyNetworkInterfaceAttribute",
                    on | {"attachment": {"attachmentId": attachment, "deleteOnTermination": True}},
                    {},
                ),
                ("AssignPrivateIpAddresses", on | {"privateIpAddressesSet": named}, {}),
                (
                    "AssignPrivateIpAddresses",
                    on | {"privateIpAddressesSet": named, "allowReassignment": True},
                    {},
                ),
                ("AssignPrivateIpAddresses", on | {"ipv4Prefixes": [{"ipv4Prefix": prefix}]}, {}),
                ("UnassignPrivateIpAddresses", on | {"privateIpAddressesSet": named}, {}),
                (
                    "AssociateTrunkInterface",
                    {"branchInterfaceId": eni, "trunkInterfaceId": other},
                    {"interfaceAssociation": {"associationId": tied}},
                ),
                ("DisassociateTrunkInterface", {"associationId": tied}, {}),
                (
                    "CreateTags",
                    {
                        "resourcesSet": {"items": [{"resourceId": one(f"{eni} {instance}")}]},
                        "tagSet": {"items": tags},
                    },
                    {},
                ),
                ("AssociateAddress", {"instanceId": instance}, {"associationId": f"eipassoc-{instance}"}),
                ("AssociateAddress", on, {"associationId": f"eipassoc-{eni}"}),
                ("DisassociateAddress", {"associationId": f"eipassoc-{one(f'{eni} {instance}')}"}, {}),
                ("AssumeRoleWithWebIdentity", {}, {}),
                (one("StopLogging StartLogging"), {"name": "main"}, None),
            ]
        )
    )
    role, session = one("maker other"), one(f"one two {instance}")
    arn = f"arn:aws:iam::1:role/{role}"
    record = {
        "eventName": name,
        "eventID": str(number),
        "eventTime": f"2026-01-01T00:00:{data.draw(st.integers(0, 30)):02}Z",
        "userAgent": one("terraform amazon-vpc-cni-k8s cilium-operator/1.15"),
        "requestParameters": request,
        "responseElements": response,
        "userIdentity": {
            "type": "AssumedRole",
            "arn": f"arn:aws:sts::1:assumed-role/{role}/{session}",
            "accessKeyId": f"ASIA{role}{session}",
            "sessionContext": {
                "sessionIssuer": {"userName": role, "arn": arn},
                "webIdFederationData": {
                    "federatedProvider": one(
                        "none arn:aws:iam::1:oidc-provider/oidc.eks.x.amazonaws.com/id/1"
                    )
                },
            },
        },
    }
    if data.draw(st.integers(0, 9)) == 0:
        record |= {"errorCode": "Client.UnauthorizedOperation", "responseElements": None}
    elif name == "AssumeRoleWithWebIdentity":
        record["userIdentity"] = {"type": "WebIdentityUser", "userName": f"system:serviceaccount:x:{role}"}
        record["requestParameters"] = {"roleArn": arn, "roleSessionName": session}
        key = one(f"ASIA{role}{session} ASIAother")
        record["responseElements"] = {"credentials": {"accessKeyId": key}}
    return record


class TestSelection:
    """A store delivers the records that an answer needs, and not many more."""

    @settings(max_examples=30)
    @given(data=st.data())
    def test_any_question_of_any_world_is_answered_as_from_all_records(self, data: st.DataObject) -> None:
        world = data.draw(simulator.worlds(30))
        delivery = data.draw(simulator.deliveries(world, drop_records=True))
        with TemporaryDirectory() as folder:
            logs, store = Path(folder, "logs"), Path(folder, "trail.db")
            logs.mkdir()
            simulator.write(delivery.files, logs, compress=False)
            if not delivery.files:
                return
            collect(store, logs)
            assert_every_question_is_answered_alike(store, most=25)

    @settings(max_examples=80)
    @given(data=st.data())
    def test_even_impossible_calls_are_answered_as_from_all_records(self, data: st.DataObject) -> None:
        records = [anything(data, number) for number in range(data.draw(st.integers(1, 14)))]
        with TemporaryDirectory() as folder:
            log, store = Path(folder, "log.json"), Path(folder, "trail.db")
            log.write_text(json.dumps({"Records": records}))
            collect(store, log)
            assert_every_question_is_answered_alike(store)

    def test_unrecorded_times_are_known_in_every_answer(self, tmp_path: Path) -> None:
        log, store = tmp_path / "log.json", tmp_path / "trail.db"
        stopped: dict[str, Any] = {
            "eventName": "StopLogging",
            "eventTime": "2022-10-05T14:00:00Z",
            "eventID": "stop",
        }
        stopped |= {"requestParameters": {"name": "main"}, "recipientAccountId": "111111111111"}
        log.write_text(json.dumps({"Records": [stopped]}))
        collect(store, log, FIXTURES / "ironman" / "AWSLogs")
        history, _ = read(store, Scope(enis=("eni-0bbea279695112970",)))
        assert [period.event.event_id for period in history.unrecorded] == ["stop"]
        assert rows_of(store, "SELECT event, effect FROM records WHERE effect = 'record'") == [
            ("StopLogging", "record")
        ]

    def test_few_records_are_read_for_one_eni(self, tmp_path: Path) -> None:
        store = tmp_path / "trail.db"
        collect(store, *(FIXTURES / story / "AWSLogs" for story in STORIES))
        scope = Scope(enis=("eni-0bbea279695112970",))
        found = StoreReader(str(store), scope).documents()
        assert sum(isinstance(delivered, Record) for delivered in found) < 30

    def test_a_time_range_alone_selects_all_records(self, store: Path) -> None:
        _, evidence = read(store)
        everything = list(StoreReader(str(store), Scope()).documents())
        assert list(StoreReader(str(store), Scope(since=evidence.last_event)).documents()) == everything

    @pytest.mark.parametrize("name", ["eni' OR '1'='1", "'; DROP TABLE records; --", '"', "%", "\0"])
    def test_ids_are_never_sql(self, run: Run, store: Path, name: str) -> None:
        for scope in (Scope(enis=(name,)), Scope(instances=(name,))):
            history, _ = read(store, scope)
            assert list(timeline(history, Filter(eni=(name,)))) == []
        assert len(run("timeline", store, "-o", "jsonl").stdout.splitlines()) == 14


Call = tuple[str, dict[str, Any], dict[str, Any]]
MAKER = "arn:aws:iam::1:role/maker"
USER = "arn:aws:iam::1:user/ada"


def create(eni: str, address: str, cluster: str = "", description: str = "") -> Call:
    tags = [{"key": "eks:cluster-name", "value": cluster}] if cluster else []
    described = {
        "networkInterfaceId": eni,
        "vpcId": "vpc-1",
        "privateIpAddress": address,
        "tagSet": {"items": tags},
        "description": description,
    }
    return "CreateNetworkInterface", {}, {"networkInterface": described}


def assign(eni: str, *addresses: str, reassign: bool = False) -> Call:
    named = {"items": [{"privateIpAddress": address} for address in addresses]}
    asked = {"networkInterfaceId": eni, "privateIpAddressesSet": named, "allowReassignment": reassign}
    return "AssignPrivateIpAddresses", asked, {}


def attach(eni: str, instance: str) -> Call:
    asked = {"networkInterfaceId": eni, "instanceId": instance}
    return "AttachNetworkInterface", asked, {"attachmentId": f"eni-attach-{eni}"}


def launch(instance: str, cluster: str) -> Call:
    tags = {"items": [{"key": "eks:cluster-name", "value": cluster}]}
    return "RunInstances", {}, {"instancesSet": {"items": [{"instanceId": instance, "tagSet": tags}]}}


def tag(resource: str, cluster: str) -> Call:
    tags = {"items": [{"key": "eks:cluster-name", "value": cluster}]}
    return "CreateTags", {"resourcesSet": {"items": [{"resourceId": resource}]}, "tagSet": tags}, {}


def sign_in(session: str, key: str) -> Call:
    asked = {"roleArn": MAKER, "roleSessionName": session}
    return "AssumeRoleWithWebIdentity", asked, {"credentials": {"accessKeyId": key}}


def filled_in_order(
    store: Path, *calls: Call, session: str = "one", corrected: bool = False, keyless: bool = False
) -> History:
    """A store of calls by a service account's role, one per second, tested with every question.

    With ``corrected``, the last record is a correction of the first; with ``keyless`` a service calls on
    behalf of the session, so that no record has the session's key.
    """
    records = []
    for number, (name, request, response) in enumerate(calls):
        issuer: dict[str, str] = {"userName": "maker", "arn": MAKER}
        provider = {"federatedProvider": "arn:aws:iam::1:oidc-provider/oidc.eks.x.amazonaws.com/id/1"}
        if session.startswith("i-"):
            provider = {}
        caller: dict[str, Any] = {
            "type": "AssumedRole",
            "arn": f"arn:aws:sts::1:assumed-role/maker/{session}",
            "accessKeyId": f"ASIA{session}",
            "sessionContext": {"sessionIssuer": issuer, "webIdFederationData": provider},
        }
        if session.startswith("i-"):
            caller["sessionContext"]["ec2RoleDelivery"] = "2.0"
        if keyless:
            del caller["accessKeyId"]
        if name == "AssumeRole":
            caller = {"type": "IAMUser", "arn": USER}
        if name == "AssumeRoleWithWebIdentity":
            caller = {"type": "WebIdentityUser", "userName": "system:serviceaccount:kube-system:aws-node"}
        record: dict[str, Any] = {"eventName": name, "eventID": f"{name}-{number}", "userIdentity": caller}
        record |= {"requestParameters": request, "responseElements": response}
        record |= {"eventTime": f"2026-01-01T00:00:{number:02}Z", "sourceIPAddress": "198.51.100.7"}
        records.append(record)
    if corrected:
        records[-1]["addendum"] = {"originalEventID": records[0]["eventID"]}
    log = store.with_suffix(".json")
    log.write_text(json.dumps({"Records": records}))
    collect(store, log)
    assert_every_question_is_answered_alike(store)
    return read(store)[0]


class TestLinks:
    """The selection of records follows every link that the history follows."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Path:
        return tmp_path / "trail.db"

    def test_a_branch_is_linked_to_the_instance_of_its_trunk(self, store: Path) -> None:
        tied = {"interfaceAssociation": {"associationId": "trunk-assoc-1"}}
        history = filled_in_order(
            store,
            attach("eni-trunk", f"{I}1"),
            (
                "AssociateTrunkInterface",
                {"branchInterfaceId": "eni-a", "trunkInterfaceId": "eni-trunk"},
                tied,
            ),
            assign("eni-a", "10.0.0.1"),
            ("TerminateInstances", {"instancesSet": {"items": [{"instanceId": f"{I}1"}]}}, {}),
            assign("eni-a", "10.0.0.2"),
        )
        assert history.interfaces["eni-a"].attachments[0].instance == f"{I}1"

    def test_a_call_is_linked_to_every_eni_that_lost_an_address_to_it(self, store: Path) -> None:
        history = filled_in_order(
            store,
            create("eni-a", "10.0.0.1"),
            create("eni-b", "10.0.1.1"),
            create("eni-c", "10.0.2.1"),
            assign("eni-c", "10.0.0.1", "10.0.1.1", reassign=True),
        )
        last = [*timeline(history, Filter(eni=("eni-a",)))][-1]
        assert [moved.from_eni for moved in last.moved] == ["eni-a", "eni-b"]

    def test_an_address_is_linked_to_its_prefix_and_to_the_addresses_in_it(self, store: Path) -> None:
        prefix = {"networkInterfaceId": "eni-b", "ipv4Prefixes": [{"ipv4Prefix": "10.0.3.0/28"}]}
        filled_in_order(
            store,
            *(create(f"eni-{name}", f"10.0.{number}.1") for number, name in enumerate("abd", 4)),
            assign("eni-d", "10.0.3.4"),
            ("AssignPrivateIpAddresses", prefix, {}),
            assign("eni-d", "10.0.3.5"),
            assign("eni-a", "10.0.3.3"),
        )

    @pytest.mark.parametrize(
        ("others", "cluster"),
        [
            ([create("eni-b", "10.0.1.1", "blue")], "blue"),
            ([create("eni-b", "10.0.1.1"), tag("eni-b", "blue")], "blue"),
            ([create("eni-b", "10.0.1.1", "blue"), tag("eni-b", "green")], "blue"),
            ([create("eni-b", "10.0.1.1", "blue"), create("eni-c", "10.0.2.1", "green")], None),
            ([create("eni-b", "10.0.1.1", "blue"), create("eni-c", "10.0.2.1", "blue")], "blue"),
            (
                [
                    create("eni-b", "10.0.1.1", "blue"),
                    tag("eni-b", "green"),
                    create("eni-c", "10.0.2.1", "blue"),
                ],
                "blue",
            ),
        ],
    )
    def test_a_role_is_linked_to_the_cluster_of_the_enis_that_it_creates(
        self, store: Path, others: list[Call], cluster: str | None
    ) -> None:
        history = filled_in_order(store, create("eni-a", "10.0.0.1"), *others)
        assert history.actors["CreateNetworkInterface-0"].cluster == cluster

    def test_a_node_is_linked_to_the_cluster_in_its_tags(self, store: Path) -> None:
        calls = launch(f"{I}1", "blue"), assign("eni-a", "10.0.0.1")
        history = filled_in_order(store, *calls, session=f"{I}1")
        assert history.actors["AssignPrivateIpAddresses-1"].cluster == "blue"

    def test_a_description_is_linked_to_the_instance_that_it_names(self, store: Path) -> None:
        history = filled_in_order(
            store,
            launch(f"{I}1", "blue"),
            create("eni-a", "10.0.0.1", description=f"aws-K8S-{I}1"),
            session=f"{I}1",
        )
        (entry,) = timeline(history, Filter(eni=("eni-a",)))
        assert (entry.instance, entry.instance_basis, entry.cluster) == (f"{I}1", "description", "blue")

    def test_a_correction_is_linked_to_the_eni_of_the_corrected_record(self, store: Path) -> None:
        calls = assign("eni-a", "10.0.0.1"), attach("eni-a", f"{I}1"), assign("eni-b", "10.0.0.2")
        history = filled_in_order(store, *calls, corrected=True)
        assert len([*timeline(history, Filter(eni=("eni-a",)))]) == 1

    @pytest.mark.parametrize(
        ("issued", "keyless", "account"),
        [
            (sign_in("other", "ASIAone"), False, "kube-system/aws-node"),
            (sign_in("one", "ASIAother"), True, "kube-system/aws-node"),
            (sign_in("one", "ASIAother"), False, None),
            (sign_in("other", "ASIAone"), True, None),
        ],
    )
    def test_credentials_are_linked_by_access_key_or_by_role_and_session(
        self, store: Path, issued: Call, keyless: bool, account: str | None
    ) -> None:
        history = filled_in_order(store, issued, assign("eni-a", "10.0.0.1"), keyless=keyless)
        assert history.actors["AssignPrivateIpAddresses-1"].service_account == account

    def test_the_caller_of_assume_role_is_linked_by_access_key(self, store: Path) -> None:
        asked = {"roleArn": MAKER, "roleSessionName": "one"}
        call = "AssumeRole", asked, {"credentials": {"accessKeyId": "ASIAone"}}
        history = filled_in_order(store, call, assign("eni-a", "10.0.0.1"))
        assert history.actors["AssignPrivateIpAddresses-1"].assumed_by == USER


class TestTables:
    def test_records_are_stored_unchanged(self, store: Path) -> None:
        came = {
            record["eventID"]: record
            for text in fixtures.files("ironman").values()
            for record in json.loads(text)["Records"]
        }
        rows = rows_of(store, "SELECT key, payload, typeof(payload) FROM records")
        assert len(rows) == 17
        assert all((json.loads(text), kind) == (came[key], "text") for key, text, kind in rows)

    def test_the_view_of_events_has_readable_columns(self, store: Path) -> None:
        rows = rows_of(
            store,
            "SELECT time, event, outcome, addresses FROM events WHERE eni = 'eni-0bbea279695112970'"
            " AND addresses LIKE '%192.168.53.76%' ORDER BY time",
        )
        assert [row[:3] for row in rows] == [
            ("2022-10-05T13:16:06Z", "AssignPrivateIpAddresses", "ok"),
            ("2022-10-05T15:21:23Z", "UnassignPrivateIpAddresses", "ok"),
        ]

    def test_addresses_sort_by_number(self, store: Path) -> None:
        rows = rows_of(store, "SELECT DISTINCT address FROM addresses ORDER BY place")
        found = [ip_network(address) for (address,) in rows]
        assert len(found) == 20
        assert found == sorted(found, key=lambda network: int(network.network_address))

    def test_the_file_passes_the_integrity_check(self, store: Path) -> None:
        assert rows_of(store, "PRAGMA integrity_check")[0] == ("ok",)

    def test_bytes_that_are_not_text_are_stored_unchanged(self, tmp_path: Path) -> None:
        path, record = str(tmp_path / "trail.db"), StoredRecord((Origin("\udcff.json", 0),), b'{"a":"\xff"}')
        with StoreWriter(path, no_wait) as writer:
            writer.add(record, IndexEntry(key="key"))
        assert [
            delivered for delivered in StoreReader(path, Scope()).documents() if isinstance(delivered, Record)
        ] == [record]

    def test_all_versions_of_an_event_are_kept_and_delivered_together(self, tmp_path: Path) -> None:
        path = str(tmp_path / "trail.db")
        records = [StoredRecord((Origin("a.json", n),), b'{"n":%d}' % n) for n in range(2)]
        with StoreWriter(path, no_wait) as writer:
            for record in (*records, *records):
                writer.add(record, IndexEntry(key="one key"))
        assert [
            delivered for delivered in StoreReader(path, Scope()).documents() if isinstance(delivered, Record)
        ] == records


class TestFiles:
    """A file that is not a store, or is damaged, is a one-line error."""

    def refused(self, run: Run, path: Path) -> str:
        result = run("timeline", path)
        assert (result.exit_code, result.stdout) == (1, "")
        first, *rest = result.stderr.splitlines()
        assert first.startswith(f"error: {path}: ")
        assert all(line.startswith("hint: ") for line in rest)
        return first.removeprefix(f"error: {path}: ")

    def test_a_store_is_known_by_its_content(self, store: Path, tmp_path: Path) -> None:
        assert is_store(str(store))
        assert not is_store(str(tmp_path / "none"))
        assert not is_store(str(tmp_path))

    def test_a_database_of_another_program_is_refused(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "places.sqlite"
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE records (id)")
        connection.close()
        before = path.read_bytes()
        assert self.refused(run, path) == "an SQLite database, but not one that cnitrail wrote"
        assert run("collect", "ironman/AWSLogs", "--to", path).exit_code == 1
        assert path.read_bytes() == before

    def test_a_file_that_is_not_a_database_is_not_overwritten(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "notes.txt"
        path.write_text("precious")
        result = run("collect", "ironman/AWSLogs", "--to", path)
        assert (result.exit_code, path.read_text()) == (1, "precious")
        assert result.stderr.startswith(f"error: {path}: not a store\n")
        assert list(tmp_path.iterdir()) == [path], "no lock is left beside it"

    def test_a_store_of_a_newer_version_is_refused(self, run: Run, store: Path) -> None:
        connection = sqlite3.connect(store)
        connection.execute("PRAGMA user_version = 99")
        connection.close()
        said = "written by a newer cnitrail (store version 99; this one reads 11)"
        assert self.refused(run, store) == said

    @pytest.mark.parametrize("left", [200, 4096, 50_000])
    def test_a_truncated_store_is_refused(self, run: Run, store: Path, left: int) -> None:
        os.truncate(store, left)
        assert self.refused(run, store).startswith(("the store is cut short", "the store is damaged"))

    def test_a_store_with_damage_inside_is_refused(self, run: Run, store: Path) -> None:
        with store.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (store.stat().st_size - 4096))
        assert self.refused(run, store).startswith("the store is damaged")

    def test_an_empty_file_is_an_empty_log_and_a_new_store(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "new.db"
        path.touch()
        assert "the file is empty" in run("timeline", path).stderr
        assert run("collect", "ironman/AWSLogs", "--to", path).exit_code == 0

    def test_a_store_below_a_directory_of_logs_is_not_read_as_a_log(self, run: Run, tmp_path: Path) -> None:
        shutil.copytree(FIXTURES / "ironman" / "AWSLogs", tmp_path / "logs")
        for _ in range(2):
            assert run("collect", tmp_path / "logs", "--to", tmp_path / "logs" / "trail.db").exit_code == 0
        assert run("timeline", tmp_path / "logs").exit_code == 0


class TestWriter:
    def test_uncommitted_changes_are_rolled_back(self, tmp_path: Path) -> None:
        path = str(tmp_path / "trail.db")
        record = Record((Origin("a.json", 0),), b"{}")

        def stumble() -> None:
            with StoreWriter(path, no_wait) as writer:
                writer.skip(Skipped("a.json", "kept"))
                writer.commit()
                writer.add(record, IndexEntry(key="lost"))
                raise RuntimeError

        with pytest.raises(RuntimeError):
            stumble()
        *found, account = StoreReader(path, Scope()).documents()
        assert found == [Skipped("a.json", "kept")]
        assert isinstance(account, StoredCounts)
        assert account.records == 0

    def test_a_full_disk_is_reported_and_committed_data_is_kept(self, tmp_path: Path, store: Path) -> None:
        pages = rows_of(store, "PRAGMA page_count")[0][0]

        def fill() -> None:
            with StoreWriter(str(store), no_wait) as writer:
                writer._connection.execute(f"PRAGMA max_page_count = {pages}")
                for number in range(1000):
                    record = Record((Origin("big.json", number),), b'"%s"' % (b"x" * 2000))
                    writer.add(record, IndexEntry(key=str(number)))

        with pytest.raises(StoreError, match="the disk is full"):
            fill()
        assert len(read(store)[0].events) == 14

    def test_an_unwritable_directory_is_an_error(self, run: Run, tmp_path: Path) -> None:
        for path, said in (
            (tmp_path / "no" / "trail.db", "no such directory"),
            (tmp_path, "is a directory"),
            (Path("/proc/trail.db"), "unable to open database file"),
        ):
            result = run("collect", "ironman/AWSLogs", "--to", path)
            assert result.exit_code == 1
            assert said in result.stderr


def call(number: int, second: int, name: str, request: Any, response: Any) -> dict[str, Any]:
    """Return a record of a call that the role of instance i-00000001 made."""
    role = "arn:aws:iam::111111111111:role/node"
    return {
        "eventName": name,
        "eventID": f"call-{number}",
        "eventTime": f"2026-01-01T00:00:{second:02}Z",
        "recipientAccountId": "111111111111",
        "awsRegion": "eu-west-1",
        "requestParameters": request,
        "responseElements": response,
        "userAgent": "cilium-operator",
        "userIdentity": {
            "type": "AssumedRole",
            "arn": f"arn:aws:sts::111111111111:assumed-role/node/{I}1",
            "sessionContext": {"ec2RoleDelivery": "2.0", "sessionIssuer": {"userName": "node", "arn": role}},
        },
    }


def assign_to(eni: str, address: str) -> dict[str, Any]:
    return {"networkInterfaceId": eni, "privateIpAddressesSet": {"items": [{"privateIpAddress": address}]}}


def damage_of(source: Path) -> dict[str, bool]:
    """Return of each event in a source whether it is marked as one of a damaged file."""
    history, _ = read(source)
    return {str(event.event_id): event.damaged for event in history.events}


class TestDamage:
    """Events are marked as damaged by the file that they were read from, also if a store has them."""

    ASSIGNED = call(1, 0, "AssignPrivateIpAddresses", assign_to("eni-a", "10.0.0.1"), {"_return": True})
    RELEASED = call(2, 5, "UnassignPrivateIpAddresses", assign_to("eni-a", "10.0.0.1"), {"_return": True})

    def lines(self, path: Path, *, torn: bool) -> Path:
        """Write a log of two records, and between them half of one."""
        between = [json.dumps(self.RELEASED)[:60]] if torn else []
        path.write_text("\n".join([json.dumps(self.ASSIGNED), *between, json.dumps(self.RELEASED)]))
        return path

    def test_events_beside_an_unreadable_record_are_damaged(self, tmp_path: Path) -> None:
        log, store = self.lines(tmp_path / "log.jsonl", torn=True), tmp_path / "trail.db"
        collect(store, log)
        assert damage_of(store) == damage_of(log) == {"call-1": True, "call-2": True}

    def test_events_beside_an_unknown_object_are_not(self, tmp_path: Path) -> None:
        log, store = tmp_path / "log.json", tmp_path / "trail.db"
        log.write_text(json.dumps([self.ASSIGNED, {"other": 1}, self.RELEASED]))
        collect(store, log)
        assert damage_of(store) == damage_of(log) == {"call-1": False, "call-2": False}

    def test_an_event_that_an_intact_file_has_too_is_not(self, tmp_path: Path) -> None:
        logs, store = tmp_path / "logs", tmp_path / "trail.db"
        logs.mkdir()
        self.lines(logs / "torn.jsonl", torn=True)
        (logs / "whole.json").write_text(json.dumps(self.ASSIGNED))
        collect(store, logs)
        assert damage_of(store) == damage_of(logs) == {"call-1": False, "call-2": True}

    def test_members_of_an_archive_are_damaged_one_by_one(self, tmp_path: Path) -> None:
        archive, store = tmp_path / "logs.zip", tmp_path / "trail.db"
        with zipfile.ZipFile(archive, "w") as packed:
            packed.writestr("whole.json", json.dumps(self.ASSIGNED))
            packed.writestr("torn.json", json.dumps([self.RELEASED])[:-1])
        collect(store, archive)
        assert damage_of(store) == damage_of(archive) == {"call-1": False, "call-2": True}

    def collected_twice(self, tmp_path: Path) -> tuple[Path, Path, Path]:
        """Return a torn log, the store that it was collected into, and the one that this store was."""
        log, store, other = (
            self.lines(tmp_path / "log.jsonl", torn=True),
            tmp_path / "1.db",
            tmp_path / "2.db",
        )
        collect(store, log)
        collect(other, store)
        return log, store, other

    def test_a_store_that_is_collected_into_another_one_keeps_it(self, tmp_path: Path) -> None:
        _, _, other = self.collected_twice(tmp_path)
        assert damage_of(other) == {"call-1": True, "call-2": True}

    def test_events_of_a_repaired_file_are_no_longer_damaged(self, tmp_path: Path) -> None:
        log, store, other = self.collected_twice(tmp_path)
        self.lines(log, torn=False)
        collect(store, log)
        collect(other, store)
        for repaired in (store, other):
            assert damage_of(repaired) == {"call-1": False, "call-2": False}


def launched(number: int, instance: str, eni: str) -> dict[str, Any]:
    """Return the launch of a node of a cluster."""
    interface = {
        "networkInterfaceId": eni,
        "vpcId": "vpc-1",
        "privateIpAddress": f"10.0.0.{number}",
        "attachment": {"attachmentId": eni.replace("eni", "eni-attach"), "deviceIndex": 0},
    }
    machine = {
        "instanceId": instance,
        "networkInterfaceSet": {"items": [interface]},
        "tagSet": {"items": [{"key": "eks:cluster-name", "value": "blue"}]},
    }
    return call(number, 0, "RunInstances", {}, {"instancesSet": {"items": [machine]}})


class TestManagers:
    """What manages an ENI may show in calls about others, which a store delivers if the answer says it."""

    def managers(self, run: Run, source: object, *filters: str, at: str) -> list[tuple[str, str]]:
        result = run("state", source, "--at", at, *filters, "-o", "json")
        entries = json.loads(result.stdout)["entries"]
        return [(entry["management"]["manager"], entry["management"]["basis"]) for entry in entries]

    def test_other_enis_of_its_node_show_the_manager_of_an_eni(self, run: Run, tmp_path: Path) -> None:
        logs, store = "pod-identity-and-node-role/AWSLogs", tmp_path / "trail.db"
        run("collect", logs, "--to", store)
        for source in (logs, store):
            for place in (("--eni", "eni-0eace48ac27f96420"), ("--ip", "10.72.24.99")):
                assert self.managers(run, source, *place, at="2025-11-20T01:22:45Z") == [("vpc-cni", "node")]

    @pytest.mark.parametrize(("instance", "basis"), [(f"{I}2", "node"), (f"{I}1", "cluster")])
    def test_a_call_for_a_node_shows_its_manager_and_that_of_its_cluster(
        self, run: Run, tmp_path: Path, instance: str, basis: str
    ) -> None:
        log, store = tmp_path / "log.json", tmp_path / "trail.db"
        tried = call(3, 9, "CreateNetworkInterface", {"description": f"Cilium-CNI ({I}2)"}, None)
        tried["errorCode"] = "Client.InsufficientFreeAddressesInSubnet"
        records = [launched(1, f"{I}1", "eni-a"), launched(2, f"{I}2", "eni-b"), tried]
        log.write_text(json.dumps({"Records": records}))
        collect(store, log)
        for source in (log, store):
            found = self.managers(run, source, "--instance", instance, at="2026-01-01T00:01:00Z")
            assert found == [("cilium", basis)]


def created(
    number: int, eni: str, vpc: str, subnet: str = "subnet-1", account: str = "111111111111"
) -> dict[str, Any]:
    """Return a record of the creation of an ENI."""
    address = f"10.0.{number}.1"
    described = {"networkInterfaceId": eni, "vpcId": vpc, "subnetId": subnet, "privateIpAddress": address}
    made = call(
        number, number, "CreateNetworkInterface", {"subnetId": subnet}, {"networkInterface": described}
    )
    return made | {"recipientAccountId": account}


def collected(folder: Path, records: list[dict[str, Any]]) -> tuple[Path, Path]:
    """Return a log file of records, and a store of it."""
    log, store = folder / "log.json", folder / "trail.db"
    log.write_text(json.dumps({"Records": records}))
    collect(store, log)
    return log, store


class TestRecordsOfOtherResources:
    """What records about other ENIs say decides some answers, so a store delivers these records, too."""

    def write(self, tmp_path: Path, *records: dict[str, Any]) -> tuple[Path, Path]:
        log, store = tmp_path / "log.json", tmp_path / "trail.db"
        log.write_text(json.dumps({"Records": records}))
        collect(store, log)
        return log, store

    def test_an_operator_is_known_by_its_calls_for_other_instances(self, run: Run, tmp_path: Path) -> None:
        described = {"networkInterfaceId": "eni-b", "vpcId": "vpc-1", "privateIpAddress": "10.0.1.1"}
        for_another = {"description": f"Cilium-CNI ({I}2)"}
        log, store = self.write(
            tmp_path,
            call(1, 0, "CreateNetworkInterface", for_another, {"networkInterface": described | for_another}),
            call(2, 10, "AssignPrivateIpAddresses", assign_to("eni-a", "10.0.0.1"), {"_return": True}),
        )
        for source in (log, store):
            result = run("who", "10.0.0.1", source, "--at", "2026-01-01T00:00:20Z", "-o", "json")
            (holder,) = json.loads(result.stdout)["entries"][0]["holders"]
            assert (holder["eni"], holder["instance"]) == ("eni-a", None)
            result = run("timeline", source, "--eni", "eni-a", "-o", "jsonl")
            assert json.loads(result.stdout)["instance"] is None

    def test_a_program_that_calls_for_its_own_instance_is_no_operator(self, run: Run, tmp_path: Path) -> None:
        described = {"networkInterfaceId": "eni-b", "vpcId": "vpc-1", "privateIpAddress": "10.0.1.1"}
        for_itself = {"description": f"Cilium-CNI ({I}1)"}
        log, store = self.write(
            tmp_path,
            call(1, 0, "CreateNetworkInterface", for_itself, {"networkInterface": described | for_itself}),
            call(2, 10, "AssignPrivateIpAddresses", assign_to("eni-a", "10.0.0.1"), {"_return": True}),
        )
        assert rows_of(store, "SELECT DISTINCT operator FROM records") == [(None,)]
        for source in (log, store):
            result = run("timeline", source, "--eni", "eni-a", "-o", "jsonl")
            assert json.loads(result.stdout)["instance"] == f"{I}1"

    def test_versions_of_an_event_that_disagree_leave_a_doubt_about_all_addresses(
        self, run: Run, tmp_path: Path
    ) -> None:
        release = {"networkInterfaceId": "eni-a"} | assign_to("eni-a", "10.0.0.1")
        log, store = self.write(
            tmp_path,
            call(1, 0, "AssignPrivateIpAddresses", assign_to("eni-a", "10.0.0.1"), {"_return": True}),
            call(2, 5, "UnassignPrivateIpAddresses", release, {"_return": True}),
            call(3, 10, "AssignPrivateIpAddresses", assign_to("eni-b", "10.0.0.2"), {"_return": True}),
            call(3, 10, "AssignPrivateIpAddresses", assign_to("eni-b", "10.0.0.3"), {"_return": True}),
            call(4, 30, "AssignPrivateIpAddresses", assign_to("eni-b", "10.0.0.4"), {"_return": True}),
        )
        for source in (log, store):
            asked = ("who", "10.0.0.1", source, "--at", "2026-01-01T00:00:20Z", "--assume-complete")
            (answer,) = json.loads(run(*asked, "-o", "json").stdout)["entries"]
            assert answer["verdict"] == "unknown"
            assert "records-disagree" in [reason["code"] for reason in answer["reasons"]]

    def test_evidence_does_not_reach_as_far_as_a_record_that_does_not_count(
        self, run: Run, tmp_path: Path
    ) -> None:
        log, store = self.write(
            tmp_path,
            call(1, 0, "AssignPrivateIpAddresses", assign_to("eni-a", "10.0.0.1"), {"_return": True}),
            call(2, 10, "AssignPrivateIpAddresses", assign_to("eni-b", "10.0.0.2"), {"_return": True}),
            call(2, 50, "AssignPrivateIpAddresses", assign_to("eni-b", "10.0.0.2"), {"_return": True}),
        )
        for source in (log, store):
            result = run("who", "10.0.0.1", source, "--at", "2026-01-01T00:00:20Z", "-o", "json")
            (answer,) = json.loads(result.stdout)["entries"]
            text = "no release seen by the end of the evidence (2026-01-01 00:00:10Z)"
            assert text in [reason["text"] for reason in answer["reasons"]]

    def test_a_region_with_an_eni_of_unknown_vpc_is_named_by_an_eni_that_is_surely_there(
        self, run: Run, tmp_path: Path
    ) -> None:
        elsewhere = {"awsRegion": "us-east-1"}
        release = assign_to("eni-a", "10.0.0.1")
        log, store = self.write(
            tmp_path,
            call(1, 0, "UnassignPrivateIpAddresses", assign_to("eni-b", "10.0.0.8"), {"_return": True}),
            call(2, 1, "CreateNetworkInterface", {}, {"networkInterface": {"networkInterfaceId": "eni-b"}})
            | elsewhere,
            call(3, 45, "UnassignPrivateIpAddresses", assign_to("eni-c", "10.0.0.9"), {"_return": True}),
            call(4, 30, "UnassignPrivateIpAddresses", release, {"_return": True}) | elsewhere,
            call(5, 59, "UnassignPrivateIpAddresses", assign_to("eni-d", "10.0.0.7"), {"_return": True})
            | elsewhere,
        )
        for source in (log, store):
            result = run("who", "10.0.0.1", source, "--at", "2026-01-01T00:00:40Z", "-o", "json")
            (answer,) = json.loads(result.stdout)["entries"]
            text = (
                "the evidence of 111111111111 in eu-west-1 ends at 2026-01-01 00:00:45Z; "
                "events after 2025-12-31 23:50:45Z may be delivered later"
            )
            assert text in [reason["text"] for reason in answer["reasons"]]

    @pytest.mark.parametrize("other_vpc", ["vpc-0", "vpc-7"])
    def test_another_account_of_a_vpc_is_known_if_the_first_record_of_it_is_disputed(
        self, run: Run, tmp_path: Path, other_vpc: str
    ) -> None:
        records = [
            created(1, "eni-a", "vpc-1"),
            created(2, "eni-b", "vpc-1", account="222222222222"),
            created(2, "eni-b", other_vpc, account="222222222222"),
            created(3, "eni-c", "vpc-1", account="222222222222"),
            call(4, 10, "AssignPrivateIpAddresses", assign_to("eni-a", "10.0.0.9"), {"_return": True}),
            call(5, 20, "UnassignPrivateIpAddresses", assign_to("eni-a", "10.0.0.9"), {"_return": True}),
            call(6, 59, "DeleteNetworkInterface", {"networkInterfaceId": "eni-a"}, {}),
        ]
        assert [
            self.answer(run, source, "10.0.0.9")["verdict"] for source in collected(tmp_path, records)
        ] == [
            "unknown",
            "unknown",
        ]

    def test_the_vpc_of_a_subnet_is_known_if_the_first_record_of_it_does_not_count(
        self, run: Run, tmp_path: Path
    ) -> None:
        omitted = {"omitted": True, "originalSize": 300_000, "reason": "responseElements too large"}
        records = [
            created(1, "eni-a", "vpc-1"),
            call(2, 10, "AssignPrivateIpAddresses", assign_to("eni-a", "10.0.0.9"), {"_return": True}),
            call(3, 20, "UnassignPrivateIpAddresses", assign_to("eni-a", "10.0.0.9"), {"_return": True}),
            created(4, "eni-a", "vpc-2", subnet="subnet-2", account="222222222222"),
            call(5, 30, "CreateNetworkInterface", {"subnetId": "subnet-2"}, omitted),
            created(6, "eni-b", "vpc-2", subnet="subnet-2"),
        ]
        for source in collected(tmp_path, records):
            reasons = self.answer(run, source, "10.0.0.9")["reasons"]
            assert "unnamed-addresses" not in [reason["code"] for reason in reasons]

    def answer(self, run: Run, source: Path, ip: str) -> dict[str, Any]:
        """Return who had an address in the last second, if the evidence lacks nothing."""
        asked = ("who", ip, source, "--at", "2026-01-01T00:00:40Z", "--assume-complete", "-o", "json")
        (found,) = json.loads(run(*asked).stdout)["entries"]
        assert isinstance(found, dict)
        return found

    def test_records_of_a_damaged_file_leave_a_doubt_about_all_addresses(
        self, run: Run, tmp_path: Path
    ) -> None:
        logs, store = tmp_path / "logs", tmp_path / "trail.db"
        logs.mkdir()
        whole = [
            call(1, 0, "AssignPrivateIpAddresses", assign_to("eni-a", "10.0.0.1"), {"_return": True}),
            call(2, 5, "UnassignPrivateIpAddresses", assign_to("eni-a", "10.0.0.1"), {"_return": True}),
            call(3, 50, "AssignPrivateIpAddresses", assign_to("eni-a", "10.0.0.2"), {"_return": True}),
        ]
        torn = [
            call(4, 10, "UnassignPrivateIpAddresses", assign_to("eni-b", "10.0.0.3"), {"_return": True}),
            call(5, 11, "AssignPrivateIpAddresses", assign_to("eni-b", "10.0.0.4"), {"_return": True}),
        ]
        (logs / "whole.json").write_text(json.dumps({"Records": whole}))
        (logs / "torn.json").write_text(json.dumps({"Records": torn})[:-20])
        collect(store, logs)
        for source in (logs, store):
            asked = ("who", "10.0.0.1", source, "--at", "2026-01-01T00:00:20Z", "--assume-complete")
            (answer,) = json.loads(run(*asked, "-o", "json").stdout)["entries"]
            assert answer["verdict"] == "unknown"
            assert "damaged-file" in [reason["code"] for reason in answer["reasons"]]

    def test_a_record_that_is_only_spelled_differently_is_no_other_version(self, tmp_path: Path) -> None:
        record = call(1, 0, "AssignPrivateIpAddresses", assign_to("eni-a", "10.0.0.1"), {"_return": True})
        one, other, store = tmp_path / "1.json", tmp_path / "2.json", tmp_path / "trail.db"
        one.write_text(json.dumps({"Records": [record]}))
        other.write_text(json.dumps({"Records": [dict(reversed(record.items()))]}))
        collect(store, one, other)
        assert rows_of(store, "SELECT count(*), sum(unclear) FROM records") == [(2, 0)]

    def test_true_and_1_are_not_the_same(self, tmp_path: Path) -> None:
        asked, store = assign_to("eni-a", "10.0.0.1"), tmp_path / "trail.db"
        for name, value in (("1.json", True), ("2.json", 1)):
            record = call(1, 0, "AssignPrivateIpAddresses", asked | {"allowReassignment": value}, None)
            (tmp_path / name).write_text(json.dumps({"Records": [record]}))
        collect(store, tmp_path / "1.json", tmp_path / "2.json")
        assert rows_of(store, "SELECT count(*), sum(unclear) FROM records") == [(2, 1)]
