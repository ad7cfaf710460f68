"""ISIC 2018, task 1: dermoscopy with outlined lesions.

Layout of the official archives: ``ISIC2018_Task1-2_Training_Input/ISIC_0000000.jpg`` with
``ISIC2018_Task1_Training_GroundTruth/ISIC_0000000_segmentation.png``, and the same for ``Validation`` and ``Test``.
"""

from __future__ import annotations

from functools import partial

from Training.convert.about import About, PaperCounts
from Training.convert.cases import Case, Converter
from Training.convert.pictures import load_picture_pair
from Training.convert.source import Source

_PARTS = {"Training": "train", "Validation": "validation", "Test": "test"}


def _cases(source: Source) -> list[Case]:
    cases = []
    for part, split in _PARTS.items():
        images = source.files(source.folder(f"ISIC2018_Task1-2_{part}_Input"), r"(ISIC_\d{7})\.jpg")
        masks = source.files(source.folder(f"ISIC2018_Task1_{part}_GroundTruth"), r"(ISIC_\d{7})_segmentation\.png")
        for key, pair in source.pairs(images, masks).items():
            cases.append(Case(key, key, split, pair, partial(load_picture_pair, *pair)))
    return cases


ISIC2018 = Converter(
    About(
        name="ISIC",
        modality="dermoscopy",
        role="paper training set",
        labels={0: "background", 1: "skin lesion"},
        citation=(
            'Codella N. et al., "Skin Lesion Analysis Toward Melanoma Detection 2018", arXiv:1902.03368, 2019; '
            'Tschandl P. et al., "The HAM10000 dataset", Scientific Data 5:180161, 2018.'
        ),
        licence="CC BY-NC 4.0 in catalogues of the challenge, CC0 in the archive: verify for each part",
        source="https://challenge.isic-archive.com/data/#2018",
        layout=(
            "ISIC2018_Task1-2_Training_Input, ISIC2018_Task1_Training_GroundTruth and the same for Validation and Test"
        ),
        split_rule="the official training, validation and test parts (A.1)",
        paper=PaperCounts(slices={"train": 2594, "validation": 100, "test": 1000}),
        complete={"train": 2594, "validation": 100, "test": 1000},
        notes="Patients are not published; every image is taken for a patient, although some show one lesion again.",
    ),
    _cases,
)
