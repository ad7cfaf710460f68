"""What a user of ``kprism segment`` asked for, whatever the number of images."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from KPrismLib.class_names import row_of_class
from KPrismLib.command.best_references import check_best
from KPrismLib.command.console import say
from KPrismLib.command.label_map import Knowledge
from KPrismLib.command.references import ReferenceFile, encode_references, read_references
from KPrismLib.command.slices import ALL, MIDDLE, check_slice, choose_plane, choose_slices, names_several, plane_called
from KPrismLib.errors import InvalidPrompt
from KPrismLib.imaging.planes import Plane, SlicePlacement, slice_count
from KPrismLib.imaging.segmentation_file import Segment
from KPrismLib.imaging.volume import Volume
from KPrismLib.intensity import check_rule
from KPrismLib.predictor import Predictor, check_count
from KPrismLib.prompts import Prompt

#: What a structure is called that only clicks or a nameless example describe.
NAMELESS = "Segment_1"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to segment and where in the image; the fields are options of the command.

    ``drawn`` says that a mask shows the structure, so that nothing else needs to say what it is.

    Raises:
        InvalidPrompt: what is asked for contradicts itself, or is nothing.
        InvalidConfig, InvalidReference: no image could be segmented so.
    """

    classes: tuple[str, ...] = ()
    references: tuple[ReferenceFile, ...] = ()
    prompts: tuple[Prompt, ...] = ()
    plane: str | None = None
    slices: str | None = None
    window: str = "auto"
    drawn: bool = False
    every_piece: bool = False
    best: int | None = None

    def __post_init__(self) -> None:
        if self.classes and self.references:
            raise InvalidPrompt("Give either --class or --reference, not both; clicks can refine either.")
        if not (self.classes or self.references or self.prompts or self.drawn):
            raise InvalidPrompt("Nothing says what to segment; give --class, --reference, --click or --scribble.")
        if self.prompts and len(self.classes) > 1:
            raise InvalidPrompt("Clicks refine one structure; give a single --class with them.")
        if self.prompts and self.slices == ALL:
            raise InvalidPrompt("Clicks and scribbles lie in one slice; give its number with --slice.")
        if self.best is not None and not self.references:
            raise InvalidPrompt("--best chooses among the slices of references; give --reference.")
        if self.best is not None and any(file.slice is not None for file in self.references):
            raise InvalidPrompt("Give either --best, which chooses slices, or --reference-slice.")
        if self.every_piece and (self.prompts or not self.classes):
            raise InvalidPrompt("--every-piece says what becomes of classes in a volume; give it with --class alone.")
        if self.every_piece and self.slices not in (None, ALL):
            raise InvalidPrompt("--every-piece says what becomes of classes in many slices; leave it or --slice out.")
        self._check_values()
        if names_several(self.slices) and not self.drawn:
            raise InvalidPrompt(
                "Only --propagate with --mask takes several slices, those of the drawing to start from; give one "
                "--slice, or all."
            )

    @property
    def reference_files(self) -> tuple[Path, ...]:
        """Images and masks of the references."""
        return tuple(path for file in self.references for path in (file.image, file.mask))

    def places(self, volume: Volume) -> list[SlicePlacement]:
        """The slices to segment.

        Raises:
            InvalidConfig, InvalidImage: no such plane or slice.
        """
        plane = choose_plane(volume, self.plane)
        return choose_slices(volume, plane, self.slices or (MIDDLE if self._one_slice else ALL))

    def say_places(self, volume: Volume, places: list[SlicePlacement]) -> None:
        """Tell which slices were chosen, where the user left it open."""
        plane, last = places[0].plane, slice_count(volume, places[0].plane) - 1
        if self.slices is None and len(places) > 1:
            say(f"Segmenting all {len(places)} {plane.value} slices; --slice N takes one.")
        elif self.slices is None and last > 0:
            say(
                f"Segmenting {plane.value} slice {places[0].index}, the middle of 0 to {last}; --slice N takes another."
            )

    def say_places_of_many(self) -> None:
        """Tell which slice of each volume is chosen, where the user left it open and it is only one."""
        if self.slices is None and self._one_slice:
            say("Segmenting the middle slice of each volume; --slice all takes all, --slice N another.")

    @property
    def _one_slice(self) -> bool:
        """Whether it is one slice that is segmented where nobody says which."""
        return bool(self.prompts or self.references)

    def _check_values(self) -> None:
        """Find what is wrong with each option by itself."""
        check_rule(self.window)
        if self.plane is not None:
            plane_called(self.plane)
        if self.slices is not None:
            check_slice(self.slices)
        if self.best is not None:
            check_best(self.best)
        elif self.references:
            check_count(len(self.references))

    def check_references(self) -> None:
        """Find what is wrong with the references, without a model.

        Raises:
            InvalidImage: and the other errors of :func:`~KPrismLib.command.references.read_references`.
        """
        for _ in read_references(
            self.references, plane=self.plane, window=self.window, every_slice=self.best is not None
        ):
            pass

    def knowledge(self, predictor: Predictor, image_plane: Plane = Plane.AXIAL, *, quiet: bool = False) -> Knowledge:
        """Classes looked up, references read and encoded.

        Args:
            predictor: the model.
            image_plane: in which the image is segmented, so that examples are taken from slices of that plane.
            quiet: what the user should know of the references was said before.

        Raises:
            UnknownClass: and the errors of :func:`~KPrismLib.command.references.encode_references`.
        """
        if self.references:
            known = encode_references(
                predictor,
                self.references,
                plane=self.plane,
                image_plane=image_plane,
                window=self.window,
                best=self.best,
                quiet=quiet,
            )
            segments = [segment_called(known.name or NAMELESS, 1)]
            return Knowledge(
                segments,
                reference=known.support,
                best=known.best,
                prompts=self.prompts,
                kinds=known.kinds,
                planes=known.planes,
            )
        names = known_classes(self.classes, predictor.classes)
        segments = [segment_called(name, label) for label, name in enumerate(names or (NAMELESS,), start=1)]
        return Knowledge(segments, classes=names, prompts=self.prompts, every_piece=self.every_piece)


def known_classes(wanted: tuple[str, ...], known: tuple[str, ...]) -> tuple[str, ...]:
    """Classes as the model calls them, each once, in the order in which they were asked for.

    Raises:
        UnknownClass: with the nearest that is known.
    """
    rows = dict.fromkeys(row_of_class(name, known) for name in wanted)
    return tuple(known[row] for row in rows)


def segment_called(name: str, label: int) -> Segment:
    """The segment of a structure, whose name is that of a class, of somebody's label, or :data:`NAMELESS`."""
    segment = Segment.of_class(name, label)
    return replace(segment, name=name) if name == NAMELESS else segment
