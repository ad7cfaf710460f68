"""BUS: breast ultrasound, dataset B of Yap et al. (UDIAT).

Layout of the archive that the authors send: ``BUS/original/000001.png`` with ``BUS/GT/000001.png`` (in palette or grey,
255 the lesion), and a table of diagnoses, which is not used.
"""

from __future__ import annotations

from functools import partial

from Training.convert.about import About, PaperCounts
from Training.convert.cases import Case, Converter
from Training.convert.pictures import load_picture_pair
from Training.convert.source import Source


def _cases(source: Source) -> list[Case]:
    images = source.files(source.folder("BUS/original", "original"), r"(\d{6})\.png")
    masks = source.files(source.folder("BUS/GT", "GT"), r"(\d{6})\.png")
    return [
        Case(key, key, "test", pair, partial(load_picture_pair, *pair))
        for key, pair in source.pairs(images, masks).items()
    ]


BUS = Converter(
    About(
        name="BUS",
        modality="US (breast)",
        role="paper external set",
        labels={0: "background", 1: "breast lesion"},
        citation=(
            'Yap M. H. et al., "Automated Breast Ultrasound Lesions Detection Using Convolutional Neural Networks", '
            'IEEE JBHI 22(4):1218-1226, 2018; Yap M. H. et al., "Breast ultrasound region of interest detection and '
            'lesion localisation", Artificial Intelligence in Medicine 107:101880, 2020.'
        ),
        licence="on request from the authors, with an agreement: research only, no redistribution",
        source="https://helward.mmu.ac.uk/STAFF/M.Yap/dataset.php",
        layout="BUS/original and BUS/GT with files such as 000001.png",
        split_rule="all test (external set of the paper); benign and malignant are one class",
        paper=PaperCounts(slices={"test": 163}),
        complete={"all": 163},
        notes="Patients are not published; every image is taken for a patient.",
    ),
    _cases,
)
