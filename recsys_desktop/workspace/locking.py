"""One writer at a time: a lock held by the operating system, which frees it when the process dies."""

import errno
import importlib
import json
import logging
import os
import socket
import weakref
from datetime import UTC, datetime
from pathlib import Path

from recsys_desktop.workspace.errors import WorkspaceBusy, WorkspaceError, storage_errors

logger = logging.getLogger(__name__)

_LARGEST_HOLDER_TEXT = 4096
# Windows locks are mandatory: the locked byte lies far beyond the text, so that others can read who holds it.
_WINDOWS_LOCKED_BYTE = 1 << 30


class WorkspaceLock:
    """The right to write to a workspace, from construction until ``release`` or the end of the process.

    The lock is the operating system's (``flock`` on POSIX, ``msvcrt.locking`` on Windows), so a killed process leaves
    nothing to clean up. The lock file stays; its text says who holds it and matters only for messages.

    Raises ``WorkspaceBusy`` where somebody else holds the lock, ``WorkspaceReadOnly`` where the file cannot be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with storage_errors(path):
            self._descriptor: int | None = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o644)
            try:
                locked = _try_lock(self._descriptor)
            except OSError as error:
                self._close()
                raise WorkspaceError(
                    f"{path} cannot be locked ({error.strerror}): the file system does not offer it. "
                    f"Choose a folder on a disk of this computer with --workspace."
                ) from error
        if not locked:
            holder = _describe_holder(self._descriptor)
            self._close()
            raise WorkspaceBusy(path.parent, holder)
        _held_locks.add(self)
        self._write_holder()

    @property
    def held(self) -> bool:
        """Whether this object still holds the lock."""
        return self._descriptor is not None

    def release(self) -> None:
        """Give the lock back; a second call does nothing."""
        if self._descriptor is None:
            return
        _held_locks.discard(self)
        _unlock(self._descriptor)
        self._close()

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _write_holder(self) -> None:
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now(UTC).isoformat()}
        assert self._descriptor is not None
        try:
            os.ftruncate(self._descriptor, 0)
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            os.write(self._descriptor, json.dumps(holder).encode())
        except OSError as error:
            # The text serves messages only; on a full disk the lock itself is still good.
            logger.warning("The lock file %s does not say who holds it: %s", self.path, error)


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock, this process included; True where it cannot be told. It is left free."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        return False
    except OSError as error:
        logger.info("Whether %s is held cannot be seen: %s", path, error)
        return True
    try:
        free = _try_lock(descriptor)
        if free:
            _unlock(descriptor)
        return not free
    except OSError as error:
        logger.info("Whether %s is held cannot be seen: %s", path, error)
        return True
    finally:
        os.close(descriptor)


def _describe_holder(descriptor: int) -> str:
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)
        holder = json.loads(os.read(descriptor, _LARGEST_HOLDER_TEXT))
        since = datetime.fromisoformat(holder["since"]).astimezone()
        return f"process {holder['pid']} on {holder['host']} (since {since:%Y-%m-%d %H:%M})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"


def _try_lock(descriptor: int) -> bool:
    """Take the lock without waiting; False where somebody else has it."""
    return _try_lock_windows(descriptor) if os.name == "nt" else _try_lock_posix(descriptor)


def _unlock(descriptor: int) -> None:
    if os.name == "nt":
        _unlock_windows(descriptor)
    else:
        _unlock_posix(descriptor)


# fcntl exists on POSIX only and msvcrt on Windows only, hence the imports by name.


def _try_lock_posix(descriptor: int) -> bool:
    # flock, not lockf: lockf's lock is dropped as soon as the process closes any other descriptor of the file.
    fcntl = importlib.import_module("fcntl")
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES):
            return False
        raise
    return True


def _unlock_posix(descriptor: int) -> None:
    fcntl = importlib.import_module("fcntl")
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def _try_lock_windows(descriptor: int) -> bool:
    msvcrt = importlib.import_module("msvcrt")
    os.lseek(descriptor, _WINDOWS_LOCKED_BYTE, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EDEADLK):
            return False
        raise
    return True


def _unlock_windows(descriptor: int) -> None:
    msvcrt = importlib.import_module("msvcrt")
    os.lseek(descriptor, _WINDOWS_LOCKED_BYTE, os.SEEK_SET)
    msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)


_held_locks: "weakref.WeakSet[WorkspaceLock]" = weakref.WeakSet()


def _drop_inherited_locks() -> None:
    # A forked worker shares the lock; one that outlives its killed parent would keep the workspace busy.
    for lock in list(_held_locks):
        lock._close()
    _held_locks.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_drop_inherited_locks)
