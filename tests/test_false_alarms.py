"""Legitimate set-ups that look wrong are silent; those that only look like them are not.

The set-ups are those of the story ``false-alarms``. Each twin below makes the same calls, but on ENIs that
the VPC CNI manages, or it is dressed like a set-up by what anybody can choose: names of users and sessions,
user agents, descriptions, and tags.
"""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from callers import Caller, Role, iam_user, node_session, resource_controller, role_user
from calls import (
    Eni,
    Instance,
    assign,
    assign_named,
    attach,
    create_network_interface,
    create_tags,
    delete,
    describe_as,
    detach,
    unassign,
)
from click.testing import CliRunner
from cni import of_cni, signs_in
from conftest import Run
from stories import false_alarms as legitimate
from stories.false_alarms import ACCOUNT, CLI, NO_MANAGE, ONE, SUBNET, VIRTUAL, node
from trail import Trail

from cnitrail.cli import main

FOUND = 5
VICTIM = "i-0fe90b2748ca0d19b"
OTHER = "i-0ffa1c3859db1e2ac"
POD_IP = "10.66.2.215"
"""An address of the victim's second ENI."""

Twin = Callable[[Trail, "Nodes"], None]


class Nodes:
    """Two nodes of a cluster whose addresses the VPC CNI manages."""

    def __init__(self, trail: Trail) -> None:
        self.victim, self.cni = node(trail, "08:03", VICTIM, 200)
        self.other, self.others_cni = node(trail, "08:04", OTHER, 230)
        self.eni = "eni-0be90b2748ca0d19b"
        """The victim's second ENI, which its CNI created."""
        self.others_eni = "eni-0bfa1c3859db1e2ac"


def spoken(trail: Trail, folder: Path) -> tuple[int, list[dict[str, Any]]]:
    """Return the exit status of ``findings --fail-on medium``, and its findings of medium and more."""
    for file in legitimate.files(trail):
        path = folder / file.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(file.text, 1))
    result = CliRunner().invoke(main, ["findings", str(folder), "--fail-on", "medium", "-o", "jsonl"])
    found = [json.loads(line) for line in result.stdout.splitlines()]
    return result.exit_code, [one for one in found if one["severity"] in ("critical", "high", "medium")]


def sentences(found: list[dict[str, Any]]) -> list[str]:
    return [f"{one['rule']} {one['severity']}: {one['sentence']}" for one in found]


class TestSilent:
    @pytest.mark.parametrize("setup", legitimate.SETUPS)
    def test_each_legitimate_set_up_alone_is_silent(self, setup: str, tmp_path: Path) -> None:
        trail = legitimate.new_trail()
        legitimate.SETUPS[setup](trail)
        status, found = spoken(trail, tmp_path)
        assert (sentences(found), status) == ([], 0)

    def test_all_together_are_silent(self, run: Run) -> None:
        result = run("findings", "false-alarms", "--fail-on", "medium")
        assert result.exit_code == 0, result.stdout

    def test_nodes_of_the_vpc_cni_beside_them_are_silent(self, tmp_path: Path) -> None:
        trail = legitimate.new_trail()
        for setup in legitimate.SETUPS.values():
            setup(trail)
        Nodes(trail)
        status, found = spoken(trail, tmp_path)
        assert (sentences(found), status) == ([], 0)


# --- failover ------------------------------------------------------------------------------------


def failover_takes_an_ip_from_a_pod(trail: Trail, nodes: Nodes) -> None:
    """A database host assigns a pod's address to its own ENI, as Pacemaker does with the virtual IP."""
    legitimate.failover(trail)
    trail.log("10:15:00", legitimate.database(trail, ONE), assign_named(ONE.eni.id, POD_IP, reassign=True))
    trail.log("10:35:00", nodes.cni, unassign(nodes.eni, "10.66.2.216"))


def failover_between_nodes_of_the_cni(trail: Trail, nodes: Nodes) -> None:
    """Two EKS nodes take a pod's address from each other, each with its own role, four times."""
    for clock, host, eni in (
        ("09:00:00", nodes.other, nodes.others_eni),
        ("09:20:00", nodes.victim, nodes.eni),
        ("09:40:00", nodes.other, nodes.others_eni),
        ("10:00:00", nodes.victim, nodes.eni),
    ):
        trail.log(clock, _own_role(trail, host), assign_named(eni, POD_IP, reassign=True))


def failover_by_a_stranger(trail: Trail, _: Nodes) -> None:
    """A user moves the virtual IP to an ENI of a third instance, which its hosts never did."""
    legitimate.failover(trail)
    mallory = iam_user(ACCOUNT, "mallory", "192.0.2.66", CLI)
    eni = Eni("eni-0f66aa1b2c3d4e5f6", SUBNET, "10.66.1.66", "eni-attach-0f66aa1b2c3d4e5f6")
    trail.log("11:40:00", mallory, create_network_interface(eni))
    trail.log("11:40:30", mallory, attach(eni, "i-0f66bb2c3d4e5f607", 1))
    trail.log("11:41:00", mallory, assign_named(eni.id, VIRTUAL, reassign=True))
    trail.log("11:48:00", legitimate.database(trail, ONE), unassign(ONE.eni.id, VIRTUAL))


# --- Multus --------------------------------------------------------------------------------------


def whereabouts_on_an_eni_of_the_cni(trail: Trail, nodes: Nodes) -> None:
    """The service account of Multus assigns addresses by name to an ENI that the VPC CNI manages."""
    legitimate.multus(trail)
    trail.log("09:00:00", _whereabouts(trail, "09:00:00"), assign_named(nodes.eni, "10.66.3.90"))


def whereabouts_takes_an_ip_from_a_pod(trail: Trail, nodes: Nodes) -> None:
    """The service account of Multus moves a pod's address to an ENI tagged no_manage."""
    legitimate.multus(trail)
    call = assign_named(legitimate.MULTUS[0].id, POD_IP, reassign=True)
    trail.log("09:00:00", _whereabouts(trail, "09:00:00"), call)
    trail.log("10:35:00", nodes.cni, unassign(nodes.eni, "10.66.2.216"))


def no_manage_written_later(trail: Trail, nodes: Nodes) -> None:
    """An ENI of the VPC CNI gets the tag no_manage afterwards, and then addresses by name."""
    mallory = _pipeline(trail)
    trail.log("09:00:00", mallory, create_tags(nodes.eni, NO_MANAGE))
    trail.log("09:00:30", mallory, assign_named(nodes.eni, "10.66.3.90"))


def no_manage_written_later_before_a_release(trail: Trail, nodes: Nodes) -> None:
    """An ENI of the VPC CNI gets the tag no_manage afterwards, and then loses pods' addresses."""
    mallory = _pipeline(trail)
    trail.log("09:00:00", mallory, create_tags(nodes.eni, NO_MANAGE))
    trail.log("09:00:30", mallory, unassign(nodes.eni, POD_IP))


def no_manage_at_creation_but_the_cni_uses_it(trail: Trail, nodes: Nodes) -> None:
    """An ENI is created with the tag no_manage, but the VPC CNI assigns its addresses: somebody takes one."""
    eni = replace(
        legitimate.MULTUS[0], id="eni-0f67aa1b2c3d4e5f7", address="10.66.3.80", attachment="eni-attach-67"
    )
    terraform = _pipeline(trail)
    trail.log("08:20:00", terraform, create_network_interface(eni))
    trail.log("08:20:05", terraform, attach(eni, VICTIM, 2, card=0))
    trail.log("08:30:00", nodes.cni, assign(eni.id, *(f"10.66.3.{number}" for number in range(81, 90))))
    trail.log("09:00:30", terraform, unassign(eni.id, "10.66.3.85"))


# --- OpenShift -----------------------------------------------------------------------------------


def openshift_user_on_an_eni_of_the_cni(trail: Trail, nodes: Nodes) -> None:
    """The user of OpenShift assigns an egress IP to an ENI that the VPC CNI manages."""
    legitimate.openshift(trail)
    trail.log("09:00:00", legitimate.OPENSHIFT, assign_named(nodes.eni, "10.66.4.70"))


def a_user_named_like_openshifts(trail: Trail, nodes: Nodes) -> None:
    """A user with a name like OpenShift's releases pods' addresses from an ENI of the VPC CNI."""
    user = iam_user(ACCOUNT, "x-openshift-cloud-network-config-controller-aws-1", "192.0.2.66", CLI)
    trail.log("09:00:00", user, unassign(nodes.eni, POD_IP))


def a_user_named_like_openshifts_takes_an_ip_from_a_pod(trail: Trail, nodes: Nodes) -> None:
    """A user with a name like OpenShift's moves a pod's address to another node."""
    legitimate.openshift(trail)
    call = assign_named(legitimate.OPENSHIFT_NODES[0].eni.id, POD_IP, reassign=True)
    trail.log("09:00:00", legitimate.OPENSHIFT, call)
    trail.log("10:35:00", nodes.cni, unassign(nodes.eni, "10.66.2.216"))


# --- Windows -------------------------------------------------------------------------------------


def a_role_dressed_as_the_resource_controller(trail: Trail, nodes: Nodes) -> None:
    """A role with the controller's session name and user agent releases addresses of the VPC CNI."""
    disguised = resource_controller(Role(ACCOUNT, "ci-runner"), trail.time("08:50:00"))
    disguised = replace(disguised, source_ip="192.0.2.66")
    trail.log("09:00:00", disguised, unassign(nodes.eni, POD_IP))


def a_role_dressed_as_the_resource_controller_assigns_by_name(trail: Trail, nodes: Nodes) -> None:
    """A role with the controller's session name and user agent assigns by name to an ENI of the VPC CNI."""
    disguised = resource_controller(Role(ACCOUNT, "ci-runner"), trail.time("08:50:00"))
    trail.log("09:00:00", disguised, assign_named(nodes.eni, "10.66.3.90"))


def a_role_dressed_as_the_resource_controller_detaches(trail: Trail, nodes: Nodes) -> None:
    """A role with the controller's session name and user agent detaches and deletes an ENI that is in use."""
    legitimate.branches(trail)
    disguised = resource_controller(Role(ACCOUNT, "ci-runner"), trail.time("08:50:00"))
    eni = Eni(nodes.eni, SUBNET, "10.66.2.210", "eni-attach-0be90b2748ca0d19b")
    trail.log("09:00:00", disguised, detach(eni))
    trail.log("09:00:09", disguised, delete(eni))


def a_role_dressed_as_a_service_detaches(trail: Trail, nodes: Nodes) -> None:
    """A role with the session name and user agent of AWS Glue detaches and deletes an ENI that is in use."""
    role = Role(ACCOUNT, "AWSGlueServiceRole-etl")
    disguised = role_user(
        role, "GlueJobRunnerSession", trail.time("08:14:00"), "192.0.2.66", "glue.amazonaws.com"
    )
    eni = Eni(nodes.eni, SUBNET, "10.66.2.210", "eni-attach-0be90b2748ca0d19b")
    trail.log("09:00:00", disguised, detach(eni))
    trail.log("09:00:09", disguised, delete(eni))


def a_stranger_on_a_windows_node(trail: Trail, _: Nodes) -> None:
    """A person releases the addresses of pods on a Windows node, which the resource controller serves."""
    legitimate.windows(trail)
    mallory = iam_user(ACCOUNT, "mallory", "192.0.2.66", CLI)
    trail.log("09:30:00", mallory, unassign(legitimate.WINDOWS.eni.id, "10.66.5.21", "10.66.5.23"))


# --- branch and service ENIs ---------------------------------------------------------------------


def _leaked(trail: Trail, nodes: Nodes) -> Eni:
    """Log an ENI of the CNI that is detached, and never deleted."""
    eni = Eni(
        "eni-0f68aa1b2c3d4e5f8", SUBNET, "10.66.2.240", "eni-attach-0f68aa1b2c3d4e5f8", ("10.66.2.241",)
    )
    made = of_cni(eni, VICTIM, trail.time("08:30:00"))
    trail.log("08:30:00", nodes.cni, create_network_interface(made))
    trail.log("08:30:01", nodes.cni, attach(made, VICTIM, 2, card=0))
    trail.log("08:50:00", nodes.cni, detach(made))
    # other nodes do delete theirs, so a missing deletion means something
    other = replace(
        of_cni(eni, OTHER, trail.time("08:31:00")), id="eni-0f69aa1b2c3d4e5f9", address="10.66.2.242"
    )
    other = replace(other, attachment="eni-attach-0f69aa1b2c3d4e5f9", secondaries=())
    trail.log("08:31:00", nodes.others_cni, create_network_interface(other))
    trail.log("08:31:01", nodes.others_cni, attach(other, OTHER, 2, card=0))
    trail.log("08:51:00", nodes.others_cni, detach(other))
    trail.log("08:51:05", nodes.others_cni, delete(other))
    return made


def a_leak_tagged_as_a_branch_later(trail: Trail, nodes: Nodes) -> None:
    """A leaked ENI of the VPC CNI gets the tags of a branch ENI."""
    legitimate.branches(trail)
    leaked = _leaked(trail, nodes)
    tags = {"vpcresources.k8s.aws/trunk-eni-id": legitimate.TRUNK.id, "vpcresources.k8s.aws/vlan-id": "9"}
    trail.log("08:55:00", _pipeline(trail), create_tags(leaked.id, tags))


def a_leak_described_as_a_branch_later(trail: Trail, nodes: Nodes) -> None:
    """A leaked ENI of the VPC CNI gets the description of a branch ENI."""
    leaked = _leaked(trail, nodes)
    trail.log("08:55:00", _pipeline(trail), describe_as(leaked.id, "aws-k8s-branch-eni"))


def a_leak_described_as_a_services_later(trail: Trail, nodes: Nodes) -> None:
    """A leaked ENI of the VPC CNI gets the description of an ENI of SageMaker."""
    leaked = _leaked(trail, nodes)
    description = "[DO NOT DELETE] ENI managed by SageMaker for Studio Domain (d-examplefalse)"
    trail.log("08:55:00", _pipeline(trail), describe_as(leaked.id, description))


def a_strangers_branch_takes_an_ip_from_a_pod(trail: Trail, nodes: Nodes) -> None:
    """A person creates an ENI that looks like a branch ENI, and moves a pod's address to it."""
    legitimate.branches(trail)
    _takes(trail, nodes, replace(legitimate.BRANCHES[0], id="eni-0f6aaa1b2c3d4e5fa", address="10.66.6.90"))


def a_strangers_service_eni_takes_an_ip_from_a_pod(trail: Trail, nodes: Nodes) -> None:
    """A person creates an ENI that looks like one of SageMaker, and moves a pod's address to it."""
    description = "[DO NOT DELETE] ENI managed by SageMaker for Studio Domain (d-examplefalse)"
    _takes(trail, nodes, Eni("eni-0f6baa1b2c3d4e5fb", SUBNET, "10.66.7.90", description=description))


def a_strangers_eni_of_no_type_takes_an_ip_from_a_pod(trail: Trail, nodes: Nodes) -> None:
    """A person creates an ENI with the tag no_manage, and moves a pod's address to it."""
    _takes(trail, nodes, Eni("eni-0f6caa1b2c3d4e5fc", SUBNET, "10.66.7.91", tags=NO_MANAGE))


TWINS: tuple[tuple[Twin, str], ...] = (
    (failover_takes_an_ip_from_a_pod, POD_IP),
    (failover_between_nodes_of_the_cni, POD_IP),
    (failover_by_a_stranger, VIRTUAL),
    (whereabouts_on_an_eni_of_the_cni, "10.66.3.90"),
    (whereabouts_takes_an_ip_from_a_pod, POD_IP),
    (no_manage_written_later, "10.66.3.90"),
    (no_manage_written_later_before_a_release, POD_IP),
    (no_manage_at_creation_but_the_cni_uses_it, "10.66.3.85"),
    (openshift_user_on_an_eni_of_the_cni, "10.66.4.70"),
    (a_user_named_like_openshifts, POD_IP),
    (a_user_named_like_openshifts_takes_an_ip_from_a_pod, POD_IP),
    (a_role_dressed_as_the_resource_controller, POD_IP),
    (a_role_dressed_as_the_resource_controller_assigns_by_name, "10.66.3.90"),
    (a_role_dressed_as_the_resource_controller_detaches, "eni-0be90b2748ca0d19b"),
    (a_role_dressed_as_a_service_detaches, "eni-0be90b2748ca0d19b"),
    (a_stranger_on_a_windows_node, "10.66.5.21"),
    (a_leak_tagged_as_a_branch_later, "eni-0f68aa1b2c3d4e5f8"),
    (a_leak_described_as_a_branch_later, "eni-0f68aa1b2c3d4e5f8"),
    (a_leak_described_as_a_services_later, "eni-0f68aa1b2c3d4e5f8"),
    (a_strangers_branch_takes_an_ip_from_a_pod, POD_IP),
    (a_strangers_service_eni_takes_an_ip_from_a_pod, POD_IP),
    (a_strangers_eni_of_no_type_takes_an_ip_from_a_pod, POD_IP),
)
"""Each twin, and what a finding of at least medium severity must name."""


class TestTwins:
    @pytest.mark.parametrize(("twin", "names"), TWINS, ids=[twin.__name__ for twin, _ in TWINS])
    def test_what_only_looks_legitimate_is_found(self, twin: Twin, names: str, tmp_path: Path) -> None:
        trail = legitimate.new_trail()
        twin(trail, Nodes(trail))
        status, found = spoken(trail, tmp_path)
        assert status == FOUND
        assert [one for one in found if names in (*one["enis"], *one["addresses"])], sentences(found)

    @pytest.mark.parametrize(("twin", "names"), TWINS, ids=[twin.__name__ for twin, _ in TWINS])
    def test_nor_does_it_hide_among_all_set_ups(self, twin: Twin, names: str, tmp_path: Path) -> None:
        """The findings of the twin alone are also those beside all set-ups that it does not log itself."""
        trail, among = legitimate.new_trail(), legitimate.new_trail()
        twin(trail, Nodes(trail))
        twin(among, Nodes(among))
        logged = {record["eventID"] for file in legitimate.files(trail) for record in file.records}
        for setup in legitimate.SETUPS.values():
            alone = legitimate.new_trail()
            setup(alone)
            records = [record for file in legitimate.files(alone) for record in file.records]
            if not any(record["eventID"] in logged for record in records if not record["readOnly"]):
                setup(among)
        _, found = spoken(trail, tmp_path / "alone")
        _, amid = spoken(among, tmp_path / "among")
        wanted = [one["rule"] for one in found if names in (*one["enis"], *one["addresses"])]
        assert [one["rule"] for one in amid if names in (*one["enis"], *one["addresses"])] == wanted


def _own_role(trail: Trail, host: Instance) -> Caller:
    return node_session(legitimate.NODE_ROLE, host.id, trail.time("08:05:00"), legitimate.NAT, CLI).caller


def _pipeline(trail: Trail) -> Caller:
    role = Role(ACCOUNT, "network-pipeline")
    return role_user(role, "apply-77", trail.time("07:58:00"), "198.51.100.13", legitimate.TERRAFORM)


def _whereabouts(trail: Trail, clock: str) -> Caller:
    return signs_in(trail, clock, legitimate.WHEREABOUTS, 904815276)


def _takes(trail: Trail, nodes: Nodes, eni: Eni) -> None:
    """Log how a person creates an ENI, and moves a pod's address to it."""
    mallory = iam_user(ACCOUNT, "mallory", "192.0.2.66", CLI)
    trail.log("09:00:00", mallory, create_network_interface(eni))
    trail.log("09:01:00", mallory, assign_named(eni.id, POD_IP, reassign=True))
    trail.log("10:35:00", nodes.cni, unassign(nodes.eni, "10.66.2.216"))
