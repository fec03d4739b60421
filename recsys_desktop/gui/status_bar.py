"""The status bar: the running job with a bar and those that wait; at the right offline, threads, device, memory."""

from __future__ import annotations

from PySide6.QtCore import QTimer, Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import QFrame, QHBoxLayout, QWidget

from recsys_desktop.gui import formats
from recsys_desktop.gui.jobs import Job, JobManager, JobState, Lane
from recsys_desktop.gui.widgets.bar import Bar
from recsys_desktop.gui.widgets.labels import ElidedLabel, text_label

HEIGHT = 28
_MEMORY_INTERVAL_MS = 5000
_FIRST_MEMORY_MS = 50
"""Not before the first frame is on screen: psutil takes a while to import."""


def job_line(job: Job) -> str:
    """Say in one line what a job is and how far it has come."""
    if job.state is JobState.STOPPING:
        return f"{job.title} \u00b7 Stopping\u2026"
    return f"{job.title} \u00b7 {job.text}" if job.text else job.title


class StatusBar(QFrame):
    """The foot of the window."""

    clicked = Signal()

    def __init__(self, jobs: JobManager, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("statusBar")
        self.setFixedHeight(HEIGHT)
        self._jobs = jobs
        self._threads = 1
        self._device = "CPU"
        layout = QHBoxLayout(self)
        layout.setContentsMargins(16, 0, 16, 0)
        layout.setSpacing(14)
        self.job_label = ElidedLabel("Ready", "small")
        self.bar = Bar("Progress")
        self.bar.setFixedWidth(140)
        self.bar.hide()
        self.waiting_label = text_label("", "small")
        self.machine_label = text_label("", "small")
        layout.addWidget(self.job_label)
        layout.addWidget(self.bar)
        layout.addWidget(self.waiting_label)
        layout.addStretch(1)
        layout.addWidget(self.machine_label)
        self._memory_timer = QTimer(self)
        self._memory_timer.timeout.connect(self._show_memory)
        jobs.changed.connect(self._show_job)

    def set_machine(self, threads: int, device: str) -> None:
        """Say how many threads and which device the algorithms use."""
        self._threads, self._device = threads, device
        self._show_machine()

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802 - Qt's name
        super().showEvent(event)
        self._memory_timer.start(_FIRST_MEMORY_MS)

    def hideEvent(self, event: QHideEvent) -> None:  # noqa: N802 - Qt's name
        super().hideEvent(event)
        self._memory_timer.stop()

    def _show_memory(self) -> None:
        self._memory_timer.setInterval(_MEMORY_INTERVAL_MS)
        self._show_machine()

    def _show_machine(self) -> None:
        import psutil

        free = formats.file_size(psutil.virtual_memory().available)
        threads = formats.plural(self._threads, "thread")
        self.machine_label.setText(f"offline \u00b7 {threads} \u00b7 {self._device} \u00b7 {free} free")

    def say_closing(self) -> None:
        """Say that the window waits for what still runs, from now on."""
        self._jobs.changed.disconnect(self._show_job)
        self.bar.hide()
        self.waiting_label.setText("")
        self.job_label.setText("Closing\u2026")

    def _show_job(self) -> None:
        job = self._jobs.running(Lane.WORK)
        waiting = self._jobs.waiting(Lane.WORK)
        self.job_label.setText("Ready" if job is None else job_line(job))
        self.bar.setVisible(job is not None)
        if job is not None:
            self.bar.set_share(job.fraction)
        self.waiting_label.setText(f"{len(waiting)} waiting" if waiting else "")
        self.waiting_label.setToolTip("\n".join(other.title for other in waiting))
