"""Segment a folder of images by class or by example, and write segmentations and a table of measurements.

In Slicer, or in plain Python with slicer-core installed:

    Slicer --no-splash --no-main-window --python-script segment_folder.py IMAGES OUTPUT --class liver --class spleen
    python segment_folder.py IMAGES OUTPUT --class liver --class spleen
    python segment_folder.py IMAGES OUTPUT --reference known.nii.gz mask.nii.gz --name liver

The images are those that ``kprism segment IMAGES`` finds, DICOM series among them; results are left out. A file in
OUTPUT that no run wrote, or that was changed since, stays, and its case fails, unless --overwrite is given.

The exit status is 0 when every case was segmented, 1 when one failed or the table could not be written, and 2 when
nothing could be started.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import traceback
from pathlib import Path


def main(arguments: list[str]) -> int:
    """Run with the arguments of a command line and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="segment_folder.py", description="Segment a folder of images by class or by example."
    )
    parser.add_argument("images", type=Path, help="folder with images, in subfolders, too")
    parser.add_argument("output", type=Path, help="folder for <image>.seg.nrrd and metrics.csv")
    parser.add_argument("--class", dest="classes", action="append", default=[], help="class to look for; repeatable")
    parser.add_argument(
        "--reference",
        nargs=2,
        type=Path,
        action="append",
        default=[],
        metavar=("IMAGE", "MASK"),
        help="example instead of a class, in the slice where its mask is largest; repeatable",
    )
    parser.add_argument("--name", default="Structure", help="what the references show, for the segment and the table")
    parser.add_argument("--plane", default="axial", choices=("axial", "coronal", "sagittal"), help="default: axial")
    parser.add_argument(
        "--every-piece",
        action="store_true",
        help="keep of a class also what is hardly certain, or elsewhere",
    )
    parser.add_argument(
        "--truth",
        type=Path,
        help="folder with true segmentations, named as the images or <image>.seg.nrrd, for Dice in the table",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="write over whatever lies where results go; else it stays and is told"
    )
    parser.add_argument("--model", default="small", help="a shipped model or a weights file; default: small")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or mps; default: auto")
    options = parser.parse_args(arguments)

    folder = str(Path(__file__).resolve().parents[1])
    if folder not in sys.path:
        sys.path.append(folder)
    from KPrismLogic.engine_location import make_engine_importable

    make_engine_importable()
    from KPrismLogic.readiness import missing_packages

    if missing := missing_packages():
        return _stop(
            f"Python packages are missing: {', '.join(missing)}. Press Install in Slicer's module K-Prism, or install "
            "them with pip."
        )
    from KPrismLib.class_names import row_of_class
    from KPrismLib.errors import KPrismError
    from KPrismLogic.batch import segment_folder
    from KPrismLogic.logic import KPrismLogic
    from KPrismLogic.model import Model
    from KPrismLogic.reference_files import reference_from_files

    try:
        logic = KPrismLogic(Model(options.model, options.device))
        known = logic.classes()
        classes = [known[row_of_class(one, known)] for one in options.classes]
        failed = segment_folder(
            options.images,
            options.output,
            classes,
            references=[reference_from_files(image, mask, plane=options.plane) for image, mask in options.reference],
            name=options.name,
            plane=options.plane,
            every_piece=options.every_piece,
            truth=options.truth,
            overwrite=options.overwrite,
            logic=logic,
            tell=_say,
        )
    except (KPrismError, ImportError) as error:
        return _stop(str(error))
    return 1 if failed else 0


def _stop(sentence: str) -> int:
    sys.stderr.write(f"{sentence}\n")
    return 2


def _say(line: str) -> None:
    """Print a line; letters that the terminal lacks become question marks."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    sys.stdout.write(f"{line.encode(encoding, 'replace').decode(encoding)}\n")


def _status_of(arguments: list[str]) -> int:
    """The exit status, whatever happens: inside Slicer no exception ends the application."""
    try:
        return main(arguments)
    except SystemExit as stopped:  # argparse
        return stopped.code if isinstance(stopped.code, int) else 2
    except KeyboardInterrupt:
        return 130
    except Exception:  # a defect; this is the outermost place  # noqa: BLE001
        with contextlib.suppress(OSError, ValueError):
            traceback.print_exc()
        return 2


def _leave(status: int) -> None:
    # Only Slicer has an application to end, and has its module loaded; without one there may be none to import.
    slicer = sys.modules.get("slicer")
    if slicer is not None and hasattr(slicer, "app"):
        slicer.util.exit(status)
    else:
        sys.exit(status)


if __name__ == "__main__":
    _leave(_status_of(sys.argv[1:]))
