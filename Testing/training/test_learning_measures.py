"""Measuring what learning from slices brings: which slices are given, and when the imagined user has it learn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from KPrismLib.dataset import DatasetFolder
from KPrismLib.specialist import Example
from KPrismLib.volumes import class_guidance
from Testing.training.volumes import PerfectPredictor, volumes_of_liver
from Training.volume_measures.cases import Case, cases_of
from Training.volume_measures.clicking import measure_guided_clicks, measure_learning_clicks
from Training.volume_measures.learning import measure_learning, spread_over


class BlindPredictor(PerfectPredictor):
    """Finds nothing by itself, by class or by example; a click alone shows it everything."""

    def segment(self, image: Any, *, cls: str | None = None, reference: Any = None) -> Any:
        nothing = np.full(image.pixels.shape, 0.4, np.float32)
        return SimpleNamespace(mask=nothing > 0.5, probability=nothing)

    def session(self, image: Any, *, reference: Any = None, mask: Any = None, **_: bool) -> Any:
        found = self.segment(image) if reference is not None else PerfectPredictor().segment(image)
        return SimpleNamespace(click=lambda row, column, positive=True: found)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """A square of liver in slices 1 to 4 of 6."""
    return next(cases_of(DatasetFolder.open(volumes_of_liver(tmp_path) / "Tiny"), split="test", limit=None))


@pytest.fixture
def lessons(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many slices each specialist was made of; those of several see everything, those of one nothing."""
    seen: list[int] = []

    class Specialist:
        def __init__(self, predictor: object, examples: Sequence[Example]) -> None:
            seen.append(sum(bool(example.mask.any()) for example in examples))
            self.predictor = PerfectPredictor() if seen[-1] > 1 else BlindPredictor()

        def learn(self) -> Iterator[float]:
            yield 0.0

    monkeypatch.setattr(class_guidance, "Specialist", Specialist)
    return seen


def test_true_slices_are_spread_evenly_and_the_others_are_scored(case: Case, lessons: list[int]) -> None:
    assert [spread_over(case.showing, count) for count in (1, 3, 4, 9)] == [[3], [1, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4]]
    measured = measure_learning(BlindPredictor(), case)  # type: ignore[arg-type]
    assert lessons == [1, 1, 3, 3]  # not told the class, and told it
    assert measured["learned_1"] == measured["propagated_1"]
    assert measured["learned_3"] > measured["propagated_3"] + 0.3  # slice 2 is the only other one that shows it
    unknown = measure_learning(BlindPredictor(), replace(case, cls="spleen"))  # type: ignore[arg-type]
    assert [name for name, value in unknown.items() if value is None] == [
        f"{name}_{count}" for count in (1, 3) for name in ("by_class", "learned_by_class")
    ]


def test_nothing_is_measured_where_all_slices_are_given(case: Case, lessons: list[int]) -> None:
    truth = [mask if index in (1, 2, 3) else np.zeros_like(mask) for index, mask in enumerate(case.truth)]
    measured = measure_learning(BlindPredictor(), replace(case, truth=truth))  # type: ignore[arg-type]
    assert {name for name, value in measured.items() if value is None} == {
        f"{name}_3" for name in ("propagated", "learned", "by_class", "learned_by_class")
    }


def test_the_user_has_it_learn_whenever_twice_as_many_slices_are_accepted(case: Case, lessons: list[int]) -> None:
    measured = measure_learning_clicks(BlindPredictor(), case)  # type: ignore[arg-type]
    assert lessons == [1, 2]
    assert measured["learned"] == 2  # once it has learned from two slices, it finds the others
    assert measured["learned_dice"] > 0.9


class HalfPredictor(BlindPredictor):
    """By its class it finds the upper half of the liver; a click shows it everything."""

    def __init__(self) -> None:
        self.sessions: list[tuple[str | None, bool]] = []

    def segment(self, image: Any, *, cls: str | None = None, reference: Any = None) -> Any:
        if cls is None:
            return super().segment(image, reference=reference)
        probability = np.where(image.pixels > 125, 0.99, 0.01).astype(np.float32)
        probability[11:] = 0.01
        return SimpleNamespace(mask=probability > 0.5, probability=probability)

    def session(self, image: Any, *, reference: Any = None, mask: Any = None, **more: Any) -> Any:
        if "cls" in more:  # the imagined user's; what is carried along asks without
            self.sessions.append((more["cls"], mask is not None))
        return super().session(image, reference=reference, mask=mask)


def test_a_guided_user_begins_with_what_the_class_gives_and_clicks_with_it(case: Case, lessons: list[int]) -> None:
    predictor = HalfPredictor()
    measured = measure_guided_clicks(predictor, case)  # type: ignore[arg-type]
    assert predictor.sessions == [("liver", False)] * 2  # of two users
    for user in ("guided", "careful_guided"):
        assert measured[user] == 2  # the other takes away what was carried too far
        assert measured[f"{user}_dice"] > 0.9
    assert lessons == [1, 2] * 2


def test_where_the_class_is_right_a_guided_user_never_clicks(case: Case, lessons: list[int]) -> None:
    known = measure_guided_clicks(PerfectPredictor(), case)  # type: ignore[arg-type]
    assert (known["guided"], known["careful_guided"]) == (0, 0)
    unknown = measure_guided_clicks(PerfectPredictor(), replace(case, cls="spleen"))  # type: ignore[arg-type]
    assert set(unknown.values()) == {None}
