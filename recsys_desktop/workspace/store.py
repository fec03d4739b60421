"""The workspace itself: opening, the one writer, publishing and deleting artifacts, recovery after a crash."""

import logging
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Literal, TypeVar

from recsys_desktop.workspace import artifacts, rows
from recsys_desktop.workspace.checkpoints import CHECKPOINTS_FOLDER, KEPT_CHECKPOINTS, CheckpointFolders
from recsys_desktop.workspace.database import Database, Gate
from recsys_desktop.workspace.durable import rename
from recsys_desktop.workspace.errors import (
    ArtifactDamaged,
    ArtifactExists,
    NotWritable,
    WorkspaceError,
    WorkspaceFull,
    WorkspaceReadOnly,
    storage_error,
    storage_errors,
)
from recsys_desktop.workspace.location import workspace_folder
from recsys_desktop.workspace.locking import WorkspaceLock, is_locked
from recsys_desktop.workspace.logs import LOGS_FOLDER
from recsys_desktop.workspace.naming import check_model_name, check_name
from recsys_desktop.workspace.record_store import DATASETS_FOLDER, MODELS_FOLDER, REPORTS_FOLDER, RecordStore
from recsys_desktop.workspace.records import (
    DatasetRecord,
    EvaluationRecord,
    MetricRecord,
    ModelRecord,
    Recovery,
    RunRecord,
    WorkspaceHealth,
)
from recsys_desktop.workspace.schema import schema_version

logger = logging.getLogger(__name__)

DATABASE_FILE = "workspace.sqlite"
LOCK_FILE = "workspace.lock"
ARTIFACT_FOLDERS = (DATASETS_FOLDER, MODELS_FOLDER, REPORTS_FOLDER)

ArtifactRecord = DatasetRecord | ModelRecord | EvaluationRecord
Record = TypeVar("Record", DatasetRecord, ModelRecord, EvaluationRecord)


class Publication(Generic[Record]):
    """An artifact in the making: write files into ``folder``; after the ``with`` block ``record`` is what was kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._record: Record | None = None

    @property
    def record(self) -> Record:
        """The record of the published artifact; ``RuntimeError`` until the block has ended well."""
        if self._record is None:
            raise RuntimeError(f"{self.folder} has not been published")
        return self._record


class Workspace(RecordStore):
    """A folder with everything that is kept: database, data sets, models, reports, logs.

    Open it with ``Workspace.open`` and close it (it is a context manager). One process may have it open for writing;
    any number may read beside it. Every method may be called from any thread, but not across a fork.

    Attributes
    ----------
    path: the folder.
    mode: "write" or "read".
    recovery: what opening for writing found of an earlier process that did not end well.
    checkpoints: where running work keeps what it needs to resume.
    """

    def __init__(
        self, path: Path, database: Database, lock: WorkspaceLock | None, recovery: Recovery | None = None
    ) -> None:
        super().__init__(path, database)
        self.mode: Literal["read", "write"] = "write" if lock is not None else "read"
        self.recovery = recovery or Recovery()
        self.checkpoints = CheckpointFolders(path / CHECKPOINTS_FOLDER)
        self._lock = lock
        self._commit_turn = threading.Lock()
        self._publications = Gate(f"The workspace {path} was closed.")

    @classmethod
    def open(cls, path: str | os.PathLike[str] | None = None, mode: Literal["read", "write"] = "write") -> "Workspace":
        """Open the workspace in ``path`` (by default where ``workspace_folder`` says).

        For writing, the folder and database are made where absent and migrated where old, and what a process left
        that was killed is cleared away (see ``recovery``). Reading creates nothing.

        Raises ``WorkspaceBusy``, ``WorkspaceNotFound`` (reading), ``WorkspaceReadOnly``, ``WorkspaceFull``,
        ``WorkspaceTooNew``, ``WorkspaceNeedsUpgrade`` (reading), ``WorkspaceDamaged``.
        """
        folder = workspace_folder(path)
        if mode == "read":
            return cls(folder, Database.open_to_read(folder / DATABASE_FILE), None)
        if mode != "write":
            raise ValueError(f'mode is "read" or "write", not {mode!r}')
        try:
            with storage_errors(folder):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkspaceError(f"{folder} cannot be a workspace: {error.strerror}. Choose another.") from error
        lock = WorkspaceLock(folder / LOCK_FILE)
        try:
            database = Database.create(folder / DATABASE_FILE)
            try:
                with storage_errors(folder):
                    for name in (*ARTIFACT_FOLDERS, LOGS_FOLDER):
                        (folder / name).mkdir(exist_ok=True)
                workspace = cls(folder, database, lock)
                workspace.recovery = workspace._recover()
            except BaseException:
                database.close()
                raise
        except BaseException:
            lock.release()
            raise
        return workspace

    def close(self) -> None:
        """Wait for publications and operations of other threads, close the database, free the lock."""
        self._publications.close()
        self._database.close()
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> "Workspace":
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def publish_dataset(
        self,
        fingerprint: str,
        *,
        name: str,
        n_users: int,
        n_items: int,
        n_interactions: int,
        source: str = "",
        extra: Mapping[str, Any] | None = None,
    ) -> Iterator[Publication[DatasetRecord]]:
        """Publish a data set: write its files into ``publication.folder`` inside the block.

        The data set is listed once the block has ended and everything is on the disk; if the block raises, or the
        process dies, it never was. One that is here but damaged is replaced.

        Raises ``ArtifactExists`` where the same data are here undamaged, ``InvalidName``, ``NotWritable``,
        ``WorkspaceFull``, ``WorkspaceReadOnly``.
        """
        artifacts.check_folder_name(fingerprint)
        name = check_name(name)
        present = next((record for record in self.datasets() if record.fingerprint == fingerprint), None)
        if present is not None and not _is_damaged(self.folder_of(present)):
            raise ArtifactExists(f'These data are already in the workspace, as "{present.name}".')
        with self._publish(
            DATASETS_FOLDER,
            fingerprint,
            lambda connection, size_bytes: rows.insert_dataset(
                connection,
                fingerprint=fingerprint,
                name=name,
                n_users=n_users,
                n_items=n_items,
                n_interactions=n_interactions,
                source=source,
                extra=extra or {},
                size_bytes=size_bytes,
            ),
        ) as publication:
            yield publication

    @contextmanager
    def publish_model(
        self,
        name: str,
        *,
        algorithm: str,
        params: Mapping[str, Any],
        seed: int | None = None,
        dataset_fingerprint: str | None = None,
        run_id: str | None = None,
        metrics: Mapping[str, Any] | None = None,
        fit_seconds: float | None = None,
        peak_memory_bytes: int | None = None,
        note: str = "",
        activate: bool = True,
    ) -> Iterator[Publication[ModelRecord]]:
        """Publish the next version of the model ``name``; as ``publish_dataset``.

        The version number is given at the end, in the order in which publications end. The new version becomes the
        active one unless ``activate`` is False and there is another.
        """
        name = check_model_name(name)
        model_id = rows.new_id()
        with self._publish(
            MODELS_FOLDER,
            model_id,
            lambda connection, size_bytes: rows.insert_model(
                connection,
                model_id=model_id,
                name=name,
                algorithm=algorithm,
                params=params,
                seed=seed,
                dataset_fingerprint=dataset_fingerprint,
                run_id=run_id,
                metrics=metrics or {},
                fit_seconds=fit_seconds,
                peak_memory_bytes=peak_memory_bytes,
                note=note,
                activate=activate,
                size_bytes=size_bytes,
            ),
        ) as publication:
            yield publication

    @contextmanager
    def publish_evaluation(
        self,
        *,
        split: Mapping[str, Any],
        payload: Mapping[str, Any],
        metrics: Sequence[MetricRecord] = (),
        dataset_fingerprint: str | None = None,
        seed: int | None = None,
        k: int | None = None,
        run_id: str | None = None,
    ) -> Iterator[Publication[EvaluationRecord]]:
        """Publish a comparison with its figures; files (per-user vectors, lists) go into ``publication.folder``."""
        evaluation_id = rows.new_id()
        with self._publish(
            REPORTS_FOLDER,
            evaluation_id,
            lambda connection, size_bytes: rows.insert_evaluation(
                connection,
                evaluation_id=evaluation_id,
                run_id=run_id,
                dataset_fingerprint=dataset_fingerprint,
                split=split,
                seed=seed,
                k=k,
                payload=payload,
                metrics=metrics,
                size_bytes=size_bytes,
            ),
        ) as publication:
            yield publication

    @contextmanager
    def _publish(
        self, kind: str, name: str, insert: Callable[[sqlite3.Connection, int], Record]
    ) -> Iterator[Publication[Record]]:
        if self._lock is None:
            raise NotWritable(self.path)
        parent = self.path / kind
        with self._publications.entered():
            with storage_errors(parent):
                partial = artifacts.create_partial(parent, name)
            publication: Publication[Record] = Publication(partial)
            try:
                with _storage_errors_inside(partial):
                    yield publication
                with storage_errors(partial):
                    size = artifacts.seal(partial)
                with self._commit_turn:
                    publication._record = self._commit(kind, name, partial, lambda connection: insert(connection, size))
                publication.folder = parent / name
            except BaseException:
                artifacts.discard(partial)
                raise

    def _commit(self, kind: str, name: str, partial: Path, insert: Callable[[sqlite3.Connection], Record]) -> Record:
        """Put a sealed folder in its place and record it. A crash between two steps leaves nothing listed."""
        final = self.path / kind / name
        with self._database.writing() as connection:
            rows.announce_artifact(connection, kind, name)
        with storage_errors(final):
            self._make_room(final)
            rename(partial, final)
        try:
            with self._database.writing() as connection:
                record = insert(connection)
                rows.forget_artifact(connection, kind, name)
        except BaseException:
            artifacts.discard(final)
            raise
        return record

    def _make_room(self, final: Path) -> None:
        """Clear the final place of a folder that is damaged, or that no record knows."""
        if not final.exists():
            return
        with self._database.reading() as connection:
            known = any(self.folder_of(record) == final for record in rows.recorded_artifacts(connection))
        if not known:
            artifacts.set_aside(final)
        elif not _is_damaged(final):
            raise ArtifactExists("These data were put into the workspace in the meantime.")
        elif not artifacts.discard(final):
            raise ArtifactDamaged(final, "and it cannot be replaced while another program has it open")

    def delete_dataset(self, record: DatasetRecord) -> None:
        """Delete a data set; models trained on it stay. Raises ``RecordNotFound`` where it is gone already."""
        self._delete(DATASETS_FOLDER, record.fingerprint, lambda connection: rows.delete_dataset(connection, record))

    def delete_model(self, record: ModelRecord) -> None:
        """Delete one version; if it was active, the newest that remains becomes active. Its number is not reused."""
        self._delete(MODELS_FOLDER, record.id, lambda connection: rows.delete_model(connection, record))

    def delete_evaluation(self, record: EvaluationRecord) -> None:
        """Delete an evaluation with its figures and files."""
        self._delete(REPORTS_FOLDER, record.id, lambda connection: rows.delete_evaluation(connection, record))

    def _delete(self, kind: str, name: str, delete_row: Callable[[sqlite3.Connection], None]) -> None:
        """First the row, so that it is listed no more, then the folder; a crash between leaves it to be swept."""
        with self._publications.entered():
            with self._database.writing() as connection:
                delete_row(connection)
                rows.announce_artifact(connection, kind, name)
            if artifacts.discard(self.path / kind / name):
                with self._database.writing() as connection:
                    rows.forget_artifact(connection, kind, name)

    def resumable_runs(self) -> list[RunRecord]:
        """Killed runs that have left a checkpoint, newest first.

        A killed run is marked when the workspace is next opened for writing; opened for reading, one that is not
        marked yet is told from one at work by the lock.
        """
        runs = [run for run in self.runs() if run.state in ("died", "running") and self.checkpoints.holds(run.id)]
        if any(run.state == "running" for run in runs) and is_locked(self.path / LOCK_FILE):
            return [run for run in runs if run.state == "died"]
        return runs

    def verify(self, record: ArtifactRecord, *, contents: bool = True) -> None:
        """Check a record's files against their checksums; ``contents=False`` compares sizes only, which is instant.

        Raises ``ArtifactDamaged``, which names the file.
        """
        artifacts.verify(self.folder_of(record), contents=contents)

    def good_versions(self, name: str) -> Iterator[ModelRecord]:
        """The undamaged versions of a model, newest first, each verified when it is reached."""
        for record in self.models(name):
            try:
                self.verify(record)
            except ArtifactDamaged as damage:
                logger.warning("%s is passed over: %s", record.label, damage)
            else:
                yield record

    def check(self, *, contents: bool = True) -> WorkspaceHealth:
        """Examine the database and every artifact; ``contents=False`` compares sizes only."""
        problems: list[str] = []
        with self._database.reading() as connection:
            version = schema_version(connection)
            answers = [str(row[0]) for row in connection.execute("PRAGMA quick_check")]
            recorded = rows.recorded_artifacts(connection)
        if answers != ["ok"]:
            problems.append(f"The database {self.path / DATABASE_FILE} is damaged: {'; '.join(answers)}.")
        for record in recorded:
            try:
                self.verify(record, contents=contents)
            except ArtifactDamaged as damage:
                problems.append(f"{_describe(record)}: {damage}")
        problems += [
            f"{folder} is known to no record; move it away if you do not need it."
            for folder in self._unlisted(recorded)
        ]
        files = (Path(folder, name) for folder, _, names in os.walk(self.path) for name in names)
        return WorkspaceHealth(
            path=str(self.path),
            schema_version=version,
            size_bytes=sum(_size_if_there(file) for file in files),
            free_bytes=shutil.disk_usage(self.path).free,
            n_datasets=sum(isinstance(record, DatasetRecord) for record in recorded),
            n_models=sum(isinstance(record, ModelRecord) for record in recorded),
            n_evaluations=sum(isinstance(record, EvaluationRecord) for record in recorded),
            problems=tuple(problems),
        )

    def _recover(self) -> Recovery:
        """Clear away what a killed writer left. Safe because the lock is held and nothing is being published yet."""
        with self._database.reading() as connection:
            announced = rows.announced_artifacts(connection)
            recorded = rows.recorded_artifacts(connection)
            running = [row["id"] for row in connection.execute("SELECT id FROM runs WHERE state = 'running'")]
        folders = {self.folder_of(record) for record in recorded}
        swept: list[Path] = []
        settled: list[tuple[str, str]] = []
        for kind, name in announced:
            folder = self.path / kind / name
            if folder not in folders and folder.exists():
                swept.append(folder)
                if not artifacts.discard(folder):
                    continue
            settled.append((kind, name))
        for kind in ARTIFACT_FOLDERS:
            for leftover in artifacts.leftovers(self.path / kind):
                swept.append(leftover)
                artifacts.discard(leftover)
        missing = [record for record in recorded if not artifacts.is_complete(self.folder_of(record))]
        stand_ins = list(self._stand_ins(missing))
        died: list[RunRecord] = []
        if running or settled or stand_ins:
            resumable = {run_id for run_id in running if self.checkpoints.holds(run_id)}
            with self._database.writing() as connection:
                died = rows.mark_died_runs(connection, resumable)
                for kind, name in settled:
                    rows.forget_artifact(connection, kind, name)
                for absent, newest in stand_ins:
                    rows.move_activation(connection, absent, newest)
        swept += self.checkpoints.sweep({run.id for run in self.resumable_runs()[:KEPT_CHECKPOINTS]})
        recovery = Recovery(
            died_runs=tuple(died),
            swept=tuple(map(str, swept)),
            missing=tuple(map(_describe, missing)),
            unlisted=tuple(map(str, self._unlisted(recorded))),
        )
        for run in recovery.died_runs:
            logger.warning("Run %s (%s) stopped with its process and is marked as died", run.id, run.kind)
        for folder_name in recovery.swept:
            logger.info("Removed the unfinished %s", folder_name)
        for description in recovery.missing:
            logger.warning("The folder of %s is missing or incomplete; it is not listed", description)
        return recovery

    def _stand_ins(self, missing: Sequence[ArtifactRecord]) -> Iterator[tuple[ModelRecord, ModelRecord]]:
        """Active versions whose folder is gone, each with the newest version of its name that is there."""
        for record in missing:
            if isinstance(record, ModelRecord) and record.active:
                present = self.models(record.name)
                if present:
                    yield record, present[0]

    def _unlisted(self, recorded: Sequence[ArtifactRecord]) -> list[Path]:
        """Folders among the artifacts that belong to no record and are not in the making."""
        folders = {self.folder_of(record) for record in recorded}
        unfinished = (artifacts.PARTIAL_PREFIX, artifacts.DELETING_PREFIX)
        return [
            path
            for kind in ARTIFACT_FOLDERS
            for path in sorted((self.path / kind).glob("*"))
            if path.is_dir() and path not in folders and not path.name.startswith(unfinished)
        ]


def _is_damaged(folder: Path) -> bool:
    try:
        artifacts.verify(folder)
    except ArtifactDamaged:
        return True
    return False


def _describe(record: ArtifactRecord) -> str:
    if isinstance(record, DatasetRecord):
        return f'data set "{record.name}" ({record.fingerprint})'
    if isinstance(record, ModelRecord):
        return f"model {record.label} ({record.id})"
    return f"evaluation {record.id}"


def _size_if_there(file: Path) -> int:
    """The size of a file, 0 where a writer has removed it in the meantime."""
    try:
        return file.lstat().st_size
    except FileNotFoundError:
        return 0


@contextmanager
def _storage_errors_inside(folder: Path) -> Iterator[None]:
    """Type the storage failures of whoever fills ``folder``; a file elsewhere that may not be read is not ours."""
    try:
        yield
    except WorkspaceError:
        raise
    except Exception as error:
        typed = storage_error(error, folder)
        is_ours = isinstance(typed, WorkspaceReadOnly) and typed.path.is_relative_to(folder)
        if typed is not None and (is_ours or isinstance(typed, WorkspaceFull)):
            raise typed from error
        raise
