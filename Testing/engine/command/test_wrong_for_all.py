"""What is wrong with a command whatever the image: told once, before an image is read or a model loaded."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from KPrismLib.batch.cases import Case
from KPrismLib.predictor import Predictor
from Testing.engine.command.tiny_inputs import save_picture

LIVER = ("--class", "liver")
WRONG = [
    ((*LIVER, "--window", "foo"), "There is no intensity rule 'foo'"),
    ((*LIVER, "--window", "9,3"), "LOW < HIGH"),
    ((*LIVER, "--window", "3,3"), "LOW < HIGH"),
    ((*LIVER, "--window", "nan,3"), "LOW < HIGH"),
    ((*LIVER, "--plane", "foo"), "There is no plane 'foo'; choose one of axial, coronal, sagittal"),
    ((*LIVER, "--slice", "abc"), "'abc' is no slice; give a number from 0, middle or all"),
    ((*LIVER, "--slice", "-1"), "'-1' is no slice; give a number from 0, middle or all"),
    (("--reference", "a", "b", "--best", 0), "--best must be from 1 to 64, not 0"),
    (("--reference", "a", "b", "--best", 65), "--best must be from 1 to 64, not 65"),
    (("--reference", "a", "b") * 65, "Give 1 to 64 references, not 65"),
]


@pytest.fixture
def untouched(monkeypatch) -> None:
    """Nothing is to be read, and no model to be loaded."""
    for name in ("segment_run.read_volume", "propagate_run.read_volume", "references.read_volume"):
        monkeypatch.setattr(f"KPrismLib.command.{name}", lambda *_, **__: pytest.fail("it read an image"))
    monkeypatch.setattr(Case, "read", lambda _: pytest.fail("it read an image"))
    monkeypatch.setattr(Predictor, "load", lambda *_, **__: pytest.fail("it loaded a model"))


@pytest.mark.parametrize(("arguments", "sentence"), WRONG, ids=lambda value: value if isinstance(value, str) else "")
@pytest.mark.parametrize("several", [("--workers", 1), ("--workers", 2), (), ("--propagate",)])
def test_an_option_that_no_image_could_be_segmented_with(
    kprism, weights, good, untouched, tmp_path, several, arguments, sentence
) -> None:
    image, output = (good, "results") if "--workers" in several else (good / "sub" / "b.nii.gz", "out.nii.gz")
    result = kprism("segment", image, "-o", tmp_path / output, *arguments, *several, "--model", weights)
    assert result.status == 1
    assert sentence in result.sentence
    assert not (tmp_path / output).exists()


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda image, mask: image.write_bytes(b"no picture"), "picture.png is not a picture"),
        (lambda image, mask: save_picture(mask, np.zeros((40, 50), np.uint8)), "empty"),
        (lambda image, mask: save_picture(mask, np.eye(30, 50, dtype=np.uint8)), "differ in size"),
        (lambda image, mask: save_picture(image, np.full((40, 50), 7, np.uint8)), "constant"),
    ],
    ids=["no image", "empty mask", "another size", "nothing to see"],
)
def test_a_bad_example_is_told_once_whatever_the_number_of_workers(
    kprism, weights, good, picture, picture_mask, tmp_path, monkeypatch, workers, spoil, sentence
) -> None:
    spoil(picture, picture_mask)
    monkeypatch.setattr(Case, "read", lambda _: pytest.fail("it read an image"))
    if workers > 1:
        monkeypatch.setattr(Predictor, "load", lambda *_, **__: pytest.fail("it loaded a model that it does not need"))
    arguments = ("--reference", picture, picture_mask, "--workers", workers, "--model", weights)
    result = kprism("segment", good, "-o", tmp_path / "results", *arguments)
    assert result.status == 1
    assert sentence in result.sentence
    assert not list((tmp_path / "results").glob("*.jsonl"))


def test_what_there_is_to_know_of_an_example_is_said_once(kprism, weights, good, volume, volume_mask, tmp_path) -> None:
    told = "labels.nii.gz has the labels 1 (label 1), 2 (label 2); all together are taken"
    arguments = ("segment", good, "--reference", volume, volume_mask, "--model", weights)
    for workers in (1, 2):
        result = kprism(*arguments, "-o", tmp_path / f"{workers}", "--workers", workers)
        assert result.status == 0, result.err
        assert result.err.count(told) == 1


@pytest.mark.parametrize(
    ("form", "option"), [("png", "--overlay"), ("nii.gz", "--probability")], ids=["overlay", "probability"]
)
def test_results_of_two_kinds_need_two_folders(batch, good, tmp_path, monkeypatch, form, option) -> None:
    monkeypatch.setattr(Case, "read", lambda _: pytest.fail("it read an image"))
    results = tmp_path / "results"
    ways = [results, results / ".." / "results"]
    if sys.platform != "win32":  # links need a permission there
        (tmp_path / "link").symlink_to(results, target_is_directory=True)
        ways.append(tmp_path / "link")
    for folder in ways:
        result = batch(good, "--format", form, option, folder)
        assert "it is also another result; choose another folder" in result.sentence
    assert not (tmp_path / "results").exists()


def test_a_format_that_is_not_installed(batch, good, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "highdicom", None)
    assert "DICOM segmentations need highdicom" in batch(good, "--format", "dicom-seg").sentence
    assert not (tmp_path / "results").exists()
