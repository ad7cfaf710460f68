"""The folder of a run: one training at a time, and room for a new one."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from KPrismLib.errors import CannotWrite
from KPrismLib.imaging.sharing_violations import replace_file
from KPrismLib.training.log import LOG_NAMES
from KPrismLib.training.loop import CHECKPOINT_NAME

_LOCK_NAME = ".training"

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        # Not flock: the processes that make batches would inherit it, and may outlive a run that was killed.
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Keep other trainings out of ``folder`` while the block runs.

    The system lets go of the lock when its process ends, however it ends; the empty file that is left locks nobody out.

    Raises:
        CannotWrite: another training writes there, or nobody can.
    """
    try:
        stream = (folder / _LOCK_NAME).open("ab")
    except OSError as error:
        raise CannotWrite(
            f"Nothing can be written into {folder}: {error.strerror or error}; choose another output folder."
        ) from error
    with stream:
        try:
            _lock(stream.fileno())
        except OSError as error:
            # A disk that knows no locks has other answers; training on it is better than none.
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise CannotWrite(
                    f"Another training writes into {folder}; wait until it has ended, or choose another output folder."
                ) from error
        yield


def set_aside(folder: Path) -> Path | None:
    """Move what an earlier run wrote into ``folder`` to a new folder ``earlier-N`` inside it; the rest is not ours.

    Returns:
        The new folder, the last by its number; None where there was nothing to move.

    Raises:
        CannotWrite: a file cannot be moved; then all are where they were.
    """
    # A run that was killed may have left a part of a checkpoint.
    left = [path for name in (f"{CHECKPOINT_NAME}*", *LOG_NAMES) for path in folder.glob(name) if path.is_file()]
    if not left:
        return None
    numbers = [path.name.removeprefix("earlier-") for path in folder.glob("earlier-*")]
    target = folder / f"earlier-{1 + max((int(number) for number in numbers if number.isdecimal()), default=0)}"
    moved: list[Path] = []
    try:
        target.mkdir()
        for path in left:
            replace_file(path, target / path.name)
            moved.append(path)
    except OSError as error:
        with suppress(OSError):  # what failed first is what the user must hear
            for path in moved:
                replace_file(target / path.name, path)
            target.rmdir()
        raise CannotWrite(
            f"The earlier run in {folder} cannot be moved out of the way ({error.strerror or error}); close the "
            "program that has its files open, as TensorBoard may, or choose another output folder."
        ) from error
    return target
