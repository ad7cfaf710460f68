"""An interactive session: prompts in order, a mask after each, undo and redo that restore exactly."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from KPrismLib.encoded_image import EncodedImage, ReferenceSet, Segmentation
from KPrismLib.errors import InvalidMask, InvalidPrompt
from KPrismLib.honoured_prompts import honoured
from KPrismLib.image_checks import checked_mask, size_text
from KPrismLib.local_change import corrects, midst, touched
from KPrismLib.network import DensePrompt
from KPrismLib.prompt_maps import draw_prompts
from KPrismLib.prompts import Click, Prompt, Scribble, check_prompt, whole_pixel

if TYPE_CHECKING:
    from KPrismLib.predictor import Predictor

#: Logit of a mask that somebody gives, and of one that is a guess: certain, but not beyond what clicks can turn.
GIVEN_LOGIT = 8.0
GUESSED_LOGIT = 4.0
#: Changes so far from a prompt, in pixels of the canvas, still belong to it.
REACH = 3
#: A pixel of the canvas changes if this share of it does in the image.
_SHARE = 0.25
#: Steps from the current one, back and forth, whose arrays are kept: those of 12 megapixels take 57 MiB each.
KEPT_STEPS = 4


@dataclass(frozen=True, eq=False)
class _Patch:
    """The part of a drawn mask that a correction changed, ``box``, and what it holds since."""

    box: tuple[slice, slice]
    mask: NDArray[np.bool_]
    probability: NDArray[np.float32]

    @classmethod
    def of(cls, region: NDArray[np.bool_], result: Segmentation) -> _Patch:
        """The pixels of ``result`` around those of ``region``, bool (rows, columns)."""
        rows, columns = (np.flatnonzero(region.any(axis=axis)) for axis in (1, 0))
        box = tuple(slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0) for found in (rows, columns))
        return cls((box[0], box[1]), result.mask[box].copy(), result.probability[box].copy())


@dataclass(eq=False)
class _State:
    """After some prompts: what was said, and what was answered.

    Attributes:
        prompts: so far.
        logits: (1, 1, H, W) on the canvas.
        drawn: whether the mask is one that somebody drew, with no more than corrections.
        milliseconds: what the answer took.
        result: the answer; None while it is only in the logits, or in the patches up to here.
        patch: what changed of a drawn mask; None in the first state, and where all of it was answered anew.
    """

    prompts: tuple[Prompt, ...]
    logits: Tensor | None
    drawn: bool
    milliseconds: float
    result: Segmentation | None
    patch: _Patch | None = None


class Session:
    """Made by :meth:`Predictor.session`; every prompt costs the prompt encoder and the decoder only.

    Undo and redo bring back exactly what was there without asking the network: the arrays of steps nearby are kept,
    those of others are made of their logits again, in the same way.
    """

    def __init__(
        self,
        predictor: Predictor,
        image: EncodedImage,
        *,
        cls: str | None,
        reference: ReferenceSet | None,
        mask: NDArray[np.bool_] | None,
        drawn: bool,
        honour: bool,
    ) -> None:
        self._predictor = predictor
        self._image = image
        self._cls = cls
        self._reference = reference
        self._honours = honour
        self._given = mask is not None
        self._states = [self._first(mask, drawn)]
        self._position = 0

    @property
    def mask(self) -> NDArray[np.bool_]:
        """bool (rows, columns); all False before the first prompt of a session without class and references."""
        return self.result.mask

    @property
    def probability(self) -> NDArray[np.float32]:
        """float32 (rows, columns) in [0, 1]."""
        return self.result.probability

    @property
    def result(self) -> Segmentation:
        """The current segmentation."""
        state = self._states[self._position]
        if state.result is None:
            made = self._patched(self._position) if state.drawn else self._answered(state)
            state.result = replace(made, milliseconds=state.milliseconds)
        return state.result

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """Clicks and scribbles that led to the current mask, oldest first."""
        return self._states[self._position].prompts

    @property
    def can_undo(self) -> bool:
        """Whether a prompt can be taken back."""
        return self._position > 0

    @property
    def can_redo(self) -> bool:
        """Whether a prompt that was taken back can be given again."""
        return self._position < len(self._states) - 1

    def click(self, row: int, column: int, *, positive: bool = True) -> Segmentation:
        """Click on a pixel: ``positive`` adds what is there, negative removes it.

        Raises:
            InvalidPrompt: outside the image, no whole numbers, or the opposite of an earlier click on the same pixel.
        """
        return self._add(Click(*whole_pixel((row, column)), bool(positive)))

    def scribble(self, points: Iterable[tuple[int, int]], *, positive: bool = True) -> Segmentation:
        """Draw a stroke through (row, column) points, joined by straight lines.

        Raises:
            InvalidPrompt: no point, a point outside the image, or numbers that are not whole.
        """
        path = tuple(whole_pixel(point) for point in points)
        if not path:
            raise InvalidPrompt("The scribble has no points; draw at least one.")
        return self._add(Scribble(path, bool(positive)))

    def undo(self) -> Segmentation:
        """Take the last prompt back; the mask before it returns exactly.

        Raises:
            InvalidPrompt: nothing to undo.
        """
        if not self.can_undo:
            raise InvalidPrompt("There is nothing to undo in this session.")
        self._step_to(self._position - 1)
        return self.result

    def redo(self) -> Segmentation:
        """Give the prompt again that :meth:`undo` took back.

        Raises:
            InvalidPrompt: nothing to redo.
        """
        if not self.can_redo:
            raise InvalidPrompt("There is nothing to redo in this session.")
        self._step_to(self._position + 1)
        return self.result

    def _step_to(self, position: int) -> None:
        self._position = position
        for number, state in enumerate(self._states):
            # The first may be a mask that was given, which nothing else has.
            if number and abs(number - position) > KEPT_STEPS:
                state.result = None

    def _answered(self, state: _State) -> Segmentation:
        assert state.logits is not None, "a result is only let go where logits have it"
        return self._predictor.to_segmentation(self._image, state.logits, time.perf_counter())

    def _patched(self, position: int) -> Segmentation:
        """A drawn mask with its corrections, one after the other: logits are coarser than what was drawn."""
        first = self._states[0].result
        assert first is not None, "the first result is never let go"
        mask, probability = first.mask.copy(), first.probability.copy()
        for state in self._states[1 : position + 1]:
            assert state.patch is not None, "a mask stays drawn through corrections only"
            mask[state.patch.box], probability[state.patch.box] = state.patch.mask, state.patch.probability
        return Segmentation(mask, probability, 0.0, first.window)

    def _first(self, mask: NDArray[np.bool_] | None, drawn: bool) -> _State:
        start = time.perf_counter()
        image = self._image
        if mask is not None:
            given = checked_mask(mask)
            if given.shape != image.shape:
                raise InvalidMask(
                    f"The mask to start from is {size_text(given.shape)} but the image {size_text(image.shape)}; "
                    "they must match."
                )
            placed = image.canvas.place(torch.tensor(given).float()[None, None])
            with self._predictor.computing():
                level = GIVEN_LOGIT if self._honours else GUESSED_LOGIT
                logits = ((placed * 2 - 1) * level).to(self._predictor.device)
            result = Segmentation(given, given.astype(np.float32), 0.0, image.window)
            # Nothing is lost of an empty mask, whatever changes.
            return _State((), logits, self._honours and drawn and bool(given.any()), 0.0, result)
        if self._cls is not None or self._reference is not None:
            logits = self._predicted(None)
            result = self._predictor.to_segmentation(image, logits, start)
            return _State((), logits, False, result.milliseconds, result)
        empty = np.zeros(image.shape, dtype=bool)
        return _State((), None, False, 0.0, Segmentation(empty, empty.astype(np.float32), 0.0, image.window))

    def _add(self, prompt: Prompt) -> Segmentation:
        start = time.perf_counter()
        current = self._states[self._position]
        check_prompt(prompt, current.prompts, self._image.shape)
        prompts = (*current.prompts, prompt)
        dense = draw_prompts(
            (*self._implied(prompts), *prompts),
            self._image.canvas,
            radius=self._predictor.config.click_radius,
            previous_logits=current.logits,
            device=self._predictor.device,
        )
        logits = self._predicted(dense)
        result = self._predictor.to_segmentation(self._image, logits, start)
        if self._honours:
            logits, result = honoured(self._predictor, self._image, logits, result, prompts)
        corrected, patch = current.drawn and corrects(self.mask, prompt), None
        if corrected:
            logits, result, patch = self._corrected(logits, result, prompt)
        # Only now: a prediction that failed leaves the session as it was.
        self._states[self._position + 1 :] = [_State(prompts, logits, corrected, result.milliseconds, result, patch)]
        self._step_to(self._position + 1)
        return result

    def _predicted(self, prompt: DensePrompt | None) -> Tensor:
        if self._reference is not None:  # what the image sees of them is the same at every click
            self._reference = self._predictor.read_out(self._image, self._reference)
        return self._predictor.predict_logits(self._image, cls=self._cls, reference=self._reference, prompt=prompt)

    def _implied(self, prompts: Sequence[Prompt]) -> tuple[Prompt, ...]:
        """What goes without saying while only what does not belong was named: that a given mask is the structure."""
        if not self._honours or not self._given or any(prompt.positive for prompt in prompts):
            return ()
        return midst(self.mask, prompts)

    def _corrected(self, logits: Tensor, result: Segmentation, prompt: Prompt) -> tuple[Tensor, Segmentation, _Patch]:
        """An answer where ``prompt`` asked for it, and what was there before elsewhere."""
        before, old, canvas = self.result, self._states[self._position].logits, self._image.canvas
        assert old is not None, "a mask that somebody drew has logits"
        scale = max(image / content for image, content in zip(canvas.image, canvas.content, strict=True))
        region = touched(before.mask, result.mask, prompt, reach=max(1, round(REACH * scale)))
        with self._predictor.computing():
            placed = canvas.place(torch.from_numpy(region).float()[None, None]).to(logits.device)
            logits = torch.where(placed > _SHARE, logits, old)
        corrected = Segmentation(
            np.where(region, result.mask, before.mask),
            np.where(region, result.probability, before.probability),
            result.milliseconds,
            result.window,
        )
        return logits, corrected, _Patch.of(region, corrected)
