"""Damage is where it should be, and what is measured about its correction is right."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from KPrismLib.evaluation.dice import dice
from Testing.engine.dataset.tiny_dataset import describe, listed, write_folder
from Testing.training.bench.test_benchmarks import call
from Training import bench_corrections
from Training.bench_corrections import AROUND, correct, damaged

TRUTH = np.zeros((60, 80), dtype=bool)
TRUTH[20:40, 20:50] = True


def test_a_fifth_is_cut_off_at_the_end_of_the_direction() -> None:
    right, down = damaged(TRUTH, "cut", 0.0), damaged(TRUTH, "cut", np.pi / 2)
    assert right.sum() == pytest.approx(0.8 * TRUTH.sum(), rel=0.05)
    assert np.array_equal(right[:, :44], TRUTH[:, :44])
    assert not right[:, 44:].any()
    assert np.array_equal(down[:36], TRUTH[:36])
    assert not down[36:].any()


def test_a_lobe_sticks_out_in_the_direction_and_nowhere_else() -> None:
    lobe = damaged(TRUTH, "lobe", 0.0)
    assert (lobe & TRUTH).sum() == TRUTH.sum()
    added = np.flatnonzero((lobe & ~TRUTH).any(axis=0))
    out = round(0.35 * np.sqrt(TRUTH.sum()))
    assert (added.min(), added.max()) == (50, 49 + out)


class Scripted:
    """A session that answers clicks with the masks that it was given."""

    def __init__(self, *masks: Any) -> None:
        self.masks, self.mask, self.clicked = list(masks), None, []

    def session(self, _image: Any, *, mask: Any, drawn: bool) -> Any:
        self.mask, self.drawn = mask, drawn
        return self

    def click(self, row: int, column: int, *, positive: bool) -> None:
        self.clicked.append((row, column, positive))
        self.mask = self.masks.pop(0)


def test_changes_near_the_damage_do_not_count_as_elsewhere() -> None:
    given = damaged(TRUTH, "cut", 0.0)
    near, far = given.copy(), TRUTH.copy()
    near[20:40, 44 - AROUND : 46] = False
    far[0:5, 0:10] = True
    model: Any = Scripted(near, far, TRUTH)
    found = correct(model, SimpleNamespace(), given, TRUTH, drawn=True, clicks=4)  # type: ignore[arg-type]
    assert model.drawn
    assert found.dice == (dice(given, TRUTH), dice(near, TRUTH), dice(far, TRUTH), 1.0, 1.0)
    assert found.elsewhere == (0.0, 0.0, pytest.approx(50 / 600), 0.0, 0.0)
    # Into the missing fifth, the larger one after the next answer, and the blob; a perfect mask needs no click.
    assert [positive for *_, positive in model.clicked] == [True, True, False]


def test_drawings_stay_where_they_are_right(tmp_path: Path) -> None:
    mask = np.zeros((40, 48), dtype=np.uint8)
    mask[10:30, 12:30] = 1
    noise = np.random.default_rng(0).integers(0, 60, mask.shape, dtype=np.uint8)
    arrays = {"mask_i0": mask, "image_i0": mask * 150 + noise}
    folder = write_folder(tmp_path / "d", describe([listed("i0", patient="p0")]), **arrays)
    result = call(bench_corrections, folder, "--clicks", 2)
    assert result["structures"] == 1
    for damage in ("cut", "lobe"):
        ways = result[damage]
        assert ways["drawn"]["dice"][0] == ways["found"]["dice"][0] < 1
        assert len(ways["drawn"]["elsewhere"]) == 3
        assert ways["drawn"]["elsewhere"][1] <= ways["found"]["elsewhere"][1]
