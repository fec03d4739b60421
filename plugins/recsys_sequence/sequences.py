"""Sequences of items in flat arrays: windows to learn from, batches of about equal length, padded rows."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.dataset import Int64

_LENGTH_JITTER = 0.1
"""By how much, as a share, lengths may differ within a batch, so that an epoch's batches differ from the last one's."""

_WIDTHS = 16
"""The most different widths of padded rows: freed memory serves again where batches have the same shape."""


class Windows(NamedTuple):
    """Stretches of flat histories. begins: int64 (w,), the first entry. sizes: int64 (w,), how many entries."""

    begins: Int64
    sizes: Int64

    def take(self, chosen: npt.NDArray[Any]) -> Windows:
        """Those named by positions."""
        return Windows(self.begins[chosen], self.sizes[chosen])


def last_windows(indptr: npt.NDArray[Any], longest: int) -> Windows:
    """The end of each history, at most `longest` entries; histories: int (n + 1,) bounds."""
    sizes = np.minimum(np.diff(indptr), longest).astype(np.int64)
    return Windows(indptr[1:] - sizes, sizes)


def drawn_windows(
    indptr: npt.NDArray[Any], longest: int, share_of_earlier: float, generator: np.random.Generator
) -> Windows:
    """One window of each history: its end, or, where it is longer, for that share of them, any stretch of it."""
    windows = last_windows(indptr, longest)
    room = np.diff(indptr) - windows.sizes
    earlier = generator.random(len(room)) < share_of_earlier
    back = generator.integers(0, room + 1)
    return Windows(windows.begins - np.where(earlier, back, 0), windows.sizes)


def widths(sizes: Int64, longest: int) -> Int64:
    """Sizes, of which the largest possible is `longest`, rounded up to one of `_WIDTHS` different ones."""
    step = -(-longest // _WIDTHS)
    rounded: Int64 = -(-sizes // step) * step
    return rounded


def batches_by_length(sizes: Int64, longest: int, positions: int, generator: np.random.Generator) -> list[Int64]:
    """Positions 0..len(sizes) in batches of about equal sizes, in random order: int64 (m,) each.

    A batch has at most `positions` entries, counted with the padding to the width of its longest, or a single sequence.
    longest: as in `widths`.
    """
    jittered = sizes * (1 + _LENGTH_JITTER * generator.random(len(sizes)))
    order = np.argsort(-jittered, kind="stable")
    padded_sizes = widths(sizes, longest)
    bounds = [0]
    while bounds[-1] < len(order):
        ahead = padded_sizes[order[bounds[-1] : bounds[-1] + positions]]
        padded = np.maximum.accumulate(ahead) * np.arange(1, len(ahead) + 1)
        bounds.append(bounds[-1] + max(1, int(np.searchsorted(padded, positions, side="right"))))
    batches = [order[begin:end] for begin, end in pairwise(bounds)]
    return [batches[place] for place in generator.permutation(len(batches))]


def blocks_by_length(sizes: Int64, positions: int) -> Iterator[Int64]:
    """As `batches_by_length`, for answers: longest first, no chance."""
    order = np.argsort(-sizes, kind="stable")
    begin = 0
    while begin < len(order):
        end = begin + max(1, positions // max(int(sizes[order[begin]]), 1))
        yield order[begin:end]
        begin = end


def padded_rows(items: npt.NDArray[Any], windows: Windows, width: int) -> tuple[Int64, npt.NDArray[np.bool_]]:
    """Windows as rows, filled up at the end with 0: int64 (w, width), and which entries are real, bool (w, width).

    items: int (n,), flat histories.
    """
    columns = np.arange(width)
    real = columns < windows.sizes[:, None]
    rows = np.zeros(real.shape, dtype=np.int64)
    rows[real] = items[(windows.begins[:, None] + columns)[real]]
    return rows, real


def shuffled_rows(rows: Int64, real: npt.NDArray[np.bool_], generator: np.random.Generator) -> Int64:
    """Padded rows with their real entries in random order."""
    keys = np.where(real, generator.random(rows.shape), 2.0)
    return np.take_along_axis(rows, np.argsort(keys, axis=1), axis=1)
