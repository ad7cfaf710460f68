"""Checkpoints that survive a kill: written beside the old one and swapped in whole."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pickle
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from KPrismLib.errors import CannotWrite, InvalidConfig, InvalidDataset, InvalidWeights
from KPrismLib.imaging.sharing_violations import remove_file, replace_file
from KPrismLib.training.config import TrainingConfig

FORMAT = 1


@dataclass
class Checkpoint:
    """All that a run needs to go on exactly; samples follow from the step (see ``sampling``).

    Attributes:
        step: steps done.
        network: weights; ``average`` their moving average.
        optimizer: AdamW's state.
        config: the run's settings as plain values.
        scaler: state of the loss scaling of 16-bit precision.
        losses: usual losses by mode, see :class:`~KPrismLib.training.divergence.LossWatch`.
        datasets: names of the sets that the weights learned from, which their folders need not have; none in
            checkpoints from before they were kept.
        contents: of the sets of the run, in the order of its settings, see
            :class:`~KPrismLib.training.packing.PackedDataset`; likewise.
        run: what tells the run from any other; empty in checkpoints from before it was kept.
        earlier_runs: steps of the runs that the weights come from which it started from, by what tells those.
    """

    step: int
    network: dict[str, Tensor]
    average: dict[str, Tensor]
    optimizer: dict[str, Any]
    config: dict[str, Any]
    scaler: dict[str, Any] = field(default_factory=dict)
    losses: dict[str, list[float]] = field(default_factory=dict)
    datasets: list[str] = field(default_factory=list)
    contents: list[str] = field(default_factory=list)
    run: str = ""
    earlier_runs: dict[str, int] = field(default_factory=dict)

    @property
    def runs(self) -> dict[str, int]:
        """Steps of all runs that the weights come from, this one included."""
        name = self.run or hashlib.sha256(json.dumps(self.config, sort_keys=True).encode()).hexdigest()[:32]
        return {**self.earlier_runs, name: self.step}

    def save(self, path: Path) -> None:
        """Write atomically; on failure the previous checkpoint is untouched.

        Raises:
            CannotWrite: full disk, read-only folder, another program has the previous one open.
        """
        partial = path.with_name(path.name + ".partial")
        try:
            with partial.open("wb") as stream:
                torch.save({"format": FORMAT, **self.__dict__}, stream)
                stream.flush()
                os.fsync(stream.fileno())
            replace_file(partial, path)
        except (OSError, RuntimeError) as error:
            with contextlib.suppress(OSError):  # what failed first is what the user must hear
                remove_file(partial)
            way_out = "free some disk space"
            if isinstance(error, PermissionError):
                way_out = "close the program that has it open, or get permission to write there"
            rest = ", the previous one is intact" if path.exists() else ""
            raise CannotWrite(
                f"The checkpoint {path} cannot be written ({_reason(error)}); {way_out}{rest}."
            ) from error

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read what :meth:`save` wrote, without executing anything stored in it.

        Raises:
            InvalidWeights: not a checkpoint, or a damaged one.
        """
        try:
            _require_sound(path)
            values = torch.load(path, map_location="cpu", weights_only=True)
            if values.pop("format") != FORMAT:
                raise KeyError("format")
            return cls(**values)
        except FileNotFoundError:
            raise InvalidWeights(f"There is no checkpoint {path}.") from None
        except (
            *(OSError, EOFError, zipfile.BadZipFile, zlib.error),  # truncated, changed, or no archive at all
            *(pickle.UnpicklingError, RuntimeError),  # the same, as PyTorch says it
            *(KeyError, TypeError, ValueError, AttributeError, IndexError),  # an archive of something else
        ) as error:
            raise InvalidWeights(
                f"{path} is not a readable K-Prism checkpoint ({type(error).__name__}): it is damaged, or something "
                "else; put a copy of it in its place, or train anew with --no-resume, which sets it aside."
            ) from error


def _reason(error: BaseException) -> str:
    """What the system said; PyTorch raises an error about its own state on top of it."""
    said: BaseException | None = error
    while said is not None and not isinstance(said, OSError):
        said = said.__context__
    return str(error) if said is None else said.strerror or str(said)


def _require_sound(path: Path) -> None:
    """Compare the checksums of all parts: PyTorch does not, and would take the numbers of a damaged file for weights.

    Raises:
        zipfile.BadZipFile: a part is not what was written; other errors where its own description is damaged.
    """
    with zipfile.ZipFile(path) as archive:
        # No part is compressed or a folder; where the list of parts says so, it is damaged itself.
        listed = all(part.file_size == part.compress_size and not part.external_attr for part in archive.infolist())
        if not listed or archive.testzip() is not None:
            raise zipfile.BadZipFile


#: What may differ between a checkpoint and the run that goes on from it: how fast and how often, not what is learned.
_ADJUSTABLE = frozenset(
    {
        *("learning_rate", "final_learning_rate", "clip_norm", "divergence_factor", "precision", "accumulate"),
        *("checkpoint_every", "validate_every", "validation_samples"),
    }
)


def check_same_run(config: TrainingConfig, saved: TrainingConfig, path: Path) -> None:
    """Refuse to go on from another run's checkpoint; datasets may have moved.

    Raises:
        InvalidConfig: a setting differs that decides what is learned.
    """
    # Through JSON, where a list that was a tuple before it was saved is the same.
    ours, theirs = (json.loads(json.dumps(run.to_dict())) for run in (config, saved))
    for settings in (ours, theirs):
        settings["datasets"] = [Path(folder).name for folder in settings["datasets"]]
    different = [name for name in ours if name not in _ADJUSTABLE and ours[name] != theirs[name]]
    if different:
        raise InvalidConfig(
            f"{path} belongs to a run with other settings ({', '.join(different)}); choose another output folder, "
            "start anew with --no-resume, or give the settings that it was started with."
        )


def check_same_contents(names: Sequence[str], contents: Sequence[str], saved: Sequence[str], path: Path) -> None:
    """Refuse to go on from a checkpoint whose sets have changed since.

    A digest may lack the digits that tell what the files hold, as in checkpoints from before those were kept.

    Args:
        names: of the sets of the run.
        contents: what is learned from each, now.
        saved: the same when the checkpoint was written; empty in older ones, which fit any.
        path: of the checkpoint.

    Raises:
        InvalidDataset: something else would be learned from a set.
    """
    pairs = zip(names, contents, saved, strict=True) if saved else ()
    changed = [name for name, now, before in pairs if not (now.startswith(before) or before.startswith(now))]
    if changed:
        raise InvalidDataset(
            f"{path} belongs to a run on {', '.join(changed)} as it was before its dataset.json or its files changed; "
            "put back what it was, or choose another output folder."
        )
