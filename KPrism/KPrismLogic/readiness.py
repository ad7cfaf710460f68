"""What is missing before the model can run, found without importing or installing anything."""

from __future__ import annotations

import json
import struct
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


def missing_packages() -> list[str]:
    """Requirements that are not met, torch last because it is the largest."""
    missing = [requirement for name, requirement in PACKAGES.items() if find_spec(name) is None]
    return [*missing, f"torch{TORCH}"] if find_spec("torch") is None else missing


def what_is_missing(model: str) -> str:
    """One sentence on what is missing and the one thing to do; "" when the model can run."""
    if missing_packages():
        return "Python packages are missing: press Install."
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
