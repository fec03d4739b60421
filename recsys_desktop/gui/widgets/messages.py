"""What a page says when there is nothing to show, when something went wrong, and when something can be undone."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, QObject, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QPixmap
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from recsys_desktop.gui.icons import icon_pixmap
from recsys_desktop.gui.theme import CARD_GAP, CONTROL_GAP, theme
from recsys_desktop.gui.widgets.buttons import IconButton, button
from recsys_desktop.gui.widgets.labels import text_label

TOAST_SECONDS = 6


class IconLabel(QLabel):
    """An icon in a colour of the theme, sharp on every screen. Decoration: a text beside it says the same."""

    def __init__(self, icon_name: str, role: str = "muted", size: int = 20, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._icon_name, self._role, self._extent = icon_name, role, size
        self.setFixedSize(QSize(size, size))
        theme().changed.connect(self._draw)
        self._draw()

    def _draw(self) -> None:
        pixmap: QPixmap = icon_pixmap(
            self._icon_name, theme().colour(self._role), self._extent, self.devicePixelRatioF()
        )
        self.setPixmap(pixmap)


class EmptyState(QWidget):
    """One sentence and one action, in the middle of a place that has nothing to show yet."""

    def __init__(
        self,
        icon_name: str,
        sentence: str,
        action: str = "",
        clicked: Callable[[], object] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.setProperty("plain", "true")
        layout = QVBoxLayout(self)
        layout.setSpacing(CARD_GAP)
        layout.addStretch(2)
        layout.addWidget(IconLabel(icon_name, "faint", 32), alignment=Qt.AlignmentFlag.AlignHCenter)
        self.sentence = text_label(sentence, "muted", wrap=True)
        self.sentence.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        layout.addWidget(self.sentence)
        self.action: QPushButton | None = None
        if action:
            self.action = button(action, "primary", clicked)
            layout.addWidget(self.action, alignment=Qt.AlignmentFlag.AlignHCenter)
        layout.addStretch(3)
        self.setAccessibleName(sentence)


class InlineMessage(QFrame):
    """What is wrong, where, and what to do, in the place that it concerns; goes when it is closed or acted on."""

    closed = Signal()

    def __init__(
        self,
        what: str,
        where: str = "",
        what_to_do: str = "",
        *,
        severity: str = "error",
        action: str = "",
        clicked: Callable[[], object] | None = None,
        parent: QWidget | None = None,
    ) -> None:
        """``severity``: ``error``, ``warning`` or ``information``."""
        super().__init__(parent)
        self.setProperty("message", severity)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        role = {"error": "negative", "warning": "warning", "information": "accent"}[severity]
        layout = QHBoxLayout(self)
        layout.setContentsMargins(12, 10, 8, 10)
        layout.setSpacing(10)
        layout.addWidget(IconLabel(severity, role, 18), alignment=Qt.AlignmentFlag.AlignTop)
        texts = QVBoxLayout()
        texts.setSpacing(2)
        self.what_label = text_label(what, "strong", wrap=True)
        texts.addWidget(self.what_label)
        for text in (where, what_to_do):
            if text:
                label = text_label(text, wrap=True)
                label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
                texts.addWidget(label)
        layout.addLayout(texts, 1)
        if action:
            self.action = button(action, "", clicked)
            self.action.clicked.connect(self._leave)
            layout.addWidget(self.action, alignment=Qt.AlignmentFlag.AlignTop)
        close = IconButton("close", "Close this message", 14)
        close.clicked.connect(self._leave)
        layout.addWidget(close, alignment=Qt.AlignmentFlag.AlignTop)
        self.setAccessibleName(". ".join(part for part in (what, where, what_to_do) if part))

    def _leave(self) -> None:
        self.hide()
        self.closed.emit()
        self.deleteLater()


class Toast(QFrame):
    """A short notice at the foot of a widget, with Undo, that goes away by itself.

    ``expired`` is emitted when it goes without having been undone.
    """

    expired = Signal()
    gone = Signal()

    def __init__(self, host: QWidget, text: str, undo: Callable[[], object] | None = None) -> None:
        super().__init__(host)
        self.setProperty("toast", "true")
        self.setAccessibleName(text)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(14, 8, 14, 8)
        layout.setSpacing(CONTROL_GAP)
        layout.addWidget(QLabel(text))
        self._undo = undo
        self._host = host
        self.undo_button: QPushButton | None = None
        if undo is not None:
            self.undo_button = button("Undo", "", self._undone)
            layout.addWidget(self.undo_button)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._expire)
        host.installEventFilter(self)
        self._place()
        self.show()
        self.raise_()
        self._timer.start(TOAST_SECONDS * 1000)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        if event.type() == QEvent.Type.Resize:
            self._place()
        return False

    def _place(self) -> None:
        self.adjustSize()
        self.move((self._host.width() - self.width()) // 2, self._host.height() - self.height() - 44)

    def _undone(self) -> None:
        if self._undo is not None:
            self._undo()
        self._go()

    def expire_now(self) -> None:
        """Go, as if the time were over."""
        self._expire()

    def discard(self) -> None:
        """Go without having expired: what could still be undone is not done."""
        self._go()

    def _expire(self) -> None:
        self.expired.emit()
        self._go()

    def _go(self) -> None:
        self._timer.stop()
        self.hide()
        self.gone.emit()
        self.deleteLater()
