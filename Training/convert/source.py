"""The official download as it lies on disk, and a list of everything about it that is not as it should be."""

from __future__ import annotations

import difflib
import re
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from KPrismLib.errors import InvalidDataset
from Training.convert.findings import Finding, Kind
from Training.convert.stamps import same_content

_DATA = (".nii", ".nii.gz", ".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
#: How many wrapping folders an archive may put around its content.
_DEPTH = 3


class Source:
    """One download: converters ask it for folders and files, and it notes what is missing, renamed, doubled or cut off.

    Attributes:
        root: The folder that the user named.
        findings: What was found so far.
    """

    def __init__(self, root: Path, *, name: str, layout: str) -> None:
        """``name`` and ``layout`` are for the sentence that a wrong folder gets."""
        self.root = root
        self.findings: list[Finding] = []
        self._wrong = f"{root} is not the {name} download: it should contain {layout}."
        self._strangers: defaultdict[Path, list[Path]] = defaultdict(list)
        self._known: defaultdict[Path, list[Path]] = defaultdict(list)
        if not root.is_dir():
            raise InvalidDataset(f"There is no folder {root}; it should contain {layout}.")

    def note(self, kind: Kind, subject: Path | str, detail: str = "") -> None:
        """Add a finding; paths are shown relative to the download."""
        self.findings.append(Finding(kind, self.relative(subject), detail))

    def relative(self, path: Path | str) -> str:
        """A path as people and ledgers should see it."""
        if isinstance(path, Path) and path.is_relative_to(self.root):
            return path.relative_to(self.root).as_posix()
        return str(path)

    def folder(self, *names: str) -> Path:
        """The first of these folders (``a/b`` for nested ones) that exists, at the root or a few folders below it.

        Raises:
            InvalidDataset: None exists: this is not the download.
        """
        found = self.find_folder(*names)
        if found is None:
            raise InvalidDataset(self._wrong)
        return found

    def find_folder(self, *names: str) -> Path | None:
        """Like :meth:`folder`, or None."""
        level = [self.root]
        for _ in range(_DEPTH + 1):
            for name in names:
                for base in level:
                    if (base / name).is_dir():
                        return base / name
            level = [child for base in level for child in sorted(base.iterdir()) if _is_visible_folder(child)]
        return None

    def sub_folders(self, folder: Path, pattern: str) -> dict[str, Path]:
        """Sub-folders whose whole name matches, by the first group; InvalidDataset when there is none."""
        matches = ((re.fullmatch(pattern, child.name), child) for child in sorted(folder.iterdir()) if child.is_dir())
        found = {match[1]: child for match, child in matches if match}
        if not found:
            raise InvalidDataset(self._wrong)
        return found

    def files(self, folder: Path, pattern: str, *, also: str = r"(?!)") -> dict[str, Path]:
        """Files whose whole name matches ``pattern``, by its first group.

        Two files with one key (``x.nii`` beside ``x.nii.gz``) are noted as doubled, empty ones as damaged; other image
        files are kept in mind as possibly renamed ones, unless they match ``also``.
        """
        found: dict[str, Path] = {}
        for path in sorted(folder.iterdir()):
            if not path.is_file() or path.name.startswith("."):
                continue
            match = re.fullmatch(pattern, path.name)
            if match is None:
                if path.name.lower().endswith(_DATA) and not re.fullmatch(also, path.name):
                    self._strangers[folder].append(path)
            elif match[1] in found:
                self.note(Kind.DOUBLED, path, f"{found[match[1]].name} is the same case; the first one is used")
            else:
                self._check_size(path)
                found[match[1]] = path
                self._known[folder].append(path)
        return found

    def file(self, folder: Path, *names: str) -> Path | None:
        """The first of these files that exists; noted as missing, or as renamed, when none does."""
        present = [folder / name for name in names if (folder / name).is_file()]
        if not present:
            self._note_missing(folder, names[0])
            return None
        for double in present[1:]:
            self.note(Kind.DOUBLED, double, f"{present[0].name} is the same case; the first one is used")
        self._check_size(present[0])
        self._known[folder].append(present[0])
        return present[0]

    def pairs(
        self, images: Mapping[str, Path], masks: Mapping[str, Path], *, unmasked: bool = False
    ) -> dict[str, tuple[Path, Path]]:
        """Images with their masks, by key; what lacks its partner is noted.

        Args:
            images: Key to file, from :meth:`files`.
            masks: Key to file.
            unmasked: True where the download has images that nobody outlined.
        """
        image_home = next(iter(images.values()), self.root).parent
        mask_home = next(iter(masks.values()), self.root).parent
        for key in sorted(masks.keys() - images.keys()):
            self._note_missing(image_home, key, f"no image for the mask {masks[key].name}")
        for key in sorted(images.keys() - masks.keys()) if not unmasked else ():
            self._note_missing(mask_home, key, f"no mask for the image {images[key].name}")
        return {key: (images[key], masks[key]) for key in sorted(images.keys() & masks.keys())}

    def finish(self) -> None:
        """Note the image files that nobody asked for: copies of known ones, or simply unexpected."""
        for folder, strangers in self._strangers.items():
            for stranger in strangers:
                original = next((known for known in self._known[folder] if same_content(known, stranger)), None)
                if original is not None:
                    self.note(Kind.DOUBLED, stranger, f"a copy of {original.name}")
                else:
                    self.note(Kind.UNEXPECTED, stranger)
        self._strangers.clear()

    def _check_size(self, path: Path) -> None:
        if path.stat().st_size == 0:
            self.note(Kind.DAMAGED, path, "empty file")

    def _note_missing(self, folder: Path, wanted: str, detail: str = "") -> None:
        if not self._strangers[folder] and folder.is_dir():
            known = set(self._known[folder])
            self._strangers[folder] = [path for path in _data_files(folder) if path not in known]
        strangers = {path.name: path for path in self._strangers[folder]}
        near = difflib.get_close_matches(wanted, strangers, n=1, cutoff=0.6) or [n for n in strangers if wanted in n]
        if near:
            self._strangers[folder].remove(strangers[near[0]])
            self.note(Kind.RENAMED, strangers[near[0]], f"perhaps {wanted}; give it its official name back")
        else:
            self.note(Kind.MISSING, folder / wanted, detail)


def _is_visible_folder(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith((".", "__MACOSX"))


def _data_files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_file() and path.name.lower().endswith(_DATA)]
