"""A run of several processes, of which one fails: it says why, and the others only miss it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

from torch import distributed

from KPrismLib.errors import KPrismError

#: So long, in seconds, the others wait for it to end first: what starts processes names the first that ends as the one
#: at fault, and then ends the others.
_FIRST = 3.0
#: Words of gloo, whose errors have no type of their own.
_WORDS = re.compile(r"\[.*[/\\]gloo[/\\]|monitoredBarrier")


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
        ours = isinstance(error, KPrismError) or not (distributed.is_available() and distributed.is_initialized())
        if ours or not (isinstance(error, distributed.DistError) or _WORDS.search(str(error))):
            raise
        time.sleep(_FIRST)
        said = str(error).strip().partition("\n")[0]
        raise OtherProcessFailed(
            "Another process of this run failed; what it said is the reason: mend that, and start the run again. If "
            f"none said anything, the connection failed: {said}"
        ) from error
