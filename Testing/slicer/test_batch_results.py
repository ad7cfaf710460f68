"""What a batch leaves alone, and what it goes on after."""

import csv
import tempfile

import pytest

from KPrismLib.batch.manifest import Manifest, Status
from KPrismLib.batch.results import known_files
from KPrismLib.errors import CannotWrite, InvalidConfig
from KPrismLib.imaging import ascii_folder
from KPrismLogic import measurements
from KPrismLogic.batch import segment_folder
from KPrismLogic.logic import KPrismLogic
from KPrismLogic.model import Model
from Testing.slicer.flood_predictor import FloodPredictor
from Testing.slicer.scenes import body, geometry
from Testing.slicer.test_batch import write_image


@pytest.fixture
def run(scene, tmp_path):
    """Segments the images of a folder, "images" with a.nrrd and b.nrrd as a rule, into "out"; -> (failed, lines)."""
    model = Model()
    model.use(FloodPredictor())
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    out.mkdir()
    for name in ("a", "b"):
        write_image(images / f"{name}.nrrd", body(), geometry("flipped"))

    def run(images=images, **options):
        lines = []
        options = {"tell": lines.append, **options}
        return segment_folder(images, out, ["liver"], logic=KPrismLogic(model), **options), lines

    run.images, run.out = images, out
    return run


def statuses(out):
    return {row["case"]: row["status"] for row in csv.DictReader((out / "metrics.csv").open())}


def test_what_no_run_wrote_or_somebody_changed_stays(run, tmp_path):
    drawn, found = run.out / "a.seg.nrrd", run.out / "b.seg.nrrd"
    drawn.write_bytes(b"drawn by hand for hours")
    failed, lines = run()
    assert failed == 1
    assert drawn.read_bytes() == b"drawn by hand for hours"
    assert lines[0].startswith("1/2 a.nrrd: Cannot write a.seg.nrrd: a file of that name lies there")
    assert "--overwrite" in lines[0]
    assert statuses(run.out)["b.nrrd"] == "done"
    known = known_files(run.out).written
    assert set(known) == {"b.seg.nrrd"}  # as kprism segment sees it
    assert known["b.seg.nrrd"]["status"] == Status.DONE.value

    drawn.unlink()
    assert run()[0] == 0  # over its own result, and where there is none
    found.write_bytes(corrected := found.read_bytes() + b"corrected")
    failed, lines = run()
    assert (failed, found.read_bytes()) == (1, corrected)
    assert "b.seg.nrrd: it was changed after K-Prism wrote it" in lines[1]

    other = tmp_path / "other"
    other.mkdir()
    write_image(other / "a.nrrd", body()[:9], geometry("flipped"))
    failed, lines = run(other)
    assert failed == 1
    assert "it is the result of another image" in lines[0]

    assert run(overwrite=True)[0] == 0
    assert found.read_bytes() != corrected
    assert sorted(path.name for path in run.out.iterdir()) == [drawn.name, found.name, "manifest.jsonl", "metrics.csv"]


def test_a_result_that_cannot_be_written_leaves_the_earlier_one(run, monkeypatch):
    assert run()[0] == 0
    before = (run.out / "a.seg.nrrd").read_bytes()

    def refuse(path, content):
        raise CannotWrite("The disk is full.")

    with monkeypatch.context() as full:
        full.setattr("KPrismLogic.batch_results.write_atomically", refuse)
        assert run(overwrite=True)[0] == 2
    assert (run.out / "a.seg.nrrd").read_bytes() == before
    assert run()[0] == 0  # which what was announced and not written does not keep from it


def test_a_result_whose_record_was_not_written_is_known_by_its_note(run, monkeypatch):
    def refuse(manifest, record):
        raise CannotWrite("The disk is full.")

    with monkeypatch.context() as full:
        full.setattr(Manifest, "append", refuse)
        failed, lines = run()
    assert failed == 2
    assert lines[0].endswith("The disk is full.")
    assert (run.out / "a.seg.nrrd").exists()
    assert not known_files(run.out).written
    assert run()[0] == 0


@pytest.mark.parametrize("is_folder", [True, False])
def test_a_table_of_somebody_else_is_told_before_the_first_case(run, is_folder):
    table = run.out / "metrics.csv"
    if is_folder:
        table.mkdir()
    else:
        table.write_text("patient,age\n1,70\n")
    with pytest.raises(CannotWrite, match="Cannot write"):
        run()
    assert [path.name for path in run.out.iterdir()] == ["metrics.csv"]
    if not is_folder:
        assert table.read_text() == "patient,age\n1,70\n"
        assert run(overwrite=True)[0] == 0
        assert set(statuses(run.out)) == {"a.nrrd", "b.nrrd"}


@pytest.mark.parametrize("closed_again", [True, False])
def test_a_table_that_is_open_elsewhere_stops_no_case(run, monkeypatch, closed_again):
    write, calls = measurements.write_atomically, []

    def refuse(path, content):
        calls.append(path)
        if len(calls) == 2 or (len(calls) == 3 and not closed_again):  # the first is before the first case
            raise CannotWrite("Cannot write metrics.csv; close the program that has it open.")
        write(path, content)

    monkeypatch.setattr(measurements, "write_atomically", refuse)
    failed, lines = run()
    assert failed == (0 if closed_again else 1)
    assert (run.out / "b.seg.nrrd").exists()
    assert lines[1].startswith("Cannot write metrics.csv")
    assert lines[-1].startswith("2/2 b.nrrd" if closed_again else "Cannot write metrics.csv")
    assert statuses(run.out) == ({"a.nrrd": "done", "b.nrrd": "done"} if closed_again else {})


def test_what_cannot_be_told_ends_no_run(run):
    def fail(line):
        raise UnicodeEncodeError("charmap", line, 0, 1, "character maps to <undefined>")

    (run.images / "c.nrrd").write_bytes(b"nothing")
    failed, _ = run(tell=fail)
    assert failed == 1
    assert [status == "done" for status in statuses(run.out).values()] == [True, True, False]


def test_slicer_writes_where_names_are_ascii(run, tmp_path, monkeypatch):
    (tmp_path / "ascii").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    monkeypatch.setattr(ascii_folder, "_parents", lambda: [tmp_path / "ascii"])
    assert run()[0] == 0
    monkeypatch.setattr(ascii_folder, "_parents", list)
    failed, lines = run(overwrite=True)
    assert failed == 2
    assert all("set TMPDIR to a folder whose name is ASCII" in line for line in lines)


def test_no_result_goes_where_a_true_segmentation_is_looked_for(run):
    (run.images / "labels").mkdir()
    write_image(run.images / "labels" / "a.nrrd", body(), geometry("flipped"))
    truth = run.out / "labels"
    truth.mkdir()
    drawn = truth / "a.seg.nrrd"  # of images/a.nrrd, and where the result of images/labels/a.nrrd would go
    drawn.write_bytes(b"drawn by hand for hours")
    with pytest.raises(InvalidConfig, match="would replace the true segmentations"):
        run(truth=truth, overwrite=True)
    assert drawn.read_bytes() == b"drawn by hand for hours"
    assert [path.name for path in run.out.iterdir()] == ["labels"]


def test_no_result_takes_the_place_of_a_true_segmentation_by_another_of_its_names(run, tmp_path):
    """A hard link stands for "Out" on a disk that takes it for "out"."""
    truth = tmp_path / "truth"
    truth.mkdir()
    (truth / "b.seg.nrrd").write_bytes(b"drawn by hand for hours")
    (run.out / "b.seg.nrrd").hardlink_to(truth / "b.seg.nrrd")
    with pytest.raises(InvalidConfig, match="would replace the true segmentations"):
        run(truth=truth, overwrite=True)
    assert (truth / "b.seg.nrrd").read_bytes() == b"drawn by hand for hours"
