"""Panel and effect as Slicer builds them, for a process that has none of the engine's packages."""

import pytest
import slicer

from KPrismLogic.headless import application_scene
from Testing.slicer.desktop import strict_module
from Testing.slicer.desktop.strict_effect import AbstractEffect, Desktop, modules


def build() -> None:
    """Open the panel, activate the effect, leave both; what is missing is said."""
    scene, _kept = application_scene()
    made = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, module in modules(lambda: made["desktop"]).items():
            patch.setitem(__import__("sys").modules, name, module)
        patch.setattr(slicer, "qSlicerSegmentEditorAbstractEffect", AbstractEffect, raising=False)
        patch.setattr(slicer, "SegmentEditorKPrism", object(), raising=False)
        interfaces = strict_module.install(patch, strict_module.App())
        patch.setattr("KPrismLogic.readiness.find_spec", lambda _: None)
        parameters = scene.AddNewNodeByClass("vtkMRMLSegmentEditorNode")
        desktop = made["desktop"] = Desktop(scene, parameters)
        effect = desktop.start_up()
        desktop.activate(effect)
        assert desktop.click(effect, (10, 10))
        assert "press Install" in effect.self().options.status.text
        assert effect.self().options.install.visible
        desktop.deactivate(effect)

        import KPrism

        for name in ("volumeSelector", "segmentationSelector"):
            patch.setattr(strict_module.Interface, name, None, raising=False)
        widget = KPrism.KPrismWidget()
        assert "press Install" in interfaces[0].by_name["modelLabel"].text
        widget.cleanup()
