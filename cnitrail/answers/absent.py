"""What filters ask for and no event mentions: a typo must not read as "nothing happened"."""

from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from ipaddress import IPv4Network, IPv6Network

from msgspec import Struct, field
from msgspec.structs import replace

from cnitrail.answers.filters import Filter, is_from, is_pod, meets
from cnitrail.answers.nodes import primary_addresses
from cnitrail.model import Actor, Event, Held, History
from cnitrail.model.pods import PodLease, PodName
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.parse import parse_node
from cnitrail.text import listed, quoted

_NAMED = 3
"""Names that a sentence spells out; of more, it gives the number."""
_COMPARED = 10_000
"""Names that are compared with a misspelled one, at most: the evidence may have a million addresses."""

_Asked = str | IPv4Network | IPv6Network


class Mentions(Struct, kw_only=True):
    """Everything that the events of a history mention, by filter."""

    instance: set[str] = field(default_factory=set)
    eni: set[str] = field(default_factory=set)
    vpc: set[str] = field(default_factory=set)
    subnet: set[str] = field(default_factory=set)
    cluster: set[str] = field(default_factory=set)
    namespace: set[str] = field(default_factory=set)
    event: set[str] = field(default_factory=set)
    event_id: set[str] = field(default_factory=set)
    access_key: set[str] = field(default_factory=set)
    ip: set[Held] = field(default_factory=set)


def absent(history: History, wanted: Filter, *, narrowed: bool = False) -> Iterator[Reason]:
    """Yield a reason for each value of a filter that nothing in the history mentions.

    The whole history counts, not only what the filter keeps. If it is ``narrowed``, only events of what was
    asked for were read: others are not named as alternatives, and one filter may have left out what another
    asks for.
    """
    asked = sum(getattr(wanted, name) not in ((), None) for name in wanted.__struct_fields__)
    limit = ", of those that were read" if narrowed and asked > 1 else ""
    for text in _sentences(history, _without_known(history, wanted), narrowed):
        yield Reason(ReasonCode.NOT_IN_EVIDENCE, text + limit)


def named_clusters(history: History) -> set[str]:
    """Return the clusters that tags, or the identities of callers, name."""
    tags = [tagged for interface in history.interfaces.values() for tagged in interface.tagged]
    tags += [tagged for instance in history.instances.values() for tagged in instance.tagged]
    by_tag = {name for tagged in tags for name in tagged.clusters}
    return by_tag | {actor.cluster for actor in history.actors.values() if actor.cluster}


def others_like(name: str, known: Iterable[str], plural: str) -> str:
    """Return a clause with the names that the evidence has instead, the closest first; empty if none."""
    names = set(known)
    if not names:
        return ""
    return f"; {plural} in this evidence: {_closest(name, names)}"


def _without_known(history: History, wanted: Filter) -> Filter:
    """Return a filter without the IDs and addresses of which the history has an ENI, instance or lease.

    It is asked for these first, because to collect all that events mention takes as long as to build it.
    """
    return replace(
        wanted,
        instance=tuple(name for name in wanted.instance if name not in history.instances),
        eni=tuple(name for name in wanted.eni if name not in history.interfaces),
        ip=tuple(asked for asked in wanted.ip if not _is_held(history, asked)),
    )


def _is_held(history: History, asked: IPv4Network | IPv6Network) -> bool:
    return asked.num_addresses == 1 and asked.network_address in history.holders


def _sentences(history: History, wanted: Filter, narrowed: bool) -> Iterator[str]:
    if any(getattr(wanted, name) for name in (*_NOUNS, "node", "ip", "event", "event_id")):
        mentions = mentions_of(history)
        for name, (sentence, plural) in _NOUNS.items():
            known: set[str] = getattr(mentions, name)
            for asked in getattr(wanted, name):
                if asked not in known:
                    yield sentence.format(asked) + ("" if narrowed else others_like(asked, known, plural))
        yield from _absent_nodes(history, wanted, mentions, narrowed)
        yield from _absent_addresses(wanted, mentions, narrowed)
        yield from _absent_events(wanted, mentions, narrowed)
    yield from _absent_pods(history, wanted)
    yield from _absent_callers(history, wanted, narrowed)


_NOUNS = {
    "instance": ("no event mentions {}", "instances"),
    "eni": ("no event mentions {}", "ENIs"),
    "vpc": ("no event mentions {}", "VPCs"),
    "subnet": ("no event mentions {}", "subnets"),
    "cluster": ("no event mentions cluster {}", "clusters"),
    "namespace": ("no pod evidence shows an address in namespace {}", "namespaces"),
    "access_key": ("no call was signed with {}", "access keys"),
}
"""By filter: the sentence for an absent value, and what its values are called."""


def mentions_of(history: History) -> Mentions:
    """Return what the events and the pods of a history mention. It takes about as long as building it."""
    found = Mentions(cluster=named_clusters(history))
    for interface in history.interfaces.values():
        _add(found.eni, interface.eni)
        _add(found.vpc, interface.vpc)
        _add(found.subnet, interface.subnet)
        _add(found.instance, *(attachment.instance for attachment in interface.attachments))
        _add(found.instance, *(claim.mark.instance for claim in interface.claimed))
    for instance in history.instances.values():
        _add(found.instance, instance.instance)
        _add(found.vpc, instance.vpc)
        _add(found.subnet, instance.subnet)
    for subnet in history.subnets.values():
        _add(found.subnet, subnet.subnet)
        _add(found.vpc, subnet.vpc)
    found.ip.update(lease.held for lease in history.leases)
    for pod in history.pods.leases:
        _add_pod(found, pod)
    for event in history.events:
        _add_event(found, event, history.actors[event.key])
    return found


def _add_event(found: Mentions, event: Event, actor: Actor) -> None:
    found.event.add(event.name)
    _add(found.event_id, event.event_id, event.key)
    _add(found.access_key, actor.access_key_id)
    _add(found.instance, actor.instance, actor.claimed_instance)
    for subject in event.subjects:
        details = subject.details
        _add(found.eni, subject.eni, details.trunk)
        _add(found.instance, subject.instance, details.served)
        _add(found.instance, details.mark.instance if details.mark is not None else None)
        _add(found.vpc, subject.vpc)
        _add(found.subnet, subject.subnet)
        found.ip.update(subject.addresses())


def _add_pod(found: Mentions, lease: PodLease) -> None:
    found.ip.add(lease.ip)
    _add(found.eni, lease.eni)
    _add(found.vpc, lease.vpc)
    _add(found.instance, lease.instance)
    _add(found.cluster, lease.cluster)
    if lease.pod is not None:
        found.namespace.add(lease.pod.namespace)


def _absent_pods(history: History, wanted: Filter) -> Iterator[str]:
    known = {lease.pod for lease in history.pods.leases if lease.pod is not None}
    for asked in wanted.pod:
        if not any(is_pod(asked, pod) for pod in known):
            names = {str(pod) if "/" in asked else pod.name for pod in known}
            others = others_like(asked, names, "pods with addresses")
            yield f"no pod evidence shows an address of pod {quoted(asked)}{_instead(asked, known)}{others}"


def _instead(asked: str, known: Iterable[PodName]) -> str:
    """Return a clause with the argument that was meant; empty if it is not known.

    A person may give the name of a Deployment, or a pod as kubectl takes it: ``pod/web-0``.
    """
    kind, _, name = asked.rpartition("/")
    candidates = [f"{asked}-*", *([name, f"{name}-*"] if kind in _KUBECTL_KINDS else [])]
    meant = next((text for text in candidates if any(is_pod(text, pod) for pod in known)), None)
    return f" (try --pod '{meant}')" if meant is not None else ""


_KUBECTL_KINDS = ("pod", "pods", "po", "deploy", "deployment", "sts", "statefulset", "ds", "daemonset")
"""What kubectl takes before a name, where a namespace is expected here."""


def _add(names: set[str], *values: str | None) -> None:
    names.update(value for value in values if value)


def _absent_nodes(history: History, wanted: Filter, mentions: Mentions, narrowed: bool) -> Iterator[str]:
    for node in wanted.node:
        meant = parse_node(node)
        if isinstance(meant, str):
            if meant not in mentions.instance:
                others = "" if narrowed else others_like(meant, mentions.instance, "instances")
                yield f"no event mentions {meant}{others}"
            continue
        known = primary_addresses(history)
        others = "" if narrowed else others_like(str(meant), map(str, known), "primary addresses")
        yield f"no event shows an instance with the primary address {meant} (node {quoted(node)}){others}"


def _absent_addresses(wanted: Filter, mentions: Mentions, narrowed: bool) -> Iterator[str]:
    for asked in wanted.ip:
        if not any(meets(asked, held) for held in mentions.ip):
            is_one = asked.num_addresses == 1
            what = f"{asked.network_address}" if is_one else f"an address in {asked}"
            known = () if narrowed else map(str, mentions.ip)
            others = others_like(str(asked.network_address), known, "addresses")
            yield f"no event mentions {what}{others}"


def _absent_events(wanted: Filter, mentions: Mentions, narrowed: bool) -> Iterator[str]:
    for asked in wanted.event:
        if not any(fnmatchcase(name.lower(), asked.lower()) for name in mentions.event):
            others = "" if narrowed else others_like(asked, mentions.event, "event names")
            yield f"no event is named {asked}{others}"
    for asked in wanted.event_id:
        if asked not in mentions.event_id:
            yield f"no event about ENIs and addresses has the ID {asked}"


def _absent_callers(history: History, wanted: Filter, narrowed: bool) -> Iterator[str]:
    if not (wanted.actor or wanted.agent or wanted.source_ip):
        return
    actors = set(history.actors.values())
    for name, noun, plural, label in _CALLERS:
        for asked in getattr(wanted, name):
            only = replace(Filter(), **{name: (asked,)})
            if not any(only.takes_actor(actor) for actor in actors):
                known = () if narrowed else {label(actor) for actor in actors} - {""}
                others = others_like(str(asked), known, plural)
                yield f"no {noun} {_shown(asked)}{others.replace(' in this evidence', '')}"


def _source_address(actor: Actor) -> str:
    """Return the address that a call came from; empty for a service, which has a name."""
    return (actor.source_ip or "") if is_from(actor, _EVERYWHERE) else ""


_EVERYWHERE = (IPv4Network("0.0.0.0/0"), IPv6Network("::/0"))

_CALLERS: tuple[tuple[str, str, str, Callable[[Actor], str]], ...] = (
    ("actor", "caller matches", "callers", lambda actor: actor.label),
    ("agent", "user agent matches", "user agents", lambda actor: actor.agent.name or actor.agent.raw or ""),
    ("source_ip", "call came from", "source addresses", _source_address),
)
"""The filters of callers: the sentence for an absent value, what its values are called, and a caller's."""


def _shown(asked: _Asked) -> str:
    if isinstance(asked, str):
        return repr(asked)
    return str(asked.network_address) if asked.num_addresses == 1 else str(asked)


def _closest(name: str, known: set[str]) -> str:
    """Return the names that are most like a name, and how many more there are."""
    from difflib import SequenceMatcher
    from heapq import nlargest

    compared = sorted(known)[:_COMPARED]
    matcher = SequenceMatcher(b=name)

    def likeness(other: str) -> float:
        matcher.set_seq1(other)
        return matcher.quick_ratio() if len(compared) > 1000 else matcher.ratio()

    named = compared if len(known) <= _NAMED + 1 else nlargest(_NAMED, compared, key=likeness)
    named = sorted(named, key=likeness, reverse=True)
    shown = [quoted(other) for other in named]
    more = len(known) - len(named)
    return f"{', '.join(shown)} and {more:,} more" if more else listed(shown)
