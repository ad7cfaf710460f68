"""A dataset folder with blobs of two classes, packed, and configurations of training runs of a few steps."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray

from KPrismLib.training.config import Phase, TrainingConfig
from KPrismLib.training.log import TrainingLog
from KPrismLib.training.loop import Trainer, make_fabric
from KPrismLib.training.packing import PackedDataset, open_pack
from Testing.engine.dataset.tiny_dataset import describe, listed, write_folder
from Testing.engine.network.tiny_network import TINY

SIZE = 48
LABELS = {"0": "background", "1": "liver", "2": "spleen"}


def labels(number: int, size: int = SIZE) -> NDArray[np.uint8]:
    """A label map: a liver on the left, a spleen on the right, elsewhere in every picture."""
    y, x = np.mgrid[:size, :size]
    found = np.zeros((size, size), dtype=np.uint8)
    found[(y - 18 - number % 7) ** 2 + (x - 12 - number % 3) ** 2 < 70] = 1
    found[(abs(y - 26 + number % 5) < 6) & (abs(x - 36) < 5)] = 2
    return found


def pixels(number: int, size: int = SIZE) -> NDArray[np.uint8]:
    """Bright livers, dim spleens, noise."""
    grey = np.array([40, 200, 120], dtype=np.uint8)[labels(number, size)]
    noise = np.random.default_rng(number).integers(0, 30, (size, size), dtype=np.uint8)
    return np.asarray(grey + noise)


def write_dataset(path: Path, *, patients: int = 6, slices: int = 2, name: str = "Tiny", **changes: Any) -> Path:
    """``slices`` pictures of each of ``patients`` patients, all of them for training."""
    items, arrays = [], {}
    for number in range(patients * slices):
        items.append(listed(f"i{number}", split="train", patient=f"{name}-{number // slices}"))
        arrays[f"mask_i{number}"] = labels(number)
        arrays[f"image_i{number}"] = pixels(number)
    return write_folder(path, describe(items, **{"name": name, "labels": LABELS, **changes}), **arrays)


def packed(tmp_path: Path, *, long_side: int = SIZE, **how: Any) -> PackedDataset:
    name = how.get("name", "Tiny")
    folder = write_dataset(tmp_path / name.replace("/", "_"), **how)
    (dataset,) = open_pack([folder], tmp_path / "packed", split="train", long_side=long_side)
    return dataset


def tiny_config(folder: Path, **changes: Any) -> TrainingConfig:
    settings = {key: value for key, value in TINY.items() if key != "classes"} | {"num_experts": 2}
    values: dict[str, Any] = {
        "network_settings": settings,
        "datasets": (str(folder),),
        "holdout": 0.0,
        "phases": (Phase(size=32, steps=4, batch=2), Phase(size=48, steps=2, batch=1)),
        "warm_up_steps": 2,
        "learning_rate": 1e-3,
        "precision": "32-true",
        "checkpoint_every": 2,
        "validate_every": 3,
        "validation_samples": 2,
    }
    return TrainingConfig(**values | changes)


def cpu(config: TrainingConfig) -> Fabric:
    return make_fabric(config, accelerator="cpu")


def trainer(config: TrainingConfig, folder: Path) -> Trainer:
    return Trainer(config, folder, cpu(config))


def run(training: Trainer, *, until: int | None = None) -> Trainer:
    training.run(TrainingLog(training.folder, total=training.config.total_steps, done=training.step), until=until)
    return training


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def assert_same_state(first: Trainer, second: Trainer) -> None:
    for ours, theirs in ((first.network, second.network), (first.average, second.average)):
        for (name, a), b in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
            assert torch.equal(a, b), name
    ours, theirs = (t.optimizer.state_dict()["state"] for t in (first, second))
    assert ours.keys() == theirs.keys()
    for number in ours:
        assert all(torch.equal(ours[number][key], theirs[number][key]) for key in ours[number])
