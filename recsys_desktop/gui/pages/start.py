"""The start page: your own data, a sample, or something opened before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QSizePolicy, QVBoxLayout, QWidget

from recsys_desktop.gui.session import Session
from recsys_desktop.gui.widgets.buttons import button
from recsys_desktop.gui.widgets.card import Card, PageFrame
from recsys_desktop.gui.widgets.labels import restyle, text_label
from recsys_desktop.gui.widgets.messages import IconLabel

_CONTENT_WIDTH = 940


class StartCard(Card):
    """One way to begin: an icon, a title, two lines, a button."""

    def __init__(self, icon: str, colour: str, title: str, text: str, action: str, kind: str) -> None:
        super().__init__(padding=18)
        self.setAccessibleName(title)
        self.setFixedHeight(206)
        self.content.setSpacing(12)
        self.content.addSpacing(2)
        self.content.addWidget(IconLabel(icon, colour, 26))
        self.content.addWidget(text_label(title, "big-card-title"))
        description = text_label(text, "muted", wrap=True)
        description.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.content.addWidget(description, 1)
        self.button = button(action, kind)
        self.button.setAccessibleName(f"{title}: {action}")
        self.button.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self.content.addWidget(self.button)


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
        self._choose_files: Callable[[], list[Path]] = self._ask_for_files
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
        self.recent_card = Card("Recent", padding=16)
        self.recent_card.header.addWidget(text_label("opened only when you click", "muted"))
        content.addWidget(self.recent_card)
        content.addSpacing(12)
        content.addLayout(self._steps())
        content.addStretch(1)
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

    def _ask_for_files(self) -> list[Path]:
        names, _ = QFileDialog.getOpenFileNames(self, "Choose a file of ratings, purchases or clicks")
        return [Path(name) for name in names]
