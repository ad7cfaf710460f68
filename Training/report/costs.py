"""What experts cost: exact parameter counts, and frames per second on whatever device there is (Table 8)."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from KPrismLib.benchmark import measure
from KPrismLib.errors import InvalidDataset
from KPrismLib.imaging.atomic_file import write_atomically
from KPrismLib.network import KPrism, NetworkConfig
from KPrismLib.network.parameters import compare_with_paper, total
from KPrismLib.predictor import Predictor

#: Ablation run to the row of :func:`~KPrismLib.network.parameters.compare_with_paper`.
PARAMETER_ROWS: Mapping[str, str] = MappingProxyType(
    {
        "full": "5 experts",
        "experts-4": "4 experts",
        "experts-3": "3 experts",
        "experts-2": "2 experts",
        "no-moe-attention": "without MoE attention",
        "no-moe-ffn": "without MoE FFN",
        "no-moe": "without both",
    }
)
_SEED = 0
_MEASURED = ("encode_ms", "semantic_ms", "click_ms", "semantic_gflop")


@cache
def exact_parameters() -> Mapping[str, int]:
    """Parameters of ``base`` and its changes, counted."""
    return {str(row["row"]): int(row["ours"]) for row in compare_with_paper()["ablations"]}


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How fast a network with some number of experts is.

    Attributes:
        experts: How many; 1 is the plain decoder, without gates.
        parameters: Of the whole network.
        encode_ms, semantic_ms, click_ms: Medians over the rounds, see :func:`KPrismLib.benchmark.measure`.
        semantic_gflop: Of the decoder in the semantic mode.
    """

    experts: int
    parameters: int
    encode_ms: float
    semantic_ms: float
    click_ms: float
    semantic_gflop: float

    @property
    def fps(self) -> float:
        """Frames per second: an image encoded and segmented by class."""
        return 1000 / (self.encode_ms + self.semantic_ms)

    @property
    def clicks_per_second(self) -> float:
        """Clicks on an encoded image."""
        return 1000 / self.click_ms


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """One run of the measurement.

    Attributes:
        network: ``base`` or ``small``.
        size: Side of the square image in pixels.
        device: What it ran on.
        precision: Of the computation.
        threads: Of the processor.
        speeds: By number of experts, most first.
    """

    network: str
    size: int
    device: str
    precision: str
    threads: int
    speeds: tuple[Speed, ...]

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        write_atomically(path, (json.dumps(asdict(self), indent=1) + "\n").encode())

    @classmethod
    def load(cls, path: Path) -> Throughput | None:
        """Read it; ``None`` where there is no file.

        Raises:
            InvalidDataset: The file is damaged.
        """
        if not path.is_file():
            return None
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return cls(**values | {"speeds": tuple(Speed(**speed) for speed in values["speeds"])})
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise InvalidDataset(f"{path} is damaged ({error}); delete it and measure again.") from error


def with_experts(config: NetworkConfig, experts: int) -> NetworkConfig:
    """The network with another number of experts; one is the plain decoder of Table 8."""
    if experts == 1:
        return config.replace(moe_attention=False, moe_ffn=False)
    return config.replace(num_experts=experts)


def measure_throughput(
    network: str, config: NetworkConfig, *, experts: tuple[int, ...], device: str, precision: str, repeats: int
) -> Throughput:
    """Time networks with random weights, which are as fast as trained ones.

    Raises:
        DeviceUnavailable: There is no such device.
    """
    predictors = {}
    for count in sorted(experts, reverse=True):
        torch.manual_seed(_SEED)
        chosen = KPrism(with_experts(config, count))
        predictors[count] = Predictor(chosen, device=device, precision=precision, name=network)
    # Round after round, so that other work on the machine slows all of them down alike.
    rounds = [{count: measure(each, repeats=1) for count, each in predictors.items()} for _ in range(repeats)]
    any_predictor = next(iter(predictors.values()))
    return Throughput(
        network=network,
        size=config.image_size,
        device=_described(any_predictor.device),
        precision=any_predictor.precision,
        threads=torch.get_num_threads(),
        speeds=tuple(
            Speed(
                experts=count,
                parameters=total(each.config),
                **{name: statistics.median(found[count][name] for found in rounds) for name in _MEASURED},
            )
            for count, each in predictors.items()
        ),
    )


def _described(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({platform.machine()}, {os.cpu_count()} cores)"
