"""The class names that datasets share: from the label texts of each set to the names the product shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from KPrismLib.dataset.folder import DatasetFolder
from KPrismLib.terminology import shared_name


@dataclass(frozen=True)
class _Compound:
    """A class of the paper that a set stores in pieces.

    Attributes:
        name: The class.
        union: Label texts whose union it is.
        replaces: Label texts that are no classes of their own.
    """

    name: str
    union: frozenset[str]
    replaces: frozenset[str]


_COMPOUNDS: Sequence[_Compound] = (
    # The cup lies within the disc; label maps can only store the rim that is left of it.
    _Compound("optic disc", frozenset({"optic disc (rim)", "optic cup"}), frozenset({"optic disc (rim)"})),
    # Table 6 counts one class for BraTS, and A.6 calls oedema taken for tumour a mistake: the tumour core.
    _Compound(
        "brain tumour",
        frozenset({"necrosis", "non-enhancing tumour", "enhancing tumour"}),
        frozenset({"necrosis", "oedema", "non-enhancing tumour", "enhancing tumour"}),
    ),
)


def classes_from_labels(labels: Mapping[int, str]) -> dict[str, tuple[int, ...]]:
    """Classes that a table of labels stands for; 0 is background whatever its text.

    Labels whose texts lead to one name become one class. A compound (``optic disc``) is made only where all
    its pieces are present.

    Args:
        labels: Mask value to label text.

    Returns:
        Class name to the mask values whose union it is, ascending; in the order of the mask values.
    """
    texts = {value: " ".join(text.lower().split()) for value, text in sorted(labels.items()) if value != 0}
    present = set(texts.values())
    compounds = [compound for compound in _COMPOUNDS if compound.union <= present]
    classes: dict[str, tuple[int, ...]] = {}
    for compound in compounds:
        classes[compound.name] = tuple(value for value, text in texts.items() if text in compound.union)
    replaced = frozenset[str]().union(*(compound.replaces for compound in compounds))
    for value, text in texts.items():
        if text not in replaced:
            name = shared_name(text)
            classes[name] = (*classes.get(name, ()), value)
    return classes


def classes_of(folder: DatasetFolder) -> dict[str, tuple[int, ...]]:
    """Class name to mask values of one dataset: its own ``classes`` key, or else derived from its labels."""
    declared = folder.description.classes
    return dict(declared) if declared is not None else classes_from_labels(folder.labels)


def class_mask(labels: NDArray[np.integer], values: Sequence[int]) -> NDArray[np.bool_]:
    """Where a label map shows a class.

    Args:
        labels: Integers of any shape, usually (H, W).
        values: The mask values of the class.

    Returns:
        bool, same shape.
    """
    mask = np.zeros(labels.shape, dtype=bool)
    for value in values:
        mask |= labels == value
    return mask
