"""A ``qt`` module that has only what real Slicer reports, and behaves as far as the effect can tell.

Every class knows the names that ``slicer_names.json`` lists for it and raises on any other. Names that are methods
there and have no behaviour here do nothing.
"""

from __future__ import annotations

import functools
import json
import types
from pathlib import Path
from typing import Any, ClassVar

#: What the classes here have beside Slicer's names.
_OWN = ("names", "made", "fire", "stored")

_NAMES = Path(__file__).with_name("slicer_names.json")


@functools.cache
def slicer_names() -> dict[str, Any]:
    """Names by class, those that it inherits included."""
    api = json.loads(_NAMES.read_text(encoding="utf-8"))
    inherits = api.pop("_inherits")
    api.pop("_readme")
    for name, names in api.items():
        base = inherits.get(name)
        while base:
            names.extend(api.get(base, ()))
            base = inherits.get(base, "QObject" if base == "QWidget" else None)
    return {name: frozenset(names) for name, names in api.items()}


class Strict:
    """An object of a class in the list; ``calls`` has what was called without behaviour here."""

    names: ClassVar[frozenset[str]] = frozenset()
    made: ClassVar[list[Strict]] = []

    def __init__(self, *given: Any) -> None:
        self._given = given
        self._values: dict[str, Any] = {}
        self._slots: list[tuple[str, Any]] = []
        self._blocked = False
        self._hidden = False
        Strict.made.append(self)

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        wrong = [name for name in vars(cls) if not name.startswith("_") and name not in _OWN]
        wrong = [name for name in wrong if cls.names and name not in cls.names]
        assert not wrong, f"{cls.__name__} has no {wrong} in Slicer"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in self.names:
            raise AttributeError(f"{type(self).__name__} has no member {name!r} in Slicer")
        if name in self._values:
            return self._values[name]
        return lambda *given: self._call(name, given)

    def _call(self, name: str, given: tuple[Any, ...]) -> None:
        """A method without behaviour here; a setter sets its property."""
        if name.startswith("set") and len(given) == 1:
            self._values[f"{name[3].lower()}{name[4:]}"] = given[0]

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("_") and name not in self.names:
            raise AttributeError(f"{type(self).__name__} has no member {name!r} in Slicer")
        if name.startswith("_") or isinstance(getattr(type(self), name, None), property):
            object.__setattr__(self, name, value)
        else:
            self._values[name] = value

    def connect(self, signal: str, slot: Any) -> bool:
        assert signal.split("(")[0] in self.names, f"{type(self).__name__} has no signal {signal}"
        self._slots.append((signal, slot))
        return True

    def disconnect(self, signal: str, slot: Any) -> bool:
        self._slots.remove((signal, slot))
        return True

    def blockSignals(self, blocked: bool) -> bool:
        was, self._blocked = self._blocked, bool(blocked)
        return was

    def fire(self, signal: str, *given: Any) -> None:
        """What Qt does when the user acts."""
        if not self._blocked:
            for name, slot in list(self._slots):
                if name == signal:
                    slot(*given)


class _Widget(Strict):
    def setVisible(self, visible: bool) -> None:
        assert isinstance(visible, bool)
        self._hidden = not visible

    @property
    def visible(self) -> bool:
        return not self._hidden


class _Button(_Widget):
    def setChecked(self, checked: bool) -> None:
        changed = self._values.get("checked", False) != checked
        self._values["checked"] = checked
        if changed:
            self.fire("toggled(bool)", checked)

    def click(self) -> None:
        self.fire("clicked()")


class _Timer(Strict):
    def start(self, *_: Any) -> None:
        self._values["active"] = True

    def stop(self) -> None:
        self._values["active"] = False

    def isActive(self) -> bool:
        return self._values.get("active", False)


class _ComboBox(_Widget):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._items: list[str] = []
        self._index = -1

    @property
    def count(self) -> int:
        return len(self._items)

    @property
    def currentText(self) -> str:
        return self._items[self._index] if 0 <= self._index < len(self._items) else ""

    def addItems(self, items: list[str]) -> None:
        self._items += items
        if self._index < 0 and self._items:
            self._index = 0  # as Qt does when the first item comes

    def clear(self) -> None:
        self._items, self._index = [], -1

    def findText(self, text: str) -> int:
        return self._items.index(text) if text in self._items else -1

    def itemText(self, index: int) -> str:
        return self._items[index]

    def setCurrentIndex(self, index: int) -> None:
        changed = self._index != index
        self._index = index
        if changed:
            self.fire("currentIndexChanged(int)", index)

    def setCurrentText(self, text: str) -> None:
        self.setCurrentIndex(self.findText(text))

    def completer(self) -> Any:
        return strict_class("QCompleter", Strict)()


class _LineEdit(_Widget):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._text = ""

    @property
    def text(self) -> str:
        return self._text

    @text.setter
    def text(self, text: str) -> None:
        self.setText(text)

    def setText(self, text: str) -> None:
        changed, self._text = text != self._text, text
        if changed:
            self.fire("textChanged(QString)", text)


class _ListWidget(_Widget):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._items: list[Any] = []
        self._row = -1

    @property
    def currentRow(self) -> int:
        return self._row

    def setCurrentRow(self, row: int) -> None:
        self._row = row

    @property
    def count(self) -> int:
        return len(self._items)

    def addItem(self, label: str) -> None:
        assert isinstance(label, str), "an item made in Python goes with its Python object in older PythonQt"
        self._items.append(strict_class("QListWidgetItem")(label))

    def item(self, row: int) -> Any:
        return self._items[row] if 0 <= row < len(self._items) else None

    def clear(self) -> None:
        self._items, self._row = [], -1


class _ListWidgetItem(Strict):
    def __init__(self, label: str) -> None:
        super().__init__(label)
        self._selected = False

    def text(self) -> str:
        return str(self._given[0])

    def isSelected(self) -> bool:
        return self._selected

    def setSelected(self, selected: bool) -> None:
        self._selected = selected


class _RangeWidget(_Widget):
    def setRange(self, low: float, high: float) -> None:
        decimals = self._values.get("decimals", 2)
        self._values |= {"minimum": round(low, decimals), "maximum": round(high, decimals)}

    @property
    def singleStep(self) -> float:
        return self._values.get("singleStep", 1.0)

    @singleStep.setter
    def singleStep(self, step: float) -> None:
        length = self._values["maximum"] - self._values["minimum"]
        assert 0 < step <= length or not length, "ctkRangeWidget::setSingleStep is outside valid bounds"
        self._values["singleStep"] = step

    def setValues(self, low: float, high: float) -> None:
        least, most = self._values["minimum"], self._values["maximum"]
        values = (min(max(round(value, self._values.get("decimals", 2)), least), most) for value in (low, high))
        self._values |= dict(zip(("minimumValue", "maximumValue"), values, strict=True))


class _Settings(Strict):
    stored: ClassVar[dict[str, Any]] = {}

    def value(self, key: str, default: Any = None) -> Any:
        return str(self.stored[key]) if key in self.stored else default

    def setValue(self, key: str, value: Any) -> None:
        self.stored[key] = value


_BEHAVIOUR = {
    "QSettings": _Settings,
    "ctkRangeWidget": _RangeWidget,
    "QTimer": _Timer,
    "QComboBox": _ComboBox,
    "QLineEdit": _LineEdit,
    "QListWidget": _ListWidget,
    "QListWidgetItem": _ListWidgetItem,
    "QRadioButton": _Button,
    "QCheckBox": _Button,
    "QPushButton": _Button,
    "QLabel": _Widget,
    "QWidget": _Widget,
    "QProgressBar": _Widget,
}


class _StrictMeta(type):
    """Enumeration values are members of the class: ``qt.QComboBox.NoInsert``."""

    def __getattr__(cls, name: str) -> str:
        if name.startswith("_") or name not in cls.names:
            raise AttributeError(f"{cls.__name__} has no member {name!r} in Slicer")
        return f"{cls.__name__}.{name}"


def strict_class(name: str, behaviour: type | None = None) -> Any:
    """The class of a name in the list."""
    base = behaviour or _BEHAVIOUR.get(name, Strict)
    names = slicer_names()[name]
    wrong = [one for one in vars(base) if not one.startswith("_") and one not in names and base is not Strict]
    assert not [one for one in wrong if one not in _OWN], f"{name} has no {wrong} in Slicer"
    kind = types.new_class(name, (base,), {"metaclass": _StrictMeta})
    kind.names = names
    return kind


class QtModule(types.ModuleType):
    """``import qt``, or ``import ctk``, whose classes begin with its name."""

    def __init__(self, name: str = "qt") -> None:
        super().__init__(name)
        if name == "qt":
            self.Qt = types.SimpleNamespace(
                CrossCursor="CrossCursor", MatchContains="MatchContains", AlignTop="AlignTop"
            )
        self._classes: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        if name not in slicer_names() or name.startswith("ctk") != (self.__name__ == "ctk"):
            raise AttributeError(f"{self.__name__} has no {name!r} in the list of Slicer's names")
        if name not in self._classes:
            self._classes[name] = strict_class(name)
        return self._classes[name]
