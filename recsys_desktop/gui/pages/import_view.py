"""Importing: the files as they will be read, what was guessed of them and can be corrected, and what was checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QButtonGroup, QFileDialog, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from recsys_desktop.gui import formats
from recsys_desktop.gui.jobs import Job, JobState
from recsys_desktop.gui.pages.column_roles import ROLE_NAMES, RolePreview
from recsys_desktop.gui.pages.statistics_cards import StatisticsCards
from recsys_desktop.gui.session import Session, sentence
from recsys_desktop.gui.theme import CARD_GAP, CARD_PADDING
from recsys_desktop.gui.widgets.bar import Bar
from recsys_desktop.gui.widgets.buttons import button
from recsys_desktop.gui.widgets.card import Card, PageFrame, scrolling
from recsys_desktop.gui.widgets.chip import Chip
from recsys_desktop.gui.widgets.labels import ElidedLabel, Paragraph, Tag, Tone, horizontal_line, text_label
from recsys_desktop.gui.widgets.messages import InlineMessage

if TYPE_CHECKING:
    from recsys_desktop.data import FileInspection
    from recsys_desktop.engine import Inspection
    from recsys_desktop.workspace import DatasetRecord

_SIDE_WIDTH = 330
_LINES_SHOWN = 12
_COUNT_SHOWN = 1000

LAYOUT_CHOICES: Mapping[str, tuple[tuple[str, Any], ...]] = {
    "encoding": (
        ("UTF-8", "utf-8"),
        ("Western (Windows-1252)", "cp1252"),
        ("Latin-1", "latin-1"),
        ("UTF-16", "utf-16"),
    ),
    "delimiter": (
        ("comma", ","),
        ("semicolon", ";"),
        ("tab", "\t"),
        ("bar", "|"),
        ("double colon", "::"),
        ("space", " "),
    ),
    "decimal": (("point", "."), ("comma", ",")),
    "header": (("line 1", True), ("none", False)),
}
_TONES = {"ok": Tone.POSITIVE, "warning": Tone.WARNING, "error": Tone.NEGATIVE}


class ImportView(PageFrame):
    """What the import of some files would give, before and while it runs.

    ``imported`` carries the record of the new data set, ``left`` means that the person went back.
    """

    imported = Signal(object)
    left = Signal()

    def __init__(self, session: Session) -> None:
        super().__init__("Import")
        self.session = session
        self.files: list[Path] = []
        self.roles: dict[str, str] = {}
        self.options: dict[str, Any] = {}
        self.inspection: Inspection | None = None
        self.choose_more: Callable[[], Sequence[Path]] = self._ask_for_more
        self._shown_file = 0
        self._inspecting: Job | None = None
        self._importing: Job | None = None
        self.facts_label = text_label("", "muted")
        self.facts.addWidget(self.facts_label)
        self.cancel_button = button("Cancel", "quiet", self.cancel)
        self.import_button = button("Import", "primary", self.start_import)
        self.import_button.setEnabled(False)
        self.buttons.addWidget(self.cancel_button)
        self.buttons.addWidget(self.import_button)
        top = QHBoxLayout()
        top.setSpacing(CARD_GAP)
        top.addWidget(self._preview_card(), 1)
        side = QVBoxLayout()
        side.setSpacing(CARD_GAP)
        self.checks_card = Card("Checks")
        self.checks_card.setFixedWidth(_SIDE_WIDTH)
        checks = QWidget()
        checks.setProperty("plain", "true")
        self._checks = QVBoxLayout(checks)
        self._checks.setContentsMargins(0, 0, 0, 0)
        self._checks.setSpacing(5)
        self.checks_card.content.addWidget(scrolling(checks))
        side.addWidget(self.checks_card, 1)
        side.addWidget(self._joined_card())
        top.addLayout(side)
        self.body.addLayout(top, 380)
        self.statistics = StatisticsCards()
        self.body.addWidget(self.statistics, 264)

    def _preview_card(self) -> Card:
        card = Card(padding=0, flush=True)
        head = QWidget()
        head.setProperty("plain", "true")
        line = QHBoxLayout(head)
        line.setContentsMargins(CARD_PADDING, 12, CARD_PADDING, 0)
        self.layout_chips = {name: Chip(name.capitalize()) for name in LAYOUT_CHOICES}
        for name, chip in self.layout_chips.items():
            chip.set_choices(
                LAYOUT_CHOICES[name],
                lambda value, name=name: self.set_option(name, value),  # type: ignore[misc]
            )
            line.addWidget(chip)
        line.addStretch(1)
        self.rows_label = text_label("", "muted")
        line.addWidget(self.rows_label)
        card.content.setSpacing(4)
        card.content.addWidget(head)
        self.progress = Bar("Reading the files", None, 3)
        card.content.addWidget(self.progress)
        self.preview = RolePreview()
        self.preview.role_chosen.connect(self.set_role)
        card.content.addWidget(self.preview, 1)
        card.content.addWidget(horizontal_line())
        self.reading_label = ElidedLabel("", "muted")
        self.reading_label.setContentsMargins(CARD_PADDING, 4, CARD_PADDING, 8)
        card.content.addWidget(self.reading_label)
        return card

    def _joined_card(self) -> Card:
        card = Card("Joined files")
        card.setFixedWidth(_SIDE_WIDTH)
        self._file_rows = QVBoxLayout()
        self._file_rows.setSpacing(2)
        self._file_group = QButtonGroup(self)
        card.content.addLayout(self._file_rows)
        self.add_button = button("Add a file\u2026", "quiet", self._add_files)
        card.header.addWidget(self.add_button)
        return card

    # What the person does

    def load(self, files: Sequence[Path]) -> None:
        """Begin with other files."""
        self.files = list(files)
        self.roles, self.options, self.inspection = {}, {}, None
        self._shown_file = 0
        more = len(self.files) - 1
        self.set_title(f"Import {self.files[0].name}" + (f" and {formats.plural(more, 'other file')}" if more else ""))
        self.facts_label.setText("")
        self.rows_label.setText("")
        self.reading_label.setText("")
        for chip in self.layout_chips.values():
            chip.set_fact("")
        self._clear_files()
        self.preview.set_columns([])
        self.preview.header.set_columns([])
        self.statistics.clear()
        self._show_findings(())
        self._inspect()

    def set_option(self, name: str, value: object) -> None:
        """Correct the layout: ``encoding``, ``delimiter``, ``decimal`` or ``header``."""
        self.options[name] = value
        self._inspect()

    def set_role(self, column: str, role: str) -> None:
        """Correct the role of a column."""
        self.roles[column] = role
        self._inspect()

    def add_files(self, files: Sequence[Path]) -> None:
        """Join further files."""
        new = [path for path in files if path not in self.files]
        if new:
            self.files += new
            self._inspect()

    def cancel(self) -> None:
        """Stop the import, or go back when none runs."""
        if self._importing is not None:
            self._importing.cancel()
            self._show_import()
            return
        if self._inspecting is not None:
            self._inspecting.cancel()
        self.left.emit()

    def start_import(self) -> None:
        """Import what is shown."""
        from recsys_desktop.engine import ImportRequest

        if not self._is_ready or self.inspection is None or self._importing is not None:
            return
        by_kind = {
            kind: [file.path for file in self.inspection.files if file.kind == kind]
            for kind in ("interactions", "items", "users")
        }
        request = ImportRequest(
            by_kind["interactions"],
            self.inspection.name or self.files[0].stem,
            items=by_kind["items"],
            users=by_kind["users"],
            roles=dict(self.roles),
            options=dict(self.options),
        )
        job = self.session.work(
            f"Importing {self.files[0].name}", lambda engine, run: engine.import_data(request, run), self._imported
        )
        self._importing = job
        job.updated.connect(self._show_import)
        job.state_changed.connect(self._show_import)
        job.over.connect(self._import_over)
        self._show_import()

    def _add_files(self) -> None:
        self.add_files(self.choose_more())

    def _ask_for_more(self) -> Sequence[Path]:
        names, _ = QFileDialog.getOpenFileNames(self, "Add files of items or people", str(self.files[0].parent))
        return [Path(name) for name in names]

    # What the engine answers

    def _inspect(self) -> None:
        from recsys_desktop.engine import InspectRequest

        request = InspectRequest(list(self.files), dict(self.roles), dict(self.options))
        self.import_button.setEnabled(False)
        self.import_button.setText("Reading\u2026")
        job = self.session.ask(
            "Looking at the files",
            lambda engine, run: engine.inspect(request, run),
            self._inspected,
            self._not_readable,
            key="inspect",
        )
        self._inspecting = job
        self.progress.set_share(0.02)
        job.updated.connect(lambda: self.progress.set_share(max(0.02, job.fraction)))

    def _inspected(self, inspection: Inspection) -> None:
        self._inspecting = None
        self.inspection = inspection
        self.progress.set_share(None)
        self._clear_notices()
        self._show_files()
        # What the line under the rows says need not stand among the checks too.
        said = self.reading_label.accessibleName()
        self._show_findings([finding for finding in findings_of(inspection) if finding.text.rstrip(".") not in said])
        if inspection.statistics is not None:
            self.statistics.show_statistics(inspection.statistics)
        else:
            self.statistics.clear()
        self.import_button.setEnabled(self._is_ready)
        self.import_button.setText(self._import_text())

    @property
    def _is_ready(self) -> bool:
        """Whether the files can be imported as they are read now."""
        inspection = self.inspection
        return inspection is not None and inspection.report is not None and not self.session.read_only

    def _import_text(self) -> str:
        if self.inspection is None:
            return "Import"
        rows = sum(file.rows for file in self.inspection.files if file.kind == "interactions")
        return f"Import {formats.plural(rows, 'row')}" if rows else "Import"

    def _not_readable(self, error: BaseException) -> None:
        self._inspecting = None
        self.progress.set_share(None)
        self.import_button.setText("Import")
        self._clear_notices()
        what = "These files cannot be read" if len(self.files) > 1 else f"{self.files[0].name} cannot be read"
        self.notices.addWidget(
            InlineMessage(
                what, sentence(str(error)), "Correct how the file is read with the chips below, or choose another."
            )
        )

    def _clear_notices(self) -> None:
        while (item := self.notices.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()

    def _main_file(self) -> FileInspection | None:
        if self.inspection is None or not self.inspection.files:
            return None
        return self.inspection.files[min(self._shown_file, len(self.inspection.files) - 1)]

    def _show_files(self) -> None:
        inspection = self.inspection
        if inspection is None:
            return
        self._clear_files()
        for place, file in enumerate(inspection.files):
            entry = self._file_row(file)
            entry.setChecked(place == self._shown_file)
            entry.clicked.connect(lambda _checked=False, place=place: self.show_file(place))
            self._file_group.addButton(entry)
            self._file_rows.addWidget(entry)
        self.show_file(self._shown_file)

    def _clear_files(self) -> None:
        while (item := self._file_rows.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()

    def _file_row(self, file: FileInspection) -> QPushButton:
        roles = [
            ROLE_NAMES.get(column.role.value, column.role.value).lower()
            for column in file.columns
            if column.role != "ignore"
        ]
        target = {"interactions": "who did what", "items": "items", "users": "people"}.get(file.kind, file.kind)
        text = f"{file.path.name}   \u2192 {target}"
        entry = button(text, "row")
        entry.setCheckable(True)
        entry.setToolTip(f"{file.path}\n{', '.join(roles)}")
        entry.setAccessibleName(f"Show {file.path.name}, {target}")
        return entry

    def show_file(self, place: int) -> None:
        """Show the rows of another of the files."""
        self._shown_file = place
        file = self._main_file()
        if file is None:
            return
        columns = [(column.name, column.role.value, column.detail, column.reason) for column in file.columns]
        self.preview.show_file(columns, file.preview, file.kind.value)
        layout = {str(name): str(value) for name, value in file.layout.items()}
        for name, chip in self.layout_chips.items():
            chip.setVisible(name in layout)
            if name in layout:
                chip.set_fact(layout[name])
        self.rows_label.setText(f"first {len(file.preview)} rows")
        size = formats.file_size(file.size_bytes)
        said = [size, *(layout[name] for name in ("encoding", "delimiter") if name in layout)]
        if "header" in layout:
            said.append("no header" if layout["header"] == "none" else f"header in {layout['header']}")
        self.facts_label.setText(" \u00b7 ".join(part for part in said if part))
        self.reading_label.setText(self._reading(file))

    def _reading(self, file: FileInspection) -> str:
        statistics = self.inspection.statistics if self.inspection is not None else None
        if file.kind != "interactions" or statistics is None:
            return "Ids are kept as text."
        if statistics.rating_scale is None:
            return "Ids are kept as text. There are no ratings: every interaction counts alike."
        low, high, step = statistics.rating_scale
        steps = f" in steps of {formats.number(step)}" if step else ""
        return (
            f"Ids are kept as text. Ratings run from {formats.number(low)} to {formats.number(high)}{steps}, "
            f"read as {statistics.feedback} feedback."
        )

    def _show_findings(self, findings: Sequence[Finding]) -> None:
        while (item := self._checks.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for finding in findings:
            self._checks.addWidget(finding_row(finding))
        self._checks.addStretch(1)

    # The import itself

    def _show_import(self) -> None:
        job = self._importing
        if job is None:
            return
        stopping = job.state is JobState.STOPPING
        waiting = job.state is JobState.WAITING
        self.import_button.setEnabled(False)
        percent = formats.percent(job.fraction)
        self.import_button.setText(
            "Stopping\u2026" if stopping else "Waiting\u2026" if waiting else f"Importing {percent}"
        )
        self.cancel_button.setEnabled(not stopping)
        self.progress.set_share(max(0.02, job.fraction))
        if job.text:
            self.facts_label.setText(job.text)

    def _import_over(self) -> None:
        self._importing = None
        self.progress.set_share(None)
        self.cancel_button.setEnabled(True)
        self.import_button.setEnabled(self._is_ready)
        self.import_button.setText(self._import_text())

    def _imported(self, record: DatasetRecord) -> None:
        self.imported.emit(record)


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the checks: its state (``ok``, ``warning`` or ``error``), what was found, where and what to do."""

    state: str
    text: str
    count: int = 0
    detail: str = ""


def findings_of(inspection: Inspection) -> list[Finding]:
    """Return what deserves to be known before an import, worst first."""
    found = []
    if inspection.problem:
        found.append(Finding("error", sentence(inspection.problem)))
    for file in inspection.files:
        found += [Finding("warning", f"{file.path.name}: {warning}") for warning in file.warnings]
    report = inspection.report
    if report is not None:
        for problem in report.problems:
            lines = [line for line, _ in problem.places() if line][:_LINES_SHOWN]
            numbers = ", ".join(formats.integer(line) for line in lines)
            where = f"{problem.file}, lines {numbers}" if numbers else problem.file
            more = "\u2026" if problem.count > len(lines) else ""
            detail = "\n".join(part for part in (where + more, problem.advice) if part)
            found.append(Finding("warning", problem.message, problem.count, detail))
        found += [Finding(check.state, check.text, check.count) for check in report.checks if check.state != "ok"]
        found += [Finding("ok", check.text) for check in report.checks if check.state == "ok"]
        found += [Finding("note", note) for note in report.notes]
    seen: set[str] = set()
    return [finding for finding in found if not (finding.text in seen or seen.add(finding.text))]  # type: ignore[func-returns-value]


def finding_row(finding: Finding) -> QWidget:
    """Return a line with a tag and what was found; where it was found is in the tooltip."""
    holder = QWidget()
    holder.setProperty("plain", "true")
    line = QHBoxLayout(holder)
    line.setContentsMargins(0, 0, 0, 0)
    line.setSpacing(8)
    few = 0 < finding.count < _COUNT_SHOWN
    word = formats.integer(finding.count) if few else {"warning": "note"}.get(finding.state, finding.state)
    column = QVBoxLayout()
    column.addWidget(Tag(word, _TONES.get(finding.state, Tone.NEUTRAL)))
    column.addStretch(1)
    line.addLayout(column)
    line.addWidget(Paragraph(finding.text), 1)
    holder.setToolTip(finding.detail)
    return holder
