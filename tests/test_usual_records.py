"""The usual records of a call are decoded straight from their text, with the same result as all others."""

import itertools
import json
from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import ENI, GOOD, Entry, json_values, paths_in, record, replaced

from cnitrail.decode import decode
from cnitrail.decode.events import EVENTS
from cnitrail.decode.usual_records import usual_event
from cnitrail.model import Origin, Record, Subject

ASSIGN = "AssignPrivateIpAddresses"
NEW_FIELDS: list[tuple[str, object]] = [
    ("errorCode", "Client.RequestLimitExceeded"),
    ("errorCode", "null"),
    ("errorMessage", "Request limit exceeded."),
    ("eventCategory", "Insight"),
    ("eventType", "AwsVpceEvent"),
    ("addendum", {"reason": "UPDATED_DATA", "originalEventID": "1"}),
    ("sessionCredentialFromConsole", "true"),
    ("tlsDetails", {"tlsVersion": "TLSv1.3"}),
    ("serviceEventDetails", {}),
]
NEW_PARAMETERS: list[tuple[str, object]] = [
    ("secondaryPrivateIpAddressCount", 0),
    ("secondaryPrivateIpAddressCount", 10**11),
    ("ipv4PrefixCount", 2),
    ("allowReassignment", True),
    ("privateIpAddressesSet", {}),
    ("privateIpAddressesSet", {"items": [{"privateIpAddress": "10.0.0.9"}]}),
    ("privateIpAddressesSet", {"items": [{"privateIpAddress": ""}]}),
    ("ipv4Prefixes", {"items": [{"ipv4Prefix": "10.0.0.16/28"}]}),
    ("assignedPrivateIpAddressesSet", {"assignedPrivateIpAddressSetType": []}),
    ("assignedIpv4PrefixSet", {"assignedIpv4PrefixSetType": [{"ipv4Prefix": "10.0.0.16/28"}]}),
    ("omitted", True),
]


def as_record(text: str) -> Record:
    return Record((Origin("log", 0),), text.encode("utf-8", "surrogatepass"))


def written(entry: Entry) -> str:
    """A record as CloudTrail writes it: without spaces."""
    return json.dumps(entry, separators=(",", ":"), ensure_ascii=False)


def agrees(text: str) -> None:
    """Decode gives the same for a text with a space at its end, which is not usual."""
    assert decode(as_record(text)) == decode(as_record(f"{text} "))
    usual = usual_event(as_record(text))
    assert usual is None or decode(as_record(f"{text} ")).fact == usual
    assert usual_event(as_record(f"{text} ")) is None


@pytest.mark.parametrize("name", EVENTS)
def test_the_record_of_every_call_is_decoded_the_same_from_its_text(name: str) -> None:
    agrees(written(GOOD[name]))


def test_the_record_of_a_frequent_call_is_usual() -> None:
    request = {"networkInterfaceId": ENI, "secondaryPrivateIpAddressCount": 1}
    assigned = {"assignedPrivateIpAddressSetType": [{"privateIpAddress": "10.0.0.9"}]}
    usual = record(ASSIGN, request, {"assignedPrivateIpAddressesSet": assigned, "_return": True})
    event = usual_event(as_record(written(usual)))
    assert event is not None
    assert event.subjects[0].details is Subject().details, "one value for all calls, or they take much memory"


@given(
    st.sampled_from([ASSIGN, "UnassignPrivateIpAddresses", *EVENTS]),
    st.lists(st.sampled_from(NEW_FIELDS), max_size=2),
    st.lists(
        st.tuples(st.sampled_from(("requestParameters", "responseElements")), st.sampled_from(NEW_PARAMETERS))
    ),
)
def test_fields_that_a_record_may_have_are_decoded_the_same(
    name: str, fields: list[tuple[str, object]], parameters: list[tuple[str, tuple[str, object]]]
) -> None:
    entry = deepcopy(GOOD[name]) | dict(fields)
    for part, (key, value) in parameters:
        entry[part] = (entry.get(part) or {}) | {key: value}
    agrees(written(entry))


@given(st.data())
def test_a_record_with_any_value_anywhere_is_decoded_the_same(data: st.DataObject) -> None:
    entry = GOOD[data.draw(st.sampled_from([ASSIGN, "UnassignPrivateIpAddresses", *EVENTS]))]
    path = data.draw(st.sampled_from(list(paths_in(entry))))
    agrees(written(replaced(entry, path, data.draw(json_values))))


@pytest.mark.parametrize(
    "repeated",
    [
        '"eventID":"other",',
        '"requestParameters":{},',
        '"userIdentity":{"type":"Root","type":"IAMUser"},',
        '"tlsDetails":{"a":1,"a":2},',
    ],
)
def test_a_record_in_which_a_key_is_repeated_is_not_usual(repeated: str) -> None:
    text = "{" + repeated + written(GOOD[ASSIGN]).removeprefix("{")
    assert usual_event(as_record(text)) is None
    agrees(text)


def test_a_repeated_key_is_found_beside_numbers_that_become_longer_when_written_again() -> None:
    begin = '"requestParameters":{'
    text = written(GOOD["CreateNetworkInterface"])
    for exponents in itertools.product(range(4, 18), repeat=2):
        numbers = ",".join(f"1e{exponent}" for exponent in exponents)
        agrees(text.replace(begin, f'{begin}"subnetId":"subnet-evil","x":[{numbers}],', 1))
