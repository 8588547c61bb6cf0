"""The actor: from every kind of userIdentity to the caller."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records import ACCOUNT, IAM_USER, PROVIDER, Entry, json_values, paths_in, replaced

from cnitrail.decode.actor import actor_of
from cnitrail.model import Actor, ActorBasis, ActorKind, Agent

EKSCTL_CNI = "eksctl-prod-addon-vpc-cni-Role1-Q76OFJUYIG6Q"
POD_SESSION = "eks-prod-aws-node-x-b81f0fef-97e9-47da-97a2-948c5bbcd1b3"


def session(role: str, name: str, path: str = "/", **context: object) -> Entry:
    """The identity of a role session."""
    return {
        "type": "AssumedRole",
        "principalId": f"AROAEXAMPLEEXAMPLE123:{name}",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{role}/{name}",
        "accountId": ACCOUNT,
        "accessKeyId": "ASIAEXAMPLEEXAMPLE12",
        "sessionContext": {
            "sessionIssuer": {
                "type": "Role",
                "principalId": "AROAEXAMPLEEXAMPLE123",
                "arn": f"arn:aws:iam::{ACCOUNT}:role{path}{role}",
                "accountId": ACCOUNT,
                "userName": role,
            },
            "attributes": {"creationDate": "2024-05-14T09:29:59Z", "mfaAuthenticated": "false"},
        }
        | context,
    }


def federated(provider: str = PROVIDER) -> Entry:
    return {"webIdFederationData": {"federatedProvider": provider, "attributes": {}}}


def who(identity: object, **entry: object) -> Actor:
    """The actor of a record that has this identity."""
    return actor_of(
        {"userIdentity": identity, "sourceIPAddress": "198.51.100.7", "userAgent": "aws-cli/2.15.30"} | entry
    )


def irsa(role: str = "cni") -> Entry:
    return session(role, "1715678999123456789", webIdFederationData=federated()["webIdFederationData"])


def service_linked(service: str, role: str, name: str, **fields: object) -> Entry:
    return session(role, name, f"/aws-service-role/{service}/") | fields


class TestIrsa:
    def test_a_service_account_has_a_role_and_the_provider_of_its_cluster(self) -> None:
        assert who(irsa()) == Actor(
            kind=ActorKind.IRSA,
            label="cni",
            arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/cni/1715678999123456789",
            account=ACCOUNT,
            role="cni",
            session="1715678999123456789",
            user=None,
            service_account=None,
            cluster=None,
            oidc_provider=PROVIDER,
            instance=None,
            access_key_id="ASIAEXAMPLEEXAMPLE12",
            source_ip="198.51.100.7",
            invoked_by=None,
            agent=Agent("aws-cli", "2.15.30", "aws-cli/2.15.30"),
            basis=ActorBasis(),
            role_arn=f"arn:aws:iam::{ACCOUNT}:role/cni",
        )

    @pytest.mark.parametrize("role", [EKSCTL_CNI, "aws-node", "AmazonEKSVPCCNIRole"])
    def test_the_service_account_is_never_guessed_from_the_name_of_a_role(self, role: str) -> None:
        assert who(irsa(role)).service_account is None
        assert who(irsa(role)).ipamd is None

    @pytest.mark.parametrize(
        "provider",
        [
            f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF",
            f"arn:aws-cn:iam::{ACCOUNT}:oidc-provider/oidc.eks.cn-north-1.amazonaws.com.cn/id/0123456789ABCDEF",
            f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc-eks.eu-west-1.api.aws/id/0123456789ABCDEF",
            f"arn:aws-us-gov:iam::{ACCOUNT}:oidc-provider/oidc.eks.us-gov-west-1.amazonaws.com/id/0123456789ABCDEF",
            f"arn:aws-eusc:iam::{ACCOUNT}:oidc-provider/oidc.eks.eusc-de-east-1.amazonaws.eu/id/0123456789ABCDEF",
            f"arn:aws-iso-e:iam::{ACCOUNT}:oidc-provider/oidc.eks.eu-isoe-west-1.cloud.adc-e.uk/id/0123456789ABCDEF",
            f"arn:aws-eusc:iam::{ACCOUNT}:oidc-provider/oidc-eks.eusc-de-east-1.api.amazonwebservices.eu/id/0123456789ABCDEF",
        ],
    )
    def test_the_provider_is_eks_s_in_any_partition(self, provider: str) -> None:
        found = who(session("cni", "1", **federated(provider)))
        assert (found.kind, found.oidc_provider) == (ActorKind.IRSA, provider)

    def test_a_session_that_looks_like_a_node_is_still_a_service_account(self) -> None:
        assert who(session("cni", "i-0a1b2c3d4e5f60718", **federated())).kind is ActorKind.IRSA

    def test_karpenter_through_ec2_fleet_stays_a_service_account(self) -> None:
        identity = session("karpenter", "1750066523000000000", **federated())
        del identity["accessKeyId"]
        found = who(identity | {"invokedBy": "ec2fleet.amazonaws.com"})
        assert found.kind is ActorKind.IRSA
        assert found.label == "karpenter"
        assert found.invoked_by == "ec2fleet.amazonaws.com"
        assert found.access_key_id is None

    @pytest.mark.parametrize(
        "provider",
        [
            f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com",
            f"arn:aws:iam::{ACCOUNT}:oidc-provider/evil.example/oidc.eks.eu-west-1.amazonaws.com/id/1",
            f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.evil.example.com/id/1",
            f"arn:aws-eusc:iam::{ACCOUNT}:oidc-provider/oidc.eks.eusc-de-east-1.amazonaws.eu.evil.example/id/1",
            f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.eu-west-1.amazonaws.com.evil.example/id/1",
            f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.eu-west-1.evil/amazonaws.com/id/1",
            f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/1/x",
            f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/x/id/1",
            f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidc-eks.eu-west-1.evil.aws/id/1",
            f"arn:aws:iam::{ACCOUNT}:oidc-provider/oidceks.eu-west-1.amazonaws.com/id/1",
            "arn:aws:iam::999999999999:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/1",
            "oidc.eks.eu-west-1.amazonaws.com/id/1",
            "accounts.google.com",
        ],
    )
    def test_the_role_of_another_provider_is_federated(self, provider: str) -> None:
        found = who(session("deploy", "GitHubActions", **federated(provider)))
        assert (found.kind, found.label, found.oidc_provider) == (ActorKind.FEDERATED, "deploy", provider)

    @pytest.mark.parametrize("empty", [{}, None, {"federatedProvider": ""}, {"attributes": {}}, 5])
    def test_an_empty_federation_is_ignored(self, empty: object) -> None:
        found = who(session("admin", "ada", webIdFederationData=empty))
        assert (found.kind, found.oidc_provider) == (ActorKind.ASSUMED_ROLE, None)


class TestClusterByRoleName:
    @pytest.mark.parametrize(
        ("role", "cluster"),
        [
            (EKSCTL_CNI, "prod"),
            ("eksctl-transfast-addon-iamserviceaccount-kub-Role1-Q76OFJUYIG6Q", "transfast"),
            ("eksctl-prod-addon-iamserviceaccount-kube-system-aws-node", "prod"),
            ("eksctl-prod-cluster-eu-addon-vpc-cni-Role1-Q76OFJUYIG6Q", "prod-cluster-eu"),
            ("eksctl-prod-podidentityrole-kube-system-aws-node", "prod"),
            ("eksctl-prod-nodegroup-ng-1-NodeInstanceRole-ABCDEFGHIJKL", "prod"),
            ("eksctl-prod-cluster-ServiceRole-ABCDEFGHIJKL", "prod"),
            ("eksctl-a-b-c-addon-vpc-cni-Role1-Q76OFJUYIG6Q", "a-b-c"),
        ],
    )
    def test_a_role_name_of_eksctl_has_the_cluster(self, role: str, cluster: str) -> None:
        found = who(irsa(role))
        assert found.cluster == cluster
        assert (found.basis.cluster, found.strength.cluster) == ("role-name", "claimed")

    @pytest.mark.parametrize(
        "role",
        [
            "eksctl-prod-nodegroup-nodegroup-ng-NodeInstanceRole-ABCDEFGHIJKL",
            "eksctl-prod-addon-vpc-cni-podidentityrole-aws-node",
            "eksctl-prod-addon-addon-vpc-cni-Role1-Q76OFJUYIG6Q",
            "eksctl-prod-addon-x-nodegroup-y-NodeInstanceRole-ABCDEFGHIJKL",
        ],
    )
    def test_an_ambiguous_name_has_no_cluster(self, role: str) -> None:
        found = who(irsa(role))
        assert found.cluster is None
        assert found.basis.cluster is None

    def test_a_name_that_iam_truncated_inside_the_cluster_has_no_cluster(self) -> None:
        role = "eksctl-team-cluster-with-a-name-that-is-very-lo-Role1-Q76OFJUYIG"
        assert len(role) == 64
        assert who(irsa(role)).cluster is None

    @pytest.mark.parametrize(
        "role", ["eksctl-", "eksctl-prod", "prod-addon-vpc-cni", "eksctl--addon-x", "cni"]
    )
    def test_other_names_have_no_cluster(self, role: str) -> None:
        assert not who(irsa(role)).cluster


class TestPodIdentity:
    @pytest.mark.parametrize("name", [POD_SESSION, "eks-prod", "eks-prod-aws-node"])
    def test_a_session_with_the_name_of_a_pod_is_an_assumed_role(self, name: str) -> None:
        found = who(session("cni", name))
        assert (found.kind, found.label) == (ActorKind.ASSUMED_ROLE, f"cni/{name}")
        assert (found.session, found.service_account, found.cluster) == (name, None, None)


class TestNodeRole:
    @pytest.mark.parametrize("instance", ["i-0a1b2c3d4e5f60718", "i-0a1b2c3d"])
    def test_the_session_is_the_instance(self, instance: str) -> None:
        found = who(session("prod-NodeInstanceRole", instance, ec2RoleDelivery="2.0"))
        assert found.kind is ActorKind.INSTANCE_ROLE
        assert found.label == instance
        assert found.instance == instance
        assert found.basis.instance == "ec2-role-delivery"
        assert found.strength.instance == "proven-by-aws"
        assert found.claimed_instance is None

    @pytest.mark.parametrize("delivery", [None, "", {}, [], True, 2])
    def test_a_session_with_the_name_of_an_instance_only_claims_to_be_one(self, delivery: object) -> None:
        found = who(session("admin", "i-0a1b2c3d4e5f60718", ec2RoleDelivery=delivery))
        assert (found.kind, found.label) == (ActorKind.ASSUMED_ROLE, "admin/i-0a1b2c3d4e5f60718")
        assert (found.instance, found.basis.instance, found.strength.instance) == (None, None, None)
        assert found.claimed_instance == "i-0a1b2c3d4e5f60718"

    @given(st.text(), st.text())
    @settings(deadline=None)
    def test_no_role_and_no_session_name_makes_an_instance(self, role: str, name: str) -> None:
        found = who(session(role, name))
        assert found.kind is ActorKind.ASSUMED_ROLE
        assert found.instance is None

    @pytest.mark.parametrize(
        "name", ["i-0a1b2c3d4e5f6071", "i-", "i-XYZ", "x-i-0a1b2c3d", "i-0a1b2c3d4e5f60718\n"]
    )
    def test_another_session_name_is_not_an_instance(self, name: str) -> None:
        found = who(session("admin", name))
        assert found.kind is ActorKind.ASSUMED_ROLE
        assert found.instance is None

    def test_an_instance_identity_role_has_a_principal_of_four_parts(self) -> None:
        identity = session("aws:ec2-instance", "i-0373c1a524cfdbe63", ec2RoleDelivery="1.0") | {
            "principalId": f"{ACCOUNT}:aws:ec2-instance:i-0373c1a524cfdbe63"
        }
        for known in (identity, {key: value for key, value in identity.items() if key != "arn"}):
            found = who(known)
            assert found.kind is ActorKind.INSTANCE_ROLE
            assert found.role == "aws:ec2-instance"
            assert found.instance == found.session == "i-0373c1a524cfdbe63"


class TestServices:
    def test_a_service_calls_in_its_own_name(self) -> None:
        found = who({"type": "AWSService", "invokedBy": "spotfleet.amazonaws.com"})
        assert found.kind is ActorKind.AWS_SERVICE
        assert found.label == found.invoked_by == "spotfleet.amazonaws.com"

    def test_a_service_event_may_lack_a_type(self) -> None:
        found = who({"accountId": ACCOUNT, "invokedBy": "ec2.amazonaws.com"})
        assert (found.kind, found.label) == (ActorKind.AWS_SERVICE, "ec2.amazonaws.com")
        assert found.account == ACCOUNT

    def test_a_service_linked_role_is_used_by_its_service(self) -> None:
        service = "autoscaling.amazonaws.com"
        identity = service_linked(service, "AWSServiceRoleForAutoScaling", "AutoScaling", invokedBy=service)
        found = who(identity, sourceIPAddress=service, userAgent=service)
        assert found.kind is ActorKind.AWS_SERVICE
        assert found.label == service
        assert found.role == "AWSServiceRoleForAutoScaling"
        assert found.session == "AutoScaling"
        assert found.agent.name == service

    def test_a_service_linked_role_without_an_invoker_is_its_service(self) -> None:
        found = who(service_linked("rds.amazonaws.com", "AWSServiceRoleForRDS", "SLRManagement"))
        assert (found.kind, found.label) == (ActorKind.AWS_SERVICE, "rds.amazonaws.com")

    def test_a_fragment_with_only_the_role_name_is_recognized(self) -> None:
        issuer = {"userName": "AWSServiceRoleForElasticLoadBalancing"}
        found = who({"type": "AssumedRole", "sessionContext": {"sessionIssuer": issuer}})
        assert found.kind is ActorKind.AWS_SERVICE
        assert found.label == "AWSServiceRoleForElasticLoadBalancing"

    def test_a_role_with_that_name_that_is_not_service_linked_is_an_assumed_role(self) -> None:
        assert who(session("AWSServiceRoleForMe", "ada")).kind is ActorKind.ASSUMED_ROLE

    @pytest.mark.parametrize(
        "path",
        [
            "/x:role/aws-service-role/autoscaling.amazonaws.com/",
            "/my/aws-service-role/autoscaling.amazonaws.com/",
            "/aws-service-role/",
        ],
    )
    def test_a_role_with_a_path_like_that_of_a_service_is_an_assumed_role(self, path: str) -> None:
        assert who(session("AWSServiceRoleForMe", "ada", path)).kind is ActorKind.ASSUMED_ROLE

    def test_the_control_plane_of_eks_is_a_service(self) -> None:
        service = "eks.amazonaws.com"
        identity = service_linked(service, "AWSServiceRoleForAmazonEKS", "AmazonEKS", invokedBy=service)
        assert who(identity).label == "eks.amazonaws.com"

    def test_a_service_with_a_customer_role_is_that_role(self) -> None:
        found = who(session("api", "awslambda_847_20230628214903095") | {"invokedBy": "lambda.amazonaws.com"})
        assert found.kind is ActorKind.ASSUMED_ROLE
        assert found.label == "api/awslambda_847_20230628214903095"
        assert found.invoked_by == "lambda.amazonaws.com"

    def test_a_service_for_the_root_user_of_2016_is_recognized(self) -> None:
        found = who(
            {
                "type": "Root",
                "principalId": ACCOUNT,
                "arn": f"arn:aws:iam::{ACCOUNT}:root",
                "accountId": ACCOUNT,
                "invokedBy": "autoscaling.amazonaws.com",
            }
        )
        assert found.kind is ActorKind.ROOT
        assert found.invoked_by == "autoscaling.amazonaws.com"


class TestPeople:
    def test_an_iam_user(self) -> None:
        found = who(IAM_USER)
        assert (found.kind, found.label, found.user) == (ActorKind.IAM_USER, "ada", "ada")
        assert (found.role, found.session) == (None, None)
        assert found.access_key_id == "AKIAEXAMPLEEXAMPLE12"

    def test_the_root_user(self) -> None:
        found = who({"type": "Root", "arn": f"arn:aws:iam::{ACCOUNT}:root", "accountId": ACCOUNT})
        assert (found.kind, found.label, found.account) == (ActorKind.ROOT, "root", ACCOUNT)

    def test_an_assumed_role(self) -> None:
        found = who(session("admin", "ada"))
        assert (found.kind, found.label) == (ActorKind.ASSUMED_ROLE, "admin/ada")
        assert found.role_arn == f"arn:aws:iam::{ACCOUNT}:role/admin"

    def test_a_role_below_a_path(self) -> None:
        found = who(session("admin", "ada", "/team/blue/"))
        assert found.role == "admin"
        assert found.role_arn == f"arn:aws:iam::{ACCOUNT}:role/team/blue/admin"

    def test_an_sso_permission_set(self) -> None:
        path = "/aws-reserved/sso.amazonaws.com/eu-west-1/"
        found = who(session("AWSReservedSSO_Admin_0123456789abcdef", "ada@example.com", path))
        assert (found.kind, found.label) == (ActorKind.IDENTITY_CENTER, "ada@example.com")
        assert found.user == "ada@example.com"

    @pytest.mark.parametrize("path", ["/", "/x:role/aws-reserved/sso.amazonaws.com/", "/aws-reserved/x/"])
    def test_a_role_named_like_a_permission_set_is_an_assumed_role(self, path: str) -> None:
        found = who(session("AWSReservedSSO_Admin_0123456789abcdef", "ada@example.com", path))
        assert (found.kind, found.user) == (ActorKind.ASSUMED_ROLE, None)

    def test_an_identity_center_user(self) -> None:
        found = who(
            {
                "type": "IdentityCenterUser",
                "accountId": ACCOUNT,
                "onBehalfOf": {"userId": "544894e8-80c1-707f-60e3-3ba6510dfac1", "identityStoreArn": "x"},
                "credentialId": "EXAMPLE",
            }
        )
        assert found.kind is ActorKind.IDENTITY_CENTER
        assert found.label == found.user == "544894e8-80c1-707f-60e3-3ba6510dfac1"

    def test_a_federated_user_has_its_own_name_and_an_issuer(self) -> None:
        broker = f"arn:aws:iam::{ACCOUNT}:user/broker"
        found = who(
            {
                "type": "FederatedUser",
                "principalId": f"{ACCOUNT}:ada",
                "arn": f"arn:aws:sts::{ACCOUNT}:federated-user/ada",
                "accountId": ACCOUNT,
                "sessionContext": {"sessionIssuer": {"type": "IAMUser", "arn": broker, "userName": "broker"}},
            }
        )
        assert (found.kind, found.label, found.session) == (ActorKind.FEDERATED, "ada", "ada")
        assert (found.role, found.role_arn, found.assumed_by) == (None, None, broker)

    def test_a_federated_user_with_the_name_of_an_instance_does_not_claim_to_be_one(self) -> None:
        arn = f"arn:aws:sts::{ACCOUNT}:federated-user/i-0a1b2c3d4e5f60718"
        found = who({"type": "FederatedUser", "arn": arn, "sessionContext": {"ec2RoleDelivery": "2.0"}})
        assert (found.kind, found.instance, found.claimed_instance) == (ActorKind.FEDERATED, None, None)

    def test_a_source_identity_is_read_if_the_session_has_one(self) -> None:
        assert who(session("admin", "ada", sourceIdentity="ada@example.com")).source_identity == (
            "ada@example.com"
        )
        assert who(session("admin", "ada")).source_identity is None

    def test_a_saml_user(self) -> None:
        found = who({"type": "SAMLUser", "principalId": "x:ada@example.com", "userName": "ada@example.com"})
        assert (found.kind, found.label) == (ActorKind.FEDERATED, "ada@example.com")

    def test_a_web_identity(self) -> None:
        name = "system:serviceaccount:kube-system:aws-node"
        found = who({"type": "WebIdentityUser", "userName": name, "identityProvider": PROVIDER})
        assert (found.kind, found.label, found.oidc_provider) == (ActorKind.FEDERATED, name, PROVIDER)

    def test_another_account(self) -> None:
        found = who({"type": "AWSAccount", "principalId": "AROA:x", "accountId": "774305579662"})
        assert (found.kind, found.label) == (ActorKind.AWS_ACCOUNT, "774305579662")


class TestUnknown:
    @pytest.mark.parametrize(
        "identity", [None, {}, [], "root", 5, {"type": "Unknown"}, {"type": "New"}, {"type": 5}]
    )
    def test_an_empty_identity_is_unknown(self, identity: object) -> None:
        found = who(identity)
        assert (found.kind, found.label) == (ActorKind.UNKNOWN, "unknown")
        assert found.basis == ActorBasis()

    def test_a_bare_role_session_is_an_assumed_role(self) -> None:
        found = who({"type": "AssumedRole"})
        assert (found.kind, found.label) == (ActorKind.ASSUMED_ROLE, "assumed-role")

    def test_role_and_session_are_read_from_the_arn_if_the_issuer_is_missing(self) -> None:
        identity = session("admin", "ada")
        del identity["sessionContext"]
        found = who(identity)
        assert (found.role, found.session, found.role_arn) == ("admin", "ada", None)


class TestConsole:
    @pytest.mark.parametrize(
        "agent",
        [
            "AWS Internal",
            "console.ec2.amazonaws.com",
            "EC2ConsoleFrontend, aws-internal/3 aws-sdk-java/1.12.1 Linux/5.4 OpenJDK_64-Bit_Server_VM/25",
            "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
            None,
        ],
    )
    def test_a_session_from_the_console_is_the_console(self, agent: str | None) -> None:
        found = who(session("admin", "ada"), userAgent=agent, sessionCredentialFromConsole="true")
        assert found.agent.name == "console"
        assert found.agent.raw == agent

    def test_a_program_in_cloudshell_stays_that_program(self) -> None:
        agent = "aws-cli/2.15.30 Python/3.11.8 Linux/6.1.79 exec-env/CloudShell exe/x86_64.amzn.2"
        found = who(session("admin", "ada"), userAgent=agent, sessionCredentialFromConsole="true")
        assert (found.agent.name, found.agent.version) == ("aws-cli", "2.15.30")

    @pytest.mark.parametrize("flag", ["false", None, "", {}, []])
    def test_aws_internal_alone_is_not_the_console(self, flag: object) -> None:
        found = who(session("admin", "ada"), userAgent="AWS Internal", sessionCredentialFromConsole=flag)
        assert found.agent.name == "AWS Internal"


class TestSource:
    def test_the_source_is_kept_unchanged(self) -> None:
        assert who(IAM_USER, sourceIPAddress="eks.amazonaws.com").source_ip == "eks.amazonaws.com"

    @pytest.mark.parametrize("source", [None, 5, "", [], {}])
    def test_a_source_address_that_is_not_text_is_ignored(self, source: object) -> None:
        assert who(IAM_USER, sourceIPAddress=source).source_ip is None


IDENTITIES = [
    irsa(),
    session("cni", POD_SESSION),
    session("node", "i-0a1b2c3d4e5f60718"),
    service_linked(
        "rds.amazonaws.com", "AWSServiceRoleForRDS", "SLRManagement", invokedBy="rds.amazonaws.com"
    ),
    IAM_USER,
    {"type": "IdentityCenterUser", "onBehalfOf": {"userId": "x"}},
    {"accountId": ACCOUNT, "invokedBy": "ec2.amazonaws.com"},
]


class TestAnyInput:
    @given(
        st.sampled_from([(identity, path) for identity in IDENTITIES for path in paths_in(identity)]),
        json_values,
    )
    @settings(max_examples=400)
    def test_any_value_in_any_field_gives_an_actor_with_a_label(self, place: Any, value: object) -> None:
        identity, path = place
        found = who(replaced(identity, path, value))
        assert found.label
        assert (found.cluster is None) == (found.basis.cluster is None)
        assert (found.instance is None) == (found.basis.instance is None)
        assert (found.cluster is None) == (found.strength.cluster is None)
        assert (found.instance is None) == (found.strength.instance is None)

    @given(st.text(), st.text())
    @settings(deadline=None)
    def test_any_role_and_session_give_an_actor(self, role: str, name: str) -> None:
        found = who(session(role, name))
        assert found.label
        assert found.service_account is None

    @given(json_values, json_values, json_values)
    @settings(deadline=None)
    def test_any_record_gives_an_actor(self, identity: object, source: object, flag: object) -> None:
        assert who(identity, sourceIPAddress=source, sessionCredentialFromConsole=flag).label
