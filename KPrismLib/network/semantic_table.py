"""Semantic table (section 3.2.1): what was learned of each class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from KPrismLib.network.query_set import QuerySet


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
