"""Whose credentials these are, and what they may call."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from cnitrail.model.checkup import Caller, Check, CheckCause, CheckCode, CheckStatus
from cnitrail.sources import LOOKUP, sources_or_default
from cnitrail.sources.probes import Probe
from cnitrail.text import counted
from cnitrail.workflows.doctor.buckets import S3, bucket_checks
from cnitrail.workflows.doctor.call_check import call_check, without_stop
from cnitrail.workflows.doctor.trails import DESCRIBE_TRAILS, trail_checks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cnitrail.sources.probes import AwsProbes, ProbeAnswer

_TOLERATED_SKEW: Final = timedelta(seconds=60)
"""AWS rejects signatures that are five minutes old; a minute is far from that, and more than NTP leaves."""


class _Need(Struct, frozen=True):
    """A call that cnitrail makes: how to try it, what for, and whether ``doctor`` is useless without it."""

    probe: Probe
    purpose: str
    is_required: bool = True


def _ec2(operation: str, action: str, **parameters: object) -> Probe:
    return Probe(service="ec2", operation=operation, action=f"ec2:{action}", parameters=parameters)


_LOOKUP: Final = _Need(
    Probe(
        service="cloudtrail",
        operation="lookup_events",
        action="cloudtrail:LookupEvents",
        parameters={
            "LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "AssignPrivateIpAddresses"}],
            "MaxResults": 1,
        },
    ),
    "which the source lookup: needs",
)
_NEEDS: Final = (
    _LOOKUP,
    _Need(_ec2("describe_instances", "DescribeInstances", MaxResults=5), "which finds the node"),
    _Need(
        _ec2("describe_network_interfaces", "DescribeNetworkInterfaces", MaxResults=5),
        "which shows the ENIs of a node",
    ),
    _Need(_ec2("describe_subnets", "DescribeSubnets", MaxResults=5), "which shows the free IPs of a subnet"),
    _Need(_ec2("describe_regions", "DescribeRegions"), "which only --region all needs", is_required=False),
    _Need(
        _ec2(
            "describe_instance_types",
            "DescribeInstanceTypes",
            Filters=[{"Name": "instance-type", "Values": ["m5.large"]}],
        ),
        "which only new instance types need",
        is_required=False,
    ),
)


def identity_checks(caller: Caller, answer: ProbeAnswer) -> Iterator[Check]:
    """Yield whether the credentials work, and whether the clock is right."""
    where = f"Region {caller.region} (from {caller.region_source})"
    profile = f"profile {caller.profile} ({_chosen_by(caller)})" if caller.profile else "no profile"
    if answer.json is None:
        yield Check(
            code=CheckCode.IDENTITY,
            status=CheckStatus.FAILED,
            text=f"{without_stop(answer.reason)}. {where}, {profile}",
            hint=answer.hint,
            commands=(answer.command,) if answer.command else (),
            action="sts:GetCallerIdentity",
            cause=answer.cause,
        )
        return
    is_overridden = caller.credentials == "env" and caller.profile_source in {
        "AWS_PROFILE",
        "AWS_DEFAULT_PROFILE",
    }
    yield Check(
        code=CheckCode.IDENTITY,
        status=CheckStatus.WARNING if is_overridden else CheckStatus.OK,
        text=f"{caller.arn} in account {caller.account}; {where}; {profile}, "
        f"credentials from {_origin_of(caller)}",
        hint=(
            f"AWS_ACCESS_KEY_ID takes precedence over {caller.profile_source}: "
            f"use --profile {caller.profile}, or unset it"
            if is_overridden
            else None
        ),
        resource=caller.arn,
    )
    if answer.skew is not None:
        yield _clock_check(answer.skew)


def _chosen_by(caller: Caller) -> str:
    source = caller.profile_source or ""
    return source if source == "by default" else f"from {source}"


_ORIGINS: Final = {
    "env": "environment variables",
    "shared-credentials-file": "the shared credentials file",
    "config-file": "the AWS config file",
    "sso": "IAM Identity Center",
    "login": "aws login",
    "assume-role": "an assumed role",
    "assume-role-with-web-identity": "a web identity",
    "custom-process": "credential_process",
    "iam-role": "the instance role",
    "container-role": "the container role",
}


def _origin_of(caller: Caller) -> str:
    return _ORIGINS.get(caller.credentials or "", caller.credentials or "an unknown place")


def _clock_check(skew: timedelta) -> Check:
    """Return whether this machine's clock agrees with AWS's."""
    seconds = round(skew.total_seconds())
    if abs(skew) <= _TOLERATED_SKEW:
        text = "This machine's clock agrees with AWS's within a minute"
        return Check(code=CheckCode.CLOCK, status=CheckStatus.OK, text=text)
    direction = "ahead of" if seconds > 0 else "behind"
    return Check(
        code=CheckCode.CLOCK,
        status=CheckStatus.WARNING,
        text=f"This machine's clock is {counted(abs(seconds), 'second')} {direction} AWS's: "
        "ages and ranges such as 2h are off by that, and AWS rejects calls from 5 minutes on",
        hint="set the clock",
        commands=("timedatectl status",),
        cause=CheckCause.CLOCK,
    )


def permission_checks(probes: AwsProbes, caller: Caller, uris: tuple[str, ...]) -> Iterator[Check]:
    """Yield for each call that cnitrail makes whether it is allowed, by making a small one."""
    is_looked_up = LOOKUP in sources_or_default(uris)
    *answers, trails = probes.ask([*(need.probe for need in _NEEDS), DESCRIBE_TRAILS])
    for need, answer in zip(_NEEDS, answers, strict=True):
        is_required = need.is_required and (is_looked_up or need is not _LOOKUP)
        yield call_check(CheckCode.PERMISSION, need.probe.action, answer, caller, need.purpose, is_required)
    yield from trail_checks(probes, caller, trails)
    for uri in dict.fromkeys(uri for uri in uris if uri.startswith(S3)):
        yield from bucket_checks(probes, caller, uri)
