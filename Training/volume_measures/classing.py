"""A class through the volume: what the pass finds, and what it would find if it took nothing away."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from KPrismLib.class_names import class_called
from KPrismLib.dataset import DatasetFolder, classes_of
from KPrismLib.predictor import Predictor
from KPrismLib.volumes import segment_classes
from KPrismLib.volumes.merging import merge
from Training.volume_measures.cases import WINDOW, Case

Labels = NDArray[np.uint8]


class ClassMeasure:
    """All classes of a dataset in one pass over each volume.

    Args:
        predictor: the model.
        folder: the dataset; its classes that the model knows compete for the voxels.
    """

    def __init__(self, predictor: Predictor, folder: DatasetFolder) -> None:
        self._predictor = predictor
        self._names = [cls for cls in classes_of(folder) if class_called(cls, predictor.classes) is not None]
        self._item: str | None = None
        self._cleared: dict[int, Labels] = {}
        self._everything: dict[int, Labels] = {}

    def measure(self, case: Case) -> dict[str, Any] | None:
        """Volume Dice of a class; None for one that the model does not know.

        ``found``: :func:`~KPrismLib.volumes.segment_classes`. ``every_piece``: the same without taking away what is
        hardly certain or elsewhere. ``found_where_shown``, ``every_piece_where_shown``: over the slices that show the
        class. ``false_slices``, ``every_piece_false_slices``: share of the other slices in which it is found.
        """
        if case.cls not in self._names:
            return None
        if self._item != case.item:
            self._pass(case)
        label = self._names.index(case.cls) + 1
        measured: dict[str, Any] = {}
        for name, prefix, labels in (
            ("found", "", self._cleared),
            ("every_piece", "every_piece_", self._everything),
        ):
            masks = {index: labelled == label for index, labelled in labels.items()}
            shown = {index: mask for index, mask in masks.items() if case.truth[index].any()}
            others = [bool(mask.any()) for index, mask in masks.items() if index not in shown]
            measured[name] = case.dice(masks)
            measured[f"{name}_where_shown"] = case.dice(shown)
            measured[f"{prefix}false_slices"] = float(np.mean(others)) if others else None
        return measured

    def _pass(self, case: Case) -> None:
        self._item, self._cleared, self._everything = case.item, {}, {}
        for piece in segment_classes(self._predictor, case.stack, self._names, window=WINDOW):
            self._cleared[piece.index] = piece.labels
            if piece.probability is not None:
                self._everything[piece.index] = merge(piece.probability)
