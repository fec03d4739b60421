"""The mailbox between a running job and the window: values one way, the wish to stop the other way."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple


class LoggedStep(NamedTuple):
    """Figures of one step; ``phase`` is the part of the run that spoke, such as a fit, a refit or an algorithm's id."""

    step: int
    values: dict[str, float]
    phase: str = ""


class Mailbox:
    """What a worker thread says is kept until the window takes it; nothing is lost.

    ``notify`` is called on the worker's thread when there is something to take and the window is listening.
    """

    def __init__(self, notify: Callable[[], None]) -> None:
        self._notify = notify
        self._lock = threading.Lock()
        self._progress: list[tuple[float, str]] = []
        self._steps: list[LoggedStep] = []
        self._window_is_listening = True
        self.stop_event = threading.Event()
        self.keep_event = threading.Event()
        self.flush: Callable[[], None] = lambda: None
        """Hands over what the run still holds back; the run sets it."""

    @property
    def should_stop(self) -> bool:
        """Whether the person asked to stop, either to keep what there is or to discard it."""
        return self.stop_event.is_set()

    @property
    def cancelled(self) -> bool:
        """Whether the person asked to discard the result."""
        return self.stop_event.is_set() and not self.keep_event.is_set()

    def stop(self) -> None:
        """Ask the run to end early and keep the best result so far."""
        self.keep_event.set()
        self.stop_event.set()

    def cancel(self) -> None:
        """Ask the run to end and discard its result."""
        self.keep_event.clear()
        self.stop_event.set()

    def put_progress(self, fraction: float, text: str) -> None:
        """Leave a word on how much is done."""
        with self._lock:
            self._progress.append((float(fraction), text))
        self._wake_window()

    def put_steps(self, steps: list[LoggedStep]) -> None:
        """Leave the figures of some steps."""
        with self._lock:
            self._steps.extend(steps)
        self._wake_window()

    def _wake_window(self) -> None:
        with self._lock:
            wake, self._window_is_listening = self._window_is_listening, False
        if wake:
            self._notify()

    def take(self) -> tuple[list[tuple[float, str]], list[LoggedStep]]:
        """Return and clear what was said since the last call: progress, and logged steps, in order."""
        with self._lock:
            progress, self._progress = self._progress, []
            steps, self._steps = self._steps, []
        return progress, steps

    def listen(self) -> bool:
        """Ask to be notified of the next value; false when something is waiting already."""
        with self._lock:
            if self._progress or self._steps:
                return False
            self._window_is_listening = True
            return True
