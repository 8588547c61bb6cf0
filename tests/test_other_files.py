"""Files that share CloudTrail's bucket or folder: which are recognized, and what never is."""

import gzip
import json
import time
from pathlib import Path
from typing import Any

import pytest
from conftest import Run
from export_forms import parquet, security_lake_rows
from records import GOOD

from cnitrail.scan.other_files import kind_of_other_file

ACCOUNT = "111122223333"
LOGS = f"s3://audit/AWSLogs/{ACCOUNT}"
DAY = "eu-west-1/2024/05/14"

FLOW_V2 = (
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action "
    "log-status\n"
    f"2 {ACCOUNT} eni-0a1b2c3d4e5f60718 10.0.0.10 10.0.0.11 443 51000 6 4 9 1715680800 1715680860 ACCEPT OK\n"
)
FLOW_BARE = (
    f"2 {ACCOUNT} eni-0a1b2c3d4e5f60718 10.0.0.10 10.0.0.11 443 51000 6 4 9 1715680800 1715680860 ACCEPT OK\n"
    f"2 {ACCOUNT} eni-0a1b2c3d4e5f60718 - - - - - - - 1715680860 1715680920 - NODATA\n"
)
ALB = (
    "https 2024-05-14T10:00:00.186641Z app/front/50dc6c495c0c9188 198.51.100.1:2817 10.0.0.10:80 0.086 0.048 "
    '0.037 200 200 0 57 "GET https://www.example.com:443/ HTTP/1.1" "curl/7.46.0" ECDHE-RSA TLSv1.2 '
    f"arn:aws:elasticloadbalancing:eu-west-1:{ACCOUNT}:targetgroup/a/73e2d6bc24d8a067\n"
)
NLB = (
    "tls 2.0 2024-05-14T10:00:00 net/front/c6e77e28c25b2234 g3d4b5e8bb8464cd 198.51.100.1:51341 "
    "10.0.0.10:443 5 2 98 246 - - - ECDHE-RSA-AES128-SHA tlsv12 - www.example.com - - -\n"
)
CLASSIC = (
    "2024-05-14T10:00:00.945958Z front 198.51.100.1:2817 10.0.0.10:80 0.00007 0.001048 0.00005 200 200 0 29 "
    '"GET http://www.example.com:80/ HTTP/1.1" "curl/7.38.0" - -\n'
)
S3_ACCESS = (
    f"{'79a59df9' * 8} audit [14/May/2024:00:00:38 +0000] 192.0.2.3 - 3E57427F3EXAMPLE REST.GET.VERSIONING - "
    '"GET /audit?versioning HTTP/1.1" 200 - 113 - 7 - "-" "S3Console/0.4" - x SigV4 x AuthHeader x - - -\n'
)
CLOUDFRONT = (
    "#Version: 1.0\n#Fields: date time x-edge-location sc-bytes\n2024-05-14\t10:00:00\tDUB2-C1\t1045619\n"
)
CONFIG = {
    "fileVersion": "1.0",
    "configSnapshotId": "0a1b2c3d-0000-4000-8000-000000000000",
    "configurationItems": [
        {"resourceType": "AWS::EC2::NetworkInterface", "resourceId": "eni-0a1b2c3d4e5f60718"}
    ],
}
GUARDDUTY = {
    "schemaVersion": "2.0",
    "accountId": ACCOUNT,
    "region": "eu-west-1",
    "partition": "aws",
    "id": "76b6bd7a6fa2205baaae644e6970206b",
    "arn": f"arn:aws:guardduty:eu-west-1:{ACCOUNT}:detector/24b6/finding/76b6",
    "type": "Recon:EC2/PortProbeUnprotectedPort",
}
WAF = {
    "timestamp": 1715680800000,
    "formatVersion": 1,
    "webaclId": f"arn:aws:wafv2:eu-west-1:{ACCOUNT}:regional/webacl/a/1",
    "terminatingRuleId": "Default_Action",
    "action": "ALLOW",
}
RESOLVER = {
    "version": "1.100000",
    "account_id": ACCOUNT,
    "region": "eu-west-1",
    "vpc_id": "vpc-0a2e8f6ad5c3b9714",
    "query_timestamp": "2024-05-14T10:00:00Z",
    "query_name": "example.com.",
    "srcaddr": "10.0.0.10",
}
IPAMD = {
    "level": "info",
    "ts": "2024-05-14T10:00:00.290Z",
    "caller": "datastore/data_store.go:782",
    "msg": "Assign",
}
POLICY_AGENT = {
    "level": "info",
    "ts": "2024-05-14T10:00:00.290Z",
    "caller": "events/events.go:191",
    "msg": "Flow Info:  ",
    "logger": "ebpf-client",
    "Src IP": "10.0.0.10",
    "Dest IP": "10.0.0.11",
    "Verdict": "DENY",
}
NOTICE = {
    "s3Bucket": "audit",
    "s3ObjectKey": [f"AWSLogs/{ACCOUNT}/CloudTrail/{DAY}/{ACCOUNT}_CloudTrail_x.json.gz"],
}
SNS = {"Type": "Notification", "MessageId": "m", "Message": json.dumps(NOTICE)}
RECORD = {
    "eventVersion": "1.08",
    "userIdentity": {"type": "IAMUser", "userName": "ops"},
    "eventTime": "2024-05-14T10:00:01Z",
    "eventSource": "ec2.amazonaws.com",
    "eventName": "AssignPrivateIpAddresses",
    "requestParameters": {"networkInterfaceId": "eni-0a1b2c3d4e5f60718"},
}
TRAIL = json.dumps({"Records": [RECORD]})


def kind(name: str, content: Any) -> str | None:
    """The kind of a file with this content: a text, bytes, or a value that is written as JSON."""
    if isinstance(content, bytes):
        return kind_of_other_file(name, content)
    text = content if isinstance(content, str) else json.dumps(content, separators=(",", ":"))
    return kind_of_other_file(name, text.encode())


def lines(*values: Any) -> str:
    return "".join(json.dumps(value, separators=(",", ":")) + "\n" for value in values)


class TestRecognized:
    """A file is recognized by its content, whatever its name is."""

    @pytest.mark.parametrize(
        ("expected", "content"),
        [
            ("vpc-flow-logs", FLOW_V2),
            ("vpc-flow-logs", FLOW_BARE),
            ("vpc-flow-logs", FLOW_BARE[:-10]),
            ("vpc-flow-logs", "2024-05-14T10:00:00.000Z " + FLOW_BARE.splitlines()[0]),
            (
                "vpc-flow-logs",
                "flow-direction interface-id pkt-srcaddr srcport new-field\negress eni-1 - 1 x\n",
            ),
            (
                "vpc-flow-logs",
                "version resource-type tgw-id tgw-src-eni packets-lost-no-route\n6 x tgw-1 eni-1 0\n",
            ),
            ("elb-access-logs", ALB),
            ("elb-access-logs", NLB),
            ("elb-access-logs", CLASSIC * 3),
            ("elb-access-logs", CLASSIC.replace("10.0.0.10:80", "-").replace("0.001048", "-1")),
            ("s3-access-logs", S3_ACCESS * 2),
            ("cloudfront-logs", CLOUDFRONT),
            ("aws-config", CONFIG),
            ("aws-config", json.dumps(CONFIG, indent=2)),
            ("aws-config", json.dumps(CONFIG)[:-40]),
            ("aws-config", json.dumps(CONFIG, sort_keys=True)),
            ("guardduty", lines(GUARDDUTY, GUARDDUTY)),
            ("guardduty", lines(GUARDDUTY)[:300]),
            ("waf-logs", lines(WAF, WAF)),
            ("resolver-query-logs", lines(RESOLVER, RESOLVER)),
            ("network-policy-logs", lines(POLICY_AGENT, POLICY_AGENT)),
            (
                "network-policy-logs",
                lines(
                    {"level": "info", "ts": "2024-05-14T10:00:00.290Z", "caller": "a.go:1", "msg": "Done"},
                    POLICY_AGENT,
                ),
            ),
            ("program-logs", "2024-05-14T10:00:00.290Z [INFO]\tListening on 127.0.0.1\n"),
            ("cloudtrail-notifications", NOTICE),
            ("cloudtrail-notifications", SNS),
            ("cloudtrail-notifications", {"Messages": [{"MessageId": "m", "Body": json.dumps(SNS)}]}),
            ("cloudtrail-notifications", {"Records": [{"EventSource": "aws:sns", "Sns": {**SNS}}]}),
            ("checksums", f"{'0a' * 32}  logs/a.json.gz\n{'0b' * 32} *logs/b.json.gz\n"),
            ("image", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
            ("pdf", b"%PDF-1.7\n%\xe2\xe3"),
            ("sqlite", b"SQLite format 3\0\x10\0"),
        ],
    )
    def test_by_content(self, expected: str, content: Any) -> None:
        assert kind("evidence/file", content) == expected

    @pytest.mark.parametrize(
        ("expected", "name", "content"),
        [
            ("text", "README.md", '# Evidence\n\nTaken on 14 May:\n\n```json\n{"a": 1}\n```\n'),
            ("text", "README", "Evidence of case 7\n"),
            ("text", "LICENSE", "Apache License\n"),
            ("text", "notes.txt", "Ask Anna for the rest.\n"),
            (
                "script",
                "fetch.py",
                '#!/usr/bin/env python3\nfor record in records:\n    print(record["eventName"])\n',
            ),
            ("script", "fetch.sh", "aws s3 sync s3://audit .\n"),
            ("html", "report.html", "<!DOCTYPE html>\n<html><body>Report</body></html>\n"),
            ("checksums", ".part-0000.snappy.parquet.crc", b'crc\0\0\0\2\0\x11"3'),
            ("folder-settings", ".DS_Store", b"\0\0\0\1Bud1\0"),
            ("folder-settings", "desktop.ini", "[.ShellClassInfo]\r\nIconIndex=0\r\n"),
            ("document", "notes.docx", b"PK\x03\x04\x14\0\6\0[Content_Types].xml"),
            ("folder-settings", "Thumbs.db", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
            (
                "query-metadata",
                "0f0f0f0f-0000-4000-8000-000000000000.csv.metadata",
                b'\n\x1b20221005_140000_00001_abcde"\x2a\n\x04hive*\teventtime2\teventtimeH\x01',
            ),
            (
                "query-metadata",
                "0f0f0f0f-0000-4000-8000-000000000000-manifest.csv",
                "s3://results/tables/0f0f/20221005_part.gz\ns3://results/tables/0f0f/20221005_part2.gz\n",
            ),
            ("empty-marker", ".gitkeep", b""),
            ("empty-marker", "ConfigWritabilityCheckFile", b""),
            ("write-test", "exports/aws-logs-write-test", "Permission Check Successful"),
            (
                "write-test",
                f"AWSLogs/{ACCOUNT}/ELBAccessLogTestFile",
                f"Enable AccessLog for ELB: front at 2024-05-14T10:00:00.000Z {ACCOUNT}",
            ),
        ],
    )
    def test_by_name_and_content(self, expected: str, name: str, content: Any) -> None:
        assert kind(f"evidence/{name}", content) == expected

    @pytest.mark.parametrize(
        ("expected", "path", "head"),
        [
            (
                "vpc-flow-logs",
                f"vpcflowlogs/{DAY}/{ACCOUNT}_vpcflowlogs_eu-west-1_fl-1_x.log.parquet",
                b"PAR1\x15",
            ),
            (
                "aws-config",
                f"Config/{DAY}/ConfigHistory/{ACCOUNT}_Config_eu-west-1_ConfigHistory_x.json.gz",
                b'{"x',
            ),
            ("aws-config", "Config/ConfigWritabilityCheckFile", b""),
            (
                "elb-access-logs",
                f"elasticloadbalancing/{DAY}/{ACCOUNT}_elasticloadbalancing_x.log.gz",
                b"\x1f\x8b",
            ),
            ("elb-access-logs", "elasticloadbalancing/ELBAccessLogTestFile", b"Enable AccessLog for ELB"),
            ("guardduty", f"GuardDuty/{DAY}/0a1b2c3d-0000-4000-8000-0a1b2c3d4e5f.jsonl.gz", b""),
            (
                "waf-logs",
                f"WAFLogs/eu-west-1/a/2024/05/14/10/00/{ACCOUNT}_waflogs_eu-west-1_a_x.log.gz",
                b"{",
            ),
            (
                "resolver-query-logs",
                f"vpcdnsquerylogs/vpc-0a1b/2024/05/14/vpc-0a1b_vpcdnsquerylogs_{ACCOUNT}_x.log.gz",
                b"",
            ),
            ("redshift-audit-logs", f"redshift/{DAY}/{ACCOUNT}_redshift_eu-west-1_x_userlog_x.gz", b"x|y"),
        ],
    )
    def test_by_the_folder_and_the_name_that_a_service_gives_it(
        self, expected: str, path: str, head: bytes
    ) -> None:
        assert kind_of_other_file(f"{LOGS}/{path}", head) == expected
        organization = f"audit/AWSLogs/o-a1b2c3d4e5/{ACCOUNT}/{path}"
        assert kind_of_other_file(organization, head) == expected
        assert kind_of_other_file(organization.replace("/", "\\"), head) == expected

    def test_by_hive_partitions(self) -> None:
        path = f"AWSLogs/aws-account-id={ACCOUNT}/aws-service=vpcflowlogs/aws-region=eu-west-1/year=2024"
        assert kind(f"{path}/{ACCOUNT}_vpcflowlogs_eu-west-1_fl-1_x.log.gz", FLOW_V2) == "vpc-flow-logs"

    def test_an_event_pattern_in_a_config_item_is_not_taken_for_a_record(self) -> None:
        rule = {"EventPattern": json.dumps({"detail": {"eventName": ["StopLogging"]}})}
        assert (
            kind("snapshot.json", {**CONFIG, "configurationItems": [{"configuration": rule}]}) == "aws-config"
        )


class TestNeverRecognized:
    """What is, or may be, a CloudTrail file is not passed over."""

    @pytest.mark.parametrize(
        "name", ["README", "README.md", "a.py", "a.html", "a", "notes.txt", ".DS_Store", "a.png"]
    )
    @pytest.mark.parametrize(
        "content",
        [
            TRAIL,
            TRAIL[7:],
            TRAIL[40:],
            json.dumps(RECORD, indent=2),
            json.dumps({"events": [{"message": json.dumps(RECORD)}]}),
            json.dumps({"Body": json.dumps({"Message": json.dumps(RECORD)})}),
            json.dumps({"CloudTrailEvent": "{}"}),
            "See this record:\n" + json.dumps(RECORD),
        ],
    )
    def test_content_of_cloudtrail_is_never_another_file_whatever_its_name(
        self, name: str, content: str
    ) -> None:
        assert kind(f"evidence/{name}", content) is None

    @pytest.mark.parametrize(
        "name",
        [
            f"{LOGS}/CloudTrail/{DAY}/{ACCOUNT}_CloudTrail_eu-west-1_20240514T1005Z_aaaaaaaaaaaaaaaa.json.gz",
            f"{LOGS}/CloudTrail/{DAY}/README.md",
            f"{LOGS}/CloudTrail-Digest/{DAY}/{ACCOUNT}_CloudTrail-Digest_eu-west-1_t_eu-west-1_x.json.gz",
            f"{LOGS}/CloudTrail-Insight/{DAY}/{ACCOUNT}_CloudTrail-Insight_eu-west-1_x.json.gz",
            f"copies/{ACCOUNT}_CloudTrail_eu-west-1_20240514T1005Z_aaaaaaaaaaaaaaaa.json.gz",
            f"C:\\copies\\{ACCOUNT}_CloudTrail_eu-west-1_20240514T1005Z_aaaaaaaaaaaaaaaa.json",
        ],
    )
    @pytest.mark.parametrize(
        "content", ["", FLOW_V2, b"\x89PNG\r\n\x1a\n", "<html>Please sign in</html>", NOTICE]
    )
    def test_a_file_that_is_named_as_cloudtrail_names_it_is_never_another_file(
        self, name: str, content: Any
    ) -> None:
        assert kind(name, content) is None

    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("logs.json.gz", gzip.compress(TRAIL.encode(), mtime=0)[:50]),
            ("logs.json", "<!DOCTYPE html><html>Please sign in</html>"),
            ("logs.json", '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>'),
            ("logs.json", ""),
            ("logs.json", b"\x89PNG\r\n\x1a\n"),
            ("logs", ""),
            ("logs", b"\0" * 100),
            ("README", b"\x1f\x8b\x08\0\0\0\0\0"),
            ("data.json", {"Vpcs": []}),
            ("data.json", {"Records": []}),
            ("data.json", []),
            ("data.json", "{" * 1000),
            ("data.csv", "useridentity,eventname\n{type=IAMUser},RunInstances\n"),
            ("data.txt", "EVENTS\tAKIAEXAMPLE\tRunInstances\n"),
            ("data.json", {"message": FLOW_V2}),
            ("data.txt", "version start end\nof a story that begins so\n{\n"),
            ("data.log", FLOW_BARE + "another line\n" + FLOW_BARE),
            ("data.log", S3_ACCESS + "another line\nand another\n"),
            ("data.log", FLOW_BARE.replace("eni-0a1b2c3d4e5f60718", "eni-x")),
            ("data.json", lines(GUARDDUTY, {"Vpcs": []})),
            ("data.json", lines({"Vpcs": []}, RESOLVER)),
            ("data.json", {"Messages": [{"Body": json.dumps(SNS)}, {"Body": "{}"}]}),
            ("data.json", {"Messages": []}),
            ("data.json", {"kind": "Event", "apiVersion": "v1"}),
            ("data.json", {"Config": CONFIG}),
            ("notes.txt", "a note with { in it\n"),
            (f"{LOGS}/Config/{DAY}/data.json", {"Vpcs": []}),
            (f"{LOGS}/vpcflowlogs/{DAY}/{ACCOUNT}_vpcflowlogs_x.log.gz", TRAIL),
            (f"{LOGS}/Config/{DAY}/{ACCOUNT}_Config_eu-west-1_ConfigHistory_x.json.gz", TRAIL),
            (f"vpcflowlogs/{ACCOUNT}_vpcflowlogs_x.json", {"Vpcs": []}),
        ],
    )
    def test_what_no_rule_knows_for_sure_is_reported_and_not_passed_over(
        self, name: str, content: Any
    ) -> None:
        assert kind(f"evidence/{name}", content) is None

    def test_a_notification_in_many_messages_is_not_followed(self) -> None:
        value: Any = NOTICE
        for _ in range(10):
            value = {"Body": json.dumps(value)} if len(json.dumps(value)) < 10_000 else value
        assert kind("data.json", value) is None

    def test_a_bucket_that_is_named_for_cloudtrail_may_hold_other_files(self) -> None:
        assert kind(f"s3://cloudtrail-logs/AWSLogs/{ACCOUNT}/x/flow.log", FLOW_V2) == "vpc-flow-logs"


@pytest.mark.parametrize(
    "text",
    [
        "\\" * 65536,
        '"eventName' + "\\" * 65536,
        '"eventName' + " " * 65536,
        "<!--" * 16384,
        "<!--a-->" * 8192,
        "[" * 65536,
        '{"Body":"' * 7000,
        "a " * 32768,
        ":" * 65536,
        "2024-05-14T10:00:00Z " * 3000,
        "2024-05-14T10:00:00Z {" * 3000,
        "2024-05-14T10:00:00Z {\n" * 3000,
        "https 2024-05-14T10:00:00Z app/x " + "1:" * 30000,
        '{"fileVersion":"1",' * 3000,
        "0" * 65536,
        "1" * 65536 + "_CloudTrail",
    ],
)
def test_no_text_takes_long_to_recognize(text: str) -> None:
    start = time.process_time()
    kind_of_other_file("README.md", text.encode())
    kind_of_other_file(text, b"x")
    assert time.process_time() - start < 1


def ocsf(class_uid: int, product: str, **columns: Any) -> dict[str, Any]:
    """A row of Security Lake that is not CloudTrail's."""
    metadata = {"version": "1.1.0", "product": {"name": product, "vendor_name": "AWS"}}
    cloud = {"provider": "AWS", "region": "eu-west-1", "account": {"uid": ACCOUNT}}
    return {"class_uid": class_uid, "metadata": metadata, "cloud": cloud, "time": 1715680800000, **columns}


ENDS = {
    "src_endpoint": {"ip": "10.0.0.10", "interface_uid": "eni-0a1b2c3d4e5f60718"},
    "dst_endpoint": {"ip": "10.0.0.11"},
}
OCSF = [
    ("vpc-flow-logs", "VPC_FLOW", ocsf(4001, "Amazon VPC", **ENDS)),
    ("resolver-query-logs", "ROUTE53", ocsf(4003, "Route 53", query={"hostname": "example.com."})),
    ("waf-logs", "WAF", ocsf(4002, "AWS WAF", http_request={"http_method": "GET", "args": ""})),
    ("security-findings", "SH_FINDINGS", ocsf(2001, "Security Hub", finding={"title": "a", "uid": "b"})),
    ("security-findings", "SH_FINDINGS", ocsf(2004, "GuardDuty", message="x", resources=[{"uid": "i-1"}])),
]


class TestOtherSourcesOfSecurityLake:
    """Its buckets have other logs beside CloudTrail's, in the same form."""

    @pytest.mark.parametrize(("kind", "source", "row"), OCSF)
    def test_are_counted_by_kind(
        self, run: Run, tmp_path: Path, kind: str, source: str, row: dict[str, Any]
    ) -> None:
        folder = tmp_path / "aws" / source / "2.0" / "region=eu-west-1" / "accountId=1" / "eventDay=20240514"
        folder.mkdir(parents=True)
        for name in (tmp_path / "export.parquet", folder / "0.gz.parquet"):
            name.write_bytes(parquet([row]))
        (tmp_path / "export.jsonl").write_text(lines(row, row))
        (tmp_path / "export.json").write_text(json.dumps([row, row], indent=1))
        (tmp_path / "trail.parquet").write_bytes(
            parquet(security_lake_rows([GOOD["DeleteNetworkInterface"]]))
        )
        result = run("timeline", tmp_path, "-o", "json")
        answer = json.loads(result.stdout)
        assert (result.exit_code, answer["evidence"]["skipped"]) == (0, [])
        assert answer["evidence"]["sources"][0]["other_files"] == {kind: 4}
        assert [entry["event"] for entry in answer["entries"]] == ["DeleteNetworkInterface"]

    def test_in_one_file_with_cloudtrail_are_passed_over(self, run: Run, tmp_path: Path) -> None:
        (trail,) = security_lake_rows([GOOD["DeleteNetworkInterface"]])
        rows = [OCSF[0][2], json.loads(json.dumps(trail, default=str)), OCSF[3][2]]
        (tmp_path / "mixed.jsonl").write_text(lines(*rows))
        (tmp_path / "others.jsonl").write_text(lines(OCSF[0][2], OCSF[1][2]))
        answer = json.loads(run("timeline", tmp_path, "-o", "json").stdout)
        assert [entry["event"] for entry in answer["entries"]] == ["DeleteNetworkInterface"]
        assert answer["evidence"]["skipped"] == []
        assert answer["evidence"]["sources"][0]["other_files"] == {"ocsf": 1}

    @pytest.mark.parametrize(
        "changed", [{"api": {"operation": "RunInstances"}}, {"class_uid": 6003}, {"class_uid": None}]
    )
    def test_what_may_be_cloudtrail_s_is_reported(
        self, run: Run, tmp_path: Path, changed: dict[str, Any]
    ) -> None:
        (tmp_path / "a.jsonl").write_text(lines(OCSF[0][2] | changed))
        (tmp_path / "trail.json").write_text(TRAIL)
        assert run("timeline", tmp_path).exit_code == 3
