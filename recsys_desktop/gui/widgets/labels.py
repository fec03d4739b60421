"""Labels: text in a role of the theme, elided text with its whole in a tooltip, and tags."""

from __future__ import annotations

import re
from enum import StrEnum
from html import escape, unescape

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent, QResizeEvent
from PySide6.QtWidgets import QFrame, QLabel, QSizePolicy, QStyle, QStyleOption, QWidget


class Paragraph(QLabel):
    """Text over several lines with room between them; plain text unless ``set_html`` is used."""

    _LINE_HEIGHT = 118

    def __init__(self, text: str = "", role: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        if role:
            self.setProperty("role", role)
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.RichText)
        self._plain = ""
        self.setText(text)

    @property
    def plain(self) -> str:
        """The text without its marks."""
        return self._plain

    def setText(self, text: str) -> None:  # noqa: N802 - Qt's name
        """Show plain text."""
        self.set_html(escape(text).replace("\n", "<br>"))
        self._plain = text
        self.setAccessibleName(text)

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        # Qt's own guess assumes a narrow label and reserves lines that are never needed.
        return QSize(40, self.fontMetrics().height())

    def set_html(self, html: str) -> None:
        """Show marked text; the caller has escaped what came from data."""
        self._plain = unescape(re.sub(r"<[^>]*>", "", html.replace("<br>", "\n")))
        self.setAccessibleName(self._plain)
        super().setText(f'<div style="line-height:{self._LINE_HEIGHT}%">{html}</div>' if html else "")


def text_label(text: str, role: str = "", *, wrap: bool = False, parent: QWidget | None = None) -> QLabel:
    """Return a label; ``role`` is one of those in the style sheet: title, card-title, muted, small, error, ..."""
    if wrap:
        return Paragraph(text, role, parent)
    label = QLabel(text, parent)
    label.setTextFormat(Qt.TextFormat.PlainText)
    if role:
        label.setProperty("role", role)
    return label


def elision(text: str) -> Qt.TextElideMode:
    """Return where a name that is too long is cut: an id, whose end tells it from its neighbours, in the middle."""
    return Qt.TextElideMode.ElideRight if " " in text else Qt.TextElideMode.ElideMiddle


class ElidedLabel(QLabel):
    """One line of text that ends in an ellipsis when space is short; the whole is then in the tooltip."""

    def __init__(
        self,
        text: str = "",
        role: str = "",
        mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self._whole = text
        self._mode = mode
        self.setTextFormat(Qt.TextFormat.PlainText)
        if role:
            self.setProperty("role", role)
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Fixed)
        self.setText(text)

    def setText(self, text: str) -> None:  # noqa: N802 - Qt's name
        self._whole = text
        super().setText(text)
        self.setAccessibleName(text)
        self._refresh_tooltip()
        self.updateGeometry()

    def minimumSizeHint(self) -> QSize:  # noqa: N802 - Qt's name
        return QSize(min(28, super().sizeHint().width()), super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        self._refresh_tooltip()

    def _refresh_tooltip(self) -> None:
        elided = self.fontMetrics().elidedText(self._whole, self._mode, self.contentsRect().width())
        self.setToolTip(self._whole if elided != self._whole else "")

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802 - Qt's name
        painter = QPainter(self)
        option = QStyleOption()
        option.initFrom(self)
        self.style().drawPrimitive(QStyle.PrimitiveElement.PE_Widget, option, painter, self)
        rectangle = self.contentsRect()
        text = self.fontMetrics().elidedText(self._whole, self._mode, rectangle.width())
        self.style().drawItemText(
            painter, rectangle, int(self.alignment()), self.palette(), self.isEnabled(), text, self.foregroundRole()
        )


class Tone(StrEnum):
    """What a tag, a message or a table cell says by its colour."""

    NEUTRAL = "neutral"
    ACCENT = "accent"
    POSITIVE = "positive"
    WARNING = "warning"
    NEGATIVE = "negative"


class Tag(QLabel):
    """A word or two on a weak colour: ``exact``, ``needs text``, ``as good as the best``."""

    def __init__(self, text: str = "", tone: Tone = Tone.NEUTRAL, parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setProperty("tag", tone.value)
        self.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)

    def limit(self, width: int) -> None:
        """Let the tag be at most this wide; the whole text is then in its tooltip."""
        text = self.text()
        room = width - 16
        shown = self.fontMetrics().elidedText(text, Qt.TextElideMode.ElideRight, room)
        if shown != text:
            self.setText(shown)
            self.setToolTip(text)
            self.setAccessibleName(text)

    def set_tag(self, text: str, tone: Tone) -> None:
        """Say something else."""
        self.setText(text)
        if self.property("tag") != tone.value:
            self.setProperty("tag", tone.value)
            restyle(self)


def restyle(widget: QWidget) -> None:
    """Let the style sheet look at the widget's properties again."""
    style = widget.style()
    style.unpolish(widget)
    style.polish(widget)
    widget.update()


def horizontal_line(parent: QWidget | None = None) -> QFrame:
    """Return a line of one pixel that divides the parts of a card."""
    line = QFrame(parent)
    line.setProperty("line", "horizontal")
    line.setFixedHeight(1)
    return line
