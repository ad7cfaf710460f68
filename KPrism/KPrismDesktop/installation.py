"""Installing what the engine needs, inside a click of the user and never elsewhere."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
from collections.abc import Callable
from typing import Any

import slicer

from KPrismLogic.readiness import RESTART, TORCH, installing, is_restart_needed, missing_packages


def install_missing(begun: Callable[[], None]) -> str:
    """Install what is missing, with Slicer's own progress; before PyTorch, its extension asks.

    Args:
        begun: called when it begins; until it ends, :func:`~KPrismLogic.readiness.what_is_missing` says so.

    Returns:
        "" when everything is there now, otherwise one sentence on what to do.
    """
    # Slicer handles events while pip writes its log: the button can be pressed again before this has returned.
    if not installing().acquire(blocking=False):
        return "Python packages are being installed already; please wait."
    try:
        begun()
        return _install_all()
    finally:
        installing().release()


def _install_all() -> str:
    missing = missing_packages()
    light = [requirement for requirement in missing if not requirement.startswith("torch")]
    try:
        if light:
            _install(light)
        if len(light) < len(missing):
            if importlib.util.find_spec("PyTorchUtils") is None:
                return "PyTorch is missing: install the extension PyTorch in the Extensions Manager, then restart."
            _install_torch()
    except subprocess.CalledProcessError:  # Its text is the whole command; what pip said is in the log.
        return "The installation failed: the log says why. Check the network and press Install again."
    except (RuntimeError, OSError, ImportError) as error:
        return f"The installation was not finished ({error}); press Install to try again."
    importlib.invalidate_caches()
    if missing_packages():
        return "The installation was not finished; press Install to try again."
    return RESTART if is_restart_needed() else ""


def _install(requirements: list[str]) -> None:
    """Slicer 5.12 brings ``slicer.packaging``, which shows progress; before, ``slicer.util`` installs."""
    if importlib.util.find_spec("slicer.packaging") is not None:
        packaging: Any = importlib.import_module("slicer.packaging")
        # Who pressed Install need not be asked whether to, and Slicer, once asked to restart, would quit with only half
        # of it installed.
        packaging.pip_ensure(requirements, prompt_install=False, prompt_restart=False, requester="K-Prism")
    else:
        with slicer.util.WaitCursor():
            slicer.util.pip_install(requirements)


def _install_torch() -> None:
    """Let the PyTorch extension choose the build for this computer; it asks first."""
    utilities: Any = importlib.import_module("PyTorchUtils")
    utilities.PyTorchUtilsLogic().installTorch(askConfirmation=True, torchVersionRequirement=TORCH)
