"""Weights to start from: rows of the semantic table go by the names of their classes, all else is taken as it is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from KPrismLib.errors import InvalidWeights
from KPrismLib.network import KPrism
from KPrismLib.training.warm_start import start_for
from KPrismLib.weights import Weights
from Testing.engine.network.tiny_network import tiny_config

TABLE = "semantic_table.table"


def network(*classes: str, seed: int = 0) -> KPrism:
    torch.manual_seed(seed)
    return KPrism(tiny_config(classes=classes))


def weights(*classes: str) -> Weights:
    built = network(*classes, seed=1)
    return Weights(built.config, built.state_dict(), {}, Path("given.safetensors"))


@pytest.fixture(scope="module")
def given() -> Weights:
    return weights("liver", "spleen", "kidney tumour")


def test_weights_of_the_same_classes_are_taken_exactly(given: Weights) -> None:
    state, new = start_for(network("liver", "spleen", "kidney tumour"), given)
    assert new == []
    assert state.keys() == given.tensors.keys()
    assert all(torch.equal(tensor, given.tensors[name]) for name, tensor in state.items())


def test_rows_follow_their_classes_and_new_ones_start_afresh(given: Weights) -> None:
    own = network("aorta", "spleen", "lesion", "Kidney_Tumor")
    fresh = {name: tensor.clone() for name, tensor in own.state_dict().items()}
    state, new = start_for(own, given)
    assert new == ["aorta", "lesion"]
    rows, known = state.pop(TABLE), given.tensors[TABLE]
    for ours, theirs in zip(rows, (fresh[TABLE][0], known[1], fresh[TABLE][2], known[2]), strict=True):
        assert torch.equal(ours, theirs)
    assert all(torch.equal(tensor, given.tensors[name]) for name, tensor in state.items())
    assert torch.equal(own.state_dict()[TABLE], fresh[TABLE])  # the network itself is left to the trainer


def test_weights_of_another_network_are_refused(given: Weights) -> None:
    other = KPrism(dataclasses.replace(given.config, semantic_queries=given.config.semantic_queries + 1))
    with pytest.raises(InvalidWeights, match=r"given\.safetensors do not fit .* \(2 tensors differ, .*; `network"):
        start_for(other, given)
