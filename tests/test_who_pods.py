"""``who`` names the pod beside the ENI, with a verdict of its own: never a wrong ``certain`` pod."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address
from time import perf_counter

import pytest
from conftest import FIXTURES, Run, Show
from msgspec.structs import replace

import cnitrail
from cnitrail.answers.filters import Filter
from cnitrail.answers.who import HolderIndex
from cnitrail.api import Case
from cnitrail.intervals import Interval
from cnitrail.model import Basis, Verdict, WhoAnswer
from cnitrail.model.pods import PodBoundary, PodHistory, PodLease, PodName, PodVerdict, WatchedNode, Witness
from cnitrail.model.reason import Reason, ReasonCode

IP = "192.168.53.76"
"""Of the second ENI of the ironman node: assigned 13:16:06, released 15:21:23."""
ENI, INSTANCE, VPC = "eni-0bbea279695112970", "i-03846c730abe852f4", "vpc-0a2e8f6ad5c3b9714"
OTHER = "i-0ffffffffffffffff"
STORY = "pod-behind-an-address"


@cache
def ironman() -> Case:
    return cnitrail.read(FIXTURES / "ironman")


def at(clock: str) -> datetime:
    return datetime.fromisoformat(f"2022-10-05T{clock}").replace(tzinfo=UTC)


def bound(earliest: str | None, latest: str | None = None, basis: Basis = Basis.OBSERVED) -> PodBoundary:
    """Return a boundary: at one time, or between two."""
    first, last = earliest, latest if basis is Basis.IMPLIED else earliest
    return PodBoundary(
        earliest=at(first) if first else None,
        latest=at(last) if last else None,
        basis=basis,
        witness=Witness.IPAMD if basis is Basis.OBSERVED else Witness.STATUS_PATCH,
    )


def pod(
    start: PodBoundary,
    end: PodBoundary,
    name: str | None = "web-1",
    *,
    uid: str | None = None,
    instance: str | None = INSTANCE,
    eni: str | None = ENI,
    ip: str = IP,
    doubts: tuple[Reason, ...] = (),
) -> PodLease:
    return PodLease(
        ip=ip_address(ip),
        pod=PodName("shop", name) if name else None,
        uid=uid,
        sandbox="d78e79e2",
        node=None,
        instance=instance,
        eni=eni,
        vpc=VPC if eni else None,
        account=None,
        region=None,
        cluster=None,
        service_account=None,
        owner=None,
        start=start,
        end=end,
        doubts=doubts,
    )


def who(
    clock: str, *leases: PodLease, watched: Iterable[WatchedNode] = (), ip: str = IP, vpc: str | None = None
) -> WhoAnswer:
    """Return the answer of the ironman story with these pods."""
    case = ironman()
    pods = PodHistory(leases=leases, watched=tuple(watched), records=max(1, len(leases)))
    index = HolderIndex(replace(case.history, pods=pods), case.coverage)
    asked = Filter() if vpc is None else Filter(vpc=(vpc,))
    return index.who(ip_address(ip), at(clock), asked)


def verdicts(answer: WhoAnswer) -> tuple[str, str | None]:
    return answer.verdict.value, answer.pod.verdict.value if answer.pod is not None else None


def codes(answer: WhoAnswer) -> set[str]:
    assert answer.pod is not None
    return {reason.code.value for reason in answer.pod.reasons}


def names(answer: WhoAnswer) -> list[str | None]:
    assert answer.pod is not None
    return [entry.pod for entry in answer.pod.pods]


EXACT = pod(bound("13:20:02.290"), bound("14:30:30.101"))


def test_a_pod_that_ipamd_shows_around_the_time_is_certain() -> None:
    answer = who("14:00:00", EXACT)
    assert verdicts(answer) == ("certain", "certain")
    assert names(answer) == ["web-1"]
    assert answer.pod is not None
    assert [reason.text for reason in answer.pod.reasons] == [
        "pod shop/web-1: ipamd assigned it at 2022-10-05 13:20:02.290Z (ipamd.log)",
        "pod shop/web-1: ipamd released it at 2022-10-05 14:30:30.101Z (ipamd.log)",
    ]


def test_a_pod_that_ends_with_its_instance_is_told_so() -> None:
    end = replace(bound("14:30:00", "14:32:00", Basis.IMPLIED), witness=Witness.INSTANCE_END)
    answer = who("14:00:00", pod(bound("13:20:02.290"), end))
    assert answer.pod is not None
    assert [reason.text for reason in answer.pod.reasons][1:] == [
        "pod shop/web-1: its instance was terminated by 2022-10-05 14:32:00Z (CloudTrail)"
    ]


def test_a_pod_that_no_record_names_is_called_by_its_sandbox() -> None:
    answer = who("14:00:00", pod(bound("13:20:02.290"), bound("14:30:30.101"), name=None))
    assert answer.pod is not None
    assert [reason.text for reason in answer.pod.reasons] == [
        "pod sandbox d78e79e2: ipamd assigned it at 2022-10-05 13:20:02.290Z (ipamd.log)",
        "pod sandbox d78e79e2: ipamd released it at 2022-10-05 14:30:30.101Z (ipamd.log)",
        "no record names the pod of sandbox d78e79e2",
    ]


def test_without_pod_evidence_there_is_no_word_about_pods(run: Run, show: Show) -> None:
    assert ironman().who(IP, at("14:00:00")).pod is None
    result = run("who", IP, "ironman", "--at", "2022-10-05T14:00Z", "-o", "json")
    assert json.loads(result.stdout)["entries"][0]["pod"] is None
    assert "Pod" not in show(100, "who", IP, "ironman", "--at", "2022-10-05T14:00Z")


@pytest.mark.parametrize(
    ("clock", "verdict"),
    [
        ("13:20:02", "ambiguous"),
        ("13:20:02.289", "unknown"),
        ("13:20:02.290", "certain"),
        ("13:20:03", "certain"),
        ("14:30:29", "certain"),
        ("14:30:30", "ambiguous"),
        ("14:30:30.101", "certain"),
        ("14:30:30.102", "unknown"),
    ],
)
def test_an_answer_holds_for_the_whole_second_or_for_the_instant(clock: str, verdict: str) -> None:
    assert verdicts(who(clock, EXACT)) == ("certain", verdict)


def test_two_pods_within_a_second_are_both_named() -> None:
    later = pod(bound("14:30:30.700"), bound("15:00:00"), "cart-1")
    answer = who("14:30:30", EXACT, later)
    assert verdicts(answer) == ("certain", "ambiguous")
    assert names(answer) == ["web-1", "cart-1"]
    assert names(who("14:30:30.800", EXACT, later)) == ["cart-1"]


def test_bounds_of_an_audit_log_leave_the_start_and_the_end_likely() -> None:
    implied = pod(
        bound("13:20:01.130", "13:20:05.402", Basis.IMPLIED), bound("14:29:00", "14:30:31.700", Basis.IMPLIED)
    )
    assert verdicts(who("13:20:03", implied)) == ("certain", "likely")
    assert "pod-start-uncertain" in codes(who("13:20:03", implied))
    assert verdicts(who("14:00:00", implied)) == ("certain", "certain")
    assert verdicts(who("14:30:00", implied)) == ("certain", "likely")
    assert "pod-end-uncertain" in codes(who("14:30:00", implied))
    assert verdicts(who("14:31:00", implied)) == ("certain", "unknown")


@pytest.mark.parametrize(
    ("clock", "verdict"),
    [("13:20:05", "likely"), ("13:20:06", "certain"), ("14:28:59", "certain"), ("14:29:00", "likely")],
)
def test_bounds_within_a_second_leave_all_of_it_likely(clock: str, verdict: str) -> None:
    implied = pod(
        bound("13:20:01.130", "13:20:05.402", Basis.IMPLIED),
        bound("14:29:00.500", "14:30:31.700", Basis.IMPLIED),
    )
    assert verdicts(who(clock, implied)) == ("certain", verdict)


def test_a_pod_that_had_the_address_for_long_is_found_behind_shorter_leases() -> None:
    doubt = Reason(ReasonCode.RECORDS_DISAGREE, "clocks differ")
    short = replace(pod(bound("13:30:00"), bound("13:31:00"), "job-1"), doubts=(doubt,))
    answer = who("14:00:00", EXACT, short)
    assert (verdicts(answer), names(answer)) == (("certain", "certain"), ["web-1"])


def test_a_pod_whose_end_no_record_shows_is_likely_after_its_last_record() -> None:
    lease = pod(bound("13:20:02"), PodBoundary(earliest=at("13:40:00"), latest=None, basis=Basis.OPEN))
    assert verdicts(who("13:30:00", lease)) == ("certain", "certain")
    answer = who("14:00:00", lease)
    assert verdicts(answer) == ("certain", "likely")
    assert "pod-end-not-seen" in codes(answer)


def test_several_pods_that_may_have_the_address_are_ambiguous() -> None:
    reported = PodBoundary(earliest=None, latest=at("13:40:00"), basis=Basis.IMPLIED)
    ended = PodBoundary(earliest=None, latest=at("15:00:00"), basis=Basis.IMPLIED)
    left = PodBoundary(earliest=at("13:30:00"), latest=None, basis=Basis.OPEN)
    answer = who("14:00:00", pod(bound("13:20:00"), left, "a"), pod(reported, ended, "b"))
    assert verdicts(answer) == ("certain", "ambiguous")
    assert "several-pods" in codes(answer)


def test_a_pod_that_was_reported_before_is_likelier_than_one_that_was_only_later() -> None:
    other = pod(
        PodBoundary(earliest=None, latest=at("14:10:00"), basis=Basis.IMPLIED), bound("15:00:00"), "b"
    )
    left = PodBoundary(earliest=at("13:30:00"), latest=None, basis=Basis.OPEN)
    answer = who("14:00:00", pod(bound("13:20:00"), left, "a"), other)
    assert verdicts(answer) == ("certain", "likely")
    assert "pod-outranked" in codes(answer)


def test_a_pod_that_surely_had_the_address_leaves_no_room_for_one_that_only_may_have() -> None:
    left = PodBoundary(earliest=at("13:30:00"), latest=None, basis=Basis.OPEN)
    answer = who("14:00:00", EXACT, pod(bound("13:10:00"), left, "a"))
    assert verdicts(answer) == ("certain", "certain")
    assert names(answer) == ["web-1"]
    assert "pod-outranked" in codes(answer)


def test_pods_of_two_vpcs_are_no_rivals() -> None:
    left = PodBoundary(earliest=at("13:30:00"), latest=None, basis=Basis.OPEN)
    far = replace(pod(bound("13:10:00"), left, "far", instance=None, eni=None), vpc="vpc-0fffffff")
    answer = who("14:00:00", EXACT, far)
    assert verdicts(answer) == ("certain", "ambiguous")
    assert set(names(answer)) == {"web-1", "far"}


def test_a_claim_that_anybody_could_write_makes_no_pod_ambiguous() -> None:
    claim = Reason(ReasonCode.POD_ONLY_CLAIMED, "only an annotation names the address")
    claimed = replace(EXACT, pod=PodName("shop", "evil"), doubts=(claim,))
    left = PodBoundary(earliest=at("13:30:00"), latest=None, basis=Basis.OPEN)
    assert names(who("14:00:00", EXACT, claimed)) == ["web-1"]
    assert verdicts(who("14:00:00", EXACT, claimed)) == ("certain", "certain")
    weak = who("14:00:00", pod(bound("13:20:00"), left, "a"), claimed)
    assert (verdicts(weak), names(weak)) == (("certain", "likely"), ["a"])
    assert verdicts(who("14:00:00", claimed)) == ("certain", "likely")


def test_a_later_pod_of_the_same_name_is_another_pod() -> None:
    one = pod(bound("13:20:02"), bound("14:30:30"), uid="1")
    other = pod(bound("13:20:02"), bound("14:30:30"), uid="2")
    assert verdicts(who("14:00:00", one, other)) == ("certain", "ambiguous")
    assert verdicts(who("14:00:00", one, EXACT)) == ("certain", "certain")


def test_a_sandbox_that_no_record_names_is_never_certain() -> None:
    answer = who("14:00:00", pod(bound("13:20:02"), bound("14:30:30"), None))
    assert verdicts(answer) == ("certain", "likely")
    assert "pod-not-named" in codes(answer)


def test_a_doubted_pod_lease_is_never_certain() -> None:
    doubt = Reason(ReasonCode.RECORDS_DISAGREE, "clocks differ")
    answer = who("14:00:00", replace(EXACT, doubts=(doubt,)))
    assert verdicts(answer) == ("certain", "likely")
    assert answer.pod is not None
    assert doubt in answer.pod.reasons


def test_a_pod_on_another_node_than_the_eni_leaves_both_in_doubt() -> None:
    answer = who("14:00:00", pod(bound("13:20:02"), bound("14:30:30"), instance=OTHER, eni=None))
    assert verdicts(answer) == ("likely", "likely")
    assert "pod-on-other-eni" in {reason.code.value for reason in answer.reasons}
    assert "pod-on-other-eni" in codes(answer)


def test_a_pod_that_was_last_seen_on_another_node_is_left_out() -> None:
    left = PodBoundary(earliest=at("13:10:00"), latest=None, basis=Basis.OPEN)
    answer = who("14:00:00", pod(bound("13:00:00"), left, instance=OTHER, eni=None))
    assert verdicts(answer) == ("certain", "unknown")
    assert "pod-left" in codes(answer)
    assert names(answer) == []


def test_a_pod_without_any_eni_in_the_evidence_is_at_most_likely() -> None:
    answer = who(
        "14:00:00", pod(bound("13:20:02"), bound("14:30:30"), ip="10.9.9.9", eni=None), ip="10.9.9.9"
    )
    assert verdicts(answer) == ("unknown", "likely")
    assert "pod-eni-unknown" in codes(answer)


def test_an_address_is_not_free_while_a_pod_has_it() -> None:
    case = cnitrail.read(FIXTURES / "ironman", assume_complete=True)
    lease = pod(bound("13:20:02"), bound("15:39:00"))
    pods = PodHistory(leases=(lease,), records=1)
    index = HolderIndex(replace(case.history, pods=pods), case.coverage)
    without = HolderIndex(case.history, case.coverage)
    asked = ip_address(IP), at("15:30:00"), Filter()
    assert without.who(*asked).verdict is Verdict.FREE
    answer = index.who(*asked)
    assert verdicts(answer) == ("unknown", "likely")
    assert "pod-on-other-eni" in {reason.code.value for reason in answer.reasons}


def test_a_pod_that_was_last_seen_before_the_address_was_free_is_left_out() -> None:
    case = cnitrail.read(FIXTURES / "ironman", assume_complete=True)
    left = PodBoundary(earliest=at("14:00:00"), latest=None, basis=Basis.OPEN)
    pods = PodHistory(leases=(pod(bound("13:20:02"), left),), records=1)
    index = HolderIndex(replace(case.history, pods=pods), case.coverage)
    answer = index.who(ip_address(IP), at("15:30:00"), Filter())
    assert verdicts(answer) == ("free", "unknown")
    assert "pod-left" in codes(answer)


WATCHED = WatchedNode(instance=INSTANCE, span=Interval(at("13:15:00"), at("15:30:00")))


def test_an_address_of_the_warm_pool_has_no_pod_if_the_log_of_its_node_covers_the_time() -> None:
    answer = who("15:00:00", EXACT, watched=[WATCHED])
    assert verdicts(answer) == ("certain", "none")
    assert codes(answer) == {"warm-pool", "pod-ended"}


def test_a_released_address_is_in_cooldown_for_thirty_seconds() -> None:
    answer = who("14:30:42", EXACT, watched=[WATCHED])
    assert verdicts(answer) == ("certain", "none")
    assert answer.pod is not None
    cooldown = "in cooldown, which lasts 30 s by default (IP_COOLDOWN_PERIOD)"
    assert [reason.text for reason in answer.pod.reasons if reason.code is ReasonCode.IN_COOLDOWN] == [
        f"pod shop/web-1 released it 12 s earlier: {cooldown}"
    ]


@pytest.mark.parametrize(
    "watched",
    [
        (),
        (WatchedNode(instance=OTHER, span=WATCHED.span),),
        (WatchedNode(instance=INSTANCE, span=Interval(at("13:15:00"), at("15:00:00.5"))),),
    ],
    ids=["not read", "of another node", "ends within the second"],
)
def test_no_pod_is_claimed_if_no_log_of_the_node_covers_the_time(watched: tuple[WatchedNode, ...]) -> None:
    answer = who("15:00:00", EXACT, watched=watched)
    assert verdicts(answer) == ("certain", "unknown")
    assert "no-pod-seen" in codes(answer)


def test_the_address_of_the_node_itself_has_no_pod() -> None:
    answer = who(
        "14:00:00",
        pod(bound("13:20:02"), bound("14:30:30"), eni=None, ip="192.168.55.245"),
        ip="192.168.55.245",
    )
    assert verdicts(answer) == ("certain", "none")
    assert codes(answer) == {"node-address"}
    assert names(answer) == []


def test_filters_of_the_vpc_select_pods_too() -> None:
    far = replace(
        pod(bound("13:20:02"), bound("14:30:30"), "far", instance=None, eni=None), vpc="vpc-0fffffff"
    )
    assert names(who("14:00:00", EXACT, far, vpc=VPC)) == ["web-1"]
    assert verdicts(who("14:00:00", EXACT, far, vpc=VPC)) == ("certain", "certain")
    assert verdicts(who("14:00:00", EXACT, far))[1] == "ambiguous"


def test_between_two_pods_both_are_named() -> None:
    later = pod(bound("14:40:00"), bound("15:00:00"), "cart-1")
    answer = who("14:31:30", EXACT, later)
    assert verdicts(answer) == ("certain", "unknown")
    assert answer.pod is not None
    last, following, *_ = (reason.text for reason in answer.pod.reasons)
    before = "the last with the address was pod shop/web-1"
    after = "the next with the address was pod shop/cart-1"
    assert last == f"{before}, until 2022-10-05 14:30:30.101Z, 1 min earlier"
    assert following == f"{after}, from 2022-10-05 14:40:00Z, 8 min 30 s later"


def test_on_a_screen_the_pod_comes_before_the_times_of_the_eni(show: Show) -> None:
    shown = show(100, "who", IP, "--at", "2022-10-05T14:00Z", STORY)
    lines = [line for line in shown.splitlines() if line.startswith("  ") and not line.startswith("    ")]
    assert lines[1] == "  Pod: shop/web-6d4cf56db6-x2x7k — certain"
    assert lines[2] == "  ENI: from 2022-10-05 13:16:06Z, assigned by kube-system/aws-node (IRSA)"


def test_without_cloudtrail_the_pod_is_the_headline(show: Show) -> None:
    shown = show(120, "who", IP, "--at", "2022-10-05T14:00Z", f"{STORY}/node")
    assert shown.startswith(
        f"{IP} was held by pod shop/web-6d4cf56db6-x2x7k — likely; its ENI is unknown\n"
        "  At 2022-10-05 14:00:00Z\n  From 2022-10-05 13:20:02.290Z, until 2022-10-05 14:30:30.101Z\n"
    )


def test_a_pod_is_none_for_a_reason(show: Show) -> None:
    own = show(120, "who", "192.168.55.245", "--at", "2022-10-05T14:00Z", STORY)
    assert "  Pod: none (the node's own address)\n" in own
    free = show(120, "who", IP, "--at", "2022-10-05T13:19Z", STORY)
    assert "  Pod: none (warm pool of the node)\n" in free
    released = show(120, "who", IP, "--at", "2022-10-05T14:30:45Z", STORY)
    assert "  Pod: none (in cooldown)\n" in released


def test_a_hundred_thousand_questions_take_seconds() -> None:
    case = ironman()
    leases = [
        pod(
            bound(f"13:20:{second:02}.{part:03}"),
            bound(f"13:20:{second:02}.{part + 5:03}"),
            f"p-{second}-{part}",
        )
        for second in range(60)
        for part in range(0, 990, 10)
    ]
    index = HolderIndex(
        replace(case.history, pods=PodHistory(leases=tuple(leases), records=1)), case.coverage
    )
    start = at("13:20:00.003")
    began = perf_counter()
    answers = [
        index.who(ip_address(IP), start + timedelta(milliseconds=10 * step), Filter()) for step in range(2000)
    ]
    assert perf_counter() - began < 2000 * 0.002
    assert names(answers[0]) == ["p-0-0"]
    assert {answer.pod and answer.pod.verdict for answer in answers[:99]} == {PodVerdict.CERTAIN}


def test_the_story_names_each_pod_in_every_output(run: Run, show: Show) -> None:
    asked = ("who", IP, STORY, "--at", "2022-10-05T14:00Z")
    result = run(*asked, "-o", "json")
    entry = json.loads(result.stdout)["entries"][0]
    assert entry["verdict"] == "certain"
    assert entry["pod"]["verdict"] == "certain"
    assert [(one["namespace"], one["pod"]) for one in entry["pod"]["pods"]] == [
        ("shop", "web-6d4cf56db6-x2x7k")
    ]
    assert "shop/web-6d4cf56db6-x2x7k — certain" in show(100, *asked)
    assert "shop/web-6d4cf56db6-x2x7k" in run(*asked).stdout
    assert "certain shop/web-6d4cf56db6-x2x7k from 2022-10-05 13:20:02.290Z until" in run(*asked).stdout
    header, row = run(*asked, "-o", "csv").stdout.splitlines()
    cells = dict(zip(header.split(","), row.split(","), strict=False))
    assert "pod_verdict" in cells


def test_the_second_pod_of_the_story_is_not_the_first(run: Run) -> None:
    for clock, name, verdict in (
        ("14:31:30", "cart-7f9c64bd5d-qq8zn", "certain"),
        ("15:00:00", "cart-7f9c64bd5d-qq8zn", "certain"),
        ("14:30:45", None, "none"),
    ):
        result = run("who", IP, STORY, "--at", f"2022-10-05T{clock}Z", "-o", "json")
        known = json.loads(result.stdout)["entries"][0]["pod"]
        assert (known["verdict"], [one["pod"] for one in known["pods"]]) == (verdict, [name] if name else [])


def test_a_batch_names_pods(run: Run) -> None:
    questions = f"ip,at\n{IP},2022-10-05T14:00:00Z\n{IP},2022-10-05T13:20:02.100Z\n"
    result = run("who", "--batch", "-", STORY, "-o", "jsonl", input=questions)
    first, second = map(json.loads, result.stdout.splitlines())
    assert first["pod"]["pods"][0]["pod"] == "web-6d4cf56db6-x2x7k"
    assert second["pod"]["pods"] == []
    assert second["pod"]["at"] == "2022-10-05T13:20:02.100000Z"
