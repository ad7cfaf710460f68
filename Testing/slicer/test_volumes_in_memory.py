"""Of a volume that is shown no more nothing stays in memory but a few slices, whoever clicked in it or refers to it."""

import numpy as np
import pytest

from KPrismLib.errors import InvalidImage
from KPrismLogic.guide import Guide, ReferenceSlice
from KPrismLogic.slice_controller import Request
from KPrismLogic.slice_plane import SlicePlane
from Testing.slicer.scenes import (
    LIVER,
    Bench,
    body,
    fill,
    geometry,
    segmentation_node,
    view_plane,
    volume_node,
)


def _click(bench):
    bench.click(view_plane("axial", bench.ras(6, 6, 7)), bench.ras(6, 6, 7))


def _look(bench):
    bench.controller.look_at(bench.target(view_plane("oblique", bench.ras(6, 6, 7))))
    bench.controller.look_at(bench.target(view_plane("axial", bench.ras(6, 6, 7))))


@pytest.mark.parametrize("do", [_click, _look])
def test_of_a_sequence_the_shown_volume_is_in_memory(scene, in_memory, do):
    bench = Bench.of_body(scene, "identity")
    frames = [volume_node(scene, np.roll(body(), n, 0), geometry("identity")) for n in range(2)]
    for visit in range(8):
        bench.volume.CopyContent(frames[visit % 2])  # as the sequence browser does where changes are not saved
        in_memory.watch(bench.volume)
        do(bench)
    assert not bench.failures
    assert in_memory() == 1


def _reference(scene):
    """A slice of a volume of its own, which is removed with its segmentation; the volume is returned, too."""
    volume = volume_node(scene, body(), geometry("flipped"), name="Known")
    other = Bench.make(scene, volume, segmentation_node(scene, volume))
    fill(other.editor, other.segmentation, "Liver", LIVER)
    plane = SlicePlane.of_volume(volume, "axial")
    return volume, other, ReferenceSlice.of_segment(volume, other.segmentation, "Liver", plane)


def test_a_volume_that_was_a_reference_is_not_kept_by_what_was_said_with_it(scene, in_memory):
    bench = Bench.of_body(scene, "identity")
    volume, other, reference = _reference(scene)
    in_memory.watch(volume)
    target = bench.target(view_plane("axial", bench.ras(6, 6, 7)))
    bench.controller.ask(Request(target, Guide(references=(reference,)), anew=True))
    assert len(bench.reports) == 1
    for node in (volume, other.segmentation, other.parameters):
        scene.RemoveNode(node)
    del volume, other, node
    assert in_memory() == 0
    # and is one all the same
    bench.controller.ask(Request(target, Guide(references=(reference,)), anew=True))
    assert not bench.failures


def test_a_reference_works_whose_volume_was_gone_before_its_first_use(scene, in_memory):
    bench = Bench.of_body(scene, "identity")
    volume, other, reference = _reference(scene)
    in_memory.watch(volume)
    for node in (volume, other.segmentation, other.parameters):
        scene.RemoveNode(node)
    del volume, other, node
    bench.engine.encode_reference(reference)
    assert in_memory() == 0
    bench.engine.window = "percentile-2-98"
    with pytest.raises(InvalidImage, match="is gone"):
        bench.engine.encode_reference(reference)


def test_another_rule_looks_at_the_volume_once_more(scene):
    volume = volume_node(scene, body().astype(np.int16) * 3, geometry("identity"))
    bench = Bench.make(scene, volume, segmentation_node(scene, volume))
    _click(bench)
    bench.engine.window = "0,300"
    _click(bench)
    bench.engine.window = "0,500"
    _click(bench)
    assert not bench.failures
    assert [image.window.rule for image in bench.predictor.encoded][1:] == ["0,300", "0,500"]
