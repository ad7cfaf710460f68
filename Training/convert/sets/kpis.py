"""KPIs 2024: glomeruli in PAS-stained mouse kidney, patch level (task 1).

Layout of the training archive: ``Task1_patch_level/data`` (later releases: ``Task1_patch_level/train``), then
``56Nx/12_116/img/56Nx_12_116_4_4096_0_img.jpg`` with ``mask/56Nx_12_116_4_4096_0_mask.jpg``: the groups ``56Nx``,
``DN``, ``NEP25`` and ``normal``, a folder per slide, tiles of 2048 x 2048. The masks are JPEG, hence grey at the edges.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from Training.convert.about import About, PaperCounts
from Training.convert.cases import Case, Converter, Piece, ShapesDiffer
from Training.convert.pictures import foreground, single_page
from Training.convert.source import Source
from Training.convert.splits import split_patients

_GROUPS = r"(56Nx|DN|NEP25|normal)"
_PATCH, _SIDE = 1024, 512
_LEAST = 2000


def _patches(image: Path, mask: Path) -> Iterator[Piece]:
    """The 1024 x 1024 patches of a tile, at half size; those with fewer than 2,000 glomerulus pixels are dropped."""
    pixels, labels = single_page(image), foreground(mask)
    if pixels.shape[:2] != labels.shape:
        raise ShapesDiffer(f"{pixels.shape[:2]} against {labels.shape}")
    for top in range(0, labels.shape[0] - _PATCH + 1, _PATCH):
        for left in range(0, labels.shape[1] - _PATCH + 1, _PATCH):
            window = np.s_[top : top + _PATCH, left : left + _PATCH]
            small = _halved(labels[window])
            if np.count_nonzero(small) >= _LEAST:
                shown = Image.fromarray(pixels[window]).resize((_SIDE, _SIDE), Image.Resampling.BOX)
                yield Piece(np.asarray(shown), small, suffix=f"_y{top}x{left}", extras={"top": top, "left": left})


def _halved(labels: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    blocks = labels.reshape(_SIDE, 2, _SIDE, 2).sum(axis=(1, 3))
    return (blocks >= 2).astype(np.uint8)


def _cases(source: Source) -> list[Case]:
    found: list[tuple[str, str, str, tuple[Path, Path]]] = []
    home = source.folder("Task1_patch_level/data", "Task1_patch_level/train", "data", "train")
    for group, folder in source.sub_folders(home, _GROUPS).items():
        for slide, tiles in source.sub_folders(folder, r"([^._].*)").items():
            image_home, mask_home = source.folder_in(tiles, "img"), source.folder_in(tiles, "mask")
            if image_home is None or mask_home is None:
                continue
            images = source.files(image_home, r"(.+)_img\.jpe?g")
            masks = source.files(mask_home, r"(.+)_(?:mask|img)\.jpe?g")
            found += [(key, f"{group}/{slide}", group, pair) for key, pair in source.pairs(images, masks).items()]
    split = split_patients((slide for _, slide, _, _ in found), {"validation": 0.05, "test": 0.2})
    return [
        Case(
            key if key.startswith(group) else f"{group}_{key}",
            slide,
            split[slide],
            pair,
            partial(_patches, *pair),
            {"group": group},
        )
        for key, slide, group, pair in found
    ]


KPIS = Converter(
    About(
        name="KPIs",
        modality="pathology (PAS, mouse kidney)",
        role="paper training set",
        labels={0: "background", 1: "glomerulus"},
        citation=(
            'Deng R. et al., "KPIs 2024 Challenge: Advancing Glomerular Segmentation from Patch- to Slide-Level", '
            "arXiv:2502.07288, 2025."
        ),
        licence="CC BY-NC 4.0 (from memory of the Synapse page; verify; registration needed)",
        source="https://www.synapse.org/Synapse:syn53501849 (KPIs24 Training Data, Task1_patch_level)",
        layout="Task1_patch_level/data (or train) with 56Nx, DN, NEP25 and normal, and img and mask below each slide",
        split_rule=(
            "by slide of the official training part, 75 % train, 5 % validation, 20 % test of the tiles (A.1), seed "
            "0. Table 6's 8261 / 500 / 4055 are 64 / 4 / 32 %, so that the paper split otherwise than it says."
        ),
        paper=PaperCounts(slices={"train": 8261, "validation": 500, "test": 4055}),
        notes=(
            "Tiles of 2048 are cut into 1024 x 1024 and halved to 512 x 512. A.1 says 'non-overlapping patches of size "
            "512 x 512' instead. Patches with fewer than 2,000 glomerulus pixels, counted at 512, are dropped; whether "
            "the authors counted before or after halving is not known, and A.1 drops only those without any. A mouse "
            "may have several slides; nobody says. 10,428 JPEG files are reported for the training part, "
            "which would be 5,214 tiles; as that is not certain, half a download is noticed only by missing partners."
        ),
    ),
    _cases,
)
