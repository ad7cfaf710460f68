"""Residual connections across scales (Eq. 20-21)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ResidualResampling(nn.Module):
    """Res(Resample(F_l)) of Eq. 20-21; a 1 x 1 convolution, done at the coarser of the two scales where it is cheap."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(dim, dim, 1)

    def forward(self, x: Tensor, size: torch.Size) -> Tensor:
        """(B, C, h, w) -> (B, C, *size)."""
        if size[0] > x.shape[-2]:
            return F.interpolate(self.convolution(x), size=size, mode="bilinear", align_corners=False)
        return self.convolution(F.avg_pool2d(x, x.shape[-2] // size[0]))
