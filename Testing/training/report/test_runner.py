"""Measuring what is missing, once, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from KPrismLib.dataset import DatasetFolder
from KPrismLib.errors import Cancelled, InvalidConfig, InvalidDataset
from KPrismLib.evaluation.settings import Mode
from Testing.training.report.fake_model import FakePredictor, fake_model
from Testing.training.report.tiny_report import measured, store, write_pictures, write_volumes
from Training.report.needs import Effort, Need, Others, clicks, exemplar, masks, needs, shots, volumes
from Training.report.results import Facts, Results, read_facts
from Training.report.runner import Runner
from Training.report.sets import by_name

BOTH = {"liver": 200, "spleen": 120}


def _runner(tmp_path: Path, *paths: Path, redo: bool = False) -> Runner:
    return Runner(Results(tmp_path / "results"), by_name([DatasetFolder.open(path) for path in paths]), redo)


def test_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    busi = write_pictures(tmp_path, "BUSI")
    predictor = FakePredictor(BOTH)
    need = Need(("Breast Cancer", "BUS"), masks(Effort()))
    _runner(tmp_path, busi).provide(fake_model(predictor), [need])
    # Both sets of the paper are this one folder; its four test slices are taken in once.
    assert predictor.encoded == 4
    _runner(tmp_path, busi).provide(fake_model(predictor), [need])
    assert predictor.encoded == 4
    part = Results(tmp_path / "results").part("tiny", "masks", "BUSI")
    assert part is not None
    assert part.facts.trained_on == ["BUSI"]
    assert part.facts.training == "network `small`, 12 steps"
    assert len(part.slices(Mode.SEMANTIC)) == len(part.slices(Mode.IN_CONTEXT)) == 8
    assert len(part.slices(Mode.SEMANTIC, ("liver",))) == 4
    assert all(row.references for row in part.rows if row.measurement.mode is Mode.IN_CONTEXT)


def test_an_interrupted_command_goes_on_where_it_was(tmp_path: Path) -> None:
    folders = [write_pictures(tmp_path, "BUSI"), write_pictures(tmp_path, "CXR_LUNG", patients=8)]
    need = Need(("Breast Cancer", "Chest X-ray"), masks(Effort()))
    seen = []

    def stop(done: int, total: int, dataset: str) -> None:
        seen.append(dataset)
        if seen.count("CXR_LUNG") == 5:
            raise Cancelled("Stopped.")

    runner = _runner(tmp_path, *folders)
    with pytest.raises(Cancelled):
        Runner(runner.results, runner.folders, progress=stop).provide(fake_model(), [need])
    assert seen == ["BUSI"] * 4 + ["CXR_LUNG"] * 5
    assert runner.results.datasets("tiny", "masks") == ["BUSI"]
    predictor = FakePredictor(BOTH)
    assert runner.provide(fake_model(predictor), [need])
    assert predictor.encoded == 4  # of eight slices, which are in work four at a time, half were finished
    assert runner.results.datasets("tiny", "masks") == ["BUSI", "CXR_LUNG"]
    whole = runner.results.part("tiny", "masks", "CXR_LUNG")
    assert whole is not None
    assert len(whole.rows) == 32
    assert not list((tmp_path / "results").rglob("*journal*"))


def test_an_interrupted_evaluation_of_something_else_is_started_anew(tmp_path: Path) -> None:
    busi = write_pictures(tmp_path, "BUSI")

    def stop(done: int, total: int, dataset: str) -> None:
        raise Cancelled("Stopped.")

    runner = _runner(tmp_path, busi)
    with pytest.raises(Cancelled):
        Runner(runner.results, runner.folders, progress=stop).provide(fake_model(), [Need(("BUS",), masks(Effort()))])
    smaller = Need(("BUS",), masks(Effort(limit=1)))
    with pytest.raises(InvalidConfig, match="journal of another evaluation"):
        runner.provide(fake_model(), [smaller])
    assert _runner(tmp_path, busi, redo=True).provide(fake_model(), [smaller])
    assert runner.results.datasets("tiny", "masks") == ["BUSI"]


def test_processes_share_a_set_and_the_last_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner = _runner(tmp_path, write_pictures(tmp_path, "BUSI", patients=8))
    need = Need(("BUS",), masks(Effort()))
    first, second = FakePredictor(BOTH), FakePredictor(BOTH)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    assert not runner.provide(fake_model(first), [need])
    assert runner.results.datasets("tiny", "masks") == []
    monkeypatch.setenv("RANK", "1")
    assert runner.provide(fake_model(second), [need])
    assert (first.encoded, second.encoded) == (4, 4)
    part = runner.results.part("tiny", "masks", "BUSI")
    assert part is not None
    assert len(part.rows) == 32
    # Asked again, when there is nothing left to do, one of them shows the table and the other is silent.
    assert not runner.provide(fake_model(second), [need])
    monkeypatch.setenv("RANK", "0")
    assert runner.provide(fake_model(first), [need])


def test_the_last_process_of_all_knows_that_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each finishes the set that the other one still had: the first set the second process, the second the first."""
    folders = [write_pictures(tmp_path, name, patients=8) for name in ("BUSI", "CXR_LUNG")]
    need = Need(("BUS", "Chest X-ray"), masks(Effort()))
    monkeypatch.setenv("WORLD_SIZE", "2")
    answers: list[bool] = []

    def other_process(done: int, total: int, dataset: str) -> None:
        if dataset == "CXR_LUNG" and not answers:
            monkeypatch.setenv("RANK", "1")
            answers.append(_runner(tmp_path, *folders).provide(fake_model(), [need]))

    monkeypatch.setenv("RANK", "0")
    plain = _runner(tmp_path, *folders)
    assert Runner(plain.results, plain.folders, progress=other_process).provide(fake_model(), [need])
    assert answers == [False]
    assert plain.results.datasets("tiny", "masks") == ["BUSI", "CXR_LUNG"]


@pytest.mark.parametrize(
    ("effort", "digest", "sentence"),
    [(Effort(limit=2), "0123456789ab", "other settings"), (Effort(), "ba9876543210", "other weights")],
)
def test_results_of_something_else_are_neither_used_nor_lost(
    tmp_path: Path, effort: Effort, digest: str, sentence: str
) -> None:
    busi = write_pictures(tmp_path, "BUSI")
    _runner(tmp_path, busi).provide(fake_model(), [Need(("BUS",), masks(Effort()))])
    table = tmp_path / "results" / "tiny" / "masks" / "BUSI.csv"
    before = table.read_bytes()
    need, model = Need(("BUS",), masks(effort)), fake_model(digest=digest)
    with pytest.raises(InvalidConfig, match=f"{sentence}; give --redo"):
        _runner(tmp_path, busi).provide(model, [need])
    assert table.read_bytes() == before
    _runner(tmp_path, busi, redo=True).provide(model, [need])
    facts = read_facts(table)
    assert facts is not None
    assert (facts.digest, facts.protocol["limit"]) == (digest, effort.limit)


def test_numbers_of_two_precisions_are_never_in_one_table(tmp_path: Path) -> None:
    busi, need = write_pictures(tmp_path, "BUSI"), Need(("BUS",), masks(Effort()))
    model, other = fake_model(), fake_model()
    other.__dict__["precision"] = "bfloat16"
    done = []

    def stop(*_: object) -> None:
        done.append(1)
        if len(done) == 2:
            raise Cancelled("Stopped.")

    runner = _runner(tmp_path, busi)
    with pytest.raises(Cancelled):
        Runner(runner.results, runner.folders, progress=stop).provide(model, [need])
    with pytest.raises(InvalidConfig, match="journal of another evaluation"):
        runner.provide(other, [need])
    assert runner.provide(model, [need])
    facts = read_facts(tmp_path / "results" / "tiny" / "masks" / "BUSI.csv")
    assert facts is not None
    assert facts.precision == "float32"
    with pytest.raises(InvalidConfig, match="numbers in float32; give --redo"):
        _runner(tmp_path, busi).provide(other, [need])
    # Facts from before it was kept fit any.
    assert not replace(facts, precision="").misfit(facts.protocol, facts.digest, "bfloat16", facts.content)


def test_results_from_before_a_set_changed_are_not_used(tmp_path: Path) -> None:
    busi = write_pictures(tmp_path, "BUSI")
    need, model = Need(("BUS",), masks(Effort())), fake_model()
    _runner(tmp_path, busi).provide(model, [need])
    table = tmp_path / "results" / "tiny" / "masks" / "BUSI.csv"
    description, notes = busi / "dataset.json", table.with_suffix(".json")
    changed = json.loads(description.read_text(encoding="utf-8"))
    changed["items"] = changed["items"][:-1]
    description.write_text(json.dumps(changed), encoding="utf-8")
    with pytest.raises(InvalidConfig, match=r"with another dataset\.json; give --redo"):
        _runner(tmp_path, busi).provide(model, [need])
    before = json.loads(notes.read_text(encoding="utf-8"))
    _runner(tmp_path, busi, redo=True).provide(model, [need])
    assert json.loads(notes.read_text(encoding="utf-8"))["description"] != before["description"]
    assert len(Results(tmp_path / "results").part("tiny", "masks", "BUSI").rows) == 12  # type: ignore[union-attr]
    del before["description"], before["masks"], before["images"], before["table"]  # as facts were before
    notes.write_text(json.dumps(before), encoding="utf-8")
    assert _runner(tmp_path, busi).provide(model, [need])
    assert json.loads(notes.read_text(encoding="utf-8")) == before  # taken as it is, not measured again


@pytest.mark.parametrize("part", ["mask", "image"])
def test_corrected_masks_and_images_are_measured_again(tmp_path: Path, part: str) -> None:
    busi = write_pictures(tmp_path, "BUSI")
    need, model = Need(("BUS",), masks(Effort())), fake_model()
    _runner(tmp_path, busi).provide(model, [need])
    file = busi / getattr(DatasetFolder.open(busi).items("test")[0], part)
    Image.fromarray(np.asarray(Image.open(file))[::-1].copy()).save(file)
    with pytest.raises(InvalidConfig, match=f"with other {part}s; give --redo"):
        _runner(tmp_path, busi).provide(model, [need])
    assert _runner(tmp_path, busi, redo=True).provide(model, [need])
    assert _runner(tmp_path, busi).provide(model, [need])


def _without_the_last_row(table: str) -> str:
    return table[: table.rindex("\n", 0, -1) + 1]


def _with_another_index(table: str) -> str:
    return table.replace(",0,", ",9,", 1)


@pytest.mark.parametrize("change", [_without_the_last_row, _with_another_index])
def test_a_table_that_lost_or_changed_rows_is_not_used(tmp_path: Path, change: Callable[[str], str]) -> None:
    busi = write_pictures(tmp_path, "BUSI")
    need, model = Need(("BUS",), masks(Effort())), fake_model()
    _runner(tmp_path, busi).provide(model, [need])
    table = tmp_path / "results" / "tiny" / "masks" / "BUSI.csv"
    before = table.read_bytes()
    table.write_bytes(before.replace(b"\n", b"\r\n"))  # as a checkout on Windows may have it
    assert _runner(tmp_path, busi).provide(model, [need])
    changed = change(before.decode()).encode()
    assert changed != before
    table.write_bytes(changed)
    with pytest.raises(InvalidConfig, match="is not as it was written: rows are missing or were changed; give --redo"):
        _runner(tmp_path, busi).provide(model, [need])
    with pytest.raises(InvalidDataset, match="is not as it was written: rows are missing or were changed; bring"):
        Results(tmp_path / "results").part("tiny", "masks", "BUSI")
    assert _runner(tmp_path, busi, redo=True).provide(model, [need])
    assert len(Results(tmp_path / "results").part("tiny", "masks", "BUSI").rows) > 1  # type: ignore[union-attr]


def test_nothing_is_measured_where_one_set_would_be_refused(tmp_path: Path) -> None:
    """Or the sets before it would stand in one mean with others of another effort."""
    busi, xray = (write_pictures(tmp_path, name) for name in ("BUSI", "CXR_LUNG"))
    _runner(tmp_path, xray).provide(fake_model(), [Need(("Chest X-ray",), masks(Effort(limit=2)))])
    predictor = FakePredictor(BOTH)
    runner = _runner(tmp_path, busi, xray)
    with pytest.raises(InvalidConfig, match=r"CXR_LUNG.csv was measured with other settings"):
        runner.provide(fake_model(predictor), [Need(("Breast Cancer", "Chest X-ray"), masks(Effort()))])
    assert predictor.encoded == 0
    assert runner.results.datasets("tiny", "masks") == ["CXR_LUNG"]


@pytest.mark.parametrize("need", ["Chest X-ray", "own"])
@pytest.mark.parametrize(
    ("effort", "digest", "sentence"),
    [(Effort(limit=2), "0123456789ab", "other settings"), (Effort(), "ba9876543210", "other weights")],
)
def test_a_set_that_is_not_at_hand_is_not_joined_by_others_of_something_else(
    tmp_path: Path, effort: Effort, digest: str, sentence: str, need: str
) -> None:
    """One table would hold both."""
    xray, own, busi = (write_pictures(tmp_path, name) for name in ("CXR_LUNG", "MINE", "BUSI"))
    asked = Need(("Chest X-ray", "Breast Cancer"), masks(Effort()), others=Others.NEW)
    _runner(tmp_path, own if need == "own" else xray).provide(fake_model(), [asked])
    predictor, again = FakePredictor(BOTH), Need(asked.sets, masks(effort), others=Others.NEW)
    other = fake_model(predictor, digest=digest)
    refused = rf"\.csv was measured with {sentence}, and its set is not at hand; add it with --data and give --redo"
    with pytest.raises(InvalidConfig, match=refused):
        _runner(tmp_path, busi).provide(other, [again])
    assert predictor.encoded == 0
    assert _runner(tmp_path, busi, redo=True).provide(other, [again])
    # What stands in another table is none of this one's business.
    assert _runner(tmp_path, busi).provide(other, [Need(("BUS",), masks(effort), others=Others.LEARNED)])


def test_sets_whose_names_make_one_file_do_not_share_it(tmp_path: Path) -> None:
    one, other = (write_pictures(tmp_path / folder, name) for folder, name in (("1", "Site A"), ("2", "Site_A")))
    need = Need(("BUS",), masks(Effort()), others=Others.ALL)
    predictor = FakePredictor(BOTH)
    with pytest.raises(InvalidDataset, match="'Site A' and 'Site_A' would share one file of results; rename one"):
        _runner(tmp_path, one, other).provide(fake_model(predictor), [need])
    assert predictor.encoded == 0
    assert _runner(tmp_path, one).provide(fake_model(), [need])
    for redo in (False, True):
        with pytest.raises(InvalidDataset, match="holds results of the set 'Site A', and 'Site_A' would have the same"):
            _runner(tmp_path, other, redo=redo).provide(fake_model(), [need])
    results = Results(tmp_path / "results")
    assert results.part("tiny", "masks", "Site A") is not None
    assert results.part("tiny", "masks", "Site_A") is None


def test_results_and_weights_move_together_and_name_no_folder_of_the_machine(tmp_path: Path) -> None:
    weights = tmp_path / "here" / "runs" / "full" / "weights.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_bytes(b"weights")
    saved = {"own": str(weights), "shipped": "small"}
    for name, source in saved.items():
        facts = Facts(dataset="BUSI", protocol={}, digest="0", weights=source)
        Results(tmp_path / "here" / "results").save(f"ablations/{name}", "masks", facts, "dataset\n")
    moved = tmp_path / "there"
    (tmp_path / "here").rename(moved)
    tables = {name: moved / "results" / "ablations" / name / "masks" / "BUSI.csv" for name in saved}
    assert str(tmp_path) not in tables["own"].with_suffix(".json").read_text()
    own, shipped = (read_facts(table) for table in tables.values())
    assert own is not None
    assert shipped is not None
    assert Path(own.weights).samefile(moved / "runs" / "full" / "weights.safetensors")
    assert shipped.weights == "small"


def test_a_broken_set_does_not_keep_the_others_from_it(tmp_path: Path) -> None:
    busi, xray = (write_pictures(tmp_path, name) for name in ("BUSI", "CXR_LUNG"))
    for image in (busi / "images").iterdir():
        image.write_bytes(b"no picture")
    runner = _runner(tmp_path, busi, xray)
    with pytest.raises(InvalidDataset, match="Not evaluated, for the reasons above: BUSI"):
        runner.provide(fake_model(), [Need(("Breast Cancer", "Chest X-ray"), masks(Effort()))])
    assert runner.results.datasets("tiny", "masks") == ["CXR_LUNG"]


def test_volumes_are_gone_through_whole(tmp_path: Path) -> None:
    acdc = write_volumes(tmp_path, "ACDC", patients=5)
    runner = _runner(tmp_path, acdc, write_pictures(tmp_path, "BUSI"))
    runner.provide(fake_model(), [Need(("ACDC", "BUS"), volumes(Effort(volumes=2)))])
    assert runner.results.datasets("tiny", "volumes") == ["ACDC"]  # pictures have no volumes
    part = runner.results.part("tiny", "volumes", "ACDC")
    assert part is not None
    found = part.volumes(Mode.SEMANTIC)
    assert len({volume.item for volume in found}) == 2
    empty = [row for row in part.slices(Mode.SEMANTIC) if not row.present]
    assert {row.index for row in empty} == {1}


def test_every_exemplar_serves_all_queries(tmp_path: Path) -> None:
    acdc = write_volumes(tmp_path, "ACDC", patients=5)
    runner = _runner(tmp_path, acdc)
    runner.provide(fake_model(), [Need(("ACDC",), exemplar(number, Effort(exemplars=2))) for number in (0, 1)])
    used = []
    for name in ("exemplar-01", "exemplar-02"):
        part = runner.results.part("tiny", name, "ACDC")
        assert part is not None
        references = {name for row in part.rows for name in row.references}
        used.append({reference.rpartition(":")[0] for reference in references})
    assert used in ([{"v0"}, {"v1"}], [{"v1"}, {"v0"}])


def test_the_first_set_at_hand_and_folders_of_ones_own(tmp_path: Path) -> None:
    folders = [write_pictures(tmp_path, name) for name in ("AMOS_CT", "AMOS_MRI", "MINE")]
    runner = _runner(tmp_path, *folders)
    runner.provide(fake_model(), needs("table10", Effort(limit=1)))
    assert runner.results.datasets("tiny", shots(9, Effort()).name) == ["AMOS_MRI"]
    runner.provide(fake_model(), [Need(("AMOS_CT",), clicks(Effort(click_limit=1)), others=Others.ALL)])
    assert runner.results.datasets("tiny", "clicks") == ["AMOS_CT", "MINE"]


def test_stored_facts_that_are_damaged(tmp_path: Path) -> None:
    table = store(Results(tmp_path), [measured()])
    table.with_suffix(".json").write_text("{}", encoding="utf-8")
    with pytest.raises(InvalidDataset, match="measured again"):
        Results(tmp_path).part("tiny", "masks", "BUSI")
    table.with_suffix(".json").unlink()
    assert Results(tmp_path).part("tiny", "masks", "BUSI") is None
