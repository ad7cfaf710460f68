"""Set K-Prism up in this folder's ``.venv`` and run it; needs nothing but Python.

    python3 bootstrap.py demo [OPTIONS OF kprism demo]
    python3 bootstrap.py test [OPTIONS OF pytest]

The first run installs, later ones start at once: an installation is redone only when ``pyproject.toml``,
``constraints.txt`` or the place of this folder changed. ``test`` also checks style and types, then runs the tests.
"""

import sys

# Before anything that an old Python might not have, so that it can say so. Keep the syntax of this file plain.
if not (3, 10) <= sys.version_info[:2] <= (3, 13):
    sys.exit(
        "K-Prism needs Python 3.10, 3.11, 3.12 or 3.13, and this is Python %d.%d: "  # noqa: UP031
        "run bootstrap.py with one of those, for example python3.12." % sys.version_info[:2]
    )

import hashlib
import platform
import subprocess
from pathlib import Path

if sys.platform == "darwin" and platform.machine() == "x86_64" and sys.version_info[:2] > (3, 12):
    sys.exit(
        "PyTorch was last made for Intel Macs when Python 3.12 was new: run bootstrap.py with Python 3.10, 3.11 or "
        "3.12, for example python3.12."
    )

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
SCRIPTS = VENV / ("Scripts" if sys.platform == "win32" else "bin")
PYTHON = SCRIPTS / ("python.exe" if sys.platform == "win32" else "python")
KPRISM = SCRIPTS / ("kprism.exe" if sys.platform == "win32" else "kprism")

# What `pip install .[...]` is asked for; a later row contains every earlier one.
EXTRAS = {"demo": "", "test": "[train,report,test]"}

CHECKS = (
    ("ruff", "check"),
    ("ruff", "format", "--check"),
    ("mypy",),
)
# A process for each core, but no more than fit into memory; who is done takes tests over from the others.
TESTS = (
    *("pytest", "--numprocesses=auto", "--maxprocesses=4", "--dist=worksteal"),
    *("--cov=KPrismLib", "--cov-fail-under=90"),
)


def main(arguments: list[str]) -> int:
    """Run the command that ``arguments`` names and return its exit status."""
    command, *rest = arguments or ["--help"]
    if command in ("-h", "--help"):
        print(__doc__)
        return 0
    if command not in EXTRAS:
        sys.exit(f"There is no command {command!r}: use demo or test.")
    install(command)
    return demo(rest) if command == "demo" else test(rest)


def demo(options: list[str]) -> int:
    """Segment the images that come with K-Prism, with the weights that come with it."""
    return run(str(KPRISM), "demo", *options, cwd=None)


def test(options: list[str]) -> int:
    """Check style and types, then run the tests, so that the last line is the tests' own summary."""
    for check in CHECKS:
        print("\n$ " + " ".join(check), flush=True)
        status = module(*check)
        if status:
            return status
    print("\n$ " + " ".join([*TESTS, *options]), flush=True)
    return module(*TESTS, *options)


def install(command: str) -> None:
    """Make ``.venv`` hold K-Prism and what ``command`` needs, unless it does already."""
    stamp = VENV / ".kprism-installed"
    wanted = fingerprint(command)
    enough = {fingerprint(other) for other in list(EXTRAS)[list(EXTRAS).index(command) :]}
    works = PYTHON.exists() and run(str(PYTHON), "-m", "pip", "--version", quiet=True) == 0
    if works and stamp.exists() and stamp.read_text(encoding="utf-8") in enough:
        return
    if not works:
        print(f"Creating {VENV}", flush=True)
        if run(sys.executable, "-m", "venv", "--clear", str(VENV)):
            sys.exit(
                f"Python could not create {VENV}: is the folder writable, and is Python's venv module "
                "installed (on Debian and Ubuntu: apt install python3-venv)?"
            )
    print(f"Installing K-Prism into {VENV}: a few minutes, the first time only", flush=True)
    stamp.unlink(missing_ok=True)
    if module("pip", "install", "-c", "constraints.txt", "-e", "." + EXTRAS[command]):
        sys.exit("pip could not install K-Prism; the reason stands above. Repeating the command is safe.")
    stamp.write_text(wanted, encoding="utf-8")


def fingerprint(command: str) -> str:
    """What an installation for ``command`` depends on, as a short text."""
    digest = hashlib.sha256(f"{ROOT}{EXTRAS[command]}".encode())
    for name in ("pyproject.toml", "constraints.txt"):
        digest.update((ROOT / name).read_bytes())
    return digest.hexdigest()


def module(*arguments: str) -> int:
    """Run a module with the Python of ``.venv``, in this folder."""
    return run(str(PYTHON), "-m", *arguments)


def run(*arguments: str, cwd: Path | None = ROOT, quiet: bool = False) -> int:
    """Run a program (``cwd=None``: where the user stands) and return its exit status."""
    output = subprocess.DEVNULL if quiet else None
    try:
        return subprocess.run(arguments, cwd=cwd, check=False, stdout=output, stderr=output).returncode
    except OSError as error:
        sys.exit(f"Cannot start {arguments[0]}: {error.strerror or error}.")


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
