"""What all rows of a table share: a terminal shows it once, above them."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

from msgspec import Struct

from cnitrail.render.text import Block, Paragraph


class TimeStyle(Struct, frozen=True):
    """How the times of a table are shown: ``day`` is the date if all of them have the same one."""

    day: str | None

    def show(self, time: datetime) -> str:
        """Return a UTC time as far as the line above the table does not show it."""
        return f"{time:%H:%M:%S}" if self.day is not None else f"{time:%Y-%m-%d %H:%M:%S}"

    @property
    def heading(self) -> str:
        """Return what is said of the times above the table."""
        return f"{self.day} UTC" if self.day is not None else "times in UTC"


def time_style(times: Iterable[datetime | None]) -> TimeStyle:
    """Return how some times are shown, which are UTC."""
    days = {f"{time:%Y-%m-%d}" for time in times if time is not None}
    return TimeStyle(next(iter(days)) if len(days) == 1 else None)


def shared(rows: Sequence[object], names: Collection[str]) -> dict[str, str]:
    """Return the fields that have one and the same value in all rows, by name."""
    values = {name: {getattr(row, name) for row in rows} for name in names}
    return {name: value for name, (value, *others) in values.items() if value and not others}


def context(values: Mapping[str, str], *more: str) -> Block:
    """Return the line above a table: the values of the fields that are shared, then more texts."""
    place = " in ".join(values[name] for name in ("account", "region") if name in values)
    others = [value for name, value in values.items() if name not in ("account", "region")]
    line = ", ".join(filter(None, (place, *others, *more)))
    return [Paragraph([(line, "")])] if line else []


def aligned(values: Sequence[object]) -> str:
    """Return values side by side in columns of one width, which hold where the text is folded."""
    texts = [str(value) for value in values]
    width = max(map(len, texts), default=0)
    return "  ".join(text.ljust(width) for text in texts).rstrip()
