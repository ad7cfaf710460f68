"""The report on volumes: what is measured, resumed case by case, and refused when it would mix measurements."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner, Result

from KPrismLib.dataset import DatasetFolder
from KPrismLib.network import KPrism
from KPrismLib.predictor import Predictor
from KPrismLib.specialist import Specialist
from KPrismLib.volumes import class_guidance
from KPrismLib.weights import save_weights
from Testing.engine.command.tiny_inputs import tiny_config
from Testing.training.volumes import PerfectPredictor, volumes_of_liver
from Training import volume_report
from Training.volume_measures import clicking, learning
from Training.volume_measures.cases import SliceStack, cases_of
from Training.volume_measures.classing import ClassMeasure
from Training.volume_measures.clicking import measure_clicks
from Training.volume_measures.propagating import measure_propagation
from Training.volume_measures.summary import summarise

SETS = ("--sets", "Tiny")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return volumes_of_liver(tmp_path / "data")


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(5)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(path, KPrism(tiny_config()).state_dict(), tiny_config(), {})
    return path


def report(*arguments: object) -> Result:
    app = typer.Typer()
    app.command()(volume_report.main)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_every_part_of_every_case_is_measured_and_summed_up(
    data: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(class_guidance, "Specialist", partial(Specialist, steps=1))
    monkeypatch.setattr(learning, "GIVEN", (1,))
    monkeypatch.setattr(clicking, "CLICKS_PER_SLICE", 1)  # this network never gets there
    output = tmp_path / "out.json"
    assert report(data, "--json", output, "--model", weights, "--device", "cpu", *SETS).exit_code == 0
    content = json.loads(output.read_text())
    keys = {"Tiny/v0/liver", "Tiny/v1/liver"}
    assert {part: set(cases) for part, cases in content["cases"].items()} == dict.fromkeys(volume_report.PARTS, keys)
    names = (
        ("classes", "found"),
        ("propagation", "propagated"),
        ("learning", "learned_1"),
        ("clicks", "least_certain"),
        ("learning_clicks", "learned"),
        ("guided_clicks", "guided"),
        ("retrieval", "percentile"),
    )
    for part, name in names:
        values = [case["measured"][name] for case in content["cases"][part].values()]
        summed = content["summary"][part]["Tiny"][name]
        assert summed["mean"] == pytest.approx(np.mean(values))
        assert summed["cases"] == 2
        assert (summed["interval95"], summed["patients"]) == (None, 2)  # too few to say more
    for case in content["cases"]["retrieval"].values():
        # The library has four slices, so that every set "of five" holds the same ones.
        measured = case["measured"]
        assert measured["suggested_five"] == pytest.approx(measured["five_random_mean"], abs=0.02)
        assert measured["random_mean"] <= measured["random_p90"] <= measured["random_best"]
        # The one volume of the library, by its middle slice: one of the four that can be drawn.
        assert [name for name in measured if name.startswith("exemplar_")] == ["exemplar_1"]
        assert 0 <= measured["exemplar_1"] <= measured["random_best"]


def test_a_stopped_run_goes_on_where_it_was(
    data: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []

    def fake(predictor: object, case: Any) -> dict[str, float]:
        if len(measured) == 1 and case.item == "v1" and "stop" not in measured:
            measured.append("stop")
            raise KeyboardInterrupt
        measured.append(case.item)
        return {"propagated": 0.5}

    monkeypatch.setattr(volume_report, "measure_propagation", fake)
    arguments = (data, "--json", tmp_path / "out.json", "--model", weights, *SETS, "--parts", "propagation")
    assert report(*arguments).exit_code == 130
    assert report(*arguments).exit_code == 0
    assert report(*arguments).exit_code == 0
    assert measured == ["v0", "stop", "v1"]


def test_measurements_are_never_mixed(data: Path, weights: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.json"
    arguments = (data, "--json", output, *SETS, "--parts", "propagation", "--limit", 1)
    assert report(*arguments, "--model", weights).exit_code == 0
    before = output.read_bytes()
    other = tmp_path / "other.safetensors"
    save_weights(other, KPrism(tiny_config()).state_dict(), tiny_config(), {})
    refused = report(*arguments, "--model", other)
    assert (refused.exit_code, output.read_bytes()) == (1, before)
    assert "choose another file name" in refused.output
    content = json.loads(before)
    content["settings"]["precision"] = "bfloat16"
    output.write_text(json.dumps(content), encoding="utf-8")
    assert "choose another file name" in " ".join(report(*arguments, "--model", weights).output.split())
    output.write_text("[]")
    assert "is no volume report" in report(*arguments, "--model", weights).output
    assert "no part 'speed'" in report(*arguments[:-4], "--parts", "speed").output


def test_a_report_from_before_a_set_changed_does_not_go_on(data: Path, weights: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.json"
    arguments = (data, "--json", output, "--model", weights, *SETS, "--parts", "propagation", "--limit", 1)
    assert report(*arguments).exit_code == 0
    description = data / "Tiny" / "dataset.json"
    description.write_text(description.read_text(encoding="utf-8") + " ", encoding="utf-8")
    refused = report(*arguments)
    assert refused.exit_code == 1
    assert "was measured before Tiny changed; choose another file name." in " ".join(refused.output.split())
    content = json.loads(output.read_text(encoding="utf-8"))
    # As reports were before: a digest of dataset.json, or none.
    content["settings"]["datasets"]["Tiny"] = hashlib.sha256(description.read_bytes()).hexdigest()[:16]
    del content["settings"]["precision"]
    output.write_text(json.dumps(content), encoding="utf-8")
    assert report(*arguments).exit_code == 0
    del content["settings"]["datasets"]
    output.write_text(json.dumps(content), encoding="utf-8")
    assert report(*arguments).exit_code == 0
    output.unlink()
    assert report(*arguments).exit_code == 0
    for part in ("mask", "image"):
        before = output.read_bytes()
        file = data / "Tiny" / getattr(DatasetFolder.open(data / "Tiny").items("test")[0], part)
        nibabel.save(nibabel.Nifti1Image(np.zeros((8, 8, 2), np.uint8), np.eye(4)), file)
        assert "was measured before Tiny changed" in " ".join(report(*arguments).output.split())
        assert output.read_bytes() == before


def test_the_limit_takes_whole_volumes(data: Path) -> None:
    folder = DatasetFolder.open(data / "Tiny")
    assert len(list(cases_of(folder, split="test", limit=1))) == 1
    (case, _) = cases_of(folder, split="test", limit=None)
    assert (case.middle, case.showing, len(case.stack)) == (3, [1, 2, 3, 4], 6)
    assert case.dice(dict(enumerate(case.truth))) == 1.0
    assert case.dice({1: case.truth[1]}) == pytest.approx(2 / 5)


def test_a_perfect_model_needs_one_click_and_loses_nothing(data: Path) -> None:
    case = next(cases_of(DatasetFolder.open(data / "Tiny"), split="test", limit=None))
    perfect: Predictor = PerfectPredictor()  # type: ignore[assignment]
    clicks = measure_clicks(perfect, case)
    # Nothing but the first click when what it says is carried on; a click in each slice otherwise.
    assert clicks["least_certain"] == 1
    assert clicks["independent"] == 4
    assert clicks["independent_in_context"] == 1
    assert (clicks["by_class"], clicks["independent_by_class"]) == (1, 0)
    assert clicks["independent_by_class_dice"] == pytest.approx(1.0, abs=0.02)
    assert measure_clicks(perfect, replace(case, cls="spleen"))["by_class"] is None
    assert [clicks[f"careful_{name}"] for name in ("least_certain", "independent")] == [1, 4]
    assert clicks["least_certain_dice"] == pytest.approx(1.0, abs=0.02)
    found = measure_propagation(perfect, case)
    ways = ("propagated", "by_class", "one_shot", "plain")
    assert [found[name] for name in ways] == pytest.approx([1.0] * 4, abs=0.02)
    assert measure_propagation(perfect, replace(case, cls="spleen"))["by_class"] is None


def test_classes_are_measured_with_and_without_what_is_taken_away(data: Path) -> None:
    folder = DatasetFolder.open(data / "Tiny")
    case = next(cases_of(folder, split="test", limit=None))
    stack = [np.array(case.stack.pixels(index)) for index in range(len(case.stack))]
    stack[0][:2, :2] = 255  # a stray piece in the slice before the structure begins
    stray = replace(
        case, stack=SliceStack([replace(s, pixels=p) for s, p in zip(case.stack.slices, stack, strict=True)])
    )
    perfect: Predictor = PerfectPredictor()  # type: ignore[assignment]
    found = ClassMeasure(perfect, folder).measure(stray)
    assert found is not None
    assert found["found"] > found["every_piece"]
    assert found["false_slices"] < found["every_piece_false_slices"]
    assert found["found_where_shown"] == pytest.approx(1.0, abs=0.02)
    assert ClassMeasure(perfect, folder).measure(replace(case, cls="spleen")) is None


def test_patients_of_two_sets_are_never_one() -> None:
    cases = [
        {"dataset": name, "patient": f"p{number}", "measured": {"dice": value, "rank": None}}
        for name, value in (("A", 0.2), ("B", 0.6))
        for number in range(3)
    ]
    summary = summarise(cases)
    # Three patients are too few for an interval, six are not.
    assert summary["A"]["dice"] == {"mean": pytest.approx(0.2), "interval95": None, "cases": 3, "patients": 3}
    assert summary["all"]["dice"]["patients"] == 6
    assert summary["all"]["dice"]["mean"] == pytest.approx(0.4)
    assert summary["all"]["dice"]["interval95"] is not None
    assert "rank" not in summary["A"]
