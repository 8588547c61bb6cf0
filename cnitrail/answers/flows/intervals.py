"""One answer for an interval: the worst of the answers to ``who`` of its seconds."""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec import Struct

from cnitrail.model import Holder, Verdict, WhoAnswer
from cnitrail.model.pods import PodAnswer, PodEntry, PodVerdict
from cnitrail.model.reason import STORY, Reason, ReasonCode

WORST_LAST: Final = (
    Verdict.CERTAIN,
    Verdict.FREE,
    Verdict.LIKELY,
    Verdict.AMBIGUOUS,
    Verdict.UNKNOWN,
)

POD_WORST_LAST: Final = (
    PodVerdict.CERTAIN,
    PodVerdict.NONE,
    PodVerdict.LIKELY,
    PodVerdict.AMBIGUOUS,
    PodVerdict.UNKNOWN,
)

_SETTLED: Final = STORY | {ReasonCode.NOT_ASSIGNED_SINCE, ReasonCode.PROVEN}
"""The codes of reasons that leave nothing in doubt."""


class IntervalAnswer(Struct, frozen=True, gc=False, kw_only=True):
    """Who had an address in an interval: every holder and pod of any second, and the worst verdicts.

    ``pod_verdict`` is None if no pod evidence was read. ``reasons`` are the codes of what is not certain of
    the ENI, ``pod_reasons`` of the pod.
    """

    verdict: Verdict
    holders: tuple[Holder, ...] = ()
    pod_verdict: PodVerdict | None = None
    pods: tuple[PodEntry, ...] = ()
    reasons: tuple[ReasonCode, ...] = ()
    pod_reasons: tuple[ReasonCode, ...] = ()


def over_interval(answers: Sequence[WhoAnswer], *, is_settled: bool = False) -> IntervalAnswer:
    """Return one answer for the seconds of several.

    An address that somebody held for a part of the time, and nobody for the rest, is ambiguous at best: it is
    not known which part the packets belong to. ``is_settled``: it is, since the holder itself recorded them.
    """
    verdict = worst(answer.verdict for answer in answers)
    holders = answers[0].holders
    reasons = [reason for answer in answers if _is_doubted(answer) for reason in answer.reasons]
    changes: tuple[ReasonCode, ...] = ()
    if len(answers) > 1:
        every = [holder for answer in answers for holder in answer.holders]
        holders = tuple({_identity(holder): holder for holder in every}.values())
        if _is_changed([{holder.eni for holder in answer.holders} for answer in answers]):
            verdict = worst((verdict, Verdict.LIKELY if is_settled else Verdict.AMBIGUOUS))
            changes = (ReasonCode.CHANGED_IN_INTERVAL,)
    pod_verdict, pods, pod_reasons = _pods_over([answer.pod for answer in answers if answer.pod is not None])
    return IntervalAnswer(
        verdict=verdict,
        holders=holders,
        pod_verdict=pod_verdict,
        pods=pods,
        reasons=(*changes, *codes_of(reasons)),
        pod_reasons=pod_reasons,
    )


def _pods_over(
    answers: Sequence[PodAnswer],
) -> tuple[PodVerdict | None, tuple[PodEntry, ...], tuple[ReasonCode, ...]]:
    if not answers:
        return None, (), ()
    verdict = worst_pod(answer.verdict for answer in answers)
    entries = answers[0].pods
    changes: tuple[ReasonCode, ...] = ()
    if len(answers) > 1:
        entries = tuple({_pod_identity(pod): pod for answer in answers for pod in answer.pods}.values())
        partly_none = entries and any(answer.verdict is PodVerdict.NONE for answer in answers)
        if partly_none or _are_several(entries):
            verdict = worst_pod((verdict, PodVerdict.AMBIGUOUS))
            changes = (ReasonCode.POD_CHANGED_THEN,)
    doubted = (answer for answer in answers if answer.verdict not in _SETTLED_PODS)
    reasons = codes_of(reason for answer in doubted for reason in answer.reasons)
    return verdict, entries, (*changes, *reasons)


def _is_changed(enis: Sequence[set[str]]) -> bool:
    """Return whether the ENIs of some seconds differ from those of others, or are not there."""
    return any(one != enis[0] for one in enis) and any(enis)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict that says the least."""
    return max(verdicts, key=WORST_LAST.index)


def worst_pod(verdicts: Iterable[PodVerdict]) -> PodVerdict:
    """Return the verdict about pods that says the least."""
    return max(verdicts, key=POD_WORST_LAST.index)


def codes_of(reasons: Iterable[Reason]) -> tuple[ReasonCode, ...]:
    """Return the codes of the reasons that leave something in doubt, each once."""
    return tuple(dict.fromkeys(reason.code for reason in reasons if reason.code not in _SETTLED))


_SETTLED_PODS: Final = (PodVerdict.CERTAIN, PodVerdict.NONE)


def _is_doubted(answer: WhoAnswer) -> bool:
    return answer.verdict not in (Verdict.CERTAIN, Verdict.FREE)


def _identity(holder: Holder) -> tuple[object, ...]:
    """Return what tells holders apart, of one ENI also if its instance changes."""
    return holder.eni, holder.instance, holder.start


def _pod_identity(entry: PodEntry) -> tuple[object, ...]:
    return entry.namespace, entry.pod, entry.uid, entry.sandbox


def _are_several(entries: Sequence[PodEntry]) -> bool:
    """Return whether some entries are of different pods, by name or by UID."""
    names = {(entry.namespace, entry.pod) for entry in entries if entry.pod is not None}
    uids = {entry.uid for entry in entries if entry.uid is not None}
    return len(names) > 1 or len(uids) > 1
