"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

DEFAULT_MODEL = "small"

Model = Annotated[str, typer.Option("--model", metavar="NAME|FILE", help="Shipped weights, or a .safetensors file.")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda, cuda:N or mps.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
