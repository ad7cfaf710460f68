"""Reference read-out (Eq. 5-6, 12-15): mask features of the references, carried to the query image by similarity."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from KPrismLib.network.full_precision import full_precision


def affinity(keys: Tensor, query: Tensor) -> Tensor:
    """A of Eq. 14 without the term that the softmax cancels, divided by sqrt(C).

    The division keeps the softmax from being a hard maximum at the start of training, when distances grow with C. It is
    a small difference of large numbers, which 8 bits do not hold: in float32 at least, whatever the features come in.

    Args:
        keys: (B, C, n) reference keys K^ref.
        query: (B, C, hw) query keys K^q.

    Returns:
        (B, hw, n) similarities 2 k.q - |k|^2, scaled.
    """
    scale = 1 / math.sqrt(keys.shape[1])
    exact = torch.promote_types(keys.dtype, torch.float32)
    keys, query = keys.to(exact), query.to(exact)
    with full_precision(keys.device):
        return 2 * scale * (query.transpose(1, 2) @ keys) - scale * keys.square().sum(1)[:, None]


def read_out(keys: Tensor, values: Tensor, query: Tensor) -> Tensor:
    """F_fuse = V^ref W, Eq. 6 and 15.

    Args:
        keys: (B, C, n) reference keys over all positions of all references.
        values: (B, C, n) reference values.
        query: (B, C, h, w) encoder features of the query image at 1/16.

    Returns:
        (B, C, h, w) value features aligned to the query image.
    """
    weights = affinity(keys, query.flatten(2)).softmax(dim=-1)  # (B, hw, n), Eq. 6
    fused = weights.to(values.dtype) @ values.transpose(1, 2)
    return fused.transpose(1, 2).unflatten(2, query.shape[-2:])
