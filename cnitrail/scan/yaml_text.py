"""A YAML text, as ``aws … --output yaml`` writes it → its values; one element of a list is kept in memory."""

import codecs
import re
from collections.abc import Iterator
from typing import Final

from cnitrail.scan.containers.streams import TornStream
from cnitrail.scan.multisearch import Bytes
from cnitrail.scan.split import RECORD_LIMIT, UnreadableSpan
from cnitrail.yamltext import BrokenYaml, RefusedYaml, elements

_LISTS: Final = (
    "Events",
    "Records",
    "events",
    "results",
    "logEvents",
    "Messages",
    "QueryResultRows",
    "items",
)
"""The keys of long lists in what AWS's APIs and kubectl print: their elements are yielded one by one."""

_BEGINNING = re.compile(
    rb"\A(?:\s|#[^\n]*\n)*(?:---[ \t]*\r?\n)?(?:"
    rb"-[ \t]+(?:['\"]?\{|[A-Za-z][A-Za-z0-9@_-]*:(?:\s|$)|-[ \t])|"
    rb"[A-Z][A-Za-z]+:[ \t]*\r?\n[ \t]*-[ \t]|"
    rb"(?:%s):[ \t]*(?:\r?\n[ \t]*-[ \t]|\[\])|"
    rb"(?:eventVersion|userIdentity|AccessKeyId|CloudTrailEvent|EventId|searchedLogStreams|ResultSet"
    rb"|apiVersion|nextBackwardToken|NextToken|QueryStatus):(?:\s|$))" % "|".join(_LISTS).encode()
)


def looks_like_yaml(head: bytes) -> bool:
    """Return whether a text begins like YAML output of an AWS API or kubectl, or like a record as YAML."""
    return _BEGINNING.match(head) is not None


def yaml_values(pieces: Iterator[Bytes]) -> Iterator[object | UnreadableSpan]:
    """Yield the values of a YAML text: its documents, the elements of a list, and of AWS's long lists.

    An element of a long list is yielded in its envelope: ``{"Events": [element]}``.
    """
    try:
        yield from elements(codecs.iterdecode(map(bytes, pieces), "utf-8", "replace"), _LISTS, RECORD_LIMIT)
    except TornStream as torn:
        yield UnreadableSpan(str(torn))
    except RefusedYaml as error:
        yield UnreadableSpan(f"{error}; not read from there on")
    except BrokenYaml as error:
        yield UnreadableSpan(f"broken YAML ({error}); not read from there on")
