"""Checkpoints that survive a kill: written beside the old one and swapped in whole."""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from KPrismLib.errors import CannotWrite, InvalidWeights

FORMAT = 1


@dataclass
class Checkpoint:
    """All that a run needs to go on exactly; samples follow from the step (see ``sampling``).

    Attributes:
        step: steps done.
        network: weights; ``average`` their moving average.
        optimizer: AdamW's state.
        config: the run's settings as plain values.
    """

    step: int
    network: dict[str, Tensor]
    average: dict[str, Tensor]
    optimizer: dict[str, Any]
    config: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write atomically; on failure the previous checkpoint is untouched.

        Raises:
            CannotWrite: full disk, read-only folder.
        """
        partial = path.with_name(path.name + ".partial")
        try:
            with partial.open("wb") as stream:
                torch.save({"format": FORMAT, **self.__dict__}, stream)
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
        except (OSError, RuntimeError) as error:
            partial.unlink(missing_ok=True)
            raise CannotWrite(
                f"The checkpoint {path} cannot be written ({error}); free some disk space, the previous one is intact."
            ) from error

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read what :meth:`save` wrote, without executing anything stored in it.

        Raises:
            InvalidWeights: not a checkpoint, or a damaged one.
        """
        try:
            values = torch.load(path, map_location="cpu", weights_only=True)
            if values.pop("format") != FORMAT:
                raise KeyError("format")
            return cls(**values)
        except FileNotFoundError:
            raise InvalidWeights(f"There is no checkpoint {path}.") from None
        except (
            *(OSError, EOFError, pickle.UnpicklingError, RuntimeError),  # truncated, changed, or no archive at all
            *(KeyError, TypeError, ValueError, AttributeError, IndexError),  # an archive of something else
        ) as error:
            raise InvalidWeights(f"{path} is not a readable K-Prism checkpoint ({type(error).__name__}).") from error
