"""What the module panel remembers in the scene."""

import slicer
from slicer.parameterNodeWrapper import parameterNodeWrapper


@parameterNodeWrapper
class PanelParameters:
    """The choices of the panel's segmenting area.

    volume: the volume to segment.
    segmentation: where the segment is, or will be.
    segment: name of the segment.
    """

    volume: slicer.vtkMRMLScalarVolumeNode
    segmentation: slicer.vtkMRMLSegmentationNode
    segment: str = "Segment_1"
