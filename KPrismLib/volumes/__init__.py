"""Whole volumes: from one slice, or a class, to the organ.

Carry a segmented slice through its neighbours, look where the model is least certain, correct, and go on::

    from KPrismLib import Predictor
    from KPrismLib.imaging.reading import read_volume
    from KPrismLib.intensity import window_for
    from KPrismLib.volumes import Propagation, VolumeStack

    predictor = Predictor.load("small")
    volume = read_volume("abdomen.nii.gz")
    window = window_for(volume.array, modality=volume.modality)
    stack = VolumeStack(volume)                         # axial; any plane, or your own Stack for oblique slices

    run = Propagation(predictor, stack, window=window)
    run.accept(40, mask)                                # bool (rows, columns): drawn, clicked, or from a class
    for result in run.propagate():                      # nearest slices first, both ways; break whenever you like
        stack.place(result.index).paste(result.mask, into=labels)
    worst = run.least_certain()                         # the slice to look at next
    run.accept(worst, corrected)
    for result in run.propagate():                      # only what the correction changes
        stack.place(result.index).paste(result.mask, into=labels)

Where the model knows neither the structure nor the modality, it can learn them from the accepted slices first::

    for loss in run.learn():                            # some forty steps; break, and nothing has changed
        pass
    for result in run.propagate():                      # all slices anew
        stack.place(result.index).paste(result.mask, into=labels)

Several classes through all slices; at the end it is settled which structure is whose, and slices that change by that
come once more::

    for piece in segment_classes(predictor, stack, ["liver", "spleen"], window=window):
        stack.place(piece.index).paste(piece.labels, into=labels)

References for a new slice out of a library of segmented ones::

    library = ReferenceLibrary(predictor)
    (part,) = predictor.reference([(pixels, mask)]).parts
    library.add(LibrarySlice("case 7", 31, "liver", "CT"), part)
    image = predictor.encode(new)
    best = library.suggest(image, "liver", modality="CT", count=3)
    mask = predictor.segment(image, reference=predictor.combine([one.reference for one in best])).mask
"""

from KPrismLib.volumes.class_pass import LabelledSlice, segment_classes
from KPrismLib.volumes.propagation import Propagation
from KPrismLib.volumes.retrieval import LibrarySlice, ReferenceLibrary, Suggestion
from KPrismLib.volumes.slice_result import SliceResult
from KPrismLib.volumes.stack import Stack, VolumeStack
from KPrismLib.volumes.walk import End, EndReason

__all__ = [
    "End",
    "EndReason",
    "LabelledSlice",
    "LibrarySlice",
    "Propagation",
    "ReferenceLibrary",
    "SliceResult",
    "Stack",
    "Suggestion",
    "VolumeStack",
    "segment_classes",
]
