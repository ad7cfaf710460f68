"""Through volumes with a real network: what is written is what the engine finds in the same slices."""

import functools

import numpy as np
import pytest

from KPrismLib.network import KPrism, named_config
from KPrismLib.predictor import Predictor
from KPrismLib.specialist import Specialist
from KPrismLib.volumes import Propagation
from KPrismLogic.logic import KPrismLogic
from KPrismLogic.model import Model
from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.slice_stack import SliceStack
from KPrismLogic.slice_voxels import segment_in_slice
from Testing.slicer.scenes import LIVER, Bench, body, fill, geometry, segmentation_node, view_plane, volume_node

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize(("plane", "learn"), [("axial", False), ("axial", True), ("oblique", False)])
def test_slices_hold_what_the_engine_finds(scene, plane, learn, monkeypatch):
    monkeypatch.setattr("KPrismLib.volumes.class_guidance.Specialist", functools.partial(Specialist, steps=4))
    volume = volume_node(scene, body(), geometry("identity"))
    bench = Bench.make(scene, volume, segmentation_node(scene, volume))
    sizes = {"dim": 16, "heads": 2, "encoder_channels": (16, 16, 32), "encoder_blocks": (1, 1, 1, 1)}
    sizes |= {"detail_channels": 8, "prompt_channels": 8, "ffn_dim": 16, "pixel_ffn_dim": 16, "mask_head_dim": 8}
    predictor = Predictor(KPrism(named_config("small", image_size=64, classes=("liver", "spleen"), **sizes)))
    model = Model()
    model.use(predictor)
    logic = KPrismLogic(model)
    fill(bench.editor, bench.segmentation, "Liver", LIVER)
    where = bench.target(SlicePlane.of_volume(volume, "axial").moved_to(bench.ras(6, 6, 7))).plane
    where = view_plane("oblique", bench.ras(6, 6, 7)) if plane == "oblique" else where
    stack = SliceStack.through(volume, where)
    seed = stack.index_of(where)
    engine = Propagation(predictor, stack, window=logic.engine.window_of(stack), cls="liver")
    engine.accept(seed, segment_in_slice(stack.image(seed), bench.segmentation, "Liver"))
    if learn:
        list(engine.learn())
    expected = {result.index: result for result in engine.propagate(seed - 1, seed + 1)}
    assert expected
    given = logic.propagate(
        volume,
        bench.segmentation,
        "Liver",
        plane=where,
        offsets=[None],
        first=stack.offset(seed - 1),
        last=stack.offset(seed + 1),
        learn=learn,
    )
    assert given.confidence == {stack.offset(k): pytest.approx(one.confidence) for k, one in expected.items()}
    for index, result in expected.items():
        if plane == "axial":
            assert np.array_equal(bench.array()[index], body_mask(stack, index, result.mask))


def body_mask(stack, index, mask):
    """A mask (rows, columns) of an axial slice of the identity geometry as (j, i)."""
    image = stack.image(index)
    found = np.zeros(body().shape[1:], bool)
    for row, column in np.ndindex(mask.shape):
        place = np.linalg.inv(stack.grid.world) @ (*image.ras_at(row, column), 1)
        found[round(place[1]), round(place[0])] = mask[row, column]
    return found
