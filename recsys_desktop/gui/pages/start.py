"""The start page: your own data, a sample, or something opened before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QRect, QSize, Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent, QFont, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QFileDialog, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from recsys_desktop.gui import formats
from recsys_desktop.gui.command_box import Command
from recsys_desktop.gui.jobs import Job
from recsys_desktop.gui.session import Session, sentence
from recsys_desktop.gui.theme import interface_font, theme
from recsys_desktop.gui.widgets.bar import Bar
from recsys_desktop.gui.widgets.buttons import button
from recsys_desktop.gui.widgets.card import Card, PageFrame, row
from recsys_desktop.gui.widgets.labels import Paragraph, restyle, text_label
from recsys_desktop.gui.widgets.messages import IconLabel

if TYPE_CHECKING:
    from recsys_desktop.engine import Sample
    from recsys_desktop.workspace import DatasetRecord

_MOST_RECENT = 6
_CONTENT_WIDTH = 940


class StartCard(Card):
    """One way to begin: an icon, a title, two lines, a button."""

    def __init__(self, icon: str, colour: str, title: str, text: str, action: str, kind: str) -> None:
        super().__init__(padding=18)
        self.sample = ""
        self.setAccessibleName(title)
        self.setFixedHeight(206)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.content.setSpacing(12)
        self.content.addSpacing(2)
        self.content.addWidget(IconLabel(icon, colour, 26))
        self.title = text_label(title, "big-card-title")
        self.content.addWidget(self.title)
        self.description = Paragraph(text, "muted")
        self.description.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.content.addWidget(self.description, 1)
        self.button = button(action, kind)
        self.button.setAccessibleName(f"{title}: {action}")
        self.button.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.progress = Bar("Opening", None, 4)
        self.progress.setFixedWidth(120)
        self.progress.hide()
        line = row(self.button, 1, self.progress)
        self.content.addLayout(line)

    def describe(self, title: str, text: str) -> None:
        """Say what the sample is, in its own words."""
        self.title.setText(title)
        self.description.setText(sentence(text))
        self.setAccessibleName(title)

    def show_progress(self, share: float | None) -> None:
        """Show how far opening is; None when it is over."""
        self.progress.setVisible(share is not None)
        self.progress.set_share(share)


class OwnDataCard(StartCard):
    """The place where files are dropped."""

    dropped = Signal(list)

    def __init__(self) -> None:
        super().__init__(
            "data",
            "accent",
            "Your own data",
            "Drop a CSV, Parquet or Excel file here, or choose one. Columns are recognised; you confirm.",
            "Choose a file\u2026",
            "primary",
        )
        self.setProperty("card", "dashed")
        self.setAcceptDrops(True)

    def _show_drop(self, over: bool) -> None:
        self.setProperty("drop", "true" if over else "false")
        restyle(self)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:  # noqa: N802 - Qt's name
        if any(url.isLocalFile() for url in event.mimeData().urls()):
            event.acceptProposedAction()
            self._show_drop(True)

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:  # noqa: N802 - Qt's name
        self._show_drop(False)

    def dropEvent(self, event: QDropEvent) -> None:  # noqa: N802 - Qt's name
        self._show_drop(False)
        event.acceptProposedAction()
        self.dropped.emit([Path(url.toLocalFile()) for url in event.mimeData().urls() if url.isLocalFile()])


class StartPage(PageFrame):
    """Where every session begins. Nothing is opened before the person clicks."""

    def __init__(self, session: Session) -> None:
        super().__init__("Start")
        self.session = session
        self.hide_heading()
        self.choose_files: Callable[[], Sequence[Path]] = self._ask_for_files
        self.recent_buttons: list[RecentRow] = []
        self._opening: Job | None = None
        column = QWidget()
        column.setProperty("plain", "true")
        column.setMaximumWidth(_CONTENT_WIDTH)
        column.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        content = QVBoxLayout(column)
        content.setContentsMargins(0, 26, 0, 0)
        content.setSpacing(8)
        content.addWidget(text_label("What would you like to recommend?", "headline"))
        content.addWidget(text_label("Everything stays on this computer. Nothing is sent anywhere.", "lead"))
        content.addSpacing(12)
        self.own_data = OwnDataCard()
        self.movielens = StartCard(
            "items",
            "muted",
            "MovieLens small",
            "100,004 film ratings by 671 people, with titles, genres and tags.",
            "Open the sample",
            "",
        )
        self.courses = StartCard(
            "recommend",
            "muted",
            "Courses",
            "A made catalogue with descriptions, skills and enrolments: for content and cold start.",
            "Open the sample",
            "",
        )
        cards = QHBoxLayout()
        cards.setSpacing(12)
        cards.addWidget(self.own_data, 356)
        cards.addWidget(self.movielens, 280)
        cards.addWidget(self.courses, 280)
        content.addLayout(cards)
        content.addSpacing(12)
        self.recent_card = Card("Recent", padding=16, flush=True)
        self.recent_card.header.addWidget(text_label("opened only when you click", "muted"))
        self._recent = QVBoxLayout()
        self._recent.setSpacing(0)
        self._recent.setContentsMargins(0, 0, 0, 6)
        self.recent_card.content.addLayout(self._recent)
        content.addWidget(self.recent_card)
        content.addSpacing(12)
        content.addLayout(self._steps())
        content.addStretch(1)
        self.own_data.button.clicked.connect(self._choose)
        self.own_data.dropped.connect(self.import_files)
        for card in (self.movielens, self.courses):
            card.button.clicked.connect(lambda _checked=False, card=card: self.open_sample(card.sample, card))
        session.engine_opened.connect(self._engine_opened)
        session.datasets_changed.connect(self._show_recent)
        session.models_changed.connect(self._show_recent)
        session.add_commands(self._commands)
        self._enable(False)
        self._show_recent()
        centred = QHBoxLayout()
        centred.addStretch(1)
        centred.addWidget(column, 100)
        centred.addStretch(1)
        self.body.addLayout(centred, 1)

    def _steps(self) -> QHBoxLayout:
        steps = QHBoxLayout()
        steps.setSpacing(22)
        names = ("Data", "Train several models", "Compare honestly", "Recommend, and see why")
        for number, name in enumerate(names, start=1):
            if number > 1:
                steps.addWidget(IconLabel("arrow-right", "muted", 14))
            steps.addWidget(text_label(f"{number}  {name}", "muted"))
        steps.addStretch(1)
        return steps

    # Opening

    def _choose(self) -> None:
        files = self.choose_files()
        if files:
            self.import_files(list(files))

    def import_files(self, files: Sequence[Path]) -> None:
        """Go to the data page and look at files there."""
        self.session.go("data", list(files))

    def open_sample(self, sample: str, card: StartCard) -> None:
        """Import a sample, or open it where it was imported before, and show its figures."""
        if self._opening is not None:
            return
        job = self.session.work(
            f"Opening {card.accessibleName()}",
            lambda engine, run: engine.import_sample(sample, run),
            self._opened,
        )
        self._opening = job
        card.show_progress(0.02)
        self._enable(False)
        job.updated.connect(lambda: card.show_progress(max(0.02, job.fraction)))
        job.over.connect(lambda: self._over(card))

    def _opened(self, record: DatasetRecord) -> None:
        self.session.refresh()
        self.session.open_data(record)
        self.session.go("data")

    def _over(self, card: StartCard) -> None:
        self._opening = None
        card.show_progress(None)
        self._enable(True)

    def _enable(self, on: bool) -> None:
        writable = on and self.session.is_open and not self.session.read_only
        for card in (self.own_data, self.movielens, self.courses):
            card.button.setEnabled(writable)

    # What the workspace holds

    def _engine_opened(self) -> None:
        self._enable(True)
        self.session.ask("Samples", lambda engine, _run: engine.samples(), self._samples_known, key="samples")

    def _samples_known(self, samples: Sequence[Sample]) -> None:
        known = {sample.id: sample for sample in samples}
        for card, wanted in ((self.movielens, "movielens"), (self.courses, "courses")):
            sample = next((known[key] for key in known if wanted in key), None)
            card.setVisible(sample is not None)
            if sample is not None:
                card.describe(sample.name, sample.description)
                card.sample = sample.id

    def _show_recent(self) -> None:
        while (item := self._recent.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self.recent_buttons = []
        records = self.session.datasets[:_MOST_RECENT]
        for place, record in enumerate(records):
            best = best_model(self.session, record.fingerprint)
            entry = RecentRow(record, best, is_last=place == len(records) - 1)
            entry.clicked.connect(lambda _checked=False, record=record: self.open_recent(record))
            self.recent_buttons.append(entry)
            self._recent.addWidget(entry)
        if not records:
            empty = text_label("Nothing yet. What you import or open appears here.", "muted")
            empty.setContentsMargins(15, 2, 16, 10)
            self._recent.addWidget(empty)

    def open_recent(self, record: DatasetRecord) -> None:
        """Open a data set of the workspace."""
        self.session.open_data(record)
        self.session.go("data")

    def _commands(self) -> list[Command]:
        commands = [Command("Import a file\u2026", "data", self._choose)]
        commands += [
            Command(f"Open {record.name}", "data", partial(self.open_recent, record))
            for record in self.session.datasets
        ]
        return commands if self.session.is_open else []

    def _ask_for_files(self) -> Sequence[Path]:
        names, _ = QFileDialog.getOpenFileNames(self, "Choose a file of ratings, purchases or clicks")
        return [Path(name) for name in names]


class RecentRow(QAbstractButton):
    """A data set opened before: its name, its size, its best model, and when it was made."""

    def __init__(self, record: DatasetRecord, best: str, *, is_last: bool) -> None:
        super().__init__()
        self.record = record
        count = formats.plural(record.n_interactions, "interaction")
        self._size = f"{count} \u00b7 {formats.plural(record.n_users, 'person', 'people')}"
        self._best = best
        self._when = formats.when(record.created)
        self._is_last = is_last
        self.setAccessibleName(f"Open {record.name}: {self._size}")
        self.setFixedHeight(32)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self.setToolTip(record.source)
        theme().changed.connect(self.update)

    def sizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return QSize(600, 32)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        painter = QPainter(self)
        if self.underMouse():
            painter.fillRect(self.rect().adjusted(1, 0, -1, -1), theme().colour("background"))
        if not self._is_last:
            painter.setPen(theme().colour("border"))
            painter.drawLine(0, self.height() - 1, self.width(), self.height() - 1)
        if self.hasFocus():
            painter.setPen(theme().colour("accent"))
            painter.drawRoundedRect(self.rect().adjusted(4, 1, -5, -3), 5, 5)
        width = self.width()
        columns = (
            (16, round(width * 0.22), self.record.name, "text", QFont.Weight.DemiBold, Qt.AlignmentFlag.AlignLeft),
            (
                round(width * 0.24),
                round(width * 0.32),
                self._size,
                "muted",
                QFont.Weight.Normal,
                Qt.AlignmentFlag.AlignLeft,
            ),
            (
                round(width * 0.58),
                round(width * 0.26),
                self._best,
                "muted",
                QFont.Weight.Normal,
                Qt.AlignmentFlag.AlignLeft,
            ),
            (
                round(width * 0.84),
                round(width * 0.16) - 14,
                self._when,
                "muted",
                QFont.Weight.Normal,
                Qt.AlignmentFlag.AlignRight,
            ),
        )
        for left, room, text, role, weight, side in columns:
            painter.setFont(interface_font(13, weight))
            painter.setPen(theme().colour(role))
            shown = painter.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, room)
            painter.drawText(QRect(left, 0, room, self.height() - 1), int(side | Qt.AlignmentFlag.AlignVCenter), shown)


def best_model(session: Session, fingerprint: str) -> str:
    """Name the saved model that does best on held-out data, among those measured alike: ``best: EASE .269``."""
    figures = []
    for model in session.models:
        figure = model.metrics.get("validation")
        if model.dataset_fingerprint == fingerprint and isinstance(figure, dict) and figure.get("larger_is_better"):
            figures.append((float(figure["value"]), model))
    if not figures:
        return ""
    value, model = max(figures, key=lambda pair: pair[0])
    return f"best: {session.algorithm_name(model.algorithm)} {formats.share(value, 3)}"
