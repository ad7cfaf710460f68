"""Segmenting every image in a folder, in Slicer without windows and in plain Python alike."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from KPrismLib.errors import CannotWrite, GeometryMismatch, InvalidImage, KPrismError
from KPrismLib.imaging.atomic_file import write_atomically
from KPrismLogic.headless import application_scene
from KPrismLogic.labelmaps import labelmap_of
from KPrismLogic.logic import KPrismLogic
from KPrismLogic.matrices import matrix_from_array, world_from_volume
from KPrismLogic.slice_plane import SlicePlane

if TYPE_CHECKING:
    import slicer

_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
_COLUMNS = ("case", "class", "status", "slices", "voxels", "millilitres", "dice", "seconds")


@dataclass(frozen=True)
class Measurement:
    """One row of the metrics table: a class of a case, or why the case failed.

    Attributes:
        case: name of the image file.
        cls: the class, "" of a case that failed.
        status: "done", or a sentence on what is wrong.
        slices: slices in which something was found.
        voxels: how many voxels were found.
        millilitres: their volume.
        dice: agreement with the true segmentation, None where there is none.
        seconds: time for this class.
    """

    case: str
    cls: str
    status: str
    slices: int = 0
    voxels: int = 0
    millilitres: float = 0.0
    dice: float | None = None
    seconds: float = 0.0

    def row(self) -> list[str]:
        """The values as text, in the order of the table's columns."""
        found = [str(self.slices), str(self.voxels), f"{self.millilitres:.3f}"]
        dice = "" if self.dice is None else f"{self.dice:.4f}"
        return [self.case, self.cls, self.status, *found, dice, f"{self.seconds:.2f}"]


def segment_folder(
    images: Path,
    output: Path,
    classes: Sequence[str],
    *,
    plane: str = "axial",
    truth: Path | None = None,
    logic: KPrismLogic | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> int:
    """Segment all images of a folder by class, slice by slice; a case that fails does not stop the others.

    Writes ``<image>.seg.nrrd`` for each case and ``metrics.csv``.

    Args:
        images: folder with images of any format that K-Prism reads.
        output: folder for the results; made if missing.
        classes: classes that the model knows.
        plane: "axial", "coronal" or "sagittal".
        truth: folder with segmentations to compare with, named as the images or as this function names its results.
        logic: what segments; None for a new one.
        tell: called with a line for each case.

    Returns:
        How many cases failed.

    Raises:
        InvalidImage: the folder has no images.
        CannotWrite: the output folder or the table cannot be written.
    """
    cases = sorted(path for path in _files(images) if path.name.lower().endswith(_SUFFIXES))
    if not cases:
        raise InvalidImage(f"There is no image in {images}.")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"Cannot make the folder {output}: {error.strerror}.") from error
    scene, kept_alive = application_scene()
    logic = logic or KPrismLogic()
    rows: list[Measurement] = []
    failed = 0
    for number, case in enumerate(cases, 1):
        try:
            done = list(_segment_case(scene, case, output, classes, plane, truth, logic))
            tell(f"{number}/{len(cases)} {case.name}: {sum(row.voxels for row in done)} voxels")
        except (KPrismError, OSError, MemoryError) as error:
            failed += 1
            done = [Measurement(case.name, "", str(error))]
            tell(f"{number}/{len(cases)} {case.name}: {error}")
        rows.extend(done)
        # After every case, so that a run that is stopped leaves what it did.
        write_atomically(output / "metrics.csv", _table(rows))
    del kept_alive
    return failed


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InvalidImage(f"There is no folder {folder}.")
    return [path for path in folder.iterdir() if path.is_file()]


def _segment_case(
    scene: slicer.vtkMRMLScene,
    case: Path,
    output: Path,
    classes: Sequence[str],
    plane: str,
    truth: Path | None,
    logic: KPrismLogic,
) -> Iterator[Measurement]:
    nodes: list[Any] = []
    try:
        volume = _load(scene, case)
        nodes.append(volume)
        segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", _stem(case))
        nodes.append(segmentation)
        segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        for cls in classes:
            start = time.perf_counter()
            slices = _segment_class(logic, volume, segmentation, cls, plane)
            mask = _whole_mask(volume, segmentation, cls)
            litres = float(mask.sum() * abs(np.linalg.det(world_from_volume(volume)[:3, :3]))) / 1000
            agreement = None if truth is None else _dice(truth, case, cls, mask)
            elapsed = time.perf_counter() - start
            yield Measurement(case.name, cls, "done", slices, int(mask.sum()), litres, agreement, elapsed)
        nodes.append(_save(scene, segmentation, output / f"{_stem(case)}.seg.nrrd"))
    finally:
        logic.engine.forget()
        for node in nodes:
            scene.RemoveNode(node)


def _load(scene: slicer.vtkMRMLScene, case: Path) -> slicer.vtkMRMLVolumeNode:
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    from KPrismLib.imaging.reading import read_volume

    read = read_volume(case)
    image = vtk.vtkImageData()
    image.SetDimensions(*read.shape[::-1])
    values = np.ascontiguousarray(read.array).reshape(-1, 3) if read.is_colour else read.array.ravel()
    if values.dtype == np.float16:
        values = values.astype(np.float32)
    image.GetPointData().SetScalars(numpy_to_vtk(values, deep=True))
    kind = "vtkMRMLVectorVolumeNode" if read.is_colour else "vtkMRMLScalarVolumeNode"
    node = scene.AddNewNodeByClass(kind, _stem(case))
    node.SetAndObserveImageData(image)
    node.SetIJKToRASMatrix(matrix_from_array(read.ijk_to_ras))
    return node


def _segment_class(logic: KPrismLogic, volume: Any, segmentation: Any, cls: str, plane: str) -> int:
    """Segment every slice; -> in how many the class was found."""
    from KPrismLogic.slice_image import cut

    first = SlicePlane.of_volume(volume, plane)
    world = world_from_volume(volume)
    across = int(np.argmax(np.abs(first.normal @ world[:3, :3]) / np.linalg.norm(world[:3, :3], axis=0)))
    size = volume.GetImageData().GetDimensions()
    found = 0
    for index in range(size[across]):
        voxel = [extent // 2 for extent in size]
        voxel[across] = index
        where = first.moved_to(world[:3, :3] @ voxel + world[:3, 3])
        pixels = cut(volume, where).pixels
        if pixels.min() == pixels.max():
            continue  # Padding, in which there is nothing to see.
        found += bool(logic.segmentSlice(volume, segmentation, cls, plane=where, cls=cls).mask.any())
    return found


def _whole_mask(volume: Any, segmentation: Any, cls: str) -> Any:
    """bool (k, j, i) of the volume."""
    from vtk.util.numpy_support import vtk_to_numpy

    mask = np.zeros(volume.GetImageData().GetDimensions()[::-1], dtype=bool)
    labelmap, value = labelmap_of(segmentation, segmentation.GetSegmentation().GetSegmentIdBySegmentName(cls))
    if labelmap is not None:
        extent = labelmap.GetExtent()
        shape = [extent[axis + 1] - extent[axis] + 1 for axis in (4, 2, 0)]
        place = tuple(slice(extent[axis], extent[axis + 1] + 1) for axis in (4, 2, 0))
        mask[place] = vtk_to_numpy(labelmap.GetPointData().GetScalars()).reshape(shape) == value
    return mask


def _dice(truth: Path, case: Path, cls: str, mask: Any) -> float | None:
    """Agreement with the true segmentation, None when there is none for the case or the class."""
    from KPrismLib.errors import InvalidMask
    from KPrismLib.imaging.labels import binary_mask, read_label_volume

    path = next((truth / name for name in (f"{_stem(case)}.seg.nrrd", case.name) if (truth / name).exists()), None)
    if path is None:
        return None
    try:
        known = binary_mask(read_label_volume(path), cls)
    except InvalidMask:
        return None
    if known.shape != mask.shape:
        raise GeometryMismatch(f"{path.name} has shape {known.shape}, but the image {mask.shape}.")
    return float(2 * (known & mask).sum() / (known.sum() + mask.sum()))


def _save(scene: slicer.vtkMRMLScene, segmentation: Any, path: Path) -> Any:
    storage = scene.AddNewNodeByClass("vtkMRMLSegmentationStorageNode")
    storage.SetFileName(str(path))
    if not storage.WriteData(segmentation):
        scene.RemoveNode(storage)
        raise CannotWrite(f"Cannot write {path}; is the folder writable and the disk not full?")
    return storage


def _table(rows: Sequence[Measurement]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([_COLUMNS, *(row.row() for row in rows)])
    return text.getvalue().encode()


def _stem(path: Path) -> str:
    name = path.name
    suffix = max((suffix for suffix in _SUFFIXES if name.lower().endswith(suffix)), key=len)
    return name[: -len(suffix)]
