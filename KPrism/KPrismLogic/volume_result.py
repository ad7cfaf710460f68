"""What a run through a volume wrote, and which slice of it to look at next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

Where = TypeVar("Where", int, float)


def most_in_doubt(confidence: Mapping[Where, float | None], area: Mapping[Where, int]) -> Where | None:
    """Of slices the one to look at next, as the engine has it; None when no slice has a confidence.

    Args:
        confidence: in [0, 1] by slice; None where nothing says how sure the model is.
        area: pixels of the mask by slice.
    """
    from KPrismLib.volumes.slice_result import pixels_in_doubt

    doubt = {where: pixels_in_doubt(sure, area[where]) for where, sure in confidence.items() if sure is not None}
    return max(doubt, key=lambda where: (doubt[where], -where), default=None)


@dataclass(frozen=True)
class VolumeResult:
    """What a run through a volume wrote.

    Attributes:
        confidence: in [0, 1], of each written slice by its offset in mm; None where nothing says how sure the model is,
            as in slices in which a class is not found.
        area: pixels of each written slice by its offset.
        remark: something the user should know, or "".
        ends: why a propagation went no further, by the offset of the last slice that it saw: "structure ended" or
            "confidence collapsed"; nothing where it came to the end of its range or was stopped.
    """

    confidence: Mapping[float, float | None]
    area: Mapping[float, int]
    remark: str = ""
    ends: Mapping[float, str] = field(default_factory=dict)

    @property
    def leastCertain(self) -> float | None:
        """Offset in mm of the slice to look at next, where most pixels are in doubt; None without a confidence."""
        return most_in_doubt(self.confidence, self.area)
