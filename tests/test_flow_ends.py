"""Who was at both ends of a flow log record: what the record says, what the history says, and never more."""

import random
from collections.abc import Iterable
from ipaddress import ip_address, ip_network

import pytest
from conftest import FIXTURES
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from test_history import (
    NOON,
    assign,
    at,
    call,
    create,
    delete,
    detach,
    history,
    steal,
    terminate,
    unassign,
)

import cnitrail
from cnitrail.answers.filters import Filter
from cnitrail.answers.flows import FlowEnds, FlowKey
from cnitrail.answers.flows.ends import JoinedEnds
from cnitrail.answers.flows.kinds import address_of
from cnitrail.answers.flows.lease_answers import LeaseAnswers
from cnitrail.answers.flows.record import KEY_FIELDS
from cnitrail.answers.flows.unnamed import StandIn
from cnitrail.answers.leases import leases
from cnitrail.answers.over_time import OverTime, time_of
from cnitrail.answers.who import HolderIndex
from cnitrail.history import cover
from cnitrail.model import (
    Address,
    Basis,
    CniMark,
    Details,
    Effect,
    Event,
    Holding,
    HoldingKind,
    InstanceBasis,
    Subject,
    Verdict,
    WhoAnswer,
)
from cnitrail.model.flows import LATE, FlowEnd
from cnitrail.model.pods import PodBoundary, PodHistory, PodLease, PodName, Witness

START = int(NOON.timestamp())
ACCOUNT, OTHER_ACCOUNT = "111111111111", "222222222222"
NODE, NODE_ENI, NODE_IP = "i-node", "eni-node", "10.0.0.10"
POD_IP, DB_ENI, DB_IP = "10.0.0.5", "eni-db", "10.0.0.80"
CLIENT = "198.51.100.9"
NODE_IPV6, DB_IPV6 = "2001:db8::10", "2001:db8::80"
IPV6_PREFIX = "2001:db8:0:1:2::/80"


def launch(
    second: int,
    instance: str,
    eni: str,
    ip: str,
    *,
    vpc: str | None = "vpc-1",
    cluster: str | None = "prod",
    platform: str | None = None,
) -> Event:
    subject = Subject(
        eni=eni,
        instance=instance,
        attachment=f"attach-{eni}",
        vpc=vpc,
        subnet="subnet-1",
        added=(Holding(ip_address(ip), HoldingKind.PRIMARY),),
        details=Details(
            device_index=0,
            tags=(("eks:cluster-name", cluster),) if cluster else (),
            platform=platform,
            delete_on_termination=True,
        ),
    )
    return call(Effect.LAUNCH, second, subject)


def end_of(instance: str, second: int = 9000) -> Event:
    """Return the termination of an instance that ran until then."""
    return call(
        Effect.TERMINATE, second, Subject(instance=instance, details=Details(previous_state="running"))
    )


def service_eni(second: int, eni: str, ip: str, kind: str, *, vpc: str = "vpc-1") -> Event:
    """Return the creation of an ENI with an interfaceType of EC2."""
    subject = Subject(
        eni=eni,
        vpc=vpc,
        added=(Holding(ip_address(ip), HoldingKind.PRIMARY),),
        details=Details(interface_type=kind),
    )
    return call(Effect.CREATE, second, subject)


def attach(second: int, eni: str, instance: str, attachment: str, device: int = 1) -> Event:
    subject = Subject(eni=eni, instance=instance, attachment=attachment, details=Details(device_index=device))
    return call(Effect.ATTACH, second, subject)


def assign_ipv6(second: int, eni: str, held: str) -> Event:
    """Return the assignment of a single IPv6 address, or of a prefix."""
    single, prefix = HoldingKind.IPV6, HoldingKind.IPV6_PREFIX
    added = Holding(ip_network(held), prefix) if "/" in held else Holding(ip_address(held), single)
    return call(Effect.ASSIGN, second, Subject(eni=eni, added=(added,)))


CLUSTER = (
    launch(0, NODE, NODE_ENI, NODE_IP),
    assign(5, NODE_ENI, POD_IP),
    service_eni(6, DB_ENI, DB_IP, "interface"),
    end_of(NODE),
    delete(9000, DB_ENI),
)


def flow_ends(events: Iterable[Event], pods: Iterable[PodLease] | None = None) -> FlowEnds:
    past = history(*events)
    if pods is not None:
        leases = tuple(pods)
        past = replace(past, pods=PodHistory(leases=leases, records=max(1, len(leases))))
    return FlowEnds(past, HolderIndex(past, cover((), past.events, assume_complete=True)))


def joined(
    events: Iterable[Event],
    start: int = 1000,
    end: int = 1050,
    pods: Iterable[PodLease] | None = None,
    /,
    **fields: str,
) -> JoinedEnds:
    """Return the ends of a record with some fields, whose times are in seconds after noon."""
    key = FlowKey.of({name.replace("_", "-"): value for name, value in fields.items()})
    return flow_ends(events, pods).join(key, START + start - LATE, START + end)


def said(end: FlowEnd) -> str:
    """Return an end in a line: verdict, kind, names, reasons."""
    names = "+".join(end.eni)
    return " ".join(filter(None, (end.verdict.value, end.kind, names, *(code.value for code in end.reasons))))


def egress(eni: str, src: str, dst: str, **fields: str) -> dict[str, str]:
    """Return a record made at the source, with the addresses of the packet."""
    return {
        "interface_id": eni,
        "srcaddr": src,
        "pkt_srcaddr": src,
        "dstaddr": dst,
        "pkt_dstaddr": dst,
        "flow_direction": "egress",
    } | fields


def pod_lease(start: float, end: float | None, name: str, ip: str = POD_IP, eni: str = NODE_ENI) -> PodLease:
    def bound(second: float | None) -> PodBoundary:
        if second is None:
            return PodBoundary(earliest=None, latest=None, basis=Basis.OPEN, witness=None)
        time = at(0) + (at(1) - at(0)) * second
        return PodBoundary(earliest=time, latest=time, basis=Basis.OBSERVED, witness=Witness.IPAMD)

    return PodLease(
        ip=ip_address(ip),
        pod=PodName("shop", name),
        uid=None,
        sandbox=name,
        node=None,
        instance=NODE,
        eni=eni,
        vpc="vpc-1",
        account=None,
        region=None,
        cluster=None,
        service_account=None,
        owner=None,
        start=bound(start),
        end=bound(end),
        doubts=(),
    )


class TestInterval:
    """Packets lie from start - 60 to end; whoever held the address in it may be meant."""

    def test_a_holder_of_all_of_the_time_is_certain(self) -> None:
        ends = joined(CLUSTER, **egress(NODE_ENI, POD_IP, DB_IP))
        assert said(ends.src) == "certain pod eni-node"
        assert said(ends.dst) == "certain eni eni-db"
        assert (ends.src.instance, ends.src.cluster) == ((NODE,), ("prod",))

    def test_an_assignment_in_the_minute_before_the_start_is_within_the_interval(self) -> None:
        events = (*CLUSTER, assign(950, DB_ENI, "10.0.0.81"))
        assert said(joined(events, **egress(NODE_ENI, POD_IP, "10.0.0.81")).dst) == (
            "unknown eni eni-db changed-in-interval same-second"
        )

    def test_an_assignment_more_than_a_minute_before_the_start_is_not(self) -> None:
        events = (*CLUSTER, assign(939, DB_ENI, "10.0.0.81"))
        assert joined(events, **egress(NODE_ENI, POD_IP, "10.0.0.81")).dst.verdict is Verdict.CERTAIN
        assert joined(events, 999, **egress(NODE_ENI, POD_IP, "10.0.0.81")).dst.verdict is not Verdict.CERTAIN

    def test_a_release_within_the_interval_is_ambiguous(self) -> None:
        events = (*CLUSTER, unassign(1020, NODE_ENI, POD_IP))
        assert said(joined(events, **egress(DB_ENI, DB_IP, POD_IP)).dst) == (
            "ambiguous pod eni-node changed-in-interval same-second"
        )

    def test_two_holders_within_seconds_are_both_named(self) -> None:
        events = (*CLUSTER, unassign(1010, NODE_ENI, POD_IP), assign(1013, DB_ENI, POD_IP))
        ends = joined(events, **egress("eni-other", "10.0.0.99", POD_IP))
        assert said(ends.dst) == "ambiguous unknown eni-node+eni-db changed-in-interval same-second"

    def test_an_address_moved_by_allow_reassignment_names_both(self) -> None:
        events = (*CLUSTER, steal(1010, DB_ENI, POD_IP))
        ends = joined(events, **egress("eni-other", "10.0.0.99", POD_IP))
        assert ends.dst.verdict is Verdict.AMBIGUOUS
        assert ends.dst.eni == (NODE_ENI, DB_ENI)

    def test_a_holder_that_ended_with_its_instance_and_then_nobody_is_not_free(self) -> None:
        events = (*CLUSTER, terminate(1010, NODE))
        end = joined(events, **egress(DB_ENI, DB_IP, POD_IP)).dst
        assert end.verdict not in (Verdict.FREE, Verdict.CERTAIN)

    def test_the_ends_stay_the_same_for_the_seconds_that_they_say(self) -> None:
        events = (*CLUSTER, unassign(2000, NODE_ENI, POD_IP))
        ends = joined(events, **egress(NODE_ENI, POD_IP, DB_IP))
        assert ends.bounds.include(START + 940, START + 1050)
        assert not ends.bounds.include(START + 940, START + 2000)

    def test_the_ends_are_the_same_for_all_intervals_over_the_same_changes(self) -> None:
        events = (*CLUSTER, unassign(2000, NODE_ENI, POD_IP))
        changed = joined(events, 1990, 2010, **egress(NODE_ENI, POD_IP, DB_IP))
        assert changed.bounds.include(START + 1995, START + 2005)
        assert not changed.bounds.include(START + 1990, START + 1999)
        assert not changed.bounds.include(START + 2005, START + 2010)


class TestPodsOverTime:
    def test_a_pod_of_all_of_the_time_is_named(self) -> None:
        end = joined(
            CLUSTER, 1000, 1050, [pod_lease(100, 3000, "web")], **egress(NODE_ENI, POD_IP, DB_IP)
        ).src
        assert (end.kind, end.pod, end.pod_verdict) == ("pod", ("shop/web",), "certain")

    def test_two_pods_of_one_address_are_both_named(self) -> None:
        pods = [pod_lease(100, 985.5, "web"), pod_lease(1016.2, 3000, "cart")]
        end = joined(CLUSTER, 1000, 1050, pods, **egress(NODE_ENI, POD_IP, DB_IP)).src
        assert end.verdict is Verdict.CERTAIN
        assert end.pod == ("shop/web", "shop/cart")
        assert end.pod_verdict not in ("certain", "likely", "none")


class TestLocalEnd:
    def test_the_direction_decides(self) -> None:
        assert joined(CLUSTER, **egress(NODE_ENI, POD_IP, DB_IP)).local == "src"
        assert joined(CLUSTER, **egress(NODE_ENI, DB_IP, POD_IP, flow_direction="ingress")).local == "dst"

    def test_without_a_direction_the_history_decides(self) -> None:
        record = egress(NODE_ENI, DB_IP, POD_IP, flow_direction="-")
        assert joined(CLUSTER, **record).local == "dst"

    def test_without_both_the_shown_address_that_is_not_the_packets_decides(self) -> None:
        record = egress("eni-old", "10.0.7.7", DB_IP, flow_direction="-", srcaddr="10.0.7.1")
        assert joined(CLUSTER, **record).local == "src"

    def test_without_an_interface_and_direction_it_is_not_known(self) -> None:
        assert joined(CLUSTER, srcaddr=POD_IP, dstaddr=DB_IP).local is None

    def test_the_interface_picks_one_of_two_holders(self) -> None:
        events = (*CLUSTER, unassign(1010, NODE_ENI, POD_IP), assign(1013, DB_ENI, POD_IP))
        end = joined(events, 1020, **egress(DB_ENI, POD_IP, "10.0.0.99")).src
        assert end.eni == (DB_ENI,)
        assert end.verdict is Verdict.AMBIGUOUS

    def test_an_interface_older_than_the_trail_has_no_name_of_the_history(self) -> None:
        record = egress("eni-old", "10.0.0.200", POD_IP, vpc_id="vpc-1", subnet_id="subnet-1")
        ends = joined(CLUSTER, **record)
        assert said(ends.src) == "unknown unknown never-seen"
        assert said(ends.dst) == "certain pod eni-node"

    def test_a_regional_nat_gateway_has_a_resource_and_no_interface(self) -> None:
        record = egress("-", "10.0.0.200", CLIENT, resource_id="nat-1", traffic_path="8")
        ends = joined(CLUSTER, **record)
        assert (ends.local, ends.src.kind, ends.dst.kind) == ("src", "nat-gateway", "public")


class TestVpc:
    def test_the_vpc_of_an_unknown_interface_is_only_a_claim(self) -> None:
        other = (
            launch(3, "i-2", "eni-2", "10.0.0.11", vpc="vpc-2"),
            assign(7, "eni-2", POD_IP),
            end_of("i-2"),
        )
        record = egress("eni-old", "10.0.0.200", POD_IP, vpc_id="vpc-1")
        assert said(joined((*CLUSTER, *other), **record).dst) == "likely pod eni-node vpc-of-flow-record"

    def test_without_any_vpc_no_end_is_certain(self) -> None:
        record = {"interface_id": "eni-old", "srcaddr": "10.0.0.200", "dstaddr": POD_IP}
        assert said(joined(CLUSTER, **record).dst) == "likely pod eni-node vpc-unknown"

    def test_an_interface_that_nothing_confirms_makes_no_end_certain(self) -> None:
        other = (launch(3, "i-2", "eni-2", "10.2.0.11", vpc="vpc-2"), end_of("i-2"))
        twin = (create(7, "eni-twin", POD_IP, vpc="vpc-2"), delete(9000, "eni-twin"))
        record = {"interface_id": "eni-2", "srcaddr": POD_IP, "dstaddr": DB_IP}
        ends = joined((*CLUSTER, *other, *twin), **record)
        assert (ends.src.verdict, ends.src.eni) == ("likely", ("eni-twin",))
        assert "vpc-of-flow-record" in ends.src.reasons

    TWINS = (
        launch(3, "i-2", "eni-2", "10.2.0.11", vpc="vpc-2"),
        end_of("i-2"),
        create(7, "eni-twin", DB_IP, vpc="vpc-2"),
        delete(9000, "eni-twin"),
    )
    """A VPC that has an address of the first one, too."""

    def test_an_address_that_the_interface_had_at_another_time_confirms_nothing(self) -> None:
        """The record is of the first VPC: its ``interface-id`` is wrong, and was at POD_IP long before."""
        before = (assign(8, "eni-2", POD_IP), unassign(500, "eni-2", POD_IP))
        record = {"interface_id": "eni-2", "srcaddr": POD_IP, "dstaddr": DB_IP}
        end = joined((*CLUSTER, *self.TWINS, *before), **record).dst
        assert said(end) == "likely eni eni-twin vpc-of-flow-record"

    def test_an_address_that_the_interface_has_then_confirms_it(self) -> None:
        record = {"interface_id": "eni-2", "srcaddr": POD_IP, "dstaddr": DB_IP}
        end = joined((*CLUSTER, *self.TWINS, assign(8, "eni-2", POD_IP)), **record).dst
        assert said(end) == "certain eni eni-twin"

    def test_the_address_that_a_record_shows_of_its_interface_confirms_it(self) -> None:
        record = {
            "interface_id": "eni-2",
            "srcaddr": "10.2.0.11",
            "pkt_srcaddr": "10.2.9.9",
            "dstaddr": DB_IP,
        }
        end = joined((*CLUSTER, *self.TWINS), **record).dst
        assert said(end) == "certain eni eni-twin"

    def test_an_address_of_the_other_end_confirms_nothing(self) -> None:
        record = egress("eni-2", "10.2.0.99", POD_IP)
        end = joined((*CLUSTER, *self.TWINS, assign(8, "eni-2", POD_IP)), **record).dst
        assert said(end) == "likely pod eni-2 vpc-of-flow-record"

    def test_a_vpc_confirms_no_interface_of_another_subnet(self) -> None:
        record = egress("eni-2", "10.2.0.99", DB_IP, vpc_id="vpc-2", subnet_id="subnet-9")
        ends = joined((*CLUSTER, *self.TWINS), **record)
        assert ends.contradicted == ("subnet-id",)
        assert said(ends.dst) == "likely eni eni-twin vpc-of-flow-record"

    def test_a_vpc_that_nothing_confirms_makes_no_end_certain(self) -> None:
        """Its ENI of the address may be older than the evidence, and ``vpc-id`` wrong."""
        record = egress("eni-old", "10.0.0.200", POD_IP, vpc_id="vpc-1")
        assert said(joined(CLUSTER, **record).dst) == "likely pod eni-node vpc-of-flow-record"

    def test_a_subnet_of_another_vpc_does_not_confirm_it(self) -> None:
        other = (call(Effect.CREATE, 1, Subject(eni="eni-9", vpc="vpc-2", subnet="subnet-9")),)
        record = egress("eni-old", "10.0.0.200", POD_IP, vpc_id="vpc-1", subnet_id="subnet-9")
        assert said(joined((*CLUSTER, *other), **record).dst) == "likely pod eni-node vpc-of-flow-record"

    def test_the_vpc_of_the_record_confirms_its_interface(self) -> None:
        other = (launch(3, "i-2", "eni-2", "10.2.0.11", vpc="vpc-2"), end_of("i-2"))
        twin = (create(7, "eni-twin", POD_IP, vpc="vpc-2"), delete(9000, "eni-twin"))
        record = {"interface_id": "eni-2", "vpc_id": "vpc-2", "srcaddr": "10.2.0.99", "dstaddr": POD_IP}
        end = joined((*CLUSTER, *other, *twin), **record).dst
        assert (end.verdict, end.eni) == ("certain", ("eni-twin",))

    def test_an_address_of_another_vpc_is_not_named_and_the_reason_says_so(self) -> None:
        other = (launch(3, "i-2", "eni-2", "10.2.0.11", vpc="vpc-2"), end_of("i-2"))
        end = joined((*CLUSTER, *other), **egress(NODE_ENI, POD_IP, "10.2.0.11", traffic_path="1")).dst
        assert said(end) == "unknown unknown in-other-vpc"
        assert end.eni == ()

    @pytest.mark.parametrize("path", ["4", "5"])
    def test_a_peering_connection_leads_to_another_vpc(self, path: str) -> None:
        other = (launch(3, "i-2", "eni-2", "10.2.0.11", vpc="vpc-2"), end_of("i-2"))
        end = joined((*CLUSTER, *other), **egress(NODE_ENI, POD_IP, "10.2.0.11", traffic_path=path)).dst
        said_of = {
            "4": "likely node-or-pod eni-2 outside-vpc snat-possible",
            "5": "unknown outside-vpc outside-vpc",
        }
        assert said(end) == said_of[path]

    def test_a_peering_connection_does_not_lead_to_the_own_vpc(self) -> None:
        end = joined(CLUSTER, **egress(NODE_ENI, POD_IP, DB_IP, traffic_path="4")).dst
        assert said(end) == "unknown outside-vpc outside-vpc"

    @pytest.mark.parametrize("path", ["2", "3", "6", "7", "8"])
    def test_other_ways_out_lead_to_no_eni(self, path: str) -> None:
        end = joined(CLUSTER, **egress(NODE_ENI, POD_IP, DB_IP, traffic_path=path)).dst
        assert said(end) == "unknown outside-vpc outside-vpc"

    def test_a_path_of_a_record_of_ingress_is_not_used(self) -> None:
        record = egress(DB_ENI, POD_IP, DB_IP, flow_direction="ingress", traffic_path="4")
        assert said(joined(CLUSTER, **record).dst) == "certain eni eni-db"


class TestMetadata:
    """What the record says of its interface confirms or contradicts; it never makes an end certain."""

    RECORD = egress(
        NODE_ENI,
        POD_IP,
        DB_IP,
        account_id=ACCOUNT,
        region="eu-west-1",
        vpc_id="vpc-1",
        subnet_id="subnet-1",
        instance_id=NODE,
    )

    def test_fields_that_agree_are_confirmed(self) -> None:
        ends = joined(CLUSTER, **self.RECORD)
        assert ends.confirmed == ("account-id", "region", "vpc-id", "subnet-id", "instance-id")
        assert ends.contradicted == ()
        assert ends.src.verdict is Verdict.CERTAIN

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("account_id", OTHER_ACCOUNT),
            ("region", "us-east-1"),
            ("subnet_id", "subnet-2"),
            ("instance_id", "i-other"),
        ],
    )
    def test_a_field_that_disagrees_makes_the_local_end_likely(self, field: str, value: str) -> None:
        ends = joined(CLUSTER, **(self.RECORD | {field: value}))
        assert ends.contradicted == (field.replace("_", "-"),)
        assert said(ends.src) == "likely pod eni-node flow-contradicts"
        assert ends.dst.verdict is Verdict.CERTAIN

    def test_if_the_local_end_is_not_known_both_are_likely(self) -> None:
        record = self.RECORD | {"srcaddr": CLIENT, "pkt_srcaddr": CLIENT, "flow_direction": "-"}
        ends = joined(CLUSTER, **(record | {"account_id": OTHER_ACCOUNT}))
        assert (ends.local, said(ends.dst)) == (None, "likely eni eni-db flow-contradicts vpc-of-flow-record")

    def test_another_vpc_makes_both_ends_likely(self) -> None:
        ends = joined(CLUSTER, **(self.RECORD | {"vpc_id": "vpc-2"}))
        assert (ends.src.verdict, ends.dst.verdict) == ("likely", "likely")

    def test_an_account_may_have_lost_its_zeros_as_a_number(self) -> None:
        owned = replace(launch(0, NODE, NODE_ENI, NODE_IP), account="000000000012")
        ends = joined((owned, assign(5, NODE_ENI, POD_IP)), **(self.RECORD | {"account_id": "12"}))
        assert ends.contradicted == ()
        assert "account-id" in ends.confirmed

    @pytest.mark.parametrize("value", ["-", "unknown", "1.11111E+11"])
    def test_an_account_that_aws_does_not_know_is_not_compared(self, value: str) -> None:
        ends = joined(CLUSTER, **(self.RECORD | {"account_id": value}))
        assert ends.contradicted == ()
        assert "account-id" not in ends.confirmed

    def test_an_eni_that_moved_within_the_interval_agrees_with_both_instances(self) -> None:
        moved = (
            create(1, "eni-m", "10.0.0.60"),
            attach(2, "eni-m", NODE, "attach-m"),
            detach(1000, "attach-m"),
            attach(1010, "eni-m", "i-2", "attach-m2"),
        )
        for instance in (NODE, "i-2"):
            record = egress("eni-m", "10.0.0.60", DB_IP, instance_id=instance)
            ends = joined((*CLUSTER, *moved), **record)
            assert ends.confirmed == ("instance-id",)
            assert ends.src.instance == (NODE, "i-2")
            assert ends.src.verdict is not Verdict.CERTAIN

    def test_metadata_do_not_make_an_unknown_end_known(self) -> None:
        record = egress("eni-old", "10.0.0.200", DB_IP, vpc_id="vpc-1", instance_id=NODE, account_id=ACCOUNT)
        ends = joined(CLUSTER, **record)
        assert said(ends.src) == "unknown unknown never-seen"
        assert ends.confirmed == ()

    def test_an_address_that_the_history_has_on_another_eni_contradicts(self) -> None:
        ends = joined(CLUSTER, **egress(NODE_ENI, DB_IP, POD_IP, vpc_id="vpc-1"))
        assert ends.contradicted == ("interface-id",)
        assert said(ends.src) == "likely eni eni-db flow-contradicts"

    def test_an_unknown_interface_with_an_address_of_another_one_contradicts(self) -> None:
        record = egress("eni-old", DB_IP, POD_IP, vpc_id="vpc-1", subnet_id="subnet-1")
        ends = joined(CLUSTER, **record)
        assert ends.contradicted == ("interface-id",)
        assert said(ends.src) == "likely eni eni-db flow-contradicts"

    def test_a_record_whose_ends_are_both_elsewhere_contradicts_at_both(self) -> None:
        record = {"interface_id": "eni-old", "srcaddr": DB_IP, "dstaddr": NODE_IP, "vpc_id": "vpc-1"}
        ends = joined(CLUSTER, **record)
        assert (ends.local, ends.contradicted) == (None, ("interface-id",))
        assert (ends.src.verdict, ends.dst.verdict) == ("likely", "likely")

    def test_tags_and_types_of_interfaces_change_nothing(self) -> None:
        tagged = joined(CLUSTER, **self.RECORD, instance_tag="i-other", interface_type="lambda", asg_tag="x")
        assert tagged == joined(CLUSTER, **self.RECORD)


class TestDefaultFormat:
    """Version 2 shows the interface's primary address at its own end, whichever one was used."""

    @staticmethod
    def record(eni: str, src: str, dst: str) -> dict[str, str]:
        return {"interface_id": eni, "srcaddr": src, "dstaddr": dst, "account_id": ACCOUNT}

    def test_the_local_end_is_the_node_or_a_pod(self) -> None:
        pods = [pod_lease(100, 3000, "web")]
        end = joined(CLUSTER, 1000, 1050, pods, **self.record(NODE_ENI, NODE_IP, DB_IP)).src
        assert said(end) == "certain node-or-pod eni-node interface-address-only"
        assert (end.pod, end.pod_verdict) == ((), "unknown")

    def test_the_peer_is_a_real_address(self) -> None:
        pods = [pod_lease(100, 3000, "web")]
        end = joined(CLUSTER, 1000, 1050, pods, **self.record(DB_ENI, POD_IP, DB_IP)).src
        assert (end.kind, end.pod, end.pod_verdict) == ("pod", ("shop/web",), "certain")

    def test_without_an_interface_each_node_may_be_the_local_end(self) -> None:
        end = joined(CLUSTER, srcaddr=NODE_IP, dstaddr=DB_IP, vpc_id="vpc-1").src
        assert end.kind == "node-or-pod"

    @pytest.mark.parametrize("kind", ["branch", "fargate"])
    def test_an_eni_of_one_pod_is_that_pod(self, kind: str) -> None:
        events = (*CLUSTER, service_eni(7, "eni-pod", "10.0.0.70", "branch"), delete(9000, "eni-pod"))
        pods = [pod_lease(100, 3000, "web", "10.0.0.70", "eni-pod")]
        end = joined(events, 1000, 1050, pods, **self.record("eni-pod", "10.0.0.70", CLIENT)).src
        assert (end.kind, end.pod) == ("pod", ("shop/web",))

    def test_an_ipv6_address_is_shown_as_it_is(self) -> None:
        prefix = (assign(7, NODE_ENI, "2001:db8:0:1:2::/80"),)
        record = self.record(NODE_ENI, "2001:db8:0:1:2::5", "2001:db8:ffff::1")
        end = joined((*CLUSTER, *prefix), **record).src
        assert said(end) == "certain pod eni-node"

    def test_with_one_packet_field_only_the_other_end_is_masked(self) -> None:
        record = self.record(NODE_ENI, NODE_IP, DB_IP) | {"pkt_dstaddr": DB_IP}
        ends = joined(CLUSTER, **record)
        assert ends.src.kind == "node-or-pod"
        assert ends.dst.verdict is Verdict.CERTAIN
        record = self.record(NODE_ENI, NODE_IP, DB_IP) | {"pkt_srcaddr": POD_IP}
        assert joined(CLUSTER, **record).src.kind == "pod"


class TestTranslation:
    """Pods leave the VPC with the primary address of their node."""

    def test_a_node_to_the_internet_is_the_node_or_a_pod(self) -> None:
        end = joined(CLUSTER, 1000, 1050, [pod_lease(1, 2, "web")], **egress(NODE_ENI, NODE_IP, CLIENT)).src
        assert said(end) == "certain node-or-pod eni-node snat-possible"
        assert end.pod_verdict == "unknown"

    def test_so_is_a_reply(self) -> None:
        record = egress(NODE_ENI, CLIENT, NODE_IP, flow_direction="ingress")
        assert joined(CLUSTER, **record).dst.kind == "node-or-pod"

    def test_a_node_to_an_address_of_its_vpc_is_the_node(self) -> None:
        assert said(joined(CLUSTER, **egress(NODE_ENI, NODE_IP, DB_IP)).src) == "certain node eni-node"

    def test_a_node_to_an_unknown_private_address_may_be_either(self) -> None:
        assert joined(CLUSTER, **egress(NODE_ENI, NODE_IP, "10.77.0.1")).src.kind == "node-or-pod"

    def test_so_may_a_node_of_an_unknown_vpc(self) -> None:
        events = (launch(0, NODE, NODE_ENI, NODE_IP, vpc=None), end_of(NODE))
        end = joined(events, **egress(NODE_ENI, NODE_IP, CLIENT)).src
        assert said(end) == "likely node-or-pod eni-node vpc-unknown snat-possible"

    def test_a_windows_node_translates_too(self) -> None:
        events = (launch(0, NODE, NODE_ENI, NODE_IP, platform="windows"), end_of(NODE))
        assert joined(events, **egress(NODE_ENI, NODE_IP, CLIENT)).src.kind == "node-or-pod"

    def test_a_pod_address_is_not_translated(self) -> None:
        assert joined(CLUSTER, **egress(NODE_ENI, POD_IP, CLIENT)).src.kind == "pod"

    def test_the_primary_address_of_another_eni_of_the_node_is_not_used_for_it(self) -> None:
        second = call(
            Effect.CREATE,
            2,
            Subject(
                eni="eni-second",
                vpc="vpc-1",
                added=(Holding(ip_address("10.0.0.20"), HoldingKind.PRIMARY),),
                details=Details(mark=CniMark(NODE, InstanceBasis.TAG)),
            ),
        )
        events = (*CLUSTER, second, attach(3, "eni-second", NODE, "attach-2"))
        end = joined(events, **egress("eni-second", "10.0.0.20", CLIENT)).src
        assert (end.kind, "snat-possible" in end.reasons) == ("node", False)

    def test_a_single_ipv6_address_of_a_node_may_be_used_by_its_pods(self) -> None:
        """As ``ENABLE_V6_EGRESS`` makes it in clusters of IPv4: also within the VPC."""
        single = (assign_ipv6(7, NODE_ENI, NODE_IPV6), assign_ipv6(8, DB_ENI, DB_IPV6))
        pods = [pod_lease(100, 3000, "web")]
        end = joined((*CLUSTER, *single), 1000, 1050, pods, **egress(NODE_ENI, NODE_IPV6, DB_IPV6)).src
        assert said(end) == "certain node-or-pod eni-node snat-possible"
        assert (end.pod, end.pod_verdict) == ((), "unknown")

    def test_a_single_ipv6_address_of_a_node_whose_pods_have_ipv6_is_the_nodes(self) -> None:
        events = (*CLUSTER, assign_ipv6(7, NODE_ENI, NODE_IPV6), assign_ipv6(8, NODE_ENI, IPV6_PREFIX))
        pods = [pod_lease(100, 3000, "web")]
        end = joined(events, 1000, 1050, pods, **egress(NODE_ENI, NODE_IPV6, "2001:db8:ffff::1")).src
        assert said(end) == "certain node eni-node"
        assert (end.pod, end.pod_verdict) == ((), "none")

    def test_pods_with_ipv6_use_the_ipv4_address_of_their_node_within_the_vpc_too(self) -> None:
        events = (*CLUSTER, assign_ipv6(8, NODE_ENI, IPV6_PREFIX))
        end = joined(events, **egress(NODE_ENI, NODE_IP, DB_IP)).src
        assert said(end) == "certain node-or-pod eni-node snat-possible"

    def test_an_instance_with_pods_is_a_node_whatever_its_tags(self) -> None:
        events = (launch(0, NODE, NODE_ENI, NODE_IP, cluster=None), assign(5, NODE_ENI, POD_IP), end_of(NODE))
        pods = [pod_lease(100, 3000, "web")]
        end = joined(events, 1000, 1050, pods, **egress(NODE_ENI, NODE_IP, CLIENT)).src
        assert (end.kind, end.pod_verdict) == ("node-or-pod", "unknown")

    def test_and_so_it_is_in_the_table_of_leases(self) -> None:
        events = (launch(0, NODE, NODE_ENI, NODE_IP, cluster=None), assign(5, NODE_ENI, POD_IP), end_of(NODE))
        past = history(*events)
        with_pods = replace(past, pods=PodHistory(leases=(pod_lease(100, 3000, "web"),), records=1))
        for known, kinds in ((past, {"instance"}), (with_pods, {"node", "pod"})):
            answers = LeaseAnswers(known, HolderIndex(known, cover((), known.events, assume_complete=True)))
            found = [answer.kind for lease in leases(known, Filter()) for answer in answers.of(lease)]
            assert {kind for kind in found if kind is not None} == kinds

    def test_an_instance_without_kubernetes_has_no_pods(self) -> None:
        events = (launch(0, "i-plain", "eni-plain", "10.0.0.30", cluster=None), end_of("i-plain"))
        assert said(joined(events, **egress("eni-plain", "10.0.0.30", CLIENT)).src) == (
            "certain instance eni-plain"
        )


class TestKinds:
    @pytest.mark.parametrize(
        ("interface_type", "kind"),
        [
            ("nat_gateway", "nat-gateway"),
            ("transit_gateway", "transit-gateway"),
            ("load_balancer", "load-balancer"),
            ("network_load_balancer", "load-balancer"),
            ("gateway_load_balancer", "load-balancer"),
            ("gateway_load_balancer_endpoint", "vpc-endpoint"),
            ("vpc_endpoint", "vpc-endpoint"),
            ("lambda", "lambda"),
            ("efs", "efs"),
            ("branch", "pod"),
            ("interface", "eni"),
        ],
    )
    def test_services_have_the_names_that_people_use(self, interface_type: str, kind: str) -> None:
        events = (*CLUSTER, service_eni(4, "eni-svc", "10.0.0.90", interface_type))
        assert joined(events, **egress(NODE_ENI, POD_IP, "10.0.0.90")).dst.kind == kind

    def test_an_aws_service_is_named_if_the_record_says_so(self) -> None:
        record = egress(NODE_ENI, POD_IP, "52.218.0.1", pkt_dst_aws_service="S3", traffic_path="7")
        assert said(joined(CLUSTER, **record).dst) == "unknown aws-service public-address"
        record["pkt_dst_aws_service"] = "EC2"
        assert joined(CLUSTER, **record).dst.kind == "public"

    def test_an_address_for_pods_while_no_pod_had_it_is_of_the_warm_pool(self) -> None:
        case = cnitrail.read(FIXTURES / "pod-behind-an-address")
        ends = FlowEnds(case.history, HolderIndex(case.history, case.coverage))
        key = FlowKey(interface="eni-06d2f4a81c9b3e750", src="192.168.34.201", pkt_src="192.168.34.201")
        end = ends.join(key, 1664978343, 1664978458).src
        assert said(end) == "certain warm-pool eni-06d2f4a81c9b3e750 used-while-free"
        assert (end.pod, end.pod_verdict) == ((), "none")


class TestForwarders:
    NAT = (service_eni(4, "eni-nat", "10.0.9.9", "nat_gateway"), delete(9000, "eni-nat"))

    def test_the_ends_of_a_nat_gateways_record_are_those_of_the_packet(self) -> None:
        record = {
            "interface_id": "eni-nat",
            "srcaddr": POD_IP,
            "pkt_srcaddr": POD_IP,
            "dstaddr": "10.0.9.9",
            "pkt_dstaddr": CLIENT,
            "flow_direction": "ingress",
        }
        ends = joined((*CLUSTER, *self.NAT), **record)
        assert said(ends.src) == "certain pod eni-node"
        assert ends.dst.kind == "public"
        assert ends.contradicted == ()

    def test_packets_that_a_nat_gateway_forwards_to_a_pod_do_not_contradict(self) -> None:
        record = egress("eni-nat", CLIENT, POD_IP, srcaddr="10.0.9.9")
        ends = joined((*CLUSTER, *self.NAT), **record)
        assert ends.contradicted == ()
        assert said(ends.dst) == "certain pod eni-node"

    def test_a_nat_instance_may_forward(self) -> None:
        plain = (launch(0, "i-fw", "eni-fw", "10.0.0.30", cluster=None), end_of("i-fw"))
        record = egress("eni-fw", DB_IP, CLIENT, srcaddr="10.0.0.30")
        ends = joined((*CLUSTER, *plain), **record)
        assert ends.contradicted == ()
        assert said(ends.src) == "certain eni eni-db"

    def test_a_node_does_not_forward(self) -> None:
        record = egress(NODE_ENI, DB_IP, CLIENT, srcaddr=NODE_IP)
        assert joined(CLUSTER, **record).contradicted == ("interface-id",)

    def test_a_nat_gateways_own_address_on_another_eni_contradicts(self) -> None:
        ends = joined((*CLUSTER, *self.NAT), **egress("eni-nat", DB_IP, CLIENT))
        assert ends.contradicted == ("interface-id",)


class TestTransitGateway:
    """Version 6: each end has its VPC, and no end is at an interface of the record."""

    OTHER = (launch(3, "i-2", "eni-2", "10.2.0.11", vpc="vpc-2"), end_of("i-2"))

    def record(self, src_vpc: str = "vpc-1", dst_vpc: str = "vpc-2") -> dict[str, str]:
        return {
            "tgw_id": "tgw-1",
            "tgw_src_vpc_id": src_vpc,
            "tgw_dst_vpc_id": dst_vpc,
            "tgw_src_eni": "eni-attachment",
            "tgw_dst_eni": "eni-attachment-2",
            "tgw_src_vpc_account_id": OTHER_ACCOUNT,
            "srcaddr": POD_IP,
            "dstaddr": "10.2.0.11",
            "flow_direction": "ingress",
        }

    def test_both_ends_are_in_their_own_vpc(self) -> None:
        ends = joined((*CLUSTER, *self.OTHER), **self.record())
        assert said(ends.src) == "certain pod eni-node"
        assert said(ends.dst) == "certain node-or-pod eni-2 snat-possible"
        assert ends.local is None

    def test_the_vpc_is_only_a_claim(self) -> None:
        twin = (create(7, "eni-twin", POD_IP, vpc="vpc-2"), delete(9000, "eni-twin"))
        end = joined((*CLUSTER, *self.OTHER, *twin), **self.record()).src
        assert said(end) == "likely pod eni-node vpc-of-flow-record"

    def test_an_end_outside_of_all_vpcs_is_likely_at_best(self) -> None:
        assert said(joined(CLUSTER, **self.record("-", "-")).src) == "likely pod eni-node vpc-unknown"

    def test_a_wrong_vpc_names_nobody(self) -> None:
        end = joined((*CLUSTER, *self.OTHER), **self.record("vpc-2", "vpc-1")).src
        assert (end.verdict, end.eni) == ("unknown", ())
        assert end.reasons[0] == "in-other-vpc"


class TestFree:
    def test_traffic_of_an_address_that_nobody_had_is_said_and_names_nobody(self) -> None:
        events = (*CLUSTER, unassign(500, NODE_ENI, POD_IP))
        end = joined(events, **egress(NODE_ENI, POD_IP, DB_IP, vpc_id="vpc-1")).src
        assert said(end) == "unknown unknown used-while-free"

    def test_traffic_to_it_is_nothing_special(self) -> None:
        events = (*CLUSTER, unassign(500, NODE_ENI, POD_IP))
        assert said(joined(events, **egress(DB_ENI, DB_IP, POD_IP)).dst) == "free unknown"

    def test_without_a_sure_vpc_nothing_is_free(self) -> None:
        events = (*CLUSTER, unassign(500, NODE_ENI, POD_IP))
        end = joined(events, srcaddr=POD_IP, dstaddr=DB_IP).src
        assert end.verdict is Verdict.UNKNOWN


HOSTILE = (
    "-",
    "",
    "x",
    "\x1b[2J",
    "\x00",
    "9" * 10_000,
    "1.2.3.4.5",
    "::1%" + "z" * 40,
    "=cmd|'/c'",
    "\u202e",
)


class TestHostile:
    @pytest.mark.parametrize("value", HOSTILE)
    def test_no_value_of_any_field_is_an_exception(self, value: str) -> None:
        record = TestMetadata.RECORD | TestTransitGateway().record()
        for field in KEY_FIELDS:
            ends = joined(CLUSTER, **(record | {field.replace("-", "_"): value}))
            assert ends.src.ip in (None, POD_IP)
        joined(CLUSTER, **dict.fromkeys((field.replace("-", "_") for field in KEY_FIELDS), value))

    def test_what_is_no_address_has_no_end(self) -> None:
        assert said(joined(CLUSTER, **egress(NODE_ENI, "fe80::1%eth0", "10.0.0.256")).src) == (
            "unknown unknown no-address"
        )

    def test_millions_of_addresses_are_not_all_remembered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("cnitrail.answers.flows.occupancies.MOST_REMEMBERED", 10)
        ends = flow_ends(CLUSTER)
        for number in range(100):
            key = FlowKey(src=f"10.3.0.{number}", dst=f"198.51.100.{number}", interface=NODE_ENI)
            ends.join(key, START, START + 60)
        assert len(ends._occupancies._answers) <= 10
        assert len(ends._occupancies._known) <= 10

    def test_a_new_pair_of_known_ends_asks_the_history_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        ends = flow_ends(CLUSTER)
        key = FlowKey(src=POD_IP, dst=DB_IP, interface=NODE_ENI, vpc="vpc-1", direction="egress")
        asked: list[str] = []
        over_time = HolderIndex.over_time

        def counted(index: HolderIndex, ip: Address, wanted: Filter) -> OverTime[WhoAnswer]:
            asked.append(str(ip))
            return over_time(index, ip, wanted)

        monkeypatch.setattr(HolderIndex, "over_time", counted)
        ends.join(key, START + 1000, START + 1060)
        for second in range(2000):
            ends.join(key, START + 1000 + second, START + 1060 + second)
        assert asked == [POD_IP, DB_IP]


class TestMemory:
    def test_answers_do_not_depend_on_what_was_asked_before(self) -> None:
        events = (
            *CLUSTER,
            unassign(1010, NODE_ENI, POD_IP),
            assign(1013, DB_ENI, POD_IP),
            unassign(2000, DB_ENI, POD_IP),
        )
        chance = random.Random(7)
        remembering = flow_ends(events)
        for _ in range(300):
            record = egress(
                chance.choice((NODE_ENI, DB_ENI, "eni-old", "-")),
                chance.choice((POD_IP, NODE_IP, DB_IP, CLIENT)),
                chance.choice((POD_IP, NODE_IP, DB_IP, CLIENT)),
                vpc_id=chance.choice(("vpc-1", "vpc-2", "-")),
                flow_direction=chance.choice(("egress", "ingress", "-")),
                traffic_path=chance.choice(("1", "4", "8", "-")),
                instance_id=chance.choice((NODE, "i-2", "-")),
            )
            key = FlowKey.of({name.replace("_", "-"): value for name, value in record.items()})
            first = START + chance.randrange(0, 2500)
            last = first + chance.randrange(0, 300)
            fresh = flow_ends(events).join(key, first, last)
            again = remembering.join(key, first, last)
            assert (again.src, again.dst, again.local) == (fresh.src, fresh.dst, fresh.local)
            assert (again.confirmed, again.contradicted) == (fresh.confirmed, fresh.contradicted)


class TestAddressesThatNothingNames:
    def test_what_the_evidence_names_has_no_stand_in(self) -> None:
        ends = flow_ends(CLUSTER)
        assert [ends.stand_in(ip) for ip in (NODE_IP, POD_IP, DB_IP, "-", "fe80::1%eth0")] == [None] * 5

    def test_a_pod_of_pod_evidence_alone_is_named(self) -> None:
        assert flow_ends(CLUSTER, [pod_lease(10, None, "web", "10.0.7.7")]).stand_in("10.0.7.7") is None

    def test_the_first_of_a_version_and_range_stands_for_all(self) -> None:
        ends = flow_ends(CLUSTER)
        assert ends.stand_in("198.51.100.7") == StandIn(ip="198.51.100.7", asked="198.51.100.7")
        assert ends.stand_in("203.0.113.9") == StandIn(ip="203.0.113.9", asked="198.51.100.7")
        assert ends.stand_in("10.200.0.1") == StandIn(ip="10.200.0.1", asked="10.200.0.1")
        assert ends.stand_in("2600:0::1") == StandIn(ip="2600::1", asked="2600:0::1")

    @settings(max_examples=300)
    @given(
        st.one_of(
            st.ip_addresses(v=4).map(str),
            st.integers(0, 0xFFFF).map(lambda host: f"10.0.{host >> 8}.{host & 255}"),
            st.tuples(
                *[st.sampled_from(["0", "1", "10", "100", "169", "172", "254", "255", "256", "01", ""])] * 4
            ).map(".".join),
        )
    )
    def test_an_address_has_a_stand_in_whatever_others_of_its_network_were(self, text: str) -> None:
        ends = flow_ends(CLUSTER, [pod_lease(10, None, "web", "172.16.9.9")])
        ip, is_public = address_of(text)
        names = {NODE_IP, POD_IP, DB_IP, "172.16.9.9"}
        ends.stand_in(".".join([*text.split(".")[:2], "200", "200"]))
        stand_in = ends.stand_in(text)
        assert (stand_in is None) is (ip is None or text in names)
        if stand_in is not None:
            assert stand_in.ip == text
            assert address_of(stand_in.asked)[1] is is_public

    def test_each_has_the_ends_of_the_one_that_stands_for_it(self) -> None:
        events = (*CLUSTER, unassign(2000, NODE_ENI, POD_IP))
        chance = random.Random(11)
        ends = flow_ends(events)
        strangers = ("198.51.100.7", "203.0.113.9", "10.200.0.1", "172.16.3.3", "2600::1", "2600::2")
        for ip in strangers:
            ends.stand_in(ip)
        for _ in range(400):
            one, local = chance.choice(strangers), chance.choice((NODE_IP, POD_IP, DB_IP))
            stand_in = ends.stand_in(one)
            assert stand_in is not None
            src, dst = chance.choice(((0, 1), (1, 0)))
            fields = {
                "flow_direction": chance.choice(("egress", "ingress", "-")),
                "traffic_path": chance.choice(("1", "2", "4", "5", "8", "-")),
                "vpc_id": chance.choice(("vpc-1", "vpc-2", "-")),
                "pkt_src_aws_service": chance.choice(("S3", "EC2", "-")),
            }
            start = chance.randrange(900, 2400)
            eni = chance.choice((NODE_ENI, DB_ENI, "eni-old", "-"))
            both = [
                joined(
                    events,
                    start,
                    start + 60,
                    **egress(eni, (ip, local)[src], (ip, local)[dst], **fields),
                )
                for ip in (one, stand_in.asked)
            ]
            ips = [str(ip_address(ip)) for ip in (one, stand_in.asked)]
            renamed = [
                tuple(replace(end, ip="x" if end.ip == ip else end.ip) for end in (found.src, found.dst))
                for found, ip in zip(both, ips, strict=True)
            ]
            assert renamed[0] == renamed[1]
            assert (both[0].bounds, both[0].local) == (both[1].bounds, both[1].local)


STORIES = (
    "reused-in-3-seconds",
    "stolen-address",
    "two-vpcs",
    "eni-outlives-instance",
    "hole-in-the-logs",
    "pod-behind-an-address",
)
SAYS_LEAST = (Verdict.CERTAIN, Verdict.FREE, Verdict.LIKELY, Verdict.AMBIGUOUS, Verdict.UNKNOWN)


@pytest.mark.parametrize("story", STORIES)
def test_an_end_is_never_surer_than_who_is_in_any_second(story: str) -> None:
    case = cnitrail.read(FIXTURES / story)
    index = HolderIndex(case.history, case.coverage)
    ends = FlowEnds(case.history, index)
    chance = random.Random(story)
    leases = [lease for lease in case.history.leases if lease.start.time and "/" not in str(lease.held)]
    checked = 0
    for _ in range(60):
        lease = chance.choice(leases)
        bound = chance.choice([time for time in (lease.start.time, lease.end.time) if time])
        first = int(bound.timestamp()) + chance.randrange(-40, 10)
        last = first + chance.randrange(0, 40)
        eni = chance.choice(leases).eni
        vpc = case.history.interfaces[eni].vpc
        key = FlowKey(interface=eni, src="192.0.2.1", dst=str(lease.held), pkt_dst=str(lease.held))
        end = ends.join(key, first, last).dst
        wanted = Filter(vpc=(vpc,)) if vpc else Filter()
        answers = [
            index.who(ip_address(str(lease.held)), time_of(second), wanted)
            for second in range(first, last + 1)
        ]
        worst = max((answer.verdict for answer in answers), key=SAYS_LEAST.index)
        assert SAYS_LEAST.index(end.verdict) >= SAYS_LEAST.index(worst) or eni in end.eni
        if end.verdict is Verdict.CERTAIN:
            assert {holder.eni for answer in answers for holder in answer.holders} == set(end.eni)
            assert all(answer.holders for answer in answers)
            checked += 1
        if end.verdict is Verdict.FREE:
            assert not any(answer.holders for answer in answers)
    assert checked or story in ("hole-in-the-logs", "two-vpcs")
