"""KPIs: tiles cut into patches."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from KPrismLib.dataset import DatasetFolder
from Testing.training.convert.trees import blob, converted, partial_download, save_picture
from Training.convert.conversion import convert
from Training.convert.findings import Kind
from Training.convert.sets.kpis import KPIS


def _tile(home, stem, mask, *, quality=60):
    pixels = np.full((*mask.shape, 3), 90, dtype=np.uint8)
    pixels[mask > 0] = 200
    save_picture(home / "img" / f"{stem}_img.jpg", pixels, quality=quality)
    save_picture(home / "mask" / f"{stem}_mask.jpg", mask, quality=quality)


def _slides(root, *slides):
    """One tile of 1024 x 1024 each, no two alike."""
    for slide in slides:
        digits = int("".join(filter(str.isdigit, slide)))
        _tile(root / slide, f"{slide.split('/')[1]}_0_0", blob((1024, 1024), top=8 * (digits % 50), left=100, side=400))


_NEP25 = [f"NEP25/08_{mouse}_0{section}" for mouse in (368, 373, 471, 472, 474) for section in (1, 2, 3)]
_TESTED = ("56Nx/12-299", "NEP25/18-578", "normal/normal_M1574")


def test_the_slides_of_a_mouse_are_on_one_side(tmp_path):
    home = "Task1_patch_level/train"
    folder, _ = converted(KPIS, tmp_path, lambda root: _slides(root / home, *_NEP25, "DN/11_356", "DN/11_357"))
    patients = {item.id.partition("_0_0")[0]: item.patient for item in folder.items()}
    assert {patients[f"NEP25_08_368_0{section}"] for section in (1, 2, 3)} == {"NEP25/08_368"}
    assert len({item.patient for item in folder.items()}) == 5 + 2
    assert {patients["DN_11_356"], patients["DN_11_357"]} == {"DN/11_356", "DN/11_357"}


@pytest.mark.parametrize("homes", ["{0}/Task1_patch_level/{0}", "Task1_patch_level/{0}", "KPIs24 {0}/{0}/{0}"])
def test_the_official_test_part_is_the_test_where_it_is_there(tmp_path, homes):
    def build(root, tested):
        _slides(root / homes.format("train"), *(f"DN/11_{number}" for number in range(356, 371)))
        _slides(root / homes.format("test"), *tested)

    with_test, _ = converted(KPIS, tmp_path / "both", partial(build, tested=_TESTED))
    assert {item.patient for item in with_test.items("test")} == set(_TESTED)
    assert {item.extras["part"] for item in with_test.items("test")} == {"test"}
    assert (len(with_test.items("train")), len(with_test.items("validation"))) == (14, 1)
    alone, _ = converted(KPIS, tmp_path / "alone", partial(build, tested=()))
    assert {split: len(alone.items(split)) for split in alone.splits} == {"train": 11, "validation": 1, "test": 3}


@pytest.mark.parametrize(
    "home", ["data", "Task1_patch_level/data", "train/train", "train/Task1_patch_level/train", "data/x/train"]
)
def test_a_folder_named_train_that_holds_the_archive_is_not_taken_for_its_content(tmp_path, home):
    folder, outcome = converted(KPIS, tmp_path, lambda root: _slides(root / home, "DN/11_356", "normal/normal_F1"))
    assert len(folder.items()) == 2
    assert not outcome.findings


def test_half_a_part_is_told_and_a_part_that_is_not_there_is_not(tmp_path):
    _slides(tmp_path / "kpis/train", "DN/11_356", "DN/11_357")
    outcome = convert(KPIS, tmp_path / "kpis", tmp_path / "out")
    assert [(finding.kind, finding.subject) for finding in outcome.findings] == [
        (Kind.MISSING, "5329 of 5331 cases of the training part")
    ]
    _slides(tmp_path / "kpis/test", *_TESTED)
    outcome = convert(KPIS, tmp_path / "kpis", tmp_path / "out")
    assert "2302 of 2305 cases of the test part" in {finding.subject for finding in outcome.findings}


def test_pixels_are_counted_after_halving_the_grey_mask(tmp_path):
    """Lines of one pixel fill half of the squares of 2 x 2, and vanish when their grey is halved."""
    lines = np.zeros((1024, 1024), dtype=np.uint8)
    lines[100:300, 100:300:4] = 255
    thick = np.zeros_like(lines)
    thick[100:300, 100:300] = np.where(np.arange(200) % 8 < 4, 255, 0)
    for name, mask in (("11_356", lines), ("11_357", thick)):
        _tile(tmp_path / "kpis/data/DN" / name, f"{name}_0_0", mask, quality=100)
    outcome = convert(partial_download(KPIS), tmp_path / "kpis", tmp_path / "out")
    assert outcome.converted == 2
    assert [item.id for item in DatasetFolder.open(tmp_path / "out").items()] == ["DN_11_357_0_0_y0x0"]


def test_kpis_halves_patches_and_drops_those_with_little_in_them(tmp_path):
    def build(root):
        mask = np.zeros((2048, 2048), dtype=np.uint8)
        mask[100:300, 1200:1500] = 255  # upper right: 60,000 pixels, 15,000 when halved
        mask[1500:1540, 100:140] = 255  # lower left: too little
        for group, slide, stem in (("56Nx", "12_116", "56Nx_12_116_4_4096_0"), ("normal", "F4", "normal_F4_5_5120_0")):
            _tile(root / f"KPIs24 Training Data/Task1_patch_level/data/{group}/{slide}", stem, mask)
            mask = np.roll(mask, 8, axis=0)
        _tile(root / "KPIs24 Training Data/Task1_patch_level/data/DN/11_356", "11_356_0_0", np.zeros_like(mask))

    folder, outcome = converted(KPIS, tmp_path, build)
    assert [item.id for item in folder.items()] == ["56Nx_12_116_4_4096_0_y0x1024", "normal_F4_5_5120_0_y0x1024"]
    first = folder.items()[0]
    assert first.patient == "56Nx/12_116"
    (piece,) = folder.load(first)
    assert piece.pixels.shape == (512, 512, 3)
    expected = np.zeros((512, 512), dtype=bool)
    expected[50:150, 88:238] = True
    assert np.array_equal(piece.labels > 0, expected)
    assert piece.pixels[100, 150].min() > 190
    assert outcome.converted == 3
    assert not outcome.findings
