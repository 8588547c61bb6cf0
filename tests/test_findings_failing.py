"""Findings about calls that fail: for each rule, stories in which it speaks and similar ones in which not."""

from dataclasses import replace

import pytest
from callers import Caller, Irsa, PodIdentity, Role, assumed_role, auto_scaling
from calls import (
    Eni,
    Instance,
    Subnet,
    assign,
    assign_ipv6_prefix,
    attach,
    create_network_interface,
    delete,
    delete_in_use,
    detach,
    failed,
    run_instances,
    terminate,
)
from cni import CNI_1_11, CNI_1_18, adds_eni, launch, node_tags, of_cni, signs_in
from incidents import (
    ACCOUNT,
    ADA,
    AWS_NODE,
    BOTO,
    CILIUM,
    CLUSTER,
    DENIED,
    LIMIT,
    NODE,
    NODE_ROLE,
    OTHER_NODE,
    PROVIDER,
    REGION,
    SUBNET,
    THROTTLED,
    Incident,
    asks,
    clock,
    cni,
    controller,
    creation_refused,
    node,
    refused,
    second,
)

from cnitrail.answers.filters import Filter
from cnitrail.model import Finding, Severity

ROLE = AWS_NODE.role.arn
LAMBDA = Caller(
    assumed_role(Role(ACCOUNT, "cleanup-lambda"), "cleanup", Incident().time("00:00:00"), key="ASIAEXAMPLE"),
    "198.51.100.8",
    BOTO,
)
CONTROLLER = controller(Incident())

NO_SUBNET = (
    "Client.InvalidSubnetID.NotFound",
    "The subnet ID 'subnet-0ddddddddddddddd1' does not exist",
)
GONE = ("Client.InvalidInstanceID.NotFound", f"The instance ID '{NODE}' does not exist")
BROKEN = ("Server.InternalError", "An internal error has occurred")


def denial(action: str, why: str) -> tuple[str, str]:
    """Return an error whose message names the action and what refused it."""
    message = f"User: {ROLE} is not authorized to perform: {action} on resource: arn:aws:ec2:x {why}"
    return "Client.UnauthorizedOperation", f"You are not authorized to perform this operation. {message}"


def tried(eni: Eni, instance: str = NODE) -> Eni:
    """Return an ENI as the CNI asks for it."""
    return of_cni(eni, instance, Incident().time("10:00:00"))


def all_findings(incident: Incident) -> list[tuple[str, Severity]]:
    """Return the rules that found something between 9 and 12, with their severities."""
    found = incident.findings("09:00:00", "12:00:00")
    return [(finding.rule, finding.severity) for finding in found]


def only(incident: Incident, until: str = "12:00:00") -> Finding:
    """Return the only finding of a story."""
    (finding,) = incident.findings("09:00:00", until)
    return finding


def refused_sign_ins(
    incident: Incident, number: int, code: str = "AccessDenied", irsa: Irsa = AWS_NODE
) -> None:
    """Log failed sign-ins, one a minute from 10:30 on."""
    for minute in range(number):
        caller, call = irsa.session(incident.time("10:30:00"), minute).opened
        incident.log(clock(37800 + 60 * minute), caller, failed(call, code, "An unknown error occurred"))


class TestCniCallDenied:
    def creations(self, incident: Incident, number: int, error: tuple[str, str] = DENIED) -> None:
        caller = signs_in(incident, "10:01:00", AWS_NODE, 1)
        for count in range(number):
            eni = tried(second(number=count + 1))
            incident.log(clock(36120 + 20 * count), caller, creation_refused(eni, 9, error))

    def test_the_cni_may_not_create_enis(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        because = "because no identity-based policy allows the ec2:CreateNetworkInterface action"
        self.creations(incident, 30, denial("ec2:CreateNetworkInterface", because))
        finding = only(incident, "10:15:00")
        assert (finding.rule, finding.severity, finding.until) == ("cni-call-denied", Severity.HIGH, None)
        assert finding.sentence == (
            "kube-system/aws-node (IRSA, amazon-vpc-cni-k8s v1.18.3) of cluster quay may not call "
            f"ec2:CreateNetworkInterface: 30 calls for {NODE} were refused (UnauthorizedOperation) since "
            f"2026-03-02 10:02:00Z. No policy of {ROLE} allows it."
        )
        assert finding.advice.startswith("Attach the managed policy AmazonEKS_CNI_Policy to the role.")
        assert finding.commands[0] == f"aws iam get-role --role-name {AWS_NODE.role.name}"
        assert (len(finding.events), finding.clusters, finding.instances) == (30, (CLUSTER,), (NODE,))

    def test_the_message_names_another_action_than_the_call(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        self.creations(incident, 3, denial("ec2:CreateTags", "because no identity-based policy allows it"))
        assert " may not call ec2:CreateTags: 3 calls " in only(incident).sentence

    @pytest.mark.parametrize(
        ("why", "sentence", "advice"),
        [
            (
                "with an explicit deny in a service control policy",
                "A service control policy of the organization denies it to",
                "Change a service control policy of the organization so that the role may call",
            ),
            (
                "because no service control policy allows the action",
                "A service control policy of the organization denies it to",
                "Change a service control policy",
            ),
            (
                "because no permissions boundary allows the action",
                "The permissions boundary of the role denies it to",
                "Change the permissions boundary of the role",
            ),
            (
                "with an explicit deny in an identity-based policy",
                "An explicit deny in a policy of the role denies it to",
                "Remove the explicit deny of ec2:CreateNetworkInterface from the policies of the role",
            ),
        ],
    )
    def test_the_message_says_what_denies_it(self, why: str, sentence: str, advice: str) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        self.creations(incident, 4, denial("ec2:CreateNetworkInterface", why))
        finding = only(incident)
        assert f". {sentence} {ROLE}." in finding.sentence
        assert finding.advice.startswith(advice)

    def test_an_encoded_message_can_be_decoded(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        encoded = (
            "You are not authorized to perform this operation. Encoded authorization failure message: xy"
        )
        self.creations(incident, 3, (DENIED[0], encoded))
        finding = only(incident)
        assert f". The role is {ROLE}." in finding.sentence
        assert "aws sts decode-authorization-message" in finding.advice

    def test_ipv6_needs_a_policy_of_its_own(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        caller = signs_in(incident, "10:01:00", AWS_NODE, 1)
        for count in range(5):
            call = refused(assign_ipv6_prefix(first.id, "2001:db8::/80"), DENIED)
            incident.log(clock(36120 + 20 * count), caller, call)
        finding = only(incident)
        assert " may not call ec2:AssignIpv6Addresses: 5 calls " in finding.sentence
        assert "AmazonEKS_CNI_IPv6_Policy" in finding.advice
        assert not finding.advice.startswith("Attach the managed policy AmazonEKS_CNI_Policy")

    def test_nodes_with_one_role_are_one_finding(self) -> None:
        incident = Incident()
        for name in (NODE, OTHER_NODE):
            first = node(incident, "10:00:00", name)
            for count in range(2):
                incident.log(f"10:0{count + 1}:00", cni(incident, name), refused(asks(first, 1), DENIED))
        assert only(incident).sentence.startswith(
            f"The node role quay-NodeInstanceRole ({NODE} and {OTHER_NODE}) of cluster quay may not call "
            "ec2:AssignPrivateIpAddresses: 4 calls were refused"
        )

    def test_the_resource_controller_and_cilium_have_other_policies(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        for count in range(3):
            incident.log(f"10:0{count + 1}:00", CONTROLLER, refused(asks(first, 1), DENIED))
        assert "AmazonEKSVPCResourceController" in only(incident).advice
        incident = Incident()
        node(incident, "10:00:00")
        operator = signs_in(incident, "10:00:30", CILIUM, 1)
        eni = replace(second(), description=f"Cilium-CNI ({NODE})")
        for count in range(3):
            incident.log(f"10:0{count + 1}:00", operator, creation_refused(eni, 9, DENIED))
        finding = only(incident)
        assert f"3 calls for {NODE} were refused" in finding.sentence
        assert "cilium-operator" in finding.advice

    def test_it_is_over_when_the_same_call_succeeds(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        self.creations(incident, 4)
        caller = signs_in(incident, "10:29:00", AWS_NODE, 2)
        adds_eni(incident, ("10:30:00", "10:30:02", "10:30:03"), caller, tried(second(number=9)), NODE)
        finding = only(incident, "10:40:00")
        assert finding.severity is Severity.MEDIUM
        assert finding.sentence.endswith("Such a call was first allowed again at 2026-03-02 10:30:00Z.")
        assert finding.until == incident.time("10:03:00")

    def test_calls_that_only_release_are_less_severe(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        eni = tried(second())
        adds_eni(incident, ("10:01:00", "10:01:02", "10:01:03"), cni(incident), eni, NODE)
        for count in range(4):
            incident.log(f"11:5{count}:00", cni(incident), refused(detach(eni), DENIED))
        assert all_findings(incident) == [("cni-call-denied", Severity.MEDIUM)]

    @pytest.mark.parametrize("number", [1, 2])
    def test_no_finding_for_a_few(self, number: int) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        self.creations(incident, number)
        assert all_findings(incident) == []

    def test_no_finding_for_calls_of_anybody_else(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        for count in range(9):
            incident.log(f"10:0{count}:00", ADA, refused(asks(first, 1), DENIED))
        assert all_findings(incident) == []


class TestNodeRoleBesideIrsa:
    def story(self, incident: Incident, agent: str = CNI_1_18) -> None:
        """A node whose CNI has its own role, and another one that is refused with the node role."""
        first = node(incident, "09:30:00")
        node(incident, "09:31:00", OTHER_NODE)
        incident.log("09:40:01", signs_in(incident, "09:40:00", AWS_NODE, 1), asks(first, 9))
        for count in range(20):
            eni = tried(second(OTHER_NODE), OTHER_NODE)
            at = clock(36000 + 300 * count)
            incident.log(at, cni(incident, OTHER_NODE, agent), creation_refused(eni, 9, DENIED))

    def test_a_node_is_refused_with_the_node_role(self) -> None:
        incident = Incident()
        self.story(incident)
        finding = only(incident, "11:40:00")
        assert (finding.rule, finding.severity) == ("node-role-beside-irsa", Severity.HIGH)
        assert finding.sentence == (
            f"{OTHER_NODE} of cluster quay made 20 calls with the node role quay-NodeInstanceRole, all "
            "refused "
            "(UnauthorizedOperation), although the VPC CNI there has used "
            f"{AWS_NODE.role.name} (IRSA) since 2026-03-02 09:40:01Z or earlier."
        )
        assert finding.advice.startswith("Restart aws-node on these nodes")
        assert finding.until is None

    def test_a_broken_sign_in_in_the_same_cluster_is_named(self) -> None:
        incident = Incident()
        self.story(incident)
        refused_sign_ins(incident, 12)
        assert all_findings(incident) == [
            ("node-role-beside-irsa", Severity.HIGH),
            ("irsa-sign-in-failing", Severity.HIGH),
        ]
        (finding,) = incident.found("node-role-beside-irsa", "09:00:00", "12:00:00")
        assert finding.sentence.endswith(" Its sign-ins to that role fail: 12 times (AccessDenied).")

    def test_a_role_that_never_worked_is_known_from_its_failed_sign_ins(self) -> None:
        incident = Incident()
        node(incident, "09:31:00", OTHER_NODE)
        refused_sign_ins(incident, 3)
        for count in range(5):
            eni = tried(second(OTHER_NODE), OTHER_NODE)
            incident.log(f"11:0{count}:00", cni(incident, OTHER_NODE), creation_refused(eni, 9, DENIED))
        (finding,) = incident.found("node-role-beside-irsa", "09:00:00", "12:00:00")
        assert (
            f"has been set up with {AWS_NODE.role.name} (IRSA) since 2026-03-02 10:30:00Z" in finding.sentence
        )
        assert incident.found("cni-call-denied", "09:00:00", "12:00:00") == []

    def test_calls_of_another_program_with_the_node_role_are_not_the_cnis(self) -> None:
        incident = Incident()
        self.story(incident, BOTO)
        assert incident.found("node-role-beside-irsa", "09:00:00", "12:00:00") == []

    def test_no_finding_if_the_cluster_has_no_other_role(self) -> None:
        incident = Incident()
        node(incident, "09:31:00", OTHER_NODE)
        for count in range(5):
            eni = tried(second(OTHER_NODE), OTHER_NODE)
            incident.log(f"11:0{count}:00", cni(incident, OTHER_NODE), creation_refused(eni, 9, DENIED))
        assert all_findings(incident) == [("cni-call-denied", Severity.HIGH)]


class TestIrsaSignInFailing:
    def test_the_trust_policy_does_not_allow_aws_node(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        refused_sign_ins(incident, 12)
        finding = only(incident, "10:45:00")
        assert (finding.rule, finding.severity) == ("irsa-sign-in-failing", Severity.HIGH)
        assert finding.sentence == (
            f"kube-system/aws-node of cluster quay cannot sign in to {ROLE}: 12 AssumeRoleWithWebIdentity "
            "calls failed since 2026-03-02 10:30:00Z (AccessDenied: the trust policy of the role does not "
            "allow the service account, or there is no such role)."
        )
        assert finding.commands == (
            f"aws iam get-role --role-name {AWS_NODE.role.name}",
            "aws iam list-open-id-connect-providers",
            "kubectl -n kube-system get serviceaccount aws-node -o yaml",
        )
        assert (finding.until, finding.clusters) == (None, (CLUSTER,))

    def test_the_provider_is_missing(self) -> None:
        incident = Incident()
        refused_sign_ins(incident, 3, "InvalidIdentityToken")
        finding = only(incident)
        assert "without an OIDC provider in the account" in finding.sentence
        assert finding.advice.startswith("Create the IAM OIDC provider of the cluster in this account")

    def test_the_cluster_is_that_of_the_provider(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        plain = replace(AWS_NODE, role=Role(ACCOUNT, "cni-of-a-cluster"))
        incident.log("10:01:01", signs_in(incident, "10:01:00", AWS_NODE, 1), asks(first, 9))
        refused_sign_ins(incident, 4, irsa=plain)
        assert only(incident).sentence.startswith("kube-system/aws-node of cluster quay cannot sign in to ")

    def test_without_a_known_cluster_the_provider_is_named(self) -> None:
        incident = Incident()
        refused_sign_ins(incident, 4, irsa=replace(AWS_NODE, role=Role(ACCOUNT, "cni-of-a-cluster")))
        named = PROVIDER.partition("oidc-provider/")[2]
        assert f"aws-node of the cluster with OIDC provider {named} cannot" in only(incident).sentence

    def test_a_node_is_known_by_its_address(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        refused_sign_ins(incident, 4, irsa=replace(AWS_NODE, source_ip=first.address))
        assert f"4 AssumeRoleWithWebIdentity calls from {NODE} failed" in only(incident).sentence

    def test_it_is_over_when_calls_with_the_role_succeed(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        refused_sign_ins(incident, 4)
        incident.log("10:50:01", signs_in(incident, "10:50:00", AWS_NODE, 99), asks(first, 9))
        finding = only(incident, "10:55:00")
        assert (finding.severity, finding.until) == (Severity.MEDIUM, incident.time("10:33:00"))
        assert finding.sentence.endswith("Calls with the role succeeded again at 2026-03-02 10:50:01Z.")

    def test_pods_with_pod_identity(self) -> None:
        incident = Incident()
        role = Role(ACCOUNT, "cni-by-pod-identity")
        pod = PodIdentity(role, CLUSTER, REGION, "aws-node-x", "uid", "00000000-0000-0000-0000-000000000000")
        caller, call = pod.session(incident.time("10:00:00"), "203.0.113.7", CNI_1_18).opened
        for minute in range(3):
            incident.log(f"10:0{minute}:00", caller, failed(call, "AccessDenied", "not authorized"))
        finding = only(incident)
        assert finding.sentence.startswith("kube-system/aws-node of cluster quay cannot sign in to")
        assert "sts:TagSession" in finding.advice

    def test_other_service_accounts_matter_less(self) -> None:
        incident = Incident()
        refused_sign_ins(incident, 5, irsa=replace(AWS_NODE, service_account="shop:cart"))
        assert all_findings(incident) == [("irsa-sign-in-failing", Severity.LOW)]

    def test_no_finding_for_a_few_while_a_role_is_being_set_up(self) -> None:
        incident = Incident()
        refused_sign_ins(incident, 2)
        assert all_findings(incident) == []

    def test_no_finding_for_a_pipeline_that_is_no_service_account(self) -> None:
        incident = Incident()
        pipeline = replace(
            AWS_NODE, provider=PROVIDER.replace("oidc.eks.eu-west-1.amazonaws.com/id", "ci.test")
        )
        caller, call = pipeline.session(incident.time("10:00:00"), 1).opened
        ci = replace(caller, identity=caller.identity | {"userName": "repo:quay/shop:ref:main"})
        ci = replace(ci, identity=ci.identity | {"principalId": f"{pipeline.provider}:aud:repo:quay/shop"})
        for minute in range(9):
            incident.log(f"10:0{minute}:00", ci, failed(call, "AccessDenied", "no"))
        assert all_findings(incident) == []


class TestAddressLimitExceeded:
    def test_a_wrong_limit_of_the_cni(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00", kind="g4dn.16xlarge")
        caller = cni(incident, agent=CNI_1_11)
        for count in range(12):
            incident.log(clock(36060 + 10 * count), caller, refused(asks(first, 49), LIMIT))
        finding = only(incident)
        assert (finding.rule, finding.severity) == ("address-limit-exceeded", Severity.HIGH)
        assert finding.sentence == (
            f"{NODE} (instance role, amazon-vpc-cni-k8s) of cluster quay made 12 calls for 49 addresses each "
            "on "
            f"{first.id} of {NODE}, more than g4dn.16xlarge allows (15 per ENI); the ENI had 1. Every call "
            "failed."
        )
        assert "Upgrade the VPC CNI" in finding.advice

    def test_a_full_eni(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:00", cni(incident), asks(first, 9))
        for count in range(4):
            incident.log(f"10:1{count}:00", cni(incident), refused(asks(first, 1), LIMIT))
        finding = only(incident)
        assert (finding.rule, finding.severity) == ("address-limit-exceeded", Severity.LOW)
        assert finding.sentence == (
            f"{first.id} of {NODE} is full: {NODE} (instance role, amazon-vpc-cni-k8s v1.18.3) of cluster "
            "quay "
            "asked 4 times for more addresses than m5.large allows (asked for 1 more; the ENI had 10 of 10)."
        )

    def test_an_eni_that_had_room_is_a_doubt(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        for count in range(4):
            incident.log(f"10:1{count}:00", cni(incident), refused(asks(first, 3), LIMIT))
        finding = only(incident)
        assert finding.severity is Severity.LOW
        assert [doubt.code.value for doubt in finding.doubts] == ["start-unknown"]
        assert "(asked for 3 more; the ENI had 1 of 10)" in finding.sentence

    def test_an_unknown_type_is_a_doubt(self) -> None:
        incident = Incident()
        for count in range(4):
            incident.log(f"10:1{count}:00", cni(incident), refused(asks(second(), 3), LIMIT))
        assert [doubt.code.value for doubt in only(incident).doubts] == ["type-unknown"]

    def test_a_windows_node_has_one_eni(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:00", CONTROLLER, asks(first, 9))
        for count in range(4):
            incident.log(f"10:1{count}:00", CONTROLLER, refused(asks(first, 1), LIMIT))
        finding = only(incident)
        assert (finding.rule, finding.severity) == ("address-limit-exceeded", Severity.INFO)
        assert finding.advice.startswith("This is expected: a Windows node has one ENI for its pods.")

    def test_no_finding_for_an_eni_that_is_full_once(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:00", cni(incident), asks(first, 9))
        incident.log("10:10:00", cni(incident), refused(asks(first, 1), LIMIT))
        assert all_findings(incident) == []


class TestLoops:
    def loop(
        self,
        incident: Incident,
        caller: Caller,
        rounds: int,
        error: tuple[str, str] = GONE,
        *,
        cleans: bool = True,
    ) -> None:
        for number in range(1, rounds + 1):
            at = 37800 + number * 60
            eni = replace(second(number=number), description=f"Cilium-CNI ({NODE})")
            incident.log(clock(at), caller, create_network_interface(eni))
            incident.log(clock(at + 1), caller, refused(attach(eni, NODE, 1), error))
            if cleans:
                incident.log(clock(at + 2), caller, delete(eni))

    def terminated(self, incident: Incident) -> None:
        node(incident, "09:30:00")
        scaling = auto_scaling(ACCOUNT, incident.time("10:00:00"))
        incident.log("10:00:00", scaling, terminate(NODE))

    def test_an_operator_serves_a_node_that_is_gone(self) -> None:
        incident = Incident()
        self.terminated(incident)
        self.loop(incident, signs_in(incident, "10:29:00", CILIUM, 1), 30)
        finding = only(incident, "11:05:00")
        assert (finding.rule, finding.severity) == ("create-attach-delete-loop", Severity.MEDIUM)
        assert finding.sentence == (
            "kube-system/cilium-operator (IRSA, aws-sdk-go-v2/1.36.3) of cluster quay created 30 ENIs for "
            f"{NODE}, which was terminated at 2026-03-02 10:00:00Z, could not attach any of them "
            "(InvalidInstanceID.NotFound), and deleted them."
        )
        assert "Delete the stale CiliumNode" in finding.advice
        assert (len(finding.events), finding.events[0].name) == (91, "TerminateInstances")
        assert finding.until is None

    def test_a_node_that_runs_gets_no_enis(self) -> None:
        incident = Incident()
        node(incident, "09:30:00")
        state = ("Client.IncorrectInstanceState", "The instance is not in a valid state")
        self.loop(incident, signs_in(incident, "10:29:00", CILIUM, 1), 5, state, cleans=False)
        (finding,) = incident.found("create-attach-delete-loop", "09:00:00", "12:00:00")
        assert finding.severity is Severity.HIGH
        assert "(IncorrectInstanceState: the instance is not in a state in which EC2" in finding.sentence
        assert finding.sentence.endswith("and deleted none of them.")

    def test_no_loop_if_it_fails_twice(self) -> None:
        incident = Incident()
        self.terminated(incident)
        self.loop(incident, signs_in(incident, "10:29:00", CILIUM, 1), 2)
        assert all_findings(incident) == []

    def test_no_loop_if_somebody_else_deleted_the_enis(self) -> None:
        incident = Incident()
        node(incident, "09:30:00")
        caller = signs_in(incident, "10:29:00", AWS_NODE, 1)
        missing = ("Client.InvalidNetworkInterfaceID.NotFound", "The networkInterface ID does not exist")
        for number in range(1, 5):
            at = 37800 + number * 60
            eni = tried(second(number=number))
            incident.log(clock(at), caller, create_network_interface(eni))
            incident.log(clock(at + 2), LAMBDA, delete(eni))
            incident.log(clock(at + 4), caller, refused(attach(eni, NODE, 1), missing))
        found = [rule for rule, _ in all_findings(incident)]
        assert "create-attach-delete-loop" not in found
        assert "calls-keep-failing" not in found


class TestCallsKeepFailing:
    def creations(self, incident: Incident, number: int, error: tuple[str, str] = NO_SUBNET) -> None:
        caller = signs_in(incident, "10:01:00", AWS_NODE, 1)
        gone = Subnet("subnet-0ddddddddddddddd1", SUBNET.vpc, ACCOUNT, SUBNET.zone, SUBNET.group)
        for count in range(number):
            eni = tried(replace(second(number=count + 1), subnet=gone))
            incident.log(clock(36120 + 20 * count), caller, creation_refused(eni, 9, error))

    def test_a_subnet_that_is_gone(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        self.creations(incident, 8)
        finding = only(incident, "10:10:00")
        assert (finding.rule, finding.severity, finding.until) == ("calls-keep-failing", Severity.HIGH, None)
        assert finding.sentence == (
            "kube-system/aws-node (IRSA, amazon-vpc-cni-k8s v1.18.3) of cluster quay called "
            f"CreateNetworkInterface 8 times for {NODE} in subnet-0ddddddddddddddd1 since 2026-03-02 "
            "10:02:00Z, "
            "and every call failed (InvalidSubnetID.NotFound: the subnet does not exist)."
        )
        assert finding.advice.startswith("Use a subnet that exists")
        assert finding.commands == (
            "aws ec2 describe-subnets --region eu-west-1 --subnet-ids subnet-0ddddddddddddddd1",
        )

    @pytest.mark.parametrize(
        ("code", "message", "part", "advice"),
        [
            (
                "Client.NetworkInterfaceLimitExceeded",
                "You have reached the limit of network interfaces",
                "the account has as many ENIs in the Region as its quota allows",
                'Ask for a higher quota "Network interfaces per Region"',
            ),
            (
                "Client.InvalidGroup.NotFound",
                "The security group 'sg-0eeeeeeeeeeeeeee1' does not exist",
                "a security group of the request does not exist in the VPC",
                "Use security groups that exist in the VPC",
            ),
            (
                "Client.InvalidSecurityGroupID.NotFound",
                "The security group does not exist",
                "a security group of the request does not exist in the VPC",
                "Use security groups that exist in the VPC",
            ),
            (
                "Client.InvalidParameterValue",
                "You have specified two resources that belong to different networks.",
                "You have specified two resources that belong to different networks",
                "Use security groups that exist in the VPC",
            ),
            (
                "Client.SomethingNew",
                "Nobody knows this error",
                "Nobody knows this error",
                "Read the error message of the calls",
            ),
        ],
    )
    def test_any_code_has_its_meaning_or_its_message(
        self, code: str, message: str, part: str, advice: str
    ) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        self.creations(incident, 5, (code, message))
        finding = only(incident)
        assert (finding.rule, finding.severity) == ("calls-keep-failing", Severity.HIGH)
        assert part in finding.sentence
        assert finding.advice.startswith(advice)

    def test_one_node_of_many_keeps_failing(self) -> None:
        incident = Incident()
        first, other = node(incident, "10:00:00"), node(incident, "10:00:00", OTHER_NODE)
        caller = signs_in(incident, "10:01:00", AWS_NODE, 1)
        for count in range(6):
            at = 36120 + 120 * count
            incident.log(clock(at), caller, refused(asks(first, 1), BROKEN))
            incident.log(clock(at + 60), caller, assign(other.id, f"10.9.8.{count + 4}"))
        finding = only(incident)
        assert (finding.rule, finding.severity) == ("calls-keep-failing", Severity.HIGH)
        assert f"AssignPrivateIpAddresses 6 times for {NODE} on {first.id} since" in finding.sentence

    def test_many_nodes_fail_once_or_twice_each(self) -> None:
        incident = Incident()
        caller = signs_in(incident, "10:01:00", AWS_NODE, 1)
        for number in range(1, 6):
            name = f"i-0aaaaaaaaaaaaaaa{number}"
            first = node(incident, "10:00:00", name)
            incident.log(f"10:02:0{number}", caller, refused(asks(first, 1), BROKEN))
        assert "and 2 more on 5 ENIs since" in only(incident).sentence

    def test_it_is_less_severe_if_the_call_succeeds_again(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        for count in range(4):
            incident.log(f"10:0{count + 1}:00", cni(incident), refused(asks(first, 1), BROKEN))
        incident.log("10:20:00", cni(incident), asks(first, 1))
        finding = only(incident)
        assert (finding.severity, finding.until) == (Severity.MEDIUM, incident.time("10:04:00"))
        assert finding.sentence.endswith("The first call that succeeded again is of 2026-03-02 10:20:00Z.")

    def test_people_and_scripts_need_more_failures_and_matter_less(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        for count in range(10):
            incident.log(clock(36120 + 20 * count), LAMBDA, refused(delete(first), BROKEN))
        finding = only(incident)
        assert (finding.rule, finding.severity) == ("calls-keep-failing", Severity.LOW)

    def test_an_auto_scaling_group_with_a_subnet_that_is_gone(self) -> None:
        incident = Incident()
        scaling = auto_scaling(ACCOUNT, incident.time("10:00:00"))
        gone = Subnet("subnet-0ddddddddddddddd1", SUBNET.vpc, ACCOUNT, SUBNET.zone, SUBNET.group)
        first = Eni("eni-0aaaaaaaaaaaaaaa1", gone, "10.9.0.4")
        call = run_instances(Instance(NODE, "m5.large", first, node_tags(CLUSTER, "apps")))
        for count in range(4):
            incident.log(f"10:0{count}:00", scaling, failed(call, *NO_SUBNET))
        assert only(incident).sentence.startswith("autoscaling.amazonaws.com (AWS service")

    @pytest.mark.parametrize("caller", [ADA, LAMBDA])
    def test_no_finding_for_a_few_mistakes(self, caller: Caller) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        for count in range(9):
            incident.log(clock(36120 + 20 * count), caller, refused(asks(first, 1), BROKEN))
        assert all_findings(incident) == []

    def test_no_finding_for_failures_between_successes(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        for count in range(6):
            at = 36120 + 120 * count
            incident.log(clock(at), cni(incident), refused(asks(first, 1), BROKEN))
            incident.log(clock(at + 60), cni(incident), assign(first.id, f"10.9.8.{count + 4}"))
        assert all_findings(incident) == []

    def test_no_finding_for_failures_far_apart(self) -> None:
        incident = Incident()
        first = node(incident, "09:00:00")
        for hour in range(10, 24, 2):
            incident.log(f"{hour}:00:00", cni(incident), refused(asks(first, 1), BROKEN))
        assert incident.findings("09:00:00", "23:59:00") == []

    def test_no_finding_while_an_eni_is_detaching(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        eni = tried(second())
        adds_eni(incident, ("10:01:00", "10:01:02", "10:01:03"), cni(incident), eni, NODE)
        incident.log("10:30:00", cni(incident), detach(eni))
        for count in range(8):
            incident.log(clock(37803 + 2 * count), cni(incident), delete_in_use(eni))
        incident.log("10:30:40", cni(incident), delete(eni))
        assert all_findings(incident) == []

    def test_no_finding_for_an_eni_that_is_deleted_already(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        gone = ("Client.InvalidNetworkInterfaceID.NotFound", "The networkInterface ID does not exist")
        for count in range(8):
            incident.log(f"10:0{count}:00", cni(incident), refused(delete(second()), gone))
        assert all_findings(incident) == []

    def test_no_finding_for_launches_without_capacity(self) -> None:
        incident = Incident()
        scaling = auto_scaling(ACCOUNT, incident.time("10:00:00"))
        call = run_instances(Instance(NODE, "p5.48xlarge", second(), node_tags(CLUSTER, "gpu")))
        for count in range(9):
            error = ("Server.InsufficientInstanceCapacity", "We currently do not have sufficient capacity")
            incident.log(f"10:0{count}:00", scaling, failed(call, *error))
        assert all_findings(incident) == []

    def test_throttled_calls_are_another_finding(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        for count in range(9):
            incident.log(clock(36060 + count), cni(incident), refused(asks(first, 1), THROTTLED))
        assert [rule for rule, _ in all_findings(incident)] == ["api-throttled"]

    def test_other_calls_change_nothing(self) -> None:
        incident, more = Incident(), Incident()
        for story in (incident, more):
            first = node(story, "10:00:00")
            for count in range(4):
                story.log(f"10:0{count + 1}:00", cni(story), refused(asks(first, 1), BROKEN))
        launch(
            more,
            "10:02:30",
            NODE_ROLE,
            Instance(OTHER_NODE, "m5.large", second(OTHER_NODE), node_tags("wharf", "apps")),
        )
        more.log("10:03:30", cni(more, OTHER_NODE), asks(second(OTHER_NODE), 1))
        assert only(incident) == only(more)


class TestReport:
    def test_findings_take_the_filter_of_the_service_account(self) -> None:
        incident = Incident()
        refused_sign_ins(incident, 4)
        kept = incident.findings("09:00:00", "12:00:00", wanted=Filter(actor=("*aws-node*",)))
        assert [finding.rule for finding in kept] == ["irsa-sign-in-failing"]
        assert incident.findings("09:00:00", "12:00:00", wanted=Filter(actor=("*cilium*",))) == []
