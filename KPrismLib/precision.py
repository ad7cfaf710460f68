"""In which precision a device computes."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from KPrismLib.errors import InvalidConfig
from KPrismLib.network import NetworkConfig
from KPrismLib.network.full_precision import full_precision

CHOICES = ("auto", "float32", "bfloat16")

#: From this many channels on, ``auto`` trades the last digits for speed; below, a click is instant anyway and the
#: same mask on every computer, as far as its device allows, is worth more.
LARGE_DIM = 256


def choose_precision(name: str, device: torch.device, config: NetworkConfig) -> torch.dtype:
    """``float32``, ``bfloat16``, or ``auto``: bfloat16 for large networks on devices that multiply it natively.

    Convolutions and matrix products then take bfloat16 factors, and what lies between them may be rounded to bfloat16
    too; similarities to references (Eq. 14), logits and masks are float32. In ``float32``, NVIDIA GPUs since Ampere
    still round the factors of convolutions to 11 bits (TF32) unless ``torch.backends.cudnn.allow_tf32`` is off, which
    is the program's to say.

    Raises:
        InvalidConfig: no such name, or a PyTorch that cannot have it on this device.
    """
    if name not in CHOICES:
        raise InvalidConfig(f"There is no precision {name!r}; choose one of {', '.join(CHOICES)}.")
    if name == "auto":
        return torch.bfloat16 if config.dim >= LARGE_DIM and multiplies_bfloat16(device) else torch.float32
    if name == "float32":
        return torch.float32
    try:
        multiplying(torch.bfloat16, device)
    except RuntimeError as error:
        kind = device.type.upper()
        raise InvalidConfig(f"This PyTorch has no bfloat16 on {kind}; choose float32, or update PyTorch.") from error
    return torch.bfloat16


def precision_name(dtype: torch.dtype) -> str:
    """``float32`` or ``bfloat16``, as :func:`choose_precision` takes them."""
    return str(dtype).removeprefix("torch.")


def multiplying(dtype: torch.dtype, device: torch.device) -> AbstractContextManager[object]:
    """While it is entered, convolutions and matrix products on ``device`` take factors of ``dtype``."""
    if dtype is not torch.float32:
        return torch.autocast(device.type, dtype)
    return full_precision(device)  # an autocast of the caller must not change the mask


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether the device has bfloat16 multipliers, so that they save time."""
    if device.type == "cuda":
        # PyTorch's own is_bf16_supported counts what older GPUs only emulate, and speaks of the current one.
        return torch.version.hip is not None or torch.cuda.get_device_capability(device)[0] >= 8
    if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities"):
        found = torch.cpu.get_capabilities()
        return bool(found.get("avx512_bf16") or found.get("amx_bf16"))
    return False
