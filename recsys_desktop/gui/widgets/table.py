"""The data table: a large table that sorts inside its model, hides columns and copies with headers."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PySide6.QtCore import (
    QAbstractTableModel,
    QItemSelectionModel,
    QModelIndex,
    QPersistentModelIndex,
    QPoint,
    QRect,
    QRectF,
    QSize,
    Qt,
    Signal,
)
from PySide6.QtGui import QAction, QFont, QFontMetrics, QGuiApplication, QKeySequence, QPainter, QPen
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHeaderView,
    QMenu,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionViewItem,
    QTableView,
    QWidget,
)

from recsys_desktop.gui.theme import TABLE_ROW_HEIGHT, fixed_font, interface_font, theme
from recsys_desktop.gui.widgets.labels import Tone

_CELL_PADDING = 9
_FIRST_PADDING = 13
COPY_FORMATS = ("TSV", "CSV", "Markdown", "LaTeX")

Index = QModelIndex | QPersistentModelIndex


@dataclass(frozen=True, slots=True)
class Cell:
    """What one cell shows: a text, a muted text after it, and a tag."""

    text: str
    secondary: str = ""
    tag: str = ""
    tone: Tone = Tone.NEUTRAL
    strong: bool = False
    role: str = "text"
    """The colour of the text, a role of the theme."""


@dataclass(frozen=True)
class Column:
    """One column of a ``DataTable``.

    ``values``: one per row, an array or a list; they are what is sorted and, through ``show``, what is shown.
    ``show`` turns a value into a text or a ``Cell``. Numbers align right unless ``align_right`` says otherwise.
    """

    key: str
    title: str
    values: Sequence[Any] | np.ndarray
    show: Callable[[Any], str | Cell] = str
    help: str = ""
    align_right: bool | None = None
    monospace: bool = False
    strong: bool = False
    muted: bool = False
    stretch: bool = False
    sortable: bool = True
    hidden: bool = False
    minimum_width: int = 0
    maximum_width: int = 420
    is_numeric: bool = field(init=False)

    def __post_init__(self) -> None:
        values = self.values
        numeric = isinstance(values, np.ndarray) and values.dtype.kind in "iufb"
        if not numeric and len(values) and not isinstance(values, np.ndarray):
            numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
        object.__setattr__(self, "is_numeric", numeric)

    @property
    def right(self) -> bool:
        """Whether the column aligns right."""
        return self.is_numeric if self.align_right is None else self.align_right


def sorted_order(values: Sequence[Any] | np.ndarray, *, descending: bool, last: np.ndarray | None = None) -> np.ndarray:
    """Return the row numbers (int64) in the order of ``values``; ties keep their order.

    Values that are not numbers (NaN, None) come last in either direction, and rows marked in ``last`` after them.
    """
    count = len(values)
    array = values if isinstance(values, np.ndarray) else np.asarray(values, dtype=object)
    if array.dtype.kind == "O":
        missing = np.fromiter((value is None or value != value for value in array), dtype=bool, count=count)
        present = [value for value, gone in zip(array, missing, strict=True) if not gone]
        if all(isinstance(value, int | float | np.number) for value in present):
            keys = np.full(count, np.nan)
            keys[~missing] = np.asarray(present, dtype=np.float64)
        else:
            _, ranks = np.unique(np.array([str(value).casefold() for value in present]), return_inverse=True)
            keys = np.full(count, np.nan)
            keys[~missing] = ranks
    elif array.dtype.kind in "US":
        _, keys = np.unique(np.char.lower(array), return_inverse=True)
        keys = keys.astype(np.float64)
    else:
        keys = array.astype(np.float64)
    not_a_number = np.isnan(keys)
    group = not_a_number.astype(np.int8)
    if last is not None:
        group = np.where(last, 2, group).astype(np.int8)
    keys = np.where(not_a_number, 0.0, -keys if descending else keys)
    return np.lexsort((np.arange(count), keys, group)).astype(np.int64)


class TableModel(QAbstractTableModel):
    """Columns of values, shown in an order that sorting changes. Cells are formatted only when they are painted."""

    CELL_ROLE = Qt.ItemDataRole.UserRole + 1
    sorted_changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.columns: list[Column] = []
        self._order = np.zeros(0, dtype=np.int64)
        self._last: np.ndarray | None = None
        self.messages: Mapping[int, Cell] = {}
        self.sort_key: str | None = None
        self.descending = False

    def set_columns(self, columns: Sequence[Column], messages: Mapping[int, Cell] | None = None) -> None:
        """Show other data. ``messages``: rows that say something instead of their figures; they stay last."""
        self.beginResetModel()
        self.columns = list(columns)
        count = len(columns[0].values) if columns else 0
        if any(len(column.values) != count for column in columns):
            raise ValueError("All columns of a table have the same number of rows.")
        self.messages = dict(messages or {})
        self._last = np.isin(np.arange(count), list(self.messages)) if self.messages else None
        self._order = np.arange(count, dtype=np.int64)
        if self.sort_key not in {column.key for column in columns}:
            self.sort_key = None
        self._sort()
        self.endResetModel()
        self.sorted_changed.emit()

    def _sort(self) -> None:
        count = len(self.columns[0].values) if self.columns else 0
        column = next((column for column in self.columns if column.key == self.sort_key), None)
        values = np.zeros(count) if column is None else column.values
        self._order = sorted_order(values, descending=self.descending and column is not None, last=self._last)

    def sort_by(self, key: str, *, descending: bool) -> None:
        """Sort by one column; selected rows stay selected."""
        self.layoutAboutToBeChanged.emit()
        before = self.persistentIndexList()
        rows = [(int(self._order[index.row()]), index.column()) for index in before]
        self.sort_key, self.descending = key, descending
        self._sort()
        place = np.empty_like(self._order)
        place[self._order] = np.arange(len(self._order))
        after = [self.index(int(place[row]), column) for row, column in rows]
        self.changePersistentIndexList(before, after)
        self.layoutChanged.emit()
        self.sorted_changed.emit()

    def source_row(self, row: int) -> int:
        """Return the row of the data that is shown at ``row``."""
        return int(self._order[row])

    def shown_row(self, source: int) -> int:
        """Return where a row of the data is shown."""
        return int(np.flatnonzero(self._order == source)[0])

    def cell(self, row: int, column: int) -> Cell:
        """Return what is shown in a row of the data."""
        described = self.columns[column]
        shown = described.show(described.values[row])
        if isinstance(shown, Cell):
            return shown
        return Cell(shown, strong=described.strong, role="muted" if described.muted else "text")

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's name and default
        return 0 if parent.isValid() else len(self._order)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's name and default
        return 0 if parent.isValid() else len(self.columns)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid():
            return None
        column = self.columns[index.column()]
        if role in (Qt.ItemDataRole.DisplayRole, Qt.ItemDataRole.ToolTipRole, Qt.ItemDataRole.AccessibleTextRole):
            cell = self.cell(self.source_row(index.row()), index.column())
            return " ".join(part for part in (cell.text, cell.secondary, cell.tag) if part)
        if role == self.CELL_ROLE:
            return self.cell(self.source_row(index.row()), index.column())
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        return None

    def headerData(  # noqa: N802 - Qt's name
        self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole
    ) -> Any:
        if orientation is not Qt.Orientation.Horizontal or section >= len(self.columns):
            return None
        column = self.columns[section]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.title
        if role == Qt.ItemDataRole.ToolTipRole:
            return column.help or None
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
            return side | Qt.AlignmentFlag.AlignVCenter
        return None


class CellDelegate(QStyledItemDelegate):
    """Paints a ``Cell``: its text, its muted addition and its tag, in the colours of the theme."""

    def _font(self, column: Column, cell: Cell) -> QFont:
        if column.monospace:
            return fixed_font()
        return interface_font(13, QFont.Weight.DemiBold if cell.strong else QFont.Weight.Normal)

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        model = index.model()
        if not isinstance(model, TableModel):
            super().paint(painter, option, index)
            return
        painter.save()
        rectangle: QRect = option.rect
        state: QStyle.StateFlag = option.state
        selected = bool(state & QStyle.StateFlag.State_Selected)
        if selected:
            painter.fillRect(rectangle, theme().colour("weak_accent"))
        elif state & QStyle.StateFlag.State_MouseOver:
            painter.fillRect(rectangle, theme().colour("background"))
        painter.setPen(QPen(theme().colour("border"), 1))
        painter.drawLine(rectangle.bottomLeft(), rectangle.bottomRight())
        source = model.source_row(index.row())
        column = model.columns[index.column()]
        message = model.messages.get(source)
        first_figure = next((place for place, item in enumerate(model.columns) if item.is_numeric), 1)
        cell = message if message is not None and index.column() >= first_figure else model.cell(source, index.column())
        right = column.right and message is None
        if index.column() == 0:
            rectangle = rectangle.adjusted(_FIRST_PADDING - _CELL_PADDING, 0, 0, 0)
        self._paint_cell(painter, rectangle, column, cell, right)
        painter.restore()

    def _paint_cell(self, painter: QPainter, rectangle: QRect, column: Column, cell: Cell, right: bool) -> None:
        inner = rectangle.adjusted(_CELL_PADDING, 0, -_CELL_PADDING, 0)
        font = self._font(column, cell)
        small = interface_font(12)
        metrics, small_metrics = QFontMetrics(font), QFontMetrics(small)
        tag_font = interface_font(11, QFont.Weight.Medium)
        tag_width = QFontMetrics(tag_font).horizontalAdvance(cell.tag) + 16 if cell.tag else 0
        secondary_width = small_metrics.horizontalAdvance(cell.secondary) + 4 if cell.secondary else 0
        room = inner.width() - tag_width - (6 if tag_width and cell.text else 0) - secondary_width
        text = metrics.elidedText(cell.text, Qt.TextElideMode.ElideRight, max(0, room))
        width = metrics.horizontalAdvance(text)
        left = inner.left()
        if right:
            left = inner.right() + 1 - width - secondary_width - (tag_width + 6 if tag_width else 0)
        middle = Qt.AlignmentFlag.AlignVCenter | Qt.AlignmentFlag.AlignLeft
        if cell.tag and not right:
            self._paint_tag(painter, tag_font, QPoint(left, inner.center().y()), tag_width, cell)
            left += tag_width + 6
        painter.setFont(font)
        painter.setPen(theme().colour(cell.role))
        painter.drawText(QRect(left, inner.top(), width + 2, inner.height()), int(middle), text)
        left += width
        if cell.secondary:
            painter.setFont(small)
            painter.setPen(theme().colour("muted"))
            painter.drawText(QRect(left + 4, inner.top(), secondary_width, inner.height()), int(middle), cell.secondary)
            left += secondary_width
        if cell.tag and right:
            self._paint_tag(painter, tag_font, QPoint(left + 6, inner.center().y()), tag_width, cell)

    def _paint_tag(self, painter: QPainter, font: QFont, at: QPoint, width: int, cell: Cell) -> None:
        colours = theme().colours
        fill, ink = {
            Tone.NEUTRAL: (colours.sunken, colours.muted),
            Tone.ACCENT: (colours.weak_accent, colours.accent),
            Tone.POSITIVE: (colours.weak_positive, colours.positive),
            Tone.WARNING: (colours.weak_warning, colours.warning),
            Tone.NEGATIVE: (colours.weak_negative, colours.negative),
        }[cell.tone]
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        area = QRectF(at.x(), at.y() - 9, width, 19)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(fill)
        painter.drawRoundedRect(area, 4, 4)
        painter.setFont(font)
        painter.setPen(ink)
        painter.drawText(area, Qt.AlignmentFlag.AlignCenter, cell.tag)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:  # noqa: N802 - Qt's name
        model = index.model()
        if not isinstance(model, TableModel):
            return super().sizeHint(option, index)
        source = model.source_row(index.row())
        if source in model.messages and index.column() > 0:
            return QSize(0, TABLE_ROW_HEIGHT)
        column, cell = model.columns[index.column()], model.cell(source, index.column())
        width = QFontMetrics(self._font(column, cell)).horizontalAdvance(cell.text)
        if cell.secondary:
            width += QFontMetrics(interface_font(12)).horizontalAdvance(cell.secondary) + 4
        if cell.tag:
            width += QFontMetrics(interface_font(11, QFont.Weight.Medium)).horizontalAdvance(cell.tag) + 22
        padding = (_CELL_PADDING if index.column() else _FIRST_PADDING) + _CELL_PADDING
        return QSize(max(width + padding + 2, column.minimum_width), TABLE_ROW_HEIGHT)


class TableHeader(QHeaderView):
    """Paints the titles of the columns; the triangle of the sorted one stands in the padding, so that nothing moves."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setHighlightSections(False)
        self.setSectionsClickable(True)
        self.setFixedHeight(TABLE_ROW_HEIGHT)
        self.setMinimumSectionSize(24)

    @staticmethod
    def width_of(column: Column) -> int:
        """The width that a title needs."""
        text = QFontMetrics(interface_font(12, QFont.Weight.DemiBold)).horizontalAdvance(column.title)
        return text + 2 * _CELL_PADDING + (2 if column.right else 12)

    def paintSection(self, painter: QPainter, rectangle: QRect, section: int) -> None:  # noqa: N802 - Qt's name
        model = self.model()
        painter.save()
        painter.setPen(theme().colour("border"))
        painter.drawLine(rectangle.bottomLeft(), rectangle.bottomRight())
        if isinstance(model, TableModel) and section < len(model.columns):
            column = model.columns[section]
            painter.setFont(interface_font(12, QFont.Weight.DemiBold))
            painter.setPen(theme().colour("muted"))
            area = rectangle.adjusted(_CELL_PADDING if section else _FIRST_PADDING, 0, -_CELL_PADDING, 0)
            side = Qt.AlignmentFlag.AlignRight if column.right else Qt.AlignmentFlag.AlignLeft
            metrics = painter.fontMetrics()
            title = metrics.elidedText(column.title, Qt.TextElideMode.ElideRight, area.width() + 1)
            painter.drawText(area, int(side | Qt.AlignmentFlag.AlignVCenter), title)
            if column.key == model.sort_key:
                width = metrics.horizontalAdvance(title)
                left = area.right() - width - 10 if column.right else area.left() + width + 3
                mark = "\u25be" if model.descending else "\u25b4"
                painter.drawText(QRect(left, area.top(), 12, area.height()), int(Qt.AlignmentFlag.AlignVCenter), mark)
        painter.restore()


class DataTable(QTableView):
    """A table over columns of values.

    Click a header to sort; its context menu chooses columns. Ctrl+C copies the selected rows, or all, with headers.
    ``row_chosen`` carries the row of the data when another row becomes current, ``row_opened`` on a double click or
    Return.
    """

    row_chosen = Signal(int)
    row_opened = Signal(int)

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setAccessibleName(name)
        self.table_model = TableModel(self)
        self.setModel(self.table_model)
        self.setItemDelegate(CellDelegate(self))
        self.setShowGrid(False)
        self.setWordWrap(False)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setEditTriggers(QAbstractItemView.EditTrigger.NoEditTriggers)
        self.setTabKeyNavigation(False)
        self.setMouseTracking(True)
        self.setCornerButtonEnabled(False)
        vertical = self.verticalHeader()
        vertical.hide()
        vertical.setSectionResizeMode(QHeaderView.ResizeMode.Fixed)
        vertical.setDefaultSectionSize(TABLE_ROW_HEIGHT)
        header = TableHeader(self)
        self.setHorizontalHeader(header)
        header.setContextMenuPolicy(Qt.ContextMenuPolicy.CustomContextMenu)
        header.customContextMenuRequested.connect(self._open_column_menu)
        header.sectionClicked.connect(self._header_clicked)
        self.selectionModel().currentRowChanged.connect(self._current_changed)
        self.doubleClicked.connect(self._opened)
        self.activated.connect(self._opened)
        self.table_model.sorted_changed.connect(self._span_messages)
        copy = QAction("Copy with headers", self)
        copy.setShortcut(QKeySequence.StandardKey.Copy)
        copy.setShortcutContext(Qt.ShortcutContext.WidgetShortcut)
        copy.triggered.connect(lambda: self.copy("TSV"))
        self.addAction(copy)
        theme().changed.connect(self.viewport().update)

    def set_columns(
        self,
        columns: Sequence[Column],
        messages: Mapping[int, Cell] | None = None,
        *,
        sort: str | None = None,
        descending: bool = True,
    ) -> None:
        """Show other data; the sort order chosen before is kept where its column is still there."""
        if self.table_model.sort_key is None and sort is not None:
            self.table_model.sort_key, self.table_model.descending = sort, descending
        self.table_model.set_columns(columns, messages)
        self._fit_columns()

    def _fit_columns(self) -> None:
        header = self.horizontalHeader()
        for place, column in enumerate(self.table_model.columns):
            self.setColumnHidden(place, column.hidden)
            if column.stretch:
                header.setSectionResizeMode(place, QHeaderView.ResizeMode.Stretch)
                continue
            header.setSectionResizeMode(place, QHeaderView.ResizeMode.Interactive)
            wanted = max(TableHeader.width_of(column), self.sizeHintForColumn(place), column.minimum_width)
            header.resizeSection(place, min(column.maximum_width, wanted))

    def _span_messages(self) -> None:
        self.clearSpans()
        columns = self.table_model.columns
        first = next((place for place, column in enumerate(columns) if column.is_numeric), 1)
        for source in self.table_model.messages:
            if len(columns) - first > 1:
                self.setSpan(self.table_model.shown_row(source), first, 1, len(columns) - first)

    def _header_clicked(self, section: int) -> None:
        column = self.table_model.columns[section]
        if not column.sortable:
            return
        same = self.table_model.sort_key == column.key
        descending = not self.table_model.descending if same else column.is_numeric
        self.table_model.sort_by(column.key, descending=descending)

    def _current_changed(self, current: QModelIndex) -> None:
        if current.isValid():
            self.row_chosen.emit(self.table_model.source_row(current.row()))

    def _opened(self, index: QModelIndex) -> None:
        if index.isValid():
            self.row_opened.emit(self.table_model.source_row(index.row()))

    def choose_row(self, source: int) -> None:
        """Make a row of the data current and select it."""
        index = self.table_model.index(self.table_model.shown_row(source), 0)
        flags = QItemSelectionModel.SelectionFlag.ClearAndSelect | QItemSelectionModel.SelectionFlag.Rows
        self.selectionModel().setCurrentIndex(index, flags)

    def column_menu(self) -> QMenu:
        """Return the menu that shows and hides columns."""
        menu = QMenu(self)
        for place, column in enumerate(self.table_model.columns):
            action = QAction(column.title or column.key, menu)
            action.setCheckable(True)
            action.setChecked(not self.isColumnHidden(place))
            action.setEnabled(place > 0)
            action.toggled.connect(lambda shown, place=place: self.setColumnHidden(place, not shown))
            menu.addAction(action)
        return menu

    def _open_column_menu(self, at: QPoint) -> None:
        menu = self.column_menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.horizontalHeader().mapToGlobal(at))

    def contents(self, *, selected_only: bool = False) -> tuple[list[str], list[list[str]]]:
        """Return the titles and the shown texts of the visible columns, in the order of the screen.

        With ``selected_only``, only the selected rows, if any are.
        """
        model = self.table_model
        places = [place for place in range(len(model.columns)) if not self.isColumnHidden(place)]
        rows = range(model.rowCount())
        chosen = sorted({index.row() for index in self.selectionModel().selectedRows()})
        if selected_only and chosen:
            rows = chosen  # type: ignore[assignment]
        table = []
        for row in rows:
            source = model.source_row(row)
            message = model.messages.get(source)
            cells = [model.cell(source, place) for place in places]
            texts = [" ".join(part for part in (cell.text, cell.secondary, cell.tag) if part) for cell in cells]
            if message is not None:
                figures = [position for position, place in enumerate(places) if model.columns[place].is_numeric]
                for position in figures:
                    texts[position] = ""
                if figures:
                    texts[figures[0]] = f"{message.tag}: {message.text}" if message.tag else message.text
            table.append(texts)
        return [model.columns[place].title for place in places], table

    def copied_text(self, style: str, *, selected_only: bool = False) -> str:
        """Return the table as text in one of ``COPY_FORMATS``."""
        titles, rows = self.contents(selected_only=selected_only)
        places = [place for place in range(len(self.table_model.columns)) if not self.isColumnHidden(place)]
        right = [self.table_model.columns[place].right for place in places]
        return table_text(titles, rows, right, style)

    def copy(self, style: str = "TSV") -> None:
        """Put the selected rows, or all when one or none is selected, on the clipboard with headers."""
        several = len(self.selectionModel().selectedRows()) > 1
        QGuiApplication.clipboard().setText(self.copied_text(style, selected_only=several))


def table_text(titles: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[bool], style: str) -> str:
    """Write a table as ``TSV``, ``CSV``, ``Markdown`` or ``LaTeX``; ``right`` says which columns align right."""
    if style in {"TSV", "CSV"}:
        target = io.StringIO()
        writer = csv.writer(target, delimiter="\t" if style == "TSV" else ",", lineterminator="\n")
        writer.writerow(titles)
        writer.writerows(rows)
        return target.getvalue()
    if style == "Markdown":
        lines = ["| " + " | ".join(_markdown(title) for title in titles) + " |"]
        lines.append("|" + "|".join(" ---: " if side else " --- " for side in right) + "|")
        lines += ["| " + " | ".join(_markdown(text) for text in row) + " |" for row in rows]
        return "\n".join(lines) + "\n"
    if style == "LaTeX":
        lines = [r"\begin{tabular}{" + "".join("r" if side else "l" for side in right) + "}", r"\hline"]
        lines.append(" & ".join(_latex(title) for title in titles) + r" \\")
        lines.append(r"\hline")
        lines += [" & ".join(_latex(text) for text in row) + r" \\" for row in rows]
        lines += [r"\hline", r"\end{tabular}"]
        return "\n".join(lines) + "\n"
    raise ValueError(f"'{style}' is no format to copy a table in; choose one of {', '.join(COPY_FORMATS)}.")


def _markdown(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")


_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\u00b1": r"$\pm$",
    "\u2009": r"\,",
    "\u202f": r"\,",
    "\u2212": "$-$",
    "\u2014": "---",
}


def _latex(text: str) -> str:
    return "".join(_LATEX.get(character, character) for character in text)
