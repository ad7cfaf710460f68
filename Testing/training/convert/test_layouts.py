"""Where the content of a download lies: wrapped in folders, under names of several releases, in several parts."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from KPrismLib.errors import InvalidDataset
from Testing.training.convert.trees import anatomy, converted, save_nifti
from Training.convert.sets.lits import LITS
from Training.convert.source import Source

_LITS = "media/nas/01_Datasets/CT/LITS"


def _source(root: Path) -> Source:
    return Source(root, name="X", layout="a folder")


@pytest.mark.parametrize("home", [_LITS, f"Training_Batch{{0}}/{_LITS}", f"LiTS/Training_Batch{{0}}/{_LITS}"])
def test_lits_is_found_where_its_archives_unpack_to(tmp_path: Path, home: str) -> None:
    def build(root: Path) -> None:
        image, labels = anatomy((1, 2))
        for batch, number in ((1, 0), (2, 28)):
            folder = root / home.format(batch) / f"Training Batch {batch}"
            save_nifti(folder / f"volume-{number}.nii", image + number)
            save_nifti(folder / f"segmentation-{number}.nii", labels)

    folder, outcome = converted(LITS, tmp_path, build)
    assert [item.id for item in folder.items()] == ["volume-0", "volume-28"]
    assert not outcome.findings


def test_a_tree_that_branches_on_and_on_is_not_searched_to_its_leaves(tmp_path: Path) -> None:
    for depth, names in enumerate(("a", "a/b", "a/b/c", "a/b/c/d", "a/b/c/d/e")):
        (tmp_path / names).mkdir()
        (tmp_path / names).with_name("beside").mkdir()
        assert _source(tmp_path).find_folder(names.rpartition("/")[2]) == (tmp_path / names if depth < 4 else None)


def test_folders_are_listed_once_however_often_something_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    listed, scandir = [], os.scandir
    monkeypatch.setattr(os, "scandir", lambda place: [listed.append(place), scandir(place)][1])
    source = _source(tmp_path)
    for _ in range(3):
        assert source.find_folder("nowhere") is None
    assert sorted(listed) == [tmp_path, tmp_path / "a", tmp_path / "a/b"]


def test_a_folder_is_known_by_what_it_holds(tmp_path: Path) -> None:
    (tmp_path / "train/set/train/DN").mkdir(parents=True)
    assert _source(tmp_path).folder("train") == tmp_path / "train"
    assert _source(tmp_path).folder("train", holding="DN|normal") == tmp_path / "train/set/train"
    with pytest.raises(InvalidDataset, match="there is no folder train"):
        _source(tmp_path).folder("train", holding="cats")
