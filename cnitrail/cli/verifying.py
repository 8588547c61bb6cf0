"""Sources → what CloudTrail's signed digests prove of them."""

from cnitrail.model import Scope, Verification


def verify_sources(uris: tuple[str, ...], scope: Scope, public_keys: str | None) -> Verification:
    """What the digests in sources prove of the log files there.

    ``public_keys`` is the path of a file that ``aws cloudtrail list-public-keys`` wrote; None where keys
    lie beside a copy, or AWS is asked. Raises ``SourceError`` where a source cannot be read at all.
    """
    raise NotImplementedError(uris, scope, public_keys)
