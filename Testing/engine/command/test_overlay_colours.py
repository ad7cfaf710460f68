"""The picture of several structures: each has a colour of its own, in the image as in the legend."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from PIL import Image

from KPrismLib.command.label_map import LabelMap
from KPrismLib.command.outputs import Outputs
from KPrismLib.imaging.planes import Plane, placement
from KPrismLib.imaging.reading import read_volume
from KPrismLib.imaging.segmentation_file import Segment
from KPrismLib.intensity import IntensityWindow


def test_two_kidneys_are_told_apart_in_the_picture_and_keep_their_colour_in_the_file(volume, tmp_path: Path) -> None:
    image = read_volume(volume)
    labels = np.zeros(image.shape, np.uint8)
    labels[2, 4:12, 3:9] = 1
    labels[2, 16:24, 3:9] = 2
    kidneys = [Segment.of_class(name, label) for label, name in enumerate(("left kidney", "right kidney"), start=1)]
    found = LabelMap(labels, kidneys, [placement(image, Plane.AXIAL, 2)], IntensityWindow(0.0, 1800.0, "0,1800"))
    outputs = Outputs(tmp_path / "kidneys.seg.nrrd", tmp_path / "kidneys.png")
    outputs.write(found, image)

    picture = np.asarray(Image.open(tmp_path / "kidneys.png"))
    colours, counts = np.unique(picture.reshape(-1, 3), axis=0, return_counts=True)
    coloured = {
        tuple(colour.tolist()): count
        for colour, count in zip(colours, counts, strict=True)
        if np.ptp(colour) > 60 and count > 100
    }
    own = tuple(round(255 * part) for part in kidneys[0].colour)
    assert len(coloured) == 2  # of both outlines, which are opaque
    assert own in coloured
    legend = picture[-30:].reshape(-1, 3)
    for colour in coloured:
        assert (legend == colour).all(axis=1).sum() > 50

    written = sitk.ReadImage(str(tmp_path / "kidneys.seg.nrrd"))
    assert kidneys[0].colour == kidneys[1].colour
    assert written.GetMetaData("Segment0_Color") == written.GetMetaData("Segment1_Color")
