"""Paths in ``dataset.json`` stay inside the folder on every system, whichever reads them first."""

from __future__ import annotations

from pathlib import Path

import pytest

from KPrismLib.dataset.description import DatasetDescription
from KPrismLib.errors import InvalidDataset
from Testing.engine.dataset.tiny_dataset import describe, listed


def _read(image: str) -> DatasetDescription:
    return DatasetDescription.parse(describe([listed("a") | {"image": image}]), Path("dataset.json"))


@pytest.mark.parametrize(
    "image", ["..\\a.png", "images\\..\\..\\a.png", "C:/a.png", "C:a.png", "\\a.png", "\\\\host\\d\\a.png"]
)
def test_what_leads_out_on_windows_is_refused(image: str) -> None:
    with pytest.raises(InvalidDataset, match="image must be a path inside the dataset folder"):
        _read(image)


@pytest.mark.parametrize("image", ["images\\a.png", "images/a..b.png", "images/a:1.png"])
def test_what_stays_inside_is_taken_as_it_is(image: str) -> None:
    assert _read(image).items[0].image == image
