"""The section on other systems."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from KPrismLib.dataset import DatasetFolder
from KPrismLib.errors import InvalidDataset
from KPrismLib.evaluation import evaluate
from Testing.engine.dataset.tiny_dataset import describe, listed, write_folder
from Testing.training.peers.test_evaluation import ABOUT
from Testing.training.peers.toy_segmenter import ToySegmenter
from Training.peers.evaluation import evaluate_peer, write_report
from Training.peers.predictor import PeerPredictor
from Training.peers.setup import PeerSetup
from Training.report.tables.peers import peers


@pytest.fixture
def folder(tmp_path: Path) -> DatasetFolder:
    items = [listed(f"i{number}", patient=f"p{number}") for number in range(6)]
    items.append(listed("ref", patient="p6", split="train"))
    image = np.zeros((4, 6), dtype=np.uint8)
    image[1:3, 2:5] = 200  # two pixels too many: Dice 2 * 4 / (4 + 6)
    images = {f"image_i{number}": image for number in range(3)}  # nothing is found in the others
    return DatasetFolder.open(write_folder(tmp_path / "data", describe(items), **images))


def test_what_peers_and_we_wrote_stands_side_by_side(tmp_path: Path, folder: DatasetFolder) -> None:
    results = tmp_path / "peers"
    results.mkdir()
    setup = PeerSetup(device=torch.device("cpu"), random=True)
    for clicks in (2, 6):
        report, provenance = evaluate_peer(ABOUT, setup, ToySegmenter(), [folder], clicks=clicks)
        write_report(report, provenance, results / f"toy{clicks}.json", None)
    predictor = PeerPredictor(ToySegmenter(), torch.device("cpu"))
    ours = evaluate(predictor, [folder], modes=("semantic",), clicks=2, model="small")  # type: ignore[arg-type]
    ours.write(results / "kprism.json")
    text = peers(results)
    assert text is not None
    two, six = text.index("2 clicks"), text.index("6 clicks")
    assert two < six
    rows = [line for line in text[two:six].splitlines() if "Tiny" in line]
    assert len(rows) == 3
    assert rows[0].startswith("| K-Prism (small) | Tiny | semantic | 40.0 [")
    assert rows[1].startswith("| Toy (random weights) | Tiny | interactive | – | 40.0 [")
    assert rows[1].count("–") == 2  # nothing before the first click, nothing after the fifth
    assert rows[2].startswith("| Toy (random weights) | Tiny | semantic | 40.0 [")
    assert rows[2].endswith("| – | – | – | 6 | 6 |")
    (longer,) = [line for line in text[six:].splitlines() if "interactive" in line]
    assert longer.count("[") == 3
    assert text.count("- Toy: nobody It paints rows.") == 1


@pytest.mark.parametrize(
    ("setting", "title"),
    [
        ("honour_clicks", "masks that hold what clicks say"),
        ("axial_references", "references at the positions of Table 10"),
    ],
)
def test_other_work_has_a_table_of_its_own(tmp_path: Path, folder: DatasetFolder, setting: str, title: str) -> None:
    predictor = PeerPredictor(ToySegmenter(), torch.device("cpu"))
    for name, other in (("plain", False), ("other", True)):
        report = evaluate(predictor, [folder], modes=("semantic",), model=name)  # type: ignore[arg-type]
        report.write(tmp_path / f"{name}.json")
        content = json.loads((tmp_path / f"{name}.json").read_text())
        content["settings"][setting] = other
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    text = peers(tmp_path)
    assert text is not None
    plain, _, others = text.partition(f", {title}")
    assert "K-Prism (plain)" in plain
    assert "K-Prism (other)" not in plain
    assert "K-Prism (other)" in others


def test_a_set_that_shows_no_class_has_empty_cells(tmp_path: Path) -> None:
    items = [listed("one", patient="p1"), listed("ref", patient="p3", split="train")]
    nothing = np.zeros((4, 6), dtype=np.uint8)
    path = write_folder(tmp_path / "data", describe(items), mask_one=nothing, image_one=nothing + 200)
    predictor = PeerPredictor(ToySegmenter(), torch.device("cpu"))
    report = evaluate(predictor, [DatasetFolder.open(path)], modes=("semantic",), absent_classes=True, model="small")  # type: ignore[arg-type]
    (tmp_path / "peers").mkdir()
    report.write(tmp_path / "peers" / "kprism.json")
    text = peers(tmp_path / "peers")
    assert text is not None
    assert "| K-Prism (small) | Tiny | semantic | – | – | – | – | 0 |" in text


def test_without_files_there_is_no_section(tmp_path: Path) -> None:
    assert peers(tmp_path / "none") is None
    assert peers(tmp_path) is None


@pytest.mark.parametrize("content", ["{", "{}", "[]", '{"settings": {}, "datasets": {"A": {"semantic": {}}}}'])
def test_a_damaged_file_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "toy.json").write_text(content, encoding="utf-8")
    with pytest.raises(InvalidDataset, match=r"toy\.json holds no evaluation"):
        peers(tmp_path)
