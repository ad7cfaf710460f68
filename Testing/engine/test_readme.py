"""The README is true: its Python runs, its commands are understood, and the files that it names are there."""

from __future__ import annotations

import re
import shlex
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.main import get_command

from KPrismLib.command.app import app
from KPrismLib.predictor import Predictor
from KPrismLib.specialist import Specialist
from KPrismLib.volumes import class_guidance
from Testing.engine.command.tiny_inputs import save_volume
from Testing.engine.predictor.tiny_predictor import disk, picture, tiny_predictor

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
#: Other pages that show commands.
PAGES = (README, *(path.read_text(encoding="utf-8") for path in (ROOT / "KPrismLib" / "weights").glob("*.md")))
COMMANDS = sorted(
    {line.split("#")[0].strip() for page in PAGES for line in re.findall(r"^    (kprism .*)$", page, re.MULTILINE)}
)


def test_the_python_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Predictor, "load", lambda *_, **__: tiny_predictor())
    monkeypatch.setattr(class_guidance, "Specialist", partial(Specialist, steps=2))
    voxels = np.zeros((45, 40, 56), np.int16)
    voxels[40:] = [picture(phase=number / 9) for number in range(5)]  # the others are padding, where a run ends
    save_volume(tmp_path / "ct.nii.gz", voxels)
    names = {
        "pixels": picture(),
        "known_pixels": picture(phase=1.0),
        "known_mask": disk(),
        "row": 10,
        "column": 20,
        "points": [(3, 4), (9, 12)],
        "mask": disk(),
        "corrected": disk(),
    }
    examples = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        exec(compile(example, "README.md", "exec"), names)
    assert names["session"].prompts[-1].positive is False  # type: ignore[attr-defined]
    assert 42 in names["run"].accepted  # type: ignore[attr-defined]
    assert np.array_equal(names["run"].results[42].mask, disk())  # type: ignore[attr-defined]


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_are_understood(line: str) -> None:
    group = get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    _, name, *arguments = shlex.split(line)
    context = typer.Context(group, info_name="kprism")
    command = group.get_command(context, name)
    assert command is not None, name
    command.make_context(name, arguments, parent=context)  # a wrong option ends here


def test_files_modules_and_links_exist() -> None:
    assert len(COMMANDS) > 10
    for name in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"(?:Training|KPrism|KPrismLib|Testing)/[\w./-]*\w", "\n".join(PAGES)):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"python -m ([\w.]+)", README):
        module = ROOT / name.replace(".", "/")
        assert module.with_suffix(".py").exists() or (module / "__main__.py").exists(), name
