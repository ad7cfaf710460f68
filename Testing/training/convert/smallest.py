"""The smallest download of each of the eighteen sets: two cases, in the official layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from Testing.training.convert.trees import anatomy, blob, photograph, save_nifti, save_picture, save_series


def _volumes(root: Path, *pairs: tuple[str, str]) -> None:
    """Image and mask by their paths."""
    for number, (image, mask) in enumerate(pairs):
        voxels, labels = anatomy((1,))
        save_nifti(root / image, voxels + number)
        save_nifti(root / mask, labels)


def _pictures(root: Path, *pairs: tuple[str, ...]) -> None:
    """Image and its masks by their paths."""
    for number, (image, *masks) in enumerate(pairs):
        save_picture(root / image, photograph(number))
        for mask in masks:
            save_picture(root / mask, blob())


def _mnms(root: Path) -> None:
    rows = ["External code,Vendor,Centre,ED,ES"]
    voxels, labels = anatomy((1,))
    for number, (part, patient) in enumerate(
        (("Training/Labeled", "A0S9V9"), ("Validation", "A5C2D2"), ("Testing", "A1K2P5"))
    ):
        home = root / "OpenDataset" / part / patient
        save_series(home / f"{patient}_sa.nii.gz", [voxels + number, voxels])
        save_series(home / f"{patient}_sa_gt.nii.gz", [labels, labels])
        rows.append(f"{patient},A,1,0,1")
    table = root / "OpenDataset/211230_M&Ms_Dataset_information_diagnosis_opendataset.csv"
    table.write_text("\n".join(rows) + "\n", encoding="utf-8")


def _acdc(root: Path) -> None:
    for part, patient in (("training", "patient001"), ("testing", "patient101")):
        home = f"database/{part}/{patient}/{patient}_frame"
        _volumes(root, *((f"{home}{frame}.nii.gz", f"{home}{frame}_gt.nii.gz") for frame in ("01", "12")))
        (root / "database" / part / patient / "Info.cfg").write_text("ED: 1\nES: 12\nGroup: DCM\n", encoding="utf-8")


def _papila(root: Path) -> None:
    for number, eye in enumerate(("RET002OD", "RET002OS")):
        save_picture(root / f"PapilaDB/FundusImages/{eye}.jpg", photograph(number, (60, 80)))
        home = root / "PapilaDB/ExpertsSegmentations/Contours"
        home.mkdir(parents=True, exist_ok=True)
        for expert in ("exp1", "exp2"):
            points = "".join(f"{x}.0 {y}.0\n" for x, y in ((20, 20), (40, 20), (40, 40), (20, 40)))
            (home / f"{eye}_disc_{expert}.txt").write_text(points, encoding="utf-8")


def _bkai(root: Path) -> None:
    for number, name in enumerate(("0a5f3601ad4f13ccf1f4b331a412fc44", "1ec6a7f4d1c8b2fd5a3e9d7b0c6f8a92")):
        save_picture(root / f"train/train/{name}.jpeg", photograph(number))
        save_picture(root / f"train_gt/train_gt/{name}.jpeg", np.stack([blob(), 0 * blob(), 0 * blob()], axis=-1))


def _kpis(root: Path) -> None:
    mask = blob((1024, 1024), top=100, left=100, side=400)
    for number, stem in enumerate(("56Nx_12_116_4_4096_0", "56Nx_12_116_5_4096_0")):
        home = root / "Task1_patch_level/data/56Nx/12_116"
        save_picture(home / f"img/{stem}_img.jpg", np.full((1024, 1024, 3), 90 + 40 * number, dtype=np.uint8))
        save_picture(home / f"mask/{stem}_mask.jpg", mask)


def _shenzhen_and_montgomery(root: Path) -> None:
    _pictures(
        root,
        *((f"ChinaSet_AllFiles/CXR_png/CHNCXR_000{n}_0.png", f"mask/CHNCXR_000{n}_0_mask.png") for n in (1, 2)),
        *(
            (
                f"MontgomerySet/CXR_png/MCUCXR_000{n}_0.png",
                f"MontgomerySet/ManualMask/leftMask/MCUCXR_000{n}_0.png",
                f"MontgomerySet/ManualMask/rightMask/MCUCXR_000{n}_0.png",
            )
            for n in (1, 2)
        ),
    )


def _amos(root: Path, first: int) -> None:
    cases = ((part, first + 2 * number + later) for number, part in enumerate(("Tr", "Va")) for later in (0, 1))
    _volumes(
        root, *((f"amos22/images{p}/amos_{n:04d}.nii.gz", f"amos22/labels{p}/amos_{n:04d}.nii.gz") for p, n in cases)
    )


def _skin(kind: str, number: int) -> tuple[str, str]:
    home = f"Set-{number}/skin_data/{kind}/dermis/D{number}"
    return f"{home}_orig.jpg", f"{home}_contour.png"


_ISIC = (
    "ISIC2018_Task1-2_{0}_Input/ISIC_000000{1}.jpg",
    "ISIC2018_Task1_{0}_GroundTruth/ISIC_000000{1}_segmentation.png",
)
_BRATS = "MICCAI_BraTS2020_TrainingData/BraTS20_Training_00{0}/BraTS20_Training_00{0}_{1}.nii.gz"
_BUSI = "Dataset_BUSI_with_GT/{0}/{0} ({1}){2}.png"

#: By the name of the converter: what writes the download below a folder.
DOWNLOADS: Mapping[str, Callable[[Path], None]] = {
    "amos-ct": partial(_amos, first=1),
    "amos-mri": partial(_amos, first=507),
    "mnms": _mnms,
    "lits": lambda root: _volumes(root, *((f"Batch/volume-{n}.nii", f"Batch/segmentation-{n}.nii") for n in (1, 10))),
    "kits19": lambda root: _volumes(
        root, *((f"data/case_0000{n}/imaging.nii.gz", f"data/case_0000{n}/segmentation.nii.gz") for n in (0, 1))
    ),
    "lascarqs": lambda root: _volumes(
        root,
        *(
            (f"task2/train_data/train_{n}/enhanced.nii.gz", f"task2/train_data/train_{n}/atriumSegImgMO.nii.gz")
            for n in (1, 2)
        ),
    ),
    "chest-xray": _shenzhen_and_montgomery,
    "busi": lambda root: _pictures(
        root,
        *(
            (_BUSI.format(kind, n, ""), _BUSI.format(kind, n, "_mask"))
            for kind in ("benign", "malignant")
            for n in (1, 2)
        ),
    ),
    "kpis": _kpis,
    "papila": _papila,
    "bkai-poly": _bkai,
    "isic2018": lambda root: _pictures(
        root,
        *(
            (_ISIC[0].format(part, n), _ISIC[1].format(part, n))
            for n, part in enumerate(("Training", "Validation", "Test", "Training"))
        ),
    ),
    "btcv": lambda root: _volumes(
        root, *((f"Training/img/img000{n}.nii.gz", f"Training/label/label000{n}.nii.gz") for n in (1, 2))
    ),
    "acdc": _acdc,
    "uw-sc": lambda root: _pictures(root, _skin("melanoma", 1), _skin("notmelanoma", 2)),
    "bus": lambda root: _pictures(root, *((f"BUS/original/00000{n}.png", f"BUS/GT/00000{n}.png") for n in (1, 2))),
    "brats": lambda root: _volumes(root, *((_BRATS.format(n, "flair"), _BRATS.format(n, "seg")) for n in (1, 2))),
    "mnms2": lambda root: _volumes(
        root,
        *(
            (f"dataset/{p}/{p}_LA_{phase}.nii.gz", f"dataset/{p}/{p}_LA_{phase}_gt.nii.gz")
            for p in ("001", "201")
            for phase in ("ED", "ES")
        ),
    ),
}
