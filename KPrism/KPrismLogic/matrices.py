"""4x4 matrices of nodes as numpy arrays; every coordinate in this package goes through one of them.

Matrices are float64 and map column vectors ``(i, j, k, 1)`` of an image to world ``(R, A, S, 1)`` millimetres. World
includes the parent transform of the node.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from KPrismLib.errors import GeometryMismatch, InvalidImage

if TYPE_CHECKING:
    import slicer
    import vtk

Matrix: TypeAlias = npt.NDArray[np.float64]
Vector: TypeAlias = npt.NDArray[np.float64]
Triple: TypeAlias = tuple[float, float, float]


def array_from_matrix(matrix: vtk.vtkMatrix4x4) -> Matrix:
    """A ``vtkMatrix4x4`` as a 4x4 array."""
    return np.array([[matrix.GetElement(row, column) for column in range(4)] for row in range(4)])


def matrix_from_array(array: Matrix) -> vtk.vtkMatrix4x4:
    """A 4x4 array as a ``vtkMatrix4x4``."""
    import vtk

    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy([float(value) for value in array.ravel()])
    return matrix


def world_from_node(node: slicer.vtkMRMLTransformableNode) -> Matrix:
    """From the coordinates of a node to world: the product of its parent transforms.

    Raises:
        GeometryMismatch: a parent transform is not linear.
    """
    import vtk

    parent = node.GetParentTransformNode()
    if parent is None:
        return np.eye(4)
    if not parent.IsTransformToWorldLinear():
        raise GeometryMismatch(
            f"{node.GetName()} is under the non-linear transform {parent.GetName()}; harden the transform first."
        )
    matrix = vtk.vtkMatrix4x4()
    parent.GetMatrixTransformToWorld(matrix)
    return array_from_matrix(matrix)


def world_from_volume(volume: slicer.vtkMRMLVolumeNode) -> Matrix:
    """From voxels ``(i, j, k)`` of a volume node to world.

    Raises:
        GeometryMismatch: a parent transform is not linear.
        InvalidImage: the matrix flattens the volume.
    """
    import vtk

    matrix = vtk.vtkMatrix4x4()
    volume.GetIJKToRASMatrix(matrix)
    return _invertible(world_from_node(volume) @ array_from_matrix(matrix), volume.GetName())


def world_from_image(image: slicer.vtkOrientedImageData, segmentation: slicer.vtkMRMLSegmentationNode) -> Matrix:
    """From voxels ``(i, j, k)`` of an oriented image that belongs to a segmentation node to world.

    Raises:
        GeometryMismatch: a parent transform is not linear.
        InvalidImage: the matrix flattens the image.
    """
    import vtk

    matrix = vtk.vtkMatrix4x4()
    image.GetImageToWorldMatrix(matrix)
    return _invertible(world_from_node(segmentation) @ array_from_matrix(matrix), segmentation.GetName())


def transformed(matrix: Matrix, point: Any) -> Vector:
    """A point ``(x, y, z)`` moved by an affine matrix."""
    return matrix[:3, :3] @ np.asarray(point, dtype=np.float64) + matrix[:3, 3]


def inverse(matrix: Matrix) -> Matrix:
    """The matrix that leads back."""
    return np.linalg.inv(matrix).astype(np.float64)


def triple(vector: Vector | Triple) -> Triple:
    """A point or direction as Python's own numbers, which are hashed and written as text."""
    return float(vector[0]), float(vector[1]), float(vector[2])


def unit(vector: Vector) -> Vector:
    """The vector at length 1."""
    return vector / np.linalg.norm(vector)


def _invertible(matrix: Matrix, name: str) -> Matrix:
    lengths = np.linalg.norm(matrix[:3, :3], axis=0)
    if not np.isfinite(matrix).all() or not lengths.all() or abs(np.linalg.det(matrix[:3, :3] / lengths)) < 1e-6:
        raise InvalidImage(f"{name} has a geometry with no volume: two of its axes are parallel or a spacing is zero.")
    return matrix
