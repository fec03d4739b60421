"""The data page: nothing yet, an import being prepared, or the data set that is open."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QMessageBox, QStackedWidget, QVBoxLayout, QWidget

from recsys_desktop.gui import formats
from recsys_desktop.gui.pages.column_roles import ROLE_NAMES
from recsys_desktop.gui.pages.import_view import Finding, ImportView, finding_row
from recsys_desktop.gui.pages.statistics_cards import FactTable, StatisticsCards
from recsys_desktop.gui.session import Session
from recsys_desktop.gui.theme import CARD_GAP
from recsys_desktop.gui.widgets.buttons import button
from recsys_desktop.gui.widgets.card import Card, PageFrame, scrolling
from recsys_desktop.gui.widgets.chip import Chip
from recsys_desktop.gui.widgets.messages import EmptyState
from recsys_desktop.gui.widgets.table import Cell, Column, DataTable

if TYPE_CHECKING:
    from recsys_desktop.data import DatasetStatistics
    from recsys_desktop.engine import ItemMatch
    from recsys_desktop.workspace import DatasetRecord

_SIDE_WIDTH = 330
_ITEMS_SHOWN = 200


class DataPage(QStackedWidget):
    """Shows one of three views. ``receive`` takes a list of files to import."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.choose_files: Callable[[], Sequence[Path]] = self._ask_for_files
        self.empty = PageFrame("Data")
        self.empty.body.addWidget(
            EmptyState(
                "data",
                "No data is open. Choose a file of ratings, purchases or clicks, or a sample on the Start page.",
                "Choose a file\u2026",
                self.choose,
            )
        )
        self.import_view = ImportView(session)
        self.dataset_view = DatasetView(session)
        for view in (self.empty, self.import_view, self.dataset_view):
            self.addWidget(view)
        self.dataset_view.another.clicked.connect(self.choose)
        self.import_view.imported.connect(self._imported)
        self.import_view.left.connect(self.show_open)
        session.data_changed.connect(self._data_changed)
        self.show_open()

    def receive(self, detail: object) -> None:
        """Begin the import of files."""
        if isinstance(detail, list | tuple) and detail:
            self.import_view.load([Path(path) for path in detail])
            self.setCurrentWidget(self.import_view)

    def choose(self) -> None:
        """Ask for files and begin their import."""
        files = self.choose_files()
        if files:
            self.receive(list(files))

    def _ask_for_files(self) -> Sequence[Path]:
        names, _ = QFileDialog.getOpenFileNames(self, "Choose a file of ratings, purchases or clicks")
        return [Path(name) for name in names]

    def _imported(self, record: DatasetRecord) -> None:
        self.session.refresh()
        self.session.open_data(record)
        self.session.say(f"{record.name} is imported.")

    def _data_changed(self) -> None:
        self.dataset_view.show_data(self.session.data)
        self.show_open()

    def show_open(self) -> None:
        """Show the data set that is open, or that there is none."""
        if self.session.data is None:
            self.setCurrentWidget(self.empty)
        else:
            if self.dataset_view.record is not self.session.data:
                self.dataset_view.show_data(self.session.data)
            self.setCurrentWidget(self.dataset_view)


class DatasetView(PageFrame):
    """The open data set: its items, what deserves attention, and its figures."""

    def __init__(self, session: Session) -> None:
        super().__init__("Data")
        self.session = session
        self.record: DatasetRecord | None = None
        self.confirm: Callable[[str], bool] = self._confirm
        self.fingerprint_chip = Chip("fingerprint")
        self.feedback_chip = Chip("feedback")
        self.facts.addWidget(self.feedback_chip)
        self.facts.addWidget(self.fingerprint_chip)
        self.delete_button = button("Delete\u2026", "quiet", self.delete)
        self.another = button("Import a file\u2026")
        self.train_button = button("Train models", "primary", lambda: session.go("train"))
        for entry in (self.delete_button, self.another, self.train_button):
            self.buttons.addWidget(entry)
        top = QHBoxLayout()
        top.setSpacing(CARD_GAP)
        self.items_card = Card("Most chosen items", flush=True)
        self.items = DataTable("Most chosen items")
        self.items_card.content.addWidget(self.items)
        top.addWidget(self.items_card, 1)
        self.notes_card = Card("Worth knowing")
        self.notes_card.setFixedWidth(_SIDE_WIDTH)
        notes = QWidget()
        notes.setProperty("plain", "true")
        self._notes = QVBoxLayout(notes)
        self._notes.setContentsMargins(0, 0, 0, 0)
        self._notes.setSpacing(5)
        self.notes_card.content.addWidget(scrolling(notes))
        side = QVBoxLayout()
        side.setSpacing(CARD_GAP)
        side.addWidget(self.notes_card, 1)
        self.columns_card = Card("Columns")
        self.columns_card.setFixedWidth(_SIDE_WIDTH)
        self.columns = FactTable()
        self.columns_card.content.addWidget(self.columns)
        self.columns_card.hide()
        side.addWidget(self.columns_card)
        top.addLayout(side)
        self.body.addLayout(top, 380)
        self.statistics = StatisticsCards()
        self.body.addWidget(self.statistics, 264)

    def show_data(self, record: DatasetRecord | None) -> None:
        """Show another data set; its figures follow when they are counted."""
        self.record = record
        if record is None:
            return
        self.set_title(record.name)
        self.fingerprint_chip.set_fact(record.fingerprint[:6])
        self.fingerprint_chip.explain(f"{record.fingerprint}\n{record.source}")
        self.feedback_chip.set_fact("\u2026")
        self.delete_button.setEnabled(not self.session.read_only)
        self.another.setEnabled(not self.session.read_only)
        self.statistics.clear()
        self.items.set_columns([])
        self._show_notes([])
        fingerprint = record.fingerprint
        self.session.ask(
            "Counting",
            lambda engine, _run: (
                engine.statistics(fingerprint),
                engine.search_items(fingerprint, "", _ITEMS_SHOWN),
                engine.import_report(fingerprint),
            ),
            self._counted,
            key="statistics",
        )

    def _counted(self, answer: tuple[DatasetStatistics, list[ItemMatch], Mapping[str, Any]]) -> None:
        statistics, items, report = answer
        self.statistics.show_statistics(statistics)
        self.feedback_chip.set_fact(statistics.feedback)
        self._show_notes(report_findings(report, statistics.warnings))
        columns = [(name, ROLE_NAMES.get(role, role).lower()) for name, role in statistics.item_columns.items()]
        columns += [(f"{name} (people)", role) for name, role in statistics.user_columns.items()]
        self.columns_card.setVisible(bool(columns))
        self.columns.set_facts(columns)
        catalogue = formats.plural(statistics.items_in_vocabulary, "item")
        self.items_card.set_title("Most chosen items" if statistics.interactions else catalogue)
        self.items.set_columns(item_columns(items))

    def _show_notes(self, findings: Sequence[Finding]) -> None:
        while (item := self._notes.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for finding in findings:
            self._notes.addWidget(finding_row(finding))
        self._notes.addStretch(1)

    def delete(self) -> None:
        """Delete the data set from the workspace, once the person has agreed."""
        record = self.record
        if record is None or not self.confirm(record.name):
            return
        self.session.ask(
            f"Deleting {record.name}",
            lambda engine, _run: engine.delete_dataset(record.fingerprint),
            self._deleted,
        )

    def _deleted(self, record: DatasetRecord) -> None:
        self.session.say(f"{record.name} is deleted.")
        self.session.refresh()

    def _confirm(self, name: str) -> bool:
        answer = QMessageBox.question(
            self,
            "Delete data",
            f"Delete {name} from the workspace? Your own files stay where they are; models trained on it stay, "
            "but cannot recommend without it.",
        )
        return answer is QMessageBox.StandardButton.Yes


def report_findings(report: Mapping[str, Any], warnings: Sequence[str]) -> list[Finding]:
    """Return what the import reported and what the figures warn of, worst first and nothing twice."""
    found = [
        Finding("warning", str(problem["message"]), int(problem["count"]), str(problem.get("advice", "")))
        for problem in report.get("problems", ())
    ]
    checks = [(str(check["state"]), str(check["text"]), int(check["count"])) for check in report.get("checks", ())]
    found += [Finding(state, text, count) for state, text, count in checks if state != "ok"]
    said = {finding.text.casefold()[:24] for finding in found}
    found += [Finding("warning", warning) for warning in warnings if not _said(warning, said)]
    found += [Finding("ok", text) for state, text, _ in checks if state == "ok"]
    found += [Finding("note", str(note)) for note in report.get("notes", ())]
    return found or [Finding("ok", "Nothing stands out: the data is ready to train on.")]


def _said(warning: str, said: set[str]) -> bool:
    """Whether the same was said already, in the words of the import or of the figures."""
    return warning.replace("the times", "times").casefold()[:24] in said


def attribute_text(attributes: object, limit: int = 4) -> str:
    """Write the attributes of an item in one line: ``Crime · Mystery · 1995``."""
    parts: list[str] = []
    if isinstance(attributes, dict):
        for value in attributes.values():
            if isinstance(value, list | tuple | set | frozenset):
                parts += [str(entry) for entry in value]
            elif isinstance(value, float):
                parts.append(formats.attribute(value))
            elif value not in (None, ""):
                parts.append(str(value))
    short = [part for part in parts if len(part) <= 40]
    return " \u00b7 ".join(short[:limit])


def item_columns(items: Sequence[ItemMatch]) -> list[Column]:
    """Return the columns that describe items in a table."""
    attributes = [attribute_text(dict(match.attributes)) for match in items]
    titled = not items or any(match.title != match.item for match in items)
    return [
        Column(
            "title",
            "Item",
            [match.title for match in items],
            strong=True,
            minimum_width=240,
            maximum_width=300 if titled else 460,
        ),
        Column(
            "id",
            "Id",
            [match.item for match in items],
            monospace=True,
            align_right=False,
            maximum_width=160,
            hidden=not titled,
        ),
        Column(
            "count",
            "Interactions",
            [match.n_interactions for match in items],
            lambda count: Cell(formats.integer(count)),
        ),
        Column(
            "attributes",
            "Attributes" if any(attributes) or not items else "",
            attributes,
            muted=True,
            stretch=True,
        ),
    ]
