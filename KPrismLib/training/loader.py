"""Batches in the order of the steps, made ahead by worker processes.

What a step sees follows from the step (see ``sampling``), so that any number of workers gives the same batches, and a
run goes on at any step without having saved anything.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import torch
from torch.utils.data import DataLoader, Dataset

from KPrismLib.errors import InvalidConfig, KPrismError
from KPrismLib.training.batches import Batch, BatchMaker
from KPrismLib.training.config import TrainingConfig
from KPrismLib.training.sampling import Sampler

#: Steps that each worker is ahead.
_AHEAD = 2


class StepBatches(Dataset[list[Batch]]):
    """The batches of one process, by step; each step's is a list of the parts whose gradients are accumulated.

    Args:
        config: sizes of the global batch and how many parts it is accumulated from.
        sampler, maker: what draws samples and turns them into tensors.
        rank, processes: which share of the global batch.

    Raises:
        InvalidConfig: a batch that the processes cannot share evenly, so that the mean over ranks would not be the mean
            over samples.
    """

    def __init__(
        self, config: TrainingConfig, sampler: Sampler, maker: BatchMaker, *, rank: int = 0, processes: int = 1
    ) -> None:
        shares = processes * config.accumulate
        for phase in config.phases:
            if phase.batch % shares:
                raise InvalidConfig(
                    f"A batch of {phase.batch} cannot be shared evenly by {processes} processes that accumulate "
                    f"{config.accumulate} times; choose a multiple of {shares}."
                )
        self._config = config
        self._sampler = sampler
        self._maker = maker
        self._rank = rank
        self._processes = processes

    def __getitem__(self, step: int) -> list[Batch]:
        phase, mode = self._config.phase_at(step), self._sampler.mode(step)
        size = phase.batch // (self._processes * self._config.accumulate)
        parts = []
        for part in range(self._config.accumulate):
            first = (part * self._processes + self._rank) * size
            samples = self._sampler.batch(step, range(first, first + size), mode)
            parts.append(self._maker.make(samples, mode=mode, size=phase.size, step=step, first=first))
        return parts


class _Answers(Dataset["list[Batch] | KPrismError"]):
    """Errors on purpose travel as values: raised in a worker, their sentence would come back inside a traceback."""

    def __init__(self, batches: StepBatches) -> None:
        self._batches = batches

    def __getitem__(self, step: int) -> list[Batch] | KPrismError:
        try:
            return self._batches[step]
        except KPrismError as error:
            return error


def in_order(batches: StepBatches, steps: range, *, workers: int = 0, pinned: bool = False) -> Iterator[list[Batch]]:
    """The batches of ``steps``, one after the other.

    Args:
        batches: by step.
        steps: which.
        workers: processes that make batches ahead; 0 makes each when it is asked for.
        pinned: in page-locked memory, which a CUDA device copies from while it computes.
    """
    loader: DataLoader[list[Batch] | KPrismError] = DataLoader(
        _Answers(batches),
        batch_size=None,
        sampler=steps,
        num_workers=workers,
        prefetch_factor=_AHEAD if workers else None,
        worker_init_fn=_one_thread,
        pin_memory=pinned,
    )
    for answer in loader:
        if isinstance(answer, KPrismError):
            raise answer
        yield answer


def _one_thread(_: int) -> None:
    """Each worker has a core of its own; threads of its own would take the others'."""
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
