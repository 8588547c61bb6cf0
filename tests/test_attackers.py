"""What an attacker can choose never becomes a fact, tried in simulated worlds with an attacker.

``--worlds`` sets how many; ``nox -s search`` tries many more.
"""

import csv
import io
import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from attacker import NOT_THEIRS, Attack, attacked
from click.testing import CliRunner
from forger import Forgery, Sealed, forgery, sealed
from signed_trail import BUCKET, write_copy
from simulator import LogFile, Question, World, questions, timestamp, write

from cnitrail.cli import main

Answer = dict[str, Any]
RUNNER = CliRunner()
FORGERIES = 20
"""How often each signed trail is forged, as signing one is slow."""


def run(*arguments: str) -> list[Answer]:
    """Return the answer of a command, one JSON object per line."""
    result = RUNNER.invoke(main, [*arguments, "-o", "jsonl", "-q"])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code in (0, 3), result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def who(folder: Path, asked: Sequence[Question], *more: str) -> list[tuple[Answer, Answer]]:
    """Return the answers to questions, with and without the VPC."""
    text = io.StringIO()
    lines = csv.writer(text)
    lines.writerow(("ip", "at", "vpc"))
    for question in asked:
        lines.writerow((question.ip, timestamp(question.second), question.vpc))
        lines.writerow((question.ip, timestamp(question.second), ""))
    batch = folder.parent / "questions.csv"
    batch.write_text(text.getvalue(), encoding="utf-8")
    answers = run("who", "--batch", str(batch), str(folder), *more)
    return list(zip(answers[::2], answers[1::2], strict=True))


def facts(answer: Answer) -> set[tuple[str, str | None, str | None]]:
    """Return the holders of an answer: ENI, instance, VPC."""
    return {(holder["eni"], holder["instance"], holder["vpc"]) for holder in answer["holders"]}


Complaint = tuple[str, str]
"""The promise that was broken, and how."""


def wrong_certain(world: World, question: Question, answer: Answer) -> Iterator[Complaint]:
    """Yield a complaint if an answer is certain, and its holder, instance or VPC is wrong."""
    if answer["verdict"] != "certain":
        return
    ((eni, instance, vpc),) = facts(answer)
    held = world.holders_throughout(question.ip, question.second)
    if eni not in {holder for _, holder in held}:
        yield "no wrong certain holder", f"{question} {answer}"
    elif vpc is not None and (vpc, eni) not in held:
        yield "no wrong certain VPC", f"{question} {answer}"
    elif instance is not None and instance not in world.attached(eni, question.second):
        yield "no wrong certain instance", f"{question} {answer}"


class Evidence:
    """A world's log files on disk, and cnitrail's answers from them."""

    def __init__(self, place: Path, files: list[LogFile]) -> None:
        self.folder = place / "logs"
        shutil.rmtree(self.folder, ignore_errors=True)
        write(files, self.folder)

    def timeline(self) -> list[Answer]:
        return run("timeline", str(self.folder))

    def who(self, asked: Sequence[Question]) -> list[tuple[Answer, Answer]]:
        return who(self.folder, asked)


def stated(attack: Attack, entry: Answer) -> Iterator[Complaint]:
    """Return the claims of an attacker's own call that are stated as facts."""
    actor, eni = entry["actor"], entry["eni"]
    if actor["kind"] in NOT_THEIRS:
        yield "no claimed kind", str(entry)
    if actor["instance"] is not None:
        yield "no claimed instance of an actor", str(entry)
    if actor["service_account"] is not None:
        yield "no claimed service account", str(entry)
    if actor["ipamd"] is not None:
        yield "no claimed ipamd", str(entry)
    if entry["eni_kind"] == "cni" and eni not in attack.marked:
        yield "no claimed kind of an interface", str(entry)
    home = attack.homes.get(eni)
    if home == (entry["account"], entry["region"]) and entry["outcome"] == "ok":
        second = int(datetime.fromisoformat(entry["time"]).timestamp())
        known = {None, attack.marked.get(eni), *attack.world.attached(eni, second)}
        if entry["instance"] not in known and entry["instance_basis"] not in ("attach", "launch"):
            yield "no claimed instance of an interface", str(entry)


# without "moved": a call of theirs may really take addresses from others of the attacker's ENIs
_OF_THE_VICTIM = ("eni", "eni_kind", "instance", "vpc", "subnet", "added", "removed", "outcome")
_OF_ITS_ACTOR = ("kind", "service_account", "instance", "ipamd", "arn", "access_key_id")


def said_of(entry: Answer, attack: Attack) -> str:
    """Return the parts of an entry that no other caller may change.

    Addresses that the attacker took or had are left out: the events of those are true.
    """
    removed = [held for held in entry["removed"] if not attack.is_touched(held)]
    entry = entry | {"removed": removed}
    said = [entry[name] for name in _OF_THE_VICTIM], [entry["actor"][name] for name in _OF_ITS_ACTOR]
    return json.dumps(said)


def by_event(entries: Sequence[Answer], attack: Attack) -> dict[str, list[str]]:
    """Return the entries of every event about ENIs whose owner is in the logs, in any order."""
    found: dict[str, list[str]] = {}
    for entry in entries:
        if entry["eni"] not in attack.born:
            continue
        if entry["effect"] == "terminate" and all(map(attack.is_touched, entry["removed"])):
            continue  # an entry of its own only as far as the addresses were still there
        found.setdefault(entry["event_id"], []).append(said_of(entry, attack))
    return {event: sorted(said) for event, said in found.items()}


def complaints(attack: Attack, place: Path) -> Iterator[Complaint]:
    """Return every broken promise in one world whose attacker calls harmless APIs."""
    if not attack.innocent or not attack.files:
        return
    asked = list(questions(attack.world, attack.delivery, count=25))
    innocent = Evidence(place, attack.innocent)
    before, calm = by_event(innocent.timeline(), attack), innocent.who(asked)
    evidence = Evidence(place, attack.files)
    entries, answers = evidence.timeline(), evidence.who(asked)
    for entry in entries:
        if entry["event_id"] in attack.planted:
            yield "no text inside a record is a record", str(entry)
        if entry["event_id"] in attack.theirs:
            yield from stated(attack, entry)
    after = by_event(entries, attack)
    for event, said in before.items():
        if after.get(event) != said:
            yield "nothing else said of others' calls", f"{said} {after.get(event)}"
    ours = {(account, vpc.region) for vpc in attack.world.vpcs for account in vpc.accounts}
    for question, pair, pair_before in zip(asked, answers, calm, strict=True):
        for answer, without in zip(pair, pair_before, strict=True):
            if {
                (holder["account"], holder["region"]) for holder in answer["holders"]
            } <= ours:  # theirs is true
                yield from wrong_certain(attack.world, question, answer)
            is_theirs = attack.is_touched(question.ip)
            if without["verdict"] == "certain" and not is_theirs and not facts(without) <= facts(answer):
                yield "no other holder of others' addresses", f"{question} {without} {answer}"


def seeds(config: pytest.Config, share: float) -> Iterator[int]:
    """Return the numbers of the worlds to try: a share of ``--worlds``."""
    first = config.getoption("--first-world")
    yield from range(first, first + max(1, int(config.getoption("--worlds") * share)))


def gathered(seeds: Iterable[int], complain: Callable[[int], Iterable[Complaint]]) -> dict[str, list[str]]:
    """Return complaints by broken promise, each with the number of its world."""
    found: dict[str, list[str]] = defaultdict(list)
    for seed in seeds:
        for promise, how in complain(seed):
            found[promise].append(f"world {seed}: {how}")
    return found


@pytest.fixture(scope="module")
def callers(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Broken promises in worlds whose attacker calls harmless APIs."""
    place = tmp_path_factory.mktemp("callers")
    return gathered(seeds(pytestconfig, 0.5), lambda seed: complaints(attacked(seed), place))


class TestApiCaller:
    @pytest.mark.parametrize(
        "promise",
        [
            "no wrong certain holder",
            "no wrong certain VPC",
            "no wrong certain instance",
            "no claimed kind",
            "no claimed instance of an actor",
            "no claimed service account",
            "no claimed ipamd",
            "no claimed kind of an interface",
            "no claimed instance of an interface",
            "no text inside a record is a record",
            "nothing else said of others' calls",
            "no other holder of others' addresses",
        ],
    )
    def test_gets(self, promise: str, callers: dict[str, list[str]]) -> None:
        broken = callers.get(promise, [])
        assert not broken, f"{len(broken)} times, as in {broken[0]}"


class Bucket:
    """A copy of a signed trail on disk, which a forger changes and restores."""

    def __init__(self, place: Path, of: Sealed) -> None:
        self.folder = place / "trail"
        self._of = of
        shutil.rmtree(self.folder, ignore_errors=True)
        write_copy(of.objects, self.folder)
        (self.folder / "SHA256SUMS").unlink()  # a bucket does not have it

    def put(self, changes: Forgery) -> None:
        """Change some objects of the bucket."""
        for key, stored in changes.items():
            path = self.folder / BUCKET / key
            beside = path.with_name(f"{path.name}.s3.json")
            path.unlink(missing_ok=True)
            beside.unlink(missing_ok=True)
            if stored is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(stored.body)
                if stored.metadata:
                    metadata = {
                        "bucket": BUCKET,
                        "key": key,
                        "metadata": dict(sorted(stored.metadata.items())),
                    }
                    beside.write_text(json.dumps(metadata, separators=(",", ":")), encoding="utf-8")

    def restore(self, changes: Forgery) -> None:
        """Restore the bucket."""
        self.put({key: self._of.objects.get(key) for key in changes})

    def who(self, asked: Sequence[Question]) -> list[tuple[Answer, Answer]]:
        return who(self.folder, asked, "--verify")


def proven_facts(answer: Answer) -> set[tuple[str | None, ...]]:
    """Return the holders of an answer, and the service account that assigned the address."""
    return {
        (
            holder["eni"],
            holder["instance"],
            holder["vpc"],
            (holder["assigned_by"] or {}).get("service_account"),
        )
        for holder in answer["holders"]
    }


def _agrees(said: str | None, known: str | None) -> bool:
    return said in (None, known)


def forged(number: int, place: Path) -> Iterator[Complaint]:
    """Return every broken promise for one signed trail and its forgeries."""
    of = sealed(number)
    asked = list(questions(of.world, of.delivery, count=12, seed=number)) if of.world.holdings else []
    if not asked:
        return
    bucket = Bucket(place, of)
    sound = bucket.who(asked)
    for question, pair in zip(asked, sound, strict=True):
        for answer in pair:
            yield from wrong_certain(of.world, question, answer)
    for forgery_number in range(FORGERIES):
        changes = forgery(of, number * FORGERIES + forgery_number)
        bucket.put(changes)
        answers = bucket.who(asked)
        bucket.restore(changes)
        which = f"forgery {number * FORGERIES + forgery_number} {[*changes][:2]}"
        for question, pair, pair_before in zip(asked, answers, sound, strict=True):
            for answer, before in zip(pair, pair_before, strict=True):
                for promise, how in wrong_certain(of.world, question, answer):
                    yield promise, f"{which}: {how}"
                is_proven = answer["rests_on"] == "proven"
                said, known = proven_facts(answer), proven_facts(before)
                if is_proven and not all(any(all(map(_agrees, one, two)) for two in known) for one in said):
                    yield "no wrong proven answer", f"{which}: {before} {answer}"
                elif is_proven and said != known:
                    yield "nothing hidden in a proven answer", f"{which}: {before} {answer}"
                if answer["verdict"] == "certain" and not is_proven:
                    yield "no certain answer without proof", f"{which}: {answer}"


@pytest.fixture(scope="module")
def forgers(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Broken promises for signed trails whose bucket an attacker can write to."""
    place = tmp_path_factory.mktemp("forgers")
    return gathered(seeds(pytestconfig, 0.02), lambda seed: forged(seed, place))


class TestBucketWriter:
    @pytest.mark.parametrize(
        "promise",
        [
            "no wrong certain holder",
            "no wrong certain VPC",
            "no wrong certain instance",
            "no wrong proven answer",
            "nothing hidden in a proven answer",
            "no certain answer without proof",
        ],
    )
    def test_gets(self, promise: str, forgers: dict[str, list[str]]) -> None:
        broken = forgers.get(promise, [])
        assert not broken, f"{len(broken)} times, as in {broken[0]}"

    def test_nothing_wrong_while_an_intact_trail_proves_most_answers(self, tmp_path: Path) -> None:
        """Otherwise the test above would try nothing."""
        answers = []
        for number in range(10):
            of = sealed(number)
            bucket = Bucket(tmp_path, of)
            asked = list(questions(of.world, of.delivery, count=12, seed=number))
            answers += [answer for answer, _ in bucket.who(asked) if answer["holders"]]
        proven = sum(answer["rests_on"] == "proven" for answer in answers)
        assert proven > 0.8 * len(answers)
