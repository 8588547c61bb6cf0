"""A subnet census beside EC2: what only one of them has, and what EC2 was not asked about."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from calls import Eni, Record, create_network_interface
from cni import of_cni
from conftest import Run
from ec2_loopback import Ec2, ec2
from incidents import ACCOUNT, ADA, NODE, SUBNET, Incident, cni, create_subnet, node

OTHER = replace(SUBNET, id="subnet-0bbbbbbbbbbbbbbb9")
LEAKED = "eni-1aaaaaaaaaaaa001"
ELSEWHERE = "eni-0d000000000000001"


def leak() -> Incident:
    """A node with 1 IP, and an ENI with 3 IPs that the VPC CNI made for it and never attached."""
    story = Incident()
    story.log("09:00:00", ADA, create_subnet(cidr="10.9.0.0/24"))
    node(story, "10:00:00")
    eni = of_cni(
        Eni(LEAKED, SUBNET, "10.9.0.40", secondaries=("10.9.0.41", "10.9.0.42")), NODE, story.time("10:01:00")
    )
    story.log("10:01:00", cni(story), create_network_interface(eni))
    story.log("11:00:00", ADA, create_subnet(OTHER))
    return story


def saved(folder: Path, name: str, content: object) -> str:
    path = folder / name
    path.write_text(json.dumps(content))
    return str(path)


def trail(folder: Path, story: Incident) -> str:
    return saved(folder, "trail.json", {"Records": story._records})


def subnets(free: int, **fields: object) -> dict[str, list[Record]]:
    """The answer of DescribeSubnets."""
    found = {
        "SubnetId": SUBNET.id,
        "VpcId": SUBNET.vpc,
        "OwnerId": ACCOUNT,
        "CidrBlock": "10.9.0.0/24",
        "AvailableIpAddressCount": free,
        "AvailabilityZone": SUBNET.zone,
        **fields,
    }
    return {"Subnets": [found]}


def enis(*listed: Record) -> dict[str, list[Record]]:
    """The answer of DescribeNetworkInterfaces."""
    return {"NetworkInterfaces": list(listed)}


def eni(name: str, *ips: str, owner: str = ACCOUNT, subnet: str = SUBNET.id, on: str | None = None) -> Record:
    """An ENI as the AWS CLI prints it, perhaps attached to an instance."""
    attachment = {"AttachmentId": "eni-attach-0f0f0f0f0f0f0f0f0", "InstanceId": on, "DeviceIndex": 1}
    return {
        "NetworkInterfaceId": name,
        "OwnerId": owner,
        "AvailabilityZone": SUBNET.zone,
        "SubnetId": subnet,
        "PrivateIpAddresses": [{"PrivateIpAddress": ip} for ip in ips],
        **({"Attachment": attachment} if on else {}),
    }


OF_NODE = eni(NODE.replace("i-", "eni-"), "10.9.0.4", on=NODE)
OF_INSTANCE = {"InstanceId": NODE, "NetworkInterfaces": [OF_NODE]}


class TestOnlyInCloudTrail:
    def ask(self, run: Run, folder: Path, *answers: object) -> dict[str, Any]:
        files = [saved(folder, f"ec2-{number}.json", answer) for number, answer in enumerate(answers)]
        options = [argument for file in files for argument in ("--live", file)]
        result = run("subnet", SUBNET.id, trail(folder, leak()), *options, "-o", "jsonl")
        assert result.exit_code == 0, result.stderr
        census: dict[str, Any] = json.loads(result.stdout)
        return census

    def test_without_ec2_a_leaked_eni_could_be_reclaimed(self, run: Run, tmp_path: Path) -> None:
        census = self.ask(run, tmp_path)
        assert (census["seen"], census["live"]) == (4, None)
        assert [eni["eni"] for eni in census["reclaimable"]] == [LEAKED]

    def test_an_eni_that_ec2_does_not_list_cannot_be_reclaimed(self, run: Run, tmp_path: Path) -> None:
        census = self.ask(run, tmp_path, subnets(250), enis(OF_NODE))
        assert (census["seen"], census["reclaimable"]) == (4, [])
        assert census["live"]["only_in_cloudtrail"] == [LEAKED]
        assert census["live"]["addresses_only_in_cloudtrail"] == 3
        assert census["live"]["unaccounted"] == 0

    def test_an_eni_that_ec2_still_lists_could_be_reclaimed(self, run: Run, tmp_path: Path) -> None:
        census = self.ask(run, tmp_path, subnets(247), enis(OF_NODE, eni(LEAKED, "10.9.0.40")))
        assert [eni["eni"] for eni in census["reclaimable"]] == [LEAKED]
        assert (census["live"]["only_in_cloudtrail"], census["live"]["unaccounted"]) == ([], 0)

    def test_an_eni_that_is_attached_in_ec2_cannot_be_reclaimed(self, run: Run, tmp_path: Path) -> None:
        census = self.ask(run, tmp_path, subnets(247), enis(OF_NODE, eni(LEAKED, "10.9.0.40", on=NODE)))
        assert (census["live"]["only_in_cloudtrail"], census["reclaimable"]) == ([], [])

    @pytest.mark.parametrize(
        "answers",
        [
            pytest.param([subnets(250)], id="no list of ENIs"),
            pytest.param([subnets(250), [OF_NODE]], id="ENIs that a query took from a list"),
            pytest.param(
                [subnets(250), enis(eni(ELSEWHERE, "10.8.0.4", subnet=OTHER.id))],
                id="a list without an ENI of the subnet",
            ),
            pytest.param(
                [
                    subnets(250, OwnerId="333333333333"),
                    enis(eni(ELSEWHERE, "10.9.0.9", owner="222222222222")),
                ],
                id="another account, which does not own the subnet",
            ),
            pytest.param(
                [subnets(250), {"Reservations": [{"OwnerId": ACCOUNT, "Instances": [OF_INSTANCE]}]}],
                id="a list of instances",
            ),
        ],
    )
    def test_a_list_that_may_lack_an_eni_does_not_show_that_it_is_gone(
        self, run: Run, tmp_path: Path, answers: list[object]
    ) -> None:
        census = self.ask(run, tmp_path, *answers)
        assert [eni["eni"] for eni in census["reclaimable"]] == [LEAKED]
        assert (census["live"] or {}).get("only_in_cloudtrail", []) == []

    def test_the_owner_of_a_shared_subnet_sees_the_enis_of_all_accounts(
        self, run: Run, tmp_path: Path
    ) -> None:
        owner = "222222222222"
        listed = enis(eni(ELSEWHERE, "10.9.0.9", owner=owner))
        census = self.ask(run, tmp_path, subnets(250, OwnerId=owner), listed)
        assert LEAKED in census["live"]["only_in_cloudtrail"]

    def test_an_empty_subnet_in_ec2_has_no_eni_left(self, run: Run, tmp_path: Path) -> None:
        elsewhere = eni(ELSEWHERE, "10.8.0.4", subnet=OTHER.id)
        census = self.ask(run, tmp_path, subnets(251), enis(elsewhere))
        assert LEAKED in census["live"]["only_in_cloudtrail"]


class TestTable:
    def show(self, run: Run, folder: Path, *answers: object, output: str = "table") -> str:
        files = [saved(folder, f"ec2-{number}.json", answer) for number, answer in enumerate(answers)]
        options = [argument for file in files for argument in ("--live", file)]
        return run("subnet", SUBNET.id, trail(folder, leak()), *options, "-q", "-o", output).stdout

    def test_it_names_the_enis_that_only_one_side_has(self, run: Run, tmp_path: Path) -> None:
        text = self.show(run, tmp_path, subnets(249), enis(OF_NODE, eni(ELSEWHERE, "10.9.0.9")))
        lines = text.splitlines()
        assert lines[0].split("  ")[-1] == "FREE IN EC2"
        assert lines[1].split()[-4:] == ["251", "4", "1", "249"]
        assert "COULD BE RECLAIMED" not in text
        assert f"1 ENI only in EC2: {ELSEWHERE}." in lines
        assert f"1 ENI only in CloudTrail, with 3 of the addresses seen: {LEAKED}." in lines
        assert (
            "At least 1 address in use in EC2 now, but not seen: assigned later, or by an event that is not "
            "in the evidence." in lines
        )

    def test_it_says_that_addresses_seen_are_free_in_ec2(self, run: Run, tmp_path: Path) -> None:
        text = self.show(run, tmp_path, subnets(249), enis(OF_NODE, eni(LEAKED, "10.9.0.40")))
        assert text.splitlines()[1].split()[-4:] == ["251", "4", "-2", "249"]
        assert (
            "At least 2 addresses seen, but free in EC2 now: released later, or by an event that is not in "
            "the evidence.\n" in text
        )
        assert "free, or held by ENIs" not in text

    def test_it_adds_nothing_if_both_agree(self, run: Run, tmp_path: Path) -> None:
        text = self.show(run, tmp_path, subnets(247), enis(OF_NODE, eni(LEAKED, "10.9.0.40")))
        assert text.splitlines()[1].split()[-4:] == ["251", "4", "0", "247"]
        assert "only in" not in text
        assert "At least" not in text

    def test_csv_has_columns_for_ec2(self, run: Run, tmp_path: Path) -> None:
        text = self.show(run, tmp_path, subnets(249), enis(OF_NODE, eni(ELSEWHERE, "10.9.0.9")), output="csv")
        row = next(csv.DictReader(io.StringIO(text)))
        assert (row["unaccounted"], row["available"], row["unaccounted_in_ec2"]) == ("247", "249", "1")
        assert (row["only_in_ec2"], row["only_in_cloudtrail"]) == (ELSEWHERE, LEAKED)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ec2]:
    """EC2 on loopback, with made-up credentials."""
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "any")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "any")
    monkeypatch.setattr("cnitrail.sources.aws.MAX_ATTEMPTS", 1)
    with ec2() as server:
        yield server


class TestElsewhere:
    """The credentials are of another account, or the Region is another."""

    def test_a_subnet_that_ec2_does_not_have_is_a_warning(self, run: Run, aws: Ec2, tmp_path: Path) -> None:
        result = run("subnet", SUBNET.id, trail(tmp_path, leak()), "--live", "--endpoint-url", aws.url)
        assert result.exit_code == 3
        assert (
            f"warning: EC2 lists nothing of {SUBNET.id}, which CloudTrail shows in {ACCOUNT} in eu-west-1\n"
            "hint: --live needs credentials of that account (--profile) and its Region (--region)\n"
        ) in result.stderr
        assert LEAKED in result.stdout
        assert "only in CloudTrail" not in result.stdout

    def test_a_saved_list_of_another_subnet_is_a_warning(self, run: Run, tmp_path: Path) -> None:
        listing = saved(tmp_path, "ec2.json", subnets(10, SubnetId="subnet-0ccccccccccccccc1"))
        result = run("subnet", SUBNET.id, trail(tmp_path, leak()), "--live", listing, "-o", "jsonl")
        assert (result.exit_code, json.loads(result.stdout)["live"]) == (3, None)
        assert f"warning: EC2 lists nothing of {SUBNET.id}" in result.stderr

    def test_a_subnet_that_neither_has_is_told_apart(self, run: Run, tmp_path: Path) -> None:
        listing = saved(tmp_path, "ec2.json", subnets(10))
        other = "subnet-0ccccccccccccccc1"
        result = run("subnet", other, trail(tmp_path, leak()), "--live", listing)
        assert f"warning: nothing known of {other}: no event shows it, or an ENI in it, nor does EC2\n" in (
            result.stderr
        )
        assert "hint: check the ID, the account and the Region (--profile, --region)\n" in result.stderr


class TestStore:
    def test_a_store_answers_as_its_source_does(self, run: Run, tmp_path: Path) -> None:
        listings = [saved(tmp_path, "a.json", subnets(250)), saved(tmp_path, "b.json", enis(OF_NODE))]
        options = ["--live", listings[0], "--live", listings[1], "--at", "2026-03-02T11:00Z", "-o", "jsonl"]
        file, store = trail(tmp_path, leak()), tmp_path / "trail.db"
        assert run("collect", file, "--to", store).exit_code == 0
        answers = [run("subnet", SUBNET.id, source, *options).stdout for source in (file, store)]
        assert answers[0] == answers[1]
        assert json.loads(answers[1])["live"]["only_in_cloudtrail"] == [LEAKED]
