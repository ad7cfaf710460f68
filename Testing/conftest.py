"""What every test of the engine shares: fixed randomness, few threads, one Hypothesis profile.

Nothing here imports torch, so that collecting the tests stays quick.
"""

from __future__ import annotations

import os
import random
import sys

import numpy as np
import pytest
from hypothesis import settings

SEED = 20260

# Read by torch, numpy and OpenMP when they load; a value that the user set wins. One of several processes that share
# the tests has a core for itself.
THREADS = "1" if "PYTEST_XDIST_WORKER" in os.environ else "2"
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, THREADS)

# The same examples on every run, and no deadline: a first call into torch takes as long as it takes.
settings.register_profile("kprism", deadline=None, derandomize=True, database=None)
# For hunting: `pytest --hypothesis-profile=explore` draws new examples each time, and more of them.
settings.register_profile("explore", deadline=None, max_examples=1000, print_blob=True)
settings.load_profile("kprism")


@pytest.fixture
def rng() -> np.random.Generator:
    """A random generator that starts from the same state in every test."""
    return np.random.default_rng(SEED)


@pytest.fixture(autouse=True)
def _same_randomness_in_every_test() -> None:
    random.seed(SEED)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(SEED)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what is marked ``gpu`` on a machine without one."""
    marked = [item for item in items if item.get_closest_marker("gpu")]
    if not marked:
        return
    import torch

    if not torch.cuda.is_available():
        for item in marked:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))
