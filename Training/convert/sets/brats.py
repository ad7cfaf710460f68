"""BraTS 2020: one slice per patient, for the class that no training set has.

Layout: ``MICCAI_BraTS2020_TrainingData/BraTS20_Training_001/BraTS20_Training_001_flair.nii.gz``, ``_t1``, ``_t1ce``,
``_t2`` and ``_seg`` (1 necrotic and non-enhancing core, 2 oedema, 4 enhancing), 369 patients. In the copy on Kaggle the
files are ``.nii``, and the mask of patient 355 still has its old name, ``W39_1998.09.19_Segm.nii``.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from KPrismLib.intensity import window_for
from Training.convert.about import About, PaperCounts
from Training.convert.cases import Case, Converter, Piece, UnusableFile
from Training.convert.source import Source
from Training.convert.upright import Slices
from Training.convert.volumes import load_volume_pair

_COUNT = 369
_SEQUENCE = "flair"
_WINDOW = "percentile-0.5-99.8"
_CORE = (1, 4)
_OLD_MASK_NAME = "W39_1998.09.19_Segm.nii"


def _largest_slice(image: Path, mask: Path) -> list[Piece]:
    """The axial slice with most tumour, shown through the window of the whole volume."""
    (whole,) = load_volume_pair(image, mask, slices=Slices.AXIAL)
    areas = np.count_nonzero(np.isin(whole.labels, _CORE), axis=(0, 1))
    if not areas.any():
        raise UnusableFile(mask, f"{mask.name} outlines no tumour core.")
    index = int(areas.argmax())
    voxels = np.asarray(whole.image)
    # A slice must not be windowed by itself, and an 8-bit picture is the only form that keeps the volume's window.
    window = window_for(voxels, rule=_WINDOW)
    pixels, labels = window.apply(voxels[..., index]).T, whole.labels[..., index].T
    extras = {"slice": index, "sequence": _SEQUENCE, "window": window.to_dict()}
    return [Piece(np.ascontiguousarray(pixels), np.ascontiguousarray(labels), extras=extras)]


def _cases(source: Source) -> list[Case]:
    name = r"(BraTS20_Training_\d{3})"
    source.know(name + r"_(?:t1|t1ce|t2)\.nii(?:\.gz)?")
    cases = []
    for case, folder in source.sub_folders(source.folders_with(name)[0], name).items():
        image = source.file(folder, f"{case}_{_SEQUENCE}.nii.gz", f"{case}_{_SEQUENCE}.nii")
        mask = source.file(folder, f"{case}_seg.nii.gz", f"{case}_seg.nii", _OLD_MASK_NAME)
        if image is not None and mask is not None:
            cases.append(Case(case, case, "test", (image, mask), partial(_largest_slice, image, mask)))
    return cases


BRATS = Converter(
    About(
        name="BraTS",
        modality="MR (brain, FLAIR)",
        role="paper unseen-class set: never train on it",
        labels={0: "background", 1: "necrosis and non-enhancing tumour", 2: "oedema", 4: "enhancing tumour"},
        # Table 6 counts one class, and A.6 calls oedema taken for tumour a mistake: the tumour core.
        classes={"brain tumour": _CORE},
        citation=(
            'Menze B. et al., "The Multimodal Brain Tumor Image Segmentation Benchmark (BRATS)", IEEE TMI 34(10), '
            '2015; Bakas S. et al., Scientific Data 4:170117, 2017; Baid U. et al., "The RSNA-ASNR-MICCAI BraTS 2021 '
            'Benchmark", arXiv:2107.02314, 2021.'
        ),
        licence="terms of the BraTS challenge: research, citation, no redistribution (registration needed)",
        source="https://www.med.upenn.edu/cbica/brats2020/data.html",
        layout="MICCAI_BraTS2020_TrainingData with BraTS20_Training_001 ..., each with a flair and a seg file",
        split_rule="all test (unseen class of the paper)",
        paper=PaperCounts(slices={"test": 369}),
        complete={"all": _COUNT},
        ids=tuple(f"BraTS20_Training_{number:03d}" for number in range(1, _COUNT + 1)),
        notes=(
            "The paper tests on 'the same 369 slices as in (Liu et al., 2023b)' (SimpleClick), which are published as "
            "pictures without their origin; 369 is the number of BraTS 2020 training patients. The slice with the "
            "largest tumour core, the FLAIR sequence and the tumour core as the class are our reading of it: the "
            "pictures show one class, and whether that is the core or the whole tumour is unknown. The masks keep all "
            "three labels: [1, 2, 4] under `classes` in dataset.json measures the other reading, on the same slices. "
            "Windowed from the 0.5th to the 99.8th percentile of the volume; the paper gives no window for it."
        ),
    ),
    _cases,
)
