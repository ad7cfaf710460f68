"""M&Ms, ACDC and M&Ms-2: oblique slices, as acquired."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from KPrismLib.errors import InvalidDataset
from Testing.training.convert.trees import anatomy, converted, partial_download, save_nifti, save_series, stored
from Training.convert.conversion import convert
from Training.convert.findings import Kind
from Training.convert.sets.acdc import ACDC
from Training.convert.sets.mnms import MNMS
from Training.convert.sets.mnms2 import MNMS2

_HEADER = ",External code,VendorName,Vendor,Centre,ED,ES,Age,Pathology,Sex,Height,Weight\n"


def _mnms(root, *, table="211230_M&Ms_Dataset_information_diagnosis_opendataset.csv", header=_HEADER):
    image, labels = anatomy((1, 2, 3), low=0, high=700)
    empty = np.zeros_like(labels)
    rows = []
    for number, (part, patient) in enumerate(
        (("Training/Labeled", "A0S9V9"), ("Validation", "A5C2D2"), ("Testing", "A1K2P5"))
    ):
        home = root / "OpenDataset" / part / patient
        save_series(home / f"{patient}_sa.nii.gz", [image + 9 * number + frame for frame in range(3)])
        save_series(home / f"{patient}_sa_gt.nii.gz", [labels, empty, labels * (labels == 1)])
        rows.append(f"{number},{patient},Siemens,A,1,0,2,50,HCM,M,180,80\n")
    save_series(root / "OpenDataset/Training/Unlabeled/B1C2D3/B1C2D3_sa.nii.gz", [image, image])
    (root / "OpenDataset" / table).write_text(header + "".join(rows))


def test_mnms_takes_the_frames_that_the_table_names(tmp_path):
    folder, outcome = converted(MNMS, tmp_path, _mnms)
    image, labels = anatomy((1, 2, 3), low=0, high=700)
    assert [item.id for item in folder.items("train")] == ["A0S9V9_ED", "A0S9V9_ES"]
    assert len(folder.items("test")) == 4
    voxels, numbers = stored(folder, "A0S9V9_ES")
    assert np.array_equal(voxels, image + 2)
    assert np.array_equal(numbers, labels * (labels == 1))
    assert folder.items("test")[0].extras["frame"] == 0
    assert not outcome.findings


def test_mnms_reads_the_older_table_too(tmp_path):
    converted(MNMS, tmp_path, lambda root: _mnms(root, table="201014_M&Ms_Dataset_Information_-_opendataset.csv"))


def test_mnms_says_which_column_the_table_lacks(tmp_path):
    header = _HEADER.replace("ED", "Diastole")
    with pytest.raises(InvalidDataset, match="lacks the columns ED; download it again"):
        converted(MNMS, tmp_path, lambda root: _mnms(root, header=header))


def test_oblique_slices_stay_those_of_the_scanner(tmp_path):
    """A short axis whose normal points left and forward: the axial rule would cut across its thick slices."""
    image, labels = anatomy((1, 2, 3), low=0, high=700)
    root = tmp_path / "download/OpenDataset"
    _mnms(tmp_path / "download")
    home = root / "Training/Labeled/A0S9V9"
    columns, normal = np.array([0.6, -0.8, 0.0]), np.array([-0.8, -0.6, 0.0])
    affine = np.eye(4)
    affine[:3, :3] = np.stack([columns * 1.2, [0, 0, -1.2], normal * 9], axis=1)
    for name, array in (("A0S9V9_sa", image), ("A0S9V9_sa_gt", labels)):
        nib.save(nib.Nifti1Image(np.stack([array] * 3, axis=-1), affine), home / f"{name}.nii.gz")
    folder, _ = converted(MNMS, tmp_path, lambda _: None)
    assert np.array_equal(stored(folder, "A0S9V9_ED")[0], image)
    flipped = affine @ np.diag([1, -1, 1, 1])
    for name, array in (("A0S9V9_sa", image), ("A0S9V9_sa_gt", labels)):
        nib.save(nib.Nifti1Image(np.stack([array] * 3, axis=-1), flipped), home / f"{name}.nii.gz")
    folder, _ = converted(MNMS, tmp_path, lambda _: None)
    assert np.array_equal(stored(folder, "A0S9V9_ED")[0], image[:, ::-1])  # superior is above again


def _acdc(root):
    image, labels = anatomy((1, 2, 3), low=0, high=255)
    for part, patient, ends in (("training", "patient001", (1, 12)), ("testing", "patient101", (1, 14))):
        home = root / "database" / part / patient
        save_series(home / f"{patient}_4d.nii.gz", [image, image])
        for frame in ends:
            save_nifti(home / f"{patient}_frame{frame:02d}.nii.gz", image + frame + int(patient[-3:]))
            save_nifti(home / f"{patient}_frame{frame:02d}_gt.nii.gz", labels)
        info = f"ED: {ends[0]}\nES: {ends[1]}\nGroup: DCM\nHeight: 184.0\nNbFrame: 30\nWeight: 95.0\n"
        (home / "Info.cfg").write_text(info)
        (home / "MANDATORY_CITATION.md").write_text("cite")


def test_acdc_takes_the_frames_of_info_cfg(tmp_path):
    folder, outcome = converted(ACDC, tmp_path, _acdc)
    assert [item.id for item in folder.items("validation")] == ["patient001_frame01", "patient001_frame12"]
    assert [item.extras["phase"] for item in folder.items("test")] == ["ED", "ES"]
    image, _ = anatomy((1, 2, 3), low=0, high=255)
    assert np.array_equal(stored(folder, "patient001_frame12")[0], image + 13)
    assert not outcome.findings  # the 4-D series are known, if not used


def test_acdc_names_a_missing_frame_and_does_not_take_the_4d_file_for_it(tmp_path):
    _acdc(tmp_path / "download")
    (tmp_path / "download/database/training/patient001/patient001_frame12.nii.gz").unlink()
    outcome = convert(partial_download(ACDC), tmp_path / "download", tmp_path / "dataset")
    assert [(f.kind, f.subject) for f in outcome.findings] == [
        (Kind.MISSING, "database/training/patient001/patient001_frame12.nii.gz")
    ]


def test_mnms2_takes_the_long_axis_only(tmp_path):
    image, labels = anatomy((1, 2, 3), low=0, high=300)

    def build(root):
        for patient in ("001", "161", "201"):
            home = root / "MnM2/dataset" / patient
            for number, phase in enumerate(("ED", "ES")):
                save_nifti(home / f"{patient}_LA_{phase}.nii.gz", image[..., 1:2] + int(patient) + number)
                save_nifti(home / f"{patient}_LA_{phase}_gt.nii.gz", labels[..., 1:2])
                save_nifti(home / f"{patient}_SA_{phase}.nii.gz", image)
                save_nifti(home / f"{patient}_SA_{phase}_gt.nii.gz", labels)
            save_series(home / f"{patient}_LA_CINE.nii.gz", [image[..., :1], image[..., :1]])
        (root / "MnM2/dataset_information.csv").write_text("SUBJECT_CODE,DISEASE\n")

    folder, outcome = converted(MNMS2, tmp_path, build)
    assert {split: len(folder.items(split)) for split in folder.splits} == {"validation": 4, "test": 2}
    (piece,) = folder.load(folder.items("test")[0])
    assert np.array_equal(piece.labels, labels[..., 1].T)
    assert not outcome.findings
