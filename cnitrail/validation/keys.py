"""CloudTrail's public keys, in the format of ``aws cloudtrail list-public-keys``."""

import json
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable

from cnitrail.model import PublicKey


def read_keys(text: str, origin: str) -> tuple[PublicKey, ...]:
    """Return the keys in one or more outputs of list-public-keys, one after the other.

    What ``--query PublicKeyList`` takes from an output is read, too.

    Raises ``ValueError`` with the reason if the text is anything else.
    """
    decoder, found, at = json.JSONDecoder(), [], 0
    text = text.strip()
    try:
        while at < len(text):
            answer, at = decoder.raw_decode(text, at)
            listed_keys = answer if isinstance(answer, list) else answer["PublicKeyList"]
            found += [_key(listed, origin) for listed in listed_keys]
            at += len(text[at:]) - len(text[at:].lstrip())
    except (KeyError, TypeError):
        raise ValueError("not the output of aws cloudtrail list-public-keys") from None
    except RecursionError:
        raise ValueError("JSON nested too deeply") from None
    return tuple(found)


def written_keys(keys: Iterable[PublicKey]) -> str:
    """Return keys in the format that ``read_keys`` reads."""
    listed = [
        {"Value": b64encode(key.value).decode(), "Fingerprint": key.fingerprint}
        for key in sorted(keys, key=lambda key: (key.fingerprint, key.value))
    ]
    return json.dumps({"PublicKeyList": listed}, indent=4) + "\n"


def _key(listed: dict[str, object], origin: str) -> PublicKey:
    fingerprint, value = listed["Fingerprint"], listed["Value"]
    if not isinstance(fingerprint, str) or not isinstance(value, str):
        raise TypeError
    try:
        return PublicKey(fingerprint, b64decode(value, validate=True), origin)
    except NotBase64:
        raise ValueError(f"the key {fingerprint[:40]!r} is not base64") from None
