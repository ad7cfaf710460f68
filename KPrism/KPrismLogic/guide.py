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
    from collections.abc import Iterator, Sequence

    import slicer

    from KPrismLogic.slice_origin import SliceOrigin
    from KPrismLogic.slice_plane import SlicePlane

#: As many as there are keys 1-9, and as the paper studies.
SHELF_SIZE = 9

_FULL = f"There are {SHELF_SIZE} references already; remove one first."


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


@dataclass(frozen=True, eq=False)
class _Held:
    """A reference on a shelf; its origin is beside it, because other threads hold and drop references, never nodes."""

    reference: ReferenceSlice
    origin: SliceOrigin | None
    found: bool


class ReferenceShelf:
    """Up to nine references, in the order in which they were added: by somebody, or found by a search."""

    def __init__(self) -> None:
        self._held: list[_Held] = []

    def __len__(self) -> int:
        return len(self._held)

    def __iter__(self) -> Iterator[ReferenceSlice]:
        return iter([one.reference for one in self._held])

    @property
    def origins(self) -> list[tuple[SliceOrigin, bool]]:
        """Where the references were taken, as far as that is known, and whether they were found."""
        return [(one.origin, one.found) for one in self._held if one.origin is not None]

    def add(self, reference: ReferenceSlice, origin: SliceOrigin | None = None, *, found: bool = False) -> bool:
        """Add a reference; the same slice with the same mask only once.

        Args:
            reference: the reference.
            origin: where it was taken; None for one that cannot be found again.
            found: whether a search found it, which the next one replaces.

        Returns:
            Whether it was not there yet.

        Raises:
            InvalidReference: nine are there already.
        """
        if any(one.source.key == reference.source.key and np.array_equal(one.mask, reference.mask) for one in self):
            return False
        if len(self) >= SHELF_SIZE:
            raise InvalidReference(_FULL)
        self._held.append(_Held(reference, origin, found))
        return True

    def check_room(self) -> None:
        """See to it that there is room for what a search finds, in place of what was found before.

        Raises:
            InvalidReference: nine were added by somebody.
        """
        if sum(not one.found for one in self._held) >= SHELF_SIZE:
            raise InvalidReference(_FULL)

    def replace_found(self, found: Sequence[tuple[ReferenceSlice, SliceOrigin]]) -> list[SliceOrigin]:
        """Take away what was found before, and add as much of what is found now as there is room for.

        Returns:
            Where those of before were taken, as far as that is known.
        """
        gone = [one.origin for one in self._held if one.found and one.origin is not None]
        self._held = [one for one in self._held if not one.found]
        for reference, origin in found:
            if len(self) < SHELF_SIZE:
                self.add(reference, origin, found=True)
        return gone

    def remove(self, index: int) -> SliceOrigin | None:
        """Take the reference at a position away, if there is one; -> where it was taken, if that is known."""
        return self._held.pop(index).origin if 0 <= index < len(self._held) else None

    def clear(self) -> None:
        """Take all away."""
        self._held.clear()

    def guide(self) -> Guide:
        """All of them as a guide."""
        return Guide(references=tuple(self))
