"""``kprism segment`` on folders: its results beside the files that it reads."""

from __future__ import annotations

import numpy as np

from Testing.engine.command.tiny_inputs import blob, save_picture, save_volume


def test_results_never_take_the_place_of_images(batch, tmp_path, rng) -> None:
    image = save_volume(tmp_path / "scan.nii.gz", np.stack([blob((24, 20), rng)] * 2))
    result = batch(image, "--format", "nii.gz", output=tmp_path)
    assert result.status == 1
    assert "also an input" in result.sentence


def test_results_never_take_the_place_of_references_and_their_masks(kprism, weights, tmp_path, rng) -> None:
    scans, masks = tmp_path / "scans", tmp_path / "masks"
    for folder in (scans, masks):
        folder.mkdir()
    for name in "ab":
        save_volume(scans / f"{name}.nii.gz", np.stack([blob((24, 20), rng)] * 2))
    mask = save_volume(masks / "b.nii.gz", np.ones((2, 24, 20), np.uint8))
    before = mask.read_bytes()
    arguments = ("--format", "nii.gz", "--reference", scans / "b.nii.gz", mask, "--model", weights)
    for more in (("-o", masks), ("-o", tmp_path / "results", "--probability", masks)):
        result = kprism("segment", scans, *arguments, *more)
        assert result.status == 1
        assert "b.nii.gz: it is also an input" in result.err
    assert mask.read_bytes() == before
    assert [path.name for path in masks.iterdir()] == ["b.nii.gz"]  # refused before the first case


def test_overlays_never_take_the_place_of_images(batch, tmp_path, rng) -> None:
    image = save_picture(tmp_path / "photo.png", blob((24, 30), rng))
    before = image.read_bytes()
    assert "photo.png: it is also an input" in batch(image, "--overlay", tmp_path).sentence
    assert image.read_bytes() == before
