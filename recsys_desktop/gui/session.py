"""The session: what the pages of one window share - the engine, the open data, the chosen model, the jobs."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from recsys_desktop.gui.command_box import Command
from recsys_desktop.gui.jobs import Job, JobManager, Lane

if TYPE_CHECKING:
    from recsys_desktop.engine import Engine, EngineRun
    from recsys_desktop.workspace import DatasetRecord, ModelRecord

logger = logging.getLogger(__name__)

EngineFunction = Callable[["Engine", "EngineRun"], Any]


class Session(QObject):
    """Shared state of one window. Pages ask it, listen to it, and never talk to each other.

    Nothing is computed in the window's thread: what takes time is asked with ``ask`` (short questions) or ``work``
    (imports, training, comparisons) and answered by a signal.
    """

    engine_opened = Signal()
    data_changed = Signal()
    model_changed = Signal()
    datasets_changed = Signal()
    models_changed = Signal()
    device_known = Signal(object)
    page_wanted = Signal(str, object)
    notice = Signal(str, object, object)
    failed = Signal(str, str, str)
    warned = Signal(str, str)

    def __init__(
        self, workspace: Path | None = None, *, safe_mode: bool = False, parent: QObject | None = None
    ) -> None:
        """``safe_mode`` leaves out the plugins of third parties."""
        super().__init__(parent)
        self.workspace_path = workspace
        self.safe_mode = safe_mode
        self.jobs = JobManager(self)
        self.datasets: list[DatasetRecord] = []
        self.models: list[ModelRecord] = []
        self.read_only = False
        self._engine: Engine | None = None
        self._data: DatasetRecord | None = None
        self._model: ModelRecord | None = None
        self._prepared = False
        self._command_sources: list[Callable[[], list[Command]]] = []

    # The engine

    @property
    def is_open(self) -> bool:
        """Whether the engine can be asked."""
        return self._engine is not None

    @property
    def engine(self) -> Engine:
        """The engine. Only for what answers at once; the rest goes through ``ask`` and ``work``.

        Raises ``RuntimeError`` before ``engine_opened``.
        """
        if self._engine is None:
            raise RuntimeError("The workspace is not open yet.")
        return self._engine

    def open_engine(self) -> Job:
        """Open the workspace on a worker thread; ``engine_opened`` follows, or ``failed``.

        A workspace that another process writes to is opened for reading, and the person is told.
        """
        workspace, safe_mode = self.workspace_path, self.safe_mode

        def open_workspace(_request: object, _run: object) -> tuple[Engine, bool]:
            from recsys_desktop.engine import Engine
            from recsys_desktop.workspace import WorkspaceBusy, configure_logging

            try:
                engine = Engine.open(workspace, safe_mode=safe_mode)
            except WorkspaceBusy:
                return Engine.open(workspace, mode="read", safe_mode=safe_mode), True
            configure_logging(engine.workspace.path)
            return engine, False

        job = self.jobs.submit("Opening the workspace", open_workspace, lane=Lane.ANSWER)
        job.done.connect(self._opened)
        job.failed.connect(lambda error: self.report("The workspace cannot be opened", error))
        return job

    def _opened(self, answer: tuple[Engine, bool]) -> None:
        self._engine, self.read_only = answer
        self.workspace_path = self._engine.workspace.path
        if self.read_only:
            self.warned.emit(
                "Another window works in this workspace.",
                "Here you can look at everything; importing, training and changing models is for the other window.",
            )
        self.engine_opened.emit()
        self.refresh()

    def close_engine(self) -> None:
        """Close the workspace; called when every job has ended."""
        engine, self._engine = self._engine, None
        if engine is not None:
            from recsys_desktop.workspace import configure_logging

            engine.close()
            configure_logging(None)

    # Asking

    def ask(
        self,
        title: str,
        function: EngineFunction,
        done: Callable[[Any], object] | None = None,
        failed: Callable[[BaseException], object] | None = None,
        key: str | None = None,
    ) -> Job:
        """Ask the engine a short question on a worker thread; ``done`` gets the answer in the window's thread.

        Of several questions with the same ``key`` only the latest is answered. Without ``failed``, an error is shown
        above the page.
        """
        return self._submit(title, function, Lane.ANSWER, done, failed, key)

    def work(
        self,
        title: str,
        function: EngineFunction,
        done: Callable[[Any], object] | None = None,
        failed: Callable[[BaseException], object] | None = None,
    ) -> Job:
        """Queue work that takes a while; it is shown in the status bar. Otherwise as ``ask``."""
        return self._submit(title, function, Lane.WORK, done, failed, None)

    def _submit(
        self,
        title: str,
        function: EngineFunction,
        lane: Lane,
        done: Callable[[Any], object] | None,
        failed: Callable[[BaseException], object] | None,
        key: str | None,
    ) -> Job:
        engine = self.engine
        job = self.jobs.submit(title, lambda _request, run: function(engine, run.for_engine), lane=lane, key=key)
        if done is not None:
            job.done.connect(done)
        if failed is not None:
            job.failed.connect(failed)
        else:
            job.failed.connect(lambda error: self.report(f"{title} did not work", error))
        return job

    def report(self, what: str, error: BaseException) -> None:
        """Show an error above the page: what was being done, what is wrong, what to do."""
        from recsys_desktop.api.errors import RecSysError
        from recsys_desktop.workspace import WorkspaceError

        if isinstance(error, RecSysError | WorkspaceError | OSError):
            self.failed.emit(what, sentence(str(error)), "")
        else:
            self.failed.emit(
                what,
                f"{type(error).__name__}: {error}",
                "This is not something you did. The details are in the log of the workspace.",
            )

    # What is open

    @property
    def data(self) -> DatasetRecord | None:
        """The open data set."""
        return self._data

    @property
    def model(self) -> ModelRecord | None:
        """The model that recommends."""
        return self._model

    def open_data(self, record: DatasetRecord) -> None:
        """Make a data set the one that every page is about, and its newest active model the chosen one."""
        self._data = record
        self._prepare()
        self.data_changed.emit()
        self.choose_model(self.newest_model())

    def _prepare(self) -> None:
        """Import the algorithms while the person looks at the data, so that training does not begin with a pause."""
        if self._prepared:
            return
        self._prepared = True
        registry = self.engine.registry

        def prepare(_request: object, run: Any) -> None:
            from recsys_desktop.gui.warm_up import load_algorithms

            load_algorithms(registry, lambda: run.should_stop)

        job = self.jobs.submit("Preparing the algorithms", prepare, lane=Lane.PREPARE)
        job.done.connect(lambda _nothing: self.show_device())

    def show_device(self) -> None:
        """Ask what neural models are trained on, for the status bar."""
        from recsys_desktop.gui.warm_up import device_name

        self.ask(
            "Looking for the device",
            lambda engine, _run: device_name(engine.device),
            self.device_known.emit,
            key="device",
        )

    def close_data(self) -> None:
        """Open nothing."""
        self._data = None
        self.data_changed.emit()
        self.choose_model(None)

    def models_of_data(self) -> list[ModelRecord]:
        """The saved versions that were trained on the open data, newest first."""
        if self._data is None:
            return []
        return [model for model in self.models if model.dataset_fingerprint == self._data.fingerprint]

    def newest_model(self) -> ModelRecord | None:
        """The newest active version trained on the open data, else the newest."""
        found = self.models_of_data()
        return next((model for model in found if model.active), found[0] if found else None)

    def choose_model(self, model: ModelRecord | None) -> None:
        """Make a version the one that recommends."""
        if (model and model.id) != (self._model and self._model.id):
            self._model = model
            self.model_changed.emit()

    def algorithm_name(self, algorithm: str) -> str:
        """Return the name of an algorithm as it is listed; its id where no plugin brings it."""
        spec = self.engine.registry.algorithms.get(algorithm)
        return spec.name if spec is not None else algorithm

    def refresh(self) -> None:
        """Read again what the workspace holds: data sets and models."""
        self.ask(
            "Reading the workspace",
            lambda engine, _run: (engine.datasets(), engine.models()),
            self._refreshed,
            key="refresh",
        )

    def _refreshed(self, answer: tuple[list[DatasetRecord], list[ModelRecord]]) -> None:
        self.datasets, self.models = answer
        known = {record.fingerprint for record in self.datasets}
        if self._data is not None and self._data.fingerprint not in known:
            self.close_data()
        self.datasets_changed.emit()
        self.models_changed.emit()
        present = {model.id for model in self.models}
        if self._model is None or self._model.id not in present:
            self.choose_model(self.newest_model())

    # The window

    def go(self, page: str, detail: Any = None) -> None:
        """Show a page; ``detail`` is handed to it."""
        self.page_wanted.emit(page, detail)

    def say(self, text: str, undo: Callable[[], object] | None = None) -> None:
        """Show a short notice at the foot of the window, with Undo where there is something to undo."""
        self.notice.emit(text, undo, None)

    def say_until(self, text: str, undo: Callable[[], object], expired: Callable[[], object]) -> None:
        """Show a notice of something that is done for good, by ``expired``, only when it was not undone in time."""
        self.notice.emit(text, undo, expired)

    def add_commands(self, source: Callable[[], list[Command]]) -> None:
        """Let the command box offer what ``source`` returns at the moment of asking."""
        self._command_sources.append(source)

    def commands(self) -> list[Command]:
        """Return every command that can be run now."""
        return [command for source in self._command_sources for command in source()]


def sentence(text: str) -> str:
    """Return a text with a capital letter and a full stop; the name of a file keeps the letters that it has."""
    text = text.strip()
    if not text:
        return text
    head = text.split(":")[0].split(",")[0]
    if not re.search(r"\.\w+$", head):
        text = text[0].upper() + text[1:]
    return text if text.endswith((".", "!", "?", "\u2026")) else text + "."
