"""JSON of many elements is read in blocks, whatever keys they begin with, except for damaged lines."""

import json
from collections.abc import Iterable, Mapping
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from records import GOOD, compact, record, scanned

from cnitrail.scan.blocks import ElementBlock, as_one_list, layout_of, read_block, read_lines, whole_elements

ASSIGN = GOOD["AssignPrivateIpAddresses"]
DELETE = GOOD["DeleteNetworkInterface"]
LOOK = record("DescribeInstances", {"instancesSet": {}, "filterSet": {}}, readOnly=True)
BY_NAME = json.dumps(dict(sorted(ASSIGN.items()))).encode()
WITH_DATA = json.dumps({"additionalEventData": {"bytesTransferredIn": 0}} | LOOK).encode()


def encoded(objects: Iterable[Mapping[str, object]]) -> list[bytes]:
    """Return objects as JSON that begins with the key x."""
    return [json.dumps({"x": 1, **value}).encode() for value in objects]


OBJECT: st.SearchStrategy[dict[str, object]] = st.dictionaries(
    st.text("abc}{,", min_size=1, max_size=3), st.text('}{"\n,\\') | st.lists(st.just({}))
)
TEXTS = st.lists(OBJECT, min_size=2, max_size=6).map(encoded)
DAMAGE = (
    b"not JSON",
    b"{",
    b"}",
    b'{"a":"b',
    b'{"a":[{"b":1}',
    b"null",
    b"]",
    b']}{"',
    BY_NAME[:500],
    BY_NAME[500:],
)


def starts_of(text: bytes) -> list[int]:
    """Return the offsets of the elements of a text that is one block."""
    layout = layout_of(text)
    assert layout is not None
    block = read_block(text, whole_elements(text, layout, last=True), layout)
    assert block is not None
    return [start + len(layout.opening) for start in block.starts]


class TestElements:
    @given(TEXTS, st.sampled_from([b"\n", b"\r\n", b"\n\n", b" \n  "]), st.sampled_from([b"", b"\n"]))
    def test_of_lines_are_where_the_lines_begin(self, lines: list[bytes], between: bytes, end: bytes) -> None:
        lengths = (len(line) + len(between) for line in lines[:-1])
        assert starts_of(between.join(lines) + end) == list(accumulate(lengths, initial=0))

    @given(TEXTS, st.sampled_from([b",", b", ", b",\n    "]))
    def test_of_a_list_are_where_its_elements_begin(self, elements: list[bytes], between: bytes) -> None:
        text = b'{"Records":[' + between.join(elements) + b"]}"
        lengths = (len(element) + len(between) for element in elements[:-1])
        assert starts_of(text) == list(accumulate(lengths, initial=len(b'{"Records":[')))

    @pytest.mark.parametrize(
        ("opening", "between", "closing"), [(b"", b"\n", b"\n"), (b'{"Records":[', b",", b"]}")]
    )
    def test_may_begin_with_different_keys(self, opening: bytes, between: bytes, closing: bytes) -> None:
        text = opening + between.join([WITH_DATA, BY_NAME, compact(LOOK), compact(DELETE)]) + closing
        assert len(starts_of(text)) == 4
        reading = scanned(text)
        assert reading.names == ["AssignPrivateIpAddresses", "DeleteNetworkInterface"]
        assert (reading.tally.records, reading.skipped) == (4, [])

    def test_may_be_separated_unevenly(self) -> None:
        text = b"\n".join([BY_NAME, b"", WITH_DATA, b"  ", b"", compact(DELETE)])
        assert starts_of(text) == [0, len(BY_NAME) + 2, len(text) - len(compact(DELETE))]


TRAP = DELETE | {"userAgent": '"}]}{"Records":[{"eventVersion":"1.08"}]}\n{"Records":['}
"""A record whose caller chose a text that looks like the end of one file and the beginning of another."""

DOCUMENTS = st.lists(
    st.lists(st.sampled_from([LOOK, ASSIGN, DELETE, TRAP]), min_size=1, max_size=4), min_size=2, max_size=5
)


class TestListsOneAfterTheOther:
    """As ``zcat *.json.gz`` writes them."""

    @given(DOCUMENTS, st.sampled_from(["", "\n", "\r\n\r\n"]), st.sampled_from([None, 2]))
    def test_are_read_as_if_they_were_one(
        self, documents: list[list[dict[str, object]]], between: str, indent: int | None
    ) -> None:
        separators = (",", ":") if indent is None else None
        texts = [
            json.dumps({"Records": records}, indent=indent, separators=separators) for records in documents
        ]
        together = [record for records in documents for record in records]
        reading = scanned(between.join(texts).encode())
        one = scanned(json.dumps({"Records": together}, indent=indent, separators=separators).encode())
        assert [(record.payload, record.origins[0].index) for record in reading.records] == [
            (record.payload, record.origins[0].index) for record in one.records
        ]
        assert (reading.tally.records, reading.skipped) == (len(together), [])

    @pytest.mark.parametrize("between", [b"", b"\n"])
    def test_are_read_in_blocks(self, between: bytes) -> None:
        lists = [b'{"Records":[' + b",".join([compact(LOOK)] * 2) + b"]}"] * 3
        text = between.join(lists)
        layout = layout_of(text)
        assert layout is not None
        assert as_one_list(text, layout) == b'{"Records":[' + b",".join([compact(LOOK)] * 6) + b"]}"

    @pytest.mark.parametrize("damage", DAMAGE)
    @pytest.mark.parametrize("place", [0, 1, 2])
    def test_are_read_up_to_the_damage_and_the_damage_is_reported(self, damage: bytes, place: int) -> None:
        records = [[BY_NAME, compact(DELETE)] for _ in range(3)]
        records[place].insert(1, damage)
        reading = scanned(b"\n".join(b'{"Records":[' + b",".join(own) + b"]}" for own in records))
        before = ["AssignPrivateIpAddresses", "DeleteNetworkInterface"] * place
        assert reading.names[: len(before)] == before
        assert reading.skipped


class TestDamagedLines:
    @pytest.mark.parametrize("damage", DAMAGE)
    @pytest.mark.parametrize("place", [0, 500, 1000])
    def test_are_read_slowly_with_no_more_than_a_line_on_either_side(self, damage: bytes, place: int) -> None:
        lines = [compact(LOOK)] * 1000
        lines.insert(place, damage)
        text = b"\n".join(lines) + b"\n"
        layout = layout_of(text)
        assert layout is not None
        end = whole_elements(text, layout, last=True)
        parts = [*read_lines(text, end, layout), text[end:]]
        slow = sum(len(part) for part in parts if isinstance(part, bytes))
        assert slow < 3 * len(compact(LOOK)) + len(damage)

    @given(
        st.lists(st.sampled_from([compact(LOOK), BY_NAME, compact(DELETE), *DAMAGE]), min_size=1, max_size=9),
        st.sampled_from([b"\n", b"\r\n"]),
    )
    def test_do_not_hide_the_lines_before_and_after_them(self, lines: list[bytes], between: bytes) -> None:
        reading = scanned(b"".join(line + between for line in lines))
        names = [json.loads(line)["eventName"] for line in lines if line in (BY_NAME, compact(DELETE))]
        assert reading.names == names
        assert bool(reading.skipped) == any(line in DAMAGE for line in lines)

    def test_keep_their_line_break_so_that_nothing_in_them_is_taken_for_a_record(self) -> None:
        forged = b"GET /" + compact(DELETE)
        reading = scanned(b"\n".join([BY_NAME, forged, compact(LOOK), compact(LOOK)]))
        assert reading.names == ["AssignPrivateIpAddresses"]
        assert len(reading.skipped) == 1

    def test_are_together_the_whole_text(self) -> None:
        text = b"\n".join([BY_NAME, b"{", WITH_DATA, b"x", b"y", BY_NAME, BY_NAME])
        layout = layout_of(text)
        assert layout is not None
        parts = read_lines(text, len(text), layout)
        assert (
            b"".join(bytes(part.text) if isinstance(part, ElementBlock) else part for part in parts) == text
        )
