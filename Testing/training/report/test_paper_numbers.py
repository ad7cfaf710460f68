"""The paper's numbers were typed in: whatever the paper says about them in another place must hold."""

from __future__ import annotations

import re
import statistics
from itertools import pairwise
from pathlib import Path

import pytest

from KPrismLib.network.parameters import PAPER_PER_EXPERT, PAPER_TOTALS
from Training import card_tables
from Training.convert import registry
from Training.report import paper_numbers
from Training.report.costs import PARAMETER_ROWS
from Training.report.sets import PAPER_SETS, Group, in_group

README = Path(__file__).parents[3] / "README.md"


def _dice(paper_set: str, mode: str) -> float | None:
    every = ("table2", "table3", "table3_unseen")
    tables = (table for table in every if paper_set in paper_numbers.table(table)["sets"])
    return paper_numbers.dice_of_set(next(tables), paper_set, mode)


def _best(table: str, mode: str, position: int) -> str:
    rows = [row for row in paper_numbers.rows(table) if row["mode"] == mode]
    return str(max(rows, key=lambda row: row["values"][position])["method"])


def test_every_row_has_a_value_for_every_set() -> None:
    for table in ("table2", "table3", "table3_unseen"):
        for row in paper_numbers.rows(table):
            assert len(row["values"]) == len(paper_numbers.table(table)["sets"])


def test_rows_of_table_2_whose_average_the_paper_gets_wrong() -> None:
    wrong = {
        (row["method"], row["mode"])
        for row in paper_numbers.rows("table2")
        if paper_numbers.contradicts_its_average(row)
    }
    # Only the task-specific baseline has the mean of its row.
    assert wrong == {(row["method"], row["mode"]) for row in paper_numbers.rows("table2")} - {("nnU-Net", "semantic")}
    ours = paper_numbers.row("table2", method="K-Prism", mode="semantic")
    assert statistics.fmean(ours["values"]) == pytest.approx(84.44, abs=0.005)
    assert statistics.fmean(
        paper_numbers.row("table2", method="K-Prism", mode="in_context")["values"]
    ) == pytest.approx(82.89, abs=0.005)
    assert "K-Prism (semantic) 86.21 printed, 84.44 computed" in paper_numbers.contradictions("table2")[0]
    assert "nnU-Net" not in paper_numbers.contradictions("table2")[0]


def test_averages_of_table_3() -> None:
    wrong = [row["method"] for row in paper_numbers.rows("table3") if paper_numbers.contradicts_its_average(row)]
    assert wrong == ["UniSeg", "Hermes", "UniverSeg", "Tyche", "MultiverSeg"]
    # Each of those is off by the same half per cent, which a slip of typing would not be.
    for row in paper_numbers.rows("table3"):
        off = abs(statistics.fmean(row["values"]) - row["average"])
        assert off == pytest.approx(0.5 if row["method"] in wrong else 0.0, abs=0.011)
    assert not any(map(paper_numbers.contradicts_its_average, paper_numbers.rows("table3_unseen")))


def test_what_the_text_says_about_table_2() -> None:
    firsts = [_best("table2", "in_context", position) for position in range(12)]
    assert firsts.count("K-Prism") == 11  # "ranks first on 11 out of 12 datasets"
    assert paper_numbers.dice_of_set("table2", "LiTS", "semantic") == 64.22
    assert paper_numbers.dice_of_set("table2", "KiTS", "in_context") == 79.12
    assert paper_numbers.dice_of_set("table2", "ISIC", "in_context") == 89.78
    assert paper_numbers.dice_of_set("table2", "AMOS_MRI", "in_context") == 78.21
    assert paper_numbers.best_other("table2", "PAPILA", "semantic") == ("nnU-Net", 96.17)


def test_what_the_text_says_about_tables_3_and_4() -> None:
    iris = paper_numbers.row("table3_unseen", method="Iris", mode="in_context")
    ours = paper_numbers.row("table3_unseen", method="K-Prism", mode="in_context")
    assert ours["values"][1] - iris["values"][1] == pytest.approx(15, abs=0.5)  # "a notable 15% improvement"
    assert paper_numbers.dice_of_set("table3_unseen", "BraTS", "semantic") is None
    assert paper_numbers.best_other("table3_unseen", "BraTS", "semantic") is None
    for group in Group:
        rows = [row for row in paper_numbers.rows("table4") if row["group"] == group.value]
        assert len(rows) == 6
        for metric, better in (("noc90", min), ("noc95", min), ("dice5", max)):
            assert better(rows, key=lambda row: row[metric])["method"] == "K-Prism"


def test_what_the_text_says_about_the_ablations() -> None:
    fps = {row["experts"]: row["fps"] for row in paper_numbers.rows("table8")}
    assert fps[1] - fps[5] == pytest.approx(1.7, abs=0.06)
    for metric, better in (
        ("semantic", 1),
        ("in_context", 1),
        ("noc90", -1),
        ("noc95", -1),
        ("dice1", 1),
        ("dice5", 1),
    ):
        by_experts = [better * row[metric] for row in paper_numbers.rows("table7b")]
        assert by_experts == sorted(by_experts, reverse=True)  # "consistent improvement"
    shared = {key: value for key, value in paper_numbers.rows("table7b")[0].items() if key != "method"}
    for table in ("table5a", "table7a"):
        first = paper_numbers.rows(table)[0]
        assert {key: shared[key] for key in first if key in shared} == {
            key: first[key] for key in first if key != "method"
        }
    alone = paper_numbers.row("table7a", run="interactive-only")
    in_5c = paper_numbers.rows("table5c")[0]
    assert {key: value for key, value in alone.items() if key != "method"} == {
        key: value for key, value in in_5c.items() if key != "method"
    }
    mode_3, _, mode_2 = paper_numbers.rows("table5d")
    saved = [1 - ours / base for ours, base in zip(mode_2["noc90"], mode_3["noc90"], strict=True)]
    assert saved[0] > 0.30 > saved[1] > 0.29  # the contradiction that the file names
    assert [row["dice"] for row in paper_numbers.rows("table10")] == sorted(
        row["dice"] for row in paper_numbers.rows("table10")
    )
    for row in paper_numbers.rows("table9"):
        assert row["min"] < row["mean"] < row["max"]


def test_parameters_are_those_that_the_network_is_checked_against() -> None:
    for table in ("table5a", "table7b"):
        for row in paper_numbers.rows(table):
            assert row["parameters"] * 1e6 == PAPER_TOTALS[PARAMETER_ROWS[row["run"]]]
    by_experts = [row["parameters"] for row in paper_numbers.rows("table7b")]
    for more, fewer in pairwise(by_experts):
        assert more - fewer == pytest.approx(PAPER_PER_EXPERT / 1e6, abs=0.011)


def test_sets_are_named_as_their_converters_name_them() -> None:
    converted = {registry.converter(name).about.name for name in registry.names()}
    assert set(PAPER_SETS) == converted
    assert list(in_group(Group.IN_DISTRIBUTION)) == paper_numbers.table("table2")["sets"]
    assert list(in_group(Group.EXTERNAL)) == paper_numbers.table("table3")["sets"]
    assert list(in_group(Group.UNSEEN)) == paper_numbers.table("table3_unseen")["sets"]


def test_headings_and_missing_rows() -> None:
    assert paper_numbers.heading("table5a") == "Table 5a"
    assert paper_numbers.heading("figure3") == "Figure 3"
    with pytest.raises(KeyError, match="table2 has no row"):
        paper_numbers.row("table2", method="nobody")


def test_the_readme_gives_each_set_the_number_of_the_set_that_it_stands_for() -> None:
    stands_for = {each.name: name for name, paper in reversed(PAPER_SETS.items()) for each in paper.stand_ins}
    line = re.compile(r"^\| [^|]*\((\w+), [^|]*\|[^|]*\|[^|]*\| ([\d.]+)?[^|]*\|$", re.MULTILINE)
    rows = line.findall(README.read_text(encoding="utf-8"))
    told = {folder: number for folder, number in rows if number}
    assert len(told) == 7
    for folder, number in told.items():
        dice = _dice(folder if folder in PAPER_SETS else stands_for[folder], "semantic")
        assert dice is not None
        assert number == f"{dice / 100:.3f}", folder


def test_the_shipped_card_gives_the_numbers_of_the_sets_that_it_names() -> None:
    text = (README.parent / "KPrismLib" / "weights" / "small.md").read_text(encoding="utf-8")
    told = re.findall(r"^\| (\w+) \|.*\| ([^|,:]+)[^|:]*: ([\d.]+|-), ([\d.]+|-) \|$", text, re.MULTILINE)
    assert len(told) == 14
    for folder, name, *numbers in told:
        assert name == folder or folder in {each.name for each in PAPER_SETS[name].stand_ins}
        dice = [_dice(name, mode) for mode in card_tables.MODES]
        assert numbers == ["-" if number is None else f"{number / 100:.3f}" for number in dice], folder
