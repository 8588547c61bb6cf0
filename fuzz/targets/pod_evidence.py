"""Arbitrary evidence about pods: read, kept in a store, and put together."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from random import Random
from zlib import crc32

from cnitrail.answers.filters import Filter
from cnitrail.answers.pods.entries import pods
from cnitrail.answers.pods.index import PodIndex
from cnitrail.decode import MARKERS, NAMES, decode, pod_markers
from cnitrail.decode.pods.stored import stored_record
from cnitrail.history import Ledger, build
from cnitrail.model import Document, History, Record, Verdict, WhoAnswer
from cnitrail.model.forms import POD_FORMS
from cnitrail.model.pod_facts import PodRecord
from cnitrail.model.pods import PodHistory, PodLease, PodVerdict
from cnitrail.scan import Scanner

_SCANNER = Scanner(NAMES, MARKERS, pod_markers=pod_markers)
_MANY = 50


def pod_evidence(data: bytes) -> None:
    """Counts add up; a store keeps all facts; order and repeats change nothing; no pod is certain alone."""
    found: list[PodRecord] = []
    heard: set[tuple[str, str]] = set()
    for part, tally in _SCANNER.parts(Document(uri="node/ipamd.log", chunks=iter((data,)))):
        records = [one for one in _SCANNER.scan(part, tally) if isinstance(one, Record)]
        assert len(records) + tally.passed_over <= tally.records == sum(tally.forms.values())
        found += _decoded(record for record in records if record.origins[0].form in POD_FORMS)
        heard |= tally.heard
    history = _built(found, heard)
    chance = Random(crc32(data))
    assert _built(chance.sample(found * 2, 2 * len(found)), heard).pods == history.pods
    for lease in history.pods.leases:
        _is_in_order(lease)
    assert len(list(pods(history, Filter()))) == len(history.pods.leases)
    _ask(history, history.pods)


def _decoded(records: Iterable[Record]) -> Iterable[PodRecord]:
    """Yield what records say, after comparing it with what a store keeps of it."""
    for record in records:
        decoded = decode(record)
        assert all(decoded.problems)
        if decoded.pods is not None:
            kept = decode(stored_record(record, decoded.pods, decoded.problems))
            assert (kept.pods, kept.problems) == (decoded.pods, decoded.problems)
            yield decoded.pods


def _built(records: Iterable[PodRecord], heard: Iterable[tuple[str, str]]) -> History:
    ledger = Ledger()
    for record in records:
        ledger.add_pods(record)
    ledger.hear("node/ipamd.log", heard)
    return build((), pods=ledger.pods())


def _is_in_order(lease: PodLease) -> None:
    for bound in (lease.start, lease.end):
        assert bound.earliest is None or bound.latest is None or bound.earliest <= bound.latest, lease
    begun, over = lease.start.latest, lease.end.latest
    assert begun is None or over is None or begun <= over, lease


def _ask(history: History, known: PodHistory) -> None:
    """Without CloudTrail, no pod is certain, and no address is free of pods."""
    index = PodIndex(history)
    for lease in known.leases[:_MANY]:
        for time in (lease.start.latest, lease.end.earliest, lease.end.latest):
            if isinstance(time, datetime) and time < datetime.max.replace(tzinfo=time.tzinfo) - timedelta(1):
                enis = WhoAnswer(
                    ip=str(lease.ip), at=time, verdict=Verdict.UNKNOWN, holders=(), reasons=(), rests_on=None
                )
                answer = index.answer(index.question(lease.ip, time, Filter()), enis)
                assert answer is not None
                assert answer.verdict not in (PodVerdict.CERTAIN, PodVerdict.NONE), answer
