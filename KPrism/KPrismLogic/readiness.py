"""What is missing before the model can run, found without importing or installing anything."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import platform
import re
import struct
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

#: Import name and requirement of each package that the engine needs beside torch and what Slicer brings.
PACKAGES = {
    "scipy": "scipy>=1.11",
    "skimage": "scikit-image>=0.22",
    "safetensors": "safetensors>=0.4",
    "nibabel": "nibabel>=5.2",
    "PIL": "pillow>=10.1",
}
TORCH = ">=2.2"

#: The last torch for Intel Macs was built against NumPy 1: beside a later one it cannot take an array. Slicer brings 2.
NUMPY_OF_INTEL_MACS = "numpy<2"
RESTART = "Packages were replaced that Slicer had loaded in another version: restart Slicer."


def missing_packages() -> list[str]:
    """Requirements that are not met, in the order in which they are installed."""
    missing = [requirement for name, requirement in _wanted().items() if not _is_met(name, requirement)]
    if _is_intel_mac() and _numbers(_version("numpy")) >= (2,):
        missing.insert(0, NUMPY_OF_INTEL_MACS)
    return missing


def is_restart_needed() -> bool:
    """Whether this program has loaded a package in a version that does not do, whatever was installed since."""
    if _is_intel_mac() and _numbers(_loaded_version("numpy")) >= (2,):
        return True
    loaded = ((_loaded_version(name), requirement) for name, requirement in _wanted().items())
    return any(version and not _is_new_enough(version, requirement) for version, requirement in loaded)


@functools.cache
def installing() -> threading.Lock:
    """Held while packages are being installed.

    The interface goes on meanwhile: a second installation would write into the first, and what is there is half a
    package.
    """
    return threading.Lock()


def is_installable() -> bool:
    """Whether it would help to install what is missing now."""
    return not installing().locked() and bool(missing_packages())


def what_is_missing(model: str) -> str:
    """One sentence on what is missing and the one thing to do; "" when the model can run."""
    if installing().locked():
        return "Python packages are being installed, which takes minutes; please wait."
    if missing_packages():
        return "Python packages are missing: press Install."
    if is_restart_needed():
        return RESTART
    if weights_file(model) is None:
        return f"There are no weights for {model}: choose another model in the K-Prism module."
    return ""


def weights_file(model: str) -> Path | None:
    """The weights of a shipped model or at a path, or None."""
    if not model.isidentifier():
        return Path(model) if Path(model).is_file() else None
    spec = find_spec("KPrismLib")
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    files = [Path(place) / "weights" / f"{model}.safetensors" for place in places]
    return next((file for file in files if file.is_file()), None)


def classes_of(model: str) -> tuple[str, ...]:
    """The classes of a model out of the head of its weights file; torch need not be there. Empty when unreadable."""
    file = weights_file(model)
    if file is None:
        return ()
    try:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            head = json.loads(stream.read(min(length, 2**24)))
        return tuple(json.loads(head["__metadata__"]["config"])["classes"])
    except (OSError, struct.error, ValueError, KeyError, TypeError):
        return ()


def _is_intel_mac() -> bool:
    """Slicer for macOS is a program for Intel Macs, also on Apple silicon, and says so of itself."""
    return sys.platform == "darwin" and platform.machine() == "x86_64"


def _wanted() -> dict[str, str]:
    """Import name and requirement of each package, torch last because it is the largest."""
    return {**PACKAGES, "torch": f"torch{TORCH}"}


def _is_met(name: str, requirement: str) -> bool:
    """Whether a package is there, whole and new enough; nothing of it is imported."""
    return find_spec(name) is not None and _is_new_enough(_version(requirement.partition(">=")[0]), requirement)


def _is_new_enough(version: str, requirement: str) -> bool:
    return _numbers(version) >= _numbers(requirement.partition(">=")[2])


def _loaded_version(name: str) -> str:
    """Of a package that is not loaded, or does not say, ""."""
    return str(getattr(sys.modules.get(name), "__version__", ""))


def _version(distribution: str) -> str:
    """Of what is not there, "": an installation that was interrupted leaves a folder, but no record of it."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _numbers(version: str) -> tuple[int, ...]:
    """2.2.0+cpu -> (2, 2, 0)."""
    return tuple(int(number) for number in re.findall(r"\d+", version.partition("+")[0])[:3])
