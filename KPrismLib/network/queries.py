"""1-D sparse prompts: the semantic table, reference queries (Eq. 7) and click queries (Eq. 16-19)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from KPrismLib.network.positional import FourierPosition


@dataclass(frozen=True)
class QuerySet:
    """Queries for the decoder.

    Attributes:
        tokens: (B, q, C) content.
        position: (B, q, C) positional part P_Q, added where attention scores are formed.
        foreground: (B, q) bool; foreground queries read foreground pixels, the others the rest (Eq. 23).
        valid: (B, q) bool; False marks a dummy, a zero vector that nothing attends to.
    """

    tokens: Tensor
    position: Tensor
    foreground: Tensor
    valid: Tensor

    @staticmethod
    def concatenate(sets: list[QuerySet]) -> QuerySet:
        """Queries of several kinds of knowledge side by side, Eq. 9."""
        return QuerySet(
            torch.cat([s.tokens for s in sets], dim=1),
            torch.cat([s.position for s in sets], dim=1),
            torch.cat([s.foreground for s in sets], dim=1),
            torch.cat([s.valid for s in sets], dim=1),
        )


class SemanticTable(nn.Module):
    """P of section 3.2.1: p learned queries for each of N_cls classes; all of them are foreground queries."""

    def __init__(self, *, classes: int, queries: int, dim: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(classes, queries, dim) * 0.5)
        self.position = nn.Parameter(torch.randn(queries, dim) * 0.02)

    def forward(self, class_index: Tensor) -> QuerySet:
        """``class_index`` (B,) int64 -> p queries each."""
        tokens = self.table[class_index]
        flags = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
        return QuerySet(tokens, self.position.expand_as(tokens), flags, flags)


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


@dataclass(frozen=True)
class Clicks:
    """Clicks of a batch.

    Attributes:
        row_column: (B, n, 2) int64 pixels of the padded network input.
        positive: (B, n) bool.
        valid: (B, n) bool; samples with fewer clicks are filled up with invalid ones.
    """

    row_column: Tensor
    positive: Tensor
    valid: Tensor


class ClickQueries(nn.Module):
    """q^c of Eq. 16-19: locally pooled features through a two-layer MLP, plus the Fourier position.

    Args:
        dim: channels C of the (projected) features and of the queries.
        stride: s of Eq. 16, the stride of the feature map that is pooled.
        position: shared positional embedding.
    """

    def __init__(self, *, dim: int, stride: int, position: FourierPosition) -> None:
        super().__init__()
        self.stride = stride
        self.mlp = nn.Sequential(nn.Linear(dim, dim // 2), nn.ReLU(inplace=True), nn.Linear(dim // 2, dim))
        self.sign = nn.Parameter(torch.randn(2, dim) * 0.5)
        # Shared with the decoder; wrapped so that it is not counted or saved twice.
        self._position = (position,)

    def forward(self, features: Tensor, clicks: Clicks, image_size: tuple[int, int]) -> QuerySet:
        """``features`` (B, C, h, w) at 1/stride of the image (H, W) -> one query per click."""
        batch, _, height, width = features.shape
        cell = clicks.row_column // self.stride  # Eq. 16
        rows = cell[..., 0].clamp(0, height - 1)
        columns = cell[..., 1].clamp(0, width - 1)
        # Eq. 17; at the border the average runs over the part of the window that exists.
        pooled_map = F.avg_pool2d(features, 3, stride=1, padding=1, count_include_pad=False)
        index = torch.arange(batch, device=features.device)[:, None]
        pooled = pooled_map[index, :, rows, columns]  # (B, n, C)
        position = self._position[0](clicks.row_column, image_size).to(pooled.dtype)
        tokens = self.mlp(pooled) + position + self.sign[clicks.positive.long()]  # Eq. 18-19
        tokens = tokens * clicks.valid[..., None]  # dummies are zero vectors
        return QuerySet(tokens, position * clicks.valid[..., None], clicks.positive, clicks.valid)


class PlainQueries(nn.Module):
    """Learned queries without content: what remains in the ablation "w/o 1-D queries" (Table 5 b, c)."""

    def __init__(self, *, queries: int, dim: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(queries, dim) * 0.5)

    def forward(self, batch: int) -> QuerySet:
        """The same queries for each of ``batch`` samples, half foreground, half background."""
        tokens = self.table.expand(batch, -1, -1)
        count = len(self.table)
        foreground = (torch.arange(count, device=tokens.device) < count // 2).expand(batch, -1)
        return QuerySet(tokens, torch.zeros_like(tokens), foreground, torch.ones_like(foreground))
