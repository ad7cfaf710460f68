"""The table of rows: everything that goes in comes out again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from KPrismLib.errors import InvalidDataset
from KPrismLib.evaluation.measurements import ReferenceChoice, SliceMeasurement, VolumeMeasurement
from KPrismLib.evaluation.rows import Row, read_rows, rows_of, to_csv
from KPrismLib.evaluation.settings import Mode
from KPrismLib.prompts import Click

SHOWN = SliceMeasurement("A, B", "i;1", "p", 3, "liver", Mode.IN_CONTEXT, True, (0.1 + 0.2,), True, 2.5)
ABSENT = SliceMeasurement("A, B", "i;1", "p", 4, "liver", Mode.IN_CONTEXT, False, (), True, 2.5)
CLICKED = SliceMeasurement(
    *("A, B", "i;1", "p", 3, "liver", Mode.INTERACTIVE, True, (0.0, 0.5, 1.0, 1.0), True, 2.5),
    clicks=(Click(3, 4, True), Click(0, 5, False)),
)
VOLUME = VolumeMeasurement("A, B", "i;1", "p", "liver", Mode.IN_CONTEXT, 1 / 3)
CHOICE = ReferenceChoice("A, B", "p", "liver", "train", ("r:1:0", "r:2:7"))


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    rows = rows_of([SHOWN, ABSENT, CLICKED], [VOLUME], [CHOICE], "small")
    (tmp_path / "rows.csv").write_text(to_csv(rows), encoding="utf-8")
    assert read_rows(tmp_path / "rows.csv") == rows
    assert [row.measurement for row in rows] == [SHOWN, ABSENT, CLICKED, VOLUME]
    assert {row.model for row in rows} == {"small"}


def test_only_modes_with_references_name_them() -> None:
    shown, clicked = rows_of([SHOWN, CLICKED], [], [CHOICE], "")
    assert (shown.reference_split, shown.references) == ("train", ("r:1:0", "r:2:7"))
    assert (clicked.reference_split, clicked.references) == ("", ())
    assert rows_of([SHOWN], [], [], "") == [Row(SHOWN)]


def test_the_header_names_the_longest_curve() -> None:
    header, first, *_ = to_csv(rows_of([SHOWN, CLICKED], [], [], "")).splitlines()
    assert header.endswith("references,clicks,dice0,dice1,dice2,dice3")
    assert first.endswith(",0.30000000000000004,,,")
    assert to_csv([]).count("\n") == 1


@pytest.mark.parametrize("damage", ["dataset,item\nA,B\n", "not a table", to_csv([Row(SHOWN)]).replace("True", "Yes")])
def test_damaged_tables_are_one_sentence(tmp_path: Path, damage: str) -> None:
    (tmp_path / "rows.csv").write_text(f"{damage}\nx,y,z\n", encoding="utf-8")
    with pytest.raises(InvalidDataset, match="no table of measurements"):
        read_rows(tmp_path / "rows.csv")
    with pytest.raises(InvalidDataset, match="cannot be read"):
        read_rows(tmp_path / "nowhere.csv")


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda text: "", "it is empty"),
        (lambda text: text[:-2], "it ends within a line"),
        (lambda text: text.replace("0.30000000000000004", "3.0"), "3.0 is no Dice"),
        (lambda text: text.replace("0.30000000000000004", "nan"), "nan is no Dice"),
    ],
)
def test_a_part_of_a_table_and_impossible_values_are_refused(
    tmp_path: Path, damage: Callable[[str], str], sentence: str
) -> None:
    (tmp_path / "rows.csv").write_text(damage(to_csv([Row(SHOWN)])), encoding="utf-8")
    with pytest.raises(InvalidDataset, match=sentence):
        read_rows(tmp_path / "rows.csv")
