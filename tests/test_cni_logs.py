"""The VPC CNI's logs: every form of their lines, by the releases that write it."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address, ip_network
from pathlib import Path

import cni_logs as cni
import pytest
from conftest import Run
from hypothesis import given
from hypothesis import strategies as st

from cnitrail.decode import MARKERS, NAMES, pod_markers
from cnitrail.decode.pods import cni_log
from cnitrail.decode.pods.markers import CNI_LOG
from cnitrail.model.pod_facts import (
    AddressFreed,
    EniListed,
    IpamdStarted,
    NodeNamed,
    PodFact,
    SandboxAssigned,
    SandboxNamed,
    SandboxReleased,
)
from cnitrail.model.pods import PodName
from cnitrail.scan import Part, Scanner, Tally
from cnitrail.scan.cni_lines import is_cni_log
from cnitrail.scan.pod_forms import cni_record
from cnitrail.scan.pod_heads import minute_of

TIME = "2026-05-14T09:30:00.123Z"
WRITTEN = datetime(2026, 5, 14, 9, 30, 0, 123000, UTC)
SANDBOX = "d78e79e2f3c65976885cf228da933b8d35471497f1bdfacbff8d24644f175222"
ENI = "eni-0a1b2c3d4e5f60718"
UID = "a94b7427-7856-4dc4-844c-8a426631e99d"
NAME = "web-6d4cf56db6-x2x7k"
POD = PodName("shop", NAME)
V4, V6 = ip_address("192.168.34.201"), ip_address("2001:db8:0:1::a1")

REQUEST = (
    f'K8S_POD_NAME:"{NAME}" K8S_POD_NAMESPACE:"shop" K8S_POD_INFRA_CONTAINER_ID:"{SANDBOX}" '
    f'ContainerID:"{SANDBOX}" IfName:"eth0" NetworkName:"aws-cni" '
)
ARGUMENTS = f"IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME={NAME};K8S_POD_INFRA_CONTAINER_ID={SANDBOX}"
AWS_NODE: dict[str, str | None] = {
    "pod_name": "aws-node-x7k2p",
    "namespace_name": "kube-system",
    "container_name": "aws-node",
    "host": "ip-10-0-0-1.ec2.internal",
}

assigned = SandboxAssigned(ip=V4, sandbox=SANDBOX)
assigned_to_pod = SandboxAssigned(ip=V4, sandbox=SANDBOX, pod=POD)
released = SandboxReleased(ip=V4, sandbox=SANDBOX)
released_by_pod = SandboxReleased(ip=V4, sandbox=SANDBOX, pod=POD)
named = SandboxNamed(sandbox=SANDBOX, pod=POD)
given_back = SandboxNamed(sandbox=SANDBOX, pod=POD, released=True)

FORMS: tuple[tuple[str, str, tuple[PodFact, ...]], ...] = (
    (
        "ipamd 1.0-1.4",
        f"AssignPodIPv4Address Assign IP {V4} to pod (name {NAME}, namespace shop container {SANDBOX})",
        (assigned_to_pod,),
    ),
    (
        "ipamd 1.5",
        f"AssignPodIPv4Address: Assign IP {V4} to pod (name {NAME}, namespace shop container {SANDBOX})",
        (assigned_to_pod,),
    ),
    (
        "ipamd 1.6",
        f"AssignPodIPv4Address: Assign IP {V4} to pod (name {NAME}, namespace shop sandbox {SANDBOX})",
        (assigned_to_pod,),
    ),
    (
        "ipamd 1.7-1.15",
        f"AssignPodIPv4Address: Assign IP {V4} to sandbox aws-cni/{SANDBOX}/eth0",
        (assigned,),
    ),
    (
        "ipamd 1.7, of before the update",
        f"AssignPodIPv4Address: Assign IP {V4} to sandbox _migrated-from-cri/{SANDBOX}/unknown",
        (assigned,),
    ),
    (
        "ipamd 1.10-1.15, IPv6",
        f"AssignPodIPv4Address: Assign IP {V6} to sandbox aws-cni/{SANDBOX}/eth0",
        (SandboxAssigned(ip=V6, sandbox=SANDBOX),),
    ),
    (
        "ipamd 1.16-1.19",
        f"assignPodIPAddressUnsafe: Assign IP {V4} to sandbox aws-cni/{SANDBOX}/eth0",
        (assigned,),
    ),
    (
        "ipamd 1.20-1.23",
        (
            f"assignPodIPAddressUnsafe: Assign IP {V4} to sandbox aws-cni/{SANDBOX}/eth0"
            f" with metadata {{K8SPodNamespace:shop K8SPodName:{NAME} InterfacesCount:1}}"
        ),
        (assigned_to_pod,),
    ),
    (
        "ipamd 1.20-1.23, of a checkpoint without metadata",
        (
            f"assignPodIPAddressUnsafe: Assign IP {V4} to sandbox aws-cni/{SANDBOX}/eth0"
            " with metadata {K8SPodNamespace: K8SPodName: InterfacesCount:0}"
        ),
        (assigned,),
    ),
    (
        "ipamd 1.0-1.6, a repeated request",
        (
            f"AssignPodIPv4Address: duplicate pod assign for IP {V4}, name {NAME}, namespace shop,"
            f" container {SANDBOX}"
        ),
        (SandboxNamed(sandbox=SANDBOX, pod=POD, ip=V4),),
    ),
    (
        "ipamd 1.0-1.4",
        (
            f"UnAssignIPv4Address: pod (Name: {NAME}, NameSpace shop Container {SANDBOX})'s ipAddr {V4},"
            " DeviceNumber0"
        ),
        (released_by_pod,),
    ),
    (
        "ipamd 1.5",
        (
            f"UnassignPodIPv4Address: pod (Name: {NAME}, NameSpace shop Container {SANDBOX})'s ipAddr {V4},"
            " DeviceNumber0"
        ),
        (released_by_pod,),
    ),
    (
        "ipamd 1.6",
        (
            f"UnassignPodIPv4Address: pod (Name: {NAME}, NameSpace shop Sandbox {SANDBOX})'s ipAddr {V4},"
            " DeviceNumber2"
        ),
        (released_by_pod,),
    ),
    (
        "ipamd 1.7-1.9",
        f"UnAssignPodIPv4Address: Unassign IP {V4} from sandbox aws-cni/{SANDBOX}/eth0",
        (released,),
    ),
    (
        "ipamd 1.10-1.15",
        f"UnAssignPodIPAddress: Unassign IP {V4} from sandbox aws-cni/{SANDBOX}/eth0",
        (released,),
    ),
    (
        "ipamd 1.16-1.23",
        f"unassignPodIPAddressUnsafe: Unassign IP {V4} from sandbox aws-cni/{SANDBOX}/eth0",
        (released,),
    ),
    (
        "ipamd 1.10-1.23, IPv6",
        f"unassignPodIPAddressUnsafe: Unassign IP {V6} from sandbox aws-cni/{SANDBOX}/eth0",
        (SandboxReleased(ip=V6, sandbox=SANDBOX),),
    ),
    (
        "ipamd 1.7-1.9, the end of the release",
        f"UnassignPodIPv4Address: sandbox aws-cni/{SANDBOX}/eth0's ipAddr {V4}, DeviceNumber 0",
        (),
    ),
    (
        "ipamd 1.10-1.23, the end of the release",
        f"UnassignPodIPAddress: sandbox aws-cni/{SANDBOX}/eth0's ipAddr {V4}, DeviceNumber 0",
        (),
    ),
    (
        "ipamd 1.7-1.23, after a restart",
        f"Recovered aws-cni/{SANDBOX}/eth0 => {ENI}/{V4}",
        (SandboxAssigned(ip=V4, sandbox=SANDBOX, recovered=True), EniListed(eni=ENI, held=V4)),
    ),
    (
        "ipamd 1.0-1.5, after a restart",
        f"Recovered AddNetwork for Pod {NAME}, Namespace shop, Container {SANDBOX}",
        (named,),
    ),
    (
        "ipamd 1.6, after a restart",
        f"Recovered AddNetwork for Pod {NAME}, Namespace shop, Sandbox {SANDBOX}",
        (named,),
    ),
    (
        "ipamd 1.0-1.6, after a restart: it does not name the container",
        f"AssignPodIPv4Address: Reassign IP {V4} to pod (name {NAME}, namespace shop)",
        (),
    ),
    (
        "ipamd 1.0-1.5",
        (
            f"Received AddNetwork for NS /proc/28470/ns/net, Pod {NAME}, NameSpace shop, Container {SANDBOX},"
            " ifname eth0"
        ),
        (named,),
    ),
    (
        "ipamd 1.6",
        (
            f"Received AddNetwork for NS /proc/28470/ns/net, Pod {NAME}, NameSpace shop, Sandbox {SANDBOX},"
            " ifname eth0"
        ),
        (named,),
    ),
    (
        "ipamd 1.0-1.5",
        f"Received DelNetwork for IP <nil>, Pod {NAME}, Namespace shop, Container {SANDBOX}",
        (given_back,),
    ),
    (
        "ipamd 1.6",
        f"Received DelNetwork for IP {V4}, Pod {NAME}, Namespace shop, Sandbox {SANDBOX}",
        (given_back,),
    ),
    (
        "ipamd 1.7-1.23, info",
        f"Received AddNetwork for NS /var/run/netns/cni-a1, Sandbox {SANDBOX}, ifname eth0",
        (),
    ),
    ("ipamd 1.7-1.11, debug", f"AddNetworkRequest: {REQUEST}", (named,)),
    ("ipamd 1.12-1.23, debug", f"AddNetworkRequest: {REQUEST.replace(' K', '  K')}", (named,)),
    ("ipamd 1.7-1.23, debug", f'DelNetworkRequest: {REQUEST}Reason:"PodDeleted"', (given_back,)),
    (
        "ipamd 1.20-1.23, debug",
        f'DelNetworkRequest: {REQUEST} K8S_POD_UID:"{UID}"',
        (SandboxNamed(sandbox=SANDBOX, pod=POD, uid=UID, released=True),),
    ),
    ("ipamd 1.7-1.9", f"Send AddNetworkReply: IPv4Addr {V4}, DeviceNumber: 0, err: <nil>", ()),
    (
        "ipamd 1.16.2-1.19",
        f"Send AddNetworkReply: IPv4Addr: {V4}, IPv6Addr: , DeviceNumber: -1, err: <nil>",
        (),
    ),
    ("ipamd 1.0-1.8", f"Added ENI({ENI})'s IP {V4} to datastore", (EniListed(eni=ENI, held=V4),)),
    ("ipamd 1.9-1.23", f"Added ENI({ENI})'s IP/Prefix {V4}/32 to datastore", (EniListed(eni=ENI, held=V4),)),
    (
        "ipamd 1.9-1.23, a prefix",
        f"Added ENI({ENI})'s IP/Prefix 192.168.34.16/28 to datastore",
        (EniListed(eni=ENI, held=ip_network("192.168.34.16/28")),),
    ),
    (
        "ipamd 1.10-1.23, an IPv6 prefix",
        f"Added ENI({ENI})'s IP/Prefix 2001:db8:0:1::/80 to datastore",
        (EniListed(eni=ENI, held=ip_network("2001:db8:0:1::/80")),),
    ),
    (
        "ipamd 1.9-1.23",
        f"Deleted ENI({ENI})'s IP/Prefix {V4}/32 from datastore",
        (EniListed(eni=ENI, held=V4, removed=True),),
    ),
    (
        "ipamd 1.22-1.23",
        f"Deleted ENI({ENI})'s IPv6 Prefix 2001:db8:0:1::/80 from datastore",
        (EniListed(eni=ENI, held=ip_network("2001:db8:0:1::/80"), removed=True),),
    ),
    ("ipamd 1.0-1.23", "Starting L-IPAMD v1.20.4  ...", (IpamdStarted(),)),
    (
        "ipamd 1.0-1.23",
        "Found instance-id: i-0123456789abcdef0 ",
        (NodeNamed(node=None, instance="i-0123456789abcdef0", basis="ipamd-log"),),
    ),
    (
        "ipamd 1.21.2-1.23",
        f"IP {V4} entering cooldown period of 30s (available after 2026-05-14T09:30:30Z)",
        (AddressFreed(ip=V4, earliest=WRITTEN, latest=WRITTEN),),
    ),
    (
        "ipamd 1.21.2-1.23",
        f"Reassigning IP {V4} (was free for 1m2s)",
        (
            AddressFreed(
                ip=V4, earliest=WRITTEN - timedelta(seconds=63), latest=WRITTEN - timedelta(seconds=61)
            ),
        ),
    ),
    (
        "plugin 1.0-1.23",
        (
            f"Received CNI add request: ContainerID({SANDBOX}) Netns(/proc/28470/ns/net) IfName(eth0)"
            f' Args({ARGUMENTS}) Path(/opt/cni/bin) argsStdinData({{"cniVersion":"0.3.1"}})'
        ),
        (named,),
    ),
    (
        "plugin 1.0-1.23, of containerd since 1.6",
        (
            f"Received CNI add request: ContainerID({SANDBOX}) Netns(/var/run/netns/cni-a1) IfName(eth0)"
            f" Args(K8S_POD_UID={UID};{ARGUMENTS}) Path(/opt/cni/bin) argsStdinData({{}})"
        ),
        (SandboxNamed(sandbox=SANDBOX, pod=POD, uid=UID),),
    ),
    (
        "plugin 1.0-1.23",
        (
            f"Received CNI del request: ContainerID({SANDBOX}) Netns() IfName(eth0) Args({ARGUMENTS})"
            " Path(/opt/cni/bin) argsStdinData({})"
        ),
        (given_back,),
    ),
    (
        "plugin 1.0-1.2",
        f"Received add network response for pod {NAME} namespace shop container {SANDBOX}: {V4}, table 2 ",
        (SandboxNamed(sandbox=SANDBOX, pod=POD, ip=V4),),
    ),
    (
        "plugin 1.3-1.5",
        (
            f"Received add network response for pod {NAME} namespace shop container {SANDBOX}: {V4}, table 0,"
            " external-SNAT: false, vpcCIDR: []"
        ),
        (SandboxNamed(sandbox=SANDBOX, pod=POD, ip=V4),),
    ),
    (
        "plugin 1.6",
        (
            f"Received add network response for pod {NAME} namespace shop sandbox {SANDBOX}: {V4}, table 0,"
            " external-SNAT: false, vpcCIDR: []"
        ),
        (SandboxNamed(sandbox=SANDBOX, pod=POD, ip=V4),),
    ),
    (
        "plugin 1.7-1.10.2",
        (
            f"Received add network response for container {SANDBOX} interface eth0: Success:true"
            f' IPv4Addr:"{V4}" VPCcidrs:"192.168.0.0/16" '
        ),
        (SandboxNamed(sandbox=SANDBOX, ip=V4),),
    ),
    (
        "plugin 1.10.3-1.19",
        (
            f"Received add network response from ipamd for container {SANDBOX} interface eth0: Success:true"
            f'  IPv4Addr:"{V4}"  DeviceNumber:1  VPCv4CIDRs:"192.168.0.0/16"'
        ),
        (SandboxNamed(sandbox=SANDBOX, ip=V4),),
    ),
    (
        "plugin 1.10.3-1.19, a branch ENI",
        (
            f"Received add network response from ipamd for container {SANDBOX} interface eth0: Success:true"
            f' IPv4Addr:"{V4}" DeviceNumber:-1 PodVlanId:7 PodENIMAC:"02:00:00:00:00:01"'
        ),
        (SandboxNamed(sandbox=SANDBOX, ip=V4, is_branch=True),),
    ),
    (
        "plugin 1.20-1.23, a branch ENI",
        (
            f"Received add network response from ipamd for container {SANDBOX} interface eth0: Success:true"
            f'  IPAllocationMetadata:{{IPv6Addr:"{V6}"  DeviceNumber:-1}}  VPCv6CIDRs:""  PodVlanId:7'
        ),
        (SandboxNamed(sandbox=SANDBOX, ip=V6, is_branch=True),),
    ),
    (
        "plugin 1.20-1.23",
        (
            f"Received add network response from ipamd for container {SANDBOX} interface eth0: Success:true"
            f'  IPAllocationMetadata:{{IPv4Addr:"{V4}"  RouteTableId:254}}  VPCv4CIDRs:"192.168.0.0/16"'
        ),
        (SandboxNamed(sandbox=SANDBOX, ip=V4),),
    ),
    (
        "plugin 1.7-1.23, a failure",
        f"Received add network response for container {SANDBOX} interface eth0: ",
        (),
    ),
    (
        "plugin 1.7-1.10.2",
        f"Received del network response for pod {NAME} namespace shop sandbox {SANDBOX}: Success:true",
        (given_back,),
    ),
    (
        "plugin 1.10.2-1.10.4, a branch ENI",
        f"Received del network response for pod {NAME} namespace shop sandbox {SANDBOX} with vlanId: 7",
        (given_back,),
    ),
    (
        "plugin 1.10.3-1.23",
        (
            f"Received del network response from ipamd for pod {NAME} namespace shop sandbox {SANDBOX}:"
            f' Success:true  IPv4Addr:"{V4}"'
        ),
        (given_back,),
    ),
    (
        "plugin 1.11-1.23, a branch ENI",
        (
            f"Handled CNI del request with prevResult: ContainerID({SANDBOX}) Netns() IfName(eth0)"
            f" PodNamespace(shop) PodName({NAME})"
        ),
        (given_back,),
    ),
)
"""The releases, the message, and what it says."""


def facts(message: str, caller: str = "ipamd/ipamd.go:1") -> tuple[PodFact, ...]:
    """Return what a message says."""
    return cni_log.read({"level": "info", "ts": TIME, "caller": caller, "msg": message}).facts


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        pytest.param(message, expected, id=f"{releases}: {message[:40]}")
        for releases, message, expected in FORMS
    ],
)
def test_each_release_writes_what_it_did_in_its_own_words(
    message: str, expected: tuple[PodFact, ...]
) -> None:
    assert facts(message) == expected


@pytest.mark.parametrize("message", [message for _, message, expected in FORMS if expected])
def test_a_message_with_a_fact_has_a_marker(message: str) -> None:
    assert any(marker in message for marker in CNI_LOG)


@pytest.mark.parametrize("message", [message for _, message, _ in FORMS])
def test_a_message_that_quotes_another_says_nothing(message: str) -> None:
    assert facts(f"failed: {message}") == ()


class TestRestarts:
    @pytest.mark.parametrize(
        ("line", "is_repeated"), [(358, True), (492, True), (499, False), (838, False), (1265, False)]
    )
    def test_an_assignment_that_ipamd_reads_from_its_checkpoint_is_a_repetition(
        self, line: int, is_repeated: bool
    ) -> None:
        message = f"assignPodIPAddressUnsafe: Assign IP {V4} to sandbox aws-cni/{SANDBOX}/eth0"
        expected = SandboxAssigned(ip=V4, sandbox=SANDBOX, recovered=is_repeated)
        assert facts(message, f"datastore/data_store.go:{line}") == (expected,)

    @pytest.mark.parametrize("caller", ["", "ipamd/rpc_handler.go:400", "datastore/data_store.go:9999999999"])
    def test_any_other_place_in_the_program_is_of_an_assignment(self, caller: str) -> None:
        message = f"assignPodIPAddressUnsafe: Assign IP {V4} to sandbox aws-cni/{SANDBOX}/eth0"
        assert facts(message, caller) == (assigned,)


class TestHostile:
    @pytest.mark.parametrize(
        "message",
        [
            f"AssignPodIPv4Address: Assign IP {V4} to pod (name x)'s ipAddr 10.0.0.1, namespace a …)",
            "UnassignPodIPv4Address: pod (Name: x)'s ipAddr 10.0.0.1, DeviceNumber0, NameSpace a …)",
            f"AssignPodIPv4Address: Assign IP {V4} to pod (name Web, namespace shop container {SANDBOX})",
            f"assignPodIPAddressUnsafe: Assign IP 10.0.0.999 to sandbox aws-cni/{SANDBOX}/eth0",
            f"assignPodIPAddressUnsafe: Assign IP fe80::1%eth0 to sandbox aws-cni/{SANDBOX}/eth0",
            f"assignPodIPAddressUnsafe: Assign IP {V4} to sandbox aws-cni/{SANDBOX}",
            f"assignPodIPAddressUnsafe: Assign IP {V4} to sandbox aws-cni/../../eth0",
            f"unassignPodIPAddressUnsafe: Unassign IP {V4} from sandbox aws-cni/{SANDBOX}/eth0/x",
            f'AddNetworkRequest: K8S_POD_NAME:"a/b" K8S_POD_NAMESPACE:"c" ContainerID:"{SANDBOX}"',
            f'AddNetworkRequest: K8S_POD_NAME:"a" K8S_POD_NAMESPACE:"" ContainerID:"{SANDBOX}"',
            'AddNetworkRequest: K8S_POD_NAME:"a" K8S_POD_NAMESPACE:"b" IfName:"eth0"',
            f"Received CNI add request: ContainerID({SANDBOX}) Netns() IfName(eth0) Args(K8S_POD_NAME=a)",
            "Found instance-id: i-0123 ",
            "Found instance-id: i-0123456789abcdef01 ",
            f"Added ENI({ENI})'s IP/Prefix 10.0.0.1/16 to datastore",
            f"IP {V4} released from cooldown after hms, available for reassignment",
            f"Reassigning IP {V4} (was free for 999999h)",
            f"Reassigning IP {V4} (was free for {'9' * 20}s)",
        ],
    )
    def test_what_the_cni_would_not_write_says_nothing(self, message: str) -> None:
        found = facts(message)
        assert not any(isinstance(fact, (SandboxAssigned, SandboxReleased, SandboxNamed)) for fact in found)
        assert not any(isinstance(fact, (NodeNamed, EniListed)) for fact in found)

    def test_metadata_that_kubernetes_would_refuse_name_no_pod(self) -> None:
        message = (
            f"assignPodIPAddressUnsafe: Assign IP {V4} to sandbox aws-cni/{SANDBOX}/eth0"
            " with metadata {K8SPodNamespace:shop K8SPodName:<script> InterfacesCount:1}"
        )
        assert facts(message) == (assigned,)

    @pytest.mark.parametrize("ts", [1664975743.912, "1664975743.912", "05 Oct 22 13:15 UTC", None])
    def test_a_message_with_a_fact_and_no_time_in_iso_8601_is_reported(self, ts: object) -> None:
        message = f"assignPodIPAddressUnsafe: Assign IP {V4} to sandbox aws-cni/{SANDBOX}/eth0"
        assert cni_log.read({"ts": ts, "msg": message}).problems == (
            "ts is not a time in ISO 8601; without it the line cannot be used",
        )
        assert cni_log.read({"ts": ts, "msg": "Starting the gRPC server"}).problems == ()

    @given(
        start=st.sampled_from([message for _, message, _ in FORMS]),
        cut=st.integers(0, 400),
        end=st.text(max_size=60),
    )
    def test_no_text_raises(self, start: str, cut: int, end: str) -> None:
        facts(start[:cut] + end)

    @given(entry=st.dictionaries(st.sampled_from(["level", "ts", "caller", "msg"]), st.text() | st.none()))
    def test_no_entry_raises(self, entry: dict[str, str | None]) -> None:
        cni_log.read(entry)

    @given(content=st.binary(max_size=300))
    def test_no_bytes_raise(self, content: bytes) -> None:
        cni_record(content)
        is_cni_log(content)


def story(version: str) -> list[str]:
    """Two pods, one after the other, and one that lives on; ipamd starts before them."""
    first, second, third = ("a" * 64, "b" * 64, "c" * 64)
    web, db, dns = ("shop", "web-1"), ("shop", "db-0"), ("kube-system", "coredns-x")
    day = "2026-05-14T"
    return [
        *cni.started(version, f"{day}09:00:00.000Z", "i-0123456789abcdef0"),
        cni.eni_listed(version, f"{day}09:00:01.000Z", ENI, "10.0.0.9"),
        cni.add_request(version, f"{day}09:30:00.100Z", first, web),
        cni.assign(version, f"{day}09:30:00.123Z", "10.0.0.9", first, web),
        cni.add_request(version, f"{day}09:31:00.100Z", third, dns),
        cni.assign(version, f"{day}09:31:00.123Z", "10.0.0.10", third, dns),
        cni.line(version, f"{day}09:45:00.000Z", "IP pool stats: total = 10, used = 2, c.maxIPsPerENI = 9"),
        cni.del_request(version, f"{day}10:00:00.400Z", first, web),
        cni.release(version, f"{day}10:00:00.456Z", "10.0.0.9", first, web),
        cni.released(version, f"{day}10:00:00.457Z", "10.0.0.9", first, web),
        cni.add_request(version, f"{day}10:05:00.100Z", second, db),
        cni.assign(version, f"{day}10:05:00.789Z", "10.0.0.9", second, db),
        cni.release(version, f"{day}11:00:00.001Z", "10.0.0.9", second, db),
    ]


LEASES = [
    ("10.0.0.9", "shop", "web-1", "2026-05-14T09:30:00.123000Z", "2026-05-14T10:00:00.456000Z"),
    ("10.0.0.9", "shop", "db-0", "2026-05-14T10:05:00.789000Z", "2026-05-14T11:00:00.001000Z"),
    ("10.0.0.10", "kube-system", "coredns-x", "2026-05-14T09:31:00.123000Z", None),
]


def leases(run: Run, *paths: Path) -> list[tuple[str | None, ...]]:
    """Return what ``cnitrail pods`` lists."""
    result = run("pods", *paths, "-o", "jsonl")
    assert result.exit_code == 0, result.stderr
    entries = map(json.loads, result.stdout.splitlines())
    return [tuple(entry[key] for key in ("ip", "namespace", "pod", "start", "end")) for entry in entries]


class TestWholeLogs:
    @pytest.mark.parametrize("version", cni.GENERATIONS[1:])
    def test_a_log_of_any_release_shows_who_held_which_address(
        self, run: Run, tmp_path: Path, version: str
    ) -> None:
        path = tmp_path / "ipamd.log"
        path.write_bytes(cni.log(*story(version)))
        assert leases(run, path) == LEASES

    def test_the_first_releases_write_only_seconds(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "ipamd.log"
        path.write_bytes(cni.log(*story("1.0")))
        assert leases(run, path)[0] == (
            *("10.0.0.9", "shop", "web-1"),
            *("2026-05-14T09:30:00.999999Z", "2026-05-14T10:00:00.999999Z"),
        )

    @pytest.mark.parametrize("version", ["1.5", "1.23"])
    def test_a_rotated_file_and_the_next_one_are_one_log(
        self, run: Run, tmp_path: Path, version: str
    ) -> None:
        lines = story(version)
        name = "ipamd-2026-05-14T10-00-00.000.log.gz"
        (tmp_path / name).write_bytes(gzip.compress(cni.log(*lines[:9])))
        (tmp_path / "ipamd.log").write_bytes(cni.log(*lines[7:]))
        assert leases(run, tmp_path) == LEASES

    @pytest.mark.parametrize("version", ["1.5", "1.6", "1.23"])
    @pytest.mark.parametrize(
        "envelope",
        [
            pytest.param(lambda line: line + "\r", id="windows line ends"),
            pytest.param(lambda line: f"2026-05-14T09:30:00.123456789Z stdout F {line}", id="containerd"),
            pytest.param(lambda line: f"[pod/aws-node-x7k2p/aws-node] {line}", id="kubectl logs --prefix"),
            pytest.param(
                lambda line: f"2026-05-14T09:30:00.123456789Z {line}", id="kubectl logs --timestamps"
            ),
            pytest.param(lambda line: f"logs/ipamd.log:{line}", id="grep -H"),
            pytest.param(lambda line: json.dumps({"log": line + "\n", "stream": "stdout"}), id="docker"),
            pytest.param(lambda line: json.dumps({"log": line, "kubernetes": AWS_NODE}), id="fluent-bit"),
            pytest.param(
                lambda line: json.dumps({"message": json.dumps({"log": line, "kubernetes": AWS_NODE})}),
                id="Container Insights",
            ),
            pytest.param(lambda line: json.dumps({"@message": line}), id="Logs Insights"),
        ],
    )
    def test_the_same_log_from_a_runtime_or_a_collector(
        self, run: Run, tmp_path: Path, version: str, envelope: Callable[[str], str]
    ) -> None:
        path = tmp_path / "log"
        path.write_bytes(cni.log(*map(envelope, story(version))))
        assert leases(run, path) == LEASES

    def test_merged_logs_of_fluent_bit(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "log"
        merged = ({"log_processed": json.loads(line), "kubernetes": AWS_NODE} for line in story("1.23"))
        path.write_text("".join(json.dumps(line) + "\n" for line in merged))
        assert leases(run, path) == LEASES

    @pytest.mark.parametrize("version", ["1.5", "1.23"])
    def test_what_another_pod_prints_is_no_evidence(self, run: Run, tmp_path: Path, version: str) -> None:
        path = tmp_path / "log"
        for other in ({"namespace_name": "shop"}, {"container_name": "web"}, {"namespace_name": None}):
            forged = ({"log": line, "kubernetes": AWS_NODE | other} for line in story(version))
            path.write_text("".join(json.dumps(line) + "\n" for line in forged))
            assert leases(run, path) == []

    @pytest.mark.parametrize("version", ["1.5", "1.23"])
    @pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
    def test_in_other_encodings(self, run: Run, tmp_path: Path, version: str, encoding: str) -> None:
        path = tmp_path / "ipamd.log"
        path.write_bytes(cni.log(*story(version)).decode().encode(encoding))
        assert leases(run, path) == LEASES

    @pytest.mark.parametrize("version", ["1.5", "1.23"])
    def test_lines_of_other_programs_are_passed_over(self, run: Run, tmp_path: Path, version: str) -> None:
        path = tmp_path / "ipamd.log"
        lines = story(version)
        path.write_bytes(cni.log("Copying CNI plugin binaries ...", *lines[:5], "panic: oops", *lines[5:]))
        assert leases(run, path) == LEASES

    @pytest.mark.parametrize("version", ["1.5", "1.23"])
    def test_a_line_that_is_cut_is_said_if_it_may_matter(
        self, run: Run, tmp_path: Path, version: str
    ) -> None:
        path = tmp_path / "ipamd.log"
        lines = story(version)
        path.write_bytes(cni.log(lines[4][30:], *lines[5:]))
        result = run("pods", path, "-o", "jsonl")
        assert result.exit_code == 3
        assert "record 0: a part of a line: " in result.stderr
        path.write_bytes(cni.log(lines[7][40:50], *lines[5:]))
        assert run("pods", path, "-o", "jsonl").exit_code == 0

    @pytest.mark.parametrize(
        "metadata",
        [
            {"pod_namespace": "kube-system", "pod_name": "aws-node-x7k2p", "container_name": "aws-node"},
            {
                "namespace": "kube-system",
                "pod": {"name": "aws-node-x7k2p"},
                "container": {"name": "aws-node"},
            },
        ],
    )
    def test_other_collectors_name_the_container_in_their_own_way(
        self, run: Run, tmp_path: Path, metadata: dict[str, object]
    ) -> None:
        path = tmp_path / "log"
        collected = ({"message": line, "kubernetes": metadata} for line in story("1.23"))
        path.write_text("".join(json.dumps(line) + "\n" for line in collected))
        assert leases(run, path) == LEASES

    def test_messages_without_line_ends_between_them(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "ipamd.log"
        path.write_text("".join(story("1.23")[2:]))
        assert leases(run, path) == LEASES

    def test_a_damaged_archive_is_read_as_far_as_it_goes(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "ipamd-2026-05-14T10-00-00.000.log.gz"
        noise = (
            cni.line(
                "1.23", "2026-05-14T12:00:00.000Z", f"IP stats {sha256(str(number).encode()).hexdigest()}"
            )
            for number in range(2000)
        )
        content = gzip.compress(cni.log(*story("1.23"), *noise))
        path.write_bytes(content[: len(content) // 2])
        result = run("pods", path, "-o", "jsonl")
        assert result.exit_code == 3
        assert "cut short" in result.stderr
        assert len(result.stdout.splitlines()) == 3

    def test_a_long_line_is_read_in_bounded_time(self) -> None:
        blanks = " " * 1_000_000
        line = cni.line(
            "1.5", "2026-05-14T09:30:00.000Z", f"AssignPodIPv4Address: Assign IP{blanks}x{blanks}y"
        )
        assert heard(cni.line("1.5", "2026-05-14T09:29:00.000Z", "IP pool is too low"), line * 3) != set()

    def test_local_times_are_those_of_their_time_zone(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "ipamd.log"
        local = [
            line.replace(f"T{hour:02}", f"T{hour + 2:02}", 1).replace('Z","caller', '+0200","caller')
            for line in story("1.23")
            for hour in [int(line.partition("T")[2][:2])]
        ]
        path.write_bytes(cni.log(*local))
        assert leases(run, path) == LEASES

    def test_a_restart_of_ipamd_is_no_new_start(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "ipamd.log"
        sandbox, pod = "c" * 64, ("kube-system", "coredns-x")
        again = (
            cni.assign("1.23", "2026-05-14T09:50:00.001Z", "10.0.0.10", sandbox, pod, recovered=True),
            cni.recovered("1.23", "2026-05-14T09:50:00.001Z", "10.0.0.10", sandbox, ENI),
        )
        lines = story("1.23")
        path.write_bytes(cni.log(*lines[:8], *again, *lines[8:]))
        assert leases(run, path) == LEASES


class TestRecognized:
    def test_a_log_of_the_network_policy_agent_is_no_evidence(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "network-policy-agent.log"
        line = {"level": "info", "ts": TIME, "caller": "events/events.go:191", "msg": "Flow Info:  "}
        flow = {"logger": "ebpf-client", "Src IP": "10.0.0.9", "Dest IP": "10.0.0.10", "Verdict": "DENY"}
        path.write_text(json.dumps(line | flow, separators=(",", ":")) + "\n")
        result = run("pods", path)
        assert result.exit_code == 1
        assert "only 1 other file (1 network-policy-logs)" in result.stderr
        assert "cnitrail who --batch asked.csv" in result.stderr

    def test_a_cell_of_a_table_does_not_make_a_log(self) -> None:
        line = cni.assign("1.23", TIME, "10.0.0.9", SANDBOX, ("shop", "web-1"))
        table = f'time,event\n2026-05-14T09:30:00Z,"{{""description"":""\n{line}\n""}}"\n' * 3
        assert not is_cni_log(table.encode())


class TestHeard:
    def test_the_minutes_of_all_lines_of_ipamd_count_and_none_of_the_plugins(self) -> None:
        plugin = f"Received CNI add request: ContainerID({SANDBOX}) Netns() IfName(eth0) Args() Path()"
        at = "routed-eni-cni-plugin/cni.go:128"
        assert heard(
            cni.line("1.23", "2026-05-14T09:30:00.000Z", "IP stats for Network Card 0"),
            cni.line("1.23", "2026-05-14T09:31:00.000Z", plugin, caller=at),
            cni.line("1.23", "2026-05-14T09:32:59.999Z", "IP stats for Network Card 0"),
        ) == {"2026-05-14T09:30", "2026-05-14T09:32"}
        assert heard(
            cni.line("1.5", "2026-05-14T09:30:00.000Z", "IP pool stats: total = 10"),
            cni.line("1.5", "2026-05-14T09:32:59.999Z", "IP pool is too low"),
        ) == {"2026-05-14T09:30", "2026-05-14T09:32"}
        assert heard(cni.line("1.5", "2026-05-14T09:30:00.000Z", plugin)) == set()
        line = cni.line("1.23", "2026-05-14T00:30:00.000+0200", "IP stats for Network Card 0")
        assert heard(line) == {"2026-05-13T22:30"}
        assert minute_of("2026-05-14T00:30:00.000+0200") == "2026-05-13T22:30"


def heard(*lines: str) -> set[str]:
    """Return the minutes of which a log has lines of ipamd."""
    content = cni.log(*lines)
    scanner = Scanner(NAMES, MARKERS, pod_markers=pod_markers)
    tally = Tally()
    part = Part(uri="ipamd.log", compression=(), pieces=iter((content,)), checked=False, open=None)
    list(scanner.scan(part, tally))
    return {minute for form, minute in tally.heard if form == "ipamd-log"}
