"""Products of sparse matrices that need no dense operand: Gram matrices, transposes, histories times item weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from recsys_desktop.api import CannotFit, RunContext
from recsys_desktop.api.dataset import Float32, Int32, Int64
from recsys_desktop.toolkit.parallel import announce_compilation, in_blocks

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

# Columns of a dense operand worked on at a time: 256 float32 of some thousand rows stay in a processor's cache.
_TILE = 256


class SparseRows(NamedTuple):
    """A CSR matrix as kernels take it: indptr int64 (n + 1,), indices int32 (nnz,) ascending in a row, data float32."""

    indptr: Int64
    indices: Int32
    data: Float32

    @classmethod
    def of(cls, matrix: csr_matrix) -> SparseRows:
        """The arrays of a CSR matrix whose indices are sorted, without a copy where the types are right."""
        return cls(
            np.asarray(matrix.indptr, dtype=np.int64),
            np.asarray(matrix.indices, dtype=np.int32),
            np.asarray(matrix.data, dtype=np.float32),
        )

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.indptr) - 1

    def to_csr(self, n_columns: int) -> csr_matrix:
        """As a SciPy matrix (n, n_columns)."""
        from scipy.sparse import csr_matrix

        result = csr_matrix((self.data, self.indices, self.indptr), shape=(self.n_rows, n_columns))
        result.has_sorted_indices = True
        return result

    def with_columns(self, places: Int32) -> SparseRows:
        """Only some columns, renumbered.

        places: int32 (number of columns,), the new number of each column, ascending where kept, -1 where dropped.
        """
        moved = places[self.indices]
        kept = moved >= 0
        if kept.all():
            return self._replace(indices=moved)
        indptr = np.concatenate(([0], np.cumsum(kept)))[self.indptr]
        return SparseRows(indptr, moved[kept], self.data[kept])

    def with_constant(self, column: int) -> SparseRows:
        """One more entry, 1, at the end of every row; column: its number, higher than all others."""
        ends = self.indptr[1:]
        return SparseRows(
            self.indptr + np.arange(len(self.indptr)),
            np.insert(self.indices, ends, column).astype(np.int32, copy=False),
            np.insert(self.data, ends, 1).astype(np.float32, copy=False),
        )

    def renumbered(self, codes: Int32, n_rows: int) -> SparseRows:
        """A square part put back in its place: row and column r become row and column codes[r] of n_rows.

        codes: int32, ascending.
        """
        indptr = np.zeros(n_rows + 1, dtype=np.int64)
        indptr[codes + 1] = np.diff(self.indptr)
        return SparseRows(np.cumsum(indptr), codes[self.indices], self.data)

    def take(self, rows: npt.NDArray[np.integer[Any]]) -> SparseRows:
        """These rows, in this order."""
        lengths = self.indptr[rows + 1] - self.indptr[rows]
        indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
        entries = np.repeat(self.indptr[rows] - indptr[:-1], lengths) + np.arange(indptr[-1])
        return SparseRows(indptr, self.indices[entries], self.data[entries])

    def transposed(self, n_columns: int) -> SparseRows:
        """Columns as rows: (n_columns, n); indices ascending. The GIL is free meanwhile."""
        indptr = np.zeros(n_columns + 1, dtype=np.int64)
        indices = np.empty(len(self.indices), dtype=np.int32)
        data = np.empty(len(self.data), dtype=np.float32)
        _transpose(self.indptr, self.indices, self.data, indptr, indices, data)
        return SparseRows(indptr, indices, data)


@numba.njit(cache=True, nogil=True)
def _transpose(indptr: Any, indices: Any, data: Any, out_indptr: Any, out_indices: Any, out_data: Any) -> None:
    for at in range(len(indices)):
        out_indptr[indices[at] + 1] += 1
    for column in range(len(out_indptr) - 1):
        out_indptr[column + 1] += out_indptr[column]
    free = out_indptr[:-1].copy()
    for row in range(len(indptr) - 1):
        for at in range(indptr[row], indptr[row + 1]):
            column = indices[at]
            out_indices[free[column]] = row
            out_data[free[column]] = data[at]
            free[column] += 1


def gram_lower(rows: SparseRows, columns: SparseRows, run: RunContext) -> Float32:
    """The Gram matrix A Aᵀ of a sparse matrix A (n, m): float32 (n, n), of which only the lower triangle is filled.

    rows: A. columns: Aᵀ. The upper triangle is 0. Every entry is summed in the order of the columns of A.

    Raises
    ------
    CannotFit: the run was asked to stop.
    """
    out = np.zeros((rows.n_rows, rows.n_rows), dtype=np.float32)
    announce_compilation(run, _gram_rows)
    finished = in_blocks(
        lambda begin, end: _gram_rows(*rows, *columns, out, begin, end),
        rows.n_rows,
        max(16, rows.n_rows // 128),
        run.threads,
        should_stop=lambda: run.should_stop,
    )
    if not finished:
        raise CannotFit("stopped before there was a model to keep")
    return out


@numba.njit(cache=True, nogil=True)
def _gram_rows(
    indptr: Any,
    indices: Any,
    data: Any,
    column_indptr: Any,
    column_indices: Any,
    column_data: Any,
    out: Any,
    begin: int,
    end: int,
) -> None:
    for row in range(begin, end):
        target = out[row]
        for at in range(indptr[row], indptr[row + 1]):
            column = indices[at]
            value = data[at]
            for other in range(column_indptr[column], column_indptr[column + 1]):
                if column_indices[other] > row:
                    break
                target[column_indices[other]] += value * column_data[other]


def sparse_times_dense(rows: SparseRows, dense: Float32, threads: int = 1) -> Float32:
    """A sparse matrix (n, m) times a dense one (m, k): float32 (n, k), each entry summed in the order of its row."""
    out = np.zeros((rows.n_rows, dense.shape[1]), dtype=np.float32)
    in_blocks(lambda begin, end: _sparse_times_dense(*rows, dense, out, begin, end), rows.n_rows, 256, threads)
    return out


@numba.njit(cache=True, nogil=True)
def _sparse_times_dense(indptr: Any, indices: Any, data: Any, dense: Any, out: Any, begin: int, end: int) -> None:
    width = dense.shape[1]
    for left in range(0, width, _TILE):
        right = min(left + _TILE, width)
        for row in range(begin, end):
            target = out[row, left:right]
            for at in range(indptr[row], indptr[row + 1]):
                source = dense[indices[at], left:right]
                value = data[at]
                for column in range(right - left):
                    target[column] += value * source[column]


def sparse_times_sparse(rows: SparseRows, others: SparseRows, n_columns: int) -> Float32:
    """A sparse matrix (n, m) times a sparse one (m, n_columns), dense: float32 (n, n_columns)."""
    out = np.zeros((rows.n_rows, n_columns), dtype=np.float32)
    _sparse_times_sparse(*rows, *others, out)
    return out


@numba.njit(cache=True, nogil=True)
def _sparse_times_sparse(
    indptr: Any, indices: Any, data: Any, other_indptr: Any, other_indices: Any, other_data: Any, out: Any
) -> None:
    for row in range(len(indptr) - 1):
        for at in range(indptr[row], indptr[row + 1]):
            middle = indices[at]
            for other in range(other_indptr[middle], other_indptr[middle + 1]):
                out[row, other_indices[other]] += data[at] * other_data[other]


def quadratic_forms(columns: SparseRows, symmetric: Float32, run: RunContext) -> Float32:
    """xᵀ S x for every sparse column x: float32 (k,), summed in float64.

    columns: (k, m), each row one x. symmetric: S, float32 (m, m), of which only the lower triangle is read.
    """
    out = np.empty(columns.n_rows, dtype=np.float32)
    announce_compilation(run, _quadratic_forms)
    in_blocks(
        lambda begin, end: _quadratic_forms(*columns, symmetric, out, begin, end), columns.n_rows, 256, run.threads
    )
    return out


@numba.njit(cache=True, nogil=True)
def _quadratic_forms(indptr: Any, indices: Any, data: Any, symmetric: Any, out: Any, begin: int, end: int) -> None:
    for row in range(begin, end):
        total = 0.0
        for at in range(indptr[row], indptr[row + 1]):
            source = symmetric[indices[at]]
            cross = 0.0
            for other in range(indptr[row], at):
                cross += source[indices[other]] * data[other]
            total += data[at] * (2 * cross + source[indices[at]] * data[at])
        out[row] = total
