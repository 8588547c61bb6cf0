"""Recorded CloudTrail events: each is decoded as its JSON says, or is not relevant.

The recordings are outside this project and not part of it. They are read here a second time, by
only the keys of the JSON, and the two results are compared.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from records import Entry, compact, decoded, scanned, zipped

from cnitrail.decode import NAMES, decode
from cnitrail.decode.actor import actor_of
from cnitrail.model import ActorKind, CallOutcome, Effect, Event, IssuedSession, Record

FOLDER = Path(__file__).parents[2] / "shared" / "events"
FILES = sorted(FOLDER.glob("*.json"))

pytestmark = pytest.mark.skipif(not FILES, reason="the recorded events are not here (../shared/events)")

every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


def entry_of(path: Path) -> Entry:
    """The record in a recording, out of its LookupEvents item."""
    value = json.loads(path.read_bytes())
    entry: Entry = value.get("CloudTrailEvent", value)
    return entry


def values(node: object, key: str) -> Iterator[Any]:
    """Return every value of a key, at any depth."""
    if isinstance(node, dict):
        for name, inner in node.items():
            if name == key:
                yield inner
            yield from values(inner, key)
    elif isinstance(node, list):
        for inner in node:
            yield from values(inner, key)


def names(node: object, key: str) -> set[str]:
    return {value for value in values(node, key) if isinstance(value, str)}


def read(path: Path) -> Event:
    fact = decoded(entry_of(path)).fact
    assert isinstance(fact, Event)
    return fact


def is_relevant(path: Path) -> bool:
    entry = entry_of(path)
    return entry["eventName"] in NAMES and not entry["eventName"].startswith("AssumeRole")


EVENTS = [path for path in FILES if is_relevant(path) and "eventTime" in entry_of(path)]
DONE = [path for path in EVENTS if not {"errorCode", "errorMessage"} & entry_of(path).keys()]
FAILED = [path for path in EVENTS if path not in DONE]
MASKED = "RunInstances-autoscaling-2026-launchtemplate"
WHOLE = [path for path in EVENTS if "PARTIAL" not in path.stem and path.stem != MASKED]


def for_files(paths: list[Path], *events: str) -> pytest.MarkDecorator:
    """Parametrize a test with the recordings of some events."""
    chosen = [path for path in paths if not events or path.stem.startswith(events)]
    return pytest.mark.parametrize("path", chosen, ids=lambda path: path.stem)


class TestScan:
    @every_file
    def test_a_recording_is_a_readable_document(self, path: Path) -> None:
        for text in (path.read_bytes(), zipped(path.read_bytes())):
            reading = scanned(text)
            assert reading.skipped == []
            assert reading.tally.records == 1

    @every_file
    def test_a_scanned_record_is_decoded_like_the_record_itself(self, path: Path) -> None:
        entry = entry_of(path)
        found = scanned(path.read_bytes()).records
        if found:
            assert decode(Record(found[0].origins, found[0].payload)).problems == decoded(entry).problems
        else:
            assert decoded(entry).fact is None

    def test_all_recordings_in_one_log_file_are_found(self) -> None:
        entries = [entry_of(path) for path in FILES]
        always = set(NAMES) - {"AssumeRole"}  # irrelevant if an AWS service makes the call
        relevant = [entry["eventName"] for entry in entries if entry["eventName"] in always]
        reading = scanned(zipped(compact({"Records": entries})))
        assert reading.skipped == []
        assert reading.tally.records == len(FILES)
        assert [name for name in reading.names if name in always] == relevant

    @for_files(FILES, "AssumeRole-cross")
    def test_assume_role_by_another_account_has_that_account(self, path: Path) -> None:
        session = decoded(entry_of(path)).fact
        assert isinstance(session, IssuedSession)
        assert (session.assumer, session.service_account) == ("774305579662", None)


class TestFailedSignIns:
    @for_files(FILES, "AssumeRoleWithWebIdentity-irsa-error")
    def test_a_refused_service_account_is_a_failed_sign_in(self, path: Path) -> None:
        event = decoded(entry_of(path)).fact
        assert isinstance(event, Event)
        assert (event.effect, event.outcome) == (Effect.SIGN_IN, CallOutcome.FAILED)
        assert event.actor.service_account == "argo/awf-aws-executor-plugin"
        role = "arn:aws:iam::100000000002:role/sm-pipelines-k8s-awf-aws-executor-plugin"
        assert [subject.details.resource for subject in event.subjects] == [role]


class TestIrrelevant:
    @pytest.mark.parametrize(
        "path",
        [path for path in FILES if entry_of(path)["eventName"] not in NAMES],
        ids=lambda path: path.stem,
    )
    def test_a_call_that_moves_nothing_is_irrelevant(self, path: Path) -> None:
        assert decoded(entry_of(path)).fact is None
        assert decoded(entry_of(path)).problems == ()

    @for_files(FILES, "AssumeRole-spotfleet", "AssumeRoleWithWebIdentity-github")
    def test_a_session_outside_a_cluster_is_irrelevant(self, path: Path) -> None:
        assert decoded(entry_of(path)).fact is None
        assert decoded(entry_of(path)).problems == ()

    @pytest.mark.parametrize(
        "path",
        [path for path in FILES if is_relevant(path) and "eventTime" not in entry_of(path)],
        ids=lambda path: path.stem,
    )
    def test_a_fragment_without_a_time_is_not_an_event(self, path: Path) -> None:
        assert decoded(entry_of(path)).fact is None


class TestEvents:
    @for_files(EVENTS)
    def test_the_common_fields_are_decoded_unchanged(self, path: Path) -> None:
        entry, event = entry_of(path), read(path)
        written = entry["eventTime"].replace(" ", "T")[:19]
        assert event.time == datetime.strptime(written, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
        assert event.name == entry["eventName"]
        assert event.event_id == entry.get("eventID")
        assert event.region == entry.get("awsRegion")
        assert event.account == entry.get(
            "recipientAccountId", entry.get("userIdentity", {}).get("accountId")
        )

    @for_files(WHOLE)
    def test_a_complete_record_has_no_problem(self, path: Path) -> None:
        assert decoded(entry_of(path)).problems == ()

    @for_files(EVENTS, MASKED)
    def test_an_address_that_its_publisher_masked_is_reported(self, path: Path) -> None:
        assert decoded(entry_of(path)).problems == (
            "RunInstances: privateIpAddressesSet.privateIpAddress is '000.00.00.000', not an address",
        )

    @for_files(FAILED)
    def test_a_failed_call_has_its_error_and_changes_nothing(self, path: Path) -> None:
        entry, event = entry_of(path), read(path)
        assert event.failure is not None
        assert event.failure.code == entry["errorCode"]
        assert event.failure.message == entry.get("errorMessage")
        assert [(subject.added, subject.removed) for subject in event.subjects] == [((), ())] * len(
            event.subjects
        )

    @for_files(DONE)
    def test_a_successful_call_has_no_error(self, path: Path) -> None:
        assert read(path).failure is None

    @for_files(EVENTS)
    def test_no_eni_instance_or_attachment_is_invented(self, path: Path) -> None:
        entry = entry_of(path)
        for subject in read(path).subjects:
            assert subject.eni is None or subject.eni in names(entry, "networkInterfaceId")
            assert subject.attachment is None or subject.attachment in names(entry, "attachmentId")
            assert subject.instance is None or subject.instance in json.dumps(entry)
            for holding in subject.added:
                assert f'"{holding.held}"' in json.dumps(entry["responseElements"])


class TestAddresses:
    @for_files(DONE, "AssignPrivateIpAddresses")
    def test_assigned_addresses_are_those_of_the_response(self, path: Path) -> None:
        entry = entry_of(path)
        (subject,) = read(path).subjects
        assert subject.eni == entry["responseElements"]["networkInterfaceId"]
        assert {str(holding.held) for holding in subject.added} == names(
            entry["responseElements"], "privateIpAddress"
        )
        assert {holding.kind for holding in subject.added} == {"secondary"}
        assert subject.reassign is entry["requestParameters"].get("allowReassignment", False)

    @for_files(DONE, "UnassignPrivateIpAddresses")
    def test_released_addresses_are_those_of_the_request(self, path: Path) -> None:
        entry = entry_of(path)
        (subject,) = read(path).subjects
        assert subject.eni == entry["requestParameters"]["networkInterfaceId"]
        assert {str(address) for address in subject.removed} == names(
            entry["requestParameters"], "privateIpAddress"
        )

    @for_files(FAILED, "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses")
    def test_addresses_of_a_failed_assignment_are_kept(self, path: Path) -> None:
        request = entry_of(path)["requestParameters"]
        (subject,) = read(path).subjects
        assert subject.eni == request["networkInterfaceId"]
        assert set(subject.requested_addresses) == names(request, "privateIpAddress")
        assert subject.requested == request.get("secondaryPrivateIpAddressCount")

    @for_files(FAILED, "CreateNetworkInterface")
    def test_addresses_of_a_failed_eni_creation_are_kept(self, path: Path) -> None:
        request = entry_of(path)["requestParameters"]
        (subject,) = read(path).subjects
        assert subject.subnet == request["subnetId"]
        assert set(subject.requested_addresses) == names(request, "privateIpAddress")
        assert subject.details.description == request.get("description")


class TestInterfaces:
    @for_files(DONE, "CreateNetworkInterface")
    def test_a_new_eni_is_that_of_the_response(self, path: Path) -> None:
        described = entry_of(path)["responseElements"]["networkInterface"]
        (subject,) = read(path).subjects
        assert subject.eni == described["networkInterfaceId"]
        assert (subject.vpc, subject.subnet) == (described["vpcId"], described["subnetId"])
        assert subject.details.description == described["description"]
        assert {(str(holding.held), holding.kind.value) for holding in subject.added} == {
            (address["privateIpAddress"], "primary" if address["primary"] else "secondary")
            for address in described["privateIpAddressesSet"]["item"]
        }
        assert dict(subject.details.tags) == {
            tag["key"]: tag["value"] for tag in described["tagSet"]["items"]
        }

    @for_files(DONE, "AttachNetworkInterface")
    def test_an_attachment_is_that_of_the_response(self, path: Path) -> None:
        entry = entry_of(path)
        (subject,) = read(path).subjects
        assert subject.attachment == entry["responseElements"]["attachmentId"]
        assert subject.eni == entry["requestParameters"]["networkInterfaceId"]
        assert subject.instance == entry["requestParameters"]["instanceId"]
        assert subject.details.device_index == entry["requestParameters"]["deviceIndex"]

    @for_files(EVENTS, "ModifyNetworkInterfaceAttribute")
    def test_an_attribute_is_that_of_the_request(self, path: Path) -> None:
        request = entry_of(path)["requestParameters"]
        (subject,) = read(path).subjects
        assert subject.eni == request["networkInterfaceId"]
        assert subject.details.description == request.get("description", {}).get("value")
        assert subject.details.delete_on_termination is None


class TestInstances:
    @for_files(DONE, "RunInstances")
    def test_every_launched_eni_is_read(self, path: Path) -> None:
        entry = entry_of(path)
        described = {
            (
                instance["instanceId"],
                interface["networkInterfaceId"],
                interface["attachment"]["attachmentId"],
                interface["attachment"]["deviceIndex"],
                interface["attachment"]["deleteOnTermination"],
                interface["privateIpAddress"],
                interface["vpcId"],
                interface["subnetId"],
                instance["instanceType"],
            )
            for instance in (entry.get("responseElements") or {}).get("instancesSet", {}).get("items", ())
            for interface in instance.get("networkInterfaceSet", {}).get("items", ())
        }
        assert {
            (
                subject.instance,
                subject.eni,
                subject.attachment,
                subject.details.device_index,
                subject.details.delete_on_termination,
                next(
                    (str(holding.held) for holding in subject.added if holding.kind.value == "primary"),
                    "000.00.00.000",
                ),
                subject.vpc,
                subject.subnet,
                subject.details.instance_type,
            )
            for subject in read(path).subjects
            if subject.eni
        } == described

    @for_files(DONE, "RunInstances")
    def test_every_launched_instance_is_read(self, path: Path) -> None:
        subjects = read(path).subjects
        assert {subject.instance for subject in subjects if subject.instance} == names(
            entry_of(path).get("responseElements"), "instanceId"
        )

    @for_files(FAILED, "RunInstances")
    def test_a_failed_launch_keeps_its_request(self, path: Path) -> None:
        request = entry_of(path)["requestParameters"] or {}
        for subject in read(path).subjects:
            assert subject.instance is None
            assert subject.details.instance_type == request.get("instanceType")

    @for_files(DONE, "TerminateInstances")
    def test_every_terminated_instance_is_read(self, path: Path) -> None:
        assert {subject.instance for subject in read(path).subjects} == names(
            entry_of(path)["requestParameters"], "instanceId"
        )

    @for_files(DONE, "BidEvictedEvent")
    def test_every_evicted_instance_is_read(self, path: Path) -> None:
        assert [subject.instance for subject in read(path).subjects] == entry_of(path)["serviceEventDetails"][
            "instanceIdSet"
        ]


class TestSessions:
    @for_files(FILES, "AssumeRole-pods.eks")
    def test_the_session_of_a_pod_is_read(self, path: Path) -> None:
        entry = entry_of(path)
        session = decoded(entry).fact
        assert isinstance(session, IssuedSession)
        tags = {tag["key"]: tag["value"] for tag in entry["requestParameters"]["tags"]}
        assert session.service_account == "ns-a/sa1"
        assert session.cluster == tags["eks-cluster-name"]
        assert session.access_key_id == entry["responseElements"]["credentials"]["accessKeyId"]
        assert session.role_arn == entry["requestParameters"]["roleArn"]
        assert session.session == entry["requestParameters"]["roleSessionName"]
        assert session.pod_identity is True


KINDS = {
    "AssignPrivateIpAddresses": ActorKind.IAM_USER,
    "AttachNetworkInterface-LookupEvents-console-root": ActorKind.ROOT,
    "AssumeRole-cross-account": ActorKind.AWS_ACCOUNT,
    "AssumeRole-pods": ActorKind.AWS_SERVICE,
    "AssumeRoleWithWebIdentity": ActorKind.FEDERATED,
    "AssumeRoleForPodIdentity-LookupEvents-success": ActorKind.INSTANCE_ROLE,
    "CreateFleet-karpenter-error": ActorKind.UNKNOWN,
    "CreateFleet-karpenter-irsa": ActorKind.IRSA,
    "GetCallerIdentity": ActorKind.INSTANCE_ROLE,
    "SharedSnapshotVolumeCreated": ActorKind.AWS_SERVICE,
    "CreateNetworkInterface-error": ActorKind.IAM_USER,
    "DeleteNetworkInterface-elb-service-linked-role": ActorKind.AWS_SERVICE,
    "RunInstances-DryRun-AWS-Internal": ActorKind.ASSUMED_ROLE,
    "RunInstances-DryRun-eks-nodegroup": ActorKind.AWS_SERVICE,
    "RunInstances-LookupEvents-iamuser": ActorKind.IAM_USER,
    "RunInstances-autoscaling-2016": ActorKind.ROOT,
    "RunInstances-autoscaling-2024": ActorKind.AWS_SERVICE,
    "RunInstances-autoscaling-2026": ActorKind.AWS_SERVICE,
    "RunInstances-autoscaling-eks": ActorKind.AWS_SERVICE,
    "TerminateInstances-LookupEvents-two": ActorKind.ROOT,
    "TerminateInstances-autoscaling-2021": ActorKind.AWS_SERVICE,
}


class TestActors:
    @for_files(EVENTS)
    def test_only_text_of_the_identity_is_read(self, path: Path) -> None:
        entry, found = entry_of(path), read(path).actor
        identity = entry.get("userIdentity", {})
        issuer = identity.get("sessionContext", {}).get("sessionIssuer", {})
        assert found.arn == identity.get("arn")
        assert found.access_key_id == identity.get("accessKeyId")
        assert found.invoked_by == identity.get("invokedBy")
        assert found.role == issuer.get("userName")
        assert found.source_ip == entry.get("sourceIPAddress")
        assert found.agent.raw == entry.get("userAgent")
        assert found.service_account is None
        assert found.label

    @pytest.mark.parametrize(("stem", "kind"), KINDS.items())
    def test_the_kind_is_the_one_that_a_person_reads_from_it(self, stem: str, kind: ActorKind) -> None:
        chosen = [path for path in FILES if path.stem.startswith(stem)]
        assert {actor_of(entry_of(path)).kind for path in chosen} == {kind}
