"""The sentences that explanations of all kinds share."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from cnitrail.answers.explain.known import Known
from cnitrail.answers.filters import Filter
from cnitrail.answers.findings.names import caller_name
from cnitrail.model import (
    AccountRegion,
    Actor,
    CallOutcome,
    Effect,
    Event,
    Finding,
    HeldEntry,
    StateEntry,
    TimelineEntry,
    Verdict,
    WhoAnswer,
    is_prefix,
)
from cnitrail.model.explanation import ExplanationSentence, SentenceCode
from cnitrail.model.finding import severity_counts
from cnitrail.model.reason import STORY, Reason, ReasonCode
from cnitrail.text import capitalized, clock, counted, duration, listed, short_list, time_range

_SAID = 2
"""Reasons that a sentence gives before it counts the rest."""

_SAID_ELSEWHERE = STORY | {ReasonCode.NEVER_SEEN}
"""The reasons of ``who`` that other sentences say."""

_MISSING = frozenset(
    {
        ReasonCode.LOG_GAP,
        ReasonCode.MISSING_FILE,
        ReasonCode.UNREAD_FILE,
        ReasonCode.ALTERED_FILE,
        ReasonCode.TRAIL_STOPPED,
        ReasonCode.TRAIL_NARROWED,
        ReasonCode.TRAIL_DELETED,
        ReasonCode.BEFORE_EVIDENCE,
        ReasonCode.AFTER_EVIDENCE,
        ReasonCode.COVERAGE_UNKNOWN,
        ReasonCode.UNREAD_RECORD,
    }
)
"""The reasons that say what of the time was not read."""

_VERDICTS = {
    Verdict.CERTAIN: "certain: its start and a later sign of it are logged",
    Verdict.LIKELY: "likely, not certain",
    Verdict.AMBIGUOUS: "ambiguous",
    Verdict.UNKNOWN: "unknown: no event shows a holder at that time",
    Verdict.FREE: "free: its release is logged, and the logs after it have no gap",
}
"""By verdict of ``who``: what it means."""

_OF_ADDRESSES = (Effect.ASSIGN, Effect.UNASSIGN)

_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ")
"""Two reasons with the same code and times are about the same gap."""

_FIRST_SENTENCE = re.compile(r".+?[.](?=\s+[A-Z0-9])", re.DOTALL)


def place_of(account: str | None, region: str | None) -> str:
    """Return an account and Region as far as they are known: ``account 111111111111 in eu-west-1``."""
    return " in ".join(filter(None, (f"account {account}" if account else None, region)))


def where(subnet: str | None, vpc: str | None, account: str | None, region: str | None) -> str:
    """Return where a resource is, with ``in`` before it; empty if nothing shows it."""
    network = " of ".join(filter(None, (subnet, vpc)))
    known = ", ".join(filter(None, (network, place_of(account, region))))
    return f" in {known}" if known else ""


def since(start: datetime | None, at: datetime) -> str:
    """Return a start with its age: ``since 2022-10-05 13:15:46Z (2 h 24 min)``."""
    if start is None:
        return "since an unknown time"
    return f"since {clock(start)} ({duration(at - start)})" if start <= at else f"since {clock(start)}"


def held_count(addresses: Sequence[HeldEntry]) -> str:
    """Return how many addresses and prefixes an ENI holds; every ENI has one, if no event names it either."""
    prefixes = sum(is_prefix(held.ip) for held in addresses)
    single = len(addresses) - prefixes
    if not addresses:
        return "no known IPs"
    named = [counted(single, "IP")] if single else []
    return " and ".join([*named, *([_prefixes(prefixes)] if prefixes else [])])


def _prefixes(number: int) -> str:
    return "1 prefix" if number == 1 else f"{number:,} prefixes"


def instance_name(known: Known, instance: str | None, eni: str | None, at: datetime) -> str:
    """Return an instance with its type and cluster: ``i-0abc (m5.large, cluster prod)``."""
    node = known.history.instances.get(instance or "")
    cluster = known.history.cluster_of(eni, instance, at).name
    facts = [node.instance_type if node else None, f"cluster {cluster}" if cluster else None]
    listed_facts = ", ".join(filter(None, facts))
    name = instance or "an unknown instance"
    return f"{name} ({listed_facts})" if listed_facts else name


def call(event: Event, actor: Actor) -> str:
    """Return who made a call, and which: ``ada (IAM user, aws-cli 2.27) at … (CreateNetworkInterface)``."""
    return f"{caller_name(actor)} at {clock(event.time)} ({event.name})"


def events_of(*events: Event | None) -> tuple[str, ...]:
    """Return the IDs of those events that have one."""
    return tuple(event.event_id for event in events if event is not None and event.event_id is not None)


def ids(*found: str | None) -> tuple[str, ...]:
    """Return the event IDs that are known."""
    return tuple(event_id for event_id in found if event_id is not None)


def last_change(entries: Iterable[TimelineEntry], enis: Sequence[str]) -> ExplanationSentence | None:
    """Return the last call that assigned, moved or released addresses of some ENIs; None if none did."""
    changes = [
        entry
        for entry in entries
        if entry.outcome is CallOutcome.OK
        and entry.effect in _OF_ADDRESSES
        and (entry.added or entry.removed)
    ]
    if not changes:
        return None
    last = changes[-1]
    taken = [moved.ip for moved in last.moved if moved.from_eni in enis and last.eni not in enis]
    held = taken or last.added or last.removed
    names = listed([str(address) for address in held]) if len(held) <= _SAID else counted(len(held), "IP")
    if taken:
        did = f"took {names} from it and assigned {'it' if len(taken) == 1 else 'them'} to {last.eni}"
    else:
        did = f"{'assigned' if last.added else 'released'} {names}{f' on {last.eni}' if last.eni else ''}"
    text = f"The last change of its IPs was at {clock(last.time)}: {caller_name(last.actor)} {did}."
    return ExplanationSentence(SentenceCode.BEFORE, text, ids(last.event_id))


def failed_calls(entries: Iterable[TimelineEntry]) -> str:
    """Return how many calls failed, and with which error codes; empty if none did."""
    failed = [entry for entry in entries if entry.outcome is CallOutcome.FAILED]
    if not failed:
        return ""
    codes = Counter(entry.error.code.removeprefix("Client.") for entry in failed if entry.error)
    named = [f"{code} {number:,}" for code, number in codes.most_common(_SAID)]
    named = list(codes) if len(codes) == 1 else named
    more = f" and {len(codes) - _SAID:,} other codes" if len(codes) > _SAID else ""
    last = max(failed, key=lambda entry: entry.time)
    codes_said = f"{', '.join(named)}{more}"
    return f"{counted(len(failed), 'call')} failed ({codes_said}), the last one at {clock(last.time)}"


def failed_ids(entries: Iterable[TimelineEntry]) -> tuple[str, ...]:
    """Return the event IDs of the calls that failed."""
    return tuple(
        dict.fromkeys(ids(*(entry.event_id for entry in entries if entry.outcome is CallOutcome.FAILED)))
    )


def findings_sentence(known: Known, found: Sequence[Finding] | None, *words: str) -> ExplanationSentence:
    """Return what is wrong: the gravest finding and the number of others; ``words`` select them."""
    if found is None:
        text = "Findings were not judged, because only events of the target were read."
        command = known.rerun.command("findings", *words)
        return ExplanationSentence(SentenceCode.NOT_JUDGED, text, command=command)
    if not found:
        return ExplanationSentence(SentenceCode.NO_FINDINGS, "No findings concern it.")
    gravest, *others = found
    if gravest.until is None:
        span = f"since {clock(gravest.since)}, ongoing"
    else:
        span = time_range(gravest.since, gravest.until)
    text = f"{capitalized(gravest.severity.value)} finding ({span}): {_first_sentence(gravest.sentence)}"
    if others:
        named = listed(severity_counts(finding.severity for finding in others))
        named = others[0].severity.value if len(others) == 1 else named
        verb = "concerns" if len(others) == 1 else "concern"
        text += f" {counted(len(others), 'other finding')} {verb} it ({named})."
    cited = tuple(event.shown_id for event in gravest.events)
    return ExplanationSentence(SentenceCode.FINDINGS, text, cited)


def _first_sentence(text: str) -> str:
    found = _FIRST_SENTENCE.match(text)
    return found[0] if found else text


def judge(known: Known, *wanted: Filter) -> tuple[Finding, ...] | None:
    """Return the findings that any filter keeps; None if they cannot be judged."""
    return None if known.is_narrowed else known.findings(*wanted)


def certainty(answer: WhoAnswer, *, of_eni: bool = False) -> ExplanationSentence:
    """Return how sure an answer of ``who`` is, and what leaves it in doubt.

    ``of_eni``: it is about an IP of the ENI or instance that is explained.
    """
    doubts = [reason for reason in answer.reasons if reason.code not in _SAID_ELSEWHERE | _MISSING]
    subject = f"The verdict for its IP {answer.ip}" if of_eni else "The verdict"
    text = f"{subject} is {_VERDICTS[answer.verdict]}"
    if doubts:
        text = f"{text}{';' if ':' in text.removeprefix(subject) else ':'} {_said(doubts)}"
    cited = tuple(dict.fromkeys(event for doubt in doubts for event in doubt.events))
    return ExplanationSentence(SentenceCode.CERTAINTY, f"{text}.", cited)


def missing(
    known: Known,
    at: datetime,
    start: datetime | None,
    places: Iterable[AccountRegion],
    answer: WhoAnswer | None = None,
) -> Iterator[ExplanationSentence]:
    """Yield what of the time from a start (None: not known) to the time asked for was not read."""
    found: list[Reason] = [reason for reason in answer.reasons if reason.code in _MISSING] if answer else []
    found += known.uncovered(start, at, tuple(places))
    found = list({(reason.code, *_TIME.findall(reason.text)): reason for reason in reversed(found)}.values())
    found.reverse()
    texts = [_said(found)] if found else []
    if known.skipped:
        noun = "file or record" if known.skipped == 1 else "files or records"
        texts.append(f"{known.skipped:,} {noun} could not be read")
    if texts:
        cited = tuple(dict.fromkeys(event for reason in found for event in reason.events))
        text = f"Missing from the evidence: {'; '.join(texts)}."
        yield ExplanationSentence(SentenceCode.MISSING, text, cited)


def _said(reasons: Sequence[Reason]) -> str:
    """Return reasons as one clause: the first ones, and how many more."""
    texts = list(dict.fromkeys(reason.text.rstrip(".") for reason in reasons))
    more = f" (and {counted(len(texts) - _SAID, 'more reason')})" if len(texts) > _SAID else ""
    return "; ".join(texts[:_SAID]) + more


def follow_up(text: str, command: str) -> ExplanationSentence:
    """Return the command to run next, and what for."""
    return ExplanationSentence(SentenceCode.NEXT, text, command=command)


def enis_of(entries: Iterable[StateEntry]) -> tuple[str, ...]:
    """Return the ENIs of a state, sorted."""
    return tuple(sorted(entry.eni for entry in entries))


def names_of(names: Sequence[str], noun: str) -> str:
    """Return names with their noun: ``subnet-a`` alone, or ``3 subnets (…)``."""
    return short_list(names) if len(names) == 1 else f"{counted(len(names), noun)} ({short_list(names)})"
