"""UniverSeg, Tyche and MultiverSeg, with networks that copy what they are shown."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from KPrismLib.errors import InvalidWeights
from KPrismLib.prompts import Click
from Testing.training.peers.fake_module import install
from Training.peers.setup import PeerSetup
from Training.peers.systems import multiverseg, tyche, universeg

RANDOM = PeerSetup(device=torch.device("cpu"), random=True)
GRID = (128, 128)


def picture():
    """64 rows, 256 columns; the columns from 192 on are the example's mask."""
    pixels = np.zeros((64, 256), dtype=np.uint8)
    pixels[:, 100:] = 200
    mask = np.zeros(pixels.shape, dtype=bool)
    mask[:, 192:] = True
    return pixels, mask


def check(target, images, masks):
    for tensor in (target, images, masks):
        assert 0 <= tensor.min() <= tensor.max() <= 1
    assert images.shape == masks.shape == (1, images.shape[1], 1, *GRID)


class CopyUniverSeg(nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(1.0))

    def forward(self, target, images, masks):
        assert target.shape == (1, 1, *GRID)
        check(target, images, masks)
        return (masks.mean(dim=1) - 0.5) * self.gain


@pytest.fixture
def package(monkeypatch):
    def build(*, version, pretrained):
        assert version == "v1"
        assert not pretrained  # it would download
        return CopyUniverSeg()

    install(monkeypatch, "universeg", universeg=build)


@pytest.mark.usefixtures("package")
def test_universeg_answers_at_the_images_resolution():
    segmenter = universeg.open_peer(RANDOM)
    pixels, mask = picture()
    answer = segmenter.by_example(segmenter.encode(pixels), segmenter.reference([(pixels, mask)] * 3))
    assert np.array_equal(answer.mask, mask)


@pytest.mark.usefixtures("package")
def test_universeg_fills_in_the_given_weights(tmp_path):
    torch.save({"gain": torch.tensor(-1.0)}, tmp_path / "universeg.pt")
    segmenter = universeg.open_peer(PeerSetup(device=RANDOM.device, weights=tmp_path / "universeg.pt"))
    pixels, mask = picture()
    assert np.array_equal(
        segmenter.by_example(segmenter.encode(pixels), segmenter.reference([(pixels, mask)])).mask, ~mask
    )
    torch.save({"other": torch.tensor(-1.0)}, tmp_path / "universeg.pt")
    with pytest.raises(InvalidWeights, match="does not fit CopyUniverSeg"):
        universeg.open_peer(PeerSetup(device=RANDOM.device, weights=tmp_path / "universeg.pt"))


class VotingTyche(nn.Module):
    """Three of eight candidates see the upper half, five the example's mask."""

    def __init__(self):
        super().__init__()
        self.noises = []

    def forward(self, *, support_images, support_labels, target_image, noise_image):
        assert target_image.shape == noise_image.shape == (1, 8, 1, *GRID)
        assert torch.equal(target_image[:, 0], target_image[:, 7])
        check(target_image, support_images, support_labels)
        self.noises.append(noise_image)
        half = torch.zeros(GRID)
        half[:64] = 1
        votes = [half] * 3 + [support_labels[0, 0, 0]] * 5
        return (torch.stack(votes)[None, :, None] - 0.5) * 200


def test_tyche_averages_its_candidates_and_draws_once(monkeypatch):
    install(monkeypatch, "tyche", tychets=lambda *, version, pretrained: VotingTyche())
    masks = []
    for _ in range(2):
        segmenter = tyche.open_peer(RANDOM)
        pixels, mask = picture()
        examples = segmenter.reference([(pixels, mask)])
        masks += [segmenter.by_example(segmenter.encode(image), examples).mask for image in (pixels, 255 - pixels)]
        first, second = segmenter._network.noises
        assert torch.equal(first, second)
        assert first.std().item() == pytest.approx(1, abs=0.02)
        assert not torch.equal(first[:, 0], first[:, 1])
    inside = np.abs(np.arange(256) - 191.5) > 2  # probabilities, not votes, are interpolated at the border
    assert all(np.array_equal(each[:, inside], mask[:, inside]) for each in masks)


class ClickedMultiverSeg(nn.Module):
    """Logits are 20 for positive clicks and -20 for negative ones, and what was there before."""

    def __init__(self, **settings):
        super().__init__()
        self.settings, self.asked = settings, []

    def forward(self, target, images=None, masks=None):
        assert target.shape == (1, 1, 5, *GRID)
        if images is not None:
            check(target[:, :, :1], images, masks)
        self.asked.append((target[0, 0], images))
        query = target[:, 0]
        return query[:, 4:] + 20 * (query[:, 2:3] - query[:, 3:4])


@pytest.fixture
def with_clicks(monkeypatch, package):
    install(monkeypatch, "multiverseg.models.network", MultiverSegNet=ClickedMultiverSeg)


def ask(segmenter, clicks, before=None, reference=None):
    pixels, _ = picture()
    return segmenter.by_clicks(segmenter.encode(pixels), clicks, before, cls=None, reference=reference)


@pytest.mark.usefixtures("with_clicks")
def test_multiverseg_channels():
    segmenter = multiverseg.open_peer(RANDOM)
    assert segmenter._network.settings["in_channels"] == [5, 2]
    clicks = [Click(10, 200, True), Click(63, 0, False)]
    first = ask(segmenter, clicks[:1])
    # 64 rows, 256 columns on 128 x 128: the pixel's centre is doubled along rows and halved along columns.
    assert first.mask[10, 200]
    second = ask(segmenter, clicks, first)
    assert second.mask[10, 200]
    assert not second.mask[63, 0]
    one, two = (query for query, _ in segmenter._network.asked)
    assert torch.equal(one[0], two[0])
    assert (one[0].min(), one[0].max()) == (0, 1)
    for query in (one, two):
        assert query[1].abs().max() == 0  # no box
        assert torch.nonzero(query[2]).tolist() == [[21, 100]]
    assert torch.nonzero(two[3]).tolist() == [[127, 0]]
    assert one[3:].abs().max() == 0
    assert torch.equal(two[4:], first.memory[0])


@pytest.mark.usefixtures("with_clicks")
def test_multiverseg_refines_what_its_examples_gave():
    segmenter = multiverseg.open_peer(RANDOM)
    pixels, mask = picture()
    examples = segmenter.reference([(pixels, mask)])
    initial = segmenter.by_example(segmenter.encode(pixels), examples)
    ask(segmenter, [Click(1, 1, True)], initial, examples)
    (initial_query, first), (_, second) = segmenter._network.asked
    assert first is second is examples.images
    assert initial_query[1:].abs().max() == 0


@pytest.mark.usefixtures("with_clicks")
def test_multiverseg_hands_clicks_without_examples_to_scribbleprompt_where_it_is_given(tmp_path, monkeypatch):
    assert "not to ScribblePrompt" in multiverseg.open_peer(RANDOM).remarks[0]

    class ScribblePrompt(nn.Module):
        def __init__(self, *, in_channels, out_channels, features):
            super().__init__()
            assert (in_channels, out_channels, features) == (5, 1, [192] * 4)
            self.gain = nn.Parameter(torch.tensor(0.0))

        def forward(self, query):
            assert query.shape == (1, 5, *GRID)
            return query[:, :1] * 0 + self.gain

    install(monkeypatch, "scribbleprompt.models.network", UNet=ScribblePrompt)
    with pytest.raises(InvalidWeights, match=r"no MultiverSeg\*\.pt"):
        multiverseg.open_peer(PeerSetup(device=RANDOM.device, weights=tmp_path))
    monkeypatch.setattr(multiverseg, "fill", lambda network, path: filled.append(path.name))
    filled: list[str] = []
    for name in ("MultiverSeg_v1_nf256_res128.pt", "ScribblePrompt_unet_v1_nf192_res128.pt"):
        (tmp_path / name).touch()
    segmenter = multiverseg.open_peer(PeerSetup(device=RANDOM.device, weights=tmp_path))
    assert filled == ["MultiverSeg_v1_nf256_res128.pt", "ScribblePrompt_unet_v1_nf192_res128.pt"]
    assert segmenter.remarks == ()
    ask(segmenter, [Click(1, 1, True)])
    assert segmenter._network.asked == []


@pytest.mark.usefixtures("with_clicks")
def test_multiverseg_without_scribbleprompts_code_answers_itself_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(multiverseg, "fill", lambda network, path: None)
    monkeypatch.setitem(sys.modules, "scribbleprompt", None)  # no copy of it anywhere
    for name in ("MultiverSeg_v1_nf256_res128.pt", "ScribblePrompt_unet_v1_nf192_res128.pt"):
        (tmp_path / name).touch()
    segmenter = multiverseg.open_peer(PeerSetup(device=RANDOM.device, weights=tmp_path))
    without, why = segmenter.remarks
    assert "not to ScribblePrompt" in without
    assert "its code is not: scribbleprompt.models.network cannot be imported" in why
    assert "https://github.com/halleewong/ScribblePrompt" in why
    assert ask(segmenter, [Click(10, 200, True)]).mask[10, 200]
    assert len(segmenter._network.asked) == 1


def test_what_is_not_there_is_named(monkeypatch):
    install(monkeypatch, "universeg", universeg=SimpleNamespace())
    with pytest.raises(Exception, match=r"multiverseg\.models\.network cannot be imported .*halleewong/MultiverSeg"):
        multiverseg.open_peer(RANDOM)
