"""Chip: one fact about what is shown, in a pill; with a triangle where it can be changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QAction, QColor, QFont, QFontMetricsF, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QAbstractButton, QMenu, QSizePolicy, QWidget

from recsys_desktop.gui.theme import interface_font, mix, theme

_PADDING = 10
_GAP = 6


class Chip(QAbstractButton):
    """A fact as ``label value suffix``: muted, strong, muted. Clickable only with a menu or ``clickable``."""

    def __init__(
        self,
        label: str = "",
        value: str = "",
        suffix: str = "",
        *,
        clickable: bool = False,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._label, self._value, self._suffix = label, value, suffix
        self._menu: QMenu | None = None
        self._arrow = False
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(26)
        self.set_clickable(clickable)
        theme().changed.connect(self.update)
        self._describe()

    @property
    def value(self) -> str:
        """The strong part of the chip."""
        return self._value

    def set_clickable(self, clickable: bool) -> None:
        """Let the chip take the focus and answer a click, or be a mere fact."""
        self.setEnabled(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus if clickable else Qt.FocusPolicy.NoFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor if clickable else Qt.CursorShape.ArrowCursor)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover, clickable)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents, False)

    def set_fact(self, value: str, suffix: str = "", label: str | None = None) -> None:
        """Show another value."""
        self._value, self._suffix = value, suffix
        if label is not None:
            self._label = label
        self._describe()
        self.updateGeometry()
        self.update()

    def set_choices(self, choices: Sequence[tuple[str, object]], chosen: Callable[[object], object]) -> None:
        """Offer a menu of (text, value); ``chosen`` is called with the value."""
        if self._menu is None:
            self._menu = QMenu(self)
            self.clicked.connect(self._open)
        self._menu.clear()
        for text, value in choices:
            action = QAction(text, self._menu)
            action.triggered.connect(lambda _checked=False, value=value: chosen(value))
            self._menu.addAction(action)
        self._arrow = True
        self.set_clickable(True)
        self.updateGeometry()

    def menu_actions(self) -> list[QAction]:
        """The entries of the menu, for keyboard commands and tests."""
        return [] if self._menu is None else self._menu.actions()

    def _open(self) -> None:
        if self._menu is not None:
            self._menu.popup(self.mapToGlobal(self.rect().bottomLeft()))

    def _describe(self) -> None:
        whole = " ".join(part for part in (self._label, self._value, self._suffix) if part)
        self.setAccessibleName(whole)

    def _parts(self) -> list[tuple[str, str, QFont]]:
        small = interface_font(12)
        strong = interface_font(12, QFont.Weight.DemiBold)
        parts = []
        if self._label:
            parts.append((self._label, "muted", small))
        if self._value:
            parts.append((self._value, "text", strong))
        if self._suffix:
            parts.append((self._suffix, "muted", small))
        if self._arrow:
            parts.append(("\u25be", "text", strong))
        return parts

    def _natural_width(self) -> int:
        parts = self._parts()
        text = sum(QFontMetricsF(font).horizontalAdvance(part) for part, _, font in parts)
        return round(text + _GAP * max(0, len(parts) - 1) + 2 * _PADDING + 1)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return QSize(self._natural_width(), 26)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return QSize(min(64, self._natural_width()), 26)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        if not self.property("explained"):
            self.setToolTip(self.accessibleName() if self.width() < self._natural_width() else "")

    def explain(self, tooltip: str) -> None:
        """Give the chip a tooltip of its own."""
        self.setProperty("explained", True)
        self.setToolTip(tooltip)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = theme().colours
        clickable = self.focusPolicy() is not Qt.FocusPolicy.NoFocus
        fill = colours.surface
        if clickable and (self.underMouse() or self.isDown()):
            fill = mix(colours.surface, colours.text, 0.10 if self.isDown() else 0.05)
        outline = colours.accent if self.hasFocus() else colours.border
        painter.setPen(QPen(QColor(outline), 1))
        painter.setBrush(fill)
        area = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        painter.drawRoundedRect(area, area.height() / 2, area.height() / 2)
        left = float(_PADDING)
        for text, role, font in self._parts():
            painter.setFont(font)
            painter.setPen(theme().colour(role))
            room = self.width() - _PADDING - left
            shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, round(room + 1))
            painter.drawText(QRectF(left, 0, room + 2, self.height()), Qt.AlignmentFlag.AlignVCenter, shown)
            left += painter.fontMetrics().horizontalAdvance(shown) + _GAP
            if left >= self.width() - _PADDING:
                break
