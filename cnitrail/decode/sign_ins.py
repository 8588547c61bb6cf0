"""The STS calls with which a service account of Kubernetes failed to get credentials → an event.

A failed sign-in changes nothing. It shows which service account asked for which role, as far as its token
and the request say: https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html.
"""

import re

from msgspec.structs import replace

from cnitrail.decode.actor import actor_of, eksctl_cluster
from cnitrail.decode.common_fields import (
    account_of,
    failure_of,
    identity_of,
    region_of,
    time_of,
)
from cnitrail.decode.providers import account_of_role, is_of_eks
from cnitrail.decode.sessions import POD_IDENTITY, WEB_IDENTITY, pod_of, service_account_of
from cnitrail.decode.shapes import Fields, Problems, elements, fields, text
from cnitrail.model import Actor, ActorKind, Details, Effect, Event, Record, Strength, Subject
from cnitrail.model.callers import is_another_program

_SUBJECT = re.compile(r"system:serviceaccount:[^:]+:[^:]+")
_NAMES_EKS = re.compile(r"\boidc[.-]eks\.[a-z0-9-]+\.")
"""Part of the URL of a cluster's OIDC provider: https://docs.aws.amazon.com/general/latest/gr/eks.html."""

_ROLE = "AWS::IAM::Role"


def failed_sign_in(record: Record, entry: Fields, identity_basis: str | None) -> Event | None:
    """Return the failed sign-in of a service account; None if it succeeded, or is any other caller's.

    ``identity_basis`` is that of a rebuilt record (``Form.identity_basis``).
    """
    failure = failure_of(entry)
    if failure is None:
        return None
    role_arn = _role_asked_for(entry)
    actor = _service_account(entry, actor_of(entry, identity_basis), role_arn)
    time = time_of(entry, Problems()) if actor is not None else None
    if actor is None or time is None:
        return None
    key, event_id, is_correction = identity_of(entry)
    return Event(
        time=time,
        key=key,
        event_id=event_id,
        name=text(entry.get("eventName")) or WEB_IDENTITY,
        effect=Effect.SIGN_IN,
        failure=failure,
        account=account_of(entry) or account_of_role(role_arn),
        region=region_of(entry),
        actor=actor,
        subjects=(Subject(details=Details(resource=role_arn)),),
        origins=record.origins,
        corrects=is_correction,
        request_id=text(entry.get("requestID")),
    )


def _role_asked_for(entry: Fields) -> str | None:
    """Return the ARN of the role; a refused call may name it only among its resources."""
    asked = text(fields(entry.get("requestParameters")).get("roleArn"))
    resources = map(fields, elements(entry.get("resources")))
    return asked or next((text(found.get("ARN")) for found in resources if found.get("type") == _ROLE), None)


def _service_account(entry: Fields, actor: Actor, role_arn: str | None) -> Actor | None:
    """Return the caller with its service account, as its token or EKS says; None if it is no such caller."""
    if entry.get("eventName") == WEB_IDENTITY:
        return _with_token(entry, actor, role_arn)
    if fields(entry.get("userIdentity")).get("invokedBy") != POD_IDENTITY:
        return None
    pod = pod_of(fields(entry.get("requestParameters")))
    return replace(
        actor,
        kind=ActorKind.POD_IDENTITY,
        label=pod.service_account or actor.label,
        service_account=pod.service_account,
        cluster=pod.cluster,
        basis=replace(
            actor.basis,
            service_account="sts-event" if pod.service_account else None,
            cluster="sts-event" if pod.cluster else None,
        ),
        strength=replace(
            actor.strength,
            service_account=Strength.OBSERVED if pod.service_account else None,
            cluster=Strength.OBSERVED if pod.cluster else None,
        ),
    )


def _may_be_a_pod(entry: Fields, identity: Fields, actor: Actor) -> bool:
    """Return whether a caller that CloudTrail does not know may be the VPC CNI or another Go program.

    CI systems sign in with other programs.
    """
    is_unknown = text(identity.get("type")) in (None, "Unknown") and actor.oidc_provider is None
    return is_unknown and text(entry.get("userAgent")) is not None and not is_another_program(actor)


def _with_token(entry: Fields, actor: Actor, role_arn: str | None) -> Actor | None:
    """Return the caller as its token says: what is in a refused token may be anybody's claim.

    A provider other than a cluster's can choose any subject, so it names no service account.
    """
    identity = fields(entry.get("userIdentity"))
    provider = text(identity.get("identityProvider"))
    token = _SUBJECT.search(text(identity.get("userName")) or text(identity.get("principalId")) or "")
    message = text(entry.get("errorMessage")) or ""
    is_of_pod = _NAMES_EKS.search(f"{provider or ''} {message}") or _may_be_a_pod(entry, identity, actor)
    if token is None and not is_of_pod:
        return None
    of_eks = is_of_eks(provider, account_of_role(role_arn) or account_of(entry))
    known = service_account_of(token[0]) if token is not None and (of_eks or provider is None) else None
    cluster = eksctl_cluster((role_arn or "").rpartition("/")[2])
    return replace(
        actor,
        kind=ActorKind.IRSA if of_eks else actor.kind,
        label=known or (token[0] if token is not None else actor.label),
        service_account=known,
        cluster=cluster,
        basis=replace(
            actor.basis,
            service_account="token" if known else None,
            cluster="role-name" if cluster else None,
        ),
        strength=replace(
            actor.strength,
            service_account=Strength.CLAIMED if known else None,
            cluster=Strength.CLAIMED if cluster else None,
        ),
    )
