"""The plugins page: what is installed, what each brings, and what is wrong with those that do not work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QPlainTextEdit, QVBoxLayout, QWidget

from recsys_desktop.gui import formats
from recsys_desktop.gui.session import Session, sentence
from recsys_desktop.gui.theme import CARD_GAP, fixed_font
from recsys_desktop.gui.widgets.buttons import CheckBox
from recsys_desktop.gui.widgets.card import Card, PageFrame, row, scrolling
from recsys_desktop.gui.widgets.chip import Chip
from recsys_desktop.gui.widgets.labels import Paragraph, Tag, Tone, text_label
from recsys_desktop.gui.widgets.messages import EmptyState

if TYPE_CHECKING:
    from recsys_desktop.engine import PluginInfo

_ORIGINS = {"shipped": "comes with the application", "package": "installed package", "folder": "plugin folder"}


def provided(provides: Mapping[str, tuple[str, ...]]) -> str:
    """Say what a plugin brings: ``2 algorithms: ease, slim``."""
    return "; ".join(f"{formats.plural(len(ids), kind)}: {', '.join(ids)}" for kind, ids in provides.items() if ids)


class PluginsPage(PageFrame):
    """One card per plugin; a broken one says why and breaks nothing."""

    def __init__(self, session: Session) -> None:
        super().__init__("Plugins")
        self.session = session
        self.boxes: dict[str, CheckBox] = {}
        self.count_chip = Chip()
        self.broken_chip = Chip()
        self.facts.addWidget(self.count_chip)
        self.facts.addWidget(self.broken_chip)
        content = QWidget()
        content.setProperty("plain", "true")
        self._list = QVBoxLayout(content)
        self._list.setContentsMargins(0, 0, 0, 0)
        self._list.setSpacing(CARD_GAP)
        self.body.addWidget(scrolling(content), 1)
        session.engine_opened.connect(self._show)
        self._show()

    def _show(self) -> None:
        while (item := self._list.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        self.boxes = {}
        plugins = list(self.session.engine.registry.plugins) if self.session.is_open else []
        broken = [plugin for plugin in plugins if plugin.error]
        self.count_chip.set_fact(str(len(plugins)), "plugin" if len(plugins) == 1 else "plugins")
        self.broken_chip.setVisible(bool(broken))
        self.broken_chip.set_fact(str(len(broken)), "with a problem")
        for plugin in sorted(plugins, key=lambda plugin: not plugin.error):
            self._list.addWidget(self._card(plugin))
        if not plugins:
            self._list.addWidget(EmptyState("plugins", "No plugin is installed."))
        self._list.addStretch(1)

    def _card(self, plugin: PluginInfo) -> Card:
        card = Card(padding=14)
        card.setAccessibleName(plugin.name)
        state, tone = ("off", Tone.NEUTRAL) if not plugin.enabled else ("works", Tone.POSITIVE)
        if plugin.error:
            state, tone = "problem", Tone.NEGATIVE
        box = CheckBox("on")
        box.setAccessibleName(f"{plugin.name} is on")
        box.setChecked(plugin.enabled)
        box.setEnabled(not self.session.read_only)
        box.toggled.connect(lambda on, name=plugin.name: self.set_enabled(name, on))
        self.boxes[plugin.name] = box
        version = text_label(plugin.version, "small")
        origin = text_label(_ORIGINS.get(plugin.origin, plugin.origin), "small")
        origin.setToolTip(plugin.source)
        line: QHBoxLayout = row(text_label(plugin.name, "card-title"), version, Tag(state, tone), 1, origin, box)
        card.content.addLayout(line)
        brings = provided(plugin.provides)
        if brings:
            card.content.addWidget(Paragraph(brings, "muted"))
        if plugin.error:
            card.content.addWidget(Paragraph(sentence(plugin.error)))
        if plugin.details:
            details = QPlainTextEdit(plugin.details)
            details.setReadOnly(True)
            details.setFont(fixed_font(11))
            details.setMaximumHeight(120)
            details.setAccessibleName(f"Details of the problem with {plugin.name}")
            details.setTextInteractionFlags(
                Qt.TextInteractionFlag.TextSelectableByMouse | Qt.TextInteractionFlag.TextSelectableByKeyboard
            )
            card.content.addWidget(details)
        return card

    def set_enabled(self, name: str, enabled: bool) -> None:
        """Switch a plugin on or off for the next start."""
        self.session.ask(
            f"Switching {name}",
            lambda engine, _run: engine.set_plugin_enabled(name, enabled),
            lambda _info: self.session.say(f"{name} is {'on' if enabled else 'off'} from the next start."),
        )
