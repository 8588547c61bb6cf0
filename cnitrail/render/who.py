"""Answers to ``who`` as blocks, as a table and as CSV."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import IO, TypeVar

from cnitrail.model import Answer, Basis, Holder, Verdict, WhoAnswer
from cnitrail.model.callers import named
from cnitrail.model.eni_kinds import users_of
from cnitrail.model.pods import PodAnswer, PodEntry, PodVerdict
from cnitrail.model.reason import ReasonCode
from cnitrail.render.csv import Cell, Columns, table
from cnitrail.render.leases import bound
from cnitrail.render.pod_parts import ended, moment, name_of, started
from cnitrail.render.text import Block, Paragraph, Part, Row, Screen, Table, draw, draw_blocks
from cnitrail.text import account_and_region, age, capitalized, clock, duration, exact, iso, short_list

T = TypeVar("T")


def _of_holders(field: Callable[[Holder], object]) -> Callable[[WhoAnswer], Cell]:
    """Return a column of CSV with a field of every holder of an answer, in their order."""
    return lambda answer: _texts(field, answer.holders)


def _of_pods(field: Callable[[PodEntry], object]) -> Callable[[WhoAnswer], Cell]:
    """Return a column of CSV with a field of every pod of an answer, in their order."""
    return lambda answer: _texts(field, answer.pod.pods) if answer.pod else None


def _texts(field: Callable[[T], object], parts: Sequence[T]) -> Cell:
    """Return a field of every part; ``unknown`` if a part has none. None if there are no parts."""
    if not parts:
        return None
    values = map(field, parts)
    return " ".join(["unknown" if value is None else str(value) for value in values])


def _time(time: datetime | None) -> str | None:
    return iso(time) if time is not None else None


_COLUMNS: Columns = {
    "ip": lambda answer: answer.ip,
    "at": lambda answer: answer.at,
    "verdict": lambda answer: answer.verdict.value,
    "eni": _of_holders(lambda holder: holder.eni),
    "eni_kind": _of_holders(lambda holder: holder.eni_kind),
    "instance": _of_holders(lambda holder: holder.instance),
    "instance_basis": _of_holders(lambda holder: holder.instance_basis),
    "device_index": _of_holders(lambda holder: holder.device_index),
    "vpc": _of_holders(lambda holder: holder.vpc),
    "subnet": _of_holders(lambda holder: holder.subnet),
    "account": _of_holders(lambda holder: holder.account),
    "region": _of_holders(lambda holder: holder.region),
    "kind": _of_holders(lambda holder: holder.kind.value),
    "prefix": _of_holders(lambda holder: holder.prefix or "none"),
    "start": _of_holders(lambda holder: _time(holder.start)),
    "start_basis": _of_holders(lambda holder: holder.start_basis.value),
    "end": _of_holders(lambda holder: _time(holder.end)),
    "end_basis": _of_holders(lambda holder: holder.end_basis.value),
    "assigned_by": _of_holders(lambda holder: holder.assigned_by.label if holder.assigned_by else None),
    "assigned_by_kind": _of_holders(
        lambda holder: holder.assigned_by.kind.value if holder.assigned_by else None
    ),
    "assign_event": _of_holders(lambda holder: holder.assign_event),
    "rests_on": lambda answer: answer.rests_on.value if answer.rests_on else None,
    "reasons": lambda answer: "; ".join(reason.text for reason in answer.reasons),
    "cluster": _of_holders(lambda holder: holder.cluster),
    "last_eni": lambda answer: answer.last_holder.eni if answer.last_holder else None,
    "last_instance": lambda answer: answer.last_holder.instance if answer.last_holder else None,
    "last_end": lambda answer: answer.last_holder.end if answer.last_holder else None,
    "pod_verdict": lambda answer: answer.pod.verdict.value if answer.pod else None,
    "pod_at": lambda answer: moment(answer.pod.at) if answer.pod else None,
    "namespace": _of_pods(lambda entry: entry.namespace),
    "pod": _of_pods(lambda entry: entry.pod),
    "pod_uid": _of_pods(lambda entry: entry.uid),
    "node": _of_pods(lambda entry: entry.node),
    "service_account": _of_pods(lambda entry: entry.service_account),
    "owner": _of_pods(lambda entry: entry.owner),
    "sandbox": _of_pods(lambda entry: entry.sandbox),
    "pod_start": _of_pods(lambda entry: moment(entry.start)),
    "pod_start_basis": _of_pods(lambda entry: entry.start_basis.value),
    "pod_end": _of_pods(lambda entry: moment(entry.end)),
    "pod_end_basis": _of_pods(lambda entry: entry.end_basis.value),
    "pod_reasons": lambda answer: "; ".join(
        reason.text for reason in (answer.pod.reasons if answer.pod else ())
    ),
}

_STYLES = {
    Verdict.CERTAIN: "bold green",
    Verdict.LIKELY: "bold",
    Verdict.AMBIGUOUS: "bold magenta",
    Verdict.FREE: "bold green",
    Verdict.UNKNOWN: "bold red",
}
_POD_STYLES = {
    PodVerdict.CERTAIN: "bold green",
    PodVerdict.LIKELY: "bold",
    PodVerdict.AMBIGUOUS: "bold magenta",
    PodVerdict.NONE: "bold green",
    PodVerdict.UNKNOWN: "bold red",
}
_MAX_BLOCKS = 5
"""Answers that a terminal shows as blocks; more are a table, with a row for each."""


def write_csv(answer: Answer[WhoAnswer], out: IO[str]) -> None:
    """Write a line of CSV for each question."""
    out.writelines(table(_COLUMNS, answer.entries))


def write_table(answer: Answer[WhoAnswer], out: IO[str]) -> None:
    """Write the answers: a block for each on a screen, if they are few, or else a row for each."""
    if isinstance(out, Screen) and len(answer.entries) <= _MAX_BLOCKS:
        draw_blocks(map(_block, answer.entries), out)
        return
    pod = ("POD",) if any(entry.pod for entry in answer.entries) else ()
    headings = ("ADDRESS", "VERDICT", "HELD BY", *pod, "REASONS")
    shares = {"HELD BY": 2, "POD": 2, "REASONS": 3}
    rows = [_row(entry, has_pods=bool(pod)) for entry in answer.entries]
    draw(Table(headings, rows, shares), out)


# --- blocks --------------------------------------------------------------------------------------


def _asked(answer: WhoAnswer, at: datetime) -> str:
    """Return the time asked for: with its fraction of a second, if the pod's verdict holds for that."""
    return exact(answer.pod.at) if answer.pod is not None else clock(at)


def _block(answer: WhoAnswer) -> Block:
    """Return an answer as a headline, from when to when each holder had the address, and why."""
    asked = f"At {_asked(answer, answer.at)}{_in_parentheses(age(answer.at))}" if answer.at else ""
    at = [Paragraph([(asked, "")], 2)] if asked else []
    reasons = (*(answer.pod.reasons if answer.pod else ()), *answer.reasons)
    why = [Paragraph([(f"{capitalized(reason.text)}.", "")], 4) for reason in dict.fromkeys(reasons)]
    return [
        Paragraph(list(_headline(answer))),
        *at,
        *(_pod_block(answer, answer.pod) if answer.pod else ()),
        *(paragraph for holder in answer.holders for paragraph in _interval(answer, holder)),
        *([Paragraph([("Why", "bold")], 2)] if why else []),
        *why,
    ]


def _headline(answer: WhoAnswer) -> Iterator[Part]:
    """Yield the answer to the question in one line."""
    verdict = (answer.verdict.value, _STYLES[answer.verdict])
    yield answer.ip or "(no address)", "bold"
    if len(answer.holders) == 1:
        yield " may have been held by " if answer.verdict is Verdict.AMBIGUOUS else " was held by ", ""
        yield from _named(answer.holders[0])
        yield " — ", ""
        yield verdict
    elif answer.holders:
        enis = short_list(holder.eni for holder in answer.holders).replace(" and ", " or ")
        yield f" may have been held by {enis} — ", ""
        yield verdict
    elif answer.pod and answer.pod.pods:
        may = " may have been" if answer.pod.verdict is PodVerdict.AMBIGUOUS else " was"
        yield f"{may} held by pod ", ""
        yield from _pod_headline(answer.pod)
        yield "; its ENI is ", ""
        yield verdict
    else:
        yield " was " if answer.verdict is Verdict.FREE else ": holder ", ""
        yield verdict
        last = _last_held(answer)
        if last:
            yield f" — {'unassigned; ' if answer.verdict is Verdict.FREE else ''}{last}", ""


def _named(holder: Holder) -> Iterator[Part]:
    """Yield the ENI of a holder, its instance and its cluster."""
    yield holder.eni, "bold"
    yield f" {_place(holder)}", ""
    yield _in_parentheses(f"cluster {holder.cluster}" if holder.cluster else ""), ""


def _pod_block(answer: WhoAnswer, pod: PodAnswer) -> Iterator[Paragraph]:
    """Yield which pod had the address, from when to when, and what is known of it."""
    is_in_headline = bool(pod.pods) and not answer.holders
    if not is_in_headline:
        yield Paragraph([("Pod: ", ""), *_pod_headline(pod)], 2)
    for entry in pod.pods:
        margin = 2 if is_in_headline else 4
        if len(pod.pods) > 1:
            yield Paragraph([(name_of(entry), "bold")], margin)
            margin += 2
        facts = (f"{started(entry)}, {ended(entry)}", *_facts(answer, entry))
        yield from (Paragraph([(capitalized(fact), "")], margin) for fact in facts)


def _pod_headline(pod: PodAnswer) -> Iterator[Part]:
    verdict = pod.verdict.value, _POD_STYLES[pod.verdict]
    if len(pod.pods) == 1:
        yield name_of(pod.pods[0]), "bold"
    elif pod.pods:
        yield short_list(name_of(entry) for entry in pod.pods).replace(" and ", " or "), ""
    else:
        yield verdict
        codes = {reason.code for reason in pod.reasons} if pod.verdict is PodVerdict.NONE else set()
        yield _in_parentheses(next((why for code, why in _NO_POD.items() if code in codes), "")), ""
        return
    yield " — ", ""
    yield verdict


_NO_POD = {
    ReasonCode.IN_COOLDOWN: "in cooldown",
    ReasonCode.WARM_POOL: "warm pool of the node",
    ReasonCode.NODE_ADDRESS: "the node's own address",
}
"""Why no pod had an address, in a few words, the most particular first."""


def _facts(answer: WhoAnswer, entry: PodEntry) -> Iterator[str]:
    """Yield what Kubernetes and the container network know a pod by; the ENI is left out if it is above."""
    named = {
        "node": entry.node,
        "service account": entry.service_account,
        "owner": entry.owner,
    }
    known = [f"{name} {value}" for name, value in named.items() if value]
    if known:
        yield ", ".join(known)
    if entry.uid:
        yield f"UID {entry.uid}"
    if entry.sandbox:
        yield f"sandbox {entry.sandbox}"
    is_shown = any(holder.eni == entry.eni for holder in answer.holders)
    place = [] if is_shown else [text for text in (entry.eni, entry.instance) if text]
    if place:
        yield f"on {', '.join(place)}"


def _place(holder: Holder) -> str:
    """Return the instance that a holder was on, or why it is named none."""
    if holder.instance is not None:
        return f"on {holder.instance}"
    if holder.service is not None:
        return f"of an AWS service ({users_of(holder.service)})"
    return "on no instance" if holder.attached is False else "on an unknown instance"


def _interval(answer: WhoAnswer, holder: Holder) -> Iterator[Paragraph]:
    """Yield from when to when a holder had the address, with who assigned it; and where the ENI is."""
    is_one_of_several, of_eni = len(answer.holders) > 1, answer.pod is not None
    if is_one_of_several:
        yield Paragraph([("ENI: " if of_eni else "", ""), *_named(holder)], 2)
    margin = 4 if is_one_of_several or of_eni else 2
    by = f", assigned by {named(holder.assigned_by)}" if holder.assigned_by else ""
    start = f"from {_bound(holder.start, holder.start_basis)}{by}"
    if of_eni and not is_one_of_several:
        yield Paragraph([(f"ENI: {start}", "")], 2)
    else:
        yield Paragraph([(capitalized(start), "")], margin)
    is_open = holder.end_basis is Basis.OPEN
    end = "No release seen" if is_open else f"Until {_bound(holder.end, holder.end_basis)}"
    yield Paragraph([(end, "")], margin)
    device = f"device {holder.device_index}" if holder.device_index is not None else ""
    place = (
        holder.vpc or "VPC unknown",
        holder.subnet,
        account_and_region(holder.account, holder.region),
        f"ENI kind {holder.eni_kind}",
        device,
        f"through {holder.prefix}" if holder.prefix else "",
    )
    yield Paragraph([(f"In {', '.join(filter(None, place))}", "")], margin)


def _bound(time: datetime | None, basis: Basis) -> str:
    """Return a start or end with its basis: ``observed`` is left out."""
    if time is None:
        return "an unknown time"
    return clock(time) + _in_parentheses("" if basis is Basis.OBSERVED else basis.value)


def _in_parentheses(text: str) -> str:
    return f" ({text})" if text else ""


# --- rows ----------------------------------------------------------------------------------------


def _row(answer: WhoAnswer, *, has_pods: bool) -> Row:
    at = f"at {_asked(answer, answer.at)}" if answer.at else ""
    reasons = (*(answer.pod.reasons if answer.pod else ()), *answer.reasons)
    held_by = [part for holder in answer.holders for part in _holder(holder)]
    return (
        [(answer.ip, "bold"), (at, "")],
        [(answer.verdict.value, _STYLES[answer.verdict])],
        held_by or list(_nobody(answer)),
        *([list(_pod_cell(answer.pod))] if has_pods else []),
        [(f"{reason.text}.", "") for reason in dict.fromkeys(reasons)],
    )


def _pod_cell(pod: PodAnswer | None) -> Iterator[Part]:
    if pod is not None:
        yield pod.verdict.value, _POD_STYLES[pod.verdict]
        for entry in pod.pods:
            yield name_of(entry), ""
            yield started(entry), ""
            yield ended(entry), ""


def _nobody(answer: WhoAnswer) -> Iterator[Part]:
    """Yield that nobody held the address, or no holder is known, and who held it last."""
    last = _last_held(answer)
    nobody = "unassigned" if answer.verdict is Verdict.FREE else "no known holder"
    yield f"{nobody};" if last else nobody, ""
    if last:
        yield last, ""


def _last_held(answer: WhoAnswer) -> str:
    """Return who held the address last, and until when; empty if that is not known."""
    last = answer.last_holder
    if last is None:
        return ""
    unknown = "an AWS service" if last.service is not None else "an unknown instance"
    text = f"last held by {last.instance or unknown} ({last.eni})"
    if last.end is None or answer.at is None:
        return text
    basis = _in_parentheses("" if last.end_basis is Basis.OBSERVED else last.end_basis.value)
    return f"{text} until {clock(last.end)}{basis}, {duration(answer.at - last.end)} earlier"


def _holder(holder: Holder) -> list[Part]:
    kind = holder.eni_kind + (f", device {holder.device_index}" if holder.device_index is not None else "")
    start = bound(holder.start, holder.start_basis, holder.assigned_by)
    end = bound(holder.end, holder.end_basis, None)
    return [
        (holder.eni, ""),
        (kind, "dim"),
        (holder.instance or _place(holder), ""),
        (holder.vpc or "VPC unknown", ""),
        *([(f"through {holder.prefix}", "")] if holder.prefix else []),
        (" ".join(["from", *(text for text, _ in start)]), ""),
        (" ".join(["to", *(text for text, _ in end)]), ""),
    ]
