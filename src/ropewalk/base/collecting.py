"""Python's garbage collector, kept from looking where there is nothing to find.

It looks for cycles the more often the more is allocated: in the middle of an import, or of loading a database, it finds
none and looks at everything each time.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """No collection inside."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def settling() -> Iterator[None]:
    """No collection inside, and what there is at the end is set aside for good: later collections do not look at it."""
    with paused():
        yield
        gc.freeze()
