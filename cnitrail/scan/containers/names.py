"""The names of the members of an archive, which anybody may have chosen, as they are shown."""

from typing import Final

_MAX_NAME: Final = 1024
"""Maximum length of a name in characters: that of a key on S3 (docs.aws.amazon.com, "Naming objects")."""


class MemberNames:
    """Makes names unique in a document: the second member with the same name gets the suffix ``#2``."""

    def __init__(self) -> None:
        self._seen: dict[int, int] = {}

    def uri(self, archive: str, name: str) -> str:
        """Return the URI of a member: that of its archive, ``!/`` and its name."""
        uri = f"{archive}!/{_shown(name)}"
        key = hash(uri)  # a million names would take too much memory
        number = self._seen[key] = self._seen.get(key, 0) + 1
        return uri if number == 1 else f"{uri}#{number}"


def decoded(name: bytes) -> str:
    """Return a name as text; bytes that are not UTF-8 become escapes."""
    return name.decode("utf-8", "backslashreplace")


def is_resource(name: str) -> bool:
    """Return whether a member is not the user's: macOS adds files with such names to archives."""
    folder, _, file = name.rpartition("/")
    return file.startswith("._") or file == ".DS_Store" or "__MACOSX" in folder.split("/")


def _shown(name: str) -> str:
    """Return a name with escapes for what is not printable, cut to the maximum length."""
    name = name if len(name) <= _MAX_NAME else f"{name[:_MAX_NAME]}…"
    if name.isprintable():
        return name
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in name
    )
