"""Sample data that shows K-Prism at work: volumes that Slicer's own Sample Data module hosts."""

from __future__ import annotations

CATEGORY = "K-Prism"

_HOST = "https://github.com/Slicer/SlicerTestingData/releases/download/SHA256"

#: Name, file and SHA-256 of each; a CT of the heart and an MR of a brain, as Slicer distributes them.
SAMPLES = (
    ("CTACardio", "CTA-cardio.nrrd", "3b0d4eb1a7d8ebb0c5a89cc0504640f76a030b4e869e33ff34c564c3d3b88ad2"),
    ("MRHead", "MR-head.nrrd", "cc211f0dfd9a05ca3841ce1141b292898b2dd2d3f08286affadf823a7e58df93"),
)


def register() -> None:
    """Add the samples to the Sample Data module."""
    import SampleData

    for name, file, checksum in SAMPLES:
        SampleData.SampleDataLogic.registerCustomSampleDataSource(
            category=CATEGORY,
            sampleName=f"KPrism{name}",
            uris=f"{_HOST}/{checksum}",
            fileNames=file,
            checksums=f"SHA256:{checksum}",
            nodeNames=name,
        )
