"""Installing what the engine needs, inside a click of the user and never elsewhere."""

from __future__ import annotations

import importlib
import importlib.util
import subprocess
from typing import Any

from KPrismLogic.readiness import TORCH, missing_packages


def install_missing() -> str:
    """Install what is missing, with Slicer's own dialogs and progress.

    Returns:
        "" when everything is there now, otherwise one sentence on what to do.
    """
    missing = missing_packages()
    light = [requirement for requirement in missing if not requirement.startswith("torch")]
    try:
        if light:
            _install(light)
        if len(light) < len(missing) and not _install_torch():
            return "PyTorch is missing: install the extension PyTorch in the Extensions Manager, restart, try again."
    except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
        return f"The installation failed ({error}); check the network and try again."
    importlib.invalidate_caches()
    return "" if not missing_packages() else "The installation was not finished; press Install to try again."


def _has_packaging() -> bool:
    """Slicer 5.12 brings ``slicer.packaging``; before, ``slicer.util`` installs."""
    return importlib.util.find_spec("slicer.packaging") is not None


def _install(requirements: list[str]) -> None:
    if _has_packaging():
        import slicer.packaging

        slicer.packaging.pip_ensure(requirements, requester="K-Prism")
    else:
        with slicer.util.WaitCursor():
            slicer.util.pip_install(requirements)


def _install_torch() -> bool:
    """Let the PyTorch extension choose the build for this computer; False when the extension is not there."""
    if importlib.util.find_spec("PyTorchUtils") is None:
        return False
    utilities: Any = importlib.import_module("PyTorchUtils")
    logic = utilities.PyTorchUtilsLogic()
    return logic.installTorch(askConfirmation=True, torchVersionRequirement=TORCH) is not None
