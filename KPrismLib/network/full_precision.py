"""Where the last digits count whatever the precision: differences of large numbers."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """While it is entered, no autocast of a caller rounds what is multiplied on ``device``."""
    try:
        return torch.autocast(device.type, enabled=False)
    except RuntimeError:
        return nullcontext()  # a device without autocast, as MPS is before PyTorch 2.5: not even to switch it off
