"""AMOS, LiTS, KiTS19, LAScarQS, BTCV and BraTS: axial volumes."""

from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
import pytest

from Testing.training.convert.trees import SPACING, anatomy, converted, save_nifti, stored
from Training.convert.sets.amos import AMOS_CT, AMOS_MRI
from Training.convert.sets.brats import BRATS
from Training.convert.sets.btcv import BTCV
from Training.convert.sets.kits19 import KITS19
from Training.convert.sets.lascarqs import LASCARQS
from Training.convert.sets.lits import LITS


def _amos(root, *, scans=2):
    image, labels = anatomy(tuple(range(1, 16)))
    for part, numbers in (("Tr", [*range(1, scans + 1), 507, 508]), ("Va", [100, 600])):
        for number in numbers:
            name = f"amos22/{{}}{part}/amos_{number + (200 if part == 'Va' and number < 500 else 0):04d}.nii.gz"
            save_nifti(root / name.format("images"), image + number, "LAS")
            save_nifti(root / name.format("labels"), labels, "LAS")
    save_nifti(root / "amos22/imagesTs/amos_0300.nii.gz", image)


def test_amos_ct_takes_numbers_up_to_500_and_turns_them_upright(tmp_path):
    folder, outcome = converted(AMOS_CT, tmp_path, lambda root: _amos(root, scans=20))
    image, labels = anatomy(tuple(range(1, 16)))
    voxels, numbers = stored(folder, "amos_0001")
    assert np.array_equal(voxels, image + 1)
    assert np.array_equal(numbers, labels)
    assert {split: len(folder.items(split)) for split in folder.splits} == {"train": 19, "validation": 1, "test": 1}
    assert len(folder.labels) == 16
    assert folder.description.window == "ct-wide"
    assert not outcome.findings
    count = next(count for count in outcome.counts if count.split == "train")
    assert (count.volumes, count.slices, count.labelled) == (19, 19 * 5, 19 * 2)
    assert (count.paper_volumes, count.paper_slices) == (190, 33944)


def test_amos_mri_takes_the_others(tmp_path):
    folder, _ = converted(AMOS_MRI, tmp_path, _amos)
    assert [item.id for item in folder.items()] == ["amos_0507", "amos_0508", "amos_0600"]
    assert [item.id for item in folder.items("test")] == ["amos_0600"]
    assert folder.load(folder.items("test")[0])[0].pixels.dtype == np.uint8


def test_amos_mri_has_the_13_classes_of_the_authors_and_amos_ct_15(tmp_path):
    _, labels = anatomy(tuple(range(1, 16)))
    labels[..., 4] = 14  # a slice that shows the bladder alone

    def build(root):
        _amos(root)
        for number in (300, 600):
            save_nifti(root / f"amos22/labelsVa/amos_{number:04d}.nii.gz", labels, "LAS")

    mri, counted = converted(AMOS_MRI, tmp_path / "mri", build)
    ct, counted_of_ct = converted(AMOS_CT, tmp_path / "ct", build)
    assert mri.description.classes == {text: (value,) for value, text in mri.labels.items() if 0 < value < 14}
    assert ct.description.classes is None
    assert np.array_equal(stored(mri, "amos_0600")[1], labels)  # all labels stay in the masks
    assert [[c.labelled for c in o.counts if c.split == "test"] for o in (counted, counted_of_ct)] == [[2], [3]]


def test_the_affine_leaves_every_voxel_where_it_was(tmp_path):
    folder, _ = converted(AMOS_CT, tmp_path, _amos)
    before = nib.load(tmp_path / "download/amos22/imagesTr/amos_0001.nii.gz")
    after = nib.load(folder.path / "images/amos_0001.nii.gz")
    assert nib.aff2axcodes(after.affine) == ("L", "P", "S")
    assert np.allclose(after.header.get_zooms(), SPACING)
    voxel = np.argwhere(np.asarray(before.dataobj) == 1 - 1000)[0]
    same = np.argwhere(np.asarray(after.dataobj) == 1 - 1000)[0]
    assert np.allclose(before.affine @ [*voxel, 1], after.affine @ [*same, 1])


def _abdomen():
    """A body with air around it, a liver on its right, a spine behind."""
    image = np.full((24, 20, 4), -1000, dtype=np.int16)
    image[3:21, 3:17] = 40
    image[11:13, 13:16] = 900
    labels = np.zeros(image.shape, dtype=np.uint8)
    labels[4:11, 5:12, 1:3] = 1
    labels[5:7, 6:8, 1] = 2
    image[..., 3] += 5
    return image, labels


@pytest.mark.parametrize(("axes", "said"), [((0,), "left-right"), ((1,), "front-back"), ((0, 1), "left-right, front")])
def test_lits_believes_the_anatomy_more_than_a_wrong_header(tmp_path, axes, said):
    image, labels = _abdomen()

    def build(root):
        save_nifti(root / "Training Batch 2/volume-28.nii", np.flip(image, axes), "RAS")
        save_nifti(root / "Training Batch 2/segmentation-28.nii", np.flip(labels, axes), "RAS")

    folder, outcome = converted(LITS, tmp_path, build)
    voxels, numbers = stored(folder, "volume-28")
    assert np.array_equal(voxels, image)
    assert np.array_equal(numbers, labels)
    assert [said in finding.detail for finding in outcome.findings] == [True]


def test_lits_reads_both_batches_in_whatever_orientation(tmp_path):
    image, labels = _abdomen()

    def build(root):
        for number, batch, codes in ((0, 1, "RAS"), (27, 1, "LPS"), (28, 2, "LPI"), (130, 2, "RPS")):
            home = root / f"Training Batch {batch}"
            save_nifti(home / f"volume-{number}.nii", image + number, codes)
            save_nifti(home / f"segmentation-{number}.nii", labels, codes)
        save_nifti(root / "Testing Batch/test-volume-3.nii", image)

    folder, outcome = converted(LITS, tmp_path, build)
    for number in (0, 27, 28, 130):
        voxels, numbers = stored(folder, f"volume-{number}")
        assert np.array_equal(voxels, image + number)
        assert np.array_equal(numbers, labels)
    assert folder.description.classes == {"liver tumour": (2,)}
    assert not outcome.findings


def test_kits19_is_stored_slices_first(tmp_path):
    image, labels = anatomy((1, 2))
    first = np.flatnonzero((labels == 2).any(axis=(0, 1)))[0]
    labels[..., first] = np.minimum(labels[..., first], 1)  # a kidney without a tumour

    def build(root):
        for number in (0, 1, 2, 3, 4):
            home = root / f"data/case_{number:05d}"
            save_nifti(home / "imaging.nii.gz", (image + number).astype(np.float64), "IPL")
            save_nifti(home / "segmentation.nii.gz", labels, "IPL")
        save_nifti(root / "data/case_00210/imaging.nii.gz", image, "IPL")
        (root / "data/kits.json").write_text("[]")

    folder, outcome = converted(KITS19, tmp_path, build)
    stored_shape = nib.load(tmp_path / "download/data/case_00000/imaging.nii.gz").shape
    assert stored_shape == (5, 8, 9)
    voxels, numbers = stored(folder, "case_00003")
    assert np.array_equal(voxels, image + 3)
    assert voxels.dtype == np.int16  # stored as float64 by the set
    assert np.array_equal(numbers, labels)
    assert (len(folder.items("train")), len(folder.items("test"))) == (4, 1)
    assert not outcome.findings
    # Table 6 counts slices of the tumour, and not all that show a kidney.
    tumour, either = (int((numbers >= value).any(axis=(0, 1)).sum()) for value in (2, 1))
    assert 0 < tumour < either
    assert [count.labelled for count in outcome.counts if count.split == "train"] == [4 * tumour]


@pytest.mark.parametrize("home", ["LAScarQS2022/task2/train_data", "LA cavity segmentation（MRI）/train_data"])
def test_lascarqs_takes_whatever_value_the_cavity_has(tmp_path, home):
    image, labels = anatomy((1,), low=0, high=900)

    def build(root):
        for number in range(1, 5):
            save_nifti(root / home / f"train_{number}/enhanced.nii.gz", image + number, "LPS")
            save_nifti(root / home / f"train_{number}/atriumSegImgMO.nii.gz", labels.astype(np.int16) * 420, "LPS")

    folder, _ = converted(LASCARQS, tmp_path, build)
    assert np.array_equal(stored(folder, "train_1")[1], labels)
    assert folder.load(folder.items()[0])[0].pixels.min() == 0  # min-max


def test_btcv_pairs_img_with_label(tmp_path):
    image, labels = anatomy(tuple(range(1, 14)))

    def build(root):
        for number in (1, 40):
            save_nifti(root / f"RawData/Training/img/img{number:04d}.nii.gz", image + number, "LAS")
            save_nifti(root / f"RawData/Training/label/label{number:04d}.nii.gz", labels, "LAS")
        save_nifti(root / "RawData/Testing/img/img0061.nii.gz", image)

    folder, _ = converted(BTCV, tmp_path, build)
    assert [item.id for item in folder.items("test")] == ["img0001", "img0040"]
    assert folder.labels[10] == "portal vein and splenic vein"
    shared = {text for text in folder.labels.values() if text in AMOS_CT.about.labels.values()}
    assert len(shared) == 13  # the background and all organs but the portal vein


def test_brats_takes_the_slice_with_most_tumour_core_through_the_window_of_the_volume(tmp_path):
    image, _ = anatomy(low=0, high=200)
    image += np.arange(5, dtype=np.int16) * 400
    labels = np.zeros(image.shape, dtype=np.uint8)
    labels[2:8, 2:7, 1] = 2  # much oedema
    labels[2:5, 2:4, 3] = 4
    labels[2:3, 2:4, 3] = 1

    def build(root):
        home = root / "MICCAI_BraTS2020_TrainingData"
        for case, mask in (("001", "BraTS20_Training_001_seg.nii"), ("355", "W39_1998.09.19_Segm.nii")):
            stem = f"BraTS20_Training_{case}"
            for sequence in ("flair", "t1", "t1ce", "t2"):
                save_nifti(home / stem / f"{stem}_{sequence}.nii", image + int(case), "LPS")
            save_nifti(home / stem / mask, labels, "LPS")
        (home / "survival_info.csv").write_text("Brats20ID\n")

    folder, outcome = converted(BRATS, tmp_path, build)
    first = folder.items("test")[0]
    assert first.extras["slice"] == 3
    assert first.extras["window"]["rule"] == "percentile-0.5-99.8"
    (piece,) = folder.load(first)
    assert np.array_equal(piece.labels, labels[..., 3].T)
    assert piece.pixels.min() > 100  # the upper slices are brighter; windowed by itself, it would start at 0
    assert folder.description.classes == {"brain tumour": (1, 4)}
    assert len(folder.items()) == 2
    assert not outcome.findings


def test_equal_downloads_give_equal_bytes(tmp_path):
    folder, _ = converted(AMOS_MRI, tmp_path, _amos)
    written = (folder.path / "images/amos_0600.nii.gz").read_bytes()
    again, _ = converted(AMOS_MRI, tmp_path / "again", _amos)
    assert (again.path / "images/amos_0600.nii.gz").read_bytes() == written
    assert gzip.decompress(written)[:4]
