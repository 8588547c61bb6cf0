"""Results of ``verify``: faults first, then what is proven; as tables, JSON and JSON lines."""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import IO

from msgspec import Struct

from cnitrail.model import Charge, Checked, Fault, Proven, Skipped, Verification, VerifyAnswer
from cnitrail.render.json import document, line
from cnitrail.render.safe import printable
from cnitrail.render.text import Block, Paragraph, Part, Row, Screen, Table, draw, draw_blocks

_STYLES = {Charge.INVALID: "bold red", Charge.MISSING: "bold red", Charge.UNPROVEN: "magenta"}
_BY_SEVERITY = [Charge.INVALID, Charge.MISSING, Charge.UNPROVEN]


class KeyEntry(Struct, frozen=True):
    """A public key that verified a signature: its fingerprint, and where the key was found."""

    fingerprint: str
    origin: str


class VerifyEvidence(Struct, frozen=True, kw_only=True):
    """What ``verify`` read: files by result, stored bytes, the keys used, and what could not be read."""

    skipped: tuple[Skipped, ...]
    digests: Checked
    backfill_digests: Checked
    logs: Checked
    files: int
    bytes: int
    keys: tuple[KeyEntry, ...]


def write_document(answer: VerifyAnswer, out: IO[str]) -> None:
    """Write one object with ``schema``, ``query``, ``evidence``, ``proven`` and ``entries``."""
    found = answer.verification
    evidence = VerifyEvidence(
        skipped=found.skipped,
        digests=found.digests,
        backfill_digests=found.backfill_digests,
        logs=found.logs,
        files=found.files,
        bytes=found.bytes,
        keys=tuple(KeyEntry(key.fingerprint, key.origin) for key in found.keys),
    )
    whole = {
        "schema": "cnitrail/verify/v1",
        "query": answer.query,
        "evidence": evidence,
        "proven": found.proven,
        "entries": found.faults,
    }
    out.write(document(whole))


def write_lines(answer: VerifyAnswer, out: IO[str]) -> None:
    """Write one line of JSON per fault."""
    out.writelines(line(fault) for fault in answer.verification.faults)


def write_table(answer: VerifyAnswer, out: IO[str]) -> None:
    """Write the faults, most severe first, then the proven spans and the counts.

    A screen shows each fault as a block, and files by name only; the name contains account and Region.
    """
    found = answer.verification
    if found.faults:
        faults = sorted(found.faults, key=lambda fault: _BY_SEVERITY.index(fault.charge))
        if isinstance(out, Screen):
            draw_blocks(map(_block, faults), out)
        else:
            rows = [_row(fault) for fault in faults]
            draw(Table(("DELIVERED (UTC)", "FILE AND FAULT"), rows, {}), out)
        out.write("\n")
    if found.proven:
        proven = [_proven(span) for span in found.proven]
        draw(Table(("PROVEN: DELIVERED (UTC)", "ACCOUNT", "REGION", "TRAIL"), proven, {}), out)
        out.write("\n")
    elif found.faults:
        out.write("no hour is proven complete\n\n")
    out.writelines(f"{text}\n" for text in _summary(found))


def _block(fault: Fault) -> Block:
    """Return a fault as a block: what it is and when, the file, and why."""
    span = " ".join(text for text, _ in _span(fault.start, fault.end))
    charge = (fault.charge.value.upper(), _STYLES[fault.charge])
    return [
        Paragraph([charge, (f"  delivered {span} UTC" if span else "", "")]),
        *(Paragraph([part], 2) for part in _fault(fault, _name)),
    ]


def _row(fault: Fault) -> Row:
    return (
        [(fault.charge.value, _STYLES[fault.charge]), *_span(fault.start, fault.end)],
        list(_fault(fault, str)),
    )


def _span(start: datetime | None, end: datetime | None) -> Iterator[Part]:
    if start is None or end is None:
        return
    yield f"{start:%Y-%m-%d %H:%M:%S}", ""
    if end.date() != start.date():
        yield f"to {end:%Y-%m-%d %H:%M:%S}", ""
    elif end != start:
        yield f"to {end:%H:%M:%S}", ""


def _fault(fault: Fault, shown: Callable[[str], str]) -> Iterator[Part]:
    yield shown(fault.uri), ""
    style = "bold" if fault.charge is not Charge.UNPROVEN else ""
    if fault.digest is None:
        yield f"{fault.kind}: {fault.reason}", style
    else:
        yield f"{fault.kind}: {fault.reason};", style
        yield f"see digest {shown(fault.digest)}", ""


def _name(uri: str) -> str:
    """Return the name of a file without its folder."""
    return uri.rpartition("/")[2] or uri


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
    """Return how many files are valid, and what the others are: ``3/5 digests valid, 1 INVALID``."""
    total = sum(getattr(checked, field) for field in Checked.__struct_fields__)
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
