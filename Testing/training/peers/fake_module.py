"""Modules that exist in one test only, in the place of packages that need not be installed."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import pytest


def install(monkeypatch: pytest.MonkeyPatch, name: str, **contents: Any) -> None:
    """Put a module with ``contents`` under a dotted name, and empty packages above it."""
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        module = ModuleType(".".join(parts[:end]))
        module.__spec__ = ModuleSpec(module.__name__, None)
        module.__path__ = []
        if end == len(parts):
            vars(module).update(contents)
        monkeypatch.setitem(sys.modules, module.__name__, module)
