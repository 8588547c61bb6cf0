"""Where flow logs are in a bucket: what keys and file names say, and which key ranges to list.

The layouts are AWS's, and the folders above them may be any::

    AWSLogs/ACCOUNT/vpcflowlogs/REGION/YYYY/MM/DD/[HH/]
    AWSLogs/aws-account-id=A/aws-service=vpcflowlogs/aws-region=R/year=Y/month=M/day=D/[hour=H/]
        ACCOUNT_vpcflowlogs_REGION_fl-ID_YYYYMMDDTHHmmZ_HASH.log.gz
    aws/VPC_FLOW/[VERSION/]region=R/accountId=A/eventDay=YYYYMMDD/

The first two: https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-path.html. The third is that of
Security Lake, https://docs.aws.amazon.com/security-lake/latest/userguide/query-athena-data-lake.html; which
time of a record makes its ``eventDay`` is not documented.

AWS's current page says that T1620Z has the records with an ``end`` from 16:20:00 to 16:24:59, an older one
those of 16:15:01 to 16:20:00. What is asked for here includes both.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cnitrail.sources.layout import (
    STAMP_SLACK,
    KeyRange,
    after_prefix,
    below_root,
    is_organization,
    is_region_in_scope,
    keys_between,
)
from cnitrail.timeclamp import shifted

if TYPE_CHECKING:
    from cnitrail.model import Scope

LONGEST: Final = timedelta(minutes=11)
"""Most from the first packet of a record to its end: ten minutes of aggregation, and a minute of delay."""

_FILE_SPAN: Final = timedelta(minutes=5)
"""Time of the records in a file."""

_PLAIN: Final = re.compile(
    r"(?P<base>(?:.*/)?(?P<account>\d{12})/vpcflowlogs/(?P<region>[a-z0-9-]+)/)"
    r"(?:\d{4}/(?:\d\d/(?:\d\d/(?:\d\d/)?)?)?)?",
    re.ASCII,
)
_HIVE: Final = re.compile(
    r"(?P<base>(?:.*/)?aws-account-id=(?P<account>\d{12})/aws-service=vpcflowlogs/"
    r"aws-region=(?P<region>[a-z0-9-]+)/)"
    r"(?:year=\d{4}/(?:month=\d\d/(?:day=\d\d/(?:hour=\d\d/)?)?)?)?",
    re.ASCII,
)
_LAKE: Final = re.compile(
    r"(?P<base>(?:.*/)?region=(?P<region>[a-z0-9-]+)/accountId=(?P<account>[^/]+)/)(?:eventDay=\d{8}/)?",
    re.ASCII,
)
_SERVICE: Final = re.compile(
    r"(?:.*/)?(?:(?P<plain>\d{12})/vpcflowlogs|aws-account-id=(?P<hive>\d{12})/aws-service=vpcflowlogs)/",
    re.ASCII,
)
_ACCOUNT: Final = re.compile(r"(?:.*/)?(?:(?P<plain>\d{12})|aws-account-id=(?P<hive>\d{12}))/", re.ASCII)
_LAKE_REGION: Final = re.compile(r"(?P<above>(?:.*/)?)region=[a-z0-9-]+/", re.ASCII)
_OF_FLOW_LOGS: Final = re.compile(r"vpc[_.-]?flow", re.IGNORECASE)
_NAME: Final = re.compile(
    r"(?:^|/)(?P<account>\d{12})_vpcflowlogs_(?P<region>[a-z0-9-]+)_fl-[0-9a-z]+_(?P<stamp>\d{8}T\d{4})Z_[^/]*$",
    re.ASCII,
)
_LAKE_KEY: Final = re.compile(
    r"(?:^|/)region=(?P<region>[a-z0-9-]+)/accountId=(?P<account>[^/]+)/eventDay=\d{8}/", re.ASCII
)
_OF_A_TRAIL: Final = re.compile(r"\d{12}_CloudTrail(?:-Digest|-Insight)?_[^/]*$", re.ASCII)


class DatedFolder(Struct, frozen=True, kw_only=True):
    """A folder with the flow logs of one account and Region by day, or the folder of a date in it.

    ``base`` is the folder that has the dates; ``days`` and ``hours`` are the names of the folders in it, as
    formats for a time. ``hours`` is None if a day has no such folders.
    """

    folder: str
    base: str
    account: str
    region: str
    days: str
    hours: str | None


_LAYOUTS: Final = (
    (_PLAIN, "{0.year:04}/{0.month:02}/{0.day:02}/", "{:02}/"),
    (_HIVE, "year={0.year:04}/month={0.month:02}/day={0.day:02}/", "hour={:02}/"),
    (_LAKE, "eventDay={0.year:04}{0.month:02}{0.day:02}/", None),
)


def dated_folder(folder: str) -> DatedFolder | None:
    """Return what a folder's path shows; None if it does not end with a Region or a date of flow logs."""
    for pattern, days, hours in _LAYOUTS:
        if found := pattern.fullmatch(folder):
            return DatedFolder(
                folder=folder,
                base=found["base"],
                account=found["account"],
                region=found["region"],
                days=days,
                hours=hours,
            )
    return None


def service_folder(folder: str) -> str | None:
    """Return the folder of Regions that an account's folder may have; None if it is not one."""
    account = _ACCOUNT.fullmatch(folder)
    if account is None:
        return None
    return folder + ("vpcflowlogs/" if account["plain"] else "aws-service=vpcflowlogs/")


def is_parent(folder: str, top: str) -> bool:
    """Return whether the folders in a folder are those of Regions, or in Security Lake of accounts.

    A table of Security Lake has flow logs if its path says so (``VPC_FLOW``), or the user named it: ``top``.
    """
    lake = _LAKE_REGION.fullmatch(folder)
    if lake is not None:
        return _OF_FLOW_LOGS.search(lake["above"]) is not None or "ext" in top.split("/")
    return _SERVICE.fullmatch(folder) is not None


def is_in_service(folder: str) -> bool:
    """Return whether a folder is one of flow logs, or below one."""
    return _SERVICE.match(folder) is not None


def is_closed(folder: str) -> bool:
    """Return whether no other flow logs are searched for in a folder: other logs, or another table."""
    names = below_root(folder) or []
    if names and is_organization(names[0]):
        names = names[1:]
    is_of_account = bool(names) and service_folder(f"{names[0]}/") is not None
    return is_of_account or _LAKE_REGION.fullmatch(folder) is not None


def is_selected(account: str | None, region: str | None, scope: Scope) -> bool:
    """Return whether an account and a Region are in scope; None is what is not known."""
    is_account = account is None or not scope.accounts or account in scope.accounts
    return is_account and (region is None or is_region_in_scope(region, scope))


def account_of(folder: str) -> str | None:
    """Return the account of a folder of Regions; None if its path does not show it."""
    service = _SERVICE.fullmatch(folder)
    return None if service is None else service["plain"] or service["hive"]


def keys_of(dated: DatedFolder, scope: Scope) -> KeyRange | None:
    """Return the keys of the days that may be in scope, without its first and last hours that are not.

    None if there are none.
    """
    first_day = last_day = None
    unwanted: list[tuple[str, str]] = []
    if scope.since is not None:
        since = _stamped_from(scope.since)
        first_day = dated.base + dated.days.format(since)
        unwanted += _hours(dated, first_day, range(since.hour))
    if scope.until is not None:
        until = _stamped_until(scope.until, scope.delivery_lag)
        last_day = dated.base + dated.days.format(until)
        unwanted += _hours(dated, last_day, range(until.hour + 1, 24))
    return keys_between(dated.folder, first_day, last_day, tuple(unwanted))


def _hours(dated: DatedFolder, day: str, hours: range) -> list[tuple[str, str]]:
    """Return the key ranges of some hours of a day, one after the other, as few as possible.

    Without hourly folders, the names of a day's files begin with the account, which may look like an hour.
    """
    if dated.hours is None:
        return []
    names = [day + dated.hours.format(hour) for hour in hours]
    ranges = [(name, after_prefix(name)) for name in names]
    own = day + dated.account
    if ranges and not ranges[0][0] <= own < ranges[-1][1]:
        return [(ranges[0][0], ranges[-1][1])]
    return ranges


def is_in_scope(key: str, scope: Scope) -> bool:
    """Return whether an object may have flow logs in scope, judging by its name.

    A trail's files, and the empty objects that represent folders, never have.
    """
    if key.endswith("/") or _OF_A_TRAIL.search(key):
        return False
    name = _NAME.search(key)
    if name is not None:
        return is_selected(name["account"], name["region"], scope) and _is_stamped(name["stamp"], scope)
    lake = _LAKE_KEY.search(key)
    return lake is None or is_selected(lake["account"], lake["region"], scope)


def _is_stamped(stamp: str, scope: Scope) -> bool:
    """Return whether the records of a file with a timestamp may be in scope."""
    try:
        time = datetime.fromisoformat(stamp).replace(tzinfo=UTC)
    except ValueError:
        return True
    is_early = scope.since is not None and time < _stamped_from(scope.since)
    return not is_early and (scope.until is None or time <= _stamped_until(scope.until, scope.delivery_lag))


def _stamped_from(since: datetime) -> datetime:
    """Return the first timestamp of a file that may have records since a time."""
    return shifted(since, -(_FILE_SPAN + STAMP_SLACK)).astimezone(UTC)


def _stamped_until(until: datetime, lag: timedelta) -> datetime:
    """Return the last timestamp of a file that may have records until a time."""
    return shifted(shifted(until, lag), LONGEST + STAMP_SLACK).astimezone(UTC)
