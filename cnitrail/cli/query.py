"""The question, as it stands in the JSON answer."""

from dataclasses import asdict

from cnitrail.answers.filters import Filter


def query(command: str, sources: tuple[str, ...], wanted: Filter, **more: object) -> dict[str, object]:
    """What was asked: the command, its sources, its filters with times resolved."""
    return {"command": command, "sources": sources, **asdict(wanted), **more}
