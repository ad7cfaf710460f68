"""An editor with the effect, over real nodes and the real editor logic."""

from __future__ import annotations

import sys
import types

import pytest
import slicer

from KPrismLogic.model import shared_model
from Testing.slicer.desktop.strict_effect import AbstractEffect, Desktop, modules
from Testing.slicer.desktop.strict_qt import Strict
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.scenes import Bench, body, geometry, segmentation_node, volume_node


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
        node.SetSliceToRASByNTP(*normal, *right, *bench.ras(6, 6, 7), 0)
    monkeypatch.setattr(
        slicer,
        "app",
        types.SimpleNamespace(
            layoutManager=lambda: types.SimpleNamespace(
                sliceViewNames=lambda: ("Red", "Yellow"), sliceWidget=lambda name: desktop.views[name]
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
