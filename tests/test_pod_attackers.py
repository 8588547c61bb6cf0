"""What pod owners, kubelets and authors of files choose never makes a wrong pod certain, and acts nowhere."""

from __future__ import annotations

import io
import json
import sqlite3
import tarfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

import audit_events as audit
import cni_logs as cni
import pytest
from conftest import Run
from records import ENI, attached, compact, items, launched, record

A, B = "i-0123456789abcdef0", "i-0fedcba9876543210"
NODE_A, NODE_B = "ip-10-0-1-10.eu-west-1.compute.internal", "ip-10-0-1-20.eu-west-1.compute.internal"
IP, IP_OF_B = "10.0.1.11", "10.0.1.21"
AT = "2024-05-14T10:05:00Z"
WEB, LIAR = "shop/web", "evil/liar"
SANDBOX = "a" * 64


def trail() -> bytes:
    """Return the records of two nodes; A has the address from 09:30 to 10:40."""
    pair = [
        {"privateIpAddress": "10.0.1.20", "primary": True},
        {"privateIpAddress": IP_OF_B, "primary": False},
    ]
    of_b = attached(
        networkInterfaceId="eni-0bbbbbbbbbbbbbbbb",
        privateIpAddress="10.0.1.20",
        privateIpAddressesSet={"item": pair},
    )
    of_b["attachment"] |= {"attachmentId": "eni-attach-0bbbbbbbbbbbbbbbb"}
    taken = {"networkInterfaceId": ENI, "privateIpAddressesSet": items({"privateIpAddress": IP})}
    stopped = [{"instanceId": instance, "currentState": {"code": 32}} for instance in (A, B)]
    return compact(
        {
            "Records": [
                record("RunInstances", {}, {"instancesSet": items(launched(A, attached()))}),
                record(
                    "RunInstances",
                    {},
                    {"instancesSet": items(launched(B, of_b) | {"privateIpAddress": "10.0.1.20"})},
                    eventTime="2024-05-14T09:31:00Z",
                    eventID="b",
                ),
                record(
                    "UnassignPrivateIpAddresses",
                    taken,
                    {"requestId": "r", "_return": True},
                    eventTime="2024-05-14T10:40:00Z",
                    eventID="c",
                ),
                record(
                    "TerminateInstances",
                    {"instancesSet": items({"instanceId": A}, {"instanceId": B})},
                    {"instancesSet": items(*stopped)},
                    eventTime="2024-05-14T11:00:00Z",
                    eventID="d",
                ),
            ]
        }
    )


def clock(minute: str, second: float = 0) -> str:
    return f"2024-05-14T{minute}:{second:09.6f}Z"


def life(
    pod: str = WEB,
    uid: str = "web",
    ip: str = IP,
    *,
    node: str = NODE_A,
    instance: str = A,
    start: str = "10:00",
    end: str = "10:20",
) -> list[audit.Event]:
    """Return the audit events of a pod that surely has an address from ``start`` to ``end``."""
    return [
        audit.create(clock(start, 0.1), pod, uid),
        *audit.life(
            pod,
            uid,
            ips=[ip],
            bound=clock(start, 1),
            reported=clock(start, 5),
            ready=True,
            proven=clock(end),
            gone=clock(end, 31),
            node=node,
            instance=instance,
        ),
        *audit.heartbeats(clock(start), clock(end), node=node, instance=instance),
    ]


def ipamd_lines(pod: str = LIAR) -> list[str]:
    """Return the log of node A, of which a pod may print a copy with its own name."""
    namespace, name = pod.split("/")
    return [
        cni.line("1.20", "2024-05-14T09:55:00.000Z", "Starting L-IPAMD v1.20.0 ..."),
        cni.line("1.20", "2024-05-14T09:55:01.000Z", f"Found instance-id: {A} "),
        *(
            cni.line("1.20", f"2024-05-14T09:{minute}:07.000Z", "IP pool stats: 1")
            for minute in range(55, 60)
        ),
        cni.assign("1.20", "2024-05-14T10:00:03.000Z", IP, SANDBOX, (namespace, name)),
        *(cni.line("1.20", f"2024-05-14T10:{minute:02}:07.000Z", "IP pool stats: 1") for minute in range(30)),
        cni.release("1.20", "2024-05-14T10:30:03.000Z", IP, SANDBOX, (namespace, name)),
    ]


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """A folder with the trail, to which every test adds its files."""
    folder = tmp_path / "logs"
    folder.mkdir()
    (folder / "trail.json").write_bytes(trail())
    return folder


def write(logs: Path, name: str, body: bytes | str | Iterable[audit.Event]) -> None:
    path = logs / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(body, str):
        path.write_text(body, encoding="utf-8")
    else:
        path.write_bytes(body if isinstance(body, bytes) else audit.lines(body))


def who(run: Run, logs: Path, ip: str = IP, at: str = AT) -> dict[str, Any]:
    shown = run("who", ip, logs, "--at", at, "--assume-complete", "-o", "jsonl")
    assert shown.exit_code in (0, 3), shown.stderr
    answer: dict[str, Any] = json.loads(shown.stdout)
    return answer


def eni(answer: dict[str, Any]) -> tuple[str, list[str]]:
    """Return the verdict of an answer, and the instances."""
    return answer["verdict"], [holder["instance"] for holder in answer["holders"]]


def pods(answer: dict[str, Any]) -> tuple[str, list[str]] | None:
    """Return the verdict on the pod of an answer, and the names."""
    found = answer["pod"]
    return found and (found["verdict"], [f"{pod['namespace']}/{pod['pod']}" for pod in found["pods"]])


SURE = ("certain", [A])


def test_without_an_attacker_everything_is_certain(run: Run, logs: Path) -> None:
    assert eni(who(run, logs)) == SURE
    write(logs, "audit.jsonl", life())
    assert (eni(who(run, logs)), pods(who(run, logs))) == (SURE, ("certain", [WEB]))


class TestAHijackedKubelet:
    def test_cannot_take_the_address_of_another_node(self, run: Run, logs: Path) -> None:
        claim = life(LIAR, "liar", node=NODE_B, instance=B, start="10:02", end="10:18")
        write(logs, "audit.jsonl", [*life(), *claim])
        answer = who(run, logs)
        assert (eni(answer), pods(answer)) == (SURE, ("certain", [WEB]))

    def test_puts_the_address_in_doubt_if_nothing_else_speaks(self, run: Run, logs: Path) -> None:
        """Stated in the docs: a lie and a hole in CloudTrail look the same."""
        write(logs, "audit.jsonl", life(LIAR, "liar", node=NODE_B, instance=B))
        answer = who(run, logs)
        assert (eni(answer), pods(answer)) == (("likely", [A]), ("likely", [LIAR]))

    def test_of_an_unknown_vpc_puts_it_in_doubt_too(self, run: Run, logs: Path) -> None:
        """Two VPCs may have the same addresses."""
        claim = life(LIAR, "liar", node="n", instance="i-0eeeeeeeeeeeeeeee", start="10:02", end="10:18")
        write(logs, "audit.jsonl", [*life(), *claim])
        assert eni(who(run, logs))[0] == "likely"
        assert (pods(who(run, logs)) or ("",))[0] == "likely"

    def test_registers_no_instance_but_its_own(self, run: Run, logs: Path) -> None:
        """A hybrid node's session is named after no instance, and the kubelet chooses the providerID."""
        events = [
            audit.node_create(clock("09:59"), node=NODE_B, instance=A),
            *life(LIAR, "liar", node=NODE_B),
        ]
        for event in events:
            if event["user"]["username"].startswith("system:node:"):
                event["user"]["extra"]["sessionName"] = ["mi-0a1b2c3d4e5f60718"]
        write(logs, "audit.jsonl", events)
        assert pods(who(run, logs)) == ("likely", [LIAR])


class TestTheOutputOfContainers:
    CRI = "".join(f"{json.loads(line)['ts'][:-1]}000000Z stdout F {line}\n" for line in ipamd_lines())
    PLAIN = "".join(line + "\n" for line in ipamd_lines())

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("var/log/pods/shop_web-1_0f0e-1/app/0.log", CRI),
            ("var/log/pods/shop_aws-node-1_0f0e-1/aws-node/0.log", CRI),
            ("pods/kube-system_coredns-1_0f0e-1/coredns/0.log.20240514-100000", CRI),
            (f"var/log/containers/web-1_shop_aws-node-{'c' * 64}.log", CRI),
            (f"containers/{'c' * 64}/{'c' * 64}-json.log", PLAIN),
            (f"eks_{A}_2024-05-14_1044-UTC_0.7.9/var_log/app.log", PLAIN),
            ("kubectl.log", PLAIN.replace("{", "[pod/web-1/app] {")),
            ("kubectl.log", PLAIN.replace('{"level', '[pod/web-1/aws-node] {"level')),
        ],
    )
    def test_is_no_evidence_about_pods_except_that_of_ipamd(
        self, run: Run, logs: Path, name: str, text: str
    ) -> None:
        write(logs, name, text)
        answer = who(run, logs)
        assert eni(answer) == SURE
        assert pods(answer) in (None, ("unknown", []))

    def test_of_ipamd_is(self, run: Run, logs: Path) -> None:
        write(logs, "var/log/pods/kube-system_aws-node-1_0f0e-1/aws-node/0.log", self.CRI)
        assert pods(who(run, logs)) == ("certain", [LIAR])

    @pytest.mark.parametrize(
        ("group", "verdict"),
        [
            ("/aws/eks/prod/cluster", "certain"),
            ("audit-of-all-clusters", "certain"),
            ("/aws/containerinsights/prod/application", None),
            ("/aws/lambda/liar", None),
            ("/ecs/liar", None),
        ],
    )
    def test_in_a_log_group_of_programs_proves_nothing(
        self, run: Run, logs: Path, group: str, verdict: str | None
    ) -> None:
        messages = [
            {"id": str(number), "timestamp": 1715680800000, "message": json.dumps(event)}
            for number, event in enumerate(life(LIAR, "liar"))
        ]
        batch: dict[str, Any] = {
            "messageType": "DATA_MESSAGE",
            "owner": "111122223333",
            "logGroup": group,
            "logStream": "s",
        }
        batch |= {"subscriptionFilters": ["all"], "logEvents": messages}
        write(logs, "batch.json", json.dumps(batch))
        answer = who(run, logs)
        assert eni(answer) == SURE
        assert (pods(answer) or (None,))[0] == verdict

    def test_with_audit_events_proves_nothing(self, run: Run, logs: Path) -> None:
        lines = audit.lines(life(LIAR, "liar")).decode().splitlines()
        text = "".join(f"2024-05-14T10:00:00.000000000Z stdout F {line}\n" for line in lines)
        write(logs, "var/log/pods/shop_web-1_0f0e-1/app/0.log", text)
        answer = who(run, logs)
        assert (eni(answer), pods(answer)) == (SURE, None)


class TestOneFactTwice:
    def test_with_a_repeated_key_counts_in_neither_way(self, run: Run, logs: Path) -> None:
        text = audit.lines(life()).decode()
        for old, new in (
            ('"podIP":', '"podIP":"10.0.1.99","podIP":'),
            ('"requestObject":', '"requestObject":{},"requestObject":'),
            ('"verb":', '"\\u0076erb":"get","verb":'),
        ):
            write(logs, "audit.jsonl", text.replace(old, new))
            answer = who(run, logs)
            assert eni(answer) == SURE
            assert pods(answer) in (None, ("unknown", []))

    def test_in_two_wrappers_with_a_change_counts_both_ways(self, run: Run, logs: Path) -> None:
        changed = life(LIAR, "liar")
        for event, other in zip(life(), changed, strict=True):
            other["auditID"] = event["auditID"]
        write(logs, "audit.jsonl", life())
        write(logs, "events.json", audit.log_events(changed))
        assert pods(who(run, logs)) == ("ambiguous", [LIAR, WEB])

    def test_given_twice_counts_once(self, run: Run, logs: Path) -> None:
        write(logs, "audit.jsonl", life())
        write(logs, "events.json", audit.log_events(life()))
        assert pods(who(run, logs)) == ("certain", [WEB])


class TestWithARightToChangeThePods:
    """A wrong pod is at most likely, and the right one stays certain."""

    @staticmethod
    def status_by_a_person(pod: str, uid: str, **status: Any) -> audit.Event:
        asked = {key: value for key, value in status.items() if key in ("ips", "host_ip", "phase")}
        made = audit.status_patch(clock("10:01"), pod, uid, user=audit.other_user("mallory"), **asked)
        return made | {"responseObject": audit.pod_object(pod, uid, node=NODE_A, **status)}

    @pytest.mark.parametrize("is_web_known", [True, False])
    def test_an_address_written_into_a_status_is_not_confirmed_by_the_kubelet(
        self, run: Run, logs: Path, is_web_known: bool
    ) -> None:
        """The kubelet's later patch says that the pod is ready, and nothing of its address."""
        own = life(LIAR, "liar")
        own[2]["requestObject"]["status"] = {"phase": "Running"}
        forged = self.status_by_a_person(LIAR, "liar", ips=[IP], phase="Running")
        write(logs, "audit.jsonl", [*own[:3], forged, *own[3:], *(life() if is_web_known else ())])
        answer = who(run, logs)
        assert eni(answer) == SURE
        assert pods(answer) == (("certain", [WEB]) if is_web_known else ("likely", [LIAR]))

    def test_an_own_host_address_hides_no_pod(self, run: Run, logs: Path) -> None:
        forged = self.status_by_a_person(WEB, "web", ips=[IP], host_ip=IP)
        write(logs, "audit.jsonl", [*life(), forged])
        assert pods(who(run, logs)) == ("certain", [WEB])

    @pytest.mark.parametrize("is_reported", [True, False])
    def test_a_list_of_pods_proves_no_time(self, run: Run, logs: Path, is_reported: bool) -> None:
        """Anybody who may change a status chooses its addresses and the times of its conditions."""
        pod = audit.pod_object(LIAR, "liar", node=NODE_A, ips=[IP], phase="Running", created=clock("09:50"))
        late = {"type": "Ready", "status": "True", "lastTransitionTime": clock("10:30")}
        running = {"name": "app", "state": {"running": {"startedAt": clock("09:51")}}}
        pod["status"] |= {"conditions": [late], "containerStatuses": [running]}
        node = {"kind": "Node", "apiVersion": "v1", "metadata": {"name": NODE_A}}
        node["spec"] = {"providerID": f"aws:///eu-west-1a/{A}"}
        write(logs, "pods.json", json.dumps({"apiVersion": "v1", "kind": "List", "items": [pod, node]}))
        if is_reported:
            write(logs, "audit.jsonl", life(LIAR, "liar", start="09:50")[:3])
        assert pods(who(run, logs)) == ("likely", [LIAR])

    def test_a_stolen_token_proves_no_address(self, run: Run, logs: Path) -> None:
        token = audit.service_account("evil", "default", "liar", "liar")
        target = {"resource": "services", "namespace": "shop", "name": "web"}
        calls = [
            audit.event(clock(minute), "get", token, target, source_ips=[IP]) for minute in ("10:06", "10:19")
        ]
        write(logs, "audit.jsonl", [*life(LIAR, "liar", start="09:40")[:3], *calls])
        assert pods(who(run, logs)) == ("likely", [LIAR])
        write(logs, "audit.jsonl", [*life(LIAR, "liar", start="09:40")[:3], *calls, *life()])
        assert pods(who(run, logs)) == ("certain", [WEB])

    def test_somebody_who_acts_as_the_kubelet_is_not_the_kubelet(self, run: Run, logs: Path) -> None:
        events = life(LIAR, "liar")
        for event in events:
            if event["user"]["username"].startswith("system:node:"):
                event["impersonatedUser"] = event["user"]
                event["user"] = audit.other_user("mallory", "system:masters")
        write(logs, "audit.jsonl", events)
        answer = who(run, logs)
        assert (eni(answer), pods(answer)) == (SURE, ("likely", [LIAR]))

    def test_a_false_branch_eni_is_no_evidence(self, run: Run, logs: Path) -> None:
        branch = [{"eniId": ENI, "privateIp": IP, "vlanId": 1}]
        claim = {"vpc.amazonaws.com/pod-eni": json.dumps(branch)}
        write(
            logs, "audit.jsonl", [audit.create(clock("10:00"), LIAR, "liar", node=NODE_A, annotations=claim)]
        )
        assert pods(who(run, logs)) == ("unknown", [])
        write(
            logs,
            "audit.jsonl",
            [audit.create(clock("10:00"), LIAR, "liar", node=NODE_A, annotations=claim), *life()],
        )
        assert pods(who(run, logs)) == ("certain", [WEB])


class TestAStoreThatSomebodyChanged:
    @pytest.mark.parametrize(
        "facts",
        [
            [{"type": {}}],
            [{"type": []}],
            [{}],
            [[]],
            [None],
            {"type": "sandbox-assigned"},
            [
                {
                    "type": "sandbox-assigned",
                    "pod": {"namespace": "a", "name": 5},
                    "sandbox": "d7",
                    "ip": "10.0.1.11",
                }
            ],
            [{"type": "sandbox-assigned", "sandbox": "d7", "ip": "x"}],
            [{"type": "sandbox-assigned", "ip": "10.0.1.11"}],
            [{"type": "sandbox-assigned", "sandbox": "d7", "ip": "10.0.1.11", "more": 1}],
            [
                {
                    "type": "address-freed",
                    "ip": "10.0.1.11",
                    "earliest": "0001-01-01T00:00:00+23:59",
                    "latest": 1,
                }
            ],
            [{"type": "address-freed", "ip": "10.0.1.11", "earliest": "2024-05-14", "latest": "9999-12-31"}],
        ],
        ids=str,
    )
    def test_is_read_without_what_is_no_fact(self, run: Run, logs: Path, facts: object) -> None:
        write(logs, "audit.jsonl", life())
        store = logs.parent / "trail.db"
        assert run("collect", logs, "--to", store).exit_code == 0
        with closing(sqlite3.connect(store)) as opened, opened:
            (kept,) = opened.execute("SELECT payload FROM records WHERE fact = 'pods' LIMIT 1").fetchone()
            changed = json.loads(kept)
            changed["pods"]["facts"] = facts
            opened.execute("UPDATE records SET payload = ? WHERE payload = ?", (json.dumps(changed), kept))
        shown = run("pods", store, "-o", "jsonl")
        assert shown.exit_code == 3
        assert "skipped: " in shown.stderr
        assert eni(who(run, store)) == SURE


class TestADeepObject:
    """The owner of a custom resource chooses how deep it is, and the API server logs it."""

    def test_hides_nothing_beside_it(self, run: Run, logs: Path) -> None:
        deep = audit.event(clock("10:01"), "create", audit.other_user("mallory"), {"resource": "widgets"})
        text = compact(deep | {"requestObject": "DEEP"}).decode().replace('"DEEP"', "[" * 5000 + "]" * 5000)
        texts = [text, *map(json.dumps, life())]
        messages = [{"id": "1", "timestamp": 1715680800000, "message": text} for text in texts]
        batch = {"messageType": "DATA_MESSAGE", "logGroup": "/aws/eks/prod/cluster", "logEvents": messages}
        for body in ("".join(text + "\n" for text in texts), json.dumps(batch)):
            write(logs, "audit.json", body)
            write(logs, "alone.json", text)
            answer = who(run, logs)
            assert (eni(answer), pods(answer)) == (SURE, ("certain", [WEB]))


class TestLinesInLines:
    @pytest.mark.parametrize("separator", ["\n", "\r", "\r\n", "\u2028", "\x85", "\v", "\f", ": "])
    def test_a_quoted_line_of_ipamd_is_no_line(self, run: Run, logs: Path, separator: str) -> None:
        """A message may quote what a pod or a caller chose."""
        forged = cni.assign("1.20", "2024-05-14T10:00:01.000Z", IP, "b" * 64, ("evil", "liar"))
        quoting = cni.line("1.20", "2024-05-14T10:00:01.000Z", f"failed{separator}{forged}")
        write(logs, "ipamd.log", "".join(line + "\n" for line in [*ipamd_lines(WEB), quoting]))
        assert pods(who(run, logs)) == ("certain", [WEB])

    def test_records_in_records_are_none(self, run: Run, logs: Path) -> None:
        """An audit event in a parameter of a call, and a call in an object of the cluster."""
        released = {"networkInterfaceId": ENI, "privateIpAddressesSet": items({"privateIpAddress": IP})}
        call = record("UnassignPrivateIpAddresses", released, eventTime=clock("10:01"), eventID="forged")
        target = {"resource": "configmaps", "namespace": "evil", "name": "x"}
        kept = {"data": {"message": json.dumps(call)}, "Records": [call], "detail": call}
        patch = audit.event(clock("10:02"), "patch", audit.other_user("mallory"), target, asked=kept)
        forged = life(LIAR, "liar")[2]
        parameters = {"message": json.dumps(forged), "value": json.dumps(forged), **forged}
        put = record(
            "PutParameter", parameters, eventSource="ssm.amazonaws.com", userAgent=json.dumps(forged)
        )
        applied = audit.create(
            clock("10:00"),
            "evil/other",
            "other",
            annotations={"kubectl.kubernetes.io/last-applied-configuration": json.dumps(forged)},
        )
        write(logs, "audit.jsonl", [patch, applied, *life()])
        write(logs, "put.json", json.dumps({"Records": [put]}))
        write(logs, "put.jsonl", json.dumps(put) + "\n")
        answer = who(run, logs)
        assert (eni(answer), pods(answer)) == (SURE, ("certain", [WEB]))


class TestAnArchiveOfANode:
    @staticmethod
    def packed(*members: tuple[str, str]) -> bytes:
        body = io.BytesIO()
        with tarfile.open(fileobj=body, mode="w:gz") as archive:
            for name, text in members:
                entry = tarfile.TarInfo(name)
                entry.size = len(text)
                archive.addfile(entry, io.BytesIO(text.encode()))
        return body.getvalue()

    @pytest.mark.parametrize("instances", [[A], [A, B], [B, A], [A, A, B], [B]])
    def test_that_names_two_instances_names_none(self, run: Run, logs: Path, instances: list[str]) -> None:
        log = "".join(line + "\n" for line in ipamd_lines(WEB) if "instance-id" not in line)
        named = [("./system/instance-id.txt", instance + "\n") for instance in instances]
        body = self.packed(*named, ("./var_log/aws-routed-eni/ipamd.log", log))
        write(logs, f"eks_{A}_2024-05-14_1044-UTC_0.7.9.tar.gz", body)
        answer = who(run, logs)
        assert pods(answer) == ("certain" if instances == [A] else "likely", [WEB])
        assert eni(answer) == (SURE if A in instances else ("likely", [A]))
