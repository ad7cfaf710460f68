"""Work for processes: quick, and able to die. A module of its own, because other processes must import it."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from KPrismLib.batch.workers import Progress


@dataclass
class Squares:
    """Squares numbers; writes ``<number>.begun`` into ``folder`` first; dies at some."""

    folder: Path
    killed_at: int = -1
    leaves_at: int = -1
    seconds: float = 0.0

    def do(self, task: int, worker: int, progress: Progress) -> tuple[int, int, int]:
        (self.folder / f"{task}.begun").touch()
        progress(1, 2)
        if task == self.killed_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if task == self.leaves_at:
            os._exit(7)
        time.sleep(self.seconds)
        return task, task * task, os.getpid()

    def died(self, task: int, reason: str) -> tuple[int, str]:
        return task, reason
