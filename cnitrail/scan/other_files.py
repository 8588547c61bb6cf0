"""Files that are not CloudTrail's but share its bucket or folder: other AWS logs, documents, scripts.

The rules are strict: a file that is recognized is only counted, and not reported as unread. So a file is not
recognized if it could be CloudTrail's, and damaged or in an unknown envelope.
"""

import re
from collections.abc import Iterator
from itertools import islice
from json import JSONDecoder, loads
from typing import Any

from cnitrail.scan.container_files import is_line_of_other_container
from cnitrail.scan.container_names import is_dumped_output
from cnitrail.scan.control_plane import LINE as CONTROL_PLANE_LINE

_CLOUDTRAIL_PATH = re.compile(r"(?:^|[/\\])CloudTrail(?:-[A-Za-z]+)?[/\\]|\d{12}_CloudTrail")
"""CloudTrail's own folders and file names, also those of its digests and Insights."""

_CLOUDTRAIL_KEY = re.compile(
    r'"(?:eventVersion|eventName|eventSource|eventTime|eventID|userIdentity|requestParameters'
    r'|responseElements|CloudTrailEvent)\\*"\s*:'
)
"""A key of a record, or of a part of one, also as JSON text within JSON text."""

_RECORD_VERSION = re.compile(r'"eventVersion\\*"\s*:')
"""The key by which a record in a file of AWS Config is found: event patterns in it may have the others."""

_HOLDS_RECORDS = re.compile(
    r"\.(?:json|jsonl|ndjson|csv|tsv|parquet|ya?ml|log|gz|zst|zip|tar|tgz|bz2|xz)$", re.IGNORECASE
)
"""Names of files of records: what they are is seen by their content only."""

_SERVICE = re.compile(
    r"(?:^|[/\\])AWSLogs[/\\](?:o-[a-z0-9]{10,32}[/\\])?"
    r"(?:\d{12}[/\\](?P<folder>[A-Za-z-]+)|aws-account-id=\d{12}[/\\]aws-service=(?P<hive>[a-z]+))[/\\]"
)
_SERVICES = {
    "Config": (
        "aws-config",
        r"\d{12}_Config_[a-z0-9-]+_Config(?:Snapshot|History)_|ConfigWritabilityCheckFile$",
    ),
    "elasticloadbalancing": (
        "elb-access-logs",
        r"(?:[a-z_]+\.)?\d{12}_elasticloadbalancing_|ELBAccessLogTestFile$",
    ),
    "vpcflowlogs": ("vpc-flow-logs", r"\d{12}_vpcflowlogs_"),
    "GuardDuty": ("guardduty", r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.jsonl"),
    "WAFLogs": ("waf-logs", r"\d{12}_waflogs_"),
    "vpcdnsquerylogs": ("resolver-query-logs", r"vpc-[0-9a-f]+_vpcdnsquerylogs_\d{12}_"),
    "redshift": ("redshift-audit-logs", r"\d{12}_redshift_"),
    "network-firewall": ("network-firewall-logs", r"\d{12}_network-firewall_"),
}
"""For each folder of a service in AWSLogs/ACCOUNT/: the kind, and how the service names its files."""

_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z?"
_PEER = r"(?:[0-9A-Fa-f.:\[\]]+:\d+|-)"
_LINES = {
    # https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html, the default format
    "vpc-flow-logs": rf"(?:{_TIME} )?2 (?:\d{{12}}|unknown) eni-[0-9a-f]{{8,17}} (?:\S+ ){{10}}"
    r"(?:OK|NODATA|SKIPDATA)",
    # …/elasticloadbalancing/latest/application/load-balancer-access-logs.html, and those of network and
    # classic load balancers
    "elb-access-logs": rf"(?:https?|h2|grpcs|wss?) {_TIME} app/\S+ {_PEER} {_PEER} (?:-?[\d.]+ ){{3}}\S.*"
    rf"|tls \d\.\d {_TIME} net/\S+ \S+ {_PEER} {_PEER} \S.*"
    rf'|{_TIME} [A-Za-z0-9-]{{1,32}} {_PEER} {_PEER} (?:-?[\d.]+ ){{3}}(?:\d+|-) (?:\d+|-) \d+ \d+ ".*',
    # https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html
    "s3-access-logs": r"[0-9a-f]{64} [a-z0-9.-]{3,63} \[\d\d/[A-Z][a-z]{2}/\d{4}(?::\d\d){3} \+0000\] "
    r"\S+ \S+ \S+ (?:REST|SOAP|WEBSITE|BATCH|S3)\.\S+ .*",
    # https://github.com/cihub/seelog, as the VPC CNI had it before 1.6.1; its own logs do not come here
    "program-logs": rf"{_TIME} \[(?:TRACE|DEBUG|INFO|WARN|ERROR|CRITICAL)\] *\t?.*",
    "eks-control-plane-logs": rf"(?:{_TIME} )?{CONTROL_PLANE_LINE}.*",
    # of UNLOAD and CREATE TABLE AS in Athena (QUERY-ID-manifest.csv): the files that the query wrote
    "query-metadata": r"s3://[a-z0-9][a-z0-9.-]+/\S+",
    "checksums": r"(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64}|[0-9a-f]{128}) [ *]\S.*",
}
"""For each kind, the pattern that every line of a file matches."""

_LINE_KINDS = {kind: re.compile(pattern) for kind, pattern in _LINES.items()}
_CLOUDFRONT = re.compile(r"#Version: 1\.0\r?\n#Fields: \S")
_FLOW_FIELDS = {
    *("version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol"),
    *("packets", "bytes", "start", "end", "action", "log-status"),
    *("vpc-id", "subnet-id", "instance-id", "tcp-flags", "type", "pkt-srcaddr", "pkt-dstaddr"),
    *("region", "az-id", "sublocation-type", "sublocation-id"),
    *("pkt-src-aws-service", "pkt-dst-aws-service", "flow-direction", "traffic-path"),
    *("reject-reason", "resource-type", "resource-id", "encryption-status"),
}
_FLOW_FAMILIES = ("ecs-", "tgw-", "packets-lost-", "next-hop-")
_FLOW_HEADER = re.compile(r"[a-z][a-z0-9-]*(?: [a-z][a-z0-9-]*)+")
_FLOW_PLACES = {"interface-id", "srcaddr", "dstaddr", "pkt-srcaddr", "pkt-dstaddr", "tgw-id"}
_MIN_FLOW_FIELDS = 3
_KUBECTL_TABLE = re.compile(r"(?:NAMESPACE +)?NAME +READY +STATUS +RESTARTS +AGE\b")
"""The heading that ``kubectl get pods`` prints without ``-o json``: it is refused, with the reason."""

_PREFIX = re.compile(rf"{_TIME} (?=\{{)", re.MULTILINE)
"""What CloudWatch Logs puts before each line when it exports a log group."""

_BEGINNINGS = {
    "aws-config": re.compile(
        r'\{(?:\s*"(?:fileVersion|requestId|configSnapshotId)"\s*:\s*"[^"\\]*"\s*,){1,3}\s*"configurationItems"\s*:\s*\['
    ),
    "guardduty": re.compile(
        r'\{"schemaVersion":"[\d.]+","accountId":"\d{12}","region":"[a-z0-9-]+","partition":"aws[a-z-]*",'
        r'"id":"[0-9a-f]+","arn":"arn:aws[a-z-]*:guardduty:'
    ),
    "waf-logs": re.compile(r'\{"timestamp":\d{13},"formatVersion":\d,"webaclId":"'),
}
"""The beginning of JSON that may be longer than the part of it that is examined."""

_MAX_VALUES = 100
"""Maximum number of values that are examined in a file."""

_MAX_WRAPPERS = 3
"""Maximum depth of a notification: from SNS, in a message of SQS, in a list of messages."""

_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "image",
    b"\xff\xd8\xff": "image",
    b"GIF87a": "image",
    b"GIF89a": "image",
    b"%PDF-": "pdf",
    b"SQLite format 3\0": "sqlite",
    b"\0\0\0\1Bud1": "folder-settings",
    b"crc\0": "checksums",  # of Hadoop and Spark, beside each file: .part-0000.parquet.crc
}
_EMPTY = re.compile(r"(?:\.gitkeep|\.keep|_SUCCESS|ConfigWritabilityCheckFile)$")
_FOLDER_SETTINGS = re.compile(
    r"(?:\.DS_Store|Thumbs\.db|desktop\.ini|\.gitignore|\.gitattributes)$", re.IGNORECASE
)
_WRITE_TEST = re.compile(r"(?:aws-logs-write-test|ELBAccessLogTestFile)$")
_RESULT_METADATA = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\.(?:csv|txt)\.metadata$")
"""The names of what Athena writes beside the result of a query: the types of its columns, as binary."""

_DOCUMENT = re.compile(
    r"(?:(?:README|LICEN[CS]E|NOTICE|COPYING|CHANGELOG|CONTRIBUTING|AUTHORS)(?:[.-][a-z0-9]+)?|.*\.(?:md|rst|adoc))$",
    re.IGNORECASE,
)
_OFFICE = re.compile(r"\.(?:docx|pptx|od[tp])$", re.IGNORECASE)
_SCRIPT = re.compile(r"\.(?:py|sh|bash|ps1|rb|js|ts|go|sql|tf)$", re.IGNORECASE)
_PAGE = re.compile(r"\.x?html?$", re.IGNORECASE)
_PAGE_BEGINNING = re.compile(r"<(?:!doctype html|html)\b", re.IGNORECASE)


_COLLECTOR_NAME = re.compile(
    r"(?:^|/)(?:eks_i-|bottlerocket-logs|(?:cni|containerd|docker|gpu|ipamd|kernel|kubelet|modinfo|networking"
    r"|nodeadm|sandbox-image|storage|sysctls|system|aws-routed-eni|var_log)/)"
)
"""Names of archives and folders of an eks-log-collector."""

_VPC_CNI = re.compile(r"(?:ipamd|rpc|datastore|routed-eni-cni-plugin|aws-k8s-agent)/")
"""Source files of the VPC CNI that write what is evidence about pods."""


def kind_of_other_file(uri: str, head: bytes) -> str | None:
    """Return the kind of a file that is not CloudTrail's, such as ``vpc-flow-logs``; None if it may be.

    ``head`` is the beginning of its decompressed text, at most 64 KB.
    """
    if _CLOUDTRAIL_PATH.search(uri):
        return None
    text = head.decode("utf-8", "replace").removeprefix("\ufeff")
    if is_dumped_output(head) or is_line_of_other_container(head):
        return "container-logs"
    if _COLLECTOR_NAME.search(uri):
        from cnitrail.scan.node_files import is_collected

        if is_collected(uri, text, _CLOUDTRAIL_KEY):
            return "node-files"
    start = text.lstrip()
    name = re.split(r"[/\\!]", uri)[-1]
    service = _kind_of_service(uri, name)
    if service == "aws-config" or _BEGINNINGS["aws-config"].match(start):
        if _RECORD_VERSION.search(text):
            return None
    elif _CLOUDTRAIL_KEY.search(text):
        return None
    if service is not None:
        return service
    if start[:1] in ("{", "[") and not _FOLDER_SETTINGS.search(name):
        return _kind_of_json(start)
    if _PREFIX.match(start):
        return _kind_of_json(_PREFIX.sub("", start))
    return _kind_of_lines(start) or _kind_by_name(name, head, start)


_LAKE_SOURCE = re.compile(
    r"(?:^|[/\\])aws[/\\](?P<source>[A-Z0-9_]+)[/\\]\d+\.\d+[/\\]region=[a-z0-9-]+[/\\]accountId=[^/\\]+[/\\]"
    r"eventDay=\d{8}[/\\]"
)
"""https://docs.aws.amazon.com/security-lake/latest/userguide/source-management.html."""

_LAKE_KINDS = {
    "VPC_FLOW": "vpc-flow-logs",
    "ROUTE53": "resolver-query-logs",
    "SH_FINDINGS": "security-findings",
    "WAF": "waf-logs",
}


def kind_of_lake_file(uri: str) -> str | None:
    """Return the kind of a Parquet file of Security Lake by its folder; None if it may have records."""
    found = _LAKE_SOURCE.search(uri)
    return _LAKE_KINDS.get(found["source"]) if found else None


def is_cloudtrail(uri: str, head: bytes) -> bool:
    """Return whether a file is CloudTrail's, by its name or the beginning of its text."""
    text = head.decode("utf-8", "replace")
    return _CLOUDTRAIL_PATH.search(uri) is not None or _CLOUDTRAIL_KEY.search(text) is not None


def _kind_of_service(uri: str, name: str) -> str | None:
    """Return the kind of a file that is where an AWS service writes, and has a name as the service gives."""
    place = _SERVICE.search(uri)
    kind, pattern = _SERVICES.get(place["folder"] or place["hive"], (None, "")) if place else (None, "")
    return kind if kind is not None and re.match(pattern, name) else None


def _kind_of_lines(text: str) -> str | None:
    """Return the kind of a log that has one record a line."""
    lines = [line for line in text.splitlines() if line]
    if not lines:
        return None
    if _CLOUDFRONT.match(text):
        return "cloudfront-logs"
    whole = lines[:-1] or lines  # the last one may be cut
    if _is_flow_header(lines[0]) and all(line.count(" ") >= lines[0].count(" ") for line in whole):
        return "vpc-flow-logs"
    found = (kind for kind, line in _LINE_KINDS.items() if all(map(line.fullmatch, whole)))
    return next(found, None)


def _is_flow_header(line: str) -> bool:
    """Return whether a line names fields of flow logs, in any order; later versions add others."""
    if not _FLOW_HEADER.fullmatch(line):
        return False
    names = line.split(" ")
    known = [name for name in names if name in _FLOW_FIELDS or name.startswith(_FLOW_FAMILIES)]
    return len(known) >= max(_MIN_FLOW_FIELDS, len(names) / 2) and not _FLOW_PLACES.isdisjoint(names)


def _kind_by_name(name: str, head: bytes, text: str) -> str | None:
    """Return the kind of a file by its name and its content."""
    if not head and _EMPTY.search(name):
        return "empty-marker"
    if _FOLDER_SETTINGS.search(name):
        return "folder-settings"
    if _RESULT_METADATA.match(name) and b"hive" in head:
        return "query-metadata"
    if _WRITE_TEST.search(name) and len(head) < 200:
        return "write-test"
    if _HOLDS_RECORDS.search(name):
        return None
    if _OFFICE.search(name) and head.startswith(b"PK\x03\x04"):
        return "document"
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    if "\0" in text or "\ufffd" in text[:-1]:
        return None
    if _PAGE.search(name) and _PAGE_BEGINNING.match(text):
        return "html"
    if _SCRIPT.search(name):
        return "script"
    is_note = text != "" and name.lower().endswith(".txt") and not re.search(r"[{\t]", text)
    if _KUBECTL_TABLE.match(text):
        return None
    return "text" if is_note or _DOCUMENT.match(name) else None


def _kind_of_json(text: str) -> str | None:
    """Return the kind that all values of a JSON text have; None if there is none."""
    kinds = {_kind_of_value(value) for value in islice(_values(text), _MAX_VALUES)}
    if kinds == {"program-logs", "network-policy-logs"}:
        return "network-policy-logs"
    if kinds:
        return kinds.pop() if len(kinds) == 1 else None
    return next((kind for kind, beginning in _BEGINNINGS.items() if beginning.match(text)), None)


def _values(text: str) -> Iterator[object]:
    """Yield the JSON values that follow one another, and the elements of lists; the last may be cut."""
    decoder = JSONDecoder()
    not_blank = re.compile(r"\S")
    end = 0
    while (start := not_blank.search(text, end)) is not None:
        try:
            value, end = decoder.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            return
        yield from value if isinstance(value, list) else [value]


def _kind_of_value(value: Any) -> str | None:
    match value:
        case {"fileVersion": str(), "configurationItems": list()}:
            return "aws-config"
        case {"schemaVersion": str(), "accountId": str(), "region": str(), "arn": str(arn)} if (
            ":guardduty:" in arn
        ):
            return "guardduty"
        case {"webaclId": str(), "terminatingRuleId": str(), "timestamp": _}:
            return "waf-logs"
        case {"query_timestamp": str(), "query_name": str(), "vpc_id": str(), "account_id": str()}:
            return "resolver-query-logs"
        case {"firewall_name": str(), "event_timestamp": _, "event": dict()}:
            return "network-firewall-logs"
        case {"level": str(), "ts": str(), "msg": str(), "Src IP": str(), "Dest IP": str(), "Verdict": str()}:
            return "network-policy-logs"  # of aws-network-policy-agent
        case {"level": str(), "ts": str(), "caller": str(caller), "msg": str()} if not _VPC_CNI.match(caller):
            return "program-logs"  # of zap
        case _ if _is_notification(value):
            return "cloudtrail-notifications"
    return None


def _is_notification(value: Any, wrappers: int = 0) -> bool:
    """Return whether a value is CloudTrail's notification of log files: from SNS, also in SQS or Lambda."""
    if wrappers > _MAX_WRAPPERS:
        return False
    match value:
        case {"s3Bucket": str(), "s3ObjectKey": list()}:
            return True
        case {"Type": "Notification", "Message": str(text)} | {"Body": str(text)} | {"body": str(text)}:
            return _is_notification(_parsed(text), wrappers + 1)
        case {"Sns": dict(notification)}:
            return _is_notification(notification, wrappers + 1)
        case {"Messages": [_, *_] as messages} | {"Records": [_, *_] as messages}:
            return all(_is_notification(message, wrappers + 1) for message in messages)
    return False


def _parsed(text: str) -> object:
    try:
        return loads(text)
    except (ValueError, RecursionError):
        return None
