"""Which container printed a message, by the metadata of log collectors.

Any container can print what looks like pod evidence. Only what ipamd prints counts, in the container
``aws-node`` of ``kube-system``.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Final

import msgspec
from msgspec import Raw, Struct

_NAMESPACES: Final = (
    *("namespace_name", "pod_namespace", "namespace", "kube_namespace"),
    *("k8s.namespace.name", "k8s_namespace_name", "kubernetes.namespace", "kubernetes.namespace_name"),
)
_CONTAINERS: Final = (
    *("container_name", "containerName", "container", "kube_container_name"),
    *("k8s.container.name", "k8s_container_name", "kubernetes.container.name", "kubernetes.container_name"),
)
_PODS: Final = ("pod", "pod_name", "podName", "k8s.pod.name", "k8s_pod_name", "kubernetes.pod.name")
"""The keys of fluent-bit, fluentd, Vector, Elastic, Loki, stern, Datadog and OpenTelemetry."""

_PARTS: Final = ("labels", "stream", "result", "fields", "resource")
"""Keys of objects with such keys: of Loki, Splunk and OpenTelemetry."""

_DUMP: Final = re.compile(rb"\s*==== START logs for container \S+ of pod \S+/\S+ ====\r?\n")
"""What ``kubectl cluster-info dump`` writes before the output of a container."""


class _Named(Struct):
    name: str = ""


_NAME = msgspec.json.Decoder(_Named | str)
_OBJECT = msgspec.json.Decoder(dict[str, Raw])
_TAGS = msgspec.json.Decoder(list[str])


def is_dumped_output(head: bytes) -> bool:
    """Return whether a text is the output of containers, as ``kubectl cluster-info dump`` writes it."""
    return _DUMP.match(head) is not None


def is_printed_by_others(envelope: Mapping[str, Raw], *, may_be_aws_node: bool) -> bool:
    """Return whether an envelope has the output of a container, other than ipamd's if that may be."""
    return any(not may_be_aws_node or names != _AWS_NODE for names in _containers(envelope))


_AWS_NODE: Final = ("kube-system", "aws-node")


def _containers(envelope: Mapping[str, Raw]) -> Iterator[tuple[str, str]]:
    """Yield the namespace and name of the container that an envelope names; a name may be empty."""
    if "kubernetes" in envelope:
        fields = _object(envelope["kubernetes"])
        if "audit" not in fields or _is_named(fields):  # Elastic's integration keeps audit events there
            yield _names(fields)
    if "tags" in envelope:
        with suppress(ValueError):
            pairs = [tag.partition(":") for tag in _TAGS.decode(envelope["tags"])]
            tags = {key: Raw(msgspec.json.encode(value)) for key, _, value in pairs}
            if _is_named(tags):
                yield _names(tags)
    for fields in (envelope, *(_object(envelope[key]) for key in _PARTS if key in envelope)):
        if not _OWN.isdisjoint(fields) and _is_named(fields):
            yield _names(fields)


_OWN: Final = frozenset((*_CONTAINERS, *_PODS))


def _object(value: Raw) -> Mapping[str, Raw]:
    try:
        return _OBJECT.decode(value)
    except ValueError:
        return {}


def _is_named(fields: Mapping[str, Raw]) -> bool:
    return any(_name(fields, keys) for keys in (_NAMESPACES, _CONTAINERS, _PODS))


def _names(fields: Mapping[str, Raw]) -> tuple[str, str]:
    return _name(fields, _NAMESPACES), _name(fields, _CONTAINERS)


def _name(fields: Mapping[str, Raw], keys: tuple[str, ...]) -> str:
    """Return the first name under one of the keys: a text, or an object with the name; else an empty text."""
    for key in keys:
        if key in fields:
            with suppress(ValueError):
                found = _NAME.decode(fields[key])
                return found if isinstance(found, str) else found.name
    return ""
