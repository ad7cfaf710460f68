"""What ``kprism segment`` writes."""

from __future__ import annotations

import gzip
import json

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
import typer
from PIL import Image

from KPrismLib import Predictor
from KPrismLib.command.segment import split_pairs
from KPrismLib.imaging.labels import read_label_volume
from KPrismLib.imaging.planes import Plane, placement
from KPrismLib.imaging.reading import read_volume
from KPrismLib.imaging.segmentation_file import Segment, write_segmentation
from KPrismLib.intensity import window_for
from KPrismLib.volumes.merging import merge
from Testing.engine.command.tiny_inputs import save_picture, save_volume
from Testing.engine.imaging.tiny_dicom import save_slice


def test_class_on_a_picture_is_what_the_predictor_says(kprism, picture, weights, tmp_path) -> None:
    result = kprism("segment", picture, "-o", tmp_path / "out.png", "--class", "liver", "--model", weights, "--json")
    facts = json.loads(result.out)
    predictor = Predictor.load(weights, device="cpu")
    pixels = np.asarray(Image.open(picture))
    mask = predictor.segment(predictor.encode(pixels, window=window_for(pixels)), cls="liver").mask
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.png")), mask * 255)
    assert result.status == 0
    assert facts["mask_area"] == mask.sum()
    assert facts["mask_mm2"] is None
    assert facts["window"] == {"low": 0.0, "high": 255.0, "rule": "identity"}
    assert facts["device"] == "cpu"
    assert facts["milliseconds"] > 0


@pytest.mark.parametrize("suffix", [".seg.nrrd", ".nii.gz", ".nii", ".nrrd", ".mha"])
def test_geometry_survives_every_format(kprism, volume, weights, tmp_path, suffix) -> None:
    output = tmp_path / f"out{suffix}"
    result = kprism("segment", volume, "-o", output, "--class", "liver", "--slice", 2, "--model", weights)
    assert result.status == 0, result.err
    written, source = read_label_volume(output), read_volume(volume)
    assert written.shape == source.shape
    np.testing.assert_allclose(written.ijk_to_ras, source.ijk_to_ras, atol=1e-6)


def test_a_class_on_a_volume_takes_all_slices_and_says_so(kprism, volume, weights, tmp_path) -> None:
    output = tmp_path / "out.nii.gz"
    result = kprism("segment", volume, "-o", output, "--class", "liver", "--model", weights, "--json")
    facts = json.loads(result.out)
    assert "all 5 axial slices" in result.err
    assert facts["slices"] == [0, 1, 2, 3, 4]
    labels = nibabel.load(output).get_fdata()
    assert not labels[..., 0].any()  # constant: nothing to see, but no reason to fail
    assert facts["mask_mm3"] == pytest.approx(labels.sum() * abs(np.linalg.det(nibabel.load(volume).affine)), rel=1e-3)


def test_slices_are_windowed_as_one_volume(kprism, volume, weights, tmp_path) -> None:
    whole = tmp_path / "whole.nii.gz"
    kprism("segment", volume, "-o", whole, "--class", "liver", "--every-piece", "--model", weights)
    for index in (1, 3):
        single = tmp_path / f"{index}.nii.gz"
        kprism("segment", volume, "-o", single, "--class", "liver", "--slice", index, "--model", weights)
        place = placement(read_volume(volume), Plane.AXIAL, index)
        expected, found = (place.extract(read_label_volume(path).array) for path in (whole, single))
        np.testing.assert_array_equal(found, expected)


def test_several_classes_become_segments_with_names_and_codes(kprism, volume, weights, tmp_path) -> None:
    output = tmp_path / "out.seg.nrrd"
    arguments = ("--class", "spleen", "--class", "Liver", "--class", "spleen", "--slice", 1, "--model", weights)
    assert kprism("segment", volume, "-o", output, *arguments).status == 0
    header = sitk.ReadImage(str(output))
    assert [header.GetMetaData(f"Segment{n}_Name") for n in (0, 1)] == ["Spleen", "Liver"]
    assert "10200004" in header.GetMetaData("Segment1_Tags")
    assert not header.HasMetaDataKey("Segment2_Name")


def test_where_structures_overlap_the_more_probable_one_wins() -> None:
    first = np.array([[0.9, 0.6, 0.2, 0.5]], np.float32)
    second = np.array([[0.8, 0.7, 0.4, 0.5]], np.float32)
    np.testing.assert_array_equal(merge([first, second]), [[1, 2, 0, 1]])


def test_clicks_and_scribbles_act_in_the_order_given(kprism, picture, weights, tmp_path) -> None:
    output = tmp_path / "out.nii.gz"
    prompts = ("--click", "12,25,+", "--scribble", "5,5 9,5 9,12,-", "--click=30,40,-", "--scribble", "13,20 13,30,+")
    result = kprism("segment", picture, "-o", output, *prompts, "--model", weights, "--json")
    predictor = Predictor.load(weights, device="cpu")
    session = predictor.session(predictor.encode(np.asarray(Image.open(picture))))
    session.click(12, 25)
    session.scribble([(5, 5), (9, 5), (9, 12)], positive=False)
    session.click(30, 40, positive=False)
    session.scribble([(13, 20), (13, 30)])
    np.testing.assert_array_equal(read_label_volume(output).array[0] != 0, session.mask)
    facts = json.loads(result.out)
    assert facts["prompts"] == 4
    assert facts["segments"][0]["name"] == "Segment_1"


def test_clicks_on_a_volume_take_the_middle_slice_and_say_so(kprism, volume, weights, tmp_path) -> None:
    arguments = ("-o", tmp_path / "out.nii.gz", "--click", "2,5,+", "--plane", "coronal", "--model", weights)
    result = kprism("segment", volume, *arguments)
    assert result.status == 0
    assert "coronal slice 15, the middle of 0 to 29" in result.err


def test_a_reference_uses_its_largest_slice_and_the_name_of_its_label(
    kprism, volume, volume_mask, weights, tmp_path
) -> None:
    outputs = []
    for extra in ((), ("--reference-slice", 3)):
        outputs.append(tmp_path / f"{len(extra)}.nii.gz")
        arguments = ("--reference", volume, volume_mask, "--reference-label", 1, "--slice", 2, *extra)
        result = kprism("segment", volume, "-o", outputs[-1], *arguments, "--model", weights, "--json")
        assert result.status == 0, result.err
        assert json.loads(result.out)["segments"][0]["name"] == "Segment_1"
    np.testing.assert_array_equal(*(read_label_volume(path).array for path in outputs))


def test_a_segmentation_serves_as_reference_by_name(kprism, volume, weights, tmp_path) -> None:
    first = tmp_path / "first.seg.nrrd"
    both = ("--class", "liver", "--class", "spleen")
    facts = json.loads(kprism("segment", volume, "-o", first, *both, "--model", weights, "--json").out)
    name = max(facts["segments"], key=lambda segment: segment["pixels"])["name"]
    arguments = ("--reference", volume, first, "--reference-label", name.lower(), "--slice", "all")
    result = kprism("segment", volume, "-o", tmp_path / "second.nrrd", *arguments, "--model", weights, "--json")
    facts = json.loads(result.out)
    assert facts["segments"][0]["name"] == name
    assert len(facts["slices"]) == 5


def test_several_references_of_several_sizes(
    kprism, picture, picture_mask, volume, volume_mask, weights, tmp_path
) -> None:
    arguments = ("--reference", picture, picture_mask, "--reference", volume, volume_mask, "--click", "3,3,-")
    result = kprism("segment", picture, "-o", tmp_path / "out.png", *arguments, "--model", weights)
    assert result.status == 0, result.err
    assert "labels.nii.gz has the labels 1 (label 1), 2 (label 2)" in result.err


def test_overlay_and_probability(kprism, volume, weights, tmp_path) -> None:
    overlay, probability, output = tmp_path / "o.png", tmp_path / "p.nii.gz", tmp_path / "s.nii.gz"
    arguments = ("--class", "liver", "--every-piece", "--overlay", overlay, "--probability", probability)
    arguments = (*arguments, "--model", weights)
    assert kprism("segment", volume, "-o", output, *arguments).status == 0
    image = nibabel.load(probability)
    np.testing.assert_allclose(image.affine, nibabel.load(volume).affine, atol=1e-6)
    np.testing.assert_array_equal(image.get_fdata() >= 0.5, nibabel.load(output).get_fdata() == 1)
    with Image.open(overlay) as drawn:
        assert max(drawn.size) >= 512


def test_probabilities_are_compressed_by_their_ending_in_any_letters(kprism, volume, weights, tmp_path) -> None:
    files = {}
    for name in ("p.nii.gz", "P.NII.GZ", "p.nii"):
        arguments = ("--class", "liver", "--class", "spleen", "--probability", tmp_path / name, "--model", weights)
        assert kprism("segment", volume, "-o", tmp_path / "s.nii", *arguments).status == 0
        files[name] = (tmp_path / name).read_bytes()
    assert files["P.NII.GZ"] == files["p.nii.gz"]
    assert gzip.decompress(files["p.nii.gz"]) == files["p.nii"]
    image = nibabel.load(tmp_path / "p.nii")
    assert image.shape == (*nibabel.load(volume).shape, 2)
    assert image.get_data_dtype() == np.float32


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.float32, np.float64])
def test_deep_data_works(kprism, weights, tmp_path, rng, dtype) -> None:
    image = sitk.GetImageFromArray((rng.normal(500, 90, (3, 20, 24))).astype(dtype))
    sitk.WriteImage(image, str(tmp_path / "deep.nrrd"))
    result = kprism(
        "segment", tmp_path / "deep.nrrd", "-o", tmp_path / "o.nii.gz", "--class", "liver", "--model", weights
    )
    assert result.status == 0, result.err


def test_three_by_three_pixels_work(kprism, weights, tmp_path) -> None:
    small = tmp_path / "small.png"
    Image.fromarray(np.arange(9, dtype=np.uint8).reshape(3, 3) * 20).save(small)
    arguments = ("--click", "1,1,+", "--overlay", tmp_path / "v.png", "--model", weights)
    result = kprism("segment", small, "-o", tmp_path / "out.png", *arguments)
    assert result.status == 0, result.err
    assert np.asarray(Image.open(tmp_path / "out.png")).shape == (3, 3)


def test_a_single_coronal_slice_is_shown_in_its_own_plane(kprism, weights, tmp_path, rng) -> None:
    voxels = rng.integers(0, 900, (30, 1, 20)).astype(np.int16)
    affine = np.diag([1.0, 4.0, 1.0, 1.0])
    affine_coronal = affine[:, [0, 2, 1, 3]]  # array k runs along the patient's back
    nibabel.save(nibabel.Nifti1Image(voxels.transpose(2, 0, 1), affine_coronal), tmp_path / "coronal.nii")
    arguments = ("--class", "liver", "--model", weights, "--json")
    result = kprism("segment", tmp_path / "coronal.nii", "-o", tmp_path / "o.png", *arguments)
    assert json.loads(result.out)["plane"] == "coronal"


def test_the_picture_of_a_slice_shows_it_as_clicks_and_overlays_do(kprism, weights, tmp_path, rng) -> None:
    voxels = rng.integers(0, 900, (1, 30, 20)).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(voxels.T, np.eye(4)), tmp_path / "ras.nii.gz")  # both axes against the display
    found = {}
    for name in ("o.png", "o.nii.gz"):
        arguments = ("-o", tmp_path / name, "--click", "4,6,+", "--model", weights)
        assert kprism("segment", tmp_path / "ras.nii.gz", *arguments).status == 0
        found[name] = read_label_volume(tmp_path / name).array[0]
    assert found["o.png"].any()
    np.testing.assert_array_equal(found["o.png"], found["o.nii.gz"][::-1, ::-1])
    by_example = []
    for name in found:
        arguments = ("--reference", tmp_path / "ras.nii.gz", tmp_path / name, "--model", weights)
        assert kprism("segment", tmp_path / "ras.nii.gz", "-o", tmp_path / "r.nii", *arguments).status == 0
        by_example.append((tmp_path / "r.nii").read_bytes())
    assert by_example[0] == by_example[1]


def test_one_slice_in_any_axis_of_the_file_is_its_own_plane(kprism, volume, weights, tmp_path) -> None:
    upright = nibabel.load(volume)
    for axis, plane in enumerate(("sagittal", "coronal", "axial")):
        flat = np.take(np.asarray(upright.dataobj), [9, 9, 3][axis], axis=axis)
        nibabel.save(nibabel.Nifti1Image(np.expand_dims(flat, axis), upright.affine), tmp_path / "one.nii.gz")
        result = kprism("segment", tmp_path / "one.nii.gz", "-o", tmp_path / "o.nii.gz", "--class", "liver",
                        "--model", weights, "--json")  # fmt: skip
        facts = json.loads(result.out)
        assert facts["plane"] == plane
        assert facts["slices"] == [0]


def test_a_reference_of_another_modality_is_told(kprism, volume, volume_mask, weights, tmp_path, rng) -> None:
    air = np.full((3, 30, 20), -1000, np.int16)
    air[:, 5:20, 4:15] = rng.integers(0, 300, (3, 15, 11))
    ct, colour = save_volume(tmp_path / "ct.nii.gz", air), save_picture(tmp_path / "c.png", np.eye(30, dtype=np.uint8))
    Image.fromarray(rng.integers(0, 255, (30, 30, 3), np.uint8)).save(tmp_path / "photo.png")
    arguments = ("--model", weights, "--json", "--reference")
    told = kprism("segment", ct, "-o", tmp_path / "o.nii.gz", *arguments, tmp_path / "photo.png", colour)
    sentence = "The image is CT but a reference is a colour picture"
    assert json.loads(told.out)["warning"].startswith(sentence)
    people = kprism("segment", ct, "-o", tmp_path / "o.nii.gz", *arguments[:2], *arguments[3:], tmp_path / "photo.png",
                    colour)  # fmt: skip
    assert sentence in people.err
    many = kprism("segment", ct, "-o", tmp_path / "many", *arguments, tmp_path / "photo.png", colour)
    assert json.loads(many.out)["cases"][0]["warning"].startswith(sentence)
    unknown = kprism("segment", ct, "-o", tmp_path / "o.nii.gz", *arguments, volume, volume_mask)
    assert "reference is" not in str(json.loads(unknown.out)["warning"])


def test_a_dicom_segmentation_that_was_written_serves_as_reference(kprism, weights, tmp_path, rng) -> None:
    def noisy(data) -> None:
        data.PixelData = rng.integers(1000, 1300, (128, 128)).astype(np.int16).tobytes()

    folder = tmp_path / "series"
    folder.mkdir()
    for number in range(3):
        save_slice(folder, number, (0, 0, 2 * number), edit=noisy)
    image = read_volume(folder)
    labels = np.zeros(image.shape, np.uint8)
    labels[2, 30:80, 40:60] = 1
    masks = [tmp_path / "mask.dcm", tmp_path / "mask.seg.nrrd"]
    for path in masks:
        write_segmentation(path, labels, [Segment.of_class("spleen", 1)], image)
    found = []
    for mask in masks:
        result = kprism("segment", folder, "-o", tmp_path / "o.nii.gz", "--model", weights, "--json", "--reference",
                        folder, mask)  # fmt: skip
        assert json.loads(result.out)["segments"][0]["name"] == "Spleen"
        found.append((tmp_path / "o.nii.gz").read_bytes())
    assert found[0] == found[1]


def test_pairs_are_split_wherever_they_stand() -> None:
    split = split_pairs(["--reference", "a", "b", "x", "--reference=c", "d"])
    assert split == ["--reference", "a", "--reference-mask", "b", "x", "--reference", "c", "--reference-mask", "d"]


@pytest.mark.parametrize("words", [["i", "-o", "x"], ["i", "--class", "x"], ["-o", "x", "y"], ["i"], [], ["", "m"]])
def test_an_option_is_no_image_and_no_mask(words) -> None:
    with pytest.raises(typer.BadParameter, match="IMAGE and its MASK"):
        split_pairs(["--reference", *words])
    assert split_pairs(["--reference", "i", "-"]) == ["--reference", "i", "--reference-mask", "-"]
