"""What the demo shows: each mode where it applies, on pictures of four kinds. Clicks were chosen by looking."""

from __future__ import annotations

from dataclasses import dataclass

from KPrismLib.demo.pictures import ABDOMEN, HEART, RETINA, TISSUE, Picture
from KPrismLib.prompts import Click


@dataclass(frozen=True, kw_only=True)
class Case:
    """One picture with one kind of knowledge.

    Attributes:
        name: of the overlay file.
        title: above the overlay, and in the table.
        picture: what is segmented; ``frame`` of it.
        structures: what is meant, for names and colours; in the semantic mode the classes.
        by_class: whether the model is told the names.
        example: name of an earlier case whose picture and mask are the reference.
        clicks: in order.
    """

    name: str
    title: str
    picture: Picture
    structures: tuple[str, ...]
    frame: int = 0
    by_class: bool = False
    example: str | None = None
    clicks: tuple[Click, ...] = ()

    @property
    def knowledge(self) -> str:
        """What the model is given, in words."""
        parts = []
        if self.by_class:
            parts.append(f"class {' and '.join(self.structures)}")
        if self.example:
            parts.append(f"example {self.example}")
        if self.clicks:
            parts.append(f"{len(self.clicks)} click{'s' if len(self.clicks) > 1 else ''}")
        return ", ".join(parts)


CASES = (
    Case(
        name="retina-by-class",
        title="Retina: optic disc and cup, by class",
        picture=RETINA,
        structures=("optic disc", "optic cup"),
        by_class=True,
    ),
    Case(
        name="abdomen-liver-by-class",
        title="MRI: liver, by class (learned from CT only)",
        picture=ABDOMEN,
        structures=("liver",),
        by_class=True,
    ),
    Case(
        name="abdomen-liver-refined",
        title="MRI: liver, by class, then clicks",
        picture=ABDOMEN,
        structures=("liver",),
        by_class=True,
        clicks=(Click(150, 75), Click(128, 138, positive=False), Click(60, 130, positive=False)),
    ),
    Case(
        name="abdomen-kidney-by-clicks",
        title="MRI: right kidney, by clicks",
        picture=ABDOMEN,
        structures=("right kidney",),
        clicks=(Click(205, 145), Click(240, 140), Click(215, 178)),
    ),
    Case(
        name="abdomen-aorta-by-click",
        title="MRI: aorta, by one click",
        picture=ABDOMEN,
        structures=("aorta",),
        clicks=(Click(168, 252),),
    ),
    Case(
        name="heart-27th-frame-by-clicks",
        title="Ultrasound, frame 27: left ventricle, by clicks",
        picture=HEART,
        frame=26,
        structures=("left ventricle",),
        clicks=(Click(100, 180), Click(143, 178, positive=False), Click(70, 178)),
    ),
    Case(
        name="heart-26th-frame-by-example",
        title="Ultrasound, frame 26: left ventricle, as in frame 27",
        picture=HEART,
        frame=25,
        structures=("left ventricle",),
        example="heart-27th-frame-by-clicks",
    ),
    Case(
        name="heart-23rd-frame-refined",
        title="Ultrasound, frame 23: as in frame 27, then a click",
        picture=HEART,
        frame=22,
        structures=("left ventricle",),
        example="heart-27th-frame-by-clicks",
        clicks=(Click(157, 150, positive=False),),
    ),
    Case(
        name="tissue-by-clicks",
        title="Colon tissue: epithelium (an unseen class), by clicks",
        picture=TISSUE,
        structures=("epithelium",),
        clicks=(
            Click(400, 316),
            Click(110, 120),
            Click(100, 400),
            Click(380, 100),
            Click(350, 220, positive=False),
        ),
    ),
)
