"""Propagations of a scripted structure, and all that is known of one."""

from __future__ import annotations

from typing import Any

from KPrismLib.volumes import Propagation
from Testing.engine.volumes.arrays import WINDOW
from Testing.engine.volumes.scripted_predictor import ScriptedPredictor, numbered_stack, rows


def start(predictor: ScriptedPredictor, count: int = 9, at: int = 4, **settings: Any) -> Propagation:
    run = Propagation(predictor, numbered_stack(count), window=WINDOW, **settings)  # type: ignore[arg-type]
    run.accept(at, rows(8))
    return run


def state(run: Propagation) -> dict[int, tuple[bytes, float, tuple[int, ...], bool]]:
    return {i: (r.mask.tobytes(), r.confidence, r.references, r.accepted) for i, r in run.results.items()}
