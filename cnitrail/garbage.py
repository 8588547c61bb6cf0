"""Garbage collection, which takes long while many values are built that form no cycles."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_RARELY: Final = 100_000
"""Number of new values after which garbage is looked for: what answers many questions makes hardly any."""


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Disable garbage collection, if it is enabled, until the block ends."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


@contextmanager
def existing_values_kept() -> Iterator[None]:
    """Leave all values that exist out of garbage collection until the block ends, and collect rarely."""
    thresholds = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_RARELY, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        gc.unfreeze()
