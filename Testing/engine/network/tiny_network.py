"""Networks that are small, in double precision where numbers are compared, and filled without any random generator."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from KPrismLib.network import Clicks, DensePrompt, KPrism, NetworkConfig, ReferenceMemory, named_config

TINY: dict[str, Any] = {
    "image_size": 64,
    "dim": 16,
    "heads": 2,
    "encoder_channels": (16, 16, 32),
    "encoder_blocks": (1, 1, 1, 1),
    "detail_channels": 8,
    "prompt_channels": 8,
    "ffn_dim": 16,
    "pixel_ffn_dim": 16,
    "mask_head_dim": 8,
    "classes": ("liver", "spleen"),
}

#: What a mode is made of: (class, reference, prompt).
MODES = {
    "semantic": (True, False, False),
    "in-context": (False, True, False),
    "interactive": (False, False, True),
    "refine semantic": (True, False, True),
    "refine in-context": (False, True, True),
}


def tiny_config(**changes: Any) -> NetworkConfig:
    return named_config("small", **{**TINY, **changes})


@torch.no_grad()
def filled(network: KPrism) -> KPrism:
    """The network with parameters from a formula; tables and biases are moved away from their start, too."""
    for number, (name, parameter) in enumerate(sorted(network.named_parameters())):
        wave = torch.cos(torch.arange(parameter.numel(), dtype=torch.float64) * (0.7 + 0.11 * (number % 9)) + number)
        fan_in = max(1, parameter[0].numel()) if parameter.ndim > 1 else 100
        wave = wave.view_as(parameter).to(parameter.dtype) * (1.6 / math.sqrt(fan_in))
        is_scale = parameter.ndim == 1 and name.endswith("weight")  # of a normalisation
        parameter.copy_(1 + wave if is_scale else wave)
    return network


def double_network(**changes: Any) -> KPrism:
    """A tiny network in double precision: thresholded masks inside then never hang on rounding."""
    return filled(KPrism(tiny_config(**changes)).double()).eval()


def scene(batch: int, size: tuple[int, int], *, dtype: torch.dtype = torch.float64) -> Tensor:
    """Images (B, 3, H, W) in the network's input range: waves that differ in every sample and channel."""
    rows, columns = torch.meshgrid(*(torch.arange(s, dtype=dtype) for s in size), indexing="ij")
    return torch.stack(
        [
            torch.stack(
                [torch.sin(rows * (0.11 + 0.03 * b) + c) + torch.cos(columns * (0.07 + 0.02 * c) + b) for c in range(3)]
            )
            for b in range(batch)
        ]
    )


def blob(batch: int, size: tuple[int, int], *, dtype: torch.dtype = torch.float64) -> Tensor:
    """Masks (B, 1, H, W) in {0, 1}: a rectangle that differs in every sample."""
    mask = torch.zeros(batch, 1, *size, dtype=dtype)
    for b in range(batch):
        mask[b, :, 3 + b : size[0] // 2 + 2 * b, 5 : size[1] // 2 + 5 + b] = 1
    return mask


def references(
    network: KPrism, batch: int, count: int, size: tuple[int, int], *, dtype: torch.dtype = torch.float64
) -> ReferenceMemory:
    image = scene(batch * count, size, dtype=dtype).flip(-1)
    mask = blob(batch * count, size, dtype=dtype)
    part = network.encode_reference(
        network.encode_image(image), image.unflatten(0, (batch, count)), mask.unflatten(0, (batch, count))
    )
    return network.remember([part])


def prompt(
    batch: int, size: tuple[int, int], *, previous: bool = True, dtype: torch.dtype = torch.float64
) -> DensePrompt:
    """One positive and one negative click for each sample, at its own places."""
    places = torch.tensor([[[5 + b, 9], [size[0] - 2, size[1] - 3 - b]] for b in range(batch)])
    positive = torch.tensor([[True, False]] * batch)
    maps = torch.zeros(batch, 2, *size, dtype=dtype)
    for b in range(batch):
        for n, (row, column) in enumerate(places[b].tolist()):
            maps[b, n, row, column] = 1
    logits = (blob(batch, size, dtype=dtype).roll(3, -1) * 2 - 1) * 3 if previous else None
    return DensePrompt(Clicks(places, positive, torch.ones(batch, 2, dtype=torch.bool)), maps, logits)


def knowledge(
    network: KPrism,
    mode: str,
    batch: int,
    size: tuple[int, int],
    *,
    count: int = 1,
    previous: bool = True,
    dtype: torch.dtype = torch.float64,
) -> dict[str, Any]:
    """The arguments of one forward pass in a mode."""
    cls, reference, clicks = MODES[mode]
    return {
        "class_index": torch.arange(batch) % 2 if cls else None,
        "reference": references(network, batch, count, size, dtype=dtype) if reference else None,
        "prompt": prompt(batch, size, previous=previous, dtype=dtype) if clicks else None,
    }
