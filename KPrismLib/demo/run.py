"""Running the demo's cases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from KPrismLib.demo.cases import Case
from KPrismLib.encoded_image import ReferenceSet, Segmentation
from KPrismLib.imaging.overlay import render_overlay, write_overlay
from KPrismLib.intensity import IntensityWindow, window_for
from KPrismLib.predictor import Predictor
from KPrismLib.terminology import term_for


@dataclass(frozen=True, eq=False)
class Shown:
    """What became of a case.

    Attributes:
        case: the case.
        masks: one per structure, bool (rows, columns).
        milliseconds: of encoding and predicting, the example included.
        file: the overlay.
    """

    case: Case
    masks: Sequence[NDArray[np.bool_]]
    milliseconds: float
    file: Path

    @property
    def area(self) -> int:
        """Pixels of the masks; the cup is part of the disc and not counted twice."""
        return int(np.any(self.masks, axis=0).sum())


def run_demo(predictor: Predictor, folder: Path, cases: Sequence[Case]) -> Iterator[Shown]:
    """Segment every case and write its overlay into ``folder``; yields them one by one.

    Raises:
        InvalidImage: an installed package does not carry the picture.
        CannotWrite: ``folder`` cannot be written.
    """
    done: dict[str, Shown] = {}
    for case in cases:
        pixels, window = _frame(case)
        reference = None
        if case.example is not None:
            earlier = done[case.example]
            shown, shown_window = _frame(earlier.case)
            reference = predictor.reference([(shown, earlier.masks[0])], window=shown_window)
        predictions = _predict(predictor, case, pixels, window, reference)
        terms = [term_for(name) for name in case.structures]
        masks = [prediction.mask for prediction in predictions]
        picture = render_overlay(
            window.apply(pixels),
            [(mask, term.colour) for mask, term in zip(masks, terms, strict=True)],
            clicks=case.clicks,
            title=case.title,
            legend=[term.name for term in terms],
        )
        file = write_overlay(folder / f"{case.name}.png", picture)
        spent = sum(prediction.milliseconds for prediction in predictions) + (
            reference.milliseconds if reference else 0
        )
        done[case.name] = Shown(case, masks, spent, file)
        yield done[case.name]


def _frame(case: Case) -> tuple[NDArray[Any], IntensityWindow]:
    """Pixels of the case's frame, and the window of the whole picture."""
    volume = case.picture.read()
    return volume.array[case.frame], window_for(volume.array, modality=volume.modality)


def _predict(
    predictor: Predictor, case: Case, pixels: NDArray[Any], window: IntensityWindow, reference: ReferenceSet | None
) -> list[Segmentation]:
    """One prediction per structure; the first carries the time that encoding took."""
    image = predictor.encode(pixels, window=window)
    results = []
    for number, name in enumerate(case.structures):
        session = predictor.session(image, cls=name if case.by_class else None, reference=reference)
        spent = session.result.milliseconds + (image.milliseconds if number == 0 else 0)
        for click in case.clicks:
            spent += session.click(click.row, click.column, positive=click.positive).milliseconds
        result = session.result
        results.append(Segmentation(result.mask, result.probability, spent, result.window))
    return results
