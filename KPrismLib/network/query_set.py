"""Queries for the decoder, whatever kind of knowledge they carry (Eq. 9)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


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
