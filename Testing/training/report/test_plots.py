"""Plots hold what they are given; how they look is for people to judge."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from KPrismLib.errors import InvalidConfig
from KPrismLib.evaluation.settings import Mode
from Testing.training.report.tiny_report import measured, store
from Training.report import curve_figures, plots
from Training.report.gates import GateWeight
from Training.report.needs import Effort, clicks, masks
from Training.report.plots import Curve, Dot, convergence, dots, expert_bars
from Training.report.results import Results
from Training.report.statistics import Number
from Training.report.view import View


def _curve(title: str, *values: float) -> Curve:
    middle = np.array(values)
    return Curve(title, Number(middle, middle - 0.1, middle + 0.1, 5), {"K-Prism": {1: 80.0}, "SAM2": {1: 70.0}})


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that were drawn, kept after they were written."""
    figures: list[Any] = []
    original = plots._figure

    def keep(*args: Any, **changes: Any) -> Any:
        context = original(*args, **changes)
        enter = context.__enter__

        class Kept:
            def __enter__(self) -> Any:
                figures.append(enter())
                return figures[-1]

            def __exit__(self, *error: Any) -> Any:
                return context.__exit__(*error)

        return Kept()

    monkeypatch.setattr(plots, "_figure", keep)
    return figures


def test_curves_in_percent_with_the_paper_s_points(tmp_path: Path, drawn: list[Any]) -> None:
    convergence([_curve("A", 0.0, 0.5, 0.9), _curve("B", 0.2, 0.3, 0.4)], tmp_path / "c.png", columns=5)
    (figure,) = drawn
    first, second = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["A", "B"]
    ours, paper, other = first.lines
    assert ours.get_ydata().tolist() == pytest.approx([0, 50, 90])
    assert (paper.get_xdata(), paper.get_ydata()) == ([1], [80.0])
    assert other.get_ydata() == [70.0]
    band = first.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == pytest.approx((-10, 100))
    assert second.get_ylim() == first.get_ylim()
    with Image.open(tmp_path / "c.png") as image:
        assert image.format == "PNG"
        assert image.width > image.height


def test_bars_add_up(tmp_path: Path, drawn: list[Any]) -> None:
    expert_bars({"one": np.array([0.2, 0.8]), "two": np.array([0.5, 0.5])}, tmp_path / "b.png")
    heights = [bar.get_height() for bar in drawn[0].axes[0].patches]
    assert heights == pytest.approx([0.2, 0.8, 0.5, 0.5])


def test_dots_stand_in_the_same_line(tmp_path: Path, drawn: list[Any]) -> None:
    number = Number(np.float64(50), np.float64(40), np.float64(60), 5)
    alone = Number(np.float64(70), None, None, 5)
    groups = {"left": [Dot("A", number, 80.0), Dot("B", alone, None)], "right": [Dot("B", number, 90.0)]}
    dots(groups, tmp_path / "d.png", label="Dice (%)", zero=True)
    left, right = drawn[0].axes
    assert [text.get_text() for text in left.get_yticklabels()] == ["A", "B"]
    by_height = {line.get_ydata()[0]: line.get_xdata()[0] for line in right.lines if len(line.get_ydata()) == 1}
    assert by_height == {1: 90.0}  # B, the second line from the top; the paper's is drawn last


def test_figures_from_results(tmp_path: Path, drawn: list[Any]) -> None:
    results, folder = Results(tmp_path / "results"), tmp_path
    view = View(results, "tiny")
    assert curve_figures.figure3(view, folder) is None
    assert curve_figures.figure4([], folder) is None
    assert curve_figures.figure5(view, folder) is None
    assert curve_figures.dice_dots(view, folder) is None
    curve = tuple(click / 10 for click in range(11))
    for name in ("CXR_LUNG", "KVASIR_SEG", "BRATS2015_SIX", "MINE"):
        store(results, [measured(name, Mode.INTERACTIVE, *curve)], protocol=clicks(Effort()), trained_on=["CXR_LUNG"])
        store(results, [measured(name, Mode.SEMANTIC, 0.6)], protocol=masks(Effort()))
    assert curve_figures.figure3(view, folder) is not None
    assert [axes.get_title() for axes in drawn[-1].axes] == ["in-distribution (2 sets)", "unseen class (1 set)"]
    paper = drawn[-1].axes[1].lines[1]
    assert (list(paper.get_xdata()), list(paper.get_ydata())) == ([1, 5], [68.67, 90.67])
    assert curve_figures.figure5(view, folder) is not None
    titles = [axes.get_title() for axes in drawn[-1].axes]
    assert titles[:4] == ["CXR_LUNG (trained)", "KVASIR_SEG", "BRATS2015_SIX", "MINE"]
    picture = curve_figures.dice_dots(view, folder)
    assert picture is not None
    labels = [text.get_text() for text in drawn[-1].axes[0].get_yticklabels()]
    assert labels == ["Chest X-ray: CXR_LUNG", "BKAI-POLY: KVASIR_SEG", "BraTS: BRATS2015_SIX"]


def test_changes_of_the_ablations(tmp_path: Path, drawn: list[Any]) -> None:
    results, view = Results(tmp_path / "results"), View(Results(tmp_path / "results"), "tiny")
    assert curve_figures.ablation_dots(view, tmp_path) is None
    for run, value in (("full", 0.7), ("no-moe", 0.6), ("experts-1", 0.75)):
        rows = [measured("BUSI", Mode.SEMANTIC, value, patient=patient) for patient in "abc"]
        store(results, rows, model=f"ablations/{run}", protocol=masks(Effort()))
    assert curve_figures.ablation_dots(view, tmp_path) is not None
    (axes,) = drawn[-1].axes
    assert axes.get_title() == "semantic"
    assert [text.get_text() for text in axes.get_yticklabels()] == ["w/o MoE FFN & CA", "experts: 1 (Plain)"]
    ours = {line.get_ydata()[0]: line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"}
    paper = {line.get_ydata()[0]: line.get_xdata()[0] for line in axes.lines if line.get_marker() == "D"}
    assert ours == pytest.approx({2: -10.0, 1: 5.0})
    assert paper == pytest.approx({2: 76.77 - 81.28})  # Table 7b has no plain decoder


def test_figure_4_tells_the_gates_apart(tmp_path: Path) -> None:
    weights = [
        GateWeight("ACDC", mode, f"decoder.layers.0.{place}.gate", expert, share, 7)
        for mode in (Mode.SEMANTIC, Mode.IN_CONTEXT, Mode.INTERACTIVE)
        for place, shares in (("read", (0.2, 0.8)), ("write", (0.4, 0.6)), ("ffn", (0.9, 0.1)))
        for expert, share in enumerate(shares, start=1)
    ]
    section = curve_figures.figure4(weights, tmp_path)
    assert section is not None
    assert section.tables[0].rows[0] == ["queries read pixels", "Mode-1, semantic", "0.20", "0.80"]
    assert len(section.tables[0].rows) == 9
    assert (tmp_path / "figure4.png").is_file()


def test_without_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def missing(name: str, *args: Any, **changes: Any) -> Any:
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return original(name, *args, **changes)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(InvalidConfig, match=r"kprism\[report\]"):
        convergence([_curve("A", 0.1)], tmp_path / "c.png", columns=1)
