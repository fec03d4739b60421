"""Jobs: plain functions run on worker threads, one at a time in each lane. The one owner of the window's threads."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from PySide6.QtCore import QObject, Qt, QThread, QTimer, Signal, Slot

from recsys_desktop.gui.mailbox import LoggedStep, Mailbox

logger = logging.getLogger(__name__)

# OpenBLAS overflows the 512 KB that macOS gives a secondary thread.
STACK_BYTES = 8 * 1024 * 1024
NOTIFICATION_INTERVAL_MS = 50
PULSE_INTERVAL_MS = 250

JobFunction = Callable[[Any, Any], Any]


class Lane(Enum):
    """Where a job queues. Each lane runs one job at a time; the lanes do not wait for each other."""

    WORK = "work"
    """Importing, training and comparing: what takes a while and is shown in the status bar."""
    ANSWER = "answer"
    """Short questions of a page: a list, an explanation, the statistics of a data set."""
    PREPARE = "prepare"
    """What nobody waits for: bringing libraries into memory."""


class JobState(Enum):
    """Where a job is on its way."""

    WAITING = "waiting"
    RUNNING = "running"
    STOPPING = "stopping"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        """Whether the job will say nothing more."""
        return self in {JobState.DONE, JobState.FAILED, JobState.CANCELLED}


class Job(QObject):
    """One request given to the ``JobManager``: what it is, how far it is, and how it ended.

    ``updated`` is emitted at most twenty times a second when it said something, and four times a second while it is
    silent, so that its clock goes on; ``values`` holds every logged step so far.
    Exactly one of ``done``, ``failed`` and ``cancelled`` is emitted, followed by ``over``. ``error`` is why it failed,
    or why there was nothing to keep when it was stopped.
    """

    updated = Signal()
    state_changed = Signal()
    done = Signal(object)
    failed = Signal(object)
    cancelled = Signal()
    over = Signal()
    _said_something = Signal()

    def __init__(
        self,
        manager: JobManager,
        title: str,
        function: JobFunction,
        request: object,
        lane: Lane,
        key: str | None,
        context: Mapping[str, Any],
    ) -> None:
        super().__init__(manager)
        self.title = title
        self.lane = lane
        self.key = key
        self.function = function
        self.request = request
        self.state = JobState.WAITING
        self.fraction = 0.0
        self.text = ""
        self.values: list[LoggedStep] = []
        self.result: Any = None
        self.error: BaseException | None = None
        self.keeps_result = True
        self.context = dict(context)
        self.mailbox = Mailbox(self._said_something.emit)
        self._manager = manager
        self._started_at: float | None = None
        self._ended_at: float | None = None
        self._quiet = QTimer(self)
        self._quiet.setSingleShot(True)
        self._quiet.setInterval(NOTIFICATION_INTERVAL_MS)
        self._quiet.timeout.connect(self._listen)
        self._said_something.connect(self._collect, Qt.ConnectionType.QueuedConnection)
        self._pulse = QTimer(self)
        self._pulse.setInterval(PULSE_INTERVAL_MS)
        self._pulse.timeout.connect(self._beat)

    @property
    def seconds(self) -> float:
        """How long the job has run, or ran."""
        if self._started_at is None:
            return 0.0
        return (self._ended_at or time.monotonic()) - self._started_at

    @property
    def seconds_left(self) -> float | None:
        """How long it will still run if it goes on as it has; None while nobody can tell."""
        if self.state is not JobState.RUNNING or self.fraction < 0.02 or self.seconds < 0.5:
            return None
        return self.seconds * (1.0 - self.fraction) / self.fraction

    def stop_and_keep(self) -> None:
        """End early with the best result so far. A job that waits is taken out of the queue."""
        self._manager.end(self, keep=True)

    def cancel(self) -> None:
        """End and discard. A job that waits is taken out of the queue."""
        self._manager.end(self, keep=False)

    def set_state(self, state: JobState) -> None:
        """Change the state; called by the manager alone."""
        if state is JobState.RUNNING:
            self._started_at = time.monotonic()
            self._pulse.start()
        if state.is_over:
            self._pulse.stop()
            self._ended_at = time.monotonic()
        self.state = state
        self.state_changed.emit()

    def collect_rest(self) -> None:
        """Take what the run said last; called by the manager when the function has returned."""
        self._quiet.stop()
        self._take()

    @Slot()
    def _collect(self) -> None:
        if self.state.is_over:
            return
        self._take()
        self._quiet.start()

    @Slot()
    def _listen(self) -> None:
        if not self.state.is_over and not self.mailbox.listen():
            self._collect()

    @Slot()
    def _beat(self) -> None:
        self.mailbox.flush()
        self.updated.emit()

    def _take(self) -> None:
        progress, values = self.mailbox.take()
        if progress:
            self.fraction, self.text = progress[-1]
        self.values.extend(values)
        if progress or values:
            self.updated.emit()


class _Worker(QObject):
    """Runs one function after the other on the thread it was moved to."""

    execute = Signal(object)
    returned = Signal(object, object, object)

    def __init__(self) -> None:
        super().__init__()
        self.execute.connect(self._execute, Qt.ConnectionType.QueuedConnection)

    @Slot(object)
    def _execute(self, job: Job) -> None:
        result: object = None
        error: BaseException | None = None
        try:
            # The contract, which the run context belongs to, is imported here and not with the window.
            from recsys_desktop.gui.job_run import JobRun

            result = job.function(job.request, JobRun(job.mailbox, **job.context))
        except Exception as raised:  # noqa: BLE001 - whatever a plugin raises is shown to the person, not lost in a thread
            error = raised
        self.returned.emit(job, result, error)


class JobManager(QObject):
    """Starts, queues and ends jobs. Lives in the window's thread.

    ``changed`` is emitted whenever a job of the work lane is added, starts, says something or ends; ``idle`` when the
    last job of every lane is over.
    """

    changed = Signal()
    idle = Signal()
    job_failed = Signal(object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._threads: dict[Lane, tuple[QThread, _Worker]] = {}
        self._waiting: dict[Lane, deque[Job]] = {lane: deque() for lane in Lane}
        self._running: dict[Lane, Job | None] = dict.fromkeys(Lane)
        self._closed = False

    def running(self, lane: Lane = Lane.WORK) -> Job | None:
        """Return the job that a lane is working on."""
        return self._running[lane]

    def waiting(self, lane: Lane = Lane.WORK) -> list[Job]:
        """Return the jobs that queue in a lane, next first."""
        return list(self._waiting[lane])

    @property
    def is_idle(self) -> bool:
        """Whether no lane runs or waits for anything."""
        return all(job is None for job in self._running.values()) and not any(self._waiting.values())

    def submit(
        self,
        title: str,
        function: JobFunction,
        request: object = None,
        *,
        lane: Lane = Lane.WORK,
        key: str | None = None,
        **context: Any,
    ) -> Job:
        """Queue ``function(request, run)`` and return its job at once; it starts when its lane is free.

        A job with the same ``key`` that is still waiting in the lane is cancelled first, and one that runs is asked to
        stop: only the latest answer to a question is wanted. ``context`` are parameters of ``RunContext``: seed,
        threads, device, checkpoints. Raises ``RuntimeError`` after ``close``.
        """
        if self._closed:
            raise RuntimeError("The window is closing; no new job can start.")
        if key is not None:
            for other in [*self._waiting[lane], self._running[lane]]:
                if other is not None and other.key == key:
                    other.cancel()
        job = Job(self, title, function, request, lane, key, context)
        job.updated.connect(self._job_changed)
        self._waiting[lane].append(job)
        self._start_next(lane)
        self.changed.emit()
        return job

    def end(self, job: Job, *, keep: bool) -> None:
        """Ask a job to end; ``keep`` says whether its result so far is wanted. Returns at once."""
        if job in self._waiting[job.lane]:
            self._waiting[job.lane].remove(job)
            self._finish(job, JobState.CANCELLED)
        elif not job.state.is_over:
            if keep:
                job.mailbox.stop()
            else:
                job.keeps_result = False
                job.mailbox.cancel()
            if job.state is JobState.RUNNING:
                job.set_state(JobState.STOPPING)
            self.changed.emit()

    def cancel_all(self) -> None:
        """Ask every job to end and discard its result; ``idle`` follows when they have."""
        for lane in Lane:
            for job in list(self._waiting[lane]):
                job.cancel()
            running = self._running[lane]
            if running is not None:
                running.cancel()

    def close(self) -> None:
        """End every job, wait until they have ended, and stop the threads. Blocks; nothing can be submitted after."""
        self._closed = True
        self.cancel_all()
        for thread, worker in self._threads.values():
            worker.returned.disconnect(self._returned)
            thread.quit()
            thread.wait()
        self._threads.clear()
        for lane in Lane:
            job, self._running[lane] = self._running[lane], None
            if job is not None:
                self._finish(job, JobState.CANCELLED)

    @Slot()
    def _job_changed(self) -> None:
        self.changed.emit()

    def _worker(self, lane: Lane) -> _Worker:
        if lane not in self._threads:
            thread = QThread(self)
            thread.setObjectName(f"recsys-{lane.value}")
            thread.setStackSize(STACK_BYTES)
            worker = _Worker()
            worker.moveToThread(thread)
            worker.returned.connect(self._returned, Qt.ConnectionType.QueuedConnection)
            thread.start()
            self._threads[lane] = (thread, worker)
        return self._threads[lane][1]

    def _start_next(self, lane: Lane) -> None:
        if self._running[lane] is None and self._waiting[lane]:
            job = self._waiting[lane].popleft()
            self._running[lane] = job
            job.set_state(JobState.RUNNING)
            self._worker(lane).execute.emit(job)

    @Slot(object, object, object)
    def _returned(self, job: Job, result: object, error: BaseException | None) -> None:
        if self._closed:
            return
        self._running[job.lane] = None
        job.collect_rest()
        if not job.keeps_result:
            if error is not None:
                logger.info("'%s' was cancelled and ended with: %s", job.title, error)
            self._finish(job, JobState.CANCELLED)
        elif error is not None:
            # The engine, which takes a while to import, is in memory by now where the job has used it.
            from recsys_desktop.engine.errors import Cancelled

            job.error = error
            if isinstance(error, Cancelled):
                logger.info("'%s' was stopped: %s", job.title, error)
                self._finish(job, JobState.CANCELLED)
            else:
                logger.error("'%s' failed", job.title, exc_info=error)
                self._finish(job, JobState.FAILED)
        else:
            job.result = result
            self._finish(job, JobState.DONE)

    def _finish(self, job: Job, state: JobState) -> None:
        job.set_state(state)
        if state is JobState.DONE:
            job.done.emit(job.result)
        elif state is JobState.FAILED:
            job.failed.emit(job.error)
            self.job_failed.emit(job)
        else:
            job.cancelled.emit()
        job.over.emit()
        if not self._closed:
            self._start_next(job.lane)
        self.changed.emit()
        if self.is_idle:
            self.idle.emit()
        job.deleteLater()
