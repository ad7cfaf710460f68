"""Scanning, registering and opening the module, with nothing installed and without a window."""

import subprocess
import sys
import textwrap
import threading
import types
import unittest
from pathlib import Path

import numpy as np
import pytest
import slicer

from KPrismLogic.model import shared_model
from Testing.slicer.desktop.strict_effect import settle
from Testing.slicer.desktop.strict_qt import Strict
from Testing.slicer.scenes import body, segment_array

FOLDER = Path(__file__).resolve().parents[3] / "KPrism"


def test_scanning_is_quick_and_imports_nothing_heavy(tmp_path):
    """In a process of its own, with what Slicer has loaded before it scans modules."""
    code = f"""
        import sys, time, types
        slicer = types.ModuleType("slicer")
        slicer.app = types.SimpleNamespace(connect=lambda *_: None)
        base = types.ModuleType("slicer.ScriptedLoadableModule")
        for name in ("ScriptedLoadableModule", "ScriptedLoadableModuleTest", "ScriptedLoadableModuleWidget"):
            setattr(base, name, type(name, (), {{"__init__": lambda self, parent: None}}))
        sys.modules.update({{"slicer": slicer, "slicer.ScriptedLoadableModule": base}})
        sys.path.append({str(FOLDER)!r})
        import pathlib, typing
        start = time.process_time()
        import KPrism
        KPrism.KPrism(types.SimpleNamespace())
        took = time.process_time() - start
        heavy = {{"torch", "numpy", "scipy", "skimage", "qt", "vtk", "KPrismLib", "KPrismLogic"}} & set(sys.modules)
        assert not heavy, heavy
        assert took < 0.05, took
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd=tmp_path, timeout=60
    )
    assert run.returncode == 0, run.stderr


def test_panel_and_effect_are_built_with_nothing_installed(tmp_path):
    """Nothing that Slicer does not bring is imported before somebody asks for a mask."""
    code = f"""
        import sys
        sys.path[:0] = [{str(FOLDER.parent)!r}]
        sys.path.append({str(FOLDER)!r})

        class Missing:
            names = {{"torch", "scipy", "skimage", "safetensors", "nibabel", "PIL"}}

            def find_spec(self, name, path=None, target=None):
                if name.split(".")[0] in self.names:
                    raise ModuleNotFoundError(f"No module named {{name}}", name=name)

        sys.meta_path.insert(0, Missing())
        from Testing.slicer.desktop.built_without_packages import build
        build()
        assert not Missing.names & set(sys.modules)
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert run.returncode == 0, run.stderr


def test_start_up_registers_the_effect_once_and_the_sample_data(module, monkeypatch):
    registered, sources, samples = [], [], []

    class Effect:
        def __init__(self, _):
            pass

        def setPythonSource(self, source):
            sources.append(source)
            slicer.SegmentEditorKPrism = self

        def self(self):
            return types.SimpleNamespace(register=lambda: registered.append(1))

    effects = types.SimpleNamespace(qSlicerSegmentEditorScriptedEffect=Effect)
    monkeypatch.setitem(sys.modules, "qSlicerSegmentationsEditorEffectsPythonQt", effects)
    sample_data = types.SimpleNamespace(
        SampleDataLogic=types.SimpleNamespace(
            registerCustomSampleDataSource=lambda **given: samples.append(given),
        )
    )
    monkeypatch.setitem(sys.modules, "SampleData", sample_data)
    module.KPrism.KPrism(types.SimpleNamespace())
    try:
        for slot in module.app.slots * 2:
            slot()
        assert registered == [1]
        assert sources == [(FOLDER / "SegmentEditorKPrism" / "KPrismEffect.py").as_posix()]
        assert "SegmentEditorKPrism" in sys.modules
        assert len(samples) == 4
        assert all(one["checksums"].endswith(one["uris"].rsplit("/", 1)[1]) for one in samples)
    finally:
        del slicer.SegmentEditorKPrism


def test_a_slicer_that_is_too_old_is_told_so_and_nothing_else_is_loaded(module, monkeypatch):
    monkeypatch.delattr(slicer, "vtkSlicerSegmentEditorLogic")
    monkeypatch.setattr(module.KPrism, "_make_importable", lambda: pytest.fail("read what its Python cannot"))
    module.KPrism.registerEffect()
    module.KPrism.registerSampleData()
    widget = module.KPrism.KPrismWidget()
    (label,) = [one for one in Strict.made if type(one).__name__ == "QLabel"]
    assert label.text == "K-Prism needs 3D Slicer 5.10 or later."
    widget.enter()
    widget.exit()
    widget.cleanup()


def test_console_example(module):
    assert module.KPrism.KPrismLogic().model is shared_model()
    with pytest.raises(AttributeError):
        _ = module.KPrism.NoSuchThing


def test_panel_segments_the_slice_by_class(panel):
    panel.ui.classBox.clear()
    panel.ui.classBox.addItems(["liver", "spleen"])
    panel.ui.classBox.setCurrentIndex(1)
    panel.ui.planeBox.setCurrentIndex(0)
    panel.ui.segmentButton.click()
    settle()
    found = segment_array(panel.bench.editor, panel.bench.segmentation, "Liver")
    middle = body().shape[0] // 2
    assert np.array_equal(found[middle], body()[middle] == 200)
    assert panel.ui.statusLabel.text.startswith("Done")
    panel.widget.exit()
    panel.widget.enter()
    panel.widget.cleanup()


def test_panel_says_what_to_do_first(panel):
    panel.ui.propagateButton.click()
    assert "nothing of Liver" in panel.ui.statusLabel.text
    panel.ui.classBox.clear()
    panel.ui.segmentButton.click()
    assert panel.ui.statusLabel.text == "Choose a class first."
    panel.ui.segmentEdit.setText("Unknown")
    panel.ui.propagateButton.click()
    assert "has no segment Unknown" in panel.ui.statusLabel.text
    panel.ui.segmentEdit.setText("")
    panel.ui.propagateButton.click()
    assert "name a segment" in panel.ui.statusLabel.text
    assert not panel.bench.array().any()
    panel.widget.cleanup()


def test_panel_loads_beside_the_main_thread_and_says_what_went_wrong(panel, monkeypatch):
    from KPrismLib.errors import InvalidWeights

    model, gate = shared_model(), threading.Event()
    flood = model.predictor()
    panel.ui.unloadButton.click()
    assert "not loaded" in panel.ui.modelLabel.text
    threads = []

    def load(*_, **__):
        threads.append(threading.current_thread())
        assert gate.wait(20)
        return flood

    monkeypatch.setattr("KPrismLib.predictor.Predictor.load", load)
    panel.ui.loadButton.click()
    assert "Loading" in panel.ui.modelLabel.text
    gate.set()
    settle()
    assert model.loaded
    assert threads[0] is not threading.main_thread()
    assert "slices in memory" in panel.ui.modelLabel.text
    panel.ui.unloadButton.click()

    def damaged(*_, **__):
        raise InvalidWeights("The file is damaged; get it again.")

    monkeypatch.setattr("KPrismLib.predictor.Predictor.load", damaged)
    panel.ui.loadButton.click()
    settle()
    assert panel.ui.modelLabel.text == "The file is damaged; get it again."
    panel.widget.cleanup()


def test_choices_are_remembered_for_the_next_session(panel, module):
    panel.ui.keptBox.setValue(7)
    panel.ui.keptBox.fire("valueChanged(int)", 7)
    assert panel.widget.logic.engine.capacity == 7
    import qt

    assert qt.QSettings().value("KPrism/KeptSlices") == "7"
    panel.widget.cleanup()


def test_panel_follows_the_scene_again_after_it_was_closed(panel, scene):
    link = panel.widget.panel._scene
    before = link._parameters
    scene.Clear(False)
    assert link._parameters is not None
    assert link._parameters is not before
    panel.widget.exit()
    scene.Clear(False)
    assert link._parameters is None
    panel.widget.cleanup()


def test_panel_says_what_is_missing(panel, monkeypatch):
    shared_model().unload()
    monkeypatch.setattr("KPrismLogic.readiness.find_spec", lambda name: None)
    panel.widget.enter()
    assert "press Install" in panel.ui.modelLabel.text
    assert panel.ui.installButton.visible
    panel.widget.cleanup()


def test_the_self_test_is_skipped_where_packages_are_missing(module, monkeypatch):
    ran = []
    monkeypatch.setattr("KPrismDesktop.self_test.run", lambda: ran.append("run"))
    module.KPrism.KPrismTest().runTest()
    assert ran == ["run"]
    monkeypatch.setattr("KPrismLogic.readiness.find_spec", lambda name: None)
    with pytest.raises(unittest.SkipTest, match=r"scipy.*torch.*press Install"):
        module.KPrism.KPrismTest().runTest()
    assert ran == ["run"]


def test_names_in_the_interface_file_are_those_that_the_parameters_have(panel, module):
    from KPrismDesktop.panel_parameters import PanelParameters

    assert set(module.interfaces[0].parameters.values()) == set(PanelParameters.__mro__[1].__annotations__)
