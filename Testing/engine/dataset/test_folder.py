"""Reading dataset folders: what comes out, and one sentence for everything that can be wrong."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from KPrismLib.dataset import DatasetFolder, index_slices
from KPrismLib.dataset.reading import whole_numbers
from KPrismLib.errors import InvalidDataset, InvalidMask
from KPrismLib.intensity import IntensityWindow, window_for
from Testing.engine.dataset.tiny_dataset import describe, listed, save, square, write_folder


def opened(path: Path, content: dict[str, Any], **arrays: np.ndarray) -> DatasetFolder:
    return DatasetFolder.open(write_folder(path, content, **arrays))


def test_lists_items_by_split_in_the_order_of_the_file(tmp_path: Path) -> None:
    items = [
        listed("b", split="train"),
        listed("a", patient="p2", slice=7),
        listed("c", patient="p3", split="external"),
    ]
    folder = opened(tmp_path, describe(items))
    assert folder.splits == ("train", "test", "external")
    assert [item.id for item in folder.items()] == ["b", "a", "c"]
    assert [item.id for item in folder.items("test")] == ["a"]
    assert folder.items("validation") == ()
    assert folder.items("test")[0].extras == {"slice": 7}


def test_a_grey_picture_is_one_slice(tmp_path: Path) -> None:
    folder = opened(tmp_path, describe([listed("a")]))
    (piece,) = folder.load(folder.items()[0])
    assert (piece.dataset, piece.item, piece.patient, piece.index) == ("Tiny", "a", "p1", 0)
    assert piece.pixels.dtype == np.uint8
    assert piece.labels.dtype == np.int32
    np.testing.assert_array_equal(piece.labels, square())
    np.testing.assert_array_equal(piece.pixels, square() * 100)


def test_a_colour_picture_keeps_its_channels(tmp_path: Path) -> None:
    colours = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    folder = opened(tmp_path, describe([listed("a")]), image_a=colours)
    np.testing.assert_array_equal(folder.load(folder.items()[0])[0].pixels, colours)


def test_transparency_is_dropped(tmp_path: Path) -> None:
    colours = np.full((4, 6, 4), 255, dtype=np.uint8)
    colours[..., 0] = 9
    folder = opened(tmp_path, describe([listed("a")]), image_a=colours)
    pixels = folder.load(folder.items()[0])[0].pixels
    assert pixels.shape == (4, 6, 3)
    assert (pixels == (9, 255, 255)).all()


def test_a_palette_mask_holds_indices_not_colours(tmp_path: Path) -> None:
    folder = opened(tmp_path, describe([listed("a")]))
    mask = Image.fromarray(square()).convert("P")
    mask.putpalette([200, 0, 0, 0, 200, 0])
    mask.putdata(square().ravel().tolist())
    mask.save(tmp_path / "masks" / "a.png")
    np.testing.assert_array_equal(folder.load(folder.items()[0])[0].labels, square())


def test_a_volume_is_a_stack_of_upright_slices(tmp_path: Path) -> None:
    # Axis 0 of the file runs along the columns, axis 1 along the rows, axis 2 along the slices.
    volume = np.zeros((6, 4, 3), dtype=np.uint8)
    volume[5, 0, 2] = 50
    folder = opened(tmp_path, describe([listed("v", suffix=".nii.gz")]), image_v=volume, mask_v=volume // 50)
    pieces = folder.load(folder.items()[0])
    assert [piece.index for piece in pieces] == [0, 1, 2]
    assert pieces[2].pixels.shape == (4, 6)
    assert pieces[2].pixels[0, 5] == 50
    assert pieces[2].labels[0, 5] == 1
    assert pieces[2].pixels.flags.c_contiguous
    assert not pieces[0].labels.any()


def test_the_header_decides_how_slices_are_turned(tmp_path: Path) -> None:
    folder = opened(tmp_path, describe([listed("v", suffix=".nii.gz")]))
    array = np.random.default_rng(0).integers(0, 200, (6, 4, 3), dtype=np.uint8)  # columns, rows, slices
    for axes, upright in {
        "LPS": array.transpose(2, 1, 0),
        "RAS": array.transpose(2, 1, 0)[:, ::-1, ::-1],
        "PLS": array.transpose(2, 0, 1),
        "RSA": array.transpose(2, 1, 0)[:, ::-1, ::-1],  # coronal slices: superior is up, right is left
        "LPI": array.transpose(2, 1, 0),  # slices keep the order of the file
    }.items():
        directions = {"R": (1, 0, 0), "L": (-1, 0, 0), "A": (0, 1, 0), "P": (0, -1, 0), "S": (0, 0, 1), "I": (0, 0, -1)}
        matrix = np.eye(4)
        matrix[:3, :3] = np.array([directions[code] for code in axes]).T
        nib.save(nib.Nifti1Image(array, matrix), tmp_path / "images" / "v.nii.gz")
        nib.save(nib.Nifti1Image((array > 99).astype(np.uint8), matrix), tmp_path / "masks" / "v.nii.gz")
        pieces = folder.load(folder.items()[0])
        assert [piece.index for piece in pieces] == [0, 1, 2]
        np.testing.assert_array_equal(np.stack([piece.pixels for piece in pieces]), upright, err_msg=axes)
        np.testing.assert_array_equal(np.stack([piece.labels for piece in pieces]), upright > 99, err_msg=axes)


@pytest.mark.parametrize("shape", [(6, 4), (6, 4, 1, 1)])
def test_a_single_slice_volume_may_have_fewer_or_more_axes(tmp_path: Path, shape: tuple[int, ...]) -> None:
    volume = np.ones(shape, dtype=np.uint8)
    folder = opened(tmp_path, describe([listed("v", suffix=".nii.gz")]), mask_v=volume)
    assert [piece.labels.shape for piece in folder.load(folder.items()[0])] == [(4, 6)]


def test_numbers_serve_as_ids_and_patients(tmp_path: Path) -> None:
    entry = listed("7") | {"id": 7, "patient": 12}
    item = opened(tmp_path, describe([entry])).items()[0]
    assert (item.id, item.patient) == ("7", "12")


def test_a_folder_travels_to_worker_processes(tmp_path: Path) -> None:
    folder = opened(tmp_path, describe([listed("a", phase="ED")]))
    assert pickle.loads(pickle.dumps(folder)) == folder  # noqa: S301


def test_index_tells_which_slices_show_which_class(tmp_path: Path) -> None:
    labels = np.zeros((6, 4, 3), dtype=np.uint8)
    labels[0, 0, 1], labels[1, 1, 2], labels[2, 2, 2] = 1, 1, 2
    content = describe([listed("v", suffix=".nii.gz")], labels={"0": "background", "1": "liver", "2": "spleen"})
    records = index_slices(opened(tmp_path, content, mask_v=labels), "test")
    assert [(record.index, record.depth, sorted(record.present)) for record in records] == [
        (0, 3, []),
        (1, 3, ["liver"]),
        (2, 3, ["liver", "spleen"]),
    ]


def test_an_explicit_window_is_applied(tmp_path: Path) -> None:
    volume = np.array([[-300, -200, 25, 250, 300, 26]], dtype=np.int16).T[:, :, np.newaxis]
    content = describe([listed("v", suffix=".nii.gz")], window=[-200, 250])
    folder = opened(tmp_path, content, image_v=volume, mask_v=np.ones((6, 1, 1), dtype=np.uint8))
    np.testing.assert_array_equal(folder.load(folder.items()[0])[0].pixels, [[0, 0, 128, 255, 255, 128]])


def test_other_depths_get_the_window_of_the_whole_item(tmp_path: Path) -> None:
    volume = np.zeros((6, 4, 2), dtype=np.int16)
    volume[..., 0], volume[0, 0, 1] = 100, 300
    content = describe([listed("v", suffix=".nii.gz")], window="min-max")
    folder = opened(tmp_path, content, image_v=volume, mask_v=np.ones((6, 4, 2), dtype=np.uint8))
    pieces = folder.load(folder.items()[0])
    assert (pieces[0].pixels == 85).all()
    assert pieces[1].pixels.max() == 255


def test_without_a_rule_the_modality_decides(tmp_path: Path) -> None:
    folder = opened(tmp_path, describe([listed("a")]), image_a=np.arange(24, dtype=np.uint16).reshape(4, 6) * 100)
    # CT: -125..275 HU, so that everything from 300 on is white.
    assert (folder.load(folder.items()[0])[0].pixels.ravel()[3:] == 255).all()


def test_only_the_asked_slices_are_windowed_by_the_window_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = np.random.default_rng(0).integers(-900, 900, (6, 4, 5), dtype=np.int16)  # columns, rows, slices
    content = describe([listed("v", suffix=".nii.gz")], window="min-max")
    folder = opened(tmp_path, content, image_v=volume, mask_v=np.ones((6, 4, 5), dtype=np.uint8))
    whole = window_for(volume, rule="min-max").apply(volume)
    windowed: list[tuple[int, ...]] = []
    apply = IntensityWindow.apply

    def told(window: IntensityWindow, pixels: np.ndarray) -> np.ndarray:
        windowed.append(pixels.shape)
        return apply(window, pixels)

    monkeypatch.setattr(IntensityWindow, "apply", told)
    for index, piece in zip([3, 1], folder.slices(folder.items()[0], [3, 1]), strict=True):
        np.testing.assert_array_equal(piece.pixels, whole[..., index].T)
        assert piece.pixels.flags.c_contiguous
    assert windowed == [(4, 6), (4, 6)]


def test_an_image_without_a_window_is_named(tmp_path: Path) -> None:
    folder = opened(tmp_path, describe([listed("a")]), image_a=np.zeros((4, 6), dtype=np.uint16))
    with pytest.raises(InvalidDataset, match=r"^Tiny: image of item a: The image is constant"):
        folder.load(folder.items()[0])


def test_an_unknown_window_is_named(tmp_path: Path) -> None:
    folder = opened(tmp_path, describe([listed("a")], window="sunny"))
    with pytest.raises(InvalidDataset, match="no intensity rule 'sunny'"):
        folder.load(folder.items()[0])


def changed(**changes: Any) -> dict[str, Any]:
    return describe([listed("a")]) | changes


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"name": "Tiny"}, r"dataset.json lacks labels, items\.$"),
        (changed(name=""), "name must be a text"),
        (changed(labels={}), "labels must map"),
        (changed(labels=["liver"]), "labels must map"),
        (changed(labels={"one": "liver"}), "label 'one' is not an integer"),
        (changed(labels={"-1": "liver"}), "label '-1' is not a possible"),
        (changed(labels={"1": " "}), "label '1' has no name"),
        (changed(labels={"1": "liver", "01": "spleen"}), "label 1 stands there twice"),
        (changed(labels={"0": "background"}), "nothing but the background"),
        (changed(classes={}), "classes must map"),
        (changed(classes={"liver": 1}), "class 'liver' must be a list"),
        (changed(classes={"liver": [1, 5]}), "class 'liver' uses 5"),
        (changed(classes={"liver": [0]}), "class 'liver' uses 0"),
        (changed(window=[5, 5]), "window must be"),
        (changed(window=["low", 5]), "window must be"),
        (changed(window=[0, float("inf")]), "window must be"),
        (changed(items=[]), "items is empty"),
        (changed(items=["a"]), "item 0 is not an object"),
        (changed(items=[{"id": "a", "image": "a.png", "split": ""}]), r"item a lacks mask, patient, split\.$"),
        (changed(items=[listed("a") | {"image": "../a.png"}]), "inside the dataset folder"),
        (changed(items=[listed("a") | {"mask": "/a.png"}]), "inside the dataset folder"),
        (changed(items=[listed("a"), listed("a")]), "1 item ids occur more than once: a"),
        (changed(items=[listed("a"), listed("b", split="train")]), "1 patients are in more than one split: p1"),
    ],
)
def test_a_broken_description_is_one_sentence(tmp_path: Path, content: dict[str, Any], sentence: str) -> None:
    save(tmp_path / "images" / "a.png", square())
    (tmp_path / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InvalidDataset, match=sentence) as caught:
        DatasetFolder.open(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_folder_without_description_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidDataset, match=r"^There is no dataset\.json in "):
        DatasetFolder.open(tmp_path)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "cannot be read as JSON"),
        ("[]", "must hold a JSON object"),
        ('{"labels": {"1": "liver", "1": "spleen"}}', "cannot be read as JSON: 1 stands there twice"),
    ],
)
def test_a_description_that_is_not_json_is_named(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "dataset.json").write_text(text, encoding="utf-8")
    with pytest.raises(InvalidDataset, match=sentence):
        DatasetFolder.open(tmp_path)


def test_missing_files_are_counted_and_the_first_few_named(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, describe([listed("a"), listed("b"), listed("c")]))
    for name in ("images/a.png", "masks/a.png", "images/b.png", "masks/c.png"):
        (folder / name).unlink()
    sentence = r"^Tiny: 4 listed files are missing: images/a\.png, masks/a\.png, images/b\.png, \.\.\.\.$"
    with pytest.raises(InvalidDataset, match=sentence):
        DatasetFolder.open(folder)


def test_sizes_must_agree(tmp_path: Path) -> None:
    folder = opened(tmp_path, describe([listed("a")]), image_a=np.zeros((6, 4), dtype=np.uint8))
    with pytest.raises(InvalidDataset, match="item a differ in size: 1x6x4 against 1x4x6"):
        folder.load(folder.items()[0])


def test_orientations_must_agree(tmp_path: Path) -> None:
    volume = np.zeros((6, 4, 2), dtype=np.uint8)
    folder = opened(tmp_path, describe([listed("v", suffix=".nii.gz")]), mask_v=volume)
    nib.save(nib.Nifti1Image(volume, np.diag([-1.0, 1.0, 3.0, 1.0])), folder.path / "masks" / "v.nii.gz")
    with pytest.raises(InvalidDataset, match="image and mask of item v are stored in different orientations; save"):
        folder.load(folder.items()[0])


def test_a_nominal_spacing_or_origin_of_the_mask_is_no_other_orientation(tmp_path: Path) -> None:
    volume = np.zeros((6, 4, 2), dtype=np.uint8)
    folder = opened(tmp_path, describe([listed("v", suffix=".nii.gz")]), mask_v=volume)
    nominal = np.diag([-2.0, -2.0, 1.0, 1.0])
    nominal[:3, 3] = 40.0, -7.0, 12.0
    nib.save(nib.Nifti1Image(volume, nominal), folder.path / "masks" / "v.nii.gz")
    assert len(folder.load(folder.items()[0])) == 2


def test_labels_must_be_named(tmp_path: Path) -> None:
    folder = opened(tmp_path, describe([listed("a")]), mask_a=square() * 3)
    with pytest.raises(InvalidDataset, match="mask of item a holds 3"):
        folder.load(folder.items()[0])


def test_masks_must_be_whole_numbers(tmp_path: Path) -> None:
    volume = np.full((6, 4, 2), 0.5, dtype=np.float32)
    folder = opened(tmp_path, describe([listed("v", suffix=".nii.gz")]), mask_v=volume)
    with pytest.raises(InvalidDataset, match=r"mask of item v: v\.nii\.gz holds values that are not integers"):
        folder.load(folder.items()[0])


@pytest.mark.parametrize("value", [2**32 + 1, -(2**32) + 1])
def test_masks_beyond_32_bits_are_refused_not_wrapped(value: int) -> None:
    with pytest.raises(InvalidMask, match=r"v\.nrrd holds values beyond 32 bits"):
        whole_numbers(np.full((2, 3, 4), value, dtype=np.int64), "v.nrrd")


def test_masks_stored_as_whole_floats_are_fine(tmp_path: Path) -> None:
    volume = np.ones((6, 4, 2), dtype=np.float32)
    folder = opened(tmp_path, describe([listed("v", suffix=".nii.gz")]), mask_v=volume)
    assert (folder.load_labels(folder.items()[0]) == 1).all()


def test_colour_masks_are_refused(tmp_path: Path) -> None:
    folder = opened(tmp_path, describe([listed("a")]), mask_a=np.stack([square(), square() * 2, square()], axis=2))
    with pytest.raises(InvalidDataset, match="colour image"):
        folder.load(folder.items()[0])


def test_a_grey_mask_stored_in_colour_is_fine(tmp_path: Path) -> None:
    folder = opened(tmp_path, describe([listed("a")]), mask_a=np.repeat(square()[..., np.newaxis], 3, axis=2))
    np.testing.assert_array_equal(folder.load_labels(folder.items()[0])[0], square())


def test_volumes_have_three_axes(tmp_path: Path) -> None:
    volume = np.zeros((6, 4, 2, 2), dtype=np.uint8)
    folder = opened(tmp_path, describe([listed("v", suffix=".nii.gz")]), mask_v=volume)
    with pytest.raises(InvalidDataset, match="4 dimensions"):
        folder.load(folder.items()[0])


@pytest.mark.parametrize(
    ("suffix", "kept"), [(".png", 0.0), (".png", 0.7), (".nii.gz", 0.0), (".nii.gz", 0.7), (".nii.gz", 0.99)]
)
def test_damaged_files_are_named(tmp_path: Path, suffix: str, kept: float) -> None:
    noise = np.random.default_rng(0).integers(0, 2, (60, 60), dtype=np.uint8)
    arrays = {"mask_a": noise if suffix == ".png" else noise[:, :, np.newaxis]}
    folder = opened(tmp_path, describe([listed("a", suffix=suffix)]), **arrays)
    path = tmp_path / "masks" / f"a{suffix}"
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(InvalidDataset, match=r"^Tiny: mask of item a: a\."):
        folder.load(folder.items()[0])
