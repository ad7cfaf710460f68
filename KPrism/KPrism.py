"""K-Prism for 3D Slicer: what Slicer loads at start-up, so nothing here imports more than Slicer has loaded anyway.

In the Python console:

    import KPrism
    logic = KPrism.KPrismLogic()
    logic.segmentSlice(volumeNode, segmentationNode, "Liver", plane="axial", offset=-120.0, cls="liver")

``help(KPrism.KPrismLogic)`` has the rest. The Segment Editor's effect is ``SegmentEditorKPrism/KPrismEffect.py``.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import slicer
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)

_HELP = """K-Prism segments the shown slice by class, by example and by click, as an effect of the Segment Editor.
<p><b>Two minutes</b><ol>
<li>Load a volume, for example <i>CTACardio</i> of Sample Data.</li>
<li>Open the <i>Segment Editor</i>, add a segment, choose the effect <i>K-Prism</i>.</li>
<li>Click the structure in a slice view. Ctrl+click (Cmd on a Mac) what does not belong to it.</li>
<li>Or choose <i>Class</i>, type a part of a name, and the slice is segmented at once; clicks refine it.</li>
<li>In a good slice choose <i>Reference</i> and <i>Add shown slice</i>; scroll, press <i>Segment shown slice</i>.</li>
<li>Undo takes back clicks with their masks. Masking and overwrite rules hold as for Paint.</li>
</ol>For research use only; not a medical device."""


class KPrism(ScriptedLoadableModule):
    """The module."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "K-Prism"
        parent.categories = ["Segmentation"]
        parent.dependencies = ["Segmentations"]
        parent.contributors = ["K-Prism contributors"]
        parent.helpText = _HELP
        parent.acknowledgementText = "After Guo et al., K-Prism, ICLR 2026; an independent implementation."
        slicer.app.connect("startupCompleted()", registerEffect)
        slicer.app.connect("startupCompleted()", registerSampleData)


class KPrismWidget(ScriptedLoadableModuleWidget):
    """The module panel; its content is ``KPrismDesktop.module_panel``."""

    def __init__(self, parent: Any = None) -> None:
        self.logic: Any = None
        self.panel: Any = None
        ScriptedLoadableModuleWidget.__init__(self, parent)  # Sets up at once when there is no parent.

    def setup(self) -> None:
        """Build the panel; works with nothing installed."""
        ScriptedLoadableModuleWidget.setup(self)
        if not _is_slicer_new_enough():
            import qt

            label = qt.QLabel()
            label.setText("K-Prism needs 3D Slicer 5.10 or later.")
            self.layout.addWidget(label)
            return
        registerEffect()
        from KPrismDesktop.module_panel import ModulePanel
        from KPrismLogic.logic import KPrismLogic

        self.logic = KPrismLogic()
        self.panel = ModulePanel(self.resourcePath("UI/KPrism.ui"), self.logic)
        self.layout.addWidget(self.panel.widget)

    def enter(self) -> None:
        """The panel is shown."""
        if self.panel is not None:
            self.panel.enter()

    def exit(self) -> None:
        """Another module is shown."""
        if self.panel is not None:
            self.panel.exit()

    def cleanup(self) -> None:
        """The panel is deleted, at the end or before a reload."""
        if self.panel is not None:
            self.panel.close()
            self.panel = None


class KPrismTest(ScriptedLoadableModuleTest):
    """The self-test of the module, in real Slicer; the tests are in ``Testing/``."""

    def runTest(self) -> None:
        """Segment a slice of a synthetic volume through the console's logic and the effect.

        Skipped where PyTorch or another package is not installed yet, as on the machines that build extensions.
        """
        from KPrismDesktop.self_test import run
        from KPrismLogic.readiness import missing_packages

        if missing := missing_packages():
            self.skipTest(f"Python packages are missing ({', '.join(missing)}); press Install in the module first.")
        run()


def registerEffect() -> None:
    """Make the effect known to segment editors, once; not to those of a Slicer that is too old for it."""
    if not _is_slicer_new_enough():
        return
    _make_importable()
    if hasattr(slicer, "SegmentEditorKPrism"):
        return  # Slicer keeps the registered effect under that name.
    import qSlicerSegmentationsEditorEffectsPythonQt as effects

    # Imported first, so that the effect is a part of its package; see there.
    import SegmentEditorKPrism

    effect = effects.qSlicerSegmentEditorScriptedEffect(None)
    source = Path(SegmentEditorKPrism.__file__).with_name("KPrismEffect.py")
    effect.setPythonSource(source.as_posix())
    effect.self().register()


def registerSampleData() -> None:
    """Offer data to try K-Prism with, under its own heading of the Sample Data module."""
    if not _is_slicer_new_enough():
        return
    _make_importable()
    from KPrismDesktop.sample_data import register

    register()


def _is_slicer_new_enough() -> bool:
    """Slicer before 5.10 has another segment editor, and a Python that cannot read the rest of K-Prism."""
    return hasattr(slicer, "vtkSlicerSegmentEditorLogic")


def _make_importable() -> None:
    """From a source checkout, this folder and the engine beside it; installed, both are importable already."""
    folder = str(Path(__file__).resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    from KPrismLogic.engine_location import make_engine_importable

    make_engine_importable()


def __getattr__(name: str) -> Any:
    """``KPrismLogic``, imported when it is first asked for."""
    if name == "KPrismLogic":
        _make_importable()
        from KPrismLogic.logic import KPrismLogic

        return KPrismLogic
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
