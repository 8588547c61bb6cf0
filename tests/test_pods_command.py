"""``pods``, ``timeline --pod`` and ``leases --pod``: every interval in which a pod held an address."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import audit_events as audit
import pytest
from conftest import FIXTURES, Run, Show

import cnitrail
from cnitrail.errors import UsageError

STORY = "pod-behind-an-address"
WEB, CART = "web-6d4cf56db6-x2x7k", "cart-7f9c64bd5d-qq8zn"
IP, ENI, NODE = "192.168.53.76", "eni-0bbea279695112970", "ip-192-168-55-245.eu-west-1.compute.internal"
INSTANCE = "i-03846c730abe852f4"


def entries(run: Run, *arguments: str) -> list[dict[str, Any]]:
    result = run(*arguments, "-o", "json")
    assert result.exit_code == 0, result.stderr
    found: list[dict[str, Any]] = json.loads(result.stdout)["entries"]
    return found


def names(run: Run, *filters: str) -> list[str]:
    return [entry["pod"] for entry in entries(run, "pods", STORY, *filters)]


def test_every_interval_has_its_pod_its_node_and_its_eni(run: Run) -> None:
    web, cart = entries(run, "pods", STORY)
    assert (web["ip"], web["namespace"], web["pod"]) == (IP, "shop", WEB)
    assert (web["start"], web["end"]) == ("2022-10-05T13:20:02.290000Z", "2022-10-05T14:30:30.101000Z")
    assert (web["start_basis"], web["end_basis"]) == ("observed", "observed")
    assert (web["eni"], web["instance"], web["node"]) == (ENI, "i-03846c730abe852f4", NODE)
    assert (web["service_account"], web["account"], web["region"]) == (
        "shop/web",
        "111111111111",
        "eu-west-1",
    )
    assert (cart["pod"], cart["start"]) == (CART, "2022-10-05T14:31:10.874000Z")


def test_the_pod_of_a_log_is_not_certain_if_nothing_shows_of_which_node_it_is(run: Run) -> None:
    asked = ("who", IP, f"{STORY}/AWSLogs", f"{STORY}/node", "--at", "2022-10-05T14:00Z")
    pod = entries(run, *asked)[0]["pod"]
    assert (pod["verdict"], pod["pods"][0]["pod"]) == ("likely", WEB)
    assert "pod-instance-not-shown" in {reason["code"] for reason in pod["reasons"]}


def test_a_pod_of_the_host_network_is_not_listed(run: Run) -> None:
    assert not any("exporter" in name for name in names(run))


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        (("--pod", f"shop/{WEB}"), [WEB]),
        (("--pod", WEB), [WEB]),
        (("--pod", "web-*"), [WEB]),
        (("--pod", "shop/*"), [WEB, CART]),
        (("--pod", "web-*", "--pod", "cart-*"), [WEB, CART]),
        (("--pod", f"other/{WEB}"), []),
        (("--namespace", "shop"), [WEB, CART]),
        (("--namespace", "kube-system"), []),
        (("--node", NODE), [WEB, CART]),
        (("--instance", "i-03846c730abe852f4"), [WEB, CART]),
        (("--ip", "192.168.53.0/24"), [WEB, CART]),
        (("--ip", "10.0.0.0/8"), []),
        (("--eni", ENI), [WEB, CART]),
        (("--account", "222222222222"), []),
        (("--at", "2022-10-05T14:00Z"), [WEB]),
        (("--at", "2022-10-05T14:30:30.500Z"), []),
        (("--at", "2022-10-05T14:30:30Z"), [WEB]),
        (("--since", "2022-10-05T14:31Z"), [CART]),
        (("--until", "2022-10-05T14:31Z"), [WEB]),
    ],
)
def test_filters_select_pods(run: Run, filters: tuple[str, ...], found: list[str]) -> None:
    assert names(run, *filters) == found


@pytest.mark.parametrize(
    ("option", "value", "hint"),
    [
        ("--pod", "shop:web", "use NAMESPACE/NAME or NAME"),
        ("--pod", "a/b/c", "use NAMESPACE/NAME or NAME"),
        ("--pod", "", "use NAMESPACE/NAME or NAME"),
        ("--pod", "shop/", "use NAMESPACE/NAME or NAME"),
        ("--namespace", "shop/web", "name a pod with --pod"),
        ("--namespace", "-shop", "for example kube-system"),
    ],
)
def test_what_is_no_pod_or_namespace_is_a_usage_error(run: Run, option: str, value: str, hint: str) -> None:
    result = run("pods", STORY, option, value)
    assert result.exit_code == 2
    assert f"error: {option}: {value!r} is not a" in result.stderr
    assert hint in result.stderr


def test_a_pod_that_no_evidence_mentions_gets_the_closest_names(run: Run) -> None:
    result = run("pods", STORY, "--pod", "shop/web-6d4cf56db6-x2x7")
    assert result.exit_code == 0
    assert (
        "no pod evidence shows an address of pod shop/web-6d4cf56db6-x2x7; pods with addresses"
        in result.stderr
    )
    assert f"shop/{WEB}" in result.stderr
    result = run("pods", STORY, "--namespace", "shopp")
    assert (
        "no pod evidence shows an address in namespace shopp; namespaces in this evidence: shop"
        in result.stderr
    )


def test_without_pod_evidence_the_answer_says_how_to_get_it(run: Run) -> None:
    result = run("pods", "ironman")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no pod evidence in the sources" in result.stderr
    assert "aws logs filter-log-events --log-group-name /aws/eks/CLUSTER/cluster" in result.stderr
    assert "eks-log-collector.sh" in result.stderr
    limitations = json.loads(run("pods", "ironman", "-o", "json").stdout)["limitations"]
    assert [limitation["code"] for limitation in limitations] == ["no-pod-evidence"]


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("shop/web", "shop/web-*"),
        ("web", "web-*"),
        (f"pod/{WEB}", WEB),
        ("deployment/cart", "cart-*"),
    ],
)
def test_the_name_of_a_workload_or_of_kubectl_gets_the_argument_that_was_meant(
    run: Run, asked: str, meant: str
) -> None:
    for command in ("pods", "timeline"):
        result = run(command, STORY, "--pod", asked)
        assert f"no pod evidence shows an address of pod {asked} (try --pod '{meant}')" in result.stderr


def test_files_that_are_questions_say_how_to_ask(run: Run, tmp_path: Path) -> None:
    flow = "2 123456789010 eni-0bbea279695112970 10.0.1.25 10.0.2.9 41522 443 6 20 4249 1664978412 1664978470"
    (tmp_path / "flow.log").write_text(f"{flow} ACCEPT OK\n")
    result = run("pods", tmp_path / "flow.log")
    assert result.exit_code == 1
    assert "1 vpc-flow-logs" in result.stderr
    assert "hint: flow logs do not show who had an address; cnitrail flows " in result.stderr
    table = "NAMESPACE  NAME  READY  STATUS  RESTARTS  AGE\nshop  web-0  1/1  Running  0  5m\n"
    (tmp_path / "pods.txt").write_text(table)
    refused = run("pods", tmp_path / "pods.txt").stderr
    assert "the table of kubectl get pods has ages instead of times" in refused
    assert "kubectl get pods -A -o json" in refused


def test_the_summary_counts_pod_evidence(run: Run) -> None:
    summary = run("pods", STORY).stderr
    assert "17 IP-related (2022-10-05 13:14:10Z to 2022-10-05 15:22:24Z)" in summary
    assert "about pods (2022-10-05 13:15:43Z to 2022-10-05 15:21:15Z)" in summary
    summary = run("pods", f"{STORY}/node").stderr
    assert "about pods (2022-10-05 13:15:43Z to 2022-10-05 15:21:15Z), no CloudTrail events" in summary
    assert "no IP-related events" not in summary


def test_bounds_that_are_not_observed_are_shown_as_bounds(run: Run, show: Show) -> None:
    shown = show(160, "pods", f"{STORY}/audit")
    assert "13:20:01.130–13:20:05.402" in shown
    assert "(implied)" in shown
    row = next(csv.DictReader(io.StringIO(run("pods", f"{STORY}/audit", "-o", "csv").stdout)))
    assert row["start_not_before"] == "2022-10-05T13:20:01.130Z"
    assert row["start"] == "2022-10-05T13:20:05.402Z"
    assert row["start_basis"] == "implied"


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_tables_fit_every_screen(show: Show, width: int) -> None:
    for source in (STORY, f"{STORY}/audit", f"{STORY}/node"):
        shown = show(width, "pods", source)
        assert WEB in shown
        assert IP in shown


def test_all_formats_have_all_pods(run: Run) -> None:
    for output in ("json", "jsonl", "yaml", "csv", "wide", "table"):
        stdout = run("pods", STORY, "-o", output).stdout
        assert WEB in stdout
        assert CART in stdout


def test_the_timeline_of_a_pod_has_the_calls_around_it(run: Run, show: Show) -> None:
    found = entries(run, "timeline", STORY, "--pod", f"shop/{WEB}")
    assert [(entry["event"], entry["eni"]) for entry in found] == [
        ("AssignPrivateIpAddresses", ENI),
        ("UnassignPrivateIpAddresses", ENI),
    ]
    assert {pod["pod"] for entry in found for pod in entry["pods"]} == {WEB}


def test_the_timeline_of_a_pod_has_its_own_start_and_end_between_the_calls(run: Run, show: Show) -> None:
    shown = show(100, "timeline", STORY, "--pod", WEB)
    rows = [line.split("  ")[0] + " " + line[14:42].strip() for line in shown.splitlines() if ENI in line]
    assert rows == [
        "13:16:06 AssignPrivateIpAddresses",
        "13:20:02.290 pod got address",
        "14:30:30.101 pod released address",
        "15:21:23 UnassignPrivateIpAddresses",
    ]
    assert f"shop/{WEB} {IP}" in " ".join(shown.split())
    assert f"{IP}; in cooldown for 30 s by default" in " ".join(shown.split())
    piped = run("timeline", STORY, "--pod", WEB, "--newest-first").stdout.splitlines()
    assert [line.split()[0] for line in piped[1:5]] == [
        "2022-10-05T15:21:23Z",
        "2022-10-05T14:30:30.101Z",
        "2022-10-05T13:20:02.290Z",
        "2022-10-05T13:16:06Z",
    ]


def test_moments_of_a_pod_that_no_log_of_the_cni_shows_have_their_bounds(show: Show) -> None:
    shown = " ".join(show(120, "timeline", f"{STORY}/AWSLogs", f"{STORY}/audit", "--pod", WEB).split())
    assert "13:20:05.402 pod has address" in shown
    assert "got it between 2022-10-05 13:20:01.130 and 13:20:05.402Z" in shown
    assert "14:30:31.700 pod without address" in shown
    assert "released it by 2022-10-05 14:30:31.700Z" in shown


def test_without_calls_around_a_pod_the_next_command_is_named(run: Run) -> None:
    result = run("timeline", f"{STORY}/AWSLogs", f"{STORY}/node", "--pod", WEB, "--event", "CreateSubnet")
    assert (
        "hint: no API call names the pod's address; cnitrail pods shows when the pod had it" in result.stderr
    )


@pytest.mark.parametrize("command", ["timeline", "leases"])
def test_without_cloudtrail_the_command_for_pods_is_named(run: Run, command: str) -> None:
    result = run(command, f"{STORY}/node")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (
        0,
        "hint: only pod evidence was read: cnitrail pods shows when each pod had which address",
    )


def test_an_address_is_explained_by_pod_evidence_alone(run: Run) -> None:
    result = run("explain", IP, f"{STORY}/node")
    assert result.exit_code == 0
    assert "At 2022-10-05 15:20:11Z, no CloudTrail event shows it on an ENI." in result.stdout
    assert f"Pod shop/{CART} has it, since 2022-10-05 14:31:10.874Z (likely: " in result.stdout


@pytest.mark.parametrize("name", [INSTANCE, NODE, f"aws:///eu-west-1a/{INSTANCE}"])
def test_an_instance_or_node_is_explained_by_pod_evidence_alone(run: Run, name: str) -> None:
    result = run("explain", name, f"{STORY}/audit")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == f"{INSTANCE} is an instance, and node {NODE} by pod evidence."
    assert lines[-2:] == ["See the pods on it:", f"  $ cnitrail pods --instance {INSTANCE} {STORY}/audit"]


def test_entries_name_no_pods_unless_they_are_asked_for(run: Run) -> None:
    assert {tuple(entry["pods"]) for entry in entries(run, "timeline", STORY)} == {()}


def test_leases_of_a_pod_are_those_of_its_address(run: Run) -> None:
    found = entries(run, "leases", STORY, "--pod", WEB)
    assert [(lease["ip"], lease["eni"]) for lease in found] == [(IP, ENI)]


def test_hostile_names_do_nothing_on_a_screen(run: Run, show: Show, tmp_path: Path) -> None:
    text = (FIXTURES / STORY / "node" / "ipamd.log").read_text()
    (tmp_path / "ipamd.log").write_text(text.replace("shop", "sh\\u001b[31mop"))
    for arguments in (("pods", str(tmp_path)), ("who", IP, str(tmp_path), "--at", "2022-10-05T14:00Z")):
        assert "\x1b" not in show(100, *arguments)
        assert "\x1b" not in run(*arguments, "-o", "csv").stdout


def test_the_library_asks_the_same_questions() -> None:
    case = cnitrail.read(FIXTURES / STORY)
    assert [entry.pod for entry in case.pods(at="2022-10-05T14:00Z")] == [WEB]
    assert [entry.pod for entry in case.pods(pod="cart-*")] == [CART]
    assert len(case.timeline(namespace="shop")) == 2
    assert case.findings(pod=WEB) == ()
    with pytest.raises(UsageError, match="is not a pod"):
        case.pods(pod="shop:web")


def audit_log(tmp_path: Path, *more: str) -> Path:
    """Return the audit log of a pod that is last reported at 10:00:05, with other events at some times."""
    path = tmp_path / "audit.jsonl"
    others = [
        audit.event(
            f"2025-06-17T{time}:00.000000Z", "get", audit.other_user("ada"), {"resource": "configmaps"}
        )
        for time in more
    ]
    patch = audit.status_patch("2025-06-17T10:00:05.000000Z", "shop/web-1", ips=["10.0.1.9"], phase="Running")
    path.write_bytes(audit.lines([patch, *others]))
    return path


def span_reasons(run: Run, source: Path, at: str) -> list[str]:
    found = json.loads(run("who", "10.0.1.9", source, "--at", f"2025-06-17T{at}:00Z", "-o", "json").stdout)
    (entry,) = found["entries"]
    assert entry["pod"]["verdict"] == "likely"
    return [reason["text"] for reason in entry["pod"]["reasons"] if reason["code"] == "pod-evidence-span"]


def test_a_pod_whose_last_report_lies_before_a_gap_of_the_audit_log_has_it_among_its_reasons(
    run: Run, tmp_path: Path
) -> None:
    source = audit_log(tmp_path, "10:04", "10:08", "10:40", "10:44")
    assert span_reasons(run, source, "10:05") == []
    gap = "from 2025-06-17 10:08:00Z to 2025-06-17 10:40:00Z"
    assert span_reasons(run, source, "10:42") == [
        f"the audit log has no event {gap}, so it may lack that the pod lost the address"
    ]


def test_a_gap_of_the_audit_log_between_two_reports_of_a_pod_leaves_it_likely(
    run: Run, tmp_path: Path
) -> None:
    life = audit.life(
        "shop/web-1",
        ips=[IP],
        bound="2022-10-05T13:20:01.000000Z",
        reported="2022-10-05T13:20:05.000000Z",
        proven="2022-10-05T14:40:00.000000Z",
        node=NODE,
        instance=INSTANCE,
    )
    path = tmp_path / "audit.jsonl"
    for silence, verdict in (("13:22", "certain"), ("13:40", "likely")):
        heartbeats = [
            *audit.heartbeats("2022-10-05T13:15:00Z", "2022-10-05T13:20:00Z"),
            *audit.heartbeats(f"2022-10-05T{silence}:00Z", "2022-10-05T14:45:00Z"),
        ]
        path.write_bytes(audit.lines([*life, *heartbeats]))
        (entry,) = entries(run, "who", IP, "ironman", str(path), "--at", "2022-10-05T14:00Z")
        assert (entry["verdict"], entry["pod"]["verdict"]) == ("certain", verdict)


def test_a_pod_whose_audit_log_ends_before_the_time_has_it_among_its_reasons(
    run: Run, tmp_path: Path
) -> None:
    assert span_reasons(run, audit_log(tmp_path, "10:04"), "10:30") == [
        "the audit log has no event after 2025-06-17 10:04:00Z, so it may lack that the pod lost the address"
    ]


def test_thousands_of_cut_events_are_a_few_lines_on_stderr(run: Run, tmp_path: Path) -> None:
    patch = audit.status_patch("2025-06-17T10:00:05.000000Z", "shop/web-1", ips=["10.0.1.9"], phase="Running")
    cut = json.dumps(patch, separators=(",", ":"))[:-150] + "[Truncated...]"
    events = [{"timestamp": 1750154405000 + number, "message": cut} for number in range(2000)]
    path = tmp_path / "cut.json"
    path.write_text(json.dumps({"events": events}))
    result = run("pods", path)
    assert result.exit_code == 3
    assert len(result.stderr.splitlines()) < 30
    assert "partly read: CloudWatch Logs cut it short, and what is left of it is used" in result.stderr
    assert "1,980 more; -o json lists all under evidence.skipped" in result.stderr


@pytest.mark.parametrize("layout", [{}, {"indent": 2}])
def test_the_table_that_kubectl_asks_for_is_no_evidence(
    run: Run, tmp_path: Path, layout: dict[str, Any]
) -> None:
    meta = {"name": "web-1", "namespace": "shop", "uid": "u"}
    kind = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta}
    table = {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": "1"},
        "columnDefinitions": [{"name": "Name", "type": "string"}],
        "rows": [{"cells": ["web-1", "1/1", "Running", 0, "5m", "10.0.1.9"], "object": kind}] * 3,
    }
    path = tmp_path / "pods.json"
    path.write_text(json.dumps(table, **layout))
    result = run("pods", path)
    assert result.exit_code == 3
    assert "the table of kubectl get pods has ages instead of times" in result.stderr
