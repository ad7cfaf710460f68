"""The commands from end to end, on sets of a few pictures and a network of a few channels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner

from Testing.training.report.tiny_report import measured, store, write_pictures, write_volumes, write_weights
from Training.report.command import app
from Training.report.results import Results


def _run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Data, weights and results that the tests of this file share, since measuring takes the time."""
    root = tmp_path_factory.mktemp("report")
    write_pictures(root / "data", "BUSI")
    write_volumes(root / "data", "ACDC", patients=4)
    return {
        "data": root / "data",
        "results": root / "results",
        "model": write_weights(root / "tiny.safetensors", trained_on=["ACDC"], num_experts=2),
    }


def _options(place: dict[str, Any], *names: str) -> list[object]:
    return [part for name in (names or ("data", "results", "model")) for part in (f"--{name}", place[name])]


LITTLE = ("--limit", 1, "--clicks", 5, "--volumes", 1)


def test_every_table_and_figure_has_a_command() -> None:
    shown = _run("--help").output
    for item in ("2", "3", "4", "5a", "5b", "5c", "5d", "7a", "7b", "8", "9", "10"):
        assert f"table{item} " in shown
    for item in range(3, 10):
        assert f"figure{item} " in shown


def test_a_table_is_measured_once_and_shown_again(place: dict[str, Any]) -> None:
    first = _run("table3", *_options(place), *LITTLE)
    assert first.exit_code == 0, first.output
    assert "| ACDC | ACDC † |" in first.stdout
    assert "A stricter protocol" in first.stdout
    assert "tiny, masks, ACDC: 4 rows" in first.stderr
    again = _run("table3", *_options(place), *LITTLE)
    assert again.stdout == first.stdout
    assert "rows" not in again.stderr
    stored = _run("table3", *_options(place, "results", "model"))
    assert stored.stdout == first.stdout
    changed = _run("table3", *_options(place), "--limit", 2, "--clicks", 5)
    assert changed.exit_code == 1
    assert "measured with other settings; give --redo" in changed.stderr


@pytest.mark.parametrize("limits", [(), ("--limit", 1, "--volumes", 1)])
def test_a_folder_of_ones_own_stands_in_the_table_of_what_the_weights_know_of_it(
    place: dict[str, Any], tmp_path: Path, limits: tuple[object, ...]
) -> None:
    learned = write_weights(tmp_path / "learned.safetensors", trained_on=["MINE"])
    write_volumes(tmp_path / "data", "MINE")
    for model, its_table, other_table in ((place["model"], "table3", "table2"), (learned, "table2", "table3")):
        options = ("--data", tmp_path / "data", "--results", tmp_path / "results", "--model", model, *limits)
        refused = _run(other_table, *options)
        assert "Nothing has been measured for" in refused.stderr
        assert "rows in" not in refused.stderr
        done = _run(its_table, *options)
        assert done.exit_code == 0, done.output
        paper, _, stricter = done.stdout.partition("A stricter protocol")
        assert "Sets that the paper does not have" in paper
        assert "| MINE | " in paper
        assert "| MINE | semantic | " in stricter


def test_clicks_curves_and_cases(place: dict[str, Any], tmp_path: Path) -> None:
    four = _run("table4", *_options(place), *LITTLE)
    assert four.exit_code == 0, four.output
    assert "| in-distribution | **ours** [95 %] | 2 |" in four.stdout
    three = _run("figure3", *_options(place), *LITTLE, "-o", tmp_path / "three.png")
    assert three.exit_code == 0, three.output
    with Image.open(tmp_path / "three.png") as image:
        assert image.format == "PNG"
    eight = _run("figure8", *_options(place), *LITTLE, "--case", "worst", "-o", tmp_path / "eight.png")
    assert eight.exit_code == 0, eight.output
    assert (tmp_path / "eight.png").read_bytes() == Path(eight.stdout.strip()).read_bytes()
    gates = _run("figure4", *_options(place), *LITTLE)
    assert gates.exit_code == 0, gates.output
    assert "queries read pixels" in gates.stdout


def test_replaying_a_row(place: dict[str, Any], tmp_path: Path) -> None:
    assert _run("table4", *_options(place), *LITTLE).exit_code == 0
    rows = place["results"] / "tiny" / "clicks" / "BUSI.csv"
    done = _run("replay", rows, "--row", 1, "--data", place["data"], "-o", tmp_path / "row.png")
    assert done.exit_code == 0, done.output
    recorded, replayed = (text.split()[-2] for text in done.stdout.strip().rstrip(".").split(", ")[-2:])
    assert recorded == replayed
    assert (tmp_path / "row.png").is_file()
    assert "no row 99" in _run("replay", rows, "--row", 99, "-o", tmp_path / "x.png").stderr
    other = write_weights(tmp_path / "other.safetensors", num_experts=3)
    changed = _run("replay", rows, "--row", 1, *_options(place, "data"), "--model", other, "-o", tmp_path / "row.png")
    assert changed.exit_code == 0
    assert changed.stdout.strip().endswith("these are other weights.")
    moved = place["model"].rename(tmp_path / "moved.safetensors")
    gone = _run("replay", rows, "--row", 1, *_options(place, "data"), "-o", tmp_path / "x.png")
    moved.rename(place["model"])
    assert (gone.exit_code, "measured with are not where they were" in gone.stderr) == (1, True)
    assert "name them with --model" in gone.stderr
    (tmp_path / "copy.csv").write_bytes(rows.read_bytes())
    alone = _run("replay", tmp_path / "copy.csv", "--row", 1, *_options(place, "data"), "-o", tmp_path / "x.png")
    assert alone.exit_code == 1
    assert "name them with --model" in alone.stderr
    assert not (tmp_path / "x.png").exists()


def test_table_8_without_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from KPrismLib.network import small_config
    from Testing.engine.network.tiny_network import TINY

    monkeypatch.setattr("KPrismLib.network.named_config", lambda name: small_config(**TINY))
    done = _run("table8", "--results", tmp_path, "--experts", "2,1", "--repeats", 1, "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert "| 1 (plain) |" in done.stdout
    stored = json.loads((tmp_path / "throughput.json").read_text(encoding="utf-8"))
    two, one = stored["speeds"]
    assert (two["experts"], one["experts"]) == (2, 1)
    assert two["parameters"] > one["parameters"]
    assert two["semantic_gflop"] > one["semantic_gflop"] > 0
    assert "whole numbers" in _run("table8", "--experts", "many").stderr


def test_the_report_holds_what_there_is(place: dict[str, Any], tmp_path: Path) -> None:
    for item in ("table3", "table4", "table5d"):
        assert _run(item, *_options(place), *LITTLE).exit_code == 0
    assert _run("figure9", *_options(place), *LITTLE).exit_code == 1  # no unseen class at hand
    done = _run("build", "--results", place["results"], "-o", tmp_path / "REPORT.md")
    assert done.exit_code == 0, done.output
    text = (tmp_path / "REPORT.md").read_text(encoding="utf-8")
    assert "## Table 3: " in text
    assert "## Table 4: " in text
    assert text.index("## Table 4: ") < text.index("## Figure 3: ")
    assert "`table9`" in text[text.index("## Not measured") :]
    assert "Main model: `tiny`" in text
    assert "`masks`, `refined`: at most 1 slices of each test split, evenly spread, seed 0.\n" in text
    assert "- Table 5d: " in text[: text.index("## Table")]  # how many differences go the paper's way
    for line in text.splitlines():
        if line.startswith("!["):
            assert (tmp_path / line.rpartition("(")[2].rstrip(")")).is_file()
    assert str(place["data"]) not in text
    panels = place["results"] / "tiny" / "pictures"
    panels.mkdir(exist_ok=True)
    (panels / "figure8.png").write_bytes(b"a picture of which nobody knows what it shows")
    if (panels / "figure8.json").exists():
        (panels / "figure8.json").unlink()
    undescribed = _run("build", "--results", place["results"], "-o", tmp_path / "REPORT.md")
    (panels / "figure8.png").unlink()
    assert undescribed.exit_code == 1
    assert "figure8.json, which tells what figure8.png shows, cannot be read; make both again" in undescribed.stderr


def test_the_head_tells_results_of_different_effort(tmp_path: Path) -> None:
    results = Results(tmp_path / "results")
    for name, limit in (("BUSI", 3), ("CXR_LUNG", 3), ("KITS19_TUMOUR", 5)):
        store(results, [measured(name)], limit=limit)
    assert _run("build", "--results", results.root, "-o", tmp_path / "R.md").exit_code == 0
    head = (tmp_path / "R.md").read_text(encoding="utf-8").partition("\n## ")[0]
    assert "- **Not alike: limit is 3, but 5 in masks/KITS19_TUMOUR." in head


def test_weights_that_took_the_place_of_others_share_no_table_with_them(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", "BUSI")
    write_volumes(tmp_path / "volumes", "ACDC", patients=4)
    weights = write_weights(tmp_path / "tiny.safetensors", num_experts=2)
    options = ("--results", tmp_path / "results", "--model", weights, *LITTLE)
    assert _run("table3", "--data", tmp_path / "volumes", *options).exit_code == 0
    (old := tmp_path / "old" / "tiny.safetensors").parent.mkdir()
    weights.rename(old)
    write_weights(weights, num_experts=3)
    refused = _run("table3", "--data", tmp_path / "pictures", *options)
    assert refused.exit_code == 1
    assert "ACDC.csv was measured with other weights, and its set is not at hand" in refused.stderr
    done = _run("table3", "--data", tmp_path / "pictures", *options, "--redo")
    assert done.exit_code == 0, done.output
    assert "| BUSI | " in done.stdout
    assert "ACDC" not in done.stdout.partition("Not measured")[0]
    assert "Left out, for other weights called tiny measured them: masks/ACDC and volumes/ACDC." in done.stderr
    report = ("build", "--results", tmp_path / "results", "-o", tmp_path / "R.md")
    for several in (report, (*report, "--model", "tiny")):
        assert "give the file of one of them with --model" in _run(*several).stderr
    for model, there, left_out in ((weights, "BUSI", "ACDC"), (old, "ACDC", "BUSI")):
        assert _run(*report, "--model", model).exit_code == 0
        head, _, tables = (tmp_path / "R.md").read_text(encoding="utf-8").partition("\n## ")
        assert f"Left out, for other weights called tiny measured them: masks/{left_out}" in head
        assert f"| {there} | " in tables
        assert f"| {left_out} | " not in tables
    third = write_weights(old, num_experts=4)
    assert "holds results of the weights" in _run(*report, "--model", third).stderr


def test_mistakes_are_one_sentence(tmp_path: Path, place: dict[str, Any]) -> None:
    for arguments, sentence in (
        (("table2", "--results", tmp_path), "Nothing has been measured for table2"),
        (("table2", "--data", tmp_path / "nowhere", "--results", tmp_path), "no dataset.json"),
        (("table2", "--data", place["data"], "--model", tmp_path / "x.safetensors"), "no weights file"),
        (("figure6", "--results", tmp_path), "Say with --data"),
        (("build", "--results", tmp_path, "-o", tmp_path / "R.md"), "Nothing has been measured"),
        (("build", "--results", tmp_path, "-o", tmp_path / "no" / "R.md"), "create it first"),
        (("build", "--results", tmp_path, "--model", "small", "-o", tmp_path / "R.md"), "nothing measured in"),
        (("table5a", "--results", tmp_path), "Nothing has been measured for table5a"),
    ):
        failed = _run(*arguments)
        assert failed.exit_code == 1, arguments
        assert sentence in " ".join(failed.stderr.split()), failed.stderr
        assert "Traceback" not in failed.stderr
    assert not (tmp_path / "R.md").exists()
