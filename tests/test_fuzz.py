"""The targets of ``fuzz/`` with a few inputs each; ``python -m fuzz`` tries a million.

Inputs that once failed are in ``fuzz/corpus``, and are tried here every time.
"""

import json
import os
import signal
from collections.abc import Callable
from importlib import import_module
from random import Random

import pytest

from cnitrail.decode import NAMES
from fuzz.engine import Fault, attempt, attempts, input_of
from fuzz.minimize import minimized
from fuzz.mutate import MAX_INPUT
from fuzz.run import Part, parts_of, run
from fuzz.seeds import CORPUS, seeds_in
from fuzz.targets import TARGETS, Target

SEED = 8
INPUTS = 6_000
"""How many are tried of all targets together, a few seconds long."""

PARTS = parts_of(tuple(TARGETS.values()), INPUTS)


def listed(faults: list[Fault]) -> str:
    return "\n".join(f"{fault.why}\nof {fault.data!r}" for fault in faults)


class TestTargets:
    @pytest.mark.parametrize("name", TARGETS)
    def test_every_input_of_the_corpus_does_no_harm(self, name: str) -> None:
        target = TARGETS[name]
        faults = [attempt(target, data) for data in seeds_in(target.corpus)]
        assert not any(faults), listed(list(filter(None, faults)))

    @pytest.mark.parametrize("part", PARTS, ids=lambda part: part.target.name)
    def test_generated_inputs_do_no_harm(
        self, part: Part, record_property: Callable[[str, object], None]
    ) -> None:
        faults = attempts(part.target, seeds_in(part.target.corpus), SEED, part.numbers)
        record_property("inputs", len(part.numbers))
        assert not faults, listed(faults)


class TestCorpus:
    def test_it_has_every_known_event(self) -> None:
        records = json.loads((CORPUS / "records" / "every-event.json").read_bytes())
        assert {record["eventName"] for record in records} >= set(NAMES)

    def test_it_is_small(self) -> None:
        sizes = {path.name: path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()}
        assert max(sizes.values()) < 32_000
        assert sum(sizes.values()) < 150_000

    def test_every_folder_of_it_belongs_to_a_target(self) -> None:
        assert {path.name for path in CORPUS.iterdir()} == {target.corpus for target in TARGETS.values()}


class TestInputs:
    def test_a_seed_makes_the_same_inputs_again(self) -> None:
        target = TARGETS["scan"]
        seeds = seeds_in(target.corpus)
        inputs = [input_of(target, seeds, SEED, number) for number in range(100)]
        assert inputs == [input_of(target, seeds, SEED, number) for number in range(100)]
        assert len(set(inputs)) > 90

    def test_most_inputs_made_of_records_are_records_again(self) -> None:
        target = TARGETS["decode"]
        inputs = [input_of(target, seeds_in(target.corpus), SEED, number) for number in range(200)]
        assert sum(isinstance(readable(data), list) for data in inputs) > 120

    @pytest.mark.parametrize("name", ["decode", "scan"])
    def test_no_input_is_longer_than_the_limit(self, name: str) -> None:
        target = TARGETS[name]
        data = b"[" + b'{"a":["b"]},' * 9_000 + b"{}]"
        for number in range(20):
            assert len(target.mutate(data, Random(number))) <= MAX_INPUT


def readable(data: bytes) -> object:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def target_of(check: object) -> Target:
    return Target("planted", check, "options")  # type: ignore[arg-type]


def stumble(data: bytes) -> None:
    if b"5" in data:
        raise KeyError(data)


def len_of(data: bytes) -> None:
    if len(data) == 150_000:
        raise ValueError(data)


class TestFaults:
    """Every kind of fault is found, with its input."""

    def test_an_error_is_found(self) -> None:
        (fault,) = attempts(target_of(stumble), seeds_in("options"), SEED, range(50))
        assert fault.kind.startswith("KeyError at tests/test_fuzz.py:")
        assert fault.data == b"5"

    def test_a_hang_is_found_even_if_the_target_catches_everything(self) -> None:
        def hang(_: bytes) -> None:
            while True:
                try:
                    sum(range(1000))
                except Exception:  # noqa: BLE001  as careless code would
                    continue

        fault = attempt(target_of(hang), b"x", seconds=0.05)
        assert fault is not None
        assert fault.kind.startswith("Hang at ")

    def test_excessive_memory_is_found(self) -> None:
        fault = attempt(target_of(lambda _: None), b"x", memory=-1)
        assert fault is not None
        assert fault.kind.startswith("TooMuch at ")

    def test_a_dying_process_is_found(self) -> None:
        def die(_: bytes) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        (outcome,) = run([Part(target_of(die), range(3, 9))], SEED)
        assert outcome.inputs == 1
        (fault,) = outcome.faults
        assert fault.kind == "process ended with -9"
        assert fault.data == input_of(target_of(die), seeds_in("options"), SEED, 3)

    def test_a_dying_process_with_an_input_longer_than_a_pipe_buffer_is_found(self) -> None:
        target = Target("planted", len_of, "options", lambda _, __: b"x" * 150_000)
        (outcome,) = run([Part(target, range(1))], SEED)
        assert [fault.kind.partition(" ")[0] for fault in outcome.faults] == ["ValueError"]

    @pytest.mark.parametrize(
        ("name", "written"),
        [
            ("timeline-table", "printable"),
            ("timeline-jsonl", "printable_json"),
            ("timeline-csv", "spreadsheet"),
        ],
    )
    def test_unescaped_text_is_found(self, name: str, written: str, monkeypatch: pytest.MonkeyPatch) -> None:
        for room in ("text", "json", "csv"):
            if hasattr(import_module(f"cnitrail.render.{room}"), written):
                monkeypatch.setattr(f"cnitrail.render.{room}.{written}", str)
        target = TARGETS[name]
        (fault, *_) = attempts(target, seeds_in(target.corpus), SEED, range(100))
        assert fault.kind.startswith("AssertionError at fuzz/targets/invariants.py:")

    def test_the_smallest_input_is_kept(self) -> None:
        data = json.dumps([{"a": 1}, {"b": [{"c": "x" * 100, "needed": None}]}, 3]).encode()

        def fails(less: bytes) -> bool:
            return isinstance(readable(less), list) and b'{"needed"' in less

        assert minimized(data, fails) == b'[{"":[{"needed":null}]}]'


class TestParts:
    def test_the_parts_have_every_input_of_every_target_once(self) -> None:
        parts = parts_of((TARGETS["scan"], TARGETS["decode"]), 60_000)
        for name in ("scan", "decode"):
            numbers = [number for part in parts if part.target.name == name for number in part.numbers]
            assert numbers == list(range(len(numbers)))
        assert 60_000 <= sum(len(part.numbers) for part in parts) <= 60_002
