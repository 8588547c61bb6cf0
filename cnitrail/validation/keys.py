"""CloudTrail's public keys, in the form of ``aws cloudtrail list-public-keys``."""

import json
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Iterable

from cnitrail.model import PublicKey


def read_keys(text: str, origin: str) -> tuple[PublicKey, ...]:
    """The keys of one or more answers of list-public-keys, one behind the other.

    Raises ``ValueError`` with the reason where the text is something else.
    """
    decoder, found, at = json.JSONDecoder(), [], 0
    text = text.strip()
    try:
        while at < len(text):
            answer, at = decoder.raw_decode(text, at)
            found += [_key(each, origin) for each in answer["PublicKeyList"]]
            at += len(text[at:]) - len(text[at:].lstrip())
    except (KeyError, TypeError):
        raise ValueError("it is not what aws cloudtrail list-public-keys prints") from None
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None
    return tuple(found)


def written_keys(keys: Iterable[PublicKey]) -> str:
    """Keys in the form that ``read_keys`` reads."""
    listed = [
        {"Value": b64encode(key.value).decode(), "Fingerprint": key.fingerprint}
        for key in sorted(keys, key=lambda key: (key.fingerprint, key.value))
    ]
    return json.dumps({"PublicKeyList": listed}, indent=4) + "\n"


def _key(each: dict[str, object], origin: str) -> PublicKey:
    fingerprint, value = each["Fingerprint"], each["Value"]
    if not isinstance(fingerprint, str) or not isinstance(value, str):
        raise TypeError
    try:
        return PublicKey(fingerprint, b64decode(value, validate=True), origin)
    except NotBase64:
        raise ValueError(f"the key {fingerprint[:40]!r} is no base64") from None
