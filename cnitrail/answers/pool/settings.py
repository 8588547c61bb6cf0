"""Settings: which settings of the VPC CNI explain what it did to a pool, and what rules out the others.

aws-node reads its settings when it starts, so each start begins a period with settings of its own. Every
batch of a period narrows the settings that fit, and what it rules out is recorded with it. The true
settings are never ruled out: pod counts are unknown, as is the exact time at which a call was decided, and
while ipamd's own count may differ from EC2's, nothing is concluded.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter

from msgspec import Struct

from cnitrail.answers.pool.batches import AwsNodeRun, Batch, BatchKind, CniLog, Doubt, Holdings, meaning_of
from cnitrail.answers.pool.candidates import FittingSettings
from cnitrail.answers.pool.constraints import Range, Silence
from cnitrail.answers.pool.generations import GENERATIONS, Generation, generations_of, spans
from cnitrail.answers.pool.pod_bounds import PodBounds
from cnitrail.answers.pool.pods import PodCounts
from cnitrail.answers.pool.unexplained import IPV6
from cnitrail.intervals import between
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
)
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import clock
from cnitrail.timeclamp import LAST

SILENCE_LENGTH = timedelta(seconds=60)
"""How long a pool has to stay unchanged to show anything: longer than any of ipamd's timers."""


class SettingsQuestion(Struct, frozen=True, kw_only=True):
    """What settings are concluded from: the log of a node that is known from ``since`` to ``until``.

    ``alive`` is True if the node runs on after that. ``pods`` are the known pod counts.
    """

    log: CniLog
    limits: Limits
    since: datetime
    until: datetime
    alive: bool
    actors: Mapping[str, Actor]
    pods: PodCounts | PodBounds


class SettingsExplanation(Struct, frozen=True):
    """Periods with their settings, times of unknown settings, and the pods that candidates need.

    ``demand`` are the pods that the CNI's defaults need, in the periods in which these fit.
    """

    periods: tuple[SettingsPeriod, ...]
    unsettled: tuple[Unsettled, ...]
    pods: tuple[PodRange, ...]
    demand: tuple[PodRange, ...]


def explain(question: SettingsQuestion) -> SettingsExplanation:
    """Return the settings that explain a node's pool."""
    log = question.log
    if log.ipv6:
        return SettingsExplanation((), (Unsettled(question.since, None, IPV6),), (), ())
    unsettled = list(_unsettled(log.doubts, log.runs))
    periods = list(_periods(question, unsettled))
    fitting = [period for period in periods if period.misfit is None]
    unsettled += [
        Unsettled(period.since, period.until, period.misfit)
        for period in periods
        if period.misfit is not None
    ]
    return SettingsExplanation(
        periods=tuple(period.as_shown() for period in fitting),
        unsettled=tuple(sorted(unsettled, key=attrgetter("since"))),
        pods=tuple(needed for period in fitting for needed in period.pods()),
        demand=tuple(needed for period in fitting for needed in period.demand()),
    )


def _periods(question: SettingsQuestion, unsettled: Sequence[Unsettled]) -> "Iterator[_RunPeriod]":
    """Yield the runs of aws-node that have a batch from which settings can be concluded."""
    batches = [batch for batch in question.log.batches if not _is_unsettled(unsettled, batch.event.time)]
    for run in question.log.runs:
        done = [batch for batch in batches if run.takes(batch.event.time)]
        if done:
            yield _RunPeriod(question, run, done, unsettled)


def _unsettled(doubts: Iterable[Doubt], runs: Sequence[AwsNodeRun]) -> Iterator[Unsettled]:
    """Yield the times of unknown settings: from a doubt until aws-node starts again, or for good."""
    reached: datetime | None = None
    for doubt in doubts:
        if reached is not None and doubt.since < reached and not doubt.lasting:
            continue
        later = (run.since for run in runs if run.from_start and run.since > doubt.since)
        until = None if doubt.lasting else next(later, None)
        yield Unsettled(doubt.since, until, doubt.because)
        if until is None:
            return
        reached = until


def _is_unsettled(periods: Iterable[Unsettled], time: datetime) -> bool:
    return any(between(period.since, period.until).includes(time) for period in periods)


class _RunPeriod:
    """A time in which aws-node ran with the same settings.

    ``misfit`` names the first batch that no settings explain together with those before it; None if some
    settings explain all batches.
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
        self.misfit: Reason | None = None
        self._question = question
        self._limits = question.limits
        self._run = run
        self._batches = batches
        self._unsettled = unsettled
        self._ruled_out: list[RuledOut] = []
        self._versions = self._read_versions()
        self._fits = self._fit_batches()
        self._likely, self._held_back = self._fit_silences()

    def as_shown(self) -> SettingsPeriod:
        """Return the period with the settings that fit."""
        modes = self._fits.modes()
        before, after = self._batches[0].before, self._last_holdings()
        versions = [version for version in self._versions if Mode.SECONDARY in modes or version.prefixes]
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
            versions=spans(versions),
            candidates=(*self._likely.candidates(), *self._held_back),
            ruled_out=tuple(self._ruled_out),
        )

    def _last_holdings(self) -> Holdings:
        changes = self._question.log.changes
        earlier = (change.holdings for change in reversed(changes) if change.time < (self.until or LAST))
        return next(earlier, self._batches[-1].after)

    def pods(self) -> Iterator[PodRange]:
        """Yield how many pods each batch needs, with any of the candidates."""
        return self._needed(self._likely)

    def demand(self) -> Iterator[PodRange]:
        """Yield the same with the CNI's defaults alone, if they fit: other settings may need no pods."""
        return self._needed(self._likely.default() or self._likely)

    def _needed(self, fits: FittingSettings) -> Iterator[PodRange]:
        for batch in self._batches:
            needed = fits.needed(batch, self._limits, self._pods_at(batch))
            if needed is not None:
                yield PodRange(batch.event.time, *needed)

    def _pods_at(self, batch: Batch) -> Callable[[int], Range]:
        return lambda total: self._question.pods.at(batch.event.time, total)

    # --- batches -----------------------------------------------------------------------------

    def _fit_batches(self) -> FittingSettings:
        """Return the settings that explain every batch."""
        fits = FittingSettings.everything(self._limits, self._versions, self.since)
        for batch in self._batches:
            meaning = meaning_of(batch, self._limits)
            narrowed = fits.narrowed(batch, self._limits, self._pods_at(batch))
            if not narrowed.modes():
                text = f"no settings explain {batch.event.name} at {clock(batch.event.time)}: it {meaning}"
                self.misfit = Reason.citing(ReasonCode.UNEXPLAINED, text, batch.event)
                return fits
            self._record(batch.event, fits, narrowed, meaning)
            fits = narrowed
        return fits

    def _record(self, event: Event, before: FittingSettings, after: FittingSettings, because: str) -> None:
        """Record what an event rules out; a mode that it rules out is recorded as a whole."""
        by = EventRef(event.time, event.name, event.event_id)
        for mode in before.modes():
            if mode not in after.modes():
                self._ruled_out.append(RuledOut(mode=mode, by=by, because=because))
        for gone in before.without(after).ranges():
            if gone.mode in after.modes():
                self._ruled_out.append(
                    RuledOut(
                        mode=gone.mode,
                        warm_eni_target=gone.warm_eni_target,
                        warm_prefix_target=gone.warm_prefix_target,
                        warm_ip_target=gone.warm_ip_target,
                        minimum_ip_target=gone.minimum_ip_target,
                        by=by,
                        because=because,
                    )
                )

    def _read_versions(self) -> tuple[Generation, ...]:
        """Return the versions whose calls look like those of the period."""
        versions: tuple[Generation, ...] = GENERATIONS
        calls = [event for event in self._question.log.own if self._run.takes(event.time)]
        for event in calls:
            actor = self._question.actors[event.key]
            versions = self._keep_versions(
                versions, generations_of(actor), event, "has the user agent of another version"
            )
            if event.effect is Effect.CREATE and event.failure is None:
                asks = any(subject.requested is not None for subject in event.subjects)
                like = tuple(version for version in GENERATIONS if version.asks_at_create is asks)
                how = "requests addresses with the ENI" if asks else "creates an ENI without addresses"
                versions = self._keep_versions(versions, like, event, how)
        for batch in self._batches:
            if batch.kind is BatchKind.GROW and batch.prefixes:
                like = tuple(version for version in GENERATIONS if version.prefixes)
                versions = self._keep_versions(versions, like, batch.event, "requests prefixes")
            elif batch.kind is BatchKind.GROW and batch.count < batch.room and not batch.fresh:
                like = tuple(version for version in GENERATIONS if not version.fills_interfaces)
                versions = self._keep_versions(versions, like, batch.event, "leaves free slots on an ENI")
        return versions

    def _keep_versions(
        self, versions: tuple[Generation, ...], like: Sequence[Generation], event: Event, because: str
    ) -> tuple[Generation, ...]:
        """Return the versions that are left, or all of those before if none would be."""
        left = tuple(version for version in versions if version in like)
        gone = [version for version in versions if version not in like]
        if not left:
            return versions
        by = EventRef(event.time, event.name, event.event_id)
        self._ruled_out += [RuledOut(versions=span, by=by, because=because) for span in spans(gone)]
        return left

    # --- silences ----------------------------------------------------------------------------

    def _fit_silences(self) -> tuple[FittingSettings, list[Candidate]]:
        """Return the settings that explain the silences, too, and the others with the first they do not."""
        fits = self._fits
        held_back: list[Candidate] = []
        for silence, pods in self._silences():
            likely = fits.narrowed(silence, self._limits, pods)
            held_back += fits.without(likely).candidates(ClosedSpan(silence.since, silence.until))
            fits = likely
        return fits, held_back

    def _silences(self) -> Iterator[tuple[Silence, Callable[[int], Range]]]:
        """Yield the times in which the pool did not change, though the CNI ran and no call of it failed."""
        question, first = self._question, self._batches[0].event.time
        until = min(self.until or question.until, question.until)
        changes = [change for change in question.log.changes if first <= change.time < until]
        doubts = [unsettled.since for unsettled in self._unsettled]
        breaks = sorted({*(change.time for change in changes), *doubts, until})
        for change in changes:
            end = breaks[bisect_right(breaks, change.time)]
            if (
                end - change.time < SILENCE_LENGTH
                or change.refused
                or _is_unsettled(self._unsettled, change.time)
            ):
                continue
            for since, quiet_until, pods in question.pods.steady(change.time, end):
                if quiet_until - since >= SILENCE_LENGTH:
                    can_grow = self._can_grow(change.holdings)
                    yield Silence(since, quiet_until, change.holdings, can_grow), pods

    def _can_grow(self, holdings: Holdings) -> bool:
        """Return True if there is anything left that the CNI could request, and would."""
        limits = self._limits
        full = holdings.room == 0 and holdings.enis >= limits.enis
        addresses = holdings.total(prefix_mode=False) + holdings.total(prefix_mode=True)
        enough = addresses >= limits.max_pods and any(version.heeds_max_pods for version in self._versions)
        return not full and not enough
