"""What a run through a volume tells while it learns the structure, before its first slice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Lesson:
    """A step of learning; nothing is to be written.

    Attributes:
        step: its number, from 1.
        steps: how many there are.
    """

    step: int
    steps: int
