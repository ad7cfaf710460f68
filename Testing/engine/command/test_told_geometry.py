"""What a user is told of the places and sizes of voxels: of sheared grids, of single slices, of missing positions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest

from KPrismLib.batch.manifest import read_manifest
from KPrismLib.imaging.reading import read_volume
from Testing.engine.command.conftest import Outcome
from Testing.engine.command.tiny_inputs import blob, save_volume
from Testing.engine.imaging.tiny_dicom import save_slice

SHEARED = "The grid is sheared; 3D Slicer reads it right from .seg.nrrd."


def ct(folder: Path, rng: np.random.Generator, slices: int = 3, *, tilt: float = 0.0) -> Path:
    """A series of noise."""
    folder.mkdir()
    for k in range(slices):
        noise = rng.integers(0, 2000, (128, 128)).astype(np.int16)
        save_slice(
            folder,
            k,
            (0, tilt * k, 2.0 * k),
            edit=lambda data, noise=noise: setattr(data, "PixelData", noise.tobytes()),
        )
    return folder


@pytest.mark.parametrize(
    ("tilt", "suffix", "is_told"), [(0.6, ".nii.gz", True), (0.6, ".seg.nrrd", False), (0, ".nii", False)]
)
def test_a_sheared_grid_in_nifti_is_told(kprism, weights, tmp_path, rng, tilt, suffix, is_told) -> None:
    series, output = ct(tmp_path / "ct", rng, tilt=tilt), tmp_path / f"out{suffix}"
    options = ("segment", series, "-o", output, "--class", "liver", "--model", weights)
    warning = json.loads(kprism(*options, "--json").out)["warning"]
    assert (SHEARED in (warning or "")) == is_told
    assert (SHEARED in kprism(*options).err) == is_told
    np.testing.assert_allclose(read_volume(output).ijk_to_ras, read_volume(series).ijk_to_ras, atol=1e-4)


def test_a_mask_of_sheared_nifti_lies_on_it_and_nothing_is_told(kprism, volume, weights, tmp_path) -> None:
    done = kprism("segment", volume, "-o", tmp_path / "out.nii", "--class", "liver", "--model", weights)
    assert done.status == 0
    assert "grid is sheared" not in done.err


def test_a_single_slice_has_an_area_in_a_batch_as_well(batch, tmp_path, rng) -> None:
    told = batch(ct(tmp_path / "ct", rng, slices=1)).err
    (record,) = read_manifest(tmp_path / "results").values()
    (segment,) = record["segments"]
    assert segment["millilitres"] is None
    assert segment["mm2"] == pytest.approx(segment["voxels"] * 0.8 * 0.6)
    assert f"Liver {segment['mm2']:.1f} mm2 (" in told


def test_a_series_without_positions_stays_one_and_has_no_millimetres(batch, tmp_path, rng) -> None:
    series = ct(tmp_path / "ct", rng)
    for path in series.iterdir():
        data = pydicom.dcmread(path)
        del data.ImagePositionPatient
        data.save_as(path)
    assert " voxels (" in batch(series).err
    (record,) = read_manifest(tmp_path / "results").values()
    assert record["slices"] == 3
    assert record["segments"][0]["millilitres"] is None
    assert "mm2" not in record["segments"][0]


@pytest.mark.parametrize("output", ["out.nii", "out"])
def test_a_spacing_of_zero_is_one_sentence_and_nibabel_is_silent(kprism, weights, tmp_path, caplog, output) -> None:
    nibabel.save(nibabel.Nifti1Image(np.ones((20, 30, 3), np.uint8), np.eye(4)), tmp_path / "good.nii")
    content = bytearray((tmp_path / "good.nii").read_bytes())
    content[80:84] = bytes(4)  # pixdim[1]
    bad = tmp_path / "bad.nii"
    bad.write_bytes(content)
    done = kprism("segment", bad, "-o", tmp_path / output, "--class", "liver", "--model", weights)
    assert done.status != 0
    assert "bad.nii has a geometry with no volume" in done.err
    # What nibabel logs goes to the standard error that was there when it was imported.
    assert not caplog.records


def test_one_slice_of_a_volume_has_an_area_in_a_folder_run_too(
    kprism: Callable[..., Outcome], volume: Path, weights: Path, tmp_path: Path
) -> None:
    arguments = ("segment", volume, "--class", "liver", "--slice", 2, "--model", weights)
    told = kprism(*arguments, "-o", tmp_path / "results").err
    (record,) = read_manifest(tmp_path / "results").values()
    (segment,) = record["segments"]
    alone = json.loads(kprism(*arguments, "-o", tmp_path / "out.nii.gz", "--json").out)["segments"][0]
    assert segment["millilitres"] is None
    assert segment["voxels"] == alone["pixels"] > 0
    assert segment["mm2"] == pytest.approx(alone["mm2"])
    assert f"Liver {segment['mm2']:.1f} mm2" in told


def test_the_only_slice_of_an_image_has_an_area_when_it_is_carried_on_as_well(
    kprism: Callable[..., Outcome], weights: Path, tmp_path: Path, rng: np.random.Generator
) -> None:
    image = save_volume(tmp_path / "one.nii.gz", blob((30, 20), rng)[None].astype(np.int16))
    arguments = ("segment", image, "-o", tmp_path / "out.nii.gz", "--class", "liver", "--model", weights)
    plain, carried = kprism(*arguments).err, kprism(*arguments, "--propagate").err
    amount = next(line for line in plain.splitlines() if line.startswith("Liver: "))
    assert amount.endswith("mm2")
    assert amount in carried.splitlines()
