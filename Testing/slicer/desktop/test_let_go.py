"""What belongs to one activation of the effect is destroyed as it is left, by the main thread."""

import gc
import threading
import weakref

import pytest

from KPrismLib.errors import InvalidImage
from KPrismLogic.model import shared_model
from Testing.slicer.desktop.strict_effect import settle, show_layer, widget_named, xy_of
from Testing.slicer.desktop.strict_qt import Strict
from Testing.slicer.scenes import LIVER, Bench, body, fill, geometry, segmentation_node, volume_node


@pytest.fixture(autouse=True)
def no_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _watched(effect):
    """The parts of the activation, and by whose thread each was destroyed, as soon as it is."""
    active, where = effect.self()._active, {}
    parts = {
        "editing": active,
        "session": active.session,
        "controller": active.session.controller,
        "markers": active._markers,
        "marker timer": active._markers._timer,
        "warm-up timer": active._warm_up._timer,
        "selection timer": active._selection._timer,
        "image watch": active._image,
        "image timer": active._image._later,
    }
    for name, part in parts.items():
        if part in Strict.made:
            Strict.made.remove(part)  # which holds all widgets, for the tests
        weakref.finalize(part, lambda name=name: where.update({name: threading.current_thread()}))
    return set(parts), where


def _click(desktop, effect, **more):
    show_layer(desktop, effect, 6)
    desktop.click(effect, xy_of(desktop, 6, 6, 7), **more)


def _find(desktop, effect):
    volume = volume_node(desktop.scene, body(), geometry("flipped"), name="Known")
    other = Bench.make(desktop.scene, volume, segmentation_node(desktop.scene, volume))
    fill(other.editor, other.segmentation, "Liver", LIVER)
    effect.self().onGuideChosen("reference")
    widget_named("KPrismFindReferences").click()


def _fail(*_, **__):
    raise InvalidImage("Wrong.")


@pytest.mark.parametrize("did", ["nothing", "click", "wrong click", "class", "find", "failing find", "propagate"])
def test_the_session_is_destroyed_when_the_effect_is_left(desktop, effect, flood_propagation, flood_library, did):
    parts, where = _watched(effect)
    if did != "nothing":
        _click(desktop, effect)
        settle()
    if did == "wrong click":
        _click(desktop, effect, ctrl=1)  # both in and out
    elif did == "class":
        effect.self().onGuideChosen("class")
        effect.self().onClassChosen("liver")
    elif did == "propagate":
        widget_named("KPrismPropagate").click()
    elif "find" in did:
        if did == "failing find":
            shared_model().predictor().reference = _fail
        _find(desktop, effect)
    settle()
    desktop.deactivate(effect)
    assert parts == set(where)
    assert set(where.values()) == {threading.main_thread()}


@pytest.mark.parametrize("work", ["click", "prefetch", "find"])
def test_also_when_it_is_left_while_the_model_works(desktop, effect, flood_library, work):
    gate, reached = threading.Event(), threading.Event()

    def wait(*_, **__):
        reached.set()
        assert gate.wait(20)

    predictor = shared_model().predictor()
    encode = predictor.encode
    predictor.encode = lambda *given, **more: wait() or encode(*given, **more)
    parts, where = _watched(effect)
    if work == "click":
        _click(desktop, effect)
    elif work == "prefetch":
        show_layer(desktop, effect, 6)
        effect.self()._active._warm_up.now()
    else:
        predictor.reference = wait
        _find(desktop, effect)
    assert reached.wait(20)
    desktop.deactivate(effect)
    gone = set(where)
    gate.set()
    settle()
    assert gone == set(where) == parts
    assert set(where.values()) == {threading.main_thread()}
