"""Training settings: the TOML file, what it may say, and which phase a step belongs to."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from KPrismLib.errors import InvalidConfig
from KPrismLib.network import named_config
from KPrismLib.training.ablations import ABLATIONS, ablation
from KPrismLib.training.config import Phase, TrainingConfig, parse_setting
from KPrismLib.training.modes import MODE_PROBABILITIES, TrainingMode

MINIMAL = 'datasets = ["A"]\n[[phases]]\nsize = 64\nsteps = 5\nbatch = 2\n'


def read(tmp_path: Path, text: str, data: Path | None = None) -> TrainingConfig:
    path = tmp_path / "run.toml"
    path.write_text(text, encoding="utf-8")
    return TrainingConfig.read(path, data)


def test_defaults_are_the_papers(tmp_path: Path) -> None:
    config = read(tmp_path, MINIMAL)
    assert (
        config.modes
        == MODE_PROBABILITIES
        == {TrainingMode.SEMANTIC: 0.3, TrainingMode.IN_CONTEXT: 0.3, TrainingMode.INTERACTIVE: 0.4}
    )
    assert (config.learning_rate, config.objective.refinements, config.objective.interactive_passes) == (1e-4, 2, 3)


def test_everything_can_be_said_in_toml(tmp_path: Path) -> None:
    text = """
        network = "base"
        datasets = ["A", "B/c"]
        learning_rate = 1
        precision = "32-true"
        [network_settings]
        num_experts = 2
        [dataset_weights]
        A = 2.5
        [modes]
        semantic = 1
        interactive = 0
        [augmentation]
        rotation = 5.0
        [objective]
        refinements = 1
        [[phases]]
        size = 32
        steps = 3
        batch = 4
        [[phases]]
        size = 64
        steps = 2
        batch = 1
    """
    config = read(tmp_path, text, tmp_path / "data")
    assert config.datasets == (str(tmp_path / "data" / "A"), str(tmp_path / "data" / "B" / "c"))
    assert config.modes == {TrainingMode.SEMANTIC: 1.0, TrainingMode.INTERACTIVE: 0.0}
    assert config.augmentation.rotation == 5
    assert config.objective.refinements == 1
    assert config.phases == (Phase(size=32, steps=3, batch=4), Phase(size=64, steps=2, batch=1))
    assert config.total_steps == 5


def test_dataset_folders_start_at_the_file_or_at_the_data_folder(tmp_path: Path) -> None:
    assert read(tmp_path, MINIMAL).datasets == (str(tmp_path / "A"),)
    absolute = MINIMAL.replace('"A"', json.dumps(str(tmp_path / "else")))
    assert read(tmp_path, absolute, tmp_path / "data").datasets == (str(tmp_path / "else"),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("datasets = [", "not a readable TOML"),
        ("", "no datasets"),
        ('datasets = ["A"]', "no phases"),
        ('datasets = "A"', "list of folders"),
        ("datasets = [1]", "list of folders"),
        (MINIMAL.replace("size = 64", "size = 40"), "multiple of 16"),
        (MINIMAL.replace("size = 64", "size = 16"), "at least 32"),
        (MINIMAL.replace("size = 64", 'size = "64"'), "phases.size is '64'; it must be a whole number"),
        (MINIMAL.replace("steps = 5", "steps = 0"), "at least one step"),
        (MINIMAL.replace("batch = 2", "batch = 0"), "one sample"),
        (MINIMAL.replace("batch = 2", ""), "^phases lacks batch; every such table needs size, steps, batch.$"),
        (MINIMAL.replace("size = 64\nsteps = 5", ""), "^phases lacks size and steps; every such table needs"),
        ("phases = [3]\ndatasets = ['A']", "phases is 3; it must be a table"),
        (MINIMAL.replace("batch = 2", "batch = 2\nbanana = 1"), "^There is no training setting 'phases.banana'.$"),
        ("banana = 1\n" + MINIMAL, "no training setting 'banana'"),
        ("holdout = 1.0\n" + MINIMAL, "holdout"),
        ("holdout = -0.1\n" + MINIMAL, "holdout"),
        ("learning_rate = 0\n" + MINIMAL, "learning_rate"),
        ("learning_rate = nan\n" + MINIMAL, "learning_rate"),
        ('learning_rate = "fast"\n' + MINIMAL, "learning_rate is 'fast'; it must be a number"),
        ("checkpoint_every = 0\n" + MINIMAL, "checkpoint_every"),
        ("warm_up_steps = -1\n" + MINIMAL, "warm_up_steps"),
        ("average_decay = 1.0\n" + MINIMAL, "average_decay"),
        ('precision = "8"\n' + MINIMAL, "bf16-mixed"),
        ("accumulate = 0\n" + MINIMAL, "accumulate"),
        ("accumulate = 1.5\n" + MINIMAL, "accumulate"),
        ("divergence_factor = 1\n" + MINIMAL, "divergence_factor"),
        ("warm_up_epochs = 1\n" + MINIMAL, "epoch_slices"),
        (MINIMAL.replace("steps = 5", "epochs = 5"), "epoch_slices"),
        ('epoch_slices = "many"\n' + MINIMAL.replace("steps = 5", "epochs = 5"), "epoch_slices"),
        ("phases = 3\ndatasets = ['A']", "setting is wrong"),
        (MINIMAL + "[modes]\nscribble = 1\n", "scribble"),
        (MINIMAL + "[modes]\nin-context = 0\n", r"\[modes\] .* modes that the table does not name have none"),
        (MINIMAL + "[modes]\nsemantic = -1\ninteractive = 2\n", r"\[modes\]"),
        (MINIMAL + "[dataset_weights]\nA = -1\n", r"\[dataset_weights\]"),
        (MINIMAL + "[objective]\ninteractive_passes = 0\n", "interactive_passes"),
        (MINIMAL + "[objective]\nrefinements = -1\n", "refinements"),
        (MINIMAL + "[objective]\nscribble_probability = 2\n", "scribble_probability"),
        (MINIMAL + "[augmentation]\nsepia = 1\n", "^There is no training setting 'augmentation.sepia'.$"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(InvalidConfig, match=words) as caught:
        read(tmp_path, text)
    assert str(caught.value).endswith(".")


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("objective.always_refine=False", "objective.always_refine is 'False'; it must be true or false."),
        ("objective.interactive_passes=1.5", "objective.interactive_passes is 1.5; it must be a whole number."),
        ("objective.refinements=1.5", "objective.refinements is 1.5; it must be a whole number."),
        ("objective.layer_weight=nan", "objective.layer_weight is nan; it must be a number."),
        ("objective.layer_weight=inf", "objective.layer_weight is inf; it must be at least 0."),
        ("objective.scribble_probability=true", "objective.scribble_probability is True; it must be a number."),
        ("augmentation.scale=0", "augmentation.scale is 0; it must be at least 1."),
        ("augmentation.blur=2", "augmentation.blur is 2; it must be between 0 and 1."),
        ("augmentation.rotation=-5", "augmentation.rotation is -5; it must be at least 0."),
        ("augmentation.shift='far'", "augmentation.shift is 'far'; it must be a number."),
        ("checkpoint_every=0.3", "checkpoint_every is 0.3; it must be a whole number."),
        ("validation_samples=2.5", "validation_samples is 2.5; it must be a whole number."),
        ("seed=x", "seed is 'x'; it must be a whole number."),
        ("seed=1.5", "seed is 1.5; it must be a whole number."),
        ("seed=-1", "seed is -1; it must be at least 0 and less than 9223372036854775808."),
        ("learning_rate=inf", "learning_rate is inf; it must be finite."),
        ("holdout=true", "holdout is True; it must be a number."),
        ("split=1", "split is 1; it must be a text."),
        ("exclude='A:1'", "exclude is 'A:1'; it must be a list of texts."),
        ("upside_down=3", "upside_down is 3; it must be a list of texts."),
        ("modes=3", "modes is 3; it must be a table of finite numbers."),
        ("dataset_weights=3", "dataset_weights is 3; it must be a table of finite numbers."),
        ("dataset_weights.PH2=nan", "dataset_weights is {'PH2': nan}; it must be a table of finite numbers."),
        ("network_settings=3", "network_settings is 3; it must be a table."),
        ("phases=[{size=64.0, steps=5, batch=2}]", "phases.size is 64.0; it must be a whole number."),
        ("phases=[{size=64, steps=2.5, batch=2}]", "phases.steps is 2.5; it must be a whole number."),
    ],
)
def test_a_setting_of_another_kind_is_told_before_anything_begins(tmp_path: Path, setting: str, sentence: str) -> None:
    path = tmp_path / "run.toml"
    path.write_text(MINIMAL, encoding="utf-8")
    with pytest.raises(InvalidConfig) as caught:
        TrainingConfig.read(path, changes=[parse_setting(setting)])
    assert str(caught.value) == sentence


def test_no_limit_is_a_limit_too(tmp_path: Path) -> None:
    config = read(tmp_path, "clip_norm = inf\ndivergence_factor = inf\n" + MINIMAL)
    assert config.clip_norm == config.divergence_factor == math.inf


@pytest.mark.parametrize("epochs", ["nan", "inf"])
def test_epochs_that_are_no_number_of_steps_are_told(tmp_path: Path, epochs: str) -> None:
    with pytest.raises(InvalidConfig, match="epoch_slices"):
        read(tmp_path, "epoch_slices = 9\n" + MINIMAL.replace("steps = 5", f"epochs = {epochs}"))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="no training configuration"):
        TrainingConfig.read(tmp_path / "run.toml")


@pytest.mark.parametrize("content", [b"\xff\xfe", None])
def test_a_file_that_is_no_text_is_told(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "run.toml"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    with pytest.raises(InvalidConfig, match="not a readable TOML"):
        TrainingConfig.read(path)


def test_plain_values_bring_a_config_back(tmp_path: Path) -> None:
    config = read(tmp_path, MINIMAL + "[modes]\nsemantic = 1\n[network_settings]\nencoder_blocks = [1, 1, 1, 1]\n")
    values: dict[str, Any] = json.loads(json.dumps(config.to_dict()))
    assert TrainingConfig.from_dict(values) == config


@given(st.lists(st.integers(1, 9), min_size=1, max_size=5))
def test_steps_go_through_the_phases_in_order(lengths: list[int]) -> None:
    phases = tuple(Phase(size=32 + 16 * n, steps=length, batch=1) for n, length in enumerate(lengths))
    config = TrainingConfig(datasets=("A",), phases=phases)
    expected = [phase for phase in phases for _ in range(phase.steps)]
    assert [config.phase_at(step) for step in range(config.total_steps)] == expected
    assert config.phase_at(config.total_steps + 3) == phases[-1]


def test_lengths_can_be_given_in_epochs(tmp_path: Path) -> None:
    text = """
        datasets = ["A"]
        epoch_slices = 100
        warm_up_epochs = 0.5
        [[phases]]
        size = 32
        epochs = 2
        batch = 8
        [[phases]]
        size = 64
        epochs = 0.1
        batch = 4
        [[phases]]
        size = 64
        steps = 7
        batch = 4
    """
    config = read(tmp_path, text)
    assert [phase.steps for phase in config.phases] == [25, 3, 7]
    assert config.warm_up_steps == 7


CONFIGS = Path(__file__).parents[3] / "Training" / "configs"


def test_the_papers_recipe_is_the_papers() -> None:
    config = TrainingConfig.read(CONFIGS / "paper.toml")
    assert config.network == "base"
    assert config.phases == (Phase(size=512, steps=math.ceil(75 * 69109 / 16), batch=16),)
    assert config.warm_up_steps == math.ceil(10 * 69109 / 16)
    assert (config.learning_rate, config.final_learning_rate, config.weight_decay) == (1e-4, 1e-5, 0.0)
    assert config.modes == MODE_PROBABILITIES
    assert (config.objective.refinements, config.objective.interactive_passes) == (2, 3)
    assert config.objective.refinement_weight == 0.8
    assert set(config.dataset_weights) == {Path(folder).name for folder in config.datasets}
    assert sum(config.dataset_weights.values()) == 69109


@pytest.mark.parametrize("name", ABLATIONS)
def test_every_ablation_changes_the_paper_and_builds_a_network(name: str) -> None:
    for file in ("paper.toml", "paper-ablation.toml"):
        config = TrainingConfig.read(CONFIGS / file, changes=[ablation(name)])
        plain = TrainingConfig.read(CONFIGS / file)
        assert config != plain
        assert dataclasses.replace(config, network_settings={}, modes=plain.modes) == plain
        named_config(config.network, **config.network_settings)


def test_ablations_are_the_rows_of_the_tables() -> None:
    """Parameters against the differences that Tables 5(a) and 7(b) print."""
    from KPrismLib.network.parameters import total

    def parameters(name: str | None) -> int:
        config = TrainingConfig.read(CONFIGS / "paper-ablation.toml", changes=[ablation(name)] if name else [])
        return total(named_config(config.network, **config.network_settings))

    ours = parameters(None)
    assert ours - parameters("experts-4") == 3_952_146
    assert ours - parameters("experts-1") == 4 * 3_952_146
    assert ours - parameters("no-moe-attention") == 12_647_484
    assert ours - parameters("no-moe-ffn") == 3_165_726
    assert ours - parameters("no-moe") == 15_813_210


def test_single_modes_and_combinations() -> None:
    changes = [ablation("in-context-only"), ablation("no-dense-prompts"), ablation("experts-2")]
    config = TrainingConfig.read(CONFIGS / "paper-ablation.toml", changes=changes)
    assert {mode for mode, share in config.modes.items() if share} == {TrainingMode.IN_CONTEXT}
    assert config.network_settings == {"dense_prompts": False, "num_experts": 2}


def test_an_unknown_ablation_is_told() -> None:
    with pytest.raises(InvalidConfig, match=r"no ablation 'no-brain'; choose from experts-1, .* interactive-only"):
        ablation("no-brain")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("learning_rate=1e-3", {"learning_rate": 1e-3}),
        ("network_settings.num_experts = 2", {"network_settings": {"num_experts": 2}}),
        ("network=small", {"network": "small"}),
        ('network="small"', {"network": "small"}),
        ("datasets=['A', 'B']", {"datasets": ["A", "B"]}),
        ("objective.always_refine=false", {"objective": {"always_refine": False}}),
    ],
)
def test_settings_can_be_given_as_text(text: str, expected: dict[str, Any]) -> None:
    assert parse_setting(text) == expected


@pytest.mark.parametrize("text", ["learning_rate", "=3", "a=", ""])
def test_what_is_no_setting_is_told(text: str) -> None:
    with pytest.raises(InvalidConfig, match="write NAME=VALUE"):
        parse_setting(text)


def test_changes_replace_what_the_file_says(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text(MINIMAL + "[modes]\nsemantic = 1\n[network_settings]\nnum_experts = 5\n")
    changes = [{"network_settings": {"dim": 32}}, {"datasets": ["B"]}, {"seed": 1}, {"seed": 2}]
    config = TrainingConfig.read(path, tmp_path, changes=changes)
    assert config.network_settings == {"num_experts": 5, "dim": 32}
    assert config.datasets == (str(tmp_path / "B"),)
    assert config.seed == 2


@pytest.mark.parametrize(
    ("table", "change", "expected"),
    [
        ("", "modes.semantic=0.4", {"semantic": 0.4, "in-context": 0.3, "interactive": 0.4}),
        ("", "modes.in-context=0", {"semantic": 0.3, "in-context": 0.0, "interactive": 0.4}),
        ("[modes]\nsemantic = 1\n", "modes.interactive=2", {"semantic": 1.0, "interactive": 2.0}),
    ],
)
def test_a_share_that_is_changed_alone_leaves_the_others(
    tmp_path: Path, table: str, change: str, expected: dict[str, float]
) -> None:
    path = tmp_path / "run.toml"
    path.write_text(MINIMAL + table)
    assert TrainingConfig.read(path, changes=[parse_setting(change)]).to_dict()["modes"] == expected


def test_the_configs_that_ship_can_be_read() -> None:
    configs = sorted(CONFIGS.glob("*.toml"))
    assert configs
    for path in configs:
        assert TrainingConfig.read(path).total_steps > 0
