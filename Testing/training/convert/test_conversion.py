"""What every conversion does: complain, stop, go on, resume."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from KPrismLib.dataset import DatasetFolder
from KPrismLib.errors import CannotWrite, InvalidDataset
from KPrismLib.imaging.slice_store import open_store
from Testing.training.convert.trees import anatomy, blob, partial_download, photograph, save_nifti, save_picture
from Training.convert import writer as writer_module
from Training.convert.cases import Piece
from Training.convert.conversion import convert
from Training.convert.findings import Kind
from Training.convert.sets.btcv import BTCV
from Training.convert.sets.bus import BUS

_COUNT = 4


@pytest.fixture
def download(tmp_path):
    """BTCV with four scans."""
    image, labels = anatomy(tuple(range(1, 14)))
    for number in range(1, _COUNT + 1):
        save_nifti(tmp_path / f"RawData/Training/img/img{number:04d}.nii.gz", image + number)
        save_nifti(tmp_path / f"RawData/Training/label/label{number:04d}.nii.gz", labels)
    return tmp_path / "RawData"


@pytest.fixture
def btcv():
    return partial_download(BTCV)


def _stopping(outcome):
    return [(finding.kind, finding.subject) for finding in outcome.findings if finding.kind.stops]


def test_an_interrupted_conversion_goes_on_where_it_stopped(download, btcv, tmp_path):
    def interrupt(number, total, case):
        if number == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(btcv, download, tmp_path / "out", progress=interrupt)
    assert not (tmp_path / "out/dataset.json").exists()
    (tmp_path / "out/images/.kprism-0123456789abcdef.tmp").write_bytes(b"half a volume")
    outcome = convert(btcv, download, tmp_path / "out")
    assert len(list((tmp_path / "out/images").iterdir())) == _COUNT
    assert (outcome.converted, outcome.kept) == (2, 2)
    assert len(DatasetFolder.open(tmp_path / "out").items()) == _COUNT
    whole = convert(btcv, download, tmp_path / "whole")
    assert whole.description.read_bytes() == outcome.description.read_bytes()


def test_a_power_cut_in_the_ledger_costs_one_case(download, btcv, tmp_path):
    convert(btcv, download, tmp_path / "out")
    ledger = tmp_path / "out/conversion.jsonl"
    ledger.write_bytes(ledger.read_bytes()[:-20])
    outcome = convert(btcv, download, tmp_path / "out")
    assert (outcome.converted, outcome.kept) == (1, _COUNT - 1)
    assert convert(btcv, download, tmp_path / "out").kept == _COUNT


def test_changed_input_or_damaged_output_is_done_again(download, btcv, tmp_path):
    convert(btcv, download, tmp_path / "out")
    image, _ = anatomy()
    save_nifti(download / "Training/img/img0002.nii.gz", image + 77)
    written = tmp_path / "out/masks/img0003.nii.gz"
    written.write_bytes(written.read_bytes()[:-5])
    outcome = convert(btcv, download, tmp_path / "out")
    assert (outcome.converted, outcome.kept) == (2, 2)


def test_a_new_recipe_redoes_everything(download, btcv, tmp_path):
    convert(btcv, download, tmp_path / "out")
    newer = replace(btcv, about=replace(btcv.about, recipe=2))
    assert convert(newer, download, tmp_path / "out").converted == _COUNT


def test_a_full_disk_keeps_what_is_finished(download, btcv, tmp_path, monkeypatch):
    real, written = writer_module.write_atomically, []

    def fails_later(path, data):
        if len(written) == 5:
            raise CannotWrite("Cannot write: No space left on device.")
        written.append(path)
        return real(path, data)

    monkeypatch.setattr(writer_module, "write_atomically", fails_later)
    with pytest.raises(CannotWrite, match="No space left"):
        convert(btcv, download, tmp_path / "out")
    monkeypatch.setattr(writer_module, "write_atomically", real)
    outcome = convert(btcv, download, tmp_path / "out")
    assert (outcome.converted, outcome.kept) == (2, 2)


def test_missing_renamed_and_doubled_files_stop_before_anything_is_written(download, btcv, tmp_path):
    home = download / "Training"
    (home / "label/label0002.nii.gz").unlink()
    (home / "label/label0003.nii.gz").rename(home / "label/organs_0003.nii.gz")
    (home / "img/img0001 (1).nii.gz").write_bytes((home / "img/img0001.nii.gz").read_bytes())
    save_nifti(home / "img/img0004.nii", anatomy()[0])
    outcome = convert(btcv, download, tmp_path / "out")
    assert not outcome.ok
    assert not (tmp_path / "out").exists()
    assert sorted(_stopping(outcome)) == [
        (Kind.DOUBLED, "Training/img/img0001 (1).nii.gz"),
        (Kind.DOUBLED, "Training/img/img0004.nii.gz"),
        (Kind.MISSING, "Training/label/0002"),
        (Kind.RENAMED, "Training/label/organs_0003.nii.gz"),
    ]


def test_allow_missing_goes_on_and_says_so_in_the_dataset(download, btcv, tmp_path):
    (download / "Training/label/label0002.nii.gz").unlink()
    outcome = convert(btcv, download, tmp_path / "out", allow_missing=True)
    assert outcome.ok
    content = json.loads(outcome.description.read_text(encoding="utf-8"))
    assert len(content["items"]) == _COUNT - 1
    assert "  Training/label/0002: no mask for the image img0002.nii.gz" in content["conversion"]["findings"]


def test_half_a_download_is_noticed_by_its_numbers(download, tmp_path):
    outcome = convert(BTCV, download, tmp_path / "out")
    assert not outcome.ok
    missing = [subject for kind, subject in _stopping(outcome) if kind is Kind.MISSING]
    assert "img0005" in missing
    assert "26 of 30 cases" in missing


@pytest.mark.parametrize("keep", [0, 40, -30, -4])
def test_truncated_files_are_found_and_the_rest_is_kept(download, btcv, tmp_path, keep):
    path = download / "Training/img/img0002.nii.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:keep])
    outcome = convert(btcv, download, tmp_path / "out")
    assert not outcome.ok
    assert _stopping(outcome) == [(Kind.DAMAGED, "Training/img/img0002.nii.gz")]
    assert not (tmp_path / "out/dataset.json").exists()
    path.write_bytes(whole)
    outcome = convert(btcv, download, tmp_path / "out")
    assert outcome.ok
    assert outcome.kept == (0 if keep == 0 else _COUNT - 1)  # an empty file is seen before anything is read


@pytest.mark.parametrize("folder", ["img", "label"])
def test_voxels_of_another_checksum_are_damaged_although_they_can_be_read(download, btcv, tmp_path, folder):
    path = download / f"Training/{folder}/{folder}0002.nii.gz"
    whole = path.read_bytes()
    path.write_bytes(whole[:-8] + bytes(4) + whole[-4:])
    outcome = convert(btcv, download, tmp_path / "out", allow_missing=True)
    assert _stopping(outcome) == [(Kind.DAMAGED, f"Training/{folder}/{folder}0002.nii.gz")]
    assert len(DatasetFolder.open(tmp_path / "out").items()) == _COUNT - 1


def test_what_is_damaged_is_listed_also_where_nothing_else_is_left(download, btcv, tmp_path):
    for path in (download / "Training/img").iterdir():
        path.write_bytes(path.read_bytes()[:-4])
    outcome = convert(btcv, download, tmp_path / "out", allow_missing=True)
    assert not outcome.ok
    assert len(_stopping(outcome)) == _COUNT


def test_labels_outside_the_map_and_other_sizes_are_named(download, btcv, tmp_path):
    _, labels = anatomy()
    save_nifti(download / "Training/label/label0001.nii.gz", labels * 14)
    save_nifti(download / "Training/label/label0002.nii.gz", labels[1:])
    save_nifti(download / "Training/label/label0003.nii.gz", labels * 0.5)
    outcome = convert(btcv, download, tmp_path / "out")
    details = {finding.kind: finding.detail for finding in outcome.findings}
    assert details[Kind.LABELS] == "the mask holds 14"
    assert details[Kind.MISMATCHED] == "9x8x5 against 8x8x5"
    assert details[Kind.DAMAGED] == "label0003.nii.gz holds fractions."


def test_a_truncated_picture_is_found(tmp_path):
    for number in (1, 2):
        save_picture(tmp_path / f"BUS/original/{number:06d}.png", photograph(number)[..., 0])
        save_picture(tmp_path / f"BUS/GT/{number:06d}.png", blob())
    path = tmp_path / "BUS/original/000002.png"
    path.write_bytes(path.read_bytes()[:-200])
    outcome = convert(partial_download(BUS), tmp_path / "BUS", tmp_path / "out")
    assert _stopping(outcome) == [(Kind.DAMAGED, "original/000002.png")]


def test_a_damaged_mask_is_told_by_its_own_path_although_its_image_has_the_same_name(tmp_path):
    for number in (1, 2):
        save_picture(tmp_path / f"BUS/original/{number:06d}.png", photograph(number)[..., 0])
        save_picture(tmp_path / f"BUS/GT/{number:06d}.png", blob())
    path = tmp_path / "BUS/GT/000002.png"
    path.write_bytes(path.read_bytes()[:60])
    outcome = convert(partial_download(BUS), tmp_path / "BUS", tmp_path / "out")
    assert _stopping(outcome) == [(Kind.DAMAGED, "GT/000002.png")]


@pytest.mark.parametrize("folder", ["img", "label"])
def test_a_damaged_volume_is_told_by_its_own_path(download, btcv, tmp_path, folder):
    path = download / f"Training/{folder}/{folder}0002.nii.gz"
    path.write_bytes(path.read_bytes()[:40])
    assert _stopping(convert(btcv, download, tmp_path / "out")) == [
        (Kind.DAMAGED, f"Training/{folder}/{folder}0002.nii.gz")
    ]


def test_equal_images_under_two_names_are_mentioned(download, btcv, tmp_path):
    home = download / "Training/img"
    (home / "img0002.nii.gz").write_bytes((home / "img0001.nii.gz").read_bytes())
    outcome = convert(btcv, download, tmp_path / "out")
    assert outcome.ok
    assert [(f.kind, f.detail) for f in outcome.findings] == [(Kind.REMARK, "the same image as img0001.nii.gz")]


def test_a_mask_with_another_header_is_mentioned_and_follows_the_image(download, btcv, tmp_path):
    import nibabel as nib

    path = download / "Training/label/label0001.nii.gz"
    labels = np.asarray(nib.load(path).dataobj)
    nib.save(nib.Nifti1Image(labels, np.eye(4)), path)
    outcome = convert(btcv, download, tmp_path / "out")
    assert outcome.ok
    assert [finding.kind for finding in outcome.findings] == [Kind.REMARK]
    written = np.asarray(nib.load(tmp_path / "out/masks/img0001.nii.gz").dataobj)
    assert np.array_equal(written, labels)


def test_what_is_to_be_known_of_a_case_is_told_again_where_it_is_kept(download, btcv, tmp_path):
    import nibabel as nib

    for number in (1, 4):
        path = download / f"Training/label/label{number:04d}.nii.gz"
        nib.save(nib.Nifti1Image(np.asarray(nib.load(path).dataobj), np.eye(4)), path)

    def interrupt(number, total, case):
        if number == 2:
            raise KeyboardInterrupt

    whole = convert(btcv, download, tmp_path / "whole")
    assert len(whole.findings) == 2
    with pytest.raises(KeyboardInterrupt):
        convert(btcv, download, tmp_path / "out", progress=interrupt)
    for kept in (2, _COUNT):  # gone on with, and run again
        outcome = convert(btcv, download, tmp_path / "out")
        assert outcome.kept == kept
        assert outcome.findings == whole.findings
        assert outcome.description.read_bytes() == whole.description.read_bytes()


def test_a_header_that_was_overruled_is_told_again_where_the_case_is_kept(tmp_path):
    extras = {"header_overruled": ["left-right"]}
    for name in ("original/000001.png", "GT/000001.png"):
        save_picture(tmp_path / "BUS" / name, photograph(1)[..., 0])

    def load():
        return [Piece(photograph(1), blob() // 255, extras=extras)]

    overruled = replace(
        partial_download(BUS), cases=lambda source: [replace(case, load=load) for case in BUS.cases(source)]
    )
    found = [convert(overruled, tmp_path / "BUS", tmp_path / "out") for _ in range(2)]
    assert [outcome.kept for outcome in found] == [0, 1]
    for outcome in found:
        assert [f.detail for f in outcome.findings] == ["the header contradicts the anatomy (left-right)"]


def test_a_wrong_folder_is_one_sentence_that_names_what_was_expected(btcv, tmp_path):
    (tmp_path / "holiday").mkdir()
    with pytest.raises(InvalidDataset, match="is not the BTCV download: it should contain RawData/Training with img"):
        convert(btcv, tmp_path / "holiday", tmp_path / "out")
    with pytest.raises(InvalidDataset, match=r"There is no folder .*nowhere; it should contain RawData"):
        convert(btcv, tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "RawData.zip").write_bytes(b"PK")
    with pytest.raises(InvalidDataset, match=r"RawData.zip is a file; unpack the archive"):
        convert(btcv, tmp_path / "RawData.zip", tmp_path / "out")


def test_slice_stores_hold_the_same_dataset(download, btcv, tmp_path):
    plain, stored = (convert(btcv, download, tmp_path / name, store=name == "stored") for name in ("plain", "stored"))
    assert (plain.converted, stored.converted) == (_COUNT, _COUNT)
    ours, theirs = (DatasetFolder.open(tmp_path / name) for name in ("stored", "plain"))
    assert all(item.image.endswith(".h5") and item.mask.endswith(".h5") for item in ours.items())
    for one, other in zip(ours.items(), theirs.items(), strict=True):
        for piece, same in zip(ours.load(one), theirs.load(other), strict=True):
            assert np.array_equal(piece.pixels, same.pixels)
            assert np.array_equal(piece.labels, same.labels)
        with open_store(tmp_path / "stored" / one.image) as volume:
            assert volume.window.asked == ours.description.asked_window
    # Changing one's mind converts again, saying the same thing twice does not.
    assert convert(btcv, download, tmp_path / "plain", store=True).converted == _COUNT
    assert convert(btcv, download, tmp_path / "plain", store=True).kept == _COUNT
