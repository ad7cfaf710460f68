"""Gates are read without being touched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from KPrismLib.dataset import DatasetFolder
from KPrismLib.errors import InvalidConfig, InvalidDataset
from KPrismLib.evaluation.settings import Mode
from KPrismLib.network.moe import Gate
from Testing.engine.predictor.tiny_predictor import tiny_predictor
from Testing.training.report.tiny_report import write_pictures
from Training.report.gates import GateRecord, gates_csv, load_gates, mean_weights, measure_gates, recorded_gates
from Training.report.needs import Effort, gates


def test_the_mean_over_tokens_of_all_passes() -> None:
    gate = Gate(2, 3)
    with torch.no_grad():
        gate.linear.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]))
        gate.linear.bias.zero_()
    network = torch.nn.ModuleDict({"gate": gate})
    tokens = torch.tensor([[[1.0, 2.0], [0.0, 0.0]], [[3.0, -1.0], [0.5, 0.5]]])
    with recorded_gates(network) as record, torch.no_grad():
        gate(tokens)
        gate(tokens[:1, :1])
    by_hand = np.exp([[1, 2, 0], [0, 0, 0], [3, -1, 0], [0.5, 0.5, 0], [1, 2, 0]])
    by_hand /= by_hand.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(record.sums["gate"], by_hand.sum(axis=0), rtol=1e-6)
    assert record.tokens == {"gate": 5}
    gate(tokens)
    assert record.tokens == {"gate": 5}  # nobody watches any more


def test_watching_changes_no_mask(tmp_path: Path) -> None:
    predictor = tiny_predictor(num_experts=3)
    pixels = np.arange(48 * 48, dtype=np.uint8).reshape(48, 48)
    before = predictor.segment(predictor.encode(pixels), cls="liver").probability
    with recorded_gates(predictor.network) as record:
        after = predictor.segment(predictor.encode(pixels), cls="liver").probability
    np.testing.assert_array_equal(before, after)
    layers = len(predictor.network.decoder.layers)
    assert len(record.sums) == 3 * layers  # two directions of attention, and the FFN
    for gate, sums in record.sums.items():
        assert sums.sum() == pytest.approx(record.tokens[gate])


def test_weights_by_mode_are_kept_in_a_table(tmp_path: Path) -> None:
    folder = DatasetFolder.open(write_pictures(tmp_path, "ACDC"))
    found = measure_gates(tiny_predictor(num_experts=2), folder, gates(Effort(click_limit=1, clicks=5)))
    (tmp_path / "gates.csv").write_text(gates_csv(found), encoding="utf-8")
    loaded = load_gates(tmp_path / "gates.csv")
    assert [(each.gate, each.mode, each.expert, each.tokens) for each in loaded] == [
        (each.gate, each.mode, each.expert, each.tokens) for each in found
    ]
    for mode in (Mode.SEMANTIC, Mode.IN_CONTEXT, Mode.INTERACTIVE):
        shares = mean_weights(loaded, mode)
        assert shares.shape == (2,)
        assert shares.sum() == pytest.approx(1, abs=1e-5)
        places = [mean_weights(loaded, mode, place) for place in ("read", "write", "ffn")]
        np.testing.assert_allclose(np.mean(places, axis=0), shares, atol=1e-5)
    assert load_gates(tmp_path / "nowhere.csv") == []


def test_bad_input(tmp_path: Path) -> None:
    folder = DatasetFolder.open(write_pictures(tmp_path, "ACDC"))
    plain = tiny_predictor(moe_attention=False, moe_ffn=False)
    with pytest.raises(InvalidConfig, match="no gates"):
        measure_gates(plain, folder, gates(Effort(click_limit=1, clicks=5)))
    (tmp_path / "gates.csv").write_text("dataset,mode\nACDC,dreaming\n", encoding="utf-8")
    with pytest.raises(InvalidDataset, match="damaged"):
        load_gates(tmp_path / "gates.csv")
    assert GateRecord().sums == {}
