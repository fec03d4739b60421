"""A command at work: the engine opened, progress on stderr, Ctrl+C turned into a clean stop."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

from recsys_desktop.cli.settings import Settings
from recsys_desktop.engine import Engine, EngineRun, LogEntry
from recsys_desktop.workspace import configure_logging

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


@contextmanager
def opened(settings: Settings, mode: Literal["write", "read"]) -> Iterator[Engine]:
    """The engine over the workspace that the settings name, logging to its file where it may be written."""
    with Engine.open(settings.workspace, mode, settings.safe_mode, settings.threads) as engine:
        configure_logging(engine.workspace.path if mode == "write" else None, settings.verbose)
        yield engine


@contextmanager
def running(settings: Settings, device: str | None = None) -> Iterator[EngineRun]:
    """A run whose progress is a bar on stderr (where that is a terminal) and that Ctrl+C cancels.

    device: what neural models are trained on; the workspace's setting where None. The first Ctrl+C asks the run to
    stop and discard what it has; a second one ends the program at once.
    """
    bar = _Bar(sys.stderr.isatty())
    run = EngineRun(on_progress=bar.progress, on_log=bar.log, threads=settings.threads, device=device)

    def interrupt(number: int, frame: FrameType | None) -> None:
        if run.discarded:
            raise KeyboardInterrupt
        run.stop("discard")
        bar.say("Stopping…")

    main = threading.current_thread() is threading.main_thread()
    before = signal.signal(signal.SIGINT, interrupt) if main else None
    try:
        with bar:
            yield run
            run.flush()
    finally:
        if main:
            signal.signal(signal.SIGINT, before)


class _Bar:
    """A progress bar with the latest figures beside it; silent where nobody watches."""

    def __init__(self, visible: bool) -> None:
        self._visible = visible
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._figures = ""

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def progress(self, fraction: float, text: str) -> None:
        """Show how far it is."""
        bar = self._started()
        if bar is not None and self._task is not None:
            bar.update(self._task, completed=fraction, description=text or None)

    def log(self, entries: list[LogEntry]) -> None:
        """Show the latest figures."""
        bar = self._started()
        if bar is not None and self._task is not None:
            last = entries[-1]
            shown = [f"{name} {value:.4g}" for name, value in list(last.values.items())[:3]]
            bar.update(self._task, figures=f"step {last.step}: {', '.join(shown)}")

    def say(self, text: str) -> None:
        """A line above the bar."""
        if self._progress is not None:
            self._progress.console.print(text)
        elif self._visible:
            sys.stderr.write(text + "\n")

    def _started(self) -> Progress | None:
        if not self._visible:
            return None
        if self._progress is None:
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            self._progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f} %"),
                TimeElapsedColumn(),
                TextColumn("{task.fields[figures]}", markup=False),
                console=Console(stderr=True),
                transient=True,
            )
            self._progress.start()
            self._task = self._progress.add_task("", total=1.0, figures="")
        return self._progress
