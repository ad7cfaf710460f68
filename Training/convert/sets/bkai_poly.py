"""BKAI-IGH NeoPolyp: colonoscopy with neoplastic and non-neoplastic polyps.

Layout of the Kaggle competition: ``train/train/<32 hex digits>.jpeg`` with ``train_gt/train_gt`` of the same names;
``test/test`` has no masks. The masks are colour-coded: red neoplastic, green non-neoplastic, black the rest; as they
are JPEG, colours are only nearly pure, and blurred at the edges.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from Training.convert.about import About, PaperCounts
from Training.convert.cases import Case, Converter, Piece, UnusableFile
from Training.convert.findings import Kind
from Training.convert.pictures import check_size, single_page
from Training.convert.source import Source
from Training.convert.splits import authors_training

_COUNT = 1000
_FILE = r"([0-9A-Za-z_-]+)\.jpe?g"
_BRIGHT = 127


def _load(image: Path, mask: Path) -> list[Piece]:
    colours = single_page(mask)
    if colours.ndim != 3:
        raise UnusableFile(mask, f"{mask.name} is grey; the kinds of polyps are told apart by red and green.")
    red, green = colours[..., 0], colours[..., 1]
    labels = np.zeros(red.shape, dtype=np.uint8)
    labels[(red > _BRIGHT) & (red >= green)] = 1
    labels[(green > _BRIGHT) & (green > red)] = 2
    check_size(image, labels)
    return [Piece(image, labels)]


def _cases(source: Source) -> list[Case]:
    images = source.files(source.folder("train/train", "train"), _FILE)
    masks = source.files(source.folder("train_gt/train_gt", "train_gt"), _FILE)
    names = sorted(images.keys() | masks.keys())
    if len(names) != _COUNT:
        source.note(Kind.REMARK, f"{len(names)} images", f"only all {_COUNT} give the split of the paper's authors")
    training = authors_training(len(names))
    split = {key: "train" if place in training else "test" for place, key in enumerate(names)}
    pairs = source.pairs(images, masks)
    return [Case(key, key, split[key], pair, partial(_load, *pair)) for key, pair in pairs.items()]


BKAI_POLY = Converter(
    About(
        name="BKAI-POLY",
        modality="endoscopy (colonoscopy)",
        role="paper training set",
        labels={0: "background", 1: "neoplastic polyp", 2: "non-neoplastic polyp"},
        citation=(
            'Ngoc Lan P. et al., "NeoUNet: Towards accurate colon polyp segmentation and neoplasm detection", ISVC '
            "2021."
        ),
        licence="rules of the Kaggle competition: research and education (verify)",
        source="https://www.kaggle.com/competitions/bkai-igh-neopolyp",
        layout="train/train and train_gt/train_gt with .jpeg files of the same names",
        split_rule=(
            "the official training part by image, as in the authors' preparation scripts: names sorted, shuffled with "
            "seed 42, the first 80 % train (A.1)"
        ),
        paper=PaperCounts(slices={"train": 800, "test": 200}),
        complete={"all": _COUNT},
        notes=(
            "Patients are not published: frames of one polyp may be on both sides. Pixels less than half bright in red "
            "and green are background. The classes are not those of polyp sets without histology."
        ),
    ),
    _cases,
)
