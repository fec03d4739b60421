"""The explanation pane: a sentence, what adds up to the score, what would change it, and how sure the model is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QVBoxLayout, QWidget

from recsys_desktop.gui import formats
from recsys_desktop.gui.pages.person import names_in
from recsys_desktop.gui.session import sentence
from recsys_desktop.gui.widgets.card import Card, row, scrolling
from recsys_desktop.gui.widgets.contribution_chart import ContributionBar, ContributionChart
from recsys_desktop.gui.widgets.labels import Paragraph, Tag, Tone, horizontal_line, text_label
from recsys_desktop.gui.widgets.messages import EmptyState
from recsys_desktop.gui.widgets.recommendation_card import emphasised

if TYPE_CHECKING:
    from recsys_desktop.engine import ExplanationView

_SHOWN_PARTS = 7


def contribution_bars(view: ExplanationView, most: int = _SHOWN_PARTS) -> list[ContributionBar]:
    """Return the parts of a score, largest first; what does not fit is one bar, and so is the residual.

    The values add up to score - base.
    """
    parts = sorted(view.parts, key=lambda part: -abs(part.value))
    shown, rest = parts[:most], parts[most:]
    bars = []
    for part in shown:
        rated = [f"rated {formats.number(part.rating)}"] if part.rating is not None else []
        shared = [f"in common: {part.shared}"] if part.shared else []
        bars.append(ContributionBar(part.label, part.value, ", ".join(rated + shared)))
    if rest:
        names = ", ".join(part.label for part in rest[:5]) + ("\u2026" if len(rest) > 5 else "")
        bars.append(ContributionBar(f"{formats.integer(len(rest))} others", sum(part.value for part in rest), names))
    scale = max([abs(view.score)] + [abs(part.value) for part in parts])
    if abs(view.residual) > 1e-3 * (scale or 1.0):
        bars.append(ContributionBar("not accounted for", view.residual, "What the parts above do not add up to."))
    return bars


class ExplanationPane(Card):
    """Explains one recommendation."""

    def __init__(self) -> None:
        super().__init__()
        self.setAccessibleName("Explanation")
        content = QWidget()
        content.setProperty("plain", "true")
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 2, 0)
        column.setSpacing(9)
        self.title = Paragraph("", "card-title")
        self.sentence = Paragraph("")
        self.exact_tag = Tag()
        self.chart = ContributionChart()
        self.method = Paragraph("", "small")
        self.change = Paragraph("")
        self.change_tag = Tag()
        self.confidence_title = text_label("", "strong")
        self.confidence = Paragraph("", "muted")
        self.notes = Paragraph("", "muted")
        column.addWidget(self.title)
        column.addWidget(self.sentence)
        column.addLayout(row(text_label("What adds up to the score", "strong"), 1, self.exact_tag))
        column.addWidget(self.chart)
        column.addWidget(self.method)
        column.addWidget(horizontal_line())
        column.addLayout(row(text_label("What would change it", "strong"), 1, self.change_tag))
        column.addWidget(self.change)
        column.addWidget(horizontal_line())
        column.addWidget(self.confidence_title)
        column.addWidget(self.confidence)
        column.addWidget(self.notes)
        column.addStretch(1)
        self._content = scrolling(content)
        self._empty = EmptyState("information", "Choose a recommendation to see what it rests on.")
        self.content.addWidget(self._content)
        self.content.addWidget(self._empty)
        self.clear()

    def clear(self, message: str = "Choose a recommendation to see what it rests on.") -> None:
        """Show nothing but a sentence."""
        self._content.hide()
        self._empty.sentence.setText(message)
        self._empty.show()

    def begin(self, title: str) -> None:
        """Show which item is being explained, until the explanation comes."""
        if self._content.isHidden():
            self._empty.sentence.setText(f"Working out why {title} is here\u2026")

    def show_explanation(self, view: ExplanationView, looking_for_change: bool) -> None:
        """Show an explanation; ``looking_for_change`` says that what would change it is still being searched."""
        self._empty.hide()
        self._content.show()
        self.title.setText(f"Why {view.title}?")
        self.sentence.set_html(emphasised(view.sentence.text, names_in(view.sentence.values)))
        self.exact_tag.set_tag("exact" if view.exact else "approximate", Tone.POSITIVE if view.exact else Tone.WARNING)
        self.exact_tag.setToolTip(
            "The parts add up to the score by construction."
            if view.exact
            else "Each part is the effect of leaving that entry out; together they need not add up to the score."
        )
        self.chart.set_contributions(contribution_bars(view), view.base, view.score)
        self.method.setText(sentence(view.method))
        self._show_change(view, looking_for_change)
        self._show_confidence(view)
        self.notes.setText(" ".join(self._notes(view)))
        self.notes.setVisible(bool(self.notes.plain))

    @staticmethod
    def _notes(view: ExplanationView) -> Sequence[str]:
        notes = [sentence(notice) for notice in view.notices]
        if view.predicted_rating is not None:
            notes.insert(0, f"Predicted rating: {formats.decimal(view.predicted_rating, 2)}.")
        return notes

    def _show_change(self, view: ExplanationView, looking: bool) -> None:
        found = view.counterfactual
        if found is None:
            self.change_tag.hide()
            text = "Looking\u2026" if looking else "No small change of the history puts another item first."
            self.change.setText(text)
            return
        names = [*found.removed_titles, found.instead_title, *names_in(found.sentence.values)]
        self.change.set_html(emphasised(found.sentence.text, names))
        self.change_tag.set_tag(
            "checked" if found.verified else "not checked", Tone.POSITIVE if found.verified else Tone.NEUTRAL
        )
        self.change_tag.setToolTip("The whole list was scored again without these entries." if found.verified else "")
        self.change_tag.show()

    def _show_confidence(self, view: ExplanationView) -> None:
        if view.confidence is None:
            self.confidence_title.setText(f"Confidence {formats.DASH}")
            self.confidence.setText("This model has no calibrated confidence: its score is not a probability.")
            return
        self.confidence_title.setText(f"Confidence {formats.confidence(view.confidence)}")
        interval = ""
        if view.confidence_interval is not None:
            low, high = view.confidence_interval
            interval = f" ({formats.confidence(low)} to {formats.confidence(high)})"
        self.confidence.setText(
            f"Of recommendations scored like this one, {formats.confidence(view.confidence)}{interval} were chosen in "
            "held-out data."
        )
