"""One row of a form: a label, its control, a unit, and an error under it."""

from __future__ import annotations

from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from recsys_desktop.gui.theme import CONTROL_GAP
from recsys_desktop.gui.widgets.labels import ElidedLabel, restyle, text_label

CONTROL_WIDTH = 108


class FieldRow(QWidget):
    """A labelled control. The help is the tooltip of both; an error is shown under them and outlines the control."""

    def __init__(
        self, label: str, control: QWidget, unit: str = "", help_text: str = "", parent: QWidget | None = None
    ) -> None:
        super().__init__(parent)
        self.setProperty("plain", "true")
        self.control = control
        control.setFixedWidth(CONTROL_WIDTH)
        control.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        control.setAccessibleName(f"{label} ({unit})" if unit else label)
        control.setAccessibleDescription(help_text)
        control.setToolTip(help_text)
        self._label = ElidedLabel(label)
        self._label.setAccessibleDescription(help_text)
        self._label.setBuddy(control)
        line = QHBoxLayout()
        line.setContentsMargins(0, 0, 0, 0)
        line.setSpacing(CONTROL_GAP)
        line.addWidget(self._label, 1)
        if unit:
            line.addWidget(text_label(unit, "small"))
        line.addWidget(control)
        self._error = QLabel()
        self._error.setProperty("role", "error")
        self._error.setWordWrap(True)
        self._error.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(3)
        layout.addLayout(line)
        layout.addWidget(self._error)
        if help_text:
            self._label.setToolTip(help_text)

    @property
    def error(self) -> str:
        """The error shown, or nothing."""
        return self._error.text()

    def set_error(self, error: str) -> None:
        """Show what is wrong with the value; an empty text clears it."""
        if error == self._error.text():
            return
        self._error.setText(error)
        self._error.setVisible(bool(error))
        self.control.setProperty("invalid", "true" if error else "false")
        self.control.setAccessibleDescription(error or self.control.toolTip())
        restyle(self.control)
