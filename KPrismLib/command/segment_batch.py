"""``kprism segment`` at work on many images."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path

import typer
from rich.console import Console

from KPrismLib import __version__
from KPrismLib.batch.cases import Case, find_cases, slices_given_alone
from KPrismLib.batch.fingerprint import content_fingerprint, settings_fingerprint
from KPrismLib.batch.manifest import ENDING, NAME, Manifest, Record, Status, files_of
from KPrismLib.batch.result_files import passed_over
from KPrismLib.batch.results import known_files, withdraw
from KPrismLib.batch.shard import Shard, wait_for_other_shards
from KPrismLib.batch.workers import Interruption, work_here, work_in_processes
from KPrismLib.command.batch_devices import devices_for, number_of_workers
from KPrismLib.command.batch_options import BatchOptions
from KPrismLib.command.batch_progress import BatchProgress
from KPrismLib.command.console import print_json, say
from KPrismLib.command.failures import FAILED
from KPrismLib.command.input_files import InputFiles
from KPrismLib.command.segment_request import Request, known_classes
from KPrismLib.command.segment_work import Outcome, Places, SegmentWork, Task
from KPrismLib.devices import choose_device
from KPrismLib.errors import Cancelled, CannotWrite, InvalidPrompt
from KPrismLib.imaging import dicom_seg
from KPrismLib.imaging.atomic_file import made_folder
from KPrismLib.imaging.file_identity import Identity, identities, same_file
from KPrismLib.imaging.reading import existing
from KPrismLib.weights import find_weights, load_weights

#: Temporary files older than this (seconds) belong to a run that was killed.
_LEFT_OVER = 3600.0
#: Looking for images tells how far it is after so many files.
_TOLD_AFTER = 100


def run_batch(
    request: Request,
    inputs: Sequence[Path],
    places: Places,
    options: BatchOptions,
    *,
    model: str,
    device: str,
    as_json: bool,
) -> None:
    """Segment every image, record what became of each, and fail in the end if one failed.

    Raises:
        KPrismError: something that concerns all cases, before the first one.
        Cancelled: ^C.
    """
    if request.prompts:
        raise InvalidPrompt("Clicks and scribbles lie in one image; segment that image by itself, into a file.")
    if places.ending == dicom_seg.ENDING:
        dicom_seg.check_installed(places.folder.name)
    shard = Shard.parse(options.shard) if options.shard else Shard.of_process(os.environ)
    workers = number_of_workers(options.workers, device, os.environ)
    chosen = choose_device(device)
    request = _known(request, model)
    for folder in places.folders:
        if any(same_file(path, folder) for path in inputs):
            raise CannotWrite(f"Cannot write into {folder}: the images lie there; give another folder.")
    everything = _found(inputs, places)
    _check_apart(everything, places, request)
    cases = shard.take(everything)
    made_folder(places.folder)
    _remove_left_overs(places.folder)
    work = SegmentWork(
        request,
        places,
        model,
        devices=devices_for(str(chosen), workers, os.environ),
        workers=workers,
        settings=_settings(request, places, model),
        overwrite=options.overwrite,
    )
    # What is wrong with an example is wrong with every case.
    if workers > 1:
        request.check_references()  # without a model: each process loads its own
    elif request.references:
        work.open()
    request.say_places_of_many()
    records, stop, cancelled = _work_through(work, cases, places, shard, workers)
    _tell(records, len(cases), places, shard, as_json=as_json, cancelled=cancelled, stop=stop)
    if cancelled:
        raise Cancelled("Cancelled.")
    wait_for_other_shards()
    if stop is not None or any(record["status"] == Status.FAILED.value for record in records):
        raise typer.Exit(FAILED)


def _work_through(
    work: SegmentWork, cases: Sequence[Case], places: Places, shard: Shard, workers: int
) -> tuple[list[Record], str | None, bool]:
    """-> (records, why it stopped early, whether ^C was pressed)."""
    known = known_files(places.folder)
    tasks = (places.task(case, known) for case in cases)
    records: list[Record] = []
    with (
        Manifest(places.folder / f"{NAME}{shard.suffix}{ENDING}") as manifest,
        BatchProgress(len(cases)) as bars,
        Interruption(
            lambda: bars.tell("Stopping after the case in hand; press ^C again to stop at once.")
        ) as interruption,
    ):

        def step(worker: int, task: Task, done: int, total: int) -> None:
            bars.step(worker, task.case.name, done, total)

        outcomes: Iterator[Outcome] = (
            work_here(work, tasks, interruption, step)
            if workers == 1
            else work_in_processes(work, tasks, interruption, step, workers=min(workers, max(1, len(cases))))
        )
        try:
            for outcome in outcomes:
                manifest.append(outcome.record)
                if outcome.is_on_record:
                    name = places.output(outcome.record["case"])
                    withdraw(places.folder, name, known.written | files_of(outcome.record))
                records.append(outcome.record)
                bars.finished(outcome.record)
                if outcome.stop is not None:
                    return records, outcome.stop, False
        finally:
            outcomes.close()  # type: ignore[attr-defined]
        return records, None, interruption.wanted


def _known(request: Request, model: str) -> Request:
    """The request with classes as the model calls them; a wrong name is told now, not a hundred times."""
    weights = load_weights(model)
    return replace(request, classes=known_classes(request.classes, weights.config.classes))


def _found(inputs: Sequence[Path], places: Places) -> list[Case]:
    """The images; how many files were passed over as results is told, and on a terminal how far the search is."""
    console = Console(stderr=True)
    seen, results = 0, 0

    with console.status("Looking for images") if console.is_terminal else nullcontext() as status:

        def after_file() -> None:
            nonlocal seen
            seen += 1
            if status is not None and seen % _TOLD_AFTER == 0:
                status.update(f"Looking for images: {seen} files")

        def on_result(_: Path) -> None:
            nonlocal results
            results += 1

        cases = find_cases(inputs, results=[places.folder], after_file=after_file, on_result=on_result)
    if results:
        say(passed_over(results))
    alone = slices_given_alone(inputs)
    if alone:
        say(f"{alone} files are slices of DICOM series, each segmented by itself; give their folder for the volume.")
    return cases


def _check_apart(cases: Sequence[Case], places: Places, request: Request) -> None:
    """Raise CannotWrite when a result would take the place of an image, a reference, its mask, or another result."""
    files = InputFiles([*(path for case in cases for path in case.files), *request.reference_files])
    taken: set[Identity] = set()
    for case in cases:
        for result in places.outputs(case.name).files:
            known = identities(result)
            other = "an input" if result in files else None if known.isdisjoint(taken) else "another result"
            if other is not None:
                raise CannotWrite(f"Cannot write {result}: it is also {other}; choose another folder for it.")
            taken |= known


def _settings(request: Request, places: Places, model: str) -> str:
    """Fingerprint of all that decides about a result, the image aside."""
    return settings_fingerprint(
        {
            "version": __version__,
            "weights": content_fingerprint([find_weights(model)]),
            "classes": request.classes,
            "references": [[_content(r.image), _content(r.mask), r.label, r.slice] for r in request.references],
            "plane": request.plane,
            "slices": request.slices,
            "window": request.window,
            "every_piece": request.every_piece,
            "best": request.best,
            "ending": places.ending,
        }
    )


def _content(path: Path) -> str:
    """Fingerprint of an image file, or of the files in the folder of a series.

    Raises:
        InvalidImage: it cannot be read.
    """
    source = existing(path)
    if source.is_dir():
        return content_fingerprint(file for file in source.iterdir() if file.is_file())
    return content_fingerprint(Case(source.name, (source,)).all_files())


def _remove_left_overs(folder: Path) -> None:
    """Temporary files of runs that were killed, where the system cannot write nameless ones."""
    for path in folder.rglob(".kprism-*.tmp"):
        with suppress(OSError):  # another shard has it open, or has just given it its name
            if time.time() - path.stat().st_mtime > _LEFT_OVER:
                path.unlink()


def _tell(
    records: Sequence[Record],
    total: int,
    places: Places,
    shard: Shard,
    *,
    as_json: bool,
    cancelled: bool,
    stop: str | None,
) -> None:
    counts = Counter(record["status"] for record in records)
    manifest = places.folder / f"{NAME}{shard.suffix}{ENDING}"
    if stop is not None:
        say(f"Stopped, because no other case could be written either: {stop}")
    left = total - len(records)
    parts = [f"{counts[status.value]} {status.value}" for status in Status if counts[status.value]]
    if left:
        parts.append(f"{left} left")
    say(f"{', '.join(parts) or 'Nothing to do'}; see {manifest}.")
    if as_json:
        print_json(
            {
                "output": str(places.folder),
                "manifest": str(manifest),
                "shard": f"{shard.index}/{shard.count}",
                **{status.value: counts[status.value] for status in Status},
                "left": left,
                "cancelled": cancelled,
                "cases": list(records),
            }
        )
