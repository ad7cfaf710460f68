"""What the user chose about the model, remembered by the application."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import qt

if TYPE_CHECKING:
    from KPrismLogic.slice_engine import SliceEngine

DEVICES = ("auto", "cpu", "cuda", "mps")

_MODEL, _DEVICE, _KEPT = "KPrism/Model", "KPrism/Device", "KPrism/KeptSlices"


@functools.cache
def restore(engine: SliceEngine) -> None:
    """Choose what was chosen in the last session of Slicer, once; a model that is loaded already stays."""
    settings = qt.QSettings()
    if not engine.model.loaded:
        device = str(settings.value(_DEVICE, "auto"))
        name = str(settings.value(_MODEL, engine.model.name)) or engine.model.name
        engine.model.choose(name, device if device in DEVICES else "auto")
    kept = str(settings.value(_KEPT, engine.capacity))
    if kept.isdigit() and int(kept) > 0:
        engine.capacity = int(kept)


def remember_model(name: str) -> None:
    """Keep the chosen model; the other choices stay as they are, chosen or not."""
    settings = qt.QSettings()
    settings.setValue(_MODEL, name)


def remember_device(device: str) -> None:
    """Keep the chosen device."""
    settings = qt.QSettings()
    settings.setValue(_DEVICE, device)


def remember_kept(kept: int) -> None:
    """Keep how many slices are to stay in memory."""
    settings = qt.QSettings()
    settings.setValue(_KEPT, kept)
