"""Evidence about pods as other environments write it: other clusters, tools, exports and versions."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import audit_events
import cni_logs as cni
import pytest
from conftest import Run
from export_forms import parquet
from test_audit_wrappers import ALL, BARE, read

from cnitrail.model.pod_facts import NodeNamed, PodReported

Json = dict[str, Any]


def flattened(value: object, path: str) -> Iterator[tuple[str, str]]:
    """Yield the leaves of a value as OCSF 1.1 has them in ``unmapped``: lists are joined with commas."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flattened(inner, f"{path}.{key}")
    elif isinstance(value, list):
        joined: dict[str, list[str]] = {}
        for element in value:
            for key, leaf in flattened(element, path + "[]"):
                joined.setdefault(key, []).append(leaf)
        for key, leaves in joined.items():
            yield key, ",".join(leaves)
    elif value is not None:
        yield path, str(value).lower() if isinstance(value, bool) else str(value)


def ocsf(event: Json, version: str = "1.5.0") -> Json:
    """Return an audit event as Security Lake's source EKS_AUDIT has it."""
    user, target = event["user"], event["objectRef"]
    extra = user.get("extra", {})
    objects = {name: event[name] for name in ("requestObject", "responseObject") if name in event}
    request: Json = {"uid": event["auditID"]}
    response: Json = {"code": event["responseStatus"]["code"]}
    unmapped = {"eks_cluster_name": "orchard", "sourceIPs[]": ",".join(event["sourceIPs"]), "kind": "Event"}
    if version == "1.1.0":
        for name, whole in objects.items():
            unmapped |= dict(flattened(whole, name))
    else:
        request |= {"data": json.dumps(objects["requestObject"])} if "requestObject" in objects else {}
        response |= {"data": json.dumps(objects["responseObject"])} if "responseObject" in objects else {}
    path = event["requestURI"]
    received, done = (
        event[key].replace("T", " ").replace("Z", "+00:00" if version == "1.5.0" else "")
        for key in ("requestReceivedTimestamp", "stageTimestamp")
    )
    return {
        "activity_id": 1,
        "actor": {
            "session": {"uid": extra["sessionName"][0]} if "sessionName" in extra else {},
            "user": {
                "name": user["username"],
                "uid": user.get("uid"),
                "groups": [{"name": group} for group in user["groups"]],
            },
        },
        "api": {
            "operation": event["verb"],
            "request": request,
            "response": response,
            "version": "v1",
            "group": {"name": target.get("apiGroup", "")},
        },
        "class_uid": 6003,
        "http_request": {"url": {"path": path}, "user_agent": "kubelet"},
        "message": event["stage"],
        "metadata": {
            "log_level": event["level"],
            "product": {"name": "Amazon EKS", "version": "audit.k8s.io/v1"},
            "version": version,
        },
        "resources": [{"name": target.get("name"), "type": target["resource"]}],
        "src_endpoint": {"ip": event["sourceIPs"][0]},
        "start_time_dt": received,
        "time_dt": done,
        "unmapped": unmapped,
    }


class TestSecurityLake:
    @pytest.mark.parametrize("version", ["1.1.0", "1.5.0"])
    def test_audit_events_in_ocsf_say_the_same(self, version: str) -> None:
        rows = [ocsf(event, version) for event in ALL]
        found, problems, tally = read("".join(json.dumps(row) + "\n" for row in rows).encode())
        assert problems == []
        assert [record.facts for record in found] == [record.facts for record in BARE]
        assert [record.time for record in found] == [record.time for record in BARE]
        assert {record.cluster for record in found} == {"orchard"}
        assert tally.records == 7
        assert ("eks-audit", "2026-05-14T09:31") in tally.heard

    @pytest.mark.parametrize("version", ["1.1.0", "1.5.0"])
    def test_the_registration_of_a_node_names_its_instance(self, version: str) -> None:
        row = ocsf(audit_events.node_create("2026-05-14T09:00:00.100000Z"), version)
        (record,), problems, _ = read(json.dumps(row).encode())
        named = NodeNamed(node=audit_events.NODE, instance=audit_events.INSTANCE, basis="provider-id")
        assert problems == []
        assert named in record.facts

    @pytest.mark.parametrize("version", ["1.1.0", "1.5.0"])
    def test_parquet_files_of_security_lake_say_the_same(self, version: str) -> None:
        found, problems, tally = read(parquet([ocsf(event, version) for event in ALL]))
        assert problems == []
        assert [record.facts for record in found] == [record.facts for record in BARE]
        assert tally.records == 7

    def test_an_address_that_cannot_be_told_from_a_removed_one_is_left_out(self) -> None:
        event = audit_events.status_patch(
            "2026-05-14T09:30:05.300000Z", "shop/web", ips=["10.0.1.25"], removed=["10.0.1.9"]
        )
        (record,), _, _ = read(json.dumps(ocsf(event, "1.1.0")).encode())
        (report,) = [fact for fact in record.facts if isinstance(fact, PodReported)]
        assert ([str(ip) for ip in report.addresses], report.removed) == (["10.0.1.25"], ())

    def test_rows_without_what_names_an_event_say_what_to_select(self) -> None:
        row = ocsf(ALL[0])
        del row["api"]["operation"]
        found, problems, _ = read(json.dumps(row).encode())
        assert found == []
        assert problems == ["record 0: an audit event in OCSF without its verb; select all columns"]

    def test_an_object_that_is_cut_is_said(self) -> None:
        row = ocsf(ALL[0])
        row["api"]["response"]["data"] = row["api"]["response"]["data"][:40]
        _, problems, _ = read(json.dumps(row).encode())
        assert problems == ["record 0: the responseObject of an audit event in OCSF cannot be read"]


AWS_NODE = {"namespace": "kube-system", "container": "aws-node", "pod": "aws-node-x7k2p"}
GROUP = {"__aws_cloudwatch_log_group": "/aws/eks/orchard/cluster"}
NANOSECONDS = "1778751005300000000"


def text(event: Json) -> str:
    return json.dumps(event, separators=(",", ":"))


def loki(labels: Json, lines: list[str]) -> Json:
    """Return a stream of Loki."""
    return {"stream": labels, "values": [[NANOSECONDS, line] for line in lines]}


EVENT_LINES = [text(event) for event in ALL]


class TestLoki:
    @pytest.mark.parametrize(
        "answer",
        [
            {"data": {"resultType": "streams", "result": [loki({"job": "audit"}, EVENT_LINES)]}},
            {"streams": [loki({"job": "audit"}, EVENT_LINES)]},
            [{"line": line, "timestamp": NANOSECONDS, "labels": {"job": "audit"}} for line in EVENT_LINES],
        ],
        ids=["query_range", "push", "logcli and Explore"],
    )
    def test_audit_events_of_loki(self, answer: object) -> None:
        found, problems, _ = read(json.dumps(answer).encode())
        assert problems == []
        assert [record.facts for record in found] == [record.facts for record in BARE]

    def test_a_csv_of_grafana(self) -> None:
        quoted = "".join('"2026-05-14","' + line.replace('"', '""') + '"\n' for line in EVENT_LINES)
        found, problems, _ = read(f"Date,Line\n{quoted}".encode())
        assert problems == []
        assert [record.facts for record in found] == [record.facts for record in BARE]

    def test_lambda_promtail_names_the_log_group(self) -> None:
        found, _, _ = read(json.dumps({"data": {"result": [loki(GROUP, EVENT_LINES)]}}).encode())
        assert {record.cluster for record in found} == {"orchard"}

    @pytest.mark.parametrize(
        ("labels", "is_read"),
        [(AWS_NODE, True), (AWS_NODE | {"namespace": "shop"}, False), ({"pod": "aws-node-x"}, False)],
    )
    def test_only_the_cnis_own_container_counts(self, labels: Json, is_read: bool) -> None:
        line = cni.assign("1.23", "2026-05-14T09:30:00.000Z", "10.0.1.25", "a" * 64, ("shop", "web"))
        for answer in ({"data": {"result": [loki(labels, [line])]}}, {"line": line, "labels": labels}):
            found, problems, _ = read(json.dumps(answer).encode())
            assert problems == []
            assert bool(found) == is_read


ELASTIC = [{"@timestamp": event["stageTimestamp"], "kubernetes": {"audit": event}} for event in ALL]


@pytest.mark.parametrize(
    "documents",
    [
        ELASTIC,
        [{"_source": document} for document in ELASTIC],
        {"hits": {"hits": [{"_source": document} for document in ELASTIC]}},
    ],
)
def test_audit_events_of_elastics_integration(documents: object) -> None:
    found, problems, _ = read(json.dumps(documents).encode())
    assert problems == []
    assert [record.facts for record in found] == [record.facts for record in BARE]


@pytest.mark.parametrize(
    "container",
    [
        {"kubernetes": {"namespace_name": "shop", "container_name": "web"}},
        {"kubernetes": {"audit": ALL[3], "pod": {"name": "web"}}},
        {"containerName": "web", "namespace": "shop", "podName": "web-1"},
        {"labels": {"namespace": "shop", "pod": "web-1"}},
        {"tags": ["kube_namespace:shop", "pod_name:web-1"]},
        {"fields": {"k8s.pod.name": "web-1"}},
    ],
    ids=["fluent-bit", "Elastic", "stern", "Loki", "Datadog", "OpenTelemetry"],
)
def test_what_a_container_prints_is_no_audit_event(container: Json) -> None:
    for printed in (ALL[3], {"log": text(ALL[3])}, {"message": text(ALL[3])}, {"line": text(ALL[3])}):
        found, problems, _ = read(json.dumps(printed | container).encode())
        assert (found, problems) == ([], [])


class TestSaid:
    """What is recognized, cannot be used, and is said once with what to do."""

    def test_audit_level_metadata_has_no_addresses(self) -> None:
        bare = [
            {key: event[key] for key in event if not key.endswith("Object")} | {"level": "Metadata"}
            for event in ALL * 20
        ]
        _, problems, _ = read(audit_events.lines(bare))
        assert problems == [
            (
                "80 changes of pods at audit level Metadata, which has no addresses; "
                "log pods and pods/status at level Request or RequestResponse"
            )
        ]

    def test_series_without_an_address(self) -> None:
        series = {"metric": {"__name__": "kube_pod_info", "namespace": "shop", "pod": "web"}, "values": []}
        _, problems, _ = read(json.dumps({"data": {"result": [series, series]}}).encode())
        assert problems == [
            (
                "2 series of kube_pod_info without one of the labels namespace, pod and pod_ip: "
                "they do not say which pod has which address"
            )
        ]

    def test_data_frames_of_grafana(self) -> None:
        frame = {"schema": {"refId": "A", "fields": []}, "data": {"values": []}}
        for answer in ({"results": {"A": {"frames": [frame]}}}, [frame]):
            _, problems, _ = read(json.dumps(answer).encode())
            assert len(problems) == 1
            assert problems[0].startswith("data frames of Grafana; give the answer of Prometheus itself")

    def test_the_description_of_a_pod(self) -> None:
        described = "Name:             web-1\nNamespace:        shop\nStatus:  Running\nIP:  10.0.1.25\n"
        _, problems, _ = read(described.encode(), "web.txt")
        assert problems == [
            (
                "what kubectl describe pod prints is for people; "
                "give the pods as kubectl get pods -A -o json prints them"
            )
        ]

    @pytest.mark.parametrize("items", [[], None])
    def test_an_empty_list_is_no_unknown_envelope(self, items: list[Json] | None) -> None:
        for kind in ("PodList", "EventList", "List"):
            found, problems, _ = read(json.dumps({"kind": kind, "apiVersion": "v1", "items": items}).encode())
            assert (found, problems) == ([], [])


LINE = cni.assign("1.23", "2026-05-14T09:30:00.000Z", "10.0.1.25", "a" * 64, ("shop", "web"))


def test_the_output_of_containers_in_a_dump_of_the_cluster_is_no_evidence() -> None:
    for printed in (LINE, text(ALL[3])):
        dump = f"==== START logs for container web of pod shop/web-1 ====\n{printed}\n{printed}\n{printed}\n"
        found, problems, tally = read(dump.encode(), "dump/shop/web-1/logs.txt")
        assert (found, problems, tally.other_kind) == ([], [], "container-logs")


@pytest.mark.parametrize(
    ("prefix", "is_read"),
    [
        ("[pod/aws-node-x7k2p/aws-node] ", True),
        ("[pod/web-1/web] ", False),
        ("[pod/aws-node-x7k2p/aws-eks-nodeagent] ", False),
    ],
)
def test_kubectl_logs_names_the_container_of_a_line(prefix: str, is_read: bool) -> None:
    aws_node = f"[pod/aws-node-x7k2p/aws-node] {LINE}\n"
    found, _, _ = read(f"{aws_node}{prefix}{LINE}\n{aws_node}".encode())
    assert len(found) == (3 if is_read else 2)


@pytest.mark.parametrize(
    "name", ["pod.out", "ipamd-env.out", "metrics.out", "iptables-nat.out", "messages", "cni/10-aws.conflist"]
)
def test_what_aws_cni_support_collects_beside_the_logs_is_no_evidence(name: str) -> None:
    for content in ("{}", "# HELP a b\n", "*nat\n", ""):
        _, problems, _ = read(content.encode(), f"aws-cni-support.tar.gz!var/log/aws-routed-eni/{name}")
        assert problems == []


def test_what_logdog_of_bottlerocket_collects_is_no_evidence() -> None:
    for name in ("os-release", "journalctl.log", "settings.json", "kube-status"):
        for content in ("NAME=Bottlerocket\n", '{"settings": {}}'):
            _, problems, _ = read(content.encode(), f"x/bottlerocket-logs.tar.gz!bottlerocket-logs/{name}")
            assert problems == []


POD, UID, IP = "shop/web", audit_events.UID, "10.0.1.25"
FARGATE = "fargate-ip-10-0-1-25.eu-west-1.compute.internal"


def life(node: str, session: str, ips: list[str], host_ip: str = "10.0.1.10") -> list[Json]:
    """Return the audit events of a pod that has its addresses by 09:30:05.3 and is gone by 10:30:31.5."""
    by: Json = {"node": node, "instance": session}
    status: Json = {"ips": ips, "phase": "Running", "host_ip": host_ip}
    return [
        audit_events.create("2026-05-14T09:30:00.100000Z", POD),
        audit_events.bind("2026-05-14T09:30:00.200000Z", POD, node=node),
        audit_events.status_patch("2026-05-14T09:30:05.300000Z", POD, **status, **by),
        audit_events.delete("2026-05-14T10:30:00.400000Z", POD, node=node, **status),
        audit_events.final_delete("2026-05-14T10:30:31.500000Z", POD, **status, **by),
    ]


def entries(run: Run, path: Path, *sources: Path) -> list[Json]:
    """Return what ``pods`` says of a file."""
    found = [json.loads(line) for line in run("pods", path, *sources, "-o", "jsonl").stdout.splitlines()]
    return sorted(found, key=lambda entry: str(entry["ip"]))


@pytest.mark.parametrize(
    ("node", "session", "instance"),
    [
        (audit_events.NODE, audit_events.INSTANCE, audit_events.INSTANCE),
        (audit_events.INSTANCE, audit_events.INSTANCE, audit_events.INSTANCE),
        (f"{audit_events.INSTANCE}.eu-west-1.compute.internal", audit_events.INSTANCE, audit_events.INSTANCE),
        ("worker-7.corp.example.com", audit_events.INSTANCE, audit_events.INSTANCE),
        ("ip-10-0-1-10.ec2.internal", "1715678901234567890", None),
        (FARGATE, FARGATE, None),
    ],
    ids=["AL2023", "Auto Mode", "resource name", "own names", "access key of a role", "Fargate"],
)
def test_nodes_of_every_kind_name_their_instance_if_they_have_one(
    run: Run, tmp_path: Path, node: str, session: str, instance: str | None
) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(audit_events.lines(life(node, session, [IP])))
    (entry,) = entries(run, path)
    assert (entry["ip"], entry["pod"], entry["node"], entry["instance"]) == (IP, "web", node, instance)


@pytest.mark.parametrize("ips", [[IP, "2600:1f18::5"], ["2600:1f18::5"]])
def test_a_pod_of_two_families_has_both_addresses(run: Run, tmp_path: Path, ips: list[str]) -> None:
    path = tmp_path / "audit.jsonl"
    path.write_bytes(audit_events.lines(life(audit_events.NODE, audit_events.INSTANCE, ips)))
    assert [(entry["ip"], entry["pod"]) for entry in entries(run, path)] == [(ip, "web") for ip in ips]


class TestFargate:
    """A pod of Fargate is alone on its node: it has the node's address, the primary of the ENI."""

    def test_it_has_the_address_of_its_node(self, run: Run, tmp_path: Path) -> None:
        audit, trail = tmp_path / "audit.jsonl", tmp_path / "trail.json"
        audit.write_bytes(audit_events.lines(life(FARGATE, FARGATE, [IP], host_ip=IP)))
        trail.write_text(json.dumps({"Records": [fargate_eni()]}))
        for sources, eni in (((audit,), None), ((audit, trail), "eni-0aaa1b2c3d4e5f607")):
            (entry,) = entries(run, *sources)
            assert (entry["pod"], entry["node"], entry["eni"]) == ("web", FARGATE, eni)
            (answer,) = json.loads(
                run("who", IP, "--at", "2026-05-14T09:45:00Z", *sources, "-o", "json").stdout
            )["entries"]
            assert answer["pod"]["verdict"] == "likely"
            assert [pod["pod"] for pod in answer["pod"]["pods"]] == ["web"]

    def test_a_node_of_ec2_keeps_its_own_address(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "audit.jsonl"
        for session in (audit_events.INSTANCE, FARGATE):
            events = life(audit_events.NODE, session, ["10.0.1.10"])
            path.write_bytes(audit_events.lines(events))
            assert entries(run, path) == []

    def test_its_eni_without_a_pod_is_not_that_of_a_node(self, run: Run, tmp_path: Path) -> None:
        audit, trail = tmp_path / "audit.jsonl", tmp_path / "trail.json"
        audit.write_bytes(audit_events.lines(life(audit_events.NODE, audit_events.INSTANCE, ["10.0.1.30"])))
        trail.write_text(json.dumps({"Records": [fargate_eni()]}))
        (answer,) = json.loads(
            run("who", IP, "--at", "2026-05-14T09:45:00Z", audit, trail, "-o", "json").stdout
        )["entries"]
        assert answer["pod"]["verdict"] == "unknown"


def fargate_eni() -> Json:
    """Return the record of the ENI that Fargate makes for a pod."""
    service, role = "eks-fargate.amazonaws.com", "AWSServiceRoleForAmazonEKSForFargate"
    issuer = f"arn:aws:iam::111122223333:role/aws-service-role/{service}/{role}"
    return {
        "eventVersion": "1.08",
        "userIdentity": {
            "type": "AssumedRole",
            "principalId": "AROAEXAMPLE:eks-fargate",
            "arn": f"arn:aws:sts::111122223333:assumed-role/{role}/eks-fargate",
            "accountId": "111122223333",
            "sessionContext": {"sessionIssuer": {"type": "Role", "arn": issuer, "userName": role}},
            "invokedBy": service,
        },
        "eventTime": "2026-05-14T09:30:01Z",
        "eventSource": "ec2.amazonaws.com",
        "eventName": "CreateNetworkInterface",
        "awsRegion": "eu-west-1",
        "sourceIPAddress": service,
        "userAgent": service,
        "requestParameters": {"subnetId": "subnet-0a1b2c3d4e5f60718"},
        "responseElements": {
            "networkInterface": {
                "networkInterfaceId": "eni-0aaa1b2c3d4e5f607",
                "subnetId": "subnet-0a1b2c3d4e5f60718",
                "vpcId": "vpc-0a1b2c3d4e5f60718",
                "ownerId": "111122223333",
                "requesterManaged": True,
                "interfaceType": "interface",
                "privateIpAddress": IP,
                "privateIpAddressesSet": {"item": [{"privateIpAddress": IP, "primary": True}]},
            }
        },
        "eventID": "11111111-0000-4000-8000-000000000001",
        "eventType": "AwsApiCall",
        "recipientAccountId": "111122223333",
    }


@pytest.mark.parametrize(
    ("name", "is_read"),
    [
        ("pods/kube-system_aws-node-x7k2p_" + UID + "/aws-node/0.log", True),
        ("pods/kube-system_aws-node-x7k2p_" + UID + "/aws-node/0.log.20260514-093000.gz", True),
        ("pods/shop_web-1_" + UID + "/aws-node/0.log", False),
        ("containers/aws-node-x7k2p_kube-system_aws-node-" + "a" * 64 + ".log", True),
        ("containers/web-1_shop_web-" + "a" * 64 + ".log", False),
    ],
)
def test_the_files_of_containers_on_a_node(name: str, is_read: bool) -> None:
    lines = "".join(f"2026-05-14T09:30:00.123456789Z stdout F {LINE}\n" for _ in range(3))
    found, problems, tally = read(lines.encode(), f"node.zip!var/log/{name}")
    assert (bool(found), bool(tally.heard), problems) == (is_read, is_read, [])
    events = "".join(f"2026-05-14T09:30:00.123456789Z stdout F {text(event)}\n" for event in ALL)
    found, problems, tally = read(
        events.encode(), "node.zip!var/log/containers/web_shop_web-" + "a" * 64 + ".log"
    )
    assert (found, tally.heard, problems) == ([], set(), [])


SANDBOX = "d78e79e2f3c65976885cf228da933b8d35471497f1bdfacbff8d24644f175222"


def plugin_log(*, released: bool = True) -> bytes:
    """Return a plugin.log in which shop/web gets 10.0.1.25 by 09:30:00.150, and gives it back at 10:30."""
    names = f"K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;K8S_POD_UID={UID}"
    call = f"ContainerID({SANDBOX}) Netns(/var/run/netns/cni-a) IfName(eth0) Args({names}) Path(/opt/cni/bin)"
    answer = f'for container {SANDBOX} interface eth0: Success:true IPv4Addr:"{IP}" VPCv4CIDRs:"10.0.0.0/16"'
    lines = [
        ("09:30:00.050", f"Received CNI add request: {call}"),
        ("09:30:00.150", f"Received add network response from ipamd {answer}"),
        ("10:30:00.150", f"Received CNI del request: {call}"),
    ]
    caller = "routed-eni-cni-plugin/cni.go:150"
    return cni.log(
        *(
            cni.line("1.18", f"2026-05-14T{clock}Z", message, caller=caller)
            for clock, message in lines[: 3 if released else 2]
        )
    )


class TestPluginLog:
    """``plugin.log`` goes further back than ``ipamd.log``, which has far more lines."""

    @pytest.mark.parametrize(
        ("released", "end"), [(True, ("2026-05-14T10:30:05.150000Z", "implied")), (False, (None, "open"))]
    )
    def test_it_shows_a_pod_that_nothing_else_shows(
        self, run: Run, tmp_path: Path, released: bool, end: tuple[str | None, str]
    ) -> None:
        path = tmp_path / "plugin.log"
        path.write_bytes(plugin_log(released=released))
        (entry,) = entries(run, path)
        assert (entry["ip"], entry["pod"], entry["uid"], entry["start_basis"]) == (IP, "web", UID, "implied")
        assert (entry["end"], entry["end_basis"]) == end

    def test_it_is_never_enough_to_be_certain(self, run: Run, tmp_path: Path) -> None:
        path = tmp_path / "plugin.log"
        path.write_bytes(plugin_log())
        (answer,) = json.loads(run("who", IP, "--at", "2026-05-14T09:45:00Z", path, "-o", "json").stdout)[
            "entries"
        ]
        assert answer["pod"]["verdict"] == "likely"

    def test_it_adds_nothing_to_what_others_show(self, run: Run, tmp_path: Path) -> None:
        audit, plugin, ipamd = (tmp_path / name for name in ("audit.jsonl", "plugin.log", "ipamd.log"))
        audit.write_bytes(audit_events.lines(life(audit_events.NODE, audit_events.INSTANCE, [IP])))
        plugin.write_bytes(plugin_log())
        assert entries(run, audit, plugin) == entries(run, audit)
        assigned = cni.assign("1.18", "2026-05-14T09:30:00.100Z", IP, SANDBOX, ("shop", "web"))
        released = cni.release("1.18", "2026-05-14T10:30:00.160Z", IP, SANDBOX, ("shop", "web"))
        ipamd.write_bytes(cni.log(assigned, released))
        (entry,) = entries(run, ipamd, plugin)
        assert (entry["pod"], entry["start_basis"], entry["end_basis"]) == ("web", "observed", "observed")
