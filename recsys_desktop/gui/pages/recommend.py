"""The recommend page: a person, a list of cards, and why each is there."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QApplication, QHBoxLayout, QMenu, QScrollArea, QStackedWidget, QVBoxLayout, QWidget

from recsys_desktop.gui import formats
from recsys_desktop.gui.pages.data import attribute_text
from recsys_desktop.gui.pages.explanation_pane import ExplanationPane
from recsys_desktop.gui.pages.filter_popup import FilterPopup
from recsys_desktop.gui.pages.person import Entry, PersonOnScreen, names_in
from recsys_desktop.gui.session import Session, sentence
from recsys_desktop.gui.theme import CARD_GAP, CONTROL_GAP
from recsys_desktop.gui.widgets.buttons import IconButton, button
from recsys_desktop.gui.widgets.card import Card, PageFrame, scrolling
from recsys_desktop.gui.widgets.chip import Chip
from recsys_desktop.gui.widgets.labels import ElidedLabel, Paragraph, elision, horizontal_line, text_label
from recsys_desktop.gui.widgets.messages import EmptyState, InlineMessage
from recsys_desktop.gui.widgets.recommendation_card import RecommendationCard, RecommendationView
from recsys_desktop.gui.widgets.search_popup import Found, SearchPopup

if TYPE_CHECKING:
    from recsys_desktop.engine import (
        Engine,
        EngineRun,
        ExplanationView,
        FilterColumn,
        HistoryItem,
        ItemMatch,
        Recommendation,
        RecommendationList,
        RecommendRequest,
        UserMatch,
    )
    from recsys_desktop.workspace import ModelRecord

_HISTORY_WIDTH = 226
_PANE_WIDTH = 352
_HISTORY_SHOWN = 60
_LIST_LENGTH = 10
_SEARCH_LENGTH = 40


FIND_PERSON = object()
BUILD_PERSON = object()


class RecommendPage(QStackedWidget):
    """The page; an empty state until there are data and a model."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.empty = PageFrame("Recommendations")
        self.no_data = EmptyState(
            "recommend",
            "Recommending needs data and a trained model. Open a sample or import a file first.",
            "Open data",
            lambda: session.go("start"),
        )
        self.no_model = EmptyState(
            "recommend", "No model is trained on this data yet.", "Train a model", lambda: session.go("train")
        )
        self.empty.body.addWidget(self.no_data)
        self.empty.body.addWidget(self.no_model)
        self.workbench = RecommendationWorkbench(session)
        self.addWidget(self.empty)
        self.addWidget(self.workbench)
        session.data_changed.connect(self._choose_view)
        session.model_changed.connect(self._choose_view)
        self._choose_view()

    def receive(self, detail: object) -> None:
        """Show the list of a user, given by id; or open the search for one, or begin a new person."""
        if detail is FIND_PERSON:
            self.workbench.open_people()
        elif detail is BUILD_PERSON:
            self.workbench.build_person()
        elif isinstance(detail, str):
            self.workbench.choose_user(detail)

    def _choose_view(self) -> None:
        has_data, has_model = self.session.data is not None, self.session.model is not None
        self.no_data.setVisible(not has_data)
        self.no_model.setVisible(has_data and not has_model)
        self.setCurrentWidget(self.workbench if has_data and has_model else self.empty)


class ListColumn(QWidget):
    """The recommendations of one model as cards. Signals carry the item."""

    chosen = Signal(object)
    rated = Signal(object, float)
    dismissed = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self.setProperty("plain", "true")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(CONTROL_GAP)
        self.heading = text_label("", "strong")
        self.heading.hide()
        layout.addWidget(self.heading)
        self.notice = Paragraph("", "muted")
        self.notice.hide()
        layout.addWidget(self.notice)
        content = QWidget()
        content.setProperty("plain", "true")
        self._cards = QVBoxLayout(content)
        self._cards.setContentsMargins(1, 1, 1, 1)
        self._cards.setSpacing(8)
        self._area: QScrollArea = scrolling(content)
        layout.addWidget(self._area, 1)
        self.cards: list[RecommendationCard] = []
        self.items: list[Recommendation] = []
        self._hidden: set[str] = set()

    def clear(self, message: str = "") -> None:
        """Show no cards, and a sentence that says why."""
        self._fill([], None, compact=False)
        self._say(message)

    def _say(self, message: str) -> None:
        self.notice.setText(message)
        self.notice.setVisible(bool(message))

    def show_list(
        self,
        answer: RecommendationList,
        scale: tuple[float, float, float] | None,
        *,
        compact: bool,
        dismissed: set[str],
    ) -> None:
        """Show a list without the items that were dismissed."""
        self._hidden = dismissed
        notices = [sentence(notice) for notice in answer.notices]
        fallbacks = dict.fromkeys(entry.fallback for entry in answer.items if entry.fallback)
        notices += [sentence(why) for why in fallbacks if not any(why in notice for notice in answer.notices)]
        self._say(" ".join(dict.fromkeys(notices)))
        self._fill([entry for entry in answer.items if entry.item not in dismissed], scale, compact=compact)

    def _fill(
        self, items: Sequence[Recommendation], scale: tuple[float, float, float] | None, *, compact: bool
    ) -> None:
        focused = QApplication.focusWidget()
        had_focus = focused is not None and self.isAncestorOf(focused)
        if had_focus:
            # Otherwise the focus would wander to the first control of the window with the card that goes.
            self._area.setFocus(Qt.FocusReason.OtherFocusReason)
        while (item := self._cards.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self.items, self.cards = list(items), []
        for place, entry in enumerate(items, start=1):
            card = RecommendationCard(card_view(entry, place, scale, compact=compact))
            card.chosen.connect(lambda entry=entry: self.chosen.emit(entry))
            card.rated.connect(lambda rating, entry=entry: self.rated.emit(entry, rating))
            card.dismissed.connect(lambda entry=entry: self.dismissed.emit(entry))
            self.cards.append(card)
            self._cards.addWidget(card)
        self._cards.addStretch(1)
        if had_focus and self.cards:
            self.cards[0].setFocus(Qt.FocusReason.OtherFocusReason)
        self._area.verticalScrollBar().setValue(0)

    def mark(self, item: str | None) -> None:
        """Show which item is explained."""
        for card, entry in zip(self.cards, self.items, strict=True):
            card.set_selected(entry.item == item)


def card_view(
    entry: Recommendation, place: int, scale: tuple[float, float, float] | None, *, compact: bool
) -> RecommendationView:
    """Return what a card shows of a recommendation; a compact one, for two lists side by side, has no chips."""
    from recsys_desktop.engine import without_share

    return RecommendationView(
        rank=place,
        title=entry.title,
        attributes=attribute_text(dict(entry.attributes)),
        reason=without_share(entry.sentence),
        reason_names=tuple(names_in(entry.sentence.values)),
        chips=() if compact else telling_chips(entry),
        confidence=entry.confidence,
        score=entry.score,
        rating_scale=None if compact else (scale or (1.0, 5.0, 1.0)),
        compact=compact,
    )


def telling_chips(entry: Recommendation) -> tuple[str, ...]:
    """Return the chip that says what the sentence does not: none repeats a name that is in it."""
    named = [name for name in names_in(entry.sentence.values) if len(name) > 3]
    telling = [chip for chip in entry.chips if not any(name in chip for name in named)]
    return tuple(telling[:1] or entry.chips[:1])


class HistoryColumn(Card):
    """What the person did. ``removed`` carries the item that is taken out."""

    removed = Signal(str)

    def __init__(self) -> None:
        super().__init__("History", padding=12)
        self.setFixedWidth(_HISTORY_WIDTH)
        self.add_button = IconButton("plus", "Add an item to this person", 14)
        self.reset_button = button("Undo changes", "link")
        self.reset_button.hide()
        self.header.addWidget(self.add_button)
        content = QWidget()
        content.setProperty("plain", "true")
        self._rows = QVBoxLayout(content)
        self._rows.setContentsMargins(0, 0, 0, 0)
        self._rows.setSpacing(0)
        self.content.addWidget(self.reset_button)
        self.content.addWidget(scrolling(content), 1)
        self.foot = text_label("", "small")
        self.content.addWidget(self.foot)

    def show_person(self, person: PersonOnScreen) -> None:
        """Show the history of a person, highest ratings first."""
        while (item := self._rows.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        entries = person.by_rating()
        for entry in entries[:_HISTORY_SHOWN]:
            self._rows.addWidget(self._row(entry))
            self._rows.addWidget(horizontal_line())
        self._rows.addStretch(1)
        more = len(entries) - _HISTORY_SHOWN
        rated = any(entry.rating is not None for entry in entries)
        order = "sorted by rating" if rated else "latest first"
        if not entries:
            self.foot.setText("Nothing yet: add a few items.")
        else:
            self.foot.setText(f"{formats.integer(more)} more \u00b7 {order}" if more > 0 else order)
        self.reset_button.setVisible(person.changed and not person.is_new)

    def _row(self, entry: Entry) -> QWidget:
        holder = QWidget()
        holder.setProperty("plain", "true")
        holder.setFixedHeight(29)
        line = QHBoxLayout(holder)
        line.setContentsMargins(0, 0, 2, 0)
        line.setSpacing(2)
        line.addWidget(ElidedLabel(entry.title, mode=elision(entry.title)), 1)
        if entry.rating is not None:
            line.addWidget(text_label(f"\u2605{formats.number(entry.rating)}", "muted"))
        remove = IconButton("close", f"Take {entry.title} out", 10)
        remove.clicked.connect(lambda: self.removed.emit(entry.item))
        line.addWidget(remove)
        return holder


class RecommendationWorkbench(PageFrame):
    """History at the left, cards in the middle, the explanation at the right."""

    def __init__(self, session: Session) -> None:
        super().__init__("Recommendations")
        self.session = session
        self.person = PersonOnScreen(None)
        self.second: ModelRecord | None = None
        self.explained: Recommendation | None = None
        self.explanation: ExplanationView | None = None
        self._explained_by = ""
        self._dismissed: set[str] = set()
        self._person_chosen = False
        self._scale: tuple[float, float, float] | None = None
        self._host: QWidget | None = None
        self._popups: dict[str, Any] = {}
        self.person_chip = Chip("person", "\u2026", clickable=True)
        self.person_chip.clicked.connect(self.open_people)
        self.model_chip = Chip("model", clickable=True)
        self.second_button = button("+ second model", "quiet", self._open_second)
        for widget in (self.person_chip, self.model_chip, self.second_button):
            self.facts.addWidget(widget)
        self.filter_button = button("Filters: none", "quiet", self._open_filters)
        self.build_button = button("Build a person\u2026", "", self.build_person)
        self.buttons.addWidget(self.filter_button)
        self.buttons.addWidget(self.build_button)
        across = QHBoxLayout()
        across.setSpacing(CARD_GAP)
        self.history = HistoryColumn()
        self.history.add_button.clicked.connect(self._open_items)
        self.history.reset_button.clicked.connect(self._reset_person)
        self.history.removed.connect(lambda item: self._change(self.person.without_item(item)))
        self.first_list, self.second_list = ListColumn(), ListColumn()
        self.second_list.hide()
        for place, column in enumerate((self.first_list, self.second_list)):
            column.chosen.connect(lambda entry, place=place: self.explain(entry, place))
            column.rated.connect(self._rated)
            column.dismissed.connect(self._dismiss)
        self.pane = ExplanationPane()
        self.pane.setFixedWidth(_PANE_WIDTH)
        across.addWidget(self.history)
        across.addWidget(self.first_list, 1)
        across.addWidget(self.second_list, 1)
        across.addWidget(self.pane)
        self.body.addLayout(across, 1)
        session.data_changed.connect(self._data_changed)
        session.model_changed.connect(self._model_changed)
        session.models_changed.connect(self._show_models)
        self._data_changed()
        self._model_changed()

    # Data and model

    def _data_changed(self) -> None:
        data = self.session.data
        self.second = None
        self._dismissed = set()
        self._show_person(PersonOnScreen(None))
        self._person_chosen = False
        self.first_list.clear()
        self.second_list.clear()
        self.pane.clear()
        if data is None:
            return
        fingerprint = data.fingerprint
        self.session.ask(
            "Filters and people",
            lambda engine, _run: (
                engine.filter_columns(fingerprint),
                engine.search_users(fingerprint, "", 1),
                engine.statistics(fingerprint).rating_scale,
            ),
            self._data_known,
            key="filters",
        )

    def _data_known(
        self, answer: tuple[list[FilterColumn], list[UserMatch], tuple[float, float, float] | None]
    ) -> None:
        columns, users, self._scale = answer
        self._popup("filters").set_columns(columns)
        self._show_filters()
        if self._person_chosen:
            return
        if users:
            self.choose_user(users[0].user)
        else:
            self._change(PersonOnScreen(None))

    def _model_changed(self) -> None:
        model = self.session.model
        if model is not None:
            self.model_chip.set_fact(self.session.algorithm_name(model.algorithm), f"v{model.version}")
        self._show_models()
        self.refresh()

    def _show_models(self) -> None:
        if not self.session.is_open:
            return
        models = self.session.models_of_data()
        self.model_chip.set_choices([(self._model_text(model), model) for model in models], self._choose_model)
        self.second_button.setEnabled(len(models) > 1 or self.second is not None)
        self.second_button.setToolTip("" if len(models) > 1 else "Train a second model to see both side by side.")

    def _model_text(self, model: ModelRecord) -> str:
        return f"{self.session.algorithm_name(model.algorithm)} v{model.version}"

    def _choose_model(self, model: object) -> None:
        self.session.choose_model(model)  # type: ignore[arg-type]

    def _open_second(self) -> None:
        if self.second is not None:
            self.show_second(None)
            return
        model = self.session.model
        others = [other for other in self.session.models_of_data() if model is None or other.id != model.id]
        menu = QMenu(self)
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        for other in others:
            menu.addAction(self._model_text(other), partial(self.show_second, other))
        menu.popup(self.second_button.mapToGlobal(self.second_button.rect().bottomLeft()))

    def show_second(self, model: ModelRecord | None) -> None:
        """Show the list of a second model beside the first; None shows one list again."""
        self.second = model
        self.second_list.setVisible(model is not None)
        self.second_button.setText("+ second model" if model is None else "\u2212 second model")
        for column in (self.first_list, self.second_list):
            column.heading.setVisible(model is not None)
        self.refresh()

    # The person

    def choose_user(self, user: str) -> None:
        """Show the list of a user of the data."""
        data = self.session.data
        if data is None:
            return
        self._person_chosen = True
        fingerprint = data.fingerprint
        self.session.ask(
            "History",
            lambda engine, _run: engine.history(fingerprint, user),
            lambda history: self._history_known(user, history),
            key="history",
        )

    def _history_known(self, user: str, history: Sequence[HistoryItem]) -> None:
        self._dismissed = set()
        self._change(PersonOnScreen.of_data(user, history))

    def build_person(self) -> None:
        """Begin with somebody who has done nothing yet, and offer the items to add."""
        self._dismissed = set()
        self._person_chosen = True
        self._change(PersonOnScreen(None))
        self._open_items()

    def add_item(self, item: str, title: str, rating: float | None = None) -> None:
        """Let the person have chosen, or rated, an item."""
        if rating is None and self._scale is not None:
            rating = self._scale[1]
        self._change(self.person.with_item(item, title, rating))

    def _reset_person(self) -> None:
        if self.person.user is not None:
            self.choose_user(self.person.user)

    def _change(self, person: PersonOnScreen) -> None:
        self._show_person(person)
        self.refresh()

    def _show_person(self, person: PersonOnScreen) -> None:
        self.person = person
        rated = any(entry.rating is not None for entry in person.history)
        count = formats.plural(len(person.history), "rating" if rated else "interaction")
        changed = " \u00b7 changed" if person.changed and not person.is_new else ""
        self.person_chip.set_fact(person.name, f"\u00b7 {count}{changed}")
        self.history.show_person(person)

    def _rated(self, entry: Recommendation, rating: float) -> None:
        before = self.person
        self._change(self.person.with_item(entry.item, entry.title, rating))
        self.session.say(f"{entry.title} is rated {formats.number(rating)}.", lambda: self._change(before))

    def _dismiss(self, entry: Recommendation) -> None:
        self._dismissed = {*self._dismissed, entry.item}
        self.refresh()

        def undo() -> None:
            self._dismissed = self._dismissed - {entry.item}
            self.refresh()

        self.session.say(f"{entry.title} is not shown again.", undo)

    # Lists

    def refresh(self) -> None:
        """Ask for the lists again."""
        from recsys_desktop.engine import RecommendRequest

        model, data = self.session.model, self.session.data
        if model is None or data is None:
            return
        if self.person.is_new and not self.person.history:
            self.first_list.clear("Add a few items that this person likes at the left; the list follows at once.")
            self.second_list.clear()
            self.pane.clear()
            return
        length = _LIST_LENGTH + len(self._dismissed)
        filters = dict(self._popup("filters").filters) if "filters" in self._popups else {}
        for place, chosen in enumerate((model, self.second)):
            if chosen is None:
                continue
            request = RecommendRequest(
                chosen.label, user=self.person.user, history=self.person.request_history(), n=length, filters=filters
            )
            self.session.ask(
                "Recommending",
                partial(_recommend, request),
                partial(self._show_list, place),
                partial(self._no_list, place),
                key=f"list {place}",
            )

    def _show_list(self, place: int, answer: RecommendationList) -> None:
        self._clear_notices()
        column = (self.first_list, self.second_list)[place]
        model = (self.session.model, self.second)[place]
        if model is not None:
            column.heading.setText(self._model_text(model))
        column.show_list(answer, self._scale, compact=self.second is not None, dismissed=self._dismissed)
        if place == 0:
            items = column.items
            keep = next((entry for entry in items if self.explained and entry.item == self.explained.item), None)
            if items:
                self.explain(keep or items[0], 0)
            else:
                self.explained = None
                self.pane.clear("Nothing is left to recommend with these filters.")

    def _no_list(self, place: int, error: BaseException) -> None:
        (self.first_list, self.second_list)[place].clear()
        self._clear_notices()
        self.notices.addWidget(
            InlineMessage("There is no list for this person", sentence(str(error)), "Choose another model or person.")
        )
        if place == 0:
            self.pane.clear()

    def _clear_notices(self) -> None:
        while (item := self.notices.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()

    # Explanation

    def explain(self, entry: Recommendation, place: int = 0) -> None:
        """Explain one recommendation: the parts at once, then what would change it."""
        from recsys_desktop.engine import ExplainRequest

        model = (self.session.model, self.second)[place]
        if model is None:
            return
        self.explained = entry
        self.first_list.mark(entry.item if place == 0 else None)
        self.second_list.mark(entry.item if place == 1 else None)
        self.pane.begin(entry.title)
        filters = dict(self._popup("filters").filters) if "filters" in self._popups else {}

        def request(counterfactual: bool) -> ExplainRequest:
            return ExplainRequest(
                model.label,
                entry.item,
                user=self.person.user,
                history=self.person.request_history(),
                filters=filters,
                counterfactual=counterfactual,
            )

        quick, whole = request(False), request(True)

        def first(view: ExplanationView) -> None:
            self._explained(entry, view, looking=True)
            self.session.ask(
                "Looking for what would change it",
                lambda engine, run: engine.explain(whole, run),
                lambda found: self._explained(entry, found, looking=False),
                lambda _error: self._explained(entry, view, looking=False),
                key="counterfactual",
            )

        self.session.ask(
            "Explaining",
            lambda engine, run: engine.explain(quick, run),
            first,
            lambda error: self.pane.clear(sentence(f"There is no explanation: {error}")),
            key="explain",
        )

    def _explained(self, entry: Recommendation, view: ExplanationView, *, looking: bool) -> None:
        if self.explained is not None and self.explained.item == entry.item:
            self.explanation = view
            self.pane.show_explanation(view, looking)

    # Popups

    def _popup(self, name: str) -> Any:
        """Return a popup over the window, made when it is first needed."""
        if name not in self._popups:
            host = self.window()
            if name == "filters":
                popup: Any = FilterPopup(host)
                popup.changed.connect(self._filters_changed)
            elif name == "people":
                popup = SearchPopup(host, "Find a person by id")
                popup.typed.connect(self._search_people)
                popup.chosen.connect(lambda user: self.choose_user(str(user)))
            else:
                popup = SearchPopup(host, "Find an item by title or id")
                popup.typed.connect(self._search_items)
                popup.chosen.connect(self._item_found)
            self._popups[name] = popup
        return self._popups[name]

    def open_people(self) -> None:
        """Open the search for people."""
        self._popup("people").open_under(self.person_chip)

    def _search_people(self, text: str) -> None:
        data = self.session.data
        if data is None:
            return
        fingerprint = data.fingerprint
        self.session.ask(
            "Finding people",
            lambda engine, _run: engine.search_users(fingerprint, text, _SEARCH_LENGTH),
            lambda found: self._popup("people").set_results(
                [
                    Found(match.user, f"\u00b7 {formats.plural(match.n_interactions, 'interaction')}", match.user)
                    for match in found
                ]
            ),
            key="people",
        )

    def _open_items(self) -> None:
        self._popup("items").open_under(self.history.add_button)

    def _search_items(self, text: str) -> None:
        data = self.session.data
        if data is None:
            return
        fingerprint = data.fingerprint
        self.session.ask(
            "Finding items",
            lambda engine, _run: engine.search_items(fingerprint, text, _SEARCH_LENGTH),
            lambda found: self._popup("items").set_results([Found(match.title, "", match) for match in found]),
            key="items",
        )

    def _item_found(self, match: ItemMatch) -> None:
        self.add_item(match.item, match.title)

    def _open_filters(self) -> None:
        self._popup("filters").open_under(self.filter_button)

    def _filters_changed(self) -> None:
        self._show_filters()
        self.refresh()

    def _show_filters(self) -> None:
        self.filter_button.setText(self._popup("filters").summary())


def _recommend(request: RecommendRequest, engine: Engine, run: EngineRun) -> RecommendationList:
    return engine.recommend(request, run)
