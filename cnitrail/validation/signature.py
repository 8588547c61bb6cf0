"""The signature of a digest: RSA, PKCS#1 v1.5, SHA-256.

What is signed is text in four lines: the end of the span as the digest writes it; bucket and key; the SHA-256
of the digest's text; the signature of the digest before, or ``null``.
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
    """The text that CloudTrail signs for a digest."""
    before = digest.previous.signature if digest.previous else "null"
    place = f"{digest.bucket}/{digest.key}"
    return f"{digest.end_text}\n{place}\n{digest.hash}\n{before}".encode("utf-8", "surrogatepass")


def is_signed(digest: Digest, signature: str, key: bytes) -> bool:
    """Whether a signature (hex, in lower case, as CloudTrail writes it) of a digest is by a key."""
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
    """An RSA key from its DER form; None where it is none."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        public = load_der_public_key(key)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return public if isinstance(public, RSAPublicKey) else None
