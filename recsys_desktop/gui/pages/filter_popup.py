"""Filters of a list: one field for each item column that can be filtered by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEvent, QObject, QPoint, Qt, Signal
from PySide6.QtWidgets import QApplication, QFrame, QLineEdit, QVBoxLayout, QWidget

from recsys_desktop.gui import formats
from recsys_desktop.gui.widgets.buttons import Choice, button
from recsys_desktop.gui.widgets.card import row
from recsys_desktop.gui.widgets.field_row import FieldRow
from recsys_desktop.gui.widgets.labels import text_label

if TYPE_CHECKING:
    from recsys_desktop.engine import FilterColumn

_MOST_CHOICES = 300
_ANY = "any"


def read_range(text: str) -> tuple[float | None, float | None] | None:
    """Read ``1990 - 1999``, ``1990-``, ``-1999`` or ``1994``; None when empty. Raises ``ValueError`` otherwise."""
    text = text.replace("\u2013", "-").strip()
    if not text:
        return None
    if "-" not in text:
        return float(text), float(text)
    low, _, high = text.partition("-")
    if not low.strip() and not high.strip():
        raise ValueError("give at least one end of the range")
    return (float(low) if low.strip() else None, float(high) if high.strip() else None)


class FilterPopup(QFrame):
    """``changed`` follows every valid change; ``filters`` is what a request takes."""

    changed = Signal()

    def __init__(self, host: QWidget) -> None:
        super().__init__(host)
        self._host = host
        self.setProperty("popup", "true")
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(14, 12, 14, 12)
        self._layout.setSpacing(8)
        self._rows: dict[str, FieldRow] = {}
        self.filters: dict[str, Any] = {}
        self.hide()

    def set_columns(self, columns: Sequence[FilterColumn]) -> None:
        """Make a field for each column; every filter is lifted."""
        while (item := self._layout.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
            elif (layout := item.layout()) is not None:
                while (inner := layout.takeAt(0)) is not None:
                    if (widget := inner.widget()) is not None:
                        widget.hide()
                        widget.deleteLater()
        self._rows, self.filters = {}, {}
        self._layout.addLayout(
            row(text_label("Only items with", "card-title"), 1, button("Clear", "quiet", self.clear))
        )
        for column in columns:
            self._rows[column.name] = self._row(column)
            self._layout.addWidget(self._rows[column.name])
        if not columns:
            self._layout.addWidget(text_label("The items of this data have no columns to filter by.", "muted"))

    def _row(self, column: FilterColumn) -> FieldRow:
        label = column.name.replace("_", " ").capitalize()
        if column.kind == "number":
            line = QLineEdit()
            line.setAlignment(Qt.AlignmentFlag.AlignRight)
            line.setPlaceholderText(f"{formats.number(column.low or 0.0)} \u2013 {formats.number(column.high or 0.0)}")
            line.textChanged.connect(lambda _text: self._read())
            entry = FieldRow(label, line, "", "A number or a range, for example 1990-1999 or 1990-.")
        else:
            choice = Choice(label)
            choice.addItem(_ANY, None)
            for value in column.choices[:_MOST_CHOICES]:
                choice.addItem(value, value)
            choice.setMaxVisibleItems(14)
            choice.currentIndexChanged.connect(lambda _index: self._read())
            entry = FieldRow(label, choice)
        entry.control.setFixedWidth(170)
        return entry

    def _read(self) -> None:
        filters: dict[str, Any] = {}
        for name, entry in self._rows.items():
            control = entry.control
            if isinstance(control, Choice):
                if control.currentData() is not None:
                    filters[name] = control.currentData()
            elif isinstance(control, QLineEdit):
                try:
                    wanted = read_range(control.text())
                except ValueError:
                    entry.set_error("Give a number or a range, for example 1990-1999.")
                    return
                entry.set_error("")
                if wanted is not None:
                    filters[name] = wanted
        if filters != self.filters:
            self.filters = filters
            self.changed.emit()

    def clear(self) -> None:
        """Lift every filter."""
        for entry in self._rows.values():
            control = entry.control
            if isinstance(control, Choice):
                control.setCurrentIndex(0)
            elif isinstance(control, QLineEdit):
                control.clear()

    def summary(self) -> str:
        """Say in short what is filtered."""
        if not self.filters:
            return "Filters: none"
        parts = []
        for value in self.filters.values():
            if isinstance(value, tuple):
                parts.append("\u2013".join("" if end is None else formats.number(end) for end in value))
            else:
                parts.append(str(value))
        return "Filters: " + " \u00b7 ".join(parts)

    def open_under(self, control: QWidget) -> None:
        """Show the popup under a control."""
        self.adjustSize()
        width = max(340, self.sizeHint().width())
        height = min(self._host.height() - 80, self.sizeHint().height())
        place = control.mapTo(self._host, QPoint(0, control.height() + 4))
        left = max(8, min(place.x(), self._host.width() - width - 8))
        self.setGeometry(left, place.y(), width, height)
        self.show()
        self.raise_()
        QApplication.instance().installEventFilter(self)  # type: ignore[union-attr]

    def leave(self) -> None:
        """Close."""
        application = QApplication.instance()
        if application is not None:
            application.removeEventFilter(self)
        self.hide()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        if event.type() == QEvent.Type.MouseButtonPress and isinstance(watched, QWidget) and self.isVisible():
            if watched is not self and not self.isAncestorOf(watched) and watched.window() is self.window():
                self.leave()
        elif event.type() == QEvent.Type.KeyPress and event.key() == Qt.Key.Key_Escape:  # type: ignore[attr-defined]
            self.leave()
        return False
