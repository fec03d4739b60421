"""Recording: every run in the workspace, its figures stored as they come, its observers told."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from recsys_desktop.api.errors import RecSysError
from recsys_desktop.engine.errors import Cancelled
from recsys_desktop.engine.runs import EngineRun, LogEntry
from recsys_desktop.engine.session import Session
from recsys_desktop.workspace import RunLog, RunRecord, WorkspaceError

logger = logging.getLogger(__name__)


class RecordedRun:
    """A run that is being recorded; `result` and `dataset_fingerprint` are what its record will hold."""

    def __init__(self, record: RunRecord) -> None:
        self.record = record
        self.result: dict[str, Any] = {}
        self.dataset_fingerprint: str | None = None

    @property
    def id(self) -> str:
        """The id under which the workspace keeps the run."""
        return self.record.id


@contextmanager
def recorded(
    session: Session, run: EngineRun, kind: str, request: Mapping[str, Any], dataset_fingerprint: str | None = None
) -> Iterator[RecordedRun]:
    """Record what happens in the block as one run: done, failed with its reason, or cancelled."""
    workspace = session.workspace
    record = workspace.start_run(kind, request, dataset_fingerprint=dataset_fingerprint)
    run.run_id = record.id
    recording = RecordedRun(record)
    log = RunLog(workspace, record.id)
    _tell(session, "run_started", record.id, kind, request)

    def keep(entry: LogEntry) -> None:
        prefix = f"{entry.phase}/" if entry.phase else ""
        log.add(entry.step, **{prefix + name: value for name, value in entry.values.items()})
        _tell(session, "run_logged", record.id, entry.step, entry.values)

    run.record_with(keep)
    try:
        yield recording
    except BaseException as error:
        state = "cancelled" if isinstance(error, Cancelled | KeyboardInterrupt) else "failed"
        reason = str(error) or type(error).__name__
        expected = isinstance(error, RecSysError | KeyboardInterrupt)
        logger.info("Run %s (%s) %s: %s", record.id, kind, state, reason, exc_info=None if expected else error)
        try:
            _finish(run, log, lambda: _end(session, recording, state, reason))
        except WorkspaceError:
            # What went wrong first (a full disk, say) is what the person must read.
            logger.exception("The end of run %s could not be recorded", record.id)
        raise
    _finish(run, log, lambda: _end(session, recording, "done", None))


def _finish(run: EngineRun, log: RunLog, end: Callable[[], None]) -> None:
    run.record_with(None)
    try:
        log.flush()
    finally:
        try:
            end()
        finally:
            run.flush()


def _end(session: Session, recording: RecordedRun, state: Any, reason: str | None) -> None:
    session.workspace.end_run(
        recording.id,
        state,
        error=reason,
        result=recording.result,
        dataset_fingerprint=recording.dataset_fingerprint,
    )
    _tell(session, "run_finished", recording.id, state, recording.result)


def _tell(session: Session, method: str, *arguments: Any) -> None:
    for observer in session.registry.observers:
        try:
            getattr(observer, method)(*arguments)
        except Exception:
            logger.warning("The run observer %s failed in %s", type(observer).__name__, method, exc_info=True)
