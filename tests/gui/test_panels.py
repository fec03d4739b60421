"""Pages that plugins bring: they get a place on the rail, and a broken one breaks nothing else."""

from __future__ import annotations

import sys
import types

import pytest
from PySide6.QtWidgets import QWidget

from recsys_desktop.api import PanelSpec, hookimpl
from recsys_desktop.engine import Engine


class _Panels:
    @hookimpl
    def recsys_desktop_panels(self) -> list[PanelSpec]:
        return [
            PanelSpec("map", "Map", "panels_under_test:Map", icon="items"),
            PanelSpec("broken", "Broken", "panels_under_test:Broken"),
        ]


@pytest.fixture
def panels(monkeypatch: pytest.MonkeyPatch) -> None:
    from recsys_desktop.gui.public import Host, text_label

    class Map(QWidget):
        def __init__(self, host: Host) -> None:
            super().__init__()
            self.host = host
            text_label("A map", parent=self)

    class Broken(QWidget):
        def __init__(self, host: Host) -> None:
            raise RuntimeError("no tiles")

    module = types.ModuleType("panels_under_test")
    module.Map, module.Broken = Map, Broken
    monkeypatch.setitem(sys.modules, "panels_under_test", module)
    original = Engine.open.__func__
    monkeypatch.setattr(
        Engine,
        "open",
        classmethod(lambda cls, *given, **named: original(cls, *given, **{**named, "plugins": {"p": _Panels()}})),
    )


def test_panels_have_a_place_and_a_broken_one_says_so(panels, window, caplog) -> None:
    window.show_page("panel map")
    assert window.current_page == "panel map"
    assert window.page("panel map").host is window.session
    assert window.rail.button_of("panel map").text() == "Map"
    window.show_page("panel broken")
    names = [child.accessibleName() for child in window.page("panel broken").findChildren(QWidget)]
    assert any("no tiles" in name for name in names)
    window.show_page("start")
    assert window.current_page == "start"
