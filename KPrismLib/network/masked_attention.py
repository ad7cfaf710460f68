"""Foreground-background masked attention (Eq. 23)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def blocked_pixels(logits: Tensor, foreground: Tensor, size: torch.Size) -> Tensor:
    """-inf of Eq. 23 as True: background for foreground queries, foreground for background queries.

    A query whose region is empty may look everywhere; otherwise its softmax would have nothing to normalise.

    Args:
        logits: (B, 1, h', w') mask logits; probability 0.5 is logit 0.
        foreground: (B, q) bool.
        size: (h, w) of the layer.

    Returns:
        (B, q, h * w) bool.
    """
    if logits.shape[-2:] != size:
        logits = F.interpolate(logits.float(), size=size, mode="bilinear", align_corners=False)
    inside = (logits >= 0).flatten(2)  # (B, 1, N)
    allowed = inside == foreground[..., None]
    return ~(allowed | ~allowed.any(-1, keepdim=True))
