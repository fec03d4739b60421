"""Line icons from ``resources/icons``, drawn in the colours of the theme and sharp on every screen."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QByteArray, QRectF, Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from recsys_desktop.gui.theme import LIGHT, theme
from recsys_desktop.resources_path import resource_path

_PIXEL_RATIOS = (1.0, 1.5, 2.0, 3.0)


@lru_cache(maxsize=128)
def _source(name: str) -> str:
    return resource_path("icons", f"{name}.svg").read_text(encoding="utf-8")


@lru_cache(maxsize=1024)
def _drawn(name: str, colour: str, size: int, pixel_ratio: float) -> QPixmap:
    renderer = QSvgRenderer(QByteArray(_source(name).replace("currentColor", colour).encode()))
    extent = round(size * pixel_ratio)
    pixmap = QPixmap(extent, extent)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    renderer.render(painter, QRectF(0, 0, extent, extent))
    painter.end()
    pixmap.setDevicePixelRatio(pixel_ratio)
    return pixmap


def icon_pixmap(name: str, colour: QColor | str, size: int = 20, pixel_ratio: float = 1.0) -> QPixmap:
    """Return one icon as a pixmap of ``size`` device-independent pixels.

    Raises ``FileNotFoundError`` when ``resources/icons`` has no such icon.
    """
    return _drawn(name, QColor(colour).name(), size, pixel_ratio)


def icon(name: str, role: str = "muted", *, active_role: str | None = None, size: int = 20) -> QIcon:
    """Return an icon in the colour of a theme role; ``active_role`` colours it while checked.

    The icon has the colours of now: a widget that keeps it asks again when the theme changes.
    """
    result = QIcon()
    for pixel_ratio in _PIXEL_RATIOS:
        result.addPixmap(icon_pixmap(name, theme().colour(role), size, pixel_ratio), QIcon.Mode.Normal, QIcon.State.Off)
        result.addPixmap(icon_pixmap(name, theme().colour("faint"), size, pixel_ratio), QIcon.Mode.Disabled)
        if active_role is not None:
            result.addPixmap(
                icon_pixmap(name, theme().colour(active_role), size, pixel_ratio),
                QIcon.Mode.Normal,
                QIcon.State.On,
            )
    return result


def application_icon() -> QIcon:
    """Return the icon of the application, for the window and the task bar."""
    result = QIcon()
    for size in (16, 32, 64, 128):
        result.addPixmap(_drawn("application", LIGHT.surface, size, 1.0))
    return result
