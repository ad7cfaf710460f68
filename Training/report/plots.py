"""Curves, bars and dots of the report, drawn with matplotlib."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from KPrismLib.errors import InvalidConfig
from KPrismLib.imaging.atomic_file import write_atomically
from Training.report.statistics import Number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Colours that people with any kind of colour vision tell apart (Okabe and Ito).
_OURS, _PAPER, _THIRD, _GREY = "#0072B2", "#D55E00", "#009E73", "#9A9A9A"
_SERIES = (_OURS, _PAPER, _THIRD)
_STYLE: Any = {
    "font.size": 9,
    "font.family": "DejaVu Sans",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E3E3E3",
    "grid.linewidth": 0.7,
    "axes.edgecolor": "#808080",
    "axes.titlesize": 9.5,
    "legend.frameon": False,
    "legend.fontsize": 8,
}
_DPI = 160


@dataclass(frozen=True)
class Curve:
    """Dice against clicks.

    Attributes:
        title: Above its axes.
        number: Shape (clicks + 1,), 0 to 1, with its interval.
        points: Printed in the paper: method to {clicks: Dice in percent}.
    """

    title: str
    number: Number
    points: Mapping[str, Mapping[int, float]]


@dataclass(frozen=True)
class Dot:
    """One line of a dot plot.

    Attributes:
        label: At its left.
        ours: In the unit of the axis; an interval if there is one.
        paper: The paper's value.
    """

    label: str
    ours: Number
    paper: float | None


def convergence(curves: Sequence[Curve], path: Path, *, columns: int) -> Path:
    """Figures 3 and 5: our curve with its band, the paper's points where it prints them."""
    columns = min(columns, len(curves))
    rows = -(-len(curves) // columns)
    with _figure(path, width=0.6 + 2.6 * columns, height=0.6 + 2.1 * rows) as figure:
        figure.subplots(rows, columns, sharex=True, sharey=True)
        for axes, curve in zip(figure.axes, curves, strict=False):
            _draw_curve(axes, curve)
        for axes in figure.axes[len(curves) :]:
            axes.set_axis_off()
        figure.axes[0].legend(loc="lower right")
        figure.supxlabel("clicks", fontsize=9)
        figure.supylabel("Dice (%)", fontsize=9)
    return path


def _draw_curve(axes: Axes, curve: Curve) -> None:
    value = 100 * curve.number.value
    clicks = np.arange(len(value))
    if curve.number.low is not None and curve.number.high is not None:
        band = 100 * curve.number.low, 100 * curve.number.high
        axes.fill_between(clicks, *band, color=_OURS, alpha=0.18, linewidth=0)
    axes.plot(clicks, value, color=_OURS, linewidth=1.8, marker="o", markersize=3, label="ours, 95 % band")
    for position, (method, points) in enumerate(curve.points.items()):
        best = position == 0
        axes.plot(
            list(points),
            list(points.values()),
            linestyle="",
            marker="D" if best else "_",
            markersize=5.5 if best else 8,
            color=_PAPER if best else _GREY,
            zorder=3 if best else 2,
            label=f"{method}, paper" if best else ("other methods, paper" if position == 1 else None),
        )
    axes.set_title(curve.title)
    axes.set_ylim(0, 102)
    axes.set_xticks(clicks[:: 2 if len(clicks) > 7 else 1])


def expert_bars(weights: Mapping[str, NDArray[np.float64]], path: Path) -> Path:
    """Figure 4: the mean gate weight of every expert, modes side by side."""
    with _figure(path, width=6.2, height=3.0) as figure:
        axes = figure.subplots()
        experts = max(map(len, weights.values()))
        width = 0.8 / len(weights)
        for position, (mode, values) in enumerate(weights.items()):
            offset = (position - (len(weights) - 1) / 2) * width
            places = np.arange(1, len(values) + 1) + offset
            bars = axes.bar(places, values, width * 0.92, color=_SERIES[position % len(_SERIES)], label=mode)
            for label in axes.bar_label(bars, fmt="%.2f", fontsize=7, padding=2, color="#404040"):
                label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.6})
        axes.axhline(1 / experts, color="#606060", linewidth=0.9, linestyle=":", label="all alike", zorder=0.9)
        axes.set_xticks(range(1, experts + 1), [f"expert {number}" for number in range(1, experts + 1)])
        axes.set_ylabel("mean gate weight")
        axes.set_ylim(0, 1.1 * max(float(values.max()) for values in weights.values()))
        axes.grid(visible=False, axis="x")
        figure.legend(loc="outside upper center", ncols=len(weights) + 1)
    return path


def dots(groups: Mapping[str, Sequence[Dot]], path: Path, *, label: str, zero: bool = False) -> Path:
    """Ours with intervals beside the paper's, one panel per group, one line per entry.

    Args:
        groups: Title to entries; the entries of all groups have the same labels.
        path: The PNG.
        label: Of the horizontal axis.
        zero: Whether zero is marked, for differences.
    """
    names = list(dict.fromkeys(dot.label for entries in groups.values() for dot in entries))
    with _figure(path, width=1.6 + 2.9 * len(groups), height=0.9 + 0.3 * len(names)) as figure:
        figure.subplots(1, len(groups), sharey=True, sharex=not zero)
        for axes, (title, entries) in zip(figure.axes, groups.items(), strict=True):
            for dot in entries:
                _draw_dot(axes, dot, len(names) - names.index(dot.label))
            if zero:
                axes.axvline(0, color="#606060", linewidth=0.9)
            axes.set_title(title)
            axes.set_xlabel(label)
            axes.set_ylim(0.4, len(names) + 0.6)
            axes.set_yticks(range(len(names), 0, -1), names)
            axes.tick_params(axis="y", length=0)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        chosen = dict(zip(labels, handles, strict=True))
        figure.legend(list(chosen.values()), list(chosen), loc="outside upper right", ncols=2)
    return path


def _draw_dot(axes: Axes, dot: Dot, height: float) -> None:
    value = float(dot.ours.value)
    if dot.ours.low is not None and dot.ours.high is not None:
        axes.plot([float(dot.ours.low), float(dot.ours.high)], [height, height], color=_OURS, linewidth=2, alpha=0.45)
    axes.plot(value, height, "o", color=_OURS, markersize=5.5, label="ours, 95 %")
    if dot.paper is not None:
        axes.plot(dot.paper, height, "D", color=_PAPER, markersize=4.5, label="K-Prism, paper")


@contextmanager
def _figure(path: Path, *, width: float, height: float) -> Iterator[Figure]:
    """A figure of so many inches to draw on; written when the block ends well."""
    try:
        from matplotlib import rc_context
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InvalidConfig(
            "The plots need the `report` extra; install it with: pip install 'kprism[report]'."
        ) from error
    with rc_context(_STYLE):
        # Without pyplot a figure leaves nothing behind, and needs no screen.
        figure = Figure(figsize=(width, height), layout="constrained", dpi=_DPI)
        yield figure
        stream = io.BytesIO()
        figure.savefig(stream, format="png", dpi=_DPI)
    write_atomically(path, stream.getvalue())
