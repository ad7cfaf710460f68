"""What the parts of the effect's options have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import qt


class OptionRows:
    """Widgets whose signals are disconnected again: connections that last keep the effect alive after its editor."""

    def __init__(self) -> None:
        self._connections: list[tuple[Any, str, Callable[..., None]]] = []

    def close(self) -> None:
        """Tell nobody anything any more."""
        for widget, signal, slot in self._connections:
            widget.disconnect(signal, slot)
        self._connections = []

    def _connect(self, widget: Any, signal: str, slot: Callable[..., None]) -> None:
        widget.connect(signal, slot)
        self._connections.append((widget, signal, slot))


def side_by_side(*widgets: Any) -> Any:
    """Widgets in a row, as one widget that can be hidden."""
    box = qt.QWidget()
    layout = qt.QHBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget)
    return box
