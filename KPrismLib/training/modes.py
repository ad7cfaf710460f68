"""The three kinds of knowledge as training modes, one per batch (A.2)."""

from __future__ import annotations

from enum import Enum


class TrainingMode(str, Enum):
    """Mode-1, Mode-2 and Mode-3 of section 3.1; semantic and in-context are refined by clicks afterwards."""

    SEMANTIC = "semantic"
    IN_CONTEXT = "in-context"
    INTERACTIVE = "interactive"


#: Probabilities of A.2.
MODE_PROBABILITIES = {TrainingMode.SEMANTIC: 0.3, TrainingMode.IN_CONTEXT: 0.3, TrainingMode.INTERACTIVE: 0.4}
