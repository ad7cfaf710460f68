"""What guides a segment besides clicks: a class, or slices that are segmented already."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from KPrismLib.errors import InvalidReference
from KPrismLogic.labelmaps import Mask
from KPrismLogic.slice_image import cut
from KPrismLogic.slice_source import SliceSource
from KPrismLogic.slice_voxels import segment_in_slice

if TYPE_CHECKING:
    from collections.abc import Iterator

    import slicer

    from KPrismLogic.slice_origin import SliceOrigin
    from KPrismLogic.slice_plane import SlicePlane

#: As many as there are keys 1-9, and as the paper studies.
MAXIMUM_REFERENCES = 9

#: What is said where there is no room for another.
FULL = f"There are {MAXIMUM_REFERENCES} references already; remove one first."


@dataclass(frozen=True, eq=False)
class ReferenceSlice:
    """A segmented slice as it was when it was added; later edits do not change it.

    Attributes:
        source: the slice.
        mask: bool (rows, columns) of the slice.
        title: which segment of which volume.
    """

    source: SliceSource
    mask: Mask
    title: str

    @classmethod
    def of_segment(
        cls,
        volume: slicer.vtkMRMLVolumeNode,
        segmentation: slicer.vtkMRMLSegmentationNode,
        segment_id: str,
        plane: SlicePlane,
    ) -> ReferenceSlice:
        """The slice of a volume in a plane, with a segment in it.

        Raises:
            InvalidReference: no such segment, or the slice holds nothing of it.
            InvalidImage: the plane misses the volume.
        """
        segment = segmentation.GetSegmentation().GetSegment(segment_id)
        if segment is None:
            raise InvalidReference(f"{segmentation.GetName()} has no segment {segment_id!r} to refer to.")
        image = cut(volume, plane)
        mask = segment_in_slice(image, segmentation, segment_id)
        if not mask.any():
            raise InvalidReference(
                f"This slice holds nothing of {segment.GetName()}; show a slice in which it is segmented."
            )
        return cls(SliceSource.of(volume, image), mask, f"{segment.GetName()} in {volume.GetName()}")


@dataclass(frozen=True)
class Guide:
    """What the model is told before any click; equal guides give equal masks.

    Attributes:
        cls: a class that the model knows, or None.
        references: segmented slices; never together with a class.
    """

    cls: str | None = None
    references: tuple[ReferenceSlice, ...] = field(default=())

    def __bool__(self) -> bool:
        return self.cls is not None or bool(self.references)


class ReferenceShelf:
    """Up to nine references, in the order in which they were added."""

    def __init__(self) -> None:
        self._slices: list[ReferenceSlice] = []
        # Beside the references, which other threads hold and drop: nodes are for the main thread.
        self._origins: list[SliceOrigin | None] = []

    def __len__(self) -> int:
        return len(self._slices)

    def __iter__(self) -> Iterator[ReferenceSlice]:
        return iter(tuple(self._slices))

    @property
    def origins(self) -> list[SliceOrigin]:
        """Where the references were taken, as far as that is known."""
        return [origin for origin in self._origins if origin is not None]

    def add(self, reference: ReferenceSlice, origin: SliceOrigin | None = None) -> None:
        """Add a reference; the same slice with the same mask only once.

        Args:
            reference: the reference.
            origin: where it was taken; None for one that cannot be found again.

        Raises:
            InvalidReference: nine are there already.
        """
        if any(
            one.source.key == reference.source.key and np.array_equal(one.mask, reference.mask) for one in self._slices
        ):
            return
        if len(self._slices) >= MAXIMUM_REFERENCES:
            raise InvalidReference(FULL)
        self._slices.append(reference)
        self._origins.append(origin)

    def remove(self, index: int) -> SliceOrigin | None:
        """Take the reference at a position away, if there is one; -> where it was taken, if that is known."""
        if not 0 <= index < len(self._slices):
            return None
        del self._slices[index]
        return self._origins.pop(index)

    def clear(self) -> None:
        """Take all away."""
        self._slices.clear()
        self._origins.clear()

    def guide(self) -> Guide:
        """All of them as a guide."""
        return Guide(references=tuple(self._slices))
