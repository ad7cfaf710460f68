"""How fast the predictor is on this computer, how much it computes, and how much memory that takes.

Times are medians over repetitions after a warm-up, of what a user waits for: pixels in, mask out.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from KPrismLib.encoded_image import EncodedImage, ReferenceSet
from KPrismLib.predictor import Predictor
from KPrismLib.session import Session

SEED = 0


def measure(predictor: Predictor, *, repeats: int = 5) -> dict[str, Any]:
    """Times in milliseconds and GFLOP (two per multiply-add) of one square image of the network's own size.

    A click is the third of a session: the prompt encoder, the decoder and the mask, on cached image features.

    Args:
        predictor: with any weights; what they say does not matter.
        repeats: measurements per median, after one warm-up.
    """
    size = predictor.config.image_size
    pixels, mask = _scene(size)
    image = predictor.encode(pixels)
    reference = predictor.reference([(pixels, mask)])
    session = _session_before_third_click(predictor, image)

    def click() -> None:
        session.click(size // 3, size // 2)
        session.undo()

    steps: dict[str, Callable[[], Any]] = {
        "encode": lambda: predictor.encode(pixels),
        "reference": lambda: predictor.reference([(pixels, mask)]),
        "semantic": lambda: predictor.segment(image, cls=predictor.classes[0]),
        "in_context": lambda: _segment_by(predictor, image, reference),
        "click": click,
    }
    result: dict[str, Any] = {"size": size, "repeats": repeats}
    result |= {f"{name}_ms": round(_median_ms(step, repeats), 3) for name, step in steps.items()}
    result |= {f"{name}_gflop": round(count_gflop(step), 4) for name, step in steps.items()}
    result["peak_rss_mb"] = round(peak_memory_mb(), 1)
    return result


def count_gflop(step: Callable[[], Any]) -> float:
    """Floating point operations of ``step`` in thousand millions; a multiply-add counts as two."""
    with FlopCounterMode(display=False) as counter, _Decomposing():
        step()
    return counter.get_total_flops() / 1e9


class _Decomposing(TorchDispatchMode):
    """Takes composite operations apart, for the counter of PyTorch before 2.5 knows only what they consist of.

    Elsewhere autograd does so before anybody can count, but not in inference mode.
    """

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        with self:
            parts = func.decompose(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {})) if parts is NotImplemented else parts


def peak_memory_mb() -> float:
    """The largest resident memory of this process so far, in MiB."""
    if sys.platform == "win32":
        return _peak_memory_windows()
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10


def seconds_since_start() -> float:
    """Seconds since this process began, the start of Python and all imports included (where the system tells)."""
    try:
        # Field 22 of the kernel's account, counted after the name in brackets, which may hold blanks.
        ticks = float(Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19])
        up = float(Path("/proc/uptime").read_text(encoding="utf-8").split()[0])
        return up - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return time.perf_counter() - _IMPORTED


_IMPORTED = time.perf_counter()


def _scene(size: int) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Noise with a bright disk, and the disk."""
    rows, columns = np.mgrid[:size, :size] / size
    disk = (rows - 0.4) ** 2 + (columns - 0.5) ** 2 < 0.04
    noise = np.random.default_rng(SEED).normal(90, 20, (size, size)) + 80 * disk
    return np.clip(noise, 0, 255).astype(np.uint8), disk


def _session_before_third_click(predictor: Predictor, image: EncodedImage) -> Session:
    session = predictor.session(image)
    rows, columns = image.shape
    session.click(rows // 2, columns // 2)
    session.click(rows // 8, columns // 8, positive=False)
    return session


def _segment_by(predictor: Predictor, image: EncodedImage, reference: ReferenceSet) -> Any:
    return predictor.segment(image, reference=reference)


def _median_ms(step: Callable[[], Any], repeats: int) -> float:
    step()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        step()
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


def _peak_memory_windows() -> float:
    import ctypes
    from ctypes import wintypes

    class Counters(ctypes.Structure):
        _fields_ = [
            ("size", wintypes.DWORD),
            ("faults", wintypes.DWORD),
            ("peak", ctypes.c_size_t),
            *[(f"other{number}", ctypes.c_size_t) for number in range(7)],
        ]

    counters = Counters(size=ctypes.sizeof(Counters))
    windows: Any = getattr(ctypes, "windll")  # noqa: B009 - does not exist elsewhere
    windows.kernel32.GetCurrentProcess.restype = wintypes.HANDLE
    windows.psapi.GetProcessMemoryInfo.argtypes = [wintypes.HANDLE, ctypes.POINTER(Counters), wintypes.DWORD]
    windows.psapi.GetProcessMemoryInfo(windows.kernel32.GetCurrentProcess(), ctypes.byref(counters), counters.size)
    return float(counters.peak) / 2**20
