"""Table 8: frames per second by number of experts."""

from __future__ import annotations

from Training.report import paper_numbers
from Training.report.costs import Throughput
from Training.report.document import Section, Table, printed


def table8(found: Throughput | None) -> Section | None:
    """Ours and the paper's, with the share of the plain decoder's speed that is left: that one can be compared."""
    if found is None:
        return None
    theirs = {row["experts"]: row["fps"] for row in paper_numbers.rows("table8")}
    plain = next((speed for speed in found.speeds if speed.experts == 1), None)
    rows = []
    for speed in found.speeds:
        paper = theirs.get(speed.experts)
        rows.append(
            [
                "1 (plain)" if speed.experts == 1 else str(speed.experts),
                f"{speed.parameters:,}",
                f"{speed.fps:.2f}",
                printed(paper),
                printed(None if plain is None else speed.fps / plain.fps),
                printed(None if paper is None else paper / theirs[1]),
                f"{speed.clicks_per_second:.2f}",
                f"{speed.semantic_gflop:.1f}",
            ]
        )
    header = [
        *("experts", "parameters", "FPS, ours", "FPS, paper", "of the plain decoder's, ours", "paper"),
        *("clicks per second", "decoder GFLOP"),
    ]
    return Section(
        "table8",
        [Table(header, rows)],
        notes=[
            f"Network `{found.network}`, {found.size} x {found.size}, {found.precision}, on {found.device}, "
            f"{found.threads} threads, random weights.",
            "A frame is one image encoded and segmented by class; the paper does not say what its frame includes.",
        ],
    )
