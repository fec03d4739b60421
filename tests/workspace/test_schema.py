"""Migrations: from an older version, through a failure, away from a newer one."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from recsys_desktop.workspace import (
    Workspace,
    WorkspaceDamaged,
    WorkspaceFull,
    WorkspaceNeedsUpgrade,
    WorkspaceTooNew,
    schema,
)
from recsys_desktop.workspace.schema import APPLICATION_ID, CURRENT_VERSION, migrate

VERSION_1 = (Path(__file__).parent / "schema_version_1.sql").read_text(encoding="utf-8")


def add_colour(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE models ADD COLUMN colour TEXT NOT NULL DEFAULT 'green'")


def rebuild_runs(connection: sqlite3.Connection) -> None:
    """A table that others refer to is rebuilt, as SQLite requires for most changes."""
    connection.execute("CREATE TABLE runs_new AS SELECT * FROM runs")
    connection.execute("DROP TABLE runs")
    connection.execute("ALTER TABLE runs_new RENAME TO runs")
    connection.execute("CREATE UNIQUE INDEX runs_by_id ON runs (id)")


def drop_runs(connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM runs")


def fail(connection: sqlite3.Connection) -> None:
    connection.execute("DROP TABLE settings")
    raise RuntimeError("the step does not work")


@pytest.fixture
def version_1(folder: Path) -> Path:
    """A workspace database as version 1 left it, with a row in every table."""
    folder.mkdir()
    database = folder / "workspace.sqlite"
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(VERSION_1)
    model = folder / "models" / "aaaaaaaaaaaa"
    model.mkdir(parents=True)
    (model / "checksums.json").write_text('{"format": 1, "files": {}}')
    return database


def dump(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()
        return [*connection.iterdump(), str(version)]


def test_version_1_is_opened_with_everything_in_it(version_1: Path, folder: Path) -> None:
    with Workspace.open(folder) as workspace:
        (model,) = workspace.models()
        assert (model.label, model.active, model.params) == ("ease@3", True, {"l2": 500.0})
        assert workspace.setting("theme") == "dark"
        assert [run.state for run in workspace.runs()] == ["died", "done"]
        assert [value.value for value in workspace.run_values("run-done")] == [0.5, 0.25]
        assert [interaction.item for interaction in workspace.interactions(person="u1")] == ["i9"]
    with closing(sqlite3.connect(version_1)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == CURRENT_VERSION


def test_steps_run_in_order_after_a_backup(version_1: Path) -> None:
    before = dump(version_1)
    with closing(sqlite3.connect(version_1, isolation_level=None)) as connection:
        backup = migrate(connection, version_1, (*schema.MIGRATIONS[:1], add_colour, rebuild_runs))
        assert connection.execute("SELECT colour FROM models").fetchone() == ("green",)
        assert connection.execute("SELECT count(*) FROM run_values").fetchone() == (2,)
        assert connection.execute("PRAGMA user_version").fetchone() == (3,)
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
        assert migrate(connection, version_1, (*schema.MIGRATIONS[:1], add_colour, rebuild_runs)) is None
    assert backup == version_1.with_name("workspace-version-1.backup.sqlite")
    assert dump(backup) == before


def test_failing_step_leaves_the_original_and_its_backup(version_1: Path) -> None:
    before = dump(version_1)
    with closing(sqlite3.connect(version_1, isolation_level=None)) as connection:
        with pytest.raises(RuntimeError, match="does not work"):
            migrate(connection, version_1, (*schema.MIGRATIONS[:1], add_colour, fail))
        assert not connection.in_transaction
    assert dump(version_1) == before
    assert dump(version_1.with_name("workspace-version-1.backup.sqlite")) == before


def test_step_that_breaks_references_is_undone(version_1: Path) -> None:
    before = dump(version_1)
    with (
        closing(sqlite3.connect(version_1, isolation_level=None)) as connection,
        pytest.raises(WorkspaceDamaged, match="do not exist"),
    ):
        migrate(connection, version_1, (*schema.MIGRATIONS[:1], drop_runs))
    assert dump(version_1) == before


def test_no_room_for_the_backup_means_no_migration(version_1: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = dump(version_1)

    def no_space(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(schema, "flush_file", no_space)
    with (
        closing(sqlite3.connect(version_1, isolation_level=None)) as connection,
        pytest.raises(WorkspaceFull, match="backup"),
    ):
        migrate(connection, version_1, (*schema.MIGRATIONS[:1], add_colour))
    assert dump(version_1) == before
    assert [path.name for path in version_1.parent.glob("*backup*")] == []
    assert [path.name for path in version_1.parent.glob(".*")] == []


def test_backup_holds_what_is_still_in_the_write_ahead_log(version_1: Path) -> None:
    with closing(sqlite3.connect(version_1, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("INSERT INTO settings VALUES ('late', '1')")
        assert version_1.with_name("workspace.sqlite-wal").stat().st_size > 0
        backup = schema.back_up(connection, version_1, 1)
    with closing(sqlite3.connect(backup)) as copy:
        assert copy.execute("SELECT value FROM settings WHERE key = 'late'").fetchone() == ("1",)


def test_journal_of_a_killed_backup_does_not_reach_the_next_one(version_1: Path, folder: Path) -> None:
    """Played back, the journal of another copy would put its old pages into the new one."""
    partial = folder / ".workspace-version-1.backup.sqlite.partial"
    partial.write_bytes(b"half a copy")
    journal = partial.with_name(f"{partial.name}-journal")
    journal.write_bytes(b"its journal")
    with closing(sqlite3.connect(version_1, isolation_level=None)) as connection:
        backup = schema.back_up(connection, version_1, 1)
    assert dump(backup) == dump(version_1)
    assert not partial.exists()
    assert not journal.exists()


@pytest.mark.parametrize("mode", ["read", "write"])
def test_newer_version_is_refused_and_left_alone(version_1: Path, folder: Path, mode: str) -> None:
    with closing(sqlite3.connect(version_1)) as connection:
        connection.execute("PRAGMA user_version = 99")
    before = version_1.read_bytes()
    with pytest.raises(WorkspaceTooNew, match=f"format 99; this version knows up to {CURRENT_VERSION}"):
        Workspace.open(folder, mode=mode)  # type: ignore[arg-type]
    assert version_1.read_bytes() == before


def test_reader_of_an_older_version_is_told_to_open_it_for_writing(
    version_1: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recsys_desktop.workspace.database.CURRENT_VERSION", 2)
    with pytest.raises(WorkspaceNeedsUpgrade, match="backup is kept"):
        Workspace.open(folder, mode="read")


@pytest.mark.parametrize("mode", ["read", "write"])
def test_database_of_another_program_is_refused_and_left_alone(folder: Path, mode: str) -> None:
    folder.mkdir()
    database = folder / "workspace.sqlite"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("CREATE TABLE bookmarks (url TEXT)")
    before = database.read_bytes()
    with pytest.raises(WorkspaceDamaged, match="another program"):
        Workspace.open(folder, mode=mode)  # type: ignore[arg-type]
    assert database.read_bytes() == before


@pytest.mark.parametrize("mode", ["read", "write"])
def test_damaged_database_is_named(workspace: Workspace, folder: Path, mode: str) -> None:
    workspace.close()
    database = folder / "workspace.sqlite"
    database.write_bytes(b"\0" * 100 + database.read_bytes()[100:])
    with pytest.raises(WorkspaceDamaged, match="backup"):
        Workspace.open(folder, mode=mode)  # type: ignore[arg-type]


def test_database_cut_in_half_is_found(workspace: Workspace, folder: Path) -> None:
    workspace.close()
    database = folder / "workspace.sqlite"
    content = database.read_bytes()
    database.write_bytes(content[: len(content) // 2])
    with pytest.raises(WorkspaceDamaged, match=r"workspace\.sqlite"), Workspace.open(folder) as reopened:
        reopened.start_run("train", {})
        reopened.models()


def test_fresh_database_is_marked_as_ours(workspace: Workspace, folder: Path) -> None:
    with closing(sqlite3.connect(folder / "workspace.sqlite")) as connection:
        assert connection.execute("PRAGMA application_id").fetchone()[0] == APPLICATION_ID
        assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert list(folder.glob("*backup*")) == []
