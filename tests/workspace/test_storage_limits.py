"""Folders that may not be written and disks that are full, for real: other users, read-only and tiny file systems."""

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from recsys_desktop.workspace import ModelRecord, Workspace

Publish = Callable[..., ModelRecord]
RunPython = Callable[..., subprocess.CompletedProcess[str]]

if sys.platform == "win32":
    pytest.skip("POSIX permissions and mounts", allow_module_level=True)

NOBODY = 65534

# Root may write everywhere, so a root test run steps down to an ordinary user first.
AS_ORDINARY_USER = f"""
import os, sys
sys.path.insert(0, {str(Path(__file__).resolve().parents[2])!r})
import recsys_desktop.workspace, sqlite3, platformdirs
if os.geteuid() == 0:
    os.setgid({NOBODY})
    os.setuid({NOBODY})
"""

OPEN = """
import sys
from recsys_desktop.workspace import *
try:
    with Workspace.open(sys.argv[1], mode=sys.argv[2]) as workspace:
        print([record.label for record in workspace.models()], workspace.settings())
except WorkspaceError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that another user can reach, unlike pytest's own."""
    folder = Path(tempfile.mkdtemp(prefix="recsys-desktop-test-"))
    folder.chmod(0o755)
    yield folder
    subprocess.run(["chmod", "-R", "u+rwX", str(folder)], check=True)
    shutil.rmtree(folder)


def forbid_writing(folder: Path) -> None:
    """Take everybody's right to write away, from the folder and all in it."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~0o222 | 0o444)


def test_writing_to_a_read_only_workspace_is_refused_by_name_and_reading_works(
    public_folder: Path,
    publish: Publish,
    run_python: RunPython,
) -> None:
    folder = public_folder / "workspace"
    with Workspace.open(folder) as workspace:
        publish(workspace)
        workspace.set_setting("theme", "dark")
    forbid_writing(folder)
    before = sorted(folder.rglob("*"))
    writing = run_python(AS_ORDINARY_USER + OPEN, str(folder), "write")
    assert writing.stdout.startswith("WorkspaceReadOnly"), writing
    assert str(folder) in writing.stdout
    assert "--workspace" in writing.stdout
    reading = run_python(AS_ORDINARY_USER + OPEN, str(folder), "read")
    assert reading.stdout == "['ease@1'] {'theme': 'dark'}\n", reading
    assert sorted(folder.rglob("*")) == before


def test_reading_a_read_only_copy_of_a_killed_writers_workspace_sees_all_that_was_committed(
    public_folder: Path,
    run_python: RunPython,
) -> None:
    folder = public_folder / "workspace"
    killed = run_python(
        "import os, signal, sys\n"
        "from recsys_desktop.workspace import Workspace\n"
        "workspace = Workspace.open(sys.argv[1])\n"
        "workspace.set_setting('theme', 'dark')\n"
        "os.kill(os.getpid(), signal.SIGKILL)",
        str(folder),
    )
    assert killed.returncode == -9, killed
    assert (folder / "workspace.sqlite-wal").stat().st_size > 0
    (folder / "workspace.sqlite-shm").unlink()
    forbid_writing(folder)
    reading = run_python(AS_ORDINARY_USER + OPEN, str(folder), "read")
    assert reading.stdout == "[] {'theme': 'dark'}\n", reading


def test_workspace_cannot_be_made_in_a_read_only_folder(
    public_folder: Path,
    run_python: RunPython,
) -> None:
    forbid_writing(public_folder)
    finished = run_python(AS_ORDINARY_USER + OPEN, str(public_folder / "new"), "write")
    assert finished.stdout.startswith("WorkspaceReadOnly"), finished


def test_workspace_of_somebody_else_is_unreadable_by_name(
    public_folder: Path,
    run_python: RunPython,
) -> None:
    folder = public_folder / "workspace"
    Workspace.open(folder).close()
    for file in folder.glob("workspace.*"):
        file.chmod(0)
    finished = run_python(AS_ORDINARY_USER + OPEN, str(folder), "read")
    assert finished.stdout.startswith("WorkspaceUnreadable"), finished
    assert "workspace.sqlite" in finished.stdout


def test_a_file_is_no_workspace(tmp_path: Path, run_python: RunPython) -> None:
    file = tmp_path / "ratings.csv"
    file.write_text("user,item\n")
    finished = run_python(OPEN, str(file), "write")
    assert "cannot be a workspace" in finished.stdout, finished
    assert file.read_text() == "user,item\n"


def can_mount() -> bool:
    """Whether this user may mount file systems, as root or in a user namespace."""
    try:
        return subprocess.run([*IN_NAMESPACE, "true"], capture_output=True, timeout=20, check=False).returncode == 0
    except OSError:
        return False


# A mount namespace of its own: the file systems vanish with the process.
IN_NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]

needs_mounts = pytest.mark.skipif(not can_mount(), reason="this user may not mount file systems")


def on_tiny_file_system(mount_point: Path, size: str, prepare: str = "true") -> tuple[str, ...]:
    """A command prefix that runs what follows where ``mount_point`` is a file system of that size."""
    script = f'mount -t tmpfs -o size={size} tmpfs "$0" && {{ {prepare}; }} && exec "$@"'
    return (*IN_NAMESPACE, "sh", "-c", script, str(mount_point))


FILL = """
import os, sys
from recsys_desktop.workspace import *
workspace = Workspace.open(sys.argv[1])
def publish(name, megabytes):
    with workspace.publish_model(name, algorithm="ease", params={}) as publication:
        for part in range(megabytes * 16):
            (publication.folder / f"part{part}").write_bytes(os.urandom(1 << 16))
publish("small", 1)
for attempt in range(3):
    try:
        publish("large", 8)
    except WorkspaceFull as error:
        print("full:", error)
print("after:", [record.label for record in workspace.models()], sorted(os.listdir(workspace.path / "models")) ==
      [workspace.resolve_model("small").id])
publish("small", 1)
workspace.close()
with Workspace.open(sys.argv[1]) as workspace:
    for record in workspace.models():
        workspace.verify(record)
    labels = [record.label for record in workspace.models()]
    print("reopened:", labels, workspace.recovery.swept, workspace.check().problems)
"""


@needs_mounts
def test_full_disk_for_real_leaves_nothing_listed_and_frees_what_it_took(tmp_path: Path, run_python: RunPython) -> None:
    finished = run_python(FILL, str(tmp_path / "workspace"), prefix=on_tiny_file_system(tmp_path, "6m"))
    lines = finished.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == ["full", "full", "full", "after", "reopened"], finished
    assert all("There is no space left to write" in line and str(tmp_path) in line for line in lines[:3])
    assert lines[3] == "after: ['small@1'] True"
    assert lines[4] == "reopened: ['small@2', 'small@1'] () ()"


FILL_DATABASE = """
import sys
from recsys_desktop.workspace import *
workspace = Workspace.open(sys.argv[1])
stored = 0
try:
    for number in range(10_000):
        workspace.set_setting(f"key{number}", "x" * 20_000)
        stored += 1
except WorkspaceFull as error:
    print("full:", error)
print(stored > 10, len(workspace.settings()) == stored)
workspace.close()
with Workspace.open(sys.argv[1], mode="read") as workspace:
    print(len(workspace.settings()) == stored)
"""


@needs_mounts
def test_full_disk_under_the_database_keeps_every_committed_row(tmp_path: Path, run_python: RunPython) -> None:
    finished = run_python(FILL_DATABASE, str(tmp_path / "workspace"), prefix=on_tiny_file_system(tmp_path, "3m"))
    lines = finished.stdout.splitlines()
    assert lines[0].startswith("full: There is no space left to write"), finished
    assert lines[1:] == ["True True", "True"], finished


@needs_mounts
def test_disk_that_is_full_from_the_start_is_said_at_opening(tmp_path: Path, run_python: RunPython) -> None:
    fill = f'dd if=/dev/zero of="{tmp_path}/filler" bs=4k 2>/dev/null || true'
    finished = run_python(OPEN, str(tmp_path / "workspace"), "write", prefix=on_tiny_file_system(tmp_path, "1m", fill))
    assert finished.stdout.startswith("WorkspaceFull"), finished
    assert str(tmp_path) in finished.stdout


@needs_mounts
def test_read_only_file_system_is_said_and_can_be_read(tmp_path: Path, publish: Publish, run_python: RunPython) -> None:
    folder = tmp_path / "workspace"
    with Workspace.open(folder) as workspace:
        publish(workspace)
    prefix = (
        *IN_NAMESPACE,
        "sh",
        "-c",
        'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"',
        str(folder),
    )
    writing = run_python(OPEN, str(folder), "write", prefix=prefix)
    assert writing.stdout.startswith("WorkspaceReadOnly"), writing
    reading = run_python(OPEN, str(folder), "read", prefix=prefix)
    assert reading.stdout == "['ease@1'] {}\n", reading


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs POSIX limits")
def test_largest_file_size_counts_as_full(tmp_path: Path, run_python: RunPython) -> None:
    code = """
import resource, signal, sys
from recsys_desktop.workspace import *
with Workspace.open(sys.argv[1]) as workspace:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    try:
        with workspace.publish_model("large", algorithm="ease", params={}) as publication:
            (publication.folder / "weights").write_bytes(bytes(2 << 20))
    except WorkspaceFull as error:
        print("full:", error)
    print(workspace.models(), list((workspace.path / "models").iterdir()))
"""
    finished = run_python(code, str(tmp_path / "workspace"))
    lines = finished.stdout.splitlines()
    assert lines[0].startswith("full: There is no space left to write"), finished
    assert lines[1] == "[] []", finished
