"""Choosing, loading and unloading the model, and installing what it needs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from KPrismDesktop.model_settings import DEVICES, remember_device, remember_kept, remember_model, restore
from KPrismDesktop.qt_pump import QtPump
from KPrismLib.errors import KPrismError
from KPrismLogic.readiness import is_installable, what_is_missing
from KPrismLogic.runner import ThreadRunner

if TYPE_CHECKING:
    from concurrent.futures import Future

    from KPrismLogic.slice_engine import SliceEngine


class ModelSection:
    """The upper part of the panel.

    Args:
        ui: the panel's widgets by name.
        engine: whose model is chosen, and how many slices it keeps.
        changed: called when another model was chosen.
    """

    def __init__(self, ui: Any, engine: SliceEngine, changed: Callable[[], None]) -> None:
        self._ui, self._engine, self._model, self._changed = ui, engine, engine.model, changed
        self._runner = ThreadRunner(QtPump())
        self._failure = ""
        restore(engine)
        ui.deviceBox.addItems(list(DEVICES))
        self.show_choices()
        ui.deviceBox.connect("activated(int)", self._on_device)
        ui.modelEdit.connect("editingFinished()", self._on_model)
        ui.keptBox.connect("valueChanged(int)", self._on_kept)
        ui.loadButton.connect("clicked()", self._on_load)
        ui.unloadButton.connect("clicked()", self._on_unload)
        ui.installButton.connect("clicked()", self._on_install)

    def missing(self) -> str:
        """What is missing before the model can run; "" for nothing."""
        return "" if self._model.loaded else what_is_missing(self._model.name)

    def show_choices(self) -> None:
        """Show what is chosen, here or elsewhere; chooses nothing."""
        chosen = self._model.chosen_device
        self._ui.deviceBox.setCurrentText(chosen if chosen in DEVICES else "auto")
        self._ui.modelEdit.setText(self._model.name)
        blocked = self._ui.keptBox.blockSignals(True)
        self._ui.keptBox.setValue(self._engine.capacity)
        self._ui.keptBox.blockSignals(blocked)

    def show(self) -> None:
        """Show how things are."""
        missing, loaded, loading = self.missing(), self._model.loaded, self._runner.busy or self._model.loading
        title = Path(self._model.name).stem
        if loaded:
            memory = f"{self._model.megabytes:.0f} MB, {self._engine.kept} slices in memory"
            state = f"{title} on {self._model.device}: {memory}"
        else:
            state = f"Loading {title} …" if loading else f"{title}: not loaded"
        self._ui.modelLabel.setText(missing or self._failure or state)
        self._ui.installButton.setVisible(is_installable())
        self._ui.loadButton.setEnabled(not (missing or loaded or loading))
        self._ui.unloadButton.setEnabled(loaded)

    def close(self) -> None:
        """Wait for nothing any more."""
        self._runner.close()

    # Each widget chooses for itself alone: what the others show may be neither chosen by the user nor up to date.

    def _on_device(self, *_: Any) -> None:
        device = str(self._ui.deviceBox.currentText)
        self._model.choose(self._model.name, device)
        remember_device(device)
        self._failure = ""
        self.show()

    def _on_model(self) -> None:
        name = self._ui.modelEdit.text.strip() or "small"
        # The field tells of its end of editing whenever it loses the focus.
        if name != self._model.name:
            self._model.choose(name, self._model.chosen_device)
            remember_model(name)
            self._failure = ""
            self._changed()
        self.show()

    def _on_kept(self, *_: Any) -> None:
        kept = int(self._ui.keptBox.value)
        self._engine.capacity = kept
        remember_kept(kept)
        self.show()

    def _on_load(self) -> None:
        self._failure = ""
        self._runner.submit(self._model.predictor, self._on_loaded)
        self.show()

    def _on_loaded(self, done: Future[Any]) -> None:
        error = done.exception()
        if isinstance(error, (KPrismError, ImportError)):
            self._failure = str(error)
        self.show()
        if error is not None and not self._failure:
            raise error  # A defect: the log gets the whole story.

    def _on_unload(self) -> None:
        self._model.unload()
        self.show()

    def _on_install(self) -> None:
        from KPrismDesktop.installation import install_missing

        self._failure = install_missing(self.show)
        self.show()
        if self._failure:
            self._ui.modelLabel.setText(self._failure)
