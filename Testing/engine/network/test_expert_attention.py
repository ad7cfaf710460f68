"""Absorbed, projected and per-expert attention are one function: outputs and gradients agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from KPrismLib.network.expert_attention import (
    ExpertWeights,
    absorbed_pixels_from_queries,
    absorbed_queries_from_pixels,
    per_expert,
    projected,
)
from KPrismLib.network.moe import MoECrossAttention, mix

CLOSE = {"rtol": 1e-9, "atol": 1e-11}


@dataclass
class Case:
    """Inputs of both directions; ``blocked`` (B, q, N) leaves every row something, dummies leave one valid query."""

    weights: ExpertWeights
    heads: int
    queries: Tensor
    query_position: Tensor
    pixels: Tensor
    pixel_position: Tensor
    gate: Tensor | None
    blocked: Tensor | None
    dummies: Tensor | None

    @property
    def leaves(self) -> list[Tensor]:
        gate = [] if self.gate is None else [self.gate]
        return [*self.weights, self.queries, self.query_position, self.pixels, self.pixel_position, *gate]


@st.composite
def cases(draw: Any) -> Case:
    experts = draw(st.integers(1, 5))
    heads = draw(st.sampled_from([1, 2, 4]))
    channels = heads * draw(st.integers(1, 5))
    batch, queries, pixels = draw(st.integers(1, 3)), draw(st.integers(1, 64)), draw(st.integers(1, 30))
    gated = experts > 1 or draw(st.booleans())
    blocks, has_dummies = draw(st.booleans()), draw(st.booleans())
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**20)))

    def leaf(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    def mask(*shape: int) -> Tensor:
        random = torch.rand(*shape, generator=generator)
        return (random > 0.4) & (random > random.amin(-1, keepdim=True))  # the smallest of each row stays open

    weights = ExpertWeights(
        *(leaf(experts, channels, channels) if n % 2 == 0 else leaf(experts, channels) for n in range(8))
    )
    return Case(
        weights,
        heads,
        leaf(batch, queries, channels),
        leaf(batch, queries, channels),
        leaf(batch, pixels, channels),
        leaf(pixels, channels),
        leaf(batch, pixels, experts).detach().softmax(-1).requires_grad_() if gated else None,
        mask(batch, queries, pixels) if blocks else None,
        mask(batch, 1, queries) if has_dummies else None,
    )


def gradients(output: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    """Of a sum that weighs every output differently; what is not reached has gradient 0."""
    emphasis = torch.cos(torch.arange(output.numel(), dtype=output.dtype)).view(output.shape)
    total = (output * emphasis).sum()
    return list(torch.autograd.grad(total, leaves, allow_unused=True, materialize_grads=True))


def assert_same(outputs: list[Tensor], leaves: list[Tensor]) -> None:
    expected, *others = outputs
    wanted = gradients(expected, leaves)
    for output in others:
        torch.testing.assert_close(output, expected, **CLOSE)
        for found, gradient in zip(gradients(output, leaves), wanted, strict=True):
            torch.testing.assert_close(found, gradient, **CLOSE)


@given(cases())
@settings(max_examples=20)
def test_queries_read_pixels_alike_in_all_three_forms(case: Case) -> None:
    query, located = case.queries + case.query_position, case.pixels + case.pixel_position
    outputs = [
        form(case.weights, case.heads, query, located, case.pixels, case.blocked)
        for form in (per_expert, projected, absorbed_queries_from_pixels)
    ]
    assert_same(outputs, case.leaves)


@given(cases())
@settings(max_examples=20)
def test_pixels_read_queries_alike_in_all_three_forms(case: Case) -> None:
    key, located = case.queries + case.query_position, case.pixels + case.pixel_position
    outputs = [
        mix(form(case.weights, case.heads, located, key, case.queries, case.dummies), case.gate)
        for form in (per_expert, projected)
    ]
    outputs.append(
        absorbed_pixels_from_queries(case.weights, case.heads, located, key, case.queries, case.dummies, case.gate)
    )
    assert_same(outputs, case.leaves)


def torch_experts(module: MoECrossAttention) -> list[nn.MultiheadAttention]:
    """Each expert as torch's own multi-head attention."""
    experts = []
    for q, bq, k, bk, v, bv, o, bo in zip(*module.weights, strict=True):
        expert = nn.MultiheadAttention(len(q), module.heads, batch_first=True, dtype=torch.float64)
        expert.load_state_dict(
            {
                "in_proj_weight": torch.cat([q.T, k.T, v.T]).detach(),
                "in_proj_bias": torch.cat([bq, bk, bv]).detach(),
                "out_proj.weight": o.T.detach(),
                "out_proj.bias": bo.detach(),
            }
        )
        experts.append(expert)
    return experts


def random_module(*, experts: int, gated: bool = True, form: str = "absorbed") -> MoECrossAttention:
    module = MoECrossAttention(dim=12, heads=3, experts=experts, gated=gated, form=form).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module


@pytest.mark.parametrize("form", ["absorbed", "loop"])
@pytest.mark.parametrize("queries", [3, 5], ids=["few", "many"])  # the threshold is 12 channels / 3 heads = 4
@pytest.mark.parametrize(("experts", "gated"), [(1, False), (1, True), (4, True)])
def test_the_module_is_gated_torch_attention(form: str, queries: int, experts: int, gated: bool) -> None:
    """Eq. 10-11 written with ``nn.MultiheadAttention``, in both directions, masked as in Eq. 23."""
    module = random_module(experts=experts, gated=gated, form=form)
    tokens, position = torch.randn(2, 2, queries, 12, dtype=torch.float64)
    pixels, located = torch.randn(2, 2, 20, 12, dtype=torch.float64)
    blocked = torch.rand(2, queries, 20) > 0.5
    blocked[..., 7] = False
    valid = torch.ones(2, queries, dtype=torch.bool)
    valid[0, 1] = False

    read, written = torch.zeros(2, queries, 12, dtype=torch.float64), torch.zeros(2, 20, 12, dtype=torch.float64)
    for number, expert in enumerate(torch_experts(module)):
        answer, _ = expert(tokens + position, located, pixels, attn_mask=blocked.repeat_interleave(3, dim=0))
        weight = module.gate.linear(tokens).softmax(-1)[..., number, None] if module.gate else 1
        read += weight * answer
        answer, _ = expert(located, tokens + position, tokens, key_padding_mask=~valid)
        weight = module.gate.linear(pixels).softmax(-1)[..., number, None] if module.gate else 1
        written += weight * answer

    torch.testing.assert_close(module.queries_from_pixels(tokens, position, pixels, located, blocked), read)
    torch.testing.assert_close(module.pixels_from_queries(pixels, located, tokens, position, valid), written)


def test_a_blocked_pixel_has_no_influence() -> None:
    module = random_module(experts=2)
    tokens, position = torch.randn(2, 1, 2, 12, dtype=torch.float64)
    pixels = torch.randn(1, 9, 12, dtype=torch.float64)
    blocked = torch.zeros(1, 2, 9, dtype=torch.bool)
    blocked[0, 0, 4] = True
    changed = pixels.clone()
    changed[0, 4] += 100
    before = module.queries_from_pixels(tokens, position, pixels, pixels, blocked)
    after = module.queries_from_pixels(tokens, position, changed, changed, blocked)
    torch.testing.assert_close(after[0, 0], before[0, 0])
    assert (after[0, 1] - before[0, 1]).abs().max() > 1e-3


def test_the_key_bias_of_reading_drops_out_of_the_softmax() -> None:
    module = random_module(experts=2, form="loop")
    tokens, position = torch.randn(2, 1, 2, 12, dtype=torch.float64)
    pixels = torch.randn(1, 9, 12, dtype=torch.float64)
    before = module.queries_from_pixels(tokens, position, pixels, pixels, None)
    nn.init.normal_(module.bias_k, std=3.0)
    torch.testing.assert_close(module.queries_from_pixels(tokens, position, pixels, pixels, None), before)
