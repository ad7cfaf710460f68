"""The options of the effect: what guides the segment, and one line that says how things are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

import qt

from KPrismDesktop.option_rows import OptionRows, side_by_side
from KPrismDesktop.propagation_options import PropagationListener, PropagationOptions

#: Values of the effect's "Guide" parameter, with their titles.
GUIDES = {"clicks": "Clicks", "class": "Class", "reference": "Reference"}


class OptionsListener(PropagationListener, Protocol):
    """What the options tell the effect."""

    def onGuideChosen(self, guide: str) -> None:
        """A kind of guide was chosen, one of :data:`GUIDES`."""

    def onClassChosen(self, class_name: str) -> None:
        """A class was chosen; it is to be shown in the slice at once."""

    def onNameSegment(self) -> None:
        """The class's name, colour and terminology are wanted for the segment."""

    def onAddReference(self) -> None:
        """The shown slice is to become a reference."""

    def onFindReferences(self) -> None:
        """References are to be found in other volumes."""

    def onRemoveReference(self, index: int) -> None:
        """The reference in a place, counted from 0, is not wanted any more; -1 where none is selected."""

    def onSegmentShownSlice(self) -> None:
        """Class or references are to segment the shown slice."""

    def onInstall(self) -> None:
        """Missing packages are to be installed."""

    def onErasingChanged(self, erasing: bool) -> None:
        """Plain clicks remove, or add again."""


class EffectOptions(OptionRows):
    """The widgets in the effect's options frame.

    Args:
        effect: the scripted effect.
        listener: what is told.

    Attributes:
        propagation: the part for whole volumes.
    """

    def __init__(self, effect: Any, listener: OptionsListener) -> None:
        super().__init__()
        self._listener = listener
        self._guides: dict[str, Any] = {}
        row = qt.QHBoxLayout()
        for guide, title in GUIDES.items():
            button = qt.QRadioButton(title)
            button.objectName = f"KPrismGuide{title}"
            self._connect(button, "clicked()", self._choose(guide))
            row.addWidget(button)
            self._guides[guide] = button
        effect.addLabeledOptionsWidget("Guide:", row)

        self.classes = qt.QComboBox()
        self.classes.objectName = "KPrismClass"
        self.classes.setEditable(True)
        self.classes.setInsertPolicy(qt.QComboBox.NoInsert)
        self.classes.setMinimumContentsLength(8)
        self.classes.setSizeAdjustPolicy(qt.QComboBox.AdjustToMinimumContentsLengthWithIcon)
        self.classes.completer().setFilterMode(qt.Qt.MatchContains)
        self.classes.completer().setCompletionMode(qt.QCompleter.PopupCompletion)
        self.classes.setToolTip("Type a part of the name. Choosing a class segments the shown slice.")
        self._connect(self.classes, "activated(int)", self._on_class_activated)
        self.name_segment = qt.QPushButton("Name segment")
        self.name_segment.objectName = "KPrismNameSegment"
        self.name_segment.setToolTip("Give the segment the name, colour and terminology of the class.")
        self._connect(self.name_segment, "clicked()", listener.onNameSegment)
        self._class_row = side_by_side(self.classes, self.name_segment)
        effect.addOptionsWidget(self._class_row)

        self.references = qt.QListWidget()
        self.references.objectName = "KPrismReferences"
        self.references.setViewMode(qt.QListWidget.IconMode)
        self.references.setFlow(qt.QListWidget.LeftToRight)
        self.references.setWrapping(False)
        self.references.setMovement(qt.QListWidget.Static)
        self.references.setIconSize(qt.QSize(56, 56))
        self.references.setFixedHeight(84)
        self.add_reference = qt.QPushButton("Add shown slice")
        self.add_reference.objectName = "KPrismAddReference"
        self.add_reference.setToolTip("Take this slice with the selected segment as an example; up to nine.")
        self._connect(self.add_reference, "clicked()", listener.onAddReference)
        self.find_references = qt.QPushButton("Find")
        self.find_references.objectName = "KPrismFindReferences"
        self.find_references.setToolTip(
            "Take the slices that suit this one best from the scene's other volumes in which a segment of the same "
            "name is drawn, in place of those that were found before."
        )
        self._connect(self.find_references, "clicked()", listener.onFindReferences)
        self.remove_reference = qt.QPushButton("Remove")
        self.remove_reference.objectName = "KPrismRemoveReference"
        self._connect(self.remove_reference, "clicked()", self._on_remove)
        self._reference_row = side_by_side(self.add_reference, self.find_references, self.remove_reference)
        effect.addOptionsWidget(self.references)
        effect.addOptionsWidget(self._reference_row)

        self.segment_slice = qt.QPushButton("Segment shown slice")
        self.segment_slice.objectName = "KPrismSegmentSlice"
        self._connect(self.segment_slice, "clicked()", listener.onSegmentShownSlice)
        effect.addOptionsWidget(self.segment_slice)

        self.erasing = qt.QCheckBox("Plain clicks remove")
        self.erasing.objectName = "KPrismErasing"
        self.erasing.setToolTip("For pens and tablets; with a mouse, hold Ctrl (Cmd on a Mac) to remove.")
        self._connect(self.erasing, "toggled(bool)", listener.onErasingChanged)
        effect.addOptionsWidget(self.erasing)

        self.propagation = PropagationOptions(effect, listener)

        self.status = qt.QLabel()
        self.status.objectName = "KPrismStatus"
        self.status.setWordWrap(True)
        effect.addOptionsWidget(self.status)
        self.install = qt.QPushButton("Install")
        self.install.objectName = "KPrismInstall"
        self.install.setToolTip("Download and install the Python packages that are missing.")
        self._connect(self.install, "clicked()", listener.onInstall)
        effect.addOptionsWidget(self.install)

    def show_state(self, guide: str, class_name: str, erasing: bool) -> None:
        """Follow the parameters; tells the listener nothing."""
        for name, button in self._guides.items():
            button.setChecked(name == guide)
        self._class_row.setVisible(guide == "class")
        for widget in (self.references, self._reference_row):
            widget.setVisible(guide == "reference")
        self.segment_slice.setVisible(guide != "clicks")
        blocked = self.classes.blockSignals(True)
        self.classes.setCurrentIndex(self.classes.findText(class_name))
        self.classes.blockSignals(blocked)
        blocked = self.erasing.blockSignals(True)
        self.erasing.setChecked(erasing)
        self.erasing.blockSignals(blocked)

    def show_classes(self, names: Sequence[str]) -> None:
        """Fill the list of classes; tells the listener nothing."""
        if [self.classes.itemText(index) for index in range(self.classes.count)] == list(names):
            return
        blocked = self.classes.blockSignals(True)
        self.classes.clear()
        self.classes.addItems(list(names))
        self.classes.setCurrentIndex(-1)
        self.classes.blockSignals(blocked)

    def show_references(self, pictures: Sequence[tuple[Any, str]]) -> None:
        """Show references: icon and title of each; the selected place, or the last one, stays selected."""
        selected = self.references.currentRow
        self.references.clear()
        for number, (icon, title) in enumerate(pictures, 1):
            # Made by the list: an item made here goes with its Python object in older versions of PythonQt.
            self.references.addItem(str(number))
            item = self.references.item(number - 1)
            item.setIcon(icon)
            item.setToolTip(title)
        self.references.setCurrentRow(min(selected, len(pictures) - 1))

    def show_status(self, sentence: str, installable: bool) -> None:
        """Say how things are."""
        self.status.setText(sentence)
        self.install.setVisible(installable)

    def close(self) -> None:
        """Tell the listener nothing any more."""
        super().close()
        self.propagation.close()

    def _choose(self, guide: str) -> Callable[[], None]:
        return lambda: self._listener.onGuideChosen(guide)

    def _on_class_activated(self, index: int) -> None:
        if index >= 0:
            self._listener.onClassChosen(self.classes.itemText(index))

    def _on_remove(self) -> None:
        self._listener.onRemoveReference(self.references.currentRow)
