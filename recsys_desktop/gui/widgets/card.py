"""Card: a titled box on the quiet background of a page; and the page's own frame."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QScrollArea, QVBoxLayout, QWidget

from recsys_desktop.gui.theme import CARD_GAP, CARD_PADDING, CONTROL_GAP, PAGE_MARGIN
from recsys_desktop.gui.widgets.labels import ElidedLabel, text_label


class Card(QFrame):
    """A surface with a border: ``header`` holds the title and what stands at its right, ``content`` what it shows."""

    def __init__(
        self, title: str = "", *, padding: int = CARD_PADDING, flush: bool = False, parent: QWidget | None = None
    ) -> None:
        """``flush`` lets the content reach the border, as tables do; the header keeps its padding."""
        super().__init__(parent)
        self.setProperty("card", "true")
        outer = QVBoxLayout(self)
        side = 1 if flush else padding
        outer.setContentsMargins(side, padding - 2 if padding else 0, side, side)
        outer.setSpacing(CONTROL_GAP)
        self.header = QHBoxLayout()
        if flush:
            self.header.setContentsMargins(padding - 1, 0, padding - 1, 0)
        self.header.setSpacing(CONTROL_GAP)
        self.title_label: QLabel | None = None
        if title:
            self.title_label = text_label(title, "card-title")
            self.header.addWidget(self.title_label)
            self.header.addStretch(1)
            self.setAccessibleName(title)
            outer.addLayout(self.header)
        self.content = QVBoxLayout()
        self.content.setSpacing(CONTROL_GAP)
        outer.addLayout(self.content, 1)

    def set_title(self, title: str) -> None:
        """Change the title of a card that was given one."""
        if self.title_label is not None:
            self.title_label.setText(title)
            self.setAccessibleName(title)


def row(*widgets: QWidget | int, spacing: int = CONTROL_GAP) -> QHBoxLayout:
    """Return a horizontal layout of these widgets; a number is a stretch of that weight."""
    layout = QHBoxLayout()
    layout.setSpacing(spacing)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        if isinstance(widget, int):
            layout.addStretch(widget)
        else:
            layout.addWidget(widget)
    return layout


class _FitsWidth(QObject):
    """Keeps the content of a vertical scroll area as wide as its viewport, so that only its height scrolls."""

    def __init__(self, area: QScrollArea, content: QWidget) -> None:
        super().__init__(area)
        self._area, self._content = area, content
        area.viewport().installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 - Qt's name
        if event.type() == QEvent.Type.Resize:
            self._content.setMaximumWidth(self._area.viewport().width())
        return False


def scrolling(content: QWidget) -> QScrollArea:
    """Return ``content`` in an area that scrolls vertically and has no frame of its own."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setFrameShape(QFrame.Shape.NoFrame)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    area.setWidget(content)
    _FitsWidth(area, content)
    return area


class PageFrame(QWidget):
    """A page: a title row with its facts as chips and its actions at the right, then ``body``."""

    def __init__(self, title: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("page", "true")
        self.setAttribute(Qt.WidgetAttribute.WA_StyledBackground)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(PAGE_MARGIN, 16, PAGE_MARGIN, 16)
        outer.setSpacing(CARD_GAP)
        self.title_label = ElidedLabel(title, "title")
        self.facts = QHBoxLayout()
        self.facts.setSpacing(CONTROL_GAP)
        self.facts.setContentsMargins(4, 0, 0, 0)
        self.buttons = QHBoxLayout()
        self.buttons.setSpacing(CARD_GAP)
        heading = QHBoxLayout()
        heading.setSpacing(CONTROL_GAP)
        heading.addWidget(self.title_label)
        heading.addLayout(self.facts)
        heading.addStretch(1)
        heading.addLayout(self.buttons)
        self._heading = QWidget()
        self._heading.setProperty("plain", "true")
        self._heading.setLayout(heading)
        heading.setContentsMargins(0, 0, 0, 0)
        self._heading.setFixedHeight(33)
        outer.addWidget(self._heading)
        self.notices = QVBoxLayout()
        self.notices.setSpacing(CONTROL_GAP)
        outer.addLayout(self.notices)
        self.body = QVBoxLayout()
        self.body.setSpacing(CARD_GAP)
        outer.addLayout(self.body, 1)

    def set_title(self, title: str) -> None:
        """Change the title of the page."""
        self.title_label.setText(title)

    def hide_heading(self) -> None:
        """Leave the title row out, for a page that begins otherwise."""
        self._heading.hide()
