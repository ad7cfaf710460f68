"""A tiny network's settings and tiny images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from KPrismLib.network import NetworkConfig, named_config

#: Oblique and anisotropic: columns run to the left, rows to the back, slices upwards, all of them tilted a little.
AFFINE = np.array([[-0.8, 0.02, 0.1, 31.5], [0.01, -1.2, 0.2, 40.25], [0.03, 0.1, 2.5, -7.125], [0, 0, 0, 1]])


def tiny_config(**changes: object) -> NetworkConfig:
    return named_config(
        "small", image_size=64, dim=16, heads=2, encoder_channels=(16, 16, 32), encoder_blocks=(1, 1, 1, 1),
        detail_channels=8, prompt_channels=8, ffn_dim=16, pixel_ffn_dim=16, mask_head_dim=8,
        classes=("liver", "spleen", "optic disc", "optic cup"), **changes,
    )  # fmt: skip


def blob(shape: tuple[int, int], rng: np.random.Generator) -> NDArray[np.uint8]:
    rows, columns = np.indices(shape)
    disk = (rows - shape[0] / 3) ** 2 + (columns - shape[1] / 2) ** 2 < 50
    return np.clip(rng.normal(80, 12, shape) + 90 * disk, 0, 255).astype(np.uint8)


def save_picture(path: Path, pixels: NDArray[np.generic]) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def save_volume(path: Path, voxels: NDArray[np.generic]) -> Path:
    nibabel.save(nibabel.Nifti1Image(voxels.T, AFFINE), path)
    return path


def statuses(result: Any) -> dict[str, str]:
    """What became of each case of a batch that was run with ``--json``."""
    return {record["case"]: record["status"] for record in json.loads(result.out)["cases"]}
