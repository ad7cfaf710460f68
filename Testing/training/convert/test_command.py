"""The command line, and what every converter must know."""

from __future__ import annotations

import typer
from typer.testing import CliRunner

from KPrismLib.intensity import RULES
from Testing.training.convert.smallest import DOWNLOADS
from Testing.training.convert.trees import blob, partial_download, photograph, save_picture
from Training.convert import conversion, registry
from Training.convert.__main__ import main
from Training.convert.conversion import convert
from Training.convert.sets.bus import BUS


def _run(*arguments):
    app = typer.Typer()
    app.command()(main)
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def _bus(root):
    for number in (1, 2):
        save_picture(root / f"BUS/original/{number:06d}.png", photograph(number)[..., 0])
        save_picture(root / f"BUS/GT/{number:06d}.png", blob())
    return root


def test_list_names_all_sets_with_their_terms():
    result = _run("list")
    assert result.exit_code == 0
    assert len(registry.names()) == 18
    for name in registry.names():
        assert f"{name}: " in result.output
    assert "https://zenodo.org/records/7155725 (amos22.zip)" in result.output


def test_every_converter_knows_what_it_must():
    names = set()
    for name in registry.names():
        about = registry.converter(name).about
        names.add(about.name)
        for text in (about.modality, about.role, about.citation, about.licence, about.source, about.layout):
            assert text, name
        assert about.split_rule, name
        assert about.notes, name
        assert about.labels[0] == "background", name
        assert about.paper.slices, name
        assert about.window is None or about.window in RULES, name
        assert (about.window is None) == (not about.paper.volumes) or name in ("mnms2",), name
        assert set().union(*(about.classes or {}).values()) <= about.labels.keys()
        assert not about.ids or len(about.ids) == max(about.complete.get("all", 0), sum(about.complete.values()))
    assert len(names) == 18


def test_half_a_download_is_exit_1_and_allow_missing_shows_counts_beside_the_paper(tmp_path):
    download = _bus(tmp_path / "download")
    result = _run("bus", download, tmp_path / "out")
    assert result.exit_code == 1
    assert "161 of 163 cases: only 2 found" in result.output
    assert not (tmp_path / "out").exists()
    result = _run("BUS", download, tmp_path / "out", "--allow-missing")
    assert result.exit_code == 0
    assert "163" in result.output
    assert "2 cases converted, 0 were already there." in result.output
    assert "161 of 163" in (tmp_path / "out/conversion-findings.txt").read_text(encoding="utf-8")
    assert (
        "0 cases converted, 2 were already there." in _run("bus", download, tmp_path / "out", "--allow-missing").output
    )


def test_findings_are_written_before_they_are_shown(tmp_path, monkeypatch):
    def closed(*_, **__):
        raise BrokenPipeError

    download = _bus(tmp_path / "download")
    monkeypatch.setattr("rich.console.Console.print", closed)
    assert _run("bus", download, tmp_path / "out", "--allow-missing").exit_code
    assert "161 of 163" in (tmp_path / "out/conversion-findings.txt").read_text(encoding="utf-8")


def test_the_list_of_findings_goes_when_everything_is_mended(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "converter", lambda _: partial_download(BUS))
    download, listed = _bus(tmp_path / "download"), tmp_path / "out/conversion-findings.txt"
    mask = download / "BUS/GT/000002.png"
    whole = mask.read_bytes()
    mask.write_bytes(whole[:60])
    assert _run("bus", download, tmp_path / "out").exit_code == 1
    assert "BUS/GT/000002.png" in listed.read_text(encoding="utf-8")
    mask.write_bytes(whole)
    assert _run("bus", download, tmp_path / "out").exit_code == 0
    assert not listed.exists()


def test_wrong_folder_and_wrong_name_are_exit_2_and_one_sentence(tmp_path):
    (tmp_path / "empty").mkdir()
    result = _run("kits19", tmp_path / "empty", tmp_path / "out")
    assert result.exit_code == 2
    assert "is not the KiTS download: it should contain data with case_00000" in result.output
    result = _run("kits", tmp_path, tmp_path / "out")
    assert result.exit_code == 2
    assert "There is no converter 'kits'; did you mean kits19 or " in result.output
    assert "Traceback" not in result.output
    assert "Name the download and the dataset folder to write: bus SOURCE TARGET." in _run("bus").output


def test_a_misspelt_name_is_told_before_what_else_is_missing():
    for name, nearest in (("lists", "lits or list"), ("kits2019", "kits19"), ("amos", "amos-ct or amos-mri")):
        result = _run(name)
        assert result.exit_code == 2
        assert f"There is no converter '{name}'; did you mean {nearest}" in result.output
    assert "`list` names those there are." in _run("qqq").output


def test_a_target_that_cannot_be_made_is_exit_3(tmp_path):
    download = _bus(tmp_path / "download")
    (tmp_path / "file").write_text("in the way")
    result = _run("bus", download, tmp_path / "file/out", "--allow-missing")
    assert result.exit_code == 3
    assert "choose another folder" in result.output


def test_half_a_download_says_which_folder_is_not_there(tmp_path):
    save_picture(tmp_path / "download/BUS/original/000001.png", photograph(1)[..., 0])
    result = _run("bus", tmp_path / "download", tmp_path / "out")
    assert result.exit_code == 2
    assert "such as 000001.png; there is no folder BUS/GT." in result.output


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(conversion, "mark", refuse)
    result = _run("bus", _bus(tmp_path / "download"), tmp_path / "out", "--allow-missing")
    assert result.exit_code == 3
    assert "000001.png cannot be read: Permission denied." in result.output
    assert "Traceback" not in result.output


def test_a_missing_case_is_named_although_another_begins_like_it(tmp_path):
    DOWNLOADS["lits"](tmp_path / "download")
    batch = tmp_path / "download/Batch"
    for name in ("volume-1.nii", "segmentation-1.nii"):
        (batch / name).unlink()
    (batch / "volume-10.nii").rename(batch / "volume-10x.nii")
    (batch / "volume-2.nii").touch()
    found = convert(registry.converter("lits"), tmp_path / "download", tmp_path / "out").findings
    assert "volume-1" in {finding.subject for finding in found}
