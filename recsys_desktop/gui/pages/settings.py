"""The settings page: appearance, threads and device, and where the workspace is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QVBoxLayout, QWidget

from recsys_desktop.gui.pages.statistics_cards import FactTable
from recsys_desktop.gui.preferences import store_theme, stored_theme
from recsys_desktop.gui.session import Session
from recsys_desktop.gui.theme import CARD_GAP, ThemeMode, theme
from recsys_desktop.gui.widgets.buttons import Choice, button
from recsys_desktop.gui.widgets.card import Card, PageFrame, row, scrolling
from recsys_desktop.gui.widgets.field_row import FieldRow
from recsys_desktop.gui.widgets.labels import Paragraph, Tag, Tone

_WIDTH = 640
_CONTROL_WIDTH = 190
_MODE_NAMES = {
    ThemeMode.SYSTEM: "as the system",
    ThemeMode.LIGHT: "light",
    ThemeMode.DARK: "dark",
}
_DEVICE_NAMES = {
    "auto": "the fastest there is",
    "cpu": "processor",
    "cuda": "NVIDIA GPU (CUDA)",
    "mps": "Apple GPU (MPS)",
}
_TONES = {"ok": Tone.POSITIVE, "warning": Tone.WARNING, "error": Tone.NEGATIVE}


class SettingsPage(PageFrame):
    """Changes are kept at once."""

    def __init__(self, session: Session) -> None:
        super().__init__("Settings")
        self.session = session
        column = QWidget()
        column.setProperty("plain", "true")
        content = QVBoxLayout(column)
        content.setContentsMargins(0, 0, 0, 0)
        content.setSpacing(CARD_GAP)
        content.addWidget(self._appearance())
        content.addWidget(self._work())
        content.addWidget(self._workspace())
        content.addWidget(self._health())
        content.addStretch(1)
        self.body.addWidget(scrolling(column), 1)
        session.engine_opened.connect(self._engine_opened)
        theme().changed.connect(self._show_theme)
        if session.is_open:
            self._engine_opened()

    def _appearance(self) -> Card:
        card = Card("Appearance")
        card.setMaximumWidth(_WIDTH)
        self.theme_choice = Choice("Theme")
        for mode, name in _MODE_NAMES.items():
            self.theme_choice.addItem(name, mode)
        self.theme_choice.setCurrentIndex(self.theme_choice.findData(stored_theme()))
        self.theme_choice.currentIndexChanged.connect(lambda _index: self._theme_chosen())
        field = FieldRow("Theme", self.theme_choice)
        self.theme_choice.setFixedWidth(_CONTROL_WIDTH)
        card.content.addWidget(field)
        return card

    def _theme_chosen(self) -> None:
        mode = self.theme_choice.currentData()
        store_theme(mode)
        theme().set_mode(mode)

    def _show_theme(self) -> None:
        place = self.theme_choice.findData(theme().mode)
        if place != self.theme_choice.currentIndex():
            self.theme_choice.setCurrentIndex(place)

    def _work(self) -> Card:
        card = Card("Work")
        card.setMaximumWidth(_WIDTH)
        self.threads_choice = Choice("Threads")
        self.threads_choice.addItem("as the machine has", None)
        for count in range(1, (os.cpu_count() or 1) + 1):
            self.threads_choice.addItem(str(count), count)
        self.threads_choice.currentIndexChanged.connect(lambda _index: self._threads_chosen())
        field = FieldRow("Threads, at most", self.threads_choice, "", "How many threads training may use.")
        self.threads_choice.setFixedWidth(_CONTROL_WIDTH)
        self.threads_choice.setEnabled(False)
        card.content.addWidget(field)
        card.content.addWidget(Paragraph("Takes effect at the next start.", "small"))
        self.device_choice = Choice("Device")
        for key, name in _DEVICE_NAMES.items():
            self.device_choice.addItem(name, key)
        self.device_choice.currentIndexChanged.connect(lambda _index: self._device_chosen())
        help_text = "What neural models are trained on, from the next training on."
        card.content.addWidget(FieldRow("Device", self.device_choice, "", help_text))
        self.device_choice.setFixedWidth(_CONTROL_WIDTH)
        self.device_choice.setEnabled(False)
        return card

    def _device_chosen(self) -> None:
        if not self.device_choice.isEnabled():
            return
        device = self.device_choice.currentData()
        self.session.ask(
            "Keeping the device",
            lambda engine, _run: engine.set_device(device),
            lambda _nothing: self.session.show_device(),
        )

    def _threads_chosen(self) -> None:
        if not self.threads_choice.isEnabled():
            return
        count = self.threads_choice.currentData()
        self.session.ask(
            "Keeping the number of threads",
            lambda engine, _run: engine.workspace.set_setting("threads", count),
            lambda _nothing: self.session.say("Kept; it takes effect at the next start."),
        )

    def _workspace(self) -> Card:
        card = Card("Workspace")
        card.setMaximumWidth(_WIDTH)
        self.path_label = Paragraph("", "")
        self.path_label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        card.content.addWidget(self.path_label)
        self.workspace_facts = FactTable()
        card.content.addWidget(self.workspace_facts)
        self.open_button = button("Open folder", "", self._open_folder)
        self.open_button.setEnabled(False)
        card.content.addLayout(row(self.open_button, 1))
        card.content.addWidget(
            Paragraph(
                "Data sets, models, runs and logs are here. Start with --workspace FOLDER to work in another.",
                "small",
            )
        )
        return card

    def _health(self) -> Card:
        card = Card("Health")
        card.setMaximumWidth(_WIDTH)
        self.check_button = button("Check", "", self.check_health)
        self.check_button.setEnabled(False)
        card.header.addWidget(self.check_button)
        self._checks = QVBoxLayout()
        self._checks.setSpacing(6)
        self._checks.addWidget(Paragraph("Looks at the environment, the plugins and the workspace.", "muted"))
        card.content.addLayout(self._checks)
        return card

    def _engine_opened(self) -> None:
        engine = self.session.engine
        self.path_label.setText(str(self.session.workspace_path))
        self.open_button.setEnabled(True)
        self.check_button.setEnabled(True)
        self.session.ask(
            "Reading the settings",
            lambda engine, _run: (
                engine.workspace.setting("threads"),
                engine.device,
                len(engine.datasets()),
                len(engine.models()),
            ),
            self._settings_known,
            key="settings",
        )
        self.threads_choice.setToolTip(f"Now: {engine.threads}")

    def _settings_known(self, answer: tuple[Any, str, int, int]) -> None:
        threads, device, datasets, models = answer
        self.device_choice.setCurrentIndex(max(0, self.device_choice.findData(device)))
        self.device_choice.setEnabled(not self.session.read_only)
        self.threads_choice.setCurrentIndex(max(0, self.threads_choice.findData(threads)))
        self.threads_choice.setEnabled(not self.session.read_only)
        facts = [
            ("threads now", str(self.session.engine.threads)),
            ("data sets", str(datasets)),
            ("models", str(models)),
        ]
        if self.session.read_only:
            facts.append(("opened", "for reading: another window works in it"))
        self.workspace_facts.set_facts(facts)

    def _open_folder(self) -> None:
        if self.session.workspace_path is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(Path(self.session.workspace_path))))

    def check_health(self) -> None:
        """Ask the engine to look at everything."""
        self.check_button.setEnabled(False)
        self.session.ask(
            "Checking", lambda engine, _run: list(engine.doctor()), self._checked, key="doctor"
        ).over.connect(lambda: self.check_button.setEnabled(True))

    def _checked(self, checks: list[Any]) -> None:
        while (item := self._checks.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for check in checks:
            line = QWidget()
            line.setProperty("plain", "true")
            tag = Tag(check.state, _TONES.get(check.state, Tone.NEUTRAL))
            text = Paragraph(f"{check.name}: {check.detail} {check.advice}".strip())
            layout = row(tag, text)
            layout.setStretch(1, 1)
            line.setLayout(layout)
            self._checks.addWidget(line)
