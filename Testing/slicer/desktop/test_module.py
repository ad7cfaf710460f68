"""Scanning, registering and opening the module, with nothing installed and without a window."""

import subprocess
import sys
import textwrap
import threading
import types
from pathlib import Path

import numpy as np
import pytest
import slicer
from vtk.util.numpy_support import vtk_to_numpy

from KPrismLogic.model import shared_model
from Testing.slicer.desktop import strict_module
from Testing.slicer.desktop.strict_effect import AbstractEffect, modules, settle
from Testing.slicer.desktop.strict_qt import Strict, strict_class
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.scenes import Bench, body, fill, geometry, segment_array, segmentation_node, volume_node

LIVER = body() == 100

FOLDER = Path(__file__).resolve().parents[3] / "KPrism"


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


def test_console_example(module):
    assert module.KPrism.KPrismLogic().model is shared_model()
    with pytest.raises(AttributeError):
        _ = module.KPrism.NoSuchThing


@pytest.fixture
def panel(module, scene, monkeypatch, flood_propagation):
    monkeypatch.setattr(slicer, "SegmentEditorKPrism", object(), raising=False)
    volume = volume_node(scene, body(), geometry("identity"))
    bench = Bench.make(scene, volume, segmentation_node(scene, volume))
    shared_model().use(FloodPredictor())
    red = slicer.vtkMRMLSliceNode()
    red.SetLayoutName("Red")
    red.SetName("Red")
    red = scene.AddNode(red)
    red.SetSliceToRASByNTP(0, 0, 1, -1, 0, 0, *bench.ras(7, 6, 7), 0)
    view = types.SimpleNamespace(mrmlSliceNode=lambda: red)
    module.app.layout = types.SimpleNamespace(sliceViewNames=lambda: ("Red",), sliceWidget=lambda _: view)
    widget = module.KPrism.KPrismWidget()
    ui = types.SimpleNamespace(**module.interfaces[0].by_name)
    for selector, node in ((ui.volumeSelector, volume), (ui.segmentationSelector, bench.segmentation)):
        object.__setattr__(selector, "_node", node)
        type(selector).currentNode = lambda self: self._node
    ui.volumeSelector.fire("currentNodeChanged(vtkMRMLNode*)", volume)
    ui.segmentEdit.setText("Liver")
    return types.SimpleNamespace(widget=widget, ui=ui, bench=bench, red=red)


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


def _known(panel, *layers):
    """Draw the structure in some layers, and let a view show the first of them."""
    known = np.zeros(body().shape, bool)
    known[list(layers)] = LIVER[list(layers)]
    fill(panel.bench.editor, panel.bench.segmentation, "Liver", known)
    panel.red.SetSliceToRASByNTP(0, 0, 1, -1, 0, 0, *panel.bench.ras(layers[0], 6, 7), 0)
    panel.ui.planeBox.setCurrentIndex(0)
    return known


def test_panel_propagates_both_ways_over_a_range(panel):
    _known(panel, 7)
    heights = [float(panel.bench.ras(k, 0, 0)[2]) for k in (6, 9)]
    panel.ui.rangeWidget.setValues(*heights)
    nodes = panel.bench.volume.GetScene().GetNumberOfNodes()
    panel.ui.propagateButton.click()
    assert panel.ui.cancelButton.visible
    settle()
    found = panel.bench.array()
    assert np.array_equal(found[6:10], LIVER[6:10])
    assert found.sum() == found[6:10].sum()
    assert panel.ui.statusLabel.text == "Done: 3 slices written."
    assert not panel.ui.cancelButton.visible
    assert panel.bench.volume.GetScene().GetNumberOfNodes() <= nodes + 1
    panel.widget.cleanup()


def test_panel_cancels_a_propagation_and_takes_it_up_again(panel):
    _known(panel, 7)
    gate, reached = threading.Event(), threading.Event()

    def hold():
        reached.set()
        assert gate.wait(20)

    shared_model().predictor().before_prediction = hold
    panel.ui.propagateButton.click()
    assert reached.wait(20)
    panel.ui.cancelButton.click()
    assert panel.ui.statusLabel.text == "Stopped: 0 slices written."
    shared_model().predictor().before_prediction = None
    gate.set()
    settle()
    panel.ui.propagateButton.click()
    settle()
    assert np.array_equal(panel.bench.array(), LIVER)
    panel.widget.cleanup()


def test_panel_leads_to_the_least_certain_slice_and_takes_its_correction(panel):
    _known(panel, 7)
    shared_model().predictor().doubtful = lambda image: (image.pixels == 100).any() and (image.pixels != 200).all()
    assert not panel.ui.leastCertainButton.enabled
    assert not panel.ui.confidenceLabel.visible
    panel.ui.propagateButton.click()
    settle()
    assert panel.ui.confidenceLabel.visible
    panel.ui.leastCertainButton.click()
    shown = panel.red.GetSliceToRAS().GetElement(2, 3)
    doubtful = [k for k in range(14) if LIVER[k].any() and not (body()[k] == 200).any()]
    assert shown == pytest.approx(min(float(panel.bench.ras(k, 0, 0)[2]) for k in doubtful))
    layer = min(doubtful, key=lambda k: abs(float(panel.bench.ras(k, 0, 0)[2]) - shown))
    corrected = panel.bench.array()
    corrected[layer, :2, :2] = True
    fill(panel.bench.editor, panel.bench.segmentation, "Liver", corrected)
    panel.ui.propagateButton.click()
    settle()
    assert np.array_equal(panel.bench.array()[layer], corrected[layer])
    assert panel.widget.panel._propagation.accepted == (layer, 7)
    panel.widget.cleanup()


def test_panel_segments_a_class_in_all_slices(panel):
    panel.ui.classBox.clear()
    panel.ui.classBox.addItems(["liver", "spleen"])
    panel.ui.classBox.setCurrentIndex(0)
    panel.ui.planeBox.setCurrentIndex(2)
    panel.ui.classVolumeButton.click()
    settle()
    assert np.array_equal(panel.bench.array(), LIVER)
    panel.widget.cleanup()


@pytest.mark.parametrize("every_piece", [False, True])
def test_panel_keeps_every_piece_of_a_class_on_request(panel, every_piece):
    panel.ui.classBox.clear()
    panel.ui.classBox.addItems(["liver"])
    panel.ui.planeBox.setCurrentIndex(2)
    scalars = panel.bench.volume.GetImageData().GetPointData().GetScalars()
    vtk_to_numpy(scalars).reshape(LIVER.shape)[1, 13, 2] = 100
    scalars.Modified()
    stray = np.zeros_like(LIVER)
    stray[1, 13, 2] = every_piece
    panel.ui.everyPieceCheckBox.setChecked(every_piece)
    panel.ui.classVolumeButton.click()
    settle()
    assert np.array_equal(panel.bench.array(), LIVER | stray)
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


def test_strip_has_a_colour_for_every_slice():
    from KPrismDesktop.confidence_strip import strip

    colours = strip(5, {1: 1.0, 2: 0.5, 3: 0.1}, (4,))[0]
    assert colours.shape == (5, 3)
    red, green, blue = colours.T.astype(int)
    assert red[0] == green[0] == blue[0]
    assert green[1] > red[1]
    assert red[2] > green[2]
    assert (colours[2] == colours[3]).all()
    assert blue[4] > max(red[4], green[4])


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


def test_panel_run_is_one_state_of_the_segment_editors_undo(panel, monkeypatch):
    logic = panel.bench.editor.logic
    editor = types.SimpleNamespace(
        segmentationNode=lambda: panel.bench.segmentation, saveStateForUndo=logic.SaveStateForUndo
    )
    opened = types.SimpleNamespace(SegmentEditorWidget=types.SimpleNamespace(editor=editor))
    monkeypatch.setattr(slicer, "modules", opened, raising=False)
    known = _known(panel, 7)
    panel.ui.propagateButton.click()
    settle()
    assert panel.bench.array().sum() > known.sum()
    logic.Undo()
    assert np.array_equal(panel.bench.array(), known)
    assert not logic.CanUndo()
    panel.widget.cleanup()


def test_panel_says_what_is_missing(panel, monkeypatch):
    shared_model().unload()
    monkeypatch.setattr("KPrismLogic.readiness.find_spec", lambda name: None)
    panel.widget.enter()
    assert "press Install" in panel.ui.modelLabel.text
    assert panel.ui.installButton.visible
    panel.widget.cleanup()


def test_names_in_the_interface_file_are_those_that_the_parameters_have(panel, module):
    from KPrismDesktop.panel_parameters import PanelParameters

    assert set(module.interfaces[0].parameters.values()) == set(PanelParameters.__mro__[1].__annotations__)


def test_range_of_two_thin_slices_fits_its_widget(panel, scene):
    matrix = np.diag([1.0, 1.0, 0.334, 1.0])
    volume = volume_node(scene, body()[:2], matrix, name="Thin")
    object.__setattr__(panel.ui.volumeSelector, "_node", volume)
    panel.ui.planeBox.setCurrentIndex(0)
    panel.ui.volumeSelector.fire("currentNodeChanged(vtkMRMLNode*)", volume)
    widget = panel.ui.rangeWidget
    assert widget.maximum - widget.minimum == pytest.approx(0.33)
    assert 0 < widget.singleStep <= widget.maximum - widget.minimum
    object.__setattr__(panel.ui.volumeSelector, "_node", volume_node(scene, body()[:1], matrix, name="Single"))
    panel.ui.volumeSelector.fire("currentNodeChanged(vtkMRMLNode*)", None)
    assert widget.maximum == widget.minimum
    panel.widget.cleanup()
