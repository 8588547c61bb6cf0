"""Records of flow logs are written the same, whether each is read field by field or not."""

from collections.abc import Sequence
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnitrail.answers.flows import FlowEnds, FlowKey
from cnitrail.answers.flows.ends import JoinedEnds
from cnitrail.answers.over_time import IntervalBounds
from cnitrail.model import Verdict
from cnitrail.model.flow_fields import DEFAULT, field_of
from cnitrail.model.flows import FlowBlock, FlowEnd
from cnitrail.render.flows import LineWriter, OpenWriter
from cnitrail.render.flows.csv_lines import CsvLines
from cnitrail.render.flows.json_lines import JsonLines
from cnitrail.workflows.flows.joining import BlockJoiner, JoinedBlock

HOLDS_FOR = 100
"""Seconds for which an answer about an end stays the same here."""

FIELD = st.one_of(
    st.sampled_from(
        [b"-", b"", b"7", b"007", b"-7", b"=1", b"OK", b"ACCEPT", b"REJECT", b"NODATA", b"SKIPDATA"]
    ),
    st.sampled_from([b"1767225671", b"1767225671000", b"1767225999", b"9" * 30, b"a;=1", b'"', b"\x1b[0m"]),
    st.binary(max_size=5).map(lambda value: value.translate(None, b" \r\n")),
)
USUAL = b"2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 3 40 1767225671 1767225680 ACCEPT OK".split()
RECORDS = st.lists(st.dictionaries(st.integers(0, 13), FIELD, max_size=3), max_size=6)
WRITERS: tuple[OpenWriter, ...] = (CsvLines, JsonLines)


class EndsByTime:
    """Ends that are named after the time for which they stay the same."""

    def stand_in(self, text: str) -> None:
        """Every address is one of its own."""

    def join(self, key: FlowKey, first: int, last: int) -> JoinedEnds:
        """Return both ends of a flow."""
        begin = first - first % HOLDS_FOR
        is_one = last < begin + HOLDS_FOR
        end = FlowEnd(ip=key.src, verdict=Verdict.CERTAIN, kind="node", eni=(f"eni-{begin}",))
        return JoinedEnds(
            bounds=IntervalBounds(
                first_from=begin if is_one else first,
                first_to=begin + HOLDS_FOR - 1 if is_one else first,
                last_from=begin if is_one else last,
                last_to=begin + HOLDS_FOR - 1 if is_one else last,
            ),
            src=end,
            dst=end,
            local="src",
            confirmed=(),
            contradicted=(),
        )


def joiner(open_writer: OpenWriter) -> BlockJoiner:
    """Return a joiner that knows what each time shows."""
    return BlockJoiner(cast("FlowEnds", EndsByTime()), open_writer)


def field_by_field(open_writer: OpenWriter) -> OpenWriter:
    """Return writers of which none writes rows, so that every field is read."""

    def opened(columns: tuple[str, ...], fields: tuple[str, ...]) -> LineWriter:
        writer = open_writer(columns, fields)
        writer.plain = lambda text, separator: None  # type: ignore[method-assign]
        return writer

    return opened


def block(
    lines: Sequence[bytes], columns: tuple[str, ...] = DEFAULT, first: int = 0, separator: bytes = b" "
) -> FlowBlock:
    """Return some records as they are read."""
    text = b"".join(line + b"\n" for line in lines)
    return FlowBlock(uri="x", columns=columns, text=text, first=first, separator=separator)


def joined(*lines: bytes, columns: tuple[str, ...] = DEFAULT) -> JoinedBlock:
    """Return records joined as CSV."""
    return joiner(CsvLines).join(block(lines, columns))


class TestBothWays:
    @given(st.lists(RECORDS, max_size=3))
    def test_a_row_is_written_like_a_record_of_which_every_field_is_read(
        self, blocks: list[list[dict[int, bytes]]]
    ) -> None:
        for open_writer in WRITERS:
            fast, slow = joiner(open_writer), joiner(field_by_field(open_writer))
            for changes in blocks:
                changed = [{}, {}, *changes]
                lines = [
                    b" ".join(change.get(place, value) for place, value in enumerate(USUAL))
                    for change in changed
                ]
                assert fast.join(block(lines)) == slow.join(block(lines))
            assert fast.take_tally().summary() == slow.take_tally().summary()

    @given(RECORDS, st.permutations(range(14)))
    def test_records_of_any_order_are_joined_alike(
        self, changes: list[dict[int, bytes]], order: list[int]
    ) -> None:
        columns = tuple(DEFAULT[place] for place in order)
        lines = [
            b" ".join(change.get(place, USUAL[place]) for place in order) for change in [{}, {}, *changes]
        ]
        usual = joiner(JsonLines).join(block(lines, columns))
        assert usual == joiner(field_by_field(JsonLines)).join(block(lines, columns))


class TestRecords:
    def test_a_record_without_traffic_has_no_ends(self) -> None:
        found = joined(b"2 1 eni-1 - - - - - - - 1767225600 1767225660 - NODATA")
        assert found.text == b"2,1,eni-1,-,-,-,-,-,-,-,1767225600,1767225660,-,NODATA" + b"," * 22 + b"\n"
        assert (found.counts.records, found.counts.no_data, found.counts.joined) == (1, 1, 0)

    def test_lost_records_are_counted(self) -> None:
        found = joined(b"2 1 eni-1 - - - - - - - 1767225600 1767225660 - SKIPDATA")
        assert (found.counts.records, found.counts.skip_data) == (1, 1)

    def test_a_record_without_traffic_is_none_of_a_flow_in_a_format_without_the_status(self) -> None:
        columns = ("interface-id", "srcaddr", "dstaddr", "packets", "start", "end", "pkt-srcaddr")
        found = joined(b"eni-1 - - - 1767225600 1767225660 -", columns=columns)
        assert found.text == b"eni-1,-,-,-,1767225600,1767225660,-" + b"," * 22 + b"\n"
        assert (found.counts.records, found.counts.no_data, found.counts.joined) == (1, 1, 0)

    def test_a_record_with_one_address_is_of_a_flow_in_a_format_without_the_status(self) -> None:
        columns = ("interface-id", "srcaddr", "dstaddr", "packets", "start", "end")
        found = joined(b"eni-1 10.0.0.1 - - 1767225600 1767225660", columns=columns)
        assert (found.counts.records, found.counts.no_data, found.counts.joined) == (1, 0, 1)

    def test_a_record_of_a_format_without_addresses_and_counts_is_of_a_flow(self) -> None:
        found = joined(b"eni-1 1767225600 1767225660", columns=("interface-id", "start", "end"))
        assert (found.counts.records, found.counts.no_data, found.counts.joined) == (1, 0, 1)

    @pytest.mark.parametrize(
        "times",
        [
            b"1767225671 1767225680",
            b"1767225671000 1767225680999",
            b"1767225671 1767225680999",
            b"1767225671000000 1767225680999999",
            b"1767225671000000000 1767225680999999999",
        ],
    )
    def test_times_may_be_in_milliseconds_or_finer(self, times: bytes) -> None:
        found = joined(b"2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 3 40 " + times + b" ACCEPT OK")
        assert b",eni-1767225600," in found.text

    @pytest.mark.parametrize(
        ("times", "reason"),
        [
            (b"1767225680 1767225671", "record 0: start 1767225680 is after end 1767225671"),
            (b"- -", "record 0: '-' is no time"),
            (b"now later", "record 0: 'now' is no time"),
            (b"1 " + b"9" * 40, f"record 0: '{'9' * 40}' is no time"),
        ],
    )
    def test_a_record_without_an_interval_is_skipped(self, times: bytes, reason: str) -> None:
        found = joined(b"2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 3 40 " + times + b" ACCEPT OK")
        assert [skipped.reason for skipped in found.skipped] == [reason]
        assert (found.text, found.counts.records, found.counts.records_skipped) == (b"", 1, 1)

    def test_a_record_of_another_format_is_skipped(self) -> None:
        found = joined(b"2 1 eni-1", b" ".join(USUAL))
        assert [skipped.reason for skipped in found.skipped] == ["record 0: 3 fields, and not 14"]
        assert found.counts.joined == 1

    def test_blank_lines_are_no_records(self) -> None:
        assert joined(b"", b" ".join(USUAL), b"").counts.records == 1

    def test_line_ends_of_windows_are_no_part_of_a_field(self) -> None:
        assert joined(b" ".join(USUAL) + b"\r").text == joined(b" ".join(USUAL)).text

    def test_only_a_line_feed_ends_a_record(self) -> None:
        found = joined(b" ".join(USUAL).replace(b"eni-1", b"eni\x0b\xc2\x85-1"))
        assert found.counts.records == 1

    def test_an_answer_is_forgotten_when_its_time_is_over(self) -> None:
        line = b"2 1 eni-1 10.0.0.1 10.0.0.2 1 2 6 3 40 %d %d ACCEPT OK"
        found = joined(line % (1767225671, 1767225680), line % (1767225871, 1767225880))
        assert b",eni-1767225600," in found.text.splitlines()[0]
        assert b",eni-1767225800," in found.text.splitlines()[1]

    def test_columns_may_have_the_names_of_parquet(self) -> None:
        columns = tuple(column.replace("-", "_") for column in DEFAULT)
        assert tuple(map(field_of, columns)) == DEFAULT
        assert joined(b" ".join(USUAL), columns=columns).text == joined(b" ".join(USUAL)).text
