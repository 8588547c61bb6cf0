"""userIdentity → who made a call.

Uses one record only; what other records add (the service account behind a session) is joined in the
history. Fields: https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html.
"""

import re
from functools import lru_cache

import msgspec

from cnitrail.decode.agent import agent_of
from cnitrail.decode.providers import account_of_role, is_of_eks
from cnitrail.decode.shapes import Fields, fields, text
from cnitrail.model import Actor, ActorBasis, ActorKind, ActorStrength, Agent, Strength

_INSTANCE = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")
_ROLE_SESSION = re.compile(r"^arn:[^:]*:sts::[^:]*:assumed-role/(?P<role>.+)/(?P<session>[^/]+)$")
_FEDERATED_USER = re.compile(r"arn:[^:]*:sts::[^:]*:federated-user/(?P<session>.+)")
# Only AWS can create roles under these paths. Both are anchored: other paths may contain nearly any text.
_SERVICE_ROLE = re.compile(r"arn:[^:/]*:iam::[^:/]*:role/aws-service-role/(?P<service>[^/]+)/")
_IDENTITY_CENTER_ROLE = re.compile(r"arn:[^:/]*:iam::[^:/]*:role/aws-reserved/sso\.amazonaws\.com/")
_EKSCTL_PART = re.compile(
    r"-(?=(?:addon|nodegroup|podidentityrole)-"
    r"|cluster-(?:ServiceRole|FargatePodExecutionRole|AutoModeNodeRole)\b)"
)


def actor_of(entry: Fields, identity_basis: str | None = None) -> Actor:
    """Return who made the call of a record, as far as the record alone shows.

    ``identity_basis`` is how a rebuilt record's userIdentity was put together (``Form.identity_basis``).
    Calls of one session share one value: a trail has few identities and many calls.
    """
    return shared_actor(
        msgspec.json.encode(fields(entry.get("userIdentity"))),
        text(entry.get("sourceIPAddress")),
        text(entry.get("userAgent")),
        entry.get("sessionCredentialFromConsole") in ("true", True),
        identity_basis,
    )


@lru_cache(maxsize=65536)
def shared_actor(
    user_identity: bytes,
    source_ip: str | None,
    user_agent: str | None,
    console: bool = False,
    identity_basis: str | None = None,
) -> Actor:
    """Return who made a call, by the JSON text of its userIdentity; see ``actor_of``."""
    identity: Fields = msgspec.json.decode(user_identity)
    context = fields(identity.get("sessionContext"))
    issuer = fields(context.get("sessionIssuer"))
    arn = text(identity.get("arn"))
    provider = text(fields(context.get("webIdFederationData")).get("federatedProvider")) or text(
        identity.get("identityProvider")
    )
    invoked_by = text(identity.get("invokedBy"))
    account = text(identity.get("accountId")) or text(issuer.get("accountId"))
    role, role_arn, session, assumed_by = _session(identity, issuer, arn)
    delivered = text(context.get("ec2RoleDelivery")) is not None
    home = account_of_role(role_arn) or account
    kind = _kind(identity, role, role_arn, session, provider, home, delivered=delivered)
    session_instance = (
        session if identity.get("type") == "AssumedRole" and _INSTANCE.fullmatch(session or "") else None
    )
    instance = session_instance if kind is ActorKind.INSTANCE_ROLE else None
    user = _user(identity, kind, session)
    cluster = eksctl_cluster(role)
    return Actor(
        kind=kind,
        label=_label(kind, identity, role, role_arn, session, user),
        arn=arn,
        account=account,
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
            instance="ec2-role-delivery" if instance else None,
            identity=identity_basis,
        ),
        role_arn=role_arn,
        strength=ActorStrength(
            cluster=Strength.CLAIMED if cluster else None,
            instance=Strength.PROVEN if instance else None,
        ),
        claimed_instance=session_instance if instance is None else None,
        assumed_by=assumed_by,
        source_identity=text(context.get("sourceIdentity")),
    )


def _session(
    identity: Fields, issuer: Fields, arn: str | None
) -> tuple[str | None, str | None, str | None, str | None]:
    """Return the role, its ARN, the session, and (only for GetFederationToken) who issued the session."""
    if identity.get("type") == "FederatedUser":
        federated = _FEDERATED_USER.fullmatch(arn or "")
        return None, None, federated["session"] if federated else None, _issuing_user(issuer)
    assumed = _ROLE_SESSION.match(arn or "")
    session = assumed["session"] if assumed else None
    principal = text(identity.get("principalId")) or ""
    if session is None and identity.get("type") == "AssumedRole" and ":" in principal:
        session = principal.rpartition(":")[2] or None
    role = text(issuer.get("userName")) or (assumed["role"] if assumed else None)
    return role, text(issuer.get("arn")), session, None


def _issuing_user(issuer: Fields) -> str | None:
    return text(issuer.get("arn")) or text(issuer.get("userName"))


def _kind(
    identity: Fields,
    role: str | None,
    role_arn: str | None,
    session: str | None,
    provider: str | None,
    account: str | None,
    *,
    delivered: bool,
) -> ActorKind:
    kind = text(identity.get("type"))
    if kind == "AssumedRole":
        if _is_service_linked(role, role_arn):
            return ActorKind.AWS_SERVICE
        return _role_kind(role_arn, session, provider, account, delivered=delivered)
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


def _is_service_linked(role: str | None, role_arn: str | None) -> bool:
    """Return whether only an AWS service can use a role; an incomplete record may have only its name."""
    if role_arn is None:
        return (role or "").startswith("AWSServiceRoleFor")
    return _SERVICE_ROLE.match(role_arn) is not None


def _role_kind(
    role_arn: str | None,
    session: str | None,
    provider: str | None,
    account: str | None,
    *,
    delivered: bool,
) -> ActorKind:
    """Return the kind of a role session, based only on what callers cannot choose.

    Callers can choose the names of roles and sessions. ``delivered`` means that EC2 delivered the
    credentials to an instance, which CloudTrail logs since 2020. Only the STS event shows EKS Pod Identity.
    """
    if provider is not None:
        return ActorKind.IRSA if is_of_eks(provider, account) else ActorKind.FEDERATED
    if delivered and _INSTANCE.fullmatch(session or ""):
        return ActorKind.INSTANCE_ROLE
    if _IDENTITY_CENTER_ROLE.match(role_arn or ""):
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
    """Return one short name for people; if the record has none, the kind."""
    service_role = _SERVICE_ROLE.match(role_arn or "")
    by_kind: dict[ActorKind, str | None] = {
        ActorKind.AWS_SERVICE: text(identity.get("invokedBy"))
        or (service_role["service"] if service_role else role),
        ActorKind.ROOT: "root",
        ActorKind.IAM_USER: user,
        ActorKind.IDENTITY_CENTER: user,
        ActorKind.FEDERATED: user or role or session,
        ActorKind.INSTANCE_ROLE: session,
        ActorKind.AWS_ACCOUNT: text(identity.get("accountId")),
        ActorKind.ASSUMED_ROLE: f"{role}/{session}" if role and session else role,
    }
    return by_kind.get(kind, role) or text(identity.get("arn")) or kind.value


def _agent(user_agent: str | None, console: bool) -> Agent:
    """Return the calling program; for the console, CloudTrail may write only ``AWS Internal``."""
    agent = agent_of(user_agent)
    if console and agent.name in ("AWS Internal", "browser", None):
        return Agent("console", None, agent.raw, agent.sdk)
    return agent


def eksctl_cluster(role: str | None) -> str | None:
    """Return the cluster in a role name that eksctl made; None unless there is only one way to read it.

    https://github.com/eksctl-io/eksctl names its stacks ``eksctl-CLUSTER-addon-…``,
    ``eksctl-CLUSTER-nodegroup-…`` and ``eksctl-CLUSTER-cluster`` (followed by the role's own name). IAM's
    limit of 64 characters may cut off all of what follows the cluster.
    """
    if role is None or not role.startswith("eksctl-"):
        return None
    parts = list(_EKSCTL_PART.finditer(role))
    return role[len("eksctl-") : parts[0].start()] if len(parts) == 1 else None
