"""Where the engine is when the module runs from a source checkout, whose root no path names."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path


def make_engine_importable() -> None:
    """Put the checkout's root last on ``sys.path`` unless ``KPrismLib`` is importable already, as when installed."""
    root = Path(__file__).resolve().parents[2]
    if find_spec("KPrismLib") is None and (root / "KPrismLib" / "__init__.py").exists():
        # Last: the root also has a folder "KPrism", which must not hide the module of that name.
        sys.path.append(str(root))
