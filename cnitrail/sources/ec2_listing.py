"""What EC2 itself says of interfaces and instances: now, or in files that somebody kept."""

from __future__ import annotations

import sys
from contextlib import closing
from typing import IO, TYPE_CHECKING, Any

import msgspec

from cnitrail.errors import SourceError
from cnitrail.model import Listing, Scope, Skipped
from cnitrail.sources.aws import AwsFailure, failure, regions_of, session

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import boto3

_URI = "ec2:"
_OPERATIONS = {
    "describe_network_interfaces": "ec2:DescribeNetworkInterfaces",
    "describe_instances": "ec2:DescribeInstances",
}
_PAGE = 1000
"""The most that a page may have. Calls without a page size have a smaller token bucket of their own."""

_LONGEST = 256 << 20
"""More bytes than an account's interfaces in a Region take: 2 kB each."""

_ABREAST = 8
_ATTEMPTS = 10


def ask_ec2(scope: Scope) -> Iterator[Listing | Skipped]:
    """The listings of every Region asked for, whole; Regions that do not answer are skipped.

    Raises ``SourceError`` where nothing at all can be had.
    """
    from concurrent.futures import ThreadPoolExecutor

    credentials = session(scope.profile)
    regions = regions_of(credentials, scope, _URI)
    account = _account(credentials, scope, regions[0])
    # a session is not to be shared between threads, clients are
    clients = [_client(credentials, scope, "ec2", region) for region in regions]
    with ThreadPoolExecutor(_ABREAST) as pool:
        answers = [each for answer in pool.map(_describe, clients) for each in answer]
    refusals = [each for each in answers if isinstance(each[1], AwsFailure)]
    if len(refusals) == len(answers):
        uri, refused = refusals[0]
        assert isinstance(refused, AwsFailure)
        raise refused.of(uri)
    for uri, answer in answers:
        if isinstance(answer, AwsFailure):
            yield Skipped(uri, answer.reason)
        else:
            yield Listing(uri, account, uri.split(":")[1].split("/")[0], answer)


def read_saved(paths: Iterable[str]) -> Iterator[Listing]:
    """Listings that somebody kept; ``-`` is standard input.

    Raises ``SourceError`` where one cannot be read.
    """
    for path in paths:
        try:
            if path == "-":
                yield Listing(path, None, None, _whole(path, sys.stdin.buffer))
            else:
                with open(path, "rb") as file:
                    yield Listing(path, None, None, _whole(path, file))
        except OSError as error:
            raise SourceError(
                f"--live {path}: {error.strerror or error}",
                "--live takes saved JSON, or nothing: name sources before it, or write --live ec2:",
            ) from None


def _whole(path: str, file: IO[bytes]) -> bytes:
    """The content of a file. Raises ``SourceError`` where it is longer than any listing."""
    content = file.read(_LONGEST + 1)
    if len(content) > _LONGEST:
        raise SourceError(f"--live {path}: longer than {_LONGEST >> 20} MB: no listing of EC2")
    return content


def _account(credentials: boto3.Session, scope: Scope, region: str) -> str:
    """Whose interfaces are listed. It takes no permission to ask."""
    from botocore.exceptions import BotoCoreError, ClientError

    from cnitrail.sources.response_check import understood

    try:
        with closing(_client(credentials, scope, "sts", region)) as sts, understood():
            return str(sts.get_caller_identity()["Account"])
    except (BotoCoreError, ClientError) as error:
        raise failure(error, "sts:GetCallerIdentity").of("ec2") from None


def _client(credentials: boto3.Session, scope: Scope, service: str, region: str) -> Any:
    """A client for a Region. Raises ``SourceError`` where its name is none."""
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError

    settings = Config(
        retries={"mode": "standard", "total_max_attempts": _ATTEMPTS}, connect_timeout=10, read_timeout=60
    )
    try:
        return credentials.client(
            service,  # type: ignore[call-overload]
            region_name=region,
            endpoint_url=scope.endpoint_url,
            config=settings,
        )
    except (BotoCoreError, ValueError) as error:
        hint = "check --region and --endpoint-url"
        raise SourceError(f"{_URI}{region}: no such place: {error}", hint) from None


def _describe(client: Any) -> list[tuple[str, bytes | AwsFailure]]:
    """What a Region says to each question, in all its pages."""
    from botocore.exceptions import BotoCoreError, ClientError

    from cnitrail.sources.response_check import understood

    answers: list[tuple[str, bytes | AwsFailure]] = []
    with closing(client):
        for operation, action in _OPERATIONS.items():
            uri = f"{_URI}{client.meta.region_name}/{operation.replace('_', '-')}"
            try:
                pages = client.get_paginator(operation).paginate(PaginationConfig={"PageSize": _PAGE})
                with understood():
                    answers.append((uri, msgspec.json.encode(pages.build_full_result())))
            except (BotoCoreError, ClientError) as error:
                answers.append((uri, failure(error, action)))
    return answers
