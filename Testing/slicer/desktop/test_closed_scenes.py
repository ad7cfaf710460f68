"""What belonged to a scene that was closed is let go of, whatever effect is chosen."""

import gc
import weakref

import pytest
import slicer

from Testing.slicer.desktop.strict_effect import settle, show_layer, widget_named
from Testing.slicer.scenes import Bench, body, draw_layers, geometry, segmentation_node, volume_node

pytestmark = pytest.mark.usefixtures("flood_propagation")


def _propagate(desktop, effect):
    draw_layers(desktop.bench, 6)
    show_layer(desktop, effect, 6)
    widget_named("KPrismPropagate").click()
    settle()
    assert effect.self()._propagation._runs.last is not None


def _close_scene(desktop, effect):
    """As recorded: an effect that is not chosen is told of a new parameter node, and of nothing else."""
    desktop.scene.Clear(False)
    effect._parameters = None
    effect.self().setMRMLDefaults()


@pytest.mark.parametrize("chosen", [True, False])
def test_a_propagation_is_forgotten_when_its_scene_is_closed(desktop, effect, chosen):
    _propagate(desktop, effect)
    if not chosen:
        desktop.deactivate(effect)
    _close_scene(desktop, effect)
    propagation = effect.self()._propagation
    assert propagation._runs.last is None
    assert propagation._options.slices._shown is None
    assert not widget_named("KPrismConfidence").visible


def test_a_range_is_forgotten_when_its_scene_is_closed(desktop, effect):
    show_layer(desktop, effect, 6)
    assert effect.self().options.propagation.slices._shown is not None
    desktop.deactivate(effect)
    _close_scene(desktop, effect)
    assert effect.self().options.propagation.slices._shown is None


@pytest.mark.parametrize("node", ["volume", "segmentation"])
@pytest.mark.parametrize("told", ["another volume", "activation"])
def test_a_propagation_is_forgotten_when_its_nodes_are_deleted(desktop, effect, node, told):
    _propagate(desktop, effect)
    desktop.deactivate(effect)
    desktop.scene.RemoveNode(getattr(desktop.bench, node))
    if told == "activation":
        desktop.activate(effect)
    else:
        effect.self().sourceVolumeNodeChanged()
    assert effect.self()._propagation._runs.last is None


def test_a_propagation_of_a_volume_that_is_still_there_is_kept(desktop, effect):
    _propagate(desktop, effect)
    other = volume_node(desktop.scene, body(), geometry("identity"), name="Other")
    bench = Bench.make(desktop.scene, other, segmentation_node(desktop.scene, other))
    desktop.parameters.SetAndObserveSourceVolumeNode(bench.volume)
    effect.self().sourceVolumeNodeChanged()
    assert effect.self()._propagation._runs.last is not None


def test_the_scene_knows_nothing_of_an_effect_whose_editor_is_gone(desktop, effect):
    tag = effect.self()._propagation._watch._tag
    assert slicer.mrmlScene.GetCommand(tag) is not None
    effect.self().cleanup()
    assert slicer.mrmlScene.GetCommand(tag) is None


def test_the_scene_keeps_nobody_alive_who_watches_it(desktop):
    """Not every Slicer cleans up."""
    from KPrismLogic.scene_watch import SceneWatch

    class Holder:
        def closed(self):
            raise AssertionError

    holder = Holder()
    watch, alive = SceneWatch(holder.closed), weakref.ref(holder)
    del holder
    gc.collect()
    assert alive() is None
    slicer.mrmlScene.InvokeEvent(slicer.mrmlScene.EndCloseEvent)
    watch.end()
