"""Which folder stands for which set, and which of its items a protocol looks at."""

from __future__ import annotations

from pathlib import Path

import pytest

from KPrismLib.dataset import DatasetFolder, index_slices
from KPrismLib.errors import InvalidConfig, InvalidDataset
from KPrismLib.evaluation.settings import Mode
from Testing.engine.dataset.tiny_dataset import describe, listed, write_folder
from Testing.training.report.tiny_report import write_pictures, write_volumes
from Training.report.needs import ABLATION_TABLES, Effort, Others, ablation_runs, exemplar, masks, needs, shots, volumes
from Training.report.selection import exemplars, selected
from Training.report.sets import by_name, find_set, find_sets, other_folders


def _folders(path: Path, *names: str) -> dict[str, DatasetFolder]:
    return by_name([DatasetFolder.open(write_pictures(path, name)) for name in names])


def test_a_set_comes_before_what_stands_for_it(tmp_path: Path) -> None:
    folders = _folders(tmp_path, "BUSI", "Breast Cancer", "MONUSEG")
    assert find_set("Breast Cancer", folders).folder.name == "Breast Cancer"
    assert find_set("Breast Cancer", folders).remark == ""
    stand_in = find_set("BUS", folders)
    assert (stand_in.folder.name, stand_in.remark) == ("BUSI", "another breast set")
    assert find_set("AMOS_MRI", folders) is None
    assert [found.paper.name for found in find_sets(["BUS", "AMOS_MRI", "Breast Cancer"], folders)] == [
        "BUS",
        "Breast Cancer",
    ]
    assert [folder.name for folder in other_folders(folders)] == ["MONUSEG"]


def test_two_folders_of_one_name(tmp_path: Path) -> None:
    twice = [DatasetFolder.open(write_pictures(tmp_path / part, "BUSI")) for part in ("a", "b")]
    with pytest.raises(InvalidDataset, match="both called 'BUSI'"):
        by_name(twice)


def test_whole_volumes_keep_the_training_items(tmp_path: Path) -> None:
    folder = DatasetFolder.open(write_volumes(tmp_path, "ACDC", patients=6))
    part = selected(folder, volumes(Effort(volumes=2)))
    assert isinstance(part, DatasetFolder)
    assert [item.split for item in part.description.items] == ["train", "train", "test", "test"]
    assert len(part.items("test")) == 2
    pictures = DatasetFolder.open(write_pictures(tmp_path, "BUSI"))
    assert selected(pictures, volumes(Effort())) == "holds single slices, no volumes"
    assert selected(pictures, masks(Effort())) is pictures


def test_a_set_without_test_items_is_left_alone(tmp_path: Path) -> None:
    folder = DatasetFolder.open(write_folder(tmp_path / "A", describe([listed("one", split="train")], name="A")))
    assert selected(folder, masks(Effort())) == "has no split 'test'"


def test_an_exemplar_is_the_only_reference_there_is(tmp_path: Path) -> None:
    folder = DatasetFolder.open(write_volumes(tmp_path, "ACDC", patients=6))
    parts = [selected(folder, exemplar(number, Effort())) for number in (0, 1)]
    chosen = []
    for part in parts:
        assert isinstance(part, DatasetFolder)
        (item,) = part.items("train")
        chosen.append(item.id)
        assert len(part.items("test")) == 4
    assert set(chosen) == {"v0", "v1"}
    assert selected(folder, exemplar(2, Effort())) == "has only 2 items that show all classes"
    assert [item.id for item in exemplars(folder, 0)] == [item.id for item in exemplars(folder, 0)]


def test_an_external_set_gives_up_the_exemplar(tmp_path: Path) -> None:
    items = [listed(f"i{number}", patient=f"p{number}") for number in range(3)]
    folder = DatasetFolder.open(write_folder(tmp_path / "BUS", describe(items, name="BUS")))
    part = selected(folder, exemplar(0, Effort()))
    assert isinstance(part, DatasetFolder)
    (reference,) = part.items("train")
    assert reference.id not in {item.id for item in part.items("test")}
    assert len(part.items("test")) == 2
    assert all(record.item.split == "train" for record in index_slices(part, "train"))


def test_exemplars_show_every_class(tmp_path: Path) -> None:
    items = [listed(f"i{number}", split="train", patient=f"p{number}") for number in range(3)]
    folder = DatasetFolder.open(
        write_folder(tmp_path / "X", describe(items, name="X", labels={"0": "background", "1": "liver", "2": "spleen"}))
    )
    assert exemplars(folder, 0) == []


def test_what_tables_need() -> None:
    effort = Effort(limit=5, click_limit=3, volumes=2)
    two = needs("table2", effort)
    assert [(need.protocol.name, need.protocol.limit, need.others) for need in two] == [
        ("masks", 5, Others.LEARNED),
        ("volumes", 2, Others.LEARNED),
    ]
    assert not two[0].protocol.absent_classes
    assert two[1].protocol.absent_classes
    (everything,) = needs("table2", Effort())
    assert everything.protocol.absent_classes  # one pass gives both protocols
    assert [need.protocol.name for need in needs("table9", Effort(exemplars=3))] == [
        *("exemplar-01", "exemplar-02", "exemplar-03")
    ]
    assert [need.protocol.references for need in needs("table10", effort)] == [1, 3, 5, 9]
    assert all(need.protocol.axial and need.first_only for need in needs("table10", effort))
    assert needs("figure3", effort)[0].protocol == needs("table4", effort)[0].protocol
    assert shots(3, effort).modes == (Mode.IN_CONTEXT,)
    with pytest.raises(InvalidConfig, match="no 'table11'"):
        needs("table11", effort)


def test_what_ablations_need() -> None:
    runs = ablation_runs(*ABLATION_TABLES)
    assert runs[0] == "full"
    assert len(set(runs)) == len(runs) == 15
    assert "experts-1" in runs
    of_mode = {need.model: need.protocol.modes for need in needs("table5b", Effort())}
    assert of_mode["in-context-only+no-dense-prompts"] == (Mode.IN_CONTEXT,)
    assert {need.protocol.name for need in needs("table5c", Effort()) if need.model != "full"} == {"clicks"}
    assert {need.protocol.name for need in needs("table5a", Effort())} == {"masks", "clicks"}


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [({"limit": 0}, "limit is 0"), ({"clicks": 4}, "after 5 clicks"), ({"exemplars": 1}, "Table 9 compares")],
)
def test_too_little_effort(setting: dict[str, int], sentence: str) -> None:
    with pytest.raises(InvalidConfig, match=sentence):
        Effort(**setting)
