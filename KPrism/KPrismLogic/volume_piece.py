"""What a run through a volume writes, slice by slice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from KPrismLogic.labelmaps import Mask
    from KPrismLogic.slice_plane import SlicePlane


@dataclass(frozen=True, eq=False)
class Piece:
    """What is to be written into one slice.

    Attributes:
        index: the slice of the stack.
        masks: bool (rows, columns) of the slice for each segment ID.
        confidence: in [0, 1] for each segment ID of which something says how sure the model is.
        accepted: the plane of a slice that stays as it is. Where the segmentation has several layers for it, those
            that hold nothing of their own get what the layer in this plane holds.
    """

    index: int
    masks: Mapping[str, Mask]
    confidence: Mapping[str, float] = field(default_factory=dict)
    accepted: SlicePlane | None = None

    @property
    def area(self) -> int:
        """Pixels of all masks."""
        return sum(int(mask.sum()) for mask in self.masks.values())
