"""Learning rate: linear warm-up that never starts at 0, then a cosine to a floor."""

from __future__ import annotations

import math


def learning_rate(step: int, *, total: int, warm_up: int, peak: float, floor: float) -> float:
    """Rate of ``step`` (from 0) of ``total``.

    The warm-up ends at ``peak``; its first step is ``peak / warm_up``, since a first epoch at rate 0 is wasted.
    """
    if step < warm_up:
        return peak * (step + 1) / warm_up
    progress = min(1.0, (step - warm_up) / max(1, total - warm_up))
    return floor + (peak - floor) * 0.5 * (1 + math.cos(math.pi * progress))
