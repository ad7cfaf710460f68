"""KPIs: tiles cut into patches."""

from __future__ import annotations

import numpy as np

from Testing.training.convert.trees import converted, save_picture
from Training.convert.sets.kpis import KPIS


def _tile(home, stem, mask):
    pixels = np.full((*mask.shape, 3), 90, dtype=np.uint8)
    pixels[mask > 0] = 200
    save_picture(home / "img" / f"{stem}_img.jpg", pixels, quality=60)
    save_picture(home / "mask" / f"{stem}_mask.jpg", mask, quality=60)


def test_kpis_halves_patches_and_drops_those_with_little_in_them(tmp_path):
    def build(root):
        mask = np.zeros((2048, 2048), dtype=np.uint8)
        mask[100:300, 1200:1500] = 255  # upper right: 60,000 pixels, 15,000 when halved
        mask[1500:1540, 100:140] = 255  # lower left: too little
        for group, slide, stem in (("56Nx", "12_116", "56Nx_12_116_4_4096_0"), ("normal", "F4", "normal_F4_5_5120_0")):
            _tile(root / f"KPIs24 Training Data/Task1_patch_level/data/{group}/{slide}", stem, mask)
            mask = np.roll(mask, 8, axis=0)
        _tile(root / "KPIs24 Training Data/Task1_patch_level/data/DN/11_356", "11_356_0_0", np.zeros_like(mask))

    folder, outcome = converted(KPIS, tmp_path, build)
    assert [item.id for item in folder.items()] == ["56Nx_12_116_4_4096_0_y0x1024", "normal_F4_5_5120_0_y0x1024"]
    first = folder.items()[0]
    assert first.patient == "56Nx/12_116"
    (piece,) = folder.load(first)
    assert piece.pixels.shape == (512, 512, 3)
    expected = np.zeros((512, 512), dtype=bool)
    expected[50:150, 88:238] = True
    assert np.array_equal(piece.labels > 0, expected)
    assert piece.pixels[100, 150].min() > 190
    assert outcome.converted == 3
    assert not outcome.findings
