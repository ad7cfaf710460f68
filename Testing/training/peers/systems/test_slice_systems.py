"""Hermes on volumes of one slice, and the systems that need a port: Clip-driven, UniSeg, Iris, Verse."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
import torch
from torch import nn

from KPrismLib.errors import InvalidConfig, InvalidWeights
from KPrismLib.prompts import Click
from Testing.training.peers.fake_module import install
from Training.peers import registry
from Training.peers.setup import PeerSetup, describe
from Training.peers.systems import hermes
from Training.peers.systems.verse import cardiac

CPU = torch.device("cpu")


class TaskHermes(nn.Module):
    """Task 0 is what is brighter than the mean, task 1 what is darker, the null task everything."""

    def __init__(self, **settings):
        super().__init__()
        self.settings, self.asked = settings, []

    def forward(self, volume, tasks, modality):
        assert volume.shape == (1, 1, 1, 64, 64)
        assert modality.shape == (1, 1)
        assert abs(volume.mean()) < 0.6  # z-score, then padded
        self.asked.append((*tasks[0].tolist(), modality.item()))
        logits = {0: volume, 1: -volume, -1: torch.ones_like(volume)}
        return torch.cat([logits[task] for task in tasks[0].tolist()], dim=1), "modality"


def test_hermes_asks_task_by_task_beside_the_null_task(monkeypatch):
    install(monkeypatch, "model.dim3.hermes_unet", Hermes_UNet=TaskHermes)
    description = {"image_size": 64, "modality": 2, "network": {"base_ch": 8}}
    setup = PeerSetup(device=CPU, random=True, classes=("liver", "spleen"), description=description)
    segmenter = hermes.open_peer(setup)
    settings = segmenter._network.settings
    assert (settings["tn"], settings["base_ch"], settings["kernel_size"][0]) == (3, 8, [1, 3, 3])
    pixels = np.zeros((32, 64), dtype=np.uint8)
    pixels[:, 40:] = 200
    image = segmenter.encode(pixels)
    assert np.array_equal(segmenter.by_class(image, "liver").mask, pixels > 0)
    assert np.array_equal(segmenter.by_class(image, "spleen").mask, pixels == 0)
    assert segmenter._network.asked == [(0, -1, 2), (1, -1, 2)]


PORT = '''
import torch
from torch import nn


class Recorder(nn.Module):
    """Marks the newest click; without clicks, the first example; without examples, class 1 and nothing else."""

    def __init__(self, classes, gain=1.0):
        super().__init__()
        self.classes, self.asked = classes, []
        self.gain = nn.Parameter(torch.tensor(gain))

    def forward(self, image, **knowledge):
        self.asked.append((image, knowledge))
        logits = torch.full((1, 1, *image.shape[-2:]), -1.0)
        if "clicks" in knowledge:
            row, column, positive = knowledge["clicks"][0, -1].int().tolist()
            logits[0, 0, row, column] = 1.0 if positive else -1.0
        elif "reference_masks" in knowledge:
            logits = knowledge["reference_masks"][:, 0] - 0.5
        elif knowledge["class_index"].item() == 1:
            logits = -logits
        return logits * self.gain


def build(classes, **settings):
    return Recorder(classes, **settings)


def wrong(classes):
    return "no network"


class Small(Recorder):
    def forward(self, image, **knowledge):
        return super().forward(image, **knowledge)[..., 1:]


def small(classes):
    return Small(classes)
'''


@pytest.fixture
def port(tmp_path, monkeypatch):
    """A function that opens the port of a system; keywords change the JSON beside the weights."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "port_of_this_test", raising=False)
    folder = tmp_path / "port"
    folder.mkdir()
    (folder / "port_of_this_test.py").write_text(PORT, encoding="utf-8")
    weights = tmp_path / "net.pt"
    torch.save({"gain": torch.tensor(2.0)}, weights)

    def open_port(name, **changes):
        content = {
            "factory": "port_of_this_test:build",
            "classes": ["left", "right"],
            "image_size": 64,
            "network": {},
        } | changes
        weights.with_suffix(".json").write_text(json.dumps(content), encoding="utf-8")
        setup = PeerSetup(device=CPU, weights=weights, checkouts=(folder,), description=describe(weights))
        return registry.system(name).open_peer(setup)

    yield open_port
    sys.modules.pop("port_of_this_test", None)


def picture():
    pixels = np.zeros((32, 64), dtype=np.uint8)
    pixels[:, 40:] = 255
    return pixels


@pytest.mark.parametrize("name", ["clip-driven", "uniseg", "iris", "verse"])
def test_a_port_segments_by_class(port, name):
    segmenter = port(name)
    image = segmenter.encode(picture())
    assert segmenter.by_class(image, "right").mask.all()
    assert not segmenter.by_class(image, "left").mask.any()
    assert segmenter._network.gain.item() == 2.0
    assert segmenter._network.classes == ["left", "right"]
    pixels, knowledge = segmenter._network.asked[0]
    assert pixels.shape == (1, 1, 64, 64)
    assert pixels[..., 32:, :].abs().max() == 0
    assert knowledge["class_index"].dtype == torch.int64
    assert "port" in segmenter.remarks[0]
    if name == "clip-driven":
        assert (pixels.min(), pixels.max()) == (0, 1)


def test_iris_sees_its_examples(port):
    segmenter = port("iris", channels=3)
    mask = picture() > 0
    examples = segmenter.reference([(picture(), mask), (picture(), ~mask)])
    assert examples["reference_images"].shape == (1, 2, 3, 64, 64)
    assert examples["reference_masks"].shape == (1, 2, 1, 64, 64)
    assert np.array_equal(segmenter.by_example(segmenter.encode(picture()), examples).mask, mask)


def test_verse_refines_a_class_by_clicks(port):
    segmenter = port("verse", channels=3)
    image = segmenter.encode(picture())
    initial = segmenter.by_class(image, "right")
    clicks = [Click(30, 5, True), Click(1, 60, False)]
    first = segmenter.by_clicks(image, clicks[:1], initial, cls="right", reference=None)
    assert np.argwhere(first.mask).tolist() == [[30, 5]]
    segmenter.by_clicks(image, clicks, first, cls="right", reference=None)
    segmenter.by_clicks(image, clicks[:1], None, cls=None, reference=None)
    refining, again, alone = (knowledge for _, knowledge in segmenter._network.asked[1:])
    assert refining["clicks"].tolist() == [[[30, 5, 1]]]
    assert refining["previous"] is initial.memory
    assert again["clicks"].tolist() == [[[30, 5, 1], [1, 60, 0]]]
    assert again["class_index"].tolist() == [1]
    assert "class_index" not in alone
    assert alone["previous"] is None


def test_verse_sees_0_to_1_below_the_98th_percentile_less_the_authors_constants():
    image = torch.arange(50.0, 151.0).reshape(1, 1, 1, 101)  # the 98th percentile is 148
    seen = (cardiac(image) * 3.13 + 0.367).flatten()
    assert seen[[0, 49, 98, 99, 100]].tolist() == pytest.approx([0, 0.5, 1, 1, 1], abs=1e-5)
    blank = cardiac(torch.full((1, 3, 4, 4), 7.0))
    assert blank.unique().tolist() == pytest.approx([-0.367 / 3.13])


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"factory": "port_of_this_test"}, InvalidWeights, '"module:function"'),
        ({"factory": "port_of_this_test:none"}, InvalidConfig, "no function none"),
        ({"factory": "port_of_this_test:wrong"}, InvalidConfig, "must return a torch.nn.Module"),
        ({"factory": "absent_port:build"}, InvalidConfig, "holds absent_port; it needs a copy of your port of Iris"),
        ({"classes": []}, InvalidWeights, "which classes"),
    ],
)
def test_a_port_that_does_not_keep_the_contract_is_told_what_it_lacks(port, changes, error, words):
    with pytest.raises(error, match=words):
        port("iris", **changes)


def test_logits_of_another_size_are_the_ports_fault(port):
    segmenter = port("iris", factory="port_of_this_test:small")
    with pytest.raises(InvalidConfig, match="1 x 1 x 64 x 64, and did not"):
        segmenter.by_class(segmenter.encode(picture()), "left")


@pytest.mark.parametrize("name", ["clip-driven", "uniseg", "iris", "verse"])
def test_a_port_has_no_random_weights(name):
    with pytest.raises(InvalidConfig, match="no random weights"):
        registry.system(name).open_peer(PeerSetup(device=CPU, random=True, classes=("left",)))
