"""Rows, datasets and weights that are small enough to work out by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from KPrismLib.evaluation.measurements import SliceMeasurement, VolumeMeasurement
from KPrismLib.evaluation.rows import Row, to_csv
from KPrismLib.evaluation.settings import Mode
from KPrismLib.network import KPrism
from KPrismLib.weights import save_weights
from Testing.engine.dataset.tiny_dataset import describe, listed, write_folder
from Testing.engine.network.tiny_network import filled, tiny_config
from Testing.engine.training.tiny_training import LABELS, labels, pixels
from Training.report.needs import MAIN, Effort, Protocol, masks
from Training.report.results import Facts, Results

WEIGHTS_DIGEST = "0123456789ab"


def measured(
    dataset: str = "BUSI",
    mode: Mode = Mode.SEMANTIC,
    *curve: float,
    patient: str = "p1",
    index: int = 0,
    cls: str = "liver",
    present: bool = True,
    found: bool = True,
    **changes: Any,
) -> SliceMeasurement:
    """One slice; Dice 0.5 unless a curve says otherwise."""
    values: dict[str, Any] = {
        "dataset": dataset,
        "item": patient,
        "patient": patient,
        "index": index,
        "cls": cls,
        "mode": mode,
        "present": present,
        "curve": (curve or (0.5,)) if present else (),
        "found": found,
        "milliseconds": 1.0,
    }
    return SliceMeasurement(**values | changes)


def store(
    results: Results,
    measurements: Sequence[SliceMeasurement | VolumeMeasurement],
    *,
    model: str = "tiny",
    protocol: Protocol | None = None,
    trained_on: Sequence[str] = (),
    digest: str = WEIGHTS_DIGEST,
    network: str = "",
    steps: int = 0,
    limit: int | None = 3,
    references: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> Path:
    """Put measurements of one set into the results, as the runner would; ``references`` by patient."""
    chosen = protocol or masks(Effort())
    facts = Facts(
        dataset=measurements[0].dataset,
        protocol={"name": chosen.name, "limit": limit, "whole_volumes": chosen.whole_volumes, "seed": 0},
        digest=digest,
        weights=str(model or MAIN),
        trained_on=list(trained_on),
        device="cpu",
        network=network,
        steps=steps,
    )
    rows = [Row(each, model, references=references.get(each.patient, ())) for each in measurements]
    return results.save(model, chosen.name, facts, to_csv(rows))


def write_pictures(path: Path, name: str, *, patients: int = 4) -> Path:
    """Two slices of each patient, every second patient for testing, with a liver and a spleen everywhere."""
    items, arrays = [], {}
    for number in range(2 * patients):
        split = "test" if number // 2 % 2 else "train"
        items.append(listed(f"i{number}", split=split, patient=f"{name}-{number // 2}"))
        arrays[f"mask_i{number}"] = labels(number)
        arrays[f"image_i{number}"] = pixels(number)
    return write_folder(path / name, describe(items, name=name, labels=LABELS), **arrays)


def write_volumes(path: Path, name: str, *, patients: int = 4) -> Path:
    """Volumes of three slices, the middle one without any label; the first two patients are for training."""
    items, arrays = [], {}
    for number in range(patients):
        split = "train" if number < 2 else "test"
        items.append(listed(f"v{number}", suffix=".nii.gz", split=split, patient=f"{name}-{number}"))
        mask = np.stack([labels(number + index) * (index != 1) for index in range(3)])
        image = np.stack([pixels(number + index) for index in range(3)])
        arrays[f"mask_v{number}"] = mask.transpose(2, 1, 0)
        arrays[f"image_v{number}"] = image.transpose(2, 1, 0)
    return write_folder(path / name, describe(items, name=name, labels=LABELS), **arrays)


def write_weights(path: Path, *, trained_on: Sequence[str] = (), **changes: Any) -> Path:
    """A tiny network with fixed weights that knows liver and spleen."""
    config = tiny_config(**changes)
    save_weights(path, filled(KPrism(config)).state_dict(), config, {"datasets": list(trained_on)})
    return path
