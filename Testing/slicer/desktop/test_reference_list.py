"""The list of references: what adding and removing says, and which one is selected."""

import pytest

from Testing.slicer.desktop.strict_effect import show_layer, widget_named
from Testing.slicer.scenes import LIVER, fill


@pytest.fixture
def guided(desktop, effect):
    """The effect, with references as its guide and a segment that is drawn."""
    effect.self().onGuideChosen("reference")
    fill(desktop.bench.editor, desktop.bench.segmentation, "Liver", LIVER)
    return effect


def test_a_slice_is_a_reference_once(desktop, guided):
    show_layer(desktop, guided, 6)
    for said in (False, True):
        widget_named("KPrismAddReference").click()
        assert widget_named("KPrismReferences").count == 1
        assert ("This slice is among the references already." in widget_named("KPrismStatus").text) == said
    show_layer(desktop, guided, 7)
    widget_named("KPrismAddReference").click()
    assert "already" not in widget_named("KPrismStatus").text


def test_the_next_reference_is_selected_after_one_was_removed(desktop, guided):
    references, remove = widget_named("KPrismReferences"), widget_named("KPrismRemoveReference")
    for layer in (5, 6, 7):
        show_layer(desktop, guided, layer)
        widget_named("KPrismAddReference").click()
    remove.click()
    assert references.count == 3
    assert "Select a reference first." in widget_named("KPrismStatus").text
    references.setCurrentRow(1)
    for left in (2, 1, 0):
        remove.click()
        assert (references.count, references.currentRow) == (left, min(left - 1, 1))
    assert "Select" not in widget_named("KPrismStatus").text
    remove.click()
    assert "Select a reference first." in widget_named("KPrismStatus").text
