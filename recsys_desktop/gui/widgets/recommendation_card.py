"""The recommendation card: rank, title, attributes, reason, confidence, and the person's answer to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QKeyEvent, QMouseEvent, QResizeEvent, QTextDocument
from PySide6.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from recsys_desktop.gui import formats
from recsys_desktop.gui.widgets.bar import Bar
from recsys_desktop.gui.widgets.buttons import IconButton, Stars
from recsys_desktop.gui.widgets.labels import ElidedLabel, Paragraph, Tag, Tone, restyle, text_label

CARD_HEIGHT = 96
COMPACT_HEIGHT = 58
_REASON_HEIGHT = 38
_CHIP_WIDTH = 190


@dataclass(frozen=True, slots=True)
class RecommendationView:
    """What a card shows of one recommended item.

    ``reason`` is a sentence; the texts in ``reason_names`` that occur in it are set in bold. ``confidence`` is a
    calibrated probability, or None, which is shown as a dash.
    """

    rank: int
    title: str
    attributes: str
    reason: str = ""
    reason_names: tuple[str, ...] = ()
    chips: tuple[str, ...] = ()
    confidence: float | None = None
    score: float | None = None
    rating_scale: tuple[float, float, float] | None = None
    compact: bool = False
    """Only title, attributes and confidence, for two lists side by side."""


def emphasised(sentence: str, names: Sequence[str]) -> str:
    """Return the sentence as HTML with the names in bold; whatever came from data is escaped."""
    marked = escape(sentence)
    for name in sorted(set(names), key=len, reverse=True):
        if name:
            marked = marked.replace(escape(name), f"<b>{escape(name)}</b>")
    return marked


class Reason(Paragraph):
    """A sentence in at most two lines; where it needs more it ends in an ellipsis."""

    def __init__(self, sentence: str, names: Sequence[str]) -> None:
        super().__init__()
        self._words = sentence.split(" ")
        self._names = names
        self.setFixedHeight(_REASON_HEIGHT)
        self.setAlignment(Qt.AlignmentFlag.AlignVCenter)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.set_html(emphasised(sentence, names))

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802 - Qt's name
        super().resizeEvent(event)
        whole = len(self._words)
        low, high = 1, whole
        while low < high:
            middle = (low + high + 1) // 2
            if self._fits(middle):
                low = middle
            else:
                high = middle - 1
        text = " ".join(self._words[:low]) + ("" if low == whole else "\u2026")
        self.set_html(emphasised(text, self._names))

    def _fits(self, words: int) -> bool:
        text = " ".join(self._words[:words]) + ("" if words == len(self._words) else "\u2026")
        document = QTextDocument()
        document.setDefaultFont(self.font())
        document.setDocumentMargin(0)
        document.setHtml(emphasised(text, self._names))
        document.setTextWidth(self.width())
        return document.size().height() <= 2 * self.fontMetrics().lineSpacing() + 3


class RecommendationCard(QFrame):
    """One recommendation: ``chosen`` when it is clicked, ``rated`` and ``dismissed`` for an answer."""

    chosen = Signal()
    rated = Signal(float)
    dismissed = Signal()

    def __init__(self, view: RecommendationView, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.view = view
        self.setProperty("recommendation", "true")
        self.setProperty("selected", "false")
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.setFixedHeight(COMPACT_HEIGHT if view.compact else CARD_HEIGHT)
        self.setAccessibleName(f"{view.rank}. {view.title}")
        self.setAccessibleDescription(view.reason)
        layout = QHBoxLayout(self)
        layout.setSpacing(6)
        rank = text_label(str(view.rank), "muted")
        rank.setFixedWidth(20)
        rank.setAlignment(Qt.AlignmentFlag.AlignTop)
        rank.setContentsMargins(0, 4, 0, 0)
        layout.addWidget(rank)
        grid = QGridLayout()
        grid.setHorizontalSpacing(12)
        grid.setVerticalSpacing(1 if view.compact else 2)
        grid.setColumnStretch(0, 1)
        grid.addWidget(ElidedLabel(view.title, "item-title"), 0, 0)
        grid.addLayout(self._described(), 1, 0)
        if view.compact:
            # The title has the whole width: of two lists side by side it is what is compared.
            grid.addWidget(self._dismiss(), 0, 1, Qt.AlignmentFlag.AlignRight)
            grid.addWidget(self._confidence_label(), 1, 1)
        else:
            grid.addLayout(self._certainty(), 0, 1, 2, 1)
            grid.addLayout(self._foot(), 2, 0, 1, 2)
        layout.addLayout(grid, 1)
        self._keep_place()

    def _keep_place(self) -> None:
        """Set the margins so that the content stays where it is, however wide the border of the style is."""
        layout, border = self.layout(), self.contentsRect().left()
        if layout is not None:
            layout.setContentsMargins(15 - border, 8 - border, 14 - border, 7 - border)

    def event(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ContentsRectChange:
            self._keep_place()
        return super().event(event)

    def _described(self) -> QHBoxLayout:
        line = QHBoxLayout()
        line.setSpacing(8)
        if self.view.attributes:
            line.addWidget(ElidedLabel(self.view.attributes, "muted"))
        for text in self.view.chips:
            tag = Tag(text, Tone.ACCENT)
            tag.ensurePolished()
            tag.limit(_CHIP_WIDTH)
            line.addWidget(tag)
        line.addStretch(1)
        return line

    def _certainty(self) -> QVBoxLayout:
        box = QVBoxLayout()
        box.setSpacing(6)
        box.addStretch(1)
        box.addWidget(self._confidence_label())
        bar = Bar("Confidence", self.view.confidence)
        bar.setFixedWidth(92)
        box.addWidget(bar, alignment=Qt.AlignmentFlag.AlignRight)
        box.addStretch(1)
        return box

    def _confidence_label(self) -> QLabel:
        confidence = self.view.confidence
        known = text_label(formats.DASH if confidence is None else formats.confidence(confidence), "strong")
        known.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        known.setToolTip(
            "How often recommendations scored like this one were chosen in held-out data"
            if confidence is not None
            else "This model has no calibrated confidence"
        )
        return known

    def _foot(self) -> QHBoxLayout:
        foot = QHBoxLayout()
        foot.setSpacing(10)
        self.reason = Reason(self.view.reason, self.view.reason_names)
        self.setToolTip(self.view.reason)
        foot.addWidget(self.reason, 1)
        if self.view.rating_scale is not None:
            self.stars = Stars(self.view.rating_scale)
            self.stars.rated.connect(self.rated)
            foot.addWidget(self.stars)
        foot.addWidget(self._dismiss())
        return foot

    def _dismiss(self) -> IconButton:
        self.dismiss_button = IconButton("close", f"Do not show {self.view.title}", 13)
        self.dismiss_button.clicked.connect(self.dismissed)
        return self.dismiss_button

    def set_selected(self, selected: bool) -> None:
        """Show whether this is the recommendation that is explained."""
        value = "true" if selected else "false"
        if self.property("selected") != value:
            self.setProperty("selected", value)
            restyle(self)

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802 - Qt's name
        super().mousePressEvent(event)
        self.setFocus(Qt.FocusReason.MouseFocusReason)
        self.chosen.emit()

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 - Qt's name
        if event.key() in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.chosen.emit()
        elif event.key() == Qt.Key.Key_Down:
            self.focusNextChild()
        elif event.key() == Qt.Key.Key_Up:
            self.focusPreviousChild()
        elif event.key() == Qt.Key.Key_Delete:
            self.dismissed.emit()
        else:
            super().keyPressEvent(event)
