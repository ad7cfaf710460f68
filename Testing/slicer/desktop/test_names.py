"""Names of ``slicer.app``, ``slicer.util`` and the scripted effect in the code are ones that real Slicer has."""

import ast
from pathlib import Path

import pytest

from Testing.slicer.desktop.strict_qt import slicer_names

FOLDER = Path(__file__).resolve().parents[3] / "KPrism"
SOURCES = sorted(path for path in FOLDER.rglob("*.py"))

#: Attribute chains in the source, and the list that their members must be in.
OWNERS = {
    "slicer.app": "slicer.app",
    "slicer.util": "slicer.util",
    "slicer.packaging": "slicer.packaging",
    "self.scriptedEffect": "qSlicerSegmentEditorScriptedEffect",
    "self._effect": "qSlicerSegmentEditorScriptedEffect",
    "slicer.qSlicerSegmentEditorAbstractEffect": "qSlicerSegmentEditorAbstractEffect",
    "layout": "layoutManager",
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_members_exist_in_slicer(path):
    names = slicer_names()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Attribute):
            continue
        owner = ast.unparse(node.value)
        if owner == "layout" and "sliceViewNames" not in path.read_text(encoding="utf-8"):
            continue  # a Qt layout
        if owner in OWNERS:
            assert node.attr in names[OWNERS[owner]], f"{owner}.{node.attr}, line {node.lineno}"
        if owner == "qt" and node.attr != "Qt":
            assert node.attr in names, f"qt.{node.attr}, line {node.lineno}"
