"""Explanations as a block of sentences, and as Markdown for a ticket."""

from collections.abc import Iterator
from typing import IO

from cnitrail.model import Answer, Severity
from cnitrail.model.explanation import Explanation, ExplanationSentence, SentenceCode
from cnitrail.render.text import Paragraph, draw_blocks

_CITED = 3
"""Event IDs that Markdown shows for a sentence."""

_STYLES = {
    SentenceCode.WHAT: "bold",
    SentenceCode.NO_FINDINGS: "green",
    SentenceCode.MISSING: "magenta",
}
_SEVERITIES = {
    Severity.CRITICAL: "bold red",
    Severity.HIGH: "bold red",
    Severity.MEDIUM: "bold magenta",
}


def write_table(answer: Answer[Explanation], out: IO[str]) -> None:
    """Write each explanation as a block: a sentence a paragraph, commands indented."""
    draw_blocks((tuple(_paragraphs(entry)) for entry in answer.entries), out)


def _paragraphs(entry: Explanation) -> Iterator[Paragraph]:
    for sentence in entry.sentences:
        style = _STYLES.get(sentence.code, "")
        if sentence.code is SentenceCode.FINDINGS and entry.severity is not None:
            style = _SEVERITIES.get(entry.severity, "")
        yield Paragraph([(sentence.text, style)])
        if sentence.command is not None:
            yield Paragraph([(f"$ {sentence.command}", "bold")], indent=2, as_is=True)


def write_markdown(answer: Answer[Explanation], out: IO[str]) -> None:
    """Write each explanation as a heading and a list, with the IDs of its events."""
    from cnitrail.render.report.markdown import code, prose

    for number, entry in enumerate(answer.entries):
        if number:
            out.write("\n")
        out.write(f"## {code(entry.name)}\n\n")
        for sentence in entry.sentences:
            out.write(f"- {prose(sentence.text)}{_events(sentence)}\n")
            if sentence.command is not None:
                out.write(f"  {code(sentence.command)}\n")


def _events(sentence: ExplanationSentence) -> str:
    """Return the events of a sentence in parentheses; empty if it has none."""
    if not sentence.events:
        return ""
    from cnitrail.render.report.markdown import code

    shown = ", ".join(code(event) for event in sentence.events[:_CITED])
    more = f" and {len(sentence.events) - _CITED:,} more" if len(sentence.events) > _CITED else ""
    return f" ({'event' if len(sentence.events) == 1 else 'events'} {shown}{more})"
