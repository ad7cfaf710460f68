"""Cells that can be worked out by hand."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from KPrismLib.evaluation.measurements import VolumeMeasurement
from KPrismLib.evaluation.settings import Mode
from KPrismLib.network import base_config
from KPrismLib.network.parameters import total
from Testing.training.report.tiny_report import measured, store
from Training.report.build import _verdicts
from Training.report.costs import Speed, Throughput
from Training.report.document import Section, Table, percent, plain, printed, signed_percent
from Training.report.needs import Effort, clicks, exemplar, masks, refined, shots, volumes
from Training.report.results import Facts, Results
from Training.report.set_content import SetContent
from Training.report.statistics import Number
from Training.report.tables.ablations import ablation_table
from Training.report.tables.clicks import table4, table5d
from Training.report.tables.costs import table8
from Training.report.tables.dice import table2, table3
from Training.report.tables.references import table9, table10
from Training.report.view import View

ALL = Effort()
SEMANTIC, IN_CONTEXT, INTERACTIVE = Mode.SEMANTIC, Mode.IN_CONTEXT, Mode.INTERACTIVE


@pytest.fixture
def results(tmp_path: Path) -> Results:
    return Results(tmp_path)


@pytest.fixture
def view(results: Results) -> View:
    return View(results, "tiny")


def _row(section: Section, first: str, *, table: int = 0) -> dict[str, str]:
    """The row whose first cell says so, by column; columns of one name are numbered."""
    found = section.tables[table]
    header = [f"{name}{found.header[:position].count(name) or ''}" for position, name in enumerate(found.header)]
    return dict(zip(header, next(row for row in found.rows if row[0] == first), strict=True))


def test_nothing_measured_makes_no_table(view: View) -> None:
    for table in (table2, table3, table4, table5d, table9, table10):
        assert table(view) is None
    assert ablation_table("table5a", view) is None
    assert table8(None) is None


def test_table_2_beside_the_paper(results: Results, view: View) -> None:
    rows = [
        *(measured("BUSI", SEMANTIC, 0.5 + 0.02 * place, patient=name) for place, name in enumerate("abcdefghijk")),
        measured("BUSI", IN_CONTEXT, 0.4, patient="a"),
        measured("BUSI", SEMANTIC, patient="a", index=1, present=False),
    ]
    store(results, rows)
    store(results, [measured("KITS19_TUMOUR", SEMANTIC, 0.9)])
    store(results, [measured("MINE", SEMANTIC, 0.25)], trained_on=["MINE"])
    section = table2(view)
    assert section is not None
    busi = _row(section, "Breast Cancer")
    assert busi["measured on"] == "BUSI"
    assert (busi["pairs"], busi["patients"]) == ("11", "11")
    # As wide as Student's interval: 2.23 standard errors of 0.02 are 4.5 points.
    assert busi["semantic: ours [95 %]"] == "60.0 [55.6, 64.4]"
    assert busi["paper"] == "76.86"
    assert busi["paper's best other"] == "Hermes 78.09"
    assert busi["in-context: ours [95 %]"] == "40.0"
    average = _row(section, "**mean of sets**")
    assert average["measured on"] == "semantic: 2 sets, in-context: 1 set"
    assert average["semantic: ours [95 %]"] == "75.0"  # (60 + 90) / 2, whatever the number of slices
    assert average["paper"] == "77.78"  # (76.86 + 78.70) / 2
    assert average["paper1"] == "75.55"  # in context only one of the two was measured
    assert _row(section, "MINE", table=1)["semantic"] == "25.0"
    assert "Stand-ins: KITS19_TUMOUR for KiTS (57 slices of KiTS19)" in " ".join(section.notes)
    assert any("86.21 printed, 84.44 computed" in note for note in section.notes)
    assert any(note.startswith("Not measured, for want of data: AMOS_CT") for note in section.notes)


def test_dice_of_the_paper_s_class_only(results: Results, view: View) -> None:
    store(
        results,
        [
            measured("DRISHTI_GS", SEMANTIC, 0.9, cls="optic disc"),
            measured("DRISHTI_GS", SEMANTIC, 0.1, cls="optic cup"),
        ],
    )
    section = table2(view)
    assert section is not None
    assert _row(section, "PAPILA")["semantic: ours [95 %]"] == "90.0"


def test_table_3_does_not_call_external_what_was_trained_on(results: Results, view: View) -> None:
    store(results, [measured("ACDC", SEMANTIC, 0.9)], trained_on=["ACDC"])
    store(results, [measured("IRCAD_LIVER_MINI", SEMANTIC, 0.5)], trained_on=["ACDC"])
    store(results, [measured("BUS", SEMANTIC, 0.3)], trained_on=["ACDC"])
    store(results, [measured("BRATS2015_SIX", IN_CONTEXT, 0.2)])
    section = table3(view)
    assert section is not None
    assert _row(section, "ACDC")["measured on"] == "ACDC †"
    average = _row(section, "**mean of sets**")
    assert (average["measured on"], average["semantic: ours [95 %]"]) == ("2 sets", "40.0")
    assert average["paper"] == printed((80.24 + 78.75) / 2)
    unseen = _row(section, "BraTS", table=1)
    assert (unseen["semantic: ours [95 %]"], unseen["paper"]) == ("–", "–")
    assert (unseen["in-context: ours [95 %]"], unseen["paper1"]) == ("20.0", "22.20")


def test_no_set_is_external_whose_patients_were_trained_on_under_another_name(results: Results, view: View) -> None:
    store(results, [measured("IRCAD_LIVER_MINI", SEMANTIC, 0.5)], trained_on=["LITS_LIVER"])
    section = table3(view)
    assert section is not None
    assert _row(section, "BTCV")["measured on"] == "IRCAD_LIVER_MINI †"
    assert any("another set with patients of this one" in note for note in section.notes)


def test_means_over_sets_of_different_effort_are_told(results: Results, view: View) -> None:
    for name, limit in (("BUSI", 3), ("CXR_LUNG", 3), ("KITS19_TUMOUR", None)):
        store(results, [measured(name, SEMANTIC, 0.5)], limit=limit)
        store(results, [measured(name, INTERACTIVE, *[0.5] * 11)], protocol=clicks(ALL), limit=3)
    section, other = table2(view), table4(view)
    assert section is not None
    assert other is not None
    assert section.notes[0].startswith("**Not alike: limit is 3, but none in masks/KITS19_TUMOUR. Means over these")
    assert not any("Not alike" in note for note in other.notes)


@pytest.mark.parametrize("table", [table9, table10])
def test_a_table_over_references_of_different_effort_tells_it(results: Results, view: View, table: Any) -> None:
    for number, limit in ((1, 3), (3, 5)):
        protocol = exemplar(number // 3, ALL) if table is table9 else shots(number, ALL)
        name = "BUSI" if table is table9 else "AMOS_CT"
        store(results, [measured(name, IN_CONTEXT, 0.5)], protocol=protocol, limit=limit)
    section = table(view)
    assert section is not None
    assert any("Not alike: limit is 3, but 5 in" in note for note in section.notes)


def test_what_other_weights_of_the_name_measured_is_left_out(results: Results) -> None:
    """Such as references of Table 9 beyond those that were measured again, or sets that were not at hand."""
    for number, digest in enumerate(("new", "new", "old", "old")):
        rows = [measured("BUSI", IN_CONTEXT, 0.2 * (number + 1))]
        store(results, rows, protocol=exemplar(number, ALL), digest=digest)
    store(results, [measured("BUSI", SEMANTIC, 0.5)], digest="new")
    store(results, [measured("CXR_LUNG", SEMANTIC, 0.5)], digest="old")
    store(results, [measured("MINE", SEMANTIC, 0.5)], digest="old", trained_on=["MINE"])
    view = View(results, "tiny", digest="new")
    section, two = table9(view), table2(view)
    assert section is not None
    assert two is not None
    assert (_row(section, "BUS")["references"], _row(section, "BUS")["mean"]) == ("2", "30.00")
    assert [row[0] for table in two.tables for row in table.rows] == ["Breast Cancer"]
    assert view.left_out() == [
        "Left out, for other weights called tiny measured them: exemplar-03/BUSI and exemplar-04/BUSI and "
        "masks/CXR_LUNG and 1 more."
    ]
    assert View(results, "tiny", digest="old").measured("masks", "Breast Cancer") is None
    assert View(results, "tiny", digest="new").facts("exemplar-03") == []


def test_a_run_of_an_ablation_that_was_trained_again_is_told(results: Results, view: View) -> None:
    for name, digest in (("ACDC", "old"), ("BUSI", "new")):
        store(results, [measured(name, SEMANTIC, 0.5)], model="ablations/no-moe", digest=digest)
        store(results, [measured(name, SEMANTIC, 0.5)], model="ablations/full", digest="full")
    section = ablation_table("table5a", view)
    assert section is not None
    told = "**Not of the same weights on every set: ablations/no-moe; measure again with --redo.**"
    assert told in section.notes


def test_the_stricter_protocol(results: Results, view: View) -> None:
    store(results, [measured("ACDC", SEMANTIC, 0.9)])
    rows = [
        measured("ACDC", SEMANTIC, 0.8, index=1),
        measured("ACDC", SEMANTIC, index=2, present=False, found=True),
        measured("ACDC", SEMANTIC, index=3, present=False, found=False),
        VolumeMeasurement("ACDC", "p1", "p1", "liver", SEMANTIC, 0.6),
    ]
    store(results, rows, protocol=volumes(ALL))
    section = table2(view)
    assert section is not None
    strict = _row(section, "ACDC", table=1)
    assert strict["Dice per slice (paper's protocol)"] == "80.0"
    assert strict["Dice per volume"] == "60.0"
    assert strict["false positives on slices without the class"] == "50.0"
    assert strict["such (slice, class) pairs"] == "2"


def test_table_4_by_group(results: Results, view: View) -> None:
    curve = (0.0, 0.5, 0.91, 0.92, 0.93, 0.96, *[0.96] * 5)
    for name, trained in (("BUSI", ["BUSI"]), ("CXR_LUNG", ["CXR_LUNG"]), ("BRATS2015_SIX", [])):
        store(results, [measured(name, INTERACTIVE, *curve)], protocol=clicks(ALL), trained_on=trained)
    section = table4(view)
    assert section is not None
    ours = _row(section, "in-distribution")
    assert (ours["method"], ours["sets"]) == ("**ours** [95 %]", "2")
    assert [ours[name] for name in ("NoC90 ↓", "NoC95 ↓", "Dice(1) ↑", "Dice(5) ↑")] == ["2.00", "5.00", "50.0", "96.0"]
    assert len(section.tables[0].rows) == 3 * 6 + 2  # nothing external is left: BUSI was trained on
    assert ["external", "K-Prism, paper", "", "", "2.01", "4.24", "88.67", "94.92"] in section.tables[0].rows
    assert _row(section, "BUSI †", table=1)["pairs"] == "1"
    assert len(section.tables[1].rows) == 3  # BUSI stands for two sets, and is listed once


def test_clicks_are_counted_as_far_as_they_were_made(results: Results, view: View) -> None:
    late = (0.0, *[0.5] * 13, *[0.92] * 7)  # 0.90 after 14 clicks of 20
    store(results, [measured("CXR_LUNG", INTERACTIVE, *late)], protocol=clicks(ALL))
    section = table4(view)
    assert section is not None
    assert _row(section, "in-distribution")["NoC90 ↓"] == "10.00"
    assert section.tables[1].title == "Counted up to 20 clicks"
    assert section.tables[1].rows == [["in-distribution", "1", "1", "14.00", "20.00"]]
    assert "NoC counts a failure as 10 clicks, the cap of the paper's curves." in section.notes


def test_fewer_clicks_than_the_paper_s_are_said_to_be_no_match(results: Results, view: View) -> None:
    store(results, [measured("CXR_LUNG", INTERACTIVE, *[0.5] * 6)], protocol=clicks(ALL))
    section = table4(view)
    assert section is not None
    assert _row(section, "in-distribution")["NoC90 ↓"] == "5.00"
    assert "Only 5 clicks were made: NoC counts a failure as 5, and is no match for the paper's." in section.notes
    assert len(section.tables) == 2


def test_table_5d_compares_the_same_slices(results: Results, view: View) -> None:
    def curves(mode: Mode, reached: int) -> list[object]:
        return [
            measured("BUSI", mode, *(0.91 if click >= reached else 0.5 for click in range(11)), patient=patient)
            for patient in "abcdefgh"
        ]

    store(results, curves(INTERACTIVE, 3), protocol=clicks(ALL))
    store(results, [*curves(Mode.REFINE_SEMANTIC, 1), *curves(Mode.REFINE_IN_CONTEXT, 5)], protocol=refined(ALL))
    section = table5d(view)
    assert section is not None
    start, semantic, in_context = section.tables[0].rows
    assert start[:5] == ["BUSI", "8", "Mode-3", "3.00 [3.00, 3.00]", "1.67"]
    assert semantic[2:7] == ["Mode-1 refine", "1.00 [1.00, 1.00]", "1.10", "-2.00 [-2.00, -2.00]", "yes"]
    assert in_context[2:7] == ["Mode-2 refine", "5.00 [5.00, 5.00]", "1.17", "+2.00 [+2.00, +2.00]", "**no**"]


def test_table_5d_takes_one_folder_for_both_of_its_protocols(results: Results, view: View) -> None:
    curve, refinements = [0.5] * 11, (Mode.REFINE_SEMANTIC, Mode.REFINE_IN_CONTEXT)
    store(results, [measured("BUS", INTERACTIVE, *curve)], protocol=clicks(ALL))
    store(results, [measured("ACDC", INTERACTIVE, *curve)], protocol=clicks(ALL))
    store(results, [measured("BUSI", mode, *curve) for mode in refinements], protocol=refined(ALL))
    assert table5d(view) is None  # never the clicks on one set beside the refined masks of another
    store(results, [measured("BUSI", INTERACTIVE, *curve)], protocol=clicks(ALL))
    section = table5d(view)
    assert section is not None
    assert {row[0] for row in section.tables[0].rows} == {"BUSI"}
    assert "ACDC is left out: only `clicks` was measured on it." in section.notes


def _ablation(results: Results, run: str, semantic: float, in_context: float) -> None:
    rows = [
        measured("BUSI", mode, value + 0.01 * number, patient=str(number))
        for number in range(6)
        for mode, value in ((SEMANTIC, semantic), (IN_CONTEXT, in_context))
    ]
    store(results, rows, model=f"ablations/{run}", protocol=masks(ALL))


def test_ablations_against_the_full_run(results: Results, view: View) -> None:
    _ablation(results, "full", 0.70, 0.60)
    _ablation(results, "no-moe", 0.60, 0.65)
    section = ablation_table("table5a", view)
    assert section is not None
    full = _row(section, "Ours")
    assert full["parameters of `base`, exact"] == f"{total(base_config()):,}"
    assert full["paper"] == "43.29 M"
    assert full["semantic Dice ↑"].startswith("72.5 [")
    assert full["paper1"] == "81.28"
    assert full["NoC90 ↓"] == "–"
    assert _row(section, "w/o MoE CA")["semantic Dice ↑"] == "–"  # not trained yet
    change = _row(section, "w/o MoE FFN & CA", table=1)
    assert change["semantic Dice ↑"] == "-10.0 [-10.0, -10.0]"
    assert (change["paper"], change["with the paper?"]) == ("-4.51", "yes")
    assert (change["in-context Dice ↑"], change["with the paper?1"]) == ("+5.0 [+5.0, +5.0]", "**no**")


def test_ablations_are_compared_on_one_folder(results: Results, view: View) -> None:
    _ablation(results, "full", 0.70, 0.60)
    _ablation(results, "no-moe", 0.60, 0.65)
    store(results, [measured("BUS", SEMANTIC, 0.1)], model="ablations/no-moe", protocol=masks(ALL))
    section = ablation_table("table5a", view)
    assert section is not None
    assert _row(section, "w/o MoE FFN & CA")["semantic Dice ↑"].startswith("62.5 [")
    assert _row(section, "w/o MoE FFN & CA", table=1)["semantic Dice ↑"] == "-10.0 [-10.0, -10.0]"
    store(results, [measured("BUS", SEMANTIC, 0.3)], model="ablations/full", protocol=masks(ALL))
    section = ablation_table("table5a", view)
    assert section is not None
    assert _row(section, "Ours")["semantic Dice ↑"] == "30.0"  # now that the set itself has as much


def test_ablations_say_what_was_trained_and_how_far_clicks_were_counted(results: Results, view: View) -> None:
    curve = [measured("BUSI", INTERACTIVE, *[0.5] * 6)]
    store(results, curve, model="ablations/full", protocol=clicks(ALL), network="base", steps=14030)
    section = ablation_table("table5a", view)
    assert section is not None
    assert section.notes[0].startswith("Ours: network `base`, 14,030 steps. The paper's: network `base`, 75 epochs. Of")
    assert "Only 5 clicks were made" in " ".join(section.notes)
    store(results, curve, model="ablations/full", protocol=clicks(ALL))  # weights that do not say
    section = ablation_table("table5a", view)
    assert section is not None
    assert section.notes[0].startswith("Of another network or a shorter training only")


def test_a_run_for_one_mode_has_no_other_numbers(results: Results, view: View) -> None:
    store(results, [measured("BUSI", IN_CONTEXT, 0.5)], model="ablations/in-context-only", protocol=masks(ALL))
    section = ablation_table("table7a", view)
    assert section is not None
    alone = _row(section, "Mode-2 only")
    assert (alone["semantic Dice ↑"], alone["in-context Dice ↑"]) == ("–", "50.0")
    parts = ablation_table("table5b", view)
    assert parts is not None
    assert _row(parts, "Ours")["in-context Dice ↑"] == "50.0"


def test_experts_include_the_plain_decoder(results: Results, view: View) -> None:
    _ablation(results, "experts-1", 0.5, 0.5)
    section = ablation_table("table7b", view)
    assert section is not None
    assert _row(section, "1 (Plain)")["paper"] == "–"


def test_table_9_over_references(results: Results, view: View) -> None:
    for number, value in enumerate((0.60, 0.70, 0.80)):
        store(results, [measured("BUSI", IN_CONTEXT, value)], protocol=exemplar(number, ALL))
    section = table9(view)
    assert section is not None
    assert section.tables[0].rows[0] == ["BUS", "BUSI, ours", "3", "70.00", "10.00", "60.00", "80.00"]
    assert section.tables[0].rows[1] == ["BUS", "paper", "10", "78.43", "0.72", "77.09", "79.15"]


def test_table_10_against_one_reference(results: Results, view: View) -> None:
    for count, value in ((1, 0.5), (3, 0.6)):
        rows = [measured("BTCV_SYNAPSE18", IN_CONTEXT, value, patient=patient) for patient in "abcdef"]
        chosen = {patient: tuple(f"v:{index}" for index in range(count)) for patient in "abcdef"}
        store(results, rows, protocol=shots(count, ALL), references=chosen)
    section = table10(view)
    assert section is not None
    difference = ("+10.0 [+10.0, +10.0]", "1.01", "yes")
    assert section.tables[0].rows[1] == ["3", "3", "60.0 [60.0, 60.0]", "79.22", *difference]
    assert "CT stands in): 6 patients." in section.notes[0]
    store(results, rows, protocol=shots(3, ALL), references=chosen | {"a": ("v:1", "v:2")})
    section = table10(view)
    assert section is not None
    assert section.tables[0].rows[1][:2] == ["3", "2.8, at least 2"]


def test_of_four_patients_there_is_no_verdict(results: Results, view: View) -> None:
    for count, value in ((1, 0.5), (3, 0.6)):
        rows = [measured("BTCV_SYNAPSE18", IN_CONTEXT, value, patient=patient) for patient in "abcd"]
        store(results, rows, protocol=shots(count, ALL))
    section = table10(view)
    assert section is not None
    assert section.tables[0].rows[1][-3:] == ["+10.0", "1.01", "open"]
    assert any("or where a set has fewer than 5 patients" in note for note in section.notes)


def test_how_many_verdicts_chance_alone_makes_is_told(results: Results, view: View) -> None:
    for count, value in ((1, 0.5), (3, 0.6), (5, 0.7)):
        rows = [measured("BTCV_SYNAPSE18", IN_CONTEXT, value, patient=patient) for patient in "abcdef"]
        store(results, rows, protocol=shots(count, ALL))
    section = table10(view)
    assert section is not None
    text = _verdicts([section] * 30)
    assert text.count("2 go the paper's way, 0 go against it, 0 cannot be told.") == 30
    assert "If none of these 60 differences were real, chance alone would still make about 3 of them (5 %)" in text


def test_tables_of_the_earlier_rule_for_references_are_measured_again(results: Results) -> None:
    content = SetContent()
    for protocol, changed in ((shots(3, ALL), "other settings"), (exemplar(0, ALL), ""), (masks(ALL), "")):
        now = json.loads(json.dumps(asdict(protocol)))
        facts = Facts("BTCV", {name: value for name, value in now.items() if name != "distinct"}, "d", "small")
        assert facts.misfit(now, "d", "", content) == changed
        assert replace(facts, protocol=now).misfit(now, "d", "", content) == ""


def test_steps_that_leave_out_the_beginning_are_said_to() -> None:
    facts = Facts("BUSI", {}, "d", "small", network="small", steps=7000)
    told = "in the runs averaged, not counting those that they began from: see the model card"
    assert facts.history == f"network `small`, 7,000 steps {told}"
    assert replace(facts, all_steps=True).history == "network `small`, 7,000 steps"
    assert replace(facts, steps=0).history == ""


def test_tables_9_and_10_keep_to_one_folder(results: Results, view: View) -> None:
    for number, name in ((0, "BUS"), (0, "BUSI"), (1, "BUSI")):
        store(results, [measured(name, IN_CONTEXT, 0.5)], protocol=exemplar(number, ALL))
    for count, name in ((1, "AMOS_CT"), (1, "AMOS_MRI"), (3, "AMOS_CT")):
        store(results, [measured(name, IN_CONTEXT, 0.5)], protocol=shots(count, ALL))
    references, counts = table9(view), table10(view)
    assert references is not None
    assert counts is not None
    assert references.tables[0].rows[0][:3] == ["BUS", "BUSI, ours", "2"]
    assert [row[0] for row in counts.tables[0].rows] == ["1", "3"]
    assert counts.notes[0].startswith("Measured on AMOS_CT")


def test_table_8_in_shares_of_the_plain_decoder(tmp_path: Path) -> None:
    def speed(experts: int, milliseconds: float) -> Speed:
        return Speed(
            experts=experts,
            parameters=10**experts,
            encode_ms=100.0,
            semantic_ms=milliseconds,
            click_ms=50.0,
            semantic_gflop=1.0,
        )

    found = Throughput(
        network="small",
        size=64,
        device="cpu",
        precision="float32",
        threads=1,
        speeds=(speed(5, 150.0), speed(1, 100.0)),
    )
    found.save(tmp_path / "throughput.json")
    section = table8(Throughput.load(tmp_path / "throughput.json"))
    assert section is not None
    assert section.tables[0].rows[0] == ["5", "100,000", "4.00", "3.63", "0.80", "0.67", "20.00", "1.0"]
    assert section.tables[0].rows[1][0] == "1 (plain)"


def test_cells_and_markdown() -> None:
    number = Number(*map(pytest.importorskip("numpy").float64, (0.12345, 0.1, 0.2)), 4)
    assert percent(number) == "12.3 [10.0, 20.0]"
    assert plain(number) == "0.12 [0.10, 0.20]"
    assert signed_percent(number) == "+12.3 [+10.0, +20.0]"
    assert percent(None) == printed(None) == "–"
    assert Table(["a", "b"], [["1|2", "3"]], "T").markdown() == "**T**\n\n| a | b |\n| --- | --- |\n| 1/2 | 3 |"
    text = Section("table10", notes=["One."]).markdown()
    assert text.startswith("## Table 10: Number of references")
    assert text.endswith("- One.\n")
