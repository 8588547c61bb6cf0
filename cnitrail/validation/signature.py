"""The signature of a digest: RSA, PKCS#1 v1.5, SHA-256.

Four lines are signed: the end of the digest's time span as it is written there, its bucket and key, the
SHA-256 of its text, and the signature of the previous digest or ``null``.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    from cnitrail.validation.digest import Digest

_HEX = re.compile(r"(?:[0-9a-f]{2}){64,1024}")


def signed_text(digest: Digest) -> bytes:
    """Return the text that CloudTrail signs for a digest."""
    before = digest.previous.signature if digest.previous else "null"
    place = f"{digest.bucket}/{digest.key}"
    return f"{digest.end_text}\n{place}\n{digest.hash}\n{before}".encode("utf-8", "surrogatepass")


def is_signed(digest: Digest, signature: str, key: bytes) -> bool:
    """Return whether a digest's signature (lower-case hex, as CloudTrail writes it) was made with a key."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.hashes import SHA256

    public = _public_key(key)
    if public is None or _HEX.fullmatch(signature) is None:
        return False
    try:
        public.verify(bytes.fromhex(signature), signed_text(digest), PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True


@lru_cache(maxsize=256)
def _public_key(key: bytes) -> RSAPublicKey | None:
    """Return an RSA key from its DER form; None if it is not one."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        public = load_der_public_key(key)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return public if isinstance(public, RSAPublicKey) else None
