"""What every evaluation asks for, of K-Prism or of another system."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from KPrismLib.command.options import named

Folders = Annotated[
    list[Path], typer.Argument(parser=named, metavar="DIR...", help="Dataset folders, or folders of them.")
]
Split = Annotated[str, typer.Option("--split", help="Which split.")]
Limit = Annotated[int | None, typer.Option("--limit", help="At most so many slices per dataset.")]
Clicks = Annotated[int, typer.Option("--clicks", help="Clicks per slice and class.")]
References = Annotated[int, typer.Option("--references", help="References per patient and class.")]
Seed = Annotated[int, typer.Option("--seed", help="Decides slices, references and the bootstrap.")]
Absent = Annotated[bool, typer.Option("--absent/--no-absent", help="Also segment classes that a slice does not show.")]
Rows = Annotated[
    Path | None, typer.Option("--rows", parser=named, metavar="CSV", help="One line per slice, class and mode.")
]
Output = Annotated[Path | None, typer.Option("--json", parser=named, metavar="OUT", help="Every number, as JSON.")]
