"""Files that another program has open, as on Windows."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from KPrismLib.imaging import sharing_violations


def hold(monkeypatch: pytest.MonkeyPatch, name: str, method: str, *, times: int | None = None) -> list[float]:
    """Have ``Path.replace`` or ``Path.unlink`` refuse files of a name, so many times or for ever; -> waits so far."""
    waits: list[float] = []
    refused = 0
    real = getattr(Path, method)

    def refusing(path: Path, *arguments: Any, **options: Any) -> Any:
        nonlocal refused
        if path.match(name) and (times is None or refused < times):
            refused += 1
            error = PermissionError(13, "The process cannot access the file", str(path))
            error.winerror = 32  # type: ignore[attr-defined]
            raise error
        return real(path, *arguments, **options)

    monkeypatch.setattr(Path, method, refusing)
    monkeypatch.setattr(sys, "platform", "win32")
    clock = SimpleNamespace(monotonic=lambda: sum(waits), sleep=waits.append)
    monkeypatch.setattr(sharing_violations, "time", clock)
    return waits
