"""The session: what the pages of one window share - the workspace, the open data, the chosen model, the jobs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import QObject, Signal

from recsys_desktop.gui.command_box import Command
from recsys_desktop.gui.jobs import JobManager


class Session(QObject):
    """Shared state of one window. Pages ask it, listen to it, and never talk to each other."""

    page_wanted = Signal(str, object)
    notice = Signal(str, object)
    failed = Signal(str, str, str)

    def __init__(self, workspace: Path | None = None, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.workspace_path = workspace
        self.jobs = JobManager(self)
        self._command_sources: list[Callable[[], list[Command]]] = []

    def go(self, page: str, detail: Any = None) -> None:
        """Show a page; ``detail`` is handed to it."""
        self.page_wanted.emit(page, detail)

    def say(self, text: str, undo: Callable[[], object] | None = None) -> None:
        """Show a short notice at the foot of the window, with Undo where there is something to undo."""
        self.notice.emit(text, undo)

    def add_commands(self, source: Callable[[], list[Command]]) -> None:
        """Let the command box offer what ``source`` returns at the moment of asking."""
        self._command_sources.append(source)

    def commands(self) -> list[Command]:
        """Return every command that can be run now."""
        return [command for source in self._command_sources for command in source()]
