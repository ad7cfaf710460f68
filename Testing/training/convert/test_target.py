"""Where a conversion writes: never over anybody's files, never so that other datasets are no longer seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from KPrismLib.errors import InvalidDataset
from Testing.training.convert.smallest import DOWNLOADS
from Testing.training.convert.trees import partial_download
from Training.convert.conversion import convert
from Training.convert.findings import FILE
from Training.convert.ledger import NAME
from Training.convert.sets.bus import BUS
from Training.convert.sets.papila import PAPILA


@pytest.fixture
def download(tmp_path: Path) -> Path:
    DOWNLOADS["bus"](tmp_path / "download")
    return tmp_path / "download"


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _refused(download: Path, target: Path, sentence: str) -> None:
    """The sentence is said, and no file is written or changed."""
    before = _contents(target)
    with pytest.raises(InvalidDataset, match=sentence):
        convert(partial_download(BUS), download, target)
    assert _contents(target) == before


def test_a_folder_with_files_of_somebody_else_is_left_alone(download: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    (own / "images").mkdir(parents=True)
    (own / "images/000001.png").write_bytes(b"mine")
    _refused(download, own, r"own holds files that no conversion wrote \(images\), .* such as .*own/BUS\.")
    assert convert(partial_download(BUS), download, own / "BUS").ok


def test_the_folder_of_all_datasets_does_not_become_one(download: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    convert(partial_download(BUS), download, data / "BUS")
    _refused(download, data, r"data holds other datasets \(BUS\); choose a folder .* such as .*data/BUS\.")
    # Neither where an earlier version made it one.
    (data / "dataset.json").write_bytes((data / "BUS/dataset.json").read_bytes())
    (data / NAME).touch()
    _refused(download, data, "holds other datasets")
    assert convert(partial_download(BUS), download, data / "BUS").kept == 2


def test_the_target_lies_neither_in_the_download_nor_around_it(download: Path, tmp_path: Path) -> None:
    _refused(download, download / "out", "lies inside the download; choose a folder outside it")
    _refused(download, download, "lies inside the download")
    _refused(download, tmp_path, "contains the download; choose a new folder for the dataset, beside")


@pytest.mark.parametrize("text", ['{"name": "ACDC"}', '{"name": "BUS"}', "[1]", "{", '{"conversion": {}}'])
def test_a_dataset_that_no_conversion_wrote_is_left_alone(download: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/dataset.json").write_text(text)
    _refused(download, tmp_path / "out", r"already holds (ACDC|a BUS that no conversion wrote|something else)")


def test_what_a_conversion_began_is_gone_on_with_by_the_same_set_alone(download: Path, tmp_path: Path) -> None:
    def interrupt(number: int, total: int, case: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(partial_download(BUS), download, tmp_path / "out", progress=interrupt)
    DOWNLOADS["papila"](tmp_path / "eyes")
    with pytest.raises(InvalidDataset, match="already holds an unfinished BUS, not PAPILA; choose an empty folder"):
        convert(partial_download(PAPILA), tmp_path / "eyes", tmp_path / "out")
    (tmp_path / "out/images/000001.png").write_bytes(b"half of it")  # killed before the first case was noted
    assert convert(partial_download(BUS), download, tmp_path / "out").ok


def test_a_conversion_without_its_ledger_is_still_known(download: Path, tmp_path: Path) -> None:
    convert(partial_download(BUS), download, tmp_path / "out")
    (tmp_path / "out" / NAME).unlink()
    assert convert(partial_download(BUS), download, tmp_path / "out").converted == 2


def test_an_empty_folder_may_hold_the_findings_of_a_run_that_wrote_nothing(download: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / FILE).touch()
    (tmp_path / "out/.DS_Store").touch()
    assert convert(partial_download(BUS), download, tmp_path / "out").ok


def test_the_first_line_of_a_ledger_names_the_set(download: Path, tmp_path: Path) -> None:
    convert(partial_download(BUS), download, tmp_path / "out")
    lines = (tmp_path / "out" / NAME).read_text(encoding="utf-8").split()
    assert json.loads("".join(lines[:2])) == {"set": "BUS"}
