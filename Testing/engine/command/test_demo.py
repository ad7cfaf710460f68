"""The demo: its pictures are there, its clicks lie in them, its examples come first."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from KPrismLib.demo import cases
from KPrismLib.demo.cases import CASES
from KPrismLib.demo.pictures import HEART, TISSUE, Picture
from KPrismLib.errors import InvalidImage
from KPrismLib.prompts import outside


def test_the_demo_runs_on_what_is_installed(kprism, weights, tmp_path, monkeypatch) -> None:
    quick = tuple(case for case in CASES if case.picture in (TISSUE, HEART))
    monkeypatch.setattr(cases, "CASES", quick)
    result = kprism("demo", "--output", tmp_path / "new" / "demo", "--model", weights, "--json")
    assert result.status == 0, result.err
    rows = json.loads(result.out)["cases"]
    assert [row["case"] for row in rows] == [case.name for case in quick]
    for row in rows:
        with Image.open(row["file"]) as picture:
            assert min(picture.size) >= 256


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_cases_fit_their_pictures(case) -> None:
    volume = case.picture.read()
    assert case.frame < volume.shape[0]
    assert not any(outside(click, volume.shape[1:]) for click in case.clicks)
    earlier = [other.name for other in CASES[: CASES.index(case)]]
    assert case.example is None or case.example in earlier
    assert case.knowledge


def test_every_mode_is_shown() -> None:
    assert any(case.by_class and not case.clicks for case in CASES)
    assert any(case.by_class and case.clicks for case in CASES)
    assert any(case.example for case in CASES)
    assert any(case.clicks and not case.by_class and not case.example for case in CASES)


def test_a_picture_that_is_not_there() -> None:
    with pytest.raises(InvalidImage, match=r"install pydicom 3\.0 or later"):
        Picture("pydicom", "data/test_files/none.dcm", "3.0").read()
