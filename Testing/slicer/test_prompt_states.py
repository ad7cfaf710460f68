"""What was said about slices outlives calls from elsewhere, and much talk about other segments."""

from KPrismLogic.guide import Guide
from KPrismLogic.logic import KPrismLogic
from KPrismLogic.prompt_states import Dialogue, PromptStates, Topic
from KPrismLogic.slice_plane import SlicePlane
from Testing.slicer.scenes import Bench, body, geometry, segmentation_node, volume_node


def _dialogue(plane: SlicePlane) -> Dialogue:
    return Dialogue(plane, Guide(), None, False, (), b"")


def test_a_console_call_keeps_what_was_clicked_elsewhere_and_begins_anew_where_it_writes(scene):
    volume = volume_node(scene, body(), geometry("anisotropic"))
    bench = Bench.make(scene, volume, segmentation_node(scene, volume))
    planes = {k: SlicePlane.of_volume(volume, "axial").moved_to(bench.ras(k, 7, 8)) for k in (4, 6)}
    for k, plane in planes.items():
        bench.click(plane, bench.ras(k, 6, 7))
    known = bench.controller.answered(bench.target(planes[6]))
    assert known == [planes[4], planes[6]]
    console = KPrismLogic(bench.engine.model)
    for click in (bench.ras(6, 6, 14), bench.ras(6, 6, 7)):
        console.segmentSlice(volume, bench.segmentation, "Liver", clicks=[click])
        assert len(bench.controller.prompts(bench.target(planes[6]))) == 1
    assert len(bench.controller.prompts(bench.target(planes[4]))) == 1
    assert planes[4] in bench.controller.answered(bench.target(planes[6]))
    assert len(bench.controller.answered(bench.target(planes[6]))) == 2


def test_the_state_of_now_is_known_however_much_was_said_of_another_segment(scene):
    volume = volume_node(scene, body(), geometry("anisotropic"))
    segmentation = segmentation_node(scene, volume)
    liver, other = (segmentation.GetSegmentation().GetSegment(name) for name in ("Liver", "Other"))
    states, plane = PromptStates(), SlicePlane.of_volume(volume, "axial")
    states.record(liver, Topic(1, 1), first := _dialogue(plane))
    earlier = states.name(liver)
    states.record(liver, Topic(2, 1), second := _dialogue(plane))
    for number in range(400):
        states.record(other, Topic(number, 1), _dialogue(plane))
    assert states.dialogues(liver) == {Topic(1, 1): first, Topic(2, 1): second}
    assert len(states.dialogues(other)) == 400
    states.record(liver, Topic(3, 1), _dialogue(plane))  # and goes on from there
    assert set(states.dialogues(liver)) == {Topic(1, 1), Topic(2, 1), Topic(3, 1)}
    liver.SetTag("KPrism.State", earlier)  # what no undo list is long enough for is forgotten
    assert states.dialogues(liver) == {}
