"""A predictor over a tiny network with fixed parameters, and images for it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from KPrismLib.network import KPrism
from KPrismLib.predictor import Predictor
from Testing.engine.network.tiny_network import filled, tiny_config


def tiny_predictor(**changes: Any) -> Predictor:
    return Predictor(filled(KPrism(tiny_config(**changes))), precision="float32", name="tiny")


def picture(rows: int = 40, columns: int = 56, *, phase: float = 0.0) -> NDArray[np.uint8]:
    """uint8 (rows, columns): waves, the whole range from 0 to 255."""
    y, x = np.mgrid[:rows, :columns]
    waves = np.sin(y * 0.31 + phase) + np.cos(x * 0.17)
    waves -= waves.min()
    return np.rint(255 * waves / waves.max()).astype(np.uint8)


def disk(rows: int = 40, columns: int = 56) -> NDArray[np.bool_]:
    y, x = np.mgrid[:rows, :columns]
    return np.asarray((y - rows * 0.4) ** 2 + (x - columns * 0.6) ** 2 < (min(rows, columns) * 0.25) ** 2)
