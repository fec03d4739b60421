"""The four cards that describe a data set: in short, long tail, ratings or events, activity over time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QWidget

from recsys_desktop.gui import formats
from recsys_desktop.gui.theme import CARD_GAP
from recsys_desktop.gui.widgets.card import Card
from recsys_desktop.gui.widgets.labels import ElidedLabel, text_label
from recsys_desktop.gui.widgets.plots import BarPlot, Line, LinePlot

if TYPE_CHECKING:
    from recsys_desktop.data import DatasetStatistics

_SHORT_WIDTH = 210


class FactTable(QWidget):
    """Names at the left, their values in bold beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("plain", "true")
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setHorizontalSpacing(14)
        self._grid.setVerticalSpacing(5)
        self._grid.setColumnStretch(1, 1)
        self.facts: list[tuple[str, str]] = []

    def set_facts(self, facts: list[tuple[str, str]]) -> None:
        """Show other facts as (name, value)."""
        self.facts = facts
        while (item := self._grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.deleteLater()
        for place, (name, value) in enumerate(facts):
            label = text_label(name, "muted")
            shown = ElidedLabel(value, "strong")
            shown.setAccessibleName(f"{name}: {value}")
            self._grid.addWidget(label, place, 0)
            self._grid.addWidget(shown, place, 1)


class StatisticsCards(QWidget):
    """A row of four cards; empty frames of the same size until ``show_statistics``, hidden without interactions."""

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("plain", "true")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(CARD_GAP)
        self.short_card = Card("In short")
        self.short_card.setFixedWidth(_SHORT_WIDTH)
        self.facts = FactTable()
        self.short_card.content.addWidget(self.facts)
        self.short_card.content.addStretch(1)
        self.tail_card = Card("Long tail")
        self.tail = LinePlot("Interactions of each item", from_zero=True, name_ends=True)
        self.tail_note = text_label("", "muted")
        self.tail_card.content.addWidget(self.tail, 1)
        self.tail_card.content.addWidget(self.tail_note)
        self.ratings_card = Card("Ratings")
        self.ratings = BarPlot("How often each rating was given")
        self.ratings_note = text_label("", "muted")
        self.ratings_card.content.addWidget(self.ratings, 1)
        self.ratings_card.content.addWidget(self.ratings_note)
        self.activity_card = Card("Activity over time")
        self.activity = BarPlot("Interactions over time", colour=2)
        self.activity_note = text_label("", "muted")
        self.activity_card.content.addWidget(self.activity, 1)
        self.activity_card.content.addWidget(self.activity_note)
        row.addWidget(self.short_card)
        for card in (self.tail_card, self.ratings_card, self.activity_card):
            row.addWidget(card, 1)

    def clear(self) -> None:
        """Show empty frames."""
        self.show()
        self.facts.set_facts([])
        self.tail.set_lines([])
        self.ratings.set_bars([], [])
        self.activity.set_bars([], [])
        for note in (self.tail_note, self.ratings_note, self.activity_note):
            note.setText("")

    def show_statistics(self, statistics: DatasetStatistics) -> None:
        """Show the figures of a data set; of one without interactions there are none to show."""
        self.setVisible(statistics.interactions > 0)
        if not statistics.interactions:
            return
        explicit = statistics.feedback == "explicit"
        noun = "ratings" if explicit else "interactions"
        facts = [
            ("people", formats.integer(statistics.users)),
            ("items", formats.integer(statistics.items)),
            (noun, formats.integer(statistics.interactions)),
            ("density", formats.percent(statistics.density, 2)),
            ("per person", f"{formats.integer(statistics.per_user.median)} median"),
            ("per item", f"{formats.integer(statistics.per_item.median)} median"),
        ]
        if statistics.rating_mean is not None:
            facts.append(("mean rating", formats.decimal(statistics.rating_mean, 2)))
        if statistics.first is not None and statistics.last is not None:
            facts += [("first", formats.month(statistics.first)), ("last", formats.month(statistics.last))]
        if statistics.unused_items:
            facts.append(("never used", formats.plural(statistics.unused_items, "item")))
        self.facts.set_facts(facts)
        self._show_tail(statistics, noun)
        self._show_ratings(statistics)
        self._show_activity(statistics)

    def _show_tail(self, statistics: DatasetStatistics, noun: str) -> None:
        tail = np.array(statistics.long_tail, dtype=np.float64).reshape(-1, 2)
        self.tail.set_lines([Line("items", tail[:, 0], tail[:, 1])] if len(tail) else [])
        share = formats.percent(statistics.top_tenth_share)
        self.tail_note.setText(f"10{formats.THIN_SPACE}% of items hold {share} of {noun}" if len(tail) else "")

    def _show_ratings(self, statistics: DatasetStatistics) -> None:
        if statistics.ratings:
            self.ratings_card.set_title("Ratings")
            labels = [formats.number(bar.low) for bar in statistics.ratings]
            self.ratings.set_bars(labels, [bar.count for bar in statistics.ratings])
            self.ratings_note.setText("")
        elif statistics.events:
            self.ratings_card.set_title("Events")
            self.ratings.set_bars(list(statistics.events), list(statistics.events.values()))
            self.ratings_note.setText("")
        else:
            self.ratings_card.set_title("Ratings")
            self.ratings.set_bars([], [])
            self.ratings_note.setText("No ratings: every interaction counts alike.")

    def _show_activity(self, statistics: DatasetStatistics) -> None:
        pattern = {"day": "%d %b", "month": "%b %Y", "year": "%Y"}.get(statistics.activity_unit, "%Y")
        labels = [datetime.fromtimestamp(bar.low, UTC).strftime(pattern) for bar in statistics.activity]
        self.activity.set_bars(labels, [bar.count for bar in statistics.activity])
        unit = statistics.activity_unit
        self.activity_note.setText(f"per {unit}" if unit else "No times in this data.")
