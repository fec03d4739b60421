"""Buttons: text buttons of four kinds, icon buttons, choices and the row of stars."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtCore import QEvent, QPoint, QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import (
    QAction,
    QColor,
    QFont,
    QFontMetrics,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QWheelEvent,
)
from PySide6.QtWidgets import (
    QAbstractButton,
    QCheckBox,
    QComboBox,
    QMenu,
    QPushButton,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QToolButton,
    QWidget,
)

from recsys_desktop.gui.icons import icon, icon_pixmap
from recsys_desktop.gui.theme import interface_font, mix, theme


def button(
    text: str, kind: str = "", clicked: Callable[[], object] | None = None, parent: QWidget | None = None
) -> QPushButton:
    """Return a push button. ``kind``: ``""`` (outlined), ``primary``, ``quiet``, ``danger``, ``link`` or ``row``."""
    result = QPushButton(text, parent)
    if kind:
        result.setProperty("kind", kind)
    result.setAutoDefault(False)
    result.setFocusPolicy(Qt.FocusPolicy.TabFocus)
    if kind == "link":
        result.setCursor(Qt.CursorShape.PointingHandCursor)
        result.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
    if clicked is not None:
        result.clicked.connect(lambda: clicked())
    return result


def menu_button(text: str, actions: Sequence[tuple[str, Callable[[], object]]], kind: str = "") -> QPushButton:
    """Return a button that opens a menu; its text gets a small triangle."""
    result = button(f"{text} \u25be", kind)
    result.setAccessibleName(text)
    menu = QMenu(result)
    for name, do in actions:
        action = QAction(name, menu)
        action.triggered.connect(lambda _checked=False, do=do: do())
        menu.addAction(action)
    result.setMenu(menu)
    return result


class IconButton(QToolButton):
    """A button that is only an icon; ``name`` is its tooltip and what a screen reader says."""

    def __init__(self, icon_name: str, name: str, size: int = 16, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icon_name = icon_name
        self._size = size
        self.setToolTip(name)
        self.setAccessibleName(name)
        self.setIconSize(QSize(size, size))
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        theme().changed.connect(self._colour)
        self._colour()

    def _colour(self) -> None:
        self.setIcon(icon(self._icon_name, size=self._size))


class Choice(QComboBox):
    """A drop-down list with its value at the right and a small triangle, as fields of a form show it."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(6)

    def wheelEvent(self, event: QWheelEvent) -> None:  # noqa: N802 - Qt's name
        # A wheel that scrolls the form must not change its values.
        event.ignore()

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        painter = QPainter(self)
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        option.currentText = ""
        self.style().drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option, painter, self)
        painter.setPen(theme().colour("text" if self.isEnabled() else "muted"))
        rectangle = self.rect().adjusted(10, 0, -9, 0)
        arrow = " \u25be"
        arrow_width = painter.fontMetrics().horizontalAdvance(arrow)
        text = painter.fontMetrics().elidedText(
            self.currentText(), Qt.TextElideMode.ElideRight, rectangle.width() - arrow_width
        )
        alignment = Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter
        painter.drawText(rectangle, alignment, text + arrow)


class CheckBox(QCheckBox):
    """A check box with its mark in the colours of the theme."""

    _BOX = 16

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        theme().changed.connect(self.update)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        width = QFontMetrics(interface_font()).horizontalAdvance(self.text())
        return QSize(self._BOX + (8 + width if self.text() else 0) + 2, 22)

    def hitButton(self, point: QPoint) -> bool:  # noqa: N802 - Qt's name
        return self.rect().contains(point)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = theme().colours
        top = (self.height() - self._BOX) / 2
        box = QRectF(0.5, top + 0.5, self._BOX - 1, self._BOX - 1)
        on = self.isChecked() and self.isEnabled()
        strong = mix(colours.border, colours.text, 0.35 if self.underMouse() else 0.18)
        painter.setPen(QPen(QColor(colours.accent if on or self.hasFocus() else strong), 1.5 if self.hasFocus() else 1))
        painter.setBrush(QColor(colours.accent if on else colours.surface if self.isEnabled() else colours.sunken))
        painter.drawRoundedRect(box, 4, 4)
        if self.isChecked():
            ink = QColor(colours.on_accent if on else colours.faint)
            painter.drawPixmap(1, round(top) + 1, icon_pixmap("check", ink, 14, self.devicePixelRatioF()))
        painter.setFont(interface_font())
        painter.setPen(QColor(colours.text if self.isEnabled() else colours.muted))
        area = QRect(self._BOX + 8, 0, self.width() - self._BOX - 8, self.height())
        text = painter.fontMetrics().elidedText(self.text(), Qt.TextElideMode.ElideRight, area.width() + 1)
        painter.drawText(area, int(Qt.AlignmentFlag.AlignVCenter), text)


class NavigationButton(QAbstractButton):
    """One place of the navigation rail: an icon over its name."""

    _SIZE = QSize(66, 54)
    _ICON = 20

    def __init__(self, icon_name: str, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icon_name = icon_name
        self.setText(name)
        self.setAccessibleName(name)
        self.setCheckable(True)
        self.setFixedSize(self._SIZE)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        theme().changed.connect(self.update)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return self._SIZE

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = theme().colours
        area = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        fill = colours.weak_accent if self.isChecked() else mix(colours.surface, colours.text, 0.05)
        if self.isChecked() or self.underMouse():
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(fill))
            painter.drawRoundedRect(area, 8, 8)
        if self.hasFocus():
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.setPen(QPen(QColor(colours.accent), 1.5))
            painter.drawRoundedRect(area, 8, 8)
        ink = theme().colour("accent" if self.isChecked() else "text" if self.underMouse() else "muted")
        picture = icon_pixmap(self._icon_name, ink, self._ICON, self.devicePixelRatioF())
        painter.drawPixmap((self.width() - self._ICON) // 2, 8, picture)
        font = interface_font(11, QFont.Weight.DemiBold if self.isChecked() else QFont.Weight.Normal)
        while QFontMetrics(font).horizontalAdvance(self.text()) > self.width() and font.pixelSize() > 8:
            font.setPixelSize(font.pixelSize() - 1)
        painter.setFont(font)
        painter.setPen(ink)
        painter.drawText(QRect(0, 30, self.width(), 16), Qt.AlignmentFlag.AlignCenter, self.text())


class Stars(QAbstractButton):
    """Five stars that take a rating on any scale, by mouse or by the arrow keys and Return.

    ``rated`` carries the rating in the units of ``scale``: (lowest, highest, step).
    """

    rated = Signal(float)
    _COUNT = 5

    def __init__(
        self,
        scale: tuple[float, float, float] = (1.0, 5.0, 1.0),
        rating: float | None = None,
        size: int = 14,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._scale = scale
        self._rating = rating
        self._hovered: int | None = None
        self._size = size
        self.setMouseTracking(True)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Rate")
        self.setToolTip("Rate this item; the list answers at once")
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        theme().changed.connect(self.update)

    @property
    def rating(self) -> float | None:
        """The rating shown, or None."""
        return self._rating

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return QSize(self._COUNT * (self._size + 3), self._size + 6)

    def _star_at(self, point: QPoint) -> int:
        return max(1, min(self._COUNT, point.x() // (self._size + 3) + 1))

    def _value_of(self, star: int) -> float:
        low, high, step = self._scale
        value = low + (high - low) * (star - 1) / (self._COUNT - 1)
        if low < 1 <= high == self._COUNT:
            value = float(star)
        return min(high, max(low, round(value / step) * step if step > 0 else value))

    def mouseMoveEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        self._hovered = self._star_at(event.position().toPoint())
        self.update()

    def leaveEvent(self, event: QEvent) -> None:  # noqa: N802 - Qt's name
        self._hovered = None
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        if self.rect().contains(event.position().toPoint()) and event.button() is Qt.MouseButton.LeftButton:
            self._rate(self._star_at(event.position().toPoint()))

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        current = self._hovered or 0
        if event.key() == Qt.Key.Key_Right:
            self._hovered = min(self._COUNT, current + 1)
        elif event.key() == Qt.Key.Key_Left:
            self._hovered = max(1, current - 1)
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space) and current:
            self._rate(current)
        else:
            super().keyPressEvent(event)
            return
        self.update()

    def _rate(self, star: int) -> None:
        self._rating = self._value_of(star)
        self.update()
        self.rated.emit(self._rating)

    def _filled(self) -> int:
        if self._hovered is not None:
            return self._hovered
        if self._rating is None:
            return 0
        return max(star for star in range(1, self._COUNT + 1) if star == 1 or self._value_of(star) <= self._rating)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        painter = QPainter(self)
        filled = self._filled()
        ratio = self.devicePixelRatioF()
        colour = theme().colour("accent" if self._hovered or self.hasFocus() else "muted")
        for star in range(self._COUNT):
            name = "star-full" if star < filled else "star"
            area = QRect(star * (self._size + 3), 3, self._size, self._size)
            painter.drawPixmap(area, icon_pixmap(name, colour, self._size, ratio))
        if self.hasFocus():
            painter.setPen(theme().colour("accent"))
            painter.drawRoundedRect(self.rect().adjusted(0, 0, -1, -1), 3, 3)
