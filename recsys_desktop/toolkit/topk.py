"""Top-K selection: of dense scores, and of sparse similarities while they are being computed."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from recsys_desktop.api import CannotFit, RunContext
from recsys_desktop.api.dataset import Float32, Int32, Int64
from recsys_desktop.toolkit.parallel import announce_compilation, in_blocks
from recsys_desktop.toolkit.products import SparseRows

_BLOCK = 64
_LAST_COLUMN = 2**32 - 1


def top_k(scores: Float32, k: int) -> tuple[Int32, Float32]:
    """The k best columns of each row, best first: int32 (n, k) and float32 (n, k).

    scores: float32 (n, m); NaN is never chosen. Ties go to the lower column. Short rows end in -1 and NaN.
    """
    columns = np.full((len(scores), k), -1, dtype=np.int32)
    values = np.full((len(scores), k), np.nan, dtype=np.float32)
    _top_k_rows(np.ascontiguousarray(scores, dtype=np.float32), columns, values)
    return columns, values


@numba.njit(cache=True, nogil=True)
def _before(value: float, column: int, other_value: float, other_column: int) -> bool:
    """Whether one candidate comes before another: the larger value, then the lower column."""
    return value > other_value or (value == other_value and column < other_column)


@numba.njit(cache=True, nogil=True)
def _offer(values: Any, columns: Any, size: int, value: float, column: int) -> int:
    """Keep a candidate in a heap of at most len(values) whose root comes last; returns the new size."""
    if size < len(values):
        at = size
        size += 1
        while at > 0:
            above = (at - 1) // 2
            if not _before(values[above], columns[above], value, column):
                break
            values[at], columns[at] = values[above], columns[above]
            at = above
    else:
        if not _before(value, column, values[0], columns[0]):
            return size
        at = 0
        while True:
            below = 2 * at + 1
            if below >= size:
                break
            if below + 1 < size and _before(values[below], columns[below], values[below + 1], columns[below + 1]):
                below += 1
            if not _before(value, column, values[below], columns[below]):
                break
            values[at], columns[at] = values[below], columns[below]
            at = below
    values[at], columns[at] = value, column
    return size


@numba.njit(cache=True, nogil=True)
def _drain(values: Any, columns: Any, size: int) -> None:
    """Turn a heap of `_offer` into a list, best first."""
    while size > 1:
        size -= 1
        last_value, last_column = values[size], columns[size]
        values[size], columns[size] = values[0], columns[0]
        at = 0
        while True:
            below = 2 * at + 1
            if below >= size:
                break
            if below + 1 < size and _before(values[below], columns[below], values[below + 1], columns[below + 1]):
                below += 1
            if not _before(last_value, last_column, values[below], columns[below]):
                break
            values[at], columns[at] = values[below], columns[below]
            at = below
        values[at], columns[at] = last_value, last_column


@numba.njit(cache=True, nogil=True)
def _top_k_rows(scores: Any, columns: Any, values: Any) -> None:
    for row in range(len(scores)):
        size = 0
        for column in range(scores.shape[1]):
            value = scores[row, column]
            if not np.isnan(value):
                size = _offer(values[row], columns[row], size, value, column)
        _drain(values[row], columns[row], size)


def top_k_similarities(
    left: SparseRows,
    right: SparseRows,
    left_scale: Float32,
    right_scale: Float32,
    k: int,
    shrinkage: float,
    run: RunContext,
    text: str = "comparing items",
) -> SparseRows:
    """The k largest similarities of each row, without itself, of a product that is never whole in memory.

    The similarity of i and j is (A B)_ij / (left_scale_i right_scale_j + shrinkage), where B has as many columns as A
    has rows and both have positive entries only; it exists where the product has an entry. Ties go to the lower column.
    Each row is computed by one thread in one order, so the result does not depend on the number of threads. When the
    run is asked to stop the rows not yet reached are left empty.

    Parameters
    ----------
    left: A, (n, m). right: B, (m, n). left_scale, right_scale: float32 (n,), positive where a row has entries.

    Raises
    ------
    CannotFit: the run was asked to stop before the first rows.

    Returns
    -------
    SparseRows (n, n), at most k entries a row, in no order of use (`transposed` orders them).
    """
    n = left.n_rows
    k = min(k, max(n - 1, 1))
    found: dict[int, tuple[Int64, Int32, Float32]] = {}

    def rows(begin: int, end: int) -> None:
        columns = np.empty((end - begin, k), dtype=np.int32)
        values = np.empty((end - begin, k), dtype=np.float32)
        sizes = np.zeros(end - begin, dtype=np.int64)
        _similarity_rows(*left, *right, left_scale, right_scale, np.float32(shrinkage), columns, values, sizes, begin)
        present = np.arange(k) < sizes[:, None]
        found[begin] = sizes, columns[present], values[present]

    announce_compilation(run, _similarity_rows)
    in_blocks(
        rows,
        n,
        _BLOCK,
        run.threads,
        should_stop=lambda: run.should_stop,
        progress=lambda done: run.progress(done, text),
    )
    if n and not found:
        raise CannotFit("stopped before there was a model to keep")
    indptr = np.zeros(n + 1, dtype=np.int64)
    for begin, (sizes, _, _) in found.items():
        indptr[begin + 1 : begin + 1 + len(sizes)] = sizes
    in_order = [found[begin] for begin in sorted(found)]
    return SparseRows(
        np.cumsum(indptr),
        np.concatenate([columns for _, columns, _ in in_order] or [np.empty(0, dtype=np.int32)]),
        np.concatenate([values for _, _, values in in_order] or [np.empty(0, dtype=np.float32)]),
    )


@numba.njit(cache=True, nogil=True)
def _largest_first(keys: Any, size: int, kept: int) -> None:
    """Move the `kept` largest of the first `size` keys, all different, to the front, by quickselect."""
    low, high = 0, size - 1
    while low < high:
        middle = (low + high) // 2
        a, b, c = keys[low], keys[middle], keys[high]
        pivot = max(min(a, b), min(max(a, b), c))
        left, right = low, high
        while left <= right:
            while keys[left] > pivot:
                left += 1
            while keys[right] < pivot:
                right -= 1
            if left <= right:
                keys[left], keys[right] = keys[right], keys[left]
                left += 1
                right -= 1
        if kept - 1 <= right:
            high = right
        elif kept - 1 >= left:
            low = left
        else:
            return


@numba.njit(cache=True, nogil=True)
def _similarity_rows(
    left_indptr: Any,
    left_indices: Any,
    left_data: Any,
    right_indptr: Any,
    right_indices: Any,
    right_data: Any,
    left_scale: Any,
    right_scale: Any,
    shrinkage: Any,
    columns: Any,
    values: Any,
    sizes: Any,
    begin: int,
) -> None:
    width = len(right_scale)
    sums = np.zeros(width, dtype=np.float32)
    touched = np.empty(width, dtype=np.int32)
    # A positive float32 and a column in one whole number, which orders by value and then by lower column.
    keys = np.empty(width, dtype=np.uint64)
    value_of = np.empty(1, dtype=np.float32)
    bits_of = value_of.view(np.uint32)
    for place in range(len(sizes)):
        row = begin + place
        count = 0
        for at in range(left_indptr[row], left_indptr[row + 1]):
            middle, weight = left_indices[at], left_data[at]
            for other in range(right_indptr[middle], right_indptr[middle + 1]):
                column = right_indices[other]
                if sums[column] == 0:
                    touched[count] = column
                    count += 1
                sums[column] += weight * right_data[other]
        size = 0
        for column in touched[:count]:
            value = sums[column] / (left_scale[row] * right_scale[column] + shrinkage)
            sums[column] = 0
            if column != row:
                value_of[0] = value
                keys[size] = (np.uint64(bits_of[0]) << np.uint64(32)) | np.uint64(_LAST_COLUMN - column)
                size += 1
        kept = min(size, values.shape[1])
        if kept < size:
            _largest_first(keys, size, kept)
        for at in range(kept):
            bits_of[0] = keys[at] >> np.uint64(32)
            values[place, at] = value_of[0]
            columns[place, at] = _LAST_COLUMN - np.int64(keys[at] & np.uint64(_LAST_COLUMN))
        sizes[place] = kept
