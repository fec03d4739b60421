"""What can go wrong with a workspace, as typed errors that say where and what to do."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FULL_WINDOWS_CODES = frozenset({39, 112})  # ERROR_HANDLE_DISK_FULL, ERROR_DISK_FULL
_READ_ONLY_ERRNOS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_READ_ONLY_WINDOWS_CODES = frozenset({5, 19})  # ERROR_ACCESS_DENIED, ERROR_WRITE_PROTECT
# Libraries written in Rust or C++ (safetensors, Arrow) wrap the operating system's error in their own type.
_FULL_PHRASES = ("no space left on device", "storagefull", "disk quota exceeded", "file too large")


class WorkspaceError(Exception):
    """Base of every error the workspace raises on purpose; its text is meant to be shown as it is."""


class WorkspaceNotFound(WorkspaceError):
    """There is no workspace in the folder that was to be read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(
            f"There is no workspace in {path}. Import a data set first, or name the right folder with --workspace "
            f"or the environment variable RECSYS_DESKTOP_WORKSPACE."
        )


class WorkspaceBusy(WorkspaceError):
    """Another process (or another part of this one) has the workspace open for writing.

    ``holder`` says who, as far as the lock file tells.
    """

    def __init__(self, path: Path, holder: str) -> None:
        self.path = path
        self.holder = holder
        super().__init__(
            f"The workspace {path} is already open for writing in {holder}. Close that one first, "
            f"or work in another folder with --workspace."
        )


class WorkspaceReadOnly(WorkspaceError):
    """The workspace, or the place where it should be, cannot be written to."""

    def __init__(self, path: Path, reason: str = "") -> None:
        self.path = path
        super().__init__(
            f"{path} cannot be written to{f' ({reason})' if reason else ''}. Make the folder writable, "
            f"or choose another with --workspace or the environment variable RECSYS_DESKTOP_WORKSPACE."
        )


class WorkspaceUnreadable(WorkspaceError):
    """The workspace is there, but this person may not read it."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(
            f"{path} cannot be read ({reason}). Ask its owner for the permission, or choose another folder with "
            f"--workspace or the environment variable RECSYS_DESKTOP_WORKSPACE."
        )


class WorkspaceFull(WorkspaceError):
    """The disk (or the quota, or the largest allowed file) leaves no room for what was to be written."""

    def __init__(self, path: Path, reason: str = "") -> None:
        self.path = path
        super().__init__(
            f"There is no space left to write {path}{f' ({reason})' if reason else ''}. Nothing that was saved before "
            f"is affected. Free some space or delete models and data sets you no longer need, then try again."
        )


class WorkspaceTooNew(WorkspaceError):
    """The workspace (or a bundle) was written by a later release of the application."""

    def __init__(self, path: Path, found: int, known: int) -> None:
        self.path = path
        self.found = found
        self.known = known
        super().__init__(
            f"{path} was written by a newer version of RecSys Desktop (format {found}; this version knows up to "
            f"{known}). Update RecSys Desktop; the file was left as it is."
        )


class WorkspaceNeedsUpgrade(WorkspaceError):
    """The workspace has an older format, which only opening it for writing can bring up to date."""

    def __init__(self, path: Path, found: int, known: int) -> None:
        self.path = path
        self.found = found
        self.known = known
        super().__init__(
            f"{path} has an older format ({found}; this version uses {known}). Open it once in the window, or run a "
            f"command that writes to it, to bring it up to date; a backup is kept."
        )


class WorkspaceDamaged(WorkspaceError):
    """The database file itself cannot be read."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(
            f"The workspace database {path} cannot be read: {reason}. It was left as it is; put back a backup "
            f"(workspace-*.backup.sqlite beside it) or choose another folder with --workspace."
        )


class WorkspaceClosed(WorkspaceError):
    """The workspace was used after it was closed, or in a forked child that did not open it."""


class NotWritable(WorkspaceError):
    """A change was asked of a workspace that was opened with mode="read"."""

    def __init__(self, path: Path) -> None:
        self.path = path
        super().__init__(f'The workspace {path} was opened for reading only; open it with mode="write" to change it.')


class InvalidName(WorkspaceError):
    """A name that cannot be given to a model or data set, or a fingerprint that cannot name a folder."""


class RecordNotFound(WorkspaceError):
    """No record answers to what was asked for; the text lists what there is."""


class ArtifactExists(WorkspaceError):
    """What was to be published is already there, undamaged."""


class ArtifactDamaged(WorkspaceError):
    """A file of a saved data set, model or evaluation is missing or is not what was written.

    ``path`` is the damaged file.
    """

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path} is damaged: {reason}. Use another version, or train or import it again.")


class BundleInvalid(WorkspaceError):
    """A ``.recsys-model`` file is damaged, incomplete or not such a file at all."""

    def __init__(self, path: Path, reason: str) -> None:
        self.path = path
        super().__init__(f"{path} cannot be imported as a model: {reason}. Export it again where it came from.")


def storage_error(error: BaseException, path: Path) -> WorkspaceError | None:
    """The typed error that ``error`` stands for, or None where it is not about storage.

    Understands ``OSError``, ``sqlite3.Error`` and errors of other libraries that wrap "no space left" in their own
    exception type; follows ``__cause__`` and ``__context__``. ``path`` is named where the error names none.
    """
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        found = _single_storage_error(link, path)
        if found is not None:
            return found
        link = link.__cause__ or link.__context__
    return None


def _single_storage_error(error: BaseException, path: Path) -> WorkspaceError | None:
    if isinstance(error, sqlite3.Error):
        return _database_error(error, path)
    if isinstance(error, OSError):
        where = Path(error.filename) if isinstance(error.filename, str) else path
        reason = error.strerror or str(error)
        windows_code = getattr(error, "winerror", None)
        if error.errno in _FULL_ERRNOS or windows_code in _FULL_WINDOWS_CODES:
            return WorkspaceFull(where, reason)
        # On Windows a file that another program holds open also answers EACCES, with another code.
        if error.errno in _READ_ONLY_ERRNOS and (windows_code is None or windows_code in _READ_ONLY_WINDOWS_CODES):
            return WorkspaceReadOnly(where, reason)
    if isinstance(error, Exception) and any(phrase in str(error).lower() for phrase in _FULL_PHRASES):
        return WorkspaceFull(path, str(error))
    return None


def _database_error(error: sqlite3.Error, path: Path) -> WorkspaceError | None:
    name = getattr(error, "sqlite_errorname", None) or ""
    reason = str(error)
    if name.startswith("SQLITE_FULL") or name == "SQLITE_IOERR_WRITE":
        return WorkspaceFull(path, reason)
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return WorkspaceReadOnly(path, reason)
    if name.startswith("SQLITE_IOERR"):
        # Growing the shared-memory file or the log on a full disk surfaces as a plain input/output error.
        return WorkspaceFull(path, reason) if _has_no_room(path) else WorkspaceDamaged(path, f"{reason} ({name})")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return WorkspaceBusy(path, "another process that kept the database locked")
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return WorkspaceDamaged(path, reason)
    return None


def _has_no_room(path: Path) -> bool:
    from shutil import disk_usage

    try:
        return disk_usage(path.parent).free < 1 << 20
    except OSError:
        return False


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn storage failures of the block into typed errors that name ``path``; everything else passes unchanged."""
    try:
        yield
    except WorkspaceError:
        raise
    except (OSError, sqlite3.Error) as error:
        typed = storage_error(error, path)
        if typed is None:
            raise
        raise typed from error
