"""The one theme of the window: its colours in light and dark, its fonts, palette and style sheet."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from enum import Enum
from functools import lru_cache
from string import Template

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontDatabase, QGuiApplication, QPalette
from PySide6.QtWidgets import QApplication

from recsys_desktop.resources_path import resource_path


@dataclass(frozen=True, slots=True)
class Colours:
    """Every colour of the application, one value per role, written ``#RRGGBB``.

    ``faint`` is for decoration only: whatever must be read is ``muted`` or stronger.
    """

    background: str
    surface: str
    raised: str
    sunken: str
    border: str
    text: str
    muted: str
    faint: str
    accent: str
    on_accent: str
    weak_accent: str
    positive: str
    weak_positive: str
    negative: str
    weak_negative: str
    warning: str
    weak_warning: str
    series: tuple[str, str, str, str, str, str]


LIGHT = Colours(
    background="#F6F7F9",
    surface="#FFFFFF",
    raised="#FFFFFF",
    sunken="#EEF1F4",
    border="#DFE3E8",
    text="#1A1F26",
    muted="#5A6572",
    faint="#8A94A0",
    accent="#1D55D6",
    on_accent="#FFFFFF",
    weak_accent="#E6EEFE",
    positive="#12713A",
    weak_positive="#E4F4EA",
    negative="#C2342B",
    weak_negative="#FBE9E7",
    warning="#A85B00",
    weak_warning="#FDF1DF",
    series=("#1D55D6", "#E0702E", "#0F9D8A", "#8B5CF6", "#C2257A", "#7A8A00"),
)

DARK = Colours(
    background="#13161B",
    surface="#1A1E25",
    raised="#222831",
    sunken="#0F1216",
    border="#2E3540",
    text="#E7EBF0",
    muted="#A0ABB8",
    faint="#717D8B",
    accent="#6EA0FF",
    on_accent="#0B1220",
    weak_accent="#1D2C4A",
    positive="#5CC98A",
    weak_positive="#16301F",
    negative="#FF8A80",
    weak_negative="#3A1C1A",
    warning="#F0B15B",
    weak_warning="#38280F",
    series=("#6EA0FF", "#FF9A62", "#3CC7B2", "#B79BFF", "#F07AB5", "#B9C84A"),
)


class ThemeMode(Enum):
    """Which colours the window wears: those of the system, or one of the two always."""

    SYSTEM = "system"
    LIGHT = "light"
    DARK = "dark"


# Sizes in device-independent pixels.
TEXT_SIZE = 13
SMALL_TEXT_SIZE = 12
TAG_TEXT_SIZE = 11
CARD_TITLE_SIZE = 13
PAGE_TITLE_SIZE = 20
HEADLINE_SIZE = 26
GRID = 4
CONTROL_GAP = 8
CARD_GAP = 12
PAGE_MARGIN = 20
CARD_RADIUS = 8
CONTROL_RADIUS = 6
CONTROL_HEIGHT = 30
TABLE_ROW_HEIGHT = 32
CARD_PADDING = 14

_DESKTOP_NEUTRAL_FAMILIES = {"DejaVu Sans", "Sans Serif", "Sans", "Bitstream Vera Sans", "Liberation Sans"}
_PREFERRED_FAMILIES = ("Inter", "Noto Sans", "Ubuntu", "Cantarell")
_PREFERRED_FIXED_FAMILIES = ("JetBrains Mono", "Cascadia Mono", "SF Mono", "DejaVu Sans Mono", "Noto Sans Mono")


def mix(first: str, second: str, share: float) -> str:
    """Return the colour that has ``share`` (0 to 1) of ``second`` and the rest of ``first``."""
    a, b = QColor(first), QColor(second)
    return QColor(
        round(a.red() + (b.red() - a.red()) * share),
        round(a.green() + (b.green() - a.green()) * share),
        round(a.blue() + (b.blue() - a.blue()) * share),
    ).name()


@lru_cache(maxsize=1)
def _interface_family() -> str:
    """The system's font; on a desktop that sets none, the first well-made family that is installed."""
    system = QFontDatabase.systemFont(QFontDatabase.SystemFont.GeneralFont).family()
    if sys.platform in {"win32", "darwin"} or system not in _DESKTOP_NEUTRAL_FAMILIES:
        return system
    installed = set(QFontDatabase.families())
    return next((family for family in _PREFERRED_FAMILIES if family in installed), system)


@lru_cache(maxsize=1)
def _fixed_family() -> str:
    installed = set(QFontDatabase.families())
    system = QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont).family()
    return next((family for family in _PREFERRED_FIXED_FAMILIES if family in installed), system)


def _tabular(font: QFont) -> QFont:
    """Ask for figures of equal width, so that numbers under each other align."""
    if hasattr(font, "setFeature"):
        font.setFeature(QFont.Tag("tnum"), 1)
    return font


def interface_font(size: int = TEXT_SIZE, weight: QFont.Weight = QFont.Weight.Normal) -> QFont:
    """Return the interface font with tabular figures; ``size`` in device-independent pixels."""
    font = QFont(_interface_family())
    font.setPixelSize(size)
    font.setWeight(weight)
    return _tabular(font)


def fixed_font(size: int = SMALL_TEXT_SIZE) -> QFont:
    """Return the monospaced font for ids and raw values; ``size`` in device-independent pixels."""
    font = QFont(_fixed_family())
    font.setPixelSize(size)
    font.setStyleHint(QFont.StyleHint.Monospace)
    return font


class Theme(QObject):
    """The colours in force. Widgets that paint themselves ask it and repaint on ``changed``.

    There is one per process, given by ``theme()``. Until ``install`` it can be asked for colours but styles nothing.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._mode = ThemeMode.SYSTEM
        self._dark = False
        self._application: QApplication | None = None

    @property
    def mode(self) -> ThemeMode:
        """What the person chose: follow the system, or always light or dark."""
        return self._mode

    @property
    def is_dark(self) -> bool:
        """Whether the dark colours are in force."""
        return self._dark

    @property
    def colours(self) -> Colours:
        """The colours in force."""
        return DARK if self._dark else LIGHT

    def colour(self, role: str) -> QColor:
        """Return the colour of a role of ``Colours``, for example ``colour("weak_accent")``."""
        return QColor(getattr(self.colours, role))

    def series(self, index: int) -> QColor:
        """Return the colour of the ``index``-th series of a chart; the six repeat."""
        return QColor(self.colours.series[index % len(self.colours.series)])

    def install(self, application: QApplication, mode: ThemeMode = ThemeMode.SYSTEM) -> None:
        """Style the application and follow the system's colour scheme from now on."""
        first = self._application is None
        self._application = application
        application.setStyle("Fusion")
        application.setFont(interface_font())
        if first:
            application.styleHints().colorSchemeChanged.connect(self._follow_system)
        self._mode = mode
        self._dark = self._wanted_dark()
        self._apply()

    def set_mode(self, mode: ThemeMode) -> None:
        """Choose the colours; ``ThemeMode.SYSTEM`` follows the system again."""
        self._mode = mode
        self._refresh()

    def _wanted_dark(self) -> bool:
        if self._mode is ThemeMode.SYSTEM:
            # A platform that cannot tell reports Unknown; that is light.
            return QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark
        return self._mode is ThemeMode.DARK

    def _follow_system(self) -> None:
        if self._mode is ThemeMode.SYSTEM:
            self._refresh()

    def _refresh(self) -> None:
        wanted = self._wanted_dark()
        if wanted != self._dark:
            self._dark = wanted
            self._apply()

    def _apply(self) -> None:
        if self._application is not None:
            self._application.setPalette(palette(self.colours))
            self._application.setStyleSheet(style_sheet(self.colours))
        self.changed.emit()


def palette(colours: Colours) -> QPalette:
    """Return the Qt palette of these colours, for what no style sheet reaches."""
    result = QPalette()
    roles = {
        QPalette.ColorRole.Window: colours.background,
        QPalette.ColorRole.WindowText: colours.text,
        QPalette.ColorRole.Base: colours.surface,
        QPalette.ColorRole.AlternateBase: colours.sunken,
        QPalette.ColorRole.Text: colours.text,
        QPalette.ColorRole.Button: colours.raised,
        QPalette.ColorRole.ButtonText: colours.text,
        QPalette.ColorRole.BrightText: colours.negative,
        QPalette.ColorRole.Highlight: colours.accent,
        QPalette.ColorRole.HighlightedText: colours.on_accent,
        QPalette.ColorRole.Link: colours.accent,
        QPalette.ColorRole.LinkVisited: colours.accent,
        QPalette.ColorRole.ToolTipBase: colours.raised,
        QPalette.ColorRole.ToolTipText: colours.text,
        QPalette.ColorRole.PlaceholderText: colours.muted,
        QPalette.ColorRole.Light: colours.raised,
        QPalette.ColorRole.Midlight: colours.sunken,
        QPalette.ColorRole.Mid: colours.border,
        QPalette.ColorRole.Dark: colours.border,
        QPalette.ColorRole.Shadow: colours.border,
        QPalette.ColorRole.Accent: colours.accent,
    }
    for role, value in roles.items():
        result.setColor(role, QColor(value))
    for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Text, QPalette.ColorRole.ButtonText):
        result.setColor(QPalette.ColorGroup.Disabled, role, QColor(colours.faint))
    return result


def style_sheet(colours: Colours) -> str:
    """Return the style sheet of the whole application in these colours.

    The template is ``resources/theme/window.qss``; its names are the fields of ``Colours`` and a few mixtures of them.
    """
    values: dict[str, str] = {
        field.name: getattr(colours, field.name) for field in fields(colours) if field.name != "series"
    }
    values["hover"] = mix(colours.surface, colours.text, 0.05)
    values["pressed"] = mix(colours.surface, colours.text, 0.10)
    values["accent_hover"] = mix(colours.accent, colours.text, 0.12)
    values["accent_pressed"] = mix(colours.accent, colours.text, 0.22)
    values["border_strong"] = mix(colours.border, colours.text, 0.18)
    template = Template(resource_path("theme", "window.qss").read_text(encoding="utf-8"))
    return template.substitute(values)


_theme: Theme | None = None


def theme() -> Theme:
    """Return the one theme of this process."""
    global _theme
    if _theme is None:
        _theme = Theme()
    return _theme
