"""The main window: navigation rail, context bar, pages, status bar."""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from PySide6.QtCore import QEvent, QSize, Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QKeySequence, QShortcut
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QMainWindow,
    QMessageBox,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from recsys_desktop.gui.command_box import Command, CommandBox
from recsys_desktop.gui.icons import application_icon
from recsys_desktop.gui.jobs import Lane
from recsys_desktop.gui.session import Session
from recsys_desktop.gui.status_bar import StatusBar
from recsys_desktop.gui.theme import PAGE_MARGIN, ThemeMode, theme
from recsys_desktop.gui.widgets.buttons import NavigationButton
from recsys_desktop.gui.widgets.chip import Chip
from recsys_desktop.gui.widgets.labels import text_label
from recsys_desktop.gui.widgets.messages import InlineMessage, Toast

logger = logging.getLogger(__name__)

RAIL_WIDTH = 76
CONTEXT_HEIGHT = 48
INITIAL_SIZE = QSize(1280, 800)
MINIMUM_SIZE = QSize(1000, 640)


@dataclass(frozen=True, slots=True)
class PagePlace:
    """One page of the rail. Its module is imported when it is first shown."""

    key: str
    title: str
    icon: str
    implementation: str
    at_foot: bool = False


class Page(Protocol):
    """What a page may have besides being a widget."""

    def receive(self, detail: object) -> None:
        """Take what another page sent along."""


PAGES = (
    PagePlace("start", "Start", "start", "recsys_desktop.gui.pages.start:StartPage"),
    PagePlace("data", "Data", "data", "recsys_desktop.gui.pages.data:DataPage"),
    PagePlace("train", "Train", "train", "recsys_desktop.gui.pages.train:TrainPage"),
    PagePlace("compare", "Compare", "compare", "recsys_desktop.gui.pages.compare:ComparePage"),
    PagePlace("recommend", "Recommend", "recommend", "recsys_desktop.gui.pages.recommend:RecommendPage"),
    PagePlace("items", "Items", "items", "recsys_desktop.gui.pages.items:ItemsPage"),
    PagePlace("models", "Models", "models", "recsys_desktop.gui.pages.models:ModelsPage"),
    PagePlace("plugins", "Plugins", "plugins", "recsys_desktop.gui.pages.plugins:PluginsPage", at_foot=True),
    PagePlace("settings", "Settings", "settings", "recsys_desktop.gui.pages.settings:SettingsPage", at_foot=True),
)


class NavigationRail(QFrame):
    """The places of the window, work on top, Plugins and Settings at the foot."""

    chosen = Signal(str)

    def __init__(self, pages: Sequence[PagePlace], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("navigationRail")
        self.setAccessibleName("Pages")
        self.setFixedWidth(RAIL_WIDTH)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(5, 10, 4, 10)
        layout.setSpacing(2)
        self._buttons: dict[str, NavigationButton] = {}
        for at_foot in (False, True):
            for page in pages:
                if page.at_foot is at_foot:
                    entry = NavigationButton(page.icon, page.title)
                    entry.clicked.connect(lambda _checked=False, key=page.key: self.chosen.emit(key))
                    self._buttons[page.key] = entry
                    layout.addWidget(entry)
            if not at_foot:
                layout.addStretch(1)

    def show_current(self, key: str) -> None:
        """Mark the page that is shown."""
        for other, entry in self._buttons.items():
            entry.setChecked(other == key)

    def button_of(self, key: str) -> NavigationButton:
        """Return the button of a page."""
        return self._buttons[key]


class ContextBar(QFrame):
    """What everything on the page is about: workspace, data and model; and the command box."""

    def __init__(self, session: Session, window: QWidget) -> None:
        super().__init__(window)
        self.setObjectName("contextBar")
        self.setFixedHeight(CONTEXT_HEIGHT)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 0, 16, 0)
        layout.setSpacing(10)
        layout.addWidget(text_label("RecSys Desktop", "product"))
        self.chips = {name: Chip(name, clickable=True) for name in ("workspace", "data", "model")}
        for chip in self.chips.values():
            chip.setMaximumWidth(260)
            chip.hide()
            layout.addWidget(chip)
        layout.addStretch(1)
        self.command_box = CommandBox(window, session.commands)
        layout.addWidget(self.command_box)

    def show_fact(self, name: str, value: str, suffix: str = "") -> None:
        """Show a chip, or hide it when there is nothing to say."""
        chip = self.chips[name]
        chip.set_fact(value, suffix)
        chip.setVisible(bool(value))


class MainWindow(QMainWindow):
    """The window. Pages are built when they are first shown.

    ``first_painted`` is emitted once, after the first frame is on screen.
    """

    first_painted = Signal()

    def __init__(self, session: Session, pages: Sequence[PagePlace] = PAGES) -> None:
        super().__init__()
        self.session = session
        self._places = {page.key: page for page in pages}
        self._pages: dict[str, QWidget] = {}
        self._painted = False
        self._closing = False
        self.setWindowTitle("RecSys Desktop")
        self.setWindowIcon(application_icon())
        self.setMinimumSize(MINIMUM_SIZE)
        self.resize(INITIAL_SIZE)
        session.setParent(self)
        central = QWidget()
        self.setCentralWidget(central)
        across = QHBoxLayout(central)
        across.setContentsMargins(0, 0, 0, 0)
        across.setSpacing(0)
        self.rail = NavigationRail(pages)
        across.addWidget(self.rail)
        down = QVBoxLayout()
        down.setSpacing(0)
        across.addLayout(down, 1)
        self.context_bar = ContextBar(session, self)
        self.stack = QStackedWidget()
        self._messages = QVBoxLayout()
        self._messages.setContentsMargins(PAGE_MARGIN, 0, PAGE_MARGIN, 0)
        self.status_bar = StatusBar(session.jobs)
        down.addWidget(self.context_bar)
        down.addLayout(self._messages)
        down.addWidget(self.stack, 1)
        down.addWidget(self.status_bar)
        self.rail.chosen.connect(self.show_page)
        session.page_wanted.connect(self.show_page)
        session.notice.connect(self._toast)
        session.failed.connect(self.show_error)
        session.add_commands(self._own_commands)
        session.jobs.idle.connect(self._jobs_ended)
        for number, page in enumerate(pages, start=1):
            if number < 10:
                shortcut = QShortcut(QKeySequence(f"Ctrl+{number}"), self)
                shortcut.activated.connect(lambda key=page.key: self.show_page(key))
        self.show_page(pages[0].key)
        # No control wears a focus ring before the person has pressed Tab.
        central.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        central.setFocus()

    def page(self, key: str) -> QWidget:
        """Return a page, building it first if need be."""
        if key not in self._pages:
            module, _, name = self._places[key].implementation.partition(":")
            build: Callable[[Session], QWidget] = getattr(importlib.import_module(module), name)
            page = build(self.session)
            self._pages[key] = page
            self.stack.addWidget(page)
        return self._pages[key]

    @property
    def current_page(self) -> str:
        """The key of the page that is shown."""
        return next(key for key, page in self._pages.items() if page is self.stack.currentWidget())

    def show_page(self, key: str, detail: object = None) -> None:
        """Show a page and hand it ``detail``, if there is any."""
        page = self.page(key)
        self.stack.setCurrentWidget(page)
        self.rail.show_current(key)
        if detail is not None and hasattr(page, "receive"):
            page.receive(detail)

    def show_error(self, what: str, where: str = "", what_to_do: str = "") -> None:
        """Show above the page what went wrong; the newest of at most three."""
        while self._messages.count() >= 3:
            oldest = self._messages.takeAt(0)
            if oldest is not None and (widget := oldest.widget()) is not None:
                widget.deleteLater()
        message = InlineMessage(what, where, what_to_do)
        self._messages.setContentsMargins(PAGE_MARGIN, 12, PAGE_MARGIN, 0)
        message.closed.connect(self._message_closed)
        self._messages.addWidget(message)

    def _message_closed(self) -> None:
        if self._messages.count() <= 1:
            self._messages.setContentsMargins(PAGE_MARGIN, 0, PAGE_MARGIN, 0)

    def _toast(self, text: str, undo: Callable[[], object] | None) -> None:
        Toast(self, text, undo)

    def _own_commands(self) -> list[Command]:
        commands = [
            Command(page.title, "page", functools.partial(self.show_page, page.key)) for page in self._places.values()
        ]
        for mode, name in (
            (ThemeMode.LIGHT, "Light theme"),
            (ThemeMode.DARK, "Dark theme"),
            (ThemeMode.SYSTEM, "Theme of the system"),
        ):
            commands.append(Command(name, "appearance", functools.partial(theme().set_mode, mode)))
        return commands

    def event(self, event: QEvent) -> bool:
        handled = super().event(event)
        if event.type() == QEvent.Type.UpdateRequest and not self._painted:
            self._painted = True
            QTimer.singleShot(0, self.first_painted.emit)
        return handled

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802 - Qt's name
        jobs = self.session.jobs
        running = jobs.running(Lane.WORK)
        if running is not None and not self._closing and not self.may_stop(running.title):
            event.ignore()
            return
        self._closing = True
        if not jobs.is_idle:
            jobs.cancel_all()
            self.setEnabled(False)
            event.ignore()
            return
        jobs.close()
        event.accept()
        super().closeEvent(event)

    def _jobs_ended(self) -> None:
        if self._closing:
            QTimer.singleShot(0, self.close)

    def may_stop(self, title: str) -> bool:
        """Ask whether the running job may be stopped so that the window can close."""
        question = QMessageBox(self)
        question.setIcon(QMessageBox.Icon.Question)
        question.setWindowTitle("RecSys Desktop")
        question.setText(f"{title} is still running.")
        question.setInformativeText("Closing stops it and discards what it has not saved. Finished work is kept.")
        stop = question.addButton("Stop and close", QMessageBox.ButtonRole.DestructiveRole)
        question.addButton("Keep working", QMessageBox.ButtonRole.RejectRole)
        question.exec()
        stopped = question.clickedButton() is stop
        question.deleteLater()
        return stopped
