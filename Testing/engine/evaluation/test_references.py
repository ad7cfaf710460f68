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


def records_of(slices: dict[str, int]) -> tuple[SliceRecord, ...]:
    """Volumes that show the liver in so many slices."""
    items = {name: DatasetItem(name, "", "", name, "train") for name in slices}
    return tuple(
        SliceRecord(items[name], 20 + number, 60, frozenset({"liver"}))
        for name, count in slices.items()
        for number in range(count)
    )


def pool_of(slices: dict[str, int], seed: int = 0) -> ReferencePool:
    return ReferencePool(DatasetFolder(Path(), _Named()), "train", records_of(slices), seed)  # type: ignore[arg-type]


@pytest.mark.parametrize(("count", "places"), [(3, [0, 1, 2]), (5, [0, 1, 2, 3, 4]), (9, list(range(9)))])
def test_no_slice_is_a_reference_twice(count: int, places: list[int]) -> None:
    """Where a class shows in no more slices than are asked for, all are taken: two positions may be nearest to one."""
    chosen = pool_of({"v": count}).choose("liver", "q", count, axial=True)
    assert [record.index - 20 for record in chosen] == places


def test_of_volumes_with_too_few_slices_none_is_chosen_as_long_as_others_have_enough() -> None:
    slices = {"short": 4, "long": 30, "enough": 9}
    chosen = {pool_of(slices, seed).choose("liver", "q", 9, axial=True)[0].item.id for seed in range(20)}
    assert chosen == {"long", "enough"}
    most = pool_of({"short": 4, "longer": 6}).choose("liver", "q", 9, axial=True)
    assert [(record.item.id, record.index) for record in most] == [("longer", 20 + number) for number in range(6)]


def test_every_volume_is_as_likely_as_any_other() -> None:
    """A volume of sixty slices no more than one of three."""
    pools = (pool_of({"long": 60, "short": 3}, seed) for seed in range(400))
    share = np.mean([pool.choose("liver", "q", 3, axial=True)[0].item.id == "long" for pool in pools])
    assert share == pytest.approx(0.5, abs=0.075)  # three standard errors


def test_references_at_random_are_those_of_earlier_versions() -> None:
    """Results of one reference per patient and class stay comparable."""
    pool = pool_of({"a": 10, "b": 20, "c": 5}, seed=3)
    chosen = [(record.item.id, record.index) for record in pool.choose("liver", "q", 3)]
    assert chosen == [("c", 23), ("a", 26), ("a", 22)]


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
