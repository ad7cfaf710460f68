"""Propagation that has learned the structure from its accepted slices: asked everywhere, anew, and only when wanted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pytest

from KPrismLib.errors import InvalidMask
from KPrismLib.specialist import Example, Specialist
from KPrismLib.volumes import Propagation, class_guidance
from KPrismLib.volumes.class_guidance import ClassGuidance
from Testing.engine.predictor.tiny_predictor import disk, tiny_predictor
from Testing.engine.volumes.arrays import WINDOW, wavy_stack
from Testing.engine.volumes.runs import start, state
from Testing.engine.volumes.scripted_predictor import SIZE, ScriptedPredictor, numbered_stack, rows


@dataclass
class School:
    """Makes specialists that find what a test writes down."""

    taught: ScriptedPredictor = field(default_factory=lambda: ScriptedPredictor(classes=("structure",)))
    lessons: list[list[tuple[int, int]]] = field(default_factory=list)

    def __call__(self, predictor: Any, examples: Sequence[Example]) -> Any:
        self.lessons.append([(example.image.index, int(example.mask.sum())) for example in examples])  # type: ignore[attr-defined]
        return self

    def learn(self) -> Iterator[float]:
        yield from (3.0, 2.0, 1.0)

    @property
    def predictor(self) -> ScriptedPredictor:
        return self.taught


@pytest.fixture
def school(monkeypatch: pytest.MonkeyPatch) -> School:
    made = School()
    monkeypatch.setattr(class_guidance, "Specialist", made)
    return made


def found_rows(run: Propagation) -> dict[int, int]:
    return {index: int(result.mask.sum()) // SIZE[1] for index, result in run.results.items()}


def test_what_was_learned_has_a_say_in_every_slice_that_grows_with_the_accepted_ones(school: School) -> None:
    # Model and references find nothing below row 8, the specialist does; row 9 is near enough for the rest.
    school.taught.learned, school.taught.sure = lambda index: 16, lambda index: 0.9999
    predictor = ScriptedPredictor(sure=lambda index: 0.9)
    run = start(predictor, doubt=0.0)
    list(run.propagate(3, 5))
    assert found_rows(run) == {3: 8, 4: 8, 5: 8}
    assert list(run.learn()) == [3.0, 2.0, 1.0]
    assert [result.index for result in run.propagate(3, 5)] == [3, 5]
    assert sorted(school.taught.by_class) == [(3, "structure"), (5, "structure")]
    few = found_rows(run)[5]
    for index in (0, 1, 2, 3):
        run.accept(index, rows(8))
    list(run.learn())
    list(run.propagate(3, 5))
    assert 8 < few < found_rows(run)[5]


def test_it_tells_whether_more_than_slices_guided_what_it_found(school: School) -> None:
    run = start(ScriptedPredictor())
    assert not run.guided
    list(run.propagate(3, 5))
    assert not run.guided
    list(run.learn())
    assert not run.guided  # nothing was found with it yet
    list(run.propagate(3, 5))
    assert run.guided
    run.unlearn()
    list(run.propagate(3, 5))
    assert not run.guided


@pytest.mark.parametrize(("accepted", "share"), [((4,), 1.0), ((4, 6), 1.5), ((4, 6, 7), 5 / 3)])
def test_its_share_is_two_less_one_by_the_number_of_slices(
    school: School, accepted: tuple[int, ...], share: float
) -> None:
    predictor = ScriptedPredictor()
    guidance = ClassGuidance(predictor, lambda index: None, None)  # type: ignore[arg-type]
    known = {(index, 0): rows(8) for index in accepted}
    assert guidance.guides(known) == ()
    pixels = numbered_stack(9).slices
    masks = [rows(8 if index in accepted else 0) for index in range(9)]
    list(
        guidance.learn([Example(predictor.encode(seen), seen, mask) for seen, mask in zip(pixels, masks, strict=True)])
    )
    (guide,) = guidance.guides(known)
    assert (guide.predictor, guide.cls, guide.share) == (school.taught, "structure", pytest.approx(share))


def test_it_learns_from_all_accepted_slices_also_those_without_the_structure(school: School) -> None:
    run = start(ScriptedPredictor())
    run.accept(7, rows(0))
    run.accept(6, rows(3))
    list(run.learn())
    assert school.lessons == [[(4, 8 * SIZE[1]), (6, 3 * SIZE[1]), (7, 0)]]


def test_of_many_accepted_slices_some_are_learned_from_evenly_spread(school: School) -> None:
    predictor = ScriptedPredictor()
    run = Propagation(predictor, numbered_stack(90), window=WINDOW)  # type: ignore[arg-type]
    for index in range(90):
        run.accept(index, rows(8 if index < 60 else 0))
    list(run.learn())
    (lesson,) = school.lessons
    showing = [index for index, area in lesson if area]
    assert (len(showing), showing[0], showing[-1], max(np.diff(showing))) == (30, 0, 59, 3)
    assert [index for index, area in lesson if not area] == [60, 63, 66, 70, 73, 76, 79, 83, 86, 89]
    assert len(predictor.encoded) == 40


def test_a_slice_without_anything_to_see_is_no_lesson(school: School) -> None:
    stack = numbered_stack(9)
    stack.slices[8][:] = 100
    run = Propagation(ScriptedPredictor(), stack, window=WINDOW)  # type: ignore[arg-type]
    run.accept(4, rows(8))
    run.accept(8, rows(0))
    list(run.learn())
    assert [index for index, _ in school.lessons[0]] == [4]


@pytest.mark.parametrize(("learned", "helps"), [(8, True), (0, False)])
def test_it_is_asked_beside_a_class_that_helps(school: School, learned: int, helps: bool) -> None:
    predictor = ScriptedPredictor(learned=lambda index: learned)
    run = start(predictor, cls="liver")
    list(run.propagate())
    before, asked = state(run), len(predictor.by_class)
    assert asked == (9 if helps else 1)
    list(run.learn())
    list(run.propagate())
    assert len(predictor.by_class) == (asked + 8 if helps else 1)
    assert len(school.taught.by_class) == 8
    assert list(run.propagate()) == []
    run.unlearn()
    assert len(list(run.propagate())) == 8
    assert state(run) == before
    run.unlearn()
    assert list(run.propagate()) == []


def test_stopping_before_the_end_changes_nothing(school: School) -> None:
    run = start(ScriptedPredictor())
    list(run.propagate())
    next(run.learn())
    assert list(run.propagate()) == []
    assert school.taught.by_class == []


def test_a_pass_that_is_under_way_begins_anew_with_what_was_learned(school: School) -> None:
    run = start(ScriptedPredictor())
    passing = run.propagate()
    assert [next(passing).index, next(passing).index] == [3, 5]
    list(run.learn())
    assert {result.index for result in passing} == set(range(9)) - {4}
    assert sorted(index for index, _ in school.taught.by_class) == [0, 1, 2, 3, 5, 6, 7, 8]


def test_nothing_can_be_learned_without_the_structure() -> None:
    run = Propagation(tiny_predictor(), wavy_stack(), window=WINDOW)
    with pytest.raises(InvalidMask, match="No slice shows the structure"):
        list(run.learn())
    run.accept(2, np.zeros((40, 56), dtype=bool))
    with pytest.raises(InvalidMask, match="No slice shows the structure"):
        list(run.learn())


def test_a_real_specialist_takes_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(class_guidance, "Specialist", partial(Specialist, steps=6))
    run = Propagation(tiny_predictor(), wavy_stack(), window=WINDOW, doubt=0.0)
    run.accept(2, disk())
    list(run.propagate())
    before = state(run)
    losses = list(run.learn())
    assert len(losses) == 6
    list(run.propagate())
    assert state(run) != before
    fresh = Propagation(tiny_predictor(), wavy_stack(), window=WINDOW, doubt=0.0)
    fresh.accept(2, disk())
    assert list(fresh.learn()) == losses
    list(fresh.propagate())
    assert state(fresh) == state(run)
