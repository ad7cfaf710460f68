"""UNETR and nnU-Net, with networks that find what is bright and look at what they are given."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from KPrismLib.errors import InvalidWeights
from Testing.training.peers.fake_module import install
from Training.peers.model_folder import read_json
from Training.peers.setup import PeerSetup, describe
from Training.peers.systems import nnunet, unetr

CPU = torch.device("cpu")
CLASSES = ("liver", "spleen")


def picture():
    """20 rows, 40 columns: a liver of 255 in the upper right, a spleen of 100 below it."""
    pixels = np.zeros((20, 40), dtype=np.uint8)
    pixels[2:8, 30:38] = 255
    pixels[12:18, 30:38] = 100
    return pixels


class BrightnessUnetr(nn.Module):
    """Background, what is white, and what is grey."""

    def __init__(self, **settings):
        super().__init__()
        self.settings, self.inputs = settings, []
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, x):
        size = self.settings["img_size"]
        assert x.shape == (1, self.settings["in_channels"], *size)
        assert 0 <= x.min() <= x.max() <= 1
        self.inputs.append(x)
        value = x[:, :1]
        logits = [0.2 - value, value - 0.7, 0.2 - (value - 100 / 255).abs()]
        return torch.cat(logits, dim=1) * self.scale


@pytest.fixture
def monai(monkeypatch):
    install(monkeypatch, "monai.networks.nets", UNETR=BrightnessUnetr)


@pytest.mark.usefixtures("monai")
def test_unetr_pads_to_its_square_and_finds_both_classes_in_one_pass():
    setup = PeerSetup(device=CPU, random=True, classes=CLASSES, description={"image_size": 80})
    segmenter = unetr.open_peer(setup)
    network = segmenter._network
    assert network.settings["spatial_dims"] == 2
    assert network.settings["out_channels"] == 3
    image = segmenter.encode(picture())
    liver, spleen = (segmenter.by_class(image, cls) for cls in CLASSES)
    assert np.array_equal(liver.mask, picture() == 255)
    assert np.array_equal(spleen.mask, picture() == 100)
    assert len(network.inputs) == 1
    assert liver.milliseconds == spleen.milliseconds > 0
    assert network.inputs[0][..., 40:, :].abs().max() == 0  # 40 of 80 rows are content


@pytest.mark.usefixtures("monai")
def test_unetr_with_given_weights(tmp_path):
    save_file({"scale": torch.tensor(3.0)}, tmp_path / "net.safetensors")
    (tmp_path / "net.json").write_text(
        json.dumps({"classes": CLASSES, "image_size": 64, "network": {"in_channels": 1}})
    )
    weights = tmp_path / "net.safetensors"
    segmenter = unetr.open_peer(PeerSetup(device=CPU, weights=weights, description=describe(weights)))
    assert segmenter.classes == CLASSES
    assert segmenter._network.scale.item() == 3.0
    assert not segmenter._network.training
    segmenter.by_class(segmenter.encode(np.dstack([picture()] * 3)), "liver")
    assert segmenter._network.inputs[0].shape == (1, 1, 64, 64)


class BrightnessNnUnet:
    """nnU-Net's predictor for labels 3 and 7."""

    patch_size = (128, 128)
    last = None

    def __init__(self, **settings):
        print("a licence, or anything else")
        self.settings, self.inputs = settings, []
        BrightnessNnUnet.last = self

    def initialize_from_trained_model_folder(self, folder, folds, checkpoint):
        print("please cite")
        self.opened = folds, checkpoint
        self.plans = read_json(Path(folder) / "plans.json")
        self.configuration_manager = SimpleNamespace(patch_size=self.patch_size)

    def predict_single_npy_array(self, image, properties):
        print("predicting")
        assert image.dtype == np.float32
        assert image.shape[1:] == (1, 20, 40)
        assert properties == {"spacing": (999, 1, 1)}
        self.inputs.append(image)
        return np.where(image[0] == 255, 3, np.where(image[0] == 100, 7, 0)).astype(np.uint8)


@pytest.fixture
def nnunetv2(monkeypatch):
    install(monkeypatch, "nnunetv2.inference.predict_from_raw_data", nnUNetPredictor=BrightnessNnUnet)


def model_folder(path, labels, channel_names):
    path.mkdir()
    (path / "plans.json").write_text("{}")
    (path / "dataset.json").write_text(json.dumps({"labels": labels, "channel_names": channel_names}))
    checkpoint = {"network_weights": {}, "trainer_name": "nnUNetTrainer", "init_args": {"configuration": "2d"}}
    for fold in ("fold_0", "fold_3"):
        (path / fold).mkdir()
        torch.save(checkpoint, path / fold / "checkpoint_final.pth")
    return path


@pytest.mark.usefixtures("nnunetv2")
@pytest.mark.parametrize("colours", [1, 3])
def test_nnunet_reads_slices_as_it_reads_pictures_and_label_values_may_have_gaps(tmp_path, capsys, colours):
    labels = {"background": 0, "liver": 3, "spleen": 7, "ignore": 8}
    folder = model_folder(tmp_path / "model", labels, {str(number): "natural" for number in range(colours)})
    segmenter = nnunet.open_peer(PeerSetup(device=CPU, weights=folder))
    assert segmenter.classes == CLASSES
    image = segmenter.encode(picture())
    for cls, value in (("liver", 255), ("spleen", 100)):
        assert np.array_equal(segmenter.by_class(image, cls).mask, picture() == value)
    predictor = BrightnessNnUnet.last
    assert predictor.opened == (["0", "3"], "checkpoint_final.pth")
    assert [image.shape for image in predictor.inputs] == [(colours, 1, 20, 40)]
    assert predictor.settings["use_mirroring"]  # nnU-Net's own default, which it advises to keep
    assert capsys.readouterr().out == ""  # standard output belongs to results


@pytest.mark.usefixtures("nnunetv2")
def test_nnunet_refuses_volumes_and_regions(tmp_path, monkeypatch):
    regions = model_folder(tmp_path / "regions", {"background": 0, "whole": [1, 2]}, {"0": "MRI"})
    with pytest.raises(InvalidWeights, match="regions are not supported"):
        nnunet.open_peer(PeerSetup(device=CPU, weights=regions))
    monkeypatch.setattr(BrightnessNnUnet, "patch_size", (64, 64, 64))
    volumes = model_folder(tmp_path / "volumes", {"background": 0, "liver": 1}, {"0": "CT"})
    with pytest.raises(InvalidWeights, match="configuration 2d"):
        nnunet.open_peer(PeerSetup(device=CPU, weights=volumes))


@pytest.mark.usefixtures("nnunetv2")
def test_random_nnunet_is_a_model_folder_like_any_other(monkeypatch):
    def network(name, arguments, imports, inputs, outputs, *, deep_supervision):
        assert (inputs, outputs) == (1, 3)
        return nn.Linear(1, 1)

    install(monkeypatch, "nnunetv2.utilities.get_network_from_plans", get_network_from_plans=network)
    segmenter = nnunet.open_peer(PeerSetup(device=CPU, random=True, classes=CLASSES))
    assert segmenter.classes == CLASSES
    assert BrightnessNnUnet.last.plans["configurations"]["2d"]["patch_size"] == [128, 128]
