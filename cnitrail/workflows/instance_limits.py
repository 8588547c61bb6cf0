"""Limits of the instance types that cnitrail does not know, asked of EC2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnitrail.errors import SourceError
from cnitrail.limits import limits_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from cnitrail.answers.pool import Node
    from cnitrail.model import Limits
    from cnitrail.workflows.request import Access

_HINT = "--describe-types asks EC2, --instance-types FILE reads them"


def complete_limits(
    given: Mapping[str, Limits], nodes: Iterable[Node], access: Access, *, ask_aws: bool
) -> tuple[Mapping[str, Limits], list[str]]:
    """Return ``given`` with the limits of other unknown types of nodes, and what is still not known.

    EC2 is called only if ``ask_aws``: evidence on disk may name any type, of any account.
    """
    unknown: dict[str | None, set[str]] = {}
    for node in nodes:
        name = node.instance.instance_type
        if name is not None and name not in given and limits_of(name) is None:
            unknown.setdefault(node.instance.region, set()).add(name)
    limits, problems = dict(given), []
    for region, names in unknown.items():
        if ask_aws:
            try:
                limits |= _described(names, region, access)
            except SourceError as error:
                problems.append(error.message)
        problems += [f"the limits of {name} are unknown: {_HINT}" for name in sorted(names - limits.keys())]
    return limits, problems


def _described(names: set[str], region: str | None, access: Access) -> Mapping[str, Limits]:
    from cnitrail.sources.instance_types import describe

    return describe(names, region, access.profile, access.endpoint_url)
