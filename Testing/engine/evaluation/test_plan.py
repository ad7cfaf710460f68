"""Which slices are evaluated: those that show a class, spread evenly where not all of them are wanted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from KPrismLib.dataset import DatasetFolder
from KPrismLib.evaluation.plan import plan, spread
from KPrismLib.evaluation.settings import EvaluationSettings
from Testing.engine.dataset.tiny_dataset import describe, listed, write_folder


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    """A volume of 8 slices with liver in slices 2 to 5, and an empty one."""
    labels = np.zeros((6, 4, 8), dtype=np.uint8)
    labels[1:3, 1:3, 2:6] = 1
    items = [listed(name, suffix=".nii.gz") for name in ("shows", "empty")]
    return DatasetFolder.open(
        write_folder(tmp_path, describe(items), mask_shows=labels, mask_empty=np.zeros_like(labels))
    )


def chosen(folder: DatasetFolder, **settings: int | bool) -> list[tuple[str, int]]:
    (part,) = plan([folder], EvaluationSettings(**settings))  # type: ignore[arg-type]
    return [(record.item.id, record.index) for record in part.records]


def test_without_a_limit_slices_without_a_class_are_asked_for_false_positives(folder: DatasetFolder) -> None:
    assert len(chosen(folder)) == 16
    assert chosen(folder, absent_classes=False) == [("shows", index) for index in (2, 3, 4, 5)]


@pytest.mark.parametrize("seed", range(5))
def test_a_limit_counts_slices_that_show_a_class(folder: DatasetFolder, seed: int) -> None:
    assert chosen(folder, limit=4, seed=seed) == [("shows", index) for index in (2, 3, 4, 5)]
    below, above = (index for _, index in chosen(folder, limit=2, seed=seed))
    assert below in (2, 3)
    assert above in (4, 5)


def test_a_limit_is_spread_evenly() -> None:
    assert spread(3, None, 0) == [0, 1, 2]
    assert spread(3, 5, 0) == [0, 1, 2]
    for seed in range(20):
        positions = spread(100, 10, seed)
        assert [position // 10 for position in positions] == list(range(10))
    assert spread(100, 10, 1) == spread(100, 10, 1)
    assert spread(100, 10, 1) != spread(100, 10, 2)
