"""Where a trail puts its log files in a bucket, as arithmetic on keys alone.

The layout is AWS's (CloudTrail user guide, "Finding your CloudTrail log files")::

    [prefix/]AWSLogs/[o-id/]ACCOUNT/CloudTrail/REGION/YYYY/MM/DD/
        ACCOUNT_CloudTrail_REGION_YYYYMMDDTHHmmZ_<16 characters>.json.gz
    [prefix/]AWSLogs/[o-id/]ACCOUNT/CloudTrail-Digest/REGION/YYYY/MM/DD/
        ACCOUNT_CloudTrail-Digest_REGION_TRAIL_HOMEREGION_YYYYMMDDTHHmmssZ[_backfill].json.gz

Folder and stamp are the time of *delivery*: a file holds events of any time before it, and never
of a time after it. A digest's are the end of the span of deliveries that it lists.

A copy on Windows has backslashes in its paths, so names are found behind either separator.
"""

import re
from datetime import UTC, datetime, timedelta
from os.path import commonprefix

from msgspec import Struct

from cnitrail.model import Scope
from cnitrail.timeclamp import shifted

ROOT = "AWSLogs"
TRAIL = "CloudTrail"
DIGESTS = "CloudTrail-Digest"

_ORGANISATION = re.compile(r"o-[a-z0-9]{10,32}")
_ACCOUNT = re.compile(r"\d{12}")
_NAME = re.compile(
    r"(?P<account>\d{12})_CloudTrail_(?P<region>[a-z0-9-]+)_(?P<stamp>\d{8}T\d{4})Z_[^/\\]*$",
    re.ASCII,
)
_DIGEST_NAME = re.compile(
    r"(?:^|[/\\])(?P<account>\d{12})_CloudTrail-Digest_(?P<region>[a-z0-9-]+)_"
    r"(?P<trail>[^/\\]+)_(?P<home>[a-z0-9-]+)_"
    r"(?P<stamp>\d{8}T\d{6})Z(?P<backfill>_backfill)?\.json(?:\.gz)?$",
    re.ASCII,
)
_TOP = re.compile(
    r"^(?P<top>(?:.*[/\\])?AWSLogs[/\\](?:o-[a-z0-9]{10,32}[/\\])?)\d{12}[/\\]CloudTrail(?:-Digest)?[/\\]",
    re.ASCII,
)
_AFTER_SLASH = chr(ord("/") + 1)
_AFTER_Z = chr(ord("Z") + 1)
_AFTER_DIGITS = chr(ord("9") + 1)

STAMP_SLACK = timedelta(minutes=15)
"""AWS does not say how a stamp is rounded; files come about every five minutes."""


class LogName(Struct, frozen=True):
    """What the name of a log file tells; ``delivered`` is aware, UTC, to the minute.

    The account is the one that the trail delivers for; that of a record in the file may differ.
    """

    account: str
    region: str
    delivered: datetime


class DigestName(Struct, frozen=True):
    """What the name of a digest tells; ``ended`` is aware, UTC, to the second."""

    account: str
    region: str
    trail: str
    home_region: str
    ended: datetime
    backfill: bool


class KeyRange(Struct, frozen=True, order=True):
    """The keys that begin with ``prefix`` and lie in ``first <= key < last``.

    ``unwanted`` are ranges of keys (``first <= key < last``) that need not be listed: their stamps are of
    other times.
    """

    prefix: str
    first: str
    last: str
    unwanted: tuple[tuple[str, str], ...] = ()


def log_name(uri: str) -> LogName | None:
    """What a file's name tells; None where it is not one that CloudTrail gives."""
    name = _NAME.search(uri)
    if name is None:
        return None
    delivered = _stamped(name["stamp"])
    if delivered is None:
        return None
    return LogName(name["account"], name["region"], delivered)


def digest_name(uri: str) -> DigestName | None:
    """What a digest's name tells; None where it is not one that CloudTrail gives, or was unzipped."""
    name = _DIGEST_NAME.search(uri)
    if name is None:
        return None
    ended = _stamped(name["stamp"])
    if ended is None:
        return None
    return DigestName(
        name["account"], name["region"], name["trail"], name["home"], ended, name["backfill"] is not None
    )


def top_of(path: str) -> str:
    """The folder in which a trail's folders of accounts lie; empty where a path does not show it."""
    found = _TOP.match(path)
    return found["top"] if found else ""


def is_organisation(name: str) -> bool:
    """Whether a folder is named as an organisation is."""
    return _ORGANISATION.fullmatch(name) is not None


def is_account(name: str) -> bool:
    """Whether a folder is named as an account is."""
    return _ACCOUNT.fullmatch(name) is not None


def below_root(folder: str) -> list[str] | None:
    """The folders on the way from a trail's root (``AWSLogs``) to here; None outside of any."""
    names = folder.removesuffix("/").split("/")
    if ROOT not in names:
        return None
    last = len(names) - 1 - names[::-1].index(ROOT)
    return names[last + 1 :]


def whole(prefix: str) -> KeyRange:
    """Every key that begins with a prefix."""
    return KeyRange(prefix, prefix, _behind(prefix))


def _day(time: datetime) -> str:
    """The folder of a day; a year has four digits, which ``strftime`` does not promise."""
    return f"{time.year:04}/{time:%m/%d/}"


def of_days(folder: str, scope: Scope) -> KeyRange | None:
    """The keys in a Region's folder, or one of its date, whose day may hold what is asked for.

    None where there are none.
    """
    names = below_root(folder) or []
    kind = DIGESTS if DIGESTS in names else TRAIL
    date = names[names.index(kind) + 2 :]
    region = folder.removesuffix("/").rsplit("/", len(date))[0] + "/"
    first = final = folder
    unwanted: list[tuple[str, str]] = []
    if scope.since is not None:
        since = _delivered_from(scope.since)
        first = max(first, f"{region}{_day(since)}")
        start, stamp = _names(region, since)
        unwanted.append((start, f"{start}{stamp}"))
    if scope.until is not None:
        until = _delivered_until(scope.until, scope.delivery_lag)
        final = min(final, f"{region}{_day(until)}", key=_behind)
        start, stamp = _names(region, until)
        unwanted.append((f"{start}{stamp}{_AFTER_Z}", f"{start}{_AFTER_DIGITS}"))
    last = _behind(final)
    if first >= last:
        return None
    prefix = commonprefix([first, final])  # noqa: RUF071  keys are no paths
    return KeyRange(prefix, first, last, tuple(unwanted) if kind == TRAIL else ())


def _names(region: str, time: datetime) -> tuple[str, str]:
    """How the keys of a day's log files in a Region's folder begin, and how a minute's go on.

    Keys of one day and Region differ in nothing before their stamp, so they sort by it. Those of digests
    do not: the trail's name comes first.
    """
    *_, account, _, name = region.removesuffix("/").split("/")
    date = f"{time.year:04}{time:%m%d}T"
    return f"{region}{_day(time)}{account}_{TRAIL}_{name}_{date}", f"{time:%H%M}"


def takes(key: str, scope: Scope) -> bool:
    """Whether an object may hold what is asked for, as far as its name tells.

    Digest files, which list log files, and the empty objects that stand for folders never do.
    """
    if key.endswith("/") or "_CloudTrail-Digest_" in key:
        return False
    name = log_name(key)
    if name is None:
        return True
    if scope.accounts and name.account not in scope.accounts:
        return False
    if not asks_for_region(name.region, scope):
        return False
    early = scope.since is not None and name.delivered < _delivered_from(scope.since)
    late = scope.until is not None and name.delivered > _delivered_until(scope.until, scope.delivery_lag)
    return not early and not late


def asks_for_region(region: str, scope: Scope) -> bool:
    """Whether a Region is asked for; ``all`` asks for every one."""
    return not scope.regions or "all" in scope.regions or region in scope.regions


def _stamped(stamp: str) -> datetime | None:
    """The time of a stamp; None where it is none, or not of CloudTrail's millennium."""
    try:
        time = datetime.fromisoformat(stamp).replace(tzinfo=UTC)
    except ValueError:
        return None
    return time if 2000 <= time.year < 3000 else None


def _delivered_from(since: datetime) -> datetime:
    return shifted(since, -STAMP_SLACK)


def _delivered_until(until: datetime, lag: timedelta) -> datetime:
    return shifted(shifted(until, lag), STAMP_SLACK)


def _behind(prefix: str) -> str:
    """The first key behind all that begin with a prefix."""
    if not prefix:
        return chr(0x10FFFF)
    if prefix.endswith("/"):
        return prefix[:-1] + _AFTER_SLASH
    return prefix + chr(0x10FFFF)
