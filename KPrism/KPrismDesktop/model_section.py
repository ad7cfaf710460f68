"""Choosing, loading and unloading the model, and installing what it needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import qt
import slicer
from KPrismLogic.readiness import missing_packages, what_is_missing

from KPrismLib.errors import KPrismError

if TYPE_CHECKING:
    from KPrismLogic.logic import KPrismLogic

_DEVICES = ("auto", "cpu", "cuda", "mps")
_SETTINGS = {"model": "KPrism/Model", "device": "KPrism/Device"}


class ModelSection:
    """The upper part of the panel.

    Args:
        ui: the panel's widgets by name.
        logic: whose model is chosen.
        changed: called when another model was chosen.
    """

    def __init__(self, ui: Any, logic: KPrismLogic, changed: Callable[[], None]) -> None:
        self._ui, self._model, self._changed = ui, logic.model, changed
        settings = qt.QSettings()
        name = str(settings.value(_SETTINGS["model"], self._model.name))
        device = str(settings.value(_SETTINGS["device"], "auto"))
        ui.deviceBox.addItems(list(_DEVICES))
        ui.deviceBox.setCurrentText(device if device in _DEVICES else "auto")
        ui.modelEdit.setText(name)
        if not self._model.loaded:
            self._model.choose(name, ui.deviceBox.currentText)
        ui.deviceBox.connect("activated(int)", lambda _: self._on_chosen())
        ui.modelEdit.connect("editingFinished()", self._on_chosen)
        ui.loadButton.connect("clicked()", self._on_load)
        ui.unloadButton.connect("clicked()", self._on_unload)
        ui.installButton.connect("clicked()", self._on_install)

    def missing(self) -> str:
        """What is missing before the model can run; "" for nothing."""
        return "" if self._model.loaded else what_is_missing(self._model.name)

    def show(self) -> None:
        """Show how things are."""
        missing, loaded = self.missing(), self._model.loaded
        title = Path(self._model.name).stem
        memory = (
            f"{title} on {self._model.device}, {self._model.megabytes:.0f} MB" if loaded else f"{title}, not loaded"
        )
        self._ui.modelLabel.setText(missing or f"{title}: {memory}")
        self._ui.installButton.setVisible(bool(missing_packages()))
        self._ui.loadButton.setEnabled(not missing and not loaded)
        self._ui.unloadButton.setEnabled(loaded)

    def _on_chosen(self) -> None:
        name, device = self._ui.modelEdit.text.strip() or "small", self._ui.deviceBox.currentText
        self._model.choose(name, device)
        settings = qt.QSettings()
        settings.setValue(_SETTINGS["model"], name)
        settings.setValue(_SETTINGS["device"], device)
        self._changed()
        self.show()

    def _on_load(self) -> None:
        try:
            with slicer.util.WaitCursor():
                self._model.predictor()
        except (KPrismError, ImportError) as error:
            self._ui.modelLabel.setText(str(error))
            return
        self.show()

    def _on_unload(self) -> None:
        self._model.unload()
        self.show()

    def _on_install(self) -> None:
        from KPrismDesktop.installation import install_missing

        sentence = install_missing()
        self.show()
        if sentence:
            self._ui.modelLabel.setText(sentence)
