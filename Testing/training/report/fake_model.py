"""Weights that are no network: the threshold predictor under the name of a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from Testing.engine.evaluation.threshold_predictor import ThresholdPredictor
from Testing.training.report.tiny_report import WEIGHTS_DIGEST
from Training.report.runner import Model


@dataclass
class FakePredictor(ThresholdPredictor):
    device: str = "cpu"


@dataclass
class FakeWeights:
    notes: dict[str, Any]


def fake_model(predictor: FakePredictor | None = None, *, name: str = "tiny", digest: str = WEIGHTS_DIGEST) -> Model:
    model = Model(name, "tiny.safetensors")
    model.__dict__.update(
        predictor=predictor or FakePredictor({"liver": 200, "spleen": 120}),
        digest=digest,
        precision="float32",
        weights=FakeWeights({"datasets": ["BUSI"], "network": "small", "steps": 12}),
        path=Path("tiny.safetensors"),
    )
    return model
