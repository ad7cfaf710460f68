"""A system evaluated as K-Prism is, with its provenance."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from KPrismLib.dataset import DatasetFolder
from KPrismLib.errors import Cancelled, InvalidConfig
from KPrismLib.evaluation import Mode, evaluate
from Testing.engine.dataset.tiny_dataset import describe, listed, write_folder
from Testing.training.peers.toy_segmenter import ToySegmenter
from Training.peers.about import About
from Training.peers.evaluation import evaluate_peer, write_report
from Training.peers.predictor import PeerPredictor
from Training.peers.setup import PeerSetup

ABOUT = About(
    name="toy",
    title="Toy",
    modes=(Mode.SEMANTIC, Mode.INTERACTIVE),
    source="here",
    licence="none",
    weights="none",
    citation="nobody",
    input="as it is",
    notes="It paints rows.",
)
RANDOM = PeerSetup(device=torch.device("cpu"), random=True)


@pytest.fixture
def folder(tmp_path):
    items = [listed("one", patient="p1"), listed("two", patient="p2"), listed("ref", patient="p3", split="train")]
    image = np.zeros((4, 6), dtype=np.uint8)
    image[1:3, 2:5] = 200  # two pixels too many: Dice 2 * 4 / (4 + 6)
    return DatasetFolder.open(write_folder(tmp_path / "data", describe(items), image_one=image))


def test_all_modes_of_the_system_where_none_is_named(folder):
    report, _ = evaluate_peer(ABOUT, RANDOM, ToySegmenter(), [folder], clicks=2)
    datasets = report.summary()["datasets"]["Tiny"]
    assert list(datasets) == ["semantic", "interactive"]
    # "two" is 100 where the mask is, and the toy wants more than 100.
    assert datasets["semantic"]["dice"]["mean"] == pytest.approx((0.8 + 0) / 2)
    # The click lies in row 2 (centroid 1.5, half up): six pixels of which two are right, 2 * 2 / (4 + 6).
    assert datasets["interactive"]["dice"]["mean"][1] == pytest.approx(0.4)


def test_the_rows_are_those_of_any_model(folder):
    report, provenance = evaluate_peer(ABOUT, RANDOM, ToySegmenter(), [folder], clicks=2)
    same = evaluate(
        PeerPredictor(ToySegmenter(), torch.device("cpu")),
        [folder],
        modes=ABOUT.modes,
        clicks=2,
        model=provenance.model,
    )

    def rows(text):
        return [{key: row[key] for key in row if key != "milliseconds"} for row in csv.DictReader(io.StringIO(text))]

    assert rows(report.to_csv()) == rows(same.to_csv())


def test_a_mode_that_the_system_lacks_is_on_record(folder):
    report, _ = evaluate_peer(ABOUT, RANDOM, ToySegmenter(), [folder], modes=["in-context", "semantic"])
    assert [(entry.mode, entry.reason) for entry in report.skipped] == [
        (Mode.IN_CONTEXT, "Toy does not work in this mode")
    ]
    with pytest.raises(InvalidConfig, match="Toy cannot be evaluated in in_context; it has semantic, interactive"):
        evaluate_peer(ABOUT, RANDOM, ToySegmenter(), [folder], modes=["in-context"])


def test_random_weights_are_named_in_json_and_rows(folder, tmp_path):
    report, provenance = evaluate_peer(ABOUT, RANDOM, ToySegmenter(), [folder], clicks=1)
    write_report(report, provenance, tmp_path / "out.json", tmp_path / "out.csv")
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["settings"]["model"] == "Toy (random weights)"
    assert content["peer"]["random_weights"] is True
    assert content["peer"]["remarks"] == ["It paints rows.", "Only a toy."]
    for row in csv.DictReader((tmp_path / "out.csv").open()):
        assert row["model"] == "Toy (random weights)"


def test_given_weights_are_named_with_their_digest(folder, tmp_path):
    weights = tmp_path / "toy.pt"
    weights.write_bytes(b"weights")
    setup = PeerSetup(device=torch.device("cpu"), weights=weights)
    _, provenance = evaluate_peer(ABOUT, setup, ToySegmenter(), [folder], clicks=1)
    assert provenance.model == "Toy (toy.pt)"
    assert provenance.sha256 == hashlib.sha256(b"weights").hexdigest()
    assert not provenance.random_weights


def test_what_is_described_beside_the_weights_is_a_part_of_them(folder, tmp_path):
    def stop(*_):
        raise Cancelled("Stopped.")

    one, other = (replace(RANDOM, description={"classes": names}) for names in (["a", "b"], ["b", "a"]))
    with pytest.raises(Cancelled):
        evaluate_peer(ABOUT, one, ToySegmenter(), [folder], clicks=1, journal=tmp_path / "out", progress=stop)
    with pytest.raises(InvalidConfig, match="journal of another evaluation"):
        evaluate_peer(ABOUT, other, ToySegmenter(), [folder], clicks=1, journal=tmp_path / "out")
    report, _ = evaluate_peer(ABOUT, one, ToySegmenter(), [folder], clicks=1, journal=tmp_path / "out")
    assert not report.missing


def test_the_digest_of_a_folder_depends_on_names_and_contents(folder, tmp_path):
    digests = set()
    for name, content in (("a", b"1"), ("b", b"1"), ("a", b"2")):
        weights = tmp_path / f"{name}{content.decode()}"
        weights.mkdir()
        (weights / name).write_bytes(content)
        setup = PeerSetup(device=torch.device("cpu"), weights=weights)
        digests.add(evaluate_peer(ABOUT, setup, ToySegmenter(), [folder], clicks=1)[1].sha256)
    assert len(digests) == 3
