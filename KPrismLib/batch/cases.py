"""The images in folders, DICOM series among them, as cases with names of their own."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISDIR, S_ISREG

from KPrismLib.batch.case_names import IMAGE_SUFFIXES, stem, title, with_own_names
from KPrismLib.batch.manifest import Record, name_from
from KPrismLib.batch.result_files import says_it_is_a_result
from KPrismLib.batch.results import may_hold_records, recorded_files
from KPrismLib.errors import InvalidImage
from KPrismLib.imaging.detached_voxels import with_voxel_files
from KPrismLib.imaging.dicom import read_dicom_files
from KPrismLib.imaging.dicom_headers import SEGMENTATION, DicomHeader, header_if_dicom, read_header
from KPrismLib.imaging.dicom_stack import stacked
from KPrismLib.imaging.reading import existing, read_volume
from KPrismLib.imaging.volume import Volume


@dataclass(frozen=True)
class Case:
    """One image of a batch.

    Attributes:
        name: of the case and of its results, with ``/`` between folders: ``patient1/CT``.
        files: what is read: one file, or all files of a DICOM series.
        series_uid: Series Instance UID, for a DICOM series.
        problem: why it cannot be segmented, where that was seen already when it was found.
    """

    name: str
    files: tuple[Path, ...]
    series_uid: str | None = None
    problem: str | None = None

    @property
    def source(self) -> Path:
        """The file, or the folder of a series of several files."""
        return self.files[0] if len(self.files) == 1 else self.files[0].parent

    def about(self, folder: Path) -> Record:
        """What the record of a case says of its image, also from where the results are: wherever one stands."""
        image = {"image": str(self.source), "source": name_from(folder, self.source)}
        return {"case": self.name, **image, "series_uid": self.series_uid}

    def check(self) -> None:
        """Raise InvalidImage if it has a problem."""
        if self.problem is not None:
            raise InvalidImage(self.problem)

    def read(self) -> Volume:
        """The image.

        Raises:
            InvalidImage: missing, damaged, or slices that do not make one volume.
        """
        self.check()
        return read_volume(self.files[0]) if len(self.files) == 1 else read_dicom_files(self.files)

    def all_files(self) -> tuple[Path, ...]:
        """``files``, and those in which their headers keep the voxels: all that the image depends on."""
        return (*with_voxel_files(self.files[0]), *self.files[1:])


def find_cases(
    inputs: Sequence[Path],
    *,
    results: Sequence[Path] = (),
    after_file: Callable[[], None] = lambda: None,
    on_result: Callable[[Path], None] = lambda _: None,
) -> list[Case]:
    """Every image in ``inputs``, in a stable order, with names that differ.

    A folder is searched with all its subfolders, also those that are symbolic links, each once. Its DICOM files are
    grouped into series, also where a series lies in parts in several folders; copies of a series are cases of their
    own. DICOM pictures, which do not say where they lie in the patient, are one case each.

    Files that are no images, hidden files, and what is no file but a pipe, a socket or a device are passed over, and so
    are results: files that say so of themselves (segmentations as ``.seg.nrrd``, DICOM SEG or NIfTI of labels; overlays
    and probabilities), and those that the manifests in searched folders name. Who gives a file as an input means it,
    whatever it is. What cannot be opened is not passed over: a folder is a case with a problem, and beside a damaged
    DICOM file so is each series, which may miss it as a slice.

    Args:
        inputs: files and folders.
        results: folders elsewhere whose manifests name results that may lie inside the inputs.
        after_file: called for each file that was looked at.
        on_result: called with each image file that is passed over because it is a result.

    Raises:
        InvalidImage: an input that does not exist, or no image at all.
    """
    for path in inputs:
        try:
            mode = path.stat().st_mode
        except FileNotFoundError as error:
            raise InvalidImage(f"There is no file or folder {path}; check its name.") from error
        except OSError as error:
            raise InvalidImage(f"{path.name} cannot be opened: {error.strerror or error}.") from error
        if not (S_ISREG(mode) or S_ISDIR(mode)):
            existing(path)  # says what it is
    folders = [path for path in inputs if path.is_dir()]
    found: list[Case] = []
    with_records = list(results)
    passed_over: list[Path] = []

    def pass_over(path: Path) -> None:
        passed_over.append(path)
        on_result(path)

    for path in inputs:
        if path.is_dir():
            prefix = path.resolve().name if len(folders) > 1 else ""
            found.extend(_in_folder(path, prefix, with_records, after_file, pass_over))
        else:
            found.append(Case(stem(path.name), (path,)))
    # Only now: a manifest may lie behind a file that it names, and another process may be writing results.
    named = set().union(*(recorded_files(folder) for folder in with_records))
    images: list[Case] = []
    for case in found:
        path = case.files[0]
        if path not in inputs and path.resolve() in named:
            pass_over(path)
        else:
            images.append(case)
    if not images:
        where = ", ".join(str(path) for path in inputs)
        raise InvalidImage(
            f"There is no image in {where}, only {len(passed_over)} that say that they are results, as NIfTI of labels "
            "does; a file that is given by its name is segmented all the same."
            if passed_over
            else f"There is no image in {where}; K-Prism reads pictures, NIfTI, NRRD, MetaImage and DICOM."
        )
    return with_own_names(_rejoined(images))


def slices_given_alone(inputs: Sequence[Path]) -> int:
    """How many of the files that are given by name are slices of a series of which another one is, too.

    Each is a case of its own; whoever gave a pattern for the files of a series meant the volume.
    """
    series: Counter[str] = Counter()
    for path in inputs:
        if path.is_file() and not path.name.lower().endswith(IMAGE_SUFFIXES):
            try:
                header = header_if_dicom(path)
            except InvalidImage:
                continue  # said of the case
            if header is not None and header.may_be_slice:
                series[header.series_uid] += 1
    return sum(count for count in series.values() if count > 1)


def _rejoined(cases: Sequence[Case]) -> Iterator[Case]:
    """The same cases; a series that lies in parts in several folders is one, a copy of a series stays its own."""
    parts: dict[str | None, list[Case]] = {}
    for case in cases:
        parts.setdefault(case.series_uid, []).append(case)
    for case in cases:
        series = parts[case.series_uid]
        if case.series_uid in (None, "") or len(series) == 1 or not _make_one_volume(series):
            yield case
        elif case is series[0]:
            common = os.path.commonpath([part.name for part in series])
            files = tuple(path for part in series for path in part.files)
            problem = next((part.problem for part in series if part.problem is not None), None)
            yield Case(Path(common).as_posix() if common else case.name, files, case.series_uid, problem)


def _make_one_volume(series: Sequence[Case]) -> bool:
    """Whether all files together are evenly spaced slices; not so copies, or patients with one made-up UID."""
    headers = [read_header(path) for part in series for path in part.files]
    known = [header for header in headers if header is not None and header.position is not None]
    try:
        return len(known) == len(headers) and bool(stacked(known))
    except InvalidImage:
        return False


def _in_folder(
    root: Path,
    prefix: str,
    with_records: list[Path],
    after_file: Callable[[], None],
    on_result: Callable[[Path], None],
) -> Iterator[Case]:
    """The images in a folder; ``with_records`` takes up the folders in it that may be of results."""
    closed: list[OSError] = []
    for folder, names in _walk(root, closed.append):
        if may_hold_records(names):
            with_records.append(folder)
        inside = Path(prefix) / folder.relative_to(root)
        headers: list[DicomHeader] = []
        broken: dict[Path, str] = {}
        for name in names:
            if name.startswith("."):
                continue
            after_file()
            path = folder / name
            lower = name.lower()
            if _is_pipe_or_device(path):
                continue
            if lower.endswith(IMAGE_SUFFIXES):
                if says_it_is_a_result(path):
                    on_result(path)
                    continue
                yield Case((inside / stem(name)).as_posix(), (path,))
                continue
            try:
                header = header_if_dicom(path)
            except InvalidImage as error:
                broken[path] = str(error)
                continue
            if header is not None and header.modality != SEGMENTATION:
                headers.append(header)
        yield from _series(headers, broken, inside, root.resolve().name)
    for refusal in closed:
        folder = Path(refusal.filename)
        inside = Path(prefix) / folder.relative_to(root)
        name = inside.as_posix() if inside.name else root.resolve().name
        yield Case(name, (folder,), problem=f"The folder {name} cannot be opened: {refusal.strerror or refusal}.")


def _is_pipe_or_device(path: Path) -> bool:
    """Whether reading would wait for somebody who writes, maybe for ever; not so a file that cannot be opened."""
    try:
        return not S_ISREG(path.stat().st_mode)
    except OSError:
        return False  # whoever reads it will say so


def _walk(root: Path, on_closed: Callable[[OSError], None]) -> Iterator[tuple[Path, list[str]]]:
    """Folders with the names of their files, both in order, each folder once; not hidden folders."""
    seen: set[Path] = set()
    # Links come last, so that a folder is known by its own name wherever the tree has it, and a circle has an end.
    waiting = [root]
    while waiting:
        for here, folders, files in os.walk(waiting.pop(0), onerror=on_closed):
            folder = Path(here)
            if folder.resolve() in seen:
                folders.clear()
                continue
            seen.add(folder.resolve())
            inside = sorted(name for name in folders if not name.startswith("."))
            links = [name for name in inside if os.path.islink(folder / name)]  # noqa: PTH114 - also where stat may not
            waiting += [folder / name for name in links]
            folders[:] = [name for name in inside if name not in links]
            yield folder, sorted(files)


def _series(headers: Sequence[DicomHeader], broken: Mapping[Path, str], inside: Path, root_name: str) -> Iterator[Case]:
    """One case for each series; one for each film, which is not said to lie in any way.

    Of ``broken`` files and what is wrong with them, each may be a slice of any series; without one they are cases.
    """
    series: dict[tuple[str, Path | None], list[DicomHeader]] = {}
    for header in headers:
        picture = None if header.may_be_slice else header.path
        series.setdefault((header.series_uid, picture), []).append(header)
    for (uid, _), group in series.items():
        if len(group) == 1:
            name = inside / stem(group[0].path.name)
        elif len(series) == 1:
            name = inside if inside.name else Path(root_name)
        else:
            name = inside / title(group[0])
        problem = next(iter(broken.values()), None) if group[0].may_be_slice else None
        yield Case(name.as_posix(), tuple(header.path for header in group), uid, problem)
    if not any(header.may_be_slice for header in headers):
        for path, problem in broken.items():
            yield Case((inside / stem(path.name)).as_posix(), (path,), problem=problem)
