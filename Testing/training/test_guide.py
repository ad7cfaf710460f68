"""The guide says nothing that is not so: names of sets, commands, options and files."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from KPrismLib.command import app as kprism
from KPrismLib.dataset import DatasetFolder
from KPrismLib.network import named_config
from KPrismLib.prompt_maps import draw_disks
from KPrismLib.training.ablations import ABLATIONS
from KPrismLib.training.config import Phase, TrainingConfig
from KPrismLib.training.losses import EMPTY_SMOOTHING
from Testing.engine.dataset.tiny_dataset import save
from Training import bench_corrections, bench_evaluation, bench_loader, bench_step
from Training.convert import __main__ as convert
from Training.convert import registry
from Training.peers import __main__ as peers
from Training.report import command as report
from Training.report.build import ITEMS
from Training.report.needs import ABLATION_TABLES, ablation_runs

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "Training" / "README.md").read_text(encoding="utf-8")


def _click(app: Any) -> Any:
    if isinstance(app, typer.Typer):
        return typer.main.get_command(app)
    whole = typer.Typer()
    whole.command()(app)
    return typer.main.get_command(whole)


PROGRAMS = {
    "kprism": _click(kprism.app),
    "KPrismLib": _click(kprism.app),
    "Training.convert": _click(convert.main),
    "Training.report": _click(report.app),
    "Training.peers": _click(peers.app),
    "Training.bench_step": _click(bench_step.main),
    "Training.bench_corrections": _click(bench_corrections.main),
    "Training.bench_loader": _click(bench_loader.main),
    "Training.bench_evaluation": _click(bench_evaluation.main),
}


def _commands() -> list[list[str]]:
    """Every command of the guide from its program on, without what starts it."""
    text = GUIDE.replace("\\\n", " ")
    found = re.findall(r"(?:^    |`)((?:kprism|python -m|torchrun) [^`\n]+)", text, flags=re.MULTILINE)
    words = [shlex.split(line, comments=True) for line in found]
    return [part[part.index("-m") + 1 :] if "-m" in part else part for part in words]


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_commands_and_options_exist(words: list[str]) -> None:
    program, *arguments = words
    command = PROGRAMS[program]
    if hasattr(command, "commands"):
        command = command.commands[arguments.pop(0)]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    asked = {word for word in arguments if word.startswith("-")}
    assert asked <= known | {"--help"}


def test_files_that_are_named_exist() -> None:
    files = {word for words in _commands() for word in words if word.startswith("Training/")}
    links = {f"Training/{name}" for name in re.findall(r"\]\(([a-z/]+README\.md)\)", GUIDE)}
    assert len(files) >= 2
    assert len(links) == 2
    assert all((ROOT / name).is_file() for name in files | links)


def test_folders_are_those_of_the_converters_and_of_the_configuration() -> None:
    folders = dict(re.findall(r"\| `([a-z0-9-]+)` \| `([^`]+)`", GUIDE))
    assert folders == {name: registry.converter(name).about.name for name in registry.names()}
    recipe = TrainingConfig.read(ROOT / "Training" / "configs" / "paper.toml", Path("DATA"))
    assert {Path(folder).name for folder in recipe.datasets} == set(recipe.dataset_weights) <= set(folders.values())
    assert recipe.total_steps == pytest.approx(75 * 4320, rel=1e-3)


def test_the_disks_of_clicks_are_as_large_as_it_says() -> None:
    said = re.search(r"of radius 1 \(A\.2\) is (\d) × \1 pixels[^-]+`small` has radius 2, (\d+) pixels", GUIDE)
    assert said is not None
    for name, pixels in (("base", int(said[1]) ** 2), ("small", int(said[2]))):
        channel = np.zeros((9, 9), dtype=np.float32)
        draw_disks(channel, [(4, 4)], named_config(name).click_radius)
        assert channel.sum() == pixels


def test_defaults_are_told_from_what_the_papers_recipe_sets() -> None:
    said = re.search(
        r"warm-up of (\d+) steps, scribbles for (\d+) % of .+?gains of their own in (\d+) % .+?defaults of the classes"
        r"\. `paper\.toml` sets\s+the paper's: ten epochs, no scribbles, no such gains",
        GUIDE,
        flags=re.DOTALL,
    )
    assert said is not None
    plain = TrainingConfig(datasets=("A",), phases=(Phase(size=64, steps=1, batch=1),))
    shares = plain.objective.scribble_probability, plain.augmentation.colour
    assert [int(number) for number in said.groups()] == [plain.warm_up_steps, *(round(100 * s) for s in shares)]
    recipe = TrainingConfig.read(ROOT / "Training" / "configs" / "paper.toml", Path("DATA"))
    assert recipe.warm_up_steps == pytest.approx(10 * 4320, rel=1e-3)
    assert (recipe.objective.scribble_probability, recipe.augmentation.colour) == (0, 0)


def test_the_dice_of_empty_targets_is_smoothed_as_it_says() -> None:
    said = re.search(r"empty target.+?smoothed by (\d+) % of\s+the area", GUIDE, flags=re.DOTALL)
    assert said is not None
    assert int(said[1]) == round(100 * EMPTY_SMOOTHING)


def test_every_table_and_figure_is_listed() -> None:
    listed = GUIDE[GUIDE.index("| command | what |") : GUIDE.index("## 4.")]
    for item in ITEMS:
        between = item.startswith("figure") and "`figure6` to `figure9`" in listed and int(item[6:]) in range(6, 10)
        assert between or f"`{item}`" in listed or f"`{item.removeprefix('table')}`" in listed, item
    assert "fifteen runs" in GUIDE
    assert len(ablation_runs(*ABLATION_TABLES)) == 15
    assert set(re.findall(r"--ablation ([a-z0-9-]+)", GUIDE)) <= set(ABLATIONS)


def test_the_dataset_of_ones_own_is_one(tmp_path: Path) -> None:
    (example,) = re.findall(r"```json\n(.+?)```", GUIDE, flags=re.DOTALL)
    (tmp_path / "dataset.json").write_text(example, encoding="utf-8")
    save(tmp_path / "images" / "a1.nii.gz", np.arange(32, dtype=np.int16).reshape(4, 4, 2))
    save(tmp_path / "masks" / "a1.nii.gz", np.ones((4, 4, 2), dtype=np.int16))
    folder = DatasetFolder.open(tmp_path)
    pieces = list(folder.slices(folder.items("train")[0]))
    assert len(pieces) == 2
    assert (pieces[0].labels == 1).all()
