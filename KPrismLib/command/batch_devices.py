"""How many processes a batch has on this computer, and on which device each of them works."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from KPrismLib.batch.shard import is_under_torchrun
from KPrismLib.command.console import say
from KPrismLib.devices import choose_device
from KPrismLib.errors import InvalidConfig


def number_of_workers(wanted: int | None, device: str, environment: Mapping[str, str]) -> int:
    """As many as wanted on a processor, else one; on GPUs one each at most.

    Raises:
        InvalidConfig: less than one.
    """
    if wanted is not None and wanted < 1:
        raise InvalidConfig(f"--workers must be at least 1, not {wanted}.")
    kind = choose_device(device).type
    if kind == "cpu":
        return wanted or 1
    usable = 1 if is_under_torchrun(environment) or not _any_gpu(device, kind) else torch.cuda.device_count()
    if wanted is not None and wanted > usable:
        say(f"Taking --workers {usable}: one for each {kind.upper()} device.")
    return min(wanted or usable, usable)


def devices_for(device: str, workers: int, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The device of each process, taken in turn.

    Args:
        device: as :func:`~KPrismLib.devices.choose_device` gives it: ``cuda`` stands for any of them.
    """
    if device != "cuda":
        return (device,)
    count = torch.cuda.device_count()
    first = int(environment["LOCAL_RANK"]) if is_under_torchrun(environment) else 0
    return tuple(f"cuda:{(first + number) % count}" for number in range(workers))


def _any_gpu(device: str, kind: str) -> bool:
    return kind == "cuda" and device in ("auto", "cuda")
