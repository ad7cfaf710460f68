"""The panel's choices, kept in the scene while the panel is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import slicer

_PARAMETER_NODE = "KPrism"


class SceneLink:
    """Follows the scene from :meth:`enter` to :meth:`exit`, and over the closing of a scene.

    Args:
        ui: the panel's widgets by name; those with a parameter's name in the interface file follow it.
        closing: called before a scene is closed.
    """

    def __init__(self, ui: Any, closing: Callable[[], None]) -> None:
        self._ui, self._closing = ui, closing
        self._entered = False
        self._parameters: Any = None
        self._connection: Any = None
        scene = slicer.mrmlScene
        self._tags = [
            scene.AddObserver(scene.StartCloseEvent, self._on_scene_closing),
            scene.AddObserver(scene.EndCloseEvent, self._on_scene_closed),
        ]

    def enter(self) -> None:
        """The panel is shown."""
        self._entered = True
        self._connect()

    def exit(self) -> None:
        """Another module is shown."""
        self._entered = False
        self._disconnect()

    def close(self) -> None:
        """Leave no observer behind."""
        self.exit()
        for tag in self._tags:
            slicer.mrmlScene.RemoveObserver(tag)
        self._tags = []

    def _on_scene_closing(self, *_: Any) -> None:
        self._closing()
        self._disconnect()

    def _on_scene_closed(self, *_: Any) -> None:
        if self._entered:
            self._connect()

    def _connect(self) -> None:
        if self._parameters is None:
            from KPrismDesktop.panel_parameters import PanelParameters

            self._parameters = PanelParameters(_parameter_node())  # type: ignore[call-arg]  # the wrapper makes it
            first = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLScalarVolumeNode")
            if self._parameters.volume is None and first is not None:
                self._parameters.volume = first
            self._connection = self._parameters.connectGui(self._ui)

    def _disconnect(self) -> None:
        if self._parameters is not None:
            self._parameters.disconnectGui(self._connection)
            self._parameters = None


def _parameter_node() -> Any:
    """The module's parameter node, one in a scene."""
    node = slicer.mrmlScene.GetSingletonNode(_PARAMETER_NODE, "vtkMRMLScriptedModuleNode")
    if node is None:
        node = slicer.vtkMRMLScriptedModuleNode()
        node.SetSingletonTag(_PARAMETER_NODE)
        node.SetName(_PARAMETER_NODE)
        node = slicer.mrmlScene.AddNode(node)
    # Closing a scene resets a singleton and leaves it there.
    node.SetAttribute("ModuleName", _PARAMETER_NODE)
    return node
