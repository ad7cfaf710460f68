"""The parameter arithmetic that the paper's Tables 5(a) and 7(b) pin down, and the names in a weights file."""

from __future__ import annotations

import hashlib

import pytest

from KPrismLib.network import base_config
from KPrismLib.network.parameters import build_on_meta, compare_with_paper, per_module, total
from Testing.engine.network.tiny_network import tiny_config


@pytest.mark.parametrize("experts", [2, 3, 4])
def test_one_expert_costs_what_table_7b_says(experts: int) -> None:
    assert total(base_config(num_experts=experts + 1)) - total(base_config(num_experts=experts)) == 3_952_146


@pytest.mark.parametrize(
    ("changes", "saved"),
    [
        ({"moe_attention": False}, 12_647_484),
        ({"moe_ffn": False}, 3_165_726),
        ({"moe_attention": False, "moe_ffn": False}, 15_813_210),
    ],
)
def test_a_switched_off_mixture_saves_what_table_5a_says(changes: dict[str, bool], saved: int) -> None:
    assert total(base_config()) - total(base_config(**changes)) == saved


def test_one_expert_is_twelve_attentions_six_ffns_and_eighteen_gate_columns() -> None:
    attention, ffn, column = 4 * 256**2 + 4 * 256, 2 * 256**2 + 2 * 256, 257
    assert 12 * attention + 6 * ffn + 18 * column == 3_952_146


def test_the_boxes_of_figure_2_add_up() -> None:
    boxes = per_module(base_config())
    assert sum(boxes.values()) == total(base_config())
    assert boxes["decoder.moe_attention"] == 5 * 12 * 263_168
    assert boxes["decoder.moe_ffn"] == 5 * 6 * 131_584
    assert boxes["decoder.gates"] == 5 * 18 * 257
    assert boxes["decoder.self_attention"] == 6 * 263_168
    assert boxes["decoder.norms"] == 6 * 4 * 2 * 256
    assert boxes["semantic_table"] == (26 + 1) * 2 * 256
    assert boxes["reference_queries"] == 2 * 6 * 256
    assert boxes["click_queries"] == 65_920 + 2 * 256


def test_every_ablation_differs_from_the_whole_as_in_the_paper_up_to_its_rounding() -> None:
    report = compare_with_paper()
    assert len(report["ablations"]) == 7
    for row in report["ablations"]:
        assert abs(row["our_delta"] - row["paper_delta"]) < 15_000, row
    itemised = report["difference_itemised"].values()
    assert sum(itemised) == report["difference"] == report["ours"] - report["total"]
    assert report["pinned_by_the_paper"] == report["ours_of_the_pinned"]


def test_names_and_shapes_in_a_weights_file_are_stable() -> None:
    """A change here makes every weights file unreadable; then FORMAT of ``weights`` must change, too."""
    state = build_on_meta(tiny_config()).state_dict()
    listing = "\n".join(f"{name} {tuple(tensor.shape)}" for name, tensor in sorted(state.items()))
    for name in (
        "image_encoder.stages.0.0.0.weight",
        "projections.2.bias",
        "position.matrix",
        "semantic_table.table",
        "mask_encoder.heads.0.weight",
        "prompt_encoder.heads.2.bias",
        "reference_queries.embedding",
        "click_queries.sign",
        "decoder.layers.5.read.weight_q",
        "decoder.layers.0.write.gate.linear.weight",
        "decoder.layers.3.self_attention.in_proj_weight",
        "decoder.layers.3.ffn.bias_out",
        "decoder.layers.3.pixel_ffn.channel_mix",
        "decoder.resampling.4.convolution.weight",
        "decoder.mask_heads.2.1.bias",
        "final_mask_head.logit.bias",
    ):
        assert name in state
    assert hashlib.sha256(listing.encode()).hexdigest()[:16] == "a36cebb9dc4a8601"
