"""The run context of a job: the worker thread writes into it, the window takes batches out of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from recsys_desktop.api.run import RunContext

if TYPE_CHECKING:
    from recsys_desktop.engine import EngineRun, LogEntry


class LoggedStep(NamedTuple):
    """Figures of one step; ``phase`` is the part of the run that spoke, such as a fit, a refit or an algorithm's id."""

    step: int
    values: dict[str, float]
    phase: str = ""


class JobRun(RunContext):
    """Every value is kept until the window takes it. The window is notified at most twenty times a second.

    ``notify`` is called on the worker thread when there is something to take and the window is listening.
    """

    def __init__(
        self,
        notify: Callable[[], None],
        *,
        seed: int = 42,
        threads: int | None = None,
        device: str = "auto",
        checkpoints: Path | None = None,
    ) -> None:
        super().__init__(seed, threads=threads, device=device, checkpoints=checkpoints)
        self._given_threads = threads
        self._notify = notify
        self._lock = threading.Lock()
        self._progress: list[tuple[float, str]] = []
        self._steps: list[LoggedStep] = []
        self._window_is_listening = True
        self._stop = threading.Event()
        self._keep = threading.Event()

    @cached_property
    def for_engine(self) -> EngineRun:
        """This run as the use cases of the engine take it; it stops when this one does."""
        from recsys_desktop.engine import EngineRun

        return EngineRun(
            self.progress,
            self._log_entries,
            self._stop,
            self._keep,
            threads=self._given_threads,
            device=self.device,
            checkpoints=self.checkpoints,
        )

    def flush(self) -> None:
        """Have the engine hand over what it holds back; for a run that has fallen silent."""
        if "for_engine" in vars(self):
            self.for_engine.flush()

    @property
    def should_stop(self) -> bool:
        """Whether the person asked to stop, either to keep what there is or to discard it."""
        return self._stop.is_set()

    @property
    def cancelled(self) -> bool:
        """Whether the person asked to discard the result."""
        return self._stop.is_set() and not self._keep.is_set()

    def stop(self) -> None:
        """Ask the run to end early and keep the best result so far."""
        self._keep.set()
        self._stop.set()

    def cancel(self) -> None:
        """Ask the run to end and discard its result."""
        self._keep.clear()
        self._stop.set()

    def progress(self, fraction: float, text: str = "") -> None:
        """Say how much is done, 0 to 1, and what is being done."""
        with self._lock:
            self._progress.append((float(fraction), text))
        self._wake_window()

    def log(self, step: int, **values: float) -> None:
        """Record values of one step, for example ``log(3, loss=0.41)``; none is lost."""
        with self._lock:
            self._steps.append(LoggedStep(int(step), dict(values)))
        self._wake_window()

    def _log_entries(self, entries: list[LogEntry]) -> None:
        with self._lock:
            self._steps.extend(LoggedStep(entry.step, entry.values, entry.phase) for entry in entries)
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
