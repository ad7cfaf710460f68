"""Encoding the slice under the pointer before it is clicked, when the user pauses there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import qt

if TYPE_CHECKING:
    from KPrismLogic.editing_session import EditingSession

#: Long enough that scrolling through a volume encodes nothing on the way.
_PATIENCE_MILLISECONDS = 250


class WarmUp:
    """Prefetches for one session, until it is closed.

    Args:
        session: encodes, as long as nothing else is to do.
        view: gives the slice node of the view that the pointer is in, or None.
        possible: whether the model can run.
    """

    def __init__(self, session: EditingSession, view: Callable[[], Any], possible: Callable[[], bool]) -> None:
        self._session, self._view, self._possible = session, view, possible
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PATIENCE_MILLISECONDS)
        self._timer.connect("timeout()", self.now)

    def later(self) -> None:
        """The pointer came into a view, or the view shows another slice."""
        self._timer.start()

    def now(self) -> None:
        """Prefetch the shown slice and its neighbours."""
        view = self._view()
        if view is not None and self._possible():
            self._session.prefetch(view)

    def close(self) -> None:
        """Leave nothing behind."""
        self._timer.stop()
        self._timer.disconnect("timeout()", self.now)
