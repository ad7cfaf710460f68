"""Every call that a desktop Slicer was recorded to make, in its order, on our effect."""

import re
from pathlib import Path

import numpy as np
import slicer
import vtk

from Testing.slicer.desktop.strict_effect import ThreeDWidget, settle, written

CALLS = Path(__file__).with_name("recorded_calls.txt").read_text(encoding="utf-8").splitlines()

_EVENT = re.compile(
    r"processInteractionEvents\(\w+, (\d+), (\w+)\)\s+event=\w+ xy=\[(\d+), (\d+)\] ctrl=(\d+) shift=(\d+) "
    r"key=\w+ view=(\w+)"
)
_VIEW = re.compile(r"processViewNodeEvents\((\w+), (\d+), (\w+)\)\s+event=\w+ view=(\w+)")


class Replay:
    """Makes the calls of a line of the record."""

    def __init__(self, desktop):
        self.desktop, self.effect, self.section = desktop, None, ""
        self.answers = {}
        self.views = {**desktop.views, "Green": desktop.views["Yellow"], "1": ThreeDWidget()}

    def line(self, text):
        if text.startswith("# "):
            self.section = text[2:]
            self.act()
        elif event := _EVENT.match(text):
            number, _, x, y, ctrl, shift, view = event.groups()
            # A key's own press has another value than a click that it is held for.
            self.desktop.interactor.SetEventInformation(int(x), int(y), int(ctrl) % 128, int(shift) % 128)
            answer = self.effect.self().processInteractionEvents(self.desktop.interactor, int(number), self.views[view])
            assert isinstance(answer, bool), text
            self.answers.setdefault(self.section, []).append((int(number), answer))
        elif event := _VIEW.match(text):
            kind, number, _, view = event.groups()
            node = slicer.vtkMRMLViewNode() if kind == "vtkMRMLViewNode" else self.views[view].mrmlSliceNode()
            self.effect.self().processViewNodeEvents(node, int(number), self.views[view])
        else:
            self.call(text.split("(")[0])

    def call(self, name):
        if name in ("__init__", "clone") and self.effect is not None:
            if name == "clone":
                self.effect.self().clone()
        elif name == "interactionNodeModified":
            node = slicer.vtkMRMLInteractionNode()
            node.SetCurrentInteractionMode(node.Place)
            self.effect.self().interactionNodeModified(node)
            node.SetCurrentInteractionMode(node.ViewTransform)
            self.effect.self().interactionNodeModified(node)
        elif name == "createCursor":
            self.effect.self().createCursor(self.views["Red"])
        elif name in ("icon", "setupOptionsFrame") and self.section != "second editor widget created":
            pass  # made by the start-up
        elif self.effect is not None:
            getattr(self.effect.self(), name)()

    def act(self):
        """What the person or the script did before the calls of a section."""
        settle()
        if self.section.startswith("start-up"):
            self.effect = self.desktop.start_up()
        elif self.section.startswith("setActiveEffectByName('Trace')"):
            self.desktop.active = self.effect
        elif self.section == "editor undo":
            self.desktop.logic.Undo()
        elif self.section == "editor redo":
            self.desktop.logic.Redo()
        elif self.section == "scene closed":
            self.desktop.scene.Clear(False)
            self.effect._parameters = None


def test_recorded_calls(desktop):
    # As large as the recorded view, so that the recorded clicks hit the structure in its middle.
    desktop.views["Red"].mrmlSliceNode().SetDimensions(334, 194, 1)
    desktop.views["Red"].mrmlSliceNode().SetFieldOfView(66.8, 38.8, 1)
    replay = Replay(desktop)
    seen = set()
    for text in CALLS:
        replay.line(text)
        settle()
        if text.startswith("# editor undo"):
            before_close = written(desktop).copy()
        if not replay.section.startswith(("scene", "module left")):
            seen.add(bool(written(desktop).any()))
    assert seen == {False, True}  # something was written on the way
    left = replay.answers["left click in Red"]
    assert [answer for _, answer in left] == [True, True]
    double = dict(replay.answers["double click in Red"])
    assert double[vtk.vtkCommand.LeftButtonDoubleClickEvent]
    assert not any(answer for _, answer in replay.answers["shift+left click in Red"])
    assert all(answer for _, answer in replay.answers["left drag in Red"])
    assert isinstance(before_close, np.ndarray)
