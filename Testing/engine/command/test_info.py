"""Counting: exact where the paper pins it down."""

from __future__ import annotations

import json

import pytest

from KPrismLib.network import KPrism, base_config, small_config
from KPrismLib.network.parameters import (
    compare_with_paper,
    moe_attention_delta,
    moe_ffn_delta,
    per_expert,
    per_module,
    total,
)
from Testing.engine.command.tiny_inputs import tiny_config

BOXES = {
    "image_encoder", "projections", "semantic_table", "mask_encoder", "prompt_encoder", "reference_queries",
    "click_queries", "final_mask_head", "decoder.moe_attention", "decoder.self_attention", "decoder.moe_ffn",
    "decoder.gates", "decoder.pixel_ffn", "decoder.norms", "decoder.resampling", "decoder.mask_heads",
}  # fmt: skip


def test_the_numbers_that_the_papers_tables_pin_down() -> None:
    base = base_config()
    assert per_expert(base.replace(num_experts=4)) == per_expert(base) == 3_952_146
    assert moe_attention_delta(base) == 12_647_484
    assert moe_ffn_delta(base) == 3_165_726


@pytest.mark.parametrize("config", [base_config(), small_config(), tiny_config()])
def test_boxes_add_up(config) -> None:
    modules = per_module(config)
    assert set(modules) == BOXES
    assert sum(modules.values()) == total(config)


def test_counting_without_memory_is_counting() -> None:
    config = tiny_config()
    assert total(config) == sum(parameter.numel() for parameter in KPrism(config).parameters())


def test_one_experts_share_by_the_decoders_arithmetic() -> None:
    modules = per_module(base_config())
    attention, feed_forward, gates = 12 * 263_168, 6 * 131_584, 18 * 257
    assert modules["decoder.moe_attention"] == 5 * attention
    assert modules["decoder.moe_ffn"] == 5 * feed_forward
    assert modules["decoder.gates"] == 5 * gates
    assert attention + feed_forward + gates == 3_952_146


def test_the_difference_to_the_paper_is_itemised_in_full() -> None:
    paper = compare_with_paper()
    assert sum(paper["difference_itemised"].values()) == paper["difference"] == paper["ours"] - paper["total"]
    assert paper["pinned_by_the_paper"] == paper["ours_of_the_pinned"]
    for row in paper["ablations"]:
        # The paper prints two digits after the point of a million.
        assert abs(row["our_delta"] - row["paper_delta"]) <= 10_000


def test_info_as_json(kprism, weights) -> None:
    report = json.loads(kprism("info", "--model", "base", "--json").out)
    assert report["parameters"]["per_expert"] == 3_952_146
    assert sum(report["parameters"]["per_module"].values()) == report["parameters"]["total"]
    fewer = json.loads(kprism("info", "--model", "base", "--set", "num_experts=4", "--json").out)
    assert report["parameters"]["total"] - fewer["parameters"]["total"] == 3_952_146
    both = json.loads(kprism("info", "--json", "--model", "base", "--set", "moe_ffn=false", "moe_attention=false").out)
    assert report["parameters"]["total"] - both["parameters"]["total"] == 15_813_210
    own = json.loads(kprism("info", "--model", weights, "--json").out)
    assert own["weights"]["notes"] == {"training": "none"}


def test_info_as_tables(kprism) -> None:
    text = kprism("info", "--model", "base").out
    assert "decoder.moe_attention" in text
    assert "12,647,484" in text
