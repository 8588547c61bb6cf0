"""A trail's layout in a bucket: what keys and file names say, and which key ranges to list.

The layout is AWS's (CloudTrail user guide, "Finding your CloudTrail log files")::

    [prefix/]AWSLogs/[o-id/]ACCOUNT/CloudTrail/REGION/YYYY/MM/DD/
        ACCOUNT_CloudTrail_REGION_YYYYMMDDTHHmmZ_<16 characters>.json.gz
    [prefix/]AWSLogs/[o-id/]ACCOUNT/CloudTrail-Digest/REGION/YYYY/MM/DD/
        ACCOUNT_CloudTrail-Digest_REGION_TRAIL_HOMEREGION_YYYYMMDDTHHmmssZ[_backfill].json.gz

Folder and timestamp are the time of *delivery*: a file has events of any time before it, and none after it.
Those of a digest are the end of the time span that it covers.

Paths of a copy on Windows have backslashes, so names may follow either separator.
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

_ORGANIZATION = re.compile(r"o-[a-z0-9]{10,32}")
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
_REGION_AND_DATE = re.compile(r"[a-z]+(?:-[a-z]+)+-\d+(?:/\d{4}(?:/\d{2}){0,2})?", re.ASCII)
_AFTER_SLASH = chr(ord("/") + 1)
_AFTER_Z = chr(ord("Z") + 1)
_AFTER_DIGITS = chr(ord("9") + 1)

STAMP_SLACK = timedelta(minutes=15)
"""AWS does not document how timestamps in file names are rounded; files come about every five minutes."""


class LogName(Struct, frozen=True):
    """The parts of a log file's name; ``delivered`` is aware, UTC, to the minute.

    The account is the one that the trail delivers for; a record in the file may be of another one.
    """

    account: str
    region: str
    delivered: datetime


class DigestName(Struct, frozen=True, kw_only=True):
    """The parts of a digest's name; ``ended`` is aware, UTC, to the second."""

    account: str
    region: str
    trail: str
    home_region: str
    ended: datetime
    backfill: bool


class KeyRange(Struct, frozen=True, order=True):
    """The keys that begin with ``prefix``, in ``first <= key < last``.

    ``unwanted`` are ranges in it (``first <= key < last``) that need not be listed: their timestamps are out
    of scope.
    """

    prefix: str
    first: str
    last: str
    unwanted: tuple[tuple[str, str], ...] = ()

    def has(self, key: str) -> bool:
        """Return whether a key is in the range."""
        return key.startswith(self.prefix) and self.first <= key < self.last


def log_name(uri: str) -> LogName | None:
    """Return the parts of a log file's name; None if CloudTrail does not name files so."""
    name = _NAME.search(uri)
    if name is None:
        return None
    delivered = _time(name["stamp"])
    if delivered is None:
        return None
    return LogName(name["account"], name["region"], delivered)


def digest_name(uri: str) -> DigestName | None:
    """Return the parts of a digest's name, zipped or unzipped; None if CloudTrail does not name files so."""
    name = _DIGEST_NAME.search(uri)
    if name is None:
        return None
    ended = _time(name["stamp"])
    if ended is None:
        return None
    return DigestName(
        account=name["account"],
        region=name["region"],
        trail=name["trail"],
        home_region=name["home"],
        ended=ended,
        backfill=name["backfill"] is not None,
    )


def top_of(path: str) -> str:
    """Return the folder that has a trail's account folders; empty if a path does not show it."""
    found = _TOP.match(path)
    return found["top"] if found else ""


def is_organization(name: str) -> bool:
    """Return whether a folder name is an organization ID."""
    return _ORGANIZATION.fullmatch(name) is not None


def is_account(name: str) -> bool:
    """Return whether a folder name is an account ID."""
    return _ACCOUNT.fullmatch(name) is not None


def is_date_folder(names: list[str]) -> bool:
    """Return whether folder names are a Region's, with none, some or all of those of a day."""
    return _REGION_AND_DATE.fullmatch("/".join(names)) is not None


def below_root(folder: str) -> list[str] | None:
    """Return the folder names below a trail's root (``AWSLogs``); None if the folder is not in one."""
    names = folder.removesuffix("/").split("/")
    if ROOT not in names:
        return None
    last = len(names) - 1 - names[::-1].index(ROOT)
    return names[last + 1 :]


def whole(prefix: str) -> KeyRange:
    """Return the range of all keys that begin with a prefix."""
    return KeyRange(prefix, prefix, after_prefix(prefix))


def _day_folder(time: datetime) -> str:
    """Return the folder of a day, with a four-digit year, which ``strftime`` does not guarantee."""
    return f"{time.year:04}/{time:%m/%d/}"


def of_days(folder: str, scope: Scope) -> KeyRange | None:
    """Return the keys in a Region's folder, or a date folder in it, whose day may be in scope.

    None if there are none.
    """
    names = below_root(folder) or []
    kind = DIGESTS if DIGESTS in names else TRAIL
    date = names[names.index(kind) + 2 :]
    region = folder.removesuffix("/").rsplit("/", len(date))[0] + "/"
    first_day = last_day = None
    unwanted: list[tuple[str, str]] = []
    if scope.since is not None:
        since = delivered_from(scope.since)
        first_day = f"{region}{_day_folder(since)}"
        start, stamp = _key_parts(region, since)
        unwanted.append((start, f"{start}{stamp}"))
    if scope.until is not None:
        until = delivered_until(scope.until, scope.delivery_lag)
        last_day = f"{region}{_day_folder(until)}"
        start, stamp = _key_parts(region, until)
        unwanted.append((f"{start}{stamp}{_AFTER_Z}", f"{start}{_AFTER_DIGITS}"))
    return keys_between(folder, first_day, last_day, tuple(unwanted) if kind == TRAIL else ())


def keys_between(
    folder: str,
    first_day: str | None,
    last_day: str | None,
    unwanted: tuple[tuple[str, str], ...] = (),
) -> KeyRange | None:
    """Return the keys in a folder from one day's folder to another's; None if there are none.

    None as a day is no limit. The days' folders may be above ``folder``, which then is the limit.
    """
    first = max(folder, first_day or folder)
    final = min(folder, last_day or folder, key=after_prefix)
    last = after_prefix(final)
    if first >= last:
        return None
    prefix = commonprefix([first, final])  # noqa: RUF071  keys are no paths
    return KeyRange(prefix, first, last, unwanted)


def _key_parts(region: str, time: datetime) -> tuple[str, str]:
    """Return what the keys of a day's log files in a Region begin with, and how those of a minute continue.

    Keys of one day and Region are equal up to their timestamp, so they sort by it. Those of digests do not:
    the trail's name comes first.
    """
    *_, account, _, name = region.removesuffix("/").split("/")
    date = f"{time.year:04}{time:%m%d}T"
    return f"{region}{_day_folder(time)}{account}_{TRAIL}_{name}_{date}", f"{time:%H%M}"


def is_in_scope(key: str, scope: Scope) -> bool:
    """Return whether an object may have events in scope, judging by its name.

    Digests, which list log files, and the empty objects that represent folders never have.
    """
    if key.endswith("/") or "_CloudTrail-Digest_" in key:
        return False
    name = log_name(key)
    if name is None:
        return True
    if scope.accounts and name.account not in scope.accounts:
        return False
    if not is_region_in_scope(name.region, scope):
        return False
    early = scope.since is not None and name.delivered < delivered_from(scope.since)
    late = scope.until is not None and name.delivered > delivered_until(scope.until, scope.delivery_lag)
    return not early and not late


def is_region_in_scope(region: str, scope: Scope) -> bool:
    """Return whether a Region is in scope; ``all`` includes every one."""
    return not scope.regions or "all" in scope.regions or region in scope.regions


def delivered_from(since: datetime) -> datetime:
    """Return when the first log file with events since a time may be delivered, by its name."""
    return shifted(since, -STAMP_SLACK)


def delivered_until(until: datetime, lag: timedelta) -> datetime:
    """Return when the last log file with events until a time is delivered, by its name."""
    return shifted(shifted(until, lag), STAMP_SLACK)


def _time(stamp: str) -> datetime | None:
    """Return the time of a timestamp; None if it is not a time between 2000 and 2999."""
    try:
        time = datetime.fromisoformat(stamp).replace(tzinfo=UTC)
    except ValueError:
        return None
    return time if 2000 <= time.year < 3000 else None


def after_prefix(prefix: str) -> str:
    """Return the first key after all that begin with a prefix."""
    if not prefix:
        return chr(0x10FFFF)
    if prefix.endswith("/"):
        return prefix[:-1] + _AFTER_SLASH
    return prefix + chr(0x10FFFF)
