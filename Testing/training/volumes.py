"""A set of small volumes, and a model that finds everything in them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from KPrismLib.canvas import Canvas
from Testing.engine.dataset.tiny_dataset import describe, listed, write_folder


def volumes_of_liver(folder: Path) -> Path:
    """The set "Tiny" in a folder: two test volumes and one for training, of 6 slices; liver in slices 1 to 4."""
    items = [listed(f"v{n}", suffix=".nii.gz", patient=f"p{n}", split="train" if n == 2 else "test") for n in range(3)]
    rng = np.random.default_rng(3)
    arrays = {}
    for number in range(3):
        labels = np.zeros((24, 32, 6), np.uint8)
        labels[6:16, 8 : 20 + number, 1:5] = 1
        arrays[f"mask_v{number}"] = labels
        arrays[f"image_v{number}"] = np.clip(rng.normal(80, 10, labels.shape) + 90 * labels, 0, 255).astype(np.uint8)
    write_folder(folder / "Tiny", describe(items), **arrays)
    return folder


class PerfectPredictor:
    """Finds everything that is brighter than 125."""

    classes = ("liver",)

    def encode(self, pixels: Any, **_: Any) -> Any:
        maps = SimpleNamespace(s16=torch.ones(1, 2, 1, 1))  # all slices look alike
        return SimpleNamespace(
            pixels=pixels, canvas=Canvas(pixels.shape, pixels.shape), features=SimpleNamespace(maps=maps)
        )

    def encode_reference(self, image: Any, pixels: Any, mask: Any) -> int:
        return int(mask.sum())

    def encode_batch(self, pixels: list[Any], **_: Any) -> list[Any]:
        return [self.encode(each) for each in pixels]

    def class_probabilities(self, images: list[Any], names: list[str]) -> Any:
        return np.stack([[self.segment(image, reference=None).probability for _ in names] for image in images])

    def combine(self, parts: list[int]) -> list[int]:
        return parts

    def read_out(self, image: Any, reference: list[int]) -> list[int]:
        return reference

    def segment(self, image: Any, *, cls: str | None = None, reference: Any = None) -> Any:
        probability = np.where(image.pixels > 125, 0.99, 0.01).astype(np.float32)
        return SimpleNamespace(mask=probability > 0.5, probability=probability)

    def session(self, image: Any, *, reference: Any = None, mask: Any = None, **_: bool) -> Any:
        found = self.segment(image, reference=reference)
        return SimpleNamespace(click=lambda row, column, positive=True: found)
