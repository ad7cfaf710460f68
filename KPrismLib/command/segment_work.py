"""One case of a batch: look whether it is done, else read, segment, write; whatever happens becomes a record."""

from __future__ import annotations

import errno
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from KPrismLib.batch.cases import Case
from KPrismLib.batch.fingerprint import content_fingerprint, stamp
from KPrismLib.batch.manifest import SIDE_FILES, Record, Status, file_record, is_name, name_from
from KPrismLib.batch.results import KnownFiles, announce, check_replaceable, is_as_written, is_same_place, known_files
from KPrismLib.batch.workers import Progress
from KPrismLib.command.failures import OUT_OF_SPACE, sentence_of, without_reader_warnings
from KPrismLib.command.label_map import Knowledge, predict
from KPrismLib.command.outputs import Outputs
from KPrismLib.command.segment_request import Request
from KPrismLib.command.segment_run import facts_of
from KPrismLib.command.slices import plane_called
from KPrismLib.errors import CannotWrite
from KPrismLib.imaging.atomic_file import made_folder
from KPrismLib.imaging.planes import Plane
from KPrismLib.intensity import window_for
from KPrismLib.predictor import Predictor

#: With these, no other case can be written either.
_HOPELESS = (*OUT_OF_SPACE, errno.EROFS)
#: How a process ends from which the system wanted its memory back; the second one is Windows's STATUS_NO_MEMORY.
_WANT_OF_MEMORY = ("signal SIGKILL", f"exit status {0xC0000017}")


@dataclass(frozen=True)
class Task:
    """A case; what is known of files where its results go, and of an earlier segmentation, maybe of another image."""

    case: Case
    known: KnownFiles = field(default_factory=KnownFiles)
    earlier: Record | None = None


@dataclass(frozen=True)
class Outcome:
    """The record of a case; ``stop`` says why the other cases would fail as well, or is None."""

    record: Record
    stop: str | None = None

    @property
    def is_on_record(self) -> bool:
        """Whether this record, or an earlier one for which the case was skipped, tells of the result as it is."""
        return self.record["status"] != Status.FAILED.value and not self.record.get("changed", False)


@dataclass(frozen=True)
class Places:
    """Where the results of a batch go: ``<folder>/<case><ending>``, overlays and probabilities likewise.

    Attributes:
        folder: of the segmentations; ``overlays`` and ``probabilities`` where they are not None.
        ending: of the segmentations, ``.seg.nrrd`` and so on.
    """

    folder: Path
    ending: str
    overlays: Path | None = None
    probabilities: Path | None = None

    def name_of(self, path: Path) -> str:
        """A path as seen from the folder."""
        return name_from(self.folder, path)

    def output(self, case: str) -> str:
        """The name of a segmentation as seen from the folder."""
        return self.name_of(self.outputs(case).segmentation)

    def task(self, case: Case, known: KnownFiles) -> Task:
        """A case with what is known of the files where its results go."""
        names = [self.name_of(path) for path in self.outputs(case.name).files]
        return Task(case, known.only(names), known.written.get(self.output(case.name)))

    @property
    def folders(self) -> tuple[Path, ...]:
        """All of them."""
        return tuple(path for path in (self.folder, self.overlays, self.probabilities) if path is not None)

    def outputs(self, case: str) -> Outputs:
        """The files of one case."""
        return Outputs(
            self.folder / f"{case}{self.ending}",
            None if self.overlays is None else self.overlays / f"{case}.png",
            None if self.probabilities is None else self.probabilities / f"{case}.nii.gz",
        )


@dataclass(eq=False)
class SegmentWork:
    """What each process of a batch does; the model is loaded at the first case that needs it, once.

    Attributes:
        request: what to segment.
        places: where results go.
        model: shipped weights, or a weights file.
        devices: of process 0, 1, ...; taken in turn when there are more processes.
        workers: how many processes share the processor.
        settings: fingerprint of everything but the image that decides about the result.
        overwrite: segment also what is done, and write over whatever lies where results go.
    """

    request: Request
    places: Places
    model: str
    devices: tuple[str, ...]
    workers: int
    settings: str
    overwrite: bool = False
    _worker: int = 0

    def do(self, task: Task, worker: int, progress: Progress) -> Outcome:
        """Segment one case, or find that it is done."""
        self._worker = worker
        begin = time.perf_counter()
        case = task.case
        about = case.about(self.places.folder)
        try:
            case.check()
            files = case.all_files()
            about["stamp"] = stamp(files)
            done = self._done_before(task, about)
            if done is not None:
                return Outcome({**about, "status": Status.SKIPPED.value, **done})
            about |= {"content": content_fingerprint(files), "settings": self.settings}
            done = self._done_before(task, about) or self._made_ready(task, about)
            if done is not None:
                return Outcome({**about, "status": Status.SKIPPED.value, **done})
            about |= self._segment(task, about, progress)
        except Exception as error:  # one failed case does not stop the rest  # noqa: BLE001
            seconds = round(time.perf_counter() - begin, 3)
            failed = {**about, "status": Status.FAILED.value, "sentence": sentence_of(error), "seconds": seconds}
            return Outcome(failed, sentence_of(error) if _is_hopeless(error) else None)
        return Outcome({**about, "status": Status.DONE.value, "seconds": round(time.perf_counter() - begin, 3)})

    def died(self, task: Task, reason: str) -> Outcome:
        """The process was killed, or crashed."""
        sentence = (
            f"The process that segmented it was ended ({reason}), most often for want of memory; use fewer --workers."
            if reason in _WANT_OF_MEMORY
            else f"The process that segmented it crashed ({reason}): the file may be damaged; look at it, or leave it "
            "out."
        )
        return Outcome({**task.case.about(self.places.folder), "status": Status.FAILED.value, "sentence": sentence})

    def open(self) -> tuple[Predictor, Knowledge]:
        """The model and what it is asked for; raises what is wrong with either."""
        # The plane of most images, until one is read.
        wanted = self.request.plane
        return self._predictor, self._knowledge_in(Plane.AXIAL if wanted is None else plane_called(wanted))

    def _done_before(self, task: Task, about: Record) -> Record | None:
        """Why there is nothing to do: image, settings and results are those of the earlier record; else None."""
        earlier = task.earlier
        if self.overwrite or earlier is None or earlier.get("settings") != self.settings:
            return None
        # An unchanged file need not be read; a file that was only touched, moved or copied has the same content.
        unchanged = earlier.get("stamp") == about["stamp"] and is_same_place(earlier, about)
        if not unchanged and ("content" not in about or earlier.get("content") != about["content"]):
            return None
        outputs = self.places.outputs(task.case.name)
        expected = {outputs.segmentation: earlier}
        for name in SIDE_FILES:
            path = getattr(outputs, name)
            if path is not None:
                expected[path] = earlier.get(name) or {}
        on_record = (is_name(facts.get("output"), self._name(path)) for path, facts in expected.items())
        if not all(on_record) or not all(path.is_file() for path in expected):
            return None
        done = f"done {earlier['finished']} from the same image with the same settings"
        changed = [path for path, facts in expected.items() if path.stat().st_size != facts.get("bytes")]
        if not changed:
            return {"reason": done}
        if any(is_as_written(path, task.known.of(self._name(path))) for path in changed):
            return None  # by a run with other settings, or one that was killed before its record
        warnings = (
            f"{path.name} was changed after K-Prism wrote it and stays; for a new one move it away or add --overwrite."
            for path in changed
        )
        return {"reason": f"{done}, changed since", "changed": True, "warning": " ".join(warnings)}

    def _made_ready(self, task: Task, about: Record) -> Record | None:
        """Folders for the results, which may be written there; else why there is nothing to do after all."""
        outputs = self.places.outputs(task.case.name)
        for path in outputs.files:
            made_folder(path.parent)
        outputs.check(task.case.files)
        try:
            self._check_replaceable(task, about)
        except CannotWrite:
            # Another run may be at work in this folder: what it has on record since is no reason to fail.
            task = self.places.task(task.case, known_files(self.places.folder))
            done = self._done_before(task, about)
            if done is None:
                self._check_replaceable(task, about)
            return done
        return None

    def _check_replaceable(self, task: Task, about: Record) -> None:
        """Raise CannotWrite if a file where a result goes is to stay."""
        for path in () if self.overwrite else self.places.outputs(task.case.name).files:
            check_replaceable(path, about, task.known.of(self._name(path)))

    def _segment(self, task: Task, about: Record, progress: Progress) -> Record:
        request, case = self.request, task.case
        outputs = self.places.outputs(case.name)
        without_reader_warnings()
        volume = case.read()
        outputs.check_fits(volume)
        places = request.places(volume)
        window = window_for(volume.array, rule=request.window, modality=volume.modality)
        predictor, knowledge = self._predictor, self._knowledge_in(places[0].plane)
        ready = 0

        def after_slice() -> None:
            nonlocal ready
            ready += 1
            progress(ready, len(places))

        result = predict(
            predictor,
            volume,
            places,
            knowledge,
            window=window,
            keep_probability=outputs.probability is not None,
            after_slice=after_slice,
        )
        written: Record = {}

        def about_to_write(files: Mapping[Path, bytes]) -> None:
            described = {path: file_record(self._name(path), content) for path, content in files.items()}
            written.update(described[outputs.segmentation])
            written.update((name, described.get(getattr(outputs, name))) for name in SIDE_FILES)
            announce(self.places.folder, {**about, **written, "status": Status.DONE.value})

        outputs.write(result, volume, announce=about_to_write)
        facts = facts_of(result, volume, predictor, outputs)
        return {
            **written,
            "model": facts["model"],
            "device": facts["device"],
            "plane": facts["plane"],
            "slices": len(facts["slices"]),
            "window": facts["window"],
            "classes": [segment.name for segment in result.segments],
            "segments": [_measured(one, facts["slices"]) for one in facts["segments"]],
            "references": facts["references"],
            "warning": facts["warning"],
        }

    def _name(self, path: Path) -> str:
        return self.places.name_of(path)

    @cached_property
    def _predictor(self) -> Predictor:
        if self.workers > 1:
            import torch

            # More threads than cores only wait for each other. That another number of them may give another pixel
            # cannot be helped: convolutions, matrix products and group norms all split their sums by it.
            torch.set_num_threads(max(1, torch.get_num_threads() // self.workers))
        return Predictor.load(self.model, device=self.devices[self._worker % len(self.devices)])

    @cached_property
    def _known(self) -> dict[Plane, Knowledge]:
        return {}

    def _knowledge_in(self, plane: Plane) -> Knowledge:
        """What is known of the structures for images of a plane; references are read once for each plane."""
        if plane not in self._known:
            # With several processes the references were read before, by the one that started them.
            quiet = self.workers > 1 or bool(self._known)
            self._known[plane] = self.request.knowledge(self._predictor, plane, quiet=quiet)
        return self._known[plane]

    def __getstate__(self) -> dict[str, Any]:
        """Another process loads the model by itself."""
        return {name: value for name, value in self.__dict__.items() if name not in ("_predictor", "_known")}


def _measured(segment: Mapping[str, Any], slices: Sequence[int]) -> Record:
    """A segment of :func:`facts_of` as a record has it; of one slice the area: a slice of a structure has no volume.

    Args:
        segment: name, label, pixels, square and cubic millimetres (None without geometry).
        slices: which were segmented.
    """
    about = {"name": segment["name"], "label": segment["label"], "voxels": segment["pixels"]}
    if segment["mm3"] is None or len(slices) > 1:
        return {**about, "millilitres": segment["mm3"] and segment["mm3"] / 1000}
    return {**about, "millilitres": None, "mm2": segment["mm2"]}


def _is_hopeless(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in _HOPELESS:
            return True
        error = error.__cause__
    return False
