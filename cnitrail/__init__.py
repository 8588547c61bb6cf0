"""Who assigned, moved or released which private IP addresses on which ENI, from AWS CloudTrail.

>>> import cnitrail
>>> case = cnitrail.read("logs/")
>>> case.timeline(instance="i-0abc…")
>>> case.who("10.0.1.25", at="2022-10-05T14:00Z").pod
>>> case.pods(namespace="shop")

Pods come from pod evidence among the sources, such as EKS audit logs and ``ipamd.log``.

Names are imported when they are used: ``import cnitrail`` alone costs nothing.
"""

from cnitrail.version import __version__

TYPE_CHECKING = False  # to import typing would take longer than everything else here
if TYPE_CHECKING:
    from cnitrail.answers.pool import Settings
    from cnitrail.api import Case, read, to_dicts
    from cnitrail.arguments import Filters
    from cnitrail.errors import AccountingError, CnitrailError, SourceError, StoreError, UsageError

__all__ = [
    "AccountingError",
    "Case",
    "CnitrailError",
    "Filters",
    "Settings",
    "SourceError",
    "StoreError",
    "UsageError",
    "__version__",
    "read",
    "to_dicts",
]

_MODULES = {
    "AccountingError": "cnitrail.errors",
    "Case": "cnitrail.api",
    "CnitrailError": "cnitrail.errors",
    "Filters": "cnitrail.arguments",
    "Settings": "cnitrail.answers.pool",
    "SourceError": "cnitrail.errors",
    "StoreError": "cnitrail.errors",
    "UsageError": "cnitrail.errors",
    "read": "cnitrail.api",
    "to_dicts": "cnitrail.api",
}


if not TYPE_CHECKING:  # a type checker knows the names above, and reports any other

    def __getattr__(name: str) -> object:
        """Import a public name when it is first used."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(_MODULES[name]), name)
        return value


def __dir__() -> list[str]:
    return __all__
