"""The contribution chart: what adds up to a score, as bars to the right and left of zero, with their sum."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QRectF, QSize, Qt
from PySide6.QtGui import QFont, QFontMetrics, QHelpEvent, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from recsys_desktop.gui import formats
from recsys_desktop.gui.theme import interface_font, theme
from recsys_desktop.gui.widgets.labels import elision

_ROW = 26
_BAR = 14
_FOOT = 30


@dataclass(frozen=True, slots=True)
class ContributionBar:
    """One part of a score: what it is called, how much it adds (in the units of the score), and what it is made of."""

    label: str
    value: float
    detail: str = ""


class ContributionChart(QWidget):
    """Bars of the parts of a score and the line ``base + contributions = score`` under them."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._bars: list[ContributionBar] = []
        self._base = 0.0
        self._score = 0.0
        self._digits = 2
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme().changed.connect(self.update)

    @property
    def bars(self) -> list[ContributionBar]:
        """The parts shown."""
        return list(self._bars)

    @property
    def score(self) -> float:
        """The sum shown."""
        return self._score

    def set_contributions(self, bars: Sequence[ContributionBar], base: float, score: float) -> None:
        """Show the parts of another score."""
        self._bars, self._base, self._score = list(bars), base, score
        largest = max([abs(bar.value) for bar in bars] + [abs(score), abs(base)], default=1.0)
        self._digits = 1 if largest >= 100 else 2 if largest >= 0.1 else 3 if largest >= 0.01 else 4
        parts = ", ".join(f"{bar.label} {formats.signed(bar.value, self._digits)}" for bar in bars)
        self.setAccessibleName(
            f"What adds up to the score: base {formats.decimal(base, self._digits)}, {parts}; "
            f"score {formats.decimal(score, self._digits)}"
        )
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return QSize(320, _ROW * len(self._bars) + _FOOT)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return QSize(200, self.sizeHint().height())

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            place = event.pos().y() // _ROW
            if 0 <= place < len(self._bars):
                bar = self._bars[place]
                text = f"{bar.label}: {formats.signed(bar.value, self._digits + 2)}"
                QToolTip.showText(event.globalPos(), f"{text}\n{bar.detail}" if bar.detail else text, self)
            else:
                QToolTip.hideText()
            return True
        return super().event(event)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        label_font, value_font = interface_font(12), interface_font(12)
        labels, values = QFontMetrics(label_font), QFontMetrics(value_font)
        widest_value = max(
            [values.horizontalAdvance(formats.signed(bar.value, self._digits)) for bar in self._bars], default=30
        )
        label_width = min(
            max([labels.horizontalAdvance(bar.label) for bar in self._bars], default=0), round(self.width() * 0.42)
        )
        left = label_width + 10
        positive = max([bar.value for bar in self._bars] + [0.0])
        negative = -min([bar.value for bar in self._bars] + [0.0])
        room = max(20, self.width() - left - widest_value - 14)
        if negative:
            room = max(20, room - (widest_value + 8 if negative > positive * 0.5 else 4))
        scale = room / ((positive + negative) or 1.0)
        zero = left + negative * scale + 4
        painter.setPen(theme().colour("border"))
        painter.drawLine(round(zero), 2, round(zero), _ROW * len(self._bars) - 2)
        for place, bar in enumerate(self._bars):
            top = place * _ROW
            painter.setFont(label_font)
            painter.setPen(theme().colour("text"))
            text = labels.elidedText(bar.label, elision(bar.label), label_width)
            area = QRectF(0, top, label_width + 1, _ROW)
            painter.drawText(area, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, text)
            length = max(2.0, abs(bar.value) * scale)
            start = zero + 1 if bar.value >= 0 else zero - 1 - length
            painter.setPen(Qt.PenStyle.NoPen)
            painter.setBrush(theme().colour("accent" if bar.value >= 0 else "negative"))
            painter.drawRoundedRect(QRectF(start, top + (_ROW - _BAR) / 2, length, _BAR), 2.5, 2.5)
            painter.setFont(value_font)
            painter.setPen(theme().colour("muted"))
            at = start + length + 6 if bar.value >= 0 else zero + 8
            area = QRectF(at, top, widest_value + 8, _ROW)
            painter.drawText(
                area,
                Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter,
                formats.signed(bar.value, self._digits),
            )
        self._paint_sum(painter)

    def _paint_sum(self, painter: QPainter) -> None:
        top = _ROW * len(self._bars)
        area = QRectF(0, top, self.width(), _FOOT)
        painter.setFont(interface_font(12))
        painter.setPen(theme().colour("muted"))
        base = f"base {formats.decimal(self._base, self._digits)} + contributions"
        painter.drawText(area, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, base)
        painter.setFont(interface_font(12, QFont.Weight.DemiBold))
        painter.setPen(theme().colour("text"))
        score = f"score {formats.decimal(self._score, self._digits)}"
        painter.drawText(area, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, score)
