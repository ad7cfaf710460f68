"""A tiny set to train on, and one thread: networks this small only lose time by handing work around."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from Testing.engine.training.tiny_training import write_dataset


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "Tiny")
