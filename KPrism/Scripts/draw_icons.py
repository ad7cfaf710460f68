"""Draw K-Prism's icons: a prism into which one ray enters and three leave, for class, example and click.

    python draw_icons.py

writes ``KPrism.png`` of the extension, the module's icon and the effect's. Needs Pillow.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

_ROOT = Path(__file__).resolve().parents[2]
_SIZES = {
    _ROOT / "KPrism.png": 128,
    _ROOT / "KPrism" / "Resources" / "Icons" / "KPrism.png": 128,
    _ROOT / "KPrism" / "SegmentEditorKPrism" / "KPrismEffect.png": 48,
}

#: Drawn this many times larger than it is kept, for smooth edges.
_OVERSAMPLING = 8

_NIGHT, _GLASS, _EDGE, _LIGHT = (24, 30, 48), (86, 112, 168), (196, 214, 255), (255, 255, 255)
_RAYS = ((88, 214, 141), (255, 199, 64), (255, 110, 120))


def icon(side: int) -> Image.Image:
    """The icon, RGBA, ``side`` pixels wide and high."""
    scale = side * _OVERSAMPLING / 100
    image = Image.new("RGBA", (side * _OVERSAMPLING,) * 2, (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)

    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [(x * scale, y * scale) for x, y in points]

    draw.rounded_rectangle(at((2, 2), (98, 98)), radius=20 * scale, fill=_NIGHT)
    for colour, height in zip(_RAYS, (32, 52, 72), strict=True):
        draw.polygon(at((56, 47), (56, 51), (95, height + 7), (95, height - 7)), fill=colour)
    draw.line(at((5, 62), (42, 50)), fill=_LIGHT, width=round(5 * scale))
    apex, left, right = (48, 16), (18, 80), (78, 80)
    draw.polygon(at(apex, left, right), fill=_GLASS)
    draw.line(at(apex, left, right, apex, left), fill=_EDGE, width=round(4 * scale), joint="curve")
    draw.line(at((36, 52), (48, 48), (60, 50)), fill=_LIGHT, width=round(3 * scale), joint="curve")
    return image.resize((side, side), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    for path, size in _SIZES.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        icon(size).save(path, optimize=True)
