"""Top-K selection of sparse similarities while they are being computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from recsys_desktop.api import CannotFit, RunContext
from recsys_desktop.api.dataset import Float32, Int32, Int64
from recsys_desktop.toolkit.parallel import announce_compilation, in_blocks
from recsys_desktop.toolkit.products import SparseRows

_BLOCK = 64
_LAST_COLUMN = 2**32 - 1
# Candidates are thinned out to the k largest whenever there are this many times k.
_ROOM = 4


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

    def rows(columns: Int32, values: Float32, sizes: Int64, begin: int) -> None:
        _similarity_rows(*left, *right, left_scale, right_scale, np.float32(shrinkage), columns, values, sizes, begin)

    announce_compilation(run, _similarity_rows)
    return collect_rows(rows, left.n_rows, min(k, left.n_rows), run, text)


def collect_rows(
    rows: Callable[[Int32, Float32, Int64, int], object], n: int, k: int, run: RunContext, text: str
) -> SparseRows:
    """Call a kernel for blocks of n rows, on the run's threads, and put their selections together.

    rows: called with columns int32 (m, k), values float32 (m, k), sizes int64 (m,) to fill, and the first of m rows.
    k: how many a row keeps at most. text: what the run's progress says.

    Raises
    ------
    CannotFit: the run was asked to stop before the first rows. Later the rows not yet reached are left empty.
    """
    k = max(k, 1)
    found: dict[int, tuple[Int64, Int32, Float32]] = {}

    def block(begin: int, end: int) -> None:
        columns = np.empty((end - begin, k), dtype=np.int32)
        values = np.empty((end - begin, k), dtype=np.float32)
        sizes = np.zeros(end - begin, dtype=np.int64)
        rows(columns, values, sizes, begin)
        present = np.arange(k) < sizes[:, None]
        found[begin] = sizes, columns[present], values[present]

    in_blocks(
        block,
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
def select_largest(candidates: Any, candidate_values: Any, count: int, keys: Any, columns: Any, values: Any) -> int:
    """Write the len(columns) largest of `count` candidates into columns and values, in no order; returns how many.

    candidates: int32, all different. candidate_values: float32, positive. Ties go to the lower candidate.
    keys: uint64, room for `count` numbers. Called from other kernels.
    """
    # A positive float32 and a column in one whole number, which orders by value and then by lower column.
    bits = candidate_values.view(np.uint32)
    for at in range(count):
        keys[at] = (np.uint64(bits[at]) << np.uint64(32)) | np.uint64(_LAST_COLUMN - candidates[at])
    kept = min(count, len(columns))
    if kept < count:
        _largest_first(keys, count, kept)
    bits_out = values.view(np.uint32)
    for at in range(kept):
        bits_out[at] = keys[at] >> np.uint64(32)
        columns[at] = _LAST_COLUMN - np.int64(keys[at] & np.uint64(_LAST_COLUMN))
    return kept


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
    k = columns.shape[1]
    room = min(width, _ROOM * k)
    sums = np.zeros(width, dtype=np.float32)
    touched = np.empty(width + 1, dtype=np.int32)
    candidates = np.empty(room, dtype=np.int32)
    similarities = np.empty(room, dtype=np.float32)
    keys = np.empty(room, dtype=np.uint64)
    for place in range(len(sizes)):
        row = begin + place
        count = 0
        for at in range(left_indptr[row], left_indptr[row + 1]):
            middle, weight = left_indices[at], left_data[at]
            for other in range(right_indptr[middle], right_indptr[middle + 1]):
                column = right_indices[other]
                # Written always and counted when new: a branch here would be mispredicted half of the time.
                touched[count] = column
                count += sums[column] == 0
                sums[column] += weight * right_data[other]
        size = 0
        least = np.float32(0)
        for column in touched[:count]:
            similarity = sums[column] / (left_scale[row] * right_scale[column] + shrinkage)
            sums[column] = 0
            if similarity < least or column == row:
                continue
            if size == room:
                size = select_largest(candidates, similarities, size, keys, columns[place], values[place])
                least = values[place, 0]
                for at in range(size):
                    candidates[at] = columns[place, at]
                    similarities[at] = values[place, at]
                    least = min(least, values[place, at])
            candidates[size] = column
            similarities[size] = similarity
            size += 1
        sizes[place] = select_largest(candidates, similarities, size, keys, columns[place], values[place])
