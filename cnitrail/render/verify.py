"""A verification: what is wrong first, then what is proven; as tables, as JSON and as lines of JSON."""

from collections.abc import Iterator
from datetime import datetime
from typing import IO

from msgspec.structs import asdict

from cnitrail.model import Charge, Checked, Fault, Proven, Verification, VerifyAnswer
from cnitrail.render.json import document, line
from cnitrail.render.safe import printable
from cnitrail.render.text import Part, Row, Table, draw

_STYLES = {Charge.INVALID: "bold red", Charge.MISSING: "bold red", Charge.UNPROVEN: "yellow"}
_GRAVEST = [Charge.INVALID, Charge.MISSING, Charge.UNPROVEN]


def write_document(answer: VerifyAnswer, out: IO[str]) -> None:
    """Write one object with ``schema``, ``query``, ``evidence``, ``proven`` and ``entries``."""
    found = asdict(answer.verification)
    entries, proven = found.pop("faults"), found.pop("proven")
    del found["vouched"], found["altered"]
    found["keys"] = [{"fingerprint": key.fingerprint, "origin": key.origin} for key in found["keys"]]
    out.write(
        document(
            {
                "schema": "cnitrail/verify/v1",
                "query": answer.query,
                "evidence": found,
                "proven": proven,
                "entries": entries,
            }
        )
    )


def write_lines(answer: VerifyAnswer, out: IO[str]) -> None:
    """Write a line of JSON for each fault."""
    out.writelines(line(fault) for fault in answer.verification.faults)


def write_table(answer: VerifyAnswer, out: IO[str]) -> None:
    """Write the faults, the gravest first, the spans that are proven, and the counts.

    In a terminal files are called by their names alone, which tell account and Region.
    """
    found, is_terminal = answer.verification, out.isatty()
    if found.faults:
        faults = sorted(found.faults, key=lambda fault: _GRAVEST.index(fault.charge))
        rows = [_row(fault, is_terminal) for fault in faults]
        draw(Table(("DELIVERED (UTC)", "WHAT"), rows, {"WHAT": 1}), out)
        out.write("\n")
    if found.proven:
        proven = [_proven(each) for each in found.proven]
        draw(Table(("PROVEN: DELIVERED (UTC)", "ACCOUNT", "REGION", "TRAIL"), proven, {}), out)
        out.write("\n")
    elif found.faults:
        out.write("no hour is proven complete\n\n")
    out.writelines(f"{text}\n" for text in _summary(found))


def _row(fault: Fault, is_terminal: bool) -> Row:
    return (
        [(fault.charge.value, _STYLES[fault.charge]), *_span(fault.start, fault.end)],
        list(_what(fault, is_terminal)),
    )


def _span(start: datetime | None, end: datetime | None) -> Iterator[Part]:
    if start is None or end is None:
        return
    yield f"{start:%Y-%m-%d %H:%M:%S}", ""
    if end.date() != start.date():
        yield f"to {end:%Y-%m-%d %H:%M:%S}", ""
    elif end != start:
        yield f"to {end:%H:%M:%S}", ""


def _what(fault: Fault, is_terminal: bool) -> Iterator[Part]:
    yield _called(fault.uri, is_terminal), ""
    yield f"{fault.kind}: {fault.reason}", "bold" if fault.charge is not Charge.UNPROVEN else ""
    if fault.digest is not None:
        yield f"according to {_called(fault.digest, is_terminal)}", "dim"


def _called(uri: str, is_terminal: bool) -> str:
    return uri.rpartition("/")[2] or uri if is_terminal else uri


def _proven(span: Proven) -> Row:
    return (
        [(f"{span.start:%Y-%m-%d %H:%M:%S} to {span.end:%Y-%m-%d %H:%M:%S}", "green")],
        [(span.account, "")],
        [(span.region, "")],
        [(span.chain.trail, "")],
    )


def _summary(found: Verification) -> Iterator[str]:
    for checked, name in (
        (found.digests, "digests"),
        (found.backfill_digests, "backfill digests"),
        (found.logs, "log files"),
    ):
        if text := _ratio(checked, name):
            yield text
    if origins := sorted({key.origin for key in found.keys}):
        yield f"public keys: {printable(', '.join(origins))}"


def _ratio(checked: Checked, name: str) -> str:
    """Of how many files how many are what: ``3/5 digests valid, 1 invalid, 1 missing``."""
    total = sum(getattr(checked, each) for each in Checked.__struct_fields__)
    if total == 0:
        return ""
    others = [
        f"{count:,} {what}"
        for what, count in (
            ("INVALID", checked.invalid),
            ("MISSING", checked.missing),
            ("not proven", checked.unproven),
        )
        if count
    ]
    return ", ".join([f"{checked.valid:,}/{total:,} {name} valid", *others])
