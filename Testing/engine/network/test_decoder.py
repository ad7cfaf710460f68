"""The decoder's parts: masked attention (Eq. 23), resampling (Eq. 20-21), pixel FFN, and the order of the layers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from KPrismLib.network.decoder_layer import DecoderLayer
from KPrismLib.network.masked_attention import blocked_pixels
from KPrismLib.network.pixel_ffn import PixelFeedForward
from KPrismLib.network.residual_resampling import ResidualResampling
from Testing.engine.network.test_expert_attention import torch_experts
from Testing.engine.network.tiny_network import double_network, knowledge, scene, tiny_config


def slow_blocked(inside: Tensor, foreground: Tensor) -> Tensor:
    """Eq. 23 by loops: ``inside`` (B, h, w) says where P >= 0.5."""
    batch, queries = foreground.shape
    blocked = torch.zeros(batch, queries, inside[0].numel(), dtype=torch.bool)
    for b in range(batch):
        for n in range(queries):
            for place, is_inside in enumerate(inside[b].flatten().tolist()):
                blocked[b, n, place] = is_inside != bool(foreground[b, n])
            if blocked[b, n].all():
                blocked[b, n] = False
    return blocked


@given(
    batch=st.integers(1, 3),
    queries=st.integers(1, 5),
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    offset=st.sampled_from([-9.0, 0.0, 9.0]),
    seed=st.integers(0, 999),
)
def test_a_query_sees_its_side_of_the_mask_or_everything(
    batch: int, queries: int, size: tuple[int, int], offset: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, 1, *size, generator=generator) + offset
    foreground = torch.rand(batch, queries, generator=generator) > 0.5
    found = blocked_pixels(logits, foreground, torch.Size(size))
    assert torch.equal(found, slow_blocked(logits[:, 0].sigmoid() >= 0.5, foreground))
    assert not found.all(-1).any()


def test_probability_one_half_counts_as_foreground() -> None:
    found = blocked_pixels(torch.tensor([[[[0.0, -1e-6]]]]), torch.tensor([[True, False]]), torch.Size((1, 2)))
    assert found.tolist() == [[[False, True], [True, False]]]


def test_a_mask_of_another_scale_is_resized_first() -> None:
    logits = -torch.ones(1, 1, 16, 32)
    logits[..., :8, 16:] = 1
    found = blocked_pixels(logits, torch.tensor([[True]]), torch.Size((2, 4)))
    assert found.tolist() == [[[True, True, False, False, True, True, True, True]]]


class TestResidualResampling:
    def module(self) -> ResidualResampling:
        return ResidualResampling(4).double()

    def test_upwards_it_is_a_convolution_of_the_upsampled_map(self) -> None:
        module, x = self.module(), torch.randn(2, 4, 2, 3, dtype=torch.float64)
        expected = module.convolution(F.interpolate(x, size=(4, 6), mode="bilinear", align_corners=False))
        torch.testing.assert_close(module(x, torch.Size((4, 6))), expected)

    def test_downwards_it_is_a_convolution_of_the_cell_averages(self) -> None:
        module, x = self.module(), torch.randn(2, 4, 8, 12, dtype=torch.float64)
        expected = torch.zeros(2, 4, 2, 3, dtype=torch.float64)
        for row in range(2):
            for column in range(3):
                cell = x[:, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4].mean((2, 3))
                expected[:, :, row, column] = cell @ module.convolution.weight[:, :, 0, 0].T + module.convolution.bias
        torch.testing.assert_close(module(x, torch.Size((2, 3))), expected)


def test_the_pixel_ffn_weighs_channels_by_a_sliding_mix_of_their_means() -> None:
    module = PixelFeedForward(dim=6, hidden=5).double()
    x = torch.randn(2, 6, 3, 4, dtype=torch.float64)
    update = module.second(module.first(x).clamp_min(0))
    expected = x.clone()
    for b in range(2):
        means = [0.0, 0.0, *update[b].mean((1, 2)).tolist(), 0.0, 0.0]
        for channel in range(6):
            mixed = sum(w * means[channel + k] for k, w in enumerate(module.channel_mix.tolist()))
            expected[b, channel] += update[b, channel] * torch.sigmoid(torch.tensor(mixed, dtype=torch.float64))
    torch.testing.assert_close(module(x), expected)


def test_a_layer_is_five_steps_in_the_order_of_figure_2() -> None:
    """Post-norm; P_Q and P_K are added to queries and keys, never to values (section 3.3)."""
    layer = DecoderLayer(tiny_config()).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    tokens, position = torch.randn(2, 2, 4, 16, dtype=torch.float64)
    pixels, place = torch.randn(2, 16, 3, 5, dtype=torch.float64), torch.randn(15, 16, dtype=torch.float64)
    valid = torch.tensor([[True, True, True, False], [True] * 4])
    blocked = torch.rand(2, 4, 15) > 0.5
    blocked[..., 3] = False

    def mixture(module: Any, gate_on: Tensor, answers: list[Tensor]) -> Tensor:
        gate = module.gate.linear(gate_on).softmax(-1)
        return sum(gate[..., m, None] * answer for m, answer in enumerate(answers))  # type: ignore[return-value]

    flat = pixels.flatten(2).transpose(1, 2)
    heads = layer.read.heads
    answers = [
        e(tokens + position, flat + place, flat, attn_mask=blocked.repeat_interleave(heads, 0))[0]
        for e in torch_experts(layer.read)
    ]
    wanted = layer.norms[0](tokens + mixture(layer.read, tokens, answers))
    asked = wanted + position
    wanted = layer.norms[1](wanted + layer.self_attention(asked, asked, wanted, key_padding_mask=~valid)[0])
    wanted = layer.norms[2](wanted + layer.ffn(wanted))
    answers = [
        e(flat + place, wanted + position, wanted, key_padding_mask=~valid)[0] for e in torch_experts(layer.write)
    ]
    flat = layer.norms[3](flat + mixture(layer.write, flat, answers))
    wanted_pixels = layer.pixel_ffn(flat.transpose(1, 2).unflatten(2, (3, 5)))

    found, found_pixels = layer(tokens, position, valid, pixels, place, blocked)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(found_pixels, wanted_pixels)


class Recorder:
    """What each decoder layer was given, and what it gave."""

    def __init__(self, layers: Any) -> None:
        self.inputs: list[tuple[Any, ...]] = []
        self.outputs: list[tuple[Tensor, Tensor]] = []
        for layer in layers:
            layer.register_forward_hook(self._note)

    def _note(self, _: Any, inputs: tuple[Any, ...], outputs: tuple[Tensor, Tensor]) -> None:
        self.inputs.append(inputs)
        self.outputs.append(outputs)


@torch.no_grad()
@pytest.mark.parametrize("mode", ["semantic", "interactive", "refine in-context"])
def test_layers_take_the_scales_in_turn_and_carry_maps_queries_and_masks_on(mode: str) -> None:
    network = double_network()
    size = (48, 80)
    record = Recorder(network.decoder.layers)
    given_ = knowledge(network, mode, 1, size, previous=mode != "interactive")
    features = network.encode_image(scene(1, size))
    prediction = network(features, **given_)
    sizes = [inputs[3].shape[-2:] for inputs in record.inputs]
    assert sizes == [(3, 5), (6, 10), (12, 20)] * 2

    maps: dict[int, Tensor] = {}
    logits: list[Tensor] = []
    if mode == "refine in-context":
        guide = given_["prompt"].previous_logits  # the mask that is being refined comes first
    elif mode == "semantic":
        guide = None  # nothing says yet where the class is
    else:
        guide = network.decoder.mask_heads[0](record.inputs[0][3])
        logits.append(guide)
    for index, (inputs, outputs) in enumerate(zip(record.inputs, record.outputs, strict=True)):
        tokens, _, _, pixels, place, blocked = inputs
        if index > 0:
            torch.testing.assert_close(tokens, record.outputs[index - 1][0])
            before = maps[(index - 1) % 3]
            own = maps[index % 3] if index >= 3 else projected_map(network, features, given_, index)
            resampled = network.decoder.resampling[index - 1](before, pixels.shape[-2:])
            torch.testing.assert_close(pixels, own + resampled)  # Eq. 21
        assert torch.equal(place, features.positions[index % 3])
        if guide is None:
            assert blocked is None
        else:
            assert torch.equal(blocked, blocked_pixels(guide, foreground_of(mode), pixels.shape[-2:]))
        maps[index % 3] = outputs[1]
        guide = network.decoder.mask_heads[index % 3](outputs[1])
        logits.append(guide)
    assert len(prediction.layer_logits) == len(logits) - 1  # the last layer's mask is the final head's
    for found, wanted in zip(prediction.layer_logits, logits, strict=False):
        torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(prediction.logits, network.final_mask_head(maps[2], features.detail))


def foreground_of(mode: str) -> Tensor:
    """Which queries of the test's knowledge are foreground: Eq. 9 side by side."""
    clicks = [True, False]
    rows = {"semantic": [True, True], "interactive": clicks, "refine in-context": [True] * 3 + [False] * 3 + clicks}
    return torch.tensor([rows[mode]])


def projected_map(network: Any, features: Any, given_: dict[str, Any], scale: int) -> Tensor:
    """F_fuse of Eq. 8 at 1/8 or 1/4, by hand; the read-out changes 1/16 alone (A.3)."""
    fused = features.maps[scale]
    if given_["prompt"] is not None:
        previous = given_["prompt"].previous_logits
        mask = torch.zeros_like(given_["prompt"].maps[:, :1]) if previous is None else torch.sigmoid(previous)
        fused = fused + network.prompt_encoder(torch.cat([given_["prompt"].maps, mask], 1))[scale]
    projection: Tensor = network.projections[scale](fused)
    return projection


@torch.no_grad()
def test_at_the_coarsest_scale_references_replace_the_image_and_clicks_add_to_them() -> None:
    """Eq. 8: PromptEncoder + V W for refining Mode-2, PromptEncoder + F otherwise."""
    from KPrismLib.network.readout import read_out

    network = double_network()
    features = network.encode_image(scene(1, (32, 48)))
    record = Recorder(network.decoder.layers)
    for mode in ("semantic", "in-context", "interactive", "refine semantic", "refine in-context"):
        record.inputs.clear()
        given_ = knowledge(network, mode, 1, (32, 48))
        network(features, **given_)
        expected = features.maps.s16
        if given_["reference"] is not None:
            expected = read_out(given_["reference"].keys, given_["reference"].values, expected)
        if given_["prompt"] is not None:
            dense = torch.cat([given_["prompt"].maps, given_["prompt"].previous_logits.sigmoid()], 1)
            expected = expected + network.prompt_encoder(dense).s16
        torch.testing.assert_close(record.inputs[0][3], network.projections[0](expected))


@settings(max_examples=10)
@given(rounds=st.integers(1, 3))
def test_rounds_decide_how_often_the_scales_are_visited(rounds: int) -> None:
    config = tiny_config(rounds=rounds)
    from KPrismLib.network.decoder import Decoder

    decoder = Decoder(config)
    assert len(decoder.layers) == 3 * rounds
    assert len(decoder.resampling) == 3 * rounds - 1
