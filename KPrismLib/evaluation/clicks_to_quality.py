"""NoC90, NoC95: how many clicks a quality costs (Table 4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from KPrismLib.errors import InvalidConfig


def number_of_clicks(curves: ArrayLike, threshold: float, *, cap: int = 10) -> NDArray[np.int64]:
    """Clicks until Dice first reaches a threshold; a failure counts as the cap.

    Args:
        curves: float, shape (N, clicks + 1) or (clicks + 1,): Dice after 0, 1, 2, ... clicks. Without an initial
            mask the first entry is 0; in the refinement modes it is the initial mask's Dice, so that 0 is a
            possible answer.
        threshold: 0.90 for NoC90, 0.95 for NoC95.
        cap: The most clicks that are counted.

    Returns:
        int64, shape (N,) or ().

    Raises:
        InvalidConfig: The curves are shorter than the cap, so that a failure could not be told.
    """
    dices = np.asarray(curves, dtype=np.float64)
    if dices.shape[-1] < cap + 1:
        raise InvalidConfig(f"Curves of {dices.shape[-1] - 1} clicks cannot be counted up to a cap of {cap}.")
    reached = dices[..., : cap + 1] >= threshold
    clicks = np.where(reached.any(axis=-1), reached.argmax(axis=-1), cap)
    return clicks.astype(np.int64)
