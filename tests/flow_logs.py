"""Flow logs of the story ironman, for tests of ``cnitrail flows``."""

import gzip
from collections.abc import Iterable, Sequence
from pathlib import Path

from conftest import FIXTURES

EVIDENCE = FIXTURES / "ironman"
COLUMNS = (
    *("version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol"),
    *("packets", "bytes", "start", "end", "action", "log-status", "pkt-srcaddr", "pkt-dstaddr"),
)
_FIRST = 1664975820
"""2022-10-05T13:17:00Z, when the node's addresses have been assigned."""

_ADDRESSES = ("192.168.35.36", "192.168.41.30", "192.168.47.144", "192.168.34.201")


def flow(number: int, **fields: object) -> str:
    """A record of the interface of four pods' addresses; its number decides on addresses, port and time."""
    src, dst = _ADDRESSES[number % 4], _ADDRESSES[(number // 4) % 4]
    values = {
        "version": 3,
        "account-id": 111111111111,
        "interface-id": "eni-0bbea279695112970",
        "srcaddr": src,
        "dstaddr": dst,
        "srcport": 1024 + number % 50_000,
        "dstport": 443,
        "protocol": 6,
        "packets": 1 + number % 9,
        "bytes": 100 + number,
        "start": _FIRST + number % 600,
        "end": _FIRST + number % 600 + 30,
        "action": "ACCEPT",
        "log-status": "OK",
        "pkt-srcaddr": src,
        "pkt-dstaddr": dst,
        **{name.replace("_", "-"): value for name, value in fields.items()},
    }
    return " ".join(str(values[column]) for column in COLUMNS)


def flow_log(lines: Iterable[str], columns: Sequence[str] = COLUMNS) -> bytes:
    """Return a file as S3 has it, but for the compression."""
    return "".join(f"{line}\n" for line in (" ".join(columns), *lines)).encode()


def write_log(path: Path, lines: Iterable[str], columns: Sequence[str] = COLUMNS) -> Path:
    """Write a file; it is compressed if its name says so."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = flow_log(lines, columns)
    path.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)
    return path
