"""``pool`` on nodes of every kind: what manages their addresses, and how many they can have."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from callers import Role, iam_user, role_user
from calls import (
    Call,
    Eni,
    Instance,
    assign,
    assign_ipv6_prefix,
    assign_named,
    assign_prefix,
    attach,
    create_network_interface,
    run_instances,
)
from cni import adds_eni, launch, node_tags, of_cni, signs_in
from conftest import Run, Show
from incidents import (
    ACCOUNT,
    ADA,
    AWS_NODE,
    CLI,
    CLUSTER,
    FULL,
    GO,
    LIMIT,
    NODE,
    NODE_ROLE,
    OTHER_NODE,
    REGION,
    SUBNET,
    Incident,
    asks,
    cilium,
    cni,
    controller,
    creation_refused,
    node,
    of_cilium,
    refused,
    second,
)
from stories import STORIES

from cnitrail.answers.filters import Filter
from cnitrail.answers.pool import PoolOptions, Settings, count_instances, pool
from cnitrail.limits import limits_of
from cnitrail.model import Answer, Coverage, Hole, HoleReason, Manager, Reach, Strength
from cnitrail.model.pool import PodEnis, PoolEntry
from cnitrail.render.chart import chart
from cnitrail.render.pool import write_table

POD_SUBNET = replace(SUBNET, id="subnet-0bbbbbbbbbbbbbbb1")


def coverage(incident: Incident, *holes: Hole, known: bool = True) -> Coverage:
    """Evidence of the whole first day, except for some holes."""
    reach = Reach(
        account=ACCOUNT,
        region=REGION,
        first=incident.time("00:00:00"),
        last=incident.time("12:00:00"),
        holes=holes,
        proven=(),
        merely_read=(),
        known=known,
    )
    return Coverage((reach,))


def pools(
    incident: Incident, *holes: Hole, wanted: Filter | None = None, known: bool = True
) -> list[PoolEntry]:
    options = PoolOptions(limits_of=limits_of, what_if=(Settings(warm_ip_target=2),))
    covered = coverage(incident, *holes, known=known)
    return pool(incident.history(), covered, wanted or Filter(), options)


def only(incident: Incident, *holes: Hole, known: bool = True) -> PoolEntry:
    (entry,) = pools(incident, *holes, known=known)
    return entry


def table(*entries: PoolEntry) -> str:
    """The table of some entries, as it is piped."""
    out = io.StringIO()
    write_table(Answer(command="pool", query={}, evidence=None, entries=entries), out)  # type: ignore[arg-type]
    return out.getvalue()


def calls_of(entry: PoolEntry, name: str) -> tuple[int, int, int, int]:
    """How often an API was called: in all, by the CNI, failed, only claimed."""
    (count,) = (count for count in entry.calls if count.event == name)
    return count.calls, count.by_cni, count.failed, count.claimed


def launched(incident: Incident, tags: dict[str, str], instance: str = NODE) -> Eni:
    """Launch an m5.large with tags; return its primary ENI."""
    mark = instance.removeprefix("i-")
    first = Eni(f"eni-{mark}", SUBNET, "10.9.0.4", f"eni-attach-{mark}")
    launch(incident, "10:00:00", NODE_ROLE, Instance(instance, "m5.large", first, tags))
    return first


def windows_launch(incident: Incident, kind: str = "m5.large") -> Eni:
    """Launch a Windows node that EC2 describes as one."""
    mark = OTHER_NODE.removeprefix("i-")
    first = Eni(f"eni-{mark}", SUBNET, "10.9.0.9", f"eni-attach-{mark}")
    call = run_instances(Instance(OTHER_NODE, kind, first, node_tags(CLUSTER, "windows")))
    response: dict[str, Any] = json.loads(json.dumps(call.response))
    response["instancesSet"]["items"][0]["platform"] = "windows"
    ada = ADA
    incident.log("10:00:00", ada, replace(call, response=response))
    return first


def prefix_of(eni: Eni, number: int = 0) -> Call:
    return assign_prefix(eni.id, f"10.9.8.{16 * number}/28", "item")


class TestWindows:
    def story(self, *calls: Call) -> PoolEntry:
        incident = Incident()
        node(incident, "10:00:00")
        for minute, call in enumerate(calls, start=3):
            incident.log(f"10:{minute:02}:00", controller(incident), call)
        return only(incident)

    def first(self) -> Eni:
        return node(Incident(), "10:00:00")

    def test_an_m5_large_has_one_eni_with_nine_addresses_for_pods(self) -> None:
        entry = self.story(asks(self.first(), 3))
        assert entry.management is not None
        assert entry.management.manager is Manager.RESOURCE_CONTROLLER
        assert entry.limits is not None
        assert (entry.limits.enis, entry.limits.pool, entry.limits.max_pods) == (1, 9, 9)
        assert (entry.limits.prefix_pool, entry.limits.addresses) == (144, 10)
        assert (entry.capacity, entry.size[-1].pool) == (9, 3)

    def test_with_prefixes_it_has_144(self) -> None:
        entry = self.story(prefix_of(self.first()))
        assert (entry.capacity, entry.size[-1].pool) == (144, 16)
        assert "144 for pods in prefixes (9 without)" in table(entry)

    @pytest.mark.parametrize(
        ("kind", "pool", "prefix_pool"),
        [("t3.medium", 5, 80), ("c5.18xlarge", 49, 784), ("p4d.24xlarge", 49, 784), ("t2.medium", 5, 0)],
    )
    def test_every_type_has_the_addresses_of_one_eni(self, kind: str, pool: int, prefix_pool: int) -> None:
        incident = Incident()
        first = windows_launch(incident, kind)
        incident.log("10:03:00", controller(incident), asks(first, 3))
        limits = only(incident).limits
        assert limits is not None
        assert (limits.enis, limits.pool, limits.prefix_pool, limits.max_pods) == (1, pool, prefix_pool, pool)

    def test_the_report_has_the_same_limit(self, run: Run, tmp_path: Path) -> None:
        incident = Incident()
        incident.log("10:03:00", controller(incident), asks(node(incident, "10:00:00"), 3))
        evidence = tmp_path / "records.json"
        evidence.write_text(json.dumps({"Records": incident._records}))
        text = run("report", str(evidence), "-q").stdout
        assert "at most 4 of 10 IPs, 4 at the end (m5.large: 1 ENI with 10 IPs)" in text
        assert "4 of at most 10 IPs (m5.large)" in text

    def test_a_type_without_prefixes_has_none(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00", kind="m4.large")
        incident.log("10:03:00", controller(incident), asks(first, 3))
        entry = only(incident)
        assert entry.limits is not None
        assert (entry.limits.pool, entry.limits.prefix_pool) == (9, 0)
        assert "with prefixes" not in table(entry)

    def test_its_settings_are_not_concluded_and_that_is_stated(self) -> None:
        entry = self.story(asks(self.first(), 3))
        assert (entry.settings, entry.batches, entry.what_if) == ((), (), ())
        text = table(entry)
        assert "addresses given by the VPC resource controller: a Windows node" in text
        assert "warm-ip-target, minimum-ip-target and warm-prefix-target" in text
        assert "are not concluded from its calls" in text
        assert "WARM_IP_TARGET" not in text
        assert "VPC CNI" not in text

    def test_windows_in_a_cluster_of_the_vpc_cni_needs_no_call(self) -> None:
        incident = Incident()
        incident.log("10:01:00", cni(incident), asks(node(incident, "10:00:00"), 9))
        windows_launch(incident)
        entry = next(entry for entry in pools(incident) if entry.instance == OTHER_NODE)
        assert entry.management is not None
        assert (entry.management.manager, entry.management.basis) == (Manager.RESOURCE_CONTROLLER, "platform")
        assert entry.management.strength is Strength.CLAIMED
        assert (entry.platform, entry.capacity) == ("windows", 9)
        assert "m5.large (Windows): 1 ENI with 10 addresses, 9 for pods" in table(entry)

    def test_windows_in_a_cluster_of_openshift_is_nobody_s(self) -> None:
        incident = Incident()
        operator = iam_user(ACCOUNT, "quay-x7k2p-openshift-cloud-network-abcde", "203.0.113.44", GO)
        first = node(incident, "10:00:00")
        incident.log("10:05:00", operator, assign_named(first.id, "10.9.0.60"))
        windows_launch(incident)
        entry = next(entry for entry in pools(incident) if entry.instance == OTHER_NODE)
        assert entry.management is not None
        assert entry.management.manager is Manager.UNKNOWN
        assert entry.capacity is None


class TestVpcCni:
    def story(self, *, subnet: str = SUBNET.id, first_call: Call | None = None) -> Incident:
        """A node whose CNI fills a second ENI, and does nothing or one call to the primary one."""
        incident = Incident()
        node(incident, "10:00:00")
        if first_call is not None:
            incident.log("10:00:30", cni(incident), first_call)
        at = incident.time("10:01:00")
        eni = replace(second(), subnet=replace(SUBNET, id=subnet))
        eni = replace(of_cni(eni, NODE, at), secondaries=tuple(f"10.9.3.{number}" for number in range(1, 10)))
        adds_eni(incident, ("10:01:00", "10:01:01", "10:01:02"), cni(incident), eni, NODE)
        return incident

    def test_an_m5_large_has_three_enis_with_27_addresses_for_pods(self) -> None:
        incident = Incident()
        incident.log("10:01:00", cni(incident), asks(node(incident, "10:00:00"), 9))
        entry = only(incident)
        assert entry.limits is not None
        assert (entry.limits.pod_enis, entry.limits.pool, entry.limits.max_pods) == (PodEnis.ALL, 27, 29)
        assert entry.capacity == 27
        assert "addresses assigned by the VPC CNI (shown by API calls)" in table(entry)

    @pytest.mark.parametrize(
        ("kind", "pool", "prefix_pool"),
        [
            ("t3.medium", 15, 240),
            ("c5.18xlarge", 735, 11_760),
            ("p4d.24xlarge", 735, 11_760),
            ("t2.medium", 15, 0),
        ],
    )
    def test_other_types_have_the_limits_of_their_default_network_card(
        self, kind: str, pool: int, prefix_pool: int
    ) -> None:
        incident = Incident()
        incident.log("10:01:00", cni(incident), asks(node(incident, "10:00:00", kind=kind), 2))
        limits = only(incident).limits
        assert limits is not None
        assert (limits.pool, limits.prefix_pool, limits.max_pods) == (pool, prefix_pool, pool + 2)

    def test_a_type_of_unknown_limits_has_no_capacity(self) -> None:
        incident = Incident()
        incident.log("10:01:00", cni(incident), asks(node(incident, "10:00:00", kind="x9.large"), 2))
        entry = only(incident)
        assert (entry.limits, entry.capacity) == (None, None)
        assert "the limits of x9.large are unknown" in table(entry)

    def test_with_custom_networking_the_primary_eni_does_not_count(self) -> None:
        entry = only(self.story())
        assert entry.limits is not None
        assert (entry.limits.enis, entry.limits.pod_enis) == (3, PodEnis.SECONDARY)
        assert (entry.limits.pool, entry.limits.prefix_pool, entry.limits.max_pods) == (18, 288, 20)
        assert "the primary ENI has no addresses for pods (custom networking)" in table(entry)

    def test_an_eniconfig_with_its_own_subnet_shows_it_in_any_export(self) -> None:
        assert only(self.story(subnet=POD_SUBNET.id), known=False).capacity == 18

    def test_an_export_that_may_lack_calls_does_not_show_it(self) -> None:
        assert only(self.story(), known=False).capacity == 27

    def test_a_log_gap_before_the_call_does_not_show_it(self) -> None:
        incident = self.story()
        assert only(incident, hole(incident, "10:00:10", "10:00:50")).capacity == 27

    def test_a_refused_call_about_the_primary_eni_shows_that_it_is_used(self) -> None:
        first = node(Incident(), "10:00:00")
        assert only(self.story(first_call=refused(asks(first, 9), FULL))).capacity == 27

    def test_with_prefixes_the_capacity_is_that_of_prefixes(self) -> None:
        incident = Incident()
        incident.log("10:01:00", cni(incident), prefix_of(node(incident, "10:00:00")))
        entry = only(incident)
        assert (entry.capacity, entry.size[-1].pool) == (432, 16)
        assert "432 for pods in prefixes (27 without)" in table(entry)
        assert "max-pods" not in table(entry)

    def test_with_ipv6_there_is_no_pool_and_a_sentence_instead_of_a_chart(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:00", cni(incident), assign_ipv6_prefix(first.id, "2001:db8:1:2:3::/80"))
        entry = only(incident)
        assert entry.no_pool is not None
        assert entry.no_pool.code == "ipv6-pods"
        assert (entry.capacity, entry.settings, entry.what_if) == (None, (), ())
        text = table(entry)
        assert text.count("its pods have IPv6 addresses: one /80 prefix, and no warm pool") == 1
        assert "for pods" not in text
        assert "┤" not in text


class TestOthers:
    def cilium_node(self) -> Incident:
        incident = Incident()
        node(incident, "10:00:00")
        eni = of_cilium(replace(second(), secondaries=("10.9.3.1", "10.9.3.2", "10.9.3.3")))
        incident.log("10:01:00", cilium(incident), create_network_interface(eni))
        incident.log("10:01:01", cilium(incident), attach(eni, NODE, 1, card=0))
        return incident

    def test_there_is_nothing_to_explain_on_a_node_of_cilium(self) -> None:
        entry = only(self.cilium_node())
        assert entry.management is not None
        assert entry.management.manager is Manager.CILIUM
        assert (entry.settings, entry.batches, entry.what_if, entry.capacity) == ((), (), (), None)
        assert [unsettled.because.code for unsettled in entry.unsettled] == ["other-manager"]
        text = table(entry)
        assert "addresses assigned by Cilium (shown by the description of its ENIs)" in text
        assert "not managed by the VPC CNI: nothing to explain (Cilium assigns its addresses)" in text
        assert "max-pods" not in text
        assert "BY VPC CNI" not in text

    def test_its_size_over_time_is_still_drawn(self) -> None:
        entry = only(self.cilium_node())
        assert [size.pool for size in entry.size] == [0, 3]
        assert "┤" in table(entry)

    def test_there_is_nothing_to_explain_on_a_node_of_eks_auto_mode(self) -> None:
        incident = Incident()
        launched(incident, {"eks:eks-cluster-name": CLUSTER})
        tags = {"eks:eks-cluster-name": CLUSTER, "eks:kubernetes-cni-node-name": NODE}
        eni = replace(second(), tags=tags, prefixes=("10.9.8.0/28",))
        role = role_user(Role(ACCOUNT, "cluster"), "x", incident.time("00:00:00"), "198.51.100.9", GO)
        incident.log("10:01:00", role, create_network_interface(eni))
        incident.log("10:01:01", role, attach(eni, NODE, 1, card=0))
        entry = only(incident)
        text = table(entry)
        assert "addresses assigned by EKS Auto Mode (suggested by tags)" in text
        assert "not managed by the VPC CNI: nothing to explain" in text
        assert "27" not in text
        assert entry.size[-1].pool == 16

    def test_an_egress_address_of_openshift_is_no_address_for_pods(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00", cluster="quay-x7k2p")
        operator = iam_user(ACCOUNT, "quay-x7k2p-openshift-cloud-network-abcde", "203.0.113.44", GO)
        incident.log("10:05:00", operator, assign_named(first.id, "10.9.0.60"))
        text = table(only(incident))
        assert "addresses assigned by OpenShift" in text
        assert "secondary addresses\n" in text
        assert "for pods" not in text

    def test_a_node_of_karpenter_without_any_call_is_explained_by_nothing(self) -> None:
        incident = Incident()
        launched(incident, {"karpenter.sh/nodepool": "default", f"kubernetes.io/cluster/{CLUSTER}": "owned"})
        text = table(only(incident))
        assert "launched by Karpenter; what manages its addresses is unknown" in text
        assert "the evidence does not show what assigns its addresses): nothing to explain" in text
        assert "for pods (" not in text

    def test_a_node_of_which_nothing_is_known_claims_nothing(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        entry = only(incident)
        text = table(entry)
        assert "what manages its addresses is unknown" in text
        assert "not known to be managed by the VPC CNI" in text
        assert (entry.capacity, entry.what_if) == (None, ())

    def test_several_nodes_of_different_managers_are_told_apart(self) -> None:
        incident = self.cilium_node()
        other = node(incident, "10:00:00", OTHER_NODE, cluster="mole")
        incident.log("10:02:00", cni(incident, OTHER_NODE), asks(other, 9))
        together, *nodes = pools(incident)
        assert together.management is None
        text = table(together, *nodes)
        assert "different managers assign the addresses of these nodes" in text
        assert "not managed by the VPC CNI: Cilium" in text


class TestNodes:
    def database(self) -> tuple[Incident, Eni]:
        incident = Incident()
        first = launched(incident, {"Name": "postgres-a"})
        pacemaker = role_user(
            Role(ACCOUNT, "postgres"), NODE, incident.time("00:00:00"), "203.0.113.5", "Boto3/1.34.20"
        )
        incident.log("10:05:00", pacemaker, assign_named(first.id, "10.9.0.50", reassign=True))
        return incident, first

    def test_an_instance_that_is_no_node_is_not_listed(self) -> None:
        incident, _ = self.database()
        assert pools(incident) == []
        count = count_instances(incident.history())
        assert (count.nodes, count.others) == (0, 1)

    def test_it_is_shown_if_it_is_named_with_a_plain_sentence(self) -> None:
        incident, _ = self.database()
        (entry,) = pools(incident, wanted=Filter(instance=(NODE,)))
        assert (entry.is_node, entry.capacity, entry.what_if) == (False, None, ())
        text = table(entry)
        assert text.count("not a Kubernetes node") == 1
        assert "secondary addresses\n" in text

    def test_it_does_not_count_among_the_nodes(self) -> None:
        incident, _ = self.database()
        other = node(incident, "10:00:00", OTHER_NODE)
        incident.log("10:02:00", cni(incident, OTHER_NODE), asks(other, 9))
        (entry,) = pools(incident)
        assert entry.instance == OTHER_NODE
        named = pools(incident, wanted=Filter(instance=(NODE, OTHER_NODE)))
        assert [found.instance for found in named] == [NODE, OTHER_NODE]

    def test_an_instance_without_tags_on_which_the_cni_acts_is_a_node(self) -> None:
        incident = Incident()
        incident.log("10:01:00", cni(incident), asks(launched(incident, {}), 9))
        assert only(incident).is_node

    def test_an_empty_answer_explains_itself(self, run: Run, tmp_path: Path) -> None:
        incident, _ = self.database()
        evidence = tmp_path / "records.json"
        evidence.write_text(json.dumps({"Records": incident._records}))
        result = run("pool", str(evidence))
        assert result.stdout == ""
        assert "no Kubernetes nodes in the evidence; 1 other instance (--instance shows one)" in result.stderr

    def test_an_empty_answer_of_a_filter_names_the_nodes_that_there_are(self, run: Run) -> None:
        result = run("pool", "ironman", "--cluster", "ironman")
        assert "no matching Kubernetes nodes, of 1 node in the evidence" in result.stderr

    def test_what_if_without_a_pool_of_the_cni_is_a_warning(self, run: Run, tmp_path: Path) -> None:
        incident = TestOthers().cilium_node()
        evidence = tmp_path / "records.json"
        evidence.write_text(json.dumps({"Records": incident._records}))
        result = run("pool", str(evidence), "--what-if", "WARM_IP_TARGET=2")
        assert "warning: --what-if simulates the VPC CNI: no node that is shown has a pool" in result.stderr


class TestFailedCalls:
    def test_a_pool_that_never_grew_says_what_ec2_refused(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00", kind="g4dn.16xlarge")
        for minute in range(1, 13):
            incident.log(f"10:{minute:02}:00", cni(incident), refused(asks(first, 49), LIMIT))
        entry = only(incident)
        assert entry.no_pool is not None
        assert entry.no_pool.code == "all-requests-refused"
        assert entry.no_pool.text == (
            "EC2 refused all 12 requests (PrivateIpAddressLimitExceeded): each asked for 49 addresses, "
            "and an ENI of g4dn.16xlarge can have 15 with its primary address; the pool never grew"
        )
        assert calls_of(entry, "AssignPrivateIpAddresses") == (12, 12, 12, 0)
        assert "┤" not in table(entry)

    def test_a_pool_that_grew_before_has_a_chart(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:00", cni(incident), asks(first, 9))
        incident.log("10:02:00", cni(incident), refused(asks(first, 9), LIMIT))
        entry = only(incident)
        assert entry.no_pool is None
        assert "┤" in table(entry)

    def test_a_node_without_any_request_has_no_refusal(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        entry = only(incident)
        assert entry.no_pool is not None
        assert entry.no_pool.text == "no addresses for pods in the evidence"

    def test_a_failed_creation_with_the_mark_of_the_cni_is_the_node_s(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        caller = signs_in(incident, "10:00:30", AWS_NODE, 7)
        eni = of_cni(second(), NODE, incident.time("10:01:00"))
        incident.log("10:01:00", caller, creation_refused(eni, 9, FULL))
        entry = only(incident)
        assert calls_of(entry, "CreateNetworkInterface") == (1, 1, 1, 0)
        assert entry.no_pool is not None
        assert "the only request (InsufficientFreeAddressesInSubnet)" in entry.no_pool.text

    def test_a_failed_creation_shows_a_node_that_is_older_than_the_evidence(self) -> None:
        incident = Incident()
        caller = signs_in(incident, "10:00:30", AWS_NODE, 7)
        eni = of_cni(second(), NODE, incident.time("10:01:00"))
        incident.log("10:01:00", caller, creation_refused(eni, 9, FULL))
        entry = only(incident)
        assert (entry.instance, entry.complete, entry.size) == (NODE, False, ())

    def test_a_failed_request_shows_a_node_whose_eni_is_older_than_the_evidence(self) -> None:
        incident = Incident()
        incident.log("10:01:00", cni(incident), refused(asks(second(), 9), FULL))
        entry = only(incident)
        assert (entry.instance, entry.complete, entry.size) == (NODE, False, ())
        assert calls_of(entry, "AssignPrivateIpAddresses") == (1, 1, 1, 0)
        assert "addresses assigned by the VPC CNI (shown by API calls)" in table(entry)

    def test_a_failed_request_of_another_program_on_a_node_shows_none(self) -> None:
        incident = Incident()
        incident.log("10:01:00", cni(incident, agent=CLI), refused(asks(second(), 9), FULL))
        assert pools(incident) == []

    def test_a_failed_creation_for_a_node_of_cilium_is_claimed(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        operator = cilium(incident)
        incident.log("10:01:00", operator, creation_refused(of_cilium(second()), 9, FULL))
        entry = only(incident)
        assert calls_of(entry, "CreateNetworkInterface") == (1, 0, 1, 1)
        assert "1 of these calls names the node only in a description or tag" in table(entry)

    def test_a_description_alone_makes_no_node(self) -> None:
        incident = Incident()
        ada = ADA
        eni = of_cni(second(), NODE, incident.time("10:01:00"))
        incident.log("10:01:00", ada, creation_refused(eni, 9, FULL))
        assert pools(incident) == []

    def test_what_somebody_writes_about_a_node_is_not_the_cni_s(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        ada = ADA
        eni = of_cni(second(), NODE, incident.time("10:01:00"))
        incident.log("10:01:00", ada, creation_refused(eni, 9, FULL))
        assert calls_of(only(incident), "CreateNetworkInterface") == (1, 0, 1, 1)

    def test_the_calls_of_cilium_are_not_the_cni_s(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00")
        incident.log("10:01:00", cni(incident), asks(first, 4))
        incident.log("11:00:00", cilium(incident), assign(first.id, "10.9.7.1", "10.9.7.2"))
        entry = only(incident)
        assert calls_of(entry, "AssignPrivateIpAddresses") == (2, 1, 0, 0)
        assert all(period.pool_after == 4 for period in entry.settings)


def hole(incident: Incident, since: str, until: str, reason: HoleReason = HoleReason.GAP) -> Hole:
    return Hole(incident.time(since), incident.time(until), reason=reason)


class TestGaps:
    def story(self) -> Incident:
        incident = Incident()
        incident.log("10:01:00", cni(incident), asks(node(incident, "10:00:00"), 9))
        return incident

    def test_a_log_gap_is_drawn_and_named(self) -> None:
        incident = self.story()
        entry = only(incident, hole(incident, "10:30:00", "11:00:00"))
        (gap,) = entry.gaps
        assert (gap.since, gap.until) == (incident.time("10:30:00"), incident.time("11:00:00"))
        assert gap.because.code == "log-gap"
        text = table(entry)
        assert "█░░" in text
        assert "░█" in text
        assert "\n░ no logs from 2026-03-02 10:30:00Z to 2026-03-02 11:00:00Z\n" in text

    def test_without_a_gap_nothing_is_drawn(self) -> None:
        entry = only(self.story())
        assert entry.gaps == ()
        assert "░" not in table(entry)

    def test_a_gap_before_the_launch_is_not_the_node_s(self) -> None:
        incident = self.story()
        assert only(incident, hole(incident, "08:00:00", "09:00:00")).gaps == ()

    def test_a_gap_is_cut_to_the_life_of_the_node_and_to_what_is_asked_for(self) -> None:
        incident = self.story()
        around = hole(incident, "09:00:00", "11:00:00")
        assert only(incident, around).gaps[0].since == incident.time("10:00:00")
        (entry,) = pools(incident, around, wanted=Filter(until=incident.time("10:30:00")))
        assert entry.gaps[0].until == incident.time("10:30:00")

    def test_a_missing_log_file_is_named_as_such(self) -> None:
        incident = self.story()
        entry = only(incident, hole(incident, "10:30:00", "10:35:00", HoleReason.MISSING))
        assert "░ a log file is missing (events from 2026-03-02 10:30:00Z" in table(entry)

    def test_many_gaps_are_counted(self) -> None:
        incident = self.story()
        gaps = [hole(incident, f"10:{minute}:00", f"10:{minute}:30") for minute in range(20, 28)]
        assert "░ and 3 more gaps in the logs until 2026-03-02 10:27:30Z" in table(only(incident, *gaps))

    def test_several_nodes_together_have_the_gaps_of_their_region(self) -> None:
        incident = self.story()
        other = node(incident, "10:00:00", OTHER_NODE)
        incident.log("10:02:00", cni(incident, OTHER_NODE), asks(other, 9))
        together, *_ = pools(incident, hole(incident, "10:30:00", "11:00:00"))
        assert (together.instance, len(together.gaps)) == (None, 1)

    def test_a_gap_in_an_empty_pool_is_named_without_a_chart(self) -> None:
        incident = Incident()
        node(incident, "10:00:00")
        text = table(only(incident, hole(incident, "10:30:00", "11:00:00")))
        assert "no logs from 2026-03-02 10:30:00Z" in text
        assert "┤" not in text


class TestWords:
    def test_ranges_read_as_ranges(self, run: Run) -> None:
        text = run("pool", "ironman", "-q").stdout
        assert "WARM_IP_TARGET 0 to 17, MINIMUM_IP_TARGET=18" in text
        assert "WARM_ENI_TARGET 3 or more" in text
        assert "=0.." not in text
        assert "0+" not in text

    def test_adjacent_values_with_the_same_condition_share_a_line(self, run: Run) -> None:
        text = run("pool", "two-vpcs", "-q").stdout
        assert "WARM_PREFIX_TARGET=1 (default)\n" in text
        assert "WARM_PREFIX_TARGET 2 or more\n" in text
        assert "WARM_PREFIX_TARGET=2" not in text

    @pytest.mark.parametrize("width", [80, 120])
    @pytest.mark.parametrize("story", STORIES)
    def test_no_line_is_longer_than_its_terminal(self, show: Show, story: str, width: int) -> None:
        lines = show(width, "pool", story, "-q", "--what-if", "WARM_IP_TARGET=2").splitlines()
        assert max(map(len, lines), default=0) <= width

    def test_a_piped_sentence_is_one_line(self) -> None:
        incident = Incident()
        first = node(incident, "10:00:00", kind="g4dn.16xlarge")
        incident.log("10:01:00", cni(incident), refused(asks(first, 49), LIMIT))
        assert "\nEC2 refused the only request (PrivateIpAddressLimitExceeded): it asked for 49" in table(
            only(incident)
        )


def test_a_chart_as_wide_as_its_limit_is_no_wider() -> None:
    start = datetime(2026, 3, 2, tzinfo=UTC)
    points = [(start, 5), (start + timedelta(hours=1), 20)]
    for limit in (20, 27, 41, None):
        drawn = chart(points, start + timedelta(hours=2), limit, 80, unicode=True)
        assert max(map(len, drawn)) == 80
