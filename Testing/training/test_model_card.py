"""The card's recipe: commands that train what ships, stage by stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from KPrismLib.errors import InvalidConfig
from Training.card_tables import class_table, click_table, dice_table, mean_over_sets, stand_ins
from Training.set_facts import SetFacts, left_out, source_table, split_table
from Training.training_recipe import parse_mean, training_commands


def test_each_stage_begins_from_the_one_before_or_from_the_mean_that_is_named() -> None:
    means = dict(parse_mean(text) for text in ("3=1:0.6,2:0.4", "small=2:0.25,3:0.75"))
    assert training_commands(["a.toml", "b.toml", "c.toml"], means).splitlines() == [
        "    kprism train a.toml --data DATA --output RUN1",
        "    kprism export RUN1/checkpoint.pt -o stage-1.safetensors",
        "    kprism train b.toml --data DATA --output RUN2 --from stage-1.safetensors",
        "    kprism export RUN2/checkpoint.pt -o stage-2.safetensors",
        "    kprism export RUN1/checkpoint.pt RUN2/checkpoint.pt --shares 0.6,0.4 -o start-3.safetensors",
        "    kprism train c.toml --data DATA --output RUN3 --from start-3.safetensors",
        "    kprism export RUN3/checkpoint.pt -o stage-3.safetensors",
        "    kprism export RUN2/checkpoint.pt RUN3/checkpoint.pt --shares 0.25,0.75 -o small.safetensors",
    ]


def test_a_set_whose_patients_were_trained_on_is_not_called_new() -> None:
    assert left_out(["B", "LITS_LIVER", "A"], {"LITS_LIVER"}) == "Not trained on at all: A, B."
    assert left_out(["LAScarQS"], {"LA2018"}) == (
        "Not trained on at all: -. LAScarQS is no part of training, but shares patients with LA2018."
    )
    assert left_out(["IRCAD_LIVER_MINI"], {"LITS_LIVER"}) == (
        "Not trained on at all: -. IRCAD_LIVER_MINI is no part of training, but shares patients with LITS_LIVER."
    )


def test_a_mean_of_what_is_not_there_yet_is_refused() -> None:
    with pytest.raises(InvalidConfig, match=r"no stage 2 before start-2.safetensors; stages are 1 to 1"):
        training_commands(["a.toml", "b.toml"], {"2": {1: 0.5, 2: 0.5}})
    with pytest.raises(InvalidConfig, match=r"given as 5=3:0.6,4:0.4, not as '0.6,0.4'"):
        parse_mean("0.6,0.4")


def test_a_set_stands_beside_the_one_of_the_paper_and_for_its_classes_only() -> None:
    def found(**dice: float) -> dict[str, Any]:
        dice = {name.replace("_", " "): value for name, value in dice.items()}
        return {
            mode: {"dice": dice, "dice_interval95": {"mean": None}, "pairs": 2, "patients": 2}
            for mode in ("semantic", "in_context")
        }

    both = found(optic_disc=0.96, optic_cup=0.84, mean=0.9)
    plain = found(mean=0.5)
    rows = dice_table({"DRISHTI_GS": both, "ACDC": plain, "BUSI": plain, "BRATS2015_SIX": plain, "PH3": plain})
    assert [row.split(" | ", 3)[3] for row in rows.splitlines()[2:]] == [
        "0.500 | 0.500 | ACDC, external: 0.873, 0.859 |",
        "0.500 | 0.500 | BraTS, unseen class: -, 0.222 |",
        "0.500 | 0.500 | Breast Cancer: 0.769, 0.755 |",
        "0.900 | 0.900 | PAPILA, optic disc only (here 0.960, 0.960): 0.957, 0.957 |",
        "0.500 | 0.500 |  |",
    ]
    assert stand_ins(["PH2", "ACDC", "LITS_LIVER", "PH3"]) == (
        "LITS_LIVER for LiTS (the liver, not its tumours), PH2 for UW-SC (another dermoscopy set)"
    )


def clicked(dice: float, noc: float, *, pairs: int = 4) -> dict[str, Any]:
    curve = [0.0, *(dice + step / 100 for step in range(10))]
    return {
        "interactive": {
            "dice": {"mean": curve},
            "pairs": {"mean": pairs},
            "patients": 4,
            "noc90": noc,
            "noc95": noc + 2,
        }
    }


def test_clicks_are_given_for_the_network_and_as_users_get_them() -> None:
    plain, honoured = {"B": clicked(0.5, 4.0), "A": clicked(0.7, 2.0)}, {"A": clicked(0.8, 1.0), "B": clicked(0.6, 3.0)}
    assert click_table(plain, honoured).splitlines()[2:] == [
        "| A | 4 | 4 patients | 0.700 | 0.720 | 0.740 | 0.790 | 2.00 | 4.00 |",
        "| B | 4 | 4 patients | 0.500 | 0.520 | 0.540 | 0.590 | 4.00 | 6.00 |",
        "| **mean of sets** | | 8 | 0.600 | 0.620 | 0.640 | 0.690 | 3.00 | 5.00 |",
        "| **mean of sets, clicks honoured** | | 8 | 0.700 | 0.720 | 0.740 | 0.790 | 2.00 | 4.00 |",
    ]
    assert click_table(plain).splitlines() == click_table(plain, honoured).splitlines()[:-1]
    spread = clicked(0.5, 4.0)["interactive"] | {
        "dice_interval95": {"mean": [[0.0] * 11, [1.0] * 11]},
        "noc90_interval95": [3, 5],
    }
    cells = "0.500 [0.000, 1.000] | 0.520 [0.000, 1.000] | 0.540 [0.000, 1.000] | 0.590 [0.000, 1.000]"
    assert (
        click_table({"B": {"interactive": spread}}).splitlines()[2]
        == f"| B | 4 | 4 patients | {cells} | 4.00 [3.00, 5.00] | 6.00 |"
    )
    five = clicked(0.5, 4.0)
    del five["interactive"]["dice"]["mean"][6:]
    assert (
        click_table({"B": five}).splitlines()[2] == "| B | 4 | 4 patients | 0.500 | 0.520 | 0.540 | - | 4.00 | 6.00 |"
    )
    for other in ({"A": clicked(0.8, 1.0)}, {**honoured, "B": clicked(0.6, 3.0, pairs=5)}):
        with pytest.raises(InvalidConfig, match="on other slices than not"):
            click_table(plain, other)


def evaluation(honoured: bool = False, **sets: float) -> dict[str, Any]:
    return {
        "settings": {"honour_clicks": honoured},
        "datasets": {name: clicked(dice, 3.0) for name, dice in sets.items()},
        "mean_of_datasets": {
            "interactive": {
                "dice": [0.0] * 11,
                "dice_interval95": [[0.4] * 11, [0.8] * 11],
                "noc90_interval95": [2, 4],
                "noc95_interval95": [4, 6],
            }
        },
    }


def test_the_mean_of_sets_has_the_interval_of_the_evaluation_that_measured_all_of_them() -> None:
    whole, part, other = evaluation(A=0.5, B=0.7), evaluation(A=0.5), evaluation(C=0.5)
    mean = mean_over_sets([part, whole], "interactive")
    assert mean == whole["mean_of_datasets"]["interactive"]
    assert mean_over_sets([whole, part], "interactive") is None  # A was measured again
    assert mean_over_sets([whole, other], "interactive") is None
    assert mean_over_sets([whole], "semantic") is None
    rows = click_table(whole["datasets"], whole["datasets"], mean=mean, honoured_mean=mean).splitlines()
    cells = "0.600 [0.400, 0.800] | 0.620 [0.400, 0.800] | 0.640 [0.400, 0.800] | 0.690 [0.400, 0.800]"
    assert rows[-2:] == [
        f"| **mean of sets{what}** | | 8 | {cells} | 3.00 [2.00, 4.00] | 5.00 [4.00, 6.00] |"
        for what in ("", ", clicks honoured")
    ]


def test_every_class_has_its_interval() -> None:
    modes = {
        "semantic": {
            "dice": {"disc": 0.9, "cup": 0.8, "mean": 0.85},
            "dice_interval95": {"disc": [0.88, 0.92], "cup": None, "mean": [0.8, 0.9]},
            "class_patients": {"disc": 7, "cup": 4},
        }
    }
    assert class_table({"A": modes}).splitlines()[2:] == [
        "| A | disc | 7 | 0.900 [0.880, 0.920] | not a class of the model |",
        "| A | cup | 4 | 0.800 | not a class of the model |",
    ]


@pytest.mark.parametrize(
    ("images", "patients", "unit"),
    [
        (["a.png", "b.JPG"], ["p", "q"], "images"),
        (["a.nii.gz", "b.nii.gz"], ["p", "q"], "scans"),
        (["a.png", "b.png"], ["p", "p"], "patients"),
    ],
)
def test_a_set_is_said_to_be_over_what_counts_as_a_patient(
    tmp_path: Path, images: list[str], patients: list[str], unit: str
) -> None:
    items = [
        {"image": image, "patient": patient, "split": "train"} for image, patient in zip(images, patients, strict=True)
    ]
    rule = "random | by image; near-duplicates may cross the split"
    description = {"name": "S", "items": items, "split_rule": rule}
    (tmp_path / "dataset.json").write_text(json.dumps(description), encoding="utf-8")
    facts = SetFacts.read(tmp_path)
    assert split_table([facts]).splitlines()[2] == (
        f"| S | {unit} | random / by image; near-duplicates may cross the split |"
    )
    assert source_table([facts]).splitlines()[2] == "| S | 2 | not given | not given |"
    found = {"semantic": {"dice": {"mean": 0.5}, "dice_interval95": {"mean": None}, "pairs": 2, "patients": 2}}
    assert f"| S | 2 | 2 {unit} | 0.500 |" in dice_table({"S": found}, {"S": facts.unit})
    assert f"| S | 4 | 4 {unit} | 0.500 |" in click_table({"S": clicked(0.5, 4.0)}, units={"S": facts.unit})
