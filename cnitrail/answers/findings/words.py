"""The words that sentences are made of."""

from collections.abc import Iterable

from cnitrail.model import Actor

_NAMED = 3
"""So many names stand in a sentence; of more, the rest is counted."""


def through(actor: Actor) -> str | None:
    """The program of an actor, or the SDK where no program is named, with its version."""
    agent = actor.agent
    if agent.name is None:
        return agent.sdk
    return f"{agent.name} {agent.version}" if agent.version else agent.name


def listed(names: Iterable[str]) -> str:
    """Names, each once, in order: all where they are few, else the first and how many more."""
    each = sorted(set(names))
    if len(each) < 2:
        return "".join(each)
    if len(each) <= _NAMED + 1:
        return f"{', '.join(each[:-1])} and {each[-1]}"
    return f"{', '.join(each[:_NAMED])} and {len(each) - _NAMED:,} more"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """A count with its noun: ``1 call``, ``2,000 calls``."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def times(number: int) -> str:
    """How often: ``once``, ``12 times``."""
    return "once" if number == 1 else f"{number:,} times"
