"""What a training step costs with absorbed attention and with the loop over the experts, in one run on one device.

python -m Training.bench_step --model base --batch 4
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from KPrismLib.benchmark import count_gflop
from KPrismLib.devices import choose_device, synchronise
from KPrismLib.network import KPrism, named_config
from KPrismLib.network.config import ATTENTION_FORMS
from KPrismLib.training.batches import Batch
from KPrismLib.training.modes import TrainingMode
from KPrismLib.training.objective import Objective, ObjectiveConfig

SEED = 0
_MEGABYTE = 2**20


@dataclass
class Activations:
    """Bytes that autograd keeps for the backward pass: every storage once, however many views of it are saved."""

    without: frozenset[int] = frozenset()
    _storages: dict[int, int] = field(default_factory=dict)

    def keep(self, tensor: Tensor) -> Tensor:
        """A hook for autograd."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.without:
            self._storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    @property
    def megabytes(self) -> float:
        """MiB, parameters not counted."""
        return sum(self._storages.values()) / _MEGABYTE


@contextmanager
def counted_activations(module: nn.Module) -> Iterator[Activations]:
    """Counts what a forward pass in the block leaves for its backward pass."""
    counted = Activations(frozenset(p.untyped_storage().data_ptr() for p in module.parameters()))
    with torch.autograd.graph.saved_tensors_hooks(counted.keep, lambda tensor: tensor):
        yield counted


def random_batch(mode: TrainingMode, *, size: int, samples: int, device: torch.device) -> Batch:
    """Noise with a bright square each, and the square."""
    generator = torch.Generator().manual_seed(SEED)
    mask = torch.zeros(samples, 1, size, size, dtype=torch.bool)
    mask[..., size // 4 : size // 2, size // 3 : 2 * size // 3] = True
    image = torch.randint(0, 120, (samples, 3, size, size), dtype=torch.uint8, generator=generator)
    image += 100 * mask.byte()
    shown = (image[:, None], mask[:, None]) if mode is TrainingMode.IN_CONTEXT else (None, None)
    return Batch(mode, 0, 0, image, mask, torch.zeros(samples, dtype=torch.int64), *shown).to(device)


def measure(
    model: str,
    attention: str,
    *,
    mode: TrainingMode,
    passes: int,
    size: int,
    samples: int,
    repeats: int,
    device: torch.device,
) -> dict[str, Any]:
    """Seconds, activation memory and operations of a step: forward, backward, AdamW.

    ``passes`` counts the decoder's: in the semantic and in-context modes the first mask and its refinements.
    """
    torch.manual_seed(SEED)
    network: KPrism = KPrism(named_config(model, attention=attention)).to(  # type: ignore[call-overload]
        device, memory_format=torch.channels_last
    )
    composition = ObjectiveConfig(refinements=passes - 1, interactive_passes=passes)
    objective = Objective(network, composition, click_radius=network.config.click_radius, seed=SEED)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-5)
    batch = random_batch(mode, size=size, samples=samples, device=device)
    reduced = device.type == "cuda" and torch.cuda.is_bf16_supported()

    def forward() -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=reduced):
            loss: Tensor = objective(batch)[0]
            return loss

    def step() -> None:
        forward().backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        synchronise(device)

    with counted_activations(network) as activations:
        loss = forward()
    held = activations.megabytes
    loss.backward()
    optimizer.zero_grad(set_to_none=True)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    times = [_seconds(step) for _ in range(repeats + 1)][1:]
    seconds = statistics.median(times)
    result: dict[str, Any] = {
        "attention": attention,
        "seconds": round(seconds, 4),
        "images_per_second": round(samples / seconds, 3),
        "activations_mib": round(held, 1),
        "loss": round(float(loss.detach()), 5),
    }
    if device.type == "cuda":
        result["peak_device_mib"] = round(torch.cuda.max_memory_allocated(device) / _MEGABYTE, 1)
    result["gflop"] = round(count_gflop(step), 1)
    result["gflop_per_second"] = round(result["gflop"] / seconds, 1)
    return result


def matmul_rate(device: torch.device, *, size: int) -> float:
    """GFLOP/s of one large square product in the precision of the step: what the device can do at best."""
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    left, right = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))

    def product() -> None:
        torch.mm(left, right)
        synchronise(device)

    best = min(_seconds(product) for _ in range(6))
    return 2 * size**3 / best / 1e9


def _seconds(action: Callable[[], None]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def main(
    model: Annotated[str, typer.Option("--model", help="base or small.")] = "base",
    size: Annotated[int, typer.Option("--size", help="Side of the images.")] = 512,
    samples: Annotated[int, typer.Option("--batch", min=1, help="Samples per step.")] = 4,
    mode: Annotated[
        str, typer.Option("--mode", help="semantic, in-context or interactive.")
    ] = TrainingMode.INTERACTIVE.value,
    passes: Annotated[int, typer.Option("--passes", min=1, help="Masks in a step; the paper's steps have three.")] = 3,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Steps per median, after a warm-up.")] = 3,
    device: Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Processor threads.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Measure a whole training step, all passes of its mode included, in both forms of the MoE attention."""
    if threads is not None:
        torch.set_num_threads(threads)
    chosen = choose_device(device)
    rows = [
        measure(
            model,
            form,
            mode=TrainingMode(mode),
            passes=passes,
            size=size,
            samples=samples,
            repeats=repeats,
            device=chosen,
        )
        for form in ATTENTION_FORMS
    ]
    rate = matmul_rate(chosen, size=8192 if chosen.type == "cuda" else 1024)
    absorbed, loop = rows
    result = {
        "model": model,
        "size": size,
        "batch": samples,
        "mode": mode,
        "passes": passes,
        "device": str(chosen),
        "threads": torch.get_num_threads(),
        "forms": {row["attention"]: row for row in rows},
        "matmul_gflop_per_second": round(rate, 1),
        "fraction_of_matmul_rate": round(absorbed["gflop_per_second"] / rate, 3),
        "throughput_ratio": round(loop["seconds"] / absorbed["seconds"], 2),
        "activation_ratio": round(absorbed["activations_mib"] / loop["activations_mib"], 3),
    }
    if as_json:
        typer.echo(json.dumps(result, indent=1))
        return
    table = Table(title=f"{model}, {size} x {size}, batch {samples}, {mode}, {passes} masks, {chosen}")
    for heading in ("Attention", "Seconds", "Images/s", "Activations MiB", "GFLOP", "GFLOP/s"):
        table.add_column(heading, justify="right")
    for row in rows:
        names = ("attention", "seconds", "images_per_second", "activations_mib", "gflop", "gflop_per_second")
        table.add_row(*(str(row[name]) for name in names))
    console = Console()
    console.print(table)
    console.print(
        f"Absorbed against loop: {result['throughput_ratio']} times the throughput, {result['activation_ratio']} of "
        f"the activation memory; {result['fraction_of_matmul_rate']} of the matmul rate."
    )


if __name__ == "__main__":
    typer.run(main)
