"""What ``cnitrail flows`` refuses before it reads anything: sources and outputs that do not go together."""

from __future__ import annotations

import sys
from itertools import pairwise
from os.path import dirname, exists, isdir, realpath

from cnitrail.errors import UsageError
from cnitrail.render.writers import RECORD_OUTPUTS

EXAMPLE = "cnitrail flows flowlogs/ --with trail/"
_TO_EXAMPLE = f"{EXAMPLE} --to named/ -o csv"
_TWICE = "its records would count twice"
_ONCE = "name each file once"


def check(sources: tuple[str, ...], with_: tuple[str, ...], output: str, to: str | None) -> None:
    """Raise ``UsageError`` for what cannot be answered."""
    if not sources:
        raise _flows_required(with_)
    if to is not None:
        _check_destination(to, output, (*sources, *with_))
    if output == "parquet":
        _check_parquet(to)
    if "-" in sources and "-" in with_:
        raise UsageError("FLOWS and --with cannot both be standard input", "put one of them in a file")
    if both := next((source for source in sources if source in with_), None):
        raise UsageError(f"{both} cannot be both FLOWS and a SOURCE of --with", EXAMPLE)
    _check_once(sources)


def _flows_required(with_: tuple[str, ...]) -> UsageError:
    """Return the error that no flow logs are named, with the command that was probably meant."""
    if not with_:
        return UsageError("FLOWS is required", EXAMPLE)
    from shlex import join

    flow_logs = [source for source in with_ if "flow" in source.lower()] or [*with_[1:][-1:]]
    others = [source for source in with_ if source not in flow_logs]
    meant = join([*(flow_logs or ["flowlogs/"]), "--with", *(others or ["trail/"])])
    return UsageError("FLOWS is required, and --with takes all that follows it", f"cnitrail flows {meant}")


def _check_destination(to: str, output: str, sources: tuple[str, ...]) -> None:
    """Refuse a value of ``--to`` that is not a directory of its own for files of records."""
    from cnitrail.workflows.flows.directory import check_apart

    if output not in RECORD_OUTPUTS:
        raise UsageError(f"--to needs -o {' or -o '.join(RECORD_OUTPUTS)}", _TO_EXAMPLE)
    if not to:
        raise UsageError("--to needs a directory", _TO_EXAMPLE)
    is_file_name = to.endswith(tuple(f".{name}" for name in RECORD_OUTPUTS)) and not isdir(to)
    if is_file_name and not is_parquet_file(to, output):
        raise UsageError(
            f"--to {to}: --to is a directory, with a file for each file of FLOWS",
            f"for one file use -o {output} > {to}",
        )
    check_apart(to, sources)


def _check_parquet(to: str | None) -> None:
    """Refuse Parquet without the extra, or to a terminal."""
    from cnitrail.render.parquet import check_installed

    check_installed("-o parquet needs the extra parquet")
    if to is None and sys.stdout.isatty():
        raise UsageError("Parquet is not for a terminal", "name a file: --to flows.parquet")


def is_parquet_file(to: str, output: str) -> bool:
    """Return whether all records are to be written to one Parquet file."""
    return output == "parquet" and to.endswith(".parquet") and not isdir(to)


def _check_once(sources: tuple[str, ...]) -> None:
    """Refuse sources of which one is in another one. Raises ``UsageError``."""
    at: dict[str, str] = {}
    for source in sources:
        place = realpath(source) if exists(source) else source
        if place in at:
            raise UsageError(f"{source} is given twice: {_TWICE}", _ONCE)
        at[place] = source
    for place, source in at.items():
        folder = dirname(place)
        if folder == place:
            continue
        while folder not in at and folder != dirname(folder):
            folder = dirname(folder)
        if folder in at and exists(place):
            raise UsageError(f"{source} is in {at[folder]}, too: {_TWICE}", _ONCE)
    objects = sorted((_key_of(source), source) for source in sources if source.startswith("s3://"))
    for (outer, first), (inner, second) in pairwise(objects):
        if inner.startswith(outer):
            raise UsageError(f"{second} is in {first}, too: {_TWICE}", _ONCE)


def _key_of(uri: str) -> str:
    """Return the bucket and prefix of an S3 URI; a prefix need not end at a slash."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    return f"{bucket}/{prefix}"
