"""A page about the open data: its workbench, and an empty state until data is open."""

from __future__ import annotations

from PySide6.QtWidgets import QStackedWidget

from recsys_desktop.gui.session import Session
from recsys_desktop.gui.widgets.card import PageFrame
from recsys_desktop.gui.widgets.messages import EmptyState


class PageOfData(QStackedWidget):
    """Shows `workbench` while data is open, else `lack`, the sentence that says what is missing, and the way to it."""

    def __init__(self, session: Session, title: str, icon_name: str, lack: str, workbench: PageFrame) -> None:
        super().__init__()
        self.session = session
        self.empty = PageFrame(title)
        self.empty.body.addWidget(EmptyState(icon_name, lack, "Open data", lambda: session.go("start")))
        self.addWidget(self.empty)
        self.addWidget(workbench)
        self._workbench = workbench
        session.data_changed.connect(self._choose_view)
        session.engine_opened.connect(self._choose_view)
        self._choose_view()

    def _choose_view(self) -> None:
        self.setCurrentWidget(self.empty if self.session.data is None else self._workbench)
