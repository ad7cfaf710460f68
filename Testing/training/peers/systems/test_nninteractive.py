"""nnInteractive, with a session that paints single pixels and keeps what it painted."""

from __future__ import annotations

import json
import sys
from concurrent.futures import Future
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from KPrismLib.errors import InvalidWeights
from KPrismLib.prompts import Click
from Testing.training.peers.fake_module import install
from Training.peers import missing
from Training.peers.setup import PeerSetup
from Training.peers.systems import nninteractive

CPU = torch.device("cpu")
PIXELS = np.full((12, 30), 90, dtype=np.uint8)
PIXELS[6:, 20:] = 40
FIRST, SECOND, OTHER = Click(2, 25, True), Click(9, 4, True), Click(2, 25, False)


class PixelSession:
    """What the package's session does, as far as the adapter uses it."""

    made: ClassVar[list[PixelSession]] = []

    def __init__(self, **settings):
        self.settings, self.points, self.draws = settings, [], []
        PixelSession.made.append(self)

    def initialize_from_trained_model_folder(self, folder, *, checkpoint_name):
        print("license")
        assert checkpoint_name == "checkpoint_final.pth"
        for name in nninteractive._SHARED:
            setattr(self, name, f"{name} of {folder}")

    def initialize_from_loaded_artifacts(self, artifacts):
        self.artifacts = artifacts

    def set_image(self, image):
        assert image.dtype == np.float32
        assert image.shape == (1, 1, *PIXELS.shape)
        self.preprocess_future = Future()
        self.preprocess_future.set_result(None)
        rows, columns = image[0, 0].nonzero()
        if not rows.size:
            raise ValueError("Input image is entirely zero; cannot determine normalization statistics.")
        box = image[..., rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        self.preprocessed_image = torch.from_numpy((image - box.mean()) / box.std())

    def set_target_buffer(self, buffer):
        assert buffer.shape == (1, *PIXELS.shape)
        self.buffer = buffer

    def add_point_interaction(self, coordinates, *, include_interaction, run_prediction):
        print("predicting")
        assert run_prediction
        self.points.append((coordinates, include_interaction))
        self.draws.append(np.random.rand())  # noqa: NPY002 - the package uses the global generator
        self.buffer[coordinates] = include_interaction


@pytest.fixture
def segmenter(monkeypatch, tmp_path):
    monkeypatch.setattr(PixelSession, "made", [])
    install(monkeypatch, "nnInteractive.inference.inference_session", nnInteractiveInferenceSession=PixelSession)
    return nninteractive.open_peer(PeerSetup(device=CPU, weights=model_folder(tmp_path / "model")))


def model_folder(path, **more):
    (path / "fold_0").mkdir(parents=True)
    (path / "plans.json").write_text("{}")
    (path / "dataset.json").write_text("{}")
    (path / "inference_info.json").write_text(json.dumps({"point": True}))
    checkpoint = {"network_weights": {}, "trainer_name": "nnInteractiveTrainer", "init_args": {}} | more
    torch.save(checkpoint, path / "fold_0/checkpoint_final.pth")
    return path


def ask(segmenter, image, clicks, before=None):
    return segmenter.by_clicks(image, clicks, before, cls=None, reference=None)


def test_clicks_are_slice_row_column_and_only_new_ones_are_added(segmenter, capsys):
    image = segmenter.encode(PIXELS)
    first = ask(segmenter, image, [FIRST])
    assert np.argwhere(first.mask).tolist() == [[2, 25]]
    second = ask(segmenter, image, [FIRST, SECOND], first)
    assert np.argwhere(second.mask).tolist() == [[2, 25], [9, 4]]
    third = ask(segmenter, image, [FIRST, SECOND, OTHER], second)
    assert np.argwhere(third.mask).tolist() == [[9, 4]]
    session = PixelSession.made[-1]
    assert session.points == [((0, 2, 25), True), ((0, 9, 4), True), ((0, 2, 25), False)]
    # The answers before are what they were.
    assert np.argwhere(first.mask).tolist() == [[2, 25]]
    assert capsys.readouterr().out == ""


def test_sessions_on_one_image_do_not_mix(segmenter):
    image = segmenter.encode(PIXELS)
    one, other = ask(segmenter, image, [FIRST]), ask(segmenter, image, [SECOND])
    one = ask(segmenter, image, [FIRST, OTHER], one)
    assert all(session.settings["do_autozoom"] for session in PixelSession.made)
    assert not one.mask.any()
    assert np.argwhere(other.mask).tolist() == [[9, 4]]
    loaded, first, second = PixelSession.made
    assert first.artifacts == second.artifacts
    assert first.artifacts["network"] == loaded.network
    assert first.artifacts["capability_content"] == {"point": True}


def test_another_click_after_the_same_answer_starts_over(segmenter):
    image = segmenter.encode(PIXELS)
    first = ask(segmenter, image, [FIRST])
    ask(segmenter, image, [FIRST, SECOND], first)
    again = ask(segmenter, image, [FIRST, OTHER], first)
    assert not again.mask.any()
    assert PixelSession.made[-1].points == [((0, 2, 25), True), ((0, 2, 25), False)]


def test_equal_clicks_draw_equal_numbers_and_nobody_else_is_disturbed(segmenter):
    image = segmenter.encode(PIXELS)
    before = np.random.get_state()[1].tolist()  # noqa: NPY002
    ask(segmenter, image, [FIRST])
    ask(segmenter, image, [FIRST])
    assert np.random.get_state()[1].tolist() == before  # noqa: NPY002
    assert PixelSession.made[-1].draws == PixelSession.made[-2].draws


def test_the_package_normalises(segmenter):
    ask(segmenter, segmenter.encode(PIXELS), [FIRST])
    expected = (PIXELS - PIXELS.mean()) / PIXELS.std()
    assert PixelSession.made[-1].preprocessed_image[0, 0].numpy() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("value", [0, 90])
def test_a_blank_slice_is_0_as_for_other_systems(segmenter, value):
    image = segmenter.encode(np.full_like(PIXELS, value))
    assert np.argwhere(ask(segmenter, image, [FIRST]).mask).tolist() == [[2, 25]]
    seen = PixelSession.made[-1].preprocessed_image
    assert seen.shape == (1, 1, *PIXELS.shape)
    assert seen.abs().max() == 0


@pytest.mark.parametrize("box", [np.s_[3:8, 4:9], np.s_[5, 5]])
def test_a_slice_with_one_grey_box_is_normalised_over_all_of_it(segmenter, box):
    pixels = np.zeros_like(PIXELS)
    pixels[box] = 90
    ask(segmenter, segmenter.encode(pixels), [FIRST])
    seen = PixelSession.made[-1].preprocessed_image
    assert seen.mean().item() == pytest.approx(0, abs=1e-5)
    assert seen.std().item() == pytest.approx(1)
    assert seen[0, 0][box].min() > seen[0, 0, 0, 0]


@pytest.fixture
def without_package(monkeypatch):
    """As where nothing of nnInteractive is installed; whatever the test imports of it is forgotten afterwards."""

    def forget():
        return {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == "nnInteractive"}

    before = forget()
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "site-packages" not in path])
    yield
    forget()
    sys.modules.update(before)


@pytest.mark.usefixtures("without_package")
@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        ((), ["nnInteractive"]),
        (("remote/__init__.py",), ["nnInteractive"]),  # nninteractive-client, which has no session of its own
        (("remote/__init__.py", "inference_session.py"), []),
    ],
)
def test_the_client_alone_is_not_the_package(monkeypatch, tmp_path, modules, absent):
    (tmp_path / "nnInteractive/inference/remote").mkdir(parents=True)
    for module in modules:
        (tmp_path / "nnInteractive/inference" / module).touch()
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path if modules else tmp_path / "nothing")])
    assert missing.missing_packages(nninteractive.ABOUT) == absent


def test_a_checkpoint_with_code_never_reaches_the_package(segmenter, tmp_path):
    made = len(PixelSession.made)
    folder = model_folder(tmp_path / "evil", extra=pytest.fail)
    with pytest.raises(InvalidWeights, match="would run code"):
        nninteractive.open_peer(PeerSetup(device=CPU, weights=folder))
    assert len(PixelSession.made) == made


@pytest.mark.usefixtures("segmenter")
def test_random_weights_have_the_image_the_mask_and_six_interactions_as_channels(monkeypatch):
    def network(name, arguments, imports, inputs, outputs, *, deep_supervision):
        assert (inputs, outputs) == (8, 2)
        assert arguments["conv_op"].endswith("Conv3d")
        return nn.Linear(1, 1)

    install(monkeypatch, "nnunetv2.utilities.get_network_from_plans", get_network_from_plans=network)
    segmenter = nninteractive.open_peer(PeerSetup(device=CPU, random=True))
    assert not PixelSession.made[-1].settings["do_autozoom"]
    assert "does not zoom out" in segmenter.remarks[0]
    assert np.argwhere(ask(segmenter, segmenter.encode(PIXELS), [FIRST]).mask).tolist() == [[2, 25]]
