"""The command line: what a person reads, and the files that come out."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from KPrismLib.errors import InvalidConfig
from KPrismLib.evaluation import Mode
from Testing.engine.dataset.tiny_dataset import describe, listed, write_folder
from Testing.training.peers.fake_module import install
from Testing.training.peers.toy_segmenter import ToySegmenter
from Training.peers import missing, registry
from Training.peers.__main__ import app
from Training.peers.about import About, Checkout

#: Of Table 1 of the paper; SAM2 and SegNext are those that only its experiments name.
KNOWLEDGE = {
    "nnunet": {Mode.SEMANTIC},
    "unetr": {Mode.SEMANTIC},
    "clip-driven": {Mode.SEMANTIC},
    "hermes": {Mode.SEMANTIC},
    "uniseg": {Mode.SEMANTIC},
    "universeg": {Mode.IN_CONTEXT},
    "tyche": {Mode.IN_CONTEXT},
    "medsam": {Mode.INTERACTIVE},
    "nninteractive": {Mode.INTERACTIVE},
    "sam2": {Mode.INTERACTIVE},
    "segnext": {Mode.INTERACTIVE},
    "multiverseg": {Mode.IN_CONTEXT, Mode.INTERACTIVE},
    "iris": {Mode.SEMANTIC, Mode.IN_CONTEXT},
    "verse": {Mode.SEMANTIC, Mode.INTERACTIVE},
}
TOY = About(
    name="toy",
    title="Toy",
    modes=(Mode.SEMANTIC, Mode.IN_CONTEXT, Mode.INTERACTIVE),
    source="here",
    licence="none",
    weights="none",
    citation="nobody",
    input="as it is",
)


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def data(tmp_path):
    items = [listed("one", patient="p1"), listed("two", patient="p2"), listed("ref", patient="p3", split="train")]
    return write_folder(tmp_path / "data", describe(items))


@pytest.fixture
def toy(monkeypatch):
    """The toy in the place of every system."""
    segmenter = ToySegmenter()
    monkeypatch.setattr(registry, "system", lambda name: SimpleNamespace(ABOUT=TOY, open_peer=lambda setup: segmenter))
    return segmenter


def test_list_and_about_need_nothing_installed():
    listing = run("list")
    assert listing.exit_code == 0
    for name in registry.names():
        facts = registry.system(name).ABOUT
        assert name in listing.stdout + listing.stderr
        told = run("about", name)
        assert told.exit_code == 0
        for text in (facts.title, facts.weights, facts.licence, facts.citation, facts.input):
            assert text in told.stdout
            assert text


def test_every_system_of_the_paper_and_its_kinds_of_knowledge():
    assert {name: set(registry.system(name).ABOUT.knowledge) for name in registry.names()} == KNOWLEDGE
    for name in registry.names():
        facts = registry.system(name).ABOUT
        assert facts.name == name
        assert bool(facts.packages) == bool(facts.extra)
        # Something to get: a package, a repository, or the user's own port.
        assert facts.packages or facts.checkouts or facts.is_port


def test_extras_install_what_systems_name():
    tomllib = pytest.importorskip("tomllib")
    project = Path(__file__).parents[3] / "pyproject.toml"
    extras = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    for name in registry.names():
        facts = registry.system(name).ABOUT
        assert set(facts.packages.values()) <= set(extras.get(facts.extra, ())), name
    assert "pydantic>=2.7,<3" in extras["peers-in-context"]


def test_names_are_forgiving():
    assert registry.system(" CLIP_driven ").ABOUT.name == "clip-driven"
    with pytest.raises(InvalidConfig, match="did you mean medsam"):
        registry.system("medsan")
    with pytest.raises(InvalidConfig, match="`list` names"):
        registry.system("xyzzy")


def test_what_is_missing_comes_with_the_command_that_brings_it(monkeypatch):
    place = Checkout("https://example.org/Peer", "peer_of_no_index.network")
    facts = About(
        **{**vars(TOY), "packages": {"no_such_module": "x>=1"}, "extra": "peers-toy", "checkouts": (place,)},
    )
    assert missing.needs(facts) == ["package no_such_module", "a copy of https://example.org/Peer", "weights"]
    assert missing.command(facts) == "pip install -e '.[peers-toy]' && git clone https://example.org/Peer"
    with pytest.raises(InvalidConfig, match=r"needs the package no_such_module; .*'\.\[peers-toy\]'"):
        missing.require(facts, [])
    install(monkeypatch, "no_such_module")
    with pytest.raises(InvalidConfig, match=r"git clone https://example\.org/Peer; then add --peer-path Peer"):
        missing.require(facts, [])
    missing.require(facts, [SimpleNamespace()])


def test_rows_and_json_as_kprism_evaluate_writes_them(toy, data, tmp_path):
    result = run(
        "evaluate", "toy", data, "--random-weights", "--clicks", 2, "--device", "cpu",
        "--json", tmp_path / "out.json", "--rows", tmp_path / "out.csv",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "RANDOM WEIGHTS" in result.output
    assert "Only a toy." in result.output
    content = json.loads((tmp_path / "out.json").read_text())
    assert content["peer"]["random_weights"]
    assert list(content["datasets"]["Tiny"]) == ["semantic", "in_context", "interactive"]
    with (tmp_path / "out.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert {(row["item"], row["mode"]) for row in rows} == {
        (item, mode) for item in ("one", "two") for mode in ("semantic", "in_context", "interactive")
    }
    assert {row["model"] for row in rows} == {"Toy (random weights)"}
    # Only the results are left: the journal is gone.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out.csv", "out.json"]
    assert [len(clicks) for clicks, _, _ in toy.asked] == [1, 2, 1, 2]  # two clicks on each of two slices


def test_results_never_take_the_place_of_the_dataset(toy, data):
    before = (data / "dataset.json").read_bytes()
    result = run("evaluate", "toy", data, "--random-weights", "--device", "cpu", "--json", data / "dataset.json")
    assert result.exit_code == 1
    assert "it is a file of the dataset" in result.output
    assert (data / "dataset.json").read_bytes() == before


def test_results_are_written_before_they_are_shown(toy, data, tmp_path, monkeypatch):
    def closed(_):
        raise BrokenPipeError

    monkeypatch.setattr("KPrismLib.command.console.show", closed)
    result = run("evaluate", "toy", data, "--random-weights", "--device", "cpu", "--json", tmp_path / "out.json")
    assert result.exit_code == 141
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "out.json"]


def test_an_interrupted_evaluation_goes_on_where_it_stopped(toy, data, tmp_path, monkeypatch):
    arguments = ("evaluate", "toy", data, "--random-weights", "--modes", "semantic", "--device", "cpu")
    asked = []

    def by_class(image, cls):
        asked.append(cls)
        if len(asked) == 2:
            raise RuntimeError("The power went off.")
        return ToySegmenter.by_class(toy, image, cls)

    monkeypatch.setattr(toy, "by_class", by_class)
    stopped = run(*arguments, "--json", tmp_path / "out.json")
    assert stopped.exit_code == 1
    assert not (tmp_path / "out.json").exists()
    assert run(*arguments, "--json", tmp_path / "out.json").exit_code == 0
    assert len(asked) == 3  # two slices, of which one had to be asked again
    assert json.loads((tmp_path / "out.json").read_text())["peer"]["random_weights"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--weights, or try the machinery with --random-weights"),
        (("--weights", "absent.pt"), "There are no weights at absent.pt"),
        (("--random-weights", "--peer-path", "absent"), "There is no folder absent"),
        (("--random-weights", "--modes", "refine-semantic"), "Toy cannot be evaluated in refine_semantic"),
        (("--random-weights", "--json", "absent/out.json"), "absent"),
    ],
)
@pytest.mark.usefixtures("toy")
def test_bad_input_is_one_sentence_and_exit_1(data, arguments, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("evaluate", "toy", data, *arguments)
    assert result.exit_code == 1
    assert words in result.output
    assert "Traceback" not in result.output


def test_a_system_without_its_packages_says_what_to_do(data, monkeypatch):
    monkeypatch.setattr(missing, "_is_importable", lambda module: False)
    result = run("evaluate", "medsam", data, "--random-weights")
    assert result.exit_code == 1
    assert "MedSAM needs the package transformers; install it with: pip install -e '.[peers-sam]'" in result.output


@pytest.mark.usefixtures("toy")
def test_what_was_skipped_is_said(data):
    result = run("evaluate", "toy", data, "--random-weights", "--modes", "semantic,refine-semantic", "--device", "cpu")
    assert result.exit_code == 0
    assert "Skipped Tiny refine_semantic: Toy does not work in this mode." in " ".join(result.output.split())


@pytest.mark.usefixtures("toy")
def test_processes_share_the_slices_and_the_last_one_writes(data, tmp_path, monkeypatch):
    arguments = ("evaluate", "toy", data, "--random-weights", "--modes", "semantic", "--device", "cpu")
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank, words in (("0", "others still have 1 slices"), ("1", "RANDOM WEIGHTS")):
        assert not (tmp_path / "out.json").exists()
        monkeypatch.setenv("RANK", rank)
        result = run(*arguments, "--json", tmp_path / "out.json")
        assert result.exit_code == 0, result.output
        assert words in " ".join(result.output.split())
    assert (tmp_path / "out.json").exists()


def test_without_weights_it_is_said_which(data):
    for name in ("clip-driven", "iris", "uniseg", "verse"):
        result = run("evaluate", name, data)
        about = registry.system(name).ABOUT
        assert result.exit_code == 1
        assert f"{about.title} needs your port to slices and its weights ({about.weights})" in result.stderr
        assert '"factory": "module:function"' in result.stderr


def test_without_weights_a_system_that_is_here_names_them(data, toy):
    result = run("evaluate", "toy", data)
    assert result.exit_code == 1
    assert "Toy needs weights (none): give them with --weights, or try" in result.stderr
