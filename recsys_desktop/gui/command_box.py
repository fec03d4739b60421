"""The search and command box of the context bar (Ctrl+K): type a few letters, choose, run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QObject, QPoint, QSize, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence, QPainter, QPaintEvent, QShortcut
from PySide6.QtWidgets import QFrame, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from recsys_desktop.gui.theme import interface_font, theme

_SHOWN = 9
_WIDTH = 260


@dataclass(frozen=True, slots=True)
class Command:
    """Something the person can do or open by name. ``group`` is written at the right: Page, Data, Model, Item."""

    name: str
    group: str
    run: Callable[[], object]


def matching(commands: Sequence[Command], typed: str) -> list[Command]:
    """Return the commands that contain every typed word, those that begin with the text first."""
    words = typed.casefold().split()
    found = [command for command in commands if all(word in command.name.casefold() for word in words)]
    start = typed.casefold().strip()
    return sorted(found, key=lambda command: (not command.name.casefold().startswith(start), command.name))


class CommandBox(QLineEdit):
    """A line that lists matching commands under it; arrows choose, Return runs, Escape leaves."""

    def __init__(self, window: QWidget, commands: Callable[[], Sequence[Command]]) -> None:
        super().__init__()
        self._commands = commands
        self._window = window
        self._found: list[Command] = []
        self.setObjectName("commandBox")
        self.setPlaceholderText("Search or run a command")
        self.setAccessibleName("Search or run a command")
        self.setFixedWidth(_WIDTH)
        self._popup = QFrame(window)
        self._popup.setProperty("popup", "true")
        self._popup.hide()
        layout = QVBoxLayout(self._popup)
        layout.setContentsMargins(4, 4, 4, 4)
        self._list = QListWidget()
        self._list.setAccessibleName("Commands found")
        self._list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._list.setUniformItemSizes(True)
        self._list.itemClicked.connect(lambda item: self._run(self._list.row(item)))
        layout.addWidget(self._list)
        self.textEdited.connect(lambda _text: self._refresh())
        shortcut = QShortcut(QKeySequence("Ctrl+K"), window)
        shortcut.activated.connect(self.begin)
        self.installEventFilter(self)

    @property
    def found(self) -> list[Command]:
        """The commands listed now."""
        return list(self._found)

    def begin(self) -> None:
        """Take the focus and list everything."""
        self.setFocus(Qt.FocusReason.ShortcutFocusReason)
        self.selectAll()
        self._refresh()

    def _refresh(self) -> None:
        self._found = matching(self._commands(), self.text())[:_SHOWN]
        self._list.clear()
        for command in self._found:
            item = QListWidgetItem(f"{command.name}   \u00b7   {command.group}")
            item.setSizeHint(QSize(10, 30))
            self._list.addItem(item)
        if not self._found:
            item = QListWidgetItem("Nothing of that name")
            item.setFlags(Qt.ItemFlag.NoItemFlags)
            item.setSizeHint(QSize(10, 30))
            self._list.addItem(item)
        else:
            self._list.setCurrentRow(0)
        window = self._window
        place = self.mapTo(window, QPoint(0, self.height() + 4))
        width = max(self.width(), 380)
        height = 30 * self._list.count() + 12
        self._popup.setGeometry(place.x() + self.width() - width, place.y(), width, height)
        self._popup.show()
        self._popup.raise_()

    def _leave(self) -> None:
        self._popup.hide()
        self.clear()

    def _run(self, row: int) -> None:
        if 0 <= row < len(self._found):
            command = self._found[row]
            self._leave()
            self.clearFocus()
            command.run()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        key = event.key()
        if key in (Qt.Key.Key_Down, Qt.Key.Key_Up) and self._popup.isVisible():
            step = 1 if key == Qt.Key.Key_Down else -1
            self._list.setCurrentRow(max(0, min(self._list.count() - 1, self._list.currentRow() + step)))
        elif key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) and self._popup.isVisible():
            self._run(self._list.currentRow())
        elif key == Qt.Key.Key_Escape:
            self._leave()
            self.clearFocus()
        else:
            super().keyPressEvent(event)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        if watched is self and event.type() == QEvent.Type.FocusOut:
            self._leave()
        return False

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        super().paintEvent(event)
        if not self.hasFocus() and not self.text():
            painter = QPainter(self)
            painter.setFont(interface_font(12))
            painter.setPen(theme().colour("muted"))
            area = self.rect().adjusted(0, 0, -11, 0)
            painter.drawText(area, Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter, "Ctrl K")
