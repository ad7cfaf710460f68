"""Choosing the best references piece by piece, so that it can end at any slice and a click waits for one at most."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from KPrismLogic.guide import ReferenceSlice
    from KPrismLogic.runner import Runner
    from KPrismLogic.slice_engine import SliceEngine
    from KPrismLogic.slice_source import SliceSource


class ReferenceSearch:
    """Runs once; every method is for the main thread.

    Args:
        engine: whose model works.
        runner: where it works, a reference at a time.
        source: the slice that needs references.
        references: what is compared, at least one.
        count: how many are wanted at most.
        structure: what they show.
        progress: called before each piece with how many references are encoded; false ends the search there.
        finished: called once at the end with the best, or with what is wrong; never after the search was ended.
    """

    def __init__(
        self,
        engine: SliceEngine,
        runner: Runner,
        source: SliceSource,
        references: Sequence[ReferenceSlice],
        count: int,
        structure: str,
        *,
        progress: Callable[[int], bool],
        finished: Callable[[Future[list[ReferenceSlice]]], None],
    ) -> None:
        self._engine, self._runner = engine, runner
        self._source, self._references, self._wanted = source, references, (count, structure)
        self._progress, self._finished = progress, finished
        self._ended = False

    def start(self) -> None:
        """Begin."""
        self._go_on(0)

    def end(self) -> None:
        """Tell nothing any more, and begin no further piece."""
        self._ended = True

    def _go_on(self, encoded: int) -> None:
        if not self._progress(encoded):
            self._ended = True
        elif encoded < len(self._references):
            reference = self._references[encoded]
            done = functools.partial(self._on_encoded, encoded + 1)
            self._runner.submit(functools.partial(self._engine.encode_reference, reference), done)
        else:
            # What the engine had to forget meanwhile it encodes again.
            best = functools.partial(self._engine.best_references, self._source, self._references, *self._wanted)
            self._runner.submit(best, self._on_compared)

    def _on_encoded(self, encoded: int, done: Future[Any]) -> None:
        if self._ended:
            return
        if done.exception() is None:
            self._go_on(encoded)
        else:
            self._finished(done)

    def _on_compared(self, done: Future[list[ReferenceSlice]]) -> None:
        if not self._ended and self._progress(len(self._references)):
            self._finished(done)
