"""Which settings of the VPC CNI explain what it did to a pool, and what rules the others out.

aws-node reads its settings when it starts, so each of its starts begins a period with settings of its
own. Within a period every batch narrows what fits, and what it rules out names it. The true settings
are never ruled out: the pods are not known, nor when exactly a call was decided, and where the CNI's
books may differ from EC2's nothing is concluded at all.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from cnitrail.answers.coverage_text import clock
from cnitrail.answers.pool.batches import AwsNodeRun, Batch, CniLog, Doubt, Holdings, Kind, meaning_of
from cnitrail.answers.pool.candidates import Fits
from cnitrail.answers.pool.constraints import Range, Silence
from cnitrail.answers.pool.generations import GENERATIONS, Generation, generations_of, spans
from cnitrail.answers.pool.pods import PodCounts
from cnitrail.model import Actor, Effect, Event, Limits
from cnitrail.model.pool import (
    Candidate,
    ClosedSpan,
    EventRef,
    Mode,
    PodRange,
    RuledOut,
    SettingsPeriod,
    Unsettled,
    Versions,
)
from cnitrail.timeclamp import LAST

PATIENCE = timedelta(seconds=60)
"""A pool that stays so long as it is tells something: many passes, and longer than any of ipamd's timers."""


class SettingsQuestion(Struct, frozen=True):
    """What settings are concluded from: the log of a node that is known from ``since`` to ``until``.

    ``alive``: it goes on after that. ``pods`` is what is known of its pods.
    """

    log: CniLog
    limits: Limits
    since: datetime
    until: datetime
    alive: bool
    actors: Mapping[str, Actor]
    pods: PodCounts


class Explanation(Struct, frozen=True):
    """Periods with their settings, times of which nothing is concluded, and the pods that are needed.

    ``demand`` are those that the CNI's defaults need, in the periods that these fit.
    """

    periods: tuple[SettingsPeriod, ...]
    unsettled: tuple[Unsettled, ...]
    pods: tuple[PodRange, ...]
    demand: tuple[PodRange, ...]


def explain(question: SettingsQuestion) -> Explanation:
    """The settings that explain a node's pool."""
    log = question.log
    if log.ipv6:
        reason = "its pods have IPv6 addresses: one prefix, and no pool that settings decide about"
        return Explanation((), (Unsettled(question.since, None, reason),), (), ())
    unsettled = list(_unsettled(log.doubts, log.runs))
    periods = list(_periods(question, unsettled))
    fitting = [period for period in periods if period.misfit is None]
    unsettled += [
        Unsettled(period.since, period.until, f"no settings explain all that it did: {period.misfit}")
        for period in periods
        if period.misfit is not None
    ]
    return Explanation(
        periods=tuple(period.told() for period in fitting),
        unsettled=tuple(sorted(unsettled, key=lambda each: each.since)),
        pods=tuple(needed for period in fitting for needed in period.pods()),
        demand=tuple(needed for period in fitting for needed in period.demand()),
    )


def _periods(question: SettingsQuestion, unsettled: Sequence[Unsettled]) -> "Iterator[_RunPeriod]":
    """The runs of aws-node in which it did anything from which something is concluded."""
    batches = [batch for batch in question.log.batches if not _lies_in(unsettled, batch.event.time)]
    for run in question.log.runs:
        done = [batch for batch in batches if run.takes(batch.event.time)]
        if done:
            yield _RunPeriod(question, run, done, unsettled)


def _unsettled(doubts: Iterable[Doubt], runs: Sequence[AwsNodeRun]) -> Iterator[Unsettled]:
    """Times of which nothing is concluded: from a doubt until aws-node starts anew, or for good."""
    reached: datetime | None = None
    for doubt in doubts:
        if reached is not None and doubt.since < reached and not doubt.lasting:
            continue
        later = (run.since for run in runs if run.anew and run.since > doubt.since)
        until = None if doubt.lasting else next(later, None)
        yield Unsettled(doubt.since, until, doubt.because)
        if until is None:
            return
        reached = until


def _lies_in(unsettled: Iterable[Unsettled], time: datetime) -> bool:
    return any(each.since <= time and (each.until is None or time < each.until) for each in unsettled)


class _RunPeriod:
    """A time in which aws-node ran with the same settings.

    ``misfit`` says which of the batches no settings explain together with those before; None where
    some explain all.
    """

    def __init__(
        self,
        question: SettingsQuestion,
        run: AwsNodeRun,
        batches: Sequence[Batch],
        unsettled: Sequence[Unsettled],
    ) -> None:
        self.since = run.since
        self.until = run.until if run.until or question.alive else question.until
        self.misfit: str | None = None
        self._question = question
        self._limits = question.limits
        self._run = run
        self._batches = batches
        self._unsettled = unsettled
        self._ruled_out: list[RuledOut] = []
        self._versions = self._read_versions()
        self._fits = self._read()
        self._likely, self._held_back = self._listen()

    def told(self) -> SettingsPeriod:
        """The period, with the settings that fit."""
        modes = self._fits.modes()
        before, after = self._batches[0].before, self._last_holdings()
        versions = [each for each in self._versions if Mode.SECONDARY in modes or each.prefixes]
        return SettingsPeriod(
            since=self.since,
            until=self.until,
            begins=self._run.because,
            batches=len(self._batches),
            pool_before=before.pool,
            pool_after=after.pool,
            enis_before=before.enis,
            enis_after=after.enis,
            modes=modes,
            versions=tuple(Versions(*span) for span in spans(versions)),
            candidates=(*self._likely.candidates(), *self._held_back),
            ruled_out=tuple(self._ruled_out),
        )

    def _last_holdings(self) -> Holdings:
        changes = self._question.log.changes
        earlier = (each.holdings for each in reversed(changes) if each.time < (self.until or LAST))
        return next(earlier, self._batches[-1].after)

    def pods(self) -> Iterator[PodRange]:
        """How many pods each batch needs, with any of the candidates."""
        return self._needed(self._likely)

    def demand(self) -> Iterator[PodRange]:
        """The same with the CNI's defaults alone, where they fit: others may need no pod at all."""
        return self._needed(self._likely.default() or self._likely)

    def _needed(self, fits: Fits) -> Iterator[PodRange]:
        for batch in self._batches:
            needed = fits.needed(batch, self._limits, self._pods_at(batch))
            if needed is not None:
                yield PodRange(batch.event.time, *needed)

    def _pods_at(self, batch: Batch) -> Callable[[int], Range]:
        return lambda total: self._question.pods.at(batch.event.time, total)

    # --- batches -----------------------------------------------------------------------------

    def _read(self) -> Fits:
        """What explains every batch."""
        fits = Fits.everything(self._limits, self._versions, self.since)
        for batch in self._batches:
            meaning = meaning_of(batch, self._limits)
            narrowed = fits.narrowed(batch, self._limits, self._pods_at(batch))
            if not narrowed.modes():
                self.misfit = f"{batch.event.name} at {clock(batch.event.time)} {meaning}"
                return fits
            self._note(batch.event, fits, narrowed, meaning)
            fits = narrowed
        return fits

    def _note(self, event: Event, before: Fits, after: Fits, because: str) -> None:
        """What an event rules out; of a mode that it rules out no more is said."""
        by = EventRef(event.time, event.name, event.event_id)
        for mode in before.modes():
            if mode not in after.modes():
                self._ruled_out.append(RuledOut(None, mode, None, None, None, None, by, because))
        for gone in before.without(after).ranges():
            if gone.mode in after.modes():
                targets = gone.warm_eni_target, gone.warm_prefix_target, gone.warm_ip_target
                self._ruled_out.append(
                    RuledOut(None, gone.mode, *targets, gone.minimum_ip_target, by, because)
                )

    def _read_versions(self) -> tuple[Generation, ...]:
        """The versions whose calls look like those of the period."""
        versions: tuple[Generation, ...] = GENERATIONS
        own = self._question.log.own
        for event in (each for each in own if self._run.takes(each.time)):
            actor = self._question.actors[event.key]
            versions = self._fewer(
                versions, generations_of(actor), event, "has the user agent of another version"
            )
            if event.effect is Effect.CREATE and event.failure is None:
                asks = any(subject.requested is not None for subject in event.subjects)
                like = tuple(each for each in GENERATIONS if each.asks_at_create is asks)
                how = "asks for addresses with the interface" if asks else "makes a bare interface"
                versions = self._fewer(versions, like, event, how)
        for batch in self._batches:
            if batch.kind is Kind.GROW and batch.prefixes:
                like = tuple(each for each in GENERATIONS if each.prefixes)
                versions = self._fewer(versions, like, batch.event, "asks for prefixes")
            elif batch.kind is Kind.GROW and batch.count < batch.room and not batch.fresh:
                like = tuple(each for each in GENERATIONS if not each.fills_interfaces)
                versions = self._fewer(versions, like, batch.event, "leaves room on an interface")
        return versions

    def _fewer(
        self, versions: tuple[Generation, ...], like: Sequence[Generation], event: Event, because: str
    ) -> tuple[Generation, ...]:
        """The versions that are left; those of before where that would be none at all."""
        left = tuple(each for each in versions if each in like)
        gone = [each for each in versions if each not in like]
        if not left:
            return versions
        by = EventRef(event.time, event.name, event.event_id)
        self._ruled_out += [
            RuledOut(Versions(*span), None, None, None, None, None, by, because) for span in spans(gone)
        ]
        return left

    # --- silences ----------------------------------------------------------------------------

    def _listen(self) -> tuple[Fits, list[Candidate]]:
        """What fits the silences as well; and what does not, each with the first that it does not fit."""
        fits = self._fits
        held_back: list[Candidate] = []
        for silence, pods in self._silences():
            likely = fits.narrowed(silence, self._limits, pods)
            held_back += fits.without(likely).candidates(ClosedSpan(silence.since, silence.until))
            fits = likely
        return fits, held_back

    def _silences(self) -> Iterator[tuple[Silence, Callable[[int], Range]]]:
        """The times in which the pool stayed as it was, though the CNI ran and was not refused."""
        question, first = self._question, self._batches[0].event.time
        until = min(self.until or question.until, question.until)
        changes = [change for change in question.log.changes if first <= change.time < until]
        doubts = [each.since for each in self._unsettled]
        breaks = sorted({*(change.time for change in changes), *doubts, until})
        for change in changes:
            end = breaks[bisect_right(breaks, change.time)]
            if end - change.time < PATIENCE or change.refused or _lies_in(self._unsettled, change.time):
                continue
            for since, quiet_until, pods in question.pods.steady(change.time, end):
                if quiet_until - since >= PATIENCE:
                    can_grow = self._can_grow(change.holdings)
                    yield Silence(since, quiet_until, change.holdings, can_grow), pods

    def _can_grow(self, holdings: Holdings) -> bool:
        """Whether there is anything left that the CNI could ask for, and would."""
        limits = self._limits
        full = holdings.room == 0 and holdings.enis >= limits.enis
        addresses = holdings.total(prefix_mode=False) + holdings.total(prefix_mode=True)
        enough = addresses >= limits.max_pods and any(each.heeds_max_pods for each in self._versions)
        return not full and not enough
