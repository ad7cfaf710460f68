"""A run of several processes, of which one fails: it says why, and the others only miss it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from torch import distributed

from KPrismLib.errors import KPrismError

#: So long, in seconds, the others wait for it to end first: what starts processes names the first that ends as the one
#: at fault, and then ends the others.
_FIRST = 3.0
#: Words of gloo, whose errors have no type of their own.
_WORDS = ("gloo", "monitoredBarrier")


class OtherProcessFailed(KPrismError, RuntimeError):
    """Another process of the run has ended while this one waited for it."""


@contextmanager
def without_echo() -> Iterator[None]:
    """Leave the word to the process that failed.

    Raises:
        OtherProcessFailed: in place of what a backend says of a connection that was lost.
    """
    try:
        yield
    except RuntimeError as error:
        lost = distributed.is_available() and isinstance(error, distributed.DistError)
        if not lost and not any(word in str(error) for word in _WORDS):
            raise
        time.sleep(_FIRST)
        raise OtherProcessFailed(
            "Another process of this run failed; what it said is the reason: mend that, and start the run again."
        ) from error
