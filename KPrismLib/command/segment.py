"""``kprism segment``: its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperCommand

from KPrismLib.command.options import DEFAULT_MODEL, AsJson, Device, Model, named

_REFERENCE, _REFERENCE_MASK = "--reference", "--reference-mask"
_ORDER = "KPrismLib.prompt_order"


class SegmentCommand(TyperCommand):
    """Knows two things that typer does not: an option with two values that repeats, and the order of prompts."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        from KPrismLib.command.prompt_text import CLICK_OPTION, SCRIBBLE_OPTION

        args = split_pairs(args)
        ctx.meta[_ORDER] = [
            name for name in (arg.partition("=")[0] for arg in args) if name in (CLICK_OPTION, SCRIBBLE_OPTION)
        ]
        return super().parse_args(ctx, args)


_MANY = "Many images (-o is a folder)"
_CARRY = "From one slice through the volume"


def split_pairs(args: list[str]) -> list[str]:
    """``--reference IMAGE MASK`` as two options of one value each."""
    result: list[str] = []
    rest = iter(args)
    for argument in rest:
        name, equals, image = argument.partition("=")
        if name != _REFERENCE:
            result.append(argument)
            continue
        image = image if equals else next(rest, "")
        mask = next(rest, "")
        if not all(name and not _is_option(name) for name in (image, mask)):
            raise typer.BadParameter("--reference needs two files: the IMAGE and its MASK.")
        result += [_REFERENCE, image, _REFERENCE_MASK, mask]
    return result


def _is_option(word: str) -> bool:
    return word.startswith("-") and len(word) > 1


def segment(
    ctx: typer.Context,
    inputs: Annotated[
        list[Path],
        typer.Argument(
            parser=named, metavar="IMAGE...", help="A picture, a volume or a DICOM series; or folders full of them."
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            parser=named,
            metavar="PATH",
            help="The segmentation: .seg.nrrd, .nii.gz, .nii, .nrrd, .mha, .png, or .dcm for DICOM SEG. "
            "A folder (a name without ending): one of each image in IMAGE...",
        ),
    ],
    classes: Annotated[
        list[str] | None, typer.Option("--class", metavar="NAME", help="A class to segment; repeat for several.")
    ] = None,
    references: Annotated[
        list[Path] | None,
        typer.Option(
            _REFERENCE, parser=named, metavar="IMAGE MASK", help="An example with its mask; repeat for several."
        ),
    ] = None,
    masks: Annotated[list[Path] | None, typer.Option(_REFERENCE_MASK, parser=named, hidden=True)] = None,
    reference_labels: Annotated[
        list[str] | None,
        typer.Option(
            "--reference-label", metavar="NAME|NUMBER", help="Label in the masks; once for all, or once each."
        ),
    ] = None,
    reference_slices: Annotated[
        list[int] | None,
        typer.Option("--reference-slice", help="Slice of the references; else the one with the largest area."),
    ] = None,
    best: Annotated[
        int | None,
        typer.Option(
            "--best", metavar="N", help="Of all slices of the references, use the N best for each slice (5 does well)."
        ),
    ] = None,
    clicks: Annotated[
        list[str] | None,
        typer.Option(
            "--click", metavar="ROW,COL,+|-", help="Add (+) or remove (-) what is at a pixel; repeat, in order."
        ),
    ] = None,
    scribbles: Annotated[
        list[str] | None,
        typer.Option(
            "--scribble", metavar="'R,C R,C ...,+|-'", help="A stroke that adds or removes; repeat, in order."
        ),
    ] = None,
    plane: Annotated[
        str | None,
        typer.Option("--plane", metavar="axial|coronal|sagittal", help="Default axial; of one slice, its own."),
    ] = None,
    slices: Annotated[
        list[str] | None,
        typer.Option(
            "--slice",
            metavar="N|middle|all",
            help="Default all for --class alone, otherwise the middle one; with --propagate the middle of the "
            "range, or all that are drawn in --mask, of which several can be named (16,21, or repeat).",
        ),
    ] = None,
    every_piece: Annotated[
        bool,
        typer.Option(
            "--every-piece",
            help="--class in many slices: keep also what is hardly certain, and pieces elsewhere.",
        ),
    ] = False,
    propagate: Annotated[
        bool,
        typer.Option(
            "--propagate", help="Carry the one segmented slice on through the volume.", rich_help_panel=_CARRY
        ),
    ] = False,
    mask: Annotated[
        Path | None,
        typer.Option(
            "--mask",
            parser=named,
            metavar="MASK",
            help="Start from the slices drawn in this mask of the image; with --slice, from those.",
            rich_help_panel=_CARRY,
        ),
    ] = None,
    mask_label: Annotated[
        str | None,
        typer.Option("--mask-label", metavar="NAME|NUMBER", help="Label in --mask.", rich_help_panel=_CARRY),
    ] = None,
    first: Annotated[
        int | None, typer.Option("--from", metavar="N", help="First slice that is written.", rich_help_panel=_CARRY)
    ] = None,
    last: Annotated[
        int | None, typer.Option("--to", metavar="N", help="Last slice that is written.", rich_help_panel=_CARRY)
    ] = None,
    learn: Annotated[
        bool,
        typer.Option(
            "--learn",
            help="Learn from the slices to start from before they are carried on; takes some seconds.",
            rich_help_panel=_CARRY,
        ),
    ] = False,
    window: Annotated[
        str | None, typer.Option("--window", metavar="RULE|LOW,HIGH", help="Intensity window of the whole volume.")
    ] = None,
    series_uid: Annotated[str | None, typer.Option("--series-uid", help="Which DICOM series of the folder.")] = None,
    model: Model = DEFAULT_MODEL,
    device: Device = "auto",
    overlay: Annotated[
        Path | None,
        typer.Option(
            "--overlay", parser=named, metavar="PNG", help="Also a picture of the result; of many images, a folder."
        ),
    ] = None,
    probability: Annotated[
        Path | None,
        typer.Option(
            "--probability",
            parser=named,
            metavar="NIFTI",
            help="Also the probabilities (.nii, .nii.gz); of many images, a folder.",
        ),
    ] = None,
    as_json: AsJson = False,
    format_: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="Default seg.nrrd; or nii.gz, nii, nrrd, mha, png, dicom-seg.",
            rich_help_panel=_MANY,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", help="Processes; default 1, or one for each GPU.", rich_help_panel=_MANY),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Also segment again what is done, over results that were changed since, and those of other images.",
            rich_help_panel=_MANY,
        ),
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            metavar="I/N",
            help="Only every N-th image, from the I-th; under torchrun each process takes its own.",
            rich_help_panel=_MANY,
        ),
    ] = None,
) -> None:
    """Segment an image by class, by example, by clicks, or by a class or example that clicks refine.

    With a folder as -o, segment every image and every DICOM series in IMAGE...; what is done is skipped, and
    manifest.jsonl in that folder says what became of each. A result is written over where that file tells of it, it is
    unchanged, and of the same image; so are overlays and probabilities. Folders are searched with their subfolders and
    the folders that links lead to; passed over are hidden files, segmentations (.seg.nrrd, DICOM SEG, NIfTI of labels),
    overlays and probabilities, and what a manifest.jsonl in them names as a result.

    Pixels are ROW,COLUMN from 0,0 at the top left of the slice as radiologists see it (and as --overlay shows it).
    """
    if len(references or ()) != len(masks or ()):
        raise typer.BadParameter("--reference needs two files: the IMAGE and its MASK.")
    from KPrismLib.command.batch_options import BatchOptions, is_batch
    from KPrismLib.command.console import check_name
    from KPrismLib.command.prompt_text import in_order
    from KPrismLib.command.references import ReferenceFile
    from KPrismLib.command.segment_request import Request
    from KPrismLib.command.slices import SEPARATOR

    request = Request(
        classes=tuple(classes or ()),
        references=ReferenceFile.listed(references or (), masks or (), reference_labels or (), reference_slices or ()),
        prompts=in_order(ctx.meta.get(_ORDER, ()), clicks or (), scribbles or ()),
        plane=plane,
        slices=SEPARATOR.join(slices) if slices else None,
        window=window or "auto",
        drawn=mask is not None,
        every_piece=every_piece,
        best=best,
    )
    carried = {"--mask": mask, "--mask-label": mask_label, "--from": first, "--to": last, "--learn": learn or None}
    given = [name for name, value in carried.items() if value is not None]
    if given and not propagate:
        raise typer.BadParameter(f"{given[0]} says how a slice is carried on; add --propagate.")
    for path in (output, overlay, probability):
        if path is not None:
            check_name(path)
    options = BatchOptions(format=format_, workers=workers, overwrite=overwrite, shard=shard)
    if is_batch(inputs, output):
        from KPrismLib.command.segment_batch import run_batch

        if series_uid is not None or propagate:
            option = "--propagate" if propagate else "--series-uid"
            raise typer.BadParameter(f"{option} is for one image, into a file; with a folder as -o there are many.")
        places = options.places(output, overlay, probability)
        run_batch(request, inputs, places, options, model=model, device=device, as_json=as_json)
        return
    from KPrismLib.command.outputs import Outputs

    options.check_none_given()
    outputs, image = Outputs(output, overlay, probability), inputs[0]
    if series_uid is not None and image.is_file():
        raise typer.BadParameter(f"--series-uid chooses among the DICOM series of a folder; {image.name} is a file.")
    if propagate:
        from KPrismLib.command import propagate_run

        carry = propagate_run.Carry(mask, mask_label, first, last, learn)
        propagate_run.run(
            request, carry, image, outputs, series_uid=series_uid, model=model, device=device, as_json=as_json
        )
    else:
        from KPrismLib.command import segment_run

        segment_run.run(request, image, outputs, series_uid=series_uid, model=model, device=device, as_json=as_json)
