"""``--format``: which columns the records without a header line have."""

import json
from pathlib import Path

import pytest

from cnitrail.errors import UsageError
from cnitrail.model.flow_fields import DEFAULT
from cnitrail.model.flows import FlowFormats
from cnitrail.workflows.flows.format import formats_of, unknown_fields

_THREE = ("interface-id", "pkt-srcaddr", "start")


@pytest.mark.parametrize(
    "text",
    [
        "${interface-id} ${pkt-srcaddr} ${start}",
        "'${interface-id} ${pkt-srcaddr} ${start}'",
        '"${interface-id} ${pkt-srcaddr} ${start}"',
        "$${interface-id} $${pkt-srcaddr} $${start}",
        "${!interface-id} ${!pkt-srcaddr} ${!start}",
        r"\${interface-id} \${pkt-srcaddr} \${start}",
        "${interface-id}  ${pkt-srcaddr}\n${start}\n",
        "interface-id pkt-srcaddr start",
        "interface-id,pkt-srcaddr,start",
        "interface-id, pkt-srcaddr, start",
    ],
)
def test_a_format_is_written_in_many_ways(text: str) -> None:
    assert formats_of(text).of("any/file") == _THREE


def test_default_is_version_2() -> None:
    assert formats_of("default").of("any/file") == DEFAULT


def test_no_format_is_no_guess() -> None:
    assert formats_of(None).of("any/file") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no format"),
        ("${version} account-id", "no format: 'account-id'"),
        ("${version} ${account id}", "no format"),
        ("flowlogs.json", "no such file"),
        ("/nowhere/flow-logs.json", "no such file"),
        ("srcaddr dstaddr srcaddr", "the field srcaddr is there twice"),
        ("version; rm -rf", "no format: 'version;'"),
        ("\x00", "no such file"),
    ],
)
def test_what_is_no_format_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match="--format") as refused:
        formats_of(text)
    assert said in str(refused.value)


def test_an_unknown_field_is_taken_as_it_is_and_named() -> None:
    formats = formats_of("srcaddr dstaddr quantum-lane start end")
    assert formats.of("f") == ("srcaddr", "dstaddr", "quantum-lane", "start", "end")
    assert unknown_fields(formats) == ("quantum-lane",)


_ONE = {
    "FlowLogId": "fl-0aaaaaaaaaaaaaaaa",
    "LogGroupName": "/vpc/one",
    "LogFormat": "${srcaddr} ${start} ${end}",
}
_TWO = {
    "FlowLogId": "fl-0bbbbbbbbbbbbbbbb",
    "LogGroupName": "/vpc/two",
    "LogFormat": "${dstaddr} ${start} ${end}",
}


def _saved(tmp_path: Path, value: object) -> str:
    path = tmp_path / "describe-flow-logs.json"
    path.write_text(json.dumps(value))
    return str(path)


@pytest.mark.parametrize("value", [{"FlowLogs": [_ONE]}, [_ONE], _ONE, [{"FlowLogs": [_ONE]}]])
def test_the_only_format_of_describe_flow_logs_is_for_every_file(tmp_path: Path, value: object) -> None:
    assert formats_of(_saved(tmp_path, value)).of("anything") == ("srcaddr", "start", "end")


def test_of_several_formats_the_one_counts_whose_flow_log_or_log_group_a_file_names(tmp_path: Path) -> None:
    formats = formats_of(_saved(tmp_path, {"FlowLogs": [_ONE, _TWO]}))
    assert formats.of("AWSLogs/1_vpcflowlogs_eu-west-1_fl-0bbbbbbbbbbbbbbbb_2022.log.gz") == (
        "dstaddr",
        "start",
        "end",
    )
    assert formats.of("/vpc/one") == ("srcaddr", "start", "end")
    assert formats.of("export/vpc/one/eni-all/000000.gz") == ("srcaddr", "start", "end")
    assert formats.of("export/vpc/one-more/eni-all/000000.gz") is None
    assert formats.of("flows.txt") is None


def test_a_log_group_may_have_an_underscore() -> None:
    formats = FlowFormats(named={"/vpc/flow_logs": ("srcaddr",), "/vpc/flow": ("dstaddr",)})
    assert formats.of("/vpc/flow_logs") == ("srcaddr",)


def test_describe_flow_logs_as_yaml(tmp_path: Path) -> None:
    path = tmp_path / "flow-logs.yaml"
    path.write_text("FlowLogs:\n- FlowLogId: fl-0aaaaaaaaaaaaaaaa\n  LogFormat: ${srcaddr} ${start} ${end}\n")
    assert formats_of(str(path)).of("anything") == ("srcaddr", "start", "end")


@pytest.mark.parametrize(
    "text", ["", "{}", '{"FlowLogs": []}', "\x00\x01", "hello", "[" * 100_000, '{"FlowLogs": [1, null]}']
)
def test_a_file_without_a_format_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "file"
    path.write_text(text)
    with pytest.raises(UsageError, match="no LogFormat in"):
        formats_of(str(path))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"FlowLogs": [_ONE]}),
        "FlowLogs:\n- LogFormat: ${srcaddr} ${start} ${end}\n",
        "FLOWLOGS\tACTIVE\t${srcaddr} ${start} ${end}\t600\n",
        "${srcaddr} ${start} ${end}\r\n",
        "srcaddr start end\n10.0.0.1 1664978403 1664978458\n",
    ],
)
def test_a_file_may_have_a_byte_order_mark_as_windows_writes_it(
    tmp_path: Path, text: str, encoding: str
) -> None:
    path = tmp_path / "flow-logs"
    path.write_bytes(text.encode(encoding))
    assert formats_of(str(path)).of("anything") == ("srcaddr", "start", "end")


@pytest.mark.parametrize(
    "text",
    [
        'resource "aws_flow_log" "all" {\n  log_format = "$${interface-id} $${pkt-srcaddr} $${start}"\n}\n',
        "Properties:\n  LogFormat: !Sub '${!interface-id} ${!pkt-srcaddr} ${!start}'\n",
    ],
    ids=["Terraform", "CloudFormation"],
)
def test_the_format_is_found_in_a_template(tmp_path: Path, text: str) -> None:
    path = tmp_path / "flow-log"
    path.write_text(text)
    assert formats_of(str(path)).usual == _THREE
