"""Random-Fourier positions, as in SAM: one fixed Gaussian matrix for pixels and clicks alike."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class FourierPosition(nn.Module):
    """PosEmbed of Eq. 19 for points, and P_K of section 3.3 for feature maps.

    Coordinates are divided by the long side of the padded image, so that a pixel step means the same in both
    directions on a non-square image.

    Args:
        dim: channels C; half sines, half cosines.
    """

    matrix: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(20260205)  # fixed: every network shares one geometry
        self.register_buffer("matrix", torch.randn(2, dim // 2, generator=generator))

    def forward(self, row_column: Tensor, image_size: tuple[int, int]) -> Tensor:
        """``row_column`` (..., 2) in pixels of an image (H, W); -> (..., C)."""
        unit = (row_column.to(self.matrix.dtype) + 0.5) / max(image_size)
        # Products and a sum instead of a matrix product: mixed precision must not round angles to bfloat16.
        angles = 2 * math.pi * ((2 * unit - 1)[..., None] * self.matrix).sum(-2)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)

    def grid(self, size: tuple[int, int], stride: int) -> Tensor:
        """Positions of the cell centres of a feature map of ``size`` (h, w) -> (h * w, C)."""
        height, width = size
        device = self.matrix.device
        rows = (torch.arange(height, device=device) + 0.5) * stride - 0.5
        columns = (torch.arange(width, device=device) + 0.5) * stride - 0.5
        points = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), dim=-1).reshape(-1, 2)
        return self(points, (height * stride, width * stride))
