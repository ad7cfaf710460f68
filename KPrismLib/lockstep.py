"""Many questions about many images, answered in common passes of the decoder.

A person clicks on one image; an evaluation clicks on thousands, and nobody waits for the single answer. Questions that
go through the same computation (same canvas, same kind of knowledge, as many clicks so far) share a pass; each gets the
mask that it would have got alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from KPrismLib.class_names import row_of_class
from KPrismLib.devices import synchronise
from KPrismLib.encoded_image import EncodedImage, ReferenceSet, Segmentation
from KPrismLib.errors import InvalidConfig, InvalidPrompt
from KPrismLib.honoured_prompts import honoured
from KPrismLib.network import Clicks, DensePrompt, ImageFeatures, ReadOut
from KPrismLib.prompt_maps import draw_prompts
from KPrismLib.prompts import Click, Prompt, check_prompt, whole_pixel

if TYPE_CHECKING:
    from KPrismLib.predictor import Predictor


@dataclass(frozen=True, eq=False)
class _Question:
    """What one mask is made from: at most one of ``row`` (of the semantic table) and ``reference``, and a prompt."""

    image: EncodedImage
    row: int | None
    reference: ReferenceSet | None
    prompt: DensePrompt | None = None

    @property
    def kind(self) -> tuple[object, ...]:
        """Questions of one kind have tensors of one shape and take one path through the network."""
        prompt = self.prompt
        return (
            self.image.canvas.padded,
            self.row is None,
            None if self.reference is None else self.reference.memory.keys.shape,
            None if prompt is None else (prompt.clicks.valid.shape, prompt.previous_logits is None),
        )


class Lockstep:
    """Made by :meth:`Predictor.together`.

    Args:
        predictor: the model.
        batch: masks in one pass at most.
        honour: as of :meth:`Predictor.session`.

    Raises:
        InvalidConfig: ``batch`` below 1.
    """

    def __init__(self, predictor: Predictor, *, batch: int, honour: bool) -> None:
        if batch < 1:
            raise InvalidConfig(f"The decoder must make at least 1 mask at a time, not {batch}.")
        self.predictor = predictor
        self._batch = batch
        self._honours = honour

    def segment(
        self,
        images: Sequence[EncodedImage],
        classes: Sequence[str | None],
        references: Sequence[ReferenceSet | None],
    ) -> list[Segmentation]:
        """Segment each image by its class or by its references, as :meth:`Predictor.segment` does one.

        Raises:
            UnknownClass, InvalidPrompt: as for :meth:`Predictor.segment`.
        """
        questions = self._questions(images, classes, references)
        if any(question.row is None and question.reference is None for question in questions):
            raise InvalidPrompt("Nothing says what to segment; give each image a class or references.")
        return [result for _, result in self.answer(questions)]

    def sessions(
        self,
        images: Sequence[EncodedImage],
        classes: Sequence[str | None],
        references: Sequence[ReferenceSet | None],
    ) -> Sessions:
        """Start interactive work on each image, as :meth:`Predictor.session` does on one."""
        return Sessions(self, self._questions(images, classes, references))

    def answer(self, questions: Sequence[_Question]) -> list[tuple[Tensor, Segmentation]]:
        """Canvas logits (1, 1, H, W) and the image's mask for each question, in their order."""
        groups: dict[tuple[object, ...], list[int]] = {}
        for number, question in enumerate(questions):
            groups.setdefault(question.kind, []).append(number)
        answers: dict[int, tuple[Tensor, Segmentation]] = {}
        for group in groups.values():
            for start in range(0, len(group), self._batch):
                some = group[start : start + self._batch]
                answers |= zip(some, self._one_pass([questions[number] for number in some]), strict=True)
        return [answers[number] for number in range(len(questions))]

    def honoured(
        self, answer: tuple[Tensor, Segmentation], image: EncodedImage, prompts: Sequence[Prompt]
    ) -> tuple[Tensor, Segmentation]:
        """An answer that holds what prompts said, if this is asked for."""
        return honoured(self.predictor, image, *answer, prompts) if self._honours else answer

    def _one_pass(self, questions: Sequence[_Question]) -> Iterable[tuple[Tensor, Segmentation]]:
        started = time.perf_counter()
        predictor, device = self.predictor, self.predictor.device
        rows, seen, prompts = (
            None if questions[0].row is None else torch.tensor([q.row for q in questions], device=device),
            [predictor.read_out(q.image, q.reference).read_out for q in questions if q.reference is not None],
            [q.prompt for q in questions if q.prompt is not None],
        )
        with predictor.computing():
            prediction = predictor.network(
                ImageFeatures.join([question.image.features for question in questions]),
                class_index=rows,
                reference=ReadOut.join(seen) if seen else None,
                prompt=_joined_prompts(prompts) if prompts else None,
            )
            synchronise(device)
        logits = prediction.logits.float()
        share = (time.perf_counter() - started) / len(questions)
        for number, question in enumerate(questions):
            alone = logits[number : number + 1]
            # As if it had begun later: each question bears its share of the pass.
            yield alone, predictor.to_segmentation(question.image, alone, time.perf_counter() - share)

    def _questions(
        self,
        images: Sequence[EncodedImage],
        classes: Sequence[str | None],
        references: Sequence[ReferenceSet | None],
    ) -> list[_Question]:
        questions = []
        for image, cls, reference in zip(images, classes, references, strict=True):
            if cls is not None and reference is not None:
                raise InvalidPrompt("Give either a class or references, not both; clicks can refine either.")
            row = None if cls is None else row_of_class(cls, self.predictor.classes)
            questions.append(_Question(image, row, reference))
        return questions


class Sessions:
    """Interactive work on many images, one click on each at a time."""

    def __init__(self, lockstep: Lockstep, questions: Sequence[_Question]) -> None:
        self._lockstep = lockstep
        self._questions = [self._read_out(question) for question in questions]
        self._prompts: list[tuple[Click, ...]] = [()] * len(questions)
        self._logits: list[Tensor | None] = [None] * len(questions)
        self._masks: list[NDArray[np.bool_]] = [np.zeros(question.image.shape, dtype=bool) for question in questions]
        guided = [n for n, q in enumerate(self._questions) if q.row is not None or q.reference is not None]
        self._take(guided, lockstep.answer([self._questions[number] for number in guided]))

    @property
    def masks(self) -> list[NDArray[np.bool_]]:
        """bool (rows, columns) each; all False before the first click where neither class nor references are given."""
        return list(self._masks)

    def click(self, clicks: Mapping[int, tuple[int, int, bool]]) -> None:
        """Click on some of the images: by their number (row, column, positive).

        Raises:
            InvalidPrompt: as for :meth:`Session.click`; no session has changed then.
        """
        prompts, asked = {}, []
        for number, (row, column, positive) in clicks.items():
            question, click = self._questions[number], Click(*whole_pixel((row, column)), bool(positive))
            check_prompt(click, self._prompts[number], question.image.shape)
            prompts[number] = (*self._prompts[number], click)
            drawn = draw_prompts(
                prompts[number],
                question.image.canvas,
                radius=self._lockstep.predictor.config.click_radius,
                previous_logits=self._logits[number],
                device=self._lockstep.predictor.device,
            )
            asked.append(_Question(question.image, question.row, question.reference, drawn))
        answers = [
            self._lockstep.honoured(answer, question.image, prompts[number])
            for number, question, answer in zip(clicks, asked, self._lockstep.answer(asked), strict=True)
        ]
        # Only now: a prediction that failed leaves the sessions as they were.
        for number, given in prompts.items():
            self._prompts[number] = given
        self._take(list(clicks), answers)

    def _read_out(self, question: _Question) -> _Question:
        """With what the image sees of its references, which is the same at every click."""
        if question.reference is None:
            return question
        return replace(question, reference=self._lockstep.predictor.read_out(question.image, question.reference))

    def _take(self, numbers: Sequence[int], answers: Sequence[tuple[Tensor, Segmentation]]) -> None:
        for number, (logits, result) in zip(numbers, answers, strict=True):
            self._logits[number], self._masks[number] = logits, result.mask


def _joined_prompts(prompts: Sequence[DensePrompt]) -> DensePrompt:
    clicks = [prompt.clicks for prompt in prompts]
    before = [prompt.previous_logits for prompt in prompts if prompt.previous_logits is not None]
    return DensePrompt(
        Clicks(
            torch.cat([c.row_column for c in clicks]),
            torch.cat([c.positive for c in clicks]),
            torch.cat([c.valid for c in clicks]),
        ),
        torch.cat([prompt.maps for prompt in prompts]),
        torch.cat(before) if before else None,
    )
