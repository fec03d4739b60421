"""Names of array types, and the small array operations, that the algorithms of this package share."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.dataset import Float32, Int32, Int64
from recsys_desktop.toolkit.products import SparseRows

Float64: TypeAlias = npt.NDArray[np.float64]


class Ragged(NamedTuple):
    """The positions of the ones of a binary matrix, by row: indptr int64 (rows + 1,), columns int32 (entries,)."""

    indptr: Int64
    columns: Int32

    @classmethod
    def of(cls, matrix: Any) -> Ragged:
        """The sparsity pattern of a CSR or CSC matrix, by row or by column."""
        return cls(matrix.indptr.astype(np.int64, copy=False), matrix.indices.astype(np.int32, copy=False))

    @property
    def lengths(self) -> Int64:
        """int64 (rows,): the entries of each row."""
        return np.diff(self.indptr)

    def transposed(self, n_columns: int) -> Ragged:
        """The same ones by column, in the order of rows."""
        rows = SparseRows(self.indptr, self.columns, np.ones(len(self.columns), dtype=np.float32))
        by_column = rows.transposed(n_columns)
        return Ragged(by_column.indptr, by_column.indices)

    def take(self, rows: npt.NDArray[Any]) -> Ragged:
        """Some rows, in the order given."""
        lengths = self.lengths[rows]
        indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
        positions = np.repeat(self.indptr[rows] - indptr[:-1], lengths) + np.arange(indptr[-1])
        return Ragged(indptr, self.columns[positions])


def lengthened(factors: Float32, rows: int) -> Float32:
    """A copy of float32 (n, dimensions) with rows of zeros appended up to `rows`."""
    return np.concatenate((factors, np.zeros((rows - len(factors), *factors.shape[1:]), dtype=factors.dtype)))
