"""Eq. 11: gates and mixtures, against loops written from the equation."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from KPrismLib.network.moe import Gate, MoEFeedForward, mix, stacked_linear


@given(experts=st.integers(1, 5), tokens=st.integers(1, 7), scale=st.floats(0.1, 50))
def test_a_gate_is_a_distribution_over_experts_for_every_token(experts: int, tokens: int, scale: float) -> None:
    gate = Gate(6, experts).double()
    weights = gate(torch.randn(2, tokens, 6, dtype=torch.float64) * scale)
    assert weights.shape == (2, tokens, experts)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, tokens, dtype=torch.float64))


def test_mixing_weighs_each_expert_by_the_gate_of_its_own_token() -> None:
    outputs = torch.randn(2, 3, 4, 5, dtype=torch.float64)  # (B, M, n, C)
    gate = torch.rand(2, 4, 3, dtype=torch.float64)  # (B, n, M)
    expected = torch.zeros(2, 4, 5, dtype=torch.float64)
    for sample in range(2):
        for token in range(4):
            for expert in range(3):
                expected[sample, token] += gate[sample, token, expert] * outputs[sample, expert, token]
    torch.testing.assert_close(mix(outputs, gate), expected)


def test_one_ungated_expert_passes_unchanged() -> None:
    outputs = torch.randn(2, 1, 4, 5)
    torch.testing.assert_close(mix(outputs, None), outputs[:, 0])


@pytest.mark.parametrize("gated", [True, False])
def test_the_feed_forward_mixture_is_a_sum_of_two_layer_networks(gated: bool) -> None:
    experts = 3 if gated else 1
    module = MoEFeedForward(dim=4, hidden=7, experts=experts, gated=gated).double()
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    tokens = torch.randn(2, 5, 4, dtype=torch.float64)
    expected = torch.zeros_like(tokens)
    for m in range(experts):
        hidden = (tokens @ module.weight_in[m] + module.bias_in[m]).clamp_min(0)
        answer = hidden @ module.weight_out[m] + module.bias_out[m]
        expected += answer * (module.gate(tokens)[..., m, None] if module.gate else 1)
    torch.testing.assert_close(module(tokens), expected)


def test_experts_start_different_and_within_the_xavier_bound() -> None:
    weight, bias = stacked_linear(3, 200, 100)
    bound = (6 / 300) ** 0.5
    assert weight.shape == (3, 200, 100)
    assert weight.abs().max() <= bound
    assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)
    assert not torch.equal(weight[0], weight[1])
    assert torch.equal(bias, torch.zeros(3, 100))
