"""Chest X-ray, BUSI, PAPILA, BKAI-IGH, ISIC 2018, UW-SC and BUS: pictures."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from PIL import Image

from Testing.training.convert.trees import (
    blob,
    converted,
    partial_download,
    photograph,
    save_palette,
    save_picture,
)
from Training.convert.conversion import convert
from Training.convert.findings import Kind
from Training.convert.sets.bkai_poly import BKAI_POLY
from Training.convert.sets.bus import BUS
from Training.convert.sets.busi import BUSI
from Training.convert.sets.chest_xray import CHEST_XRAY
from Training.convert.sets.isic2018 import ISIC2018
from Training.convert.sets.papila import PAPILA, average_outline
from Training.convert.sets.uw_sc import UW_SC


def _labels(folder, item_id):
    return folder.load_labels(next(item for item in folder.items() if item.id == item_id))[0]


def _chest_of_nlm(root, home="Shenzhen-Hospital-CXR-Set"):
    for number in range(1, 6):
        save_picture(root / f"{home}/CXR_png/CHNCXR_{number:04d}_0.png", photograph(number))
        if number < 5:  # not every radiograph was outlined
            save_picture(root / f"mask/mask/CHNCXR_{number:04d}_0_mask.png", blob())
    save_picture(root / f"{home}/CXR_png/CHNCXR_0328_1.png", photograph(9)[..., 0])
    save_picture(root / "mask/mask/CHNCXR_0328_1_mask.png", blob())
    save_picture(root / "MontgomerySet/CXR_png/MCUCXR_0001_0.png", photograph(20)[..., 0])
    for side, left in (("leftMask", 18), ("rightMask", 2)):
        save_picture(root / f"MontgomerySet/ManualMask/{side}/MCUCXR_0001_0.png", blob(left=left) > 0)
    (root / home / "CXR_png/Thumbs.db").write_bytes(b"x")


@pytest.mark.parametrize("home", ["Shenzhen-Hospital-CXR-Set", "ChinaSet_AllFiles"])
def test_chest_xray_merges_both_lungs_of_montgomery(tmp_path, home):
    folder, outcome = converted(CHEST_XRAY, tmp_path, partial(_chest_of_nlm, home=home))
    assert np.array_equal(_labels(folder, "MCUCXR_0001_0"), (blob(left=18) | blob(left=2)) // 255)
    assert [item.id for item in folder.items("external")] == ["MCUCXR_0001_0"]
    assert (len(folder.items("train")), len(folder.items("test"))) == (4, 1)
    assert "CHNCXR_0005_0" not in {item.id for item in folder.items()}
    sick = next(item for item in folder.items() if item.id == "CHNCXR_0328_1")
    assert sick.extras["tuberculosis"] is True
    assert not outcome.findings


def test_chest_xray_of_kaggle_has_the_suffix_on_shenzhen_only(tmp_path):
    def build(root):
        home = root / "Lung Segmentation"
        for stem, mask in (("CHNCXR_0001_0", "CHNCXR_0001_0_mask"), ("MCUCXR_0001_0", "MCUCXR_0001_0")):
            save_picture(home / f"CXR_png/{stem}.png", photograph(len(mask)))
            save_picture(home / f"masks/{mask}.png", blob())
        save_picture(home / "CXR_png/CHNCXR_0002_0.png", photograph(2))

    folder, outcome = converted(CHEST_XRAY, tmp_path, build)
    assert {item.id: item.extras["site"] for item in folder.items()} == {
        "CHNCXR_0001_0": "Shenzhen",
        "MCUCXR_0001_0": "Montgomery",
    }
    assert not outcome.findings


def _busi(root):
    home = root / "Dataset_BUSI_with_GT"
    for kind, count in (("benign", 12), ("malignant", 3), ("normal", 1)):
        for number in range(1, count + 1):
            # Benign 5 is benign 4 once more, a little brighter.
            pixels = np.repeat(np.repeat(photograph(min(number, 4) if number < 6 else 100 + number), 4, 0), 4, 1)
            pixels = pixels // 2 + (10 if number == 5 else 0) if kind == "benign" else 255 - pixels
            save_picture(home / kind / f"{kind} ({number}).png", pixels.astype(np.uint8))
            save_picture(home / kind / f"{kind} ({number})_mask.png", blob((96, 128)) > 0)
    save_picture(home / "benign/benign (4)_mask_1.png", blob((96, 128), top=50))
    save_picture(home / "benign/benign (4)_mask_2.png", blob((96, 128), top=70, left=90))


def test_busi_merges_the_masks_of_several_lesions(tmp_path):
    folder, outcome = converted(BUSI, tmp_path, _busi)
    expected = blob((96, 128)) | blob((96, 128), top=50) | blob((96, 128), top=70, left=90)
    assert np.array_equal(_labels(folder, "benign_004"), expected // 255)
    assert len(folder.items()) == 15
    assert folder.items()[3].extras == {"kind": "benign", "lesions": 3}
    assert not outcome.findings


def test_busi_keeps_near_duplicates_on_one_side(tmp_path):
    folder, _ = converted(BUSI, tmp_path, _busi)
    twins = [item for item in folder.items() if item.id in ("benign_004", "benign_005")]
    assert {item.patient for item in twins} == {"benign_004"}
    assert len({item.split for item in twins}) == 1
    assert len({item.patient for item in folder.items()}) < 15


def _outline(path, points):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savetxt(path, points, fmt="%.6f")


def _papila(root):
    home = root / "PapilaDB-PAPILA-17f8fa7746adb20275b5b6a0d99dc9dfe3007e9f"
    for number in range(2, 7):
        for eye in ("OD", "OS"):
            name = f"RET{number:03d}{eye}"
            save_picture(home / f"FundusImages/{name}.jpg", photograph(number, (60, 80)))
            for expert, half in (("exp1", 8), ("exp2", 12)):
                contour = home / f"ExpertsSegmentations/Contours/{name}_disc_{expert}.txt"
                _outline(contour, [[40 + x * half, 30 + y * half] for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1))])
                _outline(contour.with_name(f"{name}_cup_{expert}.txt"), [[38, 28], [42, 28], [42, 32]])
    (home / "ClinicalData").mkdir()


def test_papila_averages_the_experts_and_keeps_both_eyes_together(tmp_path):
    folder, _ = converted(PAPILA, tmp_path, _papila)
    rows, columns = np.nonzero(_labels(folder, "RET002OD"))
    assert abs(rows.mean() - 30) < 0.6
    assert abs(columns.mean() - 40) < 0.6
    assert np.ptp(columns) + 1 == pytest.approx(20, abs=1)  # between 16 and 24
    assert {item.split for item in folder.items() if item.patient == "RET002"} in ({"train"}, {"test"})
    assert (len(folder.items("train")), len(folder.items("test"))) == (8, 2)


def test_the_average_of_equal_outlines_is_that_outline():
    mask = blob((40, 40)) > 0
    assert np.array_equal(average_outline([mask, mask]), mask)


def test_papila_says_that_a_contour_is_cut_off(tmp_path):
    _papila(tmp_path / "download")
    (contour,) = (tmp_path / "download").rglob("RET004OS_disc_exp2.txt")
    contour.write_text("40.0 3")
    outcome = convert(partial_download(PAPILA), tmp_path / "download", tmp_path / "dataset")
    assert not outcome.ok
    (finding,) = [finding for finding in outcome.findings if finding.kind.stops]
    assert finding.kind is Kind.DAMAGED
    assert finding.subject.endswith("/RET004OS_disc_exp2.txt")
    assert "RET004OS_disc_exp2.txt holds no outline" in finding.detail


def test_bkai_tells_red_from_green_through_jpeg(tmp_path):
    colours = np.zeros((32, 48, 3), dtype=np.uint8)
    colours[4:12, 4:20, 0] = 255
    colours[18:28, 24:40, 1] = 255
    expected = (colours[..., 0] // 255) + 2 * (colours[..., 1] // 255)

    def build(root):
        for number in range(10):
            name = f"{number:032x}.jpeg"
            save_picture(root / f"train/train/{name}", photograph(number, (32, 48)))
            save_picture(root / f"train_gt/train_gt/{name}", colours, quality=90)
            save_picture(root / f"test/test/{number + 50:032x}.jpeg", photograph(number))

    folder, outcome = converted(BKAI_POLY, tmp_path, build)
    got = _labels(folder, folder.items()[0].id)
    assert (got != expected).mean() < 0.02
    assert set(np.unique(got)) == {0, 1, 2}
    assert got[8, 10] == 1
    assert got[22, 30] == 2
    assert (len(folder.items("train")), len(folder.items("test"))) == (8, 2)
    assert [(finding.kind, finding.subject) for finding in outcome.findings] == [(Kind.REMARK, "10 images")]


def test_isic_keeps_the_official_parts_and_the_original_jpeg(tmp_path):
    def build(root):
        for part, number in (("Training", 0), ("Validation", 12255), ("Test", 12169)):
            home = root / f"ISIC2018_Task1-2_{part}_Input"
            save_picture(home / f"ISIC_{number:07d}.jpg", photograph(number))
            truth = root / f"ISIC2018_Task1_{part}_GroundTruth"
            save_picture(truth / f"ISIC_{number:07d}_segmentation.png", blob())
            for place in (home, truth):
                (place / "LICENSE.txt").write_text("CC-0")

    folder, outcome = converted(ISIC2018, tmp_path, build)
    assert {item.split: item.id for item in folder.items()} == {
        "train": "ISIC_0000000",
        "validation": "ISIC_0012255",
        "test": "ISIC_0012169",
    }
    original = tmp_path / "download/ISIC2018_Task1-2_Training_Input/ISIC_0000000.jpg"
    assert (folder.path / "images/ISIC_0000000.jpg").read_bytes() == original.read_bytes()
    assert not outcome.findings


def test_uw_sc_fills_outlines_and_keeps_equal_names_apart(tmp_path):
    ring = blob()
    ring[6:10, 8:12] = 0

    def build(root):
        for number, (archive, kind) in enumerate((("1", "melanoma"), ("2", "notmelanoma"))):
            for site in ("dermis", "dermquest"):
                home = root / f"Skin Image Data Set-{archive}/skin_data/{kind}/{site}"
                save_picture(home / "D1_orig.jpg", photograph(number + 10 * len(site)))
                save_picture(home / "D1_contour.png", ring)
                (home / "Thumbs.db").write_bytes(b"x")

    folder, outcome = converted(UW_SC, tmp_path, build)
    assert len(folder.items("test")) == 4
    assert np.array_equal(_labels(folder, "melanoma_dermquest_D1"), blob() // 255)
    assert not outcome.findings


def test_uw_sc_takes_images_whose_names_begin_alike_for_one_patient(tmp_path):
    names = {"melanoma": ("SSM24", "SSM24_2", "SSM2"), "notmelanoma": ("D10", "D10_1")}

    def build(root):
        for archive, (kind, stems) in enumerate(names.items(), start=1):
            home = root / f"Skin Image Data Set-{archive}/skin_data/{kind}/dermquest"
            for number, stem in enumerate(stems):
                save_picture(home / f"{stem}_orig.jpg", photograph(number + 10 * archive))
                save_picture(home / f"{stem}_contour.png", blob())

    folder, _ = converted(UW_SC, tmp_path, build)
    assert {item.id: item.patient for item in folder.items()} == {
        "melanoma_dermquest_SSM2": "melanoma_dermquest_SSM2",
        "melanoma_dermquest_SSM24": "melanoma_dermquest_SSM24",
        "melanoma_dermquest_SSM24_2": "melanoma_dermquest_SSM24",
        "notmelanoma_dermquest_D10": "notmelanoma_dermquest_D10",
        "notmelanoma_dermquest_D10_1": "notmelanoma_dermquest_D10",
    }


def test_bus_reads_masks_that_are_palettes_numbers_or_transparent(tmp_path):
    def build(root):
        for number in range(1, 5):
            save_picture(root / f"BUS/original/{number:06d}.png", photograph(number)[..., 0])
        truth = root / "BUS/GT"
        save_palette(truth / "000001.png", blob() // 255, {1: (128, 0, 0)})
        save_picture(truth / "000002.png", blob() // 255)
        save_picture(truth / "000003.png", np.dstack([blob()] * 3 + [np.full_like(blob(), 255)]))
        Image.fromarray(blob()).convert("1").save(truth / "000004.png")

    folder, outcome = converted(BUS, tmp_path, build)
    for item in folder.items():
        assert np.array_equal(folder.load_labels(item)[0], blob() // 255), item.id
    assert not outcome.findings
