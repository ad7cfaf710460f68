"""Click queries (Eq. 16-19): what is under each click, and where it is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from KPrismLib.network.positional import FourierPosition
from KPrismLib.network.query_set import QuerySet


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

    Eq. 19 does not say which clicks are negative: a learned embedding of the sign is added.

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
