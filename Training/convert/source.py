"""The official download as it lies on disk, and a list of everything about it that is not as it should be."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from KPrismLib.errors import InvalidDataset
from Training.convert.findings import Finding, Kind
from Training.convert.stamps import same_content

_DATA = (".nii", ".nii.gz", ".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")
#: How many folders deep content is looked for, and how many of these may have neighbours. Archives come wrapped in up
#: to seven folders (LiTS), but each holds the next alone; a tree that branches all the way down would take too long.
_DEPTH, _BRANCHES = 8, 3
#: How alike two names must be for one to be a renaming of the other.
_ALIKE = 0.8


class Source:
    """One download: converters ask it for folders and files, and it notes what is missing, renamed or doubled.

    Attributes:
        root: The folder that the user named.
        findings: What was found so far; what is missing is added by :meth:`finish`.
    """

    def __init__(self, root: Path, *, name: str, layout: str) -> None:
        """``name`` and ``layout`` are for the sentence that a wrong folder gets."""
        self.root = root
        self.findings: list[Finding] = []
        self._wrong = f"{root} is not the {name} download: it should contain {layout}."
        self._used: dict[Path, list[Path]] = {}
        self._missing: list[tuple[Path, str, str]] = []
        self._official: list[str] = []
        self._inside: dict[Path, list[Path]] = {}
        if root.is_file():
            raise InvalidDataset(f"{root.name} is a file; unpack the archive and name the folder that comes out of it.")
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

    def know(self, pattern: str) -> None:
        """Whole names of official files that are not used, and so are neither unexpected nor renamed ones."""
        self._official.append(pattern)

    def folder(self, *names: str, holding: str | None = None) -> Path:
        """The first of these folders (``a/b`` for nested ones) that exists, at the root or below it.

        Args:
            names: In the order in which they are preferred.
            holding: What a folder in it must match as a whole: some names (``train``) also stand further out.

        Raises:
            InvalidDataset: None exists: this is not the download.
        """
        found = self.find_folder(*names, holding=holding)
        if found is None:
            # Of half a download it helps to know which half is there.
            raise InvalidDataset(f"{self._wrong[:-1]}; there is no folder {names[0]}.")
        return found

    def find_folder(self, *names: str, holding: str | None = None) -> Path | None:
        """Like :meth:`folder`, or None."""
        for level in self._levels():
            for name in names:
                for base in level:
                    place = base / name
                    if place.is_dir() and (holding is None or self._holds(place, holding)):
                        return place
        return None

    def folder_in(self, parent: Path, name: str) -> Path | None:
        """The sub-folder of this name; None, and noted as missing, when there is none."""
        if (parent / name).is_dir():
            return parent / name
        self.note(Kind.MISSING, parent / name, "a whole folder")
        return None

    def folders_with(self, pattern: str) -> list[Path]:
        """Every folder, the root included, that directly holds something whose whole name matches.

        Raises:
            InvalidDataset: None does: this is not the download.
        """
        found = [
            base
            for level in self._levels()
            for base in level
            if any(re.fullmatch(pattern, child.name) for child in base.iterdir())
        ]
        if not found:
            raise InvalidDataset(self._wrong)
        return found

    def sub_folders(self, folder: Path, pattern: str) -> dict[str, Path]:
        """Sub-folders whose whole name matches, by the first group.

        Raises:
            InvalidDataset: There is none.
        """
        matches = ((re.fullmatch(pattern, child.name), child) for child in sorted(folder.iterdir()) if child.is_dir())
        found = {match[1]: child for match, child in matches if match}
        if not found:
            raise InvalidDataset(f"{self._wrong[:-1]}; {self.relative(folder)} holds none of its folders.")
        return found

    def files(self, folders: Path | Iterable[Path], pattern: str) -> dict[str, Path]:
        """Files in one or several folders whose whole name matches ``pattern``, by its first group.

        Two files with one key (``x.nii`` beside ``x.nii.gz``) are noted as doubled.
        """
        found: dict[str, Path] = {}
        for folder in [folders] if isinstance(folders, Path) else folders:
            self._used.setdefault(folder, [])
            for path in sorted(folder.iterdir()):
                match = re.fullmatch(pattern, path.name)
                if match is None or not path.is_file():
                    continue
                self._used[folder].append(path)
                if match[1] in found:
                    self._note_double(path, found[match[1]])
                else:
                    found[match[1]] = path
        return found

    def file(self, folder: Path, *names: str) -> Path | None:
        """The first of these files that exists; the official name, noted as missing when none does, comes first."""
        present = [folder / name for name in names if (folder / name).is_file()]
        self._used.setdefault(folder, []).extend(present)
        if not present:
            self._missing.append((folder, names[0], ""))
            return None
        for double in present[1:]:
            self._note_double(double, present[0])
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
            self._missing.append((image_home, key, f"no image for the mask {masks[key].name}"))
        for key in sorted(images.keys() - masks.keys()) if not unmasked else ():
            self._missing.append((mask_home, key, f"no mask for the image {images[key].name}"))
        return {key: (images[key], masks[key]) for key in sorted(images.keys() & masks.keys())}

    def finish(self) -> None:
        """Note what is missing, and the image files that nobody asked for: renamed ones, copies, or unexpected.

        Only now, because a file is a stranger only when no part of the converter knows it.
        """
        strangers = {folder: self._strangers(folder) for folder in self._used if folder.is_dir()}
        for folder, wanted, detail in self._missing:
            left = {path.name: path for path in strangers.get(folder, [])}
            near = [name for name in left if wanted in name]
            near = near or difflib.get_close_matches(wanted, left, n=1, cutoff=_ALIKE)
            if near:
                strangers[folder].remove(left[near[0]])
                self.note(Kind.RENAMED, left[near[0]], f"perhaps {wanted}; give it its official name back")
            else:
                self.note(Kind.MISSING, folder / wanted, detail)
        for folder, left_over in strangers.items():
            for stranger in left_over:
                original = next((used for used in self._used[folder] if same_content(used, stranger)), None)
                if original is not None:
                    self.note(Kind.DOUBLED, stranger, f"a copy of {original.name}")
                else:
                    self.note(Kind.UNEXPECTED, stranger)
        self._missing.clear()

    def _levels(self) -> Iterable[list[Path]]:
        """The root, then the folders in it, and so on, but not far into a tree that branches again and again."""
        level = [(self.root, 0)]
        for _ in range(_DEPTH + 1):
            yield [base for base, _ in level]
            deeper = []
            for base, branches in level:
                inside = self._folders_in(base)
                branches += len(inside) > 1
                deeper += [(child, branches) for child in inside if branches <= _BRANCHES]
            level = deeper

    def _folders_in(self, base: Path) -> list[Path]:
        """Listed once: every search comes by, and some folders hold tens of thousands of files."""
        if base not in self._inside:
            with os.scandir(base) as entries:
                names = [
                    entry.name for entry in entries if not entry.name.startswith((".", "__MACOSX")) and entry.is_dir()
                ]
            self._inside[base] = [base / name for name in sorted(names)]
        return self._inside[base]

    def _holds(self, place: Path, pattern: str) -> bool:
        return any(re.fullmatch(pattern, child.name) for child in self._folders_in(place))

    def _strangers(self, folder: Path) -> list[Path]:
        used = set(self._used[folder])
        kinds = (*_DATA, *{path.suffix.lower() for path in used})
        return [
            path
            for path in sorted(folder.iterdir())
            if path not in used
            and path.name.lower().endswith(kinds)
            and not path.name.startswith(".")
            and not any(re.fullmatch(pattern, path.name) for pattern in self._official)
            and path.is_file()
        ]

    def _note_double(self, double: Path, first: Path) -> None:
        self.note(Kind.DOUBLED, double, f"the same case as {self.relative(first)}, which is used")
