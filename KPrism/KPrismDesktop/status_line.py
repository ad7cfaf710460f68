"""What the effect's status line says: model and device, what to do next or what goes on, and the last latency."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from KPrismLib.errors import KPrismError
from KPrismLogic.readiness import is_installable, what_is_missing

if TYPE_CHECKING:
    from KPrismLogic.model import Model
    from KPrismLogic.slice_engine import Answer

#: What to do next, by guide.
_HINTS = {
    "clicks": "click in a slice view",
    "class": "choose a class",
    "reference": "show a segmented slice and add it",
}


def failure(error: Exception) -> str:
    """What the user is told of an error: its own sentence, or, of a defect, where to read on."""
    expected = isinstance(error, (KPrismError, ImportError))
    return str(error) if expected else f"Something went wrong ({error}); the log has more."


class StatusLine:
    """One line, never a popup.

    Args:
        show: shows a sentence, and whether installing would help.
        model: the model in use.
        busy: whether something that the user asked for is under way.
    """

    def __init__(self, show: Callable[[str, bool], None], model: Model, busy: Callable[[], bool]) -> None:
        self._show, self._model, self._busy = show, model, busy
        self._remark = self._latency = ""

    def missing(self) -> str:
        """What is missing before the model can run, and the one thing to do; "" for nothing."""
        return "" if self._model.loaded else what_is_missing(self._model.name)

    def say(self, remark: str) -> None:
        """Say something until the next thing happens; "" for nothing."""
        self._remark = remark

    def answered(self, answer: Answer) -> None:
        """A mask was written."""
        self._remark, self._latency = answer.remark, f"{answer.milliseconds:.0f} ms"

    def refresh(self, guide: str) -> None:
        """Show how things are now.

        Args:
            guide: "clicks", "class" or "reference".
        """
        missing = self.missing()
        if missing:
            self._show(self._remark or missing, is_installable())
            return
        model = f"{Path(self._model.name).stem} on {self._model.device}"
        going_on = ""
        if self._busy():
            going_on = "working …" if self._model.loaded else "loading the model …"
        hint = "" if self._latency else _HINTS.get(guide, "")
        parts = (model, going_on or self._remark or hint, "" if going_on else self._latency)
        self._show(" – ".join(part for part in parts if part), False)
