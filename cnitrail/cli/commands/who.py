"""``cnitrail who``."""

from __future__ import annotations

import sys
from typing import IO, TYPE_CHECKING, Any

import click

from cnitrail.cli.options import Time, request_options
from cnitrail.cli.outputs import output_option
from cnitrail.cli.stderr import say
from cnitrail.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from cnitrail.answers.filters import Filter
    from cnitrail.answers.who import HolderIndex
    from cnitrail.cli.inputs.questions import Question, UnreadableLine
    from cnitrail.model import WhoAnswer
    from cnitrail.workflows.request import Request

_SHOWN = 10


@click.command()
@click.option("--at", type=Time(), help="The time: ISO 8601, epoch seconds, an age (2h).")
@click.option(
    "--batch",
    type=click.File("r", encoding="utf-8", errors="replace"),
    metavar="FILE",
    help="Answer many: CSV with a header ip,at[,vpc,account], or JSON lines; - for stdin.",
)
@request_options("vpc", "account", "region", "since", "until", metavar="[IP] [SOURCE]...")
@output_option("who")
def who(request: Request, at: datetime | None, batch: IO[str] | None, output: str) -> None:
    """Which interface and instance held an address at a time, and who gave it.

    \b
    The verdict says how far to trust the answer:
      certain    one holder; its start and end are both observed, around the time
      likely     one holder, but a bound is implied, unknown or still open
      ambiguous  more than one holder fits: two VPCs, or a change in that very second
      unknown    no interval in the evidence covers the time

    --since and --until bound what is read of a bucket or of lookup:, not the answer.

    \b
    Examples:
      cnitrail who 192.168.53.76 logs/ --at 2022-10-05T14:00Z
      cnitrail who --batch flows.csv logs/ -o jsonl
    """
    from ipaddress import ip_network

    from msgspec.structs import replace

    from cnitrail.answers.who import HolderIndex
    from cnitrail.cli.inputs.questions import Question, UnreadableLine, read_questions
    from cnitrail.cli.printing import respond
    from cnitrail.model import Coverage
    from cnitrail.workflows.proof import can_have_digests
    from cnitrail.workflows.read import ask

    questions: list[Question | UnreadableLine]
    asked: dict[str, Any]
    if batch is None:
        questions = [_single(request.sources, at)]
        request = replace(request, sources=request.sources[1:])
        asked = {"ip": questions[0].ip, "at": at}
    else:
        _check_batch(request.sources, batch, at)
        questions = list(read_questions(batch))
        asked = {"questions": len(questions)}
    addresses = {ip_network(each.ip) for each in questions if isinstance(each, Question)}
    history, evidence = ask(replace(request, wanted=replace(request.wanted, ip=tuple(addresses))))
    witness = HolderIndex(history, Coverage(evidence.coverage, evidence.lost), verified=evidence.verified)
    answers = list(_answers(witness, questions, request.wanted))
    status = respond(request, output, evidence, answers, **asked)
    if not request.quiet and any(map(can_have_digests, request.sources)) and not request.verify:
        say("merely read; --verify proves it with CloudTrail's digests")
    unreadable = [each for each in questions if isinstance(each, UnreadableLine)]
    for each in unreadable[:_SHOWN]:
        say(f"not a question: {each.reason}")
    if len(unreadable) > _SHOWN:
        say(f"not a question: {len(unreadable) - _SHOWN} more; each answer says why")
    sys.exit(3 if unreadable else status)


def _check_batch(sources: tuple[str, ...], batch: IO[str], at: datetime | None) -> None:
    """Refuse what does not go with ``--batch``. Raises ``UsageError``."""
    from contextlib import suppress

    from cnitrail.cli.inputs.questions import read_address

    if at is not None:
        raise UsageError("--at does not go with --batch: each question has its own time")
    is_stdin = getattr(batch, "name", "<stdin>") == "<stdin>"
    if "-" in sources and is_stdin:
        raise UsageError("--batch and a source cannot both be standard input", "put one of them in a file")
    with suppress(ValueError):
        read_address(sources[0] if sources else "")
        raise UsageError(f"{sources[0]}: an address does not go with --batch: the questions name theirs")


def _single(arguments: tuple[str, ...], at: datetime | None) -> Question:
    from cnitrail.cli.inputs.questions import Question, read_address

    if not arguments:
        raise UsageError("which address?", "cnitrail who 192.168.53.76 logs/ --at 2022-10-05T14:00Z")
    if at is None:
        raise UsageError("at which time?", "add --at, for example --at 2022-10-05T14:00Z or --at 2h")
    try:
        return Question(read_address(arguments[0]), at, None, None)
    except ValueError:
        raise UsageError(
            f"{arguments[0]!r} is not an address", "give the address first, then the sources"
        ) from None


def _answers(
    witness: HolderIndex, questions: Iterable[Question | UnreadableLine], wanted: Filter
) -> Iterator[WhoAnswer]:
    from msgspec.structs import replace

    from cnitrail.cli.inputs.questions import Question
    from cnitrail.model import Verdict, WhoAnswer

    for asked in questions:
        if isinstance(asked, Question):
            narrowed = replace(
                wanted,
                vpc=(asked.vpc,) if asked.vpc else wanted.vpc,
                account=(asked.account,) if asked.account else wanted.account,
            )
            yield witness.who(asked.ip, asked.at, narrowed)
        else:
            yield WhoAnswer(asked.ip, None, Verdict.UNKNOWN, (), (asked.reason,), None)
