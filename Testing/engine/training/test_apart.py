"""Runs in processes of their own: killed and resumed, and shared by two."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from KPrismLib.training.checkpoint import Checkpoint
from KPrismLib.training.config import Phase, TrainingConfig
from KPrismLib.training.log import STEP_FIELDS
from KPrismLib.training.loop import CHECKPOINT_NAME
from KPrismLib.training.modes import TrainingMode
from Testing.engine.training.tiny_training import assert_same_state, rows, run, tiny_config, trainer, write_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "Tiny")


def start_run(config: TrainingConfig, folder: Path, *, processes: int = 1, **environment: str) -> subprocess.Popen[str]:
    """The run in a process of its own."""
    return subprocess.Popen(
        [
            sys.executable,
            "-m",
            "Testing.engine.training.run_apart",
            json.dumps(config.to_dict()),
            folder,
            str(processes),
        ],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def test_a_run_that_is_killed_in_the_middle_continues_bit_for_bit(dataset: Path, tmp_path: Path) -> None:
    """SIGKILL in a process of its own: nobody gets to tidy up."""
    config, folder = tiny_config(dataset), tmp_path / "killed"
    finished = run(trainer(config, tmp_path / "whole"))
    process = start_run(config, folder)
    while not (folder / CHECKPOINT_NAME).exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.kill()
    process.wait()
    again = trainer(config, folder)
    assert again.resume()
    assert 2 <= again.step < 6
    run(again)
    assert_same_state(again, finished)
    columns = [name for name in STEP_FIELDS if name != "seconds"]
    ours, theirs = ([[r[c] for c in columns] for r in rows(f / "steps.csv")] for f in (folder, finished.folder))
    assert ours == theirs


def test_two_processes_train_like_one(dataset: Path, tmp_path: Path) -> None:
    """Every mode, shared by gloo processes: the losses and weights of one process with the same global batch."""
    config = tiny_config(dataset, phases=(Phase(size=32, steps=4, batch=4),), accumulate=2, checkpoint_every=4, seed=2)
    alone = run(trainer(config, tmp_path / "alone"))
    environment = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
                   "MASTER_PORT": str(free_port()), "TORCHELASTIC_RUN_ID": "test"}  # fmt: skip
    folder = tmp_path / "shared"
    processes = [
        start_run(config, folder, processes=2, **environment, RANK=str(rank), LOCAL_RANK=str(rank)) for rank in (0, 1)
    ]
    for process in processes:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    ours, theirs = (rows(f / "steps.csv") for f in (folder, alone.folder))
    assert [r["mode"] for r in ours] == [r["mode"] for r in theirs]
    assert {r["mode"] for r in ours} == {mode.value for mode in TrainingMode}
    for name in ("loss", "dice", "gradient_norm"):
        assert [float(r[name]) for r in ours] == pytest.approx([float(r[name]) for r in theirs], rel=2e-3), name
    saved = Checkpoint.load(folder / CHECKPOINT_NAME)
    for name, tensor in alone.network.state_dict().items():
        torch.testing.assert_close(saved.network[name], tensor, atol=1e-3, rtol=0, msg=name)
