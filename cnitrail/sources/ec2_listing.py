"""ENIs, instances and subnets as EC2 lists them: now, or in saved files."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

from cnitrail.errors import SourceError
from cnitrail.model import Listing, Scope, Skipped
from cnitrail.sources.aws import AwsFailure, failure_of, open_session, regional_client, regions_of
from cnitrail.sources.files import standard_input

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import boto3

_URI: Final = "ec2:"
_OPERATIONS: Final = {
    "describe_network_interfaces": "ec2:DescribeNetworkInterfaces",
    "describe_instances": "ec2:DescribeInstances",
}
_OF_SUBNETS: Final = {
    "describe_subnets": "ec2:DescribeSubnets",
    "describe_network_interfaces": "ec2:DescribeNetworkInterfaces",
}
_PAGE_SIZE: Final = 1000
"""The maximum. Calls without a page size have a smaller token bucket of their own."""

_MAX_BYTES: Final = 256 << 20
"""More than the ENIs of an account in a Region take: 2 kB each."""

_CONCURRENT_REGIONS: Final = 8


def ask_ec2(scope: Scope, subnets: tuple[str, ...] = ()) -> Iterator[Listing | Skipped]:
    """Yield the listings of every Region that was asked for; Regions that do not answer are skipped.

    They list all ENIs and instances, or only ``subnets`` and their ENIs. Raises ``SourceError`` if no Region
    answers.
    """
    from concurrent.futures import ThreadPoolExecutor

    session = open_session(scope.profile)
    regions = regions_of(session, scope, _URI)
    account = _account(session, scope, regions[0])
    # boto3: clients may be shared between threads, sessions may not
    clients = [regional_client(session, scope, "ec2", region, _URI) for region in regions]
    with ThreadPoolExecutor(_CONCURRENT_REGIONS) as pool:
        described = pool.map(partial(_describe, subnets=subnets), clients)
        answers = [answer for region_answers in described for answer in region_answers]
    failures = [(uri, answer) for uri, answer in answers if isinstance(answer, AwsFailure)]
    if len(failures) == len(answers):
        uri, failure = failures[0]
        raise failure.as_error(uri)
    for uri, answer in answers:
        if isinstance(answer, AwsFailure):
            yield Skipped(uri, answer.reason)
        else:
            yield Listing(uri, account, uri.split(":")[1].split("/")[0], answer)


def read_saved(paths: Iterable[str]) -> Iterator[Listing]:
    """Yield saved listings; ``-`` is standard input.

    Raises ``SourceError`` if one cannot be read.
    """
    for path in paths:
        try:
            if path == "-":
                yield Listing(path, None, None, _read_all(path, standard_input()))
            else:
                with open(path, "rb") as file:
                    yield Listing(path, None, None, _read_all(path, file))
        except OSError as error:
            raise SourceError(
                f"--live {path}: {error.strerror or error}",
                "--live takes a file with saved JSON, or ec2: to ask EC2; put each SOURCE before --live",
            ) from None


def _read_all(path: str, file: IO[bytes]) -> bytes:
    """Return the content of a file. Raises ``SourceError`` if it is longer than any listing."""
    content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise SourceError(f"--live {path}: longer than {_MAX_BYTES >> 20} MB: not a listing from EC2")
    return content


def _account(session: boto3.Session, scope: Scope, region: str) -> str:
    """Return the account that is listed. GetCallerIdentity needs no permission."""
    from botocore.exceptions import BotoCoreError, ClientError

    from cnitrail.sources.response_check import parser_errors_raised

    try:
        client = regional_client(session, scope, "sts", region, _URI)
        with closing(client), parser_errors_raised():
            return str(client.get_caller_identity()["Account"])
    except (BotoCoreError, ClientError) as error:
        raise failure_of(error, "sts:GetCallerIdentity", scope.profile).as_error("ec2") from None


def _describe(client: Any, subnets: tuple[str, ...]) -> list[tuple[str, bytes | AwsFailure]]:
    """Return a Region's answer to each operation, all pages together.

    A filter takes a subnet of another Region for one that does not exist; an ID would be an error.
    """
    import logging

    from botocore.exceptions import BotoCoreError, ClientError

    from cnitrail.sources.response_check import parser_errors_raised

    log = logging.getLogger(__name__)
    answers: list[tuple[str, bytes | AwsFailure]] = []
    asked = {"Filters": [{"Name": "subnet-id", "Values": list(subnets)}]} if subnets else {}
    with closing(client):
        for operation, action in (_OF_SUBNETS if subnets else _OPERATIONS).items():
            uri = f"{_URI}{client.meta.region_name}/{operation.replace('_', '-')}"
            log.debug("%s", uri)
            try:
                pages = client.get_paginator(operation).paginate(
                    PaginationConfig={"PageSize": _PAGE_SIZE}, **asked
                )
                with parser_errors_raised():
                    answers.append((uri, msgspec.json.encode(pages.build_full_result())))
            except (BotoCoreError, ClientError) as error:
                answers.append((uri, failure_of(error, action)))
                log.debug("%s failed: %s", uri, error)
    return answers
