"""The files that ``kprism evaluate`` writes: never over what is not a result, and before anything is shown."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from KPrismLib.dataset import DatasetFolder
from KPrismLib.predictor import Predictor
from Testing.engine.command.tiny_inputs import blob
from Testing.engine.dataset.tiny_dataset import describe, listed, write_folder


@pytest.fixture
def data(tmp_path: Path, rng: np.random.Generator) -> Path:
    pixels = blob((24, 30), rng)
    arrays = {"image_one": pixels, "mask_one": (pixels > 130).astype(np.uint8)}
    return write_folder(tmp_path / "data" / "TINY", describe([listed("one")]), **arrays).parent


@pytest.fixture
def evaluate(kprism, data, weights):
    def run(*arguments: object):
        return kprism("evaluate", data, "--modes", "semantic", "--model", weights, "--device", "cpu", *arguments)

    return run


@pytest.fixture
def refused(evaluate, tmp_path, monkeypatch):
    """Runs an evaluation that is not to begin; gives its sentence, after making sure that no file has changed."""
    monkeypatch.setattr(Predictor, "load", lambda *_, **__: pytest.fail("it began to work"))

    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def run(*arguments: object) -> str:
        before = contents()
        result = evaluate(*arguments)
        assert result.status == 1
        assert contents() == before
        return result.sentence

    return run


def test_no_file_of_a_dataset_is_written_over(refused, data) -> None:
    for file in DatasetFolder.open(data / "TINY").files:
        for option in ("--json", "--rows"):
            assert f"{file.name}: it is a file of the dataset; choose another name" in refused(option, file)
    dotted = data / "TINY" / "masks" / ".." / "dataset.json"
    assert "a file of the dataset" in refused("--rows", dotted)


@pytest.mark.parametrize(("asked", "used"), [("auto", "float32"), ("float32", "float32"), ("bfloat16", "bfloat16")])
def test_the_precision_is_that_asked_for_and_on_record(evaluate, tmp_path, monkeypatch, asked, used) -> None:
    computed, load = [], Predictor.load.__func__

    def noted(*arguments, **options):
        predictor = load(Predictor, *arguments, **options)
        computed.append(predictor.dtype)
        return predictor

    monkeypatch.setattr(Predictor, "load", noted)
    assert evaluate("--json", tmp_path / "out.json", "--precision", asked).status == 0
    assert computed == [getattr(torch, used)]
    assert json.loads((tmp_path / "out.json").read_text())["settings"]["precision"] == used


def test_a_precision_that_is_none_is_refused(evaluate) -> None:
    assert "There is no precision 'half'" in evaluate("--precision", "half").sentence


def test_the_two_results_need_two_files(refused, tmp_path) -> None:
    file, same = tmp_path / "out", tmp_path / "data" / ".." / "out"
    assert "is given for --json and for --rows" in refused("--json", file, "--rows", same)
    file.touch()
    (tmp_path / "OUT").hardlink_to(file)  # stands for a disk that takes the two names for the same
    assert "is given for --json and for --rows" in refused("--json", file, "--rows", tmp_path / "OUT")


@pytest.mark.parametrize("content", ["patient,age\n7,60\n", '{"name": "TINY"}', "[1]", "\0"])
@pytest.mark.parametrize("option", ["--json", "--rows"])
def test_a_file_that_is_no_result_stays(refused, tmp_path, option, content) -> None:
    (tmp_path / "mine").write_text(content)
    assert "mine: a file of that name lies there, and no evaluation wrote it" in refused(option, tmp_path / "mine")


def test_results_take_the_place_of_results_and_of_empty_files(evaluate, tmp_path) -> None:
    report, rows = tmp_path / "report.json", tmp_path / "rows.csv"
    report.touch()
    written = ("--json", report, "--rows", rows)
    assert evaluate(*written).status == 0
    before = report.read_bytes()
    assert evaluate(*written, "--no-absent").status == 0
    assert report.read_bytes() != before
    assert "no evaluation wrote it" in evaluate("--json", rows).sentence
    assert "no evaluation wrote it" in evaluate("--rows", report).sentence


@pytest.mark.parametrize("options", [("--json",), ("--rows",), ("--json", "--rows")])
def test_results_are_written_before_they_are_shown(evaluate, tmp_path, monkeypatch, options) -> None:
    def closed(_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("KPrismLib.command.console.show", closed)
    paths = [tmp_path / option[2:] for option in options]
    assert evaluate(*(word for pair in zip(options, paths, strict=True) for word in pair)).status == 141
    assert all(path.stat().st_size for path in paths)
    assert not list(tmp_path.glob("*journal*"))
