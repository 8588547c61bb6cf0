"""A short incident for each rule of the findings, from which docs/findings.md quotes a sentence.

Rules that a story of fixtures/ shows are quoted from it.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from callers import Role, iam_user, role_user
from calls import (
    Eni,
    assign,
    attach,
    create_network_interface,
    create_trail,
    delete,
    detach,
    failed,
    on_bucket,
    put_event_selectors,
    selector,
    start_logging,
    stop_logging,
    unassign,
)
from cni import CNI_1_18, CNI_1_19, adds_eni, of_cni
from incidents import ACCOUNT, AWS_NODE, BOTO, CLI, NODE, OTHER_NODE, Incident, asks, clock, cni, node, second

import cnitrail

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
ADA = iam_user(ACCOUNT, "ada", "198.51.100.7", CLI)
BROKEN = ("Server.InternalError", "An internal error has occurred")
DENIED = ("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
ATTACHMENT_LIMIT = ("Client.AttachmentLimitExceeded", "Interface count exceeds the limit for m5.large.")
ADDRESS_LIMIT = ("Client.PrivateIpAddressLimitExceeded", "Number of private addresses will exceed limit.")
WRONG_STATE = ("Client.IncorrectInstanceState", "The instance is not 'running' or 'stopped'.")
NOT_FOUND = ("Client.InvalidNetworkInterfaceID.NotFound", "The networkInterface ID does not exist")
ENI_QUOTA = ("Client.NetworkInterfaceLimitExceeded", "Maximum number of network interfaces reached.")

STORIES = {
    "address-assigned-by-hand": "hand-assigned",
    "address-reassigned": "stolen-address",
    "subnet-exhausted": "subnet-exhausted",
    "api-throttled": "throttled",
    "interface-never-attached": "full-subnet",
    "interface-never-deleted": "full-subnet",
    "cni-call-denied": "subnet-exhausted",
    "node-role-beside-irsa": "pod-identity-and-node-role",
}


def _second_eni(incident: Incident, instance: str = NODE) -> Eni:
    """Give a node a second ENI with three addresses."""
    node(incident, "09:00:00", instance)
    eni = replace(second(instance), secondaries=("10.9.1.101", "10.9.1.102"))
    eni = of_cni(eni, instance, incident.time("09:01:00"))
    adds_eni(incident, ("09:01:00", "09:01:01", "09:01:02"), cni(incident, instance), eni, instance)
    return eni


def _released_by_hand(incident: Incident) -> None:
    eni = _second_eni(incident)
    incident.log("10:00:00", ADA, unassign(eni.id, "10.9.1.101"))


def _several_then_one(incident: Incident) -> None:
    first = node(incident, "09:00:00")
    incident.log("09:01:00", cni(incident), failed(asks(first, 9), *BROKEN))
    incident.log("09:01:01", cni(incident), failed(asks(first, 1), *BROKEN))


def _churn(incident: Incident) -> None:
    first = node(incident, "09:00:00")
    for number in range(15):
        address = f"10.9.7.{number}"
        incident.log(clock(32460 + number * 120), cni(incident), assign(first.id, address))
        incident.log(clock(32520 + number * 120), cni(incident), unassign(first.id, address))


def _deleted_by_others(incident: Incident) -> None:
    eni = _second_eni(incident)
    incident.log("10:00:00", cni(incident), detach(eni))
    incident.log("10:40:00", cni(incident, OTHER_NODE), delete(eni))


def _removed_by_stranger(incident: Incident) -> None:
    job = role_user(Role(ACCOUNT, "eni-janitor"), "sweep", incident.time("08:00:00"), "203.0.113.50", BOTO)
    node(incident, "09:00:00")
    for number in (1, 2, 3):
        at = 32400 + number * 600
        eni = of_cni(second(number=number), NODE, incident.time(clock(at)))
        incident.log(clock(at), cni(incident), create_network_interface(eni))
        incident.log(clock(at + 2), job, delete(eni))
        incident.log(clock(at + 3), cni(incident), failed(attach(eni, NODE, 1), *NOT_FOUND))


def _loop(incident: Incident, error: tuple[str, str]) -> None:
    node(incident, "09:00:00")
    for number in range(1, 7):
        at = clock(32400 + number * 60)
        eni = of_cni(second(number=number), NODE, incident.time(at))
        incident.log(at, cni(incident), create_network_interface(eni))
        incident.log(at, cni(incident), failed(attach(eni, NODE, 1), *error))
        incident.log(at, cni(incident), delete(eni))


def _attach_limit(incident: Incident) -> None:
    _loop(incident, ATTACHMENT_LIMIT)


def _create_attach_delete(incident: Incident) -> None:
    _loop(incident, WRONG_STATE)


def _address_limit(incident: Incident) -> None:
    first = node(incident, "09:00:00", kind="g4dn.16xlarge")
    for count in range(12):
        incident.log(clock(32460 + 10 * count), cni(incident), failed(asks(first, 49), *ADDRESS_LIMIT))


def _sign_ins(incident: Incident) -> None:
    caller, call = AWS_NODE.session(incident.time("09:00:00"), 1).opened
    for minute in range(8):
        incident.log(clock(32460 + 60 * minute), caller, failed(call, *DENIED))


def _quota(incident: Incident) -> None:
    node(incident, "09:00:00")
    for number in range(1, 21):
        at = clock(32460 + 30 * number)
        eni = of_cni(second(number=number), NODE, incident.time(at))
        incident.log(at, cni(incident), failed(create_network_interface(eni), *ENI_QUOTA))


def _new_program(incident: Incident) -> None:
    first = node(incident, "00:00:00")
    for hour in range(12):
        incident.log(clock(3600 * hour + 60), cni(incident), assign(first.id, f"10.9.7.{hour}"))
    eni = Eni("eni-0ffffffffffffffff", first.subnet, "10.9.8.200")
    incident.log("30:00:00", ADA, create_network_interface(eni))
    incident.log("30:01:00", ADA, delete(eni))


def _two_versions(incident: Incident) -> None:
    agents = {NODE: CNI_1_18, OTHER_NODE: CNI_1_19}
    for instance, agent in agents.items():
        first = node(incident, "00:00:00", instance)
        for hour in (1, 4, 8):
            address = f"10.9.{int(instance[2:4], 16)}.{hour}"
            incident.log(clock(hour * 3600), cni(incident, instance, agent), assign(first.id, address))


def _stopped(incident: Incident) -> None:
    incident.log("09:00:00", ADA, stop_logging("main"))
    incident.log("09:40:00", ADA, start_logging("main"))


def _narrowed(incident: Incident) -> None:
    incident.log("09:00:00", ADA, put_event_selectors("main", selector("ReadOnly")))


def _bucket_changed(incident: Incident) -> None:
    incident.log("09:00:00", ADA, create_trail("main", "audit-logs"))
    incident.log("10:00:00", ADA, on_bucket("DeleteBucketPolicy", "audit-logs"))


INCIDENTS: dict[str, Callable[[Incident], None]] = {
    "address-released-by-hand": _released_by_hand,
    "several-then-one": _several_then_one,
    "address-churn": _churn,
    "interface-deleted-by-others": _deleted_by_others,
    "cni-eni-removed": _removed_by_stranger,
    "attach-limit-loop": _attach_limit,
    "create-attach-delete-loop": _create_attach_delete,
    "address-limit-exceeded": _address_limit,
    "irsa-sign-in-failing": _sign_ins,
    "calls-keep-failing": _quota,
    "never-seen-before": _new_program,
    "mixed-cni-versions": _two_versions,
    "trail-stopped": _stopped,
    "trail-narrowed": _narrowed,
    "trail-bucket-changed": _bucket_changed,
}


def example(rule: str) -> str:
    """Return the sentence of the first finding of a rule in its story."""
    if rule in STORIES:
        found = cnitrail.read(FIXTURES / STORIES[rule]).findings()
        return next(finding.sentence for finding in found if finding.rule == rule)
    incident = Incident()
    INCIDENTS[rule](incident)
    return incident.found(rule, "00:00:00", "31:00:00")[0].sentence
