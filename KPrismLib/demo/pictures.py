"""Real medical pictures inside packages that K-Prism depends on anyway."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import as_file, files

from KPrismLib.errors import InvalidImage
from KPrismLib.imaging.reading import read_volume
from KPrismLib.imaging.volume import Volume


@dataclass(frozen=True)
class Picture:
    """A file of an installed package.

    Attributes:
        package: its import name.
        path: the file inside it.
        since: the first release of the package that carries it.
    """

    package: str
    path: str
    since: str

    def read(self) -> Volume:
        """The picture as a volume.

        Raises:
            InvalidImage: the installed package does not carry it.
        """
        file = files(self.package).joinpath(self.path)
        if not file.is_file():
            raise InvalidImage(
                f"The installed {self.package} has no {self.path}; install {self.package} {self.since} or later for it."
            )
        with as_file(file) as path:
            return read_volume(path)


#: Photograph of a normal left eye's retina (M. Häggström, Wikimedia Commons, CC0).
RETINA = Picture("skimage", "data/retina.jpg", "0.22")
#: Colonic glands, FHL2 stained brown, nuclei blue (CMMI, no known copyright restrictions).
TISSUE = Picture("skimage", "data/ihc.png", "0.22")
#: MRI of the abdomen with contrast agent (from GDCM's test data).
ABDOMEN = Picture("pydicom", "data/test_files/examples_overlay.dcm", "3.0")
#: Ultrasound of a beating heart, 30 frames, four chambers seen from the apex.
HEART = Picture("pydicom", "data/test_files/examples_ybr_color.dcm", "3.0")
