"""Names of AWS Regions: what can be one, and which known one is meant by a misspelled one."""

import re
from functools import cache

ALL = "all"
"""What a filter calls every Region."""

_FORM = re.compile(
    r"[a-z]{2,4}(?:-[a-z]{2,4})?"
    r"-(?:central|(?:north|south)(?:east|west)?|east|west)-[1-9][0-9]?"
)
"""An area, perhaps a partition or a country, a direction, and a number: ``eu-west-1``, ``us-gov-east-1``,
``eusc-de-east-1``. A Region that is newer than botocore's list has this form, too."""
_ZONE = re.compile(r"(.+-[0-9]+)(?:[a-z]|-[a-z]{3}-[0-9]+[a-z])")
"""An Availability Zone or a Local Zone: ``eu-west-1a``, ``us-west-2-lax-1a``."""


def parse_region(text: str) -> str:
    """Return the Region that a text names, or ``all``. Raises ``ValueError`` for what cannot be a Region."""
    found = text.strip().lower()
    if found != ALL and not _FORM.fullmatch(found) and found not in known_regions():
        raise ValueError(text)
    return found


def not_a_region(text: str) -> tuple[str, str]:
    """Return what is wrong with a text that ``parse_region`` refuses, and a hint."""
    from difflib import get_close_matches

    found = text.strip().lower()
    mistake = f"{text!r} is not an AWS Region"
    zone = _ZONE.fullmatch(found)
    if zone and _FORM.fullmatch(zone[1]):
        return mistake, f"it is a zone of {zone[1]}"
    near = get_close_matches(found, sorted(known_regions()), n=1)
    return mistake, f"did you mean {near[0]}?" if near else "for example eu-west-1, or all for every Region"


@cache
def known_regions() -> frozenset[str]:
    """Return the Regions of all partitions that botocore knows."""
    from importlib.util import find_spec
    from pathlib import Path

    import msgspec

    package = find_spec("botocore")
    if package is None or package.origin is None:
        return frozenset()
    content = (Path(package.origin).parent / "data" / "partitions.json").read_bytes()
    partitions = msgspec.json.decode(content)["partitions"]
    names = {name for partition in partitions for name in partition["regions"]}
    return frozenset(name for name in names if not name.endswith("-global"))
