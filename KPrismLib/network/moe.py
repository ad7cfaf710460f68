"""Dense mixture of experts (Eq. 11) for cross-attention and for the query FFN.

Expert weights are stacked, axis 0 is the expert. The gate is a softmax over experts for every token; all experts
take part, there is no top-k routing. Without the mixture (Table 5 a) there is one expert and no gate.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from KPrismLib.network.expert_attention import (
    ExpertWeights,
    absorbed_pixels_from_queries,
    absorbed_queries_from_pixels,
    per_expert,
    projected,
)


def stacked_linear(experts: int, in_dim: int, out_dim: int) -> tuple[nn.Parameter, nn.Parameter]:
    """Weight (M, in, out), Xavier uniform per expert, and zero bias (M, out)."""
    bound = math.sqrt(6 / (in_dim + out_dim))
    weight = torch.empty(experts, in_dim, out_dim).uniform_(-bound, bound)
    return nn.Parameter(weight), nn.Parameter(torch.zeros(experts, out_dim))


class Gate(nn.Module):
    """alpha = softmax(G(Q)), Eq. 11: (B, n, C) -> (B, n, M)."""

    def __init__(self, dim: int, experts: int) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, experts)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.linear(tokens).softmax(-1)


def mix(outputs: Tensor, gate: Tensor | None) -> Tensor:
    """O_moe = sum_m alpha_m * O_m, Eq. 11: (B, M, n, C) and (B, n, M) -> (B, n, C)."""
    if gate is None:
        return outputs.sum(1)
    return (outputs * gate.transpose(1, 2)[..., None]).sum(1)


class MoECrossAttention(nn.Module):
    """MoE-CA of section 3.3; each expert is a full multi-head attention with 4 C^2 + 4 C parameters.

    Args:
        dim: channels C.
        heads: attention heads H of each expert.
        experts: M.
        gated: False leaves out the gate (and needs a single expert).
        form: ``absorbed`` or ``loop``.
    """

    def __init__(self, *, dim: int, heads: int, experts: int, gated: bool = True, form: str = "absorbed") -> None:
        super().__init__()
        self.heads = heads
        self.form = form
        self.weight_q, self.bias_q = stacked_linear(experts, dim, dim)
        self.weight_k, self.bias_k = stacked_linear(experts, dim, dim)
        self.weight_v, self.bias_v = stacked_linear(experts, dim, dim)
        self.weight_o, self.bias_o = stacked_linear(experts, dim, dim)
        self.gate = Gate(dim, experts) if gated else None

    @property
    def weights(self) -> ExpertWeights:
        """The stacked projections."""
        return ExpertWeights(
            self.weight_q, self.bias_q, self.weight_k, self.bias_k,
            self.weight_v, self.bias_v, self.weight_o, self.bias_o,
        )  # fmt: skip

    def _absorbs(self, few: int) -> bool:
        """Folding costs H * q * C multiplications a pixel and expert, projecting about C * C."""
        return self.form == "absorbed" and few * self.heads <= self.weight_q.shape[1]

    def queries_from_pixels(
        self, tokens: Tensor, position: Tensor, pixels: Tensor, located: Tensor, blocked: Tensor | None
    ) -> Tensor:
        """Queries read pixels (Eq. 22 without the residual).

        Args:
            tokens: (B, q, C); ``position``: (B, q, C), P_Q.
            pixels: (B, N, C); ``located``: (B, N, C), pixels + P_K.
            blocked: (B, q, N) bool, -inf of Eq. 23; None lets all queries see all pixels.

        Returns:
            (B, q, C).
        """
        if self.form == "loop":
            attend = per_expert
        else:
            attend = absorbed_queries_from_pixels if self._absorbs(tokens.shape[1]) else projected
        outputs = attend(self.weights, self.heads, tokens + position, located, pixels, blocked)
        return mix(outputs, None if self.gate is None else self.gate(tokens))

    def pixels_from_queries(
        self, pixels: Tensor, located: Tensor, tokens: Tensor, position: Tensor, valid: Tensor | None
    ) -> Tensor:
        """Pixels read queries.

        Args:
            pixels: (B, N, C); ``located``: (B, N, C), pixels + P_K.
            tokens: (B, q, C); ``position``: (B, q, C), P_Q.
            valid: (B, q) bool keeps dummies out, None when all are valid.

        Returns:
            (B, N, C).
        """
        blocked = None if valid is None else ~valid[:, None]
        gate = None if self.gate is None else self.gate(pixels)
        key = tokens + position
        if self._absorbs(tokens.shape[1]):
            return absorbed_pixels_from_queries(self.weights, self.heads, located, key, tokens, blocked, gate)
        attend = per_expert if self.form == "loop" else projected
        return mix(attend(self.weights, self.heads, located, key, tokens, blocked), gate)


class MoEFeedForward(nn.Module):
    """MoE-FFN on queries: linear, ReLU, linear in every expert; (B, q, C) -> (B, q, C)."""

    def __init__(self, *, dim: int, hidden: int, experts: int, gated: bool = True) -> None:
        super().__init__()
        self.weight_in, self.bias_in = stacked_linear(experts, dim, hidden)
        self.weight_out, self.bias_out = stacked_linear(experts, hidden, dim)
        self.gate = Gate(dim, experts) if gated else None

    def forward(self, tokens: Tensor) -> Tensor:
        rows = tokens.flatten(0, 1).expand(len(self.weight_in), -1, -1)
        hidden = torch.relu(torch.baddbmm(self.bias_in[:, None], rows, self.weight_in))
        outputs = torch.baddbmm(self.bias_out[:, None], hidden, self.weight_out)
        outputs = outputs.unflatten(1, tokens.shape[:2]).transpose(0, 1)
        return mix(outputs, None if self.gate is None else self.gate(tokens))
