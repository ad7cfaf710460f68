"""Noticing that a run diverges before its good checkpoint is written over."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Mapping, Sequence

from KPrismLib.errors import TrainingDiverged

WINDOW = 100
"""Losses of each mode whose median is what is usual."""
KNOWN = 20
"""As many must be known before anything is unusual."""
PATIENCE = 10
"""Single hard batches are no divergence; so many in a row are."""
SMALLEST = 0.05
"""Below this a loss is noise: a multiple of almost nothing is still small."""


class LossWatch:
    """Compares each loss with the moving median of its mode; the modes' losses differ by nature.

    Args:
        factor: a loss above this many medians is suspicious; ten of those in a row are divergence.
        recent: losses by mode, as :attr:`recent` gave them when the run was saved.
    """

    def __init__(self, factor: float, recent: Mapping[str, Sequence[float]] | None = None) -> None:
        self._factor = factor
        self._usual = {mode: deque(losses, maxlen=WINDOW) for mode, losses in (recent or {}).items()}
        self._suspicious = 0

    @property
    def calm(self) -> bool:
        """Whether the last loss was as usual; only then the weights are worth keeping."""
        return self._suspicious == 0

    @property
    def recent(self) -> dict[str, list[float]]:
        """The usual losses by mode, for the checkpoint."""
        return {mode: list(losses) for mode, losses in self._usual.items()}

    def look_at(self, mode: str, loss: float, step: int) -> None:
        """Take in the loss of a step.

        Raises:
            TrainingDiverged: it is the last of ten that are far above what is usual.
        """
        usual = self._usual.setdefault(mode, deque(maxlen=WINDOW))
        median = statistics.median(usual) if len(usual) >= KNOWN else None
        if median is None or loss <= self._factor * max(median, SMALLEST):
            usual.append(loss)  # a suspicious loss stays out: it must not become usual
            self._suspicious = 0
            return
        self._suspicious += 1
        if self._suspicious >= PATIENCE:
            raise TrainingDiverged(
                f"The loss has exploded: at step {step} it is {loss:.3g}, where {median:.3g} was usual, after "
                f"{PATIENCE} such steps in a row; lower learning_rate and start again: the run continues from the last "
                "checkpoint, which is from before."
            )
