"""The images of a batch, the same as those of ``kprism segment``, and where their true segmentations would be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from KPrismLib.batch.cases import Case, find_cases
from KPrismLib.batch.result_files import passed_over
from KPrismLib.errors import InvalidConfig, InvalidImage
from KPrismLib.imaging.file_identity import Identity, identities, same_file
from KPrismLogic.batch_results import ENDING


def cases_in(images: Path, output: Path, truth: Path | None, tell: Callable[[str], None]) -> list[Case]:
    """Every image in a folder and its subfolders, without those of results and of true segmentations.

    Args:
        images: the folder.
        output: a folder of results, whose manifest tells which files are no images.
        truth: a folder of true segmentations; one inside ``images`` holds no images.
        tell: called with a line on what was passed over.

    Raises:
        InvalidImage: no image, or no folder.
    """
    _check_folder(images)
    if truth is not None:
        _check_folder(truth)
    results: list[Path] = []
    cases = find_cases([images], results=[output], on_result=results.append)
    if results:
        tell(passed_over(len(results)))
    if truth is not None and images.resolve() in truth.resolve().parents:
        cases = [case for case in cases if truth.resolve() not in case.files[0].resolve().parents]
        if not cases:
            raise InvalidImage(f"There is no image in {images} beside the true segmentations in {truth}.")
    return cases


def file_name(case: Case, images: Path) -> str:
    """What a case is called in front of the user: its file as seen from the folder, or the name of a series."""
    return case.files[0].relative_to(images).as_posix() if len(case.files) == 1 else case.name


def truth_files(case: Case, images: Path, truth: Path) -> list[Path]:
    """Where the true segmentation of a case may be: named as a result, or as the image."""
    return [truth / f"{case.name}{ENDING}", *([truth / file_name(case, images)] if len(case.files) == 1 else [])]


def check_truth_stays(cases: Sequence[Case], images: Path, output: Path, truth: Path) -> None:
    """See to it that no result would be written where a true segmentation of any case is looked for.

    Raises:
        InvalidConfig: one would, even where results may be written over what lies there.
    """
    # With the truth in OUTPUT/labels, the result of an image "labels/a" is the truth of an image "a".
    results: set[Identity] = set()
    looked_for: set[Identity] = set()
    for case in cases:
        results.update(identities(output / f"{case.name}{ENDING}"))
        looked_for.update(*map(identities, truth_files(case, images, truth)))
    if same_file(truth, output) or results & looked_for:
        raise InvalidConfig(f"Results would replace the true segmentations in {truth}; choose another output folder.")


def _check_folder(folder: Path) -> None:
    try:
        next(folder.iterdir(), None)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InvalidImage(f"There is no folder {folder}; check its name.") from error
    except OSError as error:
        raise InvalidImage(f"The folder {folder} cannot be opened: {error.strerror or error}.") from error
