"""Dataset folders: the ``dataset.json`` contract, the slices behind it and the names of their classes."""

from KPrismLib.dataset.classes import class_mask, classes_of
from KPrismLib.dataset.folder import DatasetFolder
from KPrismLib.dataset.index import SliceRecord, index_slices
from KPrismLib.dataset.items import DatasetItem, Slice

__all__ = ["DatasetFolder", "DatasetItem", "Slice", "SliceRecord", "class_mask", "classes_of", "index_slices"]
