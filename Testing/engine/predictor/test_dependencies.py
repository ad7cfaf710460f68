"""What has to be installed where pictures and volumes come from somewhere else: torch, numpy and safetensors."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BLOCKED = ("nibabel", "PIL", "pydicom", "rich", "scipy", "SimpleITK", "skimage", "tifffile", "typer")

WORK = f"""
import sys
sys.modules.update(dict.fromkeys({BLOCKED!r}))  # None: importing it fails
from Testing.engine.predictor.tiny_predictor import disk, picture, tiny_predictor
predictor = tiny_predictor()
image = predictor.encode(picture())
predictor.segment(image, cls="liver")
session = predictor.session(image, reference=predictor.reference([(picture(phase=1.0), disk())]))
session.click(10, 20)
session.undo()
predictor.together(2).segment([image], ["liver"], [None])
print(session.mask.shape)
"""


def test_a_predictor_needs_no_reader_of_files() -> None:
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", WORK], capture_output=True, text=True, check=False, cwd=root)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "(40, 56)"
