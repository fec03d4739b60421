"""The train page: choose an algorithm, set its parameters, watch it learn, keep or discard it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtCore import Qt, QTimer
from PySide6.QtWidgets import (
    QHBoxLayout,
    QInputDialog,
    QPushButton,
    QStackedLayout,
    QVBoxLayout,
    QWidget,
)

from recsys_desktop.gui import formats
from recsys_desktop.gui.jobs import Job, JobState, Lane
from recsys_desktop.gui.mailbox import LoggedStep
from recsys_desktop.gui.pages.algorithm_list import AlgorithmList, lacking
from recsys_desktop.gui.pages.page_of_data import PageOfData
from recsys_desktop.gui.pages.parameter_form import ParameterForm
from recsys_desktop.gui.pages.training_curves import Curve, curves, losses, readable, validations
from recsys_desktop.gui.session import Session, sentence
from recsys_desktop.gui.theme import CARD_GAP, theme
from recsys_desktop.gui.widgets.bar import Bar
from recsys_desktop.gui.widgets.buttons import IconButton, button
from recsys_desktop.gui.widgets.card import Card, PageFrame, row, scrolling
from recsys_desktop.gui.widgets.chip import Chip
from recsys_desktop.gui.widgets.labels import ElidedLabel, Paragraph, Tag, Tone, restyle, text_label
from recsys_desktop.gui.widgets.plots import Line, LinePlot

if TYPE_CHECKING:
    from recsys_desktop.api.algorithm import AlgorithmSpec
    from recsys_desktop.data import DatasetStatistics
    from recsys_desktop.engine import Engine, EngineRun, ForecastAnswer, InterruptedRun
    from recsys_desktop.workspace import ModelRecord, RunValue

logger = logging.getLogger(__name__)

_LIST_WIDTH = 214
_FORM_WIDTH = 284
_FORECAST_DELAY_MS = 250
_REDRAW_MS = 100

_STATE_TAGS = {
    JobState.WAITING: ("waiting", Tone.NEUTRAL),
    JobState.RUNNING: ("training", Tone.ACCENT),
    JobState.STOPPING: ("stopping", Tone.WARNING),
    JobState.DONE: ("trained", Tone.POSITIVE),
    JobState.FAILED: ("failed", Tone.NEGATIVE),
    JobState.CANCELLED: ("discarded", Tone.NEUTRAL),
}
_STOPPED_TAG = ("stopped", Tone.NEUTRAL)


class TrainPage(PageOfData):
    """The page; an empty state until data is open."""

    def __init__(self, session: Session) -> None:
        workbench = TrainingWorkbench(session)
        super().__init__(
            session, "Train", "train", "Training needs data. Open a sample or import a file first.", workbench
        )
        self.workbench = workbench

    def receive(self, detail: object) -> None:
        """Choose an algorithm by its id."""
        if isinstance(detail, str):
            self.workbench.choose(detail)


class TrainingWorkbench(PageFrame):
    """Algorithms at the left, parameters in the middle, the run at the right."""

    def __init__(self, session: Session) -> None:
        super().__init__("Train")
        self.session = session
        self.seed = 42
        self.statistics: DatasetStatistics | None = None
        self.ask_seed: Callable[[], int | None] = self._ask_seed
        self._spec: AlgorithmSpec | None = None
        self._forms: dict[str, ParameterForm] = {}
        self.data_chip = Chip("data")
        self.seed_chip = Chip("seed", "42", clickable=True)
        self.seed_chip.clicked.connect(self._change_seed)
        self.facts.addWidget(self.data_chip)
        self.facts.addWidget(self.seed_chip)
        self.train_button = button("Train", "primary", self.train)
        self.buttons.addWidget(self.train_button)
        across = QHBoxLayout()
        across.setSpacing(CARD_GAP)
        self.algorithms = AlgorithmList()
        self.algorithms.chosen.connect(self.choose)
        list_card = Card(padding=8)
        list_card.setFixedWidth(_LIST_WIDTH)
        list_card.setAccessibleName("Algorithms")
        list_card.content.setContentsMargins(0, 5, 0, 0)
        self._list_area = scrolling(self.algorithms)
        list_card.content.addWidget(self._list_area)
        across.addWidget(list_card)
        across.addWidget(self._form_card())
        self.run_panel = RunPanel(session)
        across.addWidget(self.run_panel, 1)
        self.body.addLayout(across, 1)
        self._forecast_timer = QTimer(self)
        self._forecast_timer.setSingleShot(True)
        self._forecast_timer.setInterval(_FORECAST_DELAY_MS)
        self._forecast_timer.timeout.connect(self._forecast)
        self._reveal_timer = QTimer(self)
        self._reveal_timer.setSingleShot(True)
        self._reveal_timer.setInterval(0)
        self._reveal_timer.timeout.connect(self._reveal)
        session.engine_opened.connect(self._show_algorithms)
        session.data_changed.connect(self._data_changed)
        session.models_changed.connect(self._show_marks)
        if session.is_open:
            self._show_algorithms()
        self._data_changed()

    def _form_card(self) -> Card:
        card = Card()
        card.setFixedWidth(_FORM_WIDTH)
        content = QWidget()
        content.setProperty("plain", "true")
        column = QVBoxLayout(content)
        column.setContentsMargins(0, 0, 2, 0)
        column.setSpacing(8)
        self.name_label = text_label("", "card-title")
        self.summary = Paragraph("", "muted")
        column.addWidget(self.name_label)
        column.addWidget(self.summary)
        self._form_place = QVBoxLayout()
        self._form_place.setContentsMargins(0, 4, 0, 0)
        column.addLayout(self._form_place)
        self.forecast_box = Card(padding=10)
        self.forecast_box.setProperty("card", "false")
        self.forecast_box.setProperty("sunken", "true")
        self.forecast = Paragraph("")
        self.forecast.setMinimumHeight(34)
        self.forecast.setAlignment(Qt.AlignmentFlag.AlignVCenter)
        self.forecast_box.content.addWidget(self.forecast)
        column.addWidget(self.forecast_box)
        self.reset_button = button("Reset", "quiet", self._reset)
        column.addLayout(row(self.reset_button, 1))
        column.addStretch(1)
        card.content.addWidget(scrolling(content))
        return card

    # What is shown

    def _show_algorithms(self) -> None:
        specs = list(self.session.engine.registry.algorithms.values())
        self.algorithms.set_algorithms(specs)
        self._show_marks()
        if specs and self._spec is None:
            preferred = next((spec for spec in specs if spec.family.value == "Linear"), specs[0])
            self.choose(preferred.id)

    def _data_changed(self) -> None:
        data = self.session.data
        self.data_chip.setVisible(data is not None)
        self.statistics = None
        if data is None:
            return
        self.data_chip.set_fact(data.name)
        self.session.ask(
            "Counting", lambda engine, _run: engine.statistics(data.fingerprint), self._counted, key="train statistics"
        )
        self._show_marks()
        self._forecast_timer.start()

    def _counted(self, statistics: DatasetStatistics) -> None:
        self.statistics = statistics
        self._show_marks()
        self._show_ready()

    def _show_marks(self) -> None:
        if not self.session.is_open:
            return
        versions: dict[str, int] = {}
        for model in self.session.models_of_data():
            versions[model.algorithm] = max(model.version, versions.get(model.algorithm, 0))
        specs = self.session.engine.registry.algorithms
        self.algorithms.set_marks(versions, {key: lacking(spec, self.statistics) for key, spec in specs.items()})

    def choose(self, algorithm: str) -> None:
        """Show the parameters of an algorithm; what was typed there before is kept."""
        spec = self.session.engine.registry.algorithms.get(algorithm)
        if spec is None:
            return
        self._spec = spec
        self.algorithms.show_chosen(algorithm)
        self._reveal_timer.start()
        self.name_label.setText(spec.name)
        self.summary.setText(" ".join(sentence(part) for part in (spec.summary, spec.paper) if part))
        while (item := self._form_place.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
        if algorithm not in self._forms:
            form = ParameterForm(spec.params)
            form.changed.connect(self._edited)
            self._forms[algorithm] = form
        form = self._forms[algorithm]
        self._form_place.addWidget(form)
        form.show()
        self.reset_button.setVisible(bool(form.fields))
        self._show_ready()
        self._forecast_timer.start()

    def _reveal(self) -> None:
        """Scroll the list to what is chosen, once it is laid out."""
        if self._spec is not None and self._spec.id in self.algorithms.rows:
            self._list_area.ensureWidgetVisible(self.algorithms.rows[self._spec.id], 0, 40)

    @property
    def form(self) -> ParameterForm:
        """The form that is shown. Raises ``RuntimeError`` before an algorithm is chosen."""
        if self._spec is None:
            raise RuntimeError("No algorithm is chosen.")
        return self._forms[self._spec.id]

    def _show_ready(self) -> None:
        spec = self._spec
        lack = lacking(spec, self.statistics) if spec is not None else ""
        self.train_button.setText(f"Train {spec.name}" if spec is not None else "Train")
        self.train_button.setEnabled(spec is not None and not lack and not self.session.read_only)
        self.train_button.setToolTip(
            f"{spec.name} {lack}; the open data has none." if spec is not None and lack else ""
        )

    def _edited(self) -> None:
        self._forecast_timer.start()

    def _reset(self) -> None:
        self.form.reset()

    def _change_seed(self) -> None:
        seed = self.ask_seed()
        if seed is not None:
            self.set_seed(seed)

    def set_seed(self, seed: int) -> None:
        """Choose where all randomness of the next run comes from."""
        self.seed = seed
        self.seed_chip.set_fact(str(seed))

    def _ask_seed(self) -> int | None:
        seed, given = QInputDialog.getInt(self, "Seed", "Where all randomness comes from:", self.seed, 0, 2**31 - 1)
        return seed if given else None

    # What it will need

    def _forecast(self) -> None:
        data, spec = self.session.data, self._spec
        if data is None or spec is None:
            return
        values = self.form.values()
        if values is None:
            self._say_forecast("Correct the parameters marked in red.", warn=True)
            return
        algorithm, fingerprint = spec.id, data.fingerprint
        self.session.ask(
            "Forecast",
            lambda engine, _run: engine.forecast(algorithm, values, fingerprint),
            self._forecast_known,
            lambda error: self._say_forecast(f"No forecast: {error}", warn=True),
            key="forecast",
        )

    def _forecast_known(self, answer: ForecastAnswer) -> None:
        if self._spec is None or answer.algorithm != self._spec.id:
            return
        if not answer.fits:
            self._say_forecast(sentence(answer.advice), warn=True)
            return
        seconds = formats.duration(answer.forecast.seconds)
        memory, free = formats.file_size(answer.forecast.memory_bytes), formats.file_size(answer.free_bytes)
        self._say_forecast(f"Forecast: <b>{seconds}</b>, {memory} of {free} free", html=True)

    def _say_forecast(self, text: str, *, warn: bool = False, html: bool = False) -> None:
        self.forecast.setProperty("role", "warning" if warn else "")
        restyle(self.forecast)
        if html:
            self.forecast.set_html(text)
        else:
            self.forecast.setText(text)

    # Training

    def train(self) -> Job | None:
        """Queue the training of what is shown; None when a parameter is wrong, which the form then says."""
        from recsys_desktop.engine import TrainRequest

        data, spec = self.session.data, self._spec
        values = None if spec is None else self.form.values()
        if data is None or spec is None or values is None:
            return None
        request = TrainRequest(spec.id, data.fingerprint, values, seed=self.seed)
        return self._begin(spec, lambda engine, run: engine.train(request, run))

    def resume(self, left: InterruptedRun) -> Job:
        """Queue what is left of a training that was killed with its process."""
        self.choose(left.algorithm)
        spec = self.session.engine.registry.spec(left.algorithm)
        return self._begin(spec, lambda engine, run: engine.resume(left.run_id, run))

    def _begin(self, spec: AlgorithmSpec, train: Callable[[Engine, EngineRun], ModelRecord]) -> Job:
        job = self.session.work(
            spec.name,
            train,
            self._trained,
            lambda error: logger.info("%s was not trained: %s", spec.name, error),
        )
        self.run_panel.follow(job, spec)
        return job

    def _trained(self, model: ModelRecord) -> None:
        self.session.models.insert(0, model)
        self.session.choose_model(model)
        self.session.refresh()


class RunPanel(QWidget):
    """The run that is followed: its state, its curves, and the runs that wait behind it."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.setProperty("plain", "true")
        self.session = session
        self.job: Job | None = None
        self._spec: AlgorithmSpec | None = None
        self._specs: dict[Job, AlgorithmSpec] = {}
        self._before: list[Curve] = []
        self._before_name = ""
        self._values_drawn = 0
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(10)
        column.addWidget(self._state_card())
        self.loss_card, self.loss_plot, self.loss_empty, self.loss_legend = self._plot_card("Loss", from_zero=False)
        self.log_button = QPushButton("log")
        self.log_button.setProperty("kind", "toggle")
        self.log_button.setCheckable(True)
        self.log_button.setAccessibleName("Logarithmic axis")
        self.log_button.setToolTip("Count the vertical axis in powers of ten")
        self.log_button.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.log_button.toggled.connect(self.loss_plot.set_logarithmic)
        self.loss_card.header.addWidget(self.log_button)
        self.validation_card, self.validation_plot, self.validation_empty, self.validation_legend = self._plot_card(
            "Validation", from_zero=True
        )
        column.addWidget(self.loss_card, 1)
        column.addWidget(self.validation_card, 1)
        self.queue_card = Card("Waiting")
        self._queue = QVBoxLayout()
        self._queue.setSpacing(2)
        self.queue_card.content.addLayout(self._queue)
        self.queue_card.hide()
        column.addWidget(self.queue_card)
        self._redraw = QTimer(self)
        self._redraw.setInterval(_REDRAW_MS)
        self._redraw.timeout.connect(self._draw_new_values)
        self._queued: list[Job] = []
        session.jobs.changed.connect(self._show_queue)
        theme().changed.connect(self._draw_curves)
        session.data_changed.connect(self._show)
        self._show()
        self._draw_curves()

    def _state_card(self) -> Card:
        card = Card()
        self.state_tag = Tag()
        self.name_label = text_label("", "strong")
        self.detail_label = ElidedLabel("", "muted")
        self.keep_button = button("Stop and keep", "", self.stop_and_keep)
        self.keep_button.setToolTip("End early and save the best model so far")
        self.cancel_button = button("Cancel", "danger", self.cancel)
        self.cancel_button.setToolTip("End and discard")
        self.next_button = button("Recommend", "", lambda: self.session.go("recommend"))
        line = QHBoxLayout()
        line.setSpacing(12)
        line.addWidget(self.state_tag)
        line.addWidget(self.name_label)
        line.addWidget(self.detail_label, 1)
        line.addWidget(self.next_button)
        line.addWidget(self.keep_button)
        line.addWidget(self.cancel_button)
        holder = QWidget()
        holder.setProperty("plain", "true")
        holder.setLayout(line)
        line.setContentsMargins(0, 0, 0, 0)
        holder.setFixedHeight(32)
        card.content.addWidget(holder)
        self.bar = Bar("Training")
        card.content.addWidget(self.bar)
        return card

    def _plot_card(self, title: str, *, from_zero: bool) -> tuple[Card, LinePlot, Paragraph, Paragraph]:
        card = Card(title)
        legend = Paragraph("", "small")
        legend.setWordWrap(False)
        card.header.addWidget(legend)
        plot = LinePlot(title, from_zero=from_zero)
        empty = Paragraph("", "muted")
        empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        holder = QWidget()
        holder.setProperty("plain", "true")
        stack = QStackedLayout(holder)
        stack.setStackingMode(QStackedLayout.StackingMode.StackAll)
        stack.addWidget(plot)
        stack.addWidget(empty)
        empty.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        stack.setCurrentWidget(empty)
        card.content.addWidget(holder, 1)
        return card, plot, empty, legend

    # Following a run

    def follow(self, job: Job, spec: AlgorithmSpec) -> None:
        """Show a run as soon as it is its turn; at once when nothing else is running."""
        self._specs[job] = spec
        job.state_changed.connect(lambda: self._state_changed(job))
        job.updated.connect(lambda: self._updated(job))
        job.over.connect(lambda: self._specs.pop(job, None))
        if self.job is None or self.job.state.is_over:
            self._turn_to(job)

    def _turn_to(self, job: Job) -> None:
        self.job = job
        self._spec = self._specs.get(job)
        self._before = []
        self._ask_for_before()
        self._redraw.start()
        self._show()
        self._draw_curves()

    def _state_changed(self, job: Job) -> None:
        shown = self.job
        if job.state is JobState.RUNNING and job is not shown and (shown is None or shown.state.is_over):
            self._turn_to(job)
        if job is self.job:
            if job.state.is_over:
                self._redraw.stop()
                self._draw_curves()
            self._show()

    def _updated(self, job: Job) -> None:
        if job is self.job:
            self._show()

    def stop_and_keep(self) -> None:
        """End the run early and keep the best model so far."""
        if self.job is not None:
            self.job.stop_and_keep()

    def cancel(self) -> None:
        """End the run and discard it."""
        if self.job is not None:
            self.job.cancel()

    def _ask_for_before(self) -> None:
        """Fetch the curve of the newest earlier version of the same algorithm on the same data, to draw it dashed."""
        if self._spec is None:
            return
        earlier = [
            model for model in self.session.models_of_data() if model.algorithm == self._spec.id and model.run_id
        ]
        if not earlier:
            return
        run_id, self._before_name = str(earlier[0].run_id), f"v{earlier[0].version}"
        self.session.ask(
            "Earlier curves", lambda engine, _run: engine.run_values(run_id), self._before_known, key="earlier curves"
        )

    def _before_known(self, values: Sequence[RunValue]) -> None:
        self._before = curves(stored_step(value) for value in values)
        self._draw_curves()

    # What is shown

    def _show(self) -> None:
        job = self.job
        running = job is not None and job.state in {JobState.RUNNING, JobState.STOPPING, JobState.WAITING}
        stopping = job is not None and job.state is JobState.STOPPING
        self.keep_button.setVisible(running)
        self.cancel_button.setVisible(running)
        self.keep_button.setEnabled(running and not stopping and job is not None and job.state is JobState.RUNNING)
        self.cancel_button.setEnabled(running and not stopping)
        self.next_button.setVisible(job is not None and job.state is JobState.DONE)
        self.state_tag.setVisible(job is not None)
        if job is None:
            self.name_label.setText("Nothing is training")
            self.detail_label.setText("Choose an algorithm, then Train. Several can be queued.")
            self.bar.set_share(0.0)
            return
        stopped = job.state is JobState.CANCELLED and job.error is not None
        self.state_tag.set_tag(*(_STOPPED_TAG if stopped else _STATE_TAGS[job.state]))
        self.name_label.setText(job.title)
        self.detail_label.setText(self._detail(job))
        self.bar.set_share(1.0 if job.state is JobState.DONE else job.fraction)

    def _detail(self, job: Job) -> str:
        if job.state is JobState.STOPPING:
            return "Stopping\u2026"
        if job.state is JobState.FAILED:
            return sentence(str(job.error))
        if job.state is JobState.CANCELLED:
            return "Nothing of this run was kept." if job.error is None else sentence(str(job.error))
        if job.state is JobState.DONE and job.result is not None:
            return self._result(job.result)
        parts = [job.text] if job.text else []
        left = job.seconds_left
        parts.append(f"about {formats.duration(left)} left" if left is not None else formats.duration(job.seconds))
        return " \u00b7 ".join(parts)

    @staticmethod
    def _result(model: ModelRecord) -> str:
        parts = [f"saved as version {model.version}"]
        if model.fit_seconds is not None:
            parts.append(f"fit {formats.duration(model.fit_seconds)}")
        if model.peak_memory_bytes:
            parts.append(f"peak {formats.file_size(model.peak_memory_bytes)}")
        validation: Any = model.metrics.get("validation")
        if isinstance(validation, dict) and validation.get("value") is not None:
            parts.append(f"{readable(str(validation['name']))} {formats.share(float(validation['value']), 3)}")
        return " \u00b7 ".join(parts)

    def _draw_new_values(self) -> None:
        if self.job is not None and len(self.job.values) != self._values_drawn:
            self._draw_curves()

    def _draw_curves(self) -> None:
        job = self.job
        self._values_drawn = len(job.values) if job is not None else 0
        if job is None:
            self.loss_empty.setText("The loss of the training run appears here, epoch by epoch.")
            self.validation_empty.setText("The figure on held-out data appears here.")
            return
        found = curves(job.values)
        loss, validation = losses(found), validations(found)
        one_step = self._spec is not None and not self._spec.capabilities.trains_in_epochs
        if job.state is JobState.FAILED:
            of_loss, of_validation = sentence(str(job.error)), ""
        elif one_step:
            over = "This algorithm is solved in one step: it has no curve."
            of_loss = over if job.state.is_over else "The curve begins with the first step, where it takes several."
            was_judged = job.result is not None and job.result.metrics.get("validation") is not None
            judged = "It is judged once, at the end, on data set aside."
            of_validation = judged if was_judged or not job.state.is_over else ""
        else:
            of_loss = of_validation = "" if job.state.is_over else "The curve begins with the first epoch."
        self.loss_empty.setText("" if loss else of_loss)
        self.validation_empty.setText("" if validation else of_validation)
        self.log_button.setVisible(bool(loss))
        self._draw_losses(loss)
        self._draw_validation(validation)

    def _draw_losses(self, found: Sequence[Curve]) -> None:
        lines = [Line(curve.name, curve.steps, curve.values, place) for place, curve in enumerate(found)]
        self.loss_plot.set_lines(lines)
        self.loss_legend.set_html(
            _legend([(_loss_name(curve.name, len(found)), place) for place, curve in enumerate(found)])
        )

    def _draw_validation(self, found: Sequence[Curve]) -> None:
        lines: list[Line] = []
        legend = ""
        if found:
            curve = found[0]
            before = next((other for other in self._before if other.name == curve.name), None)
            if before is not None:
                lines.append(Line(self._before_name, before.steps, before.values, "muted", dashed=True))
            best = curve.best
            lines.append(Line(curve.name, curve.steps, curve.values, 2, marked=best))
            self.validation_card.set_title(f"{readable(curve.name)} on held-out data")
            legend = _legend([("this run", 2), *([(self._before_name, -1)] if before is not None else [])])
            if best is not None and np.isfinite(curve.values[best]):
                value = formats.decimal(float(curve.values[best]), 3)
                legend += f"&nbsp;&nbsp; best <b>{value}</b> at {int(curve.steps[best])}"
        self.validation_plot.set_lines(lines)
        self.validation_legend.set_html(legend)

    def _show_queue(self) -> None:
        waiting = [job for job in self.session.jobs.waiting(Lane.WORK) if job is not self.job]
        if waiting == self._queued:
            return
        self._queued = waiting
        while (item := self._queue.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for job in waiting:
            line = QWidget()
            line.setProperty("plain", "true")
            layout = QHBoxLayout(line)
            layout.setContentsMargins(0, 0, 0, 0)
            layout.addWidget(ElidedLabel(job.title), 1)
            remove = IconButton("close", f"Take {job.title} out of the queue", 13)
            remove.clicked.connect(lambda _checked=False, job=job: job.cancel())
            layout.addWidget(remove)
            self._queue.addWidget(line)
        self.queue_card.setVisible(bool(waiting))


def stored_step(value: RunValue) -> LoggedStep:
    """Return a value as its run logged it; it is stored under its phase and its name, ``fit/loss``."""
    phase, slash, name = value.name.partition("/")
    return LoggedStep(value.step, {name if slash else phase: value.value}, phase if slash else "")


def _loss_name(name: str, count: int) -> str:
    """Name a loss as the legend does: ``training`` and ``validation`` where there are two."""
    if "val" in name.lower():
        return "validation"
    return "training" if count > 1 or name.lower() == "loss" else readable(name)


def _legend(entries: Sequence[tuple[str, int]]) -> str:
    """Return names with a dash in the colour of their series; -1 is the muted colour of what went before."""
    parts = []
    for name, place in entries:
        colour = theme().colours.muted if place < 0 else theme().series(place).name()
        dash = "\u2013\u2009\u2013" if place < 0 else "\u2501"
        parts.append(f'<span style="color:{colour}">{dash}</span> {name}')
    return "&nbsp;&nbsp; ".join(parts)
