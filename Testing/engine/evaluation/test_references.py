"""Choosing references: never the query's patient, and always the same ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from KPrismLib.dataset import DatasetFolder, DatasetItem, SliceRecord
from KPrismLib.evaluation.references import ReferencePool
from Testing.engine.dataset.tiny_dataset import describe, listed, write_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> DatasetFolder:
    """Three training volumes of 30 slices with liver in slices 5 to 25, spleen in one slice of the first."""
    items = [listed(f"v{number}", suffix=".nii.gz", patient=f"p{number}", split="train") for number in range(3)]
    arrays = {}
    for number in range(3):
        labels = np.zeros((4, 4, 30), dtype=np.uint8)
        labels[:2, :2, 5:26] = 1
        if number == 0:
            labels[3, 3, 9] = 2
        arrays[f"mask_v{number}"] = labels
    content = describe(items, labels={"1": "liver", "2": "spleen"})
    return DatasetFolder.open(write_folder(tmp_path_factory.mktemp("volumes"), content, **arrays))


def test_a_choice_depends_on_nothing_but_seed_class_and_patient(folder: DatasetFolder) -> None:
    choices = {
        (seed, patient): ReferencePool.of(folder, "test", seed).choose("liver", patient, 1)
        for seed in range(3)
        for patient in ("p0", "p1", "q")
    }
    again = ReferencePool.of(folder, "test", 1)
    again.choose("spleen", "q", 1)
    assert again.choose("liver", "p1", 1) == choices[1, "p1"]
    assert len(set(choices.values())) > 1


def test_fewer_references_are_given_where_fewer_exist(folder: DatasetFolder) -> None:
    pool = ReferencePool.of(folder, "test", 0)
    assert [(record.item.id, record.index) for record in pool.choose("spleen", "q", 5)] == [("v0", 9)]
    assert pool.choose("spleen", "p0", 1) == ()
    assert len(set(pool.choose("liver", "q", 10))) == 10


@pytest.mark.parametrize(
    ("count", "indices"),
    [(1, [15]), (3, [9, 15, 21]), (5, [9, 13, 15, 17, 21]), (9, [7, 9, 11, 13, 15, 17, 19, 21, 23])],
)
def test_axial_positions_are_those_of_table_10(folder: DatasetFolder, count: int, indices: list[int]) -> None:
    # Liver spans slices 5 to 25: 20 % of the way is slice 9, half way slice 15.
    chosen = ReferencePool.of(folder, "test", 0).choose("liver", "p1", count, axial=True)
    assert [record.index for record in chosen] == indices
    assert len({record.item.id for record in chosen}) == 1
    assert chosen[0].item.id != "v1"


@pytest.mark.parametrize(
    ("slices", "count", "positions"), [(5, 3, [1, 2, 3]), (3, 1, [1]), (11, 9, [1, 2, 3, 4, 5, 6, 7, 8, 9])]
)
def test_axial_positions_lie_as_far_from_the_first_slice_as_from_the_last(
    slices: int, count: int, positions: list[int]
) -> None:
    item = DatasetItem("v", "", "", "p", "train")
    records = tuple(SliceRecord(item, 20 + number, 60, frozenset({"liver"})) for number in range(slices))
    pool = ReferencePool(DatasetFolder(Path(), _Named()), "train", records, 0)  # type: ignore[arg-type]
    assert [record.index - 20 for record in pool.choose("liver", "q", count, axial=True)] == positions


def test_loaded_references_show_the_class(folder: DatasetFolder) -> None:
    pool = ReferencePool.of(folder, "test", 0)
    for pixels, mask in pool.load("liver", pool.choose("liver", "q", 4)):
        assert pixels.shape == mask.shape == (4, 4)
        assert mask.sum() == 4
        assert (pixels[mask] == 100).all()


@given(st.integers(0, 50), st.sampled_from(["p0", "p1", "p2"]), st.integers(1, 9))
def test_the_querys_patient_is_never_chosen(seed: int, patient: str, count: int) -> None:
    records = tuple(
        SliceRecord(DatasetItem(f"i{number}", "", "", f"p{number % 3}", "train"), 0, 1, frozenset({"liver"}))
        for number in range(9)
    )
    pool = ReferencePool(DatasetFolder(Path(), _Named()), "train", records, seed)  # type: ignore[arg-type]
    chosen = pool.choose("liver", patient, count)
    assert len(chosen) == min(count, 6)
    assert all(record.item.patient != patient for record in chosen)


class _Named:
    """As much of a description as the choice looks at."""

    name = "Named"
