"""Runs of a propagation through the volume of a bench: at once, or beside the main thread as the panel makes them."""

from KPrismLogic.runner import DirectRunner, ThreadRunner
from KPrismLogic.segment_propagation import SegmentPropagation
from KPrismLogic.slice_plane import SlicePlane
from KPrismLogic.volume_run import VolumeRun


def propagate(bench, run, after_slice=lambda: None):
    """Run to the end; -> what ended it."""
    ends = []

    def on_piece(piece, _):
        run.written(piece)
        after_slice()
        return True

    VolumeRun(
        bench.editor,
        bench.engine,
        DirectRunner(),
        bench.volume,
        bench.segmentation,
        run.stack,
        record=run.record,
        progress=on_piece,
        finished=ends.append,
    ).start(lambda predictor, window: run.pieces(predictor, window, 0, len(run.stack) - 1))
    (end,) = ends
    return end


class Session:
    """Runs of one propagation as the panel makes them, beside the main thread."""

    def __init__(self, bench, k=6):
        self.bench, self.runner, self.ends = bench, ThreadRunner(), []
        self.propagation = SegmentPropagation(bench.target(self.plane(k)))
        self.written = []

    def plane(self, k):
        return SlicePlane.of_volume(self.bench.volume, "axial").moved_to(self.bench.ras(k, 6, 7))

    def start(self, first=0, last=13, progress=lambda: True):
        self.written = []

        def on_piece(piece, _):
            self.propagation.written(piece)
            self.written.append(piece.index)
            return progress() is not False

        bench, ours = self.bench, self.propagation
        self.run = VolumeRun(
            bench.editor,
            bench.engine,
            self.runner,
            bench.volume,
            bench.segmentation,
            ours.stack,
            record=ours.record,
            progress=on_piece,
            finished=self.ends.append,
        )
        self.run.start(lambda predictor, window: ours.pieces(predictor, window, first, last))
        return self

    def wait(self):
        self.runner.wait()
        return self
