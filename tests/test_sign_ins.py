"""Failed sign-ins of service accounts: which records are one, and who is behind them."""

import json
from typing import Any

import pytest
from records import ACCOUNT, POD_IDENTITY, WEB_IDENTITY, failed, replaced

from cnitrail.decode import Decoded, decode
from cnitrail.model import ActorKind, Effect, Event, Origin, Record, Strength

ROLE = f"arn:aws:iam::{ACCOUNT}:role/cni"
GITHUB = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"


def decoded(entry: dict[str, Any]) -> Decoded:
    return decode(Record((Origin("file", 0),), json.dumps(entry).encode()))


def sign_in(entry: dict[str, Any]) -> Event:
    """Return the event of a record that is a failed sign-in."""
    fact = decoded(entry).fact
    assert isinstance(fact, Event)
    assert fact.effect is Effect.SIGN_IN
    return fact


def refused(*changes: tuple[tuple[str, ...], object], code: str = "AccessDenied") -> dict[str, Any]:
    """Return a refused sign-in of aws-node, with some fields changed."""
    entry = failed(WEB_IDENTITY, code)
    for path, value in changes:
        entry = replaced(entry, path, value)
    return entry


class TestWebIdentity:
    def test_the_token_names_the_service_account_and_the_request_the_role(self) -> None:
        event = sign_in(refused())
        actor = event.actor
        assert (actor.kind, actor.label) == (ActorKind.IRSA, "kube-system/aws-node")
        assert (actor.service_account, actor.basis.service_account) == ("kube-system/aws-node", "token")
        assert actor.strength.service_account is Strength.CLAIMED
        assert (actor.role, actor.role_arn, actor.ipamd) == (None, None, None)
        assert (event.subjects[0].details.resource, event.account) == (ROLE, ACCOUNT)
        assert event.failure is not None
        assert event.failure.code == "AccessDenied"

    def test_the_role_may_be_named_among_the_resources_only(self) -> None:
        resources = [{"accountId": ACCOUNT, "type": "AWS::IAM::Role", "ARN": ROLE}]
        event = sign_in(refused((("requestParameters",), None)) | {"resources": resources})
        assert event.subjects[0].details.resource == ROLE

    def test_without_a_role_the_provider_must_be_of_the_account_of_the_trail(self) -> None:
        entry = refused((("requestParameters",), None))
        event = sign_in(entry)
        assert (event.subjects[0].details.resource, event.actor.kind) == (None, ActorKind.IRSA)
        event = sign_in(entry | {"recipientAccountId": "999999999999"})
        assert (event.actor.kind, event.actor.service_account) == (ActorKind.FEDERATED, None)

    @pytest.mark.parametrize("provider", ["evil.example.com", "oidc.eks.evil.example.com/id/X"])
    def test_another_provider_names_no_service_account(self, provider: str) -> None:
        arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{provider}"
        event = sign_in(refused((("userIdentity", "identityProvider"), arn)))
        assert (event.actor.kind, event.actor.service_account) == (ActorKind.FEDERATED, None)
        assert event.actor.label == "system:serviceaccount:kube-system:aws-node"

    def test_a_refused_token_without_an_identity_counts_if_the_message_names_a_cluster(self) -> None:
        entry = refused(
            (("userIdentity",), {"type": "WebIdentityUser"}), code="InvalidIdentityTokenException"
        )
        url = "https://oidc.eks.eu-west-1.amazonaws.com/id/0123456789ABCDEF"
        message = f"No OpenIDConnect provider found in your account for {url}"
        event = sign_in(entry | {"errorMessage": message})
        assert event.actor.service_account is None

    def test_the_cluster_of_a_role_that_eksctl_made(self) -> None:
        arn = f"arn:aws:iam::{ACCOUNT}:role/eksctl-quay-addon-vpc-cni-Role1-AAAAAAAAAAAA"
        assert sign_in(refused((("requestParameters", "roleArn"), arn))).actor.cluster == "quay"

    @pytest.mark.parametrize("provider", [GITHUB, None])
    def test_any_other_web_identity_is_irrelevant(self, provider: str | None) -> None:
        entry = refused(
            (("userIdentity", "userName"), "repo:ada/tool:ref:refs/heads/main"),
            (("userIdentity", "identityProvider"), provider),
        )
        assert decoded(entry) == Decoded(None)

    @pytest.mark.parametrize("identity", [{"type": "Unknown"}, {"type": "Unknown", "userName": ""}, {}])
    def test_a_go_program_that_cloudtrail_does_not_know_may_be_a_pod(self, identity: dict[str, str]) -> None:
        event = sign_in(refused((("userIdentity",), identity), (("userAgent",), "aws-sdk-go-v2/1.39.2")))
        assert (event.actor.kind, event.actor.service_account) == (ActorKind.UNKNOWN, None)
        assert event.subjects[0].details.resource == ROLE

    @pytest.mark.parametrize("agent", ["aws-sdk-js/3.600.0", "aws-cli/2.27.31", None])
    def test_another_program_that_cloudtrail_does_not_know_is_irrelevant(self, agent: str | None) -> None:
        entry = refused((("userIdentity",), {"type": "Unknown"}), (("userAgent",), agent))
        assert decoded(entry) == Decoded(None)

    def test_a_record_without_a_time_is_irrelevant(self) -> None:
        assert decoded(refused((("eventTime",), None))).fact is None


class TestPodIdentity:
    def test_the_tags_name_the_service_account_and_its_cluster(self) -> None:
        actor = sign_in(failed(POD_IDENTITY, "AccessDenied")).actor
        assert (actor.kind, actor.label) == (ActorKind.POD_IDENTITY, "kube-system/aws-node")
        assert (actor.cluster, actor.basis.cluster) == ("prod", "sts-event")

    def test_a_failed_assume_role_of_anybody_else_is_irrelevant(self) -> None:
        entry = replaced(failed(POD_IDENTITY, "AccessDenied"), ("userIdentity", "invokedBy"), None)
        assert decoded(entry) == Decoded(None)
