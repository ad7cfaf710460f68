"""SegNext, with a network that marks the row and column of the clicks that it is given."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from KPrismLib.prompts import Click
from Testing.training.peers.fake_module import install
from Training.peers.setup import PeerSetup
from Training.peers.systems import segnext

PIXELS = np.full((30, 70, 3), (255, 0, 51), dtype=np.uint8)


class PointPlainVit(nn.Module):
    """Logits are 5 where the newest positive click is, -5 elsewhere."""

    def __init__(self, **settings):
        super().__init__()
        self.settings, self.seen = settings, []
        self.orig_size = None

    def get_image_feats(self, image):
        assert image.shape == (1, 3, 30, 70)
        assert image[0, :, 0, 0].tolist() == pytest.approx([1.0, 0.0, 0.2])  # ImageNet's numbers: the network's work
        return "features"

    def get_prompt_feats(self, size, prompts):
        assert size == (1, 3, 30, 70)
        assert self.orig_size == (30, 70)
        self.seen.append((prompts["points"].clone(), prompts["prev_mask"]))
        prompts["points"][..., :2] *= 3  # the authors' network changes its argument
        return self.seen[-1][0]

    def forward(self, size, features, points):
        assert features == "features"
        logits = torch.full((1, 1, 30, 70), -5.0)
        row, column, _ = max(points[0, : points.shape[1] // 2].tolist(), key=lambda point: point[2])
        logits[0, 0, row, column] = 5.0
        return {"instances": logits}


@pytest.fixture
def segmenter(monkeypatch):
    install(monkeypatch, "isegm.model.is_plainvit_model", PlainVitModel=PointPlainVit)
    return segnext.open_peer(PeerSetup(device=torch.device("cpu"), random=True))


def test_points_are_row_column_order_positive_ones_first():
    clicks = [Click(3, 40, True), Click(20, 5, False), Click(7, 8, True)]
    assert segnext.point_rows(clicks[:1]).tolist() == [[[3, 40, 0], [-1, -1, -1]]]
    assert segnext.point_rows(clicks).tolist() == [[[3, 40, 0], [7, 8, 2], [20, 5, 1], [-1, -1, -1]]]
    assert segnext.point_rows([]).tolist() == [[[-1, -1, -1]] * 2]


def test_the_previous_probabilities_go_back_in(segmenter):
    image = segmenter.encode(PIXELS)
    clicks = [Click(3, 40, True), Click(7, 8, True)]
    first = segmenter.by_clicks(image, clicks[:1], None, cls=None, reference=None)
    assert np.argwhere(first.mask).tolist() == [[3, 40]]
    second = segmenter.by_clicks(image, clicks, first, cls=None, reference=None)
    assert np.argwhere(second.mask).tolist() == [[7, 8]]
    (_, nothing), (points, previous) = segmenter._network.seen
    assert nothing.shape == (1, 1, 30, 70)
    assert nothing.abs().max() == 0
    assert points.shape == (1, 4, 3)
    assert previous[0, 0, 3, 40].item() == pytest.approx(1 / (1 + np.exp(-5)))


def test_a_probability_above_0_49_is_foreground(segmenter, monkeypatch):
    probabilities = torch.full((1, 1, 30, 70), 0.48)
    probabilities[0, 0, 4, 9] = 0.495
    monkeypatch.setattr(segmenter._network, "forward", lambda *_: {"instances": probabilities.logit()})
    answer = segmenter.by_clicks(segmenter.encode(PIXELS), [Click(3, 40, True)], None, cls=None, reference=None)
    assert np.argwhere(answer.mask).tolist() == [[4, 9]]


def test_with_weights_the_network_is_the_authors_vitb_sax2(segmenter, monkeypatch, tmp_path):
    assert segmenter._network.settings["backbone_params"]["img_size"] == (256, 256)  # random weights are small
    monkeypatch.setattr(segnext, "fill", lambda network, path: None)
    settings = segnext.open_peer(PeerSetup(device=torch.device("cpu"), weights=tmp_path))._network.settings
    assert settings["backbone_params"]["img_size"] == (1024, 1024)
    assert (settings["backbone_params"]["depth"], settings["backbone_params"]["embed_dim"]) == (12, 768)
    assert settings["neck_params"] == {"in_dim": 768, "out_dims": [128, 256, 512, 1024]}
    assert settings["fusion_params"]["depth"] == 2
    assert settings["use_disks"]
    assert settings["norm_radius"] == 5
