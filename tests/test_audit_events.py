"""What Kubernetes audit events say about pods, and what they do not prove."""

import json
from copy import deepcopy
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import audit_events
import pytest
from audit_events import INSTANCE, NODE, UID, final_delete, kubelet, other_user, status_patch

from cnitrail.decode import decode
from cnitrail.model import Origin, Record
from cnitrail.model.pod_facts import (
    BranchGiven,
    NodeNamed,
    PodBound,
    PodDeleted,
    PodFact,
    PodRecord,
    PodReported,
)
from cnitrail.model.pods import PodName

POD = "shop/web-1"
NAME = PodName("shop", "web-1")
AT = "2026-05-14T09:30:05.402117Z"
IP, OTHER, V6 = "10.0.1.25", "10.0.1.77", "2001:db8:1234:1a00::25"
SESSION = NodeNamed(node=NODE, instance=INSTANCE, basis="kubelet-session")
ADMIN = other_user("kubernetes-admin", "system:masters")
VRC = other_user("eks:vpc-resource-controller")
BRANCH = [
    {"eniId": "eni-0aaaabbbbccccdddd", "ifAddress": "02:00:00:00:00:01", "privateIp": "10.0.2.9", "vlanId": 1}
]


def decoded(event: dict[str, Any]) -> tuple[PodRecord | None, tuple[str, ...]]:
    """Return what an event says, and its problems."""
    found = decode(Record((Origin("audit.log", 0, "eks-audit"),), json.dumps(event).encode()))
    return found.pods, found.problems


def facts(event: dict[str, Any]) -> tuple[PodFact, ...]:
    """Return the facts of an event without problems, except which instance calls."""
    found, problems = decoded(event)
    assert problems == ()
    return tuple(fact for fact in found.facts if fact != SESSION) if found is not None else ()


def reported(event: dict[str, Any]) -> PodReported:
    """Return the only report of a pod in an event."""
    (report,) = [fact for fact in facts(event) if isinstance(fact, PodReported)]
    return report


def deleted(event: dict[str, Any]) -> PodDeleted:
    """Return the only deletion of a pod in an event."""
    (deletion,) = [fact for fact in facts(event) if isinstance(fact, PodDeleted)]
    return deletion


def changed(event: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Return an event with other fields; None removes one."""
    made = {**deepcopy(event), **fields}
    return {key: value for key, value in made.items() if value is not None}


def ips(*texts: str) -> tuple[Any, ...]:
    return tuple(map(ip_address, texts))


PATCH = status_patch(AT, POD, ips=[IP], phase="Running", host_ip="10.0.1.10")


class TestStatusPatch:
    """A kubelet's patch of pods/status."""

    def test_it_has_the_address_and_the_instance(self) -> None:
        found, problems = decoded(
            status_patch(AT, POD, ips=[IP], phase="Running", ready=True, started="2026-05-14T09:30:04Z")
        )
        assert problems == ()
        assert found is not None
        assert found.time == datetime(2026, 5, 14, 9, 30, 5, 402117, tzinfo=UTC)
        assert found.facts == (
            SESSION,
            PodReported(
                pod=NAME,
                uid=UID,
                node=NODE,
                by_kubelet=True,
                phase="Running",
                ready=True,
                addresses=ips(IP),
                running_since=datetime(2026, 5, 14, 9, 30, 4, tzinfo=UTC),
            ),
        )

    def test_a_change_of_address_names_the_old_one(self) -> None:
        report = reported(status_patch(AT, POD, ips=[OTHER], removed=[IP]))
        assert (report.addresses, report.removed) == (ips(OTHER), ips(IP))

    def test_two_stacks(self) -> None:
        assert reported(status_patch(AT, POD, ips=[IP, V6])).addresses == ips(IP, V6)
        assert reported(status_patch(AT, POD, ips=[V6])).addresses == ips(V6)

    @pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
    def test_an_end_has_no_address(self, phase: str) -> None:
        report = reported(status_patch(AT, POD, phase=phase))
        assert (report.phase, report.addresses, report.by_kubelet) == (phase, (), True)

    def test_what_is_no_address_is_none(self) -> None:
        for bad in ("", "10.0.1.256", "fe80::1%eth0", "$(reboot)", "10.0.1.0/24"):
            assert reported(status_patch(AT, POD, ips=[bad])).addresses == ()

    def test_an_update_has_the_whole_pod(self) -> None:
        whole = audit_events.pod_object(POD, node=NODE, ips=[IP], phase="Running")
        report = reported(changed(PATCH, verb="update", requestObject=whole))
        assert (report.by_kubelet, report.addresses) == (True, ips(IP))

    def test_another_audit_policy_may_log_the_response(self) -> None:
        whole = audit_events.pod_object(POD, node=NODE, ips=[IP], phase="Running", host_network=True)
        report = reported(changed(PATCH, responseObject=whole))
        assert (report.by_kubelet, report.addresses, report.host_network) == (True, ips(IP), True)

    @pytest.mark.parametrize(
        "user",
        [
            ADMIN,
            {"username": f"system:node:{NODE}", "groups": ["system:authenticated"]},
            {"username": f"system:node:{NODE}"},
            other_user("system:serviceaccount:shop:system:node", "system:nodes"),
            {"username": "system:node:", "groups": ["system:nodes"]},
        ],
    )
    def test_others_do_not_speak_for_the_kubelet(self, user: dict[str, Any]) -> None:
        assert reported(changed(PATCH, user=user)).by_kubelet is False

    def test_an_administrator_who_acts_as_a_kubelet_is_none(self) -> None:
        event = changed(PATCH, user=ADMIN, impersonatedUser=kubelet())
        assert [fact.by_kubelet for fact in facts(event) if isinstance(fact, PodReported)] == [False]

    def test_a_kubelet_speaks_for_its_own_node_alone(self) -> None:
        whole = audit_events.pod_object(POD, node="ip-10-0-9-9.ec2.internal", ips=[IP])
        report = reported(changed(PATCH, responseObject=whole))
        assert (report.by_kubelet, report.node) == (False, "ip-10-0-9-9.ec2.internal")

    @pytest.mark.parametrize("session", ["fargate-ip-10-0-1-10", "ada", "i-1", "i-0a1b2c3d4e5f60718 ", ""])
    def test_a_session_that_no_instance_has_names_none(self, session: str) -> None:
        event = changed(PATCH, user=kubelet(instance=session))
        assert [fact for fact in facts(event) if isinstance(fact, NodeNamed)] == []
        assert reported(event).by_kubelet is True

    @pytest.mark.parametrize("verb", ["create", "patch"])
    def test_what_another_than_the_kubelet_asked_for_on_the_pod_itself_is_no_status(self, verb: str) -> None:
        asked = audit_events.pod_object(POD, ips=[IP], phase="Running")
        target = {"resource": "pods", "namespace": "shop", "name": "web-1"}
        for user in (ADMIN, kubelet()):
            report = reported(audit_events.event(AT, verb, user, target, asked=asked))
            assert (report.addresses, report.phase, report.by_kubelet) == ((), None, False)


NOT_DONE: dict[str, dict[str, Any]] = {
    "403": {"responseStatus": {"code": 403}},
    "409": {"responseStatus": {"code": 409}},
    "500": {"responseStatus": {"code": 500}},
    "no code": {"responseStatus": {"metadata": {}}},
    "no response": {"responseStatus": None},
    "code as text": {"responseStatus": {"code": "200"}},
    "true": {"responseStatus": {"code": True}},
    "received": {"stage": "RequestReceived"},
    "panic": {"stage": "Panic"},
    "dry run": {"requestURI": "/api/v1/namespaces/shop/pods/web-1/status?dryRun=All"},
    "dry run, escaped": {"requestURI": "/api/v1/namespaces/shop/pods/web-1/status?timeout=1s&dry%52un=%41ll"},
    "other API group": {"objectRef": {**PATCH["objectRef"], "apiGroup": "shop.example"}},
    "other resource": {"objectRef": {**PATCH["objectRef"], "resource": "podtemplates"}},
    "read": {"verb": "get"},
    "exec": {"objectRef": {**PATCH["objectRef"], "subresource": "exec"}, "verb": "create"},
}


class TestNotDone:
    """Requests that changed no pod."""

    @pytest.mark.parametrize("why", NOT_DONE)
    def test_it_says_nothing_about_a_pod(self, why: str) -> None:
        assert facts(changed(PATCH, **NOT_DONE[why])) == ()

    def test_a_deletion_may_be_tried_by_its_options(self) -> None:
        event = final_delete(AT, POD, ips=[IP])
        event["requestObject"]["dryRun"] = ["All"]
        assert facts(event) == ()


class TestRewritten:
    """Events whose objects a table or an export has as texts or as columns."""

    REASON = (
        "its objectRef or another part is missing, or a text in place of an object: "
        "export the audit log as the API server writes it"
    )

    @pytest.mark.parametrize(
        "part", ["user", "objectRef", "responseStatus", "requestObject", "responseObject"]
    )
    def test_a_change_of_a_pod_with_a_part_as_a_text_is_reported(self, part: str) -> None:
        _, problems = decoded(changed(PATCH, **{part: json.dumps(PATCH.get(part))}))
        assert problems == (self.REASON,)

    def test_a_change_of_a_pod_that_was_flattened_is_reported(self) -> None:
        flat = {f"objectRef.{key}": value for key, value in PATCH["objectRef"].items()}
        _, problems = decoded(changed(PATCH, objectRef=None, **flat))
        assert problems == (self.REASON,)


class TestCreate:
    """Creations, bindings, other changes."""

    def test_a_creation_names_owner_and_service_account(self) -> None:
        event = audit_events.create(
            AT,
            POD,
            owner=("ReplicaSet", "web"),
            service_account="web",
            created="2026-05-14T09:30:05Z",
            host_network=True,
        )
        assert facts(event) == (
            PodReported(
                pod=NAME,
                uid=UID,
                node=None,
                by_kubelet=False,
                phase="Pending",
                host_network=True,
                service_account="shop/web",
                owner="ReplicaSet/web",
                created=datetime(2026, 5, 14, 9, 30, 5, tzinfo=UTC),
            ),
        )

    def test_the_uid_that_a_creator_asks_for_does_not_count(self) -> None:
        event = audit_events.create(AT, POD)
        event["requestObject"]["metadata"] |= {"name": "web-1", "uid": "0"}
        assert reported(changed(event, responseObject=None)).uid is None

    def test_a_binding_names_the_node(self) -> None:
        assert facts(audit_events.bind(AT, POD)) == (PodBound(pod=NAME, uid=UID, node=NODE),)

    def test_a_static_pod_is_created_by_its_kubelet(self) -> None:
        event = audit_events.create(AT, POD, user=kubelet(), node=NODE)
        assert reported(event).by_kubelet is False
        assert reported(event).node == NODE

    @pytest.mark.parametrize("part", ["ephemeralcontainers", "resize"])
    def test_the_answer_to_any_change_is_the_pod_as_it_was(self, part: str) -> None:
        target = {"resource": "pods", "namespace": "shop", "name": "web-1", "subresource": part}
        whole = audit_events.pod_object(POD, node=NODE, ips=[IP], phase="Running")
        report = reported(audit_events.event(AT, "patch", ADMIN, target, asked={}, answered=whole))
        assert (report.addresses, report.by_kubelet, report.node) == (ips(IP), False, NODE)

    def test_a_json_patch_is_a_list(self) -> None:
        patch = [{"op": "replace", "path": "/status/podIP", "value": OTHER}]
        whole = audit_events.pod_object(POD, node=NODE, ips=[OTHER])
        report = reported(changed(PATCH, user=ADMIN, requestObject=patch, responseObject=whole))
        assert (report.addresses, report.by_kubelet) == (ips(OTHER), False)


class TestDelete:
    """Deletions: only the kubelet's last one says that the sandbox is gone."""

    def test_the_last_deletion_by_the_kubelet(self) -> None:
        event = final_delete(AT, POD, ips=[IP], phase="Succeeded")
        assert deleted(event) == PodDeleted(pod=NAME, uid=UID, node=NODE, final=True)
        assert reported(event).by_kubelet is False

    def test_a_controller_only_asks_for_it(self) -> None:
        assert deleted(audit_events.delete(AT, POD, ips=[IP])).final is False

    @pytest.mark.parametrize(
        "user", [ADMIN, other_user("system:serviceaccount:kube-system:pod-garbage-collector")]
    )
    def test_force_says_nothing_about_the_address(self, user: dict[str, Any]) -> None:
        assert deleted(changed(final_delete(AT, POD), user=user)).final is False

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"gracePeriodSeconds": 30, "preconditions": {"uid": UID}},
            {"gracePeriodSeconds": False, "preconditions": {"uid": UID}},
            {"gracePeriodSeconds": "0", "preconditions": {"uid": UID}},
            {"gracePeriodSeconds": 0},
            {"gracePeriodSeconds": 0, "preconditions": {"uid": "of another pod"}},
        ],
    )
    def test_other_deletions_by_a_kubelet_are_not_the_last_one(self, options: dict[str, Any]) -> None:
        assert deleted(changed(final_delete(AT, POD), requestObject=options)).final is False

    def test_a_kubelet_of_another_node_ends_nothing(self) -> None:
        event = changed(
            final_delete(AT, POD), user=kubelet("ip-10-0-9-9.ec2.internal", "i-00000000000000009")
        )
        assert [fact.final for fact in facts(event) if isinstance(fact, PodDeleted)] == [False]

    def test_the_copy_of_a_static_pod_is_deleted_while_the_pod_runs(self) -> None:
        event = final_delete(AT, POD, annotations={"kubernetes.io/config.mirror": "0a"})
        assert deleted(event).final is False

    def test_a_collection_names_each_pod(self) -> None:
        items = [
            audit_events.pod_object(f"shop/web-{n}", f"u{n}", node=NODE, ips=[f"10.0.1.{n}"]) for n in (1, 2)
        ]
        target = {"resource": "pods", "namespace": "shop"}
        event = audit_events.event(AT, "deletecollection", ADMIN, target, asked={}, answered={"items": items})
        found = facts(event)
        reports = [fact for fact in found if isinstance(fact, PodReported)]
        assert [str(report.pod) for report in reports] == ["shop/web-1", "shop/web-2"]
        assert [fact.final for fact in found if isinstance(fact, PodDeleted)] == [False, False]

    def test_an_eviction_is_a_deletion(self) -> None:
        target = {"resource": "pods", "namespace": "shop", "name": "web-1", "subresource": "eviction"}
        event = audit_events.event(AT, "create", ADMIN, target, asked={"kind": "Eviction"}, code=201)
        assert facts(event) == (PodDeleted(pod=NAME, uid=None, node=None, final=False),)
        event["requestObject"]["deleteOptions"] = {"dryRun": ["All"]}
        assert facts(event) == ()


class TestNodes:
    """The instance of a node."""

    def test_a_node_registers_with_its_instance(self) -> None:
        assert facts(audit_events.node_create(AT)) == (
            NodeNamed(node=NODE, instance=INSTANCE, basis="provider-id"),
        )

    @pytest.mark.parametrize("user", [ADMIN, kubelet("ip-10-0-9-9.ec2.internal")])
    def test_others_do_not_register_it(self, user: dict[str, Any]) -> None:
        found = facts(audit_events.node_create(AT, user=user))
        assert [fact for fact in found if isinstance(fact, NodeNamed) and fact.basis == "provider-id"] == []

    @pytest.mark.parametrize(
        "provider", ["aws:///eu-west-1a/fargate-ip-1", "kind://docker/kind", "i-0a1b2c3d", 7]
    )
    def test_a_node_that_is_no_instance(self, provider: object) -> None:
        event = audit_events.node_create(AT)
        event["requestObject"]["spec"]["providerID"] = provider
        assert facts(event) == ()


class TestBranch:
    """The annotation of a branch ENI."""

    def annotated(self, user: dict[str, Any], value: str) -> list[BranchGiven]:
        target = {"resource": "pods", "namespace": "shop", "name": "web-1"}
        annotations = {"vpc.amazonaws.com/pod-eni": value}
        asked = {"metadata": {"annotations": annotations}}
        whole = audit_events.pod_object(POD, node=NODE, annotations=annotations)
        event = audit_events.event(AT, "patch", user, target, asked=asked, answered=whole)
        return [fact for fact in facts(event) if isinstance(fact, BranchGiven)]

    def test_the_resource_controller_proves_it(self) -> None:
        assert self.annotated(VRC, json.dumps(BRANCH)) == [
            BranchGiven(
                pod=NAME, uid=UID, eni="eni-0aaaabbbbccccdddd", ip=ip_address("10.0.2.9"), by_controller=True
            )
        ]

    @pytest.mark.parametrize(
        "user", [ADMIN, other_user("system:serviceaccount:shop:eks:vpc-resource-controller")]
    )
    def test_anybody_else_claims_it(self, user: dict[str, Any]) -> None:
        assert [fact.by_controller for fact in self.annotated(user, json.dumps(BRANCH))] == [False]

    def test_an_answer_with_the_annotation_is_a_claim_whoever_asked(self) -> None:
        whole = audit_events.pod_object(POD, annotations={"vpc.amazonaws.com/pod-eni": json.dumps(BRANCH)})
        event = changed(PATCH, user=VRC, responseObject=whole)
        assert [fact.by_controller for fact in facts(event) if isinstance(fact, BranchGiven)] == [False]

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "[]",
            "{}",
            "null",
            "[1]",
            "[{",
            '[{"eniId":"eni-x","privateIp":"10.0.2.9"}]',
            '[{"privateIp":"10.0.2.9"}]',
        ],
    )
    def test_what_is_none(self, value: str) -> None:
        assert self.annotated(VRC, value) == []


def test_a_call_with_a_token_of_a_pod_says_nothing_because_others_may_have_the_token() -> None:
    user = audit_events.service_account("shop", "web", "web-1", UID)
    target = {"resource": "configmaps", "namespace": "shop", "name": "a"}
    assert facts(audit_events.event(AT, "get", user, target, level="Metadata", source_ips=(IP,))) == ()


def test_a_json_patch_is_read_as_far_as_it_sets_what_is_in_no_list() -> None:
    steps = [
        {"op": "test", "path": "/status/podIP", "value": OTHER},
        {"op": "replace", "path": "/status/podIP", "value": IP},
        {"op": "add", "path": "/status/podIPs", "value": [{"ip": IP}]},
        {"op": "replace", "path": "/status/conditions/0/status", "value": "True"},
        {"op": "remove", "path": "/status/hostIP"},
        {"op": "add", "path": "/metadata/annotations/example.com~1a", "value": "b"},
        {"op": "add"},
        "x",
    ]
    (report,) = facts(changed(PATCH, requestObject=steps))
    assert isinstance(report, PodReported)
    assert (report.addresses, report.ready, report.host_ip) == (ips(IP), None, None)


class TestTimes:
    """When it happened."""

    def test_the_stage_time_is_second(self) -> None:
        found, problems = decoded(changed(PATCH, requestReceivedTimestamp=None))
        assert found is not None
        assert (found.time, problems) == (datetime(2026, 5, 14, 9, 30, 5, 402117, tzinfo=UTC), ())

    @pytest.mark.parametrize("bad", ["yesterday", 7, "0001-01-01T00:00:00Z", ""])
    def test_a_time_that_is_none_is_a_problem(self, bad: object) -> None:
        found, problems = decoded(changed(PATCH, requestReceivedTimestamp=bad, stageTimestamp=None))
        assert found is not None
        assert found.time is None
        assert problems == (f"requestReceivedTimestamp is {bad!r}, not a time", "it has no time")


class TestShort:
    """Events that lack a part."""

    def test_the_api_server_drops_the_objects_of_a_long_event(self) -> None:
        event = changed(
            final_delete(AT, POD),
            requestObject=None,
            responseObject=None,
            annotations={"audit.k8s.io/truncated": "true"},
        )
        found, problems = decoded(event)
        assert found is not None
        assert found.truncated
        assert [fact.final for fact in found.facts if isinstance(fact, PodDeleted)] == [False]
        (problem,) = problems
        assert problem.startswith("partly read: its objects are missing, because it was too long for the API")

    def test_a_long_event_about_something_else_is_no_problem(self) -> None:
        target = {"resource": "configmaps", "namespace": "shop", "name": "a"}
        event = audit_events.event(
            AT, "update", ADMIN, target, annotations={"audit.k8s.io/truncated": "true"}
        )
        assert decoded(event) == (None, ())

    def test_what_was_cut_away_is_not_denied(self) -> None:
        event = changed(audit_events.create(AT, POD, node=NODE), **{"cnitrail:cut": True})
        found, _ = decoded(event)
        assert found is not None
        (report,) = found.facts
        assert isinstance(report, PodReported)
        assert report.host_network is None


class TestIdentity:
    """Which records are copies."""

    def key(self, event: dict[str, Any], text: str | None = None) -> str:
        payload = (text or json.dumps(event)).encode()
        found = decode(Record((Origin("audit.log", 0, "eks-audit"),), payload)).pods
        assert found is not None
        return found.key

    def test_a_copy_may_be_written_in_another_way(self) -> None:
        other = json.dumps(dict(reversed(PATCH.items())), indent=4)
        assert self.key(PATCH) == self.key(PATCH, other)

    def test_another_event_with_the_same_id_is_a_second_record(self) -> None:
        other = status_patch(AT, POD, ips=[OTHER], phase="Running", host_ip="10.0.1.10")
        assert self.key(PATCH) != self.key(changed(other, auditID=PATCH["auditID"]))


class TestHostile:
    """Whatever an event has in a field, nothing is raised."""

    @pytest.mark.parametrize("value", [None, 7, True, "x", [], {}, [[]], [None], {"a": []}])
    def test_any_field_may_have_any_value(self, value: object) -> None:
        for event in (PATCH, final_delete(AT, POD), audit_events.node_create(AT), audit_events.bind(AT, POD)):
            for path in _paths(event):
                made = deepcopy(event)
                inside: Any = made
                for step in path[:-1]:
                    inside = inside[step]
                inside[path[-1]] = value
                decoded(made)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path to every value in a value."""
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = []
    for step, inside in steps:
        found += [(*path, step), *_paths(inside, (*path, step))]
    return found
