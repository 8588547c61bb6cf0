"""Lines of ``ipamd.log`` and ``plugin.log`` of the VPC CNI, releases 1.0 to 1.23.

The texts are those of github.com/aws/amazon-vpc-cni-k8s at its tags: ``data_store.go``, ``rpc_handler.go``
and ``awsutils.go`` of ipamd, and ``cni.go`` of the plugin. A message may quote anything, so only its
beginning says what it is; names that Kubernetes would refuse are not read.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Final

from msgspec import Struct

from cnitrail.decode.pods.reading import NOTHING, PodReading
from cnitrail.decode.shapes import address, fields, prefix, text, time
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

_NAMESPACE: Final = r"(?P<namespace>[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)"
_POD: Final = r"(?P<pod>[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?)"
_SANDBOX: Final = r"(?P<sandbox>[0-9A-Za-z][0-9A-Za-z_.-]{0,127})"
_KEY: Final = rf"[^\s/]{{1,128}}/{_SANDBOX}/[^\s/]{{1,32}}"
"""How ipamd writes a sandbox since 1.7: network, container, interface. The network is ``aws-cni``, or
``_migrated-from-cri`` for those from before an update."""
_IP: Final = r"(?P<ip>[0-9A-Fa-f.:]{2,45})"
_CALL: Final = r"(?P<what>Add|Del)"
_OF_POD: Final = rf"Pod {_POD}, Name[Ss]pace {_NAMESPACE}, (?:Container|Sandbox) {_SANDBOX}"

_RECOVERY_LINES: Final = range(358, 493)
"""The lines of data_store.go from which ``ReadBackingStore`` repeats assignments after a restart, in all
releases from 1.7.0 to 1.23.0; all other assignments are called from line 499 or later."""

_CALLER: Final = re.compile(r"datastore/data_store\.go:([0-9]{1,6})")
_PROTOBUF: Final = re.compile(
    r'\s*(?:([A-Za-z0-9_]{1,64}):\s*(?:"([^"\\]{0,4096})"|([^\s"<>{}]{1,256})|(?=[<{]))|[<>{}])'
)
"""The text of a protobuf message: between its fields are one or two blanks, at random."""

_DURATION: Final = re.compile(r"(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6})(?:\.[0-9]+)?s)?")
_UID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAMED: Final = re.compile(rf"{_NAMESPACE}/{_POD}/{_SANDBOX}")


class _Line:
    """A line of the log: its time, and the place in the program from which it was written."""

    def __init__(self, written: datetime, caller: str) -> None:
        self.written = written
        self._caller = caller

    @property
    def is_of_recovery(self) -> bool:
        """Whether ipamd wrote it while it read its checkpoint, so that an assignment is a repetition."""
        place = _CALLER.fullmatch(self._caller)
        return place is not None and int(place[1]) in _RECOVERY_LINES


_Found = Iterator[PodFact]


def read(entry: object) -> PodReading:
    """Return what a line says: the JSON that zap wrote, or its fields from a line of seelog."""
    fields_of_line = fields(entry)
    message, stamp = text(fields_of_line.get("msg")), fields_of_line.get("ts")
    written = time(stamp)
    if message is None:
        return NOTHING
    for known in _messages():
        match = known.beginning.match(message)
        if match is None:
            continue
        if written is None:
            return PodReading(problems=("ts is not a time in ISO 8601; without it the line cannot be used",))
        line = _Line(written, text(fields_of_line.get("caller")) or "")
        found = tuple(known.reader(match, line))
        is_whole = isinstance(stamp, str) and "." not in stamp and "," not in stamp
        return PodReading(time=written, facts=found, whole_second=is_whole) if found else NOTHING
    return NOTHING


def _assigned(match: re.Match[str], line: _Line) -> _Found:
    ip = address(match["ip"])
    if ip is not None:
        yield SandboxAssigned(
            ip=ip, sandbox=match["sandbox"], pod=_pod_in(match), recovered=line.is_of_recovery
        )


def _recovered(match: re.Match[str], _: _Line) -> _Found:
    ip = address(match["ip"])
    if ip is not None:
        yield SandboxAssigned(ip=ip, sandbox=match["sandbox"], recovered=True)
        yield EniListed(eni=match["eni"], held=ip)


def _released(match: re.Match[str], _: _Line) -> _Found:
    ip = address(match["ip"])
    if ip is not None:
        yield SandboxReleased(ip=ip, sandbox=match["sandbox"], pod=_pod_in(match))


def _named(match: re.Match[str], _: _Line) -> _Found:
    is_released = match.groupdict().get("what") == "Del"
    yield SandboxNamed(sandbox=match["sandbox"], pod=_pod_in(match), released=is_released)


def _requested(match: re.Match[str], _: _Line) -> _Found:
    found = _protobuf(match["fields"])
    yield from _pod_of_sandbox(
        found.get("K8S_POD_NAMESPACE"),
        found.get("K8S_POD_NAME"),
        found.get("ContainerID"),
        uid=found.get("K8S_POD_UID"),
        released=match["what"] == "Del",
    )


def _called(match: re.Match[str], _: _Line) -> _Found:
    arguments = dict(part.split("=", 1) for part in match["arguments"].split(";") if "=" in part)
    yield from _pod_of_sandbox(
        arguments.get("K8S_POD_NAMESPACE"),
        arguments.get("K8S_POD_NAME"),
        match["sandbox"],
        uid=arguments.get("K8S_POD_UID"),
        released=match["what"] == "del",
    )


def _pod_of_sandbox(
    namespace: str | None, name: str | None, sandbox: str | None, *, uid: str | None, released: bool
) -> _Found:
    match = _NAMED.fullmatch(f"{namespace}/{name}/{sandbox}")
    if match is not None and None not in (namespace, name, sandbox):
        known = uid if uid is not None and _UID.fullmatch(uid) else None
        yield SandboxNamed(sandbox=match["sandbox"], pod=_pod_in(match), uid=known, released=released)


def _answered(match: re.Match[str], _: _Line) -> _Found:
    found = _protobuf(match["fields"])
    ip = address(found.get("IPv4Addr") or found.get("IPv6Addr") or "")
    if found.get("Success") == "true" and ip is not None:
        is_branch = found.get("PodVlanId", "0") != "0"
        yield SandboxNamed(sandbox=match["sandbox"], ip=ip, is_branch=is_branch)


def _named_with_address(match: re.Match[str], _: _Line) -> _Found:
    ip = address(match["ip"])
    if ip is not None:
        yield SandboxNamed(sandbox=match["sandbox"], pod=_pod_in(match), ip=ip)


def _given_back(match: re.Match[str], _: _Line) -> _Found:
    yield SandboxNamed(sandbox=match["sandbox"], pod=_pod_in(match), released=True)


def _listed(match: re.Match[str], _: _Line) -> _Found:
    whole = match["held"]
    held = address(whole.removesuffix("/32").removesuffix("/128")) or prefix(whole)
    if held is not None:
        yield EniListed(eni=match["eni"], held=held, removed=match["what"] == "Deleted")


def _started(_match: re.Match[str], _: _Line) -> _Found:
    yield IpamdStarted()


def _instance(match: re.Match[str], _: _Line) -> _Found:
    yield NodeNamed(node=None, instance=match["instance"], basis="ipamd-log")


def _cooling(match: re.Match[str], line: _Line) -> _Found:
    ip = address(match["ip"])
    if ip is not None:
        yield AddressFreed(ip=ip, earliest=line.written, latest=line.written)


def _was_free(match: re.Match[str], line: _Line) -> _Found:
    ip, since = address(match["ip"]), _seconds(match["since"])
    if ip is None or since is None:
        return
    try:
        freed = line.written - timedelta(seconds=since)
        yield AddressFreed(ip=ip, earliest=freed - _ROUNDING, latest=freed + _ROUNDING)
    except OverflowError:
        return


_ROUNDING: Final = timedelta(seconds=1)
"""ipamd rounds the time to a second, and the line has its own."""

_Reader = Callable[[re.Match[str], _Line], _Found]


class _Message(Struct, frozen=True):
    """What a message begins with, and what it says then."""

    beginning: re.Pattern[str]
    reader: _Reader


def _message(reader: _Reader, *parts: str) -> _Message:
    return _Message(re.compile("".join(parts)), reader)


@cache
def _messages() -> tuple[_Message, ...]:
    """Return the messages that say something of pods, each with the releases that write it.

    They are compiled when the first line is read: that takes as long as to read a small file.
    """
    return (
        # 1.7 to 1.15, 1.16 on; the metadata since 1.20
        _message(
            _assigned,
            rf"[Aa]ssignPodIP\w*: Assign IP {_IP} to sandbox {_KEY}",
            rf"(?: with metadata \{{K8SPodNamespace:{_NAMESPACE} K8SPodName:{_POD}[ }}]|(?!\S))",
        ),
        # 1.0 to 1.4, 1.5 to 1.6
        _message(
            _assigned,
            rf"AssignPodIPv4Address:? Assign IP {_IP} to pod \(name {_POD}, namespace {_NAMESPACE}",
            rf" (?:container|sandbox) {_SANDBOX}\)",
        ),
        # 1.0 to 1.6, of a request that is repeated
        _message(
            _named_with_address,
            rf"AssignPodIPv4Address: duplicate pod assign for IP {_IP}, name {_POD}, namespace {_NAMESPACE},",
            rf" (?:container|sandbox) {_SANDBOX}(?!\S)",
        ),
        # 1.7 to 1.9, 1.10 to 1.15, 1.16 on; the line that follows it says the same
        _message(_released, rf"[Uu]n[Aa]ssignPodIP\w*: Unassign IP {_IP} from sandbox {_KEY}(?!\S)"),
        # 1.0 to 1.4, 1.5 to 1.6
        _message(
            _released,
            rf"Un[Aa]ssign(?:Pod)?IPv4Address: pod \(Name: {_POD}, NameSpace {_NAMESPACE}",
            rf" (?:Container|Sandbox) {_SANDBOX}\)'s ipAddr {_IP}, DeviceNumber",
        ),
        # 1.7 on
        _message(_recovered, rf"Recovered {_KEY} => (?P<eni>eni-[0-9a-f]{{8,17}})/{_IP}(?!\S)"),
        # 1.0 to 1.6
        _message(_named, rf"Recovered AddNetwork for {_OF_POD}(?!\S)"),
        _message(_named, rf"Received (?P<what>Add)Network for NS [^\s,]*, {_OF_POD}, ifname "),
        _message(_named, rf"Received (?P<what>Del)Network for IP [^\s,]*, {_OF_POD}(?!\S)"),
        # 1.7 on
        _message(_requested, rf"{_CALL}NetworkRequest: (?P<fields>.*)"),
        # 1.0 to 1.8, 1.9 on; removals of IPv6 prefixes since 1.22
        _message(
            _listed,
            r"(?P<what>Added|Deleted) ENI\((?P<eni>eni-[0-9a-f]{8,17})\)'s (?:IP|IP/Prefix|IPv6 Prefix)",
            r" (?P<held>[0-9A-Fa-f.:]{2,45}(?:/[0-9]{1,3})?) (?:to|from) datastore(?!\S)",
        ),
        _message(_started, r"Starting L-IPAMD [0-9A-Za-z.+_-]{1,64}(?!\S)"),
        _message(_instance, r"Found instance-id: (?P<instance>i-(?:[0-9a-f]{8}|[0-9a-f]{17}))(?!\S)"),
        # 1.21.2 on
        _message(_cooling, rf"IP {_IP} entering cooldown period of "),
        _message(_was_free, rf"Reassigning IP {_IP} \(was free for (?P<since>[0-9hms.]{{2,24}})\)"),
        _message(_was_free, rf"IP {_IP} released from cooldown after (?P<since>[0-9hms.]{{2,24}}),"),
        # plugin.log: all; since 1.7, since 1.10.3; 1.0 to 1.6; 1.7 on; 1.11 on
        _message(
            _called,
            rf"Received CNI (?P<what>add|del) request: ContainerID\({_SANDBOX}\) Netns\([^()]*\)",
            r" IfName\([^()]*\) Args\((?P<arguments>[^()]*)\)",
        ),
        _message(
            _answered,
            rf"Received add network response (?:from ipamd )?for container {_SANDBOX} interface [^\s:]+: ",
            r"(?P<fields>.*)",
        ),
        _message(
            _named_with_address,
            rf"Received add network response for pod {_POD} namespace {_NAMESPACE} (?:container|sandbox)",
            rf" {_SANDBOX}: {_IP}, table ",
        ),
        _message(
            _given_back,
            rf"Received del network response (?:from ipamd )?for pod {_POD} namespace {_NAMESPACE}",
            rf" sandbox {_SANDBOX}(?::| with vlanId: )",
        ),
        _message(
            _given_back,
            rf"Handled CNI del request with prevResult: ContainerID\({_SANDBOX}\) Netns\([^()]*\)",
            rf" IfName\([^()]*\) PodNamespace\({_NAMESPACE}\) PodName\({_POD}\)",
        ),
    )


def _pod_in(match: re.Match[str]) -> PodName | None:
    found = match.groupdict()
    namespace, name = found.get("namespace"), found.get("pod")
    return PodName(namespace, name) if namespace is not None and name is not None else None


def _protobuf(written: str) -> Mapping[str, str]:
    """Return the first value of each field in the text of a protobuf message, as far as it can be read."""
    values: dict[str, str] = {}
    end = 0
    while (match := _PROTOBUF.match(written, end)) is not None and match.end() > end:
        end = match.end()
        name, quoted, bare = match.groups()
        value = quoted if quoted is not None else bare
        if name is not None and value is not None:
            values.setdefault(name, value)
    return values


def _seconds(duration: str) -> int | None:
    """Return the seconds of a duration as Go writes it, such as ``1h2m3s``; None if it is not one."""
    match = _DURATION.fullmatch(duration)
    if match is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return (hours * 60 + minutes) * 60 + seconds
