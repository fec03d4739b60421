"""The database schema and its migrations: one function a step, all pending steps in one transaction, after a backup."""

import logging
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from recsys_desktop.workspace.durable import flush_file, flush_folder
from recsys_desktop.workspace.errors import WorkspaceDamaged, WorkspaceTooNew, storage_errors

logger = logging.getLogger(__name__)

Migration = Callable[[sqlite3.Connection], None]

# Marks the file as ours ("RcSD"), so that another program's database is never migrated.
APPLICATION_ID = 0x52635344


def create_first_tables(connection: sqlite3.Connection) -> None:
    """Step 0 to 1: everything that the first release records."""
    for statement in _FIRST_TABLES:
        connection.execute(statement)


_FIRST_TABLES = (
    """
    CREATE TABLE datasets (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        fingerprint TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        n_users INTEGER NOT NULL,
        n_items INTEGER NOT NULL,
        n_interactions INTEGER NOT NULL,
        source TEXT NOT NULL,
        extra TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        created REAL NOT NULL
    )
    """,
    "CREATE INDEX datasets_by_name ON datasets (name)",
    """
    CREATE TABLE runs (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        state TEXT NOT NULL,
        request TEXT NOT NULL,
        result TEXT NOT NULL,
        started REAL NOT NULL,
        finished REAL,
        error TEXT,
        dataset_fingerprint TEXT
    )
    """,
    "CREATE INDEX runs_by_state ON runs (state)",
    """
    CREATE TABLE run_values (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        step INTEGER NOT NULL,
        name TEXT NOT NULL,
        value REAL,
        time REAL NOT NULL
    )
    """,
    "CREATE INDEX run_values_by_run ON run_values (run_id, name)",
    # Outlives the versions themselves, so that a deleted version's number is never given again.
    """
    CREATE TABLE model_names (
        name TEXT PRIMARY KEY,
        last_version INTEGER NOT NULL,
        active_version INTEGER
    )
    """,
    """
    CREATE TABLE models (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL REFERENCES model_names (name),
        version INTEGER NOT NULL,
        algorithm TEXT NOT NULL,
        params TEXT NOT NULL,
        seed INTEGER,
        dataset_fingerprint TEXT,
        run_id TEXT REFERENCES runs (id) ON DELETE SET NULL,
        metrics TEXT NOT NULL,
        fit_seconds REAL,
        peak_memory_bytes INTEGER,
        size_bytes INTEGER NOT NULL,
        note TEXT NOT NULL,
        created REAL NOT NULL,
        UNIQUE (name, version)
    )
    """,
    """
    CREATE TABLE evaluations (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        run_id TEXT REFERENCES runs (id) ON DELETE SET NULL,
        dataset_fingerprint TEXT,
        split TEXT NOT NULL,
        seed INTEGER,
        k INTEGER,
        payload TEXT NOT NULL,
        size_bytes INTEGER NOT NULL,
        created REAL NOT NULL
    )
    """,
    """
    CREATE TABLE metrics (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        evaluation_id TEXT NOT NULL REFERENCES evaluations (id) ON DELETE CASCADE,
        algorithm TEXT NOT NULL,
        model_id TEXT,
        metric TEXT NOT NULL,
        k INTEGER,
        value REAL,
        low REAL,
        high REAL
    )
    """,
    "CREATE INDEX metrics_by_evaluation ON metrics (evaluation_id)",
    """
    CREATE TABLE interactions (
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        dataset_fingerprint TEXT,
        person TEXT NOT NULL,
        item TEXT NOT NULL,
        kind TEXT NOT NULL,
        value REAL,
        time REAL NOT NULL
    )
    """,
    "CREATE INDEX interactions_by_person ON interactions (person, time)",
    "CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL)",
    # Folders that are between two states: named before the rename that publishes or deletes them, forgotten after.
    # Only these are ever swept; a folder that nobody announced is left alone.
    """
    CREATE TABLE pending_artifacts (
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        PRIMARY KEY (kind, name)
    )
    """,
)

MIGRATIONS: tuple[Migration, ...] = (create_first_tables,)
CURRENT_VERSION = len(MIGRATIONS)


def schema_version(connection: sqlite3.Connection) -> int:
    """The number of migration steps the database has seen; 0 for an empty one."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def check_database(connection: sqlite3.Connection, database: Path, newest_known: int = CURRENT_VERSION) -> int:
    """The schema version of a database that is empty or a workspace's.

    Raises ``WorkspaceTooNew`` for a version above ``newest_known``, ``WorkspaceDamaged`` for another program's file.
    """
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    tables = int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    if tables and application != APPLICATION_ID:
        raise WorkspaceDamaged(database, "it is a database of another program")
    version = schema_version(connection)
    if version > newest_known:
        raise WorkspaceTooNew(database, version, newest_known)
    return version


def migrate(
    connection: sqlite3.Connection, database: Path, migrations: Sequence[Migration] = MIGRATIONS
) -> Path | None:
    """Bring the database up to date; returns the backup that was made, or None where nothing had to change.

    The pending steps run in one transaction: if one raises, the database is as it was. ``connection`` must be in
    autocommit mode and the only writer.
    """
    version = check_database(connection, database, len(migrations))
    if version == len(migrations):
        return None
    backup = back_up(connection, database, version) if version else None
    # A step may rebuild a table that others refer to; references are checked as a whole before the commit.
    connection.execute("PRAGMA foreign_keys = OFF")
    try:
        connection.execute("BEGIN EXCLUSIVE")
        try:
            for step in migrations[version:]:
                step(connection)
            dangling = connection.execute("PRAGMA foreign_key_check").fetchall()
            if dangling:
                raise WorkspaceDamaged(database, f"{len(dangling)} rows refer to records that do not exist")
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {len(migrations)}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    finally:
        connection.execute("PRAGMA foreign_keys = ON")
    if backup is not None:
        logger.info("Migrated %s from version %d to %d; backup: %s", database, version, len(migrations), backup)
    return backup


def back_up(connection: sqlite3.Connection, database: Path, version: int) -> Path:
    """Copy the database, write-ahead log included, to ``<stem>-version-<n>.backup<suffix>`` beside it."""
    target = database.with_name(f"{database.stem}-version-{version}.backup{database.suffix}")
    partial = target.with_name(f".{target.name}.partial")
    with storage_errors(target):
        # A journal that a killed process left would be played back into the new copy.
        for leftover in (partial, partial.with_name(f"{partial.name}-journal")):
            leftover.unlink(missing_ok=True)
        try:
            with closing(sqlite3.connect(partial)) as copy:
                connection.backup(copy)
            flush_file(partial)
            partial.replace(target)
            flush_folder(target.parent)
        finally:
            partial.unlink(missing_ok=True)
    return target
