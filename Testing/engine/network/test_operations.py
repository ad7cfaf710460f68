"""How much is computed: FLOP of the paper's network at 512 x 512, counted on shapes, and what a click leaves out."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from KPrismLib.network import Clicks, DensePrompt, KPrism, NetworkConfig, base_config
from KPrismLib.network.parameters import build_on_meta
from KPrismLib.network.query_set import QuerySet
from Testing.engine.network.tiny_network import double_network, knowledge, scene

SIZE = 512


def gflop(call: Callable[[], Any]) -> float:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        call()
    return counter.get_total_flops() / 1e9


def meta_prompt(network: KPrism, clicks: int) -> DensePrompt:
    with torch.device("meta"):
        flags = torch.ones(1, clicks, dtype=torch.bool)
        maps = torch.zeros(1, 2, SIZE, SIZE)
        places = torch.zeros(1, clicks, 2, dtype=torch.int64)
        return DensePrompt(Clicks(places, flags, flags), maps, torch.zeros(1, 1, SIZE, SIZE))


@pytest.fixture
def all_queries_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shapes have no values, so whether a query is a dummy has to be said."""

    def concatenate(sets: list[QuerySet]) -> QuerySet:
        (only,) = sets
        return dataclasses.replace(only, valid=torch.ones(only.valid.shape, dtype=torch.bool))

    monkeypatch.setattr(QuerySet, "concatenate", concatenate)


@functools.cache
def click_gflop(config: NetworkConfig, clicks: int) -> float:
    network = build_on_meta(config)
    with torch.device("meta"), torch.no_grad():
        features = network.encode_image(torch.zeros(1, 3, SIZE, SIZE))
        prompt = meta_prompt(network, clicks)
    return gflop(lambda: network(features, prompt=prompt))


def test_encoding_an_image_stays_within_its_budget() -> None:
    network = build_on_meta(base_config())
    with torch.device("meta"):
        image = torch.zeros(1, 3, SIZE, SIZE)
    assert 40 < gflop(lambda: network.encode_image(image)) <= 65


@pytest.mark.usefixtures("all_queries_valid")
def test_a_click_stays_within_its_budget() -> None:
    assert 100 < click_gflop(base_config(), 3) <= 160


@pytest.mark.usefixtures("all_queries_valid")
def test_absorbing_takes_nearly_all_of_the_experts_cost_out_of_a_click() -> None:
    """Five experts cost a loop more than the rest of a click; absorbed they cost a fraction of it."""
    absorbed, loop = click_gflop(base_config(), 3), click_gflop(base_config(attention="loop"), 3)
    plain = click_gflop(base_config(num_experts=1), 3)
    assert loop / absorbed >= 1.8
    assert (loop - plain) / (absorbed - plain) >= 6


@pytest.mark.usefixtures("all_queries_valid")
def test_many_queries_fall_back_to_projecting_before_folding_costs_more() -> None:
    at_threshold, above = (click_gflop(base_config(), clicks) for clicks in (32, 33))
    assert above < 1.1 * at_threshold


@torch.no_grad()
@pytest.mark.parametrize(("mode", "prompt_encoder"), [("semantic", 0), ("interactive", 1), ("refine semantic", 1)])
def test_a_mask_costs_no_image_encoding_and_one_prompt_encoding(mode: str, prompt_encoder: int) -> None:
    network = double_network()
    features = network.encode_image(scene(1, (32, 32)))
    given = knowledge(network, mode, 1, (32, 32))
    calls: list[str] = []
    for name in ("image_encoder", "mask_encoder", "prompt_encoder"):
        getattr(network, name).register_forward_hook(lambda *_, name=name: calls.append(name))
    network(features, **given)
    assert calls == ["prompt_encoder"] * prompt_encoder
