"""Reference queries (Eq. 7): what the references show, inside and outside their masks."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from KPrismLib.network.query_set import QuerySet


def pooling_weights(fraction: Tensor) -> Tensor:
    """m of Eq. 7 for foreground and background.

    A region that is smaller than half a cell leaves the thresholded mask empty; its pixel-area fractions then
    serve as soft weights, so that a tiny structure still pools its own features.

    Args:
        fraction: (B, n) area fraction of foreground in each position, in [0, 1].

    Returns:
        (B, 2, n) non-negative weights, foreground first; each row sums to 1 (or 0 for an empty region).
    """
    soft = torch.stack([fraction, 1 - fraction], dim=1)
    hard = torch.stack([fraction >= 0.5, fraction < 0.5], dim=1).to(soft.dtype)
    weights = torch.where(hard.sum(-1, keepdim=True) > 0, hard, soft)
    return weights / weights.sum(-1, keepdim=True).clamp_min(1e-6)


class ReferenceQueries(nn.Module):
    """Q^s of Eq. 7: n_s object queries, half foreground, half background, by masked average pooling.

    Taken literally the n_s / 2 queries of a half are equal; a learned embedding tells them apart.
    """

    def __init__(self, *, queries: int, dim: int) -> None:
        super().__init__()
        self.per_half = queries // 2
        self.embedding = nn.Parameter(torch.randn(queries, dim) * 0.5)
        self.position = nn.Parameter(torch.randn(queries, dim) * 0.02)

    def forward(self, features: Tensor, fraction: Tensor) -> QuerySet:
        """``features`` (B, n, C) of all reference positions, projected to C channels; ``fraction`` (B, n)."""
        pooled = pooling_weights(fraction).to(features.dtype) @ features  # (B, 2, C)
        tokens = pooled.repeat_interleave(self.per_half, dim=1) + self.embedding
        foreground = (torch.arange(len(self.embedding), device=tokens.device) < self.per_half).expand(tokens.shape[:2])
        return QuerySet(tokens, self.position.expand_as(tokens), foreground, torch.ones_like(foreground))
