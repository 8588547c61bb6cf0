"""The STS calls that issue credentials of a role: to whom, and by whose call."""

import re

from msgspec import Struct

from cnitrail.decode.actor import actor
from cnitrail.decode.common_fields import (
    account_of,
    corrected_by,
    digest_of,
    id_of,
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
"""The calls that issue credentials; most of them to somebody else."""

POD_IDENTITY = "pods.eks.amazonaws.com"
"""The service that calls AssumeRole for EKS Pod Identity."""

_ADDRESS = re.compile(r"\d{1,3}\.|[0-9a-fA-F]*:")


class _Issuance(Struct, frozen=True):
    """To whom credentials were issued: a service account, or whoever ``assumer`` is."""

    service_account: str | None = None
    cluster: str | None = None
    provider: str | None = None
    assumer: str | None = None
    pod_identity: bool = False


def is_from_an_address(source_ip: str | None) -> bool:
    """Whether a call came from an IP address: AWS services have their DNS name as sourceIPAddress.

    Of AssumeRole by a caller of its own this holds; a record without it matters only for EKS Pod Identity.
    """
    return _ADDRESS.match(source_ip or "") is not None


def session_of(record: Record, entry: Fields, problems: Problems) -> IssuedSession | None:
    """Credentials issued to a service account, or to a caller that assumed a role; None of any other."""
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
    event_id, corrected = id_of(entry), corrected_by(entry)
    return IssuedSession(
        time=time,
        key=corrected or event_id or digest_of(entry),
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
        corrects=corrected is not None,
        assumer=issued.assumer,
    )


def _to_web_identity(entry: Fields, response: Fields, role_arn: str | None) -> _Issuance | None:
    """A service account that showed a token of its cluster; any other provider may write any subject."""
    identity = fields(entry.get("userIdentity"))
    provider = text(response.get("provider")) or text(identity.get("identityProvider"))
    service_account = _service_account(text(identity.get("userName"))) or _service_account(
        text(response.get("subjectFromWebIdentityToken"))
    )
    if service_account is None:
        return None
    if provider is not None and not is_of_eks(provider, account_of_role(role_arn)):
        return None
    return _Issuance(service_account=service_account, provider=provider)


def _by_assume_role(entry: Fields, request: Fields) -> _Issuance | None:
    """EKS Pod Identity for a pod, or anybody but an AWS service for itself."""
    if fields(entry.get("userIdentity")).get("invokedBy") == POD_IDENTITY:
        tagged = dict(tags(request.get("tags")))
        namespace, name = tagged.get("kubernetes-namespace"), tagged.get("kubernetes-service-account")
        return _Issuance(
            service_account=f"{namespace}/{name}" if namespace and name else None,
            cluster=tagged.get("eks-cluster-name"),
            pod_identity=True,
        )
    if not is_from_an_address(text(entry.get("sourceIPAddress"))):
        return None
    caller = actor(entry)
    return _Issuance(assumer=caller.arn or caller.label)


def _service_account(user_name: str | None) -> str | None:
    """``namespace/name`` of ``system:serviceaccount:namespace:name``."""
    match (user_name or "").split(":"):
        case ["system", "serviceaccount", namespace, name] if namespace and name:
            return f"{namespace}/{name}"
    return None
