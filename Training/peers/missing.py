"""What a system still needs on this computer, and the command that brings it."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from KPrismLib.errors import InvalidConfig
from Training.peers.about import About, Checkout


def missing_packages(about: About) -> list[str]:
    """Packages of which Python does not find the module; nothing of them is run."""
    return [module.split(".")[0] for module in about.packages if not _is_importable(module)]


def needs(about: About) -> list[str]:
    """Everything that is missing here, in the order in which a person gets it; weights always are."""
    found = [f"package {module}" for module in missing_packages(about)]
    found += [f"a copy of {place.repository}" for place in about.checkouts if not _is_installed(place)]
    if about.is_port:
        found.append("your port to slices")
    return [*found, "weights"]


def command(about: About) -> str:
    """The one command that brings the packages and repositories which are missing, empty where none is."""
    steps = []
    if missing_packages(about):
        steps.append(f"pip install -e '.[{about.extra}]'")
    steps += [f"git clone {place.repository}" for place in about.checkouts if not _is_installed(place)]
    return " && ".join(steps)


def require(about: About, checkouts: Sequence[Path]) -> None:
    """Make sure that a system can be opened.

    Raises:
        InvalidConfig: a package is missing, or a repository of which no copy was given or installed.
    """
    packages = missing_packages(about)
    if packages:
        raise InvalidConfig(
            f"{about.title} needs the package {' and '.join(packages)}; install it with: pip install -e "
            f"'.[{about.extra}]'"
        )
    absent = [place for place in about.checkouts if not _is_installed(place)]
    if absent and not checkouts:
        folders = " ".join(f"--peer-path {place.repository.rsplit('/', 1)[-1]}" for place in absent)
        raise InvalidConfig(
            f"{about.title} needs a local copy of {' and '.join(place.repository for place in absent)}; get it with: "
            f"{' && '.join(f'git clone {place.repository}' for place in absent)}; then add {folders}"
        )


def require_weights(about: About, weights: Path | None, *, random: bool) -> None:
    """Make sure that there are weights, or say which are meant.

    Raises:
        InvalidConfig: neither weights nor random ones.
    """
    if weights is not None or random:
        return
    if about.is_port:
        raise InvalidConfig(
            f"{about.title} needs your port to slices and its weights ({about.weights}): give them with --peer-path "
            'FOLDER --weights FILE, and name the port in the JSON beside FILE as "factory": "module:function"; '
            "Training/peers/port.py says what it must do."
        )
    raise InvalidConfig(
        f"{about.title} needs weights ({about.weights}): give them with --weights, or try the machinery with "
        "--random-weights."
    )


def _is_importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # not even what a dotted name lies in
        return False


def _is_installed(place: Checkout) -> bool:
    # A bare folder of that name, such as the clone itself, counts as a namespace to Python; it is no installation.
    found = importlib.util.find_spec(place.module.split(".")[0])
    return found is not None and found.origin is not None
