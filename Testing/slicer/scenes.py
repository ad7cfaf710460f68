"""Volumes and segmentations of known content in any geometry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import numpy_to_vtk, vtk_to_numpy

from KPrismLogic.matrices import matrix_from_array, world_from_image, world_from_volume
from KPrismLogic.model import Model
from KPrismLogic.runner import DirectRunner
from KPrismLogic.segment_editing import LogicEditor
from KPrismLogic.slice_controller import SliceController
from KPrismLogic.slice_engine import SliceEngine
from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.slice_request import Request
from KPrismLogic.stroke import Stroke
from KPrismLogic.target import Target
from Testing.slicer.flood_predictor import FloodPredictor

#: i, j, k; all different, so that swapped axes are seen.
SIZE = (18, 16, 14)


def body() -> np.ndarray:
    """(k, j, i) uint8: a box of 100, "liver", and one of 200, "spleen", in 0."""
    voxels = np.zeros(SIZE[::-1], np.uint8)
    voxels[3:10, 3:12, 4:11] = 100
    voxels[5:12, 4:10, 13:16] = 200
    return voxels


LIVER, SPLEEN = body() == 100, body() == 200


def rotation(x: float, y: float, z: float) -> np.ndarray:
    """4x4 rotation by angles in degrees."""
    transform = vtk.vtkTransform()
    transform.RotateZ(z)
    transform.RotateY(y)
    transform.RotateX(x)
    matrix = transform.GetMatrix()
    return np.array([[matrix.GetElement(r, c) for c in range(4)] for r in range(4)])


def geometry(name: str) -> np.ndarray:
    """ijk to RAS of a kind of volume."""
    matrix = np.eye(4)
    matrix[:3, 3] = (-7.0, 11.0, -3.0)
    if name == "flipped":
        matrix[:3, :3] = np.diag([-1.0, -1.0, 1.0])
    elif name == "permuted":
        matrix[:3, :3] = [[0, 0, 1.2], [-1, 0, 0], [0, -0.9, 0]]
    elif name == "anisotropic":
        matrix[:3, :3] = np.diag([0.7, 0.9, 3.1])
    elif name == "tilted":
        matrix = rotation(12, -20, 8) @ np.diag([0.8, 1.1, 2.3, 1.0])
        matrix[:3, 3] = (-7.0, 11.0, -3.0)
    return matrix


GEOMETRIES = ("identity", "flipped", "permuted", "anisotropic", "tilted")


def volume_node(scene, voxels, matrix, *, name="CT", colour=False):
    """A volume node of voxels (k, j, i)."""
    node = scene.AddNewNodeByClass("vtkMRMLVectorVolumeNode" if colour else "vtkMRMLScalarVolumeNode", name)
    image = vtk.vtkImageData()
    image.SetDimensions(*voxels.shape[::-1])
    values = voxels.ravel() if not colour else np.stack([voxels.ravel(), 255 - voxels.ravel() // 2, voxels.ravel()], 1)
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(values), deep=True))
    node.SetAndObserveImageData(image)
    node.SetIJKToRASMatrix(matrix_from_array(matrix))
    return node


def under_transform(scene, node, matrix):
    """Put a node under a linear transform."""
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode", "T")
    transform.SetMatrixTransformToParent(matrix_from_array(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())
    return transform


def segmentation_node(scene, volume, names=("Liver", "Other"), grid=None, size=SIZE):
    """A segmentation with empty segments on the volume's grid, or on another: 4x4 matrix and size (i, j, k)."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Segmentation")
    node.CreateDefaultDisplayNodes()
    if grid is None:
        node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    else:
        image = slicer.vtkOrientedImageData()
        image.SetImageToWorldMatrix(matrix_from_array(grid))
        image.SetExtent(0, size[0] - 1, 0, size[1] - 1, 0, size[2] - 1)
        text = slicer.vtkSegmentationConverter.SerializeImageGeometry(image)
        node.GetSegmentation().SetConversionParameter("Reference image geometry", text)
    for name in names:
        node.GetSegmentation().AddEmptySegment(name, name)
    return node


def editor_node(scene, volume, segmentation, segment_id):
    """A segment editor node, everything editable, other segments kept."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
    node.SetAndObserveSourceVolumeNode(volume)
    node.SetAndObserveSegmentationNode(segmentation)
    node.SetSelectedSegmentID(segment_id)
    node.SetOverwriteMode(node.OverwriteNone)
    return node


def fill(editor, segmentation, segment_id, voxels):
    """Draw voxels bool (k, j, i) of the editor's grid into a segment, past all masks."""
    image = slicer.vtkOrientedImageData()
    geometry_image = editor.geometry()
    image.SetExtent(geometry_image.GetExtent())
    image.SetSpacing(geometry_image.GetSpacing())
    image.SetOrigin(geometry_image.GetOrigin())
    image.CopyDirections(geometry_image)
    image.GetPointData().SetScalars(numpy_to_vtk(np.ascontiguousarray(voxels, np.uint8).ravel(), deep=True))
    slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(image, segmentation, segment_id, 0)


def draw_layers(bench, *layers, segment_id="Liver"):
    """Draw the liver of :func:`body` into a segment, on these layers k alone; -> what is drawn, (k, j, i) bool."""
    known = np.zeros(body().shape, bool)
    known[list(layers)] = LIVER[list(layers)]
    fill(bench.editor, bench.segmentation, segment_id, known)
    return known


def segment_array(editor, segmentation, segment_id):
    """bool (k, j, i): a segment on the editor's grid, read without any code of ours."""
    extent = editor.geometry().GetExtent()
    whole = np.zeros([extent[axis + 1] - extent[axis] + 1 for axis in (4, 2, 0)], bool)
    segment = segmentation.GetSegmentation().GetSegment(segment_id)
    labelmap = segment.GetRepresentation("Binary labelmap")
    part = labelmap.GetExtent()
    if labelmap.IsEmpty() or part[0] > part[1]:
        return whole
    values = vtk_to_numpy(labelmap.GetPointData().GetScalars())
    values = values.reshape([part[axis + 1] - part[axis] + 1 for axis in (4, 2, 0)]) == segment.GetLabelValue()
    place = tuple(slice(part[a] - extent[a], part[a + 1] - extent[a] + 1) for a in (4, 2, 0))
    whole[place] = values
    return whole


@dataclass
class Bench:
    """An editor on a volume, with a flood predictor behind it."""

    volume: object
    segmentation: object
    parameters: object
    editor: LogicEditor
    predictor: FloodPredictor
    engine: SliceEngine
    controller: SliceController
    reports: list
    failures: list

    @classmethod
    def of_body(cls, scene, kind):
        """On :func:`body` in a geometry of :data:`GEOMETRIES`."""
        volume = volume_node(scene, body(), geometry(kind))
        return cls.make(scene, volume, segmentation_node(scene, volume))

    @classmethod
    def make(cls, scene, volume, segmentation, segment_id="Liver", runner=None):
        parameters = editor_node(scene, volume, segmentation, segment_id)
        editor = LogicEditor(parameters)
        predictor, reports, failures = FloodPredictor(), [], []
        model = Model()
        model.use(predictor)
        engine = SliceEngine(model)
        controller = SliceController(
            editor, engine, runner or DirectRunner(), report=reports.append, fail=failures.append
        )
        return cls(volume, segmentation, parameters, editor, predictor, engine, controller, reports, failures)

    def target(self, plane, segment_id="Liver"):
        return Target(self.volume, self.segmentation, segment_id, plane)

    def click(self, plane, *points, segment_id="Liver", positive=True, **more):
        strokes = tuple(Stroke((tuple(map(float, point)),), positive) for point in points)
        self.controller.ask(Request(self.target(plane, segment_id), strokes=strokes, **more))

    def array(self, segment_id="Liver"):
        return segment_array(self.editor, self.segmentation, segment_id)

    def ras(self, k, j, i):
        """Middle of a voxel of the volume."""
        return (world_from_volume(self.volume) @ (i, j, k, 1.0))[:3]

    def undo(self):
        self.editor.logic.Undo()

    def redo(self):
        self.editor.logic.Redo()

    def centres(self):
        """RAS (k, j, i, 3) of the voxels of the segmentation's grid."""
        extent = self.editor.geometry().GetExtent()
        k, j, i = np.meshgrid(*(np.arange(extent[a], extent[a + 1] + 1) for a in (4, 2, 0)), indexing="ij")
        matrix = world_from_image(self.editor.geometry(), self.segmentation)
        return np.stack([i, j, k, np.ones_like(i)], -1) @ matrix.T[:, :3]


def view_plane(kind: str, point) -> SlicePlane:
    """The plane of a view through a point."""
    normals = {"axial": (0, 0, 1), "coronal": (0, 1, 0), "sagittal": (1, 0, 0), "oblique": (0.35, -0.5, 0.8)}
    return SlicePlane.through(point, normals[kind])
