"""``kprism info``: what a network is made of, and how that compares with the paper."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from KPrismLib.command.options import DEFAULT_MODEL, AsJson


def info(
    model: Annotated[
        str, typer.Option("--model", metavar="small|base|FILE", help="A named network, or a weights file.")
    ] = DEFAULT_MODEL,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Change a setting of the network; repeat as needed."),
    ] = None,
    more: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME=VALUE]...", help="More changes, after --set.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Count parameters by the boxes of the paper's Figure 2."""
    from KPrismLib.command.console import print_json, show
    from KPrismLib.command.info_report import info_table, paper_table, report_on

    changed: dict[str, Any] = dict(parse_change(text) for text in (*(changes or ()), *(more or ())))
    report = report_on(model, changed)
    if as_json:
        print_json(report)
    else:
        show(info_table(report))
        show(paper_table(report))


def parse_change(text: str) -> tuple[str, Any]:
    """``num_experts=4`` as a name and a value: an integer, a truth value, or a text."""
    from KPrismLib.errors import InvalidConfig

    name, equals, value = (part.strip() for part in text.partition("="))
    if not (name and equals and value):
        raise InvalidConfig(f"{text!r} is not a setting; write NAME=VALUE, such as num_experts=4.")
    if value.lower() in ("true", "false"):
        return name, value.lower() == "true"
    try:
        return name, int(value)
    except ValueError:
        return name, value
