"""Another image of a sequence is shown while the effect is chosen; of that effects are told nothing."""

import numpy as np
import pytest

from KPrismLogic.matrices import matrix_from_array
from KPrismLogic.model import shared_model
from Testing.slicer.desktop.strict_effect import settle, show_layer, timers, widget_named, written, xy_of
from Testing.slicer.scenes import LIVER, body, draw_layers, geometry, under_transform

pytestmark = pytest.mark.usefixtures("flood_propagation")


@pytest.fixture
def frames(browser, desktop):
    """Two times of the edited volume, of which the first is shown."""
    browser.play_volume(desktop.bench.volume, body(), np.roll(body(), 1, 1))
    browser.show(0)
    settle()
    return browser


def _dots(effect):
    return sum(actor.GetMapper().GetInput().GetNumberOfPoints() for _, actor in effect._actors)


def _click(desktop, effect):
    show_layer(desktop, effect, 6)
    desktop.click(effect, xy_of(desktop, 6, 6, 7))
    settle()


def _count_starts(timer, monkeypatch):
    """How often a timer is started, each of which lets it wait anew."""
    starts, start = [], type(timer).start
    monkeypatch.setattr(type(timer), "start", lambda one: (one is timer and starts.append(1), start(one)))
    return starts


def _pass_time(timer):
    """Let a timer fire that Qt has waited for."""
    timer.stop()
    timer.fire("timeout()")


def test_dots_are_those_of_the_shown_time(desktop, frames, effect):
    _click(desktop, effect)
    for number, dots in ((0, 1), (1, 0), (0, 1)):
        frames.show(number)
        settle()
        assert _dots(effect) == dots == effect.self().prompts_in(desktop.views["Red"])


@pytest.mark.parametrize("what", ["volume", "transform of the volume", "transform of the segmentation"])
def test_dots_are_where_the_volume_is(desktop, effect, what):
    bench, matrix = desktop.bench, np.eye(4)
    node = bench.segmentation if "segmentation" in what else bench.volume
    transform = under_transform(desktop.scene, node, matrix)
    settle()
    _click(desktop, effect)
    assert _dots(effect) == 1
    matrix[2, 3] = 40.0
    if what == "volume":
        bench.volume.SetIJKToRASMatrix(matrix_from_array(matrix @ geometry("anisotropic")))
    else:
        transform.SetMatrixTransformToParent(matrix_from_array(matrix))
    settle()
    assert _dots(effect) == 0


def test_strip_and_found_slices_are_those_of_the_shown_time(desktop, frames, effect):
    draw_layers(desktop.bench, 6)
    show_layer(desktop, effect, 6)
    widget_named("KPrismPropagate").click()
    settle()
    assert np.array_equal(written(desktop), LIVER)
    for number in (1, 0):
        frames.show(number)
        settle()
        assert widget_named("KPrismConfidence").visible == (number == 0)
    desktop.event(effect, "MouseMoveEvent", xy_of(desktop, 6, 6, 7))
    # What the run found is no drawing of the user's: there is something to find still.
    widget_named("KPrismPropagate").click()
    settle()
    assert "Every slice" not in widget_named("KPrismStatus").text
    assert effect.self()._propagation._runs.last.accepted == (6,)


def test_a_time_that_stays_is_encoded_ahead_of_the_first_click(desktop, frames, effect):
    show_layer(desktop, effect, 6)
    settle()
    encoded = shared_model().predictor().encoded
    before = len(encoded)
    frames.show(1)
    settle()
    assert len(encoded) - before == 3  # the shown slice and its neighbours


def test_a_name_is_no_other_image(desktop, effect):
    settle()
    desktop.bench.volume.SetName("CT of the abdomen")
    desktop.bench.volume.SetAttribute("some", "thing")
    assert timers() == []


@pytest.mark.parametrize("end", ["deactivate", "cleanup"])
def test_nobody_is_told_of_an_image_once_the_effect_is_left(desktop, frames, effect, end):
    frames.show(1)
    assert timers() != []
    desktop.active = None
    getattr(effect.self(), end)()
    frames.show(0)
    assert timers() == []


def test_while_a_sequence_is_played_only_dots_follow(desktop, frames, effect, monkeypatch):
    _click(desktop, effect)
    encoded, watch = [], effect.self()._active._image
    soon, later = watch._soon, watch._later
    monkeypatch.setattr(effect.self()._active.session, "prefetch", lambda *of: encoded.append(of))
    frames.node.SetPlaybackActive(True)
    for number, dots in ((1, 0), (0, 1), (1, 0)):
        frames.show(number)
        _pass_time(soon)
        assert _dots(effect) == dots
        _pass_time(later)
        assert encoded == []
    frames.node.SetPlaybackActive(False)
    _pass_time(later)
    assert len(encoded) == 1
    assert not later.isActive()


def test_dots_follow_however_quickly_a_sequence_is_played(desktop, frames, effect, monkeypatch):
    _click(desktop, effect)
    soon = effect.self()._active._image._soon
    assert not soon.isActive()
    starts = _count_starts(soon, monkeypatch)
    for number in (1, 0, 1, 0, 1):
        frames.show(number)
    assert starts == [1]
    _pass_time(soon)
    assert _dots(effect) == 0
