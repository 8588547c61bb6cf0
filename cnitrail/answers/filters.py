"""Filters: which entries an answer keeps, after the history is rebuilt."""

from collections.abc import Iterable
from datetime import datetime
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network

from msgspec import Struct

from cnitrail.model import Actor, Event, Held
from cnitrail.model.pods import PodName
from cnitrail.parse import parse_address


class Filter(Struct, frozen=True, kw_only=True):
    """What was asked for: any of the values of a field, and all of the fields together.

    ``since`` and ``until`` are aware times, both included. ``failed`` keeps only failed calls
    (True), no failed ones (False), or all (None). A dry run is no failed call. ``pod`` are names or globs,
    with or without their namespace. ``node`` are names of nodes; ``answers.nodes.with_nodes`` turns them into
    instances, once the history is known.
    """

    instance: tuple[str, ...] = ()
    node: tuple[str, ...] = ()
    eni: tuple[str, ...] = ()
    ip: tuple[IPv4Network | IPv6Network, ...] = ()
    vpc: tuple[str, ...] = ()
    subnet: tuple[str, ...] = ()
    cluster: tuple[str, ...] = ()
    account: tuple[str, ...] = ()
    region: tuple[str, ...] = ()
    actor: tuple[str, ...] = ()
    agent: tuple[str, ...] = ()
    pod: tuple[str, ...] = ()
    namespace: tuple[str, ...] = ()
    access_key: tuple[str, ...] = ()
    source_ip: tuple[IPv4Network | IPv6Network, ...] = ()
    event: tuple[str, ...] = ()
    event_id: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    failed: bool | None = None

    def takes_value(self, field: str, *values: str | None) -> bool:
        """Return True if a field that names things exactly asks for one of the values, or for nothing.

        ``all`` asks for every Region.
        """
        asked: tuple[str, ...] = getattr(self, field)
        if not asked:
            return True
        every = field == "region" and "all" in asked
        return every or any(value in asked for value in values)

    def takes_instance(self, *instances: str | None) -> bool:
        """Return True if one of the instances was asked for, by its ID and as a node."""
        return self.takes_value("instance", *instances) and self.takes_value("node", *instances)

    def takes_pod(self, pod: PodName | None) -> bool:
        """Return True if a pod was asked for, by name and namespace; None is a pod without a name."""
        if pod is None:
            return not self.names_pods
        is_named = not self.pod or any(is_pod(asked, pod) for asked in self.pod)
        return is_named and self.takes_value("namespace", pod.namespace)

    @property
    def names_pods(self) -> bool:
        """Whether pods were asked for."""
        return bool(self.pod or self.namespace)

    @property
    def names_instances(self) -> bool:
        """Whether instances were asked for."""
        return bool(self.instance or self.node)

    @property
    def names_callers(self) -> bool:
        """Whether callers were asked for."""
        return bool(self.actor or self.agent or self.access_key or self.source_ip)

    def takes_time(self, time: datetime) -> bool:
        """Return True if a time is in the range."""
        late = self.since is not None and time < self.since
        return not late and (self.until is None or time <= self.until)

    def takes_addresses(self, held: Iterable[Held]) -> bool:
        """Return True if one of the addresses or prefixes overlaps one that was asked for."""
        return not self.ip or any(meets(asked, address) for address in held for asked in self.ip)

    def takes_actor(self, actor: Actor) -> bool:
        """Return True if a caller matches, with its user agent, access key and source address.

        ``actor`` and ``agent`` are a substring or a glob, case-insensitive.
        A service account also matches by its names in Kubernetes: ``namespace:name`` and
        ``system:serviceaccount:namespace:name``
        (https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/).
        """
        account = actor.service_account.replace("/", ":", 1) if actor.service_account else None
        names = (
            actor.label,
            actor.arn,
            actor.role,
            actor.session,
            actor.user,
            actor.service_account,
            account,
            account and f"system:serviceaccount:{account}",
            actor.access_key_id,
            actor.invoked_by,
            actor.assumed_by,
            actor.source_identity,
            actor.kind.value,
        )
        agents = (actor.agent.name, actor.agent.raw)
        return (
            _any_like(self.actor, names)
            and _any_like(self.agent, agents)
            and self.takes_value("access_key", actor.access_key_id)
            and (not self.source_ip or is_from(actor, self.source_ip))
        )

    def takes_event(self, event: Event) -> bool:
        """Return True if an event matches: its name (whole or a glob, case-insensitive) and its ID.

        The ID of an event finds its correction, too.
        """
        lower = event.name.lower()
        is_named = not self.event or any(fnmatchcase(lower, asked.lower()) for asked in self.event)
        return is_named and self.takes_value("event_id", event.event_id, event.key)


def is_pod(asked: str, pod: PodName) -> bool:
    """Return True if ``NAMESPACE/NAME`` or ``NAME``, each of which may be a glob, means a pod."""
    namespace, slash, name = asked.rpartition("/")
    return fnmatchcase(pod.name, name) and (not slash or fnmatchcase(pod.namespace, namespace))


def is_from(actor: Actor, asked: Iterable[IPv4Network | IPv6Network]) -> bool:
    """Return True if a call came from an address in one of the blocks.

    An AWS service that calls has its own name as sourceIPAddress, or ``AWS Internal``.
    """
    try:
        address = parse_address(actor.source_ip or "")
    except ValueError:
        return False
    return any(meets(block, address) for block in asked)


def meets(asked: IPv4Network | IPv6Network, held: Held) -> bool:
    """Return True if an address is in a range, or a prefix overlaps it."""
    if asked.version != held.version:
        return False
    if isinstance(held, (IPv4Network, IPv6Network)):
        return asked.overlaps(held)
    return held in asked


def _any_like(asked: tuple[str, ...], names: Iterable[str | None]) -> bool:
    """Return True if a name contains one of the texts, or matches one that is a glob."""
    return not asked or is_like(asked, names)


def is_like(asked: Iterable[str], names: Iterable[str | None]) -> bool:
    """Return True if a name contains one of the texts, or matches one that is a glob; case-insensitive."""
    lower = [name.lower() for name in names if name]
    for text in map(str.lower, asked):
        if any(sign in text for sign in "*?["):
            if any(fnmatchcase(name, text) for name in lower):
                return True
        elif any(text in name for name in lower):
            return True
    return False
