"""What became of a small call to AWS: allowed, or why not, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cnitrail.model.checkup import Caller, Check, CheckCause, CheckCode, CheckStatus

if TYPE_CHECKING:
    from cnitrail.sources.probes import ProbeAnswer


def call_check(
    code: CheckCode,
    action: str,
    answer: ProbeAnswer,
    caller: Caller,
    purpose: str,
    is_required: bool = True,
    resource: str | None = None,
) -> Check:
    """Return what became of a call: allowed, or why not, and what to do."""
    where = resource if resource is not None else "*"
    if answer.json is not None:
        retried = f", on attempt {answer.retries + 1}" if answer.retries else ""
        text = f"{action} is allowed ({answer.seconds:.1f} s{retried})"
        return Check(code=code, status=CheckStatus.OK, text=text, action=action, resource=resource)
    unmade = CheckStatus.FAILED if is_required else CheckStatus.WARNING
    policy = None
    if answer.cause is CheckCause.ACCESS_DENIED:
        text = f"{caller.arn or 'The caller'} may not call {action}, {purpose}"
        policy = _statement(action, where)
        hint = f"allow it: {policy}"
        if answer.denied_by:
            hint = f"an explicit deny in a {answer.denied_by} forbids it: allowing it elsewhere does not help"
            policy = None
    elif answer.cause is CheckCause.CREDENTIALS and caller.arn is not None:
        text = f"{action}: Region {caller.region} refuses credentials that STS accepts"
        hint = "the Region may be disabled in this account: aws account list-regions shows it"
    else:
        reason = without_stop(answer.reason)
        text = reason if reason.startswith(action) else f"{action}: {reason}"
        hint = answer.hint or "try again later"
    return Check(
        code=code,
        status=unmade,
        text=text,
        hint=hint,
        action=action,
        policy=policy,
        cause=answer.cause,
        resource=resource,
        commands=(answer.command,) if answer.command else (),
    )


def _statement(action: str, resource: str) -> str:
    """Return an IAM policy statement that allows an action."""
    statement = {"Effect": "Allow", "Action": action, "Resource": resource}
    return msgspec.json.encode(statement).decode().replace('":"', '": "').replace('","', '", "')


def without_stop(text: str) -> str:
    """Return a clause without the stop at its end."""
    return text.rstrip(". ")
