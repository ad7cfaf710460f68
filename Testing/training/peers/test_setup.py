"""Weights, descriptions, checkouts: what a person gives, and what can be wrong with it."""

from __future__ import annotations

import contextlib
import json
import pickle
import random
import re
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from KPrismLib.errors import InvalidConfig, InvalidWeights
from Training.peers.about import Checkout
from Training.peers.checkout import import_from
from Training.peers.model_folder import checked_folds
from Training.peers.setup import PeerSetup, describe, reproducible
from Training.peers.tensors import fill, read_checkpoint, read_tensors

CPU = torch.device("cpu")

#: A number as nnU-Net logs it into its checkpoints; PyTorch before 2.5 reads none of numpy's.
LOGGED = np.float64(0.5) if hasattr(torch.serialization, "safe_globals") else 0.5


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("code from a weights file was run",))


def test_either_weights_or_random_weights(tmp_path):
    for arguments in ({}, {"weights": tmp_path, "random": True}):
        with pytest.raises(InvalidConfig, match="one of the two"):
            PeerSetup(device=CPU, **arguments)
    with pytest.raises(InvalidWeights, match="no weights at"):
        PeerSetup(device=CPU, weights=tmp_path / "none.pt")
    with pytest.raises(InvalidConfig, match="no folder"):
        PeerSetup(device=CPU, random=True, checkouts=(tmp_path / "none",))


def test_classes_come_from_the_json_beside_the_weights(tmp_path):
    weights = tmp_path / "net.pt"
    weights.touch()
    setup = PeerSetup(device=CPU, weights=weights, description=describe(weights))
    with pytest.raises(InvalidWeights, match=r"net\.json as \{\"classes\""):
        setup.known_classes()
    (tmp_path / "net.json").write_text(json.dumps({"classes": ["liver", "spleen"], "network": {"depth": 3}}))
    setup = PeerSetup(device=CPU, weights=weights, description=describe(weights))
    assert setup.known_classes() == ("liver", "spleen")
    assert setup.network({"depth": 1, "width": 2}) == {"depth": 3, "width": 2}
    assert setup.network({"depth": 1, "width": 2}, {"width": 1}) == {"depth": 3, "width": 2}
    random = PeerSetup(device=CPU, random=True)
    assert random.network({"depth": 1, "width": 2}, {"width": 1}) == {"depth": 1, "width": 1}
    with pytest.raises(InvalidWeights, match="object of settings"):
        PeerSetup(device=CPU, weights=weights, description={"network": 3}).network({})


@pytest.mark.parametrize("text", ["[1]", "{"])
def test_a_description_that_is_no_object(tmp_path, text):
    (tmp_path / "net.json").write_text(text)
    with pytest.raises(InvalidWeights, match=r"net\.json"):
        describe(tmp_path / "net.pt")


def test_random_weights_are_the_same_and_disturb_nobody():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    with reproducible():
        first = torch.rand(3)
    assert torch.rand(1) == expected
    with reproducible():
        assert (torch.rand(3) == first).all()


@pytest.mark.parametrize("place", [None, "model", "state_dict", "network_weights"])
def test_the_state_dict_is_found_wherever_it_lies(tmp_path, place):
    tensors = {"module.weight": torch.ones(2), "module.bias": torch.zeros(1)}
    logged = {"loss": LOGGED, "epoch": 3}
    torch.save(tensors if place is None else {place: tensors, "logging": logged}, tmp_path / "net.pt")
    found = read_tensors(tmp_path / "net.pt")
    assert sorted(found) == ["bias", "weight"]
    assert found["weight"].tolist() == [1.0, 1.0]


@pytest.mark.parametrize(("average", "value"), [({"weight": torch.full((1,), 2.0)}, 2.0), (None, 1.0)])
def test_the_moving_average_comes_first(tmp_path, average, value):
    content = {"epoch": 3, "model_state_dict": {"weight": torch.ones(1)}, "ema_model_state_dict": average}
    torch.save(content, tmp_path / "net.pt")
    assert read_tensors(tmp_path / "net.pt")["weight"].item() == value


@pytest.mark.skipif(not hasattr(torch.serialization, "safe_globals"), reason="PyTorch 2.5 is the first to read them")
@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
def test_numbers_of_numpy_1_and_2_are_plain(tmp_path, module):
    path = tmp_path / "net.pt"
    torch.save({"best": np.float64(0.5), "epoch": np.int64(3)}, path, _use_new_zipfile_serialization=False)
    content, count = re.subn(rb"numpy\._?core\.multiarray", module, path.read_bytes())
    assert count
    path.write_bytes(content)
    assert read_checkpoint(path) == {"best": 0.5, "epoch": 3}


def test_safetensors_too(tmp_path):
    save_file({"weight": torch.ones(2)}, tmp_path / "net.safetensors")
    assert read_tensors(tmp_path / "net.safetensors")["weight"].tolist() == [1.0, 1.0]


def test_code_in_a_weights_file_is_not_run(tmp_path):
    torch.save({"model": {"weight": torch.ones(1)}, "extra": Evil()}, tmp_path / "net.pt")
    with pytest.raises(InvalidWeights, match="would run code"):
        read_checkpoint(tmp_path / "net.pt")


@pytest.mark.parametrize("content", [b"", b"abc", b"not a file of weights", pickle.dumps([1, 2], protocol=2)])
def test_a_damaged_file(tmp_path, content):
    (tmp_path / "net.pt").write_bytes(content)
    with pytest.raises(InvalidWeights):
        read_tensors(tmp_path / "net.pt")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("new", [True, False])
def test_broken_bytes_give_other_weights_or_a_sentence(tmp_path, new):
    path, chance = tmp_path / "net.pt", random.Random(0)
    torch.save({"model": torch.nn.Linear(3, 2).state_dict()}, path, _use_new_zipfile_serialization=new)
    content = path.read_bytes()
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(chance.choice((1, 2, 5))):
            damaged[chance.randrange(min(len(content), 700))] = chance.randrange(256)
        path.write_bytes(damaged)
        with contextlib.suppress(InvalidWeights):
            read_tensors(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_must_be_numbers(tmp_path, value):
    network, path = torch.nn.Linear(2, 1), tmp_path / "net.pt"
    torch.save({"weight": torch.tensor([[1.0, value]]), "bias": torch.zeros(1)}, path)
    with pytest.raises(InvalidWeights, match="is damaged: weight holds NaN or infinite values; get it again"):
        fill(network, path)


def test_weights_must_fit(tmp_path):
    network = torch.nn.Linear(2, 1)
    torch.save({"weight": torch.full((1, 2), 2.0), "bias": torch.zeros(1)}, tmp_path / "good.pt")
    fill(network, tmp_path / "good.pt")
    assert network.weight.tolist() == [[2.0, 2.0]]
    torch.save({"weight": torch.ones(1, 3), "bias": torch.zeros(1)}, tmp_path / "wide.pt")
    with pytest.raises(InvalidWeights, match="1 tensors differ, first weight"):
        fill(network, tmp_path / "wide.pt")
    torch.save({"weight": torch.ones(1, 2)}, tmp_path / "less.pt")
    with pytest.raises(InvalidWeights, match="first bias"):
        fill(network, tmp_path / "less.pt")


def test_a_module_is_imported_from_the_checkout_that_holds_it(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "other").mkdir()
    package = tmp_path / "Repository/source/peer_of_this_test"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("ANSWER = 42\n")
    place = Checkout("https://example.org/repository", "peer_of_this_test", "source")
    module = import_from([tmp_path / "other", tmp_path / "Repository"], place)
    assert module.ANSWER == 42
    with pytest.raises(InvalidConfig, match="None of the folders given with --peer-path holds peer_of_this_test"):
        import_from([tmp_path / "other"], place)
    second = tmp_path / "second/source/peer_of_this_test"
    second.mkdir(parents=True)
    with pytest.raises(InvalidConfig, match="start a new process"):
        import_from([tmp_path / "second"], place)
    with pytest.raises(InvalidConfig, match=r"cannot be imported .*example\.org/absent"):
        import_from([], Checkout("https://example.org/absent", "no_such_peer_at_all"))


def _model_folder(folder, checkpoint):
    (folder / "fold_0").mkdir()
    for name in ("plans.json", "dataset.json"):
        (folder / name).write_text("{}")
    torch.save(checkpoint, folder / "fold_0/checkpoint_final.pth")


def test_a_model_folder_is_checked_before_it_is_unpickled(tmp_path):
    with pytest.raises(InvalidWeights, match=r"plans\.json and dataset\.json missing"):
        checked_folds(tmp_path)
    good = {"network_weights": {}, "trainer_name": "nnUNetTrainer", "init_args": {"configuration": "2d"}}
    _model_folder(tmp_path, good | {"logging": {"loss": [LOGGED]}})
    assert [fold.name for fold in checked_folds(tmp_path)] == ["fold_0"]
    torch.save(good | {"extra": Evil()}, tmp_path / "fold_0/checkpoint_final.pth")
    with pytest.raises(InvalidWeights, match="would run code"):
        checked_folds(tmp_path)
    torch.save({"weight": torch.ones(1)}, tmp_path / "fold_0/checkpoint_final.pth")
    with pytest.raises(InvalidWeights, match="no checkpoint of nnU-Net"):
        checked_folds(tmp_path)
    torch.save(good | {"network_weights": {"a": torch.tensor([torch.nan])}}, tmp_path / "fold_0/checkpoint_final.pth")
    with pytest.raises(InvalidWeights, match=r"checkpoint_final\.pth is damaged: a holds NaN"):
        checked_folds(tmp_path)
