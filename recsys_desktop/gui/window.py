"""The main window: navigation rail, context bar, pages, status bar."""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

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
from recsys_desktop.gui.widgets.card import PageFrame
from recsys_desktop.gui.widgets.chip import Chip
from recsys_desktop.gui.widgets.labels import text_label
from recsys_desktop.gui.widgets.messages import InlineMessage, Toast

if TYPE_CHECKING:
    from recsys_desktop.engine import InterruptedRun

logger = logging.getLogger(__name__)

RAIL_WIDTH = 76
CONTEXT_HEIGHT = 48
INITIAL_SIZE = QSize(1280, 800)
MINIMUM_SIZE = QSize(1000, 640)

_MOST_MESSAGES = 3


@dataclass(frozen=True, slots=True)
class PagePlace:
    """One page of the rail. Its module is imported when it is first shown."""

    key: str
    title: str
    icon: str
    implementation: str
    at_foot: bool = False


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
        self._work = QVBoxLayout()
        self._work.setSpacing(2)
        self._foot = QVBoxLayout()
        self._foot.setSpacing(2)
        layout.addLayout(self._work)
        layout.addStretch(1)
        layout.addLayout(self._foot)
        for page in pages:
            self.add(page)

    def add(self, page: PagePlace) -> None:
        """Add a place below those that are there."""
        entry = NavigationButton(page.icon, page.title)
        entry.clicked.connect(lambda: self.chosen.emit(page.key))
        self._buttons[page.key] = entry
        (self._foot if page.at_foot else self._work).addWidget(entry)

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
        self._toast_shown: Toast | None = None
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
        session.warned.connect(self.show_warning)
        session.engine_opened.connect(self._engine_opened)
        session.data_changed.connect(self._show_context)
        session.model_changed.connect(self._show_context)
        session.datasets_changed.connect(self._offer_data)
        session.device_known.connect(self._show_device)
        session.models_changed.connect(self._offer_models)
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
        """Return a page, building it first if need be. A page of a plugin that cannot be built says so instead."""
        if key not in self._pages:
            try:
                page = self._build(self._places[key])
            except Exception as error:
                if not key.startswith("panel "):
                    raise
                logger.exception("The page %s cannot be built", key)
                page = PageFrame(self._places[key].title)
                page.body.addWidget(
                    InlineMessage(
                        "This page of a plugin cannot be shown",
                        f"{type(error).__name__}: {error}",
                        "The rest of the application works. Switch the plugin off, or tell its author.",
                    )
                )
                page.body.addStretch(1)
            self._pages[key] = page
            self.stack.addWidget(page)
        return self._pages[key]

    def _build(self, place: PagePlace) -> QWidget:
        module, _, name = place.implementation.partition(":")
        build: Callable[[Session], QWidget] = getattr(importlib.import_module(module), name)
        page = build(self.session)
        if not isinstance(page, QWidget):
            raise TypeError(f"{place.implementation} gives a {type(page).__name__}, not a QWidget")
        return page

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
        """Show above the page what went wrong; the newest of at most three messages."""
        self._show_message(InlineMessage(what, where, what_to_do))

    def show_warning(self, what: str, where: str = "") -> None:
        """Show above the page what the person should know."""
        self._show_message(InlineMessage(what, where, severity="warning"))

    def _show_message(self, message: InlineMessage) -> None:
        while self._messages.count() >= _MOST_MESSAGES:
            oldest = self._messages.takeAt(0)
            if oldest is not None and (widget := oldest.widget()) is not None:
                widget.deleteLater()
        self._messages.setContentsMargins(PAGE_MARGIN, 12, PAGE_MARGIN, 0)
        message.closed.connect(self._message_closed)
        self._messages.addWidget(message)

    def _engine_opened(self) -> None:
        self.status_bar.set_machine(self.session.engine.threads, "CPU")
        self._add_panels()
        self._show_context()
        if not self.session.read_only:
            self.session.ask(
                "Looking for interrupted trainings", lambda engine, _run: engine.interrupted(), self._offer_to_resume
            )

    def _offer_to_resume(self, found: Sequence[InterruptedRun]) -> None:
        """Say above the page which trainings were killed with the application, and offer to go on with each."""
        for left in found[:_MOST_MESSAGES]:
            epoch = f" after epoch {left.epoch}" if left.epoch else ""
            message = InlineMessage(
                f"The training of {left.algorithm_name} on {left.data} was interrupted{epoch}.",
                "Resumed, it gives the same model as if it had not been.",
                severity="information",
                action="Resume",
                clicked=functools.partial(self.resume, left),
            )
            self._show_message(message)

    def resume(self, left: InterruptedRun) -> None:
        """Open the data of a training that was killed and go on with it on the Train page."""
        data = {record.fingerprint: record for record in self.session.datasets}.get(left.dataset_fingerprint or "")
        if data is None or left.algorithm not in self.session.engine.registry.algorithms:
            lacking = f"the data {left.data}" if data is None else f"the plugin that brings {left.algorithm}"
            self.show_error(f"The training of {left.algorithm_name} cannot be resumed", f"It lacks {lacking}.")
            return
        if self.session.data is None or self.session.data.fingerprint != data.fingerprint:
            self.session.open_data(data)
        page = self.page("train")
        self.show_page("train")
        page.workbench.resume(left)  # type: ignore[attr-defined]

    def _show_device(self, device: object) -> None:
        self.status_bar.set_machine(self.session.engine.threads, str(device))

    def _show_context(self) -> None:
        bar, session = self.context_bar, self.session
        if session.workspace_path is not None and session.is_open:
            bar.show_fact("workspace", session.workspace_path.name)
            bar.chips["workspace"].explain(str(session.workspace_path))
        bar.show_fact("data", session.data.name if session.data is not None else "")
        model = session.model
        name = session.algorithm_name(model.algorithm) if model is not None else ""
        bar.show_fact("model", name, f"v{model.version}" if model is not None else "")
        self._offer_models()

    def _offer_data(self) -> None:
        chip = self.context_bar.chips["data"]
        chip.set_choices([(record.name, record) for record in self.session.datasets], self._open_data)

    def _open_data(self, record: object) -> None:
        self.session.open_data(record)  # type: ignore[arg-type]
        self.show_page("data")

    def _offer_models(self) -> None:
        models = self.session.models_of_data()
        if models:
            choices = [(f"{self.session.algorithm_name(model.algorithm)} v{model.version}", model) for model in models]
            self.context_bar.chips["model"].set_choices(choices, self._choose_model)

    def _choose_model(self, model: object) -> None:
        self.session.choose_model(model)  # type: ignore[arg-type]

    def _add_panels(self) -> None:
        """Give the pages that plugins bring their places on the rail."""
        for panel in self.session.engine.registry.panels.values():
            key = f"panel {panel.id}"
            if key not in self._places:
                place = PagePlace(key, panel.title, panel.icon, panel.implementation)
                self._places[key] = place
                self.rail.add(place)

    def _message_closed(self) -> None:
        if self._messages.count() <= 1:
            self._messages.setContentsMargins(PAGE_MARGIN, 0, PAGE_MARGIN, 0)

    def _toast(self, text: str, undo: Callable[[], object] | None, expired: Callable[[], object] | None) -> None:
        if self._toast_shown is not None:
            self._toast_shown.expire_now()
        toast = Toast(self, text, undo)
        if expired is not None:
            toast.expired.connect(expired)
        toast.gone.connect(self._toast_gone)
        self._toast_shown = toast

    def _toast_gone(self) -> None:
        self._toast_shown = None

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
        if self.session.is_open and self.session.data is not None:
            commands += self._work_commands()
        return commands

    def _work_commands(self) -> list[Command]:
        go, algorithms = self.session.go, self.session.engine.registry.algorithms.values()
        commands = [
            Command(f"Train {spec.name}", "algorithm", functools.partial(go, "train", spec.id)) for spec in algorithms
        ]
        if self.session.model is not None:
            from recsys_desktop.gui.pages.recommend import BUILD_PERSON, FIND_PERSON

            commands.append(Command("Find a person", "recommend", functools.partial(go, "recommend", FIND_PERSON)))
            commands.append(Command("Build a person", "recommend", functools.partial(go, "recommend", BUILD_PERSON)))
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
            self.status_bar.say_closing()
            self.setEnabled(False)
            event.ignore()
            return
        if self._toast_shown is not None:
            self._toast_shown.discard()
        jobs.close()
        self.session.close_engine()
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
