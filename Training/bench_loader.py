"""How many slices a core decodes and augments: what must keep up with the device.

python -m Training.bench_loader                     # an invented set of CT volumes and photographs, 512 x 512
python -m Training.bench_loader DATASET... --size 512
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import cv2
import numpy as np
import torch
import typer
from rich.console import Console
from rich.table import Table

from KPrismLib.dataset import DatasetFolder, DatasetItem
from KPrismLib.imaging.atomic_file import write_atomically
from KPrismLib.imaging.slice_store import SUFFIXES, StoredWindow, store_bytes
from KPrismLib.intensity import window_for
from KPrismLib.training.augmentation import AugmentationConfig
from KPrismLib.training.batches import BatchMaker
from KPrismLib.training.modes import TrainingMode
from KPrismLib.training.packing import PackedDataset, open_pack
from KPrismLib.training.sampling import Sampler

SEED = 0
_BATCH = 16


def invented_set(folder: Path, *, size: int, volumes: int = 2, slices: int = 24) -> Path:
    """A dataset folder of noisy CT volumes with an organ in them, as slice stores."""
    draw = np.random.default_rng(SEED)
    rows, columns = np.mgrid[:size, :size] / size
    items = []
    for number in range(volumes):
        mask = np.zeros((slices, size, size), dtype=np.uint8)
        for index, plane in enumerate(mask):
            plane[(rows - 0.5) ** 2 + (columns - 0.4) ** 2 < 0.02 + 0.001 * index] = 1
        image = (draw.normal(40, 20, mask.shape) + 60 * mask).astype(np.int16)
        window = StoredWindow(("auto", "CT"), window_for(image, modality="CT"))
        for kind, array, recorded in (("images", image, window), ("masks", mask, None)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            content = store_bytes(array, np.diag([-1.0, -1.0, 3.0, 1.0]), window=recorded)
            write_atomically(folder / kind / f"v{number}.h5", content)
        paths = {"image": f"images/v{number}.h5", "mask": f"masks/v{number}.h5"}
        items.append({"id": f"v{number}", **paths, "patient": f"p{number}", "split": "train"})
    labels = {"0": "background", "1": "liver"}
    description = {"name": "Invented CT", "modality": "CT", "labels": labels, "items": items}
    write_atomically(folder / "dataset.json", json.dumps(description).encode())
    return folder


def slices_per_second(action: Callable[[int], int], *, seconds: float) -> float:
    """Rate of ``action``, which gets the number of its call and returns how many slices it did, in processor time.

    Processor time, not the clock: what else runs on the computer does not count.
    """
    action(0)
    done, calls, started = 0, 0, time.process_time()
    while time.process_time() - started < seconds:
        calls += 1
        done += action(calls)
    return done / (time.process_time() - started)


def measure(folder: Path, cache: Path, *, split: str, size: int, seconds: float) -> dict[str, Any]:
    """Slices a second on one core: read from the folder, from the pack, and as augmented batches in every mode."""
    source = DatasetFolder.open(folder)
    (packed,) = open_pack([folder], cache, split=split, long_side=size)
    items = {item.id: item for item in source.items(split)}
    stored = all(item.image.endswith(SUFFIXES) for item in items.values())
    result: dict[str, Any] = {"dataset": source.name, "format": "slice store" if stored else "files"}
    result["decode"] = slices_per_second(lambda call: _decode(source, items, packed, call), seconds=seconds)
    result["read"] = slices_per_second(lambda call: _read(packed, call), seconds=seconds)
    for mode in TrainingMode:
        sampler = Sampler([packed], weights={}, seed=SEED)
        if mode is TrainingMode.IN_CONTEXT and not sampler.has_references:
            continue
        maker = BatchMaker(tuple(packed.classes), AugmentationConfig(), SEED)
        result[mode.value] = slices_per_second(
            lambda call, s=sampler, m=maker, o=mode: _augment(s, m, o, size, call),  # type: ignore[misc]
            seconds=seconds,
        )
    return {name: round(value, 1) if isinstance(value, float) else value for name, value in result.items()}


def _decode(source: DatasetFolder, items: Mapping[str, DatasetItem], packed: PackedDataset, call: int) -> int:
    """One slice at random, as a run without a pack would read it."""
    entry = packed.slices[np.random.default_rng(call).integers(len(packed.slices))]
    return len(list(source.slices(items[entry.item], [entry.index])))


def _read(packed: PackedDataset, call: int) -> int:
    pixels, labels = packed.load(packed.slices[call % len(packed.slices)])
    pixels.copy()
    labels.copy()
    return 1


def _augment(sampler: Sampler, maker: BatchMaker, mode: TrainingMode, size: int, call: int) -> int:
    samples = sampler.batch(call, range(_BATCH), mode)
    batch = maker.make(samples, mode=mode, size=size, step=call, first=0)
    return len(batch.image) * (1 if batch.reference_image is None else 2)


def main(
    folders: Annotated[list[Path] | None, typer.Argument(metavar="[DATASET]...", help="Dataset folders.")] = None,
    split: Annotated[str, typer.Option("--split", help="Which split.")] = "train",
    size: Annotated[int, typer.Option("--size", min=32, help="Side of the canvas.")] = 512,
    seconds: Annotated[float, typer.Option("--seconds", min=0.01, help="Processor time of each measurement.")] = 3.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Measure decoding and augmentation on one core, in slices for each second of processor time.

    "decode" reads single slices from the dataset folder, "read" from the pack; the modes are whole augmented batches
    from the pack, references counted as slices.
    """
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
    with TemporaryDirectory() as scratch:
        chosen = folders or [invented_set(Path(scratch) / "invented", size=size)]
        rows = [measure(folder, Path(scratch), split=split, size=size, seconds=seconds) for folder in chosen]
    if as_json:
        typer.echo(json.dumps({"size": size, "datasets": rows}, indent=1))
        return
    table = Table(title=f"Slices a second on one core, {size} x {size}")
    names = ("dataset", "format", "decode", "read", *(mode.value for mode in TrainingMode))
    for name in names:
        table.add_column(name, justify="left" if name in names[:2] else "right")
    for row in rows:
        table.add_row(*(str(row.get(name, "-")) for name in names))
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
