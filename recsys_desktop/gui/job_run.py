"""The run context of a job: what a use case or an algorithm says goes into the job's mailbox."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from recsys_desktop.api.run import RunContext
from recsys_desktop.gui.mailbox import LoggedStep, Mailbox

if TYPE_CHECKING:
    from recsys_desktop.engine import EngineRun, LogEntry


class JobRun(RunContext):
    """A run context over a mailbox; made on the worker's thread when the job starts."""

    def __init__(
        self,
        mailbox: Mailbox,
        *,
        seed: int = 42,
        threads: int | None = None,
        device: str | None = None,
        checkpoints: Path | None = None,
    ) -> None:
        super().__init__(seed, threads=threads, device="auto" if device is None else device, checkpoints=checkpoints)
        self._mailbox = mailbox
        self._given_threads = threads
        self._given_device = device

    @cached_property
    def for_engine(self) -> EngineRun:
        """This run as the use cases of the engine take it; it stops when this one does."""
        from recsys_desktop.engine import EngineRun

        run = EngineRun(
            self.progress,
            self._log_entries,
            self._mailbox.stop_event,
            self._mailbox.keep_event,
            threads=self._given_threads,
            device=self._given_device,
            checkpoints=self.checkpoints,
        )
        self._mailbox.flush = run.flush
        return run

    @property
    def should_stop(self) -> bool:
        """Whether the person asked to stop, either to keep what there is or to discard it."""
        return self._mailbox.should_stop

    @property
    def cancelled(self) -> bool:
        """Whether the person asked to discard the result."""
        return self._mailbox.cancelled

    def progress(self, fraction: float, text: str = "") -> None:
        """Say how much is done, 0 to 1, and what is being done."""
        self._mailbox.put_progress(fraction, text)

    def log(self, step: int, **values: float) -> None:
        """Record values of one step, for example ``log(3, loss=0.41)``; none is lost."""
        self._mailbox.put_steps([LoggedStep(int(step), dict(values))])

    def _log_entries(self, entries: list[LogEntry]) -> None:
        self._mailbox.put_steps([LoggedStep(entry.step, entry.values, entry.phase) for entry in entries])
