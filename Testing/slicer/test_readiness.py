"""What is missing before the model can run: packages that are not there, of no use, or too old."""

import importlib.metadata
import platform
import sys

import pytest

from KPrismLogic import readiness


@pytest.fixture
def found(monkeypatch):
    """Versions by distribution; all packages of them can be imported."""
    versions = {"scipy": "1.11", "scikit-image": "0.25.2", "safetensors": "0.4.0", "nibabel": "5.2.1",
                "pillow": "11.0.0", "torch": "2.13.0+cpu", "numpy": "2.3.4"}  # fmt: skip

    def version(distribution):
        if distribution not in versions:
            raise importlib.metadata.PackageNotFoundError(distribution)
        return versions[distribution]

    monkeypatch.setattr(readiness, "find_spec", lambda name: object())
    monkeypatch.setattr(importlib.metadata, "version", version)
    return versions


def test_nothing_is_missing_where_all_are_new_enough(found):
    assert readiness.missing_packages() == []


@pytest.mark.parametrize(
    ("distribution", "version", "missing"),
    [
        ("scipy", "1.9.3", "scipy>=1.11"),  # by number, not by letter
        ("scikit-image", "0.21.0rc1", "scikit-image>=0.22"),
        ("torch", "2.1.2+cu121", "torch>=2.2"),
        ("nibabel", "5", "nibabel>=5.2"),
    ],
)
def test_what_another_extension_brought_may_be_too_old(found, distribution, version, missing):
    found[distribution] = version
    assert readiness.missing_packages() == [missing]


def test_a_folder_that_an_interrupted_installation_left_is_no_package(found):
    del found["torch"], found["pillow"]
    assert readiness.missing_packages() == ["pillow>=10.1", "torch>=2.2"]
    assert readiness.is_installable()


@pytest.fixture
def intel_mac(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


@pytest.mark.usefixtures("intel_mac")
def test_torch_of_intel_macs_needs_numpy_1_and_a_restart_where_another_is_loaded(found, monkeypatch):
    loaded = type("numpy", (), {"__version__": "2.3.4"})
    monkeypatch.setitem(sys.modules, "numpy", loaded)
    del found["torch"]
    assert readiness.missing_packages() == ["numpy<2", "torch>=2.2"]
    found |= {"torch": "2.2.2", "numpy": "1.26.4"}  # as Install leaves it
    assert readiness.missing_packages() == []
    assert readiness.what_is_missing("small").endswith("restart Slicer.")
    assert not readiness.is_installable()
    monkeypatch.setattr(loaded, "__version__", "1.26.4")  # restarted
    assert not readiness.is_restart_needed()


def test_a_package_that_was_too_old_when_it_was_loaded_asks_for_a_restart(found, monkeypatch):
    loaded = type("scipy", (), {"__version__": "1.10.1"})
    monkeypatch.setitem(sys.modules, "scipy", loaded)
    found["scipy"] = "1.10.1"
    assert "press Install" in readiness.what_is_missing("small")
    found["scipy"] = "1.15.3"
    assert readiness.what_is_missing("small").endswith("restart Slicer.")
    monkeypatch.setattr(loaded, "__version__", "1.11.0")  # not the one that is installed, but it will do
    assert not readiness.is_restart_needed()


@pytest.mark.parametrize(("system", "machine"), [("darwin", "arm64"), ("linux", "x86_64"), ("win32", "AMD64")])
def test_elsewhere_numpy_2_stays(found, monkeypatch, system, machine):
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert readiness.missing_packages() == []
    assert not readiness.is_restart_needed()


def test_what_is_here_is_enough():
    assert readiness.missing_packages() == []
    assert not readiness.is_installable()
