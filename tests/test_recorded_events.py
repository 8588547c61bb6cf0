"""Recorded CloudTrail events: each is read as its JSON says, or passed over.

The recordings lie beside this project and are no part of it. They are read here a second time, by
the keys of the JSON alone, and the two readings are compared.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from records import Entry, compact, decoded, scanned, zipped

from cnitrail.decode import NAMES, decode
from cnitrail.decode.actor import actor
from cnitrail.model import ActorKind, Event, IssuedSession, Record

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
    """Every value that stands under a key, at any depth."""
    if isinstance(node, dict):
        for name, inner in node.items():
            if name == key:
                yield inner
            yield from values(inner, key)
    elif isinstance(node, list):
        for inner in node:
            yield from values(inner, key)


def names(node: object, key: str) -> set[str]:
    return {each for each in values(node, key) if isinstance(each, str)}


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


def each(paths: list[Path], *events: str) -> pytest.MarkDecorator:
    """A test of the recordings of some events."""
    chosen = [path for path in paths if not events or path.stem.startswith(events)]
    return pytest.mark.parametrize("path", chosen, ids=lambda path: path.stem)


class TestScan:
    @every_file
    def test_a_recording_is_a_document_that_can_be_read(self, path: Path) -> None:
        for text in (path.read_bytes(), zipped(path.read_bytes())):
            reading = scanned(text)
            assert reading.skipped == []
            assert reading.tally.records == 1

    @every_file
    def test_what_the_scan_hands_on_is_decoded_like_the_record_itself(self, path: Path) -> None:
        entry = entry_of(path)
        found = scanned(path.read_bytes()).records
        if found:
            assert decode(Record(found[0].origins, found[0].payload)).problems == decoded(entry).problems
        else:
            assert decoded(entry).fact is None

    def test_all_of_them_in_one_log_file(self) -> None:
        entries = [entry_of(path) for path in FILES]
        always = set(NAMES) - {"AssumeRole"}  # by AWS services it is of no matter
        relevant = [entry["eventName"] for entry in entries if entry["eventName"] in always]
        reading = scanned(zipped(compact({"Records": entries})))
        assert reading.skipped == []
        assert reading.tally.records == len(FILES)
        assert [name for name in reading.names if name in always] == relevant

    @each(FILES, "AssumeRole-cross")
    def test_an_assumption_by_another_account_says_which(self, path: Path) -> None:
        session = decoded(entry_of(path)).fact
        assert isinstance(session, IssuedSession)
        assert (session.assumer, session.service_account) == ("774305579662", None)


class TestPassedOver:
    @pytest.mark.parametrize(
        "path",
        [path for path in FILES if entry_of(path)["eventName"] not in NAMES],
        ids=lambda path: path.stem,
    )
    def test_a_call_that_moves_nothing_is_of_no_matter(self, path: Path) -> None:
        assert decoded(entry_of(path)).fact is None
        assert decoded(entry_of(path)).problems == ()

    @each(FILES, "AssumeRole-spotfleet", "AssumeRoleWithWebIdentity")
    def test_a_session_of_nobody_in_a_cluster_is_of_no_matter(self, path: Path) -> None:
        assert decoded(entry_of(path)).fact is None
        assert decoded(entry_of(path)).problems == ()

    @pytest.mark.parametrize(
        "path",
        [path for path in FILES if is_relevant(path) and "eventTime" not in entry_of(path)],
        ids=lambda path: path.stem,
    )
    def test_a_fragment_without_a_time_is_no_event(self, path: Path) -> None:
        assert decoded(entry_of(path)).fact is None


class TestEvents:
    @each(EVENTS)
    def test_the_frame_is_read_as_it_stands(self, path: Path) -> None:
        entry, event = entry_of(path), read(path)
        written = entry["eventTime"].replace(" ", "T")[:19]
        assert event.time == datetime.strptime(written, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
        assert event.name == entry["eventName"]
        assert event.event_id == entry.get("eventID")
        assert event.region == entry.get("awsRegion")
        assert event.account == entry.get(
            "recipientAccountId", entry.get("userIdentity", {}).get("accountId")
        )

    @each(WHOLE)
    def test_a_whole_record_is_no_problem(self, path: Path) -> None:
        assert decoded(entry_of(path)).problems == ()

    @each(EVENTS, MASKED)
    def test_an_address_that_was_masked_by_whoever_published_it_is_told(self, path: Path) -> None:
        assert decoded(entry_of(path)).problems == (
            "RunInstances: privateIpAddressesSet.privateIpAddress is '000.00.00.000', not an address",
        )

    @each(FAILED)
    def test_a_failed_call_says_why_and_changes_nothing(self, path: Path) -> None:
        entry, event = entry_of(path), read(path)
        assert event.failure is not None
        assert event.failure.code == entry["errorCode"]
        assert event.failure.message == entry.get("errorMessage")
        assert [(each.added, each.removed) for each in event.subjects] == [((), ())] * len(event.subjects)

    @each(DONE)
    def test_a_call_that_was_done_has_no_failure(self, path: Path) -> None:
        assert read(path).failure is None

    @each(EVENTS)
    def test_no_interface_instance_or_attachment_is_invented(self, path: Path) -> None:
        entry = entry_of(path)
        for subject in read(path).subjects:
            assert subject.eni is None or subject.eni in names(entry, "networkInterfaceId")
            assert subject.attachment is None or subject.attachment in names(entry, "attachmentId")
            assert subject.instance is None or subject.instance in json.dumps(entry)
            for holding in subject.added:
                assert f'"{holding.held}"' in json.dumps(entry["responseElements"])


class TestAddresses:
    @each(DONE, "AssignPrivateIpAddresses")
    def test_those_assigned_are_those_of_the_response(self, path: Path) -> None:
        entry = entry_of(path)
        (subject,) = read(path).subjects
        assert subject.eni == entry["responseElements"]["networkInterfaceId"]
        assert {str(each.held) for each in subject.added} == names(
            entry["responseElements"], "privateIpAddress"
        )
        assert {each.kind for each in subject.added} == {"secondary"}
        assert subject.reassign is entry["requestParameters"].get("allowReassignment", False)

    @each(DONE, "UnassignPrivateIpAddresses")
    def test_those_released_are_those_of_the_request(self, path: Path) -> None:
        entry = entry_of(path)
        (subject,) = read(path).subjects
        assert subject.eni == entry["requestParameters"]["networkInterfaceId"]
        assert {str(each) for each in subject.removed} == names(
            entry["requestParameters"], "privateIpAddress"
        )

    @each(FAILED, "AssignPrivateIpAddresses", "UnassignPrivateIpAddresses")
    def test_those_asked_for_in_vain_are_kept(self, path: Path) -> None:
        request = entry_of(path)["requestParameters"]
        (subject,) = read(path).subjects
        assert subject.eni == request["networkInterfaceId"]
        assert set(subject.requested_addresses) == names(request, "privateIpAddress")
        assert subject.requested == request.get("secondaryPrivateIpAddressCount")

    @each(FAILED, "CreateNetworkInterface")
    def test_those_of_an_interface_in_vain_are_kept_too(self, path: Path) -> None:
        request = entry_of(path)["requestParameters"]
        (subject,) = read(path).subjects
        assert subject.subnet == request["subnetId"]
        assert set(subject.requested_addresses) == names(request, "privateIpAddress")
        assert subject.description == request.get("description")


class TestInterfaces:
    @each(DONE, "CreateNetworkInterface")
    def test_a_new_interface_is_the_one_of_the_response(self, path: Path) -> None:
        described = entry_of(path)["responseElements"]["networkInterface"]
        (subject,) = read(path).subjects
        assert subject.eni == described["networkInterfaceId"]
        assert (subject.vpc, subject.subnet) == (described["vpcId"], described["subnetId"])
        assert subject.description == described["description"]
        assert {(str(each.held), each.kind.value) for each in subject.added} == {
            (each["privateIpAddress"], "primary" if each["primary"] else "secondary")
            for each in described["privateIpAddressesSet"]["item"]
        }
        assert dict(subject.tags) == {each["key"]: each["value"] for each in described["tagSet"]["items"]}

    @each(DONE, "AttachNetworkInterface")
    def test_an_attachment_is_the_one_of_the_response(self, path: Path) -> None:
        entry = entry_of(path)
        (subject,) = read(path).subjects
        assert subject.attachment == entry["responseElements"]["attachmentId"]
        assert subject.eni == entry["requestParameters"]["networkInterfaceId"]
        assert subject.instance == entry["requestParameters"]["instanceId"]
        assert subject.device_index == entry["requestParameters"]["deviceIndex"]

    @each(EVENTS, "ModifyNetworkInterfaceAttribute")
    def test_an_attribute_is_the_one_of_the_request(self, path: Path) -> None:
        request = entry_of(path)["requestParameters"]
        (subject,) = read(path).subjects
        assert subject.eni == request["networkInterfaceId"]
        assert subject.description == request.get("description", {}).get("value")
        assert subject.delete_on_termination is None


class TestInstances:
    @each(DONE, "RunInstances")
    def test_every_launched_interface_is_read(self, path: Path) -> None:
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
                subject.device_index,
                subject.delete_on_termination,
                next(
                    (str(each.held) for each in subject.added if each.kind.value == "primary"),
                    "000.00.00.000",
                ),
                subject.vpc,
                subject.subnet,
                subject.instance_type,
            )
            for subject in read(path).subjects
            if subject.eni
        } == described

    @each(DONE, "RunInstances")
    def test_every_launched_instance_is_read(self, path: Path) -> None:
        subjects = read(path).subjects
        assert {subject.instance for subject in subjects if subject.instance} == names(
            entry_of(path).get("responseElements"), "instanceId"
        )

    @each(FAILED, "RunInstances")
    def test_a_launch_in_vain_keeps_what_was_asked(self, path: Path) -> None:
        request = entry_of(path)["requestParameters"] or {}
        for subject in read(path).subjects:
            assert subject.instance is None
            assert subject.instance_type == request.get("instanceType")

    @each(DONE, "TerminateInstances")
    def test_every_terminated_instance_is_read(self, path: Path) -> None:
        assert {subject.instance for subject in read(path).subjects} == names(
            entry_of(path)["requestParameters"], "instanceId"
        )

    @each(DONE, "BidEvictedEvent")
    def test_every_evicted_instance_is_read(self, path: Path) -> None:
        assert [subject.instance for subject in read(path).subjects] == entry_of(path)["serviceEventDetails"][
            "instanceIdSet"
        ]


class TestSessions:
    @each(FILES, "AssumeRole-pods.eks")
    def test_the_session_of_a_pod_is_read(self, path: Path) -> None:
        entry = entry_of(path)
        session = decoded(entry).fact
        assert isinstance(session, IssuedSession)
        tags = {each["key"]: each["value"] for each in entry["requestParameters"]["tags"]}
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
    @each(EVENTS)
    def test_nothing_is_read_that_the_identity_does_not_say(self, path: Path) -> None:
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
    def test_the_kind_is_the_one_that_a_person_reads(self, stem: str, kind: ActorKind) -> None:
        chosen = [path for path in FILES if path.stem.startswith(stem)]
        assert {actor(entry_of(path)).kind for path in chosen} == {kind}
