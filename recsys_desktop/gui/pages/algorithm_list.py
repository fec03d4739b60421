"""The algorithms by family, as the plugins bring them; with what is trained already and what cannot be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QRect, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFont, QFontMetrics, QKeyEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QAbstractButton, QSizePolicy, QVBoxLayout, QWidget

from recsys_desktop.gui.theme import interface_font, mix, theme
from recsys_desktop.gui.widgets.labels import text_label

if TYPE_CHECKING:
    from recsys_desktop.api.algorithm import AlgorithmSpec
    from recsys_desktop.data import DatasetStatistics


class AlgorithmRow(QAbstractButton):
    """One algorithm: its name, and at the right the version that is trained or what it lacks."""

    def __init__(self, key: str, name: str) -> None:
        super().__init__()
        self.key = key
        self.setText(name)
        self.setCheckable(True)
        self.setAccessibleName(name)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._mark = ""
        self._lack = ""
        theme().changed.connect(self.update)

    def set_mark(self, mark: str, lack: str) -> None:
        """Show a trained version, or what the open data lacks."""
        self._mark, self._lack = mark, lack
        self.setAccessibleDescription(lack or mark)
        self.setToolTip(lack)
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return QSize(160, 27)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        if event.key() == Qt.Key.Key_Down:
            self.focusNextChild()
        elif event.key() == Qt.Key.Key_Up:
            self.focusPreviousChild()
        else:
            super().keyPressEvent(event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = theme().colours
        area = QRectF(self.rect()).adjusted(0.5, 0.5, -0.5, -0.5)
        if self.isChecked() or self.underMouse():
            painter.setPen(Qt.PenStyle.NoPen)
            fill = colours.weak_accent if self.isChecked() else mix(colours.surface, colours.text, 0.05)
            painter.setBrush(QColor(fill))
            painter.drawRoundedRect(area, 5, 5)
        if self.hasFocus():
            painter.setPen(QPen(QColor(colours.accent), 1))
            painter.setBrush(Qt.BrushStyle.NoBrush)
            painter.drawRoundedRect(area, 5, 5)
        right = self.width() - 8
        small = interface_font(11)
        if self._lack:
            width = QFontMetrics(small).horizontalAdvance(self._lack) + 12
            tag = QRectF(right - width + 2, (self.height() - 18) / 2, width, 18)
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(QColor(colours.sunken))
            painter.drawRoundedRect(tag, 4, 4)
            painter.setFont(small)
            painter.setPen(QColor(colours.muted))
            painter.drawText(tag, Qt.AlignmentFlag.AlignCenter, self._lack)
            right -= width
        elif self._mark:
            painter.setFont(small)
            painter.setPen(QColor(colours.muted))
            width = QFontMetrics(small).horizontalAdvance(self._mark)
            painter.drawText(
                QRect(right - width, 0, width + 1, self.height()), Qt.AlignmentFlag.AlignVCenter, self._mark
            )
            right -= width
        font = interface_font(13, QFont.Weight.DemiBold if self.isChecked() else QFont.Weight.Normal)
        painter.setFont(font)
        painter.setPen(QColor(colours.accent if self.isChecked() else colours.muted if self._lack else colours.text))
        room = right - 14
        text = QFontMetrics(font).elidedText(self.text(), Qt.TextElideMode.ElideRight, room)
        if text != self.text() and not self._lack:
            self.setToolTip(self.text())
        painter.drawText(QRect(8, 0, room, self.height()), Qt.AlignmentFlag.AlignVCenter, text)


class AlgorithmList(QWidget):
    """Families with their algorithms; ``chosen`` carries the id of the one that is clicked."""

    chosen = Signal(str)

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("plain", "true")
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 2, 0)
        self._layout.setSpacing(0)
        self.rows: dict[str, AlgorithmRow] = {}

    def set_algorithms(self, specs: Sequence[AlgorithmSpec]) -> None:
        """Show these algorithms, which come in the order of families."""
        while (item := self._layout.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self.rows = {}
        family = ""
        for spec in specs:
            if spec.family.value != family:
                family = spec.family.value
                label = text_label(family, "family")
                label.setContentsMargins(8, 7 if self.rows else 0, 0, 3)
                self._layout.addWidget(label)
            row = AlgorithmRow(spec.id, spec.name)
            row.clicked.connect(lambda _checked=False, key=spec.id: self.choose(key))
            self.rows[spec.id] = row
            self._layout.addWidget(row)
        self._layout.addStretch(1)

    def choose(self, key: str) -> None:
        """Choose an algorithm, as if it were clicked."""
        self.show_chosen(key)
        self.chosen.emit(key)

    def show_chosen(self, key: str) -> None:
        """Mark the algorithm that is chosen."""
        for other, row in self.rows.items():
            row.setChecked(other == key)

    def set_marks(self, versions: Mapping[str, int], lacks: Mapping[str, str]) -> None:
        """Show the newest trained version and what is lacking, by algorithm."""
        for key, row in self.rows.items():
            mark = f"\u2713 v{versions[key]}" if key in versions else ""
            row.set_mark(mark, lacks.get(key, ""))


def lacking(spec: AlgorithmSpec, statistics: DatasetStatistics | None) -> str:
    """Say in two words what a data set lacks for an algorithm, or nothing."""
    if statistics is None:
        return ""
    needs = spec.needs
    roles = set(statistics.item_columns.values())
    if needs.ratings and statistics.feedback != "explicit":
        return "needs ratings"
    if needs.timestamps and statistics.first is None:
        return "needs times"
    if needs.item_content and not roles & {"title", "text", "category", "tags"}:
        return "needs text"
    if needs.interactions and statistics.interactions == 0:
        return "needs interactions"
    if needs.interactions and (statistics.users < needs.users or statistics.items < needs.items):
        return "needs more data"
    return ""
