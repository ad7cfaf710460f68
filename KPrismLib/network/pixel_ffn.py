"""Pixel FFN of a decoder layer: two convolutions with channel attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PixelFeedForward(nn.Module):
    """Residual block of two convolutions with channel attention, not a mixture; (B, C, h, w) kept."""

    def __init__(self, *, dim: int, hidden: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(dim, hidden, 3, padding=1)
        self.second = nn.Conv2d(hidden, dim, 3, padding=1)
        # Channel attention from the global mean: five weights, slid along the channels.
        self.channel_mix = nn.Parameter(torch.empty(5).uniform_(-0.4, 0.4))

    def forward(self, x: Tensor) -> Tensor:
        update = self.second(F.relu(self.first(x), inplace=True))
        mean = F.pad(update.mean((2, 3)), (2, 2))  # (B, C + 4)
        weight = (mean.unfold(1, 5, 1) @ self.channel_mix).sigmoid()  # (B, C)
        return torch.addcmul(x, update, weight[..., None, None])
