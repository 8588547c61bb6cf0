"""YAML output of AWS's APIs: only what JSON has, too, and one element of a list at a time."""

import json
import tracemalloc
from collections.abc import Iterator

import export_forms as forms
import pytest
import records as r

from cnitrail.scan.containers.streams import TornStream
from cnitrail.scan.split import UnreadableSpan
from cnitrail.scan.yaml_text import looks_like_yaml, yaml_values

ASSIGNED = r.GOOD["AssignPrivateIpAddresses"]
STORY = [r.GOOD["RunInstances"], r.WEB_IDENTITY, ASSIGNED]


def values_of(text: bytes, size: int = 1 << 20) -> list[object]:
    return list(yaml_values(iter([text[at : at + size] for at in range(0, len(text), size)])))


def only_reason(text: bytes) -> str:
    (span,) = values_of(text)
    assert isinstance(span, UnreadableSpan)
    return span.reason


class TestValues:
    @pytest.mark.parametrize("size", [1, 61, 1 << 20])
    def test_events_are_yielded_one_by_one_in_their_envelope(self, size: int) -> None:
        values = values_of(forms.lookup_events_yaml(STORY), size)
        assert len(values) == 3
        for value, record in zip(values, STORY, strict=True):
            match value:
                case {"Events": [{"CloudTrailEvent": str(text), "EventTime": str(time)}]}:
                    assert json.loads(text) == record
                    assert time == "2024-05-14T09:30:00+00:00"
                case _:
                    pytest.fail(str(value))

    def test_a_record_is_what_it_would_be_as_json(self) -> None:
        import yaml

        assert values_of(yaml.safe_dump(ASSIGNED).encode()) == [ASSIGNED]
        assert values_of(yaml.safe_dump_all([ASSIGNED, r.WEB_IDENTITY]).encode()) == [
            ASSIGNED,
            r.WEB_IDENTITY,
        ]

    def test_a_list_of_texts_is_yielded_one_by_one(self) -> None:
        assert values_of(b"- '{\"a\": 1}'\n- b\n") == ['{"a": 1}', "b"]

    def test_what_is_beside_a_long_list_is_no_value(self) -> None:
        text = b"nextToken: x\nevents:\n- message: a\n- message: b\nsearchedLogStreams: []\n"
        assert values_of(text) == [{"events": [{"message": "a"}]}, {"events": [{"message": "b"}]}]

    def test_an_empty_list_has_no_elements(self) -> None:
        assert values_of(b"Events: []\n") == []
        assert values_of(b"") == []

    def test_times_stay_text_and_json_has_its_types(self) -> None:
        text = b"[2024-05-14T09:30:00Z, 2024-05-14, 0123, 1_000, yes, '1', 1, -2, 1.5, null, ~, true, 0x10]"
        assert values_of(text) == [
            *("2024-05-14T09:30:00Z", "2024-05-14", "0123", "1_000", "yes", "1", 1, -2, 1.5),
            *(None, None, True, "0x10"),
        ]

    def test_invalid_utf8_is_replaced(self) -> None:
        assert values_of(b"- \xff\n", 1) == ["\ufffd"]


class TestHostile:
    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (b"a: &x [1]\nb: *x\n", "YAML with aliases"),
            (b"a: !!python/object:os.system {}\n", "YAML with tags"),
            (b"!!binary aGk=\n", "YAML with tags"),
            (b"a: 1\na: 2\n", "YAML that repeats the key 'a'"),
            (b"? [a]\n: b\n", "YAML with a key that is no text"),
            (b"- " * 150 + b"x", "YAML that is nested too deeply"),
        ],
    )
    def test_what_json_does_not_have_is_refused(self, text: bytes, reason: str) -> None:
        assert only_reason(text) == f"{reason}; not read from there on"

    @pytest.mark.parametrize("text", [b"a: 'b", b"\x01", b"[" * 100_000, b"{" * 100_000, b"a: b: c\n", b"%x"])
    def test_broken_yaml_is_told_once(self, text: bytes) -> None:
        assert only_reason(text).startswith("broken YAML (")

    def test_aliases_do_not_expand(self) -> None:
        bomb = b"a: &a [x, x]\n" + b"".join(
            b"%c: &%c [*%c, *%c]\n" % (98 + n, 98 + n, 97 + n, 97 + n) for n in range(20)
        )
        assert only_reason(bomb) == "YAML with aliases; not read from there on"

    def test_elements_before_damage_are_kept(self) -> None:
        first, span = values_of(b"- a\n- *x\n")
        assert first == "a"
        assert isinstance(span, UnreadableSpan)

    def test_a_torn_stream_is_told_once_and_what_it_tore_is_no_value(self) -> None:
        def torn() -> Iterator[bytes]:
            yield b"Events:\n- EventId: a\n- EventId: bcd"
            raise TornStream("the gzip stream ends too early")

        assert list(yaml_values(torn())) == [
            {"Events": [{"EventId": "a"}]},
            UnreadableSpan("the gzip stream ends too early"),
        ]

    @pytest.mark.parametrize("piece", [b"x" * 100_000, b" y,\n" * 25_000, b" z: [],\n" * 10_000])
    def test_a_value_that_never_ends_takes_bounded_memory(
        self, piece: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("cnitrail.scan.yaml_text.RECORD_LIMIT", 4_000_000)

        def endless() -> Iterator[bytes]:
            yield b"[[" if b"," in piece else b"- '"
            for _ in range(200):
                yield piece

        tracemalloc.start()
        (span,) = yaml_values(endless())
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert isinstance(span, UnreadableSpan)
        assert "in YAML is l" in span.reason
        assert peak < 40_000_000


class TestLooks:
    @pytest.mark.parametrize(
        "head",
        [
            forms.lookup_events_yaml(STORY),
            b"Events: []\n",
            b"Records:\n- eventVersion: '1.08'\n",
            b'- \'{"eventVersion":"1.08"}\'\n',
            b"---\n- eventVersion: '1.08'\n",
            b"# a comment\neventVersion: '1.08'\n",
            b"events:\n- eventId: x\n",
            b"results:\n- - field: x\n",
        ],
    )
    def test_output_of_an_api_is_recognized(self, head: bytes) -> None:
        assert looks_like_yaml(head)

    @pytest.mark.parametrize(
        "head",
        [
            b"",
            b'{"Events":[]}',
            b"[1]",
            b"a,b\n1,2\n",
            b"EVENTS\t{}\n",
            b"- a dash\n",
            b"2024: x\n",
            b"Dear all:\n",
        ],
    )
    def test_anything_else_is_not(self, head: bytes) -> None:
        assert not looks_like_yaml(head)
