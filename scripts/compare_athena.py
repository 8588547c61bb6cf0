"""Compare the answers of ``athena://`` with those of ``s3://`` for one day.

``python scripts/compare_athena.py athena://DATABASE.TABLE s3://BUCKET/PREFIX --day 2026-11-28 --account
111122223333 --region eu-west-1`` reads both, prints what differs, and exits with status 1 if anything does or
if there was nothing to compare, and with 2 if one of them cannot be read. The query and the GetObject calls
are charged: docs/athena.md#cost-and-limits. Any two sources of cnitrail can be compared.

Not compared is what may differ: where a record was found, its form, and how the caller of a row is known.
"""

from __future__ import annotations

import argparse
import json
import sys
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import cnitrail

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from cnitrail.api import Case

Entries = dict[str, Any]

MAY_DIFFER = frozenset({"origins", "basis", "index", "fidelity", "form"})
"""Fields that say where and how something is known."""
SHOWN = 20
"""Differences printed of each kind: they usually have one cause."""


def differences(table: Case, files: Case) -> Iterator[str]:
    """Yield what differs between two readings of the same time, each in one line."""
    yield from _of_fields("evidence", _counts(table), _counts(files))
    asked = {
        "coverage of": (table.evidence.coverage, files.evidence.coverage, ("account", "region")),
        "event": (table.timeline(), files.timeline(), ("event_id", "eni", "instance")),
        "lease": (table.leases(), files.leases(), ("ip", "eni", "start")),
        "finding": (table.findings(), files.findings(), ("fingerprint",)),
    }
    for name, (left, right, key) in asked.items():
        yield from _first(_of_entries(name, _by_key(left, key), _by_key(right, key)))


def is_empty(case: Case) -> bool:
    """Return whether nothing that matters was read: then two equal answers show nothing."""
    return not sum(source.kept for source in case.evidence.sources)


def _counts(case: Case) -> Entries:
    sources = case.evidence.sources
    return {
        name: sum(getattr(source, name) for source in sources)
        for name in ("records", "passed_over", "relevant", "kept")
    }


def _by_key(values: Iterable[object], names: Sequence[str]) -> Mapping[str, list[Entries]]:
    """Return entries by the fields that identify them, in their order."""
    found: dict[str, list[Entries]] = {}
    for entry in cnitrail.to_dicts(values):
        key = " ".join(str(entry[name]) for name in names if entry.get(name) is not None)
        found.setdefault(key, []).append(_comparable(entry))
    return found


def _comparable(value: Any) -> Any:
    """Return a value without what may differ."""
    if isinstance(value, dict):
        return {name: _comparable(inner) for name, inner in value.items() if name not in MAY_DIFFER}
    return [_comparable(item) for item in value] if isinstance(value, list) else value


def _of_entries(
    name: str, table: Mapping[str, list[Entries]], files: Mapping[str, list[Entries]]
) -> Iterator[str]:
    for key in dict.fromkeys((*files, *table)):
        here, there = table.get(key, []), files.get(key, [])
        if len(here) != len(there):
            yield _line(f"{name} {key}", "entries", len(here), len(there))
            continue
        for left, right in zip(here, there, strict=True):
            yield from _of_fields(f"{name} {key}", left, right)


def _of_fields(what: str, table: Mapping[str, Any], files: Mapping[str, Any]) -> Iterator[str]:
    """Yield the fields that differ; of fields inside fields, those alone."""
    for name in dict.fromkeys((*files, *table)):
        left, right = table.get(name), files.get(name)
        if isinstance(left, dict) and isinstance(right, dict):
            yield from _of_fields(f"{what} {name}", left, right)
        elif left != right:
            yield _line(what, name, left, right)


def _line(what: str, field: str, table: object, files: object) -> str:
    """Return a line; texts of records are escaped, so that a terminal shows them and does nothing else."""
    return f"{_text(what)[1:-1]}: {field}: table {_text(table)}, files {_text(files)}"


def _text(value: object) -> str:
    text = json.dumps(value, default=str)
    return text.replace("\x7f", "\\u007f")


def _first(lines: Iterator[str]) -> Iterator[str]:
    """Yield the first lines, and the number of all others."""
    others = 0
    for number, line in enumerate(lines):
        if number < SHOWN:
            yield line
        else:
            others += 1
    if others:
        yield f"… and {others} more like these"


def _unread(name: str, case: Case) -> Iterator[str]:
    """Yield what one side could not read, or is known to lack: it explains most differences."""
    for skipped in case.evidence.skipped[:SHOWN]:
        yield f"note: {name} could not read {_text(skipped.source)[1:-1]}: {_text(skipped.reason)[1:-1]}"
    for lost in case.evidence.lost[:SHOWN]:
        yield f"note: {name}: {_text(lost.what)[1:-1]}"


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("table", metavar="athena://DATABASE.TABLE")
    parser.add_argument("files", metavar="s3://BUCKET/PREFIX")
    parser.add_argument("--day", required=True, type=_day, help="day to compare, UTC: 2026-11-28")
    parser.add_argument("--account", action="append", default=[], help="only this account; repeatable")
    parser.add_argument("--region", action="append", default=[], help="only this Region; repeatable")
    parser.add_argument("--profile", help="named profile from your AWS config")
    parser.add_argument("--work-group", help="Athena workgroup")
    parser.add_argument("--output-location", help="s3:// prefix for Athena's results")
    return parser.parse_args(arguments)


def _day(text: str) -> datetime:
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day: write it as 2026-11-28") from None
    return datetime.combine(day, time.min, UTC)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare what the arguments name, print what differs, and return the exit status."""
    options = _arguments(arguments)
    scope: dict[str, Any] = {
        "since": options.day,
        "until": options.day + timedelta(days=1, seconds=-1),
        "account": options.account,
        "region": options.region,
        "profile": options.profile,
    }
    engine = {"work_group": options.work_group, "output_location": options.output_location}
    engine = {name: value for name, value in engine.items() if value is not None}
    try:
        table = cnitrail.read(options.table, **scope, **engine)
        files = cnitrail.read(options.files, **scope)
    except cnitrail.CnitrailError as error:
        sys.stderr.write(f"error: {error.message}\n" + (f"hint: {error.hint}\n" if error.hint else ""))
        return 2
    for line in (*_unread("table", table), *_unread("files", files)):
        sys.stdout.write(line + "\n")
    found = list(differences(table, files))
    for line in found:
        sys.stdout.write(line + "\n")
    if found:
        return 1
    if is_empty(files):
        sys.stdout.write("nothing to compare: no IP-related event on that day; name a day with some\n")
        return 1
    counts = _counts(files)
    sys.stdout.write(
        f"equal: {counts['records']} records, {counts['kept']} IP-related events, their coverage, leases "
        "and findings\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
