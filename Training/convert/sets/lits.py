"""LiTS: liver and liver tumours in CT.

Layout: ``volume-0.nii`` to ``volume-130.nii`` with ``segmentation-0.nii`` ... beside them. The two archives of the
challenge unpack to ``media/nas/01_Datasets/CT/LITS/Training Batch 1`` and ``Training Batch 2``, into one folder or each
into its own; copies have all files in one folder, and some compress them (``.nii.gz``). ``test-volume-N.nii`` have no
masks. The headers are of several orientations, and not all of them are true: those of volumes 28 to 47 (from 3D-IRCADb)
are said to be identity matrices with a spacing of 1 mm (PatrickChrist/LITS-CHALLENGE, issue 14), and code that reads
the set flips others, too (68 to 82, of which nothing official is known). So every volume, whatever its number, is
turned by its header, and then the liver must lie on the right and the bones behind; where they do not, the header is
overruled. The spacing stays as it is stored.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from Training.convert.about import About, PaperCounts
from Training.convert.anatomy import contradicted_axes
from Training.convert.cases import Case, Converter, Piece
from Training.convert.source import Source
from Training.convert.splits import authors_training
from Training.convert.upright import Slices
from Training.convert.volumes import load_volume_pair

_COUNT = 131
_VOLUME = r"volume-(\d+)\.nii(?:\.gz)?"
_MASK = r"segmentation-(\d+)\.nii(?:\.gz)?"
_TEST = r"test-volume-\d+\.nii(?:\.gz)?"


def _load(image: Path, mask: Path) -> list[Piece]:
    (piece,) = load_volume_pair(image, mask, slices=Slices.AXIAL)
    voxels = np.asarray(piece.image)
    wrong = contradicted_axes(voxels, piece.labels > 0)
    if not wrong:
        return [piece]
    # The matrix stays: it says what the turned voxels now are.
    turned, labels = (np.ascontiguousarray(np.flip(array, wrong)) for array in (voxels, piece.labels))
    extras = {"header_overruled": [("left-right", "front-back")[axis] for axis in wrong]}
    return [replace(piece, image=turned, labels=labels, extras={**piece.extras, **extras})]


def _cases(source: Source) -> list[Case]:
    source.know(_TEST)
    images = source.files(source.folders_with(_VOLUME), _VOLUME)
    masks = source.files(source.folders_with(_MASK), _MASK)
    pairs = source.pairs(images, masks)
    training = authors_training(_COUNT)
    return [
        Case(f"volume-{key}", key, "train" if int(key) in training else "test", pair, partial(_load, *pair))
        for key, pair in sorted(pairs.items(), key=lambda entry: int(entry[0]))
    ]


LITS = Converter(
    About(
        name="LiTS",
        modality="CT (abdomen, contrast-enhanced)",
        role="paper training set",
        labels={0: "background", 1: "liver (without tumours)", 2: "liver tumour"},
        recipe=2,
        # A.1: "only the tumor labels from each CT volume are utilized".
        classes={"liver tumour": (2,)},
        citation='Bilic P. et al., "The Liver Tumor Segmentation Benchmark (LiTS)", MedIA 84:102680, 2023.',
        licence="CC BY-NC-ND 4.0 (CodaLab; the copy in the Medical Segmentation Decathlon is CC BY-SA 4.0; verify)",
        source="https://competitions.codalab.org/competitions/17094",
        layout="volume-0.nii ... volume-130.nii and segmentation-0.nii ... segmentation-130.nii",
        split_rule=(
            "by volume, 104 train and 27 test as in Table 6 (A.1: 80/20): the authors' preparation scripts shuffle a "
            "list of the volumes with seed 42 and take the first 80 %. The list itself is not published; that it runs "
            "from 0 to 130, as in earlier scripts of their group, is likely and not certain."
        ),
        paper=PaperCounts({"train": 104, "test": 27}, {"train": 5687, "test": 1625}),
        complete={"all": _COUNT},
        ids=tuple(f"volume-{number}" for number in range(_COUNT)),
        window="ct-kidney-liver-tumour",
        notes=(
            "The liver label stays in the masks; `classes` uses the tumour only, as the paper does. Table 6 counts "
            "slices with tumour. Patients are volumes; a patient with two scans would not be recognised. "
            "`header_overruled` marks volumes whose header contradicted the anatomy; a patient with situs inversus "
            "would be mirrored by that. Volumes 28 to 47 are said to have no true spacing; earlier scripts of the "
            "authors' group correct all of them but 29, 30 and 39. Here no spacing is corrected."
        ),
    ),
    _cases,
)
