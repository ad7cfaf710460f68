"""``kprism segment --propagate``."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from KPrismLib import Predictor
from KPrismLib.imaging.labels import read_label_volume
from KPrismLib.imaging.planes import Plane
from KPrismLib.imaging.reading import read_volume
from KPrismLib.intensity import window_for
from KPrismLib.specialist import Specialist
from KPrismLib.volumes import Propagation, VolumeStack, class_guidance
from Testing.engine.command.tiny_inputs import save_volume


def _expected(
    volume: Path,
    weights: Path,
    seeds: dict[int, np.ndarray],
    first: int = 0,
    last: int | None = None,
    *,
    learn: bool = False,
):
    """The same by the library: (propagation, label array)."""
    image = read_volume(volume)
    stack = VolumeStack(image, Plane.AXIAL)
    run = Propagation(Predictor.load(weights, device="cpu"), stack, window=window_for(image.array))
    for index, mask in seeds.items():
        run.accept(index, mask)
    for _ in run.learn() if learn else ():
        pass
    for _ in run.propagate(first, last):
        pass
    labels = np.zeros(image.shape, np.uint8)
    for index, found in run.results.items():
        stack.place(index).paste(found.mask, into=labels)
    return run, labels


def _slice_of_mask(volume: Path, volume_mask: Path, index: int) -> np.ndarray:
    return VolumeStack(read_volume(volume)).place(index).extract(read_label_volume(volume_mask).array == 1)


def test_a_drawn_slice_is_carried_through_the_volume(propagate, volume, volume_mask, weights) -> None:
    result, facts, labels = propagate("--mask", volume_mask, "--mask-label", 1, "--slice", 3, "--json")
    assert result.status == 0, result.err
    run, expected = _expected(volume, weights, {3: _slice_of_mask(volume, volume_mask, 3)})
    np.testing.assert_array_equal(labels, expected)
    carried = facts["propagation"]
    assert carried["from"] == [3]
    assert {one["slice"]: one["confidence"] for one in carried["slices"]} == {
        index: pytest.approx(found.confidence, abs=1e-4) for index, found in run.results.items()
    }
    assert carried["least_certain"] == run.least_certain()
    assert {one["slice"]: one["pixels"] for one in carried["slices"]}[3] == 100


def test_a_drawn_slice_in_which_there_is_nothing_to_see_is_named(propagate, tmp_path) -> None:
    drawn = np.zeros((5, 30, 20), np.uint8)
    drawn[[0, 3], 5:15, 5:15] = 1  # the first slice of the volume is empty
    result, *_ = propagate("--mask", save_volume(tmp_path / "drawn.nii.gz", drawn), "--slice", "all")
    assert result.status == 1
    assert "Slice 0 has a mask, but every pixel of it is 0" in result.err.splitlines()[-1]


def test_without_a_slice_every_drawn_slice_counts(propagate, volume, volume_mask, weights) -> None:
    _, facts, labels = propagate("--mask", volume_mask, "--mask-label", 1, "--json")
    seeds = {index: _slice_of_mask(volume, volume_mask, index) for index in (2, 3)}
    assert facts["propagation"]["from"] == [2, 3]
    np.testing.assert_array_equal(labels, _expected(volume, weights, seeds)[1])


def test_drawn_slices_are_learned_from_first(propagate, volume, volume_mask, weights, monkeypatch) -> None:
    monkeypatch.setattr(class_guidance, "Specialist", partial(Specialist, steps=8))
    drawn = ("--mask", volume_mask, "--mask-label", 1, "--json")
    _, plain, without = propagate(*drawn)
    result, facts, labels = propagate(*drawn, "--learn")
    assert result.status == 0, result.err
    for fact in ("learned", "guided"):
        assert (plain["propagation"][fact], facts["propagation"][fact]) == (False, True)
    assert "--learn finds more" in propagate(*drawn[:-1])[0].err
    assert "--learn finds more" not in propagate(*drawn[:-1], "--learn")[0].err
    seeds = {index: _slice_of_mask(volume, volume_mask, index) for index in (2, 3)}
    np.testing.assert_array_equal(labels, _expected(volume, weights, seeds, learn=True)[1])
    assert not np.array_equal(labels, without)
    for index, mask in seeds.items():
        np.testing.assert_array_equal(VolumeStack(read_volume(volume)).place(index).extract(labels) == 1, mask)


def test_a_clicked_slice_is_carried_on(propagate, kprism, volume, weights, tmp_path) -> None:
    prompts = ("--slice", 2, "--click", "10,10,+", "--scribble", "8,8 12,12,+")
    _, facts, labels = propagate(*prompts, "--json")
    alone = tmp_path / "alone.nii.gz"
    kprism("segment", volume, "-o", alone, *prompts, "--model", weights)
    place = VolumeStack(read_volume(volume)).place(2)
    mask = place.extract(read_label_volume(alone).array)
    assert mask.any()
    np.testing.assert_array_equal(place.extract(labels), mask)
    np.testing.assert_array_equal(labels, _expected(volume, weights, {2: mask != 0})[1])
    assert facts["prompts"] == 2


def test_clicks_are_drawn_on_the_slice_in_which_they_lie_and_on_no_other(propagate, tmp_path, monkeypatch) -> None:
    drawn: list[tuple[str, int]] = []

    def render(*_: object, title: str, clicks: list[object], **__: object) -> np.ndarray:
        drawn.append((title, len(clicks)))
        return np.zeros((4, 4, 3), np.uint8)

    monkeypatch.setattr("KPrismLib.command.outputs.render_overlay", render)
    for fullest in (2, 3):
        monkeypatch.setattr(
            "KPrismLib.command.label_map.LabelMap.fullest",
            lambda result, index=fullest: next(place for place in result.places if place.index == index),
        )
        result, *_ = propagate("--slice", 2, "--click", "10,10,+", "--overlay", tmp_path / "o.png")
        assert result.status == 0, result.err
    assert drawn == [("Segment_1 in axial slice 2", 1), ("Segment_1 in axial slice 3", 0)]


def test_only_the_range_is_segmented(propagate, volume, volume_mask, weights) -> None:
    arguments = ("--mask", volume_mask, "--mask-label", 1, "--slice", 3, "--from", 2, "--to", 3)
    _, facts, labels = propagate(*arguments, "--json")
    assert facts["slices"] == [2, 3]
    np.testing.assert_array_equal(
        labels, _expected(volume, weights, {3: _slice_of_mask(volume, volume_mask, 3)}, 2, 3)[1]
    )


def test_what_is_drawn_outside_the_range_is_an_example_and_not_written(
    propagate, volume, volume_mask, weights, tmp_path
) -> None:
    drawn = np.zeros((5, 30, 20), np.uint8)
    drawn[[1, 2, 4], 5:9, 5:9] = 1
    mask = save_volume(tmp_path / "drawn.nii.gz", drawn)
    _, facts, labels = propagate("--mask", mask, "--from", 2, "--to", 3, "--json")
    seeds = {index: _slice_of_mask(volume, mask, index) for index in (1, 2, 4)}
    run, expected = _expected(volume, weights, seeds, 2, 3)
    assert sorted(run.results) == [1, 2, 3, 4]
    np.testing.assert_array_equal(labels[2:4], expected[2:4])
    assert not labels[[0, 1, 4]].any()
    assert facts["slices"] == [one["slice"] for one in facts["propagation"]["slices"]] == [2, 3]
    assert facts["propagation"]["from"] == [1, 2, 4]
    assert facts["mask_area"] == expected[2:4].sum()


def test_people_read_the_confidence_of_each_slice(propagate, volume_mask) -> None:
    result, *_ = propagate("--mask", volume_mask, "--mask-label", 1, "--slice", 3)
    assert result.status == 0
    assert "confidence" in result.out
    assert "start" in result.out
    assert "Most pixels in doubt: slice" in result.err


def test_a_class_names_the_structure(propagate, monkeypatch) -> None:
    monkeypatch.setattr(
        "KPrismLib.command.label_map.merge", lambda probabilities: np.ones(probabilities[0].shape, np.uint8)
    )
    result, facts, _ = propagate("--class", "liver", "--json", output="out.seg.nrrd")
    assert "Starting from axial slice 2, the middle" in result.err
    assert facts["propagation"]["from"] == [2]
    assert facts["segments"][0]["name"] == "Liver"
    told: list[object] = []
    monkeypatch.setattr(
        "KPrismLib.command.propagate_run.Propagation",
        lambda *given, cls, **settings: (told.append(cls), Propagation(*given, cls=cls, **settings))[1],
    )
    _, facts, _ = propagate("--class", "liver", "--from", 3, "--json")
    assert facts["propagation"]["from"] == [3]  # the middle of the range
    propagate("--slice", 2, "--click", "10,10,+")
    assert told == ["liver", None]  # what the model knows of a class goes along


def test_an_empty_slice_has_nothing_to_carry_on(propagate, monkeypatch) -> None:
    monkeypatch.setattr(
        "KPrismLib.command.label_map.merge", lambda probabilities: np.zeros(probabilities[0].shape, np.uint8)
    )
    result, _, labels = propagate("--class", "liver", "--slice", 2)
    assert "Nothing was found in axial slice 2" in result.sentence
    assert labels is None


def test_a_volume_of_one_slice_keeps_it(kprism, weights, tmp_path, rng) -> None:
    image = save_volume(tmp_path / "one.nii.gz", rng.integers(0, 900, (1, 24, 20)).astype(np.int16))
    drawn = np.zeros((1, 24, 20), np.uint8)
    drawn[0, 3:9, 4:9] = 1
    mask = save_volume(tmp_path / "mask.nii.gz", drawn)
    output = tmp_path / "out.nii.gz"
    result = kprism("segment", image, "-o", output, "--propagate", "--mask", mask, "--model", weights, "--json")
    assert result.status == 0, result.err
    assert json.loads(result.out)["propagation"]["least_certain"] is None
    np.testing.assert_array_equal(read_label_volume(output).array, drawn)


def test_what_does_not_go_together_is_a_sentence(propagate, kprism, volume, volume_mask, weights, tmp_path) -> None:
    def refused(*arguments: object) -> str:
        result, _, labels = propagate(*arguments)
        assert result.status == 1
        assert labels is None
        return result.err.strip().splitlines()[-1]

    drawn = ("--mask", volume_mask, "--mask-label", 1)
    assert "leave out --class" in refused(*drawn, "--class", "liver")
    assert "give a single --class" in refused("--class", "liver", "--class", "spleen", "--slice", 2)
    assert "starts from one slice" in refused("--class", "liver", "--slice", "all")
    assert "there is no --mask" in refused("--class", "liver", "--mask-label", 1)
    assert "lies behind" in refused(*drawn, "--from", 3, "--to", 2)
    assert "choose one from 0 to 4" in refused(*drawn, "--to", 9)
    assert "choose one from 0 to 4" in refused(*drawn, "--from", -1)
    assert "shows nothing in axial slice 1" in refused(*drawn, "--slice", 1)
    assert "known in slice 2 to 3, outside the range 0 to 1" in refused(*drawn, "--to", 1)
    assert "known in slice 4, outside the range 1 to 2" in refused(
        "--class", "liver", "--slice", 4, "--from", 1, "--to", 2
    )
    assert "leave out --probability" in refused(*drawn, "--probability", tmp_path / "p.nii.gz")
    assert "Nothing says what to segment" in refused()
    shifted = save_volume(tmp_path / "short.nii", np.ones((4, 30, 20), np.uint8))
    assert "differ in size" in refused("--mask", shifted)
    learning = ("-o", tmp_path / "x.nii", "--class", "liver", "--learn")
    for arguments in (learning, ("-o", tmp_path / "x.nii", *drawn), ("-o", tmp_path, "--propagate", *drawn)):
        assert kprism("segment", volume, *arguments, "--model", weights).status == 2
