"""What a record may change: only resources of its account, and certainty only with complete evidence."""

import gzip
import json
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest
from conftest import Run
from records import ACCOUNT, ENI, INSTANCE, OTHER_ENI, SUBNET, VPC, Entry, addresses, items, record

OTHER_ACCOUNT = "444455556666"
DAY = "2024-05-14"
Answer = dict[str, Any]


def call(name: str, clock: str, request: Entry, response: Entry | None = None, **fields: Any) -> Entry:
    """A record of one call; ``clock`` is HH:MM:SS."""
    event_id = str(uuid5(NAMESPACE_URL, f"{name}{clock}{json.dumps(request, sort_keys=True)}"))
    done = {"requestId": "r", "_return": True} if response is None else response
    return record(name, request, done, eventTime=f"{DAY}T{clock}Z", eventID=event_id, **fields)


def create(clock: str, eni: str, primary: str, **fields: Any) -> Entry:
    described = {
        "networkInterfaceId": eni,
        "subnetId": SUBNET,
        "vpcId": VPC,
        "privateIpAddress": primary,
        "privateIpAddressesSet": {"item": [{"privateIpAddress": primary, "primary": True}]},
        "interfaceType": "interface",
    }
    return call(
        "CreateNetworkInterface", clock, {"subnetId": SUBNET}, {"networkInterface": described}, **fields
    )


def assign(
    clock: str, eni: str, ip: str, wrapper: str = "assignedPrivateIpAddressSetType", **fields: Any
) -> Entry:
    request = {"networkInterfaceId": eni, "privateIpAddressesSet": {}, "secondaryPrivateIpAddressCount": 1}
    given = {"networkInterfaceId": eni, "assignedPrivateIpAddressesSet": {wrapper: addresses(ip)}}
    return call("AssignPrivateIpAddresses", clock, request, given, **fields)


def reassign(clock: str, eni: str, ip: str, **fields: Any) -> Entry:
    named = items(*addresses(ip))
    request = {"networkInterfaceId": eni, "privateIpAddressesSet": named, "allowReassignment": True}
    given = {"networkInterfaceId": eni, "assignedPrivateIpAddressesSet": named}
    return call("AssignPrivateIpAddresses", clock, request, given, **fields)


def unassign(clock: str, eni: str, ip: str, **fields: Any) -> Entry:
    request = {"networkInterfaceId": eni, "privateIpAddressesSet": items(*addresses(ip))}
    return call("UnassignPrivateIpAddresses", clock, request, **fields)


def delete(clock: str, eni: str) -> Entry:
    return call("DeleteNetworkInterface", clock, {"networkInterfaceId": eni})


def attach(clock: str, eni: str) -> Entry:
    asked = {"networkInterfaceId": eni, "instanceId": INSTANCE, "deviceIndex": 1}
    return call("AttachNetworkInterface", clock, asked, {"attachmentId": "eni-attach-2"})


def run_instances(clock: str) -> Entry:
    first = {
        "networkInterfaceId": ENI,
        "subnetId": SUBNET,
        "vpcId": VPC,
        "privateIpAddress": "10.0.1.10",
        "privateIpAddressesSet": {"item": [{"privateIpAddress": "10.0.1.10", "primary": True}]},
        "attachment": {"attachmentId": "eni-attach-1", "deviceIndex": 0, "deleteOnTermination": True},
    }
    instance = {"instanceId": INSTANCE, "vpcId": VPC, "networkInterfaceSet": items(first)}
    return call("RunInstances", clock, {}, {"instancesSet": items(instance)})


def terminate(clock: str, previous: str | None) -> Entry:
    ended: Entry = {"instanceId": INSTANCE, "currentState": {"code": 48, "name": "terminated"}}
    if previous is not None:
        ended["previousState"] = {"code": 16, "name": previous}
    return call("TerminateInstances", clock, {}, {"instancesSet": items(ended)})


def describe(clock: str) -> Entry:
    return call("DescribeInstances", clock, {"instancesSet": {}, "filterSet": {}}, readOnly=True)


def minutes(first: int = 9 * 60, last: int = 12 * 60, step: int = 5) -> range:
    return range(first, last, step)


def name_of(minute: int) -> str:
    hour, rest = divmod(minute, 60)
    return f"{ACCOUNT}_CloudTrail_eu-west-1_20240514T{hour:02d}{rest:02d}Z_AAAAAAAAAAAAAAAA.json.gz"


class Trail:
    """A trail's log files, one every five minutes, each with at least one event."""

    def __init__(self, folder: Path, *records: Entry, quiet: range = range(0)) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        files: dict[int, list[Entry]] = {
            minute: [describe(f"{(minute - 3) // 60:02d}:{(minute - 3) % 60:02d}:00")]
            for minute in minutes()
            if minute not in quiet
        }
        for entry in records:
            hour, minute, _ = map(int, entry["eventTime"][11:19].split(":"))
            files.setdefault((hour * 60 + minute) // 5 * 5 + 5, []).append(entry)
        for minute, entries in files.items():
            self.path(minute).write_bytes(gzip.compress(json.dumps({"Records": entries}).encode()))

    def path(self, minute: int) -> Path:
        return self.folder / name_of(minute)

    def tear(self, minute: int) -> None:
        path = self.path(minute)
        path.write_bytes(path.read_bytes()[:-12])


@pytest.fixture
def who(run: Run) -> Any:
    def asked(ip: str, source: Path, clock: str, *more: str) -> Answer:
        result = run("who", ip, source, "--at", f"{DAY}T{clock}Z", "-o", "jsonl", *more)
        answer: Answer = json.loads(result.stdout)
        return answer | {
            "stderr": result.stderr,
            "status": result.exit_code,
            "enis": [holder["eni"] for holder in answer["holders"]],
            "because": "; ".join(reason["text"] for reason in answer["reasons"]),
            "codes": [reason["code"] for reason in answer["reasons"]],
        }

    return asked


STORY = (
    create("09:01:00", ENI, "10.0.1.10"),
    assign("09:02:00", ENI, "10.0.1.50"),
    create("09:05:00", OTHER_ENI, "10.0.1.11"),
    delete("11:00:00", ENI),
)


class TestOwners:
    """An ENI belongs to the account and Region that created it."""

    @pytest.mark.parametrize(
        "place",
        [{"recipientAccountId": OTHER_ACCOUNT}, {"awsRegion": "us-east-1"}],
        ids=["another account", "another Region"],
    )
    def test_a_record_of_another_account_or_region_moves_nothing_and_is_reported(
        self, tmp_path: Path, who: Any, place: Entry
    ) -> None:
        foreign = reassign("09:30:00", OTHER_ENI, "10.0.1.50", **place)
        answer = who("10.0.1.50", Trail(tmp_path / "logs", *STORY, foreign).folder, "10:00:00")
        assert (answer["verdict"], answer["enis"]) == ("certain", [ENI])
        assert (
            "is not used: the interface or instance belongs to another account or Region" in answer["because"]
        )
        assert answer["codes"] == ["assigned", "eni-deleted", "other-owner"]
        assert "belongs to another account or Region: set aside" in answer["stderr"]
        assert answer["status"] == 3

    def test_the_timeline_shows_it_as_set_aside(self, tmp_path: Path, run: Run) -> None:
        foreign = unassign("09:30:00", ENI, "10.0.1.50", recipientAccountId=OTHER_ACCOUNT)
        folder = Trail(tmp_path / "logs", *STORY, foreign).folder
        lines = run("timeline", folder, "--account", OTHER_ACCOUNT, "-o", "jsonl").stdout.splitlines()
        (entry,) = map(json.loads, lines)
        assert (entry["set_aside"], entry["removed"], entry["instance"]) == ("other-owner", [], None)
        assert entry["requested_addresses"] == ["10.0.1.50"]

    def test_without_a_creation_in_the_evidence_two_owners_cause_doubt(
        self, tmp_path: Path, who: Any
    ) -> None:
        theirs = assign("09:30:00", ENI, "10.0.1.51", recipientAccountId=OTHER_ACCOUNT)
        later = assign("11:00:00", ENI, "10.0.1.52")
        folder = Trail(tmp_path / "logs", assign("09:02:00", ENI, "10.0.1.50"), theirs, later).folder
        answer = who("10.0.1.50", folder, "10:00:00")
        assert (answer["verdict"], answer["enis"]) == ("likely", [ENI])
        assert "records of several accounts or Regions name" in answer["because"]

    def test_one_early_record_of_another_account_does_not_own_it(self, tmp_path: Path, who: Any) -> None:
        theirs = assign("09:01:00", ENI, "10.0.1.51", recipientAccountId=OTHER_ACCOUNT)
        ours = [assign(f"09:0{number}:00", ENI, f"10.0.1.{50 + number}") for number in (2, 3, 4)]
        answer = who("10.0.1.52", Trail(tmp_path / "logs", theirs, *ours).folder, "10:00:00")
        assert [holder["account"] for holder in answer["holders"]] == [ACCOUNT]

    def test_an_instance_belongs_to_whom_its_eni_belongs(self, tmp_path: Path, who: Any) -> None:
        theirs = terminate("09:01:30", None) | {"recipientAccountId": OTHER_ACCOUNT}
        folder = Trail(tmp_path / "logs", theirs, *STORY, attach("09:03:00", ENI)).folder
        (holder,) = who("10.0.1.50", folder, "10:00:00")["holders"]
        assert (holder["instance"], holder["instance_basis"]) == (INSTANCE, "attach")

    def test_a_correction_is_shown_as_one(self, tmp_path: Path, who: Any, run: Run) -> None:
        wrong = assign("09:02:00", ENI, "10.0.1.50")
        addendum = {"reason": "UPDATED_DATA", "originalEventID": wrong["eventID"]}
        right = assign("09:02:00", ENI, "10.0.1.60") | {"eventID": "corrected-1", "addendum": addendum}
        folder = Trail(tmp_path / "logs", *STORY, right).folder
        assert (
            f"event corrected-1, which corrects event {wrong['eventID']}"
            in (who("10.0.1.60", folder, "10:00:00")["because"])
        )
        lines = run("timeline", folder, "--event", "Assign*", "-o", "jsonl").stdout.splitlines()
        assert [json.loads(line)["correction_of"] for line in lines] == [wrong["eventID"]]

    def test_copies_that_differ_in_the_account_disagree(self, tmp_path: Path, who: Any) -> None:
        trail = Trail(tmp_path / "logs", *STORY)
        copies = [entry | {"recipientAccountId": "000000000000"} for entry in STORY]
        (trail.folder / "copies.json").write_text(json.dumps({"Records": copies}))
        answer = who("10.0.1.50", trail.folder, "10:00:00", "--account", ACCOUNT)
        assert (answer["verdict"], answer["enis"], answer["status"]) == ("likely", [ENI], 3)
        assert "disagree" in answer["because"]

    def test_an_export_without_accounts_still_agrees(self, tmp_path: Path, who: Any) -> None:
        trail = Trail(tmp_path / "logs", *STORY)
        bare = [
            {key: value for key, value in entry.items() if key != "recipientAccountId"} for entry in STORY
        ]
        (trail.folder / "copies.json").write_text(json.dumps({"Records": bare}))
        assert who("10.0.1.50", trail.folder, "10:00:00")["verdict"] == "certain"


class TestUnread:
    """Evidence that could not be read prevents ``certain`` for its account, Region and time."""

    THEFT = reassign("09:31:00", OTHER_ENI, "10.0.1.50")

    def test_a_torn_file_of_that_time_prevents_certain(self, tmp_path: Path, who: Any) -> None:
        trail = Trail(tmp_path / "logs", *STORY, self.THEFT)
        assert who("10.0.1.50", trail.folder, "10:00:00")["enis"] == [OTHER_ENI]
        trail.tear(9 * 60 + 35)
        assert who("10.0.1.50", trail.folder, "10:00:00")["verdict"] == "likely"

    def test_a_torn_file_of_another_time_or_account_does_not_matter(self, tmp_path: Path, who: Any) -> None:
        trail = Trail(tmp_path / "logs", *STORY)
        trail.tear(11 * 60 + 30)
        theirs = trail.path(9 * 60 + 35)
        elsewhere = trail.folder / theirs.name.replace(ACCOUNT, OTHER_ACCOUNT)
        elsewhere.write_bytes(theirs.read_bytes()[:-12])
        answer = who("10.0.1.50", trail.folder, "10:00:00")
        assert (answer["verdict"], answer["status"]) == ("certain", 3)

    @pytest.mark.parametrize("text", [b"", b"\x1f\x8b garbage", b"not JSON"])
    def test_a_file_in_which_nothing_can_be_read_prevents_certain(
        self, tmp_path: Path, who: Any, text: bytes
    ) -> None:
        trail = Trail(tmp_path / "logs", *STORY, self.THEFT)
        trail.path(9 * 60 + 35).write_bytes(text)
        answer = who("10.0.1.50", trail.folder, "10:00:00")
        assert (answer["verdict"], answer["enis"]) == ("likely", [ENI])
        assert "a log file or record for 111122223333 in eu-west-1 could not be read" in answer["because"]

    def test_a_record_without_a_readable_time_makes_its_eni_a_possible_holder(
        self, tmp_path: Path, who: Any
    ) -> None:
        theft = self.THEFT | {"eventTime": "10 March"}
        trail = Trail(tmp_path / "logs", *STORY)
        (trail.folder / "more.json").write_text(json.dumps({"Records": [theft]}))
        answer = who("10.0.1.50", trail.folder, "10:00:00")
        assert (answer["verdict"], answer["enis"]) == ("likely", [ENI])
        assert f"names it on {OTHER_ENI}: it may have been there" in answer["because"]

    def test_an_answer_from_a_damaged_file_is_never_certain(self, tmp_path: Path, who: Any, run: Run) -> None:
        trail = Trail(tmp_path / "logs", *STORY)
        path = trail.path(9 * 60 + 5)
        path.write_bytes(path.read_bytes()[:-8] + bytes(8))  # the checksum fails
        answer = who("10.0.1.50", trail.folder, "10:00:00")
        assert (answer["verdict"], answer["enis"]) == ("likely", [ENI])
        assert "comes from a damaged file: it may be altered" in answer["because"]
        lines = run("timeline", trail.folder, "--eni", ENI, "-o", "jsonl").stdout.splitlines()
        assert [json.loads(line)["damaged"] for line in lines] == [True, True, False]

    def test_an_intact_copy_of_the_same_record_makes_it_certain(self, tmp_path: Path, who: Any) -> None:
        trail = Trail(tmp_path / "logs", *STORY)
        path = trail.path(9 * 60 + 5)
        whole = path.read_bytes()
        path.write_bytes(whole[:-8] + bytes(8))
        (trail.folder / "again.json.gz").write_bytes(whole)
        assert "damaged file" not in who("10.0.1.50", trail.folder, "10:00:00")["because"]


class TestUnknownCoverage:
    """Less evidence never gives more certainty."""

    def asked(self, who: Any, folder: Path, *more: Entry, options: tuple[str, ...] = ()) -> Answer:
        folder.mkdir()
        (folder / "export.json").write_text(json.dumps({"Records": [*STORY, *more]}))
        answer: Answer = who("10.0.1.50", folder, "10:00:00", *options)
        return answer

    def test_an_export_of_only_some_events_is_not_certain(self, tmp_path: Path, who: Any) -> None:
        alone = self.asked(who, tmp_path / "alone")
        beside = self.asked(who, tmp_path / "beside", describe("09:00:30"), describe("10:59:00"))
        assert (alone["verdict"], beside["verdict"]) == ("likely", "likely")
        assert "coverage unknown" in alone["because"]

    def test_an_export_is_certain_with_assume_complete(self, tmp_path: Path, who: Any) -> None:
        answer = self.asked(who, tmp_path / "alone", options=("--assume-complete",))
        assert answer["verdict"] == "certain"

    def test_unreadable_evidence_counts_even_with_assume_complete(self, tmp_path: Path, who: Any) -> None:
        unreadable = reassign("09:31:00", OTHER_ENI, "10.0.1.50") | {"eventTime": "soon"}
        answer = self.asked(who, tmp_path / "alone", unreadable, options=("--assume-complete",))
        assert answer["verdict"] == "likely"

    def test_twenty_quiet_minutes_are_not_a_log_gap(self, tmp_path: Path, who: Any) -> None:
        quiet = range(9 * 60 + 35, 9 * 60 + 50)
        assert (
            who("10.0.1.50", Trail(tmp_path / "logs", *STORY, quiet=quiet).folder, "10:00:00")["verdict"]
            == "certain"
        )

    def test_ten_usual_pauses_are_a_log_gap(self, tmp_path: Path, who: Any) -> None:
        quiet = range(9 * 60 + 15, 10 * 60 + 10)
        answer = who("10.0.1.50", Trail(tmp_path / "logs", *STORY, quiet=quiet).folder, "10:30:00")
        assert answer["verdict"] == "likely"


class TestUnknownVpc:
    """Only a call that may take an address from another ENI causes doubt about its holder."""

    def test_an_address_assigned_by_count_causes_no_doubt(self, tmp_path: Path, who: Any) -> None:
        counted = assign("09:30:00", "eni-0cccccccccccccccc", "10.0.1.50")
        folder = Trail(tmp_path / "logs", *STORY, counted).folder
        assert who("10.0.1.50", folder, "10:00:00", "--vpc", VPC)["verdict"] == "certain"

    def test_a_primary_address_is_never_reassigned(self, tmp_path: Path, who: Any) -> None:
        taken = reassign("09:30:00", "eni-0cccccccccccccccc", "10.0.1.10")
        folder = Trail(tmp_path / "logs", *STORY, taken).folder
        assert who("10.0.1.10", folder, "10:00:00", "--vpc", VPC)["verdict"] == "certain"

    def test_an_eni_of_another_account_matters_only_in_a_shared_vpc(self, tmp_path: Path, who: Any) -> None:
        theirs = {"recipientAccountId": OTHER_ACCOUNT}
        taken = reassign("09:30:00", "eni-0cccccccccccccccc", "10.0.1.50", **theirs)
        alone = Trail(tmp_path / "alone", *STORY, taken).folder
        assert who("10.0.1.50", alone, "10:00:00", "--vpc", VPC)["verdict"] == "certain"
        shared = create("09:10:00", "eni-0dddddddddddddddd", "10.0.1.12", **theirs)
        both = Trail(tmp_path / "shared", *STORY, taken, shared).folder
        assert who("10.0.1.50", both, "10:00:00", "--vpc", VPC)["verdict"] == "likely"

    def test_a_reassignment_to_an_eni_of_unknown_vpc_causes_doubt(self, tmp_path: Path, who: Any) -> None:
        taken = reassign("09:30:00", "eni-0cccccccccccccccc", "10.0.1.50")
        folder = Trail(tmp_path / "logs", *STORY, taken).folder
        assert who("10.0.1.50", folder, "10:00:00", "--vpc", VPC)["verdict"] == "likely"
        assert who("10.0.1.50", folder, "09:20:00", "--vpc", VPC)["verdict"] == "certain"


class TestProofOfLife:
    """Later events of the same ENI and its instance make an open end certain."""

    NODE = (run_instances("09:01:00"), assign("09:02:00", ENI, "10.0.1.50"))

    def test_a_later_call_on_the_eni_counts(self, tmp_path: Path, who: Any) -> None:
        folder = Trail(tmp_path / "logs", *self.NODE, assign("11:00:00", ENI, "10.0.1.51")).folder
        answer = who("10.0.1.50", folder, "10:00:00")
        assert (answer["verdict"], answer["holders"][0]["instance"]) == ("certain", INSTANCE)
        assert who("10.0.1.50", folder, "11:30:00")["verdict"] == "likely"

    def test_a_termination_of_a_running_instance_counts(self, tmp_path: Path, who: Any) -> None:
        folder = Trail(tmp_path / "logs", *self.NODE, terminate("11:00:00", "running")).folder
        assert who("10.0.1.50", folder, "10:59:00")["verdict"] == "certain"
        assert who("10.0.1.50", folder, "11:01:00")["verdict"] == "unknown"

    @pytest.mark.parametrize("previous", ["terminated", "shutting-down", None])
    def test_a_termination_of_a_terminated_instance_does_not_count(
        self, tmp_path: Path, who: Any, previous: str | None
    ) -> None:
        folder = Trail(tmp_path / "logs", *self.NODE, terminate("11:00:00", previous)).folder
        answer = who("10.0.1.50", folder, "10:59:00")
        assert answer["verdict"] == "likely"
        assert f"{INSTANCE} ended at an unknown time before 2024-05-14 11:00:00Z" in answer["because"]

    def test_a_failed_call_does_not_count(self, tmp_path: Path, who: Any) -> None:
        refused = assign("11:00:00", ENI, "10.0.1.51") | {"errorCode": "Client.X", "responseElements": None}
        folder = Trail(tmp_path / "logs", *self.NODE, refused).folder
        assert who("10.0.1.50", folder, "10:00:00")["verdict"] == "likely"


class TestWrappers:
    def test_a_set_under_an_unrecorded_wrapper_is_read(self, tmp_path: Path, who: Any) -> None:
        odd = assign("09:03:00", ENI, "10.0.1.60", wrapper="someNewSetType")
        folder = Trail(tmp_path / "logs", *STORY, odd).folder
        assert who("10.0.1.60", folder, "10:00:00")["verdict"] == "certain"


class TestClustersOverTime:
    """The cluster is that at the time of the call, and a later tag hides no event."""

    @staticmethod
    def tag(clock: str, cluster: str) -> Entry:
        tagged = items({"key": f"kubernetes.io/cluster/{cluster}", "value": "owned"})
        return call("CreateTags", clock, {"resourcesSet": items({"resourceId": ENI}), "tagSet": tagged})

    def story(self, folder: Path) -> Path:
        tags = self.tag("09:01:30", "prod"), self.tag("10:00:00", "decoy")
        return Trail(folder, *STORY, *tags, assign("10:30:00", ENI, "10.0.1.51")).folder

    def test_the_timeline_of_a_cluster_has_events_from_before_another_tag(
        self, tmp_path: Path, run: Run
    ) -> None:
        folder = self.story(tmp_path / "logs")
        lines = run("timeline", folder, "--cluster", "prod", "-o", "jsonl").stdout.splitlines()
        found = [(entry["event"], entry["cluster"], entry["clusters"]) for entry in map(json.loads, lines)]
        assert found == [
            ("CreateTags", "prod", ["prod"]),
            ("AssignPrivateIpAddresses", "prod", ["prod"]),
            ("CreateTags", None, ["decoy", "prod"]),
            ("AssignPrivateIpAddresses", None, ["decoy", "prod"]),
            ("DeleteNetworkInterface", None, ["decoy", "prod"]),
        ]

    @pytest.mark.parametrize("cluster", ["prod", "decoy"])
    def test_leases_and_state_have_the_same_clusters(self, tmp_path: Path, run: Run, cluster: str) -> None:
        folder = self.story(tmp_path / "logs")
        leases = run("leases", folder, "--cluster", cluster, "--ip", "10.0.1.50", "-o", "jsonl").stdout
        assert len(leases.splitlines()) == 1
        late = f"{DAY}T10:20:00Z"
        state = run("state", folder, "--at", late, "--cluster", cluster, "-o", "jsonl").stdout
        assert [json.loads(line)["eni"] for line in state.splitlines()] == [ENI]


class TestLosers:
    def test_the_eni_that_loses_an_address_is_found_by_its_instance(self, tmp_path: Path, run: Run) -> None:
        node = (run_instances("09:01:00"), assign("09:02:00", ENI, "10.0.1.50"))
        theft = reassign("09:31:00", OTHER_ENI, "10.0.1.50")
        story = (*node, create("09:05:00", OTHER_ENI, "10.0.1.11"), theft)
        folder = Trail(tmp_path / "logs", *story).folder
        lines = run("timeline", folder, "--instance", INSTANCE, "-o", "jsonl").stdout.splitlines()
        last = json.loads(lines[-1])
        assert (last["eni"], last["moved"][0]["from_instance"]) == (OTHER_ENI, INSTANCE)
        assert run("findings", folder, "--instance", INSTANCE, "-o", "jsonl").stdout


class TestAttachments:
    def test_a_detachment_in_another_account_detaches_nothing(self, tmp_path: Path, who: Any) -> None:
        detach = call(
            "DetachNetworkInterface",
            "09:20:00",
            {"attachmentId": "eni-attach-1"},
            recipientAccountId=OTHER_ACCOUNT,
        )
        node = (run_instances("09:01:00"), assign("09:02:00", ENI, "10.0.1.50"), detach)
        folder = Trail(tmp_path / "logs", *node, assign("11:00:00", ENI, "10.0.1.51")).folder
        answer = who("10.0.1.50", folder, "10:00:00")
        assert (answer["verdict"], answer["holders"][0]["instance"]) == ("certain", INSTANCE)


class TestCredentialsOutliveAnInstance:
    def test_a_call_with_an_instance_role_does_not_show_that_the_instance_runs(
        self, tmp_path: Path, who: Any
    ) -> None:
        session = {
            "type": "AssumedRole",
            "principalId": f"AROAEXAMPLE:{INSTANCE}",
            "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/node/{INSTANCE}",
            "accountId": ACCOUNT,
            "sessionContext": {
                "sessionIssuer": {
                    "type": "Role",
                    "arn": f"arn:aws:iam::{ACCOUNT}:role/node",
                    "userName": "node",
                },
                "ec2RoleDelivery": "2.0",
            },
        }
        attach = call(
            "AttachNetworkInterface",
            "09:06:00",
            {"networkInterfaceId": OTHER_ENI, "instanceId": INSTANCE, "deviceIndex": 1},
            {"attachmentId": "eni-attach-2"},
        )
        story = (run_instances("09:01:00"), create("09:05:00", OTHER_ENI, "10.0.1.11"), attach)
        later = assign("11:00:00", OTHER_ENI, "10.0.1.60", userIdentity=session)
        folder = Trail(tmp_path / "logs", *story, later).folder
        answer = who("10.0.1.11", folder, "10:00:00")
        assert answer["verdict"] == "likely"
        assert f"no later event shows that {INSTANCE} was still running" in answer["because"]
