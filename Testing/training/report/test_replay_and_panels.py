"""A row on record gives the same mask again, and a picture of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from KPrismLib.dataset import DatasetFolder
from KPrismLib.errors import InvalidConfig, InvalidDataset
from KPrismLib.evaluation import evaluate
from KPrismLib.evaluation.measurements import VolumeMeasurement
from KPrismLib.evaluation.rows import Row, rows_of
from KPrismLib.evaluation.settings import Mode
from KPrismLib.terminology import term_for
from Testing.engine.predictor.tiny_predictor import tiny_predictor
from Testing.training.report.tiny_report import measured, store, write_pictures, write_volumes
from Training.report.needs import Effort, clicks, masks
from Training.report.panel_figures import PANEL_FIGURES, choose, draw, save_figure
from Training.report.panels import CELL, panel, stacked
from Training.report.replay import Prediction, read_case, replayed, simulated
from Training.report.results import Results
from Training.report.sets import by_name
from Training.report.view import View

ALL_MODES = ("semantic", "in_context", "interactive", "refine_semantic", "refine_in_context")


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    return DatasetFolder.open(write_volumes(tmp_path, "ACDC"))


def _rows(folder: DatasetFolder) -> list[Row]:
    report = evaluate(
        tiny_predictor(), [folder], modes=ALL_MODES, clicks=2, limit=1, absent_classes=False, references=2
    )
    return rows_of(report.slices, report.volumes, report.references, "tiny")


def test_every_mode_is_replayed_to_the_same_dice(folder: DatasetFolder) -> None:
    predictor, rows = tiny_predictor(), _rows(folder)
    assert {row.measurement.mode.value for row in rows} == set(ALL_MODES)
    for row in rows:
        case = read_case(row, {"ACDC": folder})
        found = replayed(case, predictor)
        assert found.dice == row.measurement.curve[len(found.clicks)]
        assert len(case.references) == (2 if row.measurement.mode.uses_references else 0)
    clicked = next(row for row in rows if row.measurement.mode is Mode.INTERACTIVE)
    case = read_case(clicked, {"ACDC": folder})
    assert replayed(case, predictor, clicks=1).dice == clicked.measurement.curve[1]
    assert simulated(case, predictor, clicks=2).clicks == clicked.measurement.clicks


def test_rows_that_cannot_be_replayed(folder: DatasetFolder) -> None:
    folders = {"ACDC": folder}
    good = {"patient": "v3", "index": 0}
    for row, sentence in (
        (Row(VolumeMeasurement("ACDC", "v3", "p", "liver", Mode.SEMANTIC, 1.0)), "whole volume"),
        (Row(measured("BUSI", **good)), "no dataset 'BUSI'"),
        (Row(measured("ACDC", **good, cls="lung")), "no class 'lung'; it has liver, spleen"),
        (Row(measured("ACDC", patient="v9")), "no item 'v9'"),
        (Row(measured("ACDC", patient="v3", index=3)), "has 3 slices, none 3"),
        (Row(measured("ACDC", Mode.IN_CONTEXT, **good), references=("v9:0",)), "no item 'v9'"),
    ):
        with pytest.raises(InvalidDataset, match=sentence):
            read_case(row, folders)


def test_a_panel_shows_reference_image_prediction_and_truth(folder: DatasetFolder) -> None:
    row = next(row for row in _rows(folder) if row.measurement.mode is Mode.REFINE_IN_CONTEXT)
    case = read_case(row, {"ACDC": folder})
    mask = np.zeros_like(case.target)
    mask[10:30, 10:30] = True
    picture = panel(case, [("ours", Prediction(mask, 0.5)), ("other", Prediction(~mask, float("nan")))], title="liver")
    assert picture.dtype == np.uint8
    cells = 5
    assert picture.shape[1] == cells * (CELL + 6)
    columns = [picture[40:, number * (CELL + 6) : number * (CELL + 6) + CELL].astype(int) for number in range(cells)]
    colourful = [np.abs(part - part.mean(axis=2, keepdims=True)).max() > 40 for part in columns]
    assert colourful == [True, False, True, True, True]  # only the image is bare
    red, green, blue = term_for("liver").colour
    shown = columns[2].reshape(-1, 3)
    distance = np.abs(shown - 255 * np.array([red, green, blue])).sum(axis=1)
    assert distance.min() < 30  # the outline of the prediction has the colour of its class
    both = stacked([picture, picture[:, :100]])
    assert both.shape == (2 * picture.shape[0] + 12, picture.shape[1], 3)


def test_best_median_and_worst(tmp_path: Path) -> None:
    values = (0.5, 0.1, 0.9, 0.3, 0.7)
    rows = [measured("BUSI", Mode.SEMANTIC, value, index=number) for number, value in enumerate(values)]
    absent = measured("BUSI", Mode.SEMANTIC, index=9, present=False)
    store(Results(tmp_path), [absent, *rows, measured("BUSI", Mode.IN_CONTEXT, 1.0)], protocol=masks(Effort()))
    view, figure = View(Results(tmp_path), "tiny"), PANEL_FIGURES["figure6"]
    chosen = choose(figure, view, {"BUSI"})
    assert [(each.label, each.row.measurement.curve[0], each.line) for each in chosen] == [
        ("best", 0.9, 4),
        ("median", 0.5, 2),
        ("worst", 0.1, 3),
    ]
    named = choose(figure, view, {"BUSI"}, ["BUSI:p1:3:liver", "2nd worst"])
    assert sorted((each.label, each.line) for each in named) == [("2nd worst", 5), ("named", 5)]
    assert choose(figure, view, {"ACDC"}) == []  # its data are not at hand
    with pytest.raises(InvalidConfig, match="no case 'nicest'"):
        choose(figure, view, {"BUSI"}, ["nicest"])
    with pytest.raises(InvalidDataset, match="BUSI:p9:0:liver was not measured"):
        choose(figure, view, {"BUSI"}, ["BUSI:p9:0:liver"])


def test_a_figure_says_which_rows_it_shows(tmp_path: Path) -> None:
    folder = DatasetFolder.open(write_pictures(tmp_path, "BUSI"))
    report = evaluate(tiny_predictor(), [folder], modes=["interactive"], clicks=5, limit=1)
    store(Results(tmp_path / "results"), report.slices, protocol=clicks(Effort()))
    view, figure = View(Results(tmp_path / "results"), "tiny"), PANEL_FIGURES["figure8"]
    chosen = choose(figure, view, {"BUSI"}, ["worst"])
    picture = draw(figure, chosen, tiny_predictor(), by_name([folder]), {"again": tiny_predictor()})
    path = save_figure(tmp_path, "figure8", picture, chosen)
    with Image.open(path) as stored:
        assert stored.size == (4 * (CELL + 6), picture.shape[0])
    text = path.with_suffix(".json").read_text(encoding="utf-8")
    assert '"table": "BUSI.csv"' in text
    assert f'"row": {chosen[0].line}' in text
