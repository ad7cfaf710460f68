"""The button Install: what it asks Slicer and its PyTorch extension for, and what it says when that fails."""

import subprocess
import sys
import types
from importlib.machinery import ModuleSpec

import pytest

from Testing.slicer.desktop import strict_module


class Computer:
    """Packages that are there, and ways to get the others, with the signatures that Slicer gives them.

    That of ``pip_ensure`` is the same from 5.12.0, which brought it, to 5.12.3 and beyond.
    """

    def __init__(self):
        self.missing, self.asked, self.error = ["scipy>=1.11", "torch>=2.2"], [], None
        self.prompts = []  # of Slicer, before and after it installs

    def pip_ensure(
        self,
        requirements,
        constraints=None,
        skip_packages=None,
        prompt_install=True,
        prompt_restart=True,
        requester=None,
        skip_in_testing=True,
        show_progress=True,
    ):
        assert all(isinstance(one, str) for one in requirements)
        self.prompts += ["install"] * prompt_install + ["restart"] * prompt_restart
        self.asked.append((tuple(requirements), requester))
        self._get(*requirements)

    def install_torch(
        self,
        askConfirmation=False,
        forceComputationBackend=None,
        torchVersionRequirement=None,
        torchvisionVersionRequirement=None,
    ):
        assert askConfirmation
        self.asked.append(torchVersionRequirement)
        self._get(f"torch{torchVersionRequirement}")

    def _get(self, *requirements):
        if self.error is not None:
            raise self.error
        self.missing = [one for one in self.missing if one not in requirements]


def _put(monkeypatch, name, **content):
    module = types.ModuleType(name)
    module.__spec__ = ModuleSpec(name, None)
    module.__dict__.update(content)
    monkeypatch.setitem(sys.modules, name, module)


@pytest.fixture
def computer(monkeypatch):
    computer = Computer()
    strict_module.install(monkeypatch, strict_module.App())
    _put(monkeypatch, "slicer.packaging", pip_ensure=computer.pip_ensure)
    logic = types.SimpleNamespace(installTorch=computer.install_torch)
    _put(monkeypatch, "PyTorchUtils", PyTorchUtilsLogic=lambda: logic)
    monkeypatch.setattr("KPrismDesktop.installation.missing_packages", lambda: list(computer.missing))
    return computer


def _install():
    from KPrismDesktop.installation import install_missing

    return install_missing(lambda: None)


def test_all_that_is_missing_is_asked_for_torch_through_its_extension(computer):
    assert _install() == ""
    assert computer.asked == [(("scipy>=1.11",), "K-Prism"), ">=2.2"]
    assert _install() == ""
    assert len(computer.asked) == 2


def test_slicer_neither_asks_again_nor_restarts_before_all_is_there(computer):
    """It restarts by asking its own loop to quit, and goes on installing meanwhile."""
    computer.missing.insert(0, "numpy<2")
    assert _install() == ""
    assert computer.asked == [(("numpy<2", "scipy>=1.11"), "K-Prism"), ">=2.2"]
    assert computer.prompts == []


def test_torch_extension_that_is_missing_is_named(computer, monkeypatch):
    monkeypatch.delitem(sys.modules, "PyTorchUtils")
    assert "install the extension PyTorch" in _install()
    assert computer.missing == ["torch>=2.2"]


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("User declined package installation"),
        ImportError("no light_the_torch"),
        OSError("full"),
    ],
)
def test_what_stopped_it_is_said_in_a_sentence(computer, error):
    computer.error = error
    assert _install() == f"The installation was not finished ({error}); press Install to try again."


def test_a_numpy_that_was_replaced_asks_for_a_restart(computer, monkeypatch):
    monkeypatch.setattr("KPrismDesktop.installation.is_restart_needed", lambda: not computer.missing)
    assert _install().endswith("restart Slicer.")


def test_command_of_pip_is_not_shown(computer):
    computer.error = subprocess.CalledProcessError(1, ["python", "-m", "pip", "install", "x" * 300])
    sentence = _install()
    assert "Check the network" in sentence
    assert len(sentence) < 100


def test_answer_no_is_not_taken_for_success(computer, monkeypatch):
    monkeypatch.setattr(computer, "_get", lambda *_: None)
    assert _install() == "The installation was not finished; press Install to try again."


def test_a_second_press_meanwhile_starts_no_second_pip(computer, monkeypatch):
    from KPrismDesktop.installation import install_missing
    from KPrismLogic.readiness import is_installable, what_is_missing

    said, installed = [], []

    def get(*requirements):
        # Slicer handles events while pip writes its log.
        said.append((_install(), what_is_missing("small"), is_installable()))
        installed.extend(requirements)
        computer.missing = [one for one in computer.missing if one not in requirements]

    monkeypatch.setattr(computer, "_get", get)
    assert install_missing(lambda: said.append(what_is_missing("small"))) == ""
    assert installed == ["scipy>=1.11", "torch>=2.2"]
    meanwhile = "Python packages are being installed, which takes minutes; please wait."
    again = "Python packages are being installed already; please wait."
    assert said == [meanwhile, (again, meanwhile, False), (again, meanwhile, False)]
    assert "installed" not in what_is_missing("small")


def test_after_a_failure_it_can_be_tried_again(computer):
    computer.error = KeyError("of another kind")
    with pytest.raises(KeyError):
        _install()
    computer.error = None
    assert _install() == ""
