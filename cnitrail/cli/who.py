"""``cnitrail who``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from cnitrail.cli.options import (
    Access,
    Time,
    aws_options,
    filter_options,
    output_option,
    quiet_option,
    wanted_of,
)
from cnitrail.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from cnitrail.answers.filters import Filter
    from cnitrail.answers.who import Witness
    from cnitrail.cli.questions import Question, Unreadable
    from cnitrail.model import WhoAnswer


@click.command(short_help="Which interface and instance held an address then.")
@click.argument("arguments", nargs=-1, metavar="[IP] [SOURCE]...")
@click.option("--at", type=Time(), help="The time: ISO 8601, epoch seconds, an age (2h).")
@click.option(
    "--batch",
    type=click.File("r", encoding="utf-8", errors="replace"),
    metavar="FILE",
    help="Answer many: CSV with a header ip,at[,vpc,account], or JSON lines; - for stdin.",
)
@filter_options("vpc", "account", "region")
@aws_options
@output_option("table", "json", "jsonl", "csv")
@quiet_option
@click.pass_context
def who(
    ctx: click.Context,
    /,
    arguments: tuple[str, ...],
    at: datetime | None,
    batch: Any,
    access: Access,
    output: str,
    quiet: bool,
    **filters: Any,
) -> None:
    """Which interface and instance held an address at a time, and who gave it.

    \b
    The verdict says how far to trust the answer:
      certain    one holder; its start and end are both observed, around the time
      likely     one holder, but a bound is implied, unknown or still open
      ambiguous  more than one holder fits: two VPCs, or a change in that very second
      unknown    no interval in the evidence covers the time

    \b
    Examples:
      cnitrail who 192.168.53.76 logs/ --at 2022-10-05T14:00Z
      cnitrail who --batch flows.csv logs/ -o jsonl
    """
    from dataclasses import replace
    from ipaddress import ip_network

    from cnitrail.answers.who import Witness
    from cnitrail.cli.printing import print_entries, query_of
    from cnitrail.cli.questions import Question, Unreadable, read_questions
    from cnitrail.cli.reading import ask, tell
    from cnitrail.model import Coverage
    from cnitrail.render.who import COLUMNS, write_answers

    wanted = wanted_of(filters)
    questions: list[Question | Unreadable]
    if batch is None:
        questions, sources = [_single(arguments, at)], arguments[1:]
    else:
        if at is not None:
            raise UsageError("--at does not go with --batch: each question has its own time")
        questions, sources = list(read_questions(batch)), arguments
    asked_for = replace(
        wanted, ip=tuple(ip_network(each.ip) for each in questions if isinstance(each, Question))
    )
    history, evidence = ask(sources, asked_for, access, quiet=quiet)
    answers = list(_answers(Witness(history, Coverage(evidence.coverage)), questions, wanted))
    print_entries(
        output,
        answers,
        command="who",
        query=query_of(sources, wanted, questions=len(questions)),
        evidence=evidence,
        columns=COLUMNS,
        write_table=write_answers,
    )
    status = tell(evidence, len(answers), quiet)
    unreadable = [question for question in questions if isinstance(question, Unreadable)]
    for question in unreadable[:10]:
        click.echo(f"not a question: {question.reason}", err=True)
    ctx.exit(3 if unreadable else status)


def _single(arguments: tuple[str, ...], at: datetime | None) -> Question:
    from ipaddress import ip_address

    from cnitrail.cli.questions import Question

    if not arguments:
        raise UsageError("which address?", "cnitrail who 192.168.53.76 logs/ --at 2022-10-05T14:00Z")
    if at is None:
        raise UsageError("at which time?", "add --at, for example --at 2022-10-05T14:00Z or --at 2h")
    try:
        return Question(ip_address(arguments[0]), at, None, None)
    except ValueError:
        raise UsageError(
            f"{arguments[0]!r} is not an address", "give the address first, then the sources"
        ) from None


def _answers(
    witness: Witness, questions: Iterable[Question | Unreadable], wanted: Filter
) -> Iterator[WhoAnswer]:
    from dataclasses import replace

    from cnitrail.cli.questions import Question
    from cnitrail.model import Verdict, WhoAnswer

    for question in questions:
        if isinstance(question, Question):
            narrowed = replace(
                wanted,
                vpc=(question.vpc,) if question.vpc else wanted.vpc,
                account=(question.account,) if question.account else wanted.account,
            )
            yield witness.who(question.ip, question.at, narrowed)
        else:
            yield WhoAnswer(question.ip, None, Verdict.UNKNOWN, (), (question.reason,))
