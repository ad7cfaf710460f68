"""Sequences of nodes that a browser shows in one node by turns, as the toolbar of the Sequences module does."""

from __future__ import annotations

from KPrismLogic.matrices import world_from_volume
from Testing.slicer.scenes import volume_node


class Browser:
    """Shows items in proxy nodes; Slicer's own logic, which has to watch the scene, copies them there."""

    def __init__(self, scene):
        self._scene = scene
        self.node = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")

    def play(self, proxy, items, *, saves=False):
        """Have the items, nodes that are removed from the scene, shown in a proxy; changes are saved or lost."""
        sequence = self._scene.AddNewNodeByClass("vtkMRMLSequenceNode")
        for number, item in enumerate(items):
            sequence.SetDataNodeAtValue(item, str(number))
            self._scene.RemoveNode(item)
        self.node.AddSynchronizedSequenceNode(sequence)
        self.node.AddProxyNode(proxy, sequence, False)
        self.node.SetSaveChanges(sequence, saves)

    def play_volume(self, volume, *frames, saves=False):
        """Have voxels (k, j, i) shown in a volume, in whose place they lie."""
        items = [volume_node(self._scene, voxels, world_from_volume(volume)) for voxels in frames]
        self.play(volume, items, saves=saves)

    def show(self, number):
        """Show an item."""
        self.node.SetSelectedItemNumber(number)
