"""A tiny network with random weights, tiny images, and a way to run the command line."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from KPrismLib.command.app import main
from KPrismLib.imaging.labels import read_label_volume
from KPrismLib.network import KPrism
from KPrismLib.predictor import Predictor
from KPrismLib.weights import save_weights
from Testing.engine.command.tiny_inputs import blob, save_picture, save_volume, tiny_config


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str

    @property
    def sentence(self) -> str:
        """What standard error says, if it is a single line."""
        lines = self.err.strip().splitlines()
        assert len(lines) == 1, self.err
        return lines[0]


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads only wait for each other in a network this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(path, decided_network(5).state_dict(), tiny_config(), {"training": "none"})
    return path


def decided_network(seed: int) -> KPrism:
    """A network of random weights whose masks are sure and neither empty nor full, so that a wrong one is seen."""
    torch.manual_seed(seed)
    network = KPrism(tiny_config())
    predictor = Predictor(network)
    image = predictor.encode(blob((24, 30), np.random.default_rng(0)))
    middle = float(np.median(predictor.segment(image, cls="liver").probability))
    head = network.final_mask_head.logit
    with torch.no_grad():
        head.bias -= math.log(middle / (1 - middle))
        for parameter in head.parameters():
            parameter *= 30
    return network


@pytest.fixture
def kprism(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    def run(*arguments: object) -> Outcome:
        capfd.readouterr()
        status = main([str(argument) for argument in arguments])
        return Outcome(status, *capfd.readouterr())

    return run


@pytest.fixture
def picture(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A PNG of 40 rows and 50 columns."""
    return save_picture(tmp_path / "picture.png", blob((40, 50), rng))


@pytest.fixture
def picture_mask(tmp_path: Path) -> Path:
    mask = np.zeros((40, 50), np.uint8)
    mask[10:20, 12:30] = 255
    return save_picture(tmp_path / "mask.png", mask)


@pytest.fixture
def volume(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A NIfTI of 5 slices, 30 rows and 20 columns; the first slice is empty."""
    voxels = np.stack([blob((30, 20), rng).astype(np.int16) * 7 for _ in range(5)])
    voxels[0] = 0
    return save_volume(tmp_path / "volume.nii.gz", voxels)


@pytest.fixture
def volume_mask(tmp_path: Path) -> Path:
    """Label 1 is largest in slice 3; label 2 is one voxel in slice 1."""
    labels = np.zeros((5, 30, 20), np.uint8)
    labels[2, 5:8, 5:8] = 1
    labels[3, 4:14, 4:14] = 1
    labels[1, 20, 10] = 2
    return save_volume(tmp_path / "labels.nii.gz", labels)


@pytest.fixture
def images(tmp_path: Path, rng: np.random.Generator) -> Path:
    """``a.png``, ``sub/b.nii.gz`` of three slices and ``broken.png``."""
    folder = tmp_path / "images"
    (folder / "sub").mkdir(parents=True)
    save_picture(folder / "a.png", blob((24, 30), rng))
    save_volume(folder / "sub" / "b.nii.gz", np.stack([blob((24, 20), rng) for _ in range(3)]))
    (folder / "broken.png").write_bytes(b"no picture")
    return folder


@pytest.fixture
def good(images: Path) -> Path:
    (images / "broken.png").unlink()
    return images


@pytest.fixture
def batch(kprism, weights, tmp_path) -> Callable[..., Outcome]:
    """Runs a batch into ``results`` by the class liver."""

    def run(*arguments: object, output: Path = tmp_path / "results") -> Outcome:
        return kprism("segment", *arguments, "-o", output, "--class", "liver", "--model", weights)

    return run


@pytest.fixture
def propagate(kprism, volume, weights, tmp_path):
    """Runs the command on ``volume`` and gives (outcome, JSON or None, label array or None)."""

    def run(*arguments: object, output: str = "out.nii.gz"):
        target = tmp_path / output
        result = kprism("segment", volume, "-o", target, "--propagate", *arguments, "--model", weights)
        facts = json.loads(result.out) if result.out.startswith("{") else None
        return result, facts, read_label_volume(target).array if target.exists() else None

    return run
