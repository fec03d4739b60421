"""What the window remembers of the person, apart from any workspace: the theme."""

from __future__ import annotations

from PySide6.QtCore import QSettings

from recsys_desktop.gui.theme import ThemeMode

_ORGANISATION = "RecSys Desktop"
_THEME = "appearance/theme"


def _settings() -> QSettings:
    return QSettings(QSettings.Format.IniFormat, QSettings.Scope.UserScope, _ORGANISATION, "window")


def stored_theme() -> ThemeMode:
    """The theme that was chosen; that of the system where none was."""
    try:
        return ThemeMode(str(_settings().value(_THEME, ThemeMode.SYSTEM.value)))
    except ValueError:
        return ThemeMode.SYSTEM


def store_theme(mode: ThemeMode) -> None:
    """Remember the theme."""
    _settings().setValue(_THEME, mode.value)
