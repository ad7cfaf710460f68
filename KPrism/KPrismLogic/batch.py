"""Segmenting every image in a folder, in Slicer without windows and in plain Python alike."""

from __future__ import annotations

import contextlib
import dataclasses
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from KPrismLib.batch.cases import Case
from KPrismLib.batch.manifest import ENDING, NAME, Manifest
from KPrismLib.errors import InvalidImage, InvalidPrompt, KPrismError
from KPrismLib.imaging.atomic_file import made_folder
from KPrismLogic.batch_cases import cases_in, check_truth_stays, file_name, truth_files
from KPrismLogic.batch_results import BatchResults
from KPrismLogic.case_nodes import add_segmentation, add_volume, remove_nodes, segmentation_file, whole_mask
from KPrismLogic.guide import ReferenceSlice
from KPrismLogic.headless import application_scene
from KPrismLogic.labelmaps import Mask
from KPrismLogic.logic import KPrismLogic
from KPrismLogic.matrices import world_from_volume
from KPrismLogic.measurements import Measurement, MetricsTable
from KPrismLogic.run_tally import NOTHING_FOUND
from KPrismLogic.segments import find_or_add_segment
from KPrismLogic.slice_image import stack_axis
from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.slice_stack import SliceStack
from KPrismLogic.true_segmentation import agreement_with_truth
from KPrismLogic.voxel_grid import VoxelGrid

if TYPE_CHECKING:
    import slicer

    from KPrismLib.imaging.volume import Volume


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
    overwrite: bool = False,
    logic: KPrismLogic | None = None,
    tell: Callable[[str], object] = lambda _: None,
) -> int:
    """Segment all images of a folder by class or by example; a case that fails does not stop the others.

    Writes ``<image>.seg.nrrd`` for each case, ``metrics.csv``, and ``manifest.jsonl`` with what was written: a file
    that no run wrote, or that somebody changed since, is left as it is, and its case fails.

    Args:
        images: folder with images of any format that K-Prism reads, in subfolders, too. Results among them are left
            out: ``.seg.nrrd``, and what else ``KPrismLib.batch.cases.find_cases`` knows.
        output: folder for the results; made if missing.
        classes: classes that the model knows; a voxel that several are sure of goes to the most probable.
        references: segmented slices to take as examples instead of classes.
        name: name of what the references show, for the segment and the table.
        plane: "axial", "coronal" or "sagittal"; pictures have axial slices only.
        every_piece: keep of a class what is hardly certain and what is elsewhere.
        truth: folder with segmentations to compare with, named as the images or as this function names its results;
            what has no names for its labels is compared if one structure is looked for and one label is there.
        overwrite: write over whatever lies where results go.
        logic: what segments; None for a new one.
        tell: called with a line for each case, in which it also says what the user should know of the result, and
            where there is nothing to compare with; what it raises is passed over.

    Returns:
        How many cases failed; a table that could not be written counts as one.

    Raises:
        InvalidPrompt: neither classes nor references, or both.
        InvalidImage: the folder has no images; or there is no such folder, or it cannot be opened.
        InvalidConfig: results would be written over the segmentations to compare with.
        CannotWrite: the output folder cannot be written, or ``metrics.csv`` in it is somebody else's.
    """
    if bool(classes) == bool(references):
        raise InvalidPrompt("Give either classes or references to say what to segment.")

    def say(line: str) -> None:
        with contextlib.suppress(Exception):  # a terminal that is gone, or lacks a letter, ends no run
            tell(line)

    cases = cases_in(images, output, truth, say)
    if truth is not None:
        check_truth_stays(cases, images, output, truth)
    made_folder(output)
    table = MetricsTable(output / "metrics.csv", overwrite=overwrite)
    scene, kept_alive = application_scene()
    logic = logic or KPrismLogic()
    what = _What(tuple(dict.fromkeys(classes)) or (name,), tuple(references), plane, every_piece)
    failed = 0
    with Manifest(output / f"{NAME}{ENDING}") as manifest:
        results = BatchResults(output, manifest, overwrite=overwrite)
        for number, case in enumerate(cases, 1):
            file = file_name(case, images)
            files = [] if truth is None else truth_files(case, images, truth)
            try:
                done, remarks = _segment_case(scene, case, file, results, what, files, logic)
                line = "; ".join([f"{sum(row.voxels for row in done)} voxels", *remarks])
            except Exception as error:  # one failed case does not stop the others  # noqa: BLE001
                failed += 1
                line = _sentence_of(error)
                done = [Measurement(file, "", line)]
                results.failed(case, line)
            say(f"{number}/{len(cases)} {file}: {line}")
            table.add(done)
            if table.problem:
                say(table.problem)
    del kept_alive
    return failed + bool(table.problem)


def _sentence_of(error: Exception) -> str:
    if isinstance(error, (KPrismError, OSError, MemoryError)):
        return str(error)
    with contextlib.suppress(OSError, ValueError):
        traceback.print_exc()  # A defect: the table tells of it, and the log gets the whole story.
    return f"K-Prism did not expect this ({type(error).__name__}: {error})."


@dataclass(frozen=True, eq=False)
class _What:
    """What to segment: classes, or what references show."""

    names: tuple[str, ...]
    references: tuple[ReferenceSlice, ...]
    plane: str
    every_piece: bool


def _segment_case(
    scene: slicer.vtkMRMLScene,
    case: Case,
    file: str,
    results: BatchResults,
    what: _What,
    truth: Sequence[Path],
    logic: KPrismLogic,
) -> tuple[list[Measurement], list[str]]:
    """A row for each structure; a warning, and sentences on why some of them could not be compared."""
    about = results.begin(case)
    nodes: list[Any] = []
    try:
        read = _read(case, what.plane)
        title = Path(case.name).name
        volume = add_volume(scene, read, title)
        nodes.append(volume)
        segmentation = add_segmentation(scene, volume, title)
        nodes.extend((segmentation, segmentation.GetDisplayNode()))
        stack = SliceStack.through(volume, SlicePlane.of_volume(volume, what.plane))
        window = logic.engine.window_of(stack)
        start = time.perf_counter()
        if what.references:
            warning = _segment_by_example(logic, volume, segmentation, stack, what)
        else:
            found = logic.segmentVolume(volume, segmentation, what.names, plane=what.plane, everyPiece=what.every_piece)
            warning = found.remark
        elapsed = (time.perf_counter() - start) / len(what.names)
        # Before anything is compared, so that a true segmentation that does not fit costs no result.
        facts = {"window": window.to_dict(), "warning": warning or None}
        results.write(case, {**about, **facts}, segmentation_file(segmentation))
        masks = {name: whole_mask(volume, segmentation, name) for name in what.names}
        agreement: dict[str, float] = {}
        missing: list[str] = []
        if truth:
            agreement, missing = agreement_with_truth(truth, case.source, masks, world_from_volume(volume))
        measured = [
            _measure(volume, file, name, mask, what.plane, agreement.get(name), elapsed) for name, mask in masks.items()
        ]
        if read.is_picture:
            measured = [dataclasses.replace(one, millilitres=None) for one in measured]
        return measured, [*filter(None, [warning]), *(f"no Dice, {sentence}" for sentence in missing)]
    finally:
        logic.engine.forget()
        remove_nodes(scene, nodes)
        logic.propagations.forget_what_is_gone()


def _measure(
    volume: Any, file: str, name: str, mask: Mask, plane: str, agreement: float | None, seconds: float
) -> Measurement:
    across = 2 - _normal_axis(volume, plane)
    slices = int(mask.any(axis=tuple(axis for axis in range(3) if axis != across)).sum())
    millilitres = float(mask.sum() * abs(np.linalg.det(world_from_volume(volume)[:3, :3]))) / 1000
    return Measurement(file, name, "done", slices, int(mask.sum()), millilitres, agreement, seconds)


def _read(case: Case, plane: str) -> Volume:
    read = case.read()
    if read.is_picture and plane != "axial":
        raise InvalidImage(f"A picture has no {plane} slices; ask for the axial plane.")
    return read


def _segment_by_example(logic: KPrismLogic, volume: Any, segmentation: Any, stack: SliceStack, what: _What) -> str:
    """Segment slice by slice; -> what the user should know, each remark once, or ""."""
    find_or_add_segment(segmentation, what.names[0], None)
    remarks: dict[str, None] = {}
    found = False
    for index, where in enumerate(stack.planes):
        pixels = stack.pixels(index)
        if pixels.min() < pixels.max():  # In padding there is nothing to see.
            answer = logic.segmentSlice(volume, segmentation, what.names[0], plane=where, reference=what.references)
            remarks[answer.remark] = None
            found = found or bool(answer.mask.any())
    return " ".join(filter(None, [*remarks, "" if found else NOTHING_FOUND]))


def _normal_axis(volume: Any, plane: str) -> int:
    """The voxel axis (0 i, 1 j, 2 k) along which the slices of a plane follow each other."""
    axis = stack_axis(VoxelGrid.of(volume), SlicePlane.of_volume(volume, plane))
    if axis is None:
        raise AssertionError("a plane of the volume's own slices is one of its stacks")
    return axis
