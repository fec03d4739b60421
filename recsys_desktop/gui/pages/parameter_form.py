"""A form generated from an algorithm's parameters: bounds, units, help, choices, and an error under each field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QLineEdit, QVBoxLayout, QWidget

from recsys_desktop.gui.session import sentence
from recsys_desktop.gui.widgets.buttons import Choice, button
from recsys_desktop.gui.widgets.field_row import FieldRow

if TYPE_CHECKING:
    from recsys_desktop.api.params import ParamField, Params

_YES, _NO = "yes", "no"


def as_text(value: Any) -> str:
    """Write a parameter's value as a form shows it and ``Params.parse`` reads it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return _YES if value else _NO
    if isinstance(value, tuple | list):
        return ", ".join(str(entry) for entry in value)
    if isinstance(value, float):
        return f"{value:.10g}"
    return str(value)


class ParameterForm(QWidget):
    """One row per parameter; those marked as advanced are folded away. ``changed`` follows every edit."""

    changed = Signal()

    def __init__(self, params: type[Params], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("plain", "true")
        self.params = params
        self.fields = {field.name: field for field in params.describe()}
        self.rows: dict[str, FieldRow] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(8)
        self._advanced = QWidget()
        self._advanced.setProperty("plain", "true")
        hidden = QVBoxLayout(self._advanced)
        hidden.setContentsMargins(0, 0, 0, 0)
        hidden.setSpacing(8)
        for field in self.fields.values():
            unit = "" if field.unit.casefold() == field.label.casefold() else field.unit
            row = FieldRow(field.label, self._control(field), unit, self._help(field))
            self.rows[field.name] = row
            (hidden if field.advanced else layout).addWidget(row)
        if any(field.advanced for field in self.fields.values()):
            self._more = button("More parameters \u25be", "link", self._toggle_advanced)
            layout.addWidget(self._more)
            layout.addWidget(self._advanced)
        self._advanced.hide()

    @staticmethod
    def _help(field: ParamField) -> str:
        bounds = field.bounds_text
        none = f" Leave empty for {field.empty}." if field.optional else ""
        return sentence(field.help) + (f"\nValid: {bounds}." if bounds and not field.choices else "") + none

    def _control(self, field: ParamField) -> QWidget:
        if field.kind in {"choice", "boolean"}:
            choice = Choice(field.label)
            if field.optional:
                choice.addItem(field.empty, "")
            options = (True, False) if field.kind == "boolean" else field.choices
            for option in options:
                choice.addItem(as_text(option), as_text(option))
            choice.setCurrentIndex(max(0, choice.findData(as_text(field.default))))
            choice.currentIndexChanged.connect(lambda _index: self._edited(field.name))
            return choice
        line = QLineEdit(as_text(field.default))
        line.setAlignment(Qt.AlignmentFlag.AlignRight)
        if field.optional:
            line.setPlaceholderText(field.empty)
        line.textChanged.connect(lambda _text: self._edited(field.name))
        return line

    def _toggle_advanced(self) -> None:
        self._advanced.setVisible(self._advanced.isHidden())
        self._more.setText("Fewer parameters \u25b4" if not self._advanced.isHidden() else "More parameters \u25be")

    def _edited(self, name: str) -> None:
        self.rows[name].set_error(self._error_of(name))
        self.changed.emit()

    def _error_of(self, name: str) -> str:
        from recsys_desktop.api.errors import InvalidParameter

        try:
            self.params.parse({name: self.text(name)})
        except InvalidParameter as error:
            # A rule over several parameters can only be judged with all of them at hand.
            return sentence(error.reason) if error.name == name else ""
        return ""

    def text(self, name: str) -> str:
        """Return what a field says."""
        control = self.rows[name].control
        if isinstance(control, Choice):
            return str(control.currentData())
        return control.text() if isinstance(control, QLineEdit) else ""

    def set_text(self, name: str, text: str) -> None:
        """Fill in a field, as if the person had."""
        control = self.rows[name].control
        if isinstance(control, Choice):
            control.setCurrentIndex(max(0, control.findData(text)))
        elif isinstance(control, QLineEdit):
            control.setText(text)

    def values(self) -> dict[str, Any] | None:
        """Return the parameters as plain values, or None when something is wrong; the fields then say what."""
        from recsys_desktop.api.errors import InvalidParameter

        wrong = {name: error for name in self.fields if (error := self._error_of(name))}
        for name, row in self.rows.items():
            row.set_error(wrong.get(name, ""))
        if not wrong:
            try:
                return self.params.parse({name: self.text(name) for name in self.fields}).to_dict()
            except InvalidParameter as error:
                if error.name in self.rows:
                    self.rows[error.name].set_error(sentence(error.reason))
                elif self.rows:
                    next(iter(self.rows.values())).set_error(sentence(error.reason))
        for name in self.fields:
            if self.rows[name].error and self.fields[name].advanced and self._advanced.isHidden():
                self._toggle_advanced()
        return None

    def reset(self) -> None:
        """Fill in the defaults."""
        for name, field in self.fields.items():
            self.set_text(name, as_text(field.default))
