"""Read the next piece in another thread while this one is worked on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Piece = TypeVar("Piece")


def read_ahead(pieces: Iterator[Piece]) -> Iterator[Piece]:
    """The same pieces, each prepared in a thread of its own while the one before it is used.

    What the pieces raise is raised here; the thread has ended when the iterator has, however it ends.
    """
    end = object()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as executor:
        coming = executor.submit(next, pieces, end)
        while (piece := coming.result()) is not end:
            coming = executor.submit(next, pieces, end)
            yield piece  # type: ignore[misc]
