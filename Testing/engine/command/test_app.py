"""The command line as a whole: quick help, errors in a sentence, cancelling."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from KPrismLib import __version__
from KPrismLib.command.app import app, main
from KPrismLib.command.failures import DEBUG_VARIABLE
from KPrismLib.predictor import Predictor

LISTED = ("segment", "classes", "info", "bench", "evaluate", "train", "export", "demo")


def test_help_lists_every_command_and_loads_nothing_heavy() -> None:
    code = (
        "import sys; from KPrismLib.command.app import main; status = main(['--help']); "
        "heavy = {'torch', 'numpy', 'SimpleITK', 'scipy'} & set(sys.modules); sys.exit(status or bool(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in LISTED)


def test_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "KPrismLib", "--version"], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == f"kprism {__version__}"
    assert done.returncode == 0


@pytest.mark.parametrize("name", LISTED)
def test_every_command_explains_itself(kprism, name) -> None:
    result = kprism(name, "--help")
    assert result.status == 0
    assert "Usage: kprism" in result.out


@pytest.mark.parametrize(
    ("encoding", "written"),
    [("cp932", "3 ? 4 mm?"), ("ascii", "3 ? 4 mm?"), ("utf-8", "3 – 4 mm³"), ("UTF8", "3 – 4 mm³")],
)
def test_letters_that_a_code_page_lacks_end_no_command(monkeypatch, encoding, written) -> None:
    streams = {name: io.TextIOWrapper(io.BytesIO(), encoding=encoding) for name in ("stdout", "stderr")}
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    assert main(["--version"]) == 0
    for stream in streams.values():
        stream.write("3 – 4 mm³")
        stream.flush()
        assert stream.buffer.getvalue().decode(encoding).endswith(written)


def test_standard_output_may_be_something_else_or_closed(monkeypatch) -> None:
    for stream in (io.StringIO(), None):
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["--version"]) == 0


def test_standard_error_keeps_its_own_way(monkeypatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp932", errors="backslashreplace")
    monkeypatch.setattr(sys, "stderr", stream)
    main(["--version"])
    assert stream.errors == "backslashreplace"


def test_unknown_command(kprism) -> None:
    assert kprism("segmentate").status == 2


def test_cancelling(kprism, monkeypatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Predictor, "load", interrupt)
    result = kprism("demo")
    assert result.status == 130
    assert result.sentence == "Cancelled."


def test_cancelling_in_the_first_moment() -> None:
    """While typer is being imported, before anything of ours could be asked."""
    code = (
        "import runpy, sys\n"
        "class Impatient:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Impatient())\n"
        "runpy.run_module('KPrismLib', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "Cancelled.\n")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of Windows break with another error")
@pytest.mark.parametrize("name", ["classes", "info"])
def test_who_reads_a_few_lines_of_the_output_hears_no_complaint(name) -> None:
    command = [sys.executable, "-m", "KPrismLib", name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        complaint = running.stderr.read().decode()
    assert complaint == ""
    assert running.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("arguments", [["classes"], ["classes", "--json"], ["info"], ["--version"], ["--help"]])
def test_output_on_a_full_disk_is_a_sentence(arguments) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "KPrismLib", *arguments]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.stderr == (
        "There is no space left for what is to be written; free some on that disk, or write to another place.\n"
    )
    assert done.returncode == 1


def test_the_unexpected_is_a_sentence_and_a_traceback_on_demand(kprism, monkeypatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("division by\nzero")

    monkeypatch.setattr(Predictor, "load", fail)
    monkeypatch.setenv(DEBUG_VARIABLE, "0")
    result = kprism("demo")
    assert result.status == 1
    assert "(ZeroDivisionError: division by zero)" in result.sentence
    assert "Traceback" in kprism("--debug", "demo").err


def test_other_runners_get_the_same_sentence(tmp_path) -> None:
    result = CliRunner().invoke(
        app, ["segment", str(tmp_path / "a.png"), "-o", str(tmp_path / "b.png"), "--class", "x"]
    )
    assert result.exit_code == 1
    assert "There is no file" in result.output


def test_classes(kprism, weights) -> None:
    result = kprism("classes", "--model", weights)
    assert result.out.split("\n")[:-1] == ["liver", "optic cup", "optic disc", "spleen"]
    assert '"name": "Optic cup"' in kprism("classes", "--model", weights, "--json").out
