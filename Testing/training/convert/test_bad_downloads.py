"""Every converter on a download of which one file is missing, renamed, cut off, empty, something else, or doubled."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from KPrismLib.errors import InvalidDataset
from Testing.training.convert.smallest import DOWNLOADS
from Testing.training.convert.trees import partial_download
from Training.convert import registry
from Training.convert.conversion import Outcome, convert
from Training.convert.findings import Kind

Change = Callable[[Path], object]

_ERROR_PAGE = b"\xff\xfe<html>404</html>" * 20


def _named(path: Path, more: str) -> Path:
    stem, dot, suffixes = path.name.partition(".")
    return path.with_name(f"{stem}{more}{dot}{suffixes}")


CHANGES: dict[str, Change] = {
    "missing": Path.unlink,
    "renamed": lambda path: path.rename(_named(path, "x")),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "something else": lambda path: path.write_bytes(_ERROR_PAGE),
}


def _outcome(name: str, download: Path, target: Path) -> Outcome:
    return convert(partial_download(registry.converter(name)), download, target)


def _picked(name: str, root: Path) -> list[Path]:
    """An image, a mask, and whatever table or outline there is: one file of each ending and folder name."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    kinds = {(path.parent.name.strip("0123456789"), _kind(path), "".join(path.suffixes)): path for path in files}
    return list(kinds.values())


def _kind(path: Path) -> str:
    return "".join(letter for letter in path.name if not letter.isdigit())


@pytest.fixture(params=sorted(DOWNLOADS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def download(name: str, tmp_path: Path) -> Path:
    root = tmp_path / "download"
    root.mkdir()
    DOWNLOADS[name](root)
    return root


def test_the_official_layout_is_converted_without_a_complaint(name: str, download: Path, tmp_path: Path) -> None:
    outcome = _outcome(name, download, tmp_path / "out")
    assert outcome.ok
    assert not [finding for finding in outcome.findings if finding.kind is not Kind.REMARK]


def test_all_eighteen_are_here() -> None:
    assert set(DOWNLOADS) == set(registry.names())


def test_one_bad_file_is_told_and_no_description_is_written(name: str, download: Path, tmp_path: Path) -> None:
    for number, victim in enumerate(_picked(name, download)):
        for what, change in CHANGES.items():
            root = tmp_path / f"{number} {what}"
            shutil.copytree(download, root)
            change(root / victim.relative_to(download))
            if _is_harmless(name, victim, what):
                continue
            try:
                outcome = _outcome(name, root, tmp_path / f"out {number} {what}")
            except InvalidDataset:
                continue  # without its table or a whole folder it is not the download
            assert not outcome.ok, (victim, what)
            told = " ".join(str(finding) for finding in outcome.findings if finding.kind.stops)
            assert _kind_of_case(victim) in told, (victim, what, told)
            assert not (tmp_path / f"out {number} {what}" / "dataset.json").exists()


def test_a_copy_beside_its_original_is_told(name: str, download: Path, tmp_path: Path) -> None:
    for number, victim in enumerate(_picked(name, download)):
        root = tmp_path / str(number)
        shutil.copytree(download, root)
        copy = _named(root / victim.relative_to(download), " (copy)")
        shutil.copyfile(victim, copy)
        outcome = _outcome(name, root, tmp_path / f"out {number}")
        assert any(copy.name in finding.subject for finding in outcome.findings), victim


def _is_harmless(name: str, victim: Path, what: str) -> bool:
    # 96 of Shenzhen's radiographs have no mask, so that a missing one is only seen by counting; the table of M&Ms is
    # known by its columns; and a table or text cut at the end may still say all that is needed.
    if name == "chest-xray" and victim.parent.name == "mask":
        return what in ("missing", "renamed")
    return victim.suffix in (".csv", ".cfg", ".txt") and what in ("renamed", "cut off")


def _kind_of_case(victim: Path) -> str:
    """What a person must read to find the file: at least its folder or its number."""
    digits = "".join(letter if letter.isdigit() else " " for letter in victim.name).split()
    return max(digits, key=len) if digits else victim.parent.name
