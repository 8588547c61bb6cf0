"""Failing calls in other shapes: other codes and sessions, several nodes and causes, and no problem."""

from dataclasses import replace

import pytest
from callers import Caller, Irsa, Role, assumed_role, auto_scaling
from calls import (
    Call,
    Instance,
    assign_ipv6_prefix,
    assign_prefix,
    attach,
    create_network_interface,
    create_tags,
    delete,
    delete_in_use,
    detach,
    failed,
    run_instances,
    terminate,
    unassign,
)
from cni import CNI_1_11, CNI_1_18, adds_eni, of_cni, signs_in
from incidents import (
    ACCOUNT,
    ADA,
    AWS_NODE,
    BOTO,
    FULL,
    GO,
    NODE,
    NODE_ROLE,
    OTHER_NODE,
    SUBNET,
    Incident,
    asks,
    cilium,
    clock,
    cni,
    controller,
    creation_refused,
    node,
    of_cilium,
    refused,
    second,
)

from cnitrail.answers.filters import Filter
from cnitrail.model import Finding, Severity

"""User agent of VPC CNI 1.19.4 to 1.21.1, which do not say their name."""

DENIED = ("Client.UnauthorizedOperation", "You are not authorized to perform this operation.")
EXPLICIT = (
    "Client.UnauthorizedOperation",
    "User: x is not authorized to perform: ec2:CreateNetworkInterface on resource: y with an explicit deny",
)
LIMIT = ("Client.PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.")
INDEX = (
    "Client.InvalidParameterValue",
    f"Instance '{NODE}' already has an interface attached at device index '1'.",
)
BROKEN = ("Server.InternalError", "An internal error has occurred")
NO_GROUP = ("Client.InvalidGroup.NotFound", "The security group 'sg-0eeeeeeeeeeeeeee1' does not exist")
QUOTA = ("Client.NetworkInterfaceLimitExceeded", "You have reached the limit of network interfaces")
GONE = ("Client.InvalidInstanceID.NotFound", f"The instance ID '{NODE}' does not exist")

PERIOD = ("09:00:00", "12:00:00")
CILIUM = replace(
    AWS_NODE,
    role=Role(ACCOUNT, "cilium-operator-quay"),
    service_account="kube-system:cilium-operator",
    agent=GO,
)


def only(incident: Incident, until: str = "12:00:00") -> Finding:
    """Return the only finding of a story."""
    (finding,) = incident.findings("09:00:00", until)
    return finding


def rules(incident: Incident) -> list[tuple[str, Severity]]:
    """Return the rules that found something, with their severities."""
    return [(finding.rule, finding.severity) for finding in incident.findings(*PERIOD)]


def session(role: str, name: str, agent: str, source_ip: str = "203.0.113.40") -> Caller:
    """Return a session of a role that some program assumed."""
    born = Incident().time("00:00:00")
    return Caller(assumed_role(Role(ACCOUNT, role), name, born, key=f"ASIA{name.upper()}"), source_ip, agent)


def repeat(incident: Incident, caller: Caller, *calls: Call, rounds: int = 4, start: int = 36120) -> None:
    """Log the same calls in the same second, twenty seconds apart."""
    for count in range(rounds):
        for call in calls:
            incident.log(clock(start + 20 * count), caller, call)


class TestAttachLimit:
    FULL_NODE = ("Client.AttachmentLimitExceeded", "Interface count exceeds the limit for m5.large.")

    def advice(self, incident: Incident, caller: Caller) -> str:
        node(incident, "10:00:00")
        for number in range(1, 5):
            eni = second(number=number)
            incident.log(f"10:0{number}:00", caller, create_network_interface(eni))
            incident.log(f"10:0{number}:01", caller, refused(attach(eni, NODE, 1), self.FULL_NODE))
            incident.log(f"10:0{number}:02", caller, delete(eni))
        return (only(incident).advice or "").partition(".")[0]

    def test_what_another_program_attaches_is_not_what_the_vpc_cni_expects(self) -> None:
        incident = Incident()
        for caller in (ADA, controller(incident), session("admin", "bob", BOTO)):
            assert self.advice(Incident(), caller) == (
                "Find out why the caller attaches more ENIs than the instance type allows"
            )

    def test_each_plugin_has_its_own_advice(self) -> None:
        incident = Incident()
        assert self.advice(incident, cilium(incident)) == (
            "Cilium has a wrong limit for the instance type, or ENIs are attached that it does not know about"
        )
        for agent in (GO, CNI_1_18):
            incident = Incident()
            assert self.advice(incident, cni(incident, agent=agent)) == (
                "The VPC CNI expects more free ENI slots than the instance has, usually because ENIs are "
                "attached that it does not know about"
            )


class TestCopiedDescription:
    def sentence(self, agent: str) -> str:
        incident = Incident()
        node(incident, "10:00:00", OTHER_NODE)
        call = creation_refused(of_cilium(second()), 3, FULL)
        repeat(incident, cni(incident, OTHER_NODE, agent), call)
        return only(incident).sentence.partition(". ")[0]

    def test_a_program_without_a_name_that_describes_its_enis_as_cilium_does_is_its_operator(self) -> None:
        assert self.sentence(GO) == (
            f"{SUBNET.id} did not have enough free IPs: 4 calls failed for {NODE} (by the description in the "
            f"requests), made by the Cilium operator on {OTHER_NODE}"
        )

    def test_a_program_that_cannot_be_the_operator_is_not_taken_for_it_by_a_description(self) -> None:
        assert self.sentence(BOTO) == (
            f"{SUBNET.id} did not have enough free IPs: 4 calls failed, made by {OTHER_NODE} (instance role, "
            "Boto3/1.34.20)"
        )


class TestDenied:
    def test_a_cni_without_a_name_is_known_by_its_fallback_to_one_address(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        caller = cni(incident, agent=GO)
        repeat(incident, caller, refused(asks(first, 9), DENIED), refused(asks(first, 1), DENIED))
        finding = only(incident)
        assert (finding.rule, finding.severity) == ("cni-call-denied", Severity.HIGH)
        assert finding.sentence.startswith(
            f"{NODE} (instance role, aws-sdk-go-v2/1.36.3) of cluster quay may not call "
            "ec2:AssignPrivateIpAddresses: 8 calls were refused"
        )
        assert finding.advice.startswith("Give aws-node a role of its own with the managed policy")

    def test_or_by_its_request_for_an_ipv6_prefix(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        repeat(
            incident,
            cni(incident, agent=GO),
            refused(assign_ipv6_prefix(first.id, "2001:db8::/80"), DENIED),
        )
        assert rules(incident) == [("cni-call-denied", Severity.HIGH)]

    def test_another_go_program_on_a_node_is_not_the_cni(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        repeat(incident, cni(incident, agent=GO), refused(asks(first, 3), DENIED))
        assert rules(incident) == [("calls-keep-failing", Severity.MEDIUM)]

    def test_it_is_beside_irsa_if_the_cluster_has_a_role_for_the_cni(self) -> None:
        incident = Incident()
        first, other = node(incident, "10:00:00"), node(incident, "10:00:00", OTHER_NODE)
        incident.log("10:01:01", signs_in(incident, "10:01:00", AWS_NODE, 1), asks(first, 9))
        caller = cni(incident, OTHER_NODE, GO)
        repeat(incident, caller, refused(asks(other, 9), DENIED), refused(asks(other, 1), DENIED))
        assert rules(incident) == [("node-role-beside-irsa", Severity.HIGH)]

    def test_tags_that_may_not_be_changed_take_no_addresses_away(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        tags = create_tags(first.id, {"node.k8s.amazonaws.com/instance_id": NODE})
        repeat(incident, cni(incident), refused(tags, DENIED))
        assert rules(incident) == [("cni-call-denied", Severity.MEDIUM)]

    @pytest.mark.parametrize(
        ("where", "sentence", "advice"),
        [
            (
                " in an identity-based policy",
                "An explicit deny in a policy of the role denies it to arn:aws:iam::",
                "Remove the explicit deny of ec2:CreateNetworkInterface from the policies of the role",
            ),
            (
                "",
                "An explicit deny in a policy that EC2 does not name denies it to arn:aws:iam::",
                "Find the policy that denies ec2:CreateNetworkInterface and change it",
            ),
        ],
    )
    def test_an_explicit_deny_is_to_be_removed(self, where: str, sentence: str, advice: str) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        eni = of_cni(second(), NODE, incident.time("10:00:00"))
        error = (EXPLICIT[0], EXPLICIT[1] + where)
        repeat(incident, signs_in(incident, "10:01:00", AWS_NODE, 1), creation_refused(eni, 9, error))
        finding = only(incident)
        assert sentence in finding.sentence
        assert finding.advice.startswith(advice)

    def test_nothing_is_to_do_if_it_is_over(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        caller = signs_in(incident, "10:01:00", AWS_NODE, 1)
        eni = of_cni(second(), NODE, incident.time("10:00:00"))
        repeat(incident, caller, creation_refused(eni, 9, DENIED))
        adds_eni(incident, ("10:30:00", "10:30:02", "10:30:03"), caller, eni, NODE)
        finding = only(incident)
        assert finding.severity is Severity.MEDIUM
        assert " was not allowed to call ec2:CreateNetworkInterface: 4 calls " in finding.sentence
        assert "from 2026-03-02 10:02:00 to 10:03:00Z" in finding.sentence
        assert finding.advice.startswith("The calls are allowed again")

    @pytest.mark.parametrize(("api", "severity"), [("same", Severity.MEDIUM), ("another", Severity.HIGH)])
    def test_it_is_over_if_the_cni_does_it_with_a_role_of_its_own(self, api: str, severity: Severity) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        eni = of_cni(second(), NODE, incident.time("10:00:00"))
        repeat(incident, cni(incident), creation_refused(eni, 9, DENIED))
        own = signs_in(incident, "11:00:00", AWS_NODE, 1)
        incident.log("11:00:01", own, asks(first, 3))
        if api == "same":
            adds_eni(incident, ("11:00:02", "11:00:04", "11:00:05"), own, eni, NODE)
        assert rules(incident) == [("cni-call-denied", severity)]

    def test_the_sessions_of_eks_auto_mode_are_one_principal(self) -> None:
        incident = Incident()
        for count in range(4):
            caller = session("quay-cluster", f"aws-go-sdk-{count}", "eks.amazonaws.com", "eks.amazonaws.com")
            incident.log(f"10:0{count}:00", caller, creation_refused(second(), 9, DENIED))
        finding = only(incident)
        assert finding.sentence.startswith(
            "Role quay-cluster (4 sessions) may not call ec2:CreateNetworkInterface: 4 calls were refused"
        )
        assert finding.advice.startswith("Attach the managed policy AmazonEKSNetworkingPolicy")

    def test_very_many_roles_are_one_finding(self) -> None:
        incident = Incident()
        for number in range(12):
            name = f"i-0aaaaaaaaaaaaa{number:03x}"
            role = Role(ACCOUNT, f"group-{number}-role")
            caller = replace(
                cni(incident, name), identity=assumed_role(role, name, incident.time("00:00:00"), key="ASIA")
            )
            caller.identity["sessionContext"]["ec2RoleDelivery"] = "2.0"
            eni = of_cni(second(name), name, incident.time("10:00:00"))
            repeat(incident, caller, creation_refused(eni, 9, DENIED))
        finding = only(incident)
        assert " and 9 more principals may not call ec2:CreateNetworkInterface: 48 calls" in finding.sentence

    def test_a_refusal_now_and_then_is_no_problem_that_lasts(self) -> None:
        incident = Incident()
        first = node(incident, "09:00:00")
        for hour in range(3):
            incident.log(clock(36000 + hour * 4 * 3600), cni(incident), refused(asks(first, 1), DENIED))
        assert incident.findings("09:00:00", "24:00:00") == []


class TestNodesOfRequests:
    def denied(self) -> Incident:
        incident = Incident()
        node(incident, "10:00:00")
        operator = signs_in(incident, "10:00:30", CILIUM, 1)
        eni = replace(second(), description=f"Cilium-CNI ({NODE})")
        repeat(incident, operator, creation_refused(eni, 9, DENIED))
        return incident

    def test_a_filter_by_node_keeps_the_finding_about_its_enis_that_were_never_created(self) -> None:
        (finding,) = self.denied().findings(*PERIOD, wanted=Filter(instance=(NODE,)))
        assert (finding.rule, finding.instances) == ("cni-call-denied", (NODE,))

    def test_a_filter_by_another_node_does_not(self) -> None:
        assert self.denied().findings(*PERIOD, wanted=Filter(instance=(OTHER_NODE,))) == []


class TestAddressLimit:
    def test_an_eni_with_room_for_fewer_is_not_full(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:00", cni(incident), asks(first, 4))
        repeat(incident, cni(incident), refused(asks(first, 8), LIMIT))
        finding = only(incident)
        assert finding.severity is Severity.LOW
        assert f"asked 4 times for more addresses than {first.id} of {NODE} has room for" in finding.sentence
        assert "(asked for 8 more; the ENI had 5 of 10): m5.large allows 10 per ENI" in finding.sentence

    def test_nobody_is_told_to_restart_the_controller_that_aws_runs(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:00", controller(incident), asks(first, 4))
        repeat(incident, controller(incident), refused(asks(first, 8), LIMIT))
        assert only(incident).advice == (
            "The caller does not know what the ENI has: it may have started before somebody else assigned "
            "addresses there, or read the wrong limit. AWS runs the controller: if it goes on, ask AWS "
            "Support."
        )

    def test_prefixes_are_called_prefixes(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        call = assign_prefix(first.id, "10.9.64.0/28", "assignedIpv4PrefixSet")
        call = replace(call, request={**(call.request or {}), "ipv4PrefixCount": 10})
        repeat(incident, cni(incident), refused(call, LIMIT))
        assert "made 4 calls for 10 prefixes each on" in only(incident).sentence

    def test_ipv6_is_not_measured_with_the_limits_of_ipv4(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        call = assign_ipv6_prefix(first.id, "2001:db8::/80")
        repeat(incident, cni(incident), refused(call, LIMIT))
        finding = only(incident)
        assert finding.severity is Severity.LOW
        assert [doubt.text for doubt in finding.doubts] == [
            "The request was for IPv6, and the limits for IPv6 addresses are not known here."
        ]


class TestLoops:
    def loop(
        self, incident: Incident, caller: Caller, *errors: tuple[str, str], name: str = NODE, rounds: int = 4
    ) -> None:
        for number in range(rounds):
            at, eni = 37800 + 60 * number, of_cni(second(name, number + 1), name, incident.time("10:00:00"))
            incident.log(clock(at), caller, create_network_interface(eni))
            incident.log(clock(at + 1), caller, refused(attach(eni, name, 1), errors[number % len(errors)]))
            incident.log(clock(at + 2), caller, delete(eni))

    def test_the_message_says_that_the_device_index_is_taken(self) -> None:
        incident = Incident()
        node(incident, "09:30:00")
        self.loop(incident, cni(incident), INDEX)
        finding = only(incident)
        assert (finding.rule, finding.severity) == ("create-attach-delete-loop", Severity.HIGH)
        assert "already has an interface attached at device index '1'" in finding.sentence
        assert finding.advice.startswith("An ENI that the caller does not know about has the device index.")

    def test_several_codes_are_one_loop(self) -> None:
        incident = Incident()
        node(incident, "09:30:00")
        self.loop(incident, cni(incident), INDEX, BROKEN)
        finding = only(incident)
        assert "created 4 ENIs" in finding.sentence
        assert "device index '1'" in finding.sentence
        assert "InternalError: EC2 had an error of its own" in finding.sentence

    def test_an_operator_with_several_dead_nodes_is_one_finding(self) -> None:
        incident = Incident()
        operator = signs_in(incident, "09:29:00", CILIUM, 1)
        for name in (NODE, OTHER_NODE):
            node(incident, "09:30:00", name)
            self.loop(incident, operator, GONE, name=name)
        incident.log("10:00:00", cni(incident), terminate(NODE))
        (finding,) = incident.found("create-attach-delete-loop", *PERIOD)
        assert (
            f"created 8 ENIs for {NODE} (terminated at 2026-03-02 10:00:00Z) and {OTHER_NODE}, could not "
            in (finding.sentence)
        )
        assert finding.instances == (NODE, OTHER_NODE)

    def test_nodes_with_one_role_are_one_finding(self) -> None:
        incident = Incident()
        for name in (NODE, OTHER_NODE):
            node(incident, "09:30:00", name)
            self.loop(incident, cni(incident, name), INDEX, name=name)
        assert only(incident).sentence.startswith(
            f"The node role quay-NodeInstanceRole ({NODE} and {OTHER_NODE}) of cluster quay created 8 ENIs "
            f"for {NODE} and {OTHER_NODE}, could not attach any of them"
        )

    def test_a_node_that_ends_while_the_loop_goes_on_is_named_as_ended(self) -> None:
        incident = Incident()
        node(incident, "09:30:00")
        self.loop(incident, cni(incident), GONE)
        incident.log("10:32:30", session("ops", "ada", BOTO), terminate(NODE))
        assert "which was terminated at 2026-03-02 10:32:30Z, could not attach" in only(incident).sentence

    def test_it_matters_less_if_an_eni_can_be_attached_again(self) -> None:
        incident = Incident()
        node(incident, "09:30:00")
        self.loop(incident, cni(incident), INDEX)
        eni = of_cni(second(number=9), NODE, incident.time("10:00:00"))
        adds_eni(incident, ("10:50:00", "10:50:02", "10:50:03"), cni(incident), eni, NODE)
        finding = only(incident)
        assert finding.severity is Severity.MEDIUM
        assert finding.sentence.endswith("could attach again is of 2026-03-02 10:50:02Z.")

    def test_throttled_attachments_are_no_loop(self) -> None:
        incident = Incident()
        node(incident, "09:30:00")
        self.loop(incident, cni(incident), ("Client.RequestLimitExceeded", "Request limit exceeded."))
        assert [rule for rule, _ in rules(incident)] == ["api-throttled"]


class TestCallsKeepFailing:
    def create(self, incident: Incident, caller: Caller, name: str, *errors: tuple[str, str]) -> None:
        for count, error in enumerate(errors):
            eni = of_cni(second(name, count + 1), name, incident.time("10:00:00"))
            incident.log(clock(36120 + 20 * count), caller, creation_refused(eni, 9, error))

    def test_several_codes_for_one_node_are_one_finding(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        self.create(incident, cni(incident), NODE, NO_GROUP, BROKEN, NO_GROUP, BROKEN, NO_GROUP)
        finding = only(incident)
        assert (finding.rule, finding.severity) == ("calls-keep-failing", Severity.HIGH)
        assert finding.sentence.endswith(
            "every call failed (3 times InvalidGroup.NotFound: a security group of the request does not "
            "exist in the VPC; 2 times InternalError: EC2 had an error of its own)."
        )
        assert finding.advice.startswith("Use security groups that exist")
        assert finding.advice.endswith("look at the AWS Health Dashboard.")

    def test_single_failures_of_many_nodes_with_other_codes_are_no_finding(self) -> None:
        incident = Incident()
        for number, error in enumerate((NO_GROUP, BROKEN, QUOTA)):
            name = f"i-0aaaaaaaaaaaaa{number:03x}"
            node(incident, "10:00:00", name)
            self.create(incident, cni(incident, name), name, error)
        assert rules(incident) == []

    def test_a_quota_is_one_problem_for_all_clusters(self) -> None:
        incident = Incident()
        for name, cluster in ((NODE, "quay"), (OTHER_NODE, "pier")):
            node(incident, "10:00:00", name, cluster=cluster)
            role = Role(ACCOUNT, f"{cluster}-cni")
            caller = signs_in(
                incident,
                "10:01:00",
                replace(AWS_NODE, role=role, provider=f"{AWS_NODE.provider}{cluster}"),
                1,
            )
            self.create(incident, caller, name, QUOTA, QUOTA, QUOTA)
        finding = only(incident)
        assert " of cluster pier and kube-system/aws-node " in finding.sentence
        assert f"CreateNetworkInterface 6 times for {NODE} and {OTHER_NODE}" in finding.sentence
        assert finding.clusters == ("pier", "quay")

    def test_a_service_repeats_its_calls_like_a_program(self) -> None:
        incident = Incident()
        scaling = auto_scaling(ACCOUNT, incident.time("09:00:00"))
        gone = ("Client.InvalidSubnetID.NotFound", "The subnet ID 'subnet-0ddddddddddddddd1' does not exist")
        first = Instance(NODE, "m5.large", replace(second(), description=""), {})
        repeat(incident, scaling, failed(run_instances(first), *gone))
        assert rules(incident) == [("calls-keep-failing", Severity.LOW)]

    def test_the_missing_action_is_named(self) -> None:
        incident = Incident()
        message = "User: x is not authorized to perform: iam:PassRole on resource: arn:aws:iam::y:role/z"
        call = failed(terminate(NODE), "Client.UnauthorizedOperation", message)
        repeat(incident, session("cleanup", "job", BOTO), call, rounds=12)
        finding = only(incident)
        assert finding.severity is Severity.LOW
        assert "(UnauthorizedOperation: the caller may not call iam:PassRole)" in finding.sentence


class TestSignIns:
    def fails(
        self,
        incident: Incident,
        *errors: tuple[str, str],
        irsa: Irsa = AWS_NODE,
        identity: dict[str, str] | None = None,
    ) -> None:
        for minute, error in enumerate(errors):
            caller, call = irsa.session(incident.time("10:30:00"), minute).opened
            caller = caller if identity is None else replace(caller, identity=identity)
            incident.log(clock(37800 + 60 * minute), caller, failed(call, *error))

    REFUSED = ("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")

    def test_a_pod_that_cloudtrail_does_not_know_may_be_the_cni(self) -> None:
        incident = Incident()
        self.fails(incident, *[self.REFUSED] * 4, identity={"type": "Unknown"})
        finding = only(incident)
        assert (finding.rule, finding.severity) == ("irsa-sign-in-failing", Severity.MEDIUM)
        assert finding.sentence.startswith(
            f"A pod whose token is not recorded cannot sign in to {AWS_NODE.role.arn}: 4 "
        )

    def test_it_is_the_cni_if_the_cni_uses_the_role(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:01", signs_in(incident, "10:01:00", AWS_NODE, 1), asks(first, 9))
        self.fails(incident, *[self.REFUSED] * 4, identity={"type": "Unknown"})
        finding = only(incident)
        assert finding.severity is Severity.HIGH
        assert f"{AWS_NODE.role.arn}, which the VPC CNI uses: 4 " in finding.sentence

    def test_another_program_that_cloudtrail_does_not_know_is_irrelevant(self) -> None:
        incident = Incident()
        github = replace(AWS_NODE, sdk="aws-sdk-js/3.600.0 configure-aws-credentials-for-github-actions")
        self.fails(incident, *[self.REFUSED] * 4, irsa=github, identity={"type": "Unknown"})
        assert rules(incident) == []

    def test_a_session_from_before_the_failures_shows_no_end(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        old = signs_in(incident, "10:01:00", AWS_NODE, 1)
        incident.log("10:01:01", old, asks(first, 9))
        self.fails(incident, *[self.REFUSED] * 4)
        incident.log("10:40:00", old, unassign(first.id, "10.9.9.1"))
        finding = only(incident)
        assert finding.severity is Severity.HIGH
        assert "succeeded again" not in finding.sentence

    @pytest.mark.parametrize(
        ("error", "sentence", "advice"),
        [
            (
                ("InvalidIdentityToken", "Incorrect token audience"),
                '(InvalidIdentityToken: "Incorrect token audience").',
                "The token is for another audience",
            ),
            (
                ("InvalidIdentityToken", "No OpenIDConnect provider found in your account for https://x"),
                "(InvalidIdentityToken: STS does not accept the token, as without an OIDC provider in the",
                "Create the IAM OIDC provider",
            ),
            (
                ("IDPCommunicationError", "Error communicating"),
                "(IDPCommunicationError: STS could not reach the OIDC provider).",
                "STS could not read the keys",
            ),
        ],
    )
    def test_each_code_has_its_advice(self, error: tuple[str, str], sentence: str, advice: str) -> None:
        incident = Incident()
        self.fails(incident, *[error] * 3)
        finding = only(incident)
        assert sentence in finding.sentence
        assert finding.advice.startswith(advice)

    def test_several_codes_for_one_role_are_one_finding(self) -> None:
        incident = Incident()
        self.fails(incident, self.REFUSED, ("ExpiredTokenException", "expired"), self.REFUSED)
        sentence = only(incident).sentence
        assert "3 AssumeRoleWithWebIdentity calls failed" in sentence
        assert "; ExpiredTokenException: the token of the service account had expired)." in sentence

    def test_the_node_role_is_no_way_out_while_sign_ins_fail(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        self.fails(incident, *[self.REFUSED] * 4)
        repeat(incident, cni(incident, agent=CNI_1_11), refused(asks(first, 9), DENIED), start=38400)
        found = {finding.rule: finding for finding in incident.findings(*PERIOD)}
        assert set(found) == {"irsa-sign-in-failing", "node-role-beside-irsa"}
        assert found["node-role-beside-irsa"].advice.startswith("Repair the sign-in of aws-node first")
        assert NODE_ROLE.name in found["node-role-beside-irsa"].sentence


class TestLeaks:
    def test_a_node_that_ends_before_the_last_refused_delete_is_the_cause(self) -> None:
        incident = Incident()
        node(incident, "09:00:00")
        eni = of_cni(second(), NODE, incident.time("09:01:00"))
        adds_eni(incident, ("09:01:00", "09:01:02", "09:01:03"), cni(incident), eni, NODE)
        incident.log("09:30:00", cni(incident), detach(eni))
        incident.log("09:30:01", session("ops", "ada", BOTO), terminate(NODE))
        incident.log("09:30:02", cni(incident), delete_in_use(eni))
        finding = only(incident)
        assert finding.sentence.endswith(
            "never deleted: its delete was refused once (still in use), and ops/ada (assumed role, "
            f"Boto3/1.34.20) terminated {NODE} 1 s later."
        )
