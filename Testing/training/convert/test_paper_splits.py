"""The splits of the paper's authors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from Training.convert.cases import Case, Converter
from Training.convert.sets.bkai_poly import BKAI_POLY
from Training.convert.sets.chest_xray import CHEST_XRAY
from Training.convert.sets.kits19 import KITS19
from Training.convert.sets.lits import LITS
from Training.convert.source import Source
from Training.convert.splits import authors_training


def _cases(converter: Converter, root: Path, files: Iterable[str]) -> dict[str, Case]:
    """Cases by id, of files that nobody opens."""
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return {case.id: case for case in converter.cases(Source(root, name=converter.about.name, layout=""))}


def _sizes(cases: Iterable[Case]) -> dict[str, int]:
    return dict(Counter(case.split for case in cases))


@pytest.mark.parametrize(
    ("count", "train", "tested"),
    [(131, 104, [3, 4, 6, 11]), (210, 168, [1, 6, 7, 8]), (800, 640, [3, 6, 11, 25]), (1000, 800, [3, 6, 11, 25])],
)
def test_the_shuffle_is_that_of_the_authors_in_every_version_of_python(
    count: int, train: int, tested: list[int]
) -> None:
    training = authors_training(count)
    assert len(training) == train
    assert sorted(set(range(count)) - training)[:4] == tested


def test_bkai_is_split_by_the_places_of_all_its_names(tmp_path: Path) -> None:
    names = [f"{number * 7919 % 100_003:032x}" for number in range(1000)]
    homes = ("train/train", "train_gt/train_gt")
    cases = _cases(BKAI_POLY, tmp_path, (f"{home}/{name}.jpeg" for home in homes for name in names))
    assert _sizes(cases.values()) == {"train": 800, "test": 200}
    ordered = sorted(names)
    assert [cases[ordered[place]].split for place in (2, 3, 4, 6)] == ["train", "test", "train", "test"]


def test_chest_xray_is_split_among_all_800_radiographs_also_where_masks_or_files_are_missing(tmp_path: Path) -> None:
    home = "Lung Segmentation"
    names = [f"CHNCXR_{number:04d}_{int(number > 326)}" for number in range(1, 663)]
    files = [f"{home}/CXR_png/{name}.png" for name in names] + [f"{home}/masks/{name}_mask.png" for name in names]
    files += [f"{home}/{kind}/MCUCXR_0001_0.png" for kind in ("CXR_png", "masks")]
    cases = _cases(CHEST_XRAY, tmp_path / "whole", files)
    assert _sizes(cases.values()) == {"train": 538, "test": 124, "external": 1}
    assert [cases[names[place]].split for place in (2, 3, 4, 6)] == ["train", "test", "train", "test"]
    some = _cases(CHEST_XRAY, tmp_path / "some", (file for file in files if "0_mask" not in file))
    assert {key: case.split for key, case in some.items()} == {key: cases[key].split for key in some}


def test_lits_and_kits_are_split_by_their_numbers(tmp_path: Path) -> None:
    volumes = [f"{kind}-{number}.nii" for kind in ("volume", "segmentation") for number in range(131)]
    lits = _cases(LITS, tmp_path / "lits", volumes)
    assert _sizes(lits.values()) == {"train": 104, "test": 27}
    assert (lits["volume-3"].split, lits["volume-5"].split, lits["volume-100"].split) == ("test", "train", "train")
    kinds = ("imaging", "segmentation")
    files = [f"data/case_{number:05d}/{kind}.nii.gz" for number in range(210) for kind in kinds]
    kits = _cases(KITS19, tmp_path / "kits", files)
    assert _sizes(kits.values()) == {"train": 168, "test": 42}
    assert (kits["case_00001"].split, kits["case_00002"].split) == ("test", "train")
