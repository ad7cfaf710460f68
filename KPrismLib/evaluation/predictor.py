"""What evaluation asks of a model: the engine's predictor, or anything else that behaves like it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from KPrismLib.errors import InvalidConfig


class Segmentation(Protocol):
    """A mask at the resolution of the image."""

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Bool, shape (H, W)."""

    @property
    def milliseconds(self) -> float:
        """How long the segmentation took."""


class Session(Protocol):
    """An image that is segmented click by click (Mode-3, and the refinement of Mode-1 and Mode-2)."""

    def click(self, row: int, column: int, *, positive: bool = True) -> object:
        """Add one click, in pixels from the top left."""

    @property
    def mask(self) -> NDArray[np.bool_] | None:
        """Bool, shape (H, W); before the first click the initial mask, if there is one."""


class Predictor(Protocol):
    """A loaded model. What ``encode`` and ``reference`` return is only ever handed back to it."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes that can be segmented by name."""

    def encode(self, pixels: NDArray[np.uint8]) -> Any:
        """Take in an image: uint8, shape (H, W) or (H, W, 3)."""

    def reference(self, pairs: list[tuple[NDArray[np.uint8], NDArray[np.bool_]]]) -> Any:
        """Take in reference images with their masks: bool, shape (H, W)."""

    def segment(self, image: Any, *, cls: str | None = None, reference: Any = None) -> Segmentation:
        """Segment by class (Mode-1) or by reference (Mode-2)."""

    def session(self, image: Any, *, cls: str | None = None, reference: Any = None) -> Session:
        """Start clicking, from nothing or from the mask that a class or a reference gives."""


class Sessions(Protocol):
    """Many images that are segmented click by click, one click on each at a time."""

    @property
    def masks(self) -> Sequence[NDArray[np.bool_] | None]:
        """Bool, shape (H, W) each, as of :class:`Session`."""

    def click(self, clicks: Mapping[int, tuple[int, int, bool]]) -> None:
        """Click on some of the images, by their number: row, column, positive."""


class Together(Protocol):
    """Answers many questions at once: one image, class or ``None`` and references or ``None`` each."""

    def segment(self, images: Sequence[Any], classes: Sequence[str | None], references: Sequence[Any]) -> Sequence[Any]:
        """:meth:`Predictor.segment` of each."""

    def sessions(self, images: Sequence[Any], classes: Sequence[str | None], references: Sequence[Any]) -> Sessions:
        """:meth:`Predictor.session` of each."""


@runtime_checkable
class BatchPredictor(Protocol):
    """A predictor that can do better than answer one question after the other."""

    def together(self, batch: int, *, honour: bool) -> Together:
        """Up to ``batch`` questions in one pass; ``honour`` makes masks hold what clicks say of their pixels."""


class OneByOne:
    """Any predictor, asked one question after the other."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def segment(self, images: Sequence[Any], classes: Sequence[str | None], references: Sequence[Any]) -> list[Any]:
        """:meth:`Predictor.segment` of each."""
        asked = zip(images, classes, references, strict=True)
        return [self._predictor.segment(image, cls=cls, reference=reference) for image, cls, reference in asked]

    def sessions(self, images: Sequence[Any], classes: Sequence[str | None], references: Sequence[Any]) -> Sessions:
        """:meth:`Predictor.session` of each."""
        asked = zip(images, classes, references, strict=True)
        return _Separate([self._predictor.session(image, cls=cls, reference=ref) for image, cls, ref in asked])


class _Separate:
    def __init__(self, sessions: Sequence[Session]) -> None:
        self._sessions = sessions

    @property
    def masks(self) -> list[NDArray[np.bool_] | None]:
        return [session.mask for session in self._sessions]

    def click(self, clicks: Mapping[int, tuple[int, int, bool]]) -> None:
        for number, (row, column, positive) in clicks.items():
            self._sessions[number].click(row, column, positive=positive)


def together(predictor: Predictor, batch: int, *, honour: bool = False) -> Together:
    """The quickest way to ask ``predictor`` many questions.

    Raises:
        InvalidConfig: the model cannot honour clicks by itself.
    """
    if isinstance(predictor, BatchPredictor):
        return predictor.together(batch, honour=honour)
    if honour:
        raise InvalidConfig("This model cannot be told to honour clicks; evaluate it without.")
    return OneByOne(predictor)
