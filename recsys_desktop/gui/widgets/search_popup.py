"""A list that opens under a control: type, choose with arrows or mouse; used to find people and items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QObject, QPoint, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QKeyEvent
from PySide6.QtWidgets import QApplication, QFrame, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

_TYPING_PAUSE_MS = 120


@dataclass(frozen=True, slots=True)
class Found:
    """One result: what is shown, a muted addition, and the value that is handed on."""

    text: str
    hint: str
    value: object


class SearchPopup(QFrame):
    """``typed`` asks for results, ``set_results`` shows them, ``chosen`` carries the value of the one taken.

    A child of its window, not a window of its own, so that it cannot outlive it.
    """

    typed = Signal(str)
    chosen = Signal(object)

    def __init__(self, host: QWidget, placeholder: str) -> None:
        super().__init__(host)
        self.setProperty("popup", "true")
        self._results: list[Found] = []
        self._control: QWidget | None = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.setSpacing(6)
        self.line = QLineEdit()
        self.line.setPlaceholderText(placeholder)
        self.line.setAccessibleName(placeholder)
        self.list = QListWidget()
        self.list.setAccessibleName("Found")
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        layout.addWidget(self.line)
        layout.addWidget(self.list, 1)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_TYPING_PAUSE_MS)
        self._pause.timeout.connect(lambda: self.typed.emit(self.line.text()))
        self.line.textEdited.connect(lambda _text: self._pause.start())
        self.list.itemClicked.connect(lambda item: self.take(self.list.row(item)))
        self.line.installEventFilter(self)
        self.hide()

    @property
    def results(self) -> list[Found]:
        """What is listed."""
        return list(self._results)

    def open_under(self, control: QWidget, width: int = 360, height: int = 320) -> None:
        """Show the popup under a control and ask for everything."""
        host = self.window() if self.parentWidget() is None else self.parentWidget()
        assert host is not None
        self._control = control
        place = control.mapTo(host, QPoint(0, control.height() + 4))
        left = max(8, min(place.x(), host.width() - width - 8))
        top = max(8, min(place.y(), host.height() - height - 8))
        self.setGeometry(left, top, width, height)
        self.line.clear()
        self.show()
        self.raise_()
        self.line.setFocus()
        QApplication.instance().installEventFilter(self)  # type: ignore[union-attr]
        self.typed.emit("")

    def set_results(self, results: Sequence[Found]) -> None:
        """Show what was found."""
        self._results = list(results)
        self.list.clear()
        for found in results:
            item = QListWidgetItem(f"{found.text}   {found.hint}" if found.hint else found.text)
            item.setToolTip(found.text)
            item.setSizeHint(QSize(10, 30))
            self.list.addItem(item)
        if results:
            self.list.setCurrentRow(0)
        else:
            item = QListWidgetItem("Nothing of that name")
            item.setFlags(Qt.ItemFlag.NoItemFlags)
            self.list.addItem(item)

    def take(self, row: int) -> None:
        """Take one of the results and close."""
        if 0 <= row < len(self._results):
            value = self._results[row].value
            self.leave()
            self.chosen.emit(value)

    def leave(self) -> None:
        """Close without taking anything; the focus goes back to where it came from."""
        self._pause.stop()
        if self._control is not None and self.line.hasFocus():
            self._control.setFocus(Qt.FocusReason.OtherFocusReason)
        application = QApplication.instance()
        if application is not None:
            application.removeEventFilter(self)
        self.hide()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        if watched is self.line and isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            return self._key(event)
        if event.type() == QEvent.Type.MouseButtonPress and isinstance(watched, QWidget) and self.isVisible():
            inside = watched is self or self.isAncestorOf(watched)
            if not inside and watched.window() is self.window():
                self.leave()
        return False

    def _key(self, event: QKeyEvent) -> bool:
        if event.key() == Qt.Key.Key_Escape:
            self.leave()
        elif event.key() in (Qt.Key.Key_Down, Qt.Key.Key_Up):
            step = 1 if event.key() == Qt.Key.Key_Down else -1
            self.list.setCurrentRow(max(0, min(self.list.count() - 1, self.list.currentRow() + step)))
        elif event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self.take(self.list.currentRow())
        else:
            return False
        return True
