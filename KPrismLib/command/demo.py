"""``kprism demo``: see it work, without any data of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from KPrismLib.command.options import DEFAULT_MODEL, AsJson, Device, Model, named


def demo(
    output: Annotated[
        Path, typer.Option("--output", "-o", parser=named, metavar="PATH", help="Folder for the pictures.")
    ] = Path("demo-output"),
    model: Model = DEFAULT_MODEL,
    device: Device = "auto",
    as_json: AsJson = False,
) -> None:
    """Segment real medical pictures that are already on this computer, in each mode; needs no network."""
    from rich.table import Table

    from KPrismLib.command.console import print_json, progress, show
    from KPrismLib.demo.cases import CASES
    from KPrismLib.demo.run import run_demo
    from KPrismLib.imaging.atomic_file import made_folder
    from KPrismLib.predictor import Predictor

    predictor = Predictor.load(model, device=device)
    folder = made_folder(output)
    results = []
    with progress("Demo", len(CASES)) as step:
        for shown in run_demo(predictor, folder, CASES):
            results.append(shown)
            step()
    if as_json:
        rows = [
            {"case": r.case.name, "title": r.case.title, "knowledge": r.case.knowledge, "milliseconds": r.milliseconds,
             "mask_area": r.area, "file": str(r.file)}
            for r in results
        ]  # fmt: skip
        print_json({"model": predictor.name, "device": str(predictor.device), "cases": rows})
        return
    table = Table(title=f"Model {predictor.name} on {predictor.device}", title_justify="left")
    for heading in ("Case", "Knowledge", "Milliseconds", "Mask area", "File"):
        table.add_column(heading, justify="right" if heading in ("Milliseconds", "Mask area") else "left")
    for r in results:
        table.add_row(r.case.title, r.case.knowledge, f"{r.milliseconds:.0f}", f"{r.area:,} px", str(r.file))
    show(table)
