"""The folder script as Slicer runs it, which only ``slicer.util.exit`` ends."""

import errno
import io
import runpy
import sys

import pytest
import slicer

from KPrismLogic.model import Model
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.scenes import body, geometry
from Testing.slicer.test_batch import SCRIPT, write_image


@pytest.fixture
def script(scene, tmp_path, monkeypatch):
    """Runs the script on a folder into "out"; -> what Slicer was told to end with."""
    model, ends = Model(), []
    model.use(FloodPredictor())
    monkeypatch.setattr("KPrismLogic.model.Model", lambda *_: model)
    monkeypatch.setattr(slicer, "app", object(), raising=False)
    monkeypatch.setattr(slicer.util, "exit", ends.append, raising=False)

    def run(images, *options, out="out"):
        ends.clear()
        arguments = [str(SCRIPT), str(images), str(tmp_path / out), "--class", "liver", *options]
        monkeypatch.setattr(sys, "argv", arguments)
        runpy.run_path(str(SCRIPT), run_name="__main__")
        return ends

    return run


def test_letters_that_the_terminal_lacks_are_replaced(script, tmp_path, monkeypatch):
    write_image(tmp_path / "a Łódź.nrrd", body(), geometry("flipped"))
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="cp1252"))
    assert script(tmp_path) == [0]
    sys.stdout.flush()
    assert written.getvalue().decode("cp1252").startswith("1/1 a ?ód?.nrrd: ")
    assert (tmp_path / "out" / "a Łódź.seg.nrrd").exists()
    assert (tmp_path / "out" / "metrics.csv").exists()


def test_whatever_is_wrong_slicer_ends(script, tmp_path, monkeypatch, capsys):
    write_image(tmp_path / "a.nrrd", body(), geometry("flipped"))
    for images, options in (
        (tmp_path / ("x" * 300), ()),
        (tmp_path / "a.nrrd", ()),
        (tmp_path, ("--truth", str(tmp_path / ("x" * 300)))),
        (tmp_path, ("--class", "heart")),
    ):
        assert script(images, *options) == [2]
        assert len(capsys.readouterr().err.splitlines()) == 1
    assert script(tmp_path, out="x" * 300) == [2]
    assert capsys.readouterr().err.endswith("cannot be made: File name too long; choose another folder.\n")
    assert script(tmp_path, "--plane", "oblique") == [2]
    capsys.readouterr()

    def closed(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied", "a")

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.iterdir", closed)
        assert script(tmp_path) == [2]
        assert capsys.readouterr().err == f"The folder {tmp_path} cannot be opened: Permission denied.\n"
    with monkeypatch.context() as patched:
        patched.setattr("KPrismLogic.batch.segment_folder", closed)
        assert script(tmp_path) == [2]
        assert "PermissionError" in capsys.readouterr().err  # a defect, told with its place


def test_missing_packages_are_named_before_anything_of_them_is_imported(script, tmp_path, monkeypatch, capsys):
    write_image(tmp_path / "a.nrrd", body(), geometry("flipped"))
    monkeypatch.setattr(
        "KPrismLogic.readiness.find_spec", lambda name: None if name in {"nibabel", "torch"} else object()
    )
    monkeypatch.setitem(sys.modules, "KPrismLogic.batch", None)  # importing it fails
    assert script(tmp_path) == [2]
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Python packages are missing: nibabel>=5.2, torch>=2.2. Press Install")
    assert not (tmp_path / "out").exists()


def test_a_drawn_segmentation_is_written_over_only_where_that_is_wanted(script, tmp_path):
    write_image(tmp_path / "a.nrrd", body(), geometry("flipped"))
    (tmp_path / "out").mkdir()
    drawn = tmp_path / "out" / "a.seg.nrrd"
    drawn.write_bytes(b"drawn")
    assert script(tmp_path) == [1]
    assert drawn.read_bytes() == b"drawn"
    assert script(tmp_path, "--overwrite") == [0]
    assert drawn.read_bytes() != b"drawn"
