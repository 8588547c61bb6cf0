"""Which further lookups an event suggests, and what the index of LookupEvents has."""

import json
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any

import pytest

from cnitrail.decode import NAMES
from cnitrail.decode.lookup_hints import LOOKUP_HINTS, RecordHints
from cnitrail.model import BUCKET_CALLS, TRAIL_CALLS

NODE = "i-0123456789abcdef0"


def hints(**record: Any) -> RecordHints:
    found = LOOKUP_HINTS.read_event(json.dumps({"eventName": "AssignPrivateIpAddresses", **record}))
    assert isinstance(found, RecordHints)
    return found


def launched(*instances: str) -> dict[str, Any]:
    """A launch of instances, each with an ENI of the same number."""
    items = [
        {"instanceId": name, "networkInterfaceSet": {"items": [{"networkInterfaceId": f"eni-{name[2:]}"}]}}
        for name in instances
    ]
    return {"instancesSet": {"items": items}}


class TestIds:
    def test_are_instances_enis_and_attachments_wherever_a_call_names_them(self) -> None:
        found = hints(
            requestParameters={"networkInterfaceId": "eni-0a", "instanceId": NODE},
            responseElements={"attachmentId": "eni-attach-0b", "subnetId": "subnet-0c"},
            serviceEventDetails={"instanceIdSet": ["i-0d"]},
        )
        assert found.ids == {"eni-0a", NODE, "eni-attach-0b", "i-0d"}

    def test_are_not_taken_from_tags_or_the_caller(self) -> None:
        found = hints(
            requestParameters={"tagSet": {"items": [{"key": "node", "value": NODE}]}},
            userIdentity={"principalId": f"AROA:{NODE}"},
        )
        assert found.ids == set()

    def test_of_a_launch_belong_to_their_instance(self) -> None:
        found = hints(eventName="RunInstances", responseElements=launched("i-0a", "i-0b"))
        assert found.ids == {"i-0a", "eni-0a", "i-0b", "eni-0b"}
        assert found.ids_related_to("i-0a") == {"i-0a", "eni-0a"}

    def test_of_a_call_that_does_not_name_a_resource_are_all_related_to_it(self) -> None:
        found = hints(eventName="RunInstances", responseElements=launched("i-0a", "i-0b"))
        assert found.ids_related_to(NODE) == found.ids


class TestAddresses:
    @pytest.mark.parametrize("asked", ["10.0.1.17", "10.0.1.16/28", "10.0.0.0/16", "2001:db8::/80"])
    def test_are_found_as_addresses_and_in_prefixes(self, asked: str) -> None:
        found = hints(
            requestParameters={
                "privateIpAddressesSet": {"items": [{"privateIpAddress": "10.0.1.17"}]},
                "ipv6PrefixSet": {"items": [{"ipv6Prefix": "2001:db8::/80"}]},
            }
        )
        assert found.names_any([ip_network(asked)])

    def test_of_other_networks_are_not_found(self) -> None:
        found = hints(requestParameters={"privateIpAddress": "10.0.1.17", "description": "10.0.1.18 is free"})
        assert not found.names_any([ip_network("10.0.1.18"), ip_network("2001:db8::/80")])


class TestIssuingCall:
    BEGAN = datetime(2026, 5, 4, 9, 1, tzinfo=UTC)

    def caller(self, session: str, **context: Any) -> dict[str, Any]:
        began = {"attributes": {"creationDate": "2026-05-04T09:01:00Z"}}
        return {
            "principalId": f"AROAEXAMPLE:{session}",
            "accessKeyId": "ASIAEXAMPLE",
            "sessionContext": began | context,
        }

    def test_of_a_service_account_is_found_by_name_in_its_second(self) -> None:
        federated = {
            "webIdFederationData": {"federatedProvider": "arn:aws:iam::111111111111:oidc-provider/x"}
        }
        issuing = hints(userIdentity=self.caller("aws-node", **federated)).issuing_call
        assert issuing is not None
        assert (issuing.event_name, issuing.time) == ("AssumeRoleWithWebIdentity", self.BEGAN)

    def test_of_a_pod_is_found_by_the_access_key_that_it_issued(self) -> None:
        issuing = hints(userIdentity=self.caller("eks-prod-aws-node-0c3f")).issuing_call
        assert issuing is not None
        assert (issuing.event_name, issuing.access_key_id) == (None, "ASIAEXAMPLE")

    def test_of_a_node_is_not_looked_up(self) -> None:
        assert hints(userIdentity=self.caller(NODE)).issuing_call is None

    @pytest.mark.parametrize("identity", [None, "root", [], {"sessionContext": "none"}, {"accessKeyId": 7}])
    def test_of_a_caller_without_a_session_is_not_looked_up(self, identity: object) -> None:
        assert hints(userIdentity=identity).issuing_call is None

    @pytest.mark.parametrize("began", [None, 7, "yesterday", "2026-13-01T00:00:00Z"])
    def test_needs_the_time_at_which_the_session_began(self, began: object) -> None:
        caller = self.caller("eks-prod-aws-node-0c3f", attributes={"creationDate": began})
        assert hints(userIdentity=caller).issuing_call is None

    def test_is_looked_up_if_the_time_has_no_zone_and_it_is_utc(self) -> None:
        caller = self.caller("eks-prod-aws-node-0c3f", attributes={"creationDate": "2026-05-04T09:01:00"})
        issuing = hints(userIdentity=caller).issuing_call
        assert issuing is not None
        assert issuing.time == self.BEGAN


class TestEvent:
    def test_enables_the_calls_that_can_only_follow_it(self) -> None:
        trunk = hints(requestParameters={"interfaceType": "trunk"})
        assert trunk.enables == {"AssociateTrunkInterface"}
        assert hints().enables == set()

    def test_says_whether_it_succeeded_and_whether_it_only_read(self) -> None:
        assert hints().succeeded
        assert not hints(errorCode="UnauthorizedOperation").succeeded
        assert hints(readOnly=True).read_only
        assert not hints(readOnly="true").read_only

    def test_has_the_account_that_recorded_it(self) -> None:
        assert hints(recipientAccountId="111111111111").account == "111111111111"
        assert hints(recipientAccountId=111111111111).account is None

    @pytest.mark.parametrize("text", ["", "{", "[]", "null", '"text"', "[" * 100_000, "\ud800"])
    def test_that_cannot_be_read_gives_no_hints(self, text: str) -> None:
        assert LOOKUP_HINTS.read_event(text) is None


class TestIndex:
    def test_knows_only_event_names_that_matter(self) -> None:
        known = LOOKUP_HINTS
        assert known.indexed <= set(NAMES)
        assert known.indexed_like.keys() | set(known.indexed_like.values()) <= set(NAMES)
        assert known.conditional <= set(NAMES)

    def test_leaves_out_calls_that_are_not_about_enis(self) -> None:
        assert {*TRAIL_CALLS, *BUCKET_CALLS, "AssumeRole"} <= LOOKUP_HINTS.not_about_enis
        assert {"AssumeRole"} == LOOKUP_HINTS.too_frequent
