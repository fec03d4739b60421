"""Collect Python's cyclic garbage in the window's thread alone, a little at a time.

A collection that a worker thread happens to start would destroy widgets from that thread, which Qt forbids, and would
hold the interpreter for as long as it takes to walk every object of torch and pandas.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from PySide6.QtCore import QObject, QTimer

_INTERVAL_MS = 500
_YOUNG = 2000
_EVERY_OLD = 20
_MANY_MODULES = 50


class _Collector(QObject):
    def __init__(self, parent: QObject, is_busy: Callable[[], bool]) -> None:
        super().__init__(parent)
        self._is_busy = is_busy
        self._rounds = 0
        self._modules = len(sys.modules)
        timer = QTimer(self)
        timer.setInterval(_INTERVAL_MS)
        timer.timeout.connect(self._collect)
        timer.start()

    def _collect(self) -> None:
        if gc.get_count()[0] < _YOUNG:
            return
        if self._is_busy():
            gc.collect(0)
            return
        self._rounds += 1
        if len(sys.modules) - self._modules > _MANY_MODULES:
            # What a large library made at import lives as long as the process: leave it out of every further walk.
            gc.collect()
            gc.freeze()
            self._modules = len(sys.modules)
        elif self._rounds % _EVERY_OLD == 0:
            gc.collect()
        else:
            gc.collect(1)


@contextmanager
def main_thread_collects_garbage(parent: QObject, is_busy: Callable[[], bool]) -> Iterator[None]:
    """Switch the automatic collection off inside the block and do it from a timer of ``parent``'s thread instead.

    While ``is_busy`` says that something runs, only the youngest objects are looked at.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    collector = _Collector(parent, is_busy)
    try:
        yield
    finally:
        collector.deleteLater()
        if was_enabled:
            gc.enable()
        gc.unfreeze()
