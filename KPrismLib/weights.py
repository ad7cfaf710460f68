"""Weights files: safetensors with the network's settings inside, never pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from KPrismLib.errors import InvalidWeights
from KPrismLib.imaging.atomic_file import write_atomically
from KPrismLib.network import KPrism, NetworkConfig

FORMAT = "kprism-1"
SHIPPED = ("small",)


@dataclass(frozen=True)
class Weights:
    """A loaded weights file.

    Attributes:
        config: settings of the network that the tensors fit.
        tensors: name to tensor, as stored (half precision).
        notes: free facts about the training, for ``kprism info``.
        source: the file.
    """

    config: NetworkConfig
    tensors: dict[str, Tensor]
    notes: dict[str, Any]
    source: Path

    def build(self) -> KPrism:
        """The network with these weights, in float32.

        Raises:
            InvalidWeights: a tensor is missing, left over or of another shape.
        """
        network = KPrism(self.config)
        expected = network.state_dict()
        wrong = sorted(set(expected) ^ set(self.tensors)) or [
            name for name, tensor in self.tensors.items() if tensor.shape != expected[name].shape
        ]
        if wrong:
            raise InvalidWeights(
                f"{self.source} does not fit this version of the network ({len(wrong)} tensors differ, first "
                f"{wrong[0]}); get the weights that belong to this release."
            )
        network.load_state_dict({name: tensor.float() for name, tensor in self.tensors.items()})
        return network


def shipped_path(name: str) -> Path:
    """Where the package keeps the weights of a named network."""
    return Path(__file__).parent / "weights" / f"{name}.safetensors"


def find_weights(model: str | Path) -> Path:
    """The file that a model name or path stands for.

    Raises:
        InvalidWeights: a named network without shipped weights, or a file that does not exist.
    """
    path = shipped_path(str(model)) if str(model).isidentifier() else Path(model)
    if path.is_file():
        return path
    if str(model).isidentifier():
        raise InvalidWeights(
            f"There are no weights for {model!r}; shipped are {', '.join(SHIPPED)}, or give the path of a "
            ".safetensors file."
        )
    raise InvalidWeights(f"There is no weights file {path}.")


def save_weights(path: Path, network: Mapping[str, Tensor], config: NetworkConfig, notes: Mapping[str, Any]) -> None:
    """Write weights in half precision, atomically.

    Raises:
        CannotWrite: full disk or read-only folder; nothing is left behind.
    """
    tensors = {name: tensor.detach().to("cpu", torch.float16).contiguous() for name, tensor in network.items()}
    metadata = {"format": FORMAT, "config": json.dumps(config.to_dict()), "notes": json.dumps(dict(notes))}
    write_atomically(path, save(tensors, metadata))


def load_weights(model: str | Path) -> Weights:
    """Load a named network's shipped weights or a weights file.

    Raises:
        InvalidWeights: missing, damaged, not safetensors, or not K-Prism's.
    """
    path = find_weights(model)
    try:
        with safe_open(str(path), framework="pt") as stored:
            metadata = stored.metadata() or {}
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise InvalidWeights(f"{path} is damaged or not a weights file ({error}); get it again.") from error
    if metadata.get("format") != FORMAT:
        raise InvalidWeights(f"{path} holds weights of something else; choose a K-Prism weights file.")
    try:
        config = NetworkConfig.from_dict(json.loads(metadata["config"]))
        return Weights(config, tensors, json.loads(metadata["notes"]), path)
    except (KeyError, AttributeError, ValueError) as error:
        raise InvalidWeights(f"{path} describes no network of this version ({error}); get it again.") from error
