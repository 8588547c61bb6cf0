"""The STS calls that issue credentials to a Kubernetes service account: IRSA and EKS Pod Identity."""

from cnitrail.decode.head import account_of, corrected_by, digest_of, id_of, region_of, succeeded, time_of
from cnitrail.decode.shapes import Fields, Problems, fields, tags, text
from cnitrail.model import IssuedSession, Record

SESSIONS = ("AssumeRoleWithWebIdentity", "AssumeRole")
"""The calls that issue credentials; most of them to somebody else."""

POD_IDENTITY = "pods.eks.amazonaws.com"
"""The service that calls AssumeRole for EKS Pod Identity."""


def session_of(record: Record, entry: Fields, problems: Problems) -> IssuedSession | None:
    """Credentials issued to a service account; None of any other use of STS, which is of no matter."""
    if not succeeded(entry):
        return None
    identity = fields(entry.get("userIdentity"))
    request, response = fields(entry.get("requestParameters")), fields(entry.get("responseElements"))
    session_tags = dict(tags(request.get("tags")))
    pod_identity = entry.get("eventName") == "AssumeRole"
    if pod_identity:
        if identity.get("invokedBy") != POD_IDENTITY:
            return None
        namespace = session_tags.get("kubernetes-namespace")
        account = session_tags.get("kubernetes-service-account")
        service_account = f"{namespace}/{account}" if namespace and account else None
    else:
        service_account = _service_account(text(identity.get("userName")))
        if service_account is None:
            return None
    time = time_of(entry, problems)
    if time is None:
        return None
    event_id, corrected = id_of(entry), corrected_by(entry)
    return IssuedSession(
        time=time,
        key=corrected or event_id or digest_of(entry),
        event_id=event_id,
        account=account_of(entry),
        region=region_of(entry),
        access_key_id=text(fields(response.get("credentials")).get("accessKeyId")),
        role_arn=text(request.get("roleArn")),
        session=text(request.get("roleSessionName")),
        service_account=service_account,
        cluster=session_tags.get("eks-cluster-name"),
        oidc_provider=text(response.get("provider")) or text(identity.get("identityProvider")),
        pod_identity=pod_identity,
        origins=record.origins,
        corrects=corrected is not None,
    )


def _service_account(user_name: str | None) -> str | None:
    """``namespace/name`` of ``system:serviceaccount:namespace:name``."""
    match (user_name or "").split(":"):
        case ["system", "serviceaccount", namespace, name] if namespace and name:
            return f"{namespace}/{name}"
    return None
