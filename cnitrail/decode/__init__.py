"""One record → typed facts. This room knows the shapes of requests, responses and identities."""

from cnitrail.decode.events import MARKERS, NAMES, Decoded, decode

__all__ = ["MARKERS", "NAMES", "Decoded", "decode"]
