"""The options of the effect for carrying a slice through the volume."""

from __future__ import annotations

from typing import Any, Protocol

import ctk
import qt

from KPrismDesktop.confidence_view import ConfidenceView
from KPrismDesktop.option_rows import OptionRows, side_by_side
from KPrismDesktop.run_progress import RunProgress
from KPrismDesktop.slice_range import SliceRange


class PropagationListener(Protocol):
    """What these options tell the effect."""

    def onPropagate(self) -> None:
        """The shown slice is to be carried through the range."""

    def onCancel(self) -> None:
        """The run is to end now."""


class PropagationOptions(OptionRows):
    """The widgets; nothing is possible at first.

    Args:
        effect: the scripted effect.
        listener: what is told.

    Attributes:
        range, keep, learn, propagate: the widget of the range, the check boxes, and the button.
        slices: what the range means.
        confidence: the strip, and the way to the least certain slice.
        progress: how far a run is.
    """

    def __init__(self, effect: Any, listener: PropagationListener) -> None:
        super().__init__()
        self.range = ctk.ctkRangeWidget()
        self.range.objectName = "KPrismRange"
        # Above the slider: beside it they would take half of the narrow frame.
        self.range.spinBoxAlignment = qt.Qt.AlignTop
        self.range.setToolTip("From which slice to which Propagate goes; slices outside stay as they are.")
        self.slices = SliceRange(self.range)
        effect.addLabeledOptionsWidget("Slices:", self.range)

        self.keep = qt.QCheckBox("Keep drawn slices")
        self.keep.objectName = "KPrismKeepDrawn"
        self.keep.checked = True
        self.keep.setToolTip(
            "Slices that hold the segment already stay as they are and are examples. Untick to have them found again; "
            "in oblique planes they always are."
        )
        effect.addOptionsWidget(self.keep)

        self.learn = qt.QCheckBox("Learn from the kept slices first")
        self.learn.objectName = "KPrismLearn"
        self.learn.checked = False
        self.learn.setToolTip(
            "Tune the model to this structure with the slices that are kept, before others are segmented: seconds on a "
            "GPU, up to half a minute without. Worth it where the model does not know the structure or the kind of "
            "image; the more slices are kept, the better."
        )
        effect.addOptionsWidget(self.learn)

        self.propagate = qt.QPushButton("Propagate")
        self.propagate.objectName = "KPrismPropagate"
        self.propagate.setToolTip(
            "Take what is segmented in the shown slice as example for its neighbours, both ways, until the structure "
            "ends. Slices that you clicked or changed are examples too, and stay."
        )
        self._connect(self.propagate, "clicked()", listener.onPropagate)
        least_certain = qt.QPushButton("Go to least certain")
        least_certain.objectName = "KPrismLeastCertain"
        least_certain.setToolTip("Show the slice to look at next. Correct it and propagate again: others follow.")
        effect.addOptionsWidget(side_by_side(self.propagate, least_certain))

        bar, cancel = qt.QProgressBar(), qt.QPushButton("Cancel")
        bar.objectName, cancel.objectName = "KPrismProgress", "KPrismCancel"
        self._connect(cancel, "clicked()", listener.onCancel)
        self.progress = RunProgress(bar, cancel)
        effect.addOptionsWidget(side_by_side(bar, cancel))

        strip = qt.QLabel()
        strip.objectName = "KPrismConfidence"
        strip.setToolTip(
            "How sure the model is, first slice to last: blue accepted, green sure, yellow halfway, red unsure, grey "
            "none."
        )
        self.confidence = ConfidenceView(strip, least_certain)
        self._connect(least_certain, "clicked()", self.confidence.go)
        effect.addOptionsWidget(strip)

        self.progress.show(False)
        self.confidence.show(None)
        self.show_plane("")

    def show_plane(self, plane: str) -> None:
        """Say of which plane the range and the button are; "" when there is nothing to propagate."""
        self.propagate.setText(f"Propagate ({plane})" if plane else "Propagate")
        self.allow(bool(plane))

    def allow(self, possible: bool) -> None:
        """Whether a run may be started."""
        self.range.setEnabled(possible)
        self.keep.setEnabled(possible)
        self.learn.setEnabled(possible)
        self.propagate.setEnabled(possible)
