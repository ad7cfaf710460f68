"""In which plane of a reference volume the example for an image is taken."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from KPrismLib.command import references
from KPrismLib.command.segment_request import Request
from KPrismLib.imaging.planes import Plane
from Testing.engine.command.tiny_inputs import save_picture


@pytest.fixture
def cut(volume: Path, volume_mask: Path, tmp_path: Path):
    """Gives the paths of one coronal or sagittal slice of the volume and of its mask, in a folder by themselves."""

    def one(plane: str) -> tuple[Path, Path]:
        axis = ("sagittal", "coronal", "axial").index(plane)
        paths = []
        for source in (volume, volume_mask):
            whole = nibabel.load(source)
            flat = np.expand_dims(np.take(np.asarray(whole.dataobj), 3 if plane == "axial" else 6, axis=axis), axis)
            paths.append(tmp_path / plane / ("image" if source == volume else "mask") / "one.nii.gz")
            paths[-1].parent.mkdir(parents=True, exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(flat, whole.affine), paths[-1])
        return paths[0], paths[1]

    return one


@pytest.fixture
def shown(monkeypatch) -> list[tuple[int, ...]]:
    """The sizes of the examples that are encoded."""
    sizes: list[tuple[int, ...]] = []
    check = references.check_reference

    def checked(pixels, mask) -> None:
        sizes.append(mask.shape)
        check(pixels, mask)

    monkeypatch.setattr(references, "check_reference", checked)
    return sizes


@pytest.fixture
def by_example(kprism, volume, volume_mask, weights, tmp_path):
    def run(image: Path, *arguments: object, example=(volume, volume_mask), output: str = "o.nii.gz"):
        given = ("--reference", *example, "--model", weights, "--json", *arguments)
        result = kprism("segment", image, "-o", tmp_path / output, *given)
        assert result.status == 0, result.err
        return json.loads(result.out), (tmp_path / output)

    return run


SIZES = {"coronal": (5, 20), "sagittal": (5, 30)}


@pytest.mark.parametrize("plane", ["coronal", "sagittal"])
def test_the_example_of_a_single_slice_lies_in_its_plane(by_example, cut, shown, plane) -> None:
    facts, output = by_example(cut(plane)[0])
    assert shown == [SIZES[plane]]
    assert facts["plane"] == plane
    assert "reference is" not in str(facts["warning"])
    found = output.read_bytes()
    by_example(cut(plane)[0], "--plane", plane)
    assert output.read_bytes() == found


def test_also_where_the_best_are_chosen_and_where_it_is_carried_on(by_example, cut, shown) -> None:
    by_example(cut("coronal")[0], "--best", 2)
    assert set(shown) == {SIZES["coronal"]}
    shown.clear()
    by_example(cut("coronal")[0], "--propagate", "--slice", 0)
    assert shown == [SIZES["coronal"]]


def test_each_image_of_a_folder_has_examples_of_its_plane(by_example, cut, shown, volume, tmp_path) -> None:
    alone = {plane: by_example(cut(plane)[0])[1].read_bytes() for plane in SIZES}
    shown.clear()
    both = [cut(plane)[0].rename(tmp_path / f"{plane}.nii.gz") for plane in SIZES]
    facts, output = by_example(volume, *both, "--format", "nii.gz", output="many")
    assert sorted(shown) == sorted([(30, 20), *SIZES.values()])
    assert {case["case"]: case["plane"] for case in facts["cases"]} == {name: name for name in SIZES} | {
        "volume": "axial"
    }
    assert {plane: (output / f"{plane}.nii.gz").read_bytes() for plane in SIZES} == alone


def test_a_reference_of_one_slice_keeps_its_plane_and_that_is_told(
    by_example, cut, shown, volume, picture, picture_mask
) -> None:
    facts, _ = by_example(cut("coronal")[0], example=cut("axial"))
    assert shown == [(30, 20)]
    assert facts["warning"].startswith("The image is coronal but a reference is axial, so look at the result with care")
    facts, _ = by_example(volume, example=cut("coronal"))
    assert "The image is axial but a reference is coronal" in facts["warning"]
    # Nobody knows the plane of a picture.
    assert "reference is" not in str(by_example(cut("coronal")[0], example=(picture, picture_mask))[0]["warning"])
    assert "reference is" not in str(by_example(picture, example=cut("coronal"))[0]["warning"])


def test_a_picture_as_reference_has_only_its_own_plane(tmp_path) -> None:
    image = save_picture(tmp_path / "a.png", np.eye(6, dtype=np.uint8) * 200)
    mask = save_picture(tmp_path / "m.png", np.eye(6, dtype=np.uint8) * 255)
    request = Request(references=(references.ReferenceFile(image, mask),))
    (read,) = references.read_references(
        request.references, plane=None, image_plane=Plane.CORONAL, window="auto", every_slice=False
    )
    assert read.plane is None
