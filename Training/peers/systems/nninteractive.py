"""nnInteractive (Isensee et al., 2025), its own package; a slice is a volume of one slice."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from KPrismLib.evaluation import Mode
from KPrismLib.prompts import Click
from Training.peers.about import About
from Training.peers.model_folder import CHECKPOINT, checked_folds, random_folder, read_json, silent, to_errors
from Training.peers.pixels import grey, standardised
from Training.peers.segmenter import Answer, Pixels, Segmenter
from Training.peers.setup import RANDOM_SEED, PeerSetup

ABOUT = About(
    name="nninteractive",
    title="nnInteractive",
    modes=(Mode.INTERACTIVE,),
    source="package nninteractive (nnInteractiveInferenceSession)",
    # By the module that runs: nninteractive-client, which has no such module, shares the name above it.
    packages={"nnInteractive.inference.inference_session": "nninteractive>=2.6"},
    extra="peers-nninteractive",
    licence="code Apache-2.0; published weights CC BY-NC-SA 4.0",
    weights="the model folder nnInteractive_v1.0 or later from the authors' page on Hugging Face (MIC-DKFZ/"
    "nnInteractive; nnInteractive/nnInteractive up to version 2.4 of the package), downloaded by you: plans.json, "
    "dataset.json, inference_info.json or inference_session_class.json, fold_0/checkpoint_final.pth",
    citation="Isensee et al. nnInteractive: Redefining 3D promptable segmentation. arXiv:2503.08373, 2025.",
    input="One grey channel, (1, 1, rows, columns); the session normalises it (z-score by the bounding box of the "
    "non-zero pixels; here by the whole slice where that box is constant, which the package cannot divide by). Clicks "
    "as (0, row, column), the axis order of the array.",
    notes="The published network is 3-D and sees a volume of one slice; the paper retrained it on slices. The authors "
    "ask for images as they are, without a window and never converted to 8 bits; like all systems here it sees 8-bit "
    "slices, to which the dataset folder's window is already applied.",
)

_INTERACTION_CHANNELS = 7
_CAPABILITY = "inference_info.json"


#: What sessions over one loaded network share, by the names of the package.
_SHARED = (
    "point_interaction",
    "preferred_scribble_thickness",
    "interaction_decay",
    "pad_mode_data",
    "network",
    "plans_manager",
    "configuration_manager",
    "dataset_json",
    "trainer_name",
    "label_manager",
    "license",
)


@dataclass(eq=False)
class _Live:
    """A session of the package on one image; it changes with every click.

    Attributes:
        session: of the package.
        buffer: uint8 (1, rows, columns), where it leaves its mask.
        done: the clicks that it has seen.
    """

    session: Any
    buffer: NDArray[np.uint8]
    done: tuple[Click, ...] = ()


class NnInteractive(Segmenter):
    """One session of the package for every session of clicks, all over the same network."""

    def __init__(self, folder: Path, setup: PeerSetup) -> None:
        self.name = ABOUT.title
        checked_folds(folder)
        self._device = setup.device
        # Random masks reach every border, for which the package zooms out and refines the whole image in patches.
        self._zooms = not setup.random
        if setup.random:
            self.remarks = ("With random weights the package does not zoom out; with real ones it does.",)
        with to_errors():
            loaded = self._new_session()
            loaded.initialize_from_trained_model_folder(str(folder), checkpoint_name=CHECKPOINT)
        capability = read_json(folder / _CAPABILITY) if (folder / _CAPABILITY).is_file() else {}
        self._shared = {"capability_content": capability} | {name: getattr(loaded, name) for name in _SHARED}

    def encode(self, pixels: Pixels) -> NDArray[np.float32]:
        """uint8 (rows, columns[, 3]) -> float32 (1, 1, rows, columns): one channel, one slice."""
        volume: NDArray[np.float32] = grey(pixels).numpy()
        return volume

    def by_clicks(
        self, image: NDArray[np.float32], clicks: Sequence[Click], before: Answer | None, *, cls: Any, reference: Any
    ) -> Answer:
        """Every click predicts; the package keeps its own mask between them."""
        with silent(), _same_draws():
            live = None if before is None else before.memory
            if live is None or live.done != tuple(clicks[:-1]):
                live = self._begun(image)
            for click in clicks[len(live.done) :]:
                live.session.add_point_interaction(
                    (0, click.row, click.column), include_interaction=click.positive, run_prediction=True
                )
        live.done = tuple(clicks)
        return Answer(live.buffer[0] > 0, memory=live)

    def _begun(self, image: NDArray[np.float32]) -> _Live:
        session = self._new_session()
        session.initialize_from_loaded_artifacts(self._shared)
        if _has_contrast(image):
            session.set_image(image)
        else:
            _set_normalised(session, image)
        buffer = np.zeros(image.shape[1:], dtype=np.uint8)
        session.set_target_buffer(buffer)
        return _Live(session, buffer)

    def _new_session(self) -> Any:
        from nnInteractive.inference.inference_session import nnInteractiveInferenceSession

        return nnInteractiveInferenceSession(
            device=self._device,
            enable_undo=False,
            do_autozoom=self._zooms,
            torch_n_threads=torch.get_num_threads(),
        )


def _has_contrast(image: NDArray[np.float32]) -> bool:
    """Whether the package can normalise (1, 1, rows, columns): by the bounding box of what is not 0."""
    rows, columns = np.nonzero(image[0, 0])
    if not rows.size:
        return False
    box = image[0, 0, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    return bool(box.min() < box.max())


def _set_normalised(session: Any, image: NDArray[np.float32]) -> None:
    """Show a slice without contrast as other systems see it: z-score over all of it, 0 where it is blank."""
    # The package takes in a stand-in of the same size, whose place the slice then takes.
    session.set_image(np.arange(image.size, dtype=np.float32).reshape(image.shape))
    session.preprocess_future.result()
    session.preprocessed_image = standardised(torch.from_numpy(image))


@contextmanager
def _same_draws() -> Iterator[None]:
    """The session places some of its refinement patches by numpy's global generator: equal clicks, equal draws."""
    state = np.random.get_state()  # noqa: NPY002 - it is theirs
    np.random.seed(RANDOM_SEED)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def open_peer(setup: PeerSetup) -> NnInteractive:
    """nnInteractive with the model folder of ``setup``."""
    if setup.weights is not None:
        return NnInteractive(setup.weights, setup)
    with TemporaryDirectory() as place:
        folder = random_folder(
            Path(place) / "model",
            patch_size=(64, 64, 64),  # refinement leaves a margin of 24 voxels on every side
            input_channels=1,
            classes=("object",),
            trainer="nnInteractiveTrainer_stub",
            network_inputs=1 + _INTERACTION_CHANNELS,
        )
        (folder / "inference_session_class.json").write_text(json.dumps({"point_radius": 4}), encoding="utf-8")
        return NnInteractive(folder, setup)
