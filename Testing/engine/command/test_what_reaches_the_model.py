"""What is said on the command line reaches the model: the class that clicks refine, the average, the modality."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from KPrismLib.command import references
from KPrismLib.imaging.labels import read_label_volume
from KPrismLib.imaging.volume import Volume
from KPrismLib.predictor import Predictor
from KPrismLib.training.checkpoint import Checkpoint
from KPrismLib.weights import load_weights
from Testing.engine.command.conftest import Outcome
from Testing.engine.command.test_training import data  # noqa: F401

Run = Callable[..., Outcome]


def test_clicks_refine_the_class_that_is_named(kprism: Run, picture: Path, weights: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.nii.gz"
    arguments = ("--class", "liver", "--click", "12,25,+", "--model", weights)
    assert kprism("segment", picture, "-o", output, *arguments).status == 0
    predictor = Predictor.load(weights, device="cpu")
    image = predictor.encode(np.asarray(Image.open(picture)))
    named, plain = (predictor.session(image, cls=cls).click(12, 25).mask for cls in ("liver", None))
    assert not np.array_equal(named, plain)
    np.testing.assert_array_equal(read_label_volume(output).array[0] != 0, named)


def test_what_is_exported_is_the_moving_average(kprism: Run, data: Path, tmp_path: Path) -> None:  # noqa: F811
    folder, exported = tmp_path / "runs" / "one", tmp_path / "tiny.safetensors"
    training = ("train", tmp_path / "config.toml", "--data", data, "--output", folder, "--accelerator", "cpu")
    assert kprism(*training).status == 0
    assert kprism("export", folder / "checkpoint.pt", "-o", exported).status == 0
    stored, found = Checkpoint.load(folder / "checkpoint.pt"), load_weights(exported).tensors
    assert any(not torch.equal(stored.average[name], stored.network[name]) for name in found)
    for name, tensor in found.items():
        torch.testing.assert_close(tensor, stored.average[name].to(tensor.dtype), msg=name)


def test_a_reference_that_is_ct_is_windowed_as_ct(monkeypatch: pytest.MonkeyPatch) -> None:
    voxels = np.arange(2 * 8 * 8, dtype=np.int16).reshape(2, 8, 8)
    volume = dataclasses.replace(Volume(voxels, np.eye(4)), modality="CT")
    monkeypatch.setattr(references, "read_volume", lambda *_: volume)
    monkeypatch.setattr(references, "read_drawing", lambda *_, **__: (voxels > 70, "liver"))
    files = [references.ReferenceFile(Path("a"), Path("b"), None)]
    (read,) = references.read_references(files, plane=None, window="auto", every_slice=False)
    assert read.window.rule == "ct-abdomen"
