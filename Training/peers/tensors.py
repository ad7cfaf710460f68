"""Reading other people's weights without running what is stored in them."""

from __future__ import annotations

import contextlib
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from KPrismLib.errors import InvalidWeights

#: Where training scripts put the weights within a checkpoint; first the moving average, by which Hermes is evaluated.
_PLACES = ("ema_model_state_dict", "model", "state_dict", "model_state_dict", "network_weights", "net")


def read_checkpoint(path: Path) -> Any:
    """A checkpoint of tensors and plain values.

    Raises:
        InvalidWeights: damaged, or it holds objects that only running code from the file could rebuild.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with _plain_numpy():
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InvalidWeights(
            f"{path} holds more than tensors and plain values, and reading it would run code from the file; save its "
            "state dict as .safetensors where you trust it."
        ) from error
    except Exception as error:  # of broken bytes an unpickler makes whatever it likes: KeyError, AssertionError, ...
        raise InvalidWeights(f"{path} is damaged or not a weights file; get it again.") from error


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The state dict of a checkpoint, wherever it lies in it, without the prefix of parallel training.

    Raises:
        InvalidWeights: as for :func:`read_checkpoint`, or there is no state dict.
    """
    content = read_checkpoint(path)
    for place in _PLACES:
        if isinstance(content, Mapping) and isinstance(content.get(place), Mapping):
            content = content[place]
            break
    if (
        not isinstance(content, Mapping)
        or not content
        or not all(isinstance(each, Tensor) for each in content.values())
    ):
        raise InvalidWeights(f"{path} holds no state dict; save the network's state_dict() into it.")
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}


def fill(network: nn.Module, path: Path) -> None:
    """Load weights into a network; every tensor must find its place.

    Raises:
        InvalidWeights: a tensor is missing, left over or of another shape, or holds what is no number.
    """
    tensors, expected = read_tensors(path), network.state_dict()
    wrong = sorted(set(expected) ^ set(tensors)) or [
        name for name, tensor in tensors.items() if tensor.shape != expected[name].shape
    ]
    if wrong:
        raise InvalidWeights(
            f"{path} does not fit {type(network).__name__} ({len(wrong)} tensors differ, first {wrong[0]}); check the "
            "version of the weights, and `network` in the JSON beside them."
        )
    check_finite(tensors, path)
    network.load_state_dict(tensors)


def check_finite(tensors: Mapping[str, Any], path: Path) -> None:
    """Refuse weights with which a network would answer nothing, and be measured as if that were its answer.

    Raises:
        InvalidWeights: one of the tensors holds NaN or infinity.
    """
    for name, tensor in tensors.items():
        if isinstance(tensor, Tensor) and not bool(torch.isfinite(tensor).all()):
            raise InvalidWeights(f"{path} is damaged: {name} holds NaN or infinite values; get it again.")


def _plain_numpy() -> contextlib.AbstractContextManager[None]:
    """Numbers of numpy are as plain as Python's; nnU-Net logs them into its checkpoints."""
    if not hasattr(torch.serialization, "safe_globals"):  # before torch 2.5
        return contextlib.nullcontext()
    scalars = [_scalar_of(module) for module in ("numpy.core.multiarray", "numpy._core.multiarray")]
    kinds = [type(np.dtype(kind)) for kind in (np.float32, np.float64, np.int32, np.int64, np.bool_)]
    return torch.serialization.safe_globals([*scalars, np.dtype, *kinds])


def _scalar_of(module: str) -> Callable[..., Any]:
    """What makes numpy's numbers, by where files say it lies: ``core`` with numpy 1, ``_core`` since numpy 2."""
    make: Any = np.float64(0).__reduce__()[0]

    def scalar(*content: Any) -> Any:
        return make(*content)

    # Not a pair of function and name, which safe_globals takes since PyTorch 2.6 only.
    scalar.__module__, scalar.__qualname__ = module, "scalar"
    return scalar
