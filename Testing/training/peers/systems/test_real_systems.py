"""The real packages and repositories with small random networks, as far as they are here.

Packages are those of the extras ``peers-...``; local copies of repositories are found in the folders that the
environment variable KPRISM_PEER_PATHS lists. What is not here is skipped, with the sentence that a person would read.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from KPrismLib.errors import InvalidConfig
from KPrismLib.prompts import Click
from Training.peers import missing, registry
from Training.peers.predictor import PeerPredictor
from Training.peers.setup import PeerSetup

pytestmark = pytest.mark.slow

#: What the environment variable lists, each a copy of one repository.
COPIES = tuple(Path(path) for path in os.environ.get("KPRISM_PEER_PATHS", "").split(os.pathsep) if path)
#: Networks of one's own size where the adapter lets one choose; all others are small already.
SMALL = {"unetr": {"image_size": 64}, "hermes": {"image_size": 64}}
CLASSES = ("liver", "spleen")
NAMES = [name for name in registry.names() if not registry.system(name).ABOUT.is_port]


@pytest.fixture
def predictor(request, monkeypatch):
    """A system with random weights, or a skip."""
    name = request.param
    monkeypatch.setattr(sys, "path", list(sys.path))
    system = registry.system(name)
    setup = PeerSetup(
        device=torch.device("cpu"),
        checkouts=COPIES if system.ABOUT.checkouts else (),
        random=True,
        classes=CLASSES,
        description=SMALL.get(name, {}),
    )
    try:
        missing.require(system.ABOUT, setup.checkouts)
        segmenter = system.open_peer(setup)
    except InvalidConfig as error:
        pytest.skip(str(error))
    return system.ABOUT, PeerPredictor(segmenter, setup.device)


@pytest.mark.parametrize("predictor", NAMES, indirect=True)
def test_every_mode_gives_the_same_mask_of_the_images_size_twice(predictor, rng, capsys):
    about, peer = predictor
    pixels = rng.integers(0, 256, (40, 52), dtype=np.uint8)
    pixels[10:30, 8:30] = 255
    example = pixels == 255
    for mode in about.modes:
        masks = []
        for _ in range(2):
            image = peer.encode(pixels)
            guidance = {}
            if mode.uses_class:
                guidance["cls"] = "spleen"
            if mode.uses_references:
                guidance["reference"] = peer.reference([(pixels, example)])
            if not mode.uses_clicks:
                masks.append(peer.segment(image, **guidance).mask)
                continue
            session = peer.session(image, **guidance)
            session.click(20, 15)
            session.click(2, 50, positive=False)
            masks.append(session.mask)
        assert masks[0].shape == pixels.shape
        assert masks[0].dtype == np.bool_
        assert np.array_equal(masks[0], masks[1]), mode
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("predictor", NAMES, indirect=True)
@pytest.mark.parametrize("value", [0, 90])
def test_a_blank_slice_gets_a_mask(predictor, value):
    about, peer = predictor
    pixels = np.full((40, 52), value, dtype=np.uint8)
    image, mode = peer.encode(pixels), about.modes[0]
    if mode.uses_class:
        mask = peer.segment(image, cls="spleen").mask
    elif mode.uses_references:
        mask = peer.segment(image, reference=peer.reference([(pixels, pixels == 0)])).mask
    else:
        mask = peer.session(image).click(20, 15)
    assert mask.shape == pixels.shape


@pytest.mark.parametrize("name", ["medsam", "sam2"])
def test_a_saved_model_folder_gives_the_masks_of_what_was_saved(name, rng, tmp_path):
    pytest.importorskip("transformers")
    system, device = registry.system(name), torch.device("cpu")
    random = system.open_peer(PeerSetup(device=device, random=True))
    random._model.save_pretrained(tmp_path)
    loaded = system.open_peer(PeerSetup(device=device, weights=tmp_path))
    pixels = rng.integers(0, 256, (40, 52), dtype=np.uint8)
    logits = []
    with torch.no_grad():
        for segmenter in (random, loaded):
            image = segmenter.encode(pixels)
            logits.append(segmenter.by_clicks(image, [Click(20, 15, True)], None, cls=None, reference=None).memory)
    torch.testing.assert_close(*logits, rtol=0, atol=1e-6)  # the last digits go by where weights lie in memory


@pytest.mark.parametrize("name", ["medsam", "sam2"])
def test_a_model_folder_in_half_precision_computes_in_single(name, rng, tmp_path):
    pytest.importorskip("transformers")
    system, device = registry.system(name), torch.device("cpu")
    system.open_peer(PeerSetup(device=device, random=True))._model.half().save_pretrained(tmp_path)
    loaded = system.open_peer(PeerSetup(device=device, weights=tmp_path))
    assert {weight.dtype for weight in loaded._model.parameters()} == {torch.float32}
    peer = PeerPredictor(loaded, device)
    session = peer.session(peer.encode(rng.integers(0, 256, (40, 52), dtype=np.uint8)))
    assert session.click(20, 15).shape == (40, 52)


@pytest.mark.parametrize("name", [name for name in NAMES if registry.system(name).ABOUT.checkouts] + ["unetr"])
def test_a_state_dict_fits_the_network_that_it_came_from(name, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    system = registry.system(name)
    device, checkouts = torch.device("cpu"), COPIES if system.ABOUT.checkouts else ()
    small = getattr(sys.modules[system.__name__], "_SMALL", {})
    description = SMALL.get(name, {}) | {"classes": list(CLASSES), "network": small}
    try:
        missing.require(system.ABOUT, checkouts)
        random = system.open_peer(
            PeerSetup(device=device, checkouts=checkouts, random=True, classes=CLASSES, description=description)
        )
    except InvalidConfig as error:
        pytest.skip(str(error))
    random._network.requires_grad_(False)
    for weight in random._network.parameters():
        weight.add_(0.25)
    torch.save({"state_dict": random._network.state_dict()}, tmp_path / "net.pt")
    loaded = system.open_peer(
        PeerSetup(device=device, checkouts=checkouts, weights=tmp_path / "net.pt", description=description)
    )
    assert loaded._network.state_dict().keys() == random._network.state_dict().keys()
    for key, tensor in loaded._network.state_dict().items():
        assert torch.equal(tensor, random._network.state_dict()[key]), key
