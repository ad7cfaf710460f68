"""Every name of Slicer, Qt and VTK in the code is one that real Slicer has, in every file, run by a test or not."""

from __future__ import annotations

import ast
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import slicer
import slicer.util
import vtk

from Testing.slicer.desktop.strict_qt import slicer_names

FOLDER = Path(__file__).resolve().parents[3] / "KPrism"
SOURCES = sorted(path for path in FOLDER.rglob("*.py"))

#: Expressions in the source, and the class whose members they must have.
OWNERS = {
    "slicer.app": "slicer.app",
    "slicer.util": "slicer.util",
    "packaging": "slicer.packaging",
    "self.scriptedEffect": "qSlicerSegmentEditorScriptedEffect",
    "effect": "qSlicerSegmentEditorScriptedEffect",
    "copy": "qSlicerSegmentEditorScriptedEffect",
    "scriptedEffect": "qSlicerSegmentEditorScriptedEffect",
    "self._effect": "qSlicerSegmentEditorScriptedEffect",
    "slicer.qSlicerSegmentEditorAbstractEffect": "qSlicerSegmentEditorAbstractEffect",
    "editor": "qMRMLSegmentEditorWidget",
    "viewWidget": "qMRMLSliceWidget",
    "slicer.app.layoutManager()": "layoutManager",
    "completer": "QCompleter",
    "self._label": "QLabel",
    "self._bar": "QProgressBar",
    "self._cancel": "QPushButton",
    "self._widget": "ctkRangeWidget",
}

#: Where these names stand for something of ours, or of Python.
NOT_SLICERS = {
    "editor": ("slice_controller.py", "segment_editing.py", "editable_area.py", "logic.py", "editing_session.py"),
    "effect": ("KPrism.py",),
    "self._widget": ("pointer.py", "prompt_markers.py"),
}

#: What the code uses of a class that the list has by another name.
ALIASES = {"qMRMLWidget": "QWidget"}


def _interface() -> dict[str, str]:
    """Class of each widget in the panel's interface file."""
    root = ElementTree.parse(FOLDER / "Resources" / "UI" / "KPrism.ui").getroot()
    return {element.get("name", ""): element.get("class", "") for element in root.iter("widget")}


def _owners(tree: ast.AST, path: Path) -> dict[str, str]:
    """The class of each expression in a file that is known to be of Slicer or Qt."""
    owners = {name: kind for name, kind in OWNERS.items() if path.name not in NOT_SLICERS.get(name, ())}
    for name, kind in _interface().items():
        owners |= {f"{owner}.{name}": kind for owner in ("ui", "self.ui", "self._ui")}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            made = ast.unparse(node.value.func)
            for target in node.targets:
                if made.startswith(("qt.", "ctk.", "slicer.q")):
                    owners[ast.unparse(target)] = made.split(".")[1]
                elif made == "slicer.app.layoutManager":
                    owners[ast.unparse(target)] = "layoutManager"
                elif made.endswith(".sliceWidget"):
                    owners[ast.unparse(target)] = "qMRMLSliceWidget"
    return owners


def _signals(tree: ast.AST) -> list[tuple[str, str, int]]:
    """Widget, signal and line of each connection."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            arguments = node.args
            if node.func.attr in ("connect", "disconnect") and isinstance(arguments[0], ast.Constant):
                found.append((ast.unparse(node.func.value), arguments[0].value, node.lineno))
            if node.func.attr == "_connect" and len(arguments) == 3 and isinstance(arguments[1], ast.Constant):
                found.append((ast.unparse(arguments[0]), arguments[1].value, node.lineno))
    return found


def _unknown(path: Path) -> list[str]:
    """What a file uses and Slicer does not have."""
    names, tree = slicer_names(), ast.parse(path.read_text(encoding="utf-8"))
    owners, wrong = _owners(tree, path), []

    def check(owner: str, member: str, line: int) -> None:
        kind = owners.get(owner)
        if kind is not None and member not in names[ALIASES.get(kind, kind)]:
            wrong.append(f"{owner} is a {kind} and has no {member}, line {line}")

    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        owner = ast.unparse(node.value)
        check(owner, node.attr, node.lineno)
        if owner in ("qt", "ctk") and node.attr != "Qt" and node.attr not in names:
            wrong.append(f"{owner}.{node.attr}, line {node.lineno}")
        if owner.startswith("qt.Q") and owner != "qt.Qt" and node.attr not in names[owner.split(".")[1]]:
            wrong.append(f"{owner}.{node.attr}, line {node.lineno}")
        if owner.endswith(".completer()") and node.attr not in names["QCompleter"]:
            wrong.append(f"{owner}.{node.attr}, line {node.lineno}")
        if owner == "slicer" and node.attr.startswith("vtk") and not hasattr(slicer, node.attr):
            wrong.append(f"slicer.{node.attr}, line {node.lineno}")
        if owner == "vtk" and not hasattr(vtk, node.attr):
            wrong.append(f"vtk.{node.attr}, line {node.lineno}")
        if owner == "vtk.vtkCommand" and not hasattr(vtk.vtkCommand, node.attr):
            wrong.append(f"vtk.vtkCommand.{node.attr}, line {node.lineno}")
    for owner, signal, line in _signals(tree):
        check(owner, signal.split("(")[0], line)
    return wrong


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_members_exist_in_slicer(path):
    assert _unknown(path) == []


def test_a_wrong_name_is_found(tmp_path):
    source = tmp_path / "wrong.py"
    source.write_text(
        "import qt, slicer, vtk\n"
        "box = qt.QComboBox()\n"
        "box.setCaption('x')\n"
        "box.connect('picked(int)', print)\n"
        "self._ui.keptBox.setNumber(1)\n"
        "self.scriptedEffect.segmentLabelmap()\n"
        "qt.QNothing()\n"
        "qt.QComboBox.InsertNowhere\n"
        "slicer.vtkNoSuchClass()\n"
        "slicer.app.layoutManager().sliceNames()\n"
        "vtk.vtkCommand.LeftButtonEvent\n"
        "box.currentText\n"
        "self._label.setFrame(1)\n"
        "ctk.ctkNothing()\n"
        "strip = ctk.ctkRangeWidget()\n"
        "strip.setText('x')\n"
    )
    assert sorted(int(one.rsplit(" ", 1)[1]) for one in _unknown(source)) == [*range(3, 12), 13, 14, 16]


def test_every_widget_that_the_code_asks_the_interface_for_is_in_it():
    known = _interface()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("ui", "self.ui", "self._ui"):
                assert node.attr in known, f"{path.name}, line {node.lineno}"


def test_properties_in_the_interface_are_those_of_its_widgets():
    root = ElementTree.parse(FOLDER / "Resources" / "UI" / "KPrism.ui").getroot()
    names = slicer_names()
    for element in root.iter("widget"):
        kind = element.get("class", "")
        for entry in element.findall("property"):
            known = entry.get("stdset") == "0" or entry.get("name") in names[ALIASES.get(kind, kind)]
            assert known, f"{element.get('name')}: {kind} has no property {entry.get('name')}"
