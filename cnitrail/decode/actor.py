"""userIdentity → who made a call.

Only what the record itself says; what other records add (the service account behind a session)
is joined by the history. Shapes: AWS's CloudTrail userIdentity element.
"""

import re
from functools import lru_cache

import msgspec

from cnitrail.decode.agent import agent
from cnitrail.decode.shapes import Fields, fields, text
from cnitrail.model import Actor, ActorBasis, ActorKind, Agent

_INSTANCE = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")
_ROLE_SESSION = re.compile(r"^arn:[^:]*:sts::[^:]*:assumed-role/(?P<role>.+)/(?P<session>[^/]+)$")
_EKS_PROVIDER = re.compile(r":oidc-provider/oidc(?:-eks|\.eks)\.[^/]+/id/")
_POD_SESSION = re.compile(r"eks-.+-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SERVICE_ROLE = re.compile(r":role/aws-service-role/(?P<service>[^/]+)/")
_EKSCTL_PART = re.compile(
    r"-(?=(?:addon|nodegroup|podidentityrole)-"
    r"|cluster-(?:ServiceRole|FargatePodExecutionRole|AutoModeNodeRole)\b)"
)


def actor(entry: Fields) -> Actor:
    """Who made the call of a record, as far as the record itself tells.

    Calls of one session share one value: a trail has few identities and many calls.
    """
    return _actor(
        msgspec.json.encode(fields(entry.get("userIdentity"))),
        text(entry.get("sourceIPAddress")),
        text(entry.get("userAgent")),
        entry.get("sessionCredentialFromConsole") in ("true", True),
    )


@lru_cache(maxsize=65536)
def _actor(user_identity: bytes, source_ip: str | None, user_agent: str | None, console: bool) -> Actor:
    identity: Fields = msgspec.json.decode(user_identity)
    context = fields(identity.get("sessionContext"))
    issuer = fields(context.get("sessionIssuer"))
    arn = text(identity.get("arn"))
    assumed = _ROLE_SESSION.match(arn or "")
    role = text(issuer.get("userName")) or (assumed["role"] if assumed else None)
    principal = text(identity.get("principalId")) or ""
    session = assumed["session"] if assumed else None
    if session is None and identity.get("type") == "AssumedRole" and ":" in principal:
        session = principal.rpartition(":")[2] or None
    provider = text(fields(context.get("webIdFederationData")).get("federatedProvider")) or text(
        identity.get("identityProvider")
    )
    invoked_by = text(identity.get("invokedBy"))
    role_arn = text(issuer.get("arn"))
    kind = _kind(identity, role, role_arn, session, provider)
    instance = session if kind is ActorKind.INSTANCE_ROLE else None
    user = _user(identity, kind, session)
    cluster = _eksctl_cluster(role)
    return Actor(
        kind=kind,
        label=_label(kind, identity, role, role_arn, session, user),
        arn=arn,
        account=text(identity.get("accountId")) or text(issuer.get("accountId")),
        role=role,
        session=session,
        user=user,
        service_account=None,
        cluster=cluster,
        oidc_provider=provider,
        instance=instance,
        access_key_id=text(identity.get("accessKeyId")),
        source_ip=source_ip,
        invoked_by=invoked_by,
        agent=_agent(user_agent, console),
        basis=ActorBasis(
            cluster="role-name" if cluster else None,
            instance="session-name" if instance else None,
        ),
        role_arn=role_arn,
    )


def _kind(
    identity: Fields, role: str | None, role_arn: str | None, session: str | None, provider: str | None
) -> ActorKind:
    kind = text(identity.get("type"))
    if kind == "AssumedRole":
        return _role_kind(role, role_arn, session, provider)
    if kind is None:
        return ActorKind.AWS_SERVICE if text(identity.get("invokedBy")) else ActorKind.UNKNOWN
    return _KINDS.get(kind, ActorKind.UNKNOWN)


_KINDS = {
    "IAMUser": ActorKind.IAM_USER,
    "Root": ActorKind.ROOT,
    "AWSService": ActorKind.AWS_SERVICE,
    "AWSAccount": ActorKind.AWS_ACCOUNT,
    "IdentityCenterUser": ActorKind.IDENTITY_CENTER,
    "FederatedUser": ActorKind.FEDERATED,
    "SAMLUser": ActorKind.FEDERATED,
    "WebIdentityUser": ActorKind.FEDERATED,
}


def _role_kind(
    role: str | None, role_arn: str | None, session: str | None, provider: str | None
) -> ActorKind:
    """What a role session is. Only AWS services can use a service-linked role."""
    if _SERVICE_ROLE.search(role_arn or "") or (
        role_arn is None and (role or "").startswith("AWSServiceRoleFor")
    ):
        return ActorKind.AWS_SERVICE
    if provider is not None:
        return ActorKind.IRSA if _EKS_PROVIDER.search(provider) else ActorKind.FEDERATED
    if _INSTANCE.fullmatch(session or ""):
        return ActorKind.INSTANCE_ROLE
    if _POD_SESSION.fullmatch(session or ""):
        return ActorKind.POD_IDENTITY
    if (role or "").startswith("AWSReservedSSO_"):
        return ActorKind.IDENTITY_CENTER
    return ActorKind.ASSUMED_ROLE


def _user(identity: Fields, kind: ActorKind, session: str | None) -> str | None:
    if kind is ActorKind.IDENTITY_CENTER:
        behalf = fields(identity.get("onBehalfOf"))
        return session or text(behalf.get("userId"))
    return text(identity.get("userName"))


def _label(
    kind: ActorKind,
    identity: Fields,
    role: str | None,
    role_arn: str | None,
    session: str | None,
    user: str | None,
) -> str:
    """One short human name; a name that nothing gives is the kind itself."""
    service_role = _SERVICE_ROLE.search(role_arn or "")
    by_kind: dict[ActorKind, str | None] = {
        ActorKind.AWS_SERVICE: text(identity.get("invokedBy"))
        or (service_role["service"] if service_role else role),
        ActorKind.ROOT: "root",
        ActorKind.IAM_USER: user,
        ActorKind.IDENTITY_CENTER: user,
        ActorKind.FEDERATED: user or role,
        ActorKind.INSTANCE_ROLE: session,
        ActorKind.AWS_ACCOUNT: text(identity.get("accountId")),
        ActorKind.ASSUMED_ROLE: f"{role}/{session}" if role and session else role,
    }
    return by_kind.get(kind, role) or text(identity.get("arn")) or kind.value


def _agent(user_agent: str | None, console: bool) -> Agent:
    """The calling program; for the console CloudTrail may write no more than ``AWS Internal``."""
    read = agent(user_agent)
    if console and read.name in ("AWS Internal", "Mozilla", None):
        return Agent("console", None, read.raw, read.sdk)
    return read


def _eksctl_cluster(role: str | None) -> str | None:
    """The cluster in a role name that eksctl made, where it can be read in one way only.

    https://github.com/eksctl-io/eksctl names its stacks ``eksctl-CLUSTER-addon-…``,
    ``eksctl-CLUSTER-nodegroup-…``, ``eksctl-CLUSTER-cluster`` (there the role's own name follows);
    IAM's limit of 64 characters cuts the end, which may leave nothing of all this.
    """
    if role is None or not role.startswith("eksctl-"):
        return None
    parts = list(_EKSCTL_PART.finditer(role))
    return role[len("eksctl-") : parts[0].start()] if len(parts) == 1 else None
