"""``cnitrail who``."""

from __future__ import annotations

import sys
from typing import IO, TYPE_CHECKING, Any

import click

from cnitrail.cli.help import Command
from cnitrail.cli.options import Time, complete_files, request_options
from cnitrail.cli.outputs import output_option
from cnitrail.cli.stderr import say
from cnitrail.cli.summary import INCOMPLETE
from cnitrail.errors import UsageError
from cnitrail.parse import parse_address

if TYPE_CHECKING:
    from datetime import datetime

    from cnitrail.api import Case
    from cnitrail.cli.inputs.questions import Question, UnreadableLine
    from cnitrail.model import WhoAnswer
    from cnitrail.workflows.request import Request

_MAX_SHOWN = 10


class QuestionFile(click.File):
    """A file of questions; ``-`` is standard input, unless that is closed."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the open file. Raises ``SourceError`` if it is standard input and that is closed."""
        from cnitrail.sources.files import standard_input

        if value == "-":
            standard_input()
        return super().convert(value, param, ctx)


@click.command(cls=Command)
@click.option("--at", type=Time(), help="Point in time: ISO 8601, epoch seconds, or relative (2h, 3d).")
@click.option(
    "--batch",
    type=QuestionFile("r", encoding="utf-8", errors="replace"),
    metavar="FILE",
    shell_complete=complete_files,
    help="Answer many questions: CSV with a header ip,at[,vpc,account], or JSON lines; - for stdin.",
)
@request_options("vpc", "account", "region", "since", "until", metavar="[IP] [SOURCE]...")
@output_option("who")
def who(request: Request, at: datetime | None, batch: IO[str] | None, output: str) -> None:
    """Find who held an address at a given time, and who assigned it.

    \b
    The verdict is the confidence in the answer:
      certain    one holder; its start and end are both logged, around that time
      likely     one holder, but a start or end is inferred, unknown or still open
      ambiguous  more than one holder is possible: two VPCs, or a change in that second
      unknown    no holder in the evidence at that time

    --since and --until limit what is read from a bucket or from lookup:, not the answer.

    \b
    Examples:
      cnitrail who 192.168.53.76 logs/ --at 2022-10-05T14:00Z
      cnitrail who 192.168.53.76 s3://audit-logs --at 2h --since 1d --verify
      cnitrail who --batch flows.csv logs/ -o jsonl
    """
    from ipaddress import ip_network

    from msgspec.structs import replace

    from cnitrail.cli.inputs.questions import Question, UnreadableLine, read_questions
    from cnitrail.cli.printing import respond
    from cnitrail.cli.quiet import inform
    from cnitrail.cli.reading import read_case
    from cnitrail.sources import source_type

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
    addresses = {ip_network(question.ip) for question in questions if isinstance(question, Question)}
    case = read_case(replace(request, wanted=replace(request.wanted, ip=tuple(addresses))))
    answers = [_answer(case, question) for question in questions]
    status = respond(request, output, case.evidence, answers, **asked)
    if not request.verify and any(source_type(uri).has_digests for uri in request.sources):
        inform("log integrity not verified (add --verify)")
    unreadable = [line for line in questions if isinstance(line, UnreadableLine)]
    for line in unreadable[:_MAX_SHOWN]:
        say(f"not a question: {line.reason}")
    if len(unreadable) > _MAX_SHOWN:
        say(f"not a question: {len(unreadable) - _MAX_SHOWN:,} more; each answer has its reason")
    sys.exit(INCOMPLETE if unreadable else status)


def _check_batch(sources: tuple[str, ...], batch: IO[str], at: datetime | None) -> None:
    """Refuse what does not go with ``--batch``. Raises ``UsageError``."""
    from contextlib import suppress

    if at is not None:
        raise UsageError("--at does not go with --batch: each question has its own time")
    is_stdin = getattr(batch, "name", "<stdin>") == "<stdin>"
    if "-" in sources and is_stdin:
        raise UsageError("--batch and a source cannot both be standard input", "put one of them in a file")
    with suppress(ValueError):
        parse_address(sources[0] if sources else "")
        raise UsageError(f"{sources[0]}: an address does not go with --batch: the questions name theirs")


def _single(arguments: tuple[str, ...], at: datetime | None) -> Question:
    from cnitrail.cli.inputs.questions import Question

    if not arguments:
        raise UsageError("IP is required", "cnitrail who 192.168.53.76 logs/ --at 2022-10-05T14:00Z")
    if at is None:
        raise UsageError("--at is required", "for example --at 2h or --at 2022-10-05T14:00Z")
    try:
        return Question(parse_address(arguments[0]), at, None, None)
    except ValueError:
        raise UsageError(
            f"{arguments[0]!r} is not an IP address", "give the address first, then the sources"
        ) from None


def _answer(case: Case, asked: Question | UnreadableLine) -> WhoAnswer:
    from cnitrail.cli.inputs.questions import Question
    from cnitrail.model import Verdict, WhoAnswer
    from cnitrail.model.reason import Reason, ReasonCode

    if isinstance(asked, Question):
        return case.who(asked.ip, asked.at, vpc=asked.vpc, account=asked.account)
    return WhoAnswer(
        ip=asked.ip,
        at=None,
        verdict=Verdict.UNKNOWN,
        holders=(),
        reasons=(Reason(ReasonCode.UNREADABLE_QUESTION, asked.reason),),
        rests_on=None,
    )
