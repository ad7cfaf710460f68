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
from KPrismLib.network.parameters import build_on_meta

FORMAT = "kprism-1"
SHIPPED = ("small",)

UNKNOWN_RUNS = "before"
"""Begins what stands for all runs behind weights that do not name them: their ``steps`` are those of the last ones."""


@dataclass(frozen=True)
class Weights:
    """A loaded weights file.

    Attributes:
        config: settings of the network that the tensors fit.
        tensors: name to tensor, as stored (half precision).
        notes: free facts about the training, for ``kprism info``. ``runs`` has the steps of every run that the weights
            come from; a name that begins with :data:`UNKNOWN_RUNS` is that of older weights, which tell less.
        source: the file.
    """

    config: NetworkConfig
    tensors: dict[str, Tensor]
    notes: dict[str, Any]
    source: Path

    def build(self) -> KPrism:
        """The network with these weights, in float32.

        Raises:
            InvalidWeights: a tensor is missing, left over or of another shape, or holds what is no number.
        """
        # Shapes first: settings that a damaged file exaggerates cost no memory, and nothing is drawn to be overwritten.
        try:
            network = build_on_meta(self.config)
        except (RuntimeError, TypeError, OverflowError) as error:  # the last two: numbers beyond what PyTorch counts
            raise InvalidWeights(f"{self.source} describes no possible network ({error}); get it again.") from error
        expected = network.state_dict()
        wrong = sorted(set(expected) ^ set(self.tensors)) or [
            name
            for name, tensor in self.tensors.items()
            if tensor.shape != expected[name].shape or not tensor.is_floating_point()
        ]
        if wrong:
            raise InvalidWeights(
                f"{self.source} does not fit this version of the network ({len(wrong)} tensors differ, first "
                f"{wrong[0]}); get the weights that belong to this release."
            )
        values = {name: tensor.to(torch.float32, copy=True) for name, tensor in self.tensors.items()}
        broken = _not_finite(values)
        if broken is not None:
            raise InvalidWeights(f"{self.source} is damaged: {broken} holds NaN or infinite values; get it again.")
        network.load_state_dict(values, assign=True)
        return network


def shipped_path(name: str) -> Path:
    """Where the package keeps the weights of a named network."""
    return Path(__file__).parent / "weights" / f"{name}.safetensors"


def find_weights(model: str | Path) -> Path:
    """The file that a model name or path stands for.

    Raises:
        InvalidWeights: a named network without shipped weights, a file that does not exist, or an empty name.
    """
    if model == "":
        raise InvalidWeights(f"The name of the model is empty; give {' or '.join(SHIPPED)}, or a .safetensors file.")
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
    """Write weights in half precision, atomically; equal weights and facts give equal bytes.

    Args:
        path: of the file.
        network: the state of a :class:`KPrism`: name to tensor, of any float type, on any device.
        config: settings of that network.
        notes: facts to keep in the file, as JSON takes them.

    Raises:
        CannotWrite: full disk or read-only folder; nothing is left behind.
        InvalidWeights: numbers that half precision has no place for.
    """
    tensors = {name: tensor.detach().to("cpu", torch.float16).contiguous() for name, tensor in network.items()}
    broken = _not_finite(tensors)
    if broken is not None:
        raise InvalidWeights(
            f"Cannot write {path.name}: {broken} holds NaN, or numbers beyond the 65504 of half precision; take the "
            "weights of an earlier step."
        )
    metadata = {"format": FORMAT, "config": json.dumps(config.to_dict()), "notes": json.dumps(dict(notes))}
    write_atomically(path, _in_order(save(tensors, metadata)))


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
        if _is_archive(path):
            raise InvalidWeights(
                f"{path} is no weights file, but a checkpoint of a training, or another file of PyTorch; "
                "`kprism export` makes weights of a checkpoint."
            ) from error
        raise InvalidWeights(f"{path} is damaged or not a weights file ({error}); get it again.") from error
    if metadata.get("format") != FORMAT:
        raise InvalidWeights(f"{path} holds weights of something else; choose a K-Prism weights file.")
    try:
        config = NetworkConfig.from_dict(json.loads(metadata["config"]))
        return Weights(config, tensors, dict(json.loads(metadata["notes"])), path)
    except (KeyError, AttributeError, ValueError, TypeError, RecursionError) as error:
        raise InvalidWeights(f"{path} describes no network of this version ({error}); get it again.") from error


def _not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor that holds NaN or infinity."""
    return next((name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())), None)


def _in_order(file: bytes) -> bytes:
    """The same safetensors file with a sorted header; the library writes metadata in an order that changes by chance.

    A file is the length of its header (8 bytes, little-endian), the header (JSON), and the numbers.
    """
    end = 8 + int.from_bytes(file[:8], "little")
    header = json.dumps(json.loads(file[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)  # the numbers begin at a multiple of eight
    return len(header).to_bytes(8, "little") + header + file[end:]


def _is_archive(path: Path) -> bool:
    """Whether a file begins as those do that PyTorch saves; nothing of it is unpacked."""
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"PK\x03\x04"
    except OSError:
        return False


def tells_all_steps(notes: Mapping[str, Any]) -> bool:
    """Whether the ``steps`` in the notes of weights count every run that the weights come from."""
    runs = notes.get("runs")
    return isinstance(runs, dict) and not any(str(name).startswith(UNKNOWN_RUNS) for name in runs)
