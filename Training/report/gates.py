"""Figure 4: how the gates of the mixture share the work among the experts, by mode."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from KPrismLib.dataset import DatasetFolder
from KPrismLib.errors import InvalidConfig, InvalidDataset
from KPrismLib.evaluation import evaluate
from KPrismLib.evaluation.evaluate import Progress
from KPrismLib.evaluation.settings import Mode
from KPrismLib.network.moe import Gate
from KPrismLib.predictor import Predictor
from Training.report.needs import Protocol
from Training.report.selection import SPLIT

#: Where in a layer a gate is: part of its name, and what it weighs.
PLACES: Mapping[str, str] = MappingProxyType(
    {"read": "queries read pixels", "write": "pixels read queries", "ffn": "FFN of the queries"}
)
_COLUMNS = ("dataset", "mode", "gate", "expert", "weight", "tokens")


@dataclass
class GateRecord:
    """What every gate gave every expert, summed over the tokens that passed it.

    Attributes:
        sums: Gate to float64, shape (M,).
        tokens: Gate to number of tokens.
    """

    sums: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)

    def add(self, gate: str, weights: Tensor) -> None:
        """Count one pass; ``weights`` (B, n, M) add up to 1 over the experts."""
        rows = weights.detach().flatten(0, -2).cpu().double().numpy()  # on the CPU: MPS has no float64
        self.sums[gate] = self.sums.get(gate, np.zeros(rows.shape[1])) + rows.sum(axis=0)
        self.tokens[gate] = self.tokens.get(gate, 0) + len(rows)


@contextmanager
def recorded_gates(network: nn.Module) -> Iterator[GateRecord]:
    """Watch all gates of a network while the block runs; the network computes what it always does.

    Queries that only fill up the smaller of the positive and negative clicks pass the gates too, and are counted.
    """

    def watch(gate: str, _module: nn.Module, _inputs: object, output: Tensor) -> None:
        record.add(gate, output)

    record = GateRecord()
    hooks = [
        module.register_forward_hook(partial(watch, name))
        for name, module in network.named_modules()
        if isinstance(module, Gate)
    ]
    try:
        yield record
    finally:
        for hook in hooks:
            hook.remove()


@dataclass(frozen=True)
class GateWeight:
    """The mean weight of one expert at one gate in one mode.

    Attributes:
        dataset: The images.
        mode: The mode.
        gate: Name of the module: ``decoder.layers.N`` and ``read`` (queries read pixels), ``write`` (pixels read
            queries) or ``ffn``.
        expert: Its number, from 1.
        weight: Mean over tokens, 0 to 1.
        tokens: How many.
    """

    dataset: str
    mode: Mode
    gate: str
    expert: int
    weight: float
    tokens: int


def measure_gates(
    predictor: Predictor, folder: DatasetFolder, protocol: Protocol, *, progress: Progress | None = None
) -> list[GateWeight]:
    """Evaluate a set in each mode and record the gates.

    Raises:
        InvalidConfig: The network has no gates.
    """
    found = []
    for mode in protocol.modes:
        with recorded_gates(predictor.network) as record:
            evaluate(
                predictor,
                [folder],
                split=SPLIT,
                modes=[mode],
                limit=protocol.limit,
                clicks=protocol.clicks,
                seed=protocol.seed,
                absent_classes=False,
                progress=progress,
                # Passes in common fill up the queries of the shorter ones, which must not be counted.
                batch=1,
            )
        for gate, sums in record.sums.items():
            tokens = record.tokens[gate]
            found += [
                GateWeight(folder.name, mode, gate, expert + 1, float(total) / tokens, tokens)
                for expert, total in enumerate(sums)
            ]
    if not found:
        raise InvalidConfig("The network has no gates to read: it was built without a mixture of experts.")
    return found


def mean_weights(weights: Sequence[GateWeight], mode: Mode, place: str = "") -> NDArray[np.float64]:
    """Mean weight of each expert over gates, which count the same whatever number of tokens they see; (M,).

    Args:
        weights: Of all gates.
        mode: The mode.
        place: Only the gates of this place, one of :data:`PLACES`.
    """
    of_mode = [each for each in weights if each.mode is mode and (not place or f".{place}." in each.gate)]
    experts = sorted({each.expert for each in of_mode})
    return np.array([np.mean([each.weight for each in of_mode if each.expert == expert]) for expert in experts])


def gates_csv(weights: Sequence[GateWeight]) -> str:
    """A table with one line per gate, mode and expert."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for each in weights:
        writer.writerow([each.dataset, each.mode.value, each.gate, each.expert, f"{each.weight:.6f}", each.tokens])
    return text.getvalue()


def load_gates(path: Path) -> list[GateWeight]:
    """Read what :func:`gates_csv` gave; empty where there is no file.

    Raises:
        InvalidDataset: The file is damaged.
    """
    if not path.is_file():
        return []
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            return [
                GateWeight(
                    line["dataset"],
                    Mode(line["mode"]),
                    line["gate"],
                    int(line["expert"]),
                    float(line["weight"]),
                    int(line["tokens"]),
                )
                for line in csv.DictReader(stream)
            ]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InvalidDataset(f"{path} is damaged ({error}); delete it and measure again.") from error
