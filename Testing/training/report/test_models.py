"""The weights that results are of: how they are found, called and known again, and in which precision they compute."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from KPrismLib.errors import InvalidDataset
from Testing.training.report.tiny_report import measured, store, write_weights
from Training.report.results import Results, digest
from Training.report.runner import Model


def test_the_main_model_of_a_folder(tmp_path: Path) -> None:
    results = Results(tmp_path)
    with pytest.raises(InvalidDataset, match="Nothing has been measured"):
        results.main_model(None)
    store(results, [measured()])
    store(results, [measured()], model="ablations/full")
    assert results.main_model(None) == "tiny"
    assert results.main_model("somewhere/tiny.safetensors") == "tiny"
    with pytest.raises(InvalidDataset, match="holds results of tiny, not of better; name one of them"):
        results.main_model("somewhere/better.safetensors")
    store(results, [measured("M&Ms")], model="other")
    assert results.path("other", "masks", "M&Ms").name == "M_Ms.csv"
    with pytest.raises(InvalidDataset, match="other, tiny; choose one with --model"):
        results.main_model(None)


def test_weights_that_are_called_otherwise_by_now_are_known_by_their_content(tmp_path: Path) -> None:
    (tmp_path / "renamed.safetensors").write_bytes(b"weights")
    results = Results(tmp_path / "results")
    store(results, [measured()], digest=digest(tmp_path / "renamed.safetensors"))
    assert results.main_model(str(tmp_path / "renamed.safetensors")) == "tiny"


def test_a_model_is_named_like_its_file(tmp_path: Path) -> None:
    path = write_weights(tmp_path / "better.safetensors", trained_on=["BUSI"])
    model = Model.named(str(path), "cpu")
    assert model.name == "better"
    assert model.weights.notes["datasets"] == ["BUSI"]
    assert len(model.digest) == 12
    assert model.predictor.classes == ("liver", "spleen")


def test_the_precision_of_a_model_is_that_of_its_predictor(tmp_path: Path) -> None:
    for name in ("float32", "bfloat16"):
        model = Model.named("small", "cpu")
        with pytest.MonkeyPatch.context() as patch:
            chosen = getattr(torch, name)
            patch.setattr("Training.report.runner.choose_precision", lambda *_, chosen=chosen: chosen)
            assert model.precision == name
    model = Model.named("small", "cpu")
    assert model.precision == model.predictor.precision
