"""``--format``: the format of flow log records without a header line."""

import re
from pathlib import Path
from typing import Final

from cnitrail.errors import UsageError
from cnitrail.jsontext import parse
from cnitrail.model.flow_fields import DEFAULT, KNOWN, field_of
from cnitrail.model.flows import FlowFormats
from cnitrail.scan.flows.columns import header_of
from cnitrail.yamltext import BrokenYaml, RefusedYaml, documents

_FIELD = re.compile(r"\\?\$?\$\{!?\s*([A-Za-z0-9_-]+)\s*\}")
"""A field in a LogFormat: also as Terraform (``$${…}``), CloudFormation (``${!…}``) and shells escape it."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_HINT: Final = (
    "use default, a LogFormat ('${version} ${account-id} …'), names of fields separated by blanks, "
    "or a file with the output of aws ec2 describe-flow-logs"
)
_LOG_FORMAT = re.compile(r"\$?\$\{!?[A-Za-z0-9_-]+\}(?:[ ,]\$?\$\{!?[A-Za-z0-9_-]+\})+")
"""A LogFormat in what the AWS CLI prints as text or table, or in a template."""

_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
_LARGEST: Final = 64 * 1024 * 1024


def formats_of(text: str | None) -> FlowFormats:
    """Return the formats that ``--format`` names. Raises ``UsageError``."""
    if text is None:
        return FlowFormats()
    text = text.strip().strip("'\"").strip()
    if text == "default":
        return FlowFormats(usual=DEFAULT)
    if "${" not in text and (path := _file_at(text)) is not None:
        return _described(path)
    return FlowFormats(usual=columns_of(text))


def columns_of(text: str) -> tuple[str, ...]:
    """Return the columns of a LogFormat, or of names separated by blanks or commas. Raises ``UsageError``."""
    names = _FIELD.findall(text) if "${" in text else re.split(r"[\s,]+", text.strip(" ,\t\r\n"))
    rest = _FIELD.sub("", text).strip(" ,\t\r\n\"'\\") if "${" in text else ""
    if len(names) == 1 and not rest and field_of(names[0]) not in KNOWN and names != [""]:
        raise UsageError(f"--format: no such file, and no field of flow logs: {text[:200]!r}", _HINT)
    wrong = rest or next((name for name in names if not _NAME.fullmatch(name)), "")
    if wrong or names == [""]:
        raise UsageError(f"--format: no format: {(wrong or text)[:200]!r}", _HINT)
    fields = [field_of(name) for name in names]
    if KNOWN.isdisjoint(fields):
        raise UsageError(f"--format: no such file, and no field of flow logs: {text[:200]!r}", _HINT)
    repeated = next(
        (name for name, field in zip(names, fields, strict=True) if fields.count(field) > 1), None
    )
    if repeated is not None:
        raise UsageError(f"--format: the field {repeated} is there twice", _HINT)
    return tuple(names)


def unknown_fields(formats: FlowFormats) -> tuple[str, ...]:
    """Return the names in formats that are no field of AWS's that is known, each once."""
    columns = [*(formats.usual or ()), *(name for columns in formats.named.values() for name in columns)]
    return tuple(dict.fromkeys(name for name in columns if field_of(name) not in KNOWN))


def _file_at(text: str) -> Path | None:
    try:
        path = Path(text)
        return path if path.is_file() else None
    except (OSError, ValueError):
        return None


def _described(path: Path) -> FlowFormats:
    """Return the formats in the JSON or YAML of ``aws ec2 describe-flow-logs``."""
    try:
        if path.stat().st_size > _LARGEST:
            raise UsageError(f"--format: {path} is larger than {_LARGEST >> 20} MB", _HINT)
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"--format: {path} cannot be read: {error.strerror or error}", _HINT) from None
    if data.startswith(_UTF_16):  # what > writes in Windows PowerShell
        data = data.decode("utf-16", "replace").encode()
    data = data.removeprefix(b"\xef\xbb\xbf")
    named: dict[str, tuple[str, ...]] = {}
    for flow_log in _flow_logs(data):
        log_format = flow_log.get("LogFormat")
        if not isinstance(log_format, str):
            continue
        columns = columns_of(log_format)
        for key in ("FlowLogId", "LogGroupName"):
            name = flow_log.get(key)
            if isinstance(name, str) and name:
                named.setdefault(name, columns)
        if not any(isinstance(flow_log.get(key), str) for key in ("FlowLogId", "LogGroupName")):
            named.setdefault(log_format, columns)
    if not named:
        formats = _LOG_FORMAT.findall(data.decode("utf-8", "replace"))
        named = {log_format: columns_of(log_format) for log_format in formats}
    if not named and (header := header_of(data.partition(b"\n")[0])) is not None:
        return FlowFormats(usual=header[0])
    if not named:
        raise UsageError(f"--format: no LogFormat in {path}", _HINT)
    distinct = set(named.values())
    return FlowFormats(usual=distinct.pop() if len(distinct) == 1 else None, named=named)


def _flow_logs(data: bytes) -> list[dict[str, object]]:
    """Return the flow logs in an answer of DescribeFlowLogs, or in a list of them."""
    try:
        values = [parse(data)]
    except ValueError:
        try:
            values = documents(data.decode("utf-8", "replace"))
        except (BrokenYaml, RefusedYaml, RecursionError):
            return []
    found: list[dict[str, object]] = []
    waiting = values
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, list):
            waiting = [*value, *waiting]
        elif isinstance(value, dict):
            inner = value.get("FlowLogs")
            if isinstance(inner, list):
                waiting = [*inner, *waiting]
            else:
                found.append(value)
    return found
