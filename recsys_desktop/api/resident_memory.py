"""Resident memory of this process: how much there is, and how to keep freed memory out of what is measured."""

from __future__ import annotations

import ctypes


def resident_bytes() -> int:
    """Resident set size of this process, in bytes."""
    import psutil

    return int(psutil.Process().memory_info().rss)


def give_freed_pages_back() -> None:
    """Hand unused heap to the operating system where it takes it, so that what is measured next cannot hide in it."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (OSError, TypeError, AttributeError):
        # Only the GNU C library keeps and gives back its heap this way.
        return
    trim(0)
