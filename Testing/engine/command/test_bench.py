"""Measuring speed: the keys of the contract, and operations that can be checked by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from KPrismLib import Predictor, benchmark
from KPrismLib.command import models
from KPrismLib.network import KPrism
from Testing.engine.command.tiny_inputs import tiny_config

QUICK = ("--repeats", 1, "--threads", 1)


def test_bench_as_json(kprism, weights) -> None:
    result = json.loads(kprism("bench", "--model", weights, *QUICK, "--json").out)
    assert result["size"] == 64
    keys = ("encode_ms", "reference_ms", "semantic_ms", "click_ms", "encode_gflop", "click_gflop", "peak_rss_mb")
    assert all(result[key] > 0 for key in keys)
    assert result["weights"] == "loaded"
    assert result["load_s"] > 0


def test_bench_as_a_table(kprism, weights) -> None:
    text = kprism("bench", "--model", weights, *QUICK).out
    assert "click" in text
    assert "GFLOP" in text


def test_a_multiply_add_counts_as_two() -> None:
    first, second = torch.ones(10, 20), torch.ones(20, 30)
    assert benchmark.count_gflop(lambda: first @ second) == pytest.approx(2 * 10 * 20 * 30 / 1e9)


def test_absorbed_attention_computes_less_than_the_loop() -> None:
    gflop = {}
    for form in ("absorbed", "loop"):
        predictor = Predictor(KPrism(tiny_config(attention=form)))
        session = predictor.session(predictor.encode(np.eye(64, dtype=np.uint8)))
        gflop[form] = benchmark.count_gflop(lambda session=session: session.click(3, 3))
    assert gflop["absorbed"] < gflop["loop"]


def test_random_weights_where_none_are_shipped(kprism, monkeypatch) -> None:
    monkeypatch.setattr(models, "named_config", lambda _, **changes: tiny_config(**changes))
    result = json.loads(kprism("bench", "--model", "base", "--attention", "loop", *QUICK, "--json").out)
    assert result["weights"] == "random"
    assert result["attention"] == "loop"


def test_unknown_attention(kprism) -> None:
    assert "absorbed, loop" in kprism("bench", "--model", "base", "--attention", "flash").sentence
