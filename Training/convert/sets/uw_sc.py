"""UW-SC: skin photographs of the University of Waterloo's skin cancer detection project.

Layout of its two archives: ``Skin Image Data Set-1/skin_data/melanoma`` and ``Skin Image Data
Set-2/skin_data/notmelanoma``, each with ``dermis`` and ``dermquest`` (the sites the images come from) and files
``D1_orig.jpg`` with ``D1_contour.png``. In spite of their name the masks are filled, 255 in the lesion and 0 elsewhere;
holes, which a copy may have, are filled. Some names share their first part: ``D10``, ``D10_1``; ``SSM24``, ``SSM24_2``.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from scipy.ndimage import binary_fill_holes

from Training.convert.about import About, PaperCounts
from Training.convert.cases import Case, Converter, Piece
from Training.convert.pictures import check_size, foreground
from Training.convert.source import Source

_KINDS = ("melanoma", "notmelanoma")


def _load(image: Path, mask: Path) -> list[Piece]:
    labels = binary_fill_holes(foreground(mask)).astype(np.uint8)
    check_size(image, labels)
    return [Piece(image, labels)]


def _cases(source: Source) -> list[Case]:
    cases = []
    for kind in _KINDS:
        for site, folder in source.sub_folders(source.folder(f"skin_data/{kind}"), r"((?i:dermis|dermquest))").items():
            images = source.files(folder, r"(.+)_orig\.jpg")
            masks = source.files(folder, r"(.+)_contour\.png")
            for key, pair in source.pairs(images, masks).items():
                name = f"{kind}_{site.lower()}_{key}"
                patient = f"{kind}_{site.lower()}_{key.split('_')[0]}"
                extras = {"kind": kind, "site": site.lower()}
                cases.append(Case(name, patient, "test", pair, partial(_load, *pair), extras))
    return cases


UW_SC = Converter(
    About(
        name="UW-SC",
        modality="dermoscopy (mostly plain photographs)",
        role="paper external set",
        labels={0: "background", 1: "skin lesion"},
        citation=(
            "University of Waterloo, Vision and Image Processing Lab, Skin Cancer Detection; Amelard R. et al., "
            '"High-Level Intuitive Features (HLIFs) for Intuitive Skin Lesion Description", IEEE TBME 62(3), 2015.'
        ),
        licence="the images belong to DermIS and DermQuest: research only (verify)",
        source="https://uwaterloo.ca/vision-image-processing-lab/research-demos/skin-cancer-detection",
        layout="skin_data/melanoma and skin_data/notmelanoma (both archives), with dermis and dermquest in each",
        split_rule="all test (external set of the paper)",
        paper=PaperCounts(slices={"test": 167}),
        notes=(
            "The two archives hold 206 images, whose names have 167 different first parts (D10 of D10_1). The paper "
            "counts 167: its authors' preparation script names what it writes by the first part, so that one image "
            "overwrites the other. All 206 are kept, and those with one first part are taken for one patient."
        ),
    ),
    _cases,
)
