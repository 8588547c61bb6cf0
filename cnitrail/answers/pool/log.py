"""The calls about a node → what the VPC CNI did to its pool.

Only calls from which settings can be concluded are kept. If ipamd's own count may differ from what EC2
holds, or if the evidence may not have all that the node holds, a ``Doubt`` begins.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from itertools import groupby, pairwise

from msgspec import Struct, field

from cnitrail.answers.coverage_text import gap_reason
from cnitrail.answers.pool.batches import (
    AwsNodeRun,
    Batch,
    BatchKind,
    CniLog,
    Doubt,
    Holdings,
    HoldingsChange,
)
from cnitrail.answers.pool.nodes import InterfaceCall, Node
from cnitrail.answers.pool.simulation import ENI_AGE
from cnitrail.model import (
    Actor,
    ActorKind,
    Basis,
    Coverage,
    Effect,
    Event,
    HoldingKind,
    Hole,
    Limits,
    is_prefix,
)
from cnitrail.model.callers import named
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.timeclamp import LAST, shifted

_POOL_KINDS = {HoldingKind.SECONDARY, HoldingKind.PREFIX}
_IPV6_KINDS = {HoldingKind.IPV6, HoldingKind.IPV6_PREFIX}
_STARTED = "aws-node started: it set the security groups of its ENIs"


def read_batches(
    node: Node, own: frozenset[str], actors: Mapping[str, Actor], limits: Limits, coverage: Coverage
) -> CniLog:
    """Return what the CNI did on a node; ``own`` are the keys of its calls (see ``by_the_cni``)."""
    return _LogReader(node, own, actors, limits, coverage).read()


def by_the_cni(node: Node, actors: Mapping[str, Actor]) -> frozenset[str]:
    """Return the keys of the CNI's own calls about a node.

    These are the calls that are known to be the CNI's, and other calls of the same caller: one session with
    one user agent is one program (without the part of a user agent that may change from call to call).
    Callers are compared for the node's own role only, whose session other programs share.
    """
    known = {call.event.key for call in node.calls if actors[call.event.key].ipamd}
    callers = {_caller(actors[key]) for key in known} - {None}
    more = {call.event.key for call in node.calls if _caller(actors[call.event.key]) in callers}
    others = {call.event.key for call in node.calls if _names_addresses(call) or call.subject.details.served}
    return frozenset(known | (more - others))


def _caller(actor: Actor) -> tuple[str | None, ...] | None:
    if actor.kind is not ActorKind.INSTANCE_ROLE or actor.agent.name is not None:
        return None
    return actor.role_arn, actor.session, (actor.agent.raw or "").partition(" m/")[0]


def _names_addresses(call: InterfaceCall) -> bool:
    """Return True if a call assigns named addresses, or takes them from other ENIs: the CNI never does."""
    by_name = bool(call.subject.requested_addresses) or call.subject.reassign
    return by_name and call.event.effect is Effect.ASSIGN


class _Eni(Struct, kw_only=True):
    """What an ENI holds while the calls are read."""

    secondary: int = 0
    prefixes: int = 0
    attached: datetime | None = None
    fresh: bool = True
    refused: bool = False

    @property
    def blocks(self) -> int:
        return self.secondary + self.prefixes


class _Notes(Struct, kw_only=True):
    batches: list[Batch] = field(default_factory=list)
    changes: list[HoldingsChange] = field(default_factory=list)
    starts: list[datetime] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)
    own: list[Event] = field(default_factory=list)
    ipv6: bool = False


class _LogReader:
    def __init__(
        self,
        node: Node,
        own: frozenset[str],
        actors: Mapping[str, Actor],
        limits: Limits,
        coverage: Coverage,
    ) -> None:
        self._node = node
        self._limits = limits
        self._coverage = coverage
        self._own = own
        self._actors = actors
        self._enis: dict[str, _Eni] = defaultdict(_Eni)
        self._notes = _Notes()

    def read(self) -> CniLog:
        self._doubt_beginning()
        for call in self._node.calls:
            if call.event.key in self._own:
                self._notes.own.append(call.event)
            self._read(call)
            self._note_change(call)
        notes = self._notes
        notes.doubts += self._thefts()
        batches = tuple(_unordered_dropped(notes.batches))
        return CniLog(
            batches=batches,
            changes=tuple(notes.changes),
            runs=tuple(self._runs_by_start() if notes.starts else self._runs_by_session()),
            doubts=tuple(sorted(notes.doubts, key=lambda doubt: doubt.since)),
            own=tuple(notes.own),
            custom_networking=self._is_first_left_out(batches),
            ipv6=notes.ipv6,
        )

    def _runs_by_start(self) -> Iterator[AwsNodeRun]:
        """Yield runs from the launch and from every start; another version is a start as well."""
        starts = dict.fromkeys(self._notes.starts, _STARTED)
        for one, other in pairwise(self._notes.own):
            if _program(one) != _program(other):
                starts.setdefault(other.time, "aws-node started: its version changed")
        begins = [(self._node.since, "the node was launched"), *sorted(starts.items())]
        ends = [*(time for time, _ in begins[1:]), None]
        for (since, because), until in zip(begins, ends, strict=True):
            yield AwsNodeRun(since, until, because, from_start=True)

    def _runs_by_session(self) -> Iterator[AwsNodeRun]:
        """Yield runs from the first call of a session to its last, if no call shows the starts of aws-node.

        That is so with custom networking. A session of the node's own role does not show them either.
        """

        def session(event: Event) -> tuple[str | None, ...]:
            return self._actors[event.key].session, *_program(event)

        for _, calls in groupby(self._notes.own, key=session):
            of_session = list(calls)
            last = shifted(of_session[-1].time, timedelta(seconds=1))
            because = "calls of one session: no call shows when aws-node started"
            yield AwsNodeRun(of_session[0].time, last, because, from_start=False)

    def _is_first_left_out(self, batches: tuple[Batch, ...]) -> bool:
        """Return True if the CNI fills other ENIs and never even tries the primary one.

        No call may be missing from the launch to the last batch. If nothing shows that, the other ENIs must
        also be in another subnet than the primary one, as an ENIConfig says.
        """
        node = self._node
        if not batches or not node.complete or self._hole(batches[-1].event.time) is not None:
            return False
        filled = {batch.eni for batch in batches if batch.kind is BatchKind.GROW}
        tried = {call.eni for call in node.calls if call.event.effect is Effect.ASSIGN}
        stays = [stay for stay in node.stays if stay.attachment.device_index == 0]
        first = {stay.interface.eni for stay in stays}
        is_empty = all(lease.kind not in _POOL_KINDS for stay in stays for lease in stay.leases)
        is_unused = bool(filled and first) and is_empty and (filled | tried).isdisjoint(first)
        return is_unused and (self._is_covered() or self._are_elsewhere(filled, first))

    def _is_covered(self) -> bool:
        instance = self._node.instance
        return self._coverage.is_known(instance.account, instance.region)

    def _are_elsewhere(self, enis: Collection[str], first: Collection[str]) -> bool:
        """Return True if all of some ENIs are in other subnets than the first ones."""
        subnets = {stay.interface.eni: stay.interface.subnet for stay in self._node.stays}
        known = {subnets.get(eni) for eni in enis}
        return None not in known and known.isdisjoint(subnets.get(eni) for eni in first)

    def _doubt_beginning(self) -> None:
        """Note why no settings of the node can be concluded at all, or none after a hole."""
        node = self._node
        if not node.complete:
            text = "the node is older than the evidence"
            self._doubt(node.since, Reason(ReasonCode.BEFORE_EVIDENCE, text), lasting=True)
        if self._limits.cards > 1:
            text = "the instance type has several network cards, and the CNI may keep a pool on each"
            self._doubt(node.since, Reason(ReasonCode.NETWORK_CARDS, text), lasting=True)
        hole = self._hole(node.until or LAST)
        if hole is not None:
            reason = gap_reason(hole, so="the addresses held then are not known")
            self._doubt(max(hole.start, node.since), reason, lasting=True)

    def _hole(self, until: datetime) -> Hole | None:
        """Return a hole in the evidence of the node up to a time; None if there is none."""
        instance = self._node.instance
        return self._coverage.hole_between(instance.account, instance.region, self._node.since, until)

    def _doubt(self, since: datetime, because: Reason, *, lasting: bool = False) -> None:
        self._notes.doubts.append(Doubt(since, because, lasting))

    def _doubt_failed_call(self, event: Event) -> None:
        """Note that the CNI's own count may differ from what EC2 holds, after a call of it failed."""
        reason = Reason.citing(ReasonCode.CNI_CALL_FAILED, f"{event.name} by the CNI failed", event)
        self._doubt(event.time, reason)

    def _note_change(self, call: InterfaceCall) -> None:
        """Note what the node holds after a call.

        A failed deletion is no refusal: the first one usually comes too early, while the ENI is in use.
        """
        event, changes, holdings = call.event, self._notes.changes, self._holdings()
        refused = event.failure is not None and event.effect is not Effect.DELETE and event.key in self._own
        if changes and not refused and changes[-1].holdings == holdings:
            return
        if changes and changes[-1].time == event.time:
            refused = changes.pop().refused or refused
        changes.append(HoldingsChange(event.time, holdings, refused))

    def _thefts(self) -> Iterator[Doubt]:
        """Yield a doubt for every address that another ENI took: no call on this one shows it."""
        for stay in self._node.stays:
            for lease in stay.leases:
                end = lease.end
                if end.basis is Basis.IMPLIED and end.event and end.event.effect is not Effect.TERMINATE:
                    text = f"another ENI took {lease.held} ({end.event.name})"
                    reason = Reason.citing(ReasonCode.SEEN_ELSEWHERE, text, end.event)
                    yield Doubt(end.event.time, reason, lasting=False)

    # --- calls -------------------------------------------------------------------------------

    def _read(self, call: InterfaceCall) -> None:
        event, eni, details = call.event, call.eni, call.subject.details
        own = event.key in self._own
        match event.effect:
            case Effect.ASSIGN if eni is not None:
                self._assign(call, self._enis[eni], own)
            case Effect.UNASSIGN if eni is not None:
                self._unassign(call, self._enis[eni], own)
            case Effect.CREATE if eni is not None and event.failure is None:
                self._create(call, self._enis[eni], own)
            case Effect.LAUNCH if eni is not None and event.failure is None:
                self._launch(call, self._enis[eni])
            case Effect.ATTACH if eni is not None and event.failure is None and details.trunk is None:
                self._attach(call, self._enis[eni], own)
            case Effect.DETACH if eni is not None:
                self._detach(call, eni, own)
            case Effect.DELETE if eni is not None and event.failure is None:
                self._enis.pop(eni, None)
            case Effect.MODIFY if own:
                self._modify(call)

    def _launch(self, call: InterfaceCall, eni: _Eni) -> None:
        self._gain(call, eni)
        eni.attached, eni.fresh = call.event.time, False

    def _gain(self, call: InterfaceCall, eni: _Eni) -> None:
        eni.secondary += sum(held.kind is HoldingKind.SECONDARY for held in call.subject.added)
        eni.prefixes += sum(held.kind is HoldingKind.PREFIX for held in call.subject.added)

    def _holdings(self) -> Holdings:
        """Return what attached ENIs hold; with custom networking an empty primary one has no room."""
        enis = [eni for eni in self._enis.values() if eni.attached is not None]
        filled = [eni for eni in enis if eni.blocks] or enis
        places = self._limits.secondary_per_eni
        return Holdings(
            secondary=sum(eni.secondary for eni in enis),
            prefixes=sum(eni.prefixes for eni in enis),
            enis=len(enis),
            room=sum(max(places - eni.blocks, 0) for eni in filled),
        )

    def _assign(self, call: InterfaceCall, eni: _Eni, own: bool) -> None:
        """Read a batch; a single IP after a refused one is only a fallback (tryAssignIPs)."""
        kinds = {held.kind for held in call.subject.added}
        if kinds & _IPV6_KINDS:
            self._notes.ipv6 = self._notes.ipv6 or own
            return
        if call.event.failure is not None:
            eni.refused = True
            return
        fallback, eni.refused = eni.refused and call.subject.requested == 1, False
        before, room, fresh = self._holdings(), self._limits.secondary_per_eni - eni.blocks, eni.fresh
        self._gain(call, eni)
        eni.fresh = False
        if not own:
            self._foreign(call)
        elif call.subject.requested == len(call.subject.added) and len(kinds) == 1 and not fallback:
            prefixes = kinds == {HoldingKind.PREFIX}
            self._batch(call, BatchKind.GROW, len(call.subject.added), prefixes, room, fresh, before)

    def _unassign(self, call: InterfaceCall, eni: _Eni, own: bool) -> None:
        if call.event.failure is not None:
            if own:
                self._doubt_failed_call(call.event)
            return
        removed = [held for held in call.subject.removed if held.version == 4]
        before, prefixes = self._holdings(), sum(map(is_prefix, removed))
        singles = len(removed) - prefixes
        eni.prefixes = max(eni.prefixes - prefixes, 0)
        eni.secondary = max(eni.secondary - singles, 0)
        if removed and not own:
            self._foreign(call)
            return
        for count, of_prefixes in ((prefixes, True), (singles, False)):
            if count:
                self._batch(call, BatchKind.SHRINK, count, of_prefixes, 0, False, before)

    def _create(self, call: InterfaceCall, eni: _Eni, own: bool) -> None:
        """Read an ENI that is created with its first addresses; it counts once it is attached."""
        before = self._holdings()
        self._gain(call, eni)
        kinds = {held.kind for held in call.subject.added if held.kind in _POOL_KINDS}
        if own and call.subject.requested is not None and len(kinds) == 1:
            eni.fresh = False
            prefixes = kinds == {HoldingKind.PREFIX}
            places = self._limits.secondary_per_eni
            self._batch(call, BatchKind.GROW, call.subject.requested, prefixes, places, True, before)

    def _attach(self, call: InterfaceCall, eni: _Eni, own: bool) -> None:
        eni.attached = call.event.time
        if not own and eni.blocks:
            self._foreign(call)

    def _detach(self, call: InterfaceCall, name: str, own: bool) -> None:
        eni = self._enis[name]
        if call.event.failure is not None:
            if own:
                self._doubt_failed_call(call.event)
            return
        before, since = self._holdings(), eni.attached
        eni.attached = None
        if not own:
            if eni.blocks:
                self._foreign(call)
        elif since is not None and call.event.time - since >= timedelta(seconds=ENI_AGE):
            prefixes = eni.prefixes > 0
            self._batch(call, BatchKind.FREE, eni.blocks, prefixes, 0, False, before)

    def _modify(self, call: InterfaceCall) -> None:
        """Read a start of aws-node: it then sets the security groups of each ENI (RefreshSGIDs).

        Such a call sets nothing else.
        """
        attributes = [change.attribute for change in call.subject.details.changes]
        if call.event.failure is None and attributes == ["groupSet"]:
            self._notes.starts.append(call.event.time)

    def _foreign(self, call: InterfaceCall) -> None:
        who = named(self._actors[call.event.key])
        text = f"{who}, not known to be the CNI, changed the node's addresses ({call.event.name})"
        reason = Reason.citing(ReasonCode.CHANGED_BY_OTHERS, text, call.event)
        self._doubt(call.event.time, reason)

    def _batch(
        self,
        call: InterfaceCall,
        kind: BatchKind,
        count: int,
        prefixes: bool,
        room: int,
        fresh: bool,
        before: Holdings,
    ) -> None:
        after, eni = self._holdings(), call.eni or ""
        batch = Batch(
            event=call.event,
            eni=eni,
            kind=kind,
            count=count,
            prefixes=prefixes,
            room=room,
            fresh=fresh,
            before=before,
            after=after,
        )
        self._notes.batches.append(batch)


def _program(event: Event) -> tuple[str | None, ...]:
    """Return the parts of a user agent that differ between versions, but not between calls."""
    agent = event.actor.agent
    return agent.name, agent.version, agent.sdk


def _unordered_dropped(batches: list[Batch]) -> Iterator[Batch]:
    """Yield the batches whose order is known, those that share no second with another one.

    Several releases in one second are one pass, in whatever order they came.
    """
    for _, together in groupby(batches, key=lambda batch: batch.event.time):
        of_second = list(together)
        if len(of_second) == 1 or all(batch.kind is BatchKind.SHRINK for batch in of_second):
            yield from of_second
