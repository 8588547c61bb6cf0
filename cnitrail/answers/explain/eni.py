"""An ENI in a few sentences: what it is, where it is attached, who created it, and where it was."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from cnitrail.answers.explain.known import Known, distinct_sorted, shell
from cnitrail.answers.explain.mentions import mentions, not_mentioned
from cnitrail.answers.explain.pod_sentences import pods_of
from cnitrail.answers.explain.sentences import (
    call,
    certainty,
    events_of,
    failed_calls,
    failed_ids,
    findings_sentence,
    follow_up,
    held_count,
    instance_name,
    judge,
    last_change,
    missing,
    since,
    where,
)
from cnitrail.answers.explain.target import Target
from cnitrail.answers.findings.names import caller_name
from cnitrail.model import (
    MANAGER_NAMES,
    Basis,
    Effect,
    Finding,
    HoldingKind,
    Interface,
    Manager,
    StateEntry,
    TimelineEntry,
    WhoAnswer,
)
from cnitrail.model.eni_kinds import users_of
from cnitrail.model.explanation import Explanation, ExplanationSentence, SentenceCode
from cnitrail.text import clock, duration
from cnitrail.timeclamp import end_of_second

_KINDS = {
    "node-primary": "the primary ENI of an instance",
    "cni": "an ENI that the VPC CNI created for a node",
    "trunk": "a trunk ENI (for pods with their own security groups)",
    "branch": "a branch ENI (of one pod with its own security groups)",
    "cilium": "an ENI that Cilium created for a node",
    "other": "an ENI",
}
"""What an ENI is that no AWS service created for itself, by its kind."""

_TRUNKING = ("trunk", "branch")
"""Kinds that EKS and other services create for their own purposes."""


def explain_eni(known: Known, target: Target, at: datetime | None) -> Explanation:
    """Return an ENI in sentences. Raises ``NotMentioned``."""
    eni, history = target.name, known.history
    if not mentions(known, target):
        raise not_mentioned(known, target)
    interface = history.interfaces.get(eni)
    time = at or known.end_of([interface.place] if interface is not None else [])
    if time is None:
        raise not_mentioned(known, target)
    entries = known.state(time, eni=(eni,))
    entry = entries[0] if entries else None
    calls = known.timeline(time, eni=(eni,))
    answer = primary_answer(known, entry, time)
    found = judge(known, known.filter(eni=(eni,)))
    instance = entry.instance if entry is not None else None
    clusters = entry.clusters if entry is not None else history.cluster_of(eni, None, time).names
    return Explanation(
        target=target.text,
        kind=target.kind,
        name=eni,
        at=time,
        account=interface.account if interface is not None else None,
        region=interface.region if interface is not None else None,
        vpcs=distinct_sorted([interface.vpc]) if interface is not None else (),
        subnets=distinct_sorted([interface.subnet]) if interface is not None else (),
        clusters=clusters,
        verdict=answer.verdict if answer is not None else None,
        enis=(eni,) if entry is not None else (),
        instances=distinct_sorted([instance]),
        addresses=len(entry.addresses) if entry is not None else 0,
        findings=None if found is None else len(found),
        severity=found[0].severity if found else None,
        sentences=tuple(_sentences(known, target, time, interface, entry, calls, answer, found)),
    )


def primary_answer(known: Known, entry: StateEntry | None, at: datetime) -> WhoAnswer | None:
    """Return the answer of ``who`` for the primary address of an ENI; None if no event shows one."""
    held = entry.addresses if entry is not None else ()
    primary = next((address.ip for address in held if address.kind is HoldingKind.PRIMARY), None)
    first = primary or next((address.ip for address in held if address.kind is HoldingKind.SECONDARY), None)
    if entry is None or first is None:
        return None
    return known.who(first, at, entry.vpc)  # type: ignore[arg-type]  # neither kind is a prefix


def _sentences(
    known: Known,
    target: Target,
    at: datetime,
    interface: Interface | None,
    entry: StateEntry | None,
    calls: Sequence[TimelineEntry],
    answer: WhoAnswer | None,
    found: Sequence[Finding] | None,
) -> Iterator[ExplanationSentence]:
    if interface is None:
        yield ExplanationSentence(SentenceCode.WHAT, f"{target.name} is named only by calls that failed.")
    else:
        yield _what(known, interface)
        yield _now(known, interface, entry, at)
        yield from pods_of(known, at, enis=(interface.eni,))
        yield _origin(known, interface)
        yield from _before(interface, calls, at)
    yield findings_sentence(known, found, "--eni", target.name)
    if answer is not None:
        yield certainty(answer, of_eni=True)
    start = interface.created.time if interface is not None else None
    place = interface.place if interface is not None else (None, None)
    yield from missing(known, at, start, [place], answer)
    yield _next(known, target, interface, entry, found, at)


def _what(known: Known, interface: Interface) -> ExplanationSentence:
    kind, managed = interface.kind, known.history.manager_of(interface.eni)
    noun = _KINDS.get(kind, "an ENI")
    if managed.service is not None:
        noun = f"{f'a {kind} ENI' if kind in _TRUNKING else 'an ENI'} of {users_of(managed.service)}"
    by = ""
    if managed.manager not in (Manager.UNKNOWN, Manager.AWS_SERVICE) and kind not in ("cni", "cilium"):
        by = f"; {MANAGER_NAMES[managed.manager]} manages its IPs"
    place = where(interface.subnet, interface.vpc, *interface.place)
    return ExplanationSentence(SentenceCode.WHAT, f"{interface.eni} is {noun}{place}{by}.")


def _now(known: Known, interface: Interface, entry: StateEntry | None, at: datetime) -> ExplanationSentence:
    if entry is None:
        return _gone(known, interface, at)
    held = held_count(entry.addresses)
    instance = instance_name(known, entry.instance, entry.eni, at)
    if entry.attached:
        device = f" as device {entry.device_index}" if entry.device_index is not None else ""
        start = since(entry.attached_since, at)
        text = f"At {known.moment(at)} it is attached to {instance}{device}, {start}, and holds {held}."
        return ExplanationSentence(SentenceCode.NOW, text)
    if entry.management.is_service and entry.attached is None:
        text = f"At {known.moment(at)} it holds {held}; AWS services attach their ENIs without an event."
        return ExplanationSentence(SentenceCode.NOW, text)
    if entry.attached is None:
        on = f"; it belongs to {instance}" if entry.instance else ""
        text = f"At {known.moment(at)} it holds {held}{on}, but no event shows whether it is attached."
        return ExplanationSentence(SentenceCode.NOW, text)
    text = f"At {known.moment(at)} it is attached to nothing and holds {held}"
    left = known.history.departure(interface.eni, end_of_second(at))
    event = left.end.event if left is not None else None
    if left is not None and event is not None:
        what = "its trunk" if left.with_trunk else "it"
        deed = "terminated" if event.effect is Effect.TERMINATE else f"detached {what} from"
        by = caller_name(known.history.actors[event.key])
        text += f": {by} {deed} {left.instance or 'its instance'} at {clock(event.time)}"
        return ExplanationSentence(SentenceCode.NOW, f"{text}.", events_of(event))
    for_it = f"; it was created for {instance}" if entry.instance else ""
    return ExplanationSentence(SentenceCode.NOW, f"{text}{for_it}.")


def _gone(known: Known, interface: Interface, at: datetime) -> ExplanationSentence:
    """Return why an ENI does not exist at a time."""
    created, deleted = interface.created, interface.deleted
    if deleted.time is not None and deleted.time <= at and deleted.event is not None:
        by = call(deleted.event, known.history.actors[deleted.event.key])
        how = "was deleted by" if deleted.basis is Basis.OBSERVED else "was deleted with its instance by"
        ago = duration(at - deleted.time)
        text = f"It no longer exists at {known.moment(at)}: it {how} {by}, {ago} earlier."
        return ExplanationSentence(SentenceCode.NOW, text, events_of(deleted.event))
    if created.time is not None and created.time > at:
        text = f"It does not exist yet at {known.moment(at)}: it was created at {clock(created.time)}."
        return ExplanationSentence(SentenceCode.NOW, text, events_of(created.event))
    return ExplanationSentence(SentenceCode.NOW, f"No event shows whether it exists at {known.moment(at)}.")


def _origin(known: Known, interface: Interface) -> ExplanationSentence:
    created = interface.created
    if created.event is None or created.time is None:
        first = known.first_of(*interface.place)
        begins = f": it may be older than the evidence, which begins at {clock(first)}" if first else ""
        return ExplanationSentence(SentenceCode.ORIGIN, f"No event in the evidence creates it{begins}.")
    by = call(created.event, known.history.actors[created.event.key])
    return ExplanationSentence(SentenceCode.ORIGIN, f"It was created by {by}.", events_of(created.event))


def _before(
    interface: Interface, calls: Sequence[TimelineEntry], at: datetime
) -> Iterator[ExplanationSentence]:
    """Yield where the ENI was attached before, or else the last change of its addresses, and failed calls."""
    over = [past for past in interface.attachments if past.end.time is not None and past.end.time <= at]
    parts: list[str] = []
    cited: list[str] = []
    if over:
        last = over[-1]
        began = f"from {clock(last.start.time)} " if last.start.time is not None else ""
        end = clock(last.end.time) if last.end.time is not None else ""
        more = f" ({len(over) - 1:,} attachments before that)" if len(over) > 1 else ""
        parts.append(f"It was attached to {last.instance or 'an unknown instance'} {began}to {end}{more}")
        cited += events_of(last.start.event, last.end.event)
    elif (change := last_change(calls, [interface.eni])) is not None:
        parts.append(change.text.rstrip("."))
        cited += change.events
    if failed := failed_calls(calls):
        parts.append(failed)
        cited += failed_ids(calls)
    if parts:
        text = "; ".join(parts)
        yield ExplanationSentence(SentenceCode.BEFORE, f"{text}.", tuple(dict.fromkeys(cited)))


def _next(
    known: Known,
    target: Target,
    interface: Interface | None,
    entry: StateEntry | None,
    found: Sequence[Finding] | None,
    at: datetime,
) -> ExplanationSentence:
    eni, rerun = target.name, known.rerun
    if found:
        return follow_up("See the evidence and the remedy:", rerun.command("findings", "--eni", eni))
    if entry is not None and entry.instance is not None:
        return follow_up("Explain its instance:", known.explain_next(at, entry.instance))
    if entry is not None and interface is not None and interface.region is not None:
        words = ("aws", "ec2", "describe-network-interfaces", "--region", interface.region)
        return follow_up("Ask EC2 what uses it now:", shell(*words, "--network-interface-ids", eni))
    return follow_up("See every call that names it:", rerun.command("timeline", "--eni", eni))
