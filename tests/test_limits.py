"""The limits of instance types, from the package's own table or as EC2 describes them."""

import json
from importlib.resources import files
from typing import Any

import instance_types as script
import pytest

from cnitrail.limits import described, limits_of, read_described
from cnitrail.model import Limits


class TestLimits:
    def test_an_m5_large_has_3_enis_of_10_addresses_and_29_pods(self) -> None:
        limits = limits_of("m5.large")
        assert limits == Limits(instance_type="m5.large", enis=3, ipv4_per_eni=10, prefixes=True)
        assert (limits.addresses, limits.secondary_per_eni, limits.secondary, limits.max_pods) == (
            30,
            9,
            27,
            29,
        )

    def test_every_slot_of_a_nitro_instance_may_hold_a_prefix_of_16(self) -> None:
        m5, m4 = limits_of("m5.large"), limits_of("m4.large")
        assert m5 is not None
        assert m4 is not None
        assert (m5.in_prefixes, m4.in_prefixes) == (432, 0)

    def test_bare_metal_instances_support_prefixes(self) -> None:
        metal = limits_of("m5.metal")
        assert metal is not None
        assert metal.prefixes

    def test_of_several_network_cards_the_default_one_counts(self) -> None:
        assert limits_of("p4d.24xlarge") == Limits(
            instance_type="p4d.24xlarge", enis=15, ipv4_per_eni=50, prefixes=True, cards=4
        )

    @pytest.mark.parametrize(
        ("instance_type", "max_pods"),
        # https://github.com/awslabs/amazon-eks-ami, eni-max-pods.txt
        [("t3.nano", 4), ("t3.medium", 17), ("c5.4xlarge", 234), ("m6g.16xlarge", 737), ("a1.medium", 8)],
    )
    def test_the_pod_limits_are_those_of_amazons_own_list(self, instance_type: str, max_pods: int) -> None:
        limits = limits_of(instance_type)
        assert limits is not None
        assert limits.max_pods == max_pods

    def test_an_unknown_type_has_no_limits(self) -> None:
        assert limits_of("m99.large") is None


class TestTable:
    def test_the_table_is_the_output_of_the_script(self) -> None:
        table = files("cnitrail.limits").joinpath("instance-types.tsv").read_text(encoding="ascii")
        assert table == script.table()


M5: dict[str, Any] = {
    "InstanceType": "m5.large",
    "Hypervisor": "nitro",
    "BareMetal": False,
    "NetworkInfo": {
        "DefaultNetworkCardIndex": 0,
        "Ipv4AddressesPerInterface": 10,
        "MaximumNetworkInterfaces": 3,
        "NetworkCards": [{"NetworkCardIndex": 0, "MaximumNetworkInterfaces": 3}],
    },
}


class TestDescribed:
    def test_the_json_of_the_aws_cli_reads_as_limits_by_name(self) -> None:
        text = json.dumps({"InstanceTypes": [M5]}).encode()
        assert read_described(text) == {"m5.large": limits_of("m5.large")}

    def test_the_output_of_describe_instance_types_may_be_trimmed_by_query(self) -> None:
        trimmed = {**M5, "NetworkInfo": {"Ipv4AddressesPerInterface": 10, "MaximumNetworkInterfaces": 3}}
        assert described(trimmed) == limits_of("m5.large")

    @pytest.mark.parametrize(
        "value",
        [
            {},
            [],
            {"InstanceTypes": None},
            {"InstanceTypes": [{"InstanceType": "x"}]},
            {"InstanceTypes": ["x"]},
            {
                "InstanceTypes": [
                    {**M5, "NetworkInfo": {**M5["NetworkInfo"], "Ipv4AddressesPerInterface": 2**31}}
                ]
            },
            {"InstanceTypes": [{**M5, "NetworkInfo": {**M5["NetworkInfo"], "Ipv4AddressesPerInterface": 0}}]},
        ],
    )
    def test_anything_else_is_refused(self, value: Any) -> None:
        with pytest.raises(
            ValueError, match=r"it has no InstanceTypes|not a description of an instance type"
        ):
            read_described(json.dumps(value).encode())
