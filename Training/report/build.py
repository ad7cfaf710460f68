"""The report: whatever has been measured, as one Markdown document with its pictures."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from KPrismLib.errors import InvalidDataset
from KPrismLib.evaluation.bootstrap import FEWEST_PATIENTS
from KPrismLib.imaging.atomic_file import made_folder, write_atomically
from Training.report import curve_figures, paper_numbers
from Training.report.comparability import unlike
from Training.report.costs import Throughput
from Training.report.document import Picture, Section
from Training.report.gates import load_gates
from Training.report.needs import ABLATION_TABLES, Effort, gates
from Training.report.panel_figures import PANEL_FIGURES
from Training.report.tables.ablations import ablation_table
from Training.report.tables.clicks import table4, table5d
from Training.report.tables.costs import table8
from Training.report.tables.dice import table2, table3
from Training.report.tables.peers import PEERS_NAME, peers
from Training.report.tables.references import table9, table10
from Training.report.tables.volumes import VOLUMES_NAME, volumes
from Training.report.verdict import AGREES, BY_CHANCE, DISAGREES, OPEN
from Training.report.view import View, protocol_lines

THROUGHPUT_NAME = "throughput.json"
PICTURES_NAME = "pictures"

TABLES: Mapping[str, Callable[[View], Section | None]] = MappingProxyType(
    {"table2": table2, "table3": table3, "table4": table4, "table5d": table5d, "table9": table9, "table10": table10}
)
"""The tables of the main model."""

ITEMS = (
    *("table2", "table3", "table4", "figure3", "figure5"),
    *("table5a", "table5b", "table5c", "table5d", "table7a", "table7b", "table8"),
    *("figure4", "table9", "table10", *PANEL_FIGURES),
)
"""Everything, in the order of the report."""


def section(item: str, view: View, pictures: Path) -> Section | None:
    """One table or figure from the results; ``None`` where its measurements are missing.

    Args:
        item: One of :data:`ITEMS`.
        view: The results.
        pictures: Folder for the pictures of figures.
    """
    if item in TABLES:
        return TABLES[item](view)
    if item in ABLATION_TABLES:
        return ablation_table(item, view)
    if item == "table8":
        return table8(Throughput.load(view.results.root / THROUGHPUT_NAME))
    if item in PANEL_FIGURES:
        return _panel_section(item, view, pictures)
    made_folder(pictures)
    if item == "figure4":
        protocol = gates(Effort()).name
        tables = [view.results.path(view.model, protocol, facts.dataset) for facts in view.facts(protocol)]
        return curve_figures.figure4(load_gates(tables[0]) if tables else [], pictures)
    return {"figure3": curve_figures.figure3, "figure5": curve_figures.figure5}[item](view, pictures)


def build(view: View, output: Path, pictures: Path) -> list[str]:
    """Write the report.

    Args:
        view: The results.
        output: The Markdown file.
        pictures: Folder of its pictures.

    Returns:
        The tables and figures for which nothing has been measured.

    Raises:
        InvalidDataset: Nothing at all has been measured, or a file of the results is damaged.
        CannotWrite: The report cannot be written.
    """
    made_folder(pictures)
    sections = {item: section(item, view, pictures) for item in ITEMS}
    found = [each for each in sections.values() if each is not None]
    whole = volumes(view.results.root / VOLUMES_NAME)
    others = peers(view.results.root / PEERS_NAME)
    if not found and whole is None and others is None:
        raise InvalidDataset(
            f"There is nothing measured in {view.results.root}; run `python -m Training.report table2` first, say."
        )
    folder = Path(os.path.relpath(pictures, output.parent)).as_posix()
    overview = [curve_figures.dice_dots(view, pictures), curve_figures.ablation_dots(view, pictures)]
    missing = [item for item, each in sections.items() if each is None]
    blocks = [_head(view), _verdicts(found), *(f"{each.markdown(folder)}\n" for each in overview if each is not None)]
    blocks += [*(each.markdown(folder) for each in found), whole or "", others or "", _tail(missing)]
    write_atomically(output, "\n".join(block for block in blocks if block).encode("utf-8"))
    return missing


def _panel_section(item: str, view: View, pictures: Path) -> Section | None:
    source = view.results.root / view.model / PICTURES_NAME / f"{item}.png"
    if not source.is_file():
        return None
    notes = source.with_suffix(".json")
    try:
        shown = json.loads(notes.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidDataset(
            f"{notes}, which tells what {source.name} shows, cannot be read; make both again by "
            f"`python -m Training.report {item}`, or delete the picture."
        ) from error
    # Pictures from before that was kept may be of any weights.
    if view.digest and any(each.get("weights", view.digest) != view.digest for each in shown):
        return None
    made_folder(pictures)
    shutil.copyfile(source, pictures / source.name)
    cases = "; ".join(f"{each['case']} ({each['label']}, row {each['row']} of {each['table']})" for each in shown)
    text = f"{paper_numbers.caption(item)}, by their Dice among all that were measured; truth in yellow."
    return Section(item, pictures=[Picture(source.name, text)], notes=[f"Shown: {cases}."])


def _head(view: View) -> str:
    facts = view.facts()
    first = facts[0] if facts else None
    lines = [
        "# K-Prism: the paper's tables and figures, measured again",
        "",
        "Built by `python -m Training.report build` from tables of single measurements. Our numbers are Dice in "
        "percent per (slice, class present in the slice) at the original resolution, the paper's protocol, unless a "
        "table says otherwise; brackets hold 95 % intervals over patients: expanded percentiles of the bootstrap "
        f"(Hesterberg 2015), none where a set has fewer than {FEWEST_PATIENTS} patients. The paper's numbers are for "
        "its own sets and a network of 43 M parameters, 75 epochs on eight GPUs; where sets, network or training "
        "are others here, they are a goal, no comparison on equal terms.",
        "",
    ]
    if first is not None:
        training = f"; {first.history}" if first.history else ""
        lines.append(f"Main model: `{view.model}` (weights {first.digest}{training}), on {first.device}.")
        lines += view.left_out()
        lines += ["", *protocol_lines(facts), *(f"- {sentence}" for sentence in unlike(facts))]
    return "\n".join(lines) + "\n"


def _verdicts(sections: Sequence[Section]) -> str:
    """How often our differences go the paper's way, by table."""
    lines, compared = [], 0
    for each in sections:
        found = Counter(cell for table in each.tables for row in table.rows for cell in row)
        if any(found[kind] for kind in (AGREES, DISAGREES, OPEN)):
            compared += found[AGREES] + found[DISAGREES] + found[OPEN]
            lines.append(
                f"- {paper_numbers.heading(each.item)}: {found[AGREES]} go the paper's way, {found[DISAGREES]} go "
                f"against it, {found[OPEN]} cannot be told."
            )
    if not lines:
        return ""
    return "\n".join(
        [
            "Differences whose sign the paper states, with 95 % intervals that leave zero out:",
            "",
            *lines,
            "",
            f"If none of these {compared} differences were real, chance alone would still make about "
            f"{compared * BY_CHANCE / 100:.0f} of them ({BY_CHANCE} %) go one way or the other, half of those the "
            "paper's.",
            "",
        ]
    )


def _tail(missing: Sequence[str]) -> str:
    blocks = []
    for heading, text, items in (
        ("Not measured", "`python -m Training.report` has a command for each", set(ITEMS) - set(PANEL_FIGURES)),
        ("Pictures of cases", "They show images of the datasets; made where the data are, by", set(PANEL_FIGURES)),
    ):
        commands = ", ".join(f"`{item}`" for item in missing if item in items)
        if commands:
            blocks.append(f"## {heading}\n\n{text}: {commands}.\n")
    return "\n".join(blocks)
