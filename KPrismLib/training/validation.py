"""Validation on held-out patients: Dice by mode, on the moving average of the weights."""

from __future__ import annotations

from collections import defaultdict

import torch

from KPrismLib.training.batches import BatchMaker
from KPrismLib.training.modes import TrainingMode
from KPrismLib.training.objective import Objective
from KPrismLib.training.sampling import Sampler


@torch.no_grad()
def validate(
    objective: Objective, sampler: Sampler, maker: BatchMaker, *, size: int, samples: int, device: torch.device
) -> dict[str, float]:
    """Dice of the same held-out samples at every call.

    ``objective`` should be configured without refinement for semantic and in-context, and with three clicks
    for interactive.

    Returns:
        ``{"semantic": ..., "in-context": ..., "interactive": ..., "semantic/<dataset>": ...}``; without ``in-context``
        where no class is shown by two held-out patients.
    """
    chunk = 16
    results: dict[str, list[float]] = defaultdict(list)
    for number, mode in enumerate(TrainingMode):
        if mode is TrainingMode.IN_CONTEXT and not sampler.has_references:
            continue
        for start in range(0, samples, chunk):
            step = 1_000_000_000 + number  # far beyond any step of training
            drawn = sampler.batch(step, range(start, min(start + chunk, samples)), mode)
            batch = maker.make(drawn, mode=mode, size=size, step=step, first=start).to(device)
            _, dice = objective(batch)
            for sample, value in zip(drawn, dice.tolist(), strict=True):
                results[mode.value].append(value)
                results[f"{mode.value}/{sample.dataset.name}"].append(value)
    return {name: sum(values) / len(values) for name, values in results.items()}
