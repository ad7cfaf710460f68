"""The section on whole volumes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from KPrismLib.errors import InvalidDataset
from Training.report.tables.volumes import volumes


def number(mean: float, interval: list[float] | None = None, cases: int = 3) -> dict[str, object]:
    return {"mean": mean, "interval95": interval, "cases": cases, "patients": cases - 1}


def write(path: Path, **summary: object) -> Path:
    file = path / "volumes.json"
    file.write_text(json.dumps({"settings": {"weights": "abc"}, "cases": {}, "summary": summary}), encoding="utf-8")
    return file


def test_parts_become_tables_with_all_sets_last(tmp_path: Path) -> None:
    propagation = {
        "all": {"propagated": number(0.7, [0.6, 0.8], 5), "by_class": number(0.74), "confidence_rank": number(0.66)},
        "ACDC": {"propagated": number(0.775), "one_shot": number(0.686)},
    }
    clicks = {
        "ACDC": {"least_certain": number(33.1667, [23.6, 42.6]), "independent": number(44.0), "by_class": number(21.5)}
    }
    retrieval = {"all": {"suggested": number(0.5), "percentile": number(0.71), "suggested_five": number(0.6)}}
    retrieval["all"]["told"] = number(0.65)
    classes = {"all": {"found": number(0.55), "false_slices": number(0.4)}}
    text = volumes(write(tmp_path, classes=classes, propagation=propagation, clicks=clicks, retrieval=retrieval))
    assert text is not None
    lines = text.splitlines()
    assert lines[0] == "## Whole volumes"
    assert "weights abc" in text
    rows = [line for line in lines if line.startswith(("| ACDC", "| **all**"))]
    assert rows[0] == "| **all** | 3 | 2 | 55.0 | – | – | – | 40.0 | – |"
    assert rows[1] == "| ACDC | 3 | 2 | 77.5 | – | 68.6 | – | – | – | – |"
    assert rows[2] == "| **all** | 5 | 4 | 70.0 [60.0, 80.0] | 74.0 | – | – | – | – | 0.66 |"
    assert rows[3] == "| ACDC | 3 | 2 | 33.17 [23.60, 42.60] | 44.00 | – | 21.50 | – | – | – | – |"
    assert rows[4] == "| **all** | 3 | 2 | 50.0 | – | – | 71.0 | 60.0 | – | – | – | 65.0 | – | – | – | – |"
    assert "References" not in str(volumes(write(tmp_path, clicks=clicks)))


def test_suggestions_are_set_against_the_spread_of_references_that_serve_all_slices(tmp_path: Path) -> None:
    acdc = {
        "suggested": number(0.7),
        "told": number(0.8),
        "exemplar_1": number(0.5),
        "exemplar_2": number(0.7),
        "exemplar_3": number(0.9),
    }
    both = {"suggested": number(0.65, cases=5), "exemplar_1": number(0.5, cases=5), "exemplar_2": number(0.6, cases=5)}
    # One set has no third reference: of all together there are two.
    text = volumes(write(tmp_path, retrieval={"all": both | {"exemplar_3": number(0.9)}, "ACDC": acdc}))
    rows = [line for line in str(text).split("the spread of Table 9")[1].splitlines() if line.startswith("| ")]
    # 90th percentile of .5, .7, .9: .86, and of .5, .6: .59.
    assert rows[2] == "| ACDC | 3 | 3 | 70.0 | 20.0 | 50.0 | 90.0 | 86.0 | 70.0 | 50.0 | 80.0 | 66.7 |"
    assert rows[3] == "| **all** | 5 | 2 | 55.0 | 7.1 | 50.0 | 60.0 | 59.0 | 65.0 | 100.0 | – | – |"
    assert "Table 9" not in str(volumes(write(tmp_path, retrieval={"all": {"suggested": number(0.7)}})))


def test_without_a_file_there_is_no_section(tmp_path: Path) -> None:
    assert volumes(tmp_path / "volumes.json") is None


@pytest.mark.parametrize("content", ["{", "{}", '{"summary": {"clicks": 3}, "settings": {}}'])
def test_a_damaged_file_is_told(tmp_path: Path, content: str) -> None:
    file = tmp_path / "volumes.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(InvalidDataset, match="measure it again"):
        volumes(file)
