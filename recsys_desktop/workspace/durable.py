"""Making writes last: flushing files and folders to the disk, and renaming with patience where Windows needs it."""

import os
import time
from collections.abc import Callable
from pathlib import Path

_RENAME_ATTEMPTS = 10
_FIRST_PAUSE_SECONDS = 0.01


def flush_file(path: Path) -> None:
    """Ask the operating system to put a file's contents on the disk."""
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_folder(path: Path) -> None:
    """Ask the operating system to put a folder's entries on the disk (Windows has no such request)."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rename(
    source: Path,
    target: Path,
    *,
    patient: bool = os.name == "nt",
    rename_once: Callable[[Path, Path], None] = os.rename,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Rename a file or folder and flush the folder it lies in; the target must not exist.

    On Windows a virus scanner or indexer may hold a fresh file open for a moment, which makes the rename fail; there
    it is tried again for about ten seconds (``patient``) before the ``PermissionError`` is raised.
    """
    for attempt in range(_RENAME_ATTEMPTS):
        try:
            rename_once(source, target)
            break
        except PermissionError:
            if not patient or attempt == _RENAME_ATTEMPTS - 1:
                raise
            pause(_FIRST_PAUSE_SECONDS * 2**attempt)
    flush_folder(target.parent)
