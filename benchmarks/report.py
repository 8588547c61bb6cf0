"""Measures a report: seconds and bytes for 1,000, 10,000 and 100,000 calls.

    python benchmarks/report.py [DIRECTORY]

The calls are those of fixtures/crowd.py. Each size runs in its own process; with a DIRECTORY, the reports
are kept there.
"""

import json
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "fixtures")]

from crowd import crowd  # noqa: E402

from cnitrail.answers.filters import Filter  # noqa: E402
from cnitrail.answers.report import report  # noqa: E402
from cnitrail.decode import decode  # noqa: E402
from cnitrail.history import Ledger, build, cover  # noqa: E402
from cnitrail.model import Answer, Evidence, Origin, Record, Report, SourceReport  # noqa: E402
from cnitrail.render.report import html, markdown  # noqa: E402

SIZES = (1_000, 10_000, 100_000)


def measure(size: int, folder: str | None) -> dict[str, float]:
    """Return the seconds of each step, and the bytes of each format."""
    ledger = Ledger()
    for path, index, found in crowd(size):
        fact = decode(Record((Origin(path, index),), json.dumps(found).encode())).fact
        assert fact is not None
        ledger.add(fact)
    history = build(ledger.events())
    times = [event.time for event in history.events]
    source = SourceReport(
        uri="logs",
        files=0,
        bytes=0,
        records=size,
        relevant=size,
        duplicates=0,
        skipped=0,
        files_found=0,
        files_skipped=0,
        passed_over=0,
        kept=size,
        records_skipped=0,
    )
    reaches = cover((), history.events).reaches
    evidence = Evidence(
        sources=(source,), first_event=times[0], last_event=times[-1], coverage=reaches, skipped=()
    )
    start = time.process_time()
    summary = report(history, evidence, Filter())
    end = time.process_time()
    answer: Answer[Report] = Answer(
        command="report", query={"sources": ("logs",)}, evidence=evidence, entries=[summary]
    )
    row: dict[str, float] = {"answer s": end - start}
    for name, write in (("md", markdown.write), ("html", html.write)):
        start = time.process_time()
        out = StringIO()
        write(answer, out)
        row[f"{name} s"] = time.process_time() - start
        row[f"{name} kB"] = len(out.getvalue().encode()) / 1000
        if folder is not None:
            Path(folder, f"{size}.{name}").write_text(out.getvalue(), encoding="utf-8")
    return row


def main() -> None:
    """Measure each size in its own process, and print a table."""
    if len(sys.argv) > 2:
        print(json.dumps(measure(int(sys.argv[2]), sys.argv[1] or None)))
        return
    folder = sys.argv[1] if len(sys.argv) > 1 else ""
    for size in SIZES:
        done = subprocess.run(
            [sys.executable, __file__, folder, str(size)], capture_output=True, text=True, check=True
        )
        row = json.loads(done.stdout)
        if size == SIZES[0]:
            print(f"{'calls':>10} " + " ".join(f"{name:>10}" for name in row))
        print(f"{size:>10,} " + " ".join(f"{number:>10,.2f}" for number in row.values()))


if __name__ == "__main__":
    main()
