"""Tests of the Slicer side on real MRML, without a desktop; skipped where slicer-core is not installed."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

# As Slicer does with a folder that is given as an additional module path.
MODULE_FOLDER = Path(__file__).resolve().parents[2] / "KPrism"
if str(MODULE_FOLDER) not in sys.path:
    sys.path.append(str(MODULE_FOLDER))

if find_spec("slicer") is None:
    collect_ignore_glob = ["*"]


@pytest.fixture(scope="session")
def shared_scene():
    from KPrismLogic.headless import application_scene

    return application_scene()


@pytest.fixture
def scene(shared_scene) -> Iterator:
    """An empty scene, emptied again afterwards."""
    scene, _ = shared_scene
    scene.Clear(False)
    yield scene
    scene.Clear(False)


@pytest.fixture(scope="session")
def _sequences(shared_scene) -> Iterator[None]:
    """Slicer's own logic copies what browsers of sequences show."""
    import slicer

    logic = slicer.vtkSlicerSequencesLogic()
    logic.SetMRMLScene(shared_scene[0])
    yield
    logic.SetMRMLScene(None)


@pytest.fixture
def browser(_sequences, scene) -> object:
    """A browser of sequences in the scene."""
    from Testing.slicer.sequences import Browser

    return Browser(scene)


@pytest.fixture
def in_memory() -> object:
    """Counts the volumes, of those that it is told of, whose voxels are in memory still."""

    class Count:
        def __init__(self):
            self._made, self._gone = 0, []

        def watch(self, volume):
            scalars = volume.GetImageData().GetPointData().GetScalars()
            scalars.AddObserver("DeleteEvent", lambda *_: self._gone.append(1))
            self._made += 1

        def __call__(self):
            gc.collect()
            return self._made - len(self._gone)

    return Count()


@pytest.fixture
def one_thread() -> Iterator[None]:
    """For a real network that is tiny: on busy processors its threads would wait for each other most of the time."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def flood_propagation(monkeypatch) -> None:
    """Propagation whose masks can be told in advance, instead of the engine's."""
    from Testing.slicer.flood_propagation import FloodPropagation

    monkeypatch.setattr("KPrismLib.volumes.Propagation", FloodPropagation)


@pytest.fixture
def flood_library(monkeypatch) -> type:
    """A library of references whose suggestions can be told in advance, instead of the engine's."""
    from Testing.slicer.flood_library import FloodLibrary

    monkeypatch.setattr("KPrismLib.volumes.ReferenceLibrary", FloodLibrary)
    monkeypatch.setattr(FloodLibrary, "asked", [])
    monkeypatch.setattr(FloodLibrary, "told", [])
    return FloodLibrary


@pytest.fixture
def session(bench) -> Iterator:
    """Runs through the ``bench`` of the test's module, from slice 6, in which the structure is drawn."""
    from Testing.slicer.carrying import Session
    from Testing.slicer.scenes import draw_layers

    draw_layers(bench, 6)
    session = Session(bench)
    yield session
    session.runner.close()
