"""Stories from facts to pod leases: what ipamd, kubelets and other witnesses show of one address."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from records import ec2_event

from cnitrail.history import Ledger, build
from cnitrail.model import Address, Basis, Details, Effect, Event, Holding, HoldingKind, Origin, Subject
from cnitrail.model.pod_facts import (
    AddressKept,
    BranchGiven,
    EniListed,
    NodeNamed,
    PodBound,
    PodDeleted,
    PodFact,
    PodRecord,
    PodReported,
    PodScraped,
    SandboxAssigned,
    SandboxNamed,
    SandboxReleased,
)
from cnitrail.model.pods import PodHistory, PodLease, PodName

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
IP = IPv4Address("10.0.1.25")
OTHER_IP = IPv4Address("10.0.1.26")
WEB, JOB = PodName("shop", "web-0"), PodName("shop", "job-1")
BOX, OTHER_BOX = "a" * 64, "b" * 64
NODE = "ip-10-0-1-7.eu-west-1.compute.internal"
INSTANCE, OTHER_INSTANCE = "i-0123456789abcdef0", "i-0fedcba9876543210"
LOG = "node/ipamd.log"


def at(second: float) -> datetime:
    return NOON + timedelta(seconds=second)


def written(second: float | None, *facts: PodFact, source: str = LOG, form: str = "ipamd-log") -> PodRecord:
    text = repr((second, facts, source))
    return PodRecord(
        key=sha256(text.encode()).hexdigest(),
        time=at(second) if second is not None else None,
        facts=facts,
        origins=(Origin(source, 0, form),),
    )


def audited(second: float, *facts: PodFact) -> PodRecord:
    return written(second, *facts, source="audit.jsonl", form="eks-audit")


def history(*records: PodRecord, heard: dict[str, tuple[float, float]] | None = None) -> PodHistory:
    ledger = Ledger()
    for record in records:
        ledger.add_pods(record)
    for source, (first, last) in (heard or {}).items():
        minutes = {at(second).isoformat()[:16] for second in range(int(first), int(last) + 1, 60)}
        ledger.hear(source, [("ipamd-log", minute) for minute in minutes])
    return build((), pods=ledger.pods()).pods


def shown(lease: PodLease) -> tuple[object, ...]:
    """Return the pod of a lease, and its four bounds in seconds since noon."""
    bounds = (lease.start.earliest, lease.start.latest, lease.end.earliest, lease.end.latest)
    return (lease.pod, *((bound - NOON).total_seconds() if bound is not None else None for bound in bounds))


def assigned(
    ip: IPv4Address = IP, sandbox: str = BOX, pod: PodName | None = WEB, **more: bool
) -> SandboxAssigned:
    return SandboxAssigned(ip=ip, sandbox=sandbox, pod=pod, **more)


def released(ip: IPv4Address = IP, sandbox: str = BOX) -> SandboxReleased:
    return SandboxReleased(ip=ip, sandbox=sandbox)


def kubelet(
    *addresses: Address, node: str = NODE, instance: str = INSTANCE, **more: Any
) -> tuple[PodFact, ...]:
    fields: dict[str, Any] = {"pod": WEB, "uid": "uid-1", "phase": "Running", "ready": True}
    named = NodeNamed(node=node, instance=instance, basis="kubelet-session")
    report = PodReported(**(fields | {"node": node, "by_kubelet": True, "addresses": addresses} | more))
    return named, report


def bound(pod: PodName = WEB, uid: str | None = "uid-1", node: str = NODE) -> PodBound:
    return PodBound(pod=pod, uid=uid, node=node)


def gone(*, final: bool = True, node: str | None = NODE, uid: str | None = "uid-1") -> PodDeleted:
    return PodDeleted(pod=WEB, uid=uid, node=node, final=final)


def only(found: PodHistory) -> PodLease:
    (lease,) = found.leases
    return lease


class TestTheCni:
    def test_shows_an_interval_exactly(self) -> None:
        lease = only(history(written(0, assigned()), written(90.5, released())))
        assert shown(lease) == (WEB, 0, 0, 90.5, 90.5)
        assert (lease.start.basis, lease.end.basis) == (Basis.OBSERVED, Basis.OBSERVED)

    def test_names_a_pod_in_another_line(self) -> None:
        named = SandboxNamed(sandbox=BOX, pod=WEB)
        lease = only(history(written(-1, named), written(0, assigned(pod=None)), written(9, released())))
        assert lease.pod == WEB

    def test_starts_nothing_again_when_it_restarts(self) -> None:
        restart = written(50, assigned()), written(50.001, assigned(recovered=True))
        lease = only(history(written(0, assigned()), *restart, written(90, released())))
        assert shown(lease) == (WEB, 0, 0, 90, 90)

    def test_does_not_know_the_start_of_what_it_recovers(self) -> None:
        lease = only(history(written(50, assigned()), written(50.001, assigned(recovered=True))))
        assert shown(lease) == (WEB, None, 50, 50.001, None)
        assert lease.start.basis is Basis.UNKNOWN

    def test_shows_the_end_of_what_began_before_its_log(self) -> None:
        lease = only(history(written(90, released()), written(90.001, released())))
        assert shown(lease) == (None, None, 90, 90, 90)

    def test_holds_nothing_after_a_failed_add(self) -> None:
        assert history(written(0, assigned()), written(0.002, released())).leases == ()
        assert history(written(0, assigned(), released())).leases == ()

    def test_bounds_an_end_whose_line_is_lost_by_the_next_pod(self) -> None:
        first, second = history(
            written(0, assigned()), written(100, assigned(sandbox=OTHER_BOX, pod=JOB))
        ).leases
        assert shown(first) == (WEB, 0, 0, 0, 70)
        assert (first.end.basis, first.end.witness) == (Basis.IMPLIED, "next-pod")
        assert shown(second) == (JOB, 100, 100, 100, None)

    def test_keeps_nodes_with_the_same_address_apart(self) -> None:
        first, second = history(
            written(0, assigned(), source="a/ipamd.log"),
            written(100, assigned(sandbox=OTHER_BOX, pod=JOB), source="b/ipamd.log"),
        ).leases
        assert shown(first) == (WEB, 0, 0, 0, None)
        assert shown(second) == (JOB, 100, 100, 100, None)

    def test_shows_by_its_silence_that_a_pod_still_has_the_address(self) -> None:
        lease = only(history(written(70, assigned()), heard={LOG: (0, 600)}))
        assert shown(lease) == (WEB, 70, 70, 600, None)

    def test_shows_nothing_after_a_gap_in_its_log(self) -> None:
        lease = only(history(written(70, assigned()), heard={LOG: (0, 240), "node/ipamd-2.log": (360, 600)}))
        assert shown(lease) == (WEB, 70, 70, 240, None)

    def test_has_the_present_and_the_last_holder_in_its_state(self) -> None:
        state = written(
            None,
            AddressKept(ip=IP, eni="eni-1", sandbox=BOX, pod=WEB, assigned=at(0), released=None),
            AddressKept(ip=OTHER_IP, eni="eni-1", sandbox=None, pod=None, assigned=at(10), released=at(50)),
            source="node/enis.json",
            form="ipamd-enis",
        )
        present, past = history(state).leases
        assert shown(present) == (WEB, 0, 0, 50, None)
        assert shown(past) == (None, 10, 10, 50, 50)

    def test_names_the_last_holder_by_its_log(self) -> None:
        kept = AddressKept(ip=IP, eni="eni-1", sandbox=None, pod=None, assigned=at(10), released=at(50))
        state = written(None, kept, source="n.tar.gz/ipamd/enis.json", form="ipamd-enis")
        line = written(10.2, assigned(), source="n.tar.gz/var_log/ipamd.log")
        lease = only(history(state, line))
        assert (lease.pod, lease.end.latest, lease.eni) == (WEB, at(50), "eni-1")


class TestAKubelet:
    def test_bounds_the_interval_by_binding_patch_and_delete(self) -> None:
        lease = only(
            history(
                audited(0, bound()),
                audited(5, *kubelet(IP)),
                audited(300, *kubelet(ready=True)),
                audited(400, gone(final=False, node=None)),
                audited(430, gone()),
            )
        )
        assert shown(lease) == (WEB, 0, 5, 240, 430)
        assert (lease.node, lease.instance, lease.uid) == (NODE, INSTANCE, "uid-1")
        assert (lease.start.witness, lease.end.witness) == ("status-patch", "kubelet-delete")

    def test_proves_nothing_once_the_pod_is_being_deleted_or_not_ready(self) -> None:
        for later in (
            (audited(200, gone(final=False)), audited(300, *kubelet())),
            (audited(300, *kubelet(ready=False)),),
            (audited(300, *kubelet(ready=None)),),
        ):
            assert shown(only(history(audited(5, *kubelet(IP)), *later))) == (WEB, None, 5, None, None)

    def test_proves_nothing_more_after_a_time_in_which_the_pod_may_have_got_a_new_sandbox(self) -> None:
        begun = audited(5, *kubelet(IP)), audited(200, *kubelet()), audited(250, *kubelet(ready=False))
        assert shown(only(history(*begun, audited(300, *kubelet())))) == (WEB, None, 5, 140, None)
        same = audited(300, *kubelet(running_since=at(4)))
        assert shown(only(history(*begun, same))) == (WEB, None, 5, 240, None)

    def test_of_another_node_says_nothing(self) -> None:
        forged = audited(300, *kubelet(OTHER_IP, node="other", instance=OTHER_INSTANCE))
        found = history(
            audited(0, bound()), audited(5, *kubelet(IP)), forged, audited(310, gone(node="other"))
        )
        assert shown(only(found)) == (WEB, 0, 5, None, None)

    def test_ends_an_address_when_it_reports_another(self) -> None:
        first, second = history(
            audited(0, bound()),
            audited(5, *kubelet(IP)),
            audited(200, *kubelet()),
            audited(300, *kubelet(OTHER_IP, removed=(IP,))),
        ).leases
        assert shown(first) == (WEB, 0, 5, 140, 300)
        assert shown(second) == (WEB, 140, 300, None, None)

    def test_of_a_pod_on_the_network_of_its_node_shows_no_lease(self) -> None:
        assert history(audited(5, *kubelet(IP, host_ip=IP))).leases == ()
        assert history(audited(5, *kubelet(IP)), audited(9, *kubelet(host_network=True))).leases == ()

    def test_knows_two_pods_of_one_name_apart(self) -> None:
        first, second = history(
            audited(5, *kubelet(IP)),
            audited(100, gone()),
            audited(200, bound(uid="uid-2", node="n2")),
            audited(210, *kubelet(OTHER_IP, uid="uid-2", node="n2", instance=OTHER_INSTANCE)),
        ).leases
        assert (first.uid, first.instance, first.end.latest) == ("uid-1", INSTANCE, at(100))
        assert (second.uid, second.instance, second.end.latest) == ("uid-2", OTHER_INSTANCE, None)

    def test_is_joined_with_the_cni(self) -> None:
        lease = only(
            history(
                audited(0, bound()),
                written(3.5, assigned()),
                audited(5, *kubelet(IP)),
                written(400, released()),
                audited(430, gone()),
            )
        )
        assert shown(lease) == (WEB, 3.5, 3.5, 400, 400)
        assert (lease.uid, lease.instance, lease.sandbox) == ("uid-1", INSTANCE, BOX)
        assert len(lease.origins) == 2

    def test_knows_two_pods_of_one_name_apart_that_had_the_address_one_after_the_other(self) -> None:
        first, second = history(
            written(3, assigned()),
            audited(5, *kubelet(IP)),
            audited(200, *kubelet(phase="Failed", ready=False)),
            written(201, released()),
            written(240, assigned(sandbox=OTHER_BOX)),
            audited(242, *kubelet(IP, uid="uid-2")),
        ).leases
        assert (first.uid, shown(first)) == ("uid-1", (WEB, 3, 3, 201, 201))
        assert (second.uid, shown(second)) == ("uid-2", (WEB, 240, 240, 240, None))

    def test_that_cuts_its_report_proves_no_address(self) -> None:
        cut = replace(audited(300, *kubelet()), truncated=True)
        assert shown(only(history(audited(5, *kubelet(IP)), cut))) == (WEB, None, 5, None, None)


def test_two_pods_at_once_are_both_in_doubt() -> None:
    lie = kubelet(IP, pod=JOB, uid="uid-2")
    found = around(written(3, assigned()), audited(100, *lie), written(400, released()))
    assert [codes(lease) for lease in found.leases] == [
        ["pod-instance-not-shown", "pod-witnesses-disagree"],
        ["pod-witnesses-disagree"],
    ]


def test_a_pod_that_ipamd_shows_with_its_address_after_the_kubelet_reported_another_is_in_doubt() -> None:
    changed = audited(100, *kubelet(OTHER_IP, removed=(IP,)))
    reported = (audited(1, bound()), audited(5, *kubelet(IP)), changed)
    late, soon = (
        next(
            lease
            for lease in around(*reported, written(3, assigned()), written(end, released())).leases
            if lease.ip == IP
        )
        for end in (300, 150)
    )
    assert (shown(late), codes(late)) == ((WEB, 3, 3, 300, 300), ["pod-witnesses-disagree"])
    assert codes(soon) == []


def test_the_next_pod_of_the_node_shows_that_the_address_was_free_during_the_cooldown() -> None:
    following = kubelet(IP, pod=JOB, uid="uid-2")
    first, _ = history(audited(5, *kubelet(IP)), audited(100, *following)).leases
    assert shown(first) == (WEB, None, 5, None, 70)
    proven = audited(145, *kubelet())
    first, _ = history(audited(5, *kubelet(IP)), audited(100, *following), proven).leases
    assert shown(first) == (WEB, None, 5, 85, 85)


def test_the_next_pod_of_another_node_may_have_the_address_at_once() -> None:
    following = kubelet(IP, pod=JOB, uid="uid-2", node="n2", instance=OTHER_INSTANCE)
    first, _ = history(audited(5, *kubelet(IP)), audited(100, *following)).leases
    assert shown(first) == (WEB, None, 5, None, 100)


def test_a_change_to_an_address_that_another_pod_may_have_is_doubted_and_ends_no_lease() -> None:
    change = kubelet(IP, pod=JOB, uid="uid-2", removed=(OTHER_IP,))
    first, second, _ = around(
        audited(5, *kubelet(IP)), audited(7, *kubelet(OTHER_IP, pod=JOB, uid="uid-2")), audited(300, *change)
    ).leases
    assert (codes(first), first.end.witness) == ([], "eni-lease")
    assert codes(second) == ["pod-before-not-ended"]


def test_a_pod_that_has_ended_loses_its_address_to_the_next_report_of_its_kubelet() -> None:
    change = kubelet(IP, pod=JOB, uid="uid-2", removed=(OTHER_IP,))
    forgotten = PodDeleted(pod=WEB, uid="uid-1", node=NODE, final=False, gone=True)
    for end, last, witness in (
        ((forgotten,), 270, "next-pod"),
        (kubelet(phase="Failed", ready=False), 260, "pod-finished"),
    ):
        first, second, _ = around(
            audited(5, *kubelet(IP)),
            audited(7, *kubelet(OTHER_IP, pod=JOB, uid="uid-2")),
            audited(200, *end),
            audited(300, *change),
        ).leases
        assert (shown(first), first.end.witness) == ((WEB, 0, 5, None, last), witness)
        assert codes(second) == []


def test_a_finished_job_has_lost_its_address_a_minute_later_whatever_its_object_says() -> None:
    old = PodReported(pod=WEB, uid="uid-1", node=NODE, phase="Succeeded", by_kubelet=False, addresses=(IP,))
    lease = only(
        history(
            audited(0, bound()),
            audited(5, *kubelet(IP)),
            audited(200, *kubelet(phase="Succeeded", ready=False)),
            audited(9000, gone(), old),
        )
    )
    assert (shown(lease), lease.end.witness) == ((WEB, 0, 5, None, 260), "pod-finished")


def test_a_finished_pod_in_a_list_has_an_end() -> None:
    ran = PodReported(
        pod=WEB,
        uid="uid-1",
        node=NODE,
        phase="Succeeded",
        by_kubelet=False,
        addresses=(IP,),
        created=at(0),
        running_since=at(4),
        seen=at(300),
    )
    listed = written(None, ran, source="pods.json", form="kubernetes-pods")
    assert shown(only(history(listed))) == (WEB, 0, 4, None, 360)


def test_a_list_does_not_end_what_the_kubelet_reported() -> None:
    claimed = PodReported(pod=WEB, uid="uid-1", node=NODE, phase="Failed", by_kubelet=False, seen=at(300))
    listed = written(None, claimed, source="pods.json", form="kubernetes-pods")
    lease = only(history(audited(5, *kubelet(IP)), listed))
    assert (shown(lease), lease.end.witness) == ((WEB, None, 5, None, None), None)


def test_only_the_kubelet_of_a_pod_shows_that_it_has_ended() -> None:
    failed = PodReported(pod=WEB, uid="uid-1", node=NODE, phase="Failed", by_kubelet=False)
    first, second, _ = around(
        audited(5, *kubelet(IP)),
        audited(7, *kubelet(OTHER_IP, pod=JOB, uid="uid-2")),
        audited(200, failed),
        audited(300, *kubelet(IP, pod=JOB, uid="uid-2", removed=(OTHER_IP,))),
    ).leases
    assert first.end.witness == "eni-lease"
    assert codes(second) == ["pod-before-not-ended"]


def test_an_interval_without_a_pod_gets_the_only_one_that_was_reported_and_is_no_proof_of_it() -> None:
    kept = AddressKept(ip=IP, eni=None, sandbox=None, pod=None, assigned=at(3), released=at(90))
    state = written(None, kept, source="enis.json", form="ipamd-enis")
    lease = only(around(audited(5, *kubelet(IP)), audited(95, gone()), state))
    assert (shown(lease), codes(lease)) == ((WEB, 3, 3, 90, 90), ["pod-not-named"])


def test_files_of_one_instance_are_one_node_wherever_they_lie() -> None:
    named = NodeNamed(node=None, instance=INSTANCE, basis="ipamd-log")
    lease = only(
        history(
            written(0, named),
            written(3, assigned()),
            written(50, named, source="later/ipamd.log"),
            written(60, released(), source="later/ipamd.log"),
            heard={LOG: (-600, 300), "later/ipamd.log": (300, 900)},
        )
    )
    assert (shown(lease), lease.instance) == ((WEB, 3, 3, 60, 60), INSTANCE)


def test_a_time_without_a_fraction_is_any_in_its_second() -> None:
    first, last = (
        replace(record, whole_second=True) for record in (written(3, assigned()), written(9, released()))
    )
    assert shown(only(history(first, last))) == (WEB, 3, 3.999999, 9, 9.999999)


def test_a_cut_binding_is_later_than_the_request_and_bounds_no_start() -> None:
    cut = replace(audited(4, bound()), truncated=True)
    assert shown(only(history(cut, audited(5, *kubelet(IP))))) == (WEB, None, 5, None, None)


def test_a_metric_proves_no_time_because_finished_pods_keep_their_address_in_it() -> None:
    scraped = PodScraped(pod=WEB, uid="u", node=NODE, ip=IP, host_network=False, first=at(0), last=at(900))
    lease = only(history(written(None, scraped, source="prom.json", form="kube-state-metrics")))
    assert shown(lease) == (WEB, None, 0, None, None)
    assert not lease.surely_held(at(0), at(0))
    assert lease.perhaps_held(at(500), at(500))


def test_a_node_name_is_another_instance_later() -> None:
    found = history(
        audited(5, *kubelet(IP)),
        audited(900, *kubelet(OTHER_IP, uid="uid-2", pod=JOB, instance=OTHER_INSTANCE)),
    )
    assert found.nodes == {NODE: (INSTANCE, OTHER_INSTANCE)}
    assert [lease.instance for lease in found.leases] == [INSTANCE, OTHER_INSTANCE]


def test_a_log_watches_its_node_without_its_first_and_last_minute() -> None:
    instance = NodeNamed(node=None, instance=INSTANCE, basis="instance-id-file")
    found = history(
        written(None, instance, source="node/system/instance-id.txt", form="node-facts"),
        heard={
            "node/var_log/aws-routed-eni/ipamd.log": (0, 600),
            "node/var_log/aws-routed-eni/plugin.log": (900, 3600),
        },
    )
    (watched,) = found.watched
    assert (watched.instance, watched.span.start, watched.span.end) == (INSTANCE, at(60), at(600))


STORY = (
    audited(0, bound()),
    written(3, EniListed(eni="eni-1", held=IP)),
    written(3.5, assigned()),
    audited(5, *kubelet(IP)),
    audited(5, *kubelet(OTHER_IP, uid="uid-2", pod=JOB)),
    audited(300, *kubelet()),
    written(400, released()),
    audited(430, gone()),
    written(500, assigned(sandbox=OTHER_BOX, pod=JOB)),
    written(500, assigned(ip=OTHER_IP, sandbox=OTHER_BOX, pod=JOB)),
    written(600, released(ip=OTHER_IP, sandbox=OTHER_BOX)),
    audited(700, PodBound(pod=WEB, uid=None, node="n2")),
    audited(710, *kubelet(IP, uid="uid-3", node="n2", instance=OTHER_INSTANCE)),
    audited(800, BranchGiven(pod=JOB, uid="uid-2", eni="eni-9", ip=IP, by_controller=False)),
)


@given(
    order=st.permutations(range(len(STORY))),
    repeated=st.lists(st.integers(0, len(STORY) - 1), max_size=5),
)
def test_order_and_repeats_of_records_change_nothing(order: list[int], repeated: list[int]) -> None:
    assert history(*(STORY[number] for number in (*order, *repeated))) == history(*STORY)


class TestTheEniLease:
    """What CloudTrail shows around a pod: 10.0.1.25 on eni-1 of i-0123456789abcdef0 from 0 to 600 s."""

    def test_gives_the_pod_its_eni_and_place(self) -> None:
        lease = only(around(written(3, assigned()), written(90, released())))
        assert (lease.eni, lease.vpc, lease.instance, lease.account) == (
            ENI,
            "vpc-1",
            INSTANCE,
            "111111111111",
        )
        assert codes(lease) == ["pod-instance-not-shown"]

    def test_on_another_instance_is_doubted(self) -> None:
        lease = only(around(audited(5, *kubelet(IP, instance=OTHER_INSTANCE))))
        assert codes(lease) == ["pod-on-other-instance"]
        assert lease.eni is None

    def test_that_begins_after_the_pod_is_doubted(self) -> None:
        assert codes(only(around(written(-100, assigned()), written(90, released())))) == ["no-eni-lease"]
        early = only(around(written(-4, assigned()), written(90, released())))
        assert codes(early) == ["pod-instance-not-shown"]

    def test_that_ends_before_the_pod_is_doubted(self) -> None:
        assert codes(only(around(written(3, assigned()), written(900, released())))) == [
            "pod-instance-not-shown",
            "pod-outside-eni-lease",
        ]

    def test_that_ends_some_seconds_before_the_pod_is_not_doubted(self) -> None:
        lease = only(around(written(3, assigned()), written(604, released())))
        assert codes(lease) == ["pod-instance-not-shown"]

    def test_ends_the_pod(self) -> None:
        lease = only(around(audited(5, *kubelet(IP))))
        assert shown(lease) == (WEB, 0, 5, None, 605)
        assert lease.end.witness == "eni-lease"

    def test_of_a_primary_address_is_its_nodes_own(self) -> None:
        assert around(audited(5, *kubelet(PRIMARY))).leases == ()

    def test_of_a_single_ipv6_address_is_its_nodes_own(self) -> None:
        """Pods of the host's network have it, and the audit log may not say that they are."""
        assert around(audited(5, *kubelet(NODE_IPV6))).leases == ()

    def test_shows_that_a_claimed_branch_is_none(self) -> None:
        claim = BranchGiven(pod=WEB, uid="uid-1", eni=ENI, ip=IP, by_controller=False)
        assert around(audited(5, claim)).leases == ()


ENI, PRIMARY = "eni-0123456789abcdef0", IPv4Address("10.0.1.7")
NODE_IPV6 = IPv6Address("2001:db8::7")


def around(*records: PodRecord) -> PodHistory:
    """Return the pods within the story of one ENI."""
    launched = Subject(
        eni=ENI,
        instance=INSTANCE,
        attachment="eni-attach-0123456789abcdef0",
        vpc="vpc-1",
        added=(
            Holding(PRIMARY, HoldingKind.PRIMARY),
            Holding(IP, HoldingKind.SECONDARY),
            Holding(NODE_IPV6, HoldingKind.IPV6),
        ),
        details=Details(device_index=0),
    )
    unassigned = Subject(eni=ENI, removed=(IP,))
    ledger = Ledger()
    ledger.add(called("launch", Effect.LAUNCH, 0, launched))
    ledger.add(called("unassign", Effect.UNASSIGN, 600, unassigned))
    for record in records:
        ledger.add_pods(record)
    return build(ledger.events(), pods=ledger.pods()).pods


def called(key: str, effect: Effect, second: int, subject: Subject) -> Event:
    return ec2_event(key, effect, at(second), subject)


def codes(lease: PodLease) -> list[str]:
    return [doubt.code.value for doubt in lease.doubts]
