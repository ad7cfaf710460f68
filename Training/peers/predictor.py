"""A :class:`Segmenter` as the predictor that :func:`KPrismLib.evaluation.evaluate` asks for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from KPrismLib.devices import memory_guard, synchronise
from KPrismLib.errors import GeometryMismatch, InvalidPrompt
from KPrismLib.prompts import Click
from Training.peers.segmenter import Answer, Mask, Pair, Pixels, Segmenter


@dataclass(frozen=True, eq=False)
class PeerSegmentation:
    """A mask, bool (rows, columns), and the milliseconds it took."""

    mask: Mask
    milliseconds: float


@dataclass(frozen=True, eq=False)
class PeerImage:
    """An image as the system took it in, and its (rows, columns)."""

    content: Any
    shape: tuple[int, int]


class PeerPredictor:
    """Times the system, checks what it returns and keeps its sessions; K-Prism's own predictor looks the same.

    Args:
        segmenter: the system.
        device: where it runs.
    """

    def __init__(self, segmenter: Segmenter, device: torch.device) -> None:
        self._segmenter = segmenter
        self._device = device

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes that can be segmented by name."""
        return self._segmenter.classes

    def encode(self, pixels: Pixels) -> PeerImage:
        """Take in an image: uint8, (rows, columns) or (rows, columns, 3)."""
        with self._computing():
            return PeerImage(self._segmenter.encode(pixels), (pixels.shape[0], pixels.shape[1]))

    def reference(self, pairs: list[Pair]) -> Any:
        """Take in examples with their masks."""
        with self._computing():
            return self._segmenter.reference(pairs)

    def segment(self, image: PeerImage, *, cls: str | None = None, reference: Any = None) -> PeerSegmentation:
        """Segment by class or by example.

        Raises:
            InvalidPrompt: neither or both, or a kind of knowledge that the system does not take.
            GeometryMismatch: the system returned a mask of another size.
        """
        answer, milliseconds = self.initial(image, cls, reference)
        return PeerSegmentation(answer.mask, milliseconds)

    def session(self, image: PeerImage, *, cls: str | None = None, reference: Any = None) -> PeerSession:
        """Start clicking, from nothing or from the mask that a class or examples give."""
        return PeerSession(self, image, cls, reference)

    def initial(self, image: PeerImage, cls: str | None, reference: Any) -> tuple[Answer, float]:
        """The mask without clicks, and the milliseconds it took."""
        if (cls is None) == (reference is None):
            raise InvalidPrompt("Give a class or references to segment by, and only one of them.")
        if cls is not None:
            return self._timed(image, lambda: self._segmenter.by_class(image.content, cls))
        return self._timed(image, lambda: self._segmenter.by_example(image.content, reference))

    def clicked(
        self, image: PeerImage, clicks: tuple[Click, ...], before: Answer | None, cls: str | None, reference: Any
    ) -> Answer:
        """The mask after one more click."""
        return self._timed(
            image,
            lambda: self._segmenter.by_clicks(image.content, clicks, before, cls=cls, reference=reference),
        )[0]

    def _timed(self, image: PeerImage, ask: Callable[[], Answer]) -> tuple[Answer, float]:
        start = time.perf_counter()
        with self._computing():
            answer = ask()
            synchronise(self._device)
        milliseconds = (time.perf_counter() - start) * 1000
        mask = np.asarray(answer.mask)
        if mask.dtype != np.bool_ or mask.shape != image.shape:
            raise GeometryMismatch(
                f"{self._segmenter.name} returned a mask of {mask.dtype}, {' x '.join(map(str, mask.shape))}, for an "
                f"image of {image.shape[0]} x {image.shape[1]}; its adapter or its weights are wrong."
            )
        return answer, milliseconds if answer.milliseconds is None else answer.milliseconds

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """Around every use of the system: no gradients, and one error for a full device."""
        # Not inference_mode: some systems keep tensors between calls and change them in place.
        with torch.no_grad(), memory_guard(self._device):
            yield


class PeerSession:
    """An image that is segmented click by click."""

    def __init__(self, predictor: PeerPredictor, image: PeerImage, cls: str | None, reference: Any) -> None:
        self._predictor = predictor
        self._image = image
        self._cls = cls
        self._reference = reference
        self._clicks: tuple[Click, ...] = ()
        guided = cls is not None or reference is not None
        self._answer = predictor.initial(image, cls, reference)[0] if guided else None

    def click(self, row: int, column: int, *, positive: bool = True) -> Mask:
        """Add one click, in pixels from the top left; a click that fails leaves the session as it was."""
        clicks = (*self._clicks, Click(int(row), int(column), bool(positive)))
        self._answer = self._predictor.clicked(self._image, clicks, self._answer, self._cls, self._reference)
        self._clicks = clicks
        return self._answer.mask

    @property
    def mask(self) -> Mask | None:
        """Bool (rows, columns); None before the first click of a session without class and references."""
        return None if self._answer is None else self._answer.mask
