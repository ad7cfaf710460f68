"""What a propagation knows of its slices: results, the versions of their masks, and what each result rests on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from KPrismLib.volumes.class_guidance import SemanticGuide
from KPrismLib.volumes.slice_result import SliceResult

#: A slice, and which of the masks that it has had; a number is never given twice.
Version = tuple[int, int]


@dataclass(frozen=True)
class Basis:
    """What a result was computed from: slices, each with the version of its mask, and who is asked for a class."""

    guides: tuple[Version, ...]
    references: tuple[Version, ...]
    semantic: tuple[SemanticGuide, ...]


@dataclass(frozen=True)
class KnownSlice:
    """A result, the mask behind it, what it rests on (None for an accepted slice), and what speaks for it."""

    result: SliceResult
    found: NDArray[np.bool_]
    basis: Basis | None
    evidence: float


class KnownSlices:
    """Slices by number; begins with none."""

    def __init__(self) -> None:
        self._known: dict[int, KnownSlice] = {}
        self._versions: dict[int, int] = {}

    def __iter__(self) -> Iterator[KnownSlice]:
        """All, ascending."""
        return iter([known for _, known in sorted(self._known.items())])

    def __getitem__(self, index: int) -> KnownSlice:
        return self._known[index]

    def get(self, index: int) -> KnownSlice | None:
        """What is known of a slice, if anything is."""
        return self._known.get(index)

    @property
    def accepted(self) -> tuple[int, ...]:
        """The accepted slices, ascending."""
        return tuple(known.result.index for known in self if known.result.accepted)

    @property
    def references(self) -> tuple[int, ...]:
        """The accepted slices that show the structure, ascending."""
        return tuple(index for index in self.accepted if self._known[index].result.shows)

    @property
    def vouched(self) -> dict[Version, NDArray[np.bool_]]:
        """The masks of the references."""
        return {version: self._known[version[0]].result.mask for version in self.versions(self.references)}

    def versions(self, slices: Iterable[int]) -> tuple[Version, ...]:
        """The present version of the mask of each."""
        return tuple((index, self._versions[index]) for index in slices)

    def store(self, known: KnownSlice) -> None:
        """Remember; an equal mask keeps its version: what was segmented from it stays right."""
        index, mask = known.result.index, known.result.mask
        before = self._known.get(index)
        if before is None or not np.array_equal(before.result.mask, mask):
            self._versions[index] = self._versions.get(index, -1) + 1
        self._known[index] = known

    def forget(self, index: int) -> KnownSlice | None:
        """Forget a slice; -> what was known of it."""
        return self._known.pop(index, None)

    def forget_what_rests_on_nothing(self) -> None:
        """Without a slice that shows the structure there is nothing that any result could come from."""
        if not self.references:
            self._known = {index: self._known[index] for index in self.accepted}
