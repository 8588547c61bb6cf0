"""Calls that EC2 throttled: whose they were, which token bucket was empty, and who drained it."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from msgspec import Struct

from cnitrail.answers.findings.calls import ResourceCall, grouped, named_program, split_at_pauses
from cnitrail.answers.findings.context import FindingContext, RuleMatch
from cnitrail.answers.findings.names import role_name
from cnitrail.answers.token_buckets import Level, TokenBucket, bucket_of
from cnitrail.model import AccountRegion, Actor, ActorKind, Effect, Event, Manager, Severity
from cnitrail.model.callers import may_be_the_cni, role_principal_of
from cnitrail.model.ec2 import THROTTLED
from cnitrail.model.reason import Reason, ReasonCode
from cnitrail.text import account_and_region, capitalized, counted, duration, listed, short_list

_PAUSE = timedelta(minutes=10)
_LONG = timedelta(minutes=5)
_MANY = 100
_RETRIES = 3
"""Usual number of retries by the AWS SDKs: no more refusals than this harm nobody."""

_EMPTY = 0.2
"""Share of a bucket below which the calls in the evidence are taken to have drained it; in any case the
tokens of one second, because CloudTrail's times are whole seconds."""

_SHOWN = 3
"""Maximum number of callers that a sentence names before it counts the rest."""

_SMALL_SHARE = 0.1
"""Share of the calls below which a caller needs no advice: its calls would not have drained the bucket."""

_DOING = {
    "AssignPrivateIpAddresses": "assigning IPs",
    "AssignIpv6Addresses": "assigning IPs",
    "UnassignPrivateIpAddresses": "releasing IPs",
    "UnassignIpv6Addresses": "releasing IPs",
    "CreateNetworkInterface": "creating ENIs",
    "DeleteNetworkInterface": "deleting ENIs",
    "AttachNetworkInterface": "attaching ENIs",
    "DetachNetworkInterface": "detaching ENIs",
    "RunInstances": "launching instances",
    "TerminateInstances": "terminating instances",
}

_MORE_TOKENS = "If that is not enough, ask AWS Support to raise the limit of this API."
_UNKNOWN_ADVICE = f"Find out what else calls this API in the account and Region. {_MORE_TOKENS}"
_VPC_CNI_ADVICE = (
    "set MINIMUM_IP_TARGET of the VPC CNI{where} to the usual number of pods on a node and WARM_IP_TARGET "
    "above 1, and start nodes in smaller batches"
)
_CILIUM_ADVICE = (
    "lower the rate of the Cilium operator{where} (--limit-ipam-api-qps, --limit-ipam-api-burst), and let it "
    "allocate more IPs per call (ipam.pre-allocate)"
)
_CONTROLLER_ADVICE = (
    "start fewer pods with security groups of their own, and fewer Windows pods, at a time{where}: EKS runs "
    "the VPC resource controller"
)
_AUTO_MODE_ADVICE = "scale up in smaller steps{where}: EKS Auto Mode has no settings for its warm IPs"
_KARPENTER_ADVICE = "let Karpenter{where} replace fewer nodes at a time (disruption budgets of its NodePools)"
_AUTO_SCALING_ADVICE = "scale the Auto Scaling groups{where} in smaller steps"
_CALLER_ADVICE = "let {caller} call less often, and wait longer before each retry"

_ADVICE_BY_MANAGER = {
    Manager.VPC_CNI: _VPC_CNI_ADVICE,
    Manager.CILIUM: _CILIUM_ADVICE,
    Manager.RESOURCE_CONTROLLER: _CONTROLLER_ADVICE,
    Manager.AUTO_MODE: _AUTO_MODE_ADVICE,
    Manager.KARPENTER: _KARPENTER_ADVICE,
}


def is_throttled(call: ResourceCall) -> bool:
    """Return whether EC2 refused a call because the token bucket was empty."""
    return call.code in THROTTLED and call.event.effect not in (Effect.RECORD, Effect.SIGN_IN)


def throttled(case: FindingContext) -> Iterator[RuleMatch]:
    """Yield times at which the token bucket of an API was empty, one bucket per account and Region."""
    empty = {_bucket_key(call) for call in case.calls if is_throttled(call)}
    by_event = (calls[0] for calls in (case.by_event.values() if empty else ()))
    on_empty = (call for call in by_event if _bucket_key(call) in empty)
    for (place, api), calls in grouped(on_empty, _bucket_key).items():
        refused = list(filter(is_throttled, calls))
        replay = _Replay(bucket_of(api), calls)
        since = calls[0].time
        for run in split_at_pauses(refused, _PAUSE):
            ongoing = case.goes_on(place, run[-1].time, within=_PAUSE)
            yield _match(case, api, replay, run, since, ongoing=ongoing)
            since = run[-1].time


def _bucket_key(call: ResourceCall) -> tuple[AccountRegion, str]:
    return call.place, call.event.name


class _Replay:
    """The calls of one API and the level of its bucket; a call that is refused takes no token."""

    def __init__(self, bucket: TokenBucket, calls: list[ResourceCall]) -> None:
        self.bucket = bucket
        self._calls = calls
        self._times = [call.time for call in calls]
        level = Level(bucket)
        self._left = [level.take(call.time, 0 if is_throttled(call) else 1) for call in calls]
        self._full = [place for place, left in enumerate(self._left) if left >= bucket.capacity - 1]

    def lowest_level(self, first: datetime, last: datetime) -> float:
        """Return the fewest tokens that were left between two times."""
        return min(self._left[bisect_left(self._times, first) : bisect_right(self._times, last)])

    def drained_between(self, since: datetime, last: datetime) -> list[ResourceCall]:
        """Return the calls between two times that took tokens, from when the bucket was last full."""
        end = bisect_right(self._times, last)
        full = bisect_left(self._full, end)
        begin = max(bisect_left(self._times, since), self._full[full - 1] if full else 0)
        return [call for call in self._calls[begin:end] if not is_throttled(call)]


class _Share(Struct, frozen=True):
    """The calls of one principal of one cluster."""

    calls: Sequence[ResourceCall]
    cluster: str | None
    manager: Manager | None

    @property
    def actor(self) -> Actor:
        """Return the caller of the first call."""
        return self.calls[0].entry.actor


def _match(
    case: FindingContext,
    api: str,
    replay: _Replay,
    refused: list[ResourceCall],
    since: datetime,
    *,
    ongoing: bool,
) -> RuleMatch:
    """Return the match of a run of refused calls; ``since`` is when the run before it ended."""
    first, last = refused[0].time, refused[-1].time
    bucket, length = replay.bucket, last - first
    victims = _shares(case, refused)
    sentence = f"EC2 throttled {counted(len(refused), f'{api} call')} {_victims(victims)}"
    sentence += f" within {duration(length)}." if length else "."
    size = f"{bucket.capacity} tokens, {bucket.refill} per second"
    doubts: tuple[Reason, ...] = ()
    drainers: list[_Share] = []
    if replay.lowest_level(first, last) <= max(bucket.capacity * _EMPTY, bucket.refill):
        drained = replay.drained_between(since, last)
        drainers = _shares(case, drained)
        sentence += f" {counted(len(drained), 'call')} drained the token bucket ({size}): "
        sentence += f"{_drainers(api, drainers, len(drained))}.{_other_clusters(drainers, victims)}"
    else:
        text = (
            f"The calls in the evidence would not drain the token bucket ({size}): other calls are not in "
            "the evidence, or the account has a lower limit."
        )
        doubts = (Reason(ReasonCode.BUCKET_NOT_DRAINED, text),)
    return RuleMatch(
        severity=_severity(len(refused), length),
        sentence=sentence,
        advice=_advice(drainers),
        calls=refused,
        causes=[share.calls[0] for share in drainers],
        doubts=doubts,
        ongoing=ongoing,
    )


def _shares(case: FindingContext, calls: Sequence[ResourceCall]) -> list[_Share]:
    """Return the calls by principal and cluster, most first; the sessions of a role are one principal."""

    def key(call: ResourceCall) -> tuple[object, ...]:
        actor = call.entry.actor
        cluster = case.cluster_of_caller(call) or actor.oidc_provider
        return role_principal_of(actor), _manager_behind(case, call), cluster

    shares = [
        _Share(of_one, case.cluster_of_caller(of_one[0]), _manager_behind(case, of_one[0]))
        for of_one in grouped(calls, key).values()
    ]
    return sorted(shares, key=lambda share: -len(share.calls))


def _manager_behind(case: FindingContext, call: ResourceCall) -> Manager | None:
    """Return the program behind a call if it manages addresses or nodes; else None.

    Karpenter manages nodes, and is no network plugin. A call that failed may be the only one of its node, so
    what may be the VPC CNI is taken for it on nodes that the VPC CNI manages.
    """
    actor = call.entry.actor
    if actor.agent.name == "karpenter" or _launches_for_karpenter(call.event):
        return Manager.KARPENTER
    plugin = case.plugin_of(call)
    if plugin is None and may_be_the_cni(actor):
        on_node = case.history.manager_of_node(call.entry.instance).manager
        return on_node if on_node is Manager.VPC_CNI else None
    return plugin


def _launches_for_karpenter(event: Event) -> bool:
    """Return whether EC2 Fleet launched nodes for Karpenter, which tags them: no user agent shows that."""
    tags = (key for subject in event.subjects for key, _ in subject.details.tags)
    return event.effect is Effect.LAUNCH and any(key.startswith("karpenter.sh/") for key in tags)


def _name(share: _Share) -> str:
    return role_name(share.calls, share.cluster)


def _noun(share: _Share) -> str:
    return "node" if share.cluster else "instance"


def _callers(share: _Share) -> set[str]:
    """Return the instances that called with their own role."""
    return {call.entry.actor.instance for call in share.calls if call.entry.actor.instance}


def _on_instances(share: _Share) -> str:
    """Return on how many instances the calls were, if they are not the callers themselves."""
    instances = {call.entry.instance for call in share.calls if call.entry.instance}
    is_elsewhere = not instances <= _callers(share)
    return f" on {counted(len(instances), _noun(share))}" if is_elsewhere else ""


def _victims(shares: Sequence[_Share]) -> str:
    if len(shares) == 1:
        return f"by {_name(shares[0])}{_on_instances(shares[0])}"
    callers = [f"{len(share.calls):,} by {_name(share)}{_on_instances(share)}" for share in shares[:_SHOWN]]
    return f"({listed([*callers, *_rest(shares)])})"


def _drainers(api: str, shares: Sequence[_Share], total: int) -> str:
    """Return who took the tokens: the calls and the share of each, and what they were for."""
    doing = _DOING.get(api, f"calling {api}")
    callers = []
    for share in shares[:_SHOWN]:
        count = len(share.calls)
        programs = short_list({named_program(call.entry.actor) for call in share.calls})
        text = (
            f"{_name(share)} {count:,} ({count / total:.0%}): {doing}{_on_instances(share)} with {programs}"
        )
        callers.append(f"{text}{_failures(share.calls)}")
    return "; ".join([*callers, *_rest(shares)])


def _rest(shares: Sequence[_Share]) -> list[str]:
    """Return how many callers a sentence does not name, as a list of one or none."""
    return [counted(len(shares) - _SHOWN, "more caller")] if len(shares) > _SHOWN else []


def _failures(calls: Sequence[ResourceCall]) -> str:
    codes = Counter(call.code for call in calls if call.code is not None)
    return f", {sum(codes.values()):,} of them failed ({short_list(codes)})" if codes else ""


def _other_clusters(drainers: Sequence[_Share], victims: Sequence[_Share]) -> str:
    """Return a sentence if another cluster took most of the tokens; else an empty text."""
    throttled_clusters = {share.cluster for share in victims if share.cluster}
    cluster = drainers[0].cluster
    is_most = 2 * len(drainers[0].calls) >= sum(len(share.calls) for share in drainers)
    others = sorted(throttled_clusters - {cluster})
    if not is_most or cluster is None or not others or cluster in throttled_clusters:
        return ""
    noun = "cluster" if len(others) == 1 else "clusters"
    where = account_and_region(*drainers[0].calls[0].place)
    return f" Cluster {cluster} slowed {noun} {short_list(others)}: they share the bucket of {where}."


def _advice(drainers: Sequence[_Share]) -> str:
    """Return what the callers with a large share of the calls can do, each by its own settings."""
    total = sum(len(share.calls) for share in drainers)
    large = [share for share in drainers[:_SHOWN] if len(share.calls) >= total * _SMALL_SHARE]
    parts = list(dict.fromkeys(map(_advice_for, large)))
    return f"{capitalized('; '.join(parts))}. {_MORE_TOKENS}" if parts else _UNKNOWN_ADVICE


def _advice_for(share: _Share) -> str:
    where = f" in cluster {share.cluster}" if share.cluster else ""
    if share.actor.kind is ActorKind.AWS_SERVICE and "autoscaling" in share.actor.label:
        return _AUTO_SCALING_ADVICE.format(where=where)
    if share.manager in _ADVICE_BY_MANAGER:
        return _ADVICE_BY_MANAGER[share.manager].format(where=where)
    return _CALLER_ADVICE.format(caller=_name(share))


def _severity(refused: int, length: timedelta) -> Severity:
    if refused >= _MANY or length >= _LONG:
        return Severity.HIGH
    return Severity.LOW if refused <= _RETRIES else Severity.MEDIUM
