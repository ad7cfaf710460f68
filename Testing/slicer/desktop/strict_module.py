"""What Slicer has around a scripted module: base classes, the interface loader, parameter nodes."""

from __future__ import annotations

import contextlib
import types
import unittest
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import slicer

from Testing.slicer.desktop.strict_qt import strict_class


class ScriptedLoadableModule:
    """As in Slicer, as far as K-Prism uses it."""

    def __init__(self, parent: Any) -> None:
        self.parent = parent


class ScriptedLoadableModuleWidget:
    """As in Slicer, as far as K-Prism uses it."""

    folder = Path(__file__).resolve().parents[3] / "KPrism"

    def __init__(self, parent: Any = None) -> None:
        self.parent = parent
        self.layout = strict_class("QVBoxLayout")()
        if parent is None:
            self.setup()

    def setup(self) -> None:
        """Build what every module has."""

    def resourcePath(self, name: str) -> str:
        return str(self.folder / "Resources" / name)


class ScriptedLoadableModuleTest(unittest.TestCase):
    """As in Slicer, as far as K-Prism uses it."""


class App:
    """``slicer.app`` before and after start-up."""

    def __init__(self) -> None:
        self.slots: list[Any] = []
        self.layout: Any = None

    def connect(self, signal: str, slot: Any) -> None:
        assert signal == "startupCompleted()"
        self.slots.append(slot)

    def layoutManager(self) -> Any:
        """None as long as a test gives no layout, as without a main window."""
        return self.layout


class Interface:
    """A loaded ``.ui`` file: strict widgets by name."""

    def __init__(self, path: str) -> None:
        self.by_name: dict[str, Any] = {}
        root = ElementTree.parse(path).getroot()
        for element in root.iter("widget"):
            kind = element.get("class", "")
            widget = strict_class(kind if kind != "qMRMLWidget" else "QWidget")()
            for entry in element.findall("property"):
                value = next(iter(entry), None)
                if entry.get("stdset") != "0" and value is not None and value.tag in ("string", "bool", "number"):
                    text = value.text or ""
                    given = {"bool": text == "true", "number": int(text) if text.isdigit() else 0}.get(value.tag, text)
                    widget._call(f"set{entry.get('name', '').title()[:1]}{entry.get('name', '')[1:]}", (given,))
                    assert entry.get("name") in type(widget).names, f"{kind} has no property {entry.get('name')}"
            self.by_name[element.get("name", "")] = widget
        self.classes = {element.get("name", ""): element.get("class", "") for element in root.iter("widget")}
        self.parameters = {
            element.get("name"): entry.findtext("string")
            for element in root.iter("widget")
            for entry in element.findall("property")
            if entry.get("name") == "SlicerParameterName"
        }

    def setMRMLScene(self, scene: Any) -> None:
        """Without a scene no node is chosen, and lists say so."""
        self.has_scene = scene is not None
        for name, kind in self.classes.items():
            if kind == "qMRMLNodeComboBox" and not self.has_scene:
                self.by_name[name].setCurrentNode(None)


def install(monkeypatch: Any, app: Any) -> list[Interface]:
    """Put everything where modules look for it; returns the interfaces that will be loaded."""
    base = types.ModuleType("slicer.ScriptedLoadableModule")
    for kind in (ScriptedLoadableModule, ScriptedLoadableModuleWidget, ScriptedLoadableModuleTest):
        setattr(base, kind.__name__, kind)
    monkeypatch.setitem(__import__("sys").modules, base.__name__, base)
    wrapper = types.ModuleType("slicer.parameterNodeWrapper")
    wrapper.parameterNodeWrapper = _wrapped  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, wrapper.__name__, wrapper)
    loaded: list[Interface] = []

    def load(path: str) -> Interface:
        loaded.append(Interface(path))
        return loaded[-1]

    import slicer.util as util

    monkeypatch.setattr(util, "loadUI", load, raising=False)
    monkeypatch.setattr(util, "childWidgetVariables", lambda ui: types.SimpleNamespace(**ui.by_name), raising=False)
    monkeypatch.setattr(util, "WaitCursor", contextlib.nullcontext, raising=False)
    monkeypatch.setattr(slicer, "app", app, raising=False)
    return loaded


def _wrapped(kind: type) -> type:
    """A class of parameters over nothing but itself."""

    class Wrapped(kind):  # type: ignore[misc, valid-type]
        def __init__(self, node: Any) -> None:
            assert node.IsA("vtkMRMLScriptedModuleNode")
            for name in kind.__annotations__:
                if not hasattr(kind, name):
                    setattr(self, name, None)

        def connectGui(self, ui: Any) -> int:
            return 1

        def disconnectGui(self, tag: int) -> None:
            assert tag == 1

    return Wrapped
