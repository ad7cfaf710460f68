"""What DICOM says of an image reaches the model: windows and masks are those of the command line."""

import numpy as np
import pytest
import slicer

from KPrismLib.batch.cases import find_cases
from KPrismLib.batch.manifest import read_manifest
from KPrismLib.command.app import main
from KPrismLib.imaging.kinds import foreign_reference
from KPrismLib.imaging.labels import binary_mask, read_label_volume
from KPrismLib.imaging.segmentation_file import Segment, write_segmentation
from KPrismLib.intensity import window_for
from KPrismLib.weights import save_weights
from KPrismLogic.batch import segment_folder
from KPrismLogic.logic import KPrismLogic
from KPrismLogic.model import Model
from KPrismLogic.reference_files import reference_from_files
from Testing.engine.command.conftest import decided_network
from Testing.engine.command.tiny_inputs import tiny_config
from Testing.engine.imaging.tiny_dicom import UID, save_slice
from Testing.slicer.flood_predictor import FloodPredictor

pytestmark = pytest.mark.usefixtures("one_thread")

#: What a series is of, and which window the modality asks for. Neither can be told by its values.
SERIES = {"CT": "ct-abdomen", "MR": "percentile-0.5-99.8"}


def _values(modality, number):
    """Soft tissue without air around it, with metal beyond 12 bits; or a magnet's arbitrary units with a flare."""
    rng = np.random.default_rng(number)
    if modality == "CT":
        values = rng.normal(40, 30, (128, 128))
        values[20:60, 30:90] += 60
        values[100:103, 100:103] = 5000
    else:
        values = np.abs(rng.normal(300, 120, (128, 128)))
        values[20:60, 30:90] += 150
        values[:2, :2] = 1100
    return values.round()


@pytest.fixture
def images(tmp_path):
    """A folder with a series of three slices of each modality."""
    for number, modality in enumerate(SERIES):
        folder = tmp_path / "images" / modality
        folder.mkdir(parents=True)

        def edit(data, modality=modality):
            data.Modality = modality
            values = _values(modality, int(data.InstanceNumber))
            data.PixelData = (values - float(data.RescaleIntercept)).astype(np.int16).tobytes()

        for k in range(3):
            save_slice(folder, k, (0, 0, 2 * k), uid=f"{UID}.{number}", edit=edit)
    return tmp_path / "images"


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(path, decided_network(5).state_dict(), tiny_config(), {"training": "none"})
    return path


@pytest.mark.parametrize("modality", SERIES)
def test_a_series_has_the_window_and_the_mask_that_the_command_line_gives_it(
    scene, images, weights, tmp_path, modality
):
    out, alone = tmp_path / "out", tmp_path / "alone.seg.nrrd"
    (case,) = find_cases([images / modality])
    read = case.read()
    window = window_for(read.array, modality=read.modality)
    assert window.rule == SERIES[modality] != window_for(read.array).rule

    logic = KPrismLogic(Model(weights, "cpu"))
    assert segment_folder(images, out, ["liver"], every_piece=True, logic=logic) == 0
    assert read_manifest(out)[modality]["window"] == window.to_dict()
    said = ["--model", str(weights), "--device", "cpu", "--class", "liver", "--every-piece"]
    assert main(["segment", str(images / modality), "-o", str(alone), *said]) == 0
    found, expected = (
        binary_mask(read_label_volume(path, image=read), "liver") for path in (out / f"{modality}.seg.nrrd", alone)
    )
    assert 0 < expected.sum() < expected.size
    np.testing.assert_array_equal(found, expected)


def test_the_subject_hierarchy_keeps_nothing_of_a_case(scene, images, weights, tmp_path):
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(scene)
    before = hierarchy.GetNumberOfItems()
    assert segment_folder(images, tmp_path / "out", ["liver"], logic=KPrismLogic(Model(weights, "cpu"))) == 0
    assert hierarchy.GetNumberOfItems() == before


def test_a_reference_of_another_modality_is_told_with_every_case(scene, images, tmp_path):
    mask, out = tmp_path / "mask.seg.nrrd", tmp_path / "out"
    (case,) = find_cases([images / "CT"])
    drawn = np.zeros((3, 128, 128), np.uint8)
    drawn[1, 20:60, 30:90] = 1
    write_segmentation(mask, drawn, [Segment("liver", 1, (1, 0, 0))], case.read())
    model, lines = Model(), []
    model.use(FloodPredictor())
    known = [reference_from_files(images / "CT", mask)]
    assert segment_folder(images, out, references=known, logic=KPrismLogic(model), tell=lines.append) == 0
    warning = foreign_reference("MR", ["CT"])
    assert warning.startswith("The image is MR but a reference is CT, ")
    (same,) = [line for line in lines if " CT: " in line]
    (other,) = [line for line in lines if " MR: " in line]
    assert other.endswith(f" voxels; {warning}")
    assert warning not in same
    records = read_manifest(out)
    assert (records["CT"]["warning"], records["MR"]["warning"]) == (None, warning)
