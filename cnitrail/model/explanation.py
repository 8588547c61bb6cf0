"""Explanations: one resource in a few sentences."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from cnitrail.model.answer import Verdict
from cnitrail.model.finding import Severity


class TargetKind(StrEnum):
    """What can be explained."""

    ADDRESS = "address"
    ENI = "eni"
    INSTANCE = "instance"
    NODE = "node"
    """A Kubernetes node by the name that has its primary address."""
    SUBNET = "subnet"
    CLUSTER = "cluster"
    POD = "pod"


class SentenceCode(StrEnum):
    """What a sentence of an explanation says. The values are part of the JSON contract."""

    WHAT = "what"
    """What the target is, and where."""
    NOW = "now"
    """Who has it at the time, since when; or what it has."""
    PODS = "pods"
    """Which pod has an address; which pods have addresses of an ENI or instance."""
    ORIGIN = "origin"
    """Who assigned, created or launched it."""
    BEFORE = "before"
    """What happened before: earlier holders, attachments, calls."""
    FINDINGS = "findings"
    """What is wrong: the gravest finding, and the number of others."""
    NO_FINDINGS = "no-findings"
    """No rule of ``findings`` applies."""
    NOT_JUDGED = "not-judged"
    """Findings need more evidence than was read."""
    CERTAINTY = "certainty"
    """How sure the answer is, and why."""
    MISSING = "missing"
    """What is missing from the evidence: log gaps, the time before it."""
    NEXT = "next"
    """The command to run next."""


class ExplanationSentence(Struct, frozen=True):
    """A sentence, what it says, the events that it rests on (by ID), and a shell command for it."""

    code: SentenceCode
    text: str
    events: tuple[str, ...] = ()
    command: str | None = None


class Explanation(Struct, frozen=True, kw_only=True):
    """One address, ENI, instance, subnet, cluster or pod at a time (aware, UTC), in sentences.

    ``target`` is what was asked for, ``name`` the address, ID, cluster or pod that it means, of the ``kind``.
    ``verdict`` is that of ``who`` for an address; for an ENI or instance, that for its primary address; for
    a pod, that for its last address.
    ``enis`` and ``instances`` are those that hold an address, or that the target has at
    the time; ``addresses`` is the number of addresses and prefixes on the ENIs, None for an address.
    ``findings`` is the number of findings that concern it, None if they were not judged; ``severity`` is
    that of the gravest.
    """

    target: str
    kind: TargetKind
    name: str
    at: datetime
    account: str | None
    region: str | None
    vpcs: tuple[str, ...]
    subnets: tuple[str, ...]
    clusters: tuple[str, ...]
    verdict: Verdict | None
    enis: tuple[str, ...]
    instances: tuple[str, ...]
    addresses: int | None
    findings: int | None
    severity: Severity | None
    sentences: tuple[ExplanationSentence, ...]
