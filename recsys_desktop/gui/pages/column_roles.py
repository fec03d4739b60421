"""The preview of a file: its first rows under headers that show, and correct, the role of each column."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QAction, QColor, QFont, QFontMetrics, QPainter, QPaintEvent, QPen, QResizeEvent
from PySide6.QtWidgets import QAbstractButton, QHeaderView, QLabel, QMenu, QWidget

from recsys_desktop.gui.theme import fixed_font, interface_font, theme
from recsys_desktop.gui.widgets.table import Column, DataTable

HEADER_HEIGHT = 60

ROLE_NAMES = {
    "user": "User",
    "item": "Item",
    "rating": "Rating",
    "timestamp": "Time",
    "event": "Event",
    "weight": "Weight",
    "title": "Title",
    "text": "Text",
    "category": "Category",
    "tags": "Tags",
    "numeric": "Number",
    "ignore": "Left out",
}

ROLES_OF_KIND = {
    "interactions": ("user", "item", "rating", "timestamp", "event", "weight", "ignore"),
    "items": ("item", "title", "text", "category", "tags", "numeric", "ignore"),
    "users": ("user", "category", "tags", "numeric", "ignore"),
}


class RoleButton(QAbstractButton):
    """The role of one column, as a tag with a menu."""

    def __init__(self, column: str, parent: QWidget) -> None:
        super().__init__(parent)
        self.column = column
        self._role = ""
        self._detail = ""
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self._menu = QMenu(self)
        self.clicked.connect(lambda: self._menu.popup(self.mapToGlobal(self.rect().bottomLeft())))

    @property
    def role(self) -> str:
        """The role shown, a value of ``recsys_desktop.api.Role``."""
        return self._role

    def menu_actions(self) -> list[QAction]:
        """The roles that can be chosen."""
        return self._menu.actions()

    def set_role(self, role: str, detail: str, reason: str, choices: Sequence[str]) -> None:
        """Show a role, why it was guessed, and what it could be instead."""
        self._role, self._detail = role, detail
        self.setAccessibleName(f"Role of {self.column}: {self.text_shown()}")
        self.setToolTip(reason)
        self._menu.clear()
        for choice in choices:
            action = QAction(ROLE_NAMES.get(choice, choice), self._menu)
            action.setData(choice)
            action.setCheckable(True)
            action.setChecked(choice == role)
            self._menu.addAction(action)
        self.resize(self.sizeHint())
        self.update()

    def text_shown(self) -> str:
        """What the tag says."""
        name = ROLE_NAMES.get(self._role, self._role)
        return f"{name} \u00b7 {self._detail}" if self._detail else name

    @property
    def menu(self) -> QMenu:
        """The menu of roles."""
        return self._menu

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        metrics = QFontMetrics(interface_font(11, QFont.Weight.DemiBold))
        return QSize(metrics.horizontalAdvance(self.text_shown() + " \u25be") + 16, 19)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        colours = theme().colours
        ignored = self._role == "ignore"
        painter.setPen(QPen(QColor(colours.accent), 1.2) if self.hasFocus() else Qt.PenStyle.NoPen)
        painter.setBrush(QColor(colours.sunken if ignored else colours.weak_accent))
        painter.drawRoundedRect(self.rect().adjusted(1, 1, -1, -1), 4, 4)
        painter.setFont(interface_font(11, QFont.Weight.DemiBold))
        painter.setPen(QColor(colours.muted if ignored else colours.accent))
        arrow = " \u25be"
        room = self.width() - 12 - painter.fontMetrics().horizontalAdvance(arrow)
        text = painter.fontMetrics().elidedText(self.text_shown(), Qt.TextElideMode.ElideRight, room)
        painter.drawText(self.rect(), Qt.AlignmentFlag.AlignCenter, text + arrow)


class RoleHeader(QHeaderView):
    """A header of two lines: the name of the column as it is in the file, and its role."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setFixedHeight(HEADER_HEIGHT)
        self.setMinimumSectionSize(60)
        self.setSectionsClickable(False)
        self._names: list[QLabel] = []
        self._buttons: list[RoleButton] = []
        self.sectionResized.connect(self._place)

    @property
    def role_buttons(self) -> list[RoleButton]:
        """One button per column."""
        return list(self._buttons)

    def set_columns(self, names: Sequence[str]) -> None:
        """Make labels and buttons for these columns."""
        for widget in (*self._names, *self._buttons):
            widget.hide()
            widget.deleteLater()
        self._names, self._buttons = [], []
        for name in names:
            label = QLabel(name, self.viewport())
            label.setFont(fixed_font(12))
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setToolTip(name)
            label.show()
            self._names.append(label)
            entry = RoleButton(name, self.viewport())
            entry.show()
            self._buttons.append(entry)
        self._place()

    def _place(self, *_resized: int) -> None:
        for place, (label, entry) in enumerate(zip(self._names, self._buttons, strict=True)):
            left = self.sectionViewportPosition(place) + (10 if place else 14)
            width = self.sectionSize(place) - 20
            label.setGeometry(left, 10, width, 18)
            entry.setGeometry(left - 1, 33, min(width, entry.sizeHint().width()), 19)

    def setOffset(self, offset: int) -> None:  # noqa: N802 - Qt's name
        super().setOffset(offset)
        self._place()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        self._place()

    def paintSection(self, painter: QPainter, rectangle: QRect, section: int) -> None:  # noqa: N802 - Qt's name
        painter.setPen(theme().colour("border"))
        painter.drawLine(rectangle.bottomLeft(), rectangle.bottomRight())


class RolePreview(DataTable):
    """The first rows of a file; ``role_chosen`` carries a column and the role that the person gave it."""

    role_chosen = Signal(str, str)

    def __init__(self) -> None:
        super().__init__("First rows of the file")
        self.header = RoleHeader(self)
        self.setHorizontalHeader(self.header)
        self.setSelectionMode(DataTable.SelectionMode.NoSelection)
        self.verticalHeader().setDefaultSectionSize(28)

    def show_file(
        self,
        columns: Sequence[tuple[str, str, str, str]],
        rows: Sequence[Sequence[str]],
        kind: str,
    ) -> None:
        """Show the columns of a file as (name, role, detail, reason) and its first rows."""
        values = [[row[place] for row in rows] for place in range(len(columns))]
        self.set_columns(
            [
                Column(f"{place}", name, values[place], monospace=True, align_right=False, minimum_width=130)
                for place, (name, _, _, _) in enumerate(columns)
            ]
        )
        self.header.set_columns([name for name, _, _, _ in columns])
        choices = ROLES_OF_KIND.get(kind, tuple(ROLE_NAMES))
        for entry, (name, role, detail, reason) in zip(self.header.role_buttons, columns, strict=True):
            entry.set_role(role, detail, reason, choices if role in choices else (*choices, role))
            for action in entry.menu_actions():
                action.triggered.connect(partial(self._role_chosen, name, str(action.data())))
        for place, entry in enumerate(self.header.role_buttons):
            self.header.resizeSection(place, max(self.header.sectionSize(place), entry.sizeHint().width() + 24))
        self.header.setStretchLastSection(True)

    def _role_chosen(self, column: str, role: str, _checked: bool = False) -> None:
        self.role_chosen.emit(column, role)
