"""The compare page: several algorithms on one split, judged alike, with what can and cannot be told apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QInputDialog,
    QMenu,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from recsys_desktop.gui import formats
from recsys_desktop.gui.jobs import Job, JobState
from recsys_desktop.gui.pages.algorithm_list import lacking
from recsys_desktop.gui.pages.comparison_figures import accuracy_against_coverage, per_person, table_columns
from recsys_desktop.gui.pages.page_of_data import PageOfData
from recsys_desktop.gui.pages.statistics_cards import FactTable
from recsys_desktop.gui.session import Session, sentence
from recsys_desktop.gui.theme import CARD_GAP, CARD_PADDING
from recsys_desktop.gui.widgets.bar import Bar
from recsys_desktop.gui.widgets.buttons import CheckBox, button, menu_button
from recsys_desktop.gui.widgets.card import Card, PageFrame, row, scrolling
from recsys_desktop.gui.widgets.chip import Chip
from recsys_desktop.gui.widgets.labels import ElidedLabel, Paragraph, text_label
from recsys_desktop.gui.widgets.plots import BarPlot, ScatterPlot
from recsys_desktop.gui.widgets.table import COPY_FORMATS, DataTable

if TYPE_CHECKING:
    from recsys_desktop.api.algorithm import AlgorithmSpec
    from recsys_desktop.data import DatasetStatistics
    from recsys_desktop.engine import Comparison
    from recsys_desktop.workspace import EvaluationRecord

_SIDE_WIDTH = 304
_LENGTHS = (5, 10, 20, 50)


class ComparePage(PageOfData):
    """The page; an empty state until data is open."""

    def __init__(self, session: Session) -> None:
        workbench = ComparisonWorkbench(session)
        super().__init__(
            session, "Compare", "compare", "Comparing needs data. Open a sample or import a file first.", workbench
        )
        self.workbench = workbench


class ComparisonWorkbench(PageFrame):
    """The choice of algorithms, then the table with its plots."""

    def __init__(self, session: Session) -> None:
        super().__init__("Compare")
        self.session = session
        self.split = ""
        self.seed = 42
        self.k = 10
        self.comparison: Comparison | None = None
        self.ask_seed: Callable[[], int | None] = self._ask_seed
        self._job: Job | None = None
        self._statistics: DatasetStatistics | None = None
        self._boxes: dict[str, CheckBox] = {}
        self.columns_button = button("Columns \u25be", "quiet", self._open_columns)
        self.copy_button = menu_button("Copy", [(name, self._copier(name)) for name in COPY_FORMATS])
        self.folder_button = button("Open folder", "", self._open_folder)
        self.new_button = button("New comparison", "primary", self.show_choice)
        for entry in (self.columns_button, self.copy_button, self.folder_button, self.new_button):
            self.buttons.addWidget(entry)
        self.body.addLayout(self._chips())
        across = QHBoxLayout()
        across.setSpacing(CARD_GAP)
        self.main = QStackedWidget()
        self.choice_card = self._choice_card()
        self.running_card = self._running_card()
        self.table_card = self._table_card()
        for card in (self.choice_card, self.running_card, self.table_card):
            self.main.addWidget(card)
        across.addWidget(self.main, 1)
        self.side = QWidget()
        self.side.setProperty("plain", "true")
        self.side.setFixedWidth(_SIDE_WIDTH)
        column = QVBoxLayout(self.side)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(CARD_GAP)
        self.scatter_card = Card("Accuracy against coverage")
        self.scatter = ScatterPlot("Accuracy against coverage")
        self.scatter.point_chosen.connect(self._choose_algorithm)
        self.scatter_card.content.addWidget(self.scatter)
        self.person_card = Card("Per person")
        self.person_plot = BarPlot("How the figure spreads over people")
        self.person_facts = FactTable()
        self.person_card.content.addWidget(self.person_plot, 1)
        self.person_card.content.addWidget(self.person_facts)
        column.addWidget(self.scatter_card, 9)
        column.addWidget(self.person_card, 10)
        across.addWidget(self.side)
        self.body.addLayout(across, 1)
        session.engine_opened.connect(self._engine_opened)
        session.data_changed.connect(self._data_changed)
        if session.is_open:
            self._engine_opened()
        self._data_changed()

    def _chips(self) -> QHBoxLayout:
        self.data_chip = Chip("data")
        self.split_chip = Chip("split")
        self.seed_chip = Chip("seed", str(self.seed), clickable=True)
        self.seed_chip.clicked.connect(self._change_seed)
        self.k_chip = Chip("k", str(self.k))
        self.k_chip.set_choices([(str(length), length) for length in _LENGTHS], self._set_k)
        self.protocol_chip = Chip("", "", "full ranking \u00b7 seen removed")
        self.protocol_chip.explain(
            "Every item of the catalogue is ranked for every test user, minus what that person has seen in training."
        )
        self.earlier_chip = Chip("earlier", "0")
        self.earlier_chip.hide()
        chips = row(self.data_chip, self.split_chip, self.seed_chip, self.k_chip, self.protocol_chip, 1)
        chips.addWidget(self.earlier_chip)
        return chips

    def _choice_card(self) -> Card:
        card = Card("Which algorithms?")
        self.compare_button = button("Compare", "primary", self.compare)
        card.header.addWidget(button("All", "quiet", lambda: self._check_all(True)))
        card.header.addWidget(button("None", "quiet", lambda: self._check_all(False)))
        card.header.addWidget(self.compare_button)
        card.content.addWidget(
            Paragraph(
                "Each is trained on the same part of the data with its default parameters and judged on the same "
                "held-out part, for every person in it.",
                "muted",
            )
        )
        content = QWidget()
        content.setProperty("plain", "true")
        self._choice_grid = QGridLayout(content)
        self._choice_grid.setContentsMargins(0, 6, 0, 0)
        self._choice_grid.setHorizontalSpacing(24)
        self._choice_grid.setVerticalSpacing(14)
        card.content.addWidget(scrolling(content), 1)
        return card

    def _running_card(self) -> Card:
        card = Card("Comparing")
        self.keep_button = button("Stop and keep", "", self.stop_and_keep)
        self.keep_button.setToolTip("End with the algorithms that are done")
        self.cancel_button = button("Cancel", "danger", self.cancel)
        card.header.addWidget(self.keep_button)
        card.header.addWidget(self.cancel_button)
        self.running_label = ElidedLabel("", "muted")
        self.running_bar = Bar("Comparing")
        card.content.addWidget(self.running_label)
        card.content.addWidget(self.running_bar)
        card.content.addStretch(1)
        return card

    def _table_card(self) -> Card:
        card = Card(padding=0, flush=True)
        self.table = DataTable("Comparison")
        self.table.row_chosen.connect(self._row_chosen)
        card.content.addWidget(self.table, 1)
        self.conclusion = Paragraph("", "muted")
        self.conclusion.setContentsMargins(CARD_PADDING, 6, CARD_PADDING, 12)
        card.content.addWidget(self.conclusion)
        return card

    # Choosing

    def _engine_opened(self) -> None:
        splitters = self.session.engine.registry.splitters
        if splitters and self.split not in splitters:
            self._set_split(next(iter(splitters)))
        self.split_chip.set_choices([(spec.name, key) for key, spec in splitters.items()], self._set_split)
        self._show_algorithms()

    def _set_split(self, split: object) -> None:
        self.split = str(split)
        spec = self.session.engine.registry.splitters.get(self.split)
        self.split_chip.set_fact(spec.name if spec is not None else self.split)
        if spec is not None:
            self.split_chip.explain(spec.summary)

    def _set_k(self, k: object) -> None:
        self.k = int(str(k))
        self.k_chip.set_fact(str(self.k))

    def _change_seed(self) -> None:
        seed = self.ask_seed()
        if seed is not None:
            self.seed = seed
            self.seed_chip.set_fact(str(seed))

    def _ask_seed(self) -> int | None:
        seed, given = QInputDialog.getInt(self, "Seed", "Where all randomness comes from:", self.seed, 0, 2**31 - 1)
        return seed if given else None

    def _data_changed(self) -> None:
        data = self.session.data
        if data is None:
            return
        self.data_chip.set_fact(data.name, f"\u00b7 {data.fingerprint[:6]}")
        self._statistics = None
        self.comparison = None
        fingerprint = data.fingerprint
        self.session.ask(
            "Earlier comparisons",
            lambda engine, _run: (engine.statistics(fingerprint), engine.evaluations()),
            self._data_known,
            key="comparisons",
        )
        self.show_choice()

    def _data_known(self, answer: tuple[DatasetStatistics, list[EvaluationRecord]]) -> None:
        self._statistics, evaluations = answer
        self._show_algorithms()
        data = self.session.data
        mine = [record for record in evaluations if data and record.dataset_fingerprint == data.fingerprint]
        self.earlier_chip.setVisible(bool(mine))
        self.earlier_chip.set_fact(str(len(mine)))
        self.earlier_chip.set_choices(
            [
                (f"{formats.when(record.created)} \u00b7 seed {record.seed} \u00b7 k {record.k}", record.id)
                for record in mine
            ],
            self._open_earlier,
        )
        if mine and self.comparison is None and self._job is None:
            self._open_earlier(mine[0].id)

    def _open_earlier(self, evaluation: object) -> None:
        self.session.ask(
            "Opening a comparison",
            lambda engine, _run: engine.comparison(str(evaluation)),
            self.show_comparison,
            key="comparison",
        )

    def _show_algorithms(self) -> None:
        from recsys_desktop.engine import one_of_each_family

        chosen = {key for key, box in self._boxes.items() if box.isChecked()}
        first = not self._boxes
        while (item := self._choice_grid.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self._boxes = {}
        families: dict[str, list[AlgorithmSpec]] = {}
        for spec in self.session.engine.registry.algorithms.values():
            families.setdefault(spec.family.value, []).append(spec)
        if first:
            ranking = (spec for spec in self.session.engine.registry.algorithms.values() if spec.capabilities.ranks)
            chosen = set(one_of_each_family(spec for spec in ranking if not lacking(spec, self._statistics)))
        for place, (family, specs) in enumerate(families.items()):
            group = QWidget()
            group.setProperty("plain", "true")
            column = QVBoxLayout(group)
            column.setContentsMargins(0, 0, 0, 0)
            column.setSpacing(6)
            column.addWidget(text_label(family, "family"))
            for spec in specs:
                column.addWidget(self._box(spec, spec.id in chosen))
            column.addStretch(1)
            self._choice_grid.addWidget(group, place // 3, place % 3)
        self._choice_grid.setRowStretch(len(families) // 3 + 1, 1)
        self._show_count()

    def _box(self, spec: AlgorithmSpec, checked: bool) -> CheckBox:
        lack = lacking(spec, self._statistics)
        box = CheckBox(f"{spec.name}  \u00b7  {lack}" if lack else spec.name)
        box.setToolTip(spec.summary)
        box.setEnabled(not lack)
        box.setChecked(checked and not lack)
        box.toggled.connect(lambda _on: self._show_count())
        self._boxes[spec.id] = box
        return box

    def _check_all(self, on: bool) -> None:
        for box in self._boxes.values():
            box.setChecked(on and box.isEnabled())

    @property
    def chosen(self) -> list[str]:
        """The ids of the algorithms that are ticked."""
        return [key for key, box in self._boxes.items() if box.isChecked()]

    def choose(self, algorithms: Sequence[str]) -> None:
        """Tick exactly these algorithms."""
        for key, box in self._boxes.items():
            box.setChecked(key in algorithms and box.isEnabled())

    def _show_count(self) -> None:
        count = len(self.chosen)
        self.compare_button.setText(f"Compare {formats.plural(count, 'algorithm')}" if count else "Compare")
        self.compare_button.setEnabled(count > 0 and not self.session.read_only)

    def show_choice(self) -> None:
        """Show the choice of algorithms."""
        if self._job is None:
            self.main.setCurrentWidget(self.choice_card)
            self._show_tools(False)

    def _show_tools(self, on: bool) -> None:
        for entry in (self.columns_button, self.copy_button, self.folder_button, self.new_button):
            entry.setVisible(on)
        self.side.setVisible(on)

    # Comparing

    def compare(self) -> Job | None:
        """Queue the comparison of what is ticked."""
        from recsys_desktop.engine import EvaluateRequest

        data = self.session.data
        if data is None or not self.chosen:
            return None
        request = EvaluateRequest(
            self.chosen, data=data.fingerprint, split=self.split or None, seed=self.seed, k=self.k
        )
        job = self.session.work(
            f"Comparing {formats.plural(len(self.chosen), 'algorithm')}",
            lambda engine, run: engine.evaluate(request, run),
            self._compared,
        )
        self._job = job
        job.updated.connect(self._show_progress)
        job.state_changed.connect(self._show_progress)
        job.over.connect(self._over)
        self._show_progress()
        self.main.setCurrentWidget(self.running_card)
        self._show_tools(False)
        return job

    def _compared(self, comparison: Comparison) -> None:
        self._job = None
        self.show_comparison(comparison)
        self.session.ask("Earlier comparisons", lambda engine, _run: engine.evaluations(), self._evaluations_known)

    def _evaluations_known(self, evaluations: list[EvaluationRecord]) -> None:
        if self._statistics is not None:
            self._data_known((self._statistics, evaluations))

    def stop_and_keep(self) -> None:
        """End with the algorithms that are done."""
        if self._job is not None:
            self._job.stop_and_keep()

    def cancel(self) -> None:
        """End and discard."""
        if self._job is not None:
            self._job.cancel()

    def _show_progress(self) -> None:
        job = self._job
        if job is None:
            return
        stopping, waiting = job.state is JobState.STOPPING, job.state is JobState.WAITING
        self.keep_button.setEnabled(not stopping and not waiting)
        self.cancel_button.setEnabled(not stopping)
        left = job.seconds_left
        parts = ["Stopping\u2026"] if stopping else ["Waiting for the job before it"] if waiting else [job.text]
        if left is not None:
            parts.append(f"about {formats.duration(left)} left")
        self.running_label.setText(" \u00b7 ".join(part for part in parts if part))
        self.running_bar.set_share(job.fraction)

    def _over(self) -> None:
        if self._job is not None:
            self._job = None
            if self.comparison is not None:
                self.show_comparison(self.comparison)
            else:
                self.show_choice()

    # Showing

    def show_comparison(self, comparison: Comparison) -> None:
        """Show a comparison."""
        self.comparison = comparison
        columns, messages = table_columns(comparison)
        first = comparison.metrics[0] if comparison.metrics else None
        self.table.set_columns(
            columns,
            messages,
            sort=first.id if first is not None else None,
            descending=first.larger_is_better if first is not None else True,
        )
        settings = dict(comparison.settings)
        if "seed" in settings:
            self.seed_chip.set_fact(str(settings["seed"]))
        if "k" in settings:
            self.k_chip.set_fact(str(settings["k"]))
        people = formats.plural(len(comparison.users), "person", "people")
        self.protocol_chip.set_fact("", f"full ranking \u00b7 seen removed \u00b7 {people}")
        said = ["\u00b1 is half of a 95\u202f% interval over people.", comparison.conclusion, *comparison.notices]
        said = [sentence(part) for part in said if part]
        self.conclusion.setText(" ".join(said))
        self.scatter.set_points(accuracy_against_coverage(comparison))
        self.folder_button.setEnabled(comparison.folder is not None)
        self.main.setCurrentWidget(self.table_card)
        self._show_tools(True)
        done = [place for place, entry in enumerate(comparison.rows) if entry.state == "done"]
        if done:
            self.table.choose_row(self.table.table_model.source_row(0))

    def _row_chosen(self, place: int) -> None:
        if self.comparison is None or not self.comparison.metrics:
            return
        chosen = self.comparison.rows[place]
        metric = self.comparison.metrics[0]
        self.scatter.choose(chosen.algorithm)
        self.person_card.set_title(f"{chosen.name}: {metric.name} per person")
        labels, counts, facts = per_person(chosen, metric.id)
        self.person_plot.set_bars(labels if len(counts) else [], counts, edges=bool(len(counts)))
        self.person_facts.set_facts(facts)

    def _choose_algorithm(self, algorithm: str) -> None:
        if self.comparison is not None:
            places = [place for place, entry in enumerate(self.comparison.rows) if entry.algorithm == algorithm]
            if places:
                self.table.choose_row(places[0])

    def _open_columns(self) -> None:
        menu: QMenu = self.table.column_menu()
        menu.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        menu.popup(self.columns_button.mapToGlobal(self.columns_button.rect().bottomLeft()))

    def _copier(self, style: str) -> Callable[[], None]:
        def copy() -> None:
            self.table.copy(style)
            self.session.say(f"The table is copied as {style}.")

        return copy

    def _open_folder(self) -> None:
        if self.comparison is not None and self.comparison.folder is not None:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(Path(self.comparison.folder))))
