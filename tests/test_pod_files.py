"""Evidence about pods other than audit and CNI logs: ipamd's own files, kubectl, Prometheus, and archives."""

import io
import json
import tarfile
import zipfile
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from accounts import added_up
from conftest import Run
from hypothesis import given
from hypothesis import strategies as st

from cnitrail.decode import MARKERS, NAMES, decode, pod_markers
from cnitrail.decode.ipamd import read_enis
from cnitrail.history.pods.homes import collection_of
from cnitrail.model import Document, Growth, Origin, Record, Skipped
from cnitrail.model.forms import POD_FORMS
from cnitrail.model.pod_facts import (
    AddressKept,
    BranchGiven,
    EniListed,
    NodeNamed,
    PodFact,
    PodReported,
    PodScraped,
    RegionNamed,
    SandboxAssigned,
)
from cnitrail.model.pods import PodName
from cnitrail.scan import Scanner

INSTANCE = "i-0384b0f6d1a2c3e4f"
ENI = "eni-06d2f4a81c9b3e750"
SANDBOX = "d78e79e2f3c65976885cf228da933b8d35471497f1bdfacbff8d24644f175222"
NODE = "ip-192-168-55-245.eu-west-1.compute.internal"
UID = "10177585-b79f-44a0-bdcc-c68ec12d012a"
WEB = PodName("shop", "web-6d4cf56db6-x2x7k")
IP = ip_address("192.168.34.201")
NEVER = "0001-01-01T00:00:00Z"


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2022-10-05T{text}").replace(tzinfo=UTC)


def facts(content: object, uri: str = "file") -> tuple[list[PodFact], list[str]]:
    """Return the facts in a file, and the reasons of what could not be read of it."""
    text = content if isinstance(content, bytes | str) else json.dumps(content)
    stored = text.encode() if isinstance(text, str) else text
    return in_chunks(stored, len(stored) or 1, uri)


def in_chunks(stored: bytes, size: int, uri: str = "file") -> tuple[list[PodFact], list[str]]:
    """Return the facts in a file that arrives in chunks, and the reasons of what could not be read of it."""
    scanner = Scanner(NAMES, MARKERS, Growth(), pod_markers)
    found: list[PodFact] = []
    reasons: list[str] = []
    for part, tally in scanner.parts(
        Document(uri=uri, chunks=(stored[at : at + size] for at in range(0, len(stored), size)))
    ):
        for result in scanner.scan(part, tally):
            if isinstance(result, Skipped):
                reasons.append(result.reason)
                continue
            decoded = decode(result)
            reasons += decoded.problems
            found += decoded.pods.facts if decoded.pods is not None else ()
    return found, reasons


def kept(
    pod: str | None = None, sandbox: str = "", assigned: str = NEVER, released: str = NEVER
) -> dict[str, Any]:
    namespace, _, name = (pod or "").partition("/")
    return {
        "Address": "ignored",
        "IPAMKey": {"networkName": "aws-cni", "containerID": sandbox, "ifName": "eth0"},
        "IPAMMetadata": {"k8sPodNamespace": namespace, "k8sPodName": name} if pod else {},
        "AssignedTime": assigned,
        "UnassignedTime": released,
    }


def enis(addresses: dict[str, dict[str, Any]]) -> dict[str, Any]:
    blocks = {f"{ip}/32": {"IPAddresses": {ip: entry}} for ip, entry in addresses.items()}
    return {"TotalIPs": 3, "AssignedIPs": 1, "ENIs": {ENI: {"ID": ENI, "AvailableIPv4Cidrs": blocks}}}


def used(content: object) -> tuple[list[PodFact], list[str]]:
    """Return the addresses that pods have or had, and the reasons of what could not be read."""
    found, reasons = facts(content)
    return [fact for fact in found if not isinstance(fact, EniListed)], reasons


HELD = AddressKept(ip=IP, eni=ENI, sandbox=SANDBOX, pod=WEB, assigned=at("13:20:02.29"), released=None)
RELEASED = AddressKept(
    ip=ip_address("192.168.34.202"),
    eni=ENI,
    sandbox=None,
    pod=None,
    assigned=at("09:31:15.1"),
    released=at("10:27:55.2"),
)
POOL = enis(
    {
        "192.168.34.201": kept(str(WEB), SANDBOX, "2022-10-05T13:20:02.29Z", "2022-10-05T13:18:00Z"),
        "192.168.34.202": kept(None, "", "2022-10-05T09:31:15.1Z", "2022-10-05T10:27:55.2Z"),
        "192.168.34.203": kept(),
    }
)


class TestIntrospection:
    def test_a_held_address_and_one_released_are_told_apart(self) -> None:
        assert used(POOL) == ([HELD, RELEASED], [])

    def test_the_pool_itself_is_listed(self) -> None:
        found, _ = facts(POOL)
        listed = [(fact.eni, str(fact.held)) for fact in found if isinstance(fact, EniListed)]
        assert listed == [
            (ENI, "192.168.34.201"),
            (ENI, "192.168.34.202"),
            (ENI, "192.168.34.203"),
        ]

    def test_since_1_20_the_interfaces_are_by_network_card(self) -> None:
        assert used({"0": POOL, "1": enis({})}) == ([HELD, RELEASED], [])

    def test_since_1_23_the_sandbox_is_left_out_and_the_pod_is_not(self) -> None:
        entry = kept(str(WEB), "", "2022-10-05T13:20:02.29Z")
        (fact,), _ = used(enis({"192.168.34.201": entry}))
        assert isinstance(fact, AddressKept)
        assert (fact.pod, fact.sandbox, fact.assigned, fact.released) == (WEB, None, at("13:20:02.29"), None)

    def test_an_address_of_a_prefix(self) -> None:
        pool = {
            "ENIs": {
                ENI: {
                    "AvailableIPv4Cidrs": {
                        "192.168.34.192/28": {
                            "IPAddresses": {
                                "192.168.34.201": kept(str(WEB), SANDBOX, "2022-10-05T13:20:02.29Z")
                            }
                        }
                    }
                }
            }
        }
        assert used(pool) == ([HELD], [])

    def test_an_ipv6_address_of_a_prefix(self) -> None:
        pool = {
            "ENIs": {
                ENI: {
                    "AvailableIPv4Cidrs": {},
                    "IPv6Cidrs": {
                        "2001:db8:0:1::/80": {
                            "IPAddresses": {
                                "2001:db8:0:1::5": kept(str(WEB), SANDBOX, "2022-10-05T13:20:02.29Z")
                            }
                        }
                    },
                }
            }
        }
        (fact,), _ = used(pool)
        assert isinstance(fact, AddressKept)
        assert (str(fact.ip), fact.pod) == ("2001:db8:0:1::5", WEB)

    def test_1_7_has_the_sandbox_and_no_pod(self) -> None:
        entry = {"Address": str(IP), "IPAMKey": {"containerID": SANDBOX}, "UnassignedTime": NEVER}
        (fact,), _ = used({"ENIs": {ENI: {"IPv4Addresses": {str(IP): entry}}}})
        assert fact == AddressKept(ip=IP, eni=ENI, sandbox=SANDBOX, pod=None, assigned=None, released=None)

    def test_before_1_7_only_releases_can_be_placed(self) -> None:
        pool = {
            "AssignedIPs": 1,
            "ENIIPPools": {
                ENI: {
                    "IPv4Addresses": {
                        "192.168.34.201": {"Assigned": True, "UnassignedTime": "2022-10-05T09:00:00Z"},
                        "192.168.34.202": {"Assigned": False, "UnassignedTime": "2022-10-05T10:27:55.2Z"},
                        "192.168.34.203": {"Assigned": False, "UnassignedTime": NEVER},
                    }
                }
            },
        }
        (fact,), reasons = used(pool)
        assert isinstance(fact, AddressKept)
        assert (str(fact.ip), fact.assigned, fact.released) == ("192.168.34.202", None, at("10:27:55.2"))
        assert reasons == []

    def test_pool_has_both_times_of_a_released_address(self) -> None:
        addresses = read_enis(json.dumps(POOL).encode()).addresses
        assert [(str(kept.ip), kept.pod, kept.assigned, kept.released) for kept in addresses] == [
            ("192.168.34.201", str(WEB), at("13:20:02.29"), None),
            ("192.168.34.202", None, at("09:31:15.1"), at("10:27:55.2")),
            ("192.168.34.203", None, None, None),
        ]

    def test_the_command_shows_when_an_address_was_released(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "enis").write_text(json.dumps(POOL))
        result = run("pool", "ironman", "--ipamd", tmp_path / "enis", "-o", "jsonl")
        addresses = json.loads(result.stdout)["ipamd"]["addresses"]
        assert [(row["assigned"], row["released"]) for row in addresses] == [
            ("2022-10-05T13:20:02.290000Z", None),
            ("2022-10-05T09:31:15.100000Z", "2022-10-05T10:27:55.200000Z"),
            (None, None),
        ]
        shown = run("pool", "ironman", "--ipamd", tmp_path / "enis").stdout
        assert "192.168.34.202" in shown
        assert "2022-10-05 10:27:55Z" in shown


class TestCheckpoint:
    def checkpoint(self, **fields: object) -> dict[str, Any]:
        allocation = {"networkName": "aws-cni", "containerID": SANDBOX, "ifName": "eth0"} | fields
        return {"version": "vpc-cni-ipam/1", "allocations": [allocation]}

    def test_since_1_11_with_time_and_pod(self) -> None:
        metadata = {"k8sPodNamespace": WEB.namespace, "k8sPodName": WEB.name, "interfacesCount": 1}
        found = facts(
            self.checkpoint(ipv4="192.168.34.201", allocationTimestamp=1664976002290000123, metadata=metadata)
        )
        assert found == (
            [
                AddressKept(
                    ip=IP, eni=None, sandbox=SANDBOX, pod=WEB, assigned=at("13:20:02.29"), released=None
                )
            ],
            [],
        )

    def test_before_1_11_without_both(self) -> None:
        (fact,), _ = facts(self.checkpoint(ipv6="2001:db8::5"))
        assert isinstance(fact, AddressKept)
        assert (str(fact.ip), fact.sandbox, fact.pod, fact.assigned) == ("2001:db8::5", SANDBOX, None, None)

    @pytest.mark.parametrize("value", [-1, 0, True, 1e300, "1664976002290000123", 1 << 80, None, []])
    def test_an_impossible_time_is_none(self, value: object) -> None:
        (fact,), _ = facts(self.checkpoint(ipv4="192.168.34.201", allocationTimestamp=value))
        assert isinstance(fact, AddressKept)
        assert fact.assigned is None

    def test_another_checkpoint_is_not_taken_for_it(self) -> None:
        found, reasons = facts({"version": "1", "allocations": [{"ipv4": "192.168.34.201"}]})
        assert found == []
        assert "unknown envelope" in reasons[0]


def pod(**more: Any) -> dict[str, Any]:
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": {
            "name": WEB.name,
            "namespace": WEB.namespace,
            "uid": UID,
            "creationTimestamp": "2022-10-05T13:20:01Z",
            "deletionTimestamp": "2022-10-05T19:00:00Z",
            "annotations": {"kubectl.kubernetes.io/restartedAt": "2099-01-01T00:00:00Z"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": "web-6d4cf56db6", "controller": True}],
            "managedFields": [{"manager": "kubelet", "time": "2022-10-05T13:20:09Z"}],
        },
        "spec": {"nodeName": NODE, "serviceAccountName": "web", "containers": [{"name": "web"}]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": "2022-10-05T13:20:08Z"}],
            "hostIP": "192.168.55.245",
            "podIP": "192.168.34.201",
            "podIPs": [{"ip": "192.168.34.201"}],
            "startTime": "2022-10-05T13:20:01Z",
            "containerStatuses": [
                {"state": {"running": {"startedAt": "2022-10-05T13:20:06Z"}}},
                {"state": {"running": {"startedAt": "2022-10-05T13:20:05Z"}}},
            ],
        },
    } | more


REPORTED = PodReported(
    pod=WEB,
    uid=UID,
    node=NODE,
    by_kubelet=False,
    phase="Running",
    ready=True,
    addresses=(IP,),
    host_ip=ip_address("192.168.55.245"),
    host_network=False,
    service_account="shop/web",
    owner="ReplicaSet/web-6d4cf56db6",
    created=at("13:20:01"),
    running_since=at("13:20:05"),
    seen=at("13:20:09"),
)


def listed(*items: Any, kind: str = "List") -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "items": list(items), "metadata": {"resourceVersion": ""}}


class TestKubectl:
    @pytest.mark.parametrize(
        "content",
        [
            listed(pod()),
            pod(),
            json.dumps(pod()) + "\n" + json.dumps(pod()),
            json.dumps(listed(pod()), indent=4),
            json.dumps(pod(), indent=4) + "\n" + json.dumps(pod(), indent=4),
            [pod()],
            [listed(pod()), listed(pod())],
            {"type": "ADDED", "object": pod()},
            json.dumps({"type": "ADDED", "object": pod()})
            + "\n"
            + json.dumps({"type": "MODIFIED", "object": pod()}),
            {
                "kind": "PodList",
                "apiVersion": "v1",
                "metadata": {},
                "items": [{key: pod()[key] for key in ("metadata", "spec", "status")}],
            },
        ],
    )
    def test_every_way_to_print_a_pod_gives_the_same(self, content: object) -> None:
        found, reasons = facts(content)
        assert reasons == []
        assert set(found) == {REPORTED}

    def test_a_finished_pod_had_its_address_by_the_start_of_its_last_container(self) -> None:
        exited = [
            {"state": {"terminated": {"startedAt": f"2022-10-05T13:20:{start}Z", "finishedAt": end}}}
            for start, end in (("06", "2022-10-05T13:25:00Z"), ("08", "2022-10-05T13:24:00Z"))
        ]
        status = pod()["status"] | {"phase": "Succeeded", "containerStatuses": exited}
        ((report,), _) = facts(pod(status=status))
        assert isinstance(report, PodReported)
        assert (report.running_since, report.seen) == (at("13:20:08"), at("13:25:00"))

    def test_yaml(self) -> None:
        text = (
            "apiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata:\n"
            f"    name: {WEB.name}\n    namespace: shop\n    uid: {UID}\n"
            '    creationTimestamp: "2022-10-05T13:20:01Z"\n'
            f"  spec:\n    nodeName: {NODE}\n    containers:\n    - name: web\n"
            "  status:\n    phase: Running\n    podIP: 192.168.34.201\n"
            "    podIPs:\n    - ip: 192.168.34.201\n"
            'kind: List\nmetadata:\n  resourceVersion: ""\n'
        )
        (fact,), reasons = facts(text)
        assert isinstance(fact, PodReported)
        assert (fact.pod, fact.addresses, fact.node, fact.seen) == (WEB, (IP,), NODE, at("13:20:01"))
        assert reasons == []

    def test_the_node_of_an_instance(self) -> None:
        node = {
            "kind": "Node",
            "apiVersion": "v1",
            "metadata": {"name": NODE},
            "spec": {"providerID": f"aws:///eu-west-1a/{INSTANCE}"},
        }
        assert facts(listed(node)) == ([NodeNamed(node=NODE, instance=INSTANCE, basis="provider-id")], [])

    @pytest.mark.parametrize(
        "provider_id",
        ["aws:///eu-west-1a/fargate-ip-10-0-0-1", "gce://x/i-0384b0f6d1a2c3e4f", 3, None, f"x{INSTANCE}"],
    )
    def test_another_provider_id_names_no_instance(self, provider_id: object) -> None:
        node = {
            "kind": "Node",
            "apiVersion": "v1",
            "metadata": {"name": NODE},
            "spec": {"providerID": provider_id},
        }
        assert facts(listed(node)) == ([], [])

    def test_the_branch_eni_of_a_pod_is_a_claim(self) -> None:
        given = [
            {"eniId": "eni-0b4a7c00000000001", "privateIp": "192.168.40.44", "ipv6Addr": "", "vlanId": 1}
        ]
        whole = pod()
        whole["metadata"]["annotations"] = {"vpc.amazonaws.com/pod-eni": json.dumps(given)}
        found, _ = facts(whole)
        assert found == [
            REPORTED,
            BranchGiven(
                pod=WEB,
                uid=UID,
                eni="eni-0b4a7c00000000001",
                ip=ip_address("192.168.40.44"),
                by_controller=False,
            ),
        ]

    @pytest.mark.parametrize(
        "text", ["", "[", "null", "3", "[[[]]]", '[{"eniId":3,"privateIp":{}}]', "[" * 9999]
    )
    def test_a_hostile_annotation_gives_no_branch(self, text: str) -> None:
        whole = pod()
        whole["metadata"]["annotations"] = {"vpc.amazonaws.com/pod-eni": text}
        assert facts(whole) == ([REPORTED], [])

    def test_other_kinds_are_passed_over(self, run: Run, tmp_path: Path) -> None:
        deployment = {"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "web"}, "spec": {}}
        (tmp_path / "all.json").write_text(json.dumps(listed(pod(), deployment)))
        result = run("pods", tmp_path, "-o", "json")
        assert result.exit_code == 0, result.stderr
        (source,) = json.loads(result.stdout)["evidence"]["sources"]
        assert added_up(source)["passed_over"] == 1

    def test_the_table_is_refused_with_the_reason(self) -> None:
        table = "NAME   READY   STATUS    RESTARTS   AGE   IP\nweb-1  1/1     Running   0          5m\n"
        found, (reason,) = facts(table)
        assert found == []
        assert reason == (
            "the table of kubectl get pods has ages instead of times; "
            "give the pods as kubectl get pods -A -o json prints them"
        )

    def test_pods_with_the_keys_of_the_client_for_python_are_refused_with_the_reason(
        self, run: Run, tmp_path: Path
    ) -> None:
        renamed: dict[str, Any] = {"api_version": None, "kind": None, "metadata": {}, "spec": {}}
        items = [renamed | {"status": {key: "10.0.1.11"}} for key in ("pod_ip", "host_ip")]
        (tmp_path / "pods.json").write_text(json.dumps({"items": items, "kind": "PodList"}))
        result = run("pods", tmp_path, "-o", "json")
        assert result.exit_code == 3
        (skipped,) = [line for line in result.stderr.splitlines() if line.startswith("skipped: ")]
        assert skipped.endswith(
            "pods.json: to_dict() of Kubernetes' client for Python renames the keys of a pod; "
            "give the pods as kubectl get pods -A -o json prints them"
        )

    def test_an_annotation_alone_is_refused_with_the_reason(self) -> None:
        found, (reason,) = facts({"vpc.amazonaws.com/pod-eni": "[]"})
        assert found == []
        assert reason.startswith(
            "a pod-eni annotation without its pod: it does not say which pod it belongs to"
        )


LABELS = {
    "__name__": "kube_pod_info",
    "namespace": "shop",
    "pod": WEB.name,
    "uid": UID,
    "pod_ip": "192.168.34.201",
    "node": NODE,
    "host_network": "false",
}


def scraped(first: str, last: str) -> PodScraped:
    return PodScraped(pod=WEB, uid=UID, node=NODE, ip=IP, host_network=False, first=at(first), last=at(last))


class TestPrometheus:
    def test_a_series_is_split_at_gaps_of_more_than_five_minutes(self) -> None:
        values = [[1664976015, "1"], [1664976045.5, "1"], [1664980215, "1"], [1664980515, "1"]]
        answer = {
            "status": "success",
            "data": {"resultType": "matrix", "result": [{"metric": LABELS, "values": values}]},
        }
        expected = [scraped("13:20:15", "13:20:45.5"), scraped("14:30:15", "14:35:15")]
        assert facts(answer) == (expected, [])
        assert facts(answer["data"]) == (expected, [])
        assert facts([{"metric": LABELS, "values": values}]) == (expected, [])

    def test_an_instant(self) -> None:
        answer = {
            "status": "success",
            "data": {"resultType": "vector", "result": [{"metric": LABELS, "value": [1664976015.0, "1"]}]},
        }
        assert facts(answer) == ([scraped("13:20:15", "13:20:15")], [])

    def test_an_answer_of_victoriametrics(self) -> None:
        series = [
            {"metric": LABELS, "values": [[1664976015, "1"]]},
            {"metric": LABELS, "values": [[1664980215, "1"]]},
        ]
        answer = {"status": "success", "isPartial": False, "data": {"resultType": "matrix", "result": series}}
        runs: list[PodFact] = [scraped("13:20:15", "13:20:15"), scraped("14:30:15", "14:30:15")]
        assert facts(answer | {"stats": {"seriesFetched": "2"}}) == (runs, [])
        assert facts(answer | {"warnings": ["x"]}) == (runs, [])

    def test_an_export_of_victoriametrics(self) -> None:
        series = {"metric": LABELS, "values": [1, 1, 1], "timestamps": [1664976015000, 1664976045500, "x"]}
        assert facts(f"{json.dumps(series)}\n") == ([scraped("13:20:15", "13:20:45.5")], [])

    def test_an_address_of_the_node_is_of_the_host_network(self) -> None:
        labels = {key: LABELS[key] for key in LABELS if key != "host_network"} | {"host_ip": str(IP)}
        (fact,), _ = facts({"data": {"result": [{"metric": labels, "value": [1664976015, "1"]}]}})
        assert isinstance(fact, PodScraped)
        assert fact.host_network is True

    def test_kube_pod_ips_has_each_address_of_a_pod(self) -> None:
        labels = {
            "__name__": "kube_pod_ips",
            "namespace": "shop",
            "pod": WEB.name,
            "ip": "2001:db8::5",
            "ip_family": "6",
        }
        (fact,), _ = facts({"data": {"result": [{"metric": labels, "value": [1664976015, "1"]}]}})
        assert isinstance(fact, PodScraped)
        assert (str(fact.ip), fact.node, fact.host_network) == ("2001:db8::5", None, None)

    @pytest.mark.parametrize(
        "labels",
        [
            {**LABELS, "__name__": "kube_pod_labels"},
            {**LABELS, "pod_ip": ""},
            {**LABELS, "pod_ip": "web"},
            {**LABELS, "pod": 3},
            {"__name__": ["kube_pod_info"]},
        ],
    )
    def test_another_series_says_nothing(self, labels: object) -> None:
        assert facts({"data": {"result": [{"metric": labels, "value": [1664976015, "1"]}]}}) == ([], [])

    @pytest.mark.parametrize(
        "sample", [[-1, "1"], [1e300, "1"], ["x", "1"], [1664976015, "0"], [1664976015, "NaN"], [], None]
    )
    def test_a_sample_without_the_pod_or_a_time_counts_for_nothing(self, sample: object) -> None:
        assert facts({"data": {"result": [{"metric": LABELS, "values": [sample]}]}}) == ([], [])

    EXPOSED = (
        f'kube_pod_info{{namespace="shop",pod="{WEB.name}",uid="{UID}",pod_ip="192.168.34.201",node="{NODE}",'
        'created_by_name="a \\"b\\" \\\\ }",host_network="false"} 1'
    )

    @pytest.mark.parametrize("time", ["1664976015000", "1664976015", "1664976015.0"])
    def test_exposition_text_with_times(self, time: str) -> None:
        text = (
            f"# HELP kube_pod_info Information.\n# TYPE kube_pod_info gauge\n{self.EXPOSED} {time}\n# EOF\n"
        )
        assert facts(text) == ([scraped("13:20:15", "13:20:15")], [])

    def test_exposition_text_without_times_is_refused_with_the_reason(self) -> None:
        found, (reason,) = facts(f"{self.EXPOSED}\n{self.EXPOSED}\n")
        assert found == []
        assert reason.startswith(
            "samples of kube-state-metrics without a time: it is not known when the pods had their addresses "
            "(2 passed over); ask Prometheus for a range: /api/v1/query_range?"
        )

    def test_promtool_query(self) -> None:
        series = self.EXPOSED.removesuffix(" 1")
        text = f"{series} =>\n1 @[1664976015]\n1 @[1664976045.5]\n{series} => 1 @[1664980215]\n"
        assert facts(text) == ([scraped("13:20:15", "13:20:45.5"), scraped("14:30:15", "14:30:15")], [])

    def test_metrics_of_something_else_are_another_file(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / "metrics").write_text("# HELP up x\n# TYPE up gauge\nup 1\n")
        (tmp_path / "pods.json").write_text(json.dumps(listed(pod())))
        result = run("pods", tmp_path, "-o", "json")
        assert result.exit_code == 0, result.stderr
        (source,) = json.loads(result.stdout)["evidence"]["sources"]
        assert added_up(source)["other_files"] == {"prometheus-metrics": 1}


LINE = json.dumps(
    {
        "level": "debug",
        "ts": "2022-10-05T13:20:02.290Z",
        "caller": "datastore/data_store.go:673",
        "msg": f"assignPodIPAddressUnsafe: Assign IP 192.168.34.201 to sandbox aws-cni/{SANDBOX}/eth0"
        " with metadata {K8SPodNamespace:shop K8SPodName:web-6d4cf56db6-x2x7k InterfacesCount:1}",
    }
)

COLLECTED = {
    "system/instance-id.txt": f"{INSTANCE}\n",
    "system/region.txt": "eu-west-1\n",
    "system/availability-zone.txt": "eu-west-1a\n",
    "system/ps.txt": "USER PID COMMAND\nroot 1 /bin/x {a: [b\n",
    "system/large_environments.txt": "PID\tCount\n",
    "system/systemd-analyze.svg": "<svg/>",
    "ipamd/enis.json": json.dumps({"0": POOL}),
    "ipamd/ipam.json": json.dumps({"version": "vpc-cni-ipam/1", "allocations": []}),
    "ipamd/pods.json": "404 page not found\n",
    "ipamd/eni-configs.json": "{}",
    "ipamd/networkutils-env-settings.json": '{"AWS_VPC_CNI_NODE_PORT_SUPPORT":true}',
    "ipamd/ipamd-env-settings.json": '{"WARM_ENI_TARGET":1}',
    "ipamd/metrics.json": "# HELP awscni_x y\n# TYPE awscni_x gauge\nawscni_x 1\n",
    "var_log/aws-routed-eni/ipamd.log": f"{LINE}\n",
    "var_log/aws-routed-eni/plugin.log": "",
    "var_log/messages": 'Oct  5 13:20:02 ip-1 kubelet: {"a": "b"} c\n',
    "var_log/cloud-init.log": "x {\n",
    "var_log/aws-node-abc_kube-system_aws-node-1.log": "2022-10-05T13:20:02.29Z stdout F Installed /host\n",
    "var_log/kube-system_coredns-1_2/coredns/0.log": '2022-10-05T13:20:02.29Z stdout F {"a":1}\n',
    "kubelet/kubelet.log": 'Oct 05 13:20:02 ip kubelet[1]: I1005 x {"podIP": 1, "ENIs":\n',
    "kubelet/kubeconfig.yaml": "apiVersion: v1\nclusters:\n- cluster: {}\nkind: Config\n",
    "kubelet/config.json": '{"kind":"KubeletConfiguration","apiVersion":"kubelet.config.k8s.io/v1beta1"}',
    "containerd/containerd-log.txt": "-- No entries --\n",
    "kernel/dmesg.current": "[ 0.0] Linux\n",
    "modinfo/lustre": "",
    "networking/iptables-save.txt": "*nat\n:PREROUTING ACCEPT [0:0]\n",
    "networking/conntrack.txt": "*** Output of conntrack -S *** \n",
    "networking/resolv.conf": "nameserver 192.168.0.2\n",
    "sysctls/sysctl_all.txt": "a = b\n",
    "cni/10-aws.conflist": '{"cniVersion":"0.4.0","name":"aws-cni","plugins":[]}',
    "cni/cni-configuration-variables-containerd.json": '{"ID":"x","Spec":{}}{"ID":"y"}',
    "nodeadm/nodeadm-run.log": "x\n",
    "storage/mounts.txt": "a on b\n",
}
ARCHIVE = f"eks_{INSTANCE}_2022-10-05_1544-UTC_0.7.8.tar.gz"


def packed(prefix: str = "./", **more: str) -> bytes:
    stored = io.BytesIO()
    with tarfile.open(fileobj=stored, mode="w:gz") as archive:
        for name, content in (COLLECTED | more).items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(content.encode())
            archive.addfile(member, io.BytesIO(content.encode()))
    return stored.getvalue()


def source_of(run: Run, path: Path) -> dict[str, Any]:
    result = run("pods", path, "-o", "json")
    assert result.exit_code == 0, result.stderr
    (source,) = json.loads(result.stdout)["evidence"]["sources"]
    return added_up(source)


class TestLogCollector:
    @pytest.mark.parametrize(("name", "prefix"), [(ARCHIVE, "./"), ("node.tgz", "./"), ("node.tgz", "")])
    def test_an_archive_is_read_whole(self, run: Run, tmp_path: Path, name: str, prefix: str) -> None:
        (tmp_path / name).write_bytes(packed(prefix))
        source = source_of(run, tmp_path / name)
        assert {form["form"]: form["records"] for form in source["forms"]} | {"kubernetes-pods": 0} == {
            "node-facts": 2,
            "ipamd-enis": 1,
            "ipam-checkpoint": 1,
            "ipamd-log": 1,
            "kubernetes-pods": 0,
        }
        assert source["other_files"] == {"node-files": 28}

    def test_two_nodes_in_one_region_stay_two(self, run: Run, tmp_path: Path) -> None:
        other, sandbox = "i-0c5e0f1a2b3d4c5e6", SANDBOX[::-1]
        line = (
            LINE.replace("192.168.34.201", "192.168.98.7").replace(SANDBOX, sandbox).replace("web-", "api-")
        )
        (tmp_path / ARCHIVE).write_bytes(packed(**{"ipamd/enis.json": "{}"}))
        theirs = {"system/instance-id.txt": other, "var_log/aws-routed-eni/ipamd.log": line}
        (tmp_path / ARCHIVE.replace(INSTANCE, other)).write_bytes(
            packed(**{"ipamd/enis.json": "{}"}, **theirs)
        )
        result = run("pods", tmp_path, "-o", "json")
        found = [(pod["ip"], pod["instance"], pod["region"]) for pod in json.loads(result.stdout)["entries"]]
        assert found == [
            ("192.168.34.201", INSTANCE, "eu-west-1"),
            ("192.168.98.7", other, "eu-west-1"),
        ]

    def test_files_of_later_versions_are_other_files_too(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / ARCHIVE).write_bytes(packed(**{"new/thing": "a {b\n", "new/thing.json": '{"a": 1}'}))
        assert source_of(run, tmp_path)["other_files"] == {"node-files": 30}

    def test_pods_that_somebody_added_are_read(self, run: Run, tmp_path: Path) -> None:
        (tmp_path / ARCHIVE).write_bytes(packed(**{"pods.json": json.dumps(listed(pod()))}))
        assert "kubernetes-pods" in {form["form"] for form in source_of(run, tmp_path)["forms"]}

    def test_so_is_the_archive_of_a_windows_node(self, run: Run, tmp_path: Path) -> None:
        name = f"eks_{INSTANCE}_20221005T1544001234567Z.zip"
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("system/sysinfo", "Host Name: X\r\n".encode("utf-16"))
            archive.writestr("system\\kubelet\\kubelet-service.csv", '"a","b"\r\n"1","{x"\r\n')
            archive.writestr("system/events/System.evtx", b"ElfFile\0\1\2\xff")
            archive.writestr("system/network/hns/network.txt", "[]\r\n{")
        (tmp_path / "pods.json").write_text(json.dumps(listed(pod())))
        assert source_of(run, tmp_path)["other_files"] == {"node-files": 4}

    def test_so_is_an_unpacked_one(self, run: Run, tmp_path: Path) -> None:
        with tarfile.open(fileobj=io.BytesIO(packed())) as archive:
            archive.extractall(tmp_path / "node", filter="data")
        assert source_of(run, tmp_path)["other_files"] == {"node-files": 28}

    def test_ipamd_on_standard_output_is_in_the_log_of_its_container(self) -> None:
        log = f"2022-10-05T13:20:02.29Z stdout F {LINE}\n"
        found, reasons = facts(log, f"{ARCHIVE}!/./var_log/aws-node-abc_kube-system_aws-node-1.log")
        assert [type(fact) for fact in found] == [SandboxAssigned]
        assert reasons == []

    def test_the_node_is_named(self) -> None:
        found, reasons = facts(packed(), ARCHIVE)
        assert reasons == []
        assert NodeNamed(node=None, instance=INSTANCE, basis="instance-id-file") in found
        assert RegionNamed(region="eu-west-1") in found
        assert HELD in found

    def test_a_file_of_that_name_with_anything_else_names_nothing(self) -> None:
        for content in ("i-0384b0f6d1a2c3e4f i-0384b0f6d1a2c3e4a", "x", "", "i-XYZ", "i-0384b0f6d1a2c3e4f\0"):
            found, _ = facts(content, f"{ARCHIVE}!/./system/instance-id.txt")
            assert found == []

    def test_a_log_file_of_cloudtrail_in_it_is_read(self, run: Run, tmp_path: Path) -> None:
        trail = (Path.cwd() / "ironman").glob("**/*.json.gz")
        import gzip

        text = gzip.decompress(next(iter(sorted(trail))).read_bytes()).decode()
        for name in ("system/trail.json", "cni/trail.json", "ipamd/enis.json"):
            (tmp_path / ARCHIVE).write_bytes(packed(**{name: text}))
            assert "trail" in {form["form"] for form in source_of(run, tmp_path)["forms"]}

    @pytest.mark.parametrize(
        ("source", "collection"),
        [
            ("a.tar.gz!/./system/instance-id.txt", "a.tar.gz"),
            ("a.tar.gz!/system/region.txt", "a.tar.gz"),
            ("a.tar.gz!/./var_log/aws-routed-eni/ipamd-2022-10-05T13-00-00.000.log.gz", "a.tar.gz"),
            ("a.tar.gz!/./ipamd/enis.json", "a.tar.gz"),
            ("all.zip!/n1/system/instance-id.txt", "all.zip!/n1"),
            ("all.zip!/n2/var_log/aws-routed-eni/ipamd.log", "all.zip!/n2"),
            ("all.zip!/a.tar.gz!/./ipamd/ipam.json", "all.zip!/a.tar.gz"),
            ("/data/n1/ipamd/enis.json", "/data/n1"),
            ("ipamd/enis.json", ""),
            ("/var/log/aws-routed-eni/ipamd.log", None),
            ("logs.tar!/node1.log", None),
        ],
    )
    def test_the_files_of_one_collection_have_one_root(self, source: str, collection: str | None) -> None:
        assert collection_of(source) == collection


def numbered(count: int) -> list[dict[str, Any]]:
    return [pod(metadata={"name": f"web-{number}", "namespace": "shop"}) for number in range(count)]


class TestLongLists:
    @pytest.mark.parametrize("indent", [None, 4])
    @pytest.mark.parametrize("size", [1, 64, 4096, 1 << 20])
    @pytest.mark.parametrize(
        "order", [("apiVersion", "items", "kind", "metadata"), ("kind", "metadata", "items")]
    )
    def test_every_element_is_read_once_however_it_arrives(
        self, indent: int | None, size: int, order: tuple[str, ...]
    ) -> None:
        whole = listed(*numbered(40))
        text = json.dumps({key: whole[key] for key in order}, indent=indent).encode()
        found, reasons = in_chunks(text, size)
        assert [str(fact.pod) for fact in found if isinstance(fact, PodReported)] == [
            f"shop/web-{number}" for number in range(40)
        ]
        assert reasons == []

    def test_what_follows_a_list_is_read_too(self) -> None:
        one = json.dumps(listed(*numbered(3)))
        found, reasons = facts(f"{one}\n{one}\n{json.dumps(pod())}")
        assert (len(found), reasons) == (7, [])

    @pytest.mark.parametrize("cut", [0.3, 0.6, 0.95])
    def test_a_list_that_is_cut_short_is_reported_and_read_up_to_there(self, cut: float) -> None:
        text = json.dumps(listed(*numbered(40)))
        found, reasons = facts(text[: int(len(text) * cut)])
        assert 5 < len(found) < 40
        assert reasons

    def test_an_answer_of_prometheus_that_is_cut_short_is_reported(self) -> None:
        series: list[dict[str, Any]] = [
            {"metric": LABELS | {"pod": f"web-{number}"}, "value": [1664976015, "1"]} for number in range(40)
        ]
        answer = {"status": "success", "data": {"resultType": "vector", "result": series}}
        text = json.dumps(answer)
        assert len(facts(text)[0]) == 40
        found, reasons = facts(text[: len(text) // 2])
        assert len(found) < 40
        assert reasons


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("10.0.0.1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
VALID = {
    "ipamd-enis": {"0": POOL},
    "ipam-checkpoint": {"version": "vpc-cni-ipam/1", "allocations": [{"ipv4": "10.0.0.1", "metadata": {}}]},
    "kubernetes-pods": pod(),
    "kube-state-metrics": {"metric": LABELS, "values": [[1664976015, "1"]]},
    "node-facts": {"instanceId": INSTANCE},
}


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of all values in a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, child in inner for place in places(child, (*path, key)))]


@given(st.data())
def test_values_of_any_type_anywhere_never_raise(data: st.DataObject) -> None:
    form = data.draw(st.sampled_from(sorted(VALID)))
    whole = [json.loads(json.dumps(VALID[form]))]
    place = data.draw(st.sampled_from(places(whole[0], (0,))))
    parent: Any = whole
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = data.draw(JSON)
    assert form in POD_FORMS
    decode(Record((Origin("file", 0, form),), json.dumps(whole[0]).encode()))
