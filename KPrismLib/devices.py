"""Choosing a device, and saying clearly when it is missing or full."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from KPrismLib.errors import DeviceUnavailable, InvalidConfig, OutOfMemory

CHOICES = ("auto", "cpu", "cuda", "mps")

#: On MPS, PyTorch 2.5 and 2.6 abort the process in attention over experts, and those before cannot learn there.
_MPS_SINCE = (2, 7)

_FULL = ("out of memory", "not enough memory", "can't allocate", "status_alloc_failed")


def choose_device(name: str | torch.device) -> torch.device:
    """``auto`` (CUDA, else MPS, else CPU), ``cpu``, ``cuda``, ``cuda:N`` or ``mps``, or a device.

    Raises:
        DeviceUnavailable: the device does not exist here, or this PyTorch cannot use it.
        InvalidConfig: no such name.
    """
    if isinstance(name, torch.device):
        if name.type not in ("cuda", "mps"):
            return name
        name = str(name) if name.type == "cuda" else name.type
    match = re.fullmatch(r"(auto|cpu|mps)|cuda(?::(\d+))?", name)
    if match is None:
        raise InvalidConfig(f"There is no device {name!r}; choose one of {', '.join(CHOICES)}, or cuda:1 and so on.")
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() and _is_mps_whole() else "cpu")
    if name.startswith("cuda"):
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(match[2] or 0) >= count:
            raise DeviceUnavailable(f"There is no device {name} (CUDA devices found: {count}); choose the device cpu.")
    if name == "mps" and not torch.backends.mps.is_available():
        raise DeviceUnavailable("There is no MPS device on this computer; choose the device cpu.")
    if name == "mps" and not _is_mps_whole():
        raise DeviceUnavailable(
            f"PyTorch {torch.__version__} cannot run K-Prism on MPS, {'.'.join(map(str, _MPS_SINCE))} and later can; "
            "choose the device cpu."
        )
    return torch.device("cuda", int(match[2])) if match[2] else torch.device(name)


def _is_mps_whole() -> bool:
    return tuple(int(part) for part in torch.__version__.split(".")[:2]) >= _MPS_SINCE


@contextmanager
def memory_guard(device: torch.device) -> Iterator[None]:
    """Turn the many faces of running out of memory into :class:`OutOfMemory`."""
    try:
        yield
    except OutOfMemory:
        raise  # a guard further inside knew more
    except torch.cuda.OutOfMemoryError as error:  # also torch.OutOfMemoryError, a name that PyTorch 2.2 lacks
        raise OutOfMemory(f"The device {device} is out of memory; close other programs or choose cpu.") from error
    except MemoryError as error:
        raise OutOfMemory("The computer is out of memory; close other programs or segment a smaller image.") from error
    except RuntimeError as error:
        # PyTorch's CPU and MPS allocators raise a plain RuntimeError, worded differently on every system, and so do
        # cuBLAS and cuDNN when nothing is left for their workspace.
        if any(words in str(error).lower() for words in _FULL):
            raise OutOfMemory(f"The device {device} is out of memory; close other programs.") from error
        raise


def synchronise(device: torch.device) -> None:
    """Wait for queued work, so that a measured time is the time."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
