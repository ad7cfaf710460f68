"""From accepted slices to the whole structure: each slice is segmented in-context from slices that are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from KPrismLib.errors import InvalidConfig, InvalidImage, InvalidMask
from KPrismLib.intensity import IntensityWindow
from KPrismLib.network import EncodedReference
from KPrismLib.predictor import MAXIMUM_REFERENCES, Predictor
from KPrismLib.volumes.chains import Chain, chains_between
from KPrismLib.volumes.confidence import expected_dice
from KPrismLib.volumes.descriptor import similarity
from KPrismLib.volumes.encoded_stack import EncodedStack
from KPrismLib.volumes.reference_choice import choose_references
from KPrismLib.volumes.stack import Stack


@dataclass(frozen=True, eq=False)
class SliceResult:
    """What is known of a slice.

    Attributes:
        index: the slice.
        mask: bool (rows, columns), read-only.
        confidence: in [0, 1]; 1 for an accepted slice.
        references: the slices it was segmented from, ascending; none for an accepted slice, for one without anything
            to see, and for one that the structure no longer reaches.
        accepted: whether the user vouches for it.
    """

    index: int
    mask: NDArray[np.bool_]
    confidence: float
    references: tuple[int, ...] = ()
    accepted: bool = False


class EndReason(str, Enum):
    """Why a chain went no further."""

    STRUCTURE_ENDED = "structure ended"
    CONFIDENCE_COLLAPSED = "confidence collapsed"


@dataclass(frozen=True)
class End:
    """Where a chain stopped before the end of its range: ``index`` is the last slice that was looked at."""

    index: int
    step: int
    reason: EndReason


class Propagation:
    """One structure through a stack of slices; what it knows depends on the accepted slices alone, not on the way.

    Accept a slice or more, then take slices from :meth:`propagate`; stop whenever you like, and go on whenever you
    like. A corrected slice is accepted the same way: only slices whose references change are computed again.

    Args:
        predictor: the model; whoever shares it sees to it that one thread calls it at a time.
        stack: the slices.
        window: intensity window of the whole volume, not of a slice.
        references: from how many slices each is segmented at most.
        memory: how many encoded slices are kept, those used last.
        patience: after how many slices in a row without the structure, or below ``doubt``, a chain stops.
        doubt: confidence below which a slice counts as lost.

    Raises:
        InvalidConfig: a number is out of range.

    Example:
        >>> run = Propagation(predictor, VolumeStack(volume), window=window)  # doctest: +SKIP
        >>> run.accept(40, mask)  # doctest: +SKIP
        >>> for result in run.propagate(20, 60):  # doctest: +SKIP
        ...     show(result.index, result.mask, result.confidence)
        >>> run.accept(run.least_certain(), corrected)  # doctest: +SKIP
    """

    def __init__(
        self,
        predictor: Predictor,
        stack: Stack,
        *,
        window: IntensityWindow,
        references: int = 4,
        memory: int = 24,
        patience: int = 2,
        doubt: float = 0.3,
    ) -> None:
        if not 1 <= references <= MAXIMUM_REFERENCES:
            raise InvalidConfig(f"Each slice needs 1 to {MAXIMUM_REFERENCES} references, not {references}.")
        if patience < 1:
            raise InvalidConfig(f"At least 1 slice must be seen before a chain stops, not {patience}.")
        if not 0 <= doubt <= 1:
            raise InvalidConfig(f"The confidence below which a slice is lost must be from 0 to 1, not {doubt}.")
        self._predictor = predictor
        self._stack = stack
        self._count, self._patience, self._doubt = references, patience, doubt
        self._slices = EncodedStack(predictor, stack, window=window, memory=memory)
        self._reference = lru_cache(maxsize=memory)(self._encode_reference)
        self._results: dict[int, SliceResult] = {}
        self._versions: dict[int, int] = {}  # of each slice's mask; never used twice
        self._bases: dict[int, tuple[tuple[int, int], ...]] = {}  # references and their versions behind each result
        self._revision = 0
        self._ends: tuple[End, ...] = ()

    @property
    def results(self) -> Mapping[int, SliceResult]:
        """Everything known so far, by slice; accepted slices included."""
        return MappingProxyType(self._results)

    @property
    def accepted(self) -> tuple[int, ...]:
        """The accepted slices, ascending."""
        return tuple(sorted(index for index, result in self._results.items() if result.accepted))

    @property
    def ends(self) -> tuple[End, ...]:
        """Where the last pass stopped before the end of its range, and why."""
        return self._ends

    @property
    def slices(self) -> EncodedStack:
        """The encoded slices, for others to reuse."""
        return self._slices

    def accept(self, index: int, mask: NDArray[Any]) -> None:
        """Vouch for a slice: it becomes a reference for others; a mask without a pixel says that nothing is there.

        A :meth:`propagate` that is under way takes it into account from its next slice on.

        Args:
            index: the slice.
            mask: bool or non-zero inside, (rows, columns) of the slice.

        Raises:
            InvalidImage: there is no such slice.
            InvalidMask: the mask has another size.
        """
        self._check_index(index)
        given, shape = np.asarray(mask) != 0, self._stack.pixels(index).shape[:2]
        if given.shape != shape:
            raise InvalidMask(f"The mask is {_size(given)} but slice {index} is {shape[0]} x {shape[1]}.")
        self._store(SliceResult(index, _read_only(given), 1.0, accepted=True), basis=())

    def retract(self, index: int) -> None:
        """Take an accepted slice back; the next pass segments it like any other.

        Raises:
            InvalidImage: the slice is not accepted.
        """
        if index not in self.accepted:
            raise InvalidImage(f"Slice {index} is not accepted, so it cannot be taken back.")
        self._forget(index)

    def propagate(self, first: int = 0, last: int | None = None) -> Iterator[SliceResult]:
        """Segment the slices ``first`` to ``last``, nearest to the accepted ones first, in both directions.

        Nothing is computed between two results, so that the caller may stop, accept or show at any slice. Only new
        and changed slices come; :attr:`results` has all of them. A slice that had a result and that the structure no
        longer reaches comes with an empty mask, and leaves :attr:`results`.

        Args:
            first: first slice.
            last: last slice, included; None for the last of the stack.

        Returns:
            Results, one for every slice computed; none where all is known, as in a stack of one slice.

        Raises:
            InvalidImage: no such slices.
            InvalidMask: no accepted slice among them shows the structure.
        """
        last = len(self._stack) - 1 if last is None else last
        self._check_index(first)
        self._check_index(last)
        if not any(first <= index <= last and self._results[index].mask.any() for index in self.accepted):
            raise InvalidMask(
                f"No accepted slice from {first} to {last} shows the structure; segment one of them and accept it."
            )
        return self._passes(first, last)

    def least_certain(self) -> int | None:
        """The slice to look at next: the least confident that is not accepted, or None when there is none."""
        open_ = [(result.confidence, index) for index, result in self._results.items() if not result.accepted]
        return min(open_)[1] if open_ else None

    def _passes(self, first: int, last: int) -> Iterator[SliceResult]:
        """Passes over the range until one ends with the accepted slices that it began with."""
        finished = False
        while not finished:
            finished, revision = True, self._revision
            for result in self._pass(first, last):
                yield result
                if self._revision != revision:
                    finished = False
                    break

    def _pass(self, first: int, last: int) -> Iterator[SliceResult]:
        showing = {index: bool(self._results[index].mask.any()) for index in self.accepted}
        walks = [_Walk(chain, self._patience, self._doubt) for chain in chains_between(showing, first, last)]
        reached = set(self.accepted)
        while walking := [walk for walk in walks if walk.index is not None]:
            for walk in walking:
                index = walk.index
                assert index is not None
                result, changed = self._segment(index, walk.neighbour)
                reached.add(index)
                walk.advance(result)
                if changed:
                    yield result
        self._ends = tuple(walk.end for walk in walks if walk.end is not None)
        for index in sorted(set(self._results) - reached):
            if first <= index <= last:
                empty = _read_only(np.zeros_like(self._results[index].mask))
                self._forget(index, revise=False)
                yield SliceResult(index, empty, 1.0)

    def _segment(self, index: int, neighbour: int | None) -> tuple[SliceResult, bool]:
        """The result of a slice, and whether it had to be computed."""
        chosen = choose_references(
            index,
            accepted=[known for known in self.accepted if self._results[known].mask.any()],
            neighbour=neighbour,
            similar=lambda other: self._similarity(index, other),
            count=self._count,
        )
        basis = tuple((reference, self._versions[reference]) for reference in chosen)
        if self._bases.get(index) == basis:
            return self._results[index], False
        return self._store(self._predict(index, basis), basis), True

    def _predict(self, index: int, basis: tuple[tuple[int, int], ...]) -> SliceResult:
        image = self._slices.image(index)
        if image is None:
            return SliceResult(index, _read_only(np.zeros(self._stack.pixels(index).shape[:2], dtype=bool)), 1.0)
        memory = self._predictor.combine([self._reference(*known) for known in basis])
        predicted = self._predictor.segment(image, reference=memory)
        references = tuple(reference for reference, _ in basis)
        return SliceResult(index, _read_only(predicted.mask), expected_dice(predicted.probability), references)

    def _encode_reference(self, index: int, _version: int) -> EncodedReference:
        return self._slices.reference(index, self._results[index].mask)

    def _similarity(self, index: int, other: int) -> float:
        first, second = self._slices.descriptor(index), self._slices.descriptor(other)
        return -1.0 if first is None or second is None else similarity(first, second)

    def _store(self, result: SliceResult, basis: tuple[tuple[int, int], ...]) -> SliceResult:
        before = self._results.get(result.index)
        # An equal mask keeps its version: what was segmented from it stays right.
        if before is None or not np.array_equal(before.mask, result.mask):
            self._versions[result.index] = self._versions.get(result.index, -1) + 1
        self._results[result.index], self._bases[result.index] = result, basis
        if result.accepted:
            self._revision += 1
        return result

    def _forget(self, index: int, *, revise: bool = True) -> None:
        del self._results[index], self._bases[index]
        self._revision += revise

    def _check_index(self, index: int) -> None:
        if not 0 <= index < len(self._stack):
            raise InvalidImage(f"There is no slice {index}; choose one from 0 to {len(self._stack) - 1}.")


class _Walk:
    """A chain on its way: the next slice, the neighbour to segment it from, and when to stop."""

    def __init__(self, chain: Chain, patience: int, doubt: float) -> None:
        self._chain, self._patience, self._doubt = chain, patience, doubt
        self._done = self._missing = self._lost = 0
        self.neighbour: int | None = None
        self.end: End | None = None

    @property
    def index(self) -> int | None:
        """The next slice; None when the chain is at its end."""
        if self.end is not None or self._done == self._chain.length:
            return None
        return self._chain.seed + self._chain.step * (self._done + 1)

    def advance(self, result: SliceResult) -> None:
        """Go on from the slice of ``result``."""
        self._done += 1
        shows = bool(result.mask.any())
        self._missing = 0 if shows else self._missing + 1
        self._lost = self._lost + 1 if result.confidence < self._doubt else 0
        if shows and not self._lost:
            self.neighbour = result.index
        if self._chain.open_ended and max(self._missing, self._lost) >= self._patience:
            reason = EndReason.CONFIDENCE_COLLAPSED if self._lost >= self._patience else EndReason.STRUCTURE_ENDED
            self.end = End(result.index, self._chain.step, reason)


def _read_only(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    mask.setflags(write=False)
    return mask


def _size(array: NDArray[Any]) -> str:
    return " x ".join(map(str, array.shape)) or "a number"
