"""Several commands at once, each a process with a log of its own; one that fails does not keep the others from it."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from KPrismLib.command.console import say
from KPrismLib.imaging.atomic_file import made_folder

_POLL_SECONDS = 0.5
_NEWS_SECONDS = 60.0
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass
class _Running:
    name: str
    process: subprocess.Popen[bytes]
    log: Path
    started: float
    place: int

    @property
    def minutes(self) -> float:
        return (time.monotonic() - self.started) / 60


@dataclass(frozen=True)
class Fleet:
    """How commands are run.

    Attributes:
        workers: So many at the same time.
        threads: Processor threads of each.
        logs: Folder of the logs, ``NAME.log``.
        cuda_devices: What ``CUDA_VISIBLE_DEVICES`` may name; those that run at the same time share them out evenly.
    """

    workers: int
    threads: int
    logs: Path
    cuda_devices: Sequence[str] = ()

    def run(self, commands: Mapping[str, Sequence[str]]) -> list[str]:
        """Run commands in their order and wait for all of them.

        Args:
            commands: Name to the program and its arguments.

        Returns:
            The names of those that failed.
        """
        made_folder(self.logs)
        waiting, running, failed = dict(commands), list[_Running](), list[str]()
        told = time.monotonic()
        try:
            while waiting or running:
                while waiting and len(running) < self.workers:
                    name = next(iter(waiting))
                    free = min(set(range(self.workers)) - {each.place for each in running})
                    running.append(self._started(name, waiting.pop(name), free))
                time.sleep(_POLL_SECONDS)
                for each in [each for each in running if each.process.poll() is not None]:
                    running.remove(each)
                    if each.process.returncode:
                        failed.append(each.name)
                    _tell_end(each, len(waiting))
                if time.monotonic() - told > _NEWS_SECONDS:
                    told = time.monotonic()
                    for each in running:
                        say(f"  {each.name}, {each.minutes:.0f} min: {_last_line(each.log)}")
        finally:
            for each in running:
                each.process.terminate()
            for each in running:
                each.process.wait()
        return failed

    def _started(self, name: str, command: Sequence[str], place: int) -> _Running:
        log = self.logs / f"{name}.log"
        # Unbuffered, so that a log tells what happens when it happens, and an error after what came before it.
        environment = os.environ | {"PYTHONUNBUFFERED": "1"} | dict.fromkeys(_THREAD_VARIABLES, str(self.threads))
        where = ""
        if self.cuda_devices:
            environment["CUDA_VISIBLE_DEVICES"] = self.cuda_devices[place % len(self.cuda_devices)]
            where = f" on CUDA device {environment['CUDA_VISIBLE_DEVICES']}"
        say(f"{name}: started{where}, log in {log}.")
        with log.open("ab") as stream:
            process = subprocess.Popen(
                list(command), stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, env=environment
            )
        return _Running(name, process, log, time.monotonic(), place)


def cuda_devices(accelerator: str, environment: Mapping[str, str]) -> tuple[str, ...]:
    """The CUDA devices that a kind of accelerator stands for here; none where training goes elsewhere."""
    import torch

    if accelerator not in ("auto", "cuda", "gpu") or not torch.cuda.is_available():
        return ()
    named = [name.strip() for name in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return tuple(named or map(str, range(torch.cuda.device_count())))


def _tell_end(each: _Running, waiting: int) -> None:
    left = f"; {waiting} to go" if waiting else ""
    if each.process.returncode:
        say(f"{each.name}: FAILED after {each.minutes:.1f} min: {_last_line(each.log)}{left}.")
    else:
        say(f"{each.name}: done in {each.minutes:.1f} min{left}.")


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "no output yet")
