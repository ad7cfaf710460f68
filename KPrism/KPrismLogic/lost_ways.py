"""Where a propagation lost its way, for a sentence on what to do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from KPrismLogic.segment_propagation import SegmentPropagation

#: Why it went no further where the structure may go on, as ``KPrismLib.volumes.walk.EndReason`` has it.
COLLAPSED = "confidence collapsed"

#: A sentence names at most so many slices.
_LISTED = 3


def lost_ways(run: SegmentPropagation) -> str:
    """Where the last run was left without confidence, and what to do; "" where it went as far as the structure does."""
    lost = [offset for offset, reason in run.ends.items() if reason == COLLAPSED]
    if not lost:
        return ""
    letter = "RAS"[run.stack.planes[0].axis]
    places = [f"{letter} = {offset:.5g} mm" for offset in lost[:_LISTED]]
    more = ["other slices"] * (len(lost) > _LISTED)
    return (
        f"The model lost its way at {' and '.join([*places, *more])}; if the structure goes on there, segment it there "
        "and propagate again."
    )
