"""The flow log records of tests have the form of AWS's."""

import gzip
from pathlib import Path

import pytest
from flow_records import FORMATS, TGW, V2, V5, line, no_traffic, text, write


def test_a_record_has_a_value_for_each_field_in_order() -> None:
    written = line(V2, interface_id="eni-0a", srcaddr="10.0.0.5", dstaddr="10.0.0.6", start=1_664_978_403)
    assert written == (
        "2 111111111111 eni-0a 10.0.0.5 10.0.0.6 41522 443 6 14 2210 1664978403 1664978458 ACCEPT OK"
    )


@pytest.mark.parametrize(
    ("name", "count"), [("v2", 14), ("v3", 21), ("v5", 29), ("v10", 42), ("v11", 54), ("tgw", 36)]
)
def test_each_version_has_as_many_fields_as_at_aws(name: str, count: int) -> None:
    assert len(FORMATS[name]) == count
    assert len(line(FORMATS[name]).split(" ")) == count


def test_a_transit_gateway_record_says_version_6() -> None:
    assert line(TGW, tgw_src_vpc_id="vpc-0a", srcaddr="10.0.0.5").startswith("6 TransitGateway 111111111111")


def test_a_field_that_the_format_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="no field pkt-srcaddr"):
        line(V2, pkt_srcaddr="10.0.0.5")


def test_a_record_without_traffic_has_only_its_interface_and_window() -> None:
    written = no_traffic(V2, interface_id="eni-0a", start=100, end=159)
    assert written == "2 111111111111 eni-0a - - - - - - - 100 159 - NODATA"


def test_a_file_begins_with_the_names_of_its_fields_and_lies_where_aws_puts_it(tmp_path: Path) -> None:
    path = write(tmp_path, [line(V5)], V5)
    assert path.relative_to(tmp_path).parts[:5] == (
        "AWSLogs",
        "111111111111",
        "vpcflowlogs",
        "eu-west-1",
        "2022",
    )
    assert gzip.decompress(path.read_bytes()).decode() == text([line(V5)], V5)
