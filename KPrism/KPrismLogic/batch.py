"""Segmenting every image in a folder, in Slicer without windows and in plain Python alike."""

from __future__ import annotations

import csv
import dataclasses
import io
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from KPrismLib.errors import CannotWrite, InvalidConfig, InvalidImage, InvalidPrompt, KPrismError
from KPrismLib.imaging.atomic_file import write_atomically
from KPrismLogic.guide import ReferenceSlice
from KPrismLogic.headless import application_scene
from KPrismLogic.labelmaps import Mask, labelmap_of, voxels_of
from KPrismLogic.logic import KPrismLogic
from KPrismLogic.matrices import matrix_from_array, world_from_volume
from KPrismLogic.segments import find_or_add_segment, find_segment
from KPrismLogic.slice_image import stack_axis
from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.slice_stack import SliceStack
from KPrismLogic.true_segmentation import agreement_with_truth
from KPrismLogic.voxel_grid import VoxelGrid

if TYPE_CHECKING:
    import slicer

    from KPrismLib.imaging.volume import Volume

_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
#: What this module and Slicer write: results and true segmentations, never images.
_SEGMENTATIONS = (".seg.nrrd", ".seg.nhdr")
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
        millilitres: their volume, None in a picture, which knows no millimetres, and in a case that failed.
        dice: agreement with the true segmentation, None where there is none.
        seconds: time for this class.
    """

    case: str
    cls: str
    status: str
    slices: int = 0
    voxels: int = 0
    millilitres: float | None = None
    dice: float | None = None
    seconds: float = 0.0

    def row(self) -> list[str]:
        """The values as text, in the order of the table's columns."""
        millilitres = "" if self.millilitres is None else f"{self.millilitres:.3f}"
        found = [str(self.slices), str(self.voxels), millilitres]
        dice = "" if self.dice is None else f"{self.dice:.4f}"
        return [self.case, self.cls, self.status, *found, dice, f"{self.seconds:.2f}"]


def segment_folder(
    images: Path,
    output: Path,
    classes: Sequence[str] = (),
    *,
    references: Sequence[ReferenceSlice] = (),
    name: str = "Structure",
    plane: str = "axial",
    every_piece: bool = False,
    truth: Path | None = None,
    logic: KPrismLogic | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> int:
    """Segment all images of a folder by class or by example; a case that fails does not stop the others.

    Writes ``<image>.seg.nrrd`` for each case and ``metrics.csv``.

    Args:
        images: folder with images of any format that K-Prism reads; segmentations in it, ``.seg.nrrd``, are left out.
        output: folder for the results; made if missing.
        classes: classes that the model knows; a voxel that several claim goes to the most probable.
        references: segmented slices to take as examples instead of classes.
        name: name of what the references show, for the segment and the table.
        plane: "axial", "coronal" or "sagittal"; pictures have axial slices only.
        every_piece: keep of a class what is hardly certain and what is small beside its largest piece.
        truth: folder with segmentations to compare with, named as the images or as this function names its results;
            what has no names for its labels is compared if one structure is looked for and one label is there.
        logic: what segments; None for a new one.
        tell: called with a line for each case, in which it also says where there is nothing to compare with.

    Returns:
        How many cases failed.

    Raises:
        InvalidPrompt: neither classes nor references, or both.
        InvalidImage: the folder has no images, or two that differ in their suffix only; or there is no such folder.
        InvalidConfig: results would be written over the segmentations to compare with.
        CannotWrite: the output folder or the table cannot be written.
    """
    if bool(classes) == bool(references):
        raise InvalidPrompt("Give either classes or references to say what to segment.")
    cases = _cases(images)
    if truth is not None:
        _files(truth)
        if truth.resolve() == output.resolve():
            raise InvalidConfig(
                f"Results would replace the true segmentations in {truth}; choose another output folder."
            )
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWrite(f"Cannot make the folder {output}: {error.strerror}.") from error
    scene, kept_alive = application_scene()
    logic = logic or KPrismLogic()
    what = _What(tuple(dict.fromkeys(classes)) or (name,), tuple(references), every_piece)
    rows: list[Measurement] = []
    failed = 0
    for number, case in enumerate(cases, 1):
        try:
            done, missing = _segment_case(scene, case, output, what, plane, truth, logic)
            found = [f"{sum(row.voxels for row in done)} voxels", *(f"no Dice, {sentence}" for sentence in missing)]
            tell(f"{number}/{len(cases)} {case.name}: {'; '.join(found)}")
        except Exception as error:  # one failed case does not stop the others  # noqa: BLE001
            failed += 1
            sentence = str(error)
            if not isinstance(error, (KPrismError, OSError, MemoryError)):
                traceback.print_exc()  # A defect: the table tells of it, and the log gets the whole story.
                sentence = f"K-Prism did not expect this ({type(error).__name__}: {error})."
            done = [Measurement(case.name, "", sentence)]
            tell(f"{number}/{len(cases)} {case.name}: {sentence}")
        rows.extend(done)
        # After every case, so that a run that is stopped leaves what it did.
        write_atomically(output / "metrics.csv", _table(rows))
    del kept_alive
    return failed


def _cases(folder: Path) -> list[Path]:
    names = {path: path.name.lower() for path in _files(folder)}
    cases = sorted(
        path for path, name in names.items() if name.endswith(_SUFFIXES) and not name.endswith(_SEGMENTATIONS)
    )
    if not cases:
        raise InvalidImage(f"There is no image in {folder}.")
    first: dict[str, Path] = {}
    for case in cases:
        # Some file systems take capital letters for small ones.
        other = first.setdefault(_stem(case).lower(), case)
        if other is not case:
            raise InvalidImage(
                f"{other.name} and {case.name} would both become {_stem(case)}.seg.nrrd; rename one of them, or move "
                "it to another folder."
            )
    return cases


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InvalidImage(f"There is no folder {folder}.")
    return [path for path in folder.iterdir() if path.is_file()]


@dataclass(frozen=True, eq=False)
class _What:
    """What to segment: classes, or what references show."""

    names: tuple[str, ...]
    references: tuple[ReferenceSlice, ...]
    every_piece: bool


def _segment_case(
    scene: slicer.vtkMRMLScene,
    case: Path,
    output: Path,
    what: _What,
    plane: str,
    truth: Path | None,
    logic: KPrismLogic,
) -> tuple[list[Measurement], list[str]]:
    """A row for each structure, and sentences on why some of them could not be compared."""
    nodes: list[Any] = []
    try:
        read = _read(case, plane)
        volume = _add(scene, case, read)
        nodes.append(volume)
        segmentation = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", _stem(case))
        segmentation.CreateDefaultDisplayNodes()  # Here, so that they go with the case.
        nodes.extend((segmentation, segmentation.GetDisplayNode()))
        segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
        start = time.perf_counter()
        if what.references:
            _segment_by_example(logic, volume, segmentation, what, plane)
        else:
            logic.segmentVolume(volume, segmentation, what.names, plane=plane, everyPiece=what.every_piece)
        elapsed = (time.perf_counter() - start) / len(what.names)
        # Before anything is compared, so that a true segmentation that does not fit costs no result.
        nodes.append(_save(scene, segmentation, output / f"{_stem(case)}.seg.nrrd"))
        masks = {name: _whole_mask(volume, segmentation, name) for name in what.names}
        agreement: dict[str, float] = {}
        missing: list[str] = []
        if truth is not None:
            files = [truth / f"{_stem(case)}.seg.nrrd", truth / case.name]
            agreement, missing = agreement_with_truth(files, case, masks, world_from_volume(volume))
        measured = [
            _measure(volume, case, name, mask, plane, agreement.get(name), elapsed) for name, mask in masks.items()
        ]
        if read.is_picture:
            measured = [dataclasses.replace(one, millilitres=None) for one in measured]
        return measured, missing
    finally:
        logic.engine.forget()
        for node in nodes:
            scene.RemoveNode(node)


def _measure(
    volume: Any, case: Path, name: str, mask: Mask, plane: str, agreement: float | None, seconds: float
) -> Measurement:
    across = 2 - _normal_axis(volume, plane)
    slices = int(mask.any(axis=tuple(axis for axis in range(3) if axis != across)).sum())
    litres = float(mask.sum() * abs(np.linalg.det(world_from_volume(volume)[:3, :3]))) / 1000
    return Measurement(case.name, name, "done", slices, int(mask.sum()), litres, agreement, seconds)


def _read(case: Path, plane: str) -> Volume:
    from KPrismLib.imaging.reading import read_volume

    read = read_volume(case)
    if read.is_picture and plane != "axial":
        raise InvalidImage(f"A picture has no {plane} slices; ask for the axial plane.")
    return read


def _add(scene: slicer.vtkMRMLScene, case: Path, read: Volume) -> slicer.vtkMRMLVolumeNode:
    import vtk
    from vtk.util.numpy_support import numpy_to_vtk

    image = vtk.vtkImageData()
    image.SetDimensions(*read.shape[::-1])
    values = np.ascontiguousarray(read.array).reshape(-1, 3) if read.is_colour else read.array.ravel()
    # VTK knows no half precision, and takes the bytes of other computers as if they were in the order of this one.
    kind = np.dtype(np.float32) if values.dtype == np.float16 else values.dtype.newbyteorder("=")
    values = values.astype(kind, copy=False)
    image.GetPointData().SetScalars(numpy_to_vtk(values, deep=True))
    node_class = "vtkMRMLVectorVolumeNode" if read.is_colour else "vtkMRMLScalarVolumeNode"
    node = scene.AddNewNodeByClass(node_class, _stem(case))
    node.SetAndObserveImageData(image)
    node.SetIJKToRASMatrix(matrix_from_array(read.ijk_to_ras))
    return node


def _segment_by_example(logic: KPrismLogic, volume: Any, segmentation: Any, what: _What, plane: str) -> None:
    stack = SliceStack.through(volume, SlicePlane.of_volume(volume, plane))
    find_or_add_segment(segmentation, what.names[0], None)
    for index, where in enumerate(stack.planes):
        pixels = stack.pixels(index)
        if pixels.min() < pixels.max():  # In padding there is nothing to see.
            logic.segmentSlice(volume, segmentation, what.names[0], plane=where, reference=what.references)


def _normal_axis(volume: Any, plane: str) -> int:
    """The voxel axis (0 i, 1 j, 2 k) along which the slices of a plane follow each other."""
    axis = stack_axis(VoxelGrid.of(volume), SlicePlane.of_volume(volume, plane))
    if axis is None:
        raise AssertionError("a plane of the volume's own slices is one of its stacks")
    return axis


def _whole_mask(volume: Any, segmentation: Any, cls: str) -> Mask:
    """bool (k, j, i) of the volume."""
    mask = np.zeros(volume.GetImageData().GetDimensions()[::-1], dtype=bool)
    labelmap, value = labelmap_of(segmentation, find_segment(segmentation, cls) or "")
    if labelmap is not None:
        extent = labelmap.GetExtent()
        place = tuple(slice(extent[axis], extent[axis + 1] + 1) for axis in (4, 2, 0))
        mask[place] = voxels_of(labelmap) == value
    return mask


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
