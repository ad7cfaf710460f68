"""The contents of ``kprism info``."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from rich.table import Table

from KPrismLib.errors import InvalidConfig
from KPrismLib.network import NetworkConfig, named_config
from KPrismLib.network.parameters import (
    compare_with_paper,
    moe_attention_delta,
    moe_ffn_delta,
    per_expert,
    per_module,
    total,
)
from KPrismLib.weights import load_weights, shipped_path

Report = dict[str, Any]


def report_on(model: str, changes: Mapping[str, Any]) -> Report:
    """Everything that is known of a network, as plain values.

    Args:
        model: ``small``, ``base`` or a weights file.
        changes: settings to change first; their values are checked against the kind of the setting.
    """
    config, weights = _config_of(model)
    _check_kinds(config, changes)
    config = config.replace(**changes)
    return {
        "model": model,
        "parameters": {
            "total": total(config),
            "per_module": per_module(config),
            "per_expert": per_expert(config),
            "moe_attention_delta": moe_attention_delta(config),
            "moe_ffn_delta": moe_ffn_delta(config),
        },
        "paper": compare_with_paper(),
        "config": config.to_dict(),
        "weights": weights,
    }


def info_table(report: Report) -> Table:
    """Parameters by box."""
    parameters = report["parameters"]
    table = Table(title=f"Network {report['model']}: {parameters['total']:,} parameters", title_justify="left")
    table.add_column("Box of Figure 2")
    table.add_column("Parameters", justify="right")
    table.add_column("Share", justify="right")
    for name, count in parameters["per_module"].items():
        table.add_row(name, f"{count:,}", f"{100 * count / parameters['total']:.1f} %")
    table.add_section()
    table.add_row("one more expert", f"{parameters['per_expert']:,}", "")
    table.add_row("mixture in the attention", f"{parameters['moe_attention_delta']:,}", "")
    table.add_row("mixture in the FFN", f"{parameters['moe_ffn_delta']:,}", "")
    return table


def paper_table(report: Report) -> Table:
    """``base`` beside the paper's Tables 5(a) and 7(b), and the difference of the totals item by item."""
    paper = report["paper"]
    table = Table(title="Our base network beside the paper's Tables 5(a) and 7(b)", title_justify="left")
    for heading in ("Row", "Paper", "Ours", "Paper's delta", "Our delta"):
        table.add_column(heading, justify="left" if heading == "Row" else "right")
    for row in paper["ablations"]:
        table.add_row(
            row["row"],
            f"{row['paper'] / 1e6:.2f} M",
            f"{row['ours'] / 1e6:.2f} M",
            f"{row['paper_delta'] / 1e6:.2f} M",
            f"{row['our_delta']:,}",
        )
    table.add_section()
    for what, count in paper["difference_itemised"].items():
        table.add_row(what, "", f"{count:+,}")
    return table


def _config_of(model: str) -> tuple[NetworkConfig, Report | None]:
    if model.isidentifier():
        config = named_config(model)
        if not shipped_path(model).is_file():
            return config, None
    weights = load_weights(model)
    facts = {"file": str(weights.source), "bytes": weights.source.stat().st_size, "notes": weights.notes}
    return weights.config, facts


def _check_kinds(config: NetworkConfig, changes: Mapping[str, Any]) -> None:
    """A truth value for a switch, a number for a size; lists are not changed one by one."""
    settings = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    for name, value in changes.items():
        now = settings.get(name)
        if now is not None and type(value) is not type(now):
            wanted = {bool: "true or false", int: "a whole number", str: "a word"}.get(type(now))
            if wanted is None:
                raise InvalidConfig(f"The setting {name} is a list, which --set cannot change.")
            raise InvalidConfig(f"The setting {name} takes {wanted}, not {value!r}.")
