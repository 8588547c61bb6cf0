"""Facts about EC2: the prefixes that it delegates, and its error codes."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

import pytest

from cnitrail.model import PREFIX_SIZE, block_of
from cnitrail.model.ec2 import error_code, prefix_of
from cnitrail.store.index_columns import block_key, sort_key


class TestPrefixes:
    def test_an_ipv4_address_is_in_a_28_of_16_addresses(self) -> None:
        assert prefix_of(ip_address("10.0.1.31")) == IPv4Network("10.0.1.16/28")
        assert PREFIX_SIZE == 16

    def test_an_ipv6_address_is_in_an_80(self) -> None:
        assert prefix_of(ip_address("2001:db8:0:1:a::7")) == IPv6Network("2001:db8:0:1:a::/80")

    @pytest.mark.parametrize(
        ("prefix", "first", "last", "behind"),
        [
            ("10.0.1.16/28", "10.0.1.16", "10.0.1.31", "10.0.1.32"),
            ("2001:db8:0:1:a::/80", "2001:db8:0:1:a::", "2001:db8:0:1:a:ffff:ffff:ffff", "2001:db8:0:1:b::"),
        ],
    )
    def test_a_prefix_and_its_addresses_are_one_block_in_history_and_store(
        self, prefix: str, first: str, last: str, behind: str
    ) -> None:
        inside = (ip_network(prefix), ip_address(first), ip_address(last))
        assert len({block_of(held) for held in inside}) == 1
        assert len({block_key(sort_key(held)) for held in inside}) == 1
        assert block_of(ip_address(behind)) != block_of(inside[0])
        assert block_key(sort_key(ip_address(behind))) != block_key(sort_key(inside[0]))


@pytest.mark.parametrize(
    "code", ["RequestLimitExceeded", "Client.RequestLimitExceeded", "Server.RequestLimitExceeded"]
)
def test_the_prefixes_client_and_server_of_cloudtrail_are_not_part_of_an_error_code(code: str) -> None:
    assert error_code(code) == "RequestLimitExceeded"
