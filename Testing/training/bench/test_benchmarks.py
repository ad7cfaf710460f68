"""The benchmarks run, count right, and compare like with like."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from torch import nn
from typer.testing import CliRunner

from Testing.engine.dataset.tiny_dataset import describe, listed, write_folder
from Training import bench_evaluation, bench_loader, bench_step


@pytest.fixture(autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def call(module: Any, *arguments: object) -> dict[str, Any]:
    app = typer.Typer()
    app.command()(module.main)
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_activations_are_what_backward_needs_each_storage_once() -> None:
    layer = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 8))
    given = torch.randn(16, 64)
    with bench_step.counted_activations(layer) as counted:
        layer(given).sum().backward()
    # The input and the result of the activation, which two operations keep; weights do not count.
    assert counted.megabytes * 2**20 == 4 * (16 * 64 + 16 * 32)


def test_a_step_of_the_loop_computes_and_keeps_more_for_the_same_loss() -> None:
    result = call(bench_step, "--model", "small", "--size", 64, "--batch", 1, "--repeats", 1, "--passes", 1,
                  "--device", "cpu", "--json")  # fmt: skip
    absorbed, loop = (result["forms"][name] for name in ("absorbed", "loop"))
    assert absorbed["loss"] == pytest.approx(loop["loss"], abs=1e-4)
    assert absorbed["gflop"] < loop["gflop"]
    assert absorbed["activations_mib"] < loop["activations_mib"]
    assert result["throughput_ratio"] == pytest.approx(loop["seconds"] / absorbed["seconds"], abs=0.01)
    assert result["fraction_of_matmul_rate"] > 0


def test_the_loader_is_measured_from_the_store_to_the_batch() -> None:
    result = call(bench_loader, "--size", 32, "--seconds", 0.02, "--json")
    (row,) = result["datasets"]
    assert row["format"] == "slice store"
    assert all(row[name] > 0 for name in ("decode", "read", "semantic", "in-context", "interactive"))


@pytest.fixture
def three_pictures(tmp_path: Path) -> Path:
    mask = np.zeros((40, 48), dtype=np.uint8)
    mask[10:30, 12:30] = 1
    noise = np.random.default_rng(0).integers(0, 60, mask.shape, dtype=np.uint8)
    items = [listed(f"i{n}", patient=f"p{n}") for n in range(3)]
    arrays = {f"mask_i{n}": np.roll(mask, n) for n in range(3)}
    arrays |= {f"image_i{n}": np.roll(mask, n) * 150 + noise for n in range(3)}
    return write_folder(tmp_path / "d", describe(items), **arrays)


@pytest.mark.parametrize("processes", [1, 2])
def test_both_ways_of_evaluating_give_the_same_curves(three_pictures: Path, processes: int) -> None:
    result = call(bench_evaluation, three_pictures, "--clicks", 2, "--batch", 1, "--processes", processes)
    assert (result["pairs"], result["equal_curves"], result["largest_difference"]) == (3, 3, 0.0)
    assert result["evaluation_dice"] == result["sessions_dice"]
    assert len(result["sessions_dice"]) == 3
    assert result["times_keeping_nothing"] > result["times_sessions"] > 0


@pytest.mark.parametrize("processes", [1, 2])
def test_an_evaluation_may_compute_in_another_precision(three_pictures: Path, processes: int) -> None:
    result = call(
        bench_evaluation,
        *(three_pictures, "--clicks", 2, "--processes", processes),
        *("--precision", "float32", "--evaluation-precision", "bfloat16"),
    )
    assert (result["precision"], result["evaluation_precision"]) == ("float32", "bfloat16")
    assert result["evaluation_dice"] != result["sessions_dice"]
    assert np.allclose(result["evaluation_dice"], result["sessions_dice"], atol=0.2)


def test_keeping_nothing_encodes_for_every_click() -> None:
    loop = bench_evaluation.OneByOne(curves=[(0.0,), (0.0,)], seconds=10.0, encoding=4.0, clicked=7)
    assert loop.keeping_nothing() == 6.0 + 7 * 2.0
