"""From accepted slices to the whole structure: each slice is segmented in-context from slices that are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import NDArray

from KPrismLib.errors import InvalidConfig, InvalidImage, InvalidMask
from KPrismLib.evenly import evenly
from KPrismLib.image_checks import checked_mask, size_text
from KPrismLib.intensity import IntensityWindow
from KPrismLib.predictor import MAXIMUM_REFERENCES, Predictor
from KPrismLib.specialist import Example
from KPrismLib.volumes.carrying import Guide, carry
from KPrismLib.volumes.chains import chains_between
from KPrismLib.volumes.class_guidance import ClassGuidance
from KPrismLib.volumes.confidence import confidence_from
from KPrismLib.volumes.descriptor import similarity
from KPrismLib.volumes.encoded_references import EncodedReferences
from KPrismLib.volumes.encoded_stack import EncodedStack
from KPrismLib.volumes.known_slices import Basis, KnownSlice, KnownSlices
from KPrismLib.volumes.reference_choice import choose_references
from KPrismLib.volumes.slice_result import SliceResult, pixels_in_doubt
from KPrismLib.volumes.stack import Stack
from KPrismLib.volumes.walk import End, Walk

#: A guide that is so many times as far away as the nearer one is not asked.
FARTHEST = 6

#: From so many accepted slices with and without the structure it is learned at most, evenly spread: each is encoded
#: before the first step, and there is no use in more than steps.
LESSONS_WITH, LESSONS_WITHOUT = 30, 10


class Propagation:
    """One structure through a stack of slices; what it finds depends on the accepted slices, not on the way.

    Accept a slice or more, then take slices from :meth:`propagate`; stop whenever you like, and go on whenever you
    like. A corrected slice is accepted the same way: only slices that it changes are computed again.

    Args:
        predictor: the model, which others may use at the same time; the propagation itself is for one thread.
        stack: the slices.
        window: intensity window of the whole volume, not of a slice.
        cls: the class of the structure, where the model knows it, as further guidance; it is asked only where it finds
            the accepted slices by itself (:class:`~KPrismLib.volumes.class_guidance.ClassGuidance`).
        references: from how many slices each is segmented at most.
        memory: how many encoded slices are kept, those used last.
        patience: after how many slices in a row without the structure, or below ``doubt``, a chain stops.
        doubt: confidence below which a slice counts as lost: nothing is carried on from it, and where the structure
            may have ended, its mask is given as empty.

    Raises:
        InvalidConfig: a number is out of range.
        UnknownClass: the model does not know ``cls``.

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
        cls: str | None = None,
        references: int = 3,
        memory: int = 24,
        patience: int = 2,
        doubt: float = 0.1,
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
        self._class = ClassGuidance(predictor, self._slices.image, cls)
        self._encoded = EncodedReferences(self._slices, memory=memory)
        self._known = KnownSlices()
        self._asked_for: set[int] = set()  # slices; a way may have led through others
        self._told: dict[int, SliceResult] = {}  # what callers were last told of each slice that they did not accept
        self._revision = 0  # of the accepted slices
        self._passes_begun = 0
        self._ends: tuple[End, ...] = ()

    @property
    def results(self) -> Mapping[int, SliceResult]:
        """Everything known so far, by slice, ascending; accepted slices included."""
        return {
            known.result.index: known.result
            for known in self._known
            if known.result.accepted or known.result.index in self._asked_for
        }

    @property
    def accepted(self) -> tuple[int, ...]:
        """The accepted slices, ascending."""
        return self._known.accepted

    @property
    def ends(self) -> tuple[End, ...]:
        """Where the last complete pass stopped before the end of its range, and why."""
        return self._ends

    @property
    def guided(self) -> bool:
        """Whether a class or what was learned had a say in any of the :attr:`results`, beside references."""
        return any(known.basis is not None and known.basis.semantic for known in self._known)

    @property
    def slices(self) -> EncodedStack:
        """The encoded slices, for others to reuse: ``predictor.session(run.slices.image(index))``."""
        return self._slices

    def accept(self, index: int, mask: NDArray[Any]) -> None:
        """Vouch for a slice: it becomes a reference for others; a mask without a pixel says that nothing is there.

        A :meth:`propagate` that is under way takes it into account from its next slice on.

        Args:
            index: the slice.
            mask: bool or non-zero inside, (rows, columns) of the slice.

        Raises:
            InvalidImage: there is no such slice.
            InvalidMask: the mask has another size, or NaN, or no numbers in it.
        """
        self._check_index(index)
        given, shape = checked_mask(mask), self._stack.pixels(index).shape[:2]
        if given.shape != shape:
            raise InvalidMask(
                f"The mask is {size_text(given.shape)} but slice {index} is {size_text(shape)}; they must match."
            )
        self._known.store(KnownSlice(SliceResult(index, given, 1.0, accepted=True), given, None, 1.0))
        self._told.pop(index, None)
        self._known.forget_what_rests_on_nothing()
        self._revision += 1

    def retract(self, index: int) -> None:
        """Take an accepted slice back; the next pass segments it like any other.

        Raises:
            InvalidImage: the slice is not accepted.
        """
        if index not in self.accepted:
            raise InvalidImage(f"Slice {index} is not accepted, so it cannot be taken back.")
        self._known.forget(index)
        self._known.forget_what_rests_on_nothing()
        self._revision += 1

    def learn(self) -> Iterator[float]:
        """Learn the structure from the slices that are accepted now.

        Of those with and without it, :data:`LESSONS_WITH` and :data:`LESSONS_WITHOUT` at most, evenly spread.

        What is learned is asked beside references and class when slices are segmented from then on: the next
        :meth:`propagate` segments all of them anew. Learning again begins anew. Stopping before the end changes
        nothing.

        Returns:
            The loss of each of :data:`~KPrismLib.specialist.STEPS` steps.

        Raises:
            InvalidMask: no accepted slice shows the structure.
            OutOfMemory: the device is full.
        """
        showing = self._known.references
        lacking = [index for index in self.accepted if index not in showing]
        examples = []
        for index in evenly(showing, LESSONS_WITH) + evenly(lacking, LESSONS_WITHOUT):
            image = self._slices.image(index)
            if image is not None:
                examples.append(Example(image, self._stack.pixels(index), self._known[index].result.mask))
        yield from self._class.learn(examples)
        self._revision += 1

    def unlearn(self) -> None:
        """Forget what :meth:`learn` has learned; the next :meth:`propagate` goes without it."""
        if self._class.unlearn():
            self._revision += 1

    def propagate(self, first: int = 0, last: int | None = None) -> Iterator[SliceResult]:
        """Segment the slices ``first`` to ``last``, nearest to the accepted ones first, in both directions.

        Nothing is computed between two results, so the caller may show, accept or stop at any slice. Only new and
        changed slices come, whatever has changed them since they came last; :attr:`results` has all of them. A slice
        that had a result and that the structure no longer reaches comes with an empty mask, and leaves
        :attr:`results`. From an accepted slice outside the range the way may lead through slices outside, which come
        once they are asked for.

        Args:
            first: first slice.
            last: last slice, included; None for the last of the stack.

        Returns:
            Results, one for each new or changed slice; none where all is known, as in a stack of one slice.

        Raises:
            InvalidImage: no such slices; or, as slices come, an accepted mask in a slice whose pixels are all equal.
            InvalidMask: no accepted slice among them shows the structure.
        """
        last = len(self._stack) - 1 if last is None else last
        self._check_index(first)
        self._check_index(last)
        if not any(first <= index <= last for index in self._known.references):
            raise InvalidMask(
                f"No accepted slice from {first} to {last} shows the structure; segment one of them and accept it."
            )
        return self._passes(first, last)

    def least_certain(self) -> int | None:
        """The slice to look at next, where most pixels are in doubt; None when there are only accepted slices."""
        open_ = [result for result in self.results.values() if not result.accepted]
        if not open_:
            return None
        doubt = {result.index: pixels_in_doubt(result.confidence, int(result.mask.sum())) for result in open_}
        return max(open_, key=lambda result: (doubt[result.index], -result.index)).index

    def _passes(self, first: int, last: int) -> Iterator[SliceResult]:
        """Passes over the range until one ends with the accepted slices that it began with, and no other came between.

        What a pass has behind it may be gone after another one.
        """
        finished = False
        while not finished and self._known.references:
            self._passes_begun += 1
            finished, begun = True, (self._revision, self._passes_begun)
            for result in self._pass(first, last):
                yield result
                if (self._revision, self._passes_begun) != begun:
                    finished = False
                    break

    def _pass(self, first: int, last: int) -> Iterator[SliceResult]:
        accepted = {index: self._known[index].result.shows for index in self.accepted}
        chains = chains_between(accepted, first, last)
        walks = [Walk(chain, patience=self._patience, doubt=self._doubt) for chain in chains]
        reached = set(accepted)
        while steps := [(walk, walk.index) for walk in walks if walk.index is not None]:
            for walk, index in steps:
                known = self._segment(index, walk.neighbour, walk.towards)
                reached.add(index)
                walk.advance(known.result)
                if first <= index <= last and self._told.get(index) is not known.result:
                    self._asked_for.add(index)
                    self._told[index] = known.result
                    yield known.result
        self._ends = tuple(walk.end for walk in walks if walk.end is not None)
        for index in sorted(index for index in self._told if first <= index <= last and index not in reached):
            left = self._told.pop(index, None)  # another pass may have come before this one went on
            if left is not None:
                self._known.forget(index)
                yield SliceResult(index, np.zeros_like(left.mask), 1.0)

    def _segment(self, index: int, neighbour: int, towards: int | None) -> KnownSlice:
        """What is known of a slice; computed if it does not rest on just this basis already."""
        basis = self._basis(index, neighbour, towards)
        known = self._known.get(index)
        if known is None or known.basis != basis:
            known = self._predict(index, basis)
        result = known.result
        if result.references:
            guides = self._guides(index, basis)
            confidence = confidence_from(known.evidence, sum(guide.share * guide.confidence for guide in guides))
            # Where the structure may have ended, a mask that is hardly to be trusted is more likely no part of it.
            withheld = towards is None and confidence < self._doubt
            mask = np.zeros_like(known.found) if withheld else known.found
            if confidence != result.confidence or not np.array_equal(mask, result.mask):
                known = replace(known, result=replace(result, confidence=confidence, mask=mask))
        self._known.store(known)
        return known

    def _basis(self, index: int, neighbour: int, towards: int | None) -> Basis:
        chosen = choose_references(
            index,
            accepted=self._known.references,
            neighbour=neighbour,
            similar=lambda other: self._similarity(index, other),
            count=self._count,
        )
        guides = (neighbour,) if towards is None or _far(index, neighbour, towards) else (neighbour, towards)
        semantic = self._class.guides(self._known.vouched)
        return Basis(self._known.versions(guides), self._known.versions(chosen), semantic)

    def _guides(self, index: int, basis: Basis) -> list[Guide]:
        """The masks that a slice is carried from, each with a say that falls with its distance."""
        results = [self._known[guide].result for guide, _ in basis.guides]
        nearness = [1 / abs(index - result.index) for result in results]
        return [
            Guide(result.mask, near / sum(nearness), result.confidence)
            for result, near in zip(results, nearness, strict=True)
        ]

    def _predict(self, index: int, basis: Basis) -> KnownSlice:
        image = self._slices.image(index)
        if image is None:
            nothing = np.zeros(self._stack.pixels(index).shape[:2], dtype=bool)
            return KnownSlice(SliceResult(index, nothing, 1.0), nothing, basis, 1.0)
        references = self._predictor.combine(
            [self._encoded.of(version, self._known[version[0]].result.mask) for version in basis.references]
        )
        carried = carry(self._predictor, image, references, self._guides(index, basis), semantic=basis.semantic)
        mask = carried.probability >= 0.5
        result = SliceResult(index, mask, 1.0, tuple(slice_ for slice_, _ in basis.references))
        return KnownSlice(result, mask, basis, carried.evidence)

    def _similarity(self, index: int, other: int) -> float:
        first, second = self._slices.descriptor(index), self._slices.descriptor(other)
        return -1.0 if first is None or second is None else similarity(first, second)

    def _check_index(self, index: int) -> None:
        if not isinstance(index, Integral):
            raise InvalidImage(f"Slices are counted in whole numbers from 0, and {index!r} is none.")
        if not 0 <= index < len(self._stack):
            raise InvalidImage(f"There is no slice {index}; choose one from 0 to {len(self._stack) - 1}.")


def _far(index: int, neighbour: int, towards: int) -> bool:
    """Whether a slice lies so near to the one and so far from the other that the other has nothing to say."""
    return abs(towards - index) > FARTHEST * abs(neighbour - index)
