"""Whole evaluations of a model whose every answer can be worked out by hand."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from KPrismLib.dataset import DatasetFolder
from KPrismLib.errors import Cancelled, CannotWrite, GeometryMismatch, InvalidConfig, InvalidDataset, InvalidImage
from KPrismLib.evaluation import evaluate
from KPrismLib.evaluation.measurements import SliceMeasurement
from KPrismLib.evaluation.progress import progress_bar
from KPrismLib.evaluation.report import EvaluationReport
from KPrismLib.evaluation.settings import EvaluationSettings, Mode
from KPrismLib.evaluation.table import report_table
from Testing.engine.dataset.tiny_dataset import describe, listed, write_folder
from Testing.engine.evaluation.threshold_predictor import Result, ThresholdPredictor

LABELS = {"0": "background", "1": "liver", "2": "spleen"}
BOTH = {"liver": 100, "spleen": 200}
Array = np.ndarray


def rows(*texts: str) -> Array:
    """An array from digits."""
    return np.array([[int(digit) for digit in text] for text in texts], dtype=np.uint8)


def pictures(path: Path, name: str = "Tiny") -> DatasetFolder:
    """Two test patients and two training patients; grey = 100 x label, but for what each picture says."""
    items = [
        listed("one", patient="p1"),
        listed("two", patient="p2"),
        listed("ref", patient="p3", split="train"),
        listed("more", patient="p4", split="train"),
    ]
    masks = {
        "mask_one": rows("111100", "000000", "000022", "000022"),
        "mask_two": rows("000000", "001100", "001100", "000000"),
        "mask_ref": rows("110000", "000000", "000000", "000022"),
        "mask_more": rows("000000", "000000", "022200", "000000"),
    }
    images = {
        # Liver: one of four pixels looks like background. Dice 2 * 3 / (3 + 4) = 6/7. Spleen: perfect.
        "image_one": rows("111000", "000000", "000022", "000022") * 100,
        # Liver: four pixels too much. Dice 2 * 4 / (8 + 4) = 2/3. A false spleen of one pixel.
        "image_two": rows("000000", "001111", "001111", "000002") * 100,
    }
    return DatasetFolder.open(write_folder(path, describe(items, labels=LABELS, name=name), **masks, **images))


def test_classes_are_called_as_the_model_calls_them(tmp_path: Path) -> None:
    same = evaluate(ThresholdPredictor(BOTH), [pictures(tmp_path)], modes=["semantic", "refine_semantic"])
    other = evaluate(
        ThresholdPredictor({"Liver": 100, "SPLEEN": 200}), [pictures(tmp_path)], modes=["semantic", "refine_semantic"]
    )
    assert not other.skipped
    assert [(row.cls, row.curve) for row in other.slices] == [(row.cls, row.curve) for row in same.slices]


def test_an_example_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    class Refusing(ThresholdPredictor):
        def reference(self, pairs: list[Any]) -> list[int]:
            raise InvalidImage("Every pixel of the image is 0.")

    refused = (
        r"^Tiny: (ref|more):0 cannot serve as an example of (liver|spleen) \(Every pixel of the image is 0.\); take"
    )
    with pytest.raises(InvalidDataset, match=refused):
        evaluate(Refusing(BOTH), [pictures(tmp_path)], modes=["in_context"])


def test_dice_by_class_and_over_all_pairs(tmp_path: Path) -> None:
    report = evaluate(ThresholdPredictor(BOTH), [pictures(tmp_path)], modes=["semantic"], model="threshold")
    semantic = report.summary()["datasets"]["Tiny"]["semantic"]
    assert semantic["dice"] == pytest.approx(
        {"liver": (6 / 7 + 2 / 3) / 2, "spleen": 1.0, "mean": (6 / 7 + 1 + 2 / 3) / 3}
    )
    assert semantic["pairs"] == {"liver": 2, "spleen": 1, "mean": 3}
    assert semantic["patients"] == 2
    assert semantic["milliseconds"] == 2.0
    assert semantic["class_patients"] == {"liver": 2, "spleen": 1}
    assert semantic["dice_interval95"] == dict.fromkeys(("liver", "spleen", "mean"))  # two patients are too few
    assert semantic["volume_dice"] == {}


def test_classes_that_a_slice_does_not_show_count_as_false_positives(tmp_path: Path) -> None:
    report = evaluate(ThresholdPredictor(BOTH), [pictures(tmp_path)], modes=["semantic"])
    semantic = report.summary()["datasets"]["Tiny"]["semantic"]
    assert semantic["false_positive_rate"] == {"spleen": 1.0, "mean": 1.0}
    assert semantic["slices_without_class"] == {"spleen": 1, "mean": 1}
    without = evaluate(ThresholdPredictor(BOTH), [pictures(tmp_path)], modes=["semantic"], absent_classes=False)
    assert without.summary()["datasets"]["Tiny"]["semantic"]["false_positive_rate"] == {}
    assert without.summary()["datasets"]["Tiny"]["semantic"]["dice"] == semantic["dice"]


def test_clicks_follow_the_errors(tmp_path: Path) -> None:
    predictor = ThresholdPredictor(BOTH)
    report = evaluate(predictor, [pictures(tmp_path)], modes=["interactive"], clicks=3)
    interactive = report.summary()["datasets"]["Tiny"]["interactive"]
    # Liver of "one": row 0 is painted (4 of 6 right: 0.8), then the superfluous pair is wiped pixel by pixel.
    assert predictor.sessions[0].clicks == [(0, 2, True), (0, 5, False), (0, 4, False)]
    liver_one = [0.0, 0.8, 8 / 9, 1.0]
    # Spleen of "one": row 3 painted, 4 / (6 + 4); one pixel wiped, 4 / (5 + 4); row 2 painted, 8 / (11 + 4).
    spleen_one = [0.0, 0.4, 4 / 9, 8 / 15]
    assert interactive["dice"]["spleen"] == pytest.approx(spleen_one)
    assert interactive["dice"]["liver"][0] == 0.0
    assert interactive["dice"]["mean"][0] == 0.0
    assert report.slices[0].curve == pytest.approx(liver_one)
    assert interactive["cap"] == 3
    assert interactive["noc90"] == 3.0
    assert interactive["dice_interval95"]["mean"] is None  # of two patients


def test_clicks_are_honoured_only_by_a_model_that_can(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="cannot be told to honour clicks"):
        evaluate(ThresholdPredictor(BOTH), [pictures(tmp_path)], modes=["interactive"], honour_clicks=True)


def test_refinement_starts_from_the_initial_mask(tmp_path: Path) -> None:
    report = evaluate(ThresholdPredictor(BOTH), [pictures(tmp_path)], modes=["refine-semantic"], clicks=2)
    refined = report.summary()["datasets"]["Tiny"]["refine_semantic"]
    assert refined["dice"]["liver"][0] == pytest.approx((6 / 7 + 2 / 3) / 2)
    # A perfect initial mask: no click, and the curve stays at 1.
    assert refined["dice"]["spleen"] == [1.0, 1.0, 1.0]
    # Liver of "one": row 0 painted, 8/10, then 8/9. Liver of "two": 8/12, 8/11, 8/10. Spleen: 0 clicks.
    assert refined["noc90"] == pytest.approx((2 + 0 + 2) / 3)


def test_ten_and_twenty_clicks_are_both_reported(tmp_path: Path) -> None:
    report = evaluate(ThresholdPredictor(BOTH), [pictures(tmp_path)], modes=["interactive"], clicks=20)
    interactive = report.summary()["datasets"]["Tiny"]["interactive"]
    assert interactive["cap"] == 10
    assert interactive["noc95"] <= interactive["noc95_cap20"]
    assert len(interactive["dice"]["mean"]) == 21


def test_references_come_from_the_training_split(tmp_path: Path) -> None:
    predictor = ThresholdPredictor({})
    report = evaluate(predictor, [pictures(tmp_path)], modes=["in_context"], absent_classes=False)
    in_context = report.summary()["datasets"]["Tiny"]["in_context"]
    assert in_context["dice"]["mean"] == pytest.approx((6 / 7 + 1 + 2 / 3) / 3)
    assert all(choice.split == "train" for choice in report.references)
    assert {(choice.patient, choice.cls) for choice in report.references} == {
        ("p1", "liver"),
        ("p1", "spleen"),
        ("p2", "liver"),
    }
    assert report.references[0].slices == ("ref:0",)  # the only training slice with liver
    assert all(mask.any() for pairs in predictor.shown for _, mask in pairs)


def test_refining_in_context_uses_the_same_references(tmp_path: Path) -> None:
    report = evaluate(ThresholdPredictor({}), [pictures(tmp_path)], modes=["in_context", "refine_in_context"])
    datasets = report.summary()["datasets"]["Tiny"]
    assert datasets["refine_in_context"]["dice"]["mean"][0] == pytest.approx(datasets["in_context"]["dice"]["mean"])


def test_a_class_the_model_does_not_know_is_skipped_by_name_only(tmp_path: Path) -> None:
    report = evaluate(ThresholdPredictor({"liver": 100}), [pictures(tmp_path)])
    summary = report.summary()
    assert "spleen" not in summary["datasets"]["Tiny"]["semantic"]["dice"]
    assert "spleen" in summary["datasets"]["Tiny"]["in_context"]["dice"]
    assert summary["skipped"] == [
        {"dataset": "Tiny", "reason": "the model does not know the class", "cls": "spleen", "mode": "semantic"}
    ]


def test_nothing_is_encoded_for_a_slice_without_a_task(tmp_path: Path) -> None:
    predictor = ThresholdPredictor({})
    report = evaluate(predictor, [pictures(tmp_path)], modes=["semantic"])
    assert predictor.encoded == 0
    assert report.summary()["datasets"] == {}


def volume(path: Path, *, patients: int = 2, **changes: Any) -> DatasetFolder:
    """Volumes of 6 columns, 4 rows and 3 slices with liver in the second and third; no training split."""
    labels = np.zeros((6, 4, 3), dtype=np.uint8)
    labels[0:2, 0, 1] = 1
    labels[0:4, 0, 2] = 1
    image = labels * 100
    image[5, 3, 0] = 100
    items = [listed(f"v{number}", suffix=".nii.gz", patient=f"p{number}") for number in range(patients)]
    arrays = {f"mask_v{number}": labels for number in range(patients)}
    arrays |= {f"image_v{number}": image for number in range(patients)}
    return DatasetFolder.open(write_folder(path, describe(items, **{"name": "Volumes", **changes}), **arrays))


def test_volumes_are_scored_as_a_whole_too(tmp_path: Path) -> None:
    predictor = ThresholdPredictor({"liver": 100})
    report = evaluate(predictor, [volume(tmp_path)], modes=["semantic"])
    semantic = report.summary()["datasets"]["Volumes"]["semantic"]
    assert semantic["dice"]["mean"] == 1.0
    # 2 * 6 / (7 + 6): the false positive in the first slice counts here.
    assert semantic["volume_dice"] == pytest.approx({"liver": 12 / 13, "mean": 12 / 13})
    assert semantic["false_positive_rate"]["liver"] == 1.0
    assert predictor.encoded == 6


def test_where_there_is_nothing_to_see_nothing_is_found_and_no_model_asked(tmp_path: Path) -> None:
    """Padding around a volume, say; models refuse it. Whatever is labelled there is missed, clicks or not."""
    labels = np.zeros((6, 4, 3), dtype=np.uint8)
    labels[0:2, 0, 1:] = 1
    image = labels * 100
    image[..., 2] = 0
    items = [listed("v", suffix=".nii.gz", patient="p")]
    path = write_folder(tmp_path, describe(items, name="Padded"), mask_v=labels, image_v=image)
    predictor = ThresholdPredictor({"liver": 100})
    modes = ["semantic", "interactive"]
    report = evaluate(predictor, [DatasetFolder.open(path)], modes=modes, clicks=2)
    assert predictor.encoded == 1
    found = {(row.index, row.mode): (row.curve, row.found, row.pixels) for row in report.slices}
    assert found == {
        (0, Mode.SEMANTIC): ((), False, (0, 0, 0)),
        (1, Mode.SEMANTIC): ((1.0,), True, (2, 2, 2)),
        (1, Mode.INTERACTIVE): ((0.0, 4 / 8, 4 / 7), True, (2, 5, 2)),
        (2, Mode.SEMANTIC): ((0.0,), False, (0, 0, 2)),
        (2, Mode.INTERACTIVE): ((0.0, 0.0, 0.0), False, (0, 0, 2)),
    }
    assert report.summary()["datasets"]["Padded"]["semantic"]["false_positive_rate"]["liver"] == 0.0


def test_a_class_that_a_volume_does_not_show_has_no_dice_there(tmp_path: Path) -> None:
    """Zero for a single false pixel would say little; that is what the false positives are counted for."""
    everywhere = ThresholdPredictor({"liver": 100, "spleen": 100})
    report = evaluate(everywhere, [volume(tmp_path, labels=LABELS)], modes=["semantic"])
    semantic = report.summary()["datasets"]["Volumes"]["semantic"]
    assert set(semantic["volume_dice"]) == {"liver", "mean"}
    assert {row.cls for row in report.volumes} == {"liver"}
    assert semantic["false_positive_rate"]["spleen"] == 1.0


def test_a_limited_volume_has_no_dice_of_its_own(tmp_path: Path) -> None:
    predictor = ThresholdPredictor({"liver": 100})
    report = evaluate(predictor, [volume(tmp_path)], modes=["semantic"], limit=2)
    assert report.summary()["datasets"]["Volumes"]["semantic"]["volume_dice"] == {}
    assert [(row.item, row.index) for row in report.slices] in ([("v0", 1), ("v1", 1)], [("v0", 2), ("v1", 2)])


def test_a_set_without_training_split_lends_references_of_other_patients(tmp_path: Path) -> None:
    predictor = ThresholdPredictor({})
    report = evaluate(predictor, [volume(tmp_path)], modes=["in_context"])
    assert {choice.patient: choice.slices[0][:2] for choice in report.references} == {"p0": "v1", "p1": "v0"}
    assert {choice.split for choice in report.references} == {"test"}
    assert len(predictor.shown) == 2  # one per patient and class, not one per slice


def test_a_lone_patient_has_no_reference(tmp_path: Path) -> None:
    report = evaluate(ThresholdPredictor({}), [volume(tmp_path, patients=1)], modes=["in_context"])
    assert [skipped.reason for skipped in report.skipped] == ["there is no other patient to take a reference from"]


def test_equal_seeds_give_equal_reports(tmp_path: Path) -> None:
    folder = pictures(tmp_path)
    first = evaluate(ThresholdPredictor(BOTH), [folder], modes=["semantic", "in_context"], seed=3)
    assert (
        first.to_json()
        == evaluate(ThresholdPredictor(BOTH), [folder], modes=["semantic", "in_context"], seed=3).to_json()
    )


def test_an_average_over_datasets_weighs_them_equally(tmp_path: Path) -> None:
    folders = [pictures(tmp_path / "pictures"), volume(tmp_path / "volumes")]
    summary = evaluate(ThresholdPredictor(BOTH), folders, modes=["semantic", "interactive"], clicks=1).summary()
    expected = ((6 / 7 + 1 + 2 / 3) / 3 + 1) / 2
    assert summary["mean_of_datasets"]["semantic"] == {
        "dice": pytest.approx(expected),
        "dice_interval95": None,  # of two patients each
        "patients": 4,
    }
    assert len(summary["mean_of_datasets"]["interactive"]["dice"]) == 2


def clicked(dataset: str, *curve: float, patients: int = 6) -> list[SliceMeasurement]:
    """A slice of each patient, which the curve of the set and a little of the patient's own describes."""
    return [
        SliceMeasurement(
            *(dataset, f"{dataset}{number}", f"p{number}", 0, "liver", Mode.INTERACTIVE, True),
            curve=tuple(dice + 0.002 * number for dice in curve),
            found=True,
            milliseconds=1.0,
        )
        for number in range(patients)
    ]


def test_an_average_over_datasets_is_no_median_and_has_an_interval() -> None:
    """The paper's "Avg" of three sets of which one is far from the others."""
    settings = EvaluationSettings(modes=(Mode.INTERACTIVE,), clicks=2)
    sets = [clicked("A", 0, 0.1, 0.2), clicked("B", 0, 0.8, 0.9), clicked("C", 0, 0.9, 0.95)]
    summary = EvaluationReport(settings, [row for rows in sets for row in rows]).summary()
    found = summary["mean_of_datasets"]["interactive"]
    assert found["dice"] == pytest.approx([0.005, 0.605, 2.05 / 3 + 0.005])
    assert found["noc90"] == pytest.approx((2 + 2 + 1) / 3)
    assert found["patients"] == 18
    (low, high), alone = np.transpose(found["dice_interval95"])[1], summary["datasets"]["A"]["interactive"]
    assert low < 0.605 < high
    (own_low, own_high) = np.transpose(alone["dice_interval95"]["mean"])[1]
    assert high - low < own_high - own_low  # three sets are more than one
    assert found["noc90_interval95"] == pytest.approx([5 / 3, 5 / 3])
    few = EvaluationReport(settings, [*sets[0], *clicked("B", 0, 0.8, 0.9, patients=4)]).summary()
    assert few["datasets"]["A"]["interactive"]["dice_interval95"]["mean"] is not None
    assert few["mean_of_datasets"]["interactive"]["dice_interval95"] is None


def test_files_hold_what_was_measured(tmp_path: Path) -> None:
    report = evaluate(ThresholdPredictor(BOTH), [pictures(tmp_path / "data")], clicks=2, limit=5, model="threshold")
    report.write(tmp_path / "report.json", rows=tmp_path / "rows.csv")
    content: dict[str, Any] = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert content == json.loads(json.dumps(report.summary()))
    assert content["settings"]["model"] == "threshold"
    assert content["settings"]["modes"] == ["semantic", "in_context", "interactive"]
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    assert len(lines) == len(report.slices)
    assert lines[0]["mode"] == "semantic"
    assert float(lines[0]["dice0"]) == pytest.approx(6 / 7)
    assert lines[0]["dice2"] == ""
    with pytest.raises(CannotWrite):
        report.write(tmp_path / "nowhere" / "report.json")


def test_cancelling_leaves_nothing_behind(tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []

    def stop(done: int, total: int, dataset: str) -> None:
        seen.append((done, total, dataset))
        raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        evaluate(ThresholdPredictor(BOTH), [pictures(tmp_path)], progress=stop)
    assert seen == [(1, 2, "Tiny")]


def test_table_and_progress_bar_show_every_dataset(tmp_path: Path) -> None:
    console = Console(record=True, width=140, file=io.StringIO())
    modes = ["semantic", "interactive", "refine_semantic"]
    with progress_bar(console) as progress:
        report = evaluate(ThresholdPredictor(BOTH), [pictures(tmp_path)], modes=modes, limit=9, progress=progress)
    console.print(report_table(report))
    text = console.export_text()
    assert "at most 9 slices" in text
    assert "84.13" in text  # (6/7 + 1 + 2/3) / 3
    assert "Mean of datasets" in text
    for code_page in ("cp932", "cp949", "cp1252", "ascii"):
        Console(width=140, file=io.TextIOWrapper(io.BytesIO(), encoding=code_page)).print(report_table(report))


def test_every_number_of_the_table_has_its_interval_below_it_in_a_hundred_columns() -> None:
    settings = EvaluationSettings(modes=(Mode.INTERACTIVE,), clicks=5)
    sets = [clicked(name, 0, *(0.8 + 0.03 * click for click in range(5))) for name in ("GLOMERULI_AIDPATH", "B")]
    console = Console(record=True, width=100, file=io.StringIO())
    console.print(report_table(EvaluationReport(settings, [row for rows in sets for row in rows])))
    lines = console.export_text().splitlines()
    first = next(number for number, line in enumerate(lines) if "GLOMERULI_AIDPATH" in line)
    assert lines[first].split() == ["GLOMERULI_AIDPATH", "6", "-", "80.50", "92.50", "4.83", "5.00", "-"]
    assert lines[first + 1].split() == ["interactive", "6", "80.1-80.9", "92.1-92.9", "4.33-5.00", "5.00-5.00"]
    mean = next(number for number, line in enumerate(lines) if "Mean of datasets" in line)
    assert lines[mean].split()[-5:] == ["80.50", "92.50", "4.83", "5.00", "-"]
    assert lines[mean + 1].split()[:2] == ["interactive", "12"]
    assert [cell.count("-") for cell in lines[mean + 1].split()[2:]] == [1, 1, 1, 1]
    assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"modes": []}, "At least one mode"),
        ({"modes": ["magic"]}, "no mode 'magic'; choose from semantic"),
        ({"limit": 0}, "limit must be at least 1"),
        ({"clicks": 0}, "At least 1 click"),
        ({"references": 0}, "At least 1 reference"),
        ({"seed": -1}, "seed must not be negative"),
        ({"references": 2, "axial_references": True}, "no axial positions for 2 references"),
    ],
)
def test_settings_out_of_range_are_refused(tmp_path: Path, setting: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidConfig, match=sentence):
        evaluate(ThresholdPredictor(BOTH), [pictures(tmp_path)], **setting)


def test_datasets_must_be_given_named_apart_and_have_the_split(tmp_path: Path) -> None:
    folder = pictures(tmp_path / "a")
    with pytest.raises(InvalidConfig, match="no dataset"):
        evaluate(ThresholdPredictor(BOTH), [])
    with pytest.raises(InvalidConfig, match="share a name"):
        evaluate(ThresholdPredictor(BOTH), [folder, folder])
    with pytest.raises(InvalidDataset, match="No dataset has a split 'external'; there are test, train"):
        evaluate(ThresholdPredictor(BOTH), [folder], split="external")


def test_a_dataset_without_the_split_is_skipped(tmp_path: Path) -> None:
    folders = [pictures(tmp_path / "a"), volume(tmp_path / "b")]
    report = evaluate(ThresholdPredictor(BOTH), folders, split="train", modes=["semantic"])
    assert [(skipped.dataset, skipped.reason) for skipped in report.skipped] == [("Volumes", "has no split 'train'")]


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    class Shrinking(ThresholdPredictor):
        def segment(self, image: Any, *, cls: str | None = None, reference: Any = None) -> Result:
            return Result(np.zeros((2, 2), dtype=bool))

    with pytest.raises(GeometryMismatch):
        evaluate(Shrinking(BOTH), [pictures(tmp_path)], modes=["semantic"])


def test_modes_know_what_they_need() -> None:
    assert [mode.value for mode in Mode if mode.uses_class] == ["semantic", "refine_semantic"]
    assert [mode.value for mode in Mode if mode.uses_references] == ["in_context", "refine_in_context"]
    assert Mode.parse("in-context") is Mode.IN_CONTEXT
