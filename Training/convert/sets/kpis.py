"""KPIs 2024: glomeruli in PAS-stained mouse kidney, patch level (task 1).

Layout of the training archive: ``Task1_patch_level/data`` (later releases: ``Task1_patch_level/train``), then
``56Nx/12_116/img/56Nx_12_116_4_4096_0_img.jpg`` with ``mask/56Nx_12_116_4_4096_0_mask.jpg``: the groups ``56Nx``,
``DN``, ``NEP25`` and ``normal``, a folder per slide (30), tiles of 2048 x 2048 (5,331). Each of the five mice of
``NEP25`` has three slides (``08_368_01`` to ``08_368_03``). The archive of the test part has the same below
``Task1_patch_level/test``: 12 slides of other mice, 2,305 tiles. The masks are JPEG, hence grey at the edges.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from Training.convert.about import About, PaperCounts
from Training.convert.cases import Case, Converter, Piece, ShapesDiffer
from Training.convert.pictures import brightness, single_page
from Training.convert.source import Source
from Training.convert.splits import split_patients

_GROUPS = r"(56Nx|DN|NEP25|normal)"
_PATCH, _SIDE = 1024, 512
_BRIGHT, _LEAST = 128, 2000
_PAPER = {"train": 8261, "validation": 500, "test": 4055}


def _patches(image: Path, mask: Path) -> Iterator[Piece]:
    """The 1024 x 1024 patches of a tile, at half size; those with fewer than 2,000 glomerulus pixels are dropped."""
    pixels, grey = single_page(image), brightness(mask)
    if pixels.shape[:2] != grey.shape:
        raise ShapesDiffer(f"{pixels.shape[:2]} against {grey.shape}")
    for top in range(0, grey.shape[0] - _PATCH + 1, _PATCH):
        for left in range(0, grey.shape[1] - _PATCH + 1, _PATCH):
            window = np.s_[top : top + _PATCH, left : left + _PATCH]
            # In this order, as the paper's authors do: which patches reach 2,000 depends on it.
            labels = (_halved(grey[window]) >= _BRIGHT).astype(np.uint8)
            if np.count_nonzero(labels) >= _LEAST:
                extras = {"top": top, "left": left}
                yield Piece(_halved(pixels[window]), labels, suffix=f"_y{top}x{left}", extras=extras)


def _halved(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.fromarray(pixels).resize((_SIDE, _SIDE), Image.Resampling.BILINEAR))


def _cases(source: Source) -> list[Case]:
    home = source.folder("Task1_patch_level/data", "Task1_patch_level/train", "data", "train", holding=_GROUPS)
    official = source.find_folder("Task1_patch_level/test", "test", holding=_GROUPS)
    training = _tiles(source, home, "training")
    if official is None:
        tested, shares = [], {"validation": 0.05, "test": 0.2}
    else:
        tested = _tiles(source, official, "test")
        shares = {"validation": _PAPER["validation"] / (_PAPER["train"] + _PAPER["validation"])}
    split = split_patients((case.patient for case in training), shares)
    return [replace(case, split=split[case.patient]) for case in training] + tested


def _tiles(source: Source, home: Path, part: str) -> list[Case]:
    """Every tile of a part, all of them test as yet."""
    cases = []
    for group, folder in source.sub_folders(home, _GROUPS).items():
        for slide, tiles in source.sub_folders(folder, r"([^._].*)").items():
            image_home, mask_home = source.folder_in(tiles, "img"), source.folder_in(tiles, "mask")
            if image_home is None or mask_home is None:
                continue
            images = source.files(image_home, r"(.+)_img\.jpe?g")
            masks = source.files(mask_home, r"(.+)_(?:mask|img)\.jpe?g")
            for key, pair in source.pairs(images, masks).items():
                name = key if key.startswith(group) else f"{group}_{key}"
                extras = {"group": group, "part": part}
                cases.append(Case(name, _mouse(group, slide), "test", pair, partial(_patches, *pair), extras))
    return cases


def _mouse(group: str, slide: str) -> str:
    return f"{group}/{re.sub(r'_[0-9]{2}$', '', slide) if group == 'NEP25' else slide}"


KPIS = Converter(
    About(
        name="KPIs",
        modality="pathology (PAS, mouse kidney)",
        role="paper training set",
        labels={0: "background", 1: "glomerulus"},
        recipe=2,
        citation=(
            'Deng R. et al., "KPIs 2024 Challenge: Advancing Glomerular Segmentation from Patch- to Slide-Level", '
            "arXiv:2502.07288, 2025."
        ),
        licence="CC BY-NC 4.0 (from memory of the Synapse page; verify; registration needed)",
        source="https://www.synapse.org/Synapse:syn53501849 (Task1_patch_level of the training and of the test data)",
        layout=(
            "Task1_patch_level/data (or train) with 56Nx, DN, NEP25 and normal, and img and mask below each slide; "
            "elsewhere in the same folder, if you have it, Task1_patch_level/test"
        ),
        split_rule=(
            "With the official test part in the download, that is the test, and 500/8761 of the tiles of the training "
            "part are validation, as in Table 6. Without it, the training part gives 75 % train, 5 % validation and 20 "
            "% test (A.1). By mouse, seed 0. A.1 splits the training part alone, yet Table 6's 8261 / 500 / 4055 are "
            "64 / 4 / 32 %; very probably they are the training part with 500 kept out, and the official test part."
        ),
        paper=PaperCounts(slices=_PAPER),
        parts={"training": 5331, "test": 2305},
        notes=(
            "Tiles of 2048 are cut into 1024 x 1024 and halved to 512 x 512. A.1 says 'non-overlapping patches of size "
            "512 x 512' instead. Patches with fewer than 2,000 glomerulus pixels are dropped; they are counted in the "
            "halved mask, cut at 128, as in the authors' preparation scripts, while A.1 drops only those without any. "
            "`patient` is the mouse: the three slides of a mouse of NEP25 are one, every other slide is taken for a "
            "mouse. The official validation part is not used."
        ),
    ),
    _cases,
)
