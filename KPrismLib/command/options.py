"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_MODEL = "small"


def named(text: str) -> Path:
    """A file or folder; an empty name, such as a shell makes of an unset variable, would be the folder one is in.

    Raises:
        BadParameter: the name is empty.
    """
    if not text:
        raise typer.BadParameter("the name is empty; give that of a file or folder.")
    return Path(text)


Model = Annotated[str, typer.Option("--model", metavar="NAME|FILE", help="Shipped weights, or a .safetensors file.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
Precision = Annotated[
    str, typer.Option("--precision", metavar="auto|float32|bfloat16", help="auto: bfloat16 for base where native.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
