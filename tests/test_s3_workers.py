"""``s3://bucket`` with ``--workers``: every process fetches for itself, and gives the answer of one."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from loopback import Call, Endpoint, Fault, Refusal, endpoint
from write import files, zipped

from cnitrail.sources.obstore_reader import BucketAddress

QUIET = zipped(b'{"Records":[]}')
STORIES = ("hand-assigned", "ironman", "two-vpcs")

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux only")


@pytest.fixture(scope="module")
def server() -> Iterator[Endpoint]:
    with endpoint() as found:
        objects = {path: zipped(data) for story in STORIES for path, data in files(story).items()}
        name = min(objects)
        quiet = {
            name.replace(".json", f"{number:03}.json"): zipped(b'{"Records":[]}') for number in range(200)
        }
        found.put("story-logs", objects | quiet)
        yield found


@pytest.fixture(autouse=True)
def _fresh(server: Endpoint) -> None:
    server.calls.clear()
    server.fault = lambda _: None


Answer = tuple[int, bytes, str]


@pytest.fixture
def answer(server: Endpoint) -> Callable[[int], Answer]:
    """Return the timeline, and what is said beside it, of a number of processes."""

    def answer(workers: int) -> Answer:
        own = {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": "us-east-1"}
        done = subprocess.run(
            (
                *(sys.executable, "-m", "cnitrail", "timeline", "s3://story-logs", "-o", "jsonl"),
                *("--endpoint-url", server.url, "--workers", str(workers)),
            ),
            capture_output=True,
            check=False,
            timeout=120,
            env={**os.environ, **own, "AWS_CONFIG_FILE": os.devnull, "AWS_MAX_ATTEMPTS": "1"},
        )
        return done.returncode, done.stdout, done.stderr.decode()

    return answer


def agents(server: Endpoint) -> Counter[str]:
    """Return by which library how many objects were asked for."""
    return Counter(call.headers["user-agent"].partition("/")[0] for call in server.calls if call.key)


def test_any_number_of_processes_gives_the_same_answer(answer: Callable[[int], Answer]) -> None:
    one, two, five = map(answer, (1, 2, 5))
    assert one == two == five
    assert one[1].count(b"\n") == 30


def test_processes_fetch_with_obstore_and_only_the_first_object_twice(
    answer: Callable[[int], Answer], server: Endpoint
) -> None:
    answer(2)
    number = len({call.key for call in server.calls if call.key})
    assert agents(server) == {"object_store": number + 1}


def test_what_obstore_cannot_fetch_is_fetched_by_boto3(
    answer: Callable[[int], Answer], server: Endpoint
) -> None:
    whole = answer(1)

    def only_boto3(call: Call) -> Fault | None:
        is_obstore = not call.headers["user-agent"].startswith("Boto3")
        return Refusal(403, "AccessDenied") if is_obstore and "1330Z" in call.key else None

    server.fault = only_boto3
    server.calls.clear()
    assert answer(3) == whole
    assert agents(server)["Boto3"] == len({call.key for call in server.calls if "1330Z" in call.key}) > 0


def test_an_object_that_cannot_be_fetched_is_skipped_as_by_one_process(
    answer: Callable[[int], Answer], server: Endpoint
) -> None:
    server.fault = lambda call: Refusal(403, "AccessDenied") if "1330Z" in call.key else None
    one, three = answer(1), answer(3)
    assert one == three
    assert one[0] == 3
    assert "access denied: s3:GetObject" in one[2]


def test_denial_of_every_object_is_the_same_error(answer: Callable[[int], Answer], server: Endpoint) -> None:
    server.fault = lambda call: None if call.is_listing else Refusal(403, "AccessDenied")
    one, two = answer(1), answer(2)
    assert one == two
    assert one[0] == 1
    assert "needs the IAM action s3:GetObject on story-logs/*" in one[2]


def test_credentials_that_expire_end_the_reading_with_an_answer_of_what_was_read(
    answer: Callable[[int], Answer], server: Endpoint
) -> None:
    server.fault = lambda call: Refusal(403, "ExpiredToken") if "/222222222222/" in call.key else None
    status, rows, said = answer(3)
    assert status == 3
    assert rows.count(b"\n") == 14
    assert said.count("the AWS session token has expired (ExpiredToken); sign in again: aws sso login") == 1


def test_an_address_is_shown_without_its_keys() -> None:
    address = BucketAddress(
        bucket="logs",
        url="https://logs.example",
        region="eu-west-1",
        access_key_id="AKIAEXAMPLE",
        secret_access_key="never shown",
        token="nor this",
        requester_pays=False,
        connect_seconds=1,
        read_seconds=1,
    )
    assert repr(address) == "BucketAddress('https://logs.example')"
