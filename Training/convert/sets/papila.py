"""PAPILA: fundus photographs of both eyes with the optic disc outlined by two experts.

Layout of the archive (figshare 14798004): ``PapilaDB-PAPILA-<commit>/FundusImages/RET002OD.jpg`` (OD right eye, OS
left) and ``ExpertsSegmentations/Contours/RET002OD_disc_exp1.txt``, ``_disc_exp2.txt``, ``_cup_exp1.txt``,
``_cup_exp2.txt``: one ``x y`` per line, in pixels of the photograph.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt
from skimage.draw import polygon2mask

from Training.convert.about import About, PaperCounts
from Training.convert.cases import Case, Converter, Piece, UnusableFile
from Training.convert.pictures import single_page
from Training.convert.source import Source
from Training.convert.splits import split_patients

_EXPERTS = ("exp1", "exp2")
_BORDER = 2


def _load(image: Path, *contours: Path) -> list[Piece]:
    shape = single_page(image).shape[:2]
    return [Piece(image, average_outline([_filled(path, shape) for path in contours]).astype(np.uint8))]


def _filled(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    try:
        points = np.loadtxt(path, ndmin=2)
    except (OSError, ValueError) as error:
        raise UnusableFile(path, f"{path.name} holds no list of points.") from error
    if points.shape[0] < 3 or points.shape[1] != 2:
        raise UnusableFile(path, f"{path.name} holds no outline: its points are {points.shape}.")
    filled: npt.NDArray[np.bool_] = polygon2mask(shape, points[:, ::-1])
    if not filled.any():
        raise UnusableFile(path, f"{path.name} outlines nothing within the image.")
    return filled


def average_outline(masks: list[npt.NDArray[np.bool_]]) -> npt.NDArray[np.bool_]:
    """The shape half way between several: where the mean of their signed distances is inside.

    The union would be every expert's largest opinion, the intersection the smallest.

    Args:
        masks: bool ``(rows, columns)``, each with a foreground.

    Returns:
        bool, same shape.
    """
    # Distances are needed near the outlines only, and photographs are large.
    rows, columns = np.nonzero(np.logical_or.reduce(masks))
    box = np.s_[
        max(rows.min() - _BORDER, 0) : rows.max() + _BORDER + 1,
        max(columns.min() - _BORDER, 0) : columns.max() + _BORDER + 1,
    ]
    signed = [distance_transform_edt(mask[box]) - distance_transform_edt(~mask[box]) for mask in masks]
    average = np.zeros_like(masks[0])
    average[box] = np.mean(signed, axis=0) > 0
    return average


def _cases(source: Source) -> list[Case]:
    images = source.files(source.folder("FundusImages"), r"(RET\d{3}O[DS])\.jpe?g")
    home = source.folder("ExpertsSegmentations/Contours")
    source.know(r"RET\d{3}O[DS]_cup_exp\d\.txt")
    contours = [source.files(home, rf"(RET\d{{3}}O[DS])_disc_{expert}\.txt") for expert in _EXPERTS]
    first, second = (source.pairs(images, found) for found in contours)
    files = {key: (*first[key], second[key][1]) for key in sorted(first.keys() & second.keys())}
    split = split_patients((key[:-2] for key in files), {"test": 98 / 488})
    return [
        Case(key, key[:-2], split[key[:-2]], paths, partial(_load, *paths), {"eye": key[-2:]})
        for key, paths in files.items()
    ]


PAPILA = Converter(
    About(
        name="PAPILA",
        modality="fundus (photograph)",
        role="paper training set",
        labels={0: "background", 1: "optic disc"},
        citation=(
            'Kovalyk O. et al., "PAPILA: Dataset with fundus images and clinical data of both eyes of the same patient '
            'for glaucoma assessment", Scientific Data 9:291, 2022.'
        ),
        licence="CC BY 4.0 (figshare; verify)",
        source="https://figshare.com/articles/dataset/PAPILA/14798004",
        layout="FundusImages/RET002OD.jpg and ExpertsSegmentations/Contours/RET002OD_disc_exp1.txt",
        split_rule=(
            "390 train and 98 test as in Table 6 (A.1: 80/20), by patient, seed 0: both eyes on one side. The authors' "
            "preparation scripts split by image (names sorted, shuffled with seed 42, the first 80 % train), so that "
            "the eyes of one patient are on both sides; that is not followed."
        ),
        paper=PaperCounts(slices={"train": 390, "test": 98}),
        complete={"all": 488},
        notes=(
            "The disc is the average of two experts' outlines (mean signed distance). The paper does not say which it "
            "used; its authors' preparation scripts fill the outline of expert 1, its points cut to whole pixels. The "
            "cup lies within the disc and is not a class of the paper, so that its outlines are not used."
        ),
    ),
    _cases,
)
