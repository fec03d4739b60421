"""The items page: find an item, see its attributes and those most like it, and what a model's factors stand for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QHBoxLayout, QLineEdit, QVBoxLayout

from recsys_desktop.gui import formats
from recsys_desktop.gui.pages.data import item_columns
from recsys_desktop.gui.pages.page_of_data import PageOfData
from recsys_desktop.gui.pages.statistics_cards import FactTable
from recsys_desktop.gui.session import Session, sentence
from recsys_desktop.gui.theme import CARD_GAP, CARD_PADDING
from recsys_desktop.gui.widgets.card import Card, PageFrame
from recsys_desktop.gui.widgets.chip import Chip
from recsys_desktop.gui.widgets.labels import Paragraph
from recsys_desktop.gui.widgets.table import Column, DataTable

if TYPE_CHECKING:
    from recsys_desktop.engine import Engine, FactorView, ItemMatch, SimilarItem

_SIDE_WIDTH = 400
_MOST_ITEMS = 500
_SIMILAR = 15
_TYPING_PAUSE_MS = 150


class ItemsPage(PageOfData):
    """The page; an empty state until data is open."""

    def __init__(self, session: Session) -> None:
        workbench = ItemExplorer(session)
        super().__init__(session, "Items", "items", "There are no items to look at before data is open.", workbench)
        self.workbench = workbench


class ItemExplorer(PageFrame):
    """A table of items at the left; the chosen one and those like it at the right."""

    def __init__(self, session: Session) -> None:
        super().__init__("Items")
        self.session = session
        self.items: list[ItemMatch] = []
        self.chosen: ItemMatch | None = None
        self.similar: list[SimilarItem] = []
        self.factors: list[FactorView] = []
        self.count_chip = Chip()
        self.model_chip = Chip("model")
        self.facts.addWidget(self.count_chip)
        self.facts.addWidget(self.model_chip)
        self.search = QLineEdit()
        self.search.setPlaceholderText("Find an item by title or id")
        self.search.setAccessibleName("Find an item by title or id")
        self.search.setFixedWidth(300)
        self.search.setClearButtonEnabled(True)
        self.buttons.addWidget(self.search)
        self._pause = QTimer(self)
        self._pause.setSingleShot(True)
        self._pause.setInterval(_TYPING_PAUSE_MS)
        self._pause.timeout.connect(self._find)
        self.search.textChanged.connect(lambda _text: self._pause.start())
        across = QHBoxLayout()
        across.setSpacing(CARD_GAP)
        card = Card(padding=0, flush=True)
        self.table = DataTable("Items")
        self.table.row_chosen.connect(self._row_chosen)
        card.content.addWidget(self.table)
        across.addWidget(card, 1)
        side = QVBoxLayout()
        side.setSpacing(CARD_GAP)
        self.item_card = Card("Item")
        self.item_card.setFixedWidth(_SIDE_WIDTH)
        self.attributes = FactTable()
        self.long_text = Paragraph("", "muted")
        self.item_card.content.addWidget(self.attributes)
        self.item_card.content.addWidget(self.long_text)
        self.similar_card = Card("Most like it", flush=True)
        self.similar_card.setFixedWidth(_SIDE_WIDTH)
        self.similar_note = Paragraph("", "muted")
        self.similar_note.setContentsMargins(CARD_PADDING - 1, 0, CARD_PADDING, 4)
        self.similar_table = DataTable("Most like it")
        self.similar_table.row_opened.connect(self._open_similar)
        self.similar_card.content.addWidget(self.similar_note)
        self.similar_card.content.addWidget(self.similar_table, 1)
        side.addWidget(self.item_card)
        side.addWidget(self.similar_card, 1)
        self.factors_card = Card("What the factors stand for", flush=True)
        self.factors_card.setFixedWidth(_SIDE_WIDTH)
        self.factors_table = DataTable("What the factors stand for")
        self.factors_card.content.addWidget(self.factors_table, 1)
        self.factors_card.hide()
        side.addWidget(self.factors_card, 1)
        across.addLayout(side)
        self.body.addLayout(across, 1)
        session.data_changed.connect(self._data_changed)
        session.model_changed.connect(self._model_changed)
        self._data_changed()
        self._model_changed()

    def _data_changed(self) -> None:
        if self.session.data is None:
            return
        self.chosen = None
        self.attributes.set_facts([])
        self.long_text.setText("")
        self.similar_table.set_columns([])
        self.search.clear()
        self._find()

    def _model_changed(self) -> None:
        model = self.session.model
        self.model_chip.setVisible(model is not None)
        if model is not None:
            self.model_chip.set_fact(self.session.algorithm_name(model.algorithm), f"v{model.version}")
        self._ask_similar()
        self._ask_factors()

    def _find(self) -> None:
        data = self.session.data
        if data is None:
            return
        fingerprint, text = data.fingerprint, self.search.text()
        self.session.ask(
            "Finding items",
            lambda engine, _run: engine.search_items(fingerprint, text, _MOST_ITEMS),
            self._found,
            key="item table",
        )

    def _found(self, items: Sequence[ItemMatch]) -> None:
        self.items = list(items)
        data = self.session.data
        shown = formats.integer(len(items))
        whole = formats.integer(data.n_items) if data is not None else shown
        self.count_chip.set_fact(shown, f"of {whole} items")
        self.table.set_columns(item_columns(items))
        if items:
            self.table.choose_row(0)

    def _row_chosen(self, place: int) -> None:
        self.chosen = self.items[place]
        self.item_card.set_title(self.chosen.title)
        facts = [("id", self.chosen.item), ("interactions", formats.integer(self.chosen.n_interactions))]
        texts = []
        for name, value in dict(self.chosen.attributes).items():
            text = _attribute(value)
            if len(text) > 60 and not isinstance(value, list | tuple):
                texts.append(text)
            elif text:
                facts.append((name.replace("_", " "), text))
        self.attributes.set_facts(facts)
        self.long_text.setText(texts[0][:600] if texts else "")
        self.long_text.setVisible(bool(texts))
        self._ask_similar()

    def _ask_similar(self) -> None:
        model, item = self.session.model, self.chosen
        if item is None:
            return
        if model is None:
            self.similar_note.setText("Train a model to see which items are alike.")
            self.similar_table.set_columns([])
            return
        label, chosen = model.label, item.item
        self.session.ask(
            "Similar items",
            lambda engine, _run: engine.similar_items(label, chosen, _SIMILAR),
            self._similar_known,
            self._no_similar,
            key="similar",
        )

    def _ask_factors(self) -> None:
        model = self.session.model
        self.factors_card.hide()
        if model is None:
            return
        label = model.label
        self.session.ask(
            "Reading factors", lambda engine, _run: readable_factors(engine, label), self._factors_known, key="factors"
        )

    def _factors_known(self, found: Sequence[FactorView]) -> None:
        self.factors = list(found)
        self.factors_card.setVisible(bool(found))
        self.factors_table.set_columns(
            [
                Column("name", "Factor", [factor.name for factor in found], strong=True, maximum_width=150),
                Column("share", "Share", [factor.share for factor in found], formats.confidence),
                Column(
                    "items",
                    "Items",
                    [", ".join(item.title for item in factor.items[:3]) for factor in found],
                    muted=True,
                    stretch=True,
                ),
            ]
        )

    def _similar_known(self, found: Sequence[SimilarItem]) -> None:
        self.similar = list(found)
        self.similar_note.setText(f"Measured by {found[0].method}." if found else "Nothing is like it.")
        self.similar_table.set_columns(
            [
                Column("title", "Item", [entry.title for entry in found], stretch=True, strong=True),
                Column(
                    "similarity",
                    "Similarity",
                    [entry.similarity for entry in found],
                    lambda value: formats.share(value, 3),
                ),
            ]
        )

    def _no_similar(self, error: BaseException) -> None:
        self.similar = []
        self.similar_note.setText(sentence(str(error)))
        self.similar_table.set_columns([])

    def _open_similar(self, place: int) -> None:
        self.search.setText(self.similar[place].title)


def readable_factors(engine: Engine, label: str) -> list[FactorView]:
    """Return what the factors of a model stand for; none where they cannot be read."""
    from recsys_desktop.api.errors import CannotServe

    try:
        return engine.factors(label)
    except CannotServe:
        return []


def _attribute(value: object) -> str:
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(str(entry) for entry in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {entry}" for name, entry in value.items())
    if isinstance(value, float):
        return formats.attribute(value)
    return "" if value is None else str(value)
