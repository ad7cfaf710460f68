"""Classes through a volume where each may take voxels from the segments of the others."""

import numpy as np
import pytest

from KPrismLogic.logic import KPrismLogic
from KPrismLogic.model import Model
from KPrismLogic.segment_editing import LogicEditor
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.scenes import editor_node, geometry, segment_array, segmentation_node, volume_node

LIVER, SPLEEN, EITHER = 100, 200, 150
PROBABILITY = {"liver": {LIVER: 0.95, EITHER: 0.95}, "spleen": {SPLEEN: 0.97, EITHER: 0.97}}


class BothClaim(FloodPredictor):
    """Of some pixels the spleen is surer, until all slices are known."""

    def class_probabilities(self, images, classes):
        return np.array(
            [
                [sum(sure * (image.pixels == value) for value, sure in PROBABILITY[name].items()) for name in classes]
                for image in images
            ],
            dtype=np.float32,
        )


@pytest.mark.parametrize("mode", ["OverwriteNone", "OverwriteAllSegments"])
@pytest.mark.parametrize("classes", [["liver", "spleen"], ["spleen", "liver"]])
def test_what_the_end_of_a_run_takes_away_goes_from_all_segments(scene, mode, classes):
    voxels = np.zeros((14, 16, 18), np.uint8)
    voxels[3:10, 2:8, 2:8] = LIVER
    voxels[7, 2:8, 2:8] = EITHER  # first the spleen's, at the end the liver's
    voxels[3:10, 9:15, 9:15] = SPLEEN
    voxels[7, 1:4, 14:17] = SPLEEN  # and this the spleen's at first, and nobody's at the end
    volume = volume_node(scene, voxels, geometry("identity"))
    segmentation = segmentation_node(scene, volume, names=())
    model = Model()
    model.use(BothClaim())
    rules = editor_node(scene, volume, segmentation, "")
    rules.SetOverwriteMode(getattr(rules, mode))
    KPrismLogic(model, saveState=lambda _: None).segmentVolume(volume, segmentation, classes, editorNode=rules)
    content, editor = segmentation.GetSegmentation(), LogicEditor(rules)
    layers = {name: segment_array(editor, segmentation, content.GetSegmentIdBySegmentName(name))[7] for name in classes}
    assert np.array_equal(layers["liver"], voxels[7] == EITHER)
    expected = np.zeros_like(layers["spleen"])
    expected[9:15, 9:15] = True
    assert np.array_equal(layers["spleen"], expected)
