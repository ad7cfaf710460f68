"""Figures 6 to 9: which cases of which sets are shown, and the pictures of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from KPrismLib.dataset import DatasetFolder
from KPrismLib.errors import InvalidConfig, InvalidDataset
from KPrismLib.evaluation.measurements import SliceMeasurement
from KPrismLib.evaluation.rows import Row
from KPrismLib.evaluation.settings import Mode
from KPrismLib.imaging.atomic_file import write_atomically
from KPrismLib.imaging.overlay import write_overlay
from KPrismLib.predictor import Predictor
from Training.report.panels import Picture, panel, stacked
from Training.report.replay import Case, Prediction, read_case, replayed, simulated
from Training.report.view import Measured, View


@dataclass(frozen=True)
class Subject:
    """A set of the paper and the class that is shown of it; any class when empty."""

    name: str
    cls: str = ""


@dataclass(frozen=True)
class PanelFigure:
    """What a figure shows.

    Attributes:
        mode: The mode.
        subjects: Sets and classes, as in the paper.
        protocol: Where the rows are.
        clicks: After how many clicks; 0 in the modes without.
        cases: Which cases, unless somebody names others.
    """

    mode: Mode
    subjects: tuple[Subject, ...]
    protocol: str = "masks"
    clicks: int = 0
    cases: tuple[str, ...] = ("best", "median", "worst")


PANEL_FIGURES: Mapping[str, PanelFigure] = MappingProxyType(
    {
        "figure6": PanelFigure(
            Mode.SEMANTIC,
            (Subject("LiTS"), Subject("KiTS"), Subject("KPIs"), Subject("Breast Cancer")),
        ),
        "figure7": PanelFigure(
            Mode.IN_CONTEXT,
            (
                Subject("AMOS_MRI", "right kidney"),
                Subject("AMOS_CT", "right kidney"),
                Subject("M&Ms", "myocardium"),
                Subject("BKAI-POLY"),
                Subject("BTCV", "liver"),
            ),
        ),
        "figure8": PanelFigure(
            Mode.INTERACTIVE,
            (Subject("BraTS"), Subject("BUS"), Subject("M&Ms-2", "left ventricle"), Subject("UW-SC")),
            protocol="clicks",
            clicks=5,
        ),
        "figure9": PanelFigure(
            Mode.IN_CONTEXT,
            (Subject("BraTS"), Subject("M&Ms-2", "myocardium")),
            cases=("worst", "2nd worst", "3rd worst"),
        ),
    }
)

#: Name of a case to its position among rows sorted by Dice, worst first.
_POSITIONS: Mapping[str, Callable[[int], int]] = MappingProxyType(
    {
        "best": lambda count: count - 1,
        "median": lambda count: (count - 1) // 2,
        "worst": lambda _: 0,
        "2nd worst": lambda count: min(1, count - 1),
        "3rd worst": lambda count: min(2, count - 1),
    }
)


@dataclass(frozen=True)
class Chosen:
    """A case that a figure shows.

    Attributes:
        row: The row.
        label: Why it was chosen.
        line: Its line in the table of rows, from 1, as ``replay`` counts.
        measured: The set.
    """

    row: Row
    label: str
    line: int
    measured: Measured


def choose(figure: PanelFigure, view: View, folders: Container[str], cases: Sequence[str] = ()) -> list[Chosen]:
    """Pick the cases of a figure from the results.

    Args:
        figure: What is shown.
        view: The results.
        folders: The names of the datasets at hand; others cannot be drawn.
        cases: ``best``, ``median``, ``worst``, ``2nd worst``, ``3rd worst``, or ``SET:ITEM:SLICE:CLASS`` by the names
            in the rows; empty for the figure's own.

    Raises:
        InvalidConfig: There is no such kind of case.
        InvalidDataset: A named case was not measured.
    """
    wanted = list(cases or figure.cases)
    kinds = [case for case in wanted if case in _POSITIONS]
    names = [case for case in wanted if case not in _POSITIONS]
    for name in names:
        if name.count(":") < 3:
            raise InvalidConfig(f"There is no case {name!r}; choose {', '.join(_POSITIONS)} or SET:ITEM:SLICE:CLASS.")
    chosen, found = [], set()
    for subject in figure.subjects:
        measured = view.measured(figure.protocol, subject.name)
        if measured is None or measured.dataset not in folders:
            continue
        ranked = _ranked(measured, figure, subject)
        for kind in kinds:
            if ranked:
                line, row = ranked[_POSITIONS[kind](len(ranked))]
                chosen.append(Chosen(row, kind, line, measured))
        for line, row in enumerate(measured.part.rows, start=1):
            name = _name(row)
            if name in names and row.measurement.mode is figure.mode:
                chosen.append(Chosen(row, "named", line, measured))
                found.add(name)
    missing = [name for name in names if name not in found]
    if missing:
        raise InvalidDataset(f"{missing[0]} was not measured for this figure; names are SET:ITEM:SLICE:CLASS.")
    return chosen


def draw(
    figure: PanelFigure,
    chosen: Sequence[Chosen],
    predictor: Predictor,
    folders: Mapping[str, DatasetFolder],
    also: Mapping[str, Predictor],
) -> Picture:
    """Segment the cases again and draw them, one below the other.

    Args:
        figure: What is shown.
        chosen: The cases.
        predictor: With the weights of the rows.
        folders: The datasets, by name.
        also: Other models by name; each makes its own errors and gets clicks on those.
    """
    rows = []
    for each in chosen:
        case = read_case(each.row, folders)
        predictions: list[tuple[str, Prediction]] = [("ours", replayed(case, predictor, clicks=figure.clicks))]
        predictions += [(name, simulated(case, other, clicks=figure.clicks)) for name, other in also.items()]
        rows.append(panel(case, predictions, title=_title(each, case)))
    return stacked(rows)


def save_figure(folder: Path, key: str, picture: Picture, chosen: Sequence[Chosen]) -> Path:
    """Write the picture, and beside it which rows of which weights it shows."""
    path = write_overlay(folder / f"{key}.png", picture)
    shown = [
        {
            "table": each.measured.part.path.name,
            "row": each.line,
            "case": _name(each.row),
            "label": each.label,
            "weights": each.measured.part.facts.digest,
        }
        for each in chosen
    ]
    write_atomically(folder / f"{key}.json", (json.dumps(shown, indent=1) + "\n").encode())
    return path


def _ranked(measured: Measured, figure: PanelFigure, subject: Subject) -> list[tuple[int, Row]]:
    """Line and row of the candidates, worst first; equals in the order of the table."""
    candidates = []
    for line, row in enumerate(measured.part.rows, start=1):
        found = row.measurement
        if not isinstance(found, SliceMeasurement) or not found.present or found.mode is not figure.mode:
            continue
        if found.cls in ((subject.cls,) if subject.cls else measured.classes or (found.cls,)):
            candidates.append((found.curve[figure.clicks], line, row))
    return [(line, row) for _, line, row in sorted(candidates, key=lambda each: each[:2])]


def _name(row: Row) -> str:
    found = row.measurement
    index = found.index if isinstance(found, SliceMeasurement) else ""
    return f"{found.dataset}:{found.item}:{index}:{found.cls}"


def _title(each: Chosen, case: Case) -> str:
    return f"{case.measurement.cls}, {each.label} of {each.measured.dataset}"
