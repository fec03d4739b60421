"""The models page: every saved version, which one is active, and export, import and deletion."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtWidgets import QFileDialog, QHBoxLayout, QVBoxLayout

from recsys_desktop.gui import formats
from recsys_desktop.gui.pages.parameter_form import as_text
from recsys_desktop.gui.pages.statistics_cards import FactTable
from recsys_desktop.gui.pages.training_curves import readable
from recsys_desktop.gui.session import Session
from recsys_desktop.gui.theme import CARD_GAP
from recsys_desktop.gui.widgets.buttons import button
from recsys_desktop.gui.widgets.card import Card, PageFrame
from recsys_desktop.gui.widgets.chip import Chip
from recsys_desktop.gui.widgets.labels import Tone
from recsys_desktop.gui.widgets.messages import EmptyState
from recsys_desktop.gui.widgets.table import Cell, Column, DataTable

if TYPE_CHECKING:
    from recsys_desktop.workspace import ModelRecord

_SIDE_WIDTH = 330


def validation_text(model: ModelRecord) -> str:
    """Write the figure that a model reached on held-out data: ``NDCG@10 .214``."""
    figure: Any = model.metrics.get("validation")
    if not isinstance(figure, dict) or figure.get("value") is None:
        return formats.DASH
    return f"{readable(str(figure.get('name', '')))} {formats.share(float(figure['value']), 3)}"


class ModelsPage(PageFrame):
    """All versions in a table; the chosen one is described at the right."""

    def __init__(self, session: Session) -> None:
        super().__init__("Models")
        self.session = session
        self.chosen: ModelRecord | None = None
        self.ask_where: Callable[[str], Path | None] = self._ask_where
        self.ask_which: Callable[[], Path | None] = self._ask_which
        self._leaving: set[str] = set()
        self._shown: list[ModelRecord] = []
        self.count_chip = Chip()
        self.facts.addWidget(self.count_chip)
        self.import_button = button("Import\u2026", "", self.import_model)
        self.export_button = button("Export\u2026", "", self.export_model)
        self.delete_button = button("Delete", "danger", self.delete)
        self.activate_button = button("Activate", "primary", self.activate)
        for entry in (self.delete_button, self.import_button, self.export_button, self.activate_button):
            self.buttons.addWidget(entry)
        across = QHBoxLayout()
        across.setSpacing(CARD_GAP)
        self.table_card = Card(padding=0, flush=True)
        self.table = DataTable("Versions")
        self.table.row_chosen.connect(self._row_chosen)
        self.table.row_opened.connect(lambda _place: self.activate())
        self.empty = EmptyState("models", "No model is saved yet.", "Train a model", lambda: session.go("train"))
        self.table_card.content.addWidget(self.table)
        self.table_card.content.addWidget(self.empty)
        across.addWidget(self.table_card, 1)
        side = QVBoxLayout()
        side.setSpacing(CARD_GAP)
        self.card = Card("Version")
        self.card.setFixedWidth(_SIDE_WIDTH)
        self.description = FactTable()
        self.card.content.addWidget(self.description)
        self.parameters_card = Card("Parameters")
        self.parameters_card.setFixedWidth(_SIDE_WIDTH)
        self.parameters = FactTable()
        self.parameters_card.content.addWidget(self.parameters)
        self.parameters_card.content.addStretch(1)
        side.addWidget(self.card)
        side.addWidget(self.parameters_card, 1)
        across.addLayout(side)
        self.body.addLayout(across, 1)
        session.models_changed.connect(self._show)
        session.model_changed.connect(self._show)
        self._show()

    def _data_name(self, fingerprint: str | None) -> str:
        found = next((record for record in self.session.datasets if record.fingerprint == fingerprint), None)
        return found.name if found is not None else formats.DASH

    def _show(self) -> None:
        shown = self.chosen or self.session.model
        kept = shown.id if shown is not None else None
        self._shown = [model for model in self.session.models if model.id not in self._leaving]
        models = self._shown
        self.count_chip.set_fact(str(len(models)), "version" if len(models) == 1 else "versions")
        self.empty.setVisible(not models)
        self.table.setVisible(bool(models))
        self.card.setVisible(bool(models))
        self.parameters_card.setVisible(bool(models))
        self.import_button.setEnabled(self.session.is_open and not self.session.read_only)
        self.table.set_columns(
            [
                Column("name", "Model", [self._name(model) for model in models], strong=True),
                Column("version", "Version", [model.version for model in models]),
                Column(
                    "active",
                    "",
                    ["active" if model.active else "" for model in models],
                    lambda text: Cell("", tag=text, tone=Tone.POSITIVE) if text else "",
                ),
                Column(
                    "data",
                    "Data",
                    [self._data_name(model.dataset_fingerprint) for model in models],
                    muted=True,
                    maximum_width=220,
                ),
                Column(
                    "validation", "On held-out data", [validation_text(model) for model in models], align_right=True
                ),
                Column("fit", "Fit", [model.fit_seconds for model in models], formats.duration, align_right=True),
                Column("size", "On disk", [model.size_bytes for model in models], formats.file_size),
                Column(
                    "created",
                    "Trained",
                    [model.created.timestamp() for model in models],
                    lambda seconds: Cell(self._when(seconds), role="muted"),
                    align_right=False,
                    stretch=True,
                ),
            ]
        )
        place = next((place for place, model in enumerate(models) if model.id == kept), 0)
        if models:
            self.table.choose_row(place)
            self._row_chosen(place)
        else:
            self.chosen = None
            self.description.set_facts([])
            self.parameters.set_facts([])
        self._show_buttons()

    @staticmethod
    def _when(seconds: float) -> str:
        from datetime import UTC, datetime

        return formats.when(datetime.fromtimestamp(seconds, UTC))

    def _name(self, model: ModelRecord) -> str:
        name = self.session.algorithm_name(model.algorithm)
        return name if model.name == model.algorithm else f"{model.name} \u00b7 {name}"

    def _row_chosen(self, place: int) -> None:
        model = self._shown[place]
        self.chosen = model
        self.card.set_title(f"{self._name(model)} v{model.version}")
        facts = [
            ("id", model.label),
            ("data", self._data_name(model.dataset_fingerprint)),
            ("seed", str(model.seed) if model.seed is not None else formats.DASH),
            ("on held-out data", validation_text(model)),
            ("fit", formats.duration(model.fit_seconds)),
            ("memory", formats.file_size(model.peak_memory_bytes) if model.peak_memory_bytes else formats.DASH),
            ("on disk", formats.file_size(model.size_bytes)),
        ]
        if model.note:
            facts.append(("note", model.note))
        self.description.set_facts(facts)
        self.parameters.set_facts([(name.replace("_", " "), self._parameter(model, name)) for name in model.params])
        self._show_buttons()

    @staticmethod
    def _parameter(model: ModelRecord, name: str) -> str:
        chosen = model.metrics.get("chosen") or {}
        if name in chosen:
            value = chosen[name]
            return f"{value:.4g} (auto)" if isinstance(value, float) else f"{as_text(value)} (auto)"
        return as_text(model.params[name]) or "none"

    def _show_buttons(self) -> None:
        writable = self.session.is_open and not self.session.read_only and self.chosen is not None
        self.activate_button.setEnabled(writable and self.chosen is not None and not self.chosen.active)
        self.delete_button.setEnabled(writable)
        self.export_button.setEnabled(self.chosen is not None)

    # What the person does

    def activate(self) -> None:
        """Make the chosen version the one that its name stands for, and the one that recommends."""
        model = self.chosen
        if model is None:
            return
        self.session.ask(
            f"Activating {model.label}", lambda engine, _run: engine.activate(model.label), self._activated
        )

    def _activated(self, model: ModelRecord) -> None:
        self.session.say(f"{self._name(model)} v{model.version} is active.")
        if self.session.data is not None and model.dataset_fingerprint == self.session.data.fingerprint:
            self.session.choose_model(model)
        self.session.refresh()

    def delete(self) -> None:
        """Delete the chosen version a little later, so that it can be undone until then."""
        model = self.chosen
        if model is None:
            return
        self._leaving.add(model.id)
        self.chosen = None
        self._show()
        self.session.say_until(
            f"{self._name(model)} v{model.version} is deleted.",
            undo=partial(self._keep, model.id),
            expired=partial(self._delete_now, model),
        )

    def _keep(self, model: str) -> None:
        self._leaving.discard(model)
        self._show()

    def _delete_now(self, model: ModelRecord) -> None:
        def failed(error: BaseException) -> None:
            self._keep(model.id)
            self.session.report(f"{model.label} cannot be deleted", error)

        self.session.ask(
            f"Deleting {model.label}",
            lambda engine, _run: engine.delete(model.id),
            lambda _record: self.session.refresh(),
            failed,
        )

    def export_model(self) -> None:
        """Write the chosen version into one file."""
        model = self.chosen
        path = self.ask_where(f"{model.name}-v{model.version}") if model is not None else None
        if model is None or path is None:
            return
        self.session.ask(
            f"Exporting {model.label}",
            lambda engine, _run: engine.export_model(model.label, path),
            lambda written: self.session.say(f"Written to {written}."),
        )

    def import_model(self) -> None:
        """Take in a file that was exported."""
        path = self.ask_which()
        if path is None:
            return
        self.session.ask(
            f"Importing {path.name}",
            lambda engine, _run: engine.import_model(path),
            self._imported,
        )

    def _imported(self, model: ModelRecord) -> None:
        self.session.say(f"{model.label} is imported.")
        self.session.refresh()

    def _ask_where(self, name: str) -> Path | None:
        from recsys_desktop.workspace import BUNDLE_SUFFIX

        path, _ = QFileDialog.getSaveFileName(
            self, "Export a model", f"{name}{BUNDLE_SUFFIX}", f"Models (*{BUNDLE_SUFFIX})"
        )
        return Path(path) if path else None

    def _ask_which(self) -> Path | None:
        from recsys_desktop.workspace import BUNDLE_SUFFIX

        path, _ = QFileDialog.getOpenFileName(self, "Import a model", "", f"Models (*{BUNDLE_SUFFIX})")
        return Path(path) if path else None
