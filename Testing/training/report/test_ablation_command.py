"""Training a few steps of the ablations, stopping, going on, and comparing them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from KPrismLib.dataset import DatasetFolder
from KPrismLib.errors import InvalidConfig, InvalidDataset
from KPrismLib.imaging.atomic_file import made_folder
from KPrismLib.weights import load_weights
from Testing.engine.network.tiny_network import TINY
from Testing.training.report.tiny_report import measured, store, write_pictures, write_weights
from Training.report import fleet
from Training.report.command import app
from Training.report.needs import ABLATION_TABLES, ablation_runs
from Training.report.results import Results
from Training.report.training_runs import TrainingRuns

SHIPPED_CONFIG = Path(__file__).parents[3] / "Training" / "configs" / "ablation-small.toml"

_NETWORK = "\n".join(
    f"{name} = {list(value) if isinstance(value, tuple) else value}"
    for name, value in TINY.items()
    if name != "classes"
)
CONFIG = f"""
datasets = ["BUSI"]
holdout = 0.0
warm_up_steps = 1
precision = "32-true"
checkpoint_every = 1
validate_every = 1000

[network_settings]
{_NETWORK}
num_experts = 2

[[phases]]
size = 32
steps = 2
batch = 1
"""


def _run(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def options(tmp_path: Path) -> list[object]:
    write_pictures(tmp_path / "data", "BUSI")
    (tmp_path / "tiny.toml").write_text(CONFIG, encoding="utf-8")
    folders = {name: tmp_path / name for name in ("data", "runs", "results")}
    return [tmp_path / "tiny.toml", *(part for name, path in folders.items() for part in (f"--{name}", path))]


def test_a_run_is_trained_exported_and_evaluated(tmp_path: Path, options: list[object]) -> None:
    little = ("--limit", 1, "--clicks", 5)
    done = _run("ablations", *options, "--only", "in-context-only+no-dense-prompts", *little)
    assert done.exit_code == 0, done.output
    weights = load_weights(tmp_path / "runs" / "in-context-only+no-dense-prompts" / "weights.safetensors")
    assert not weights.config.dense_prompts
    assert weights.notes["run"] == "in-context-only+no-dense-prompts"
    assert weights.notes["datasets"] == ["BUSI"]
    measured = tmp_path / "results" / "ablations" / "in-context-only+no-dense-prompts"
    assert [path.relative_to(measured).as_posix() for path in measured.rglob("*.csv")] == ["masks/BUSI.csv"]
    again = _run("ablations", *options, "--only", "in-context-only+no-dense-prompts", *little)
    assert "trained already" in again.stderr
    assert "rows" not in again.stderr
    table = _run("table5b", *options[1:], *little, "--device", "cpu")
    assert table.exit_code == 0, table.output
    assert "in-context-only is not trained" in table.stderr
    assert "| w/o 2-D fusion | `in-context-only+no-dense-prompts` |" in table.stdout


def test_an_interrupted_run_goes_on_from_its_checkpoint(tmp_path: Path, options: list[object]) -> None:
    from KPrismLib.command.train_run import run

    runs = TrainingRuns(tmp_path / "tiny.toml", tmp_path / "data", tmp_path / "runs")
    run(
        tmp_path / "tiny.toml",
        data=tmp_path / "data",
        folder=tmp_path / "runs" / "full",
        resume=True,
        until=1,
        devices=1,
        accelerator="cpu",
        weights=None,
    )
    assert not runs.is_finished("full")
    runs.train("full")
    assert runs.is_finished("full")
    steps = (tmp_path / "runs" / "full" / "steps.csv").read_text(encoding="utf-8").splitlines()
    assert [line.split(",")[0] for line in steps[1:]] == ["1", "2"]  # the first step was not done twice
    item = DatasetFolder.open(tmp_path / "data" / "BUSI").items("train")[0]
    mask = tmp_path / "data" / "BUSI" / item.mask
    before = mask.read_bytes()
    mask.write_bytes(before + b"\0")  # of the same picture, as good as corrected
    with pytest.raises(InvalidDataset, match=r"before its dataset\.json or its files changed"):
        runs.is_finished("full")
    mask.write_bytes(before)
    assert runs.is_finished("full")
    description = next((tmp_path / "data").glob("*/dataset.json"))
    whole = description.read_text(encoding="utf-8")
    content = json.loads(whole)
    first = next(item["patient"] for item in content["items"] if item["split"] == "train")
    for item in content["items"]:
        item["split"] = "test" if item["patient"] == first else item["split"]
    description.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InvalidDataset, match=r"before its dataset\.json or its files changed"):
        runs.is_finished("full")
    description.write_text(whole, encoding="utf-8")
    (tmp_path / "tiny.toml").write_text(CONFIG.replace("num_experts = 2", "num_experts = 3"), encoding="utf-8")
    with pytest.raises(InvalidConfig, match="other settings"):
        runs.is_finished("full")


def test_no_run_is_measured_where_another_would_be_refused(tmp_path: Path, options: list[object]) -> None:
    for run in ("full", "no-moe"):
        write_weights(made_folder(tmp_path / "runs" / run) / "weights.safetensors", num_experts=2)
    store(Results(tmp_path / "results"), [measured("BUSI")], model="ablations/no-moe")
    refused = _run("table5a", *options[1:], "--limit", 1, "--clicks", 5, "--device", "cpu")
    assert refused.exit_code == 1
    assert "no-moe/masks/BUSI.csv was measured with other weights" in refused.stderr.replace("\\", "/")
    assert not (tmp_path / "results" / "ablations" / "full").exists()


def test_several_runs_are_a_process_each(
    tmp_path: Path, options: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: dict[str, Any] = {}

    def note(self: fleet.Fleet, commands: dict[str, list[str]]) -> list[str]:
        started.update(commands)
        assert (self.workers, self.threads, self.logs) == (2, 1, tmp_path / "runs")
        return ["no-moe"]

    monkeypatch.setattr(fleet.Fleet, "run", note)
    failed = _run("ablations", *options, "--only", "full, no-moe", "--workers", 2, "--limit", 3)
    assert failed.exit_code == 1
    assert "1 of 2 runs failed: no-moe" in failed.stderr
    assert list(started) == ["full", "no-moe"]
    command = started["no-moe"]
    assert command[:4] == [sys.executable, "-m", "Training.report", "ablations"]
    assert command[-2:] == ["--only", "no-moe"]
    assert command[command.index("--limit") + 1] == "3"
    assert "--click-limit" not in command
    # The sets were decoded before two processes could want them at once.
    assert any((tmp_path / "runs" / "packed").iterdir())


def test_a_wrong_name_is_told_before_anything_runs(tmp_path: Path, options: list[object]) -> None:
    failed = _run("ablations", *options, "--only", "full,no-luck")
    assert failed.exit_code == 1
    assert "no ablation 'no-luck'" in failed.stderr
    assert not (tmp_path / "runs").exists()


def test_the_shipped_configuration_knows_all_runs(tmp_path: Path) -> None:
    runs = TrainingRuns(SHIPPED_CONFIG, tmp_path, tmp_path)
    full = runs.settings("full")
    assert [Path(name).name for name in full.datasets] == ["ACDC", "BUSI"]
    assert full.network_settings["num_experts"] == 5
    changed = {run: runs.settings(run).to_dict() for run in ablation_runs(*ABLATION_TABLES)}
    assert len({str(settings) for settings in changed.values()}) == len(changed)
    for settings in changed.values():
        assert settings["phases"] == changed["full"]["phases"]
