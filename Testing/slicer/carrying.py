"""Runs of a propagation through the volume of a bench: at once, or beside the main thread as the panel makes them."""

import functools

from KPrismLogic.classes_through_volume import ClassesThroughVolume
from KPrismLogic.kept_propagations import KeptPropagations
from KPrismLogic.lesson import Lesson
from KPrismLogic.runner import DirectRunner, ThreadRunner
from KPrismLogic.segment_propagation import SegmentPropagation
from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.volume_run import VolumeRun


def propagate(bench, run, after_slice=lambda: None):
    """Run to the end; -> what ended it."""

    def take(step):
        run.note(step)
        after_slice()

    return write(bench, run, run.through(0, len(run.stack) - 1), take)


def find_class(bench, target, cls, kept=None):
    """Write a segment by a class in all slices, as the panel does; -> what took that up."""
    kept = kept or KeptPropagations(bench.engine.model)
    geometry = bench.editor.geometry()
    run = SegmentPropagation.before_class(kept.of(target), target, cls, geometry)
    kept.keep(run, geometry=geometry, overwrites=False)
    segment_id = target.segment_id
    accepted = {segment_id: run.accepted}
    classes = ClassesThroughVolume(run.stack, bench.segmentation, [cls], [segment_id], kept=accepted)
    pieces = functools.partial(classes.pieces, first=0, last=len(run.stack) - 1)
    assert write(bench, run, pieces, run.note_class) is None
    kept.ended(run)
    return run


def write(bench, run, pieces, take):
    ends = []

    def on_step(step, _):
        take(step)
        return True

    VolumeRun(
        bench.editor,
        bench.engine,
        DirectRunner(),
        bench.volume,
        bench.segmentation,
        run.stack,
        records=run.records,
        progress=on_step,
        finished=ends.append,
    ).start(pieces)
    (end,) = ends
    return end


class Session:
    """Runs of one propagation as the panel makes them, beside the main thread."""

    def __init__(self, bench, k=6):
        self.bench, self.runner, self.ends = bench, ThreadRunner(), []
        self.propagation = SegmentPropagation(bench.target(self.plane(k)))
        self.written, self.lessons = [], []

    def plane(self, k):
        return SlicePlane.of_volume(self.bench.volume, "axial").moved_to(self.bench.ras(k, 6, 7))

    def start(self, first=0, last=13, progress=lambda: True, learn=False):
        self.written, self.lessons = [], []

        def on_step(step, done):
            self.propagation.note(step)
            if isinstance(step, Lesson):
                self.lessons.append((step.step, step.steps, done))
            else:
                self.written.append(step.index)
            return progress() is not False

        bench, ours = self.bench, self.propagation
        self.run = VolumeRun(
            bench.editor,
            bench.engine,
            self.runner,
            bench.volume,
            bench.segmentation,
            ours.stack,
            records=ours.records,
            progress=on_step,
            finished=self.ends.append,
        )
        self.run.start(ours.through(first, last, learn=learn))
        return self

    def wait(self):
        self.runner.wait()
        return self
