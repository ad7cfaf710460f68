"""Loading torch's shared libraries without stopping every other thread.

``import torch`` links libraries of hundreds of megabytes while it holds Python's lock, and Slicer's main thread, which
needs the lock for every event that a script handles, stands still meanwhile. Calls through ctypes give the lock back
as long as they last; afterwards the import finds the libraries in place.
"""

from __future__ import annotations

import ctypes
import sys
from importlib.util import find_spec
from pathlib import Path

#: In the order in which they need each other; those that a build of torch does not have are left out.
_NAMES = ("c10", "c10_cuda", "torch_cpu", "torch_cuda", "torch", "torch_python")
_RTLD_NOW = 2


def link_torch() -> None:
    """Link torch's libraries if torch is installed and not imported yet; what cannot be linked, its import reports."""
    if "torch" in sys.modules or sys.platform == "win32":
        return  # On Windows torch links them itself, through ctypes.
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return
    suffix = "dylib" if sys.platform == "darwin" else "so"
    link = ctypes.CDLL(None).dlopen
    link.argtypes, link.restype = (ctypes.c_char_p, ctypes.c_int), ctypes.c_void_p
    for name in _NAMES:
        library = Path(spec.origin).with_name("lib") / f"lib{name}.{suffix}"
        if library.exists():
            link(str(library).encode(), _RTLD_NOW)
