"""How callers are named: by what AWS writes; text that a caller chose is only a claim."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from callers import Caller, PodIdentity, Role, Session, assumed_role, iam_user, node_session, role_user
from calls import Call, Eni, Instance, assign, assign_named, attach, create_network_interface, done, unassign
from cni import CNI_1_18, CNI_1_20, CNI_1_21, launch, of_cni
from conftest import Run
from hypothesis import given, settings
from hypothesis import strategies as st
from incidents import (
    ACCOUNT,
    AWS_NODE,
    BOTO,
    CLI,
    NODE,
    NODE_ROLE,
    OTHER_NODE,
    PROVIDER,
    REGION,
    SUBNET,
    Incident,
    cni,
    node,
    second,
)

from cnitrail.decode import decode
from cnitrail.history import Ledger, build
from cnitrail.model import (
    Actor,
    ActorBasis,
    ActorKind,
    Agent,
    Finding,
    Origin,
    Record,
    Strength,
)
from cnitrail.model.callers import Names, named

OPERATOR = replace(AWS_NODE, agent=CNI_1_20, service_account="kube-system:cilium-operator")
POD = PodIdentity(
    Role(ACCOUNT, "quay-cni"),
    "quay",
    REGION,
    "aws-node-x7k2p",
    "91eee131-74f3-49d4-8f7c-bcde305c120b",
    "b81f0fef-97e9-47da-97a2-948c5bbcd1b3",
)
ADMIN = Role(ACCOUNT, "admin")
HOME = "198.51.100.7"


class Story(Incident):
    """An incident whose actors are tested."""

    def actor(self, clock: str, *, upside_down: bool = False) -> Actor:
        """Return the actor of the call at a time; records may be read in reverse order."""
        ledger = Ledger()
        entries = list(enumerate(self._records))
        for index, entry in reversed(entries) if upside_down else entries:
            fact = decode(Record((Origin("log.json.gz", index),), json.dumps(entry).encode())).fact
            if fact is not None:
                ledger.add(fact)
        history = build(ledger.events(), ledger.sessions())
        (event,) = (event for event in history.events if event.time == self.time(clock))
        return history.actors[event.key]

    def opened(self, clock: str, session: Session) -> Caller:
        """Open a session; return its caller."""
        self.log(clock, *session.opened)
        return session.caller


def grown(story: Incident, caller: Caller | None = None) -> Eni:
    """An ENI that the CNI created for a node."""
    node(story, "10:00:00")
    eni = of_cni(second(), NODE, story.time("10:01:00"))
    caller = caller or cni(story)
    story.log("10:01:00", caller, create_network_interface(eni))
    story.log("10:01:01", caller, attach(eni, NODE, 1))
    return eni


def by(story: Story, caller: Caller, eni: Eni, clock: str = "11:00:00") -> Actor:
    """Return the actor of an assignment by count."""
    story.log(clock, caller, assign(eni.id, "10.9.3.3"))
    return story.actor(clock)


def assumed(role: Role, session: str, agent: str = CNI_1_20, born: datetime | None = None) -> Caller:
    return role_user(role, session, born or Incident().time("10:50:00"), HOME, agent)


def describe(eni: Eni, text: str) -> Call:
    """A call that changes the description, which any caller may do."""
    asked = {"networkInterfaceId": eni.id, "description": {"value": text}}
    return Call("ModifyNetworkInterfaceAttribute", asked, done())


class TestSessions:
    def test_a_service_account_is_found_by_the_key_that_was_issued(self) -> None:
        story = Story()
        eni = grown(story)
        caller = story.opened("10:50:00", AWS_NODE.session(story.time("10:50:00"), 1))
        found = by(story, caller, eni)
        assert (found.kind, found.service_account) == (ActorKind.IRSA, "kube-system/aws-node")
        assert (found.basis.service_account, found.strength.service_account) == ("sts-event", "observed")

    def test_a_key_that_no_sts_event_issued_has_no_service_account(self) -> None:
        story = Story()
        eni = grown(story)
        caller = story.opened("10:50:00", AWS_NODE.session(story.time("10:50:00"), 1))
        other = replace(caller, identity=caller.identity | {"accessKeyId": "ASIAMALLORY1EXAMPLE"})
        found = by(story, other, eni)
        assert (found.kind, found.service_account) == (ActorKind.IRSA, None)

    def test_an_sts_event_after_the_call_does_not_count(self) -> None:
        story = Story()
        eni = grown(story)
        caller = story.opened("11:30:00", AWS_NODE.session(story.time("11:30:00"), 1))
        assert by(story, caller, eni, "11:00:00").service_account is None
        assert by(story, caller, eni, "11:30:00").service_account == "kube-system/aws-node"
        assert by(story, caller, eni, "12:00:00").service_account == "kube-system/aws-node"

    @pytest.mark.parametrize("issued", [True, False])
    def test_a_call_without_a_key_is_found_by_role_and_session(self, issued: bool) -> None:
        story = Story()
        eni = grown(story)
        session = AWS_NODE.session(story.time("10:50:00"), 1)
        if issued:
            story.opened("10:50:00", session)
        kept = {name: value for name, value in session.caller.identity.items() if name != "accessKeyId"}
        found = by(story, replace(session.caller, identity=kept), eni)
        assert found.service_account == ("kube-system/aws-node" if issued else None)

    def test_a_call_without_a_key_of_another_provider_is_not_that_session(self) -> None:
        story = Story()
        eni = grown(story)
        session = AWS_NODE.session(story.time("10:50:00"), 1)
        story.opened("10:50:00", session)
        elsewhere = replace(AWS_NODE, provider=f"{PROVIDER}X").session(story.time("10:50:00"), 1).caller
        kept = {name: value for name, value in elsewhere.identity.items() if name != "accessKeyId"}
        assert by(story, replace(elsewhere, identity=kept), eni).service_account is None

    @pytest.mark.parametrize("issued", [True, False])
    def test_eks_pod_identity_shows_only_in_its_sts_event(self, issued: bool) -> None:
        story = Story()
        eni = grown(story)
        session = POD.session(story.time("10:50:00"), "203.0.113.9", CNI_1_20)
        if issued:
            story.opened("10:50:00", session)
        found = by(story, session.caller, eni)
        if issued:
            assert (found.kind, found.label) == (ActorKind.POD_IDENTITY, "kube-system/aws-node")
            assert (found.cluster, found.strength.cluster, found.ipamd) == ("quay", "observed", "sts-event")
        else:
            assert (found.kind, found.service_account) == (ActorKind.ASSUMED_ROLE, None)
            assert (found.cluster, found.ipamd) == (None, None)

    def test_who_assumed_a_role_is_found_by_the_key(self) -> None:
        story = Story()
        eni = grown(story)
        mallory = iam_user(ACCOUNT, "mallory", HOME, CLI)
        session = node_session(ADMIN, NODE, story.time("10:50:00"), HOME, CLI)
        story.log("10:50:00", mallory, session.opened[1])
        caller = session.caller
        del caller.identity["sessionContext"]["ec2RoleDelivery"]
        found = by(story, caller, eni)
        assert found.assumed_by == f"arn:aws:iam::{ACCOUNT}:user/mallory"
        assert (found.kind, found.label) == (ActorKind.ASSUMED_ROLE, f"admin/{NODE}")
        assert (found.instance, found.claimed_instance) == (None, NODE)

    def test_an_assume_role_after_the_call_does_not_count(self) -> None:
        story = Story()
        eni = grown(story)
        session = node_session(ADMIN, "ada", story.time("10:50:00"), HOME, CLI)
        story.log("11:30:00", iam_user(ACCOUNT, "ada", HOME, CLI), session.opened[1])
        assert by(story, session.caller, eni).assumed_by is None

    def test_the_order_of_records_does_not_matter(self) -> None:
        story = Story()
        eni = grown(story)
        caller = story.opened("10:50:00", AWS_NODE.session(story.time("10:50:00"), 1))
        assert by(story, caller, eni) == story.actor("11:00:00", upside_down=True)


class TestCluster:
    @pytest.mark.parametrize(
        ("key", "strength"),
        [("aws:eks:cluster-name", Strength.PROVEN), ("eks:cluster-name", Strength.CLAIMED)],
    )
    def test_a_tag_that_only_aws_can_write_is_proven_and_any_other_is_claimed(
        self, key: str, strength: Strength
    ) -> None:
        story = Story()
        first = Eni("eni-0aaaaaaaaaaaaaaa1", SUBNET, "10.9.0.4", "eni-attach-0aaaaaaaaaaaaaaa1")
        launch(story, "10:00:00", NODE_ROLE, Instance(NODE, "m5.large", first, {key: "quay"}))
        found = by(story, cni(story), first)
        assert (found.cluster, found.basis.cluster) == ("quay", "tag")
        assert found.strength.cluster is strength

    def test_the_cluster_in_a_role_s_name_is_claimed(self) -> None:
        story = Story()
        eni = second()
        role = Role(ACCOUNT, "eksctl-prod-nodegroup-apps-NodeInstanceRole-Q4TZ8W1MKX2D")
        found = by(story, assumed(role, "mallory"), eni)
        assert (found.cluster, found.basis.cluster, found.strength.cluster) == (
            "prod",
            "role-name",
            "claimed",
        )


class TestTheCni:
    @pytest.mark.parametrize(
        ("agent", "rule"), [(CNI_1_18, "user-agent"), (CNI_1_21, "user-agent"), (CNI_1_20, "eni-lineage")]
    )
    def test_a_node_role_on_an_eni_that_the_cni_created_is_the_cni(self, agent: str, rule: str) -> None:
        story = Story()
        eni = grown(story)
        assert by(story, cni(story, NODE, agent), eni).ipamd == rule

    @pytest.mark.parametrize(
        ("agent", "rule"), [(CNI_1_18, "user-agent"), (CNI_1_21, "user-agent"), (CNI_1_20, "sts-event")]
    )
    def test_its_own_service_account_is_the_cni(self, agent: str, rule: str) -> None:
        story = Story()
        eni = grown(story)
        irsa = replace(AWS_NODE, agent=agent)
        caller = story.opened("10:50:00", irsa.session(story.time("10:50:00"), 1))
        assert by(story, caller, eni).ipamd == rule

    @pytest.mark.parametrize("agent", [CNI_1_18, CNI_1_20, CNI_1_21])
    def test_another_service_account_is_never_the_cni(self, agent: str) -> None:
        story = Story()
        eni = grown(story)
        irsa = replace(OPERATOR, agent=agent)
        caller = story.opened("10:50:00", irsa.session(story.time("10:50:00"), 1))
        found = by(story, caller, eni)
        assert (found.label, found.ipamd) == ("kube-system/cilium-operator", None)

    def test_a_pod_with_a_name_like_aws_node_is_what_its_sts_event_says(self) -> None:
        story = Story()
        eni = grown(story)
        pod = replace(POD, pod="x-aws-node-y")
        session = pod.session(story.time("10:50:00"), "203.0.113.9", CNI_1_20)
        request = session.opened[1].request
        assert request is not None
        for tag in request["tags"]:
            if tag["key"] == "kubernetes-service-account":
                tag["value"] = "web"
        found = by(story, story.opened("10:50:00", session), eni)
        assert (found.service_account, found.ipamd) == ("kube-system/web", None)

    @pytest.mark.parametrize("agent", [CNI_1_18, CNI_1_20, CNI_1_21])
    @pytest.mark.parametrize(
        "session", [NODE, "aws-node", POD.session_uuid, f"eks-quay-aws-node-{POD.session_uuid}"]
    )
    def test_a_role_session_is_never_the_cni_whatever_its_name(self, agent: str, session: str) -> None:
        story = Story()
        eni = grown(story)
        for role in (ADMIN, Role(ACCOUNT, "kube-system")):
            found = by(story, assumed(role, session, agent), eni, f"11:00:0{len(role.name) % 10}")
            assert (found.kind, found.ipamd) == (ActorKind.ASSUMED_ROLE, None)

    def test_the_role_that_created_the_eni_is_still_the_cni_without_its_sts_event(self) -> None:
        story = Story()
        first = story.opened("10:00:30", POD.session(story.time("10:00:30"), "203.0.113.9", CNI_1_20))
        eni = grown(story, first)
        later = replace(POD, session_uuid="00000000-97e9-47da-97a2-948c5bbcd1b3")
        unseen = later.session(story.time("10:50:00"), "203.0.113.9", CNI_1_20).caller
        assert by(story, unseen, eni).ipamd == "eni-lineage"

    def test_a_person_who_assumed_that_role_is_not_the_cni(self) -> None:
        story = Story()
        first = story.opened("10:00:30", POD.session(story.time("10:00:30"), "203.0.113.9", CNI_1_20))
        eni = grown(story, first)
        session = node_session(POD.role, "mallory", story.time("10:50:00"), HOME, CNI_1_20)
        story.log("10:50:00", iam_user(ACCOUNT, "mallory", HOME, CLI), session.opened[1])
        assert by(story, session.caller, eni).ipamd is None

    def test_a_later_description_does_not_affect_an_earlier_call(self) -> None:
        story = Story()
        node(story, "10:00:00")
        eni, ada = second(), iam_user(ACCOUNT, "ada", HOME, CLI)
        story.log("10:01:00", ada, create_network_interface(eni))
        story.log("11:30:00", ada, describe(eni, f"aws-K8S-{NODE}"))
        assert by(story, cni(story, NODE, CNI_1_20), eni).ipamd is None

    def test_a_node_role_that_creates_an_eni_for_another_node_is_not_the_cni(self) -> None:
        story = Story()
        node(story, "10:00:00")
        eni = of_cni(second(), OTHER_NODE, story.time("10:01:00"))
        story.log("10:01:00", cni(story, NODE, CNI_1_20), create_network_interface(eni))
        assert story.actor("10:01:00").ipamd is None

    def test_a_record_older_than_ec2_role_delivery_is_the_cni_by_user_agent(self) -> None:
        story = Story()
        story._day = datetime(2019, 11, 20, tzinfo=UTC)
        born = story.time("10:50:00")
        eni = second()
        found = by(story, assumed(NODE_ROLE, NODE, CNI_1_18, born), eni)
        assert (found.kind, found.instance, found.claimed_instance) == (ActorKind.ASSUMED_ROLE, None, NODE)
        assert found.ipamd == "user-agent"

    def test_an_iam_user_is_never_the_cni(self) -> None:
        story = Story()
        eni = grown(story)
        for number, agent in enumerate((CNI_1_18, CNI_1_20, CNI_1_21)):
            found = by(story, iam_user(ACCOUNT, "mallory", HOME, agent), eni, f"11:00:0{number}")
            assert found.ipamd is None


NAMES = st.sampled_from(
    [
        *("kube-system", "aws-node", "root", "autoscaling.amazonaws.com", "AWSServiceRoleForAutoScaling"),
        *("AWSReservedSSO_Admin_0123456789abcdef", "eksctl-quay-addon-vpc-cni-Role1-AAAAAAAAAAAA", NODE),
        *(f"eks-quay-aws-node-{POD.session_uuid}", "1772444400000000000", "Automation", "x"),
    ]
)
PATHS = st.sampled_from(
    [
        "/",
        "/x/",
        "/x:role/aws-service-role/autoscaling.amazonaws.com/",
        "/x:role/aws-reserved/sso.amazonaws.com/",
    ]
)
AGENTS = st.sampled_from(
    [
        *(CNI_1_18, CNI_1_20, CNI_1_21, CLI, BOTO, f"{BOTO} amazon-vpc-cni-k8s/v1.22.0", "ec2.amazonaws.com"),
        *(
            f"{CLI} app/amazon-vpc-cni-k8s",
            "autoscaling.amazonaws.com",
            "AWS Internal",
            "",
            "eks.amazonaws.com",
        ),
        "aws-sdk-go/1.44.0 amazon-vpc-resource-controller-k8s/v1.7.0",
    ]
)


class TestAttacker:
    """A caller who can choose every string, but not what AWS writes."""

    @given(
        role=NAMES, session=NAMES, path=PATHS, agent=AGENTS, described=st.booleans(), by_name=st.booleans()
    )
    @settings(deadline=None, max_examples=150)
    def test_no_choice_of_strings_makes_a_fact(
        self, role: str, session: str, path: str, agent: str, described: bool, by_name: bool
    ) -> None:
        story = Story()
        eni = grown(story)
        mallory = role_user(Role(ACCOUNT, role, path=path), session, story.time("10:50:00"), HOME, agent)
        if described:
            story.log("10:55:00", mallory, describe(eni, f"aws-K8S-{OTHER_NODE}"))
        call = assign_named if by_name else assign
        story.log("11:00:00", mallory, call(eni.id, "10.9.3.3"))
        found = story.actor("11:00:00")
        assert found.kind is ActorKind.ASSUMED_ROLE
        assert (found.instance, found.service_account, found.ipamd, found.user) == (None, None, None, None)
        assert found.cluster is None or found.strength.cluster is Strength.CLAIMED
        assert named(found) == f"{role}/{session} (assumed role)"


class TestFindings:
    """Text that a caller can choose never exempts it from a finding."""

    def foreign(self, caller: Caller) -> list[Finding]:
        story = Story()
        eni = grown(story)
        story.log("11:00:00", caller, assign(eni.id, "10.9.3.3"))
        story.log("11:00:01", caller, unassign(eni.id, "10.9.3.3"))
        return story.found("address-assigned-by-hand", "09:00:00", "12:00:00")

    @pytest.mark.parametrize(
        "agent",
        [
            *(CNI_1_18, CNI_1_20, CNI_1_21, "ec2.amazonaws.com", "ec2.amazonaws.com/1 Botocore/1.44.8"),
            *("AWS Internal", "autoscaling.amazonaws.com", f"{BOTO} amazon-vpc-cni-k8s/v1.22.0"),
            *(f"{CLI} app/amazon-vpc-cni-k8s", "aws-sdk-go/1.44.0 amazon-vpc-resource-controller-k8s/v1.7.0"),
        ],
    )
    @pytest.mark.parametrize("name", ["mallory", "autoscaling.amazonaws.com", "root"])
    def test_a_user_with_any_user_agent_is_foreign(self, agent: str, name: str) -> None:
        (found,) = self.foreign(iam_user(ACCOUNT, name, HOME, agent))
        assert found.sentence.startswith(f"{name} (IAM user")

    @pytest.mark.parametrize("service", ["ssm.amazonaws.com", "states.amazonaws.com", "AWS Internal"])
    def test_a_service_with_a_customer_role_is_foreign(self, service: str) -> None:
        identity = assumed_role(ADMIN, "mallory", Incident().time("10:50:00")) | {"invokedBy": service}
        (found,) = self.foreign(Caller(identity, service, service, tls=False))
        assert found.sentence.startswith(f"admin/mallory (assumed role, {service}) assigned")

    def test_another_service_account_is_foreign(self) -> None:
        story = Story()
        eni = grown(story)
        caller = story.opened("10:50:00", OPERATOR.session(story.time("10:50:00"), 1))
        story.log("11:00:00", caller, assign(eni.id, "10.9.3.3"))
        (found,) = story.found("address-assigned-by-hand", "09:00:00", "12:00:00")
        assert found.sentence.startswith(
            "kube-system/cilium-operator (IRSA, cluster quay, aws-sdk-go-v2/1.39.2) assigned"
        )

    def test_the_vpc_resource_controller_changes_no_addresses_of_the_cni(self) -> None:
        agent = "aws-sdk-go/1.44.0 (go1.20; linux; amd64) amazon-vpc-resource-controller-k8s/v1.7.0"
        assert len(self.foreign(assumed(Role(ACCOUNT, "quay-cluster"), "vrc", agent))) == 1

    def test_no_finding_for_a_nameless_go_program_with_a_role(self) -> None:
        assert self.foreign(assumed(NODE_ROLE, "kiam-kiam", CNI_1_20)) == []


def irsa(role: str, cluster: str | None, account: str = ACCOUNT) -> Actor:
    return Actor(
        kind=ActorKind.IRSA,
        label="kube-system/aws-node",
        arn=None,
        account=account,
        role=role,
        session=None,
        user=None,
        service_account="kube-system/aws-node",
        cluster=cluster,
        oidc_provider=None,
        instance=None,
        access_key_id=None,
        source_ip=None,
        invoked_by=None,
        agent=Agent(None, None, None),
        basis=ActorBasis(),
        role_arn=f"arn:aws:iam::{account}:role/{role}",
    )


class TestNames:
    def test_a_name_is_shown_with_its_kind(self) -> None:
        assert named(irsa("cni", None)) == "kube-system/aws-node (IRSA)"

    def test_service_accounts_of_two_clusters_differ_in_name(self) -> None:
        blue, green = irsa("blue-cni", "blue"), irsa("green-cni", "green")
        names = Names([(blue, None), (green, None)])
        assert names(blue) == "kube-system/aws-node (IRSA, cluster blue)"
        assert names(green) == "kube-system/aws-node (IRSA, cluster green)"

    def test_one_role_in_two_clusters_has_two_names(self) -> None:
        names = Names([(irsa("cni", "blue"), None), (irsa("cni", "green"), None)])
        assert names(irsa("cni", "blue")) == "kube-system/aws-node (IRSA, cluster blue)"

    def test_roles_that_claim_one_cluster_are_shown_with_their_arn(self) -> None:
        names = Names([(irsa("cni", "blue"), None), (irsa("cni", "blue", "222222222222"), None)])
        assert names(irsa("cni", "blue")) == f"kube-system/aws-node (IRSA, arn:aws:iam::{ACCOUNT}:role/cni)"

    def test_a_single_principal_is_shown_with_only_its_kind(self) -> None:
        names = Names([(irsa("cni", "blue"), None), (irsa("cni", None), None)])
        assert names(irsa("cni", "blue")) == "kube-system/aws-node (IRSA)"


class TestTable:
    def test_calls_of_two_principals_with_one_label_have_two_lines(self, run: Run, tmp_path: Path) -> None:
        story = Story()
        eni = grown(story)
        caller = story.opened("10:59:00", AWS_NODE.session(story.time("10:59:00"), 1))
        impostor = assumed(Role(ACCOUNT, "kube-system"), "aws-node", CNI_1_18)
        story.log("11:00:00", caller, assign(eni.id, "10.9.3.3"))
        story.log("11:00:03", impostor, assign(eni.id, "10.9.3.4"))
        log = tmp_path / "log.json"
        log.write_text(json.dumps({"Records": story._records}))
        shown = run("timeline", log, "--event", "Assign*", "-q", env={"COLUMNS": "200"}).stdout
        rows = [" ".join(line.split()) for line in shown.splitlines() if "AssignPrivateIpAddresses" in line]
        assert len(rows) == 2
        assert "kube-system/aws-node (IRSA) amazon-vpc-cni-k8s" in rows[0]
        assert "kube-system/aws-node (assumed role) amazon-vpc-cni-k8s" in rows[1]
