"""Exports of query engines: their texts, and the readers of CSV, YAML and Parquet."""

import io
from collections.abc import Iterator

import msgspec

from cnitrail.decode import decode
from cnitrail.jsontext import json_object, parse
from cnitrail.model import FORMS, Origin, Record
from cnitrail.scan.csv_text import csv_rows, looks_like_csv
from cnitrail.scan.parquet import parquet_rows
from cnitrail.scan.rows import Rebuilt, Refused, event_name_of, rebuild
from cnitrail.scan.rows.lake_map import parameters_of
from cnitrail.scan.rows.names import IDENTITY, restored
from cnitrail.scan.rows.struct_text import identity_of, resources_of
from cnitrail.scan.split import UnreadableSpan
from cnitrail.scan.yaml_text import looks_like_yaml, yaml_values


def structs(data: bytes) -> None:
    """A struct is read to what it says, or not at all: a value that is read is in the text."""
    for line in data.decode("utf-8", "replace").splitlines()[:50]:
        identity = identity_of(line)
        if identity is not None:
            assert restored(identity, IDENTITY) == identity
            assert all(text in line or "T" in text for text in _texts(identity))
        parameters_of(line)
        resources_of(line)


def rows(data: bytes) -> None:
    """A row is a record of a known form, or refused with a reason; decoding the record never raises."""
    try:
        found = parse(data)
    except ValueError:
        return
    for row in found if isinstance(found, list) else [found]:
        if isinstance(row, dict):
            _check_row(row)


def csv(data: bytes) -> None:
    """The same rows are read of a whole text and of its pieces."""
    looks_like_csv(data)
    whole = list(csv_rows(iter([data])))
    assert list(csv_rows(_pieces(data))) == whole
    for row in whole:
        if isinstance(row, dict):
            _check_row(row)


def yaml(data: bytes) -> None:
    """The same values are read of a whole text and of its pieces, up to an error.

    The parser may find an error that comes later earlier, if it has more of the text.
    """
    looks_like_yaml(data)
    whole, pieces = list(yaml_values(iter([data]))), list(yaml_values(_pieces(data)))
    assert _is_error(whole) == _is_error(pieces)
    if _is_error(whole):
        whole, pieces = whole[:-1], pieces[:-1]
        pieces = pieces[: len(whole)]
    assert whole == pieces
    for value in whole:
        if isinstance(value, dict):
            _check_row(value)


def _is_error(values: list[object]) -> bool:
    return bool(values) and isinstance(values[-1], UnreadableSpan)


def parquet(data: bytes) -> None:
    """A Parquet file has rows, and at most one error, which ends them."""
    found = list(parquet_rows(io.BytesIO(data)))
    assert not any(isinstance(row, UnreadableSpan) for row in found[:-1])
    for row in found:
        if isinstance(row, dict):
            _check_row(row)


def _pieces(data: bytes) -> Iterator[bytes]:
    return (data[at : at + 7] for at in range(0, len(data), 7))


def _check_row(row: dict[str, object]) -> None:
    event_name_of(row)
    for value in row.values():
        json_object(value)
    found = rebuild(row)
    if isinstance(found, Refused):
        assert found.reason
    elif isinstance(found, Rebuilt):
        assert found.form in FORMS
        try:
            payload = msgspec.json.encode(found.record)
        except RecursionError:
            return
        decode(Record((Origin("file", 0, found.form),), payload))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value
