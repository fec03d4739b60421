"""The theme: contrast of everything that is read, following the system, and one source of colour."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication

from recsys_desktop.gui.icons import icon_pixmap
from recsys_desktop.gui.theme import DARK, LIGHT, Colours, ThemeMode, mix, style_sheet, theme
from recsys_desktop.resources_path import bundled_folder, resource_path


def _luminance(colour: str) -> float:
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(first: str, second: str) -> float:
    lighter, darker = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


READ_TOGETHER = [
    *(("text", ground) for ground in ("background", "surface", "raised", "sunken", "weak_accent")),
    *(("muted", ground) for ground in ("background", "surface", "raised", "sunken")),
    *((tone, f"weak_{tone}") for tone in ("accent", "positive", "negative", "warning")),
    *((tone, "surface") for tone in ("accent", "positive", "negative", "warning")),
    ("on_accent", "accent"),
]


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("ink", "ground"), READ_TOGETHER)
def test_text_meets_contrast_aa(colours: Colours, ink: str, ground: str) -> None:
    assert _contrast(getattr(colours, ink), getattr(colours, ground)) >= 4.5


@pytest.mark.parametrize("colours", [LIGHT, DARK], ids=["light", "dark"])
def test_series_stand_out_from_the_surface(colours: Colours) -> None:
    for colour in colours.series:
        assert _contrast(colour, colours.surface) >= 3.0


def test_style_sheet_has_no_colour_of_its_own() -> None:
    template = resource_path("theme", "window.qss").read_text(encoding="utf-8")
    assert not re.findall(r":\s*[^;]*#[0-9A-Fa-f]{3,8}\b", template)
    table = {value.lower() for value in (*_values(LIGHT), *LIGHT.series)}
    mixtures = {
        mix(LIGHT.surface, LIGHT.text, 0.05),
        mix(LIGHT.surface, LIGHT.text, 0.10),
        mix(LIGHT.accent, LIGHT.text, 0.12),
        mix(LIGHT.accent, LIGHT.text, 0.22),
        mix(LIGHT.border, LIGHT.text, 0.18),
    }
    used = {value.lower() for value in re.findall(r"#[0-9A-Fa-f]{6}\b", style_sheet(LIGHT))}
    assert used <= table | mixtures


def test_no_module_of_the_window_writes_a_colour_beside_the_table() -> None:
    package = Path(__file__).parents[2] / "recsys_desktop" / "gui"
    written = [
        f"{path.name}: {found}"
        for path in package.rglob("*.py")
        if path.name != "theme.py"
        for found in re.findall(r"\"#[0-9A-Fa-f]{3,8}\"", path.read_text(encoding="utf-8"))
    ]
    assert written == []


def _values(colours: Colours) -> list[str]:
    return [getattr(colours, name) for name in Colours.__dataclass_fields__ if name != "series"]


def test_switching_recolours_the_application_and_says_so(qapp: QApplication, qtbot) -> None:
    with qtbot.waitSignal(theme().changed, timeout=1000):
        theme().set_mode(ThemeMode.DARK)
    assert theme().colours is DARK
    assert DARK.background in qapp.styleSheet()
    assert qapp.palette().window().color() == QColor(DARK.background)
    theme().set_mode(ThemeMode.LIGHT)
    assert theme().colours is LIGHT


def test_unknown_system_scheme_is_light(qapp: QApplication) -> None:
    theme().set_mode(ThemeMode.SYSTEM)
    assert not theme().is_dark


def test_every_icon_takes_the_colour_and_is_sharp_on_dense_screens(qapp: QApplication) -> None:
    names = [path.stem for path in (bundled_folder("resources") / "icons").glob("*.svg") if path.stem != "application"]
    assert len(names) > 20
    for name in names:
        pixmap = icon_pixmap(name, "#C2342B", 20, 2.0)
        assert (pixmap.width(), pixmap.devicePixelRatio()) == (40, 2.0)
        image = pixmap.toImage()
        opaque = [image.pixelColor(x, y) for x in range(40) for y in range(40) if image.pixelColor(x, y).alpha() == 255]
        assert opaque, f"icon '{name}' draws nothing"
        assert all(colour.red() > colour.blue() for colour in opaque), f"icon '{name}' ignores its colour"
