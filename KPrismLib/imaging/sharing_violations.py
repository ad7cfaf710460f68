"""Files that another program has open: Windows lets nobody rename, replace or delete them meanwhile.

Virus scanners and clouds look at every new file for a moment, and other processes of a run read what one of them wrote.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

#: Seconds for which it is tried again.
_PATIENCE = 2.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.01, 0.2


def replace_file(source: Path, target: Path) -> None:
    """Give a file another name, in place of the file that has it, if any; on Windows with patience.

    Raises:
        OSError: as of ``Path.replace``.
    """
    _patiently(lambda: source.replace(target))


def remove_file(path: Path) -> None:
    """Delete a file, if there is one; on Windows with patience.

    Raises:
        OSError: as of ``Path.unlink``.
    """
    _patiently(lambda: path.unlink(missing_ok=True))


def _patiently(change: Callable[[], object]) -> None:
    end, pause = time.monotonic() + _PATIENCE, _FIRST_PAUSE
    while True:
        try:
            change()
            return
        except PermissionError:  # as Windows says it, be it for want of permission or not
            if sys.platform != "win32" or time.monotonic() >= end:
                raise
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
