"""EngineRun: how a use case speaks to whoever started it, and how it is stopped."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recsys_desktop.api.run import RunContext
from recsys_desktop.engine.errors import Cancelled
from recsys_desktop.engine.plain import PlainData

NOTIFICATIONS_PER_SECOND = 20
_INTERVAL_SECONDS = 1.0 / NOTIFICATIONS_PER_SECOND


@dataclass(frozen=True)
class LogEntry(PlainData):
    """Figures of one step of a run. phase: which part of the run spoke ("fit", "refit", an algorithm's id, ...)."""

    step: int
    values: dict[str, float]
    phase: str = ""


class EngineRun(RunContext):
    """The run that a face hands to a use case.

    Progress and log entries are passed on at most 20 times a second; entries in between are gathered and arrive
    together, none is lost; of progress only the latest counts. The callbacks are called on the thread that runs the use
    case. Pass `flush()` to see what is still held back (every use case does so at its end).

    Parameters
    ----------
    on_progress: called with (fraction 0..1, text).
    on_log: called with a list of `LogEntry`.
    stop_event: set to stop; keep_event: set, before or together with it, to keep the best model so far instead of
        discarding everything. Both may be set by any thread; `stop` does it in the right order.
    threads, device, checkpoints: as `RunContext`; of threads and device None leaves the choice to the workspace. The
        seed comes with each request.

    Raises
    ------
    InvalidParameter: there is no such device.
    """

    def __init__(
        self,
        on_progress: Callable[[float, str], None] | None = None,
        on_log: Callable[[list[LogEntry]], None] | None = None,
        stop_event: threading.Event | None = None,
        keep_event: threading.Event | None = None,
        *,
        threads: int | None = None,
        device: str | None = None,
        checkpoints: Path | None = None,
    ) -> None:
        super().__init__(threads=threads, device="auto" if device is None else device, checkpoints=checkpoints)
        self._explicit_threads = threads
        self._explicit_device = device
        self._on_progress = on_progress
        self._on_log = on_log
        self._stop_event = stop_event or threading.Event()
        self._keep_event = keep_event or threading.Event()
        self._guard = threading.Lock()
        self._said: tuple[float, str] = (0.0, "")
        self._progress: tuple[float, str] | None = None
        self._entries: list[LogEntry] = []
        self._last_notice = 0.0
        self._recorder: Callable[[LogEntry], None] | None = None
        self.run_id: str | None = None

    def stop(self, mode: str = "discard") -> None:
        """Ask the run to end: "keep" ends early with the best model so far, "discard" cancels. Returns at once."""
        if mode == "keep":
            self._keep_event.set()
        elif mode != "discard":
            raise ValueError(f'stop is "keep" or "discard", not {mode!r}')
        else:
            self._keep_event.clear()
        self._stop_event.set()

    @property
    def should_stop(self) -> bool:
        """True once the run was asked to end, in whichever way."""
        self._notify()
        return self._stop_event.is_set()

    @property
    def discarded(self) -> bool:
        """True once the run was asked to end without a result."""
        return self._stop_event.is_set() and not self._keep_event.is_set()

    @property
    def kept(self) -> bool:
        """True once the run was asked to end early with what it has."""
        return self._stop_event.is_set() and self._keep_event.is_set()

    def check(self) -> None:
        """Raise `Cancelled` where the result is to be discarded."""
        self._notify()
        if self.discarded:
            raise Cancelled

    def progress(self, fraction: float, text: str = "") -> None:
        """As `RunContext.progress`; the latest is passed on."""
        with self._guard:
            self._said = self._progress = (min(max(float(fraction), 0.0), 1.0), text)
        self._notify()

    @contextmanager
    def saying(self, text: str) -> Iterator[None]:
        """Tell of something else at once, and after it again what was told last; the bar stands where it is."""
        before = self._said
        self.progress(before[0], text)
        self.flush()
        try:
            yield
        finally:
            self.progress(*before)

    def unheard(self, device: str) -> EngineRun:
        """A run on this device that tells nobody anything, and that stops when this one does."""
        return EngineRun(stop_event=self._stop_event, keep_event=self._keep_event, device=device)

    def log(self, step: int, **values: float) -> None:
        """As `RunContext.log`."""
        self.log_entry(LogEntry(int(step), {name: float(value) for name, value in values.items()}))

    def log_entry(self, entry: LogEntry) -> None:
        """Record and pass on the figures of one step."""
        if self._recorder is not None:
            self._recorder(entry)
        with self._guard:
            if self._on_log is not None:
                self._entries.append(entry)
        self._notify()

    def threads_or(self, default: int) -> int:
        """The number of threads that this run was given, or `default` where it was given none."""
        return default if self._explicit_threads is None else self._explicit_threads

    def device_or(self, default: str) -> str:
        """The device that this run was given, or `default` where it was given none."""
        return default if self._explicit_device is None else self._explicit_device

    def require_device(self) -> None:
        """Refuse, before any work, a device that the run was given and that this machine lacks.

        Raises
        ------
        InvalidParameter: names the devices that can be used.
        """
        if self._explicit_device not in (None, "auto", "cpu"):
            from recsys_desktop.toolkit.torch_training import choose_device

            choose_device(self.device)

    def record_with(self, recorder: Callable[[LogEntry], None] | None) -> None:
        """Have every log entry given to `recorder` too, at once and on the run's own thread."""
        self._recorder = recorder

    def flush(self) -> None:
        """Pass on everything that was held back."""
        self._notify(force=True)

    def _notify(self, force: bool = False) -> None:
        now = time.monotonic()
        with self._guard:
            if not force and now - self._last_notice < _INTERVAL_SECONDS:
                return
            progress, self._progress = self._progress, None
            entries, self._entries = self._entries, []
            if progress is None and not entries:
                return
            self._last_notice = now
        if progress is not None and self._on_progress is not None:
            self._on_progress(*progress)
        if entries and self._on_log is not None:
            self._on_log(entries)

    def part(self, start: float, end: float) -> RunPart:
        """A stretch of this run: a context whose progress 0..1 is `start`..`end` here."""
        return RunPart(self, start, end)


class RunPart(RunContext):
    """A stretch of an `EngineRun`, with its own progress scale; stops when the run does."""

    def __init__(self, run: EngineRun, start: float, end: float, **more: Any) -> None:
        more.setdefault("threads", run.threads)
        more.setdefault("device", run.device)
        super().__init__(**more)
        self.run = run
        self._start, self._end = start, end

    @property
    def should_stop(self) -> bool:
        """As the run."""
        return self.run.should_stop

    def progress(self, fraction: float, text: str = "") -> None:
        """As `RunContext.progress`, within this stretch."""
        self.run.progress(self._start + (self._end - self._start) * min(max(float(fraction), 0.0), 1.0), text)

    def log(self, step: int, **values: float) -> None:
        """As `RunContext.log`."""
        self.run.log(step, **values)

    def check(self) -> None:
        """As `EngineRun.check`."""
        self.run.check()
