"""The status bar: what it says of the machine, and that it stops looking when it is closed."""

from __future__ import annotations

from PySide6.QtCore import QTimer

from recsys_desktop.gui.jobs import JobManager
from recsys_desktop.gui.status_bar import StatusBar


def test_it_says_what_memory_is_free_soon_after_it_is_shown(qtbot) -> None:
    bar = StatusBar(JobManager())
    qtbot.addWidget(bar)
    bar.show()
    assert bar.machine_label.text() == ""
    qtbot.waitUntil(lambda: bar.machine_label.text().endswith("free"), timeout=5_000)
    assert bar.machine_label.text().startswith("offline")


def test_closed_at_once_it_looks_no_more(qtbot) -> None:
    bar = StatusBar(JobManager())
    qtbot.addWidget(bar)
    bar.show()
    timers = [timer for timer in bar.findChildren(QTimer) if timer.isActive()]
    assert timers, "whatever looks for free memory belongs to the bar"
    bar.hide()
    assert not any(timer.isActive() for timer in timers)
    qtbot.wait(100)
    assert bar.machine_label.text() == ""
