"""Divergence is noticed early, single hard batches are not mistaken for it, and modes are judged apart."""

from __future__ import annotations

import numpy as np
import pytest

from KPrismLib.errors import TrainingDiverged
from KPrismLib.training.divergence import KNOWN, PATIENCE, WINDOW, LossWatch


def settled(factor: float = 5.0, *, mode: str = "semantic", loss: float = 0.4) -> LossWatch:
    watch = LossWatch(factor)
    for step in range(WINDOW):
        watch.look_at(mode, loss + 0.1 * (step % 2), step)
    return watch


def test_an_explosion_is_told_after_as_many_steps_as_chance_does_not_give() -> None:
    watch = settled()
    for step in range(PATIENCE - 1):
        watch.look_at("semantic", 30.0, WINDOW + step)
        assert not watch.calm
    with pytest.raises(TrainingDiverged, match=r"at step 109 it is 30, where 0\.45 was usual, .* lower learning_rate"):
        watch.look_at("semantic", 30.0, WINDOW + PATIENCE - 1)
    assert max(watch.recent["semantic"]) == 0.5  # an explosion does not become usual


def test_single_hard_batches_are_no_divergence() -> None:
    watch = settled()
    draw = np.random.default_rng(0)
    for step in range(2000):
        watch.look_at("semantic", 9.0 if draw.random() < 0.2 else 0.4, step)
    assert watch.look_at("semantic", 0.4, 0) is None
    assert watch.calm


def test_a_loss_that_falls_and_rises_slowly_is_followed() -> None:
    watch = LossWatch(5.0)
    for step, loss in enumerate([*np.geomspace(3, 0.02, 500), *np.geomspace(0.02, 3, 2000)]):
        watch.look_at("semantic", float(loss), step)
        assert watch.calm


def test_almost_nothing_times_five_is_still_nothing() -> None:
    watch = settled(loss=0.0001)
    for step in range(40):
        watch.look_at("semantic", 0.2, step)


def test_modes_are_judged_apart() -> None:
    watch = settled(mode="semantic", loss=0.1)
    for step in range(200):
        watch.look_at("interactive", 2.5, step)
        assert watch.calm


def test_nothing_is_unusual_at_the_start() -> None:
    watch = LossWatch(5.0)
    for step in range(KNOWN - 1):
        watch.look_at("semantic", 0.1, step)
    watch.look_at("semantic", 1000.0, KNOWN)
    assert watch.calm


def test_what_is_usual_survives_a_restart() -> None:
    watch = LossWatch(5.0, settled().recent)
    watch.look_at("semantic", 30.0, 101)
    assert not watch.calm
