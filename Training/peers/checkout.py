"""Importing a system from a local copy of its repository."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from KPrismLib.errors import InvalidConfig
from Training.peers.about import Checkout


def import_from(folders: Sequence[Path], checkout: Checkout) -> ModuleType:
    """Import a module of a repository, from one of ``folders`` or, without folders, from where it is installed.

    Args:
        folders: local copies; the one that holds the module is found.
        checkout: which repository, and which module of it.

    Raises:
        InvalidConfig: no folder holds the module, it cannot be imported, or another module of that name is in its
            place.
    """
    top = checkout.module.split(".")[0]
    root = next((folder for folder in map(Path.resolve, _roots(folders, checkout)) if _holds(folder, top)), None)
    if root is None and folders:
        raise InvalidConfig(
            f"None of the folders given with --peer-path holds {top}; it needs a copy of {checkout.repository}."
        )
    if root is not None and str(root) not in sys.path:
        sys.path.insert(0, str(root))
    try:
        module = importlib.import_module(checkout.module)
    except ImportError as error:
        what = f"{checkout.module} cannot be imported ({error})"
        raise InvalidConfig(f"{what}; give a copy of {checkout.repository} with --peer-path.") from error
    if root is not None and not _lies_in(module, root):
        raise InvalidConfig(
            f"Another module named {top} is in the place of {checkout.repository}; start a new process."
        )
    return module


def _roots(folders: Sequence[Path], checkout: Checkout) -> list[Path]:
    return [folder / part for folder in folders for part in ("", checkout.folder)]


def _holds(folder: Path, top: str) -> bool:
    return (folder / top).is_dir() or (folder / f"{top}.py").is_file()


def _lies_in(module: ModuleType, root: Path) -> bool:
    return module.__file__ is not None and root in Path(module.__file__).resolve().parents
