"""nnU-Net (Isensee et al., 2021), its own package, in the configuration "2d"."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from KPrismLib.errors import InvalidWeights
from KPrismLib.evaluation import Mode
from Training.peers.about import About
from Training.peers.label_maps import LabelMapSegmenter
from Training.peers.model_folder import CHECKPOINT, checked_folds, random_folder, read_json, silent, to_errors
from Training.peers.pixels import channels
from Training.peers.segmenter import Pixels
from Training.peers.setup import PeerSetup

ABOUT = About(
    name="nnunet",
    title="nnU-Net",
    modes=(Mode.SEMANTIC,),
    source="package nnunetv2 (nnUNetPredictor)",
    packages={"nnunetv2": "nnunetv2>=2.8"},
    extra="peers-nnunet",
    licence="code Apache-2.0; weights are those that you trained",
    weights="the model folder that nnUNetv2_train made for configuration 2d on the slices of a dataset folder "
    "(nnUNetTrainer__nnUNetPlans__2d: plans.json, dataset.json, fold_N/checkpoint_final.pth)",
    citation="Isensee et al. nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation. "
    "Nature Methods 18, 2021.",
    input="Slices as nnU-Net reads pictures (NaturalImage2DIO): float32, channels first, values 0..255; normalisation, "
    "resampling, sliding window and folds are nnU-Net's own, by its plans.",
    notes="As nnU-Net predicts unless told otherwise: mirrored along the axes that training allowed, and the mean of "
    "all folds in the folder. Those are several passes where other systems get one; nnU-Net advises against leaving "
    "mirroring out, and a folder with one fold gives one network's answer.",
)

#: How NaturalImage2DIO describes a picture: one slice, square pixels.
_PROPERTIES = {"spacing": (999, 1, 1)}


class NnUnet(LabelMapSegmenter):
    """One model folder; classes are the labels of its dataset.json."""

    def __init__(self, folder: Path, setup: PeerSetup) -> None:
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

        self.name = ABOUT.title
        dataset = read_json(folder / "dataset.json")
        self.classes = _classes(dataset, folder)
        self._numbers = np.array([0, *(dataset["labels"][name] for name in self.classes)])
        self._channels = len(dataset["channel_names"])
        folds = [fold.name.removeprefix("fold_") for fold in checked_folds(folder)]
        with to_errors():
            self._predictor = nnUNetPredictor(
                use_mirroring=True,
                device=setup.device,
                perform_everything_on_device=setup.device.type == "cuda",
                allow_tqdm=False,
            )
            self._predictor.initialize_from_trained_model_folder(str(folder), folds, CHECKPOINT)
        if len(self._predictor.configuration_manager.patch_size) != 2:
            raise InvalidWeights(f"{folder} was trained in 3-D; slices need the configuration 2d.")

    def label_map(self, pixels: Pixels) -> NDArray[np.integer]:
        """uint8 (rows, columns[, 3]) -> (rows, columns)."""
        image = channels(pixels, self._channels)[0][:, None].numpy()  # (channels, 1, rows, columns)
        with silent():
            labels = self._predictor.predict_single_npy_array(image, dict(_PROPERTIES))
        # Label values may have gaps; places in `classes` have none.
        found: NDArray[np.integer] = (np.asarray(labels[0])[..., None] == self._numbers).argmax(axis=-1)
        return found


def _classes(dataset: dict[str, object], folder: Path) -> tuple[str, ...]:
    labels = dataset.get("labels")
    if not isinstance(labels, dict) or not all(isinstance(value, int) for value in labels.values()):
        raise InvalidWeights(
            f"{folder / 'dataset.json'} does not give each class one number; regions are not supported."
        )
    return tuple(name for name, value in labels.items() if value != 0 and name != "ignore")


def open_peer(setup: PeerSetup) -> NnUnet:
    """nnU-Net with the model folder of ``setup``."""
    if setup.weights is not None:
        return NnUnet(setup.weights, setup)
    with TemporaryDirectory() as place:
        folder = random_folder(
            Path(place) / "model",
            patch_size=(128, 128),
            input_channels=1,
            classes=setup.classes,
            trainer="nnUNetTrainer",
        )
        return NnUnet(folder, setup)
