"""MedSAM and SAM2, with models that paint a spot where they were clicked."""

from __future__ import annotations

from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from skimage import transform
from torch import nn

from KPrismLib.errors import InvalidWeights
from KPrismLib.prompts import Click
from Testing.training.peers.fake_module import install
from Training.peers.sam import load_model, point_prompt
from Training.peers.setup import PeerSetup
from Training.peers.systems import medsam, sam2

RANDOM = PeerSetup(device=torch.device("cpu"), random=True)
SHAPE = (50, 200)


class SpotSam(nn.Module):
    """The last of the masks is a spot of 5 x 5 low-resolution pixels around the last click, and rated best."""

    report: ClassVar[dict[str, list[str]]] = {"missing_keys": []}

    def __init__(self, config=None):
        super().__init__()
        self.images, self.asked = [], []

    @classmethod
    def from_pretrained(cls, folder, *, dtype, local_files_only, weights_only, output_loading_info):
        assert dtype == torch.float32  # whatever the file holds
        assert local_files_only
        assert weights_only
        assert output_loading_info
        if "broken" in folder:
            raise OSError("first line\nsecond line")
        return cls(), cls.report

    def get_image_embeddings(self, image):
        assert image.shape == (1, 3, 1024, 1024)
        assert image.dtype == torch.float32
        self.images.append(image)
        return "embeddings"

    def forward(self, *, image_embeddings, input_points, input_labels, input_masks, multimask_output):
        assert image_embeddings == "embeddings"
        assert input_points.shape[:2] == input_labels.shape[:2] == (1, 1)
        assert input_masks is None or input_masks.shape == (1, 1, 256, 256)
        self.asked.append((input_points[0, 0].tolist(), input_labels[0, 0].tolist(), input_masks, multimask_output))
        x, y = (int(value / 4) for value in input_points[0, 0, -1])
        masks = torch.full((1, 1, 3 if multimask_output else 1, 256, 256), -50.0)
        masks[0, 0, -1, max(0, y - 2) : y + 3, max(0, x - 2) : x + 3] = 50.0
        ratings = torch.arange(masks.shape[2], dtype=torch.float32)[None, None]
        return SimpleNamespace(pred_masks=masks, iou_scores=ratings)


@pytest.fixture(params=[medsam, sam2], ids=["medsam", "sam2"])
def system(request, monkeypatch):
    def config(**settings):
        return settings

    install(monkeypatch, "transformers", SamModel=SpotSam, SamConfig=config, Sam2Model=SpotSam, Sam2Config=config)
    return request.param


def test_points_are_x_then_y_in_pixels_of_the_square():
    points, labels = point_prompt([Click(10, 30, True), Click(49, 0, False)], SHAPE)
    assert points.shape == (1, 1, 2, 2)
    assert torch.allclose(points[0, 0], torch.tensor([[153.6, 204.8], [0.0, 1003.52]]))
    assert labels.tolist() == [[[1, 0]]]


def test_the_mask_lies_where_the_click_was(system):
    segmenter = system.open_peer(RANDOM)
    image = segmenter.encode(np.zeros(SHAPE, dtype=np.uint8))
    mask = segmenter.by_clicks(image, [Click(10, 150, True)], None, cls=None, reference=None).mask
    assert mask.shape == SHAPE
    rows, columns = np.nonzero(mask)
    # A spot of 5/256 of both sides: one row or two, four columns.
    assert 10 in rows
    assert np.ptp(rows) <= 1
    assert abs(columns.mean() - 150) < 2
    assert 2 <= np.ptp(columns) <= 6


def test_all_clicks_and_the_logits_go_back_in_which_only_sam2_clips(system):
    segmenter = system.open_peer(RANDOM)
    model = segmenter._model
    image = segmenter.encode(np.zeros(SHAPE, dtype=np.uint8))
    clicks = [Click(10, 150, True), Click(40, 20, False)]
    first = segmenter.by_clicks(image, clicks[:1], None, cls=None, reference=None)
    segmenter.by_clicks(image, clicks, first, cls=None, reference=None)
    assert len(model.images) == 1
    (one, _, nothing, _), (two, labels, before, _) = model.asked
    assert nothing is None
    assert one == two[:1]
    assert labels == [1, 0]
    bound = {medsam: 50, sam2: 32}[system]
    assert (before.min(), before.max()) == (-bound, bound)
    assert before is first.memory


def test_only_sam2_chooses_among_three_masks_and_only_at_the_first_click(system):
    segmenter = system.open_peer(RANDOM)
    image = segmenter.encode(np.zeros(SHAPE, dtype=np.uint8))
    click = Click(10, 150, True)
    first = segmenter.by_clicks(image, [click], None, cls=None, reference=None)
    segmenter.by_clicks(image, [click, click], first, cls=None, reference=None)
    expected = {medsam: [False, False], sam2: [True, False]}[system]
    assert [several for *_, several in segmenter._model.asked] == expected


def test_medsam_sees_0_to_1_and_sam2_what_imagenet_saw(system, rng):
    segmenter = system.open_peer(RANDOM)
    pixels = rng.integers(30, 120, (32, 32), dtype=np.uint8)
    pixels[:8], pixels[-8:] = 20, 220
    segmenter.encode(pixels)
    seen = segmenter._model.images[0]
    if system is medsam:
        assert (seen.min(), seen.max()) == (0, 1)
    else:
        low, high = ([(value / 255 - m) / s for m, s in ((0.485, 0.229), (0.406, 0.225))] for value in (20, 220))
        assert seen[0, [0, 2], 0, 0].tolist() == pytest.approx(low, abs=1e-5)
        assert seen[0, [0, 2], -1, -1].tolist() == pytest.approx(high, abs=1e-5)


@pytest.mark.parametrize("shape", [(20, 33, 3), (70, 41, 3), (20, 70, 3)])
def test_cubic_resizing_is_the_authors(rng, shape):
    picture = (rng.integers(0, 256, shape) * [1.0, 0.2, 0.5]).astype(np.uint8)

    def authors(image):
        return transform.resize(image, (48, 48), order=3, preserve_range=True, anti_aliasing=True).astype(np.uint8)

    # One of 255 steps where the third axis rounds to the other side of a whole number.
    seen = medsam.cubic(picture, 48)[0].permute(1, 2, 0).numpy()
    assert np.abs(seen - authors(picture)).max() <= 1
    assert (seen == authors(picture)).mean() > 0.999
    grey = picture[..., 0]
    seen = medsam.cubic(grey, 48)[0].permute(1, 2, 0).numpy()
    assert np.abs(seen - authors(np.repeat(grey[:, :, None], 3, axis=-1))).max() <= 1


def test_a_model_folder_is_read_without_the_network_and_without_code(system, tmp_path, monkeypatch):
    with pytest.raises(InvalidWeights, match=r"config\.json and model\.safetensors"):
        system.open_peer(PeerSetup(device=RANDOM.device, weights=tmp_path))
    for name in ("good", "broken"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text("{}")
    assert system.open_peer(PeerSetup(device=RANDOM.device, weights=tmp_path / "good")).name in ("MedSAM", "SAM2")
    with pytest.raises(InvalidWeights, match=r"cannot be read as SpotSam: first line$"):
        load_model(SpotSam, tmp_path / "broken")
    monkeypatch.setattr(SpotSam, "report", {"missing_keys": ["b", "a"]})
    with pytest.raises(InvalidWeights, match="lacks 2 tensors of SpotSam, first a"):
        load_model(SpotSam, tmp_path / "good")


def test_weights_of_no_numbers_are_refused(tmp_path, monkeypatch):
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr(SpotSam, "state_dict", lambda _: {"scale": torch.tensor([1.0, torch.inf])})
    with pytest.raises(InvalidWeights, match="is damaged: scale holds NaN or infinite values"):
        load_model(SpotSam, tmp_path)


def test_a_weights_file_that_was_cut_off_is_one_sentence(tmp_path, monkeypatch):
    def cut_off(*_, **__):
        raise SafetensorError("Error while deserializing header: MetadataIncompleteBuffer")

    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr(SpotSam, "from_pretrained", cut_off)
    with pytest.raises(InvalidWeights, match="cannot be read as SpotSam: Error while deserializing header"):
        load_model(SpotSam, tmp_path)
