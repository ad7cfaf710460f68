"""Every file of the module is listed for the build, and the catalogue entry is what the catalogue takes."""

import json
import re
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "KPrism"


def _listed(name):
    text = (MODULE / "CMakeLists.txt").read_text()
    return set(re.search(rf"set\({name}\n(.*?)\)", text, re.DOTALL).group(1).split())


def _files(*suffixes):
    return {
        path.relative_to(MODULE).as_posix()
        for path in MODULE.rglob("*")
        if path.suffix in suffixes and "__pycache__" not in path.parts
    }


def test_every_file_is_listed():
    # The icons are listed; what draws them is no tool of users.
    assert _listed("MODULE_PYTHON_SCRIPTS") == _files(".py") - {"Scripts/draw_icons.py"}
    assert _listed("MODULE_PYTHON_RESOURCES") == _files(".png", ".ui")


def test_catalogue_entry_has_what_the_schema_wants():
    entry = json.loads((ROOT / "KPrism.json").read_text())
    assert entry["$schema"].endswith("slicer-extension-catalog-entry-schema-v1.0.1.json#")
    known = {"$schema", "build_dependencies", "build_subdirectory", "category", "scm_revision", "scm_url", "tier"}
    assert set(entry) == known
    assert entry["build_dependencies"] == ["PyTorch"]
    assert entry["tier"] == 1  # beyond it, the user would have to agree to the terms of the weights before their use


def test_the_catalogue_finds_what_it_shows_and_where_the_code_is():
    """What the extensions index asks of every description before it takes an extension."""
    text = (ROOT / "CMakeLists.txt").read_text()
    repository = json.loads((ROOT / "KPrism.json").read_text())["scm_url"].removesuffix(".git")
    owner, name = repository.removeprefix("https://github.com/").split("/")
    assert name.startswith("Slicer")
    for key in ("HOMEPAGE", "ICONURL", "SCREENSHOTURLS", "DESCRIPTION", "CONTRIBUTORS"):
        assert re.search(rf'set\s*\(EXTENSION_{key}\s*"([^"]+)"\)', text), key
    raw = f"https://raw.githubusercontent.com/{owner}/{name}/main/"
    files = re.findall(rf'"{re.escape(raw)}([^"]+)"', text)
    assert len(files) == 2
    assert all((ROOT / file).is_file() for file in files)
    assert f'"{repository}#readme"' in text


def test_icons_have_their_sizes():
    for path, side in ((ROOT / "KPrism.png", 128), (MODULE / "Resources" / "Icons" / "KPrism.png", 128)):
        assert Image.open(path).size == (side, side)


def test_only_the_module_lies_where_slicer_scans():
    """Slicer takes every Python file directly in an additional module path for a module."""
    assert [path.name for path in MODULE.glob("*.py")] == ["KPrism.py"]


def test_every_self_test_is_run_by_ctest():
    from KPrismDesktop import self_test

    text = (ROOT / "Testing" / "CMakeLists.txt").read_text()
    headless = re.findall(r"foreach\(name ([a-z ]+)\)", text)[0].split()
    scripts = {path.stem.removeprefix("KPrism_") for path in (ROOT / "Testing" / "slicer" / "in_slicer").glob("*.py")}
    tests = {name for name in vars(self_test) if name.islower() and not name.startswith("_")}
    tests = {name for name in tests if getattr(getattr(self_test, name), "__module__", "") == self_test.__name__}
    assert scripts == {*headless, "effect"} == tests - {"run", "is_possible"}
    for name in scripts:
        assert f"self_test.{name}()" in (ROOT / "Testing" / "slicer" / "in_slicer" / f"KPrism_{name}.py").read_text()


@pytest.mark.usefixtures("one_thread")
def test_console_volume_and_batch_of_the_self_test_pass_on_the_real_nodes(scene, monkeypatch):
    """What they use of ``slicer.util`` that slicer-core lacks is put in place; the rest is real."""
    import numpy as np
    import slicer

    from KPrismDesktop import self_test
    from KPrismLogic.voxel_grid import VoxelGrid
    from Testing.slicer.scenes import volume_node

    monkeypatch.setattr(
        slicer.util,
        "addVolumeFromArray",
        lambda voxels, name: volume_node(slicer.mrmlScene, voxels, np.eye(4), name=name),
        raising=False,
    )

    def save(node, path):
        import SimpleITK as sitk

        sitk.WriteImage(sitk.GetImageFromArray(VoxelGrid.of(node).voxels), path)

    monkeypatch.setattr(slicer.util, "saveNode", save)
    monkeypatch.setattr(self_test, "_slices", _slices)
    monkeypatch.setattr(slicer.util, "arrayFromVolume", lambda node: VoxelGrid.of(node).voxels)
    monkeypatch.setattr(slicer.util, "updateSegmentBinaryLabelmapFromArray", _update)
    self_test.console()
    self_test.volume()
    self_test.batch()


def _update(voxels, segmentation, segment_id, volume):
    from KPrismLogic.segment_editing import LogicEditor
    from Testing.slicer.scenes import editor_node, fill

    parameters = editor_node(segmentation.GetScene(), volume, segmentation, segment_id)
    fill(LogicEditor(parameters), segmentation, segment_id, voxels > 0)


def _slices(volume, segmentation, segment_id):
    from KPrismLogic.labelmaps import labelmap_of

    labelmap, _ = labelmap_of(segmentation, segment_id)
    return set() if labelmap is None else set(range(labelmap.GetExtent()[4], labelmap.GetExtent()[5] + 1))
