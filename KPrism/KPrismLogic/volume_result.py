"""What a run through a volume wrote, for the console."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from KPrismLogic.volume_run import most_in_doubt


@dataclass(frozen=True)
class VolumeResult:
    """What a run through a volume wrote.

    Attributes:
        confidence: in [0, 1], of each written slice by its offset in mm; None where nothing says how sure the model is.
        area: pixels of each written slice by its offset.
    """

    confidence: Mapping[float, float | None]
    area: Mapping[float, int]

    @property
    def leastCertain(self) -> float | None:
        """Offset in mm of the slice to look at next, where most pixels are in doubt; None without a confidence."""
        return most_in_doubt(self.confidence, self.area)
