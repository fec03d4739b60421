"""The SQLite database of a workspace: a connection per thread, transactions, and an orderly end."""

import logging
import os
import shutil
import sqlite3
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath

from recsys_desktop.workspace.errors import (
    NotWritable,
    WorkspaceClosed,
    WorkspaceNeedsUpgrade,
    WorkspaceNotFound,
    WorkspaceUnreadable,
    storage_errors,
)
from recsys_desktop.workspace.schema import CURRENT_VERSION, check_database, migrate

logger = logging.getLogger(__name__)

BUSY_TIMEOUT_SECONDS = 10.0


def database_uri(path: PurePath, mode: str) -> str:
    """The SQLite URI of an absolute path, on POSIX or Windows, network shares included. ``mode``: rwc, rw or ro."""
    uri = path.as_uri()
    if not uri.startswith("file:///"):
        # A share is file://server/share/...; SQLite accepts no host, but the same path after an empty one.
        uri = "file:////" + uri.removeprefix("file://")
    return f"{uri}?mode={mode}"


class Gate:
    """Counts who is inside; once closed nobody enters, and closing waits until everybody has left."""

    def __init__(self, closed_message: str) -> None:
        self._closed_message = closed_message
        self._condition = threading.Condition()
        self._inside: dict[int, int] = {}
        self._closed = False

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be inside for the length of the block; a thread that is inside may enter again even when closing has begun.

        Raises ``WorkspaceClosed`` once the gate is closed.
        """
        thread = threading.get_ident()
        with self._condition:
            if self._closed and thread not in self._inside:
                raise WorkspaceClosed(self._closed_message)
            self._inside[thread] = self._inside.get(thread, 0) + 1
        try:
            yield
        finally:
            with self._condition:
                self._inside[thread] -= 1
                if not self._inside[thread]:
                    del self._inside[thread]
                    self._condition.notify_all()

    def close(self) -> None:
        """Let nobody in any more and wait until all are out; called from inside, it raises ``RuntimeError``."""
        with self._condition:
            if threading.get_ident() in self._inside:
                raise RuntimeError("the workspace was closed from inside one of its own operations")
            self._closed = True
            self._condition.wait_for(lambda: not self._inside)


class _ThreadConnection:
    """A thread's own connection; closes with the thread, whose local storage holds the only strong reference."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def close(self) -> None:
        self.connection.close()

    def __del__(self) -> None:
        self.connection.close()


class Database:
    """The open database. Every thread gets its own connection; writers of this process take turns.

    Use ``Database.create`` for writing (creates and migrates) or ``Database.open_to_read``.
    """

    def __init__(self, path: Path, *, writable: bool) -> None:
        self.path = path
        self.writable = writable
        self._snapshot: tempfile.TemporaryDirectory[str] | None = None
        self._local = threading.local()
        self._connections: weakref.WeakSet[_ThreadConnection] = weakref.WeakSet()
        self._connections_guard = threading.Lock()
        self._write_turn = threading.RLock()
        self._gate = Gate(f"The workspace {path.parent} was closed.")
        self._process = os.getpid()

    @classmethod
    def create(cls, path: Path) -> "Database":
        """Open for writing; an absent database is created, an older one backed up and migrated."""
        database = cls(path, writable=True)
        try:
            with storage_errors(path):
                connection = database._connection()
                migrate(connection, path)
                journal = str(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0])
            if journal != "wal":
                logger.warning(
                    "%s is on a file system without shared memory (journal mode %s): others can read it only between "
                    "two writes",
                    path,
                    journal,
                )
        except BaseException:
            database.close()
            raise
        return database

    @classmethod
    def open_to_read(cls, path: Path) -> "Database":
        """Open for reading, beside a writer or alone, also where the folder is read-only; creates nothing that stays.

        Raises ``WorkspaceNotFound``, ``WorkspaceNeedsUpgrade``, ``WorkspaceTooNew`` or ``WorkspaceDamaged``.
        """
        try:
            if not path.is_file():
                raise WorkspaceNotFound(path.parent)
        except PermissionError as error:
            raise WorkspaceUnreadable(path, str(error.strerror)) from error
        database = cls(path, writable=False)
        try:
            with storage_errors(path):
                version = database._first_look()
            if version == 0:
                raise WorkspaceNotFound(path.parent)
            if version < CURRENT_VERSION:
                raise WorkspaceNeedsUpgrade(path, version, CURRENT_VERSION)
        except BaseException:
            database.close()
            raise
        return database

    def _first_look(self) -> int:
        try:
            return check_database(self._connection(), self.path)
        except sqlite3.OperationalError as error:
            name = getattr(error, "sqlite_errorname", "") or ""
            if not name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN")):
                raise
        # A write-ahead log is read through a shared-memory file, which cannot be made in a read-only folder. No
        # writer is there either (its file would exist), so a copy holds all that was committed.
        self._snapshot = tempfile.TemporaryDirectory(prefix="recsys-desktop-")
        try:
            for suffix in ("", "-wal", "-journal"):
                source = self.path.with_name(f"{self.path.name}{suffix}")
                if source.is_file():
                    shutil.copyfile(source, Path(self._snapshot.name, source.name))
        except PermissionError as error:
            raise WorkspaceUnreadable(self.path, str(error.strerror)) from error
        return check_database(self._connection(), self.path)

    def _connection(self) -> sqlite3.Connection:
        if os.getpid() != self._process:
            raise WorkspaceClosed(f"The workspace {self.path.parent} was opened before this process was forked.")
        mine: _ThreadConnection | None = getattr(self._local, "mine", None)
        if mine is None:
            mine = _ThreadConnection(self._connect())
            self._local.mine = mine
            with self._connections_guard:
                self._connections.add(mine)
        return mine.connection

    def _connect(self) -> sqlite3.Connection:
        path = self.path if self._snapshot is None else Path(self._snapshot.name, self.path.name)
        # A reader opens "rw" too (it falls back by itself where it may not write): one that cannot clean up after
        # itself would leave its -shm and -wal files behind. query_only keeps it from changing anything.
        connection = sqlite3.connect(
            database_uri(path, "rwc" if self.writable else "rw"),
            uri=True,
            timeout=BUSY_TIMEOUT_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA synchronous = FULL")
            if not self.writable:
                connection.execute("PRAGMA query_only = ON")
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A consistent view for the length of the block; inside ``writing`` of the same thread, that transaction."""
        with self._gate.entered(), storage_errors(self.path):
            connection = self._connection()
            if connection.in_transaction:
                yield connection
                return
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of the block is kept, or, if it raises, none.

        Raises ``NotWritable`` where the database was opened for reading.
        """
        if not self.writable:
            raise NotWritable(self.path.parent)
        with self._gate.entered(), self._write_turn, storage_errors(self.path):
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Wait for running operations of other threads, then close every connection; a second call does nothing."""
        self._gate.close()
        with self._connections_guard:
            connections = list(self._connections)
            self._connections = weakref.WeakSet()
        for connection in connections:
            connection.close()
        if self._snapshot is not None:
            self._snapshot.cleanup()
            self._snapshot = None
