"""``kprism classes``: what the semantic mode knows by name."""

from __future__ import annotations

import typer

from KPrismLib.command.options import DEFAULT_MODEL, AsJson, Model


def classes(
    model: Model = DEFAULT_MODEL,
    as_json: AsJson = False,
) -> None:
    """List the classes that can be segmented by name."""
    from KPrismLib.command.console import print_json
    from KPrismLib.terminology import term_for
    from KPrismLib.weights import load_weights

    names = load_weights(model).config.classes
    if as_json:
        print_json({"model": model, "classes": list(names), "terms": {n: vars(term_for(n)) for n in names}})
        return
    for name in sorted(names):
        typer.echo(name)
