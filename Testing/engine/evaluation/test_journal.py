"""An evaluation that is interrupted goes on, processes share it, and batches change nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from KPrismLib.dataset import DatasetFolder
from KPrismLib.errors import Cancelled, CannotWrite, InvalidConfig
from KPrismLib.evaluation import EvaluationReport, evaluate
from KPrismLib.evaluation import journal as journal_module
from KPrismLib.evaluation.journal import discard
from KPrismLib.evaluation.predictor import OneByOne
from Testing.engine.dataset.tiny_dataset import describe, listed, write_folder
from Testing.engine.evaluation.threshold_predictor import ThresholdPredictor

BOTH = {"liver": 100, "spleen": 200}
MODES = ["semantic", "in_context", "interactive", "refine_semantic"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[DatasetFolder]:
    """Six pictures of six patients, and two volumes of three slices, one of them without anything."""
    path = tmp_path_factory.mktemp("data")
    draw = np.random.default_rng(0)
    items, arrays = [], {}
    for number in range(6):
        name = f"i{number}"
        items.append(listed(name, patient=f"p{number}", split="train" if number > 3 else "test"))
        mask = np.zeros((8, 9), dtype=np.uint8)
        mask[1:4, 1 + number % 3 : 6] = 1
        mask[5:7, 4:] = 2
        noise = draw.random(mask.shape) < 0.1
        arrays |= {f"mask_{name}": mask, f"image_{name}": np.where(noise, 0, mask * 100).astype(np.uint8)}
    labels = {"0": "background", "1": "liver", "2": "spleen"}
    pictures = write_folder(path / "a", describe(items, labels=labels, name="Pictures"), **arrays)
    volume = np.zeros((9, 8, 3), dtype=np.uint8)
    volume[2:5, 1:4, 1:] = 1
    shown = np.where(draw.random(volume.shape) < 0.2, 0, volume * 100).astype(np.uint8)
    shown[8, 7] = 50  # no slice is blank
    volumes = write_folder(
        path / "b",
        describe([listed(f"v{n}", suffix=".nii.gz", patient=f"q{n}") for n in range(2)], name="Volumes"),
        **{f"mask_v{n}": volume for n in range(2)},
        **{f"image_v{n}": shown for n in range(2)},
    )
    return [DatasetFolder.open(pictures), DatasetFolder.open(volumes)]


def run(folders: list[DatasetFolder], **how: Any) -> EvaluationReport:
    return evaluate(ThresholdPredictor(BOTH), folders, **{"modes": MODES, "clicks": 4, **how})


def without_times(report: EvaluationReport) -> dict[str, Any]:
    summary = report.summary()
    for modes in summary["datasets"].values():
        for numbers in modes.values():
            del numbers["milliseconds"]
    return {
        "summary": summary,
        "slices": [replace(row, milliseconds=0.0) for row in report.slices],
        "volumes": report.volumes,
    }


@pytest.fixture(scope="module")
def whole(folders: list[DatasetFolder]) -> EvaluationReport:
    report = run(folders)
    assert len(report.slices) > 40
    assert report.volumes
    assert report.missing == 0
    return report


class Company(ThresholdPredictor):
    """Tells which images it is asked about together."""

    def __init__(self) -> None:
        super().__init__(BOTH)
        self.asked: list[tuple[int, ...]] = []

    def together(self, batch: int, *, honour: bool) -> OneByOne:
        company = self

        class Watched(OneByOne):
            def segment(self, images: Any, classes: Any, references: Any) -> Any:
                company.asked.append(tuple(hash(image.tobytes()) for image in images))
                return super().segment(images, classes, references)

        return Watched(self)


def test_slices_keep_their_company_whatever_happens(folders: list[DatasetFolder], tmp_path: Path) -> None:
    """In reduced precision the last digits depend on it."""

    def asked(**how: Any) -> list[tuple[int, ...]]:
        predictor = Company()
        evaluate(predictor, folders, modes=["semantic"], batch=3, **how)
        return predictor.asked

    whole = asked()
    assert [len(set(some)) for some in whole] == [3, 1, 3, 3]
    with pytest.raises(Cancelled):
        asked(journal=tmp_path / "a", progress=stop_after(2))
    assert asked(journal=tmp_path / "a") == whole
    with pytest.raises(Cancelled):
        asked(journal=tmp_path / "b", progress=stop_after(5))
    assert asked(journal=tmp_path / "b") == whole[2:]
    shared = [asked(journal=tmp_path / "c", rank=rank, processes=2) for rank in (0, 1)]
    assert sorted(some for share in shared for some in share) == sorted(whole)


def test_a_volume_is_read_once_however_small_the_blocks(
    folders: list[DatasetFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = DatasetFolder.load
    monkeypatch.setattr(DatasetFolder, "load", lambda self, item: (read.append(item.id), real(self, item))[1])
    run(folders[1:], modes=["semantic"], batch=1)
    assert read == ["v0", "v1"]


@pytest.mark.parametrize("batch", [1, 3, 100])
def test_batches_change_nothing(folders: list[DatasetFolder], whole: EvaluationReport, batch: int) -> None:
    assert without_times(run(folders, batch=batch)) == without_times(whole)


def stop_after(number: int) -> Any:
    def progress(done: int, *_: Any) -> None:
        if done == number:
            raise Cancelled("Stopped.")

    return progress


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("cut", [1, 3, 7, 10])
def test_an_interrupted_evaluation_goes_on(
    folders: list[DatasetFolder], whole: EvaluationReport, tmp_path: Path, batch: int, cut: int
) -> None:
    stem = tmp_path / "out.json"
    with pytest.raises(Cancelled):
        run(folders, journal=stem, batch=batch, progress=stop_after(cut))
    predictor = ThresholdPredictor(BOTH)
    report = evaluate(predictor, folders, modes=MODES, clicks=4, journal=stem, batch=batch)
    assert predictor.encoded <= 10 - cut + batch  # what was finished is not measured again, but for the block's others
    assert without_times(report) == without_times(whole)
    (path,) = tmp_path.iterdir()
    assert len([line for line in path.read_text().splitlines() if line]) == 10
    again = ThresholdPredictor(BOTH)
    finished = evaluate(again, folders, modes=MODES, clicks=4, journal=stem, batch=batch)
    assert without_times(finished) == without_times(whole)
    assert again.encoded == 0
    discard(stem)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("keep", [0, 1, 40, -1, -2, -60])
def test_a_line_that_was_cut_off_costs_one_slice(
    folders: list[DatasetFolder], whole: EvaluationReport, tmp_path: Path, keep: int
) -> None:
    """A kill or a power cut in the middle of writing."""
    stem = tmp_path / "out.json"
    run(folders, journal=stem)
    (path,) = tmp_path.iterdir()
    content = path.read_bytes()
    path.write_bytes(content[:keep])
    assert without_times(run(folders, journal=stem)) == without_times(whole)
    assert without_times(run(folders, journal=stem)) == without_times(whole)


@pytest.mark.parametrize("processes", [2, 3, 30])
def test_processes_share_the_slices(
    folders: list[DatasetFolder], whole: EvaluationReport, tmp_path: Path, processes: int
) -> None:
    stem = tmp_path / "out.json"
    reports = []
    encoded = 0
    for rank in reversed(range(processes)):
        predictor = ThresholdPredictor(BOTH)
        share = {"journal": stem, "batch": 1, "rank": rank, "processes": processes}
        reports.append(evaluate(predictor, folders, modes=MODES, clicks=4, **share))
        encoded += predictor.encoded
    assert encoded == 10
    *others, last = reports
    assert processes > 10 or all(report.missing > 0 for report in others)  # of thirty, many have nothing to do
    assert last.missing == 0
    assert without_times(last) == without_times(whole)


def test_another_number_of_processes_goes_on_with_what_is_there(
    folders: list[DatasetFolder], whole: EvaluationReport, tmp_path: Path
) -> None:
    stem = tmp_path / "out.json"
    run(folders, journal=stem, rank=1, processes=2, batch=2)
    predictor = ThresholdPredictor(BOTH)
    report = evaluate(predictor, folders, modes=MODES, clicks=4, journal=stem, batch=2)
    assert predictor.encoded == 2 + 2  # of two blocks of pictures the second is known, of three of volumes two
    assert without_times(report) == without_times(whole)


@pytest.mark.parametrize(
    "change",
    [
        {"clicks": 3},
        {"seed": 1},
        {"batch": 9},
        {"modes": ["semantic"]},
        {"fingerprint": "other"},
        {"references": 2},
        {"precision": "bfloat16"},
    ],
)
def test_a_journal_of_another_evaluation_is_refused(
    folders: list[DatasetFolder], tmp_path: Path, change: dict[str, Any]
) -> None:
    stem = tmp_path / "out.json"
    run(folders, journal=stem)
    with pytest.raises(InvalidConfig, match="another evaluation") as caught:
        run(folders, journal=stem, **change)
    assert "\n" not in str(caught.value)


def test_other_datasets_do_not_matter(folders: list[DatasetFolder], tmp_path: Path) -> None:
    stem = tmp_path / "out.json"
    run(folders[:1], journal=stem)
    predictor = ThresholdPredictor(BOTH)
    evaluate(predictor, folders, modes=MODES, clicks=4, journal=stem)
    assert predictor.encoded == 6


def test_changed_data_are_noticed(folders: list[DatasetFolder], tmp_path: Path) -> None:
    stem, description = tmp_path / "out.json", folders[0].path / "dataset.json"
    run(folders, journal=stem)
    before = description.read_text(encoding="utf-8")
    description.write_text(json.dumps(json.loads(before) | {"notes": "labels corrected"}), encoding="utf-8")
    try:
        with pytest.raises(InvalidConfig, match="weights, settings or data"):
            run(folders, journal=stem)
    finally:
        description.write_text(before, encoding="utf-8")


@pytest.mark.parametrize("item", [0, 5])
def test_changed_images_are_noticed_those_of_references_too(
    folders: list[DatasetFolder], tmp_path: Path, item: int
) -> None:
    stem, image = tmp_path / "out.json", folders[0].path / folders[0].description.items[item].image
    run(folders, journal=stem)
    before = image.read_bytes()
    Image.fromarray(255 - np.asarray(Image.open(image))).save(image)
    try:
        with pytest.raises(InvalidConfig, match="weights, settings or data"):
            run(folders, journal=stem)
    finally:
        image.write_bytes(before)
    run(folders, journal=stem)


def test_a_full_disk_is_told_and_loses_nothing(
    folders: list[DatasetFolder], whole: EvaluationReport, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stem = tmp_path / "out.json"
    done: list[int] = []

    def full(_: int) -> None:
        done.append(0)
        if len(done) == 4:
            raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(journal_module.os, "fsync", full)
        with pytest.raises(CannotWrite, match="No space left on device; free some space and start again"):
            run(folders, journal=stem)
    predictor = ThresholdPredictor(BOTH)
    report = evaluate(predictor, folders, modes=MODES, clicks=4, journal=stem)
    assert predictor.encoded == 6  # the block of pictures was finished
    assert without_times(report) == without_times(whole)


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ({"rank": 2, "processes": 2, "journal": Path("x")}, "Process 2 of 2"),
        ({"rank": -1, "processes": 2, "journal": Path("x")}, "Process -1 of 2"),
        ({"processes": 2}, "through a journal"),
        ({"batch": 0}, "at least 1 mask"),
    ],
)
def test_what_cannot_be_shared_is_told(folders: list[DatasetFolder], how: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidConfig, match=sentence):
        run(folders, **how)


def test_names_that_are_patterns_are_only_names(folders: list[DatasetFolder], tmp_path: Path) -> None:
    run(folders, journal=tmp_path / "a[1]*.json")
    run(folders, journal=tmp_path / "a1.json", seed=3)
    discard(tmp_path / "a[1]*.json")
    assert [path.name for path in tmp_path.iterdir()] == ["a1.json.journal-0.jsonl"]
