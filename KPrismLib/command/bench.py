"""``kprism bench``: how long a person waits on this computer."""

from __future__ import annotations

from typing import Annotated

import typer

from KPrismLib.command.options import DEFAULT_MODEL, AsJson, Device, Precision


def bench(
    model: Annotated[
        str, typer.Option("--model", metavar="small|base|FILE", help="Random weights where none are shipped.")
    ] = DEFAULT_MODEL,
    attention: Annotated[
        str, typer.Option("--attention", metavar="absorbed|loop", help="Form of the MoE attention.")
    ] = "absorbed",
    threads: Annotated[int, typer.Option("--threads", min=1, help="Processor threads.")] = 2,
    repeats: Annotated[int, typer.Option("--repeats", min=1, help="Measurements per median.")] = 5,
    device: Device = "cpu",
    precision: Precision = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure times, operations and memory, each step after a warm-up."""
    import torch
    from rich.table import Table

    from KPrismLib.benchmark import measure, seconds_since_start
    from KPrismLib.command.console import print_json, show
    from KPrismLib.command.models import load_or_random

    torch.set_num_threads(threads)
    predictor, is_random = load_or_random(model, attention=attention, device=device, precision=precision)
    ready = seconds_since_start()
    result = {
        "model": model,
        "weights": "random" if is_random else "loaded",
        "attention": attention,
        "device": str(predictor.device),
        "precision": predictor.precision,
        "threads": threads,
        "load_s": round(ready, 3),
        **measure(predictor, repeats=repeats),
    }
    if as_json:
        print_json(result)
        return
    table = Table(title=f"{model}, {result['size']} x {result['size']}, {attention} attention, {result['precision']}")
    table.add_column("Step")
    table.add_column("Milliseconds", justify="right")
    table.add_column("GFLOP", justify="right")
    for step in ("encode", "reference", "semantic", "in_context", "click"):
        table.add_row(step, f"{result[f'{step}_ms']:.1f}", f"{result[f'{step}_gflop']:.2f}")
    table.add_section()
    table.add_row("start until ready", f"{1000 * ready:.0f}", "")
    table.add_row("peak memory", f"{result['peak_rss_mb']:.0f} MiB", "")
    show(table)
