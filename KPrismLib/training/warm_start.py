"""Weights to start from: everything as it is, but the rows of classes that they do not know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from KPrismLib.class_names import class_called
from KPrismLib.errors import InvalidWeights
from KPrismLib.network.kprism import KPrism
from KPrismLib.weights import Weights

_TABLE = "semantic_table.table"


def start_for(network: KPrism, weights: Weights) -> tuple[dict[str, Tensor], list[str]]:
    """The state that ``network`` starts from when it goes on from ``weights``.

    Rows of the semantic table belong to classes by their names: those that the weights know are taken over, in whatever
    order, and those of other classes stay as they are in ``network``. All else must fit exactly.

    Returns:
        Tensors by name, and the classes that the weights do not know.

    Raises:
        InvalidWeights: the weights are of another network or of other settings.
    """
    fresh, given = network.state_dict(), weights.build().state_dict()
    differ = sorted(set(fresh) ^ set(given)) or [name for name in fresh if _shape(name, fresh) != _shape(name, given)]
    if differ:
        raise InvalidWeights(
            f"The weights {weights.source} do not fit the network of this run ({len(differ)} tensors differ, first "
            f"{differ[0]}); `network` and `network_settings` must be those that they were trained with."
        )
    known: Sequence[str] = weights.config.classes
    same = {row: class_called(name, known) for row, name in enumerate(network.config.classes)}
    table = fresh[_TABLE].clone()
    for row, name in same.items():
        if name is not None:
            table[row] = given[_TABLE][known.index(name)]
    return given | {_TABLE: table}, [network.config.classes[row] for row, name in same.items() if name is None]


def _shape(name: str, state: Mapping[str, Tensor]) -> tuple[int, ...]:
    shape = tuple(state[name].shape)
    return shape[1:] if name == _TABLE else shape
