"""An editor with the effect, and the module's panel, over real nodes and the real editor logic."""

from __future__ import annotations

import gc
import sys
import threading
import types
from collections.abc import Iterator

import pytest
import slicer

from KPrismLogic.model import shared_model
from Testing.slicer.desktop import strict_module
from Testing.slicer.desktop.strict_effect import AbstractEffect, Desktop, modules
from Testing.slicer.desktop.strict_qt import Strict, strict_class
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.scenes import Bench, body, geometry, segmentation_node, volume_node


@pytest.fixture(autouse=True)
def _collector_released() -> Iterator[None]:
    """Whoever held Python's cycle collector has let go of it."""
    yield
    released = gc.isenabled()
    gc.enable()
    assert released


@pytest.fixture
def desktop(scene, monkeypatch):
    made = {}
    for name, module in modules(lambda: made["desktop"]).items():
        monkeypatch.setitem(sys.modules, name, module)
    for name in [one for one in sys.modules if one.split(".")[0] in ("KPrismDesktop", "SegmentEditorKPrism")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(slicer, "qSlicerSegmentEditorAbstractEffect", AbstractEffect, raising=False)
    Strict.made.clear()
    volume = volume_node(scene, body(), geometry("anisotropic"))
    bench = Bench.make(scene, volume, segmentation_node(scene, volume))
    desktop = made["desktop"] = Desktop(scene, bench.parameters)
    desktop.bench = bench
    for name, normal, right in (("Red", (0, 0, 1), (-1, 0, 0)), ("Yellow", (1, 0, 0), (0, -1, 0))):
        node = desktop.views[name].mrmlSliceNode()
        node.SetFieldOfView(40, 40, 1)
        node.SetDimensions(200, 200, 1)
        node.SetMappedInLayout(True)
        node.SetSliceToRASByNTP(*normal, *right, *bench.ras(6, 6, 7), 0)
    monkeypatch.setattr(
        slicer,
        "app",
        types.SimpleNamespace(
            layoutManager=lambda: types.SimpleNamespace(
                # Slicer lists the views of all layouts, in no order.
                sliceViewNames=lambda: ("Yellow", "Red"),
                sliceWidget=lambda name: desktop.views[name],
            )
        ),
        raising=False,
    )
    shared_model().use(FloodPredictor())
    yield desktop
    if desktop.active is not None:
        desktop.deactivate(desktop.active)
    shared_model().unload()
    for name in [one for one in sys.modules if one.split(".")[0] in ("KPrismDesktop", "SegmentEditorKPrism")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.fixture
def effect(desktop):
    effect = desktop.start_up()
    desktop.activate(effect)
    return effect


@pytest.fixture
def module(scene, monkeypatch):
    for name, one in modules(lambda: None).items():
        monkeypatch.setitem(sys.modules, name, one)
    for name in [one for one in sys.modules if one.split(".")[0] in ("KPrism", "KPrismDesktop", "SegmentEditorKPrism")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(slicer, "qSlicerSegmentEditorAbstractEffect", AbstractEffect, raising=False)
    app = strict_module.App()
    interfaces = strict_module.install(monkeypatch, app)
    Strict.made.clear()
    strict_class("QSettings").stored.clear()
    import KPrism

    yield types.SimpleNamespace(KPrism=KPrism, app=app, interfaces=interfaces)
    shared_model().unload()


@pytest.fixture
def panel(module, scene, monkeypatch, flood_propagation):
    monkeypatch.setattr(slicer, "SegmentEditorKPrism", object(), raising=False)
    volume = volume_node(scene, body(), geometry("identity"))
    bench = Bench.make(scene, volume, segmentation_node(scene, volume))
    shared_model().use(FloodPredictor())
    red = slicer.vtkMRMLSliceNode()
    red.SetLayoutName("Red")
    red.SetName("Red")
    red = scene.AddNode(red)  # or the one of an earlier scene, which knows no layout any more
    red.SetMappedInLayout(True)
    red.SetSliceToRASByNTP(0, 0, 1, -1, 0, 0, *bench.ras(7, 6, 7), 0)
    hidden = slicer.vtkMRMLSliceNode()  # of another layout
    hidden.SetLayoutName("Compare1")
    hidden = scene.AddNode(hidden)
    hidden.SetSliceToRASByNTP(0, 0, 1, -1, 0, 0, *bench.ras(2, 6, 7), 0)
    views = {
        name: types.SimpleNamespace(mrmlSliceNode=lambda node=node: node)
        for name, node in (("Compare1", hidden), ("Red", red))
    }
    module.app.layout = types.SimpleNamespace(sliceViewNames=lambda: tuple(views), sliceWidget=views.__getitem__)
    widget = module.KPrism.KPrismWidget()
    ui = types.SimpleNamespace(**module.interfaces[0].by_name)
    for selector, node in ((ui.volumeSelector, volume), (ui.segmentationSelector, bench.segmentation)):
        object.__setattr__(selector, "_node", node)
        type(selector).currentNode = lambda self: self._node
    ui.volumeSelector.fire("currentNodeChanged(vtkMRMLNode*)", volume)
    ui.segmentEdit.setText("Liver")
    return types.SimpleNamespace(widget=widget, ui=ui, bench=bench, red=red)


@pytest.fixture
def two(panel):
    """A panel whose model knows two classes."""
    panel.ui.classBox.clear()
    panel.ui.classBox.addItems(["liver", "spleen"])
    panel.ui.besidesList.clear()
    for name in ("liver", "spleen"):
        panel.ui.besidesList.addItem(name)
    yield panel
    panel.widget.cleanup()


@pytest.fixture
def gate():
    """Holds the model at its first prediction until it is opened."""

    class Gate:
        def __init__(self):
            self.reached, self._open = threading.Event(), threading.Event()

        def close(self):
            def hold():
                self.reached.set()
                assert self._open.wait(20)

            shared_model().predictor().before_prediction = hold

        def open(self):
            shared_model().predictor().before_prediction = None
            self._open.set()

    gate = Gate()
    yield gate
    gate._open.set()
