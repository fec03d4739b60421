"""What every test of the window shares: an offscreen platform and a check of what a test leaves behind."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from typing import TypeVar

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

import pytest
import shiboken6
from PySide6.QtCore import QCoreApplication, QEvent, QObject, QThread, QTimer
from PySide6.QtWidgets import QApplication

from recsys_desktop.gui.theme import ThemeMode, theme

Kind = TypeVar("Kind", bound=QObject)


def _deliver_deferred_deletes() -> None:
    """``processEvents`` does not deliver deferred deletes; a test asks for them by name."""
    for _ in range(3):
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        QCoreApplication.processEvents()


def _running_threads() -> list[QThread]:
    return [item for item in _objects(QThread) if item.isRunning()]


def _active_timers() -> list[QTimer]:
    return [item for item in _objects(QTimer) if item.isActive()]


def _objects(kind: type[Kind]) -> list[Kind]:
    """All living objects of a kind; asks for the type itself, because proxies of other libraries answer isinstance."""
    return [item for item in gc.get_objects() if issubclass(type(item), kind) and shiboken6.isValid(item)]


@pytest.fixture(autouse=True)
def leaves_nothing_behind(qapp: QApplication) -> Iterator[None]:
    """Fail a test that leaves a running thread, an active timer or a visible top-level window."""
    theme().install(qapp, ThemeMode.LIGHT)
    threads_before = set(map(id, _running_threads()))
    timers_before = set(map(id, _active_timers()))
    yield
    _deliver_deferred_deletes()
    gc.collect()
    windows = [widget for widget in QApplication.topLevelWidgets() if widget.isVisible()]
    threads = [thread.objectName() for thread in _running_threads() if id(thread) not in threads_before]
    timers = [timer for timer in _active_timers() if id(timer) not in timers_before]
    described = [f"{type(timer.parent()).__name__} every {timer.interval()} ms" for timer in timers]
    names = [f"{type(window).__name__} '{window.windowTitle()}'" for window in windows]
    for window in windows:
        window.close()
        window.deleteLater()
    _deliver_deferred_deletes()
    assert not threads, f"threads left running: {threads}"
    assert not described, f"timers left active: {described}"
    assert not names, f"windows left open: {names}"


@pytest.fixture
def window(qtbot, own_workspace, monkeypatch):
    """The real window over an empty workspace of its own, with the engine open."""
    from PySide6.QtCore import QSettings

    from recsys_desktop.gui.app import create_window

    QSettings.setPath(QSettings.Format.IniFormat, QSettings.Scope.UserScope, str(own_workspace / "settings"))
    _, window = create_window(own_workspace / "workspace")
    window.show()
    qtbot.waitUntil(lambda: window.session.is_open, timeout=20_000)
    qtbot.waitUntil(lambda: window.session.jobs.is_idle, timeout=20_000)
    yield window
    monkeypatch.setattr(window, "may_stop", lambda _title: True)
    window.close()
    qtbot.waitUntil(lambda: not window.isVisible(), timeout=20_000)
    window.deleteLater()
