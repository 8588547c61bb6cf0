"""Audit events in every wrapper of CloudWatch Logs and log tools: what is read is the same."""

import gzip
import io
import json
import tarfile
import zipfile
from base64 import b64encode
from collections.abc import Callable
from typing import Any

import audit_events
import pytest

from cnitrail.decode import MARKERS, NAMES, decode, pod_markers
from cnitrail.model import Document, Skipped
from cnitrail.model.pod_facts import PodRecord, PodReported
from cnitrail.scan import Scanner, Tally

POD = "shop/web-6d4cf56db6-x2x7k"
GROUP = "/aws/eks/orchard/cluster"
EVENTS = [
    audit_events.create("2026-05-14T09:30:00.100000Z", POD),
    audit_events.bind("2026-05-14T09:30:00.200000Z", POD),
    audit_events.status_patch(
        "2026-05-14T09:30:05.300000Z", POD, ips=["10.0.1.25"], phase="Running", host_ip="10.0.1.10"
    ),
    audit_events.delete("2026-05-14T10:30:00.400000Z", POD, ips=["10.0.1.25"], phase="Running"),
    audit_events.final_delete("2026-05-14T10:30:31.500000Z", POD, ips=["10.0.1.25"], phase="Succeeded"),
]
LEASE = {
    "kind": "Event",
    "apiVersion": "audit.k8s.io/v1",
    "level": "Metadata",
    "auditID": "00000000-0000-4000-8000-00000000000a",
    "stage": "ResponseComplete",
    "requestURI": "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/n?timeout=10s",
    "verb": "update",
    "user": audit_events.kubelet(),
    "sourceIPs": ["10.0.1.10"],
    "objectRef": {"resource": "leases", "name": "n", "apiGroup": "coordination.k8s.io", "apiVersion": "v1"},
    "responseStatus": {"metadata": {}, "code": 200},
    "requestReceivedTimestamp": "2026-05-14T09:31:00.000000Z",
    "stageTimestamp": "2026-05-14T09:31:00.000100Z",
}
ALL = [EVENTS[0], LEASE, *EVENTS[1:], LEASE]


def read(data: bytes, uri: str = "audit") -> tuple[list[PodRecord], list[str], Tally]:
    """Return the records of pod evidence in a file, what could not be read of it, and its counts."""
    scanner = Scanner(NAMES, MARKERS, pod_markers=pod_markers)
    found: list[PodRecord] = []
    problems: list[str] = []
    total = Tally()
    for part, tally in scanner.parts(Document(uri=uri, chunks=iter([data]))):
        for record in scanner.scan(part, tally):
            if isinstance(record, Skipped):
                problems.append(record.reason)
                continue
            decoded = decode(record)
            problems += decoded.problems
            found += [decoded.pods] if decoded.pods is not None else []
        total.records += tally.records
        total.heard |= tally.heard
        total.other_kind = tally.other_kind
    return found, problems, total


def text(event: Any) -> str:
    return json.dumps(event, separators=(",", ":"))


def joined(line: Callable[[Any], str]) -> bytes:
    return "".join(f"{line(event)}\n" for event in ALL).encode()


def subscription(events: list[Any]) -> dict[str, Any]:
    return {
        "messageType": "DATA_MESSAGE",
        "owner": "111122223333",
        "logGroup": GROUP,
        "logStream": "kube-apiserver-audit-4e9f9d6f9d15381d",
        "subscriptionFilters": ["pods"],
        "logEvents": [
            {"id": f"{number:056}", "timestamp": 1778751000000 + number, "message": text(event)}
            for number, event in enumerate(events)
        ],
    }


def packed(value: object) -> str:
    return b64encode(gzip.compress(json.dumps(value).encode())).decode()


def insights(event: Any) -> list[dict[str, str]]:
    return [
        {"field": "@timestamp", "value": "2026-05-14 09:30:05.321"},
        {"field": "@message", "value": text(event)},
        {"field": "@log", "value": f"111122223333:{GROUP}"},
        {"field": "@ptr", "value": "CmEKJgoi"},
    ]


def zipped(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("kube-apiserver-audit-4e9f/000000", data)
    return out.getvalue()


def tarred(data: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        member = tarfile.TarInfo("logs/audit.log")
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


LINES = joined(text)
STREAM = "kube-apiserver-audit-4e9f9d6f9d15381d"
TEXT_ROW = "EVENTS\t30000000000000\t1778751005412\t{stream}\t{event}\t1778751005300"
WRAPPERS: dict[str, bytes] = {
    "lines": LINES,
    "gzip": gzip.compress(LINES),
    "zip of an export": zipped(LINES),
    "tar": tarred(LINES),
    "one event": b"",  # replaced below
    "array": json.dumps(ALL).encode(),
    "pretty array": json.dumps(ALL, indent=2).encode(),
    "pretty stream": "\n".join(json.dumps(event, indent=4) for event in ALL).encode(),
    "EventList": json.dumps({"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "items": ALL}).encode(),
    "pretty EventList": json.dumps(
        {"kind": "EventList", "apiVersion": "audit.k8s.io/v1", "metadata": {}, "items": ALL}, indent=2
    ).encode(),
    "filter-log-events": audit_events.log_events(ALL),
    "get-log-events": json.dumps(
        {
            "events": [{"timestamp": 1, "message": text(event), "ingestionTime": 2} for event in ALL],
            "nextForwardToken": "f/1",
        }
    ).encode(),
    "--query events[].message": json.dumps([text(event) for event in ALL], indent=4).encode(),
    "--query events[].[timestamp,message]": json.dumps(
        [[1778751005300, text(event)] for event in ALL], indent=4
    ).encode(),
    "--output text": joined(lambda event: TEXT_ROW.format(stream=STREAM, event=text(event))),
    "--output text --query": joined(lambda event: f"1778751005300\t{text(event)}"),
    "logs tail": joined(lambda event: f"2026-05-14T09:30:05.300000+00:00 {STREAM} {text(event)}"),
    "logs tail --format short": joined(lambda event: f"2026-05-14T09:30:05 {text(event)}"),
    "logs tail --format json": joined(
        lambda event: f"2026-05-14T09:30:05.300000+00:00 {STREAM} {json.dumps(event, indent=2)}"
    ),
    "export task": gzip.compress(joined(lambda event: f"2026-05-14T09:30:05.300Z {text(event)}")),
    "Insights results": json.dumps(
        {"results": [insights(event) for event in ALL], "status": "Complete"}
    ).encode(),
    "Insights --query results": json.dumps([insights(event) for event in ALL]).encode(),
    "Insights console": json.dumps([{"@message": event} for event in ALL], indent=2).encode(),
    "Insights console, text": json.dumps(
        [{"@timestamp": "2026-05-14 09:30:05.321", "@message": text(event)} for event in ALL]
    ).encode(),
    "Insights CSV": (
        "@timestamp,@message,@log\n"
        + "".join(
            '2026-05-14 09:30:05.321,"' + text(event).replace('"', '""') + f'",111122223333:{GROUP}\n'
            for event in ALL
        )
    ).encode(),
    "Insights --output text": joined(
        lambda event: f"RESULTS\t@timestamp\t2026-05-14 09:30:05.321\nRESULTS\t@message\t{text(event)}"
    ),
    "subscription": json.dumps(subscription(ALL)).encode(),
    "subscription, pretty": json.dumps(subscription(ALL), indent=2).encode(),
    "Firehose": "".join(json.dumps(subscription([event])) for event in ALL).encode(),
    "Firehose, lines": joined(lambda event: json.dumps(subscription([event]))),
    "Lambda": json.dumps({"awslogs": {"data": packed(subscription(ALL))}}).encode(),
    "Kinesis": json.dumps({"Records": [{"kinesis": {"data": packed(subscription(ALL))}}]}).encode(),
    "Splunk": joined(lambda event: json.dumps({"result": {"_raw": text(event)}})),
    "Splunk HEC": joined(lambda event: json.dumps({"time": 1778751005.3, "event": event})),
    "Elastic message": json.dumps(
        {"hits": {"hits": [{"_source": {"message": text(event)}} for event in ALL]}}
    ).encode(),
    "Elastic event.original": joined(lambda event: json.dumps({"event": {"original": text(event)}})),
    "Datadog": json.dumps({"data": [{"attributes": {"message": text(event)}} for event in ALL]}).encode(),
    "Datadog, parsed": json.dumps(
        {"data": [{"attributes": {"attributes": event}} for event in ALL]}
    ).encode(),
    "fluent-bit": joined(lambda event: json.dumps({"log": text(event), "stream": "stdout"})),
    "message": joined(lambda event: json.dumps({"message": text(event), "host": "h"})),
    "syslog": joined(lambda event: f"<134>1 2026-05-14T09:30:05Z h audit - - - {text(event)}"),
    "grep": joined(lambda event: f"audit.log:{text(event)}"),
    "two spaces": joined(json.dumps),
    "CRLF": LINES.replace(b"\n", b"\r\n"),
}
del WRAPPERS["one event"]
BARE = read(LINES)[0]
HAS_GROUP = {
    "Insights results",
    "Insights --query results",
    "Insights CSV",
    "subscription",
    "subscription, pretty",
    "Firehose",
    "Firehose, lines",
    "Lambda",
    "Kinesis",
}


def test_bare_lines_have_all_facts() -> None:
    kinds = [[type(fact).__name__ for fact in record.facts] for record in BARE]
    assert kinds == [
        ["PodReported"],
        ["PodBound"],
        ["NodeNamed", "PodReported"],
        ["PodReported", "PodDeleted"],
        ["NodeNamed", "PodReported", "PodDeleted"],
    ]


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_audit_events_are_the_same_in_every_wrapper(wrapper: str) -> None:
    found, problems, tally = read(WRAPPERS[wrapper])
    assert problems == []
    assert tally.other_kind is None
    assert [record.facts for record in found] == [record.facts for record in BARE]
    assert [record.key for record in found] == [record.key for record in BARE]
    assert tally.records == 7
    assert {minute for form, minute in tally.heard if form == "eks-audit"} == {
        "2026-05-14T09:30",
        "2026-05-14T09:31",
        "2026-05-14T10:30",
    }


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_the_cluster_is_known_from_the_name_of_the_log_group_alone(wrapper: str) -> None:
    found, _, _ = read(WRAPPERS[wrapper])
    assert {record.cluster for record in found} == {"orchard" if wrapper in HAS_GROUP else None}


def test_the_cluster_is_known_from_a_log_group_that_is_the_source() -> None:
    found, _, _ = read(LINES, "logs:/aws/eks/orchard/cluster")
    assert {record.cluster for record in found} == {"orchard"}
    found, _, _ = read(LINES, "/tmp/aws/eks/orchard/cluster")
    assert {record.cluster for record in found} == {None}


CUT = text(EVENTS[2]).partition('"phase"')[0] + '"ph[Truncated...]'
BESIDE = text(EVENTS[1])


@pytest.mark.parametrize(
    ("wrapper", "data", "time"),
    [
        ("lines", f"{CUT}\n", None),
        ("lines between others", f"{BESIDE}\n{CUT}\n{BESIDE}\n{BESIDE}\n", None),
        ("first of lines", f"{CUT}\n{BESIDE}\n{BESIDE}\n", None),
        ("last of lines", f"{BESIDE}\n{BESIDE}\n{CUT}\n", None),
        ("no newline", f"{BESIDE}\n{BESIDE}\n{CUT}", None),
        (
            "export task",
            f"2026-05-14T09:30:05.321Z {CUT}\n2026-05-14T09:30:05.321Z {BESIDE}\n",
            "09:30:05.321",
        ),
        ("logs tail", f"2026-05-14T09:30:05.321000+00:00 {STREAM} {CUT}\n", "09:30:05.321"),
        ("text", TEXT_ROW.format(stream=STREAM, event=CUT) + "\n", "09:30:05.300"),
        (
            "filter-log-events",
            json.dumps({"events": [{"timestamp": 1778751005321, "message": CUT}]}),
            "09:30:05.321",
        ),
        (
            "Insights",
            json.dumps({"results": [[*insights("")[:1], {"field": "@message", "value": CUT}]]}),
            "09:30:05.321",
        ),
        (
            "Insights CSV",
            '@timestamp,@message\n2026-05-14 09:30:05.321,"' + CUT.replace('"', '""') + '"\n',
            "09:30:05.321",
        ),
        ("Splunk", json.dumps({"_raw": CUT}), None),
    ],
)
def test_a_cut_event_is_used_as_far_as_it_goes(wrapper: str, data: str, time: str | None) -> None:
    found, problems, tally = read(data.encode())
    (cut,) = [record for record in found if record.truncated]
    assert (cut.time and f"{cut.time:%H:%M:%S.%f}"[:12]) == time
    (report,) = [fact for fact in cut.facts if isinstance(fact, PodReported)]
    assert [str(ip) for ip in report.addresses] == ["10.0.1.25"]
    assert report.phase is None
    partly, *others = problems
    assert partly == "partly read: CloudWatch Logs cut it short, and what is left of it is used"
    lost = "it lost its times, and its envelope has none: export it with the times of CloudWatch Logs"
    assert [problem.startswith(lost) for problem in others] == ([] if time else [True])
    assert tally.records == 1 + data.count("binding") // max(1, BESIDE.count("binding"))


@pytest.mark.parametrize("end", range(60, len(CUT), 37))
def test_a_cut_may_be_anywhere(end: int) -> None:
    found, _, tally = read(f"{BESIDE}\n{CUT[:end]}[Truncated...]\n{BESIDE}\n".encode())
    assert [record.facts for record in found if not record.truncated] == [BARE[1].facts] * 2
    assert tally.records >= 2


KLOG = 'I0514 09:30:05.123456       1 scheduler.go:604] "Successfully bound pod to node" pod="shop/{web}"'
TRACE = 'Trace[1186437297]: ---"About to write a response" 612ms (09:30:05.123)'
AUTHENTICATOR = 'time="2026-05-14T09:30:05Z" level=info msg="access granted" path=/authenticate'
GROUP_LINES = [
    ("kube-scheduler-4e9f9d6f", KLOG),
    ("authenticator-4e9f9d6f", AUTHENTICATOR),
    (STREAM, text(EVENTS[0])),
    ("kube-apiserver-4e9f9d6f", TRACE),
    *[(STREAM, text(event)) for event in EVENTS[1:]],
    ("kube-controller-manager-4e9f9d6f", "goroutine 1 [running]:"),
    ("cloud-controller-manager-4e9f9d6f", KLOG),
]


def group(line: Callable[[str, str], str]) -> bytes:
    return "".join(f"{line(stream, message)}\n" for stream, message in GROUP_LINES).encode()


@pytest.mark.parametrize(
    "data",
    [
        json.dumps({"events": [{"logStreamName": s, "message": m} for s, m in GROUP_LINES]}).encode(),
        json.dumps({"events": [{"message": m} for _, m in GROUP_LINES if "goroutine" not in m]}).encode(),
        group(lambda stream, message: f"2026-05-14T09:30:05.300000+00:00 {stream} {message}"),
        group(lambda stream, message: json.dumps({"logStreamName": stream, "message": message})),
        group(lambda stream, message: f"2026-05-14T09:30:05 {message}").replace(b"goroutine", TRACE.encode()),
        group(lambda stream, message: TEXT_ROW.format(stream=stream, event=message)).replace(
            b"goroutine", TRACE.encode()
        ),
    ],
)
def test_what_other_components_log_to_the_group_is_passed_over(data: bytes) -> None:
    found, problems, tally = read(data)
    assert problems == []
    assert [record.facts for record in found] == [record.facts for record in BARE]
    assert tally.records == 5


@pytest.mark.parametrize("message", [KLOG, TRACE, AUTHENTICATOR])
def test_the_log_of_another_component_is_no_file_of_cloudtrail(message: str) -> None:
    for prefix in ("", "2026-05-14T09:30:05.300Z "):
        _, problems, tally = read(f"{prefix}{message}\n{prefix}{KLOG}\n".encode())
        assert (problems, tally.other_kind) == ([], "eks-control-plane-logs")
