"""Names of array types, and the small array operations, that the algorithms of this package share."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from recsys_desktop.api import Query
from recsys_desktop.api.dataset import Bool, Int32, Int64
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


def of_known_items(rows: Ragged, known_items: Bool) -> Ragged:
    """The entries in columns that `known_items` (bool (n_items,)) names."""
    known = known_items[rows.columns]
    if known.all():
        return rows
    kept = np.concatenate(([0], np.cumsum(known)))
    return Ragged(kept[rows.indptr].astype(np.int64), rows.columns[known])


def known_ratings(query: Query, known_items: Bool) -> SparseRows:
    """The ratings that the people of a query gave to the items that `known_items` (bool (n_items,)) names.

    Rows are empty where the query has no ratings: nothing is known of what these people think.
    """
    if query.ratings is None:
        return SparseRows(np.zeros(len(query) + 1, dtype=np.int64), np.empty(0, np.int32), np.empty(0, np.float32))
    rated = SparseRows.of(query.matrix(len(known_items), "rating"))
    known = known_items[rated.indices]
    if known.all():
        return rated
    indptr = np.concatenate(([0], np.cumsum(known)))[rated.indptr]
    return SparseRows(indptr, rated.indices[known], rated.data[known])


def lengthened(factors: npt.NDArray[Any], rows: int) -> npt.NDArray[Any]:
    """A copy of an array (n, ...) with rows of zeros appended up to `rows`."""
    return np.concatenate((factors, np.zeros((rows - len(factors), *factors.shape[1:]), dtype=factors.dtype)))


def merged(old: SparseRows, new: SparseRows) -> SparseRows:
    """The entries of both, those of `new` replacing those of `old` at the same place; `new` may have more rows.

    Only the rows that `new` has entries in are sorted again; indices ascend within a row.
    """
    n_rows = new.n_rows
    old_lengths = np.zeros(n_rows, dtype=np.int64)
    old_lengths[: old.n_rows] = np.diff(old.indptr)
    new_lengths = np.diff(new.indptr)
    touched = new_lengths > 0
    from_touched = np.repeat(touched, old_lengths)
    rows = np.concatenate(
        (np.repeat(np.arange(n_rows), np.where(touched, old_lengths, 0)), np.repeat(np.arange(n_rows), new_lengths))
    )
    columns = np.concatenate((old.indices[from_touched], new.indices))
    values = np.concatenate((old.data[from_touched], new.data))
    order = np.lexsort((columns, rows))
    rows, columns, values = rows[order], columns[order], values[order]
    last = np.append((rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1]), True)
    rows, columns, values = rows[last], columns[last], values[last]
    lengths = np.where(touched, np.bincount(rows, minlength=n_rows), old_lengths)
    indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    indices = np.empty(indptr[-1], dtype=np.int32)
    data = np.empty(indptr[-1], dtype=np.float32)
    fresh = np.repeat(touched, lengths)
    indices[fresh], data[fresh] = columns, values
    indices[~fresh], data[~fresh] = old.indices[~from_touched], old.data[~from_touched]
    return SparseRows(indptr, indices, data)


def rows_of_columns(rows: SparseRows, columns: npt.NDArray[Any]) -> SparseRows:
    """The entries in some columns, by column in the order given: indices are rows of the matrix."""
    place = np.full(int(max(rows.indices.max(initial=-1), columns.max(initial=-1))) + 1, -1, dtype=np.int64)
    place[columns] = np.arange(len(columns))
    positions = np.flatnonzero(place[rows.indices] >= 0)
    owners = np.searchsorted(rows.indptr, positions, side="right") - 1
    target = place[rows.indices[positions]]
    order = np.argsort(target, kind="stable")
    indptr = np.concatenate(([0], np.cumsum(np.bincount(target, minlength=len(columns))))).astype(np.int64)
    return SparseRows(indptr, owners[order].astype(np.int32), rows.data[positions[order]])


def taken_rows(rows: SparseRows, chosen: npt.NDArray[Any]) -> SparseRows:
    """Some rows, in the order given."""
    lengths = np.diff(rows.indptr)[chosen]
    indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    positions = np.repeat(rows.indptr[chosen] - indptr[:-1], lengths) + np.arange(indptr[-1])
    return SparseRows(indptr, rows.indices[positions], rows.data[positions])
