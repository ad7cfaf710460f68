"""Packed slices: what goes in comes out, packing happens once, and again when the dataset says something else."""

from __future__ import annotations

import json
import os
import pickle
import time
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from KPrismLib.errors import CannotWrite, InvalidDataset
from KPrismLib.imaging.modality import has_free_orientation
from KPrismLib.imaging.slice_store import store_bytes
from KPrismLib.training import packing, slice_bytes
from KPrismLib.training.packing import open_pack
from KPrismLib.training.slice_bytes import MINIMUM_PIXELS
from Testing.engine.dataset.tiny_dataset import describe, listed, save, write_folder
from Testing.engine.training.tiny_training import labels, packed, pixels, write_dataset
from Training.convert import registry


def test_pixels_and_labels_survive(tmp_path: Path) -> None:
    dataset = packed(tmp_path)
    assert len(dataset.slices) == 12
    assert dataset.classes == {"liver": (1,), "spleen": (2,)}
    for number, entry in enumerate(dataset.slices):
        found, shown = dataset.load(entry)
        assert np.array_equal(found[..., 0], pixels(number))
        assert np.array_equal(shown, labels(number))
        assert (entry.dataset, entry.patient, entry.item) == ("Tiny", f"Tiny-{number // 2}", f"i{number}")
        assert entry.classes == ("liver", "spleen")


def test_voxels_on_another_drive_are_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def other_drive(path: Path, start: Path) -> str:
        raise ValueError(f"path is on mount 'D:', start on mount 'C:': {path}, {start}")

    monkeypatch.setattr(os.path, "relpath", other_drive)
    assert len(packed(tmp_path).slices) == 12


def test_colour_stays_colour_and_volumes_give_one_entry_for_each_slice(tmp_path: Path) -> None:
    volume = np.zeros((20, 24, 3), dtype=np.int16)  # columns, rows, slices
    mask = np.zeros_like(volume, dtype=np.uint8)
    mask[2:12, 5:9, 1:] = 1
    volume[2:12, 5:9, 1:] = 300
    volume[..., 2] += 7
    colour = np.random.default_rng(0).integers(0, 255, (24, 20, 3), dtype=np.uint8)
    items = [
        listed("v", suffix=".nii.gz", split="train", patient="a"),
        listed("c", split="train", patient="b"),
        listed("t", split="test", patient="c"),
    ]
    flat = np.zeros((24, 20), dtype=np.uint8)
    flat[:5, :6] = 1
    folder = write_folder(
        tmp_path / "d", describe(items, window=[0, 310]), image_v=volume, mask_v=mask, image_c=colour, mask_c=flat
    )
    (dataset,) = open_pack([folder], tmp_path / "packed", split="train", long_side=64)
    assert [(s.item, s.index, s.channels) for s in dataset.slices] == [
        ("v", 0, 1), ("v", 1, 1), ("v", 2, 1), ("c", 0, 3)
    ]  # fmt: skip
    assert [s.classes for s in dataset.slices] == [(), ("liver",), ("liver",), ("liver",)]
    assert [s.absent for s in dataset.slices] == [("liver",), (), (), ()]
    second, shown = dataset.load(dataset.slices[2])
    assert shown.shape == (24, 20)
    assert shown[5:9, 2:12].all()
    assert shown.sum() == 40
    assert second[6, 3, 0] == round(255 * 307 / 310)
    # the explicit window of the set holds for the picture, too
    assert np.abs(dataset.load(dataset.slices[3])[0] - np.rint(colour * (255 / 310))).max() == 0


def test_what_is_too_thin_for_a_reduced_slice_is_not_absent_from_it(tmp_path: Path) -> None:
    items = [listed(f"i{row}", split="train", patient=f"p{row}") for row in range(41, 45)]
    masks = {}
    for row in range(41, 45):
        mask = np.zeros((96, 96), dtype=np.uint8)
        mask[60:90, 20:70] = 2
        mask[row] = 1
        masks[f"mask_i{row}"] = mask
    names = {"0": "background", "1": "liver", "2": "spleen", "3": "aorta"}
    folder = write_folder(tmp_path / "d", describe(items, labels=names), **masks)
    (dataset,) = open_pack([folder], tmp_path / "packed", split="train", long_side=24)
    left = [bool((dataset.load(entry)[1] == 1).any()) for entry in dataset.slices]
    assert sorted(left) == [False, False, False, True]  # of four rows one is sampled
    assert [entry.absent for entry in dataset.slices] == [("aorta",)] * 4
    assert [entry.classes for entry in dataset.slices] == [
        ("liver", "spleen") if kept else ("spleen",) for kept in left
    ]


def test_large_slices_are_reduced_and_labels_stay_labels(tmp_path: Path) -> None:
    dataset = packed(tmp_path, long_side=24)
    for number, entry in enumerate(dataset.slices):
        found, shown = dataset.load(entry)
        assert found.shape == (24, 24, 1)
        assert set(np.unique(shown)) <= {0, 1, 2}
        truth = labels(number)[::2, ::2]
        assert (shown == truth).mean() > 0.95
        assert abs(found.mean() - pixels(number).mean()) < 1.0


def test_between_two_labels_there_is_no_third_when_slices_are_reduced(tmp_path: Path) -> None:
    mask = np.zeros((40, 40), dtype=np.uint8)
    mask[5:21, 7:30] = 2  # half of 2 and 0 would be a liver
    content = describe([listed("m", split="train")], labels={"0": "background", "1": "liver", "2": "spleen"})
    folder = write_folder(tmp_path / "d", content, mask_m=mask, image_m=pixels(0, 40))
    (dataset,) = open_pack([folder], tmp_path / "packed", split="train", long_side=20)
    _, shown = dataset.load(dataset.slices[0])
    assert np.unique(shown).tolist() == [0, 2]
    assert dataset.slices[0].classes == ("spleen",)
    assert shown.sum() / 2 == pytest.approx((mask > 0).sum() / 4, rel=0.1)


def test_a_flat_slice_keeps_its_aspect(tmp_path: Path) -> None:
    wide = np.zeros((30, 90), dtype=np.uint8)
    wide[10:20, 60:80] = 1
    items = [listed("w", split="train")]
    folder = write_folder(tmp_path / "d", describe(items), mask_w=wide)
    (dataset,) = open_pack([folder], tmp_path / "packed", split="train", long_side=45)
    found, shown = dataset.load(dataset.slices[0])
    assert found.shape == (15, 45, 1)
    assert shown[5:10, 30:40].all()
    assert shown.sum() == 50


def test_specks_are_no_targets_and_slices_without_a_target_are_left_out(tmp_path: Path) -> None:
    few, enough, both = (np.zeros((20, 20), dtype=np.uint8) for _ in range(3))
    few[0, : MINIMUM_PIXELS - 1] = 1
    enough[0, :MINIMUM_PIXELS] = 1
    both[0, :MINIMUM_PIXELS], both[5, :3] = 1, 2
    items = [listed(name, split="train") for name in ("few", "enough", "both")]
    content = describe(items, labels={"0": "background", "1": "liver", "2": "spleen"})
    image = pixels(0, 20)
    arrays = {f"image_{n}": image for n in ("few", "enough", "both")}
    folder = write_folder(tmp_path / "d", content, mask_few=few, mask_enough=enough, mask_both=both, **arrays)
    (dataset,) = open_pack([folder], tmp_path / "packed", split="train", long_side=32)
    assert [(s.item, s.classes) for s in dataset.slices] == [("enough", ("liver",)), ("both", ("liver",))]


def test_labels_beyond_a_byte_are_kept_apart(tmp_path: Path) -> None:
    """256 must not become background, nor 257 the label 1."""
    wide = np.zeros((20, 20), dtype=np.uint16)
    wide[:5, :5], wide[10:15, :5], wide[10:15, 10:15] = 1, 256, 257
    content = describe(
        [listed("w", split="train", suffix=".nii.gz")],
        labels={"0": "background", "1": "liver", "256": "spleen", "257": "aorta"},
        window="min-max",
    )
    folder = write_folder(tmp_path / "d", content, mask_w=wide[..., None], image_w=wide[..., None].astype(np.int16))
    (dataset,) = open_pack([folder], tmp_path / "packed", split="train", long_side=32)
    _, shown = dataset.load(dataset.slices[0])
    for name, value in (("liver", 1), ("spleen", 256), ("aorta", 257)):
        assert np.array_equal(np.isin(shown, dataset.classes[name]), (wide == value).T), name


def test_more_labels_than_a_byte_holds_are_refused(tmp_path: Path) -> None:
    content = describe([listed("a", split="train")], labels={str(n): f"c{n}" for n in range(300)})
    with pytest.raises(InvalidDataset, match="299 labels"):
        open_pack([write_folder(tmp_path / "d", content)], tmp_path / "packed", split="train", long_side=32)


def test_packing_happens_once_and_again_when_anything_that_matters_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_dataset(tmp_path / "d", patients=2)
    times: list[str] = []
    real = packing.pack_folder

    def counting(*arguments: object, **named: object) -> None:
        times.append("packed")
        real(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(packing, "pack_folder", counting)
    cache = tmp_path / "packed"
    first = open_pack([folder], cache, split="train", long_side=48)
    again = open_pack([folder], cache, split="train", long_side=48)
    assert len(times) == 1
    assert first[0].slices == again[0].slices
    assert first[0].path == again[0].path
    open_pack([folder], cache, split="train", long_side=32)
    assert len(times) == 2
    content = json.loads((folder / "dataset.json").read_text())
    content["items"].pop()
    (folder / "dataset.json").write_text(json.dumps(content))
    changed = open_pack([folder], cache, split="train", long_side=48)
    assert len(times) == 3
    assert len(changed[0].slices) == 3


def test_a_file_that_was_replaced_is_packed_again(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "d", patients=2)
    (before,) = open_pack([folder], tmp_path / "packed", split="train", long_side=48)
    save(folder / "masks" / "i1.png", labels(5))
    (after,) = open_pack([folder], tmp_path / "packed", split="train", long_side=48)
    assert np.array_equal(before.load(before.slices[1])[1], labels(1))
    assert np.array_equal(after.load(after.slices[1])[1], labels(5))


def test_a_mask_that_was_corrected_is_packed_again_though_it_is_as_large_as_before(tmp_path: Path) -> None:
    content = describe([listed("m", suffix=".tif", split="train")])
    before, after = (labels(number) == 1 for number in (0, 5))
    folder = write_folder(tmp_path / "d", content, image_m=pixels(0), mask_m=before.astype(np.uint8))
    open_pack([folder], tmp_path / "packed", split="train", long_side=48)
    path = folder / "masks" / "m.tif"
    old = path.stat()
    save(path, after.astype(np.uint8))
    assert path.stat().st_size == old.st_size
    os.utime(path, (old.st_atime, old.st_mtime + 1))
    (dataset,) = open_pack([folder], tmp_path / "packed", split="train", long_side=48)
    assert np.array_equal(dataset.load(dataset.slices[0])[1], after)


def test_only_one_slice_is_in_memory_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set of a hundred gigabytes must not be collected before it is written."""
    alive: list[weakref.ref[object]] = []
    most = 0
    real = slice_bytes.fit

    def fit(*arguments: Any) -> Any:
        nonlocal most
        found = real(*arguments)
        alive.append(weakref.ref(found[0]))
        most = max(most, sum(reference() is not None for reference in alive))
        return found

    monkeypatch.setattr(slice_bytes, "fit", fit)
    dataset = packed(tmp_path)
    assert len(alive) == len(dataset.slices) == 12
    assert most <= 2  # the one that is made, and the one it replaces


@pytest.mark.parametrize("end", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_pack_that_was_interrupted_is_never_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: BaseException
) -> None:
    folder = write_dataset(tmp_path / "d", patients=2)
    real = slice_bytes.fit
    done: list[int] = []

    def fit(*arguments: Any) -> Any:
        done.append(0)
        if len(done) == 3:
            raise end
        return real(*arguments)

    with monkeypatch.context() as broken:
        broken.setattr(slice_bytes, "fit", fit)
        expected = CannotWrite if isinstance(end, OSError) else KeyboardInterrupt
        with pytest.raises(expected, match="No space left on device; free" if isinstance(end, OSError) else None):
            open_pack([folder], tmp_path / "packed", split="train", long_side=48)
    assert list((tmp_path / "packed").iterdir()) == []
    (again,) = open_pack([folder], tmp_path / "packed", split="train", long_side=48)
    assert len(again.slices) == 4
    assert [path.name for path in (tmp_path / "packed").iterdir()] == [again.path.parent.name]


def test_of_two_runs_that_pack_the_same_one_is_quicker_and_serves_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, real = write_dataset(tmp_path / "d", patients=2), packing.pack_folder

    def overtaken(*arguments: Any, **options: Any) -> None:
        real(*arguments, **options)
        monkeypatch.setattr(packing, "pack_folder", real)
        open_pack([folder], tmp_path / "packed", split="train", long_side=48)

    monkeypatch.setattr(packing, "pack_folder", overtaken)
    (dataset,) = open_pack([folder], tmp_path / "packed", split="train", long_side=48)
    assert len(dataset.slices) == 4
    assert list((tmp_path / "packed").iterdir()) == [dataset.path.parent]


def test_what_a_killed_run_left_is_cleared_away_when_nobody_can_be_writing_it(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "d", patients=2)
    for name, age in ((".packing-old", 3 * 86400), (".packing-new", 60)):
        left = tmp_path / "packed" / name
        left.mkdir(parents=True)
        (left / "slices.bytes").write_bytes(b"half")
        for path in (left / "slices.bytes", left):
            os.utime(path, (time.time() - age,) * 2)
    (dataset,) = open_pack([folder], tmp_path / "packed", split="train", long_side=48)
    assert {path.name for path in (tmp_path / "packed").iterdir()} == {dataset.path.parent.name, ".packing-new"}


def test_a_pack_goes_to_worker_processes_as_a_path_not_as_bytes(tmp_path: Path) -> None:
    dataset = packed(tmp_path, patients=100)
    dataset.load(dataset.slices[0])
    copied = pickle.loads(pickle.dumps(dataset))  # noqa: S301 - our own bytes
    assert len(pickle.dumps(dataset)) < dataset.path.stat().st_size / 10
    assert copied.slices == dataset.slices
    assert np.array_equal(copied.load(copied.slices[3])[0][..., 0], pixels(3))


def test_slice_stores_are_packed_like_any_volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = np.random.default_rng(0).integers(0, 900, (3, 20, 24)).astype(np.int16)
    mask = np.zeros((3, 20, 24), dtype=np.uint8)
    mask[1:, 5:9, 2:12] = 1
    folder = tmp_path / "d"
    for kind, array in (("images", image), ("masks", mask)):
        (folder / kind).mkdir(parents=True)
        (folder / kind / "v.h5").write_bytes(store_bytes(array, np.diag([-1.0, -1, 3, 1])))
    content = describe([listed("v", suffix=".h5", split="train")], window=[0, 255])
    (folder / "dataset.json").write_text(json.dumps(content))
    monkeypatch.setattr(packing.DatasetFolder, "load", None)  # never a whole volume
    (dataset,) = open_pack([folder], tmp_path / "packed", split="train", long_side=48)
    assert [s.classes for s in dataset.slices] == [(), ("liver",), ("liver",)]
    for index, entry in enumerate(dataset.slices):
        found, shown = dataset.load(entry)
        assert np.array_equal(found[..., 0], image[index].clip(0, 255))
        assert np.array_equal(shown, mask[index])


def test_a_name_with_slashes_stays_inside_the_cache(tmp_path: Path) -> None:
    dataset = packed(tmp_path, name="../MSD/Task 1", patients=2)
    assert dataset.name == "../MSD/Task 1"
    assert len(dataset.slices) == 4
    assert {p.name for p in tmp_path.iterdir()} == {".._MSD_Task 1", "packed"}
    assert np.array_equal(dataset.load(dataset.slices[1])[1], labels(1))


def test_a_split_without_labels_is_told(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "d")
    with pytest.raises(InvalidDataset, match="no labelled slice in its split 'validation'"):
        open_pack([folder], tmp_path / "packed", split="validation", long_side=48)


def test_a_cache_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "d", patients=1)
    (tmp_path / "packed").write_text("a file in the way")
    with pytest.raises(CannotWrite, match="cannot be written"):
        open_pack([folder], tmp_path / "packed", split="train", long_side=48)


@pytest.mark.parametrize(
    ("modality", "free"),
    [("Dermoscopy", True), ("ultrasound (breast)", True), ("Pathology", True), ("US (breast)", True),
     ("CT (abdomen)", False), ("MR", False), ("X-ray", False), ("", False)],
)  # fmt: skip
def test_only_images_without_sides_may_be_mirrored(tmp_path: Path, modality: str, free: bool) -> None:
    assert has_free_orientation(modality) is free


def test_the_modalities_of_the_converters_are_understood() -> None:
    free = {name for name in registry.names() if has_free_orientation(registry.converter(name).about.modality)}
    assert free == {"busi", "bus", "kpis", "bkai-poly", "isic2018", "uw-sc"}


def test_orientation_is_packed_with_the_set(tmp_path: Path) -> None:
    assert packed(tmp_path, name="a", patients=1).free_orientation is False
    assert packed(tmp_path, name="b", patients=1, modality="Dermoscopy").free_orientation is True
