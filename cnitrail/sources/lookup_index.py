"""What LookupEvents finds an event by, as far as it is known.

It finds by the ``Resources`` that it shows beside an event. Which events have theirs there is only
partly known:

- recorded: RunInstances, AttachNetworkInterface and TerminateInstances have their interfaces and
  instances, AssumeRole the access key that it issued;
- printed in one report (https://github.com/aws/amazon-vpc-cni-k8s/issues/732): Create, Assign,
  Modify, Delete and CreateTags have the interface, Detach the attachment;
- of anything else nothing is known.

So nothing but the recorded is taken for granted. It is looked at in what is read: an event without
the resources that it names itself cannot be found by them.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from cnitrail.jsontext import parse

Fields = dict[str, Any]

RECORDED = frozenset({"AttachNetworkInterface", "RunInstances", "TerminateInstances"})
TWINS = {
    "AssignIpv6Addresses": "AssignPrivateIpAddresses",
    "CreateTags": "CreateNetworkInterface",
    "UnassignIpv6Addresses": "UnassignPrivateIpAddresses",
}
"""Calls that are taken to be found where another one is: their own are many, or as good as none."""

ONLY_AFTER = {
    "AssociateTrunkInterface": "trunk",
    "CreateFleet": "ec2fleet.amazonaws.com",
    "DisassociateAddress": "eipassoc-",
    "DisassociateTrunkInterface": "trunk-assoc-",
}
"""Calls that concern an interface or instance only where this text stands in another event of it."""

_ID = re.compile(r"(i|eni-attach|eni)-[0-9a-f]+")
_SAID = ("requestParameters", "responseElements", "serviceEventDetails")


class LookupIndex:
    """Which event names have been seen to be found by what they name, and which not."""

    def __init__(self) -> None:
        self._found: dict[str, bool] = {}
        self._texts: set[str] = set()

    def learn(self, event: Fields, record: Fields) -> None:
        """Compare what a successful call names with the resources beside it."""
        if record.get("errorCode") is not None:
            return
        named = ids(said(record))
        named = {each for each in named if kind(each) != "eni-attach"} or named
        if named:
            name = str(record.get("eventName"))
            resources = {resource.get("ResourceName") for resource in event.get("Resources") or ()}
            self._found[name] = self._found.get(name, True) and named <= resources

    def mark(self, text: str) -> None:
        """Note which texts stand in an event of what was asked for."""
        self._texts.update(each for each in ONLY_AFTER.values() if each in text)

    def finds(self, name: str) -> bool:
        """Whether events of a name have been seen to be found by what they name."""
        return self._found.get(name, False)

    def doubtful(self, names: Iterable[str]) -> list[str]:
        """Those of the names whose events may be there without having been found."""
        doubted: list[str] = []
        for name in names:
            if not (self.finds(name) or (name not in self._found and self._trusted(name, doubted))):
                doubted.append(name)
        return doubted

    def _trusted(self, name: str, doubted: list[str]) -> bool:
        """Whether a name of which nothing was seen need not be looked for; a twin waits for the other."""
        twin = TWINS.get(name)
        return (
            name in RECORDED
            or (twin is not None and (self.finds(twin) or twin in doubted))
            or (name in ONLY_AFTER and ONLY_AFTER[name] not in self._texts)
        )


def records(events: Iterable[Fields]) -> Iterator[tuple[Fields, Fields]]:
    """The events whose record can be read, each with its record."""
    for event in events:
        try:
            record = parse(str(event.get("CloudTrailEvent")).encode())
        except ValueError:
            continue  # it is delivered all the same, and the scanner says what is wrong with it
        if isinstance(record, dict):
            yield event, record


def said(record: Fields) -> Fields:
    """The parts of a record that name what the call was about."""
    return {part: record.get(part) for part in _SAID}


def kind(name: str) -> str:
    """``i``, ``eni`` or ``eni-attach``; empty for any other name."""
    match = _ID.fullmatch(name)
    return match[1] if match else ""


def ids(value: object) -> set[str]:
    """The instances, interfaces and attachments that a value names, but for its tags."""
    return {text for text in strings(value) if kind(text)}


def strings(value: object) -> Iterator[str]:
    """All texts inside a value, but for its tags."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            if not key.lower().startswith("tag"):
                yield from strings(inner)


def about(value: object, name: str) -> object:
    """A value without the elements that stand beside one which names what is asked for.

    RunInstances lists instances that have nothing to do with each other.
    """
    if isinstance(value, dict):
        return {key: about(inner, name) for key, inner in value.items()}
    if isinstance(value, list):
        naming = [inner for inner in value if any(text == name for text in strings(inner))]
        return [about(inner, name) for inner in naming or value]
    return value
