"""A thin bar that shows a share: progress of a job, confidence of a recommendation."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from recsys_desktop.gui import formats
from recsys_desktop.gui.theme import theme
from recsys_desktop.gui.widgets.labels import text_label


class Bar(QWidget):
    """A bar filled from the left by a share between 0 and 1; empty while the share is unknown (None)."""

    def __init__(self, name: str, share: float | None = 0.0, height: int = 5, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._share = share
        self._name = name
        self.setFixedHeight(height)
        self.setMinimumWidth(40)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme().changed.connect(self.update)
        self.set_share(share)

    @property
    def share(self) -> float | None:
        """The share shown."""
        return self._share

    def set_share(self, share: float | None) -> None:
        """Show another share."""
        self._share = None if share is None else min(1.0, max(0.0, share))
        value = "unknown" if self._share is None else formats.percent(self._share)
        self.setAccessibleName(f"{self._name}: {value}")
        self.update()

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return QSize(92, self.height())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        area = QRectF(self.rect())
        radius = area.height() / 2
        painter.setBrush(theme().colour("sunken"))
        painter.drawRoundedRect(area, radius, radius)
        if self._share:
            area.setWidth(max(area.height(), area.width() * self._share))
            painter.setBrush(theme().colour("accent"))
            painter.drawRoundedRect(area, radius, radius)


class LabelledBar(QWidget):
    """A bar with a text at its left and the value at its right, for example ``Coverage  ▬▬▬───  .118``."""

    def __init__(self, label: str, value: str = "", share: float | None = 0.0, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._label = text_label(label, "small")
        self._value = QLabel(value)
        self._value.setProperty("role", "strong")
        self._value.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._bar = Bar(label, share)
        line = QHBoxLayout()
        line.setContentsMargins(0, 0, 0, 0)
        line.addWidget(self._label, 1)
        line.addWidget(self._value)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(line)
        layout.addWidget(self._bar)

    def set_value(self, share: float | None, value: str) -> None:
        """Show another share and what is written beside it."""
        self._bar.set_share(share)
        self._value.setText(value)
