"""The STS calls that issue credentials for a role → who got them."""

import re

from msgspec import Struct

from cnitrail.decode.actor import actor_of
from cnitrail.decode.common_fields import (
    account_of,
    identity_of,
    region_of,
    succeeded,
    time_of,
)
from cnitrail.decode.providers import account_of_role, is_of_eks
from cnitrail.decode.shapes import Fields, Problems, fields, tags, text
from cnitrail.model import IssuedSession, Record

WEB_IDENTITY = "AssumeRoleWithWebIdentity"
ASSUME_ROLE = "AssumeRole"
SESSIONS = (WEB_IDENTITY, ASSUME_ROLE)
"""The calls that issue credentials; most of them are not relevant."""

POD_IDENTITY = "pods.eks.amazonaws.com"
"""The service that calls AssumeRole for EKS Pod Identity."""

STS = "sts.amazonaws.com"
ADDRESS_PATTERN = r"[0-9]{1,3}\.|[0-9a-fA-F]*:"
"""How an IP address begins, as a regular expression."""

_ADDRESS = re.compile(ADDRESS_PATTERN)


class Issuance(Struct, frozen=True, kw_only=True):
    """Who asked for credentials: a service account, or ``assumer``."""

    service_account: str | None = None
    cluster: str | None = None
    provider: str | None = None
    assumer: str | None = None
    pod_identity: bool = False


def is_from_an_address(source_ip: str | None) -> bool:
    """Return whether a call came from an IP address, and not from an AWS service, which has a DNS name.

    AssumeRole without an IP address is relevant only for EKS Pod Identity.
    """
    return _ADDRESS.match(source_ip or "") is not None


def session_of(record: Record, entry: Fields, problems: Problems) -> IssuedSession | None:
    """Return the credentials if a service account, or a caller that is not an AWS service, got them."""
    if not succeeded(entry):
        return None
    request, response = fields(entry.get("requestParameters")), fields(entry.get("responseElements"))
    role_arn = text(request.get("roleArn"))
    if entry.get("eventName") == WEB_IDENTITY:
        issued = _to_web_identity(entry, response, role_arn)
    else:
        issued = _by_assume_role(entry, request)
    time = time_of(entry, problems) if issued is not None else None
    if issued is None or time is None:
        return None
    key, event_id, is_correction = identity_of(entry)
    return IssuedSession(
        time=time,
        key=key,
        event_id=event_id,
        account=account_of(entry),
        region=region_of(entry),
        access_key_id=text(fields(response.get("credentials")).get("accessKeyId")),
        role_arn=role_arn,
        session=text(request.get("roleSessionName")),
        service_account=issued.service_account,
        cluster=issued.cluster,
        oidc_provider=issued.provider,
        pod_identity=issued.pod_identity,
        origins=record.origins,
        corrects=is_correction,
        assumer=issued.assumer,
    )


def _to_web_identity(entry: Fields, response: Fields, role_arn: str | None) -> Issuance | None:
    """Return the service account if its cluster issued the token; other providers can choose any subject."""
    identity = fields(entry.get("userIdentity"))
    provider = text(response.get("provider")) or text(identity.get("identityProvider"))
    service_account = service_account_of(text(identity.get("userName"))) or service_account_of(
        text(response.get("subjectFromWebIdentityToken"))
    )
    if service_account is None:
        return None
    if provider is not None and not is_of_eks(provider, account_of_role(role_arn)):
        return None
    return Issuance(service_account=service_account, provider=provider)


def _by_assume_role(entry: Fields, request: Fields) -> Issuance | None:
    """Return the pod's service account (EKS Pod Identity), or the caller if it is not an AWS service."""
    if fields(entry.get("userIdentity")).get("invokedBy") == POD_IDENTITY:
        return pod_of(request)
    if not is_from_an_address(text(entry.get("sourceIPAddress"))):
        return None
    caller = actor_of(entry)
    return Issuance(assumer=caller.arn or caller.label)


def pod_of(request: Fields) -> Issuance:
    """Return the service account and cluster for which EKS Pod Identity asks, from its request's tags."""
    tagged = dict(tags(request.get("tags")))
    namespace, name = tagged.get("kubernetes-namespace"), tagged.get("kubernetes-service-account")
    return Issuance(
        service_account=f"{namespace}/{name}" if namespace and name else None,
        cluster=tagged.get("eks-cluster-name"),
        pod_identity=True,
    )


def service_account_of(user_name: str | None) -> str | None:
    """Return ``namespace/name`` of ``system:serviceaccount:namespace:name``."""
    match (user_name or "").split(":"):
        case ["system", "serviceaccount", namespace, name] if namespace and name:
            return f"{namespace}/{name}"
    return None
