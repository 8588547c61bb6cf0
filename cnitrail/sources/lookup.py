"""CloudTrail's LookupEvents: the last 90 days of an account, with nothing but credentials.

API: https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html. Answers
come newest first, in pages of 50, at two calls a second in each account and Region.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from cnitrail.errors import SourceError
from cnitrail.model import Document, Extent, Note, Scope, Skipped
from cnitrail.sources.aws import AwsFailure, failure, regions_of, session
from cnitrail.sources.lookup_index import records
from cnitrail.sources.lookup_plan import ABREAST, PER_SECOND, LookupPage, Plan, Query, Unanswered, counted
from cnitrail.sources.rate_limit import Clock, Pace, SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import boto3
    from mypy_boto3_cloudtrail import CloudTrailClient

_ACTION = "cloudtrail:LookupEvents"
_BURST = 2
_ATTEMPTS = 10
"""With botocore's backoff up to two minutes: longer than any throttling by others lasts."""

_UNHEARD_ATTEMPTS = 6
"""So often an endpoint is tried that has never answered at all."""

_FRUITLESS = 3
"""So often a question is asked again without bringing anything new."""

_MEMBERS = ("EventId", "EventTime")
"""What LookupEvents says of every event; the scanner looks for its record."""

Said = Document | Skipped | Note


class LookupSource:
    """LookupEvents of one or several Regions at once, each at its own pace.

    Pages of one Region come in an order that is always the same, Regions mixed as they answer.
    Raises ``SourceError`` where nothing at all can be read.
    """

    def __init__(self, uri: str, scope: Scope, clock: Clock | None = None) -> None:
        self.uri = uri
        if uri != "lookup:":
            raise SourceError(f"{uri}: nothing can follow lookup:", "name the Region with --region")
        self._scope = scope
        self._clock = clock or SystemClock()
        self._asked: list[_Region] = []

    @property
    def found(self) -> int:
        """The pages that came, and what got no answer."""
        return sum(region.found for region in self._asked)

    def documents(self) -> Iterator[Said]:
        """A document for each page."""
        credentials = session(self._scope.profile)
        regions = regions_of(credentials, self._scope, "lookup:")
        said: SimpleQueue[Said | _Ended] = SimpleQueue()
        stopped = threading.Event()
        # a session is not to be shared between threads, clients are
        clients = [_client(credentials, self._scope, region) for region in regions]
        self._asked = [_Region(client, self._scope, self._clock, stopped) for client in clients]
        for asked in self._asked:
            threading.Thread(target=asked.run, args=(said.put,), daemon=True).start()
        pages, skipped, ended = 0, list[Skipped](), list[_Ended]()
        try:
            while len(ended) < len(regions):
                match said.get():
                    case _Ended() as end:
                        ended.append(end)
                        if end.bug is not None:
                            raise end.bug
                    case Skipped() as skip:
                        skipped.append(skip)
                    case other:
                        pages += isinstance(other, Document)
                        yield other
        finally:
            stopped.set()
        failures = sorted((end for end in ended if end.failure), key=lambda end: end.region)
        if not pages:
            _give_up(failures, skipped)
        yield from skipped
        for end in failures:
            assert end.failure is not None
            yield Skipped(f"lookup:{end.region}", end.failure.reason)


def _give_up(failures: list[_Ended], skipped: list[Skipped]) -> None:
    """Say why nothing at all could be read."""
    for end in failures:
        assert end.failure is not None
        raise SourceError(f"lookup:{end.region}: {end.failure.reason}", end.failure.hint)
    raise SourceError(f"{skipped[0].source}: {skipped[0].reason}", "try again later")


def _client(session: boto3.Session, scope: Scope, region: str) -> CloudTrailClient:
    """A client for a Region. Raises ``SourceError`` where its name is none."""
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    settings = Config(
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS}, connect_timeout=10, read_timeout=60
    )
    try:
        return session.client(
            "cloudtrail", region_name=region, endpoint_url=scope.endpoint_url, config=settings
        )
    except (BotoCoreError, ValueError) as error:
        hint = "check --region and --endpoint-url"
        raise SourceError(f"lookup:{region}: no such place: {error}", hint) from None


class _Ended:
    """The end of a Region: with a failure where it came too early, a bug where it is ours."""

    def __init__(self, region: str, failed: AwsFailure | None = None, bug: Exception | None = None) -> None:
        self.region = region
        self.failure = failed
        self.bug = bug


class _Region:
    """Asks one Region, and says what it answers."""

    def __init__(
        self, client: CloudTrailClient, scope: Scope, clock: Clock, stopped: threading.Event
    ) -> None:
        self._client = client
        self._scope = scope
        self._name = client.meta.region_name
        self._pace = Pace(PER_SECOND, _BURST, clock)
        self._stopped = stopped
        self.found = 0
        self._calls = 0
        self._heard = False
        self._failures = 0
        self._lock = threading.Lock()
        # the retries of botocore are calls, too
        client.meta.events.register("before-send.cloudtrail.LookupEvents", self._before_attempt)
        client.meta.events.register("response-received.cloudtrail.LookupEvents", self._after_attempt)

    def run(self, say: Callable[[Said | _Ended], None]) -> None:
        """Say everything that this Region has, then that it has ended."""
        try:
            for said in self._read():
                say(said)
        except Unanswered as trouble:
            self.found += 1
            say(_Ended(self._name, trouble.failure))
        except Exception as bug:  # noqa: BLE001  # it is raised again where somebody listens
            say(_Ended(self._name, bug=bug))
        else:
            say(_Ended(self._name))

    def _read(self) -> Iterator[Said]:
        place = f"lookup:{self._name}"
        with closing(self._client), ThreadPoolExecutor(ABREAST) as pool:
            plan = Plan(self._scope, datetime.now(UTC), self._pages, pool)
            for item in plan.read():
                match item:
                    case LookupPage():
                        self.found += 1
                        yield _document(self._name, item)
                        yield from (
                            replace(each, source=f"{place}/{each.source}") for each in _incomplete(item)
                        )
                    case Skipped():
                        self.found += 1
                        yield replace(item, source=f"{place}/{item.source}")
                    case Note():
                        yield replace(item, source=place)
            yield Note(place, f"{counted(self._calls, 'call')} made")

    def _before_attempt(self, **_: object) -> None:
        """Wait for the pace, unless the call is one too many."""
        if self._stopped.is_set():
            raise Unanswered(AwsFailure("interrupted", None, lasting=True))
        with self._lock:
            if self._calls >= self._scope.max_calls:
                reason = f"the {counted(self._calls, 'call')} that --max-calls allows are used up"
                hint = "narrow the time with --since and --until, or raise --max-calls"
                raise Unanswered(AwsFailure(reason, hint, lasting=True))
            self._calls += 1
        self._pace.wait()

    def _after_attempt(self, exception: Exception | None, **_: object) -> None:
        """Give up early on an endpoint that has never answered."""
        if exception is None:
            self._heard = True
        elif not self._heard:
            self._failures += 1
            if self._failures >= _UNHEARD_ATTEMPTS:
                raise Unanswered(failure(exception, _ACTION))

    def _pages(self, query: Query) -> Iterator[LookupPage]:
        """The pages of a question; where its token has expired, it is asked again for what is left."""
        from botocore.exceptions import BotoCoreError, ClientError

        from cnitrail.sources.response_check import UnexpectedReplyError, understood

        seen: set[str] = set()
        number, fruitless = 0, 0
        until = reached = query.until
        token: str | None = None
        while True:
            try:
                with understood():
                    answer = self._client.lookup_events(**_parameters(query, until, token))
            except UnexpectedReplyError as error:
                fruitless += 1
                if fruitless > _FRUITLESS:
                    raise Unanswered(failure(error, _ACTION)) from None
                continue
            except self._client.exceptions.InvalidNextTokenException as error:
                fruitless += 1
                if token is None or fruitless > _FRUITLESS:
                    raise Unanswered(failure(error, _ACTION)) from None
                until, token = reached, None
                continue
            except (BotoCoreError, ClientError) as error:
                raise Unanswered(failure(error, _ACTION)) from None
            token = answer.get("NextToken")
            events = tuple(_utc(event) for event in answer["Events"] if _id(event) not in seen)
            if events:
                fruitless = 0
                seen.update(map(_id, events))
                reached = min([reached, *(event["EventTime"] for event in events if "EventTime" in event)])
            if events or token is None:
                number += 1
                yield LookupPage(query, number, events, last=token is None)
            if token is None:
                return


def _parameters(query: Query, until: datetime, token: str | None) -> dict[str, Any]:
    """One call's parameters; with a token all others have to stay the same."""
    parameters: dict[str, Any] = {
        "LookupAttributes": [{"AttributeKey": query.attribute, "AttributeValue": query.value}],
        "EndTime": until,
        "MaxResults": 50,
    }
    if query.since is not None:
        parameters["StartTime"] = query.since
    if token is not None:
        parameters["NextToken"] = token
    return parameters


def _id(event: Mapping[str, Any]) -> str:
    """What two copies of an event have in common; if it has no ID, its record."""
    return str(event.get("EventId") or event.get("CloudTrailEvent") or event)


def _utc(event: Mapping[str, Any]) -> dict[str, Any]:
    """An event with its time in UTC, as botocore reads it in the machine's own zone."""
    time = event.get("EventTime")
    return {**event, "EventTime": time.astimezone(UTC)} if time is not None else dict(event)


def _incomplete(page: LookupPage) -> Iterator[Skipped]:
    """What is to be said of events that are not as LookupEvents shows them; their records are read."""
    for member in _MEMBERS:
        lacking = [event for event in page.events if not event.get(member)]
        if lacking:
            yield Skipped(
                f"{page.query.label}/page-{page.number}",
                f"{counted(len(lacking), 'event')} without {member}, which LookupEvents always sends",
                Extent.PART,
            )


def _document(region: str, page: LookupPage) -> Document:
    """A page as LookupEvents' own output, under a name that tells account, Region and question."""
    account = next((record.get("recipientAccountId") for _, record in records(page.events)), None)
    place = f"{account}/{region}" if account else region
    text = msgspec.json.encode({"Events": page.events})
    uri = f"lookup:{place}/{page.query.label}/page-{page.number}"
    return Document(uri, len(text), iter((text,)))
