"""An output file for each input file: the same names below a directory, and a list of what is done.

The list (``LIST``) has a line of the settings, and then a line before and after each file is written, so that
a run that was interrupted goes on where it stopped, and never writes over the files of anyone else.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping  # noqa: TC003  a field of a struct that is decoded
from contextlib import contextmanager, suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct

from cnitrail.atomic import atomic_file
from cnitrail.errors import SourceError, UsageError
from cnitrail.model import Extent, Skipped
from cnitrail.sources.file_lock import FileLock
from cnitrail.sources.files import shown, walk
from cnitrail.text import counted
from cnitrail.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import IO

    from cnitrail.model import Coverage, History
    from cnitrail.workflows.flows.reading import FlowFile

LIST: Final = ".cnitrail-flows.jsonl"
"""The name of the list. It begins with a dot, as Athena, Spark and DuckDB do not read such files."""

_LOCK: Final = ".cnitrail-flows.lock"
_PART: Final = ".cnitrail-flows.part"
_ENDINGS: Final = {"csv": ".csv", "jsonl": ".jsonl", "parquet": ".parquet"}
_FORMS: Final = frozenset((*_ENDINGS.values(), ".json"))
"""The endings of names that say what is in a file."""

_TIMES: Final = frozenset(("--since", "--until"))
"""The options whose value may be another one in each run: 2 hours before now."""

_LONGEST_NAME: Final = 255
"""Maximum length of the name of a file or directory in bytes, on most file systems."""

_MEMBER: Final = "!/"
"""What separates the name of a member from that of its archive."""


class OutputSettings(Struct, frozen=True, kw_only=True):
    """What has to be the same for all files of a directory.

    ``options`` are those that decide what is written, by name. ``evidence`` identifies the history.
    """

    output: str
    options: Mapping[str, str]
    evidence: str
    version: str = __version__


class _Begun(Struct, frozen=True, tag="begun"):
    """A file is about to be written."""

    file: str


class _Written(Struct, frozen=True, tag="written"):
    """A file was written, with all records of a document or of a member of it, except those ``skipped``."""

    file: str
    document: str
    size: int
    skipped: int = 0


class _Done(Struct, frozen=True, tag="done"):
    """All files of a document were written."""

    document: str
    etag: str


class _Head(Struct, frozen=True, tag="settings"):
    """The first line."""

    settings: OutputSettings


_Line = _Head | _Begun | _Written | _Done


class FlowDirectory:
    """The output files of ``flows --to DIR``.

    ``seen`` are the documents, by URI and etag, whose output is there already, and ``skipped`` what could not
    be read of them when it was written. A file that could not be read
    whole is written as far as it could, and is read again by the next run. Raises ``UsageError`` if the
    directory is not empty, or has files of other settings, or is one that is read.
    """

    def __init__(self, path: str, settings: OutputSettings, uris: tuple[str, ...]) -> None:
        self.path = path
        self.seen: frozenset[tuple[str, str]] = frozenset()
        self.skipped: list[Skipped] = []
        self._settings = settings
        self._ours: set[str] = set()
        self._documents_of: dict[str, str] = {}
        """The document that each file was written from by an earlier run."""
        self._names: set[str] = set()
        self._folders: set[str] = set()
        """The directories of the files of this run."""
        self._documents = _Documents()
        check_apart(path, uris)
        _check_names(uris, settings.output)
        if os.path.lexists(path) and not os.path.isdir(path):
            raise UsageError(f"--to {path}: not a directory", "name a new directory")
        with self._writing(path, "name a directory that can be written"):
            self._open()

    def begin(self, source: str, file: FlowFile) -> str | Skipped:
        """Return the name of the output of a file, or why there can be none."""
        self._documents.begin(file)
        name = output_name(source, file.uri, self._settings.output, file.document)
        if name is None:
            return Skipped(file.uri, "its name cannot be that of an output file")
        folders = [name[:end] for end, char in enumerate(name) if char == "/"]
        if name in self._folders or any(
            folder in self._names or os.path.isfile(self._at(folder)) for folder in folders
        ):
            reason = f"its output would be {name}, and a file cannot be in place of a directory"
            return Skipped(file.uri, reason)
        if name in self._names:
            return Skipped(file.uri, f"its output would be {name}, which another file has already")
        if name not in self._ours and os.path.lexists(self._at(name)):
            return Skipped(file.uri, f"its output would be {self._at(name)}, which is there already")
        before = self._documents_of.get(name)
        if before is not None and not _is_same(before, file.document):
            reason = f"its output would be {name}, which an earlier run wrote for {before}; name another --to"
            return Skipped(file.uri, reason)
        self._names.add(name)
        self._folders.update(folders)
        return name

    def write(self, name: str, write: Callable[[IO[bytes]], None]) -> None:
        """Write a file, whole or not at all. Raises ``SourceError``."""
        path = self._at(name)
        with self._writing(path):
            os.makedirs(os.path.dirname(path), exist_ok=True)
            self._add(_Begun(name))
            with atomic_file(path, "wb", arriving=self._at(_PART)) as out:
                write(out)

    def done(self, name: str, file: FlowFile, skipped: int) -> None:
        """Note that a file was read to its end and written, and how much of it was skipped.

        Raises ``SourceError``.
        """
        with self._writing(self._at(name)):
            self._add_all(self._documents.before(file))
            size = os.path.getsize(self._at(name))
            self._add(_Written(name, file.document, size, skipped))
            self._documents.done(file)

    def finish(self) -> None:
        """Note that all was read. Raises ``SourceError``."""
        with self._writing(self._at(LIST)):
            self._add_all(self._documents.before(None))

    def close(self) -> None:
        """Let others write to the directory."""
        self._list.close()
        self._lock.release()

    def _open(self) -> None:
        os.makedirs(self.path, exist_ok=True)
        others = [name for name in os.listdir(self.path) if name not in (LIST, _LOCK, _PART)]
        if others and not os.path.exists(self._at(LIST)):
            raise UsageError(
                f"--to {self.path}: not empty, and not written by cnitrail flows",
                "name a new directory",
            )
        try:
            self._lock = FileLock(self._at(_LOCK))
        except BlockingIOError:
            raise UsageError(f"--to {self.path}: another cnitrail flows is writing to it") from None
        try:
            lines = self._lines()
            if lines:
                self._resume(lines)
            with suppress(FileNotFoundError):
                os.unlink(self._at(_PART))
            self._list: IO[bytes] = open(self._at(LIST), "ab")  # noqa: SIM115  until it is closed
            if not lines:
                self._add(_Head(self._settings))
        except BaseException:
            self._lock.release()
            raise

    def _lines(self) -> list[_Line]:
        """Return the list of what was written; the end of a line that was cut off is removed."""
        try:
            with open(self._at(LIST), "rb+") as file:
                text = file.read()
                whole = text.rfind(b"\n") + 1
                if whole < len(text):
                    file.truncate(whole)
        except FileNotFoundError:
            return []
        try:
            return msgspec.json.Decoder(_Line).decode_lines(text[:whole])
        except msgspec.DecodeError as error:
            raise UsageError(f"{self._at(LIST)}: {error}", "name a new directory") from error

    def _resume(self, lines: list[_Line]) -> None:
        head = lines[0]
        if not isinstance(head, _Head):
            raise UsageError(f"{self._at(LIST)}: no settings in it", "name a new directory")
        self._check_settings(head.settings)
        self._ours = {line.file for line in lines if isinstance(line, _Begun)}
        written = {line.file: line for line in lines if isinstance(line, _Written)}
        self._documents_of = {name: line.document for name, line in written.items() if self._has(line)}
        lost = {line.document for line in written.values() if not self._has(line)}
        done = {line.document: line.etag for line in lines if isinstance(line, _Done)}
        self.seen = frozenset(item for item in done.items() if item[0] not in lost)
        self.skipped = [
            Skipped(
                line.document,
                f"{counted(line.skipped, 'record')} could not be read by the run that wrote {line.file}",
                Extent.PART,
            )
            for line in written.values()
            if line.skipped and line.document in done and line.document not in lost
        ]

    def _check_settings(self, before: OutputSettings) -> None:
        """Raise ``UsageError`` if what is in the directory was written with other settings."""
        now = self._settings
        if before == now:
            return
        hint = "name a new directory, or remove this one"
        if before.evidence != now.evidence and before.output == now.output:
            other = "from other evidence"
        elif before.output != now.output:
            other = f"with -o {before.output}"
        elif before.version != now.version:
            other = f"by cnitrail {before.version}"
        else:
            names = sorted({*before.options, *now.options})
            changed = [name for name in names if before.options.get(name) != now.options.get(name)]
            other = f"with another value of {', '.join(changed)}"
            if set(changed) <= _TIMES and all(before.options.get(name, "None") != "None" for name in changed):
                same = " ".join(f"{name} {before.options[name]}" for name in changed)
                hint = f"to go on, use {same}; or {hint}"
        raise UsageError(f"--to {self.path}: the files in it were written {other}", hint)

    def _has(self, line: _Written) -> bool:
        try:
            return os.path.getsize(self._at(line.file)) == line.size
        except OSError:
            return False

    def _at(self, name: str) -> str:
        return os.path.join(self.path, name)

    def _add(self, line: _Line) -> None:
        self._list.write(msgspec.json.encode(line) + b"\n")
        self._list.flush()

    def _add_all(self, lines: Iterable[_Line]) -> None:
        for line in lines:
            self._add(line)

    @contextmanager
    def _writing(self, path: str, hint: str = "the same command goes on where it stopped") -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SourceError(f"{path}: cannot be written: {error.strerror or error}", hint) from error


class _Documents:
    """Which documents are done: those of which all members are, once another one is begun."""

    def __init__(self) -> None:
        self._left: Counter[str] = Counter()
        self._current: tuple[str, str | None] | None = None

    def begin(self, file: FlowFile) -> None:
        """Note a file that is to be written."""
        self._left[file.document] += 1

    def done(self, file: FlowFile) -> None:
        """Note a file that was written."""
        self._left[file.document] -= 1

    def before(self, file: FlowFile | None) -> Iterator[_Done]:
        """Yield the document that is done if this file, or none, is the next one."""
        following = (file.document, file.etag) if file is not None else None
        if self._current is not None and self._current != following:
            document, etag = self._current
            if not self._left.pop(document) and etag is not None:
                yield _Done(document, etag)
        self._current = following


def fingerprint(history: History, coverage: Coverage) -> str:
    """Return what identifies the evidence that answers are made from: a SHA-256 in hex."""
    sets = (history.proven or (), history.unproven, history.operators)
    values = (
        *(history.leases, history.interfaces, history.instances, history.actors, history.attachments),
        *(history.set_aside, history.eni_managers, history.node_managers, history.subnets),
        *(history.unrecorded, history.pods, coverage),
        *(sorted(map(repr, members)) for members in sets),
    )
    return sha256(msgspec.msgpack.encode(values, enc_hook=str)).hexdigest()


def output_name(source: str, uri: str, output: str, document: str | None = None) -> str | None:
    """Return the path of the output of a file below the directory; None if its name would lead out of it.

    It is the path of the file below its source. A name that says another form than is written gets another
    ending: ``a.log.parquet`` is ``a.log.csv`` as CSV, and ``a.log.gz`` is ``a.log.parquet`` as Parquet.
    ``document`` is the URI of the file, if ``uri`` may be that of a member of it.
    """
    if document is None:
        document, _, member = uri.partition(_MEMBER)
    else:
        member = uri.removeprefix(document).removeprefix(_MEMBER)
    parts = [part for part in f"{_below(source, document)}/{member}".split("/") if part not in ("", ".")]
    if not parts or ".." in parts or any("\0" in part for part in parts) or parts[0] in (LIST, _LOCK, _PART):
        return None
    name = parts[-1]
    plain = name.removesuffix(".gz")
    stem, ending = os.path.splitext(plain)
    if ending in _FORMS and ending != _ENDINGS[output]:
        name = stem + _ENDINGS[output] + name[len(plain) :]
    if output == "parquet":
        name = name.removesuffix(".gz").removesuffix(".parquet") + ".parquet"
    if any(len(part.encode("utf-8", "replace")) > _LONGEST_NAME for part in (*parts, name)):
        return None
    return "/".join([*parts[:-1], name])


def _below(source: str, document: str) -> str:
    """Return the path of a document below its source, or its name if it is the source."""
    if document == "-":
        return "stdin"
    source = shown(source)
    if document == source or not document.startswith(source):
        return document.rpartition("/")[2]
    if source.endswith("/") or document[len(source)] == "/":
        return document[len(source) :]
    return document[source.rfind("/") + 1 :]  # a prefix of objects that ends within a name


def check_apart(path: str, uris: tuple[str, ...]) -> None:
    """Raise ``UsageError`` if the output, a directory or file, would be in a source, or in place of it."""
    real = os.path.join(os.path.realpath(path), "")
    for uri in filter(os.path.exists, uris):
        if real.startswith(os.path.join(os.path.realpath(uri), "")):
            raise UsageError(f"--to {path}: it is in {uri}, which is read", "name a path outside of it")


def _is_same(one: str, other: str) -> bool:
    """Return whether two names of documents are of one: a local path may be written in several ways.

    What standard input had before is not known.
    """
    if one == "-":
        return False
    with suppress(OSError, ValueError):
        return one == other or os.path.samefile(one, other)
    return False


def _check_names(uris: tuple[str, ...], output: str) -> None:
    """Raise ``UsageError`` if files of two local sources would have the same output."""
    if len(uris) == 1:
        return
    taken: dict[str, str] = {}
    for uri in filter(os.path.lexists, uris):
        for found in walk(uri):
            if isinstance(found, Skipped):
                continue
            path = shown(found[0])
            name = output_name(uri, path, output, path)
            other = taken.setdefault(name, path) if name is not None else path
            if other is not path:
                raise UsageError(
                    f"--to: {other} and {path} would have the same output {name}",
                    "name the directory that both are in, or a --to for each",
                )
