"""The K-Prism effect of the Segment Editor.

Slicer takes the class of an effect from the module that is named as the effect's folder. Because this package is
imported before the effect is registered, it is that module, and the effect stays an ordinary part of a package.
"""

from SegmentEditorKPrism.KPrismEffect import KPrismEffect

__all__ = ["KPrismEffect"]
