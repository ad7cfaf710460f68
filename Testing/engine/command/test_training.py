"""Train, go on, export, evaluate and segment: the way from a dataset folder to a mask."""

from __future__ import annotations

import errno
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from KPrismLib.command.train_run import idle_cores, processes, require_same_step
from KPrismLib.errors import DeviceUnavailable, InvalidConfig
from KPrismLib.training import run_folder
from KPrismLib.weights import load_weights, tells_all_steps
from Testing.engine.command.tiny_inputs import blob, save_picture

CONFIG = """
datasets = ["TINY"]
holdout = 0.0
precision = "32-true"
network = "small"
[[phases]]
size = 32
steps = 3
batch = 2
[network_settings]
image_size = 32
dim = 16
heads = 2
encoder_channels = [16, 16, 32]
encoder_blocks = [1, 1, 1, 1]
detail_channels = 8
prompt_channels = 8
ffn_dim = 16
pixel_ffn_dim = 16
mask_head_dim = 8
"""


@pytest.fixture
def data(tmp_path, rng) -> Path:
    folder = tmp_path / "data" / "TINY"
    folder.mkdir(parents=True)
    items = []
    for number in range(5):
        pixels = blob((32, 32), rng)
        save_picture(folder / f"{number}.png", pixels)
        save_picture(folder / f"{number}m.png", (pixels > 130).astype("uint8"))
        split = "train" if number < 3 else "test"
        items.append(
            {"id": number, "image": f"{number}.png", "mask": f"{number}m.png", "patient": number, "split": split}
        )
    description = {"name": "TINY", "modality": "CT", "labels": {"0": "background", "1": "liver"}, "items": items}
    (folder / "dataset.json").write_text(json.dumps(description))
    (tmp_path / "config.toml").write_text(CONFIG)
    return folder.parent


def test_from_a_dataset_to_a_mask(kprism, data, tmp_path, monkeypatch) -> None:
    run, exported = tmp_path / "runs" / "one", tmp_path / "tiny.safetensors"
    arguments = ("train", tmp_path / "config.toml", "--data", data, "--output", run, "--accelerator", "cpu")
    first = kprism(*arguments, "--until", 2)
    assert first.status == 0, first.err
    second = kprism(*arguments)
    assert "Going on from step 2 of 3." in second.err
    assert "Step 3 of 3" in second.err

    assert kprism("export", run / "checkpoint.pt", "-o", exported, "--notes", '{"score": NaN}').status == 1
    assert kprism("export", run / "checkpoint.pt", "-o", exported, "--notes", '{"author": "me"}').status == 0
    weights = load_weights(exported)
    assert weights.config.classes == ("liver",)
    (one,) = weights.notes["runs"]  # the same before and after the break
    about = {"steps": 3, "runs": {one: 3}, "network": "small", "datasets": ["TINY"], "author": "me"}
    assert weights.notes == about

    twice, mean = (run / "checkpoint.pt", run / "checkpoint.pt"), tmp_path / "mean.safetensors"
    assert kprism("export", *twice, "-o", mean, "--shares", "0.6,0.4").status == 0
    averaged = load_weights(mean)
    assert averaged.notes["steps"] == 3  # one run, however often it is averaged
    for name, tensor in weights.tensors.items():
        torch.testing.assert_close(averaged.tensors[name], tensor, rtol=1e-3, atol=1e-6)
    assert "one positive share for each of the 2" in kprism("export", *twice, "-o", mean, "--shares", "1").sentence
    assert "must be numbers" in kprism("export", *twice, "-o", mean, "--shares", "half").sentence

    other = kprism(*arguments, "--ablation", "experts-1")
    assert "belongs to another network" in other.sentence

    warm = kprism(*arguments, "--no-resume", "--until", 1, "--from", exported)
    assert "The earlier run is now in" in warm.err
    assert "Step 1 of 3" in warm.err
    assert (run / "earlier-1" / "checkpoint.pt").exists()

    # What the weights had learned from before, they have learned from still, also after a break.
    older = tmp_path / "older.safetensors"
    notes = '{"datasets": ["OLDER", "TINY"]}'
    assert kprism("export", run / "earlier-1" / "checkpoint.pt", "-o", older, "--notes", notes).status == 0
    assert kprism(*arguments, "--no-resume", "--until", 1, "--from", older).status == 0
    assert kprism(*arguments, "--until", 2).status == 0
    assert kprism("export", run / "checkpoint.pt", "-o", older).status == 0
    assert load_weights(older).notes["datasets"] == ["OLDER", "TINY"]

    # Its steps are those of what it began from, too; a common beginning counts once.
    assert (load_weights(older).notes["steps"], tells_all_steps(load_weights(older).notes)) == (5, True)
    assert one in load_weights(older).notes["runs"]
    assert kprism("export", run / "checkpoint.pt", run / "earlier-1" / "checkpoint.pt", "-o", mean).status == 0
    assert load_weights(mean).notes["steps"] == 5
    before = tmp_path / "before.safetensors"
    assert kprism("export", run / "checkpoint.pt", "-o", before, "--notes", '{"runs": null, "steps": 40}').status == 0
    assert kprism(*arguments, "--no-resume", "--until", 1, "--from", before).status == 0
    assert kprism("export", run / "checkpoint.pt", "-o", mean).status == 0
    assert load_weights(mean).notes["steps"] == 41
    assert not tells_all_steps(load_weights(mean).notes)

    fine_tune_on_other_classes(kprism, data, tmp_path, exported)

    report, rows = tmp_path / "report.json", tmp_path / "rows.csv"
    result = kprism(
        "evaluate", data, "--modes", "semantic,in-context,interactive", "--clicks", 2, "--model", exported,
        "--json", report, "--rows", rows, "--limit", 1,
    )  # fmt: skip
    assert result.status == 0, result.err
    assert "TINY" in result.out
    measured = json.loads(report.read_text())
    assert measured["settings"]["honour_clicks"] is False  # the paper's protocol
    numbers = measured["datasets"]["TINY"]
    assert set(numbers) == {"semantic", "in_context", "interactive"}
    assert len(numbers["interactive"]["dice"]["mean"]) == 3
    assert len(rows.read_text().splitlines()) == 4

    assert sorted(path.name for path in tmp_path.glob("*journal*")) == []
    shared = tmp_path / "shared.json"
    for rank, told in ((0, "others still have 1 slices"), (1, "")):
        monkeypatch.setenv("RANK", str(rank))
        monkeypatch.setenv("WORLD_SIZE", "2")
        part = kprism("evaluate", data, "--modes", "semantic", "--model", exported, "--json", shared, "--batch", 1)
        assert part.status == 0, part.err
        assert told in part.err
        assert shared.exists() == (rank == 1)
    monkeypatch.setenv("WORLD_SIZE", "two")
    assert "must be numbers" in kprism("evaluate", data, "--model", exported, "--json", shared).sentence
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "through a journal" in kprism("evaluate", data, "--model", exported).err
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name)
    alone = tmp_path / "alone.json"
    kprism("evaluate", data, "--modes", "semantic", "--model", exported, "--json", alone)
    ours, theirs = (json.loads(path.read_text())["datasets"]["TINY"]["semantic"] for path in (shared, alone))
    assert ours | {"milliseconds": 0} == theirs | {"milliseconds": 0}

    one_set = kprism(
        "evaluate", data / "TINY", "--modes", "interactive", "--model", exported, "--honour-clicks", "--json", alone
    )
    assert one_set.status == 0, one_set.err
    assert json.loads(alone.read_text())["settings"]["honour_clicks"] is True
    image = data / "TINY" / "4.png"
    assert kprism("segment", image, "-o", tmp_path / "m.png", "--class", "liver", "--model", exported).status == 0


def fine_tune_on_other_classes(kprism, data, tmp_path, weights) -> None:
    """The set called otherwise, with a class more: liver is known, and the second is not."""
    own = tmp_path / "own" / "TINY"
    shutil.copytree(data / "TINY", own)
    description = json.loads((own / "dataset.json").read_text(encoding="utf-8"))
    changed = {"name": "OWN", "labels": {"0": "background", "1": "liver", "2": "polyp"}}
    (own / "dataset.json").write_text(json.dumps(description | changed), encoding="utf-8")
    run, after = tmp_path / "tuned", tmp_path / "tuned.safetensors"
    arguments = ("train", tmp_path / "config.toml", "--data", own.parent, "--output", run, "--accelerator", "cpu")
    tuned = kprism(*arguments, "--from", weights, "--until", 1)
    assert tuned.status == 0, tuned.err
    assert "The weights do not know 1 of the 2 classes, which start afresh: polyp." in tuned.err
    assert kprism("export", run / "checkpoint.pt", "-o", after).status == 0
    assert load_weights(after).config.classes == ("liver", "polyp")
    assert load_weights(after).notes["datasets"] == ["TINY", "OWN"]
    wrong = kprism(*arguments, "--no-resume", "--from", run / "checkpoint.pt")
    assert "is a checkpoint, not a weights file; make one of it with `kprism export" in wrong.sentence


def test_weights_tell_the_names_of_the_sets_not_of_their_folders(kprism, data, tmp_path) -> None:
    """An evaluation knows a set by its name: by another one it would count as external."""
    description = data / "TINY" / "dataset.json"
    description.write_text(description.read_text(encoding="utf-8").replace("TINY", "Tiny set"), encoding="utf-8")
    checkpoint, exported = tmp_path / "run" / "checkpoint.pt", tmp_path / "tiny.safetensors"
    run = ("train", tmp_path / "config.toml", "--data", data, "--output", tmp_path / "run", "--accelerator", "cpu")
    assert kprism(*run, "--until", 1).status == 0

    def told() -> list[str]:
        assert kprism("export", checkpoint, "-o", exported).status == 0
        return load_weights(exported).notes["datasets"]

    values = torch.load(checkpoint, weights_only=True)
    del values["datasets"]  # as checkpoints were before
    torch.save(values, tmp_path / "earlier.pt")
    (data / "TINY").rename(data / "MOVED")
    assert told() == ["Tiny set"]
    checkpoint = tmp_path / "earlier.pt"
    assert told() == ["TINY"]
    (data / "MOVED").rename(data / "TINY")
    assert told() == ["Tiny set"]


def test_what_cannot_be_trained(kprism, data, weights, tmp_path, monkeypatch) -> None:
    config, run = tmp_path / "config.toml", tmp_path / "run"
    base = ("train", config, "--output", run, "--accelerator", "cpu", "--data")
    assert "There is no training configuration" in kprism("train", tmp_path / "no.toml", "--output", run).sentence
    assert "There is no dataset" in kprism(*base, tmp_path).sentence
    assert "do not fit" in kprism(*base, data, "--from", weights, "--set", "network_settings.ffn_dim=8").err
    assert "choose one of" in kprism(*base, data, "--accelerator", "tpu").sentence
    assert "There is no ablation 'no-brain'" in kprism(*base, data, "--ablation", "no-brain").sentence
    assert "There is no training setting 'depth'" in kprism(*base, data, "--set", "depth=3").sentence
    assert "write NAME=VALUE" in kprism(*base, data, "--set", "depth").sentence
    config.write_text("steps = [")
    assert "not a readable TOML" in kprism(*base, data).sentence
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    assert "`train` extra" in kprism(*base, data).sentence


def test_what_cannot_be_evaluated(kprism, data, weights, tmp_path) -> None:
    assert "no dataset.json" in kprism("evaluate", tmp_path / "data" / "nothing", "--model", weights).sentence
    assert "nor in the folders inside" in kprism("evaluate", data / "TINY" / "..", "..", "--model", weights).sentence
    run = ("evaluate", data, "--model", weights)
    assert "There is no mode 'magic'" in kprism(*run, "--modes", "magic").err
    assert "No dataset has a split 'valid'" in kprism(*run, "--split", "valid").err
    assert "does not exist" in kprism(*run, "--json", tmp_path / "nowhere" / "out.json").sentence
    assert "limit must be" in kprism(*run, "--limit", 0).err


def test_processes_come_from_torchrun_or_from_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    assert processes({}, 2) == (2, 1)
    assert processes({"WORLD_SIZE": "2", "LOCAL_RANK": "1"}, 2) == (2, 1)  # a process that Fabric itself started
    assert processes({"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}, 1) == (4, 2)
    monkeypatch.setattr("sys.platform", "win32")
    assert processes({}, 1) == (1, 1)
    assert processes({"WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4"}, 1) == (4, 2)
    with pytest.raises(DeviceUnavailable, match="one device; leave --devices at 1"):
        processes({}, 2)


def test_workers_leave_a_core_to_each_process() -> None:
    assert [idle_cores(*machine) for machine in ((2, 1), (16, 1), (16, 8), (4, 8), (64, 8), (96, 4))] == [
        *(1, 12, 1, 1, 7, 12)
    ]


def test_a_folder_takes_one_training_at_a_time(kprism, data, tmp_path, monkeypatch) -> None:
    def locked(_: int) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr(run_folder, "_lock", locked)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "steps.csv").write_text("of the other one")
    train = ("train", tmp_path / "config.toml", "--data", data, "--output", tmp_path / "run", "--accelerator", "cpu")
    for how in ("--resume", "--no-resume"):
        assert "Another training writes into" in kprism(*train, how).sentence
    assert (tmp_path / "run" / "steps.csv").read_text() == "of the other one"


def test_settings_are_judged_before_the_sets_are_packed(kprism, data, tmp_path) -> None:
    for change, sentence in (
        ("network_settings.depth=3", "There is no network setting 'depth'"),
        ('network_settings.classes=["liver"]', "The classes of the network are those of the datasets"),
        ("network=huge", "There is no network 'huge'"),
    ):
        run = tmp_path / "runs" / "judged"
        result = kprism("train", tmp_path / "config.toml", "--data", data, "--output", run, "--set", change)
        assert result.status == 1
        assert sentence in result.err
        assert not (tmp_path / "runs").exists()


def test_settings_for_sets_that_are_not_there_are_refused(kprism, data, tmp_path) -> None:
    for change in ('exclude=["Nope:1"]', 'upside_down=["Nope"]', "dataset_weights.Nope=2"):
        result = kprism(
            *("train", tmp_path / "config.toml", "--data", data, "--output", tmp_path / "run", "--set", change),
            *("--accelerator", "cpu"),
        )
        assert result.status == 1
        assert "Nope" in result.err
        assert "which is not among the sets of the run: TINY." in result.err


def test_a_class_that_no_slice_shows_is_told(kprism, data, tmp_path) -> None:
    path = data / "TINY" / "dataset.json"
    description = json.loads(path.read_text(encoding="utf-8"))
    description["labels"]["2"] = "gallbladder"
    path.write_text(json.dumps(description), encoding="utf-8")
    result = kprism(
        *("train", tmp_path / "config.toml", "--data", data, "--output", tmp_path / "run", "--until", 1),
        *("--accelerator", "cpu"),
    )
    assert result.status == 0
    assert "No training slice shows gallbladder" in result.err


def test_machines_that_do_not_share_the_folder_are_told(tmp_path) -> None:
    class Fabric:
        """This process stands at step 0, the first one at another."""

        strategy = property(lambda self: self)

        def broadcast(self, step: int) -> int:
            return step + 4

        def reduce_boolean_decision(self, decision: bool) -> bool:
            return decision

    trainer = SimpleNamespace(fabric=Fabric(), step=0, folder=tmp_path)
    with pytest.raises(InvalidConfig, match="give an --output folder that they share"):
        require_same_step(trainer)
