"""One writer, whoever asks: this process, another one, a killed one, a forked one, a Windows one."""

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from recsys_desktop.workspace import (
    ModelRecord,
    NotWritable,
    Workspace,
    WorkspaceBusy,
    WorkspaceError,
    WorkspaceNotFound,
    locking,
)
from recsys_desktop.workspace.locking import WorkspaceLock, is_locked
from recsys_desktop.workspace.store import LOCK_FILE

HOLD_OPEN = """
import sys
from recsys_desktop.workspace import ModelRecord, Workspace
workspace = Workspace.open(sys.argv[1])
print("open", flush=True)
sys.stdin.readline()
workspace.close()
"""


@pytest.fixture
def holder(folder: Path, child_environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the workspace open for writing until it reads a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD_OPEN, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=child_environment,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    yield process
    process.kill()
    process.communicate()


def test_whether_the_lock_is_held_is_seen_without_taking_it(holder: "subprocess.Popen[str]", folder: Path) -> None:
    path = folder / LOCK_FILE
    assert is_locked(path) and is_locked(path)
    holder.communicate("close\n", timeout=30)
    assert not is_locked(path)
    lock = WorkspaceLock(path)
    assert is_locked(path)
    lock.release()
    assert not is_locked(path)
    assert not is_locked(folder / "nothing.lock")


def test_second_process_is_told_who_has_it_and_gets_it_afterwards(
    holder: "subprocess.Popen[str]", folder: Path
) -> None:
    with pytest.raises(WorkspaceBusy) as busy:
        Workspace.open(folder)
    assert f"process {holder.pid}" in str(busy.value)
    assert str(folder) in str(busy.value)
    holder.communicate("close\n", timeout=30)
    Workspace.open(folder).close()


def test_reading_works_beside_an_open_writer_and_sees_what_it_commits(
    workspace: Workspace, folder: Path, publish: Callable[..., ModelRecord]
) -> None:
    with Workspace.open(folder, mode="read") as reader:
        assert reader.models() == []
        record = publish(workspace)
        assert reader.models() == [record]
        reader.verify(record)
        with pytest.raises(NotWritable, match="reading only"):
            reader.set_setting("theme", "dark")
        with pytest.raises(NotWritable), reader.publish_model("x", algorithm="a", params={}):
            pass
        with pytest.raises(NotWritable):
            reader.delete_model(record)
    assert workspace.models() == [record]


CONTEND = """
import sys, time
from pathlib import Path
from recsys_desktop.workspace import Workspace, WorkspaceBusy
n_refusals = 0
for _ in range(5):
    while True:
        try:
            workspace = Workspace.open(sys.argv[1])
            break
        except WorkspaceBusy:
            n_refusals += 1
            time.sleep(0.002)
    count = workspace.setting("count", 0)
    time.sleep(0.01)
    workspace.set_setting("count", count + 1)
    workspace.close()
print(n_refusals)
"""


def test_processes_that_contend_take_turns(folder: Path, child_environment: dict[str, str]) -> None:
    """Reading, waiting and writing back loses counts unless exactly one process is inside at a time."""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", CONTEND, str(folder)], stdout=subprocess.PIPE, text=True, env=child_environment
        )
        for _ in range(4)
    ]
    refusals = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert sum(refusals) > 0, "they never met"
    with Workspace.open(folder, mode="read") as workspace:
        assert workspace.setting("count") == 20


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
def test_lock_of_a_killed_process_is_free(holder: "subprocess.Popen[str]", folder: Path) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait(timeout=30)
    Workspace.open(folder).close()


def test_same_process_cannot_open_it_twice_for_writing(workspace: Workspace, folder: Path) -> None:
    with pytest.raises(WorkspaceBusy, match=f"process {os.getpid()}"):
        Workspace.open(folder)


def test_failed_opening_gives_the_lock_back(folder: Path) -> None:
    folder.mkdir()
    (folder / "workspace.sqlite").write_text("this is no database, and it is long enough to be looked at" * 20)
    for _ in range(2):
        with pytest.raises(Exception, match="cannot be read"):
            Workspace.open(folder)
    lock = WorkspaceLock(folder / "workspace.lock")
    assert lock.held
    lock.release()
    lock.release()
    assert not lock.held


def test_reading_creates_nothing(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(WorkspaceNotFound, match="--workspace"):
        Workspace.open(tmp_path / "nowhere", mode="read")
    assert list(tmp_path.iterdir()) == []
    Workspace.open(folder).close()
    before = sorted(folder.rglob("*"))
    with Workspace.open(folder, mode="read") as reader:
        reader.models()
    assert sorted(folder.rglob("*")) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_forked_child_neither_keeps_the_lock_nor_uses_the_connection(
    folder: Path, child_environment: dict[str, str]
) -> None:
    code = """
import os, sys, time
from recsys_desktop.workspace import Workspace, WorkspaceClosed
workspace = Workspace.open(sys.argv[1])
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    try:
        workspace.models()
    except WorkspaceClosed:
        os.write(writer, b"refused")
    os.close(1)  # or whoever reads the parent's output would wait for the child
    os.close(2)
    time.sleep(30)
    os._exit(0)
print(child, os.read(reader, 10).decode(), flush=True)
os._exit(0)
"""
    parent = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=True,
        env=child_environment,
    )
    child, said = parent.stdout.split()
    try:
        assert said == "refused"
        Workspace.open(folder).close()
        os.kill(int(child), 0)  # it still lives
    finally:
        os.kill(int(child), signal.SIGKILL)


def test_unreadable_holder_text_still_gives_a_sentence(workspace: Workspace, folder: Path) -> None:
    (folder / "workspace.lock").write_text('{"pid": 12, "host"')
    with pytest.raises(WorkspaceBusy, match="open for writing in another process"):
        Workspace.open(folder)


def test_file_system_without_locks_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(descriptor: int) -> bool:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(locking, "_try_lock", no_locks)
    with pytest.raises(WorkspaceError, match=r"workspace\.lock cannot be locked .*Choose a folder on a disk"):
        Workspace.open(folder)
    monkeypatch.undo()
    Workspace.open(folder).close()


class FakeWindows:
    """``msvcrt.locking`` as documented: locks bytes at the current position, refuses what another has locked."""

    LK_NBLCK, LK_UNLCK = 2, 0

    def __init__(self) -> None:
        self.locked: dict[tuple[int, int], int] = {}

    def locking(self, descriptor: int, mode: int, n_bytes: int) -> None:
        assert n_bytes == 1
        place = (os.fstat(descriptor).st_ino, os.lseek(descriptor, 0, os.SEEK_CUR))
        if mode == self.LK_UNLCK:
            assert self.locked.pop(place) == descriptor
        elif place in self.locked:
            raise OSError(errno.EACCES, "Permission denied")
        else:
            self.locked[place] = descriptor


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> FakeWindows:
    fake = FakeWindows()
    monkeypatch.setitem(sys.modules, "msvcrt", fake)
    monkeypatch.setattr(locking, "os", SimpleNamespace(**{**vars(os), "name": "nt"}))
    return fake


def test_windows_lock_excludes_others_and_leaves_the_holder_readable(windows: FakeWindows, tmp_path: Path) -> None:
    path = tmp_path / "workspace.lock"
    first = WorkspaceLock(path)
    with pytest.raises(WorkspaceBusy, match=f"process {os.getpid()}"):
        WorkspaceLock(path)
    ((_, locked_byte),) = windows.locked
    assert locked_byte > path.stat().st_size, "a locked byte cannot be read by others on Windows"
    first.release()
    assert not windows.locked
    WorkspaceLock(path).release()
