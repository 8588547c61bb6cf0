"""Facts about a principal, each with how it is known."""

from cnitrail.model import Actor, Strength

_HOW = {
    "sts-event": "from the STS event",
    "ec2-role-delivery": "by ec2RoleDelivery",
    "role-name": "inferred from the role name",
    "tag": "from a tag",
    "token": "from its token",
    "provider": "by its OIDC provider",
}

_IDENTITY = {
    "query-row": "the row of a query",
    "ocsf": "OCSF fields",
    "tailpipe": "tailpipe columns",
    "elastic-fields": "Elastic fields",
    "sentinel-columns": "Sentinel columns",
}
"""What a caller's identity was put together from, by ``basis.identity``."""


def facts(actor: Actor, instance: str | None = None, *, brief: bool = False) -> list[str]:
    """Return the facts about a principal; facts that the caller could choose are marked ``claimed``.

    ``instance`` replaces the actor's own instance if the principal is a group of nodes. ``brief`` leaves out
    the ARN of an OIDC provider, which is longer than many screens, if account and cluster are known.
    """
    basis, strength = actor.basis, actor.strength
    provider = None if brief and actor.account and actor.cluster else actor.oidc_provider
    found = (
        actor.kind.value,
        f"identity rebuilt from {_IDENTITY.get(basis.identity, basis.identity)}" if basis.identity else None,
        _fact("role", actor.role),
        _fact("OIDC provider", provider),
        _fact("service account", actor.service_account, basis.service_account, strength.service_account),
        _fact("cluster", actor.cluster, basis.cluster, strength.cluster),
        instance or _fact("instance", actor.instance, basis.instance, strength.instance),
        _claim("instance", actor.claimed_instance, "the session name"),
        _fact("assumed by", actor.assumed_by),
        _fact("source identity", actor.source_identity),
        _fact("through", actor.invoked_by),
        _fact("account", actor.account),
    )
    return [fact for fact in found if fact]


def shared_facts(actor: Actor) -> list[str]:
    """Return the facts that the nodes of one role share: each has an instance of its own."""
    own = _fact("its own", "instance", actor.basis.instance, actor.strength.instance)
    return facts(actor, own)


def _fact(
    name: str, value: str | None, basis: str | None = None, strength: Strength | None = None
) -> str | None:
    if value is None:
        return None
    how = [_HOW.get(basis, basis)] if basis else []
    how += ["claimed"] if strength is Strength.CLAIMED else []
    return f"{name} {value}" + (f" ({', '.join(how)})" if how else "")


def _claim(name: str, value: str | None, source: str) -> str | None:
    return f"{name} {value} (claimed by {source})" if value is not None else None
