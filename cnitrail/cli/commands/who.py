"""``cnitrail who``."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any

import click

from cnitrail.cli.click_errors import BadValue
from cnitrail.cli.help import Command
from cnitrail.cli.options import at_option, complete_files, request_options
from cnitrail.cli.outputs import is_queried, output_option
from cnitrail.cli.stderr import say
from cnitrail.cli.summary import INCOMPLETE
from cnitrail.errors import UsageError
from cnitrail.parse import parse_address

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from cnitrail.api import Case
    from cnitrail.cli.inputs.questions import Question, Questions, UnreadableLine
    from cnitrail.model import WhoAnswer
    from cnitrail.model.reason import Reason
    from cnitrail.workflows.request import Request

_MAX_SHOWN = 10


class QuestionFile(click.File):
    """A file of questions; ``-`` is standard input, unless that is closed."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the open file. Raises ``SourceError`` if it is standard input and that is closed."""
        from cnitrail.sources.files import standard_input

        if value == "-":
            standard_input()
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            hint = "name a file with the header ip,at, or with JSON lines; - is standard input"
            raise BadValue(error.message, hint, param, ctx) from None


@click.command(cls=Command)
@at_option("default: now")
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
      free       released before, and complete logs since then assign it to no ENI
      unknown    no holder in the evidence at that time

    With pod evidence among the sources (EKS audit logs, ipamd.log, an eks-log-collector
    archive), the answer names the pod, with a verdict of its own: certain, likely, ambiguous,
    unknown, or none (in the warm pool, or the node's own address). It holds for the whole
    second; if --at has a fraction of a second, for that instant.

    Without --at, the time is now. Logs that end earlier cannot show who holds an address now:
    name a time that they cover.

    --since and --until limit what is read from a bucket or from lookup:, not the answer.

    \b
    Examples:
      cnitrail who 192.168.53.76 logs/ --at 2022-10-05T14:00Z
      cnitrail who 192.168.53.76 s3://audit-logs --at 2h --since 1d --verify
      cnitrail who 192.168.43.87 trail/ audit/ ipamd.log --at 2022-10-05T14:00:05.250Z
      cnitrail who --batch flows.csv logs/ -o jsonl
    """
    from datetime import UTC, datetime
    from ipaddress import ip_network

    from msgspec.structs import replace

    from cnitrail.answers.absent import absent
    from cnitrail.cli.printing import respond
    from cnitrail.cli.reading import read_case
    from cnitrail.model import LeasePeriod

    if batch is not None:
        _check_batch(request.sources, batch, at)
        sys.exit(_answer_batch(request, batch, output))
    question = _single(request.sources, at or datetime.now(UTC).replace(microsecond=0))
    request = replace(request, sources=request.sources[1:])
    wanted = replace(request.wanted, ip=(ip_network(question.ip),))
    period = None if wanted.vpc else LeasePeriod(start=question.at, end=question.at, leases_only=True)
    case = read_case(replace(request, wanted=wanted, period=period))
    answer = case.who(question.ip, question.at)
    limitations = (
        *absent(case.history, case.wanted, narrowed=case.is_narrowed),
        *_limits_of_evidence(case, question.at),
    )
    asked: dict[str, Any] = {"ip": question.ip, "at": question.at}
    status = respond(request, output, case.evidence, [answer], limitations=limitations, **asked)
    if at is None:
        _hint_end(case, answer)
    _hint_verify(request, case)
    sys.exit(status)


def _limits_of_evidence(case: Case, at: datetime | None = None) -> Iterator[Reason]:
    """Yield what the tables leave out, and what was asked for and has no evidence, or was not read."""
    from cnitrail.answers.coverage_text import limits_of_tables, not_delivered, without_evidence

    yield from limits_of_tables(case.coverage)
    yield from without_evidence(case.coverage, case.wanted)
    yield from not_delivered(case.coverage, case.wanted, at)


def _answer_batch(request: Request, batch: IO[str], output: str) -> int:
    """Print the answers to the questions of a file; return the exit status.

    JSON lines and CSV are written as the questions are read, and JSON after they were counted. A table is
    laid out when all of its rows are known.
    """
    from ipaddress import ip_network

    from msgspec.structs import replace

    from cnitrail.cli.inputs.questions import Question, Questions
    from cnitrail.cli.printing import respond
    from cnitrail.cli.reading import read_case
    from cnitrail.cli.streamed import is_by_entry
    from cnitrail.garbage import existing_values_kept
    from cnitrail.model import LeasePeriod
    from cnitrail.sources import source_type, sources_or_default

    is_one_pass = is_by_entry(output)
    is_narrowed = any(source_type(uri).narrows for uri in sources_or_default(request.sources))
    questions = Questions(batch, is_read_twice=is_narrowed or not is_one_pass)
    wanted = request.wanted
    if is_narrowed:
        addresses = {question.ip for question in questions if isinstance(question, Question)}
        wanted = replace(wanted, ip=tuple(map(ip_network, addresses)))
    case = read_case(replace(request, wanted=wanted, period=LeasePeriod(leases_only=True)))
    answers = _Answers(case, questions)
    asked: dict[str, Any] = {} if is_one_pass else {"questions": sum(1 for _ in questions)}
    is_streamed = is_one_pass or (output == "json" and not is_queried())
    limitations = tuple(_limits_of_evidence(case))
    with existing_values_kept():
        entries = answers if is_streamed else list(answers)
        status = respond(request, output, case.evidence, entries, limitations=limitations, **asked)
    _hint_verify(request, case)
    for reason in answers.unreadable:
        say(f"not a question: {reason}")
    more = answers.unreadable_number - len(answers.unreadable)
    if more:
        say(f"not a question: {more:,} more; each answer has its reason")
    return INCOMPLETE if answers.unreadable else status


class _Answers:
    """The answers to questions, in their order, each found when it is asked for.

    ``unreadable`` are the reasons of the first lines that are not questions.
    """

    def __init__(self, case: Case, questions: Questions) -> None:
        self._case = case
        self._questions = questions
        self._number = 0
        self.unreadable: list[str] = []
        self.unreadable_number = 0

    def __len__(self) -> int:
        """Return how many there were."""
        return self._number

    def __iter__(self) -> Iterator[WhoAnswer]:
        from cnitrail.cli.inputs.questions import Question

        answers = self._case.remembered_answers
        for asked in self._questions:
            self._number += 1
            if isinstance(asked, Question):
                yield answers.who(asked.ip, asked.at, asked.vpc, asked.account)
                continue
            self.unreadable_number += 1
            if len(self.unreadable) < _MAX_SHOWN:
                self.unreadable.append(asked.reason)
            yield _unreadable(asked)


def _unreadable(line: UnreadableLine) -> WhoAnswer:
    """Return a line that is not a question as an answer."""
    from cnitrail.model import Verdict, WhoAnswer
    from cnitrail.model.reason import Reason, ReasonCode

    return WhoAnswer(
        ip=line.ip,
        at=None,
        verdict=Verdict.UNKNOWN,
        holders=(),
        reasons=(Reason(ReasonCode.UNREADABLE_QUESTION, line.reason),),
        rests_on=None,
    )


def _hint_verify(request: Request, case: Case) -> None:
    """Print that the logs could be verified, if they were not."""
    from cnitrail.cli.quiet import inform
    from cnitrail.sources import source_type

    has_calls = case.evidence.first_event is not None
    if has_calls and not request.verify and any(source_type(uri).has_digests for uri in request.sources):
        inform("log integrity not verified (add --verify)")


def _check_batch(sources: tuple[str, ...], batch: IO[str], at: datetime | None) -> None:
    """Refuse what cannot be used with ``--batch``. Raises ``UsageError``."""
    if at is not None:
        raise UsageError("--at cannot be used with --batch: each question has its own time")
    is_stdin = getattr(batch, "name", "<stdin>") == "<stdin>"
    if "-" in sources and is_stdin:
        raise UsageError("--batch and a source cannot both be standard input", "put one of them in a file")
    if sources and _is_address(sources[0]):
        raise UsageError(f"{sources[0]}: an address cannot be used with --batch: the questions name theirs")


def _hint_end(case: Case, answer: WhoAnswer) -> None:
    """Print when the evidence ends, if it says nothing of the present."""
    from cnitrail.cli.quiet import inform
    from cnitrail.model import Verdict
    from cnitrail.text import clock, iso

    end = max((reach.last for reach in case.coverage.reaches), default=None)
    is_settled = answer.verdict in (Verdict.CERTAIN, Verdict.FREE)
    if end is not None and answer.at is not None and end < answer.at and not is_settled:
        inform(f"the time asked for is now, and the evidence ends at {clock(end)}")
        inform(f"hint: add --at {iso(end)} to ask about the end of the evidence")


def _single(arguments: tuple[str, ...], at: datetime) -> Question:
    from cnitrail.cli.inputs.questions import Question

    if not arguments:
        raise UsageError("IP is required", "cnitrail who 192.168.53.76 logs/ --at 2022-10-05T14:00Z")
    first, *others = arguments
    if _is_address(first):
        if another := next(filter(_is_address, others), None):
            raise UsageError(
                f"{first} and {another}: one address at a time", "--batch FILE answers many questions"
            )
        return Question(parse_address(first), at, None, None)
    if ip := next(filter(_is_address, others), None):
        from shlex import join

        words = [ip, *(word for word in arguments if word != ip)]
        raise UsageError(f"{first!r} is a source: IP comes first", f"cnitrail who {join(words)}")
    raise UsageError(f"{first!r} is not an IP address", _hint_instead(first, others))


def _hint_instead(first: str, others: Sequence[str]) -> str:
    """Return which command answers about what was given in place of an address."""
    from shlex import join

    from cnitrail.answers.explain import is_block, parse_target

    if is_block(first):
        return f"cnitrail {join(['leases', '--ip', first, *others])}"
    with suppress(UsageError):
        if parse_target(first).is_id:
            return f"cnitrail {join(['explain', first, *others])}"
    return "give the address first, then the sources: cnitrail who 10.0.1.25 logs/"


def _is_address(text: str) -> bool:
    try:
        parse_address(text)
    except ValueError:
        return False
    return True
