"""``--best``: of all slices of the references those that suit each slice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from KPrismLib.batch.manifest import read_manifest
from KPrismLib.command.best_references import BestReferences, Example
from KPrismLib.imaging.labels import read_label_volume
from KPrismLib.imaging.planes import Plane, pixel_spacing, placement
from KPrismLib.imaging.reading import read_volume
from KPrismLib.intensity import window_for
from KPrismLib.predictor import Predictor
from KPrismLib.volumes import LibrarySlice, ReferenceLibrary, Suggestion
from Testing.engine.command.conftest import Outcome
from Testing.engine.command.tiny_inputs import blob, save_volume
from Testing.engine.predictor.tiny_predictor import disk, picture, tiny_predictor

Run = Callable[..., Outcome]


@pytest.fixture
def known(tmp_path: Path, rng: np.random.Generator) -> tuple[Path, Path]:
    """A volume of 4 slices with the structure in slices 1 to 3; slice 2 is padding."""
    voxels = np.stack([blob((30, 20), rng).astype(np.int16) * 7 for _ in range(4)])
    mask = np.zeros((4, 30, 20), np.uint8)
    mask[1:, 8:18, 5:12] = 1
    mask[3, 20:25, 5:12] = 1
    voxels[2] = 0
    return save_volume(tmp_path / "known.nii.gz", voxels), save_volume(tmp_path / "known-mask.nii.gz", mask)


def test_each_slice_is_segmented_by_what_the_library_suggests_for_it(
    kprism: Run, volume: Path, volume_mask: Path, known: tuple[Path, Path], weights: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out.nii.gz"
    references = ("--reference", *known, "--reference", volume, volume_mask, "--best", 2)
    result = kprism("segment", volume, "-o", output, *references, "--slice", "all", "--model", weights, "--json")
    assert result.status == 0, result.err
    chosen: dict[int, list[tuple[str, int]]] = {}
    for one in json.loads(result.out)["references"]:
        chosen.setdefault(one["slice"], []).append((Path(one["image"]).name, one["reference_slice"]))
    assert set(chosen) == {1, 2, 3, 4}  # slice 0 is padding
    assert {name for names in chosen.values() for name, _ in names} <= {"known.nii.gz", "volume.nii.gz"}

    predictor = Predictor.load(weights, device="cpu")
    library = ReferenceLibrary(predictor)
    for image, mask in (known, (volume, volume_mask)):
        read, labels = read_volume(image), read_label_volume(mask).array
        window = window_for(read.array, modality=read.modality)
        for index in range(len(read.array)):
            if labels[index].any() and np.ptp(read.array[index]):
                place = placement(read, Plane.AXIAL, index)
                pair = (place.extract(read.array), place.extract(labels) != 0)
                one = LibrarySlice(image.name, index, "structure")
                (part,) = predictor.reference([pair], window=window, spacing=pixel_spacing(read, place)).parts
                library.add(one, part)
    read = read_volume(volume)
    window = window_for(read.array, modality=read.modality)
    found = read_label_volume(output)
    for index, names in chosen.items():
        place = placement(read, Plane.AXIAL, index)
        image = predictor.encode(place.extract(read.array), window=window, spacing=pixel_spacing(read, place))
        best = library.suggest(image, "structure", count=2)
        assert names == [(one.slice.case, one.slice.index) for one in best]
        expected = predictor.segment(image, reference=predictor.combine([one.reference for one in best]))
        np.testing.assert_array_equal(place.extract(found.array) != 0, expected.mask)


@pytest.mark.parametrize(
    ("names", "told"),
    [(["liver", "Liver (whole)"], "liver"), (["liver", "spleen"], None), (["liver", None], None), ([None], None)],
)
def test_the_class_that_all_references_are_named_after_helps_to_choose(
    names: list[str | None], told: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor, asked = tiny_predictor(), []
    best = BestReferences(predictor, 1)
    for number, name in enumerate(names):
        (part,) = predictor.reference([(picture(phase=0.1 * number), disk())]).parts
        best.add(Example(Path("a.png"), Path("m.png"), None, number), part, kind=None, name=name)
    suggest = ReferenceLibrary.suggest

    def spied(library: ReferenceLibrary, *given: Any, cls: str | None, **how: Any) -> list[Suggestion]:
        asked.append(cls)
        return suggest(library, *given, cls=cls, **how)

    monkeypatch.setattr(ReferenceLibrary, "suggest", spied)
    assert len(best.choose(predictor.encode(picture()), kind=None)[1]) == 1
    assert asked == [told]


def test_for_one_slice_it_says_which_examples_were_taken(
    kprism: Run, picture: Path, known: tuple[Path, Path], weights: Path, tmp_path: Path
) -> None:
    arguments = ("--reference", *known, "--best", 5, "--click", "5,5,-", "--model", weights)
    result = kprism("segment", picture, "-o", tmp_path / "out.png", *arguments)
    assert result.status == 0, result.err
    # Of the three slices that show it one is padding.
    told = next(line for line in result.err.splitlines() if "By the example of" in line)
    assert sorted(told.removeprefix("By the example of ").removesuffix(".").split(", ")) == [
        "known.nii.gz slice 1",
        "known.nii.gz slice 3",
    ]


def test_the_manifest_names_them_as_the_single_image_does(
    kprism: Run, volume: Path, known: tuple[Path, Path], weights: Path, tmp_path: Path
) -> None:
    (tmp_path / "scans").mkdir()
    scan = shutil.copy(volume, tmp_path / "scans")
    arguments = ("--reference", *known, "--best", 2, "--slice", "all", "--model", weights, "--json")
    alone = json.loads(kprism("segment", scan, "-o", tmp_path / "out.nii.gz", *arguments).out)["references"]
    assert {one["slice"] for one in alone} == {1, 2, 3, 4}
    (told,) = json.loads(kprism("segment", tmp_path / "scans", "-o", tmp_path / "results", *arguments).out)["cases"]
    assert told["references"] == alone
    assert read_manifest(tmp_path / "results")["volume"]["references"] == alone


def test_of_the_slice_that_is_carried_on_they_are_named(
    kprism: Run, volume: Path, known: tuple[Path, Path], weights: Path, tmp_path: Path
) -> None:
    arguments = ("segment", volume, "-o", tmp_path / "out.nii.gz", "--reference", *known, "--best", 2, "--slice", 3)
    alone = kprism(*arguments, "--model", weights, "--json")
    chosen = json.loads(alone.out)["references"]
    assert sorted(one["reference_slice"] for one in chosen) == [1, 3]
    carried = kprism(*arguments, "--propagate", "--model", weights, "--json")
    assert json.loads(carried.out)["references"] == chosen
    first, second = (f"known.nii.gz slice {one['reference_slice']}" for one in chosen)
    told = f"By the example of {first}, {second}."
    assert told in kprism(*arguments, "--propagate", "--model", weights).err.splitlines()


def test_it_needs_references_and_chooses_their_slices_itself(
    kprism: Run, volume: Path, known: tuple[Path, Path], weights: Path, tmp_path: Path
) -> None:
    def refused(*arguments: object) -> str:
        result = kprism("segment", volume, "-o", tmp_path / "no.nii.gz", "--slice", 2, "--model", weights, *arguments)
        assert result.status == 1
        assert not (tmp_path / "no.nii.gz").exists()
        return result.sentence

    assert "give --reference" in refused("--class", "liver", "--best", 3)
    assert "which chooses slices" in refused("--reference", *known, "--reference-slice", 1, "--best", 3)
    assert "--best must be from 1 to" in refused("--reference", *known, "--best", 0)
    drawn = np.zeros((5, 30, 20), np.uint8)
    drawn[0, 8:18, 5:12] = 1  # where the volume is padding
    padding = save_volume(tmp_path / "padding.nii.gz", drawn)
    assert "No slice of the references" in refused("--reference", volume, padding, "--best", 1)
    assert "--class alone" in refused("--reference", *known, "--every-piece")


def test_masks_of_one_image_are_examples_each_in_whatever_order(
    kprism: Run, volume: Path, known: tuple[Path, Path], weights: Path, tmp_path: Path
) -> None:
    """Two labels, or two files; the first one's slices are not all there is."""
    image, mask = known
    labels = np.zeros((4, 30, 20), np.uint8)
    labels[1:, 8:18, 2:9] = 3
    labels[1:, 8:18, 11:18] = 4
    both = save_volume(tmp_path / "both.nii.gz", labels)

    def chosen(*references: object) -> tuple[set[tuple[str, str | None, int]], bytes, str]:
        output = tmp_path / "out.nii.gz"
        arguments = ("segment", volume, "-o", output, "--slice", 2, "--best", 32, "--model", weights, *references)
        facts = json.loads(kprism(*arguments, "--json").out)["references"]
        told = kprism(*arguments).err
        return (
            {(Path(one["mask"]).name, one["label"], one["reference_slice"]) for one in facts},
            read_label_volume(output).array.tobytes(),
            told,
        )

    twice = ("--reference", image, both, "--reference", image, both)
    one_way = chosen(*twice, "--reference-label", 3, "--reference-label", 4)
    other_way = chosen(*twice, "--reference-label", 4, "--reference-label", 3)
    assert one_way[0] == {("both.nii.gz", label, index) for label in ("3", "4") for index in (1, 3)}  # 2 is padding
    assert one_way[:2] == other_way[:2]
    assert "known.nii.gz slice 1 (both.nii.gz, label 3)" in one_way[2]
    assert "known.nii.gz slice 1 (both.nii.gz, label 4)" in one_way[2]
    files, _, told = chosen("--reference", image, mask, "--reference", image, both)
    assert files == {(name, None, index) for name in ("known-mask.nii.gz", "both.nii.gz") for index in (1, 3)}
    assert "known.nii.gz slice 3 (known-mask.nii.gz)" in told
    again, _, _ = chosen("--reference", image, mask, "--reference", image, mask)
    assert again == {("known-mask.nii.gz", None, index) for index in (1, 3)}
