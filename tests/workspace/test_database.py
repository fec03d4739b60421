"""Connections of threads, transactions, and closing in order."""

import gc
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath, PureWindowsPath

import pytest

from recsys_desktop.workspace import RunLog, RunValue, Workspace, WorkspaceClosed, WorkspaceDamaged, WorkspaceError
from recsys_desktop.workspace.database import Database, Gate, database_uri


@pytest.mark.parametrize(
    ("path", "uri"),
    [
        (PurePosixPath("/home/a b/50%#?.sqlite"), "file:///home/a%20b/50%25%23%3F.sqlite?mode=ro"),
        (PureWindowsPath("C:/Users/ü/w.sqlite"), "file:///C:/Users/%C3%BC/w.sqlite?mode=ro"),
        (PureWindowsPath("//server/share/w.sqlite"), "file:////server/share/w.sqlite?mode=ro"),
    ],
)
def test_uri_of_every_kind_of_path(path: PurePosixPath, uri: str) -> None:
    assert database_uri(path, "ro") == uri


def test_every_thread_has_its_own_connection_and_gives_it_back(folder: Path) -> None:
    folder.mkdir()
    database = Database.create(folder / "workspace.sqlite")
    seen: list[sqlite3.Connection] = []
    together = threading.Barrier(4)

    def work() -> None:
        for _ in range(3):
            with database.reading() as connection:
                seen.append(connection)
        together.wait(10)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 12
    assert len({id(connection) for connection in seen}) == 4
    gc.collect()
    for connection in seen:
        with pytest.raises(sqlite3.ProgrammingError, match="closed"):
            connection.execute("SELECT 1")
    with database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone()[0] == 0
    database.close()


def test_many_threads_read_while_others_write_and_nothing_is_lost(workspace: Workspace) -> None:
    runs = [workspace.start_run("train", {"thread": thread}).id for thread in range(4)]
    stop = threading.Event()

    def write(run_id: str) -> None:
        for step in range(50):
            workspace.append_run_values(run_id, [RunValue(step, "loss", step / 10, 0.0), RunValue(step, "f", 1.0, 0.0)])

    def read() -> int:
        n_looks = 0
        while not stop.is_set() or n_looks == 0:
            for run_id in runs:
                assert len(workspace.run_values(run_id)) % 2 == 0, "half a batch was seen"
            n_looks += 1
        return n_looks

    with ThreadPoolExecutor(8) as pool:
        readers = [pool.submit(read) for _ in range(4)]
        writers = [pool.submit(write, run_id) for run_id in runs]
        for writer in writers:
            writer.result()
        stop.set()
        assert all(reader.result() > 0 for reader in readers)
    for run_id in runs:
        assert [value.step for value in workspace.run_values(run_id, "loss")] == list(range(50))


def test_raising_block_undoes_its_transaction(folder: Path) -> None:
    folder.mkdir()
    database = Database.create(folder / "workspace.sqlite")

    def half_a_change() -> None:
        with database.writing() as connection:
            connection.execute("INSERT INTO settings VALUES ('half', '1')")
            raise KeyError("midway")

    with pytest.raises(KeyError):
        half_a_change()
    with database.writing() as connection:
        connection.execute("INSERT INTO settings VALUES ('whole', '1')")
    with database.reading() as connection:
        assert [row["key"] for row in connection.execute("SELECT key FROM settings")] == ["whole"]
    database.close()


def test_references_are_enforced(workspace: Workspace) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        workspace.append_run_values("no-such-run", [RunValue(1, "loss", 0.0, 0.0)])


def test_a_closed_workspace_says_so_in_every_thread(workspace: Workspace) -> None:
    workspace.models()
    workspace.close()
    workspace.close()
    with pytest.raises(WorkspaceClosed, match="was closed"):
        workspace.models()
    with ThreadPoolExecutor(1) as pool, pytest.raises(WorkspaceClosed):
        pool.submit(workspace.models).result()


def test_closing_waits_for_a_publication_in_another_thread(workspace: Workspace, folder: Path) -> None:
    inside = threading.Event()
    may_end = threading.Event()

    def publish() -> None:
        with workspace.publish_model("slow", algorithm="ease", params={}) as publication:
            (publication.folder / "weights").write_bytes(b"1")
            inside.set()
            may_end.wait(30)

    with ThreadPoolExecutor(2) as pool:
        publishing = pool.submit(publish)
        assert inside.wait(10)
        closing = pool.submit(workspace.close)
        time.sleep(0.1)
        assert not closing.done()
        may_end.set()
        publishing.result(10)
        closing.result(10)
    with Workspace.open(folder) as reopened:
        assert [record.label for record in reopened.models()] == ["slow@1"]
        assert reopened.recovery.swept == ()


def test_closing_from_inside_a_publication_is_refused_rather_than_waiting_for_itself(workspace: Workspace) -> None:
    with workspace.publish_model("own", algorithm="ease", params={}), pytest.raises(RuntimeError, match="inside"):
        workspace.close()
    assert [record.label for record in workspace.models()] == ["own@1"]


def test_gate_lets_nobody_in_once_closed() -> None:
    gate = Gate("shut")
    with gate.entered(), gate.entered():
        pass
    gate.close()
    with pytest.raises(WorkspaceClosed, match="shut"), gate.entered():
        pass


def test_run_log_loses_nothing_from_many_threads(workspace: Workspace) -> None:
    run = workspace.start_run("train", {})
    with RunLog(workspace, run.id) as log, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda step: log.add(step, loss=1.0 / (step + 1), ndcg=step), range(2000)))
    stored = workspace.run_values(run.id)
    assert sorted(value.step for value in stored if value.name == "loss") == list(range(2000))
    assert len(stored) == 4000


def test_run_log_stores_while_it_runs_and_keeps_what_could_not_be_stored(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = workspace.start_run("train", {})
    log = RunLog(workspace, run.id)
    for step in range(600):
        log.add(step, loss=0.5)
    assert len(workspace.run_values(run.id)) >= 512
    with monkeypatch.context() as broken:
        broken.setattr(workspace, "append_run_values", lambda *_: (_ for _ in ()).throw(WorkspaceError("full")))
        log.add(600, loss=0.25)
        with pytest.raises(WorkspaceError):
            log.flush()
    log.flush()
    assert [value.step for value in workspace.run_values(run.id)] == list(range(601))


def test_damage_found_by_a_query_is_typed(workspace: Workspace) -> None:
    def damaged() -> None:
        with workspace._database.reading():
            error = sqlite3.DatabaseError("database disk image is malformed")
            error.sqlite_errorname = "SQLITE_CORRUPT"
            raise error

    with pytest.raises(WorkspaceDamaged, match="malformed"):
        damaged()
