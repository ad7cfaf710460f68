"""Whatever is wrong with an input: one sentence, status 1, nothing written."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from KPrismLib.imaging import atomic_file
from KPrismLib.network import KPrism
from Testing.engine.command.tiny_inputs import save_picture, save_volume


@pytest.fixture
def refused(kprism, weights, tmp_path):
    """Runs ``kprism segment`` and returns its sentence, after making sure that it failed as it should."""

    def run(image: object, *arguments: object, model: object = weights, output: str = "out.nii.gz") -> str:
        before = sorted(tmp_path.iterdir())
        result = kprism("segment", image, "-o", tmp_path / output, *arguments, "--model", model)
        assert result.status == 1
        assert result.out == ""
        assert sorted(tmp_path.iterdir()) == before
        assert "Traceback" not in result.err
        sentence = result.err.strip().splitlines()[-1]
        assert sentence.endswith((".", "?"))
        return sentence

    return run


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("missing.png", None, "There is no file"),
        ("empty.png", b"", "is an empty file"),
        ("text.png", b"this is no picture", "is not a picture"),
        ("cut.nii.gz", b"\x1f\x8b\x08\x00\x00", "damaged, cut off"),
        ("cut.nrrd", b"NRRD0004\n", ""),
        ("cut.dcm", b"\0" * 128 + b"DICM", ""),
        ("notes.txt", b"hello", "does not read"),
    ],
)
def test_unreadable_files(refused, tmp_path, name, content, expected) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert expected in refused(tmp_path / name, "--class", "liver")


def test_empty_folder(refused, tmp_path) -> None:
    (tmp_path / "series").mkdir()
    assert "holds no DICOM images" in refused(tmp_path / "series", "--class", "liver")


@pytest.mark.parametrize(
    ("voxels", "expected"),
    [
        (np.zeros((2, 3, 4, 5), np.int16), "dimensions"),
        (np.full((2, 6, 6), 7, np.int16), "constant"),
        (np.array([[[1.0, np.nan], [2.0, 3.0]]], np.float32), "NaN"),
        (np.array([[[1.0, np.inf], [2.0, 3.0]]], np.float32), "infinite"),
    ],
)
def test_unusable_values(refused, tmp_path, voxels, expected) -> None:
    assert expected in refused(save_volume(tmp_path / "v.nii", voxels), "--class", "liver")


def test_constant_slice_that_was_asked_for(refused, volume) -> None:
    assert "nothing to see" in refused(volume, "--class", "liver", "--slice", 0)


def test_mask_without_the_label(refused, volume, volume_mask) -> None:
    sentence = refused(volume, "--reference", volume, volume_mask, "--reference-label", "9")
    assert "no label '9'" in sentence
    assert "1 (label 1), 2 (label 2)" in sentence


def test_empty_mask(refused, picture, tmp_path) -> None:
    empty = save_picture(tmp_path / "empty.png", np.zeros((40, 50), np.uint8))
    assert "empty" in refused(picture, "--reference", picture, empty)


def test_the_image_itself_is_no_mask(refused, volume) -> None:
    assert "given both as image and as mask" in refused(volume, "--reference", volume, volume)


def test_a_mask_of_very_many_labels_is_listed_in_part(refused, kprism, weights, volume, tmp_path) -> None:
    many = save_volume(tmp_path / "many.nii", np.arange(3000, dtype=np.uint16).reshape(5, 30, 20))
    sentence = refused(volume, "--reference", volume, many, "--reference-label", "9999")
    assert sentence.endswith("20 (label 20) and 2979 more.")
    assert len(sentence) < 400


def test_a_read_only_folder_is_told_before_the_work(refused, volume, monkeypatch) -> None:
    monkeypatch.setattr("os.access", lambda _, mode, **__: mode != os.W_OK)
    monkeypatch.setattr("KPrismLib.command.segment_run.read_volume", lambda *_, **__: pytest.fail("it began to work"))
    assert "is read-only; choose another folder" in refused(volume, "--class", "liver")


def test_an_ending_that_is_none(refused, volume) -> None:
    assert "or, for many images, the name of a folder" in refused(volume, "--class", "liver", output="results.v2")


def test_slice_of_the_reference_without_the_structure(refused, volume, volume_mask) -> None:
    arguments = ("--reference", volume, volume_mask, "--reference-label", "1", "--reference-slice", 1)
    assert "mask is empty" in refused(volume, *arguments)


def test_reference_and_mask_of_different_size(refused, picture, volume, volume_mask, tmp_path) -> None:
    other = save_picture(tmp_path / "other.png", np.eye(30, 50, dtype=np.uint8))
    sentence = refused(picture, "--reference", picture, other)
    assert "1 x 40 x 50 and 1 x 30 x 50" in sentence
    shifted = save_volume(tmp_path / "short.nii", np.ones((4, 30, 20), np.uint8))
    assert "differ in size" in refused(volume, "--reference", volume, shifted)
    assert "differ in size" in refused(picture, "--reference", picture, volume_mask)


def test_prompts_that_cannot_be(refused, picture) -> None:
    assert "rows go from 0 to 39, columns from 0 to 49" in refused(picture, "--click", "40,3,+")
    assert "outside the image" in refused(picture, "--click", "5,-1,+")
    assert "outside the image" in refused(picture, "--scribble", "3,3 3,80,+")
    assert "already has a positive click" in refused(picture, "--click", "9,3,+", "--click", "9,3,-")
    for text in ("9,3", "9,3,*", "a,b,+", "9;3;+", "1,2,3,+", ""):
        assert "is not ROW,COLUMN" in refused(picture, "--click", text)
    for text in (",+", "3,3 4,+", "3,3 4,4"):
        assert "scribble" in refused(picture, "--scribble", text)


def test_knowledge_that_contradicts_itself(refused, picture, picture_mask, volume) -> None:
    assert "Nothing says what to segment" in refused(picture)
    assert "not both" in refused(picture, "--class", "liver", "--reference", picture, picture_mask)
    assert "single --class" in refused(picture, "--class", "liver", "--class", "spleen", "--click", "3,3,+")
    assert "--slice" in refused(volume, "--click", "3,3,+", "--slice", "all")
    assert "no --reference" in refused(picture, "--class", "liver", "--reference-label", "1")
    arguments = ("--reference", picture, picture_mask, "--reference-slice", 0, "--reference-slice", 0)
    assert "once for all references" in refused(picture, *arguments)


def test_every_piece_of_one_slice_is_refused(refused, volume) -> None:
    arguments = ("--class", "liver", "--every-piece")
    assert "leave it or --slice out" in refused(volume, *arguments, "--slice", 2)
    assert "leave it or --slice out" in refused(volume, *arguments, "--slice", "middle")
    assert "leave it or --propagate out" in refused(volume, *arguments, "--propagate")


@pytest.mark.skipif(sys.platform == "win32", reason="says it in other words")
def test_names_that_are_too_long(refused, volume, picture, tmp_path) -> None:
    liver, long = ("--class", "liver"), "x" * 300
    for output in (f"{long}.nii.gz", long, f"{long}/out.nii.gz"):
        assert "too long; choose a shorter" in refused(volume, *liver, output=output)
    assert "too long; choose a shorter" in refused(volume, *liver, "--overlay", tmp_path / f"{long}.png")
    assert "cannot be opened: File name too long" in refused(tmp_path / f"{long}.nii.gz", *liver)
    assert "cannot be opened: File name too long" in refused(tmp_path / f"{long}.png", *liver, output="folder")


def test_unknown_class_suggests_the_nearest(refused, picture) -> None:
    assert "did you mean 'spleen'?" in refused(picture, "--class", "spleeen")


def test_unknown_choices(refused, picture, volume) -> None:
    assert "axial, coronal, sagittal" in refused(volume, "--class", "liver", "--plane", "oblique")
    assert "choose one from 0 to 4" in refused(volume, "--class", "liver", "--slice", 5)
    assert "middle or all" in refused(volume, "--class", "liver", "--slice", "first")
    assert "intensity rule" in refused(volume, "--class", "liver", "--window", "bright")
    assert "LOW < HIGH" in refused(volume, "--class", "liver", "--window", "9,3")
    assert "There is no device" in refused(picture, "--class", "liver", "--device", "tpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a CUDA device")
def test_missing_gpu(refused, picture) -> None:
    assert "choose the device cpu" in refused(picture, "--class", "liver", "--device", "cuda")


def test_corrupt_and_foreign_weights(refused, picture, weights, tmp_path) -> None:
    cut, foreign = tmp_path / "cut.safetensors", tmp_path / "foreign.safetensors"
    cut.write_bytes(weights.read_bytes()[:5000])
    save_file({"a": torch.zeros(3)}, str(foreign))
    arguments = (picture, "--class", "liver")
    assert "damaged" in refused(*arguments, model=cut)
    assert "something else" in refused(*arguments, model=foreign)
    assert "There is no weights file" in refused(*arguments, model=tmp_path / "none.safetensors")
    assert "There are no weights for 'huge'" in refused(*arguments, model="huge")


def test_out_of_memory(refused, picture, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(KPrism, "encode_image", full)
    assert "out of memory" in refused(picture, "--class", "liver")


def test_full_disk(refused, picture, monkeypatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic_file.os, "fsync", full)
    for output in ("out.png", "out.seg.nrrd", "out.nii.gz", "out.mha"):
        assert "No space left" in refused(picture, "--class", "liver", output=output)


def test_full_disk_leaves_an_earlier_result_alone(refused, picture, tmp_path, monkeypatch) -> None:
    (tmp_path / "out.nii.gz").write_bytes(b"earlier")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic_file.os, "fsync", full)
    refused(picture, "--class", "liver")
    assert (tmp_path / "out.nii.gz").read_bytes() == b"earlier"


def test_outputs_that_cannot_be(refused, picture, volume, tmp_path) -> None:
    liver = ("--class", "liver")
    assert ".seg.nrrd" in refused(picture, *liver, output="out.gif")
    assert "does not exist" in refused(picture, *liver, output="nowhere/out.png")
    assert "holds one slice" in refused(volume, *liver, output="out.png")
    assert "also an input" in refused(picture, *liver, output=picture.name)
    assert "another output" in refused(picture, *liver, "--overlay", tmp_path / "out.png", output="out.png")
    assert ".png, .jpg" in refused(picture, *liver, "--overlay", tmp_path / "o.gif")
    assert ".nii.gz" in refused(picture, *liver, "--probability", tmp_path / "p.png")


def test_wrong_usage_has_its_own_status(kprism, picture, tmp_path) -> None:
    assert kprism("segment", picture).status == 2
    assert kprism("segment", "--nothing").status == 2
    incomplete = kprism("segment", picture, "-o", tmp_path / "o.png", "--reference", picture)
    assert incomplete.status == 2
    assert "IMAGE and its MASK" in incomplete.err
    uid = kprism("segment", picture, "-o", tmp_path / "o.png", "--class", "liver", "--series-uid", "1.2")
    assert uid.status == 2
    assert "chooses among the DICOM series of a folder" in uid.err


@pytest.mark.parametrize(
    "arguments",
    [
        ("segment", "", "-o", "out", "--class", "liver"),
        ("segment", "a.png", "", "-o", "out", "--class", "liver"),
        ("segment", "a.png", "-o", "", "--class", "liver"),
        ("segment", "a.png", "--output=", "--class", "liver"),
        ("segment", "a.png", "-o", "o.png", "--class", "liver", "--overlay", ""),
        ("segment", "a.png", "-o", "o.png", "--class", "liver", "--probability="),
        ("segment", "a.png", "-o", "o.png", "--propagate", "--mask", ""),
        ("evaluate", ""),
        ("train", "", "-o", "run"),
        ("train", "a.toml", "-o", ""),
        ("export", "", "-o", "o.safetensors"),
        ("demo", "-o", ""),
    ],
)
def test_an_empty_name_is_not_the_folder_that_one_stands_in(kprism, tmp_path, monkeypatch, arguments) -> None:
    save_picture(tmp_path / "a.png", np.eye(9, dtype=np.uint8))
    monkeypatch.chdir(tmp_path)
    result = kprism(*arguments)
    assert result.status == 2
    assert "the name is empty; give that of a file or folder" in " ".join(result.err.replace("│", "").split())
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_the_name_of_a_model_may_not_be_empty(kprism, refused, picture) -> None:
    expected = "The name of the model is empty; give small, or a .safetensors file."
    assert refused(picture, "--class", "liver", model="") == expected
    assert kprism("classes", "--model=").sentence == expected


def test_foreign_notes_and_settings(kprism, tmp_path) -> None:
    assert kprism("info", "--set", "experts=3").sentence.startswith("There is no network setting 'experts'")
    assert "NAME=VALUE" in kprism("info", "--set", "experts").sentence
    assert "whole number" in kprism("info", "--set", "dim=big").sentence
    assert "true or false" in kprism("info", "--set", "moe_ffn=3").sentence
    assert "is a list" in kprism("info", "--set", "classes=3").sentence
    assert "at least 1" in kprism("info", "--set", "num_experts=0").sentence
    assert "There is no network 'large'" in kprism("info", "--model", "large").sentence
    missing = Path(tmp_path / "no.pt")
    assert "There is no checkpoint" in kprism("export", missing, "-o", tmp_path / "w.safetensors").sentence
    assert "ending .safetensors" in kprism("export", missing, "-o", tmp_path / "w.pt").sentence
    assert "JSON object" in kprism("export", missing, "-o", tmp_path / "w.safetensors", "--notes", "[]").sentence


def test_classes_of_a_model_that_knows_few_are_listed(refused, picture) -> None:
    assert "does not know the class 'kidney'; it knows liver, spleen, optic disc, optic cup." in refused(
        picture, "--class", "kidney"
    )


def test_a_checkpoint_is_called_what_it_is(refused, picture, tmp_path) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    torch.save({"step": 3}, checkpoint)
    sentence = refused(picture, "--class", "liver", model=checkpoint)
    assert "checkpoint.pt is no weights file, but a checkpoint" in sentence
    assert "`kprism export`" in sentence


def test_a_file_is_no_dataset(kprism, picture, weights) -> None:
    result = kprism("evaluate", picture, "--model", weights)
    assert result.status == 1
    assert f"{picture} is a file; give the folder of a dataset." in result.sentence
