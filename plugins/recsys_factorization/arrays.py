"""Names of array types, and the small array operations, that the algorithms of this package share."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from recsys_desktop.api import Dataset, Query
from recsys_desktop.api.dataset import Bool, Float32, Int32, Int64
from recsys_desktop.toolkit.bias import rated_histories
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
    return rated_histories(query, len(known_items)).with_columns(own_places(known_items))


def own_places(known: Bool) -> Int32:
    """Columns by themselves, -1 where not known: int32 (n_items,); see `SparseRows.with_columns`."""
    return np.where(known, np.arange(len(known)), -1).astype(np.int32)


def set_shares(lengths: npt.NDArray[Any]) -> Float32:
    """What each member counts in a set of this size, 1 / sqrt(size): float32 (n,), 1 for no members."""
    shares: Float32 = (1 / np.sqrt(np.maximum(lengths, 1))).astype(np.float32)
    return shares


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
    last = np.ones(len(rows), dtype=np.bool_)
    last[:-1] = (rows[1:] != rows[:-1]) | (columns[1:] != columns[:-1])
    rows, columns, values = rows[last], columns[last], values[last]
    lengths = np.where(touched, np.bincount(rows, minlength=n_rows), old_lengths)
    indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    indices = np.empty(indptr[-1], dtype=np.int32)
    data = np.empty(indptr[-1], dtype=np.float32)
    fresh = np.repeat(touched, lengths)
    indices[fresh], data[fresh] = columns, values
    indices[~fresh], data[~fresh] = old.indices[~from_touched], old.data[~from_touched]
    return SparseRows(indptr, indices, data)


class Changed(NamedTuple):
    """Interactions by user after additions, and the codes of the people and items whose interactions changed.

    users, items: int64, ascending.
    """

    rows: SparseRows
    users: Int64
    items: Int64


def with_additions(had: SparseRows, additions: Dataset, min_rating: float | None) -> Changed:
    """Interactions that count, each 1, with those of `additions`, which may have more people and items.

    An item that is rated anew below `min_rating` no longer counts for the person who had it.
    """
    new = SparseRows.of(additions.matrix("one"))
    if min_rating is not None and additions.ratings is not None:
        rated = SparseRows.of(additions.matrix("rating"))
        new = rated._replace(data=(rated.data >= min_rating).astype(np.float32))
    people = _owners(new)
    both, counts = merged(had, new), new.data > 0
    if counts.all():
        return Changed(both, np.unique(people), np.unique(new.indices).astype(np.int64))
    kept = both.data > 0
    indptr = np.concatenate(([0], np.cumsum(kept)))[both.indptr].astype(np.int64)
    own = np.unique(people[people < had.n_rows]).astype(np.int32)
    before = had.take(own)
    held = np.isin(_places(people, new.indices), _places(own[_owners(before)], before.indices))
    changed = counts | held
    rows = SparseRows(indptr, both.indices[kept], both.data[kept])
    return Changed(rows, np.unique(people[changed]), np.unique(new.indices[changed]).astype(np.int64))


def with_ratings(had: SparseRows, additions: Dataset) -> Changed:
    """Ratings by user with those of `additions`, which may have more people and items; the later of a pair holds."""
    new = SparseRows.of(additions.matrix("rating"))
    return Changed(merged(had, new), np.unique(_owners(new)), np.unique(new.indices).astype(np.int64))


def _owners(rows: SparseRows) -> Int64:
    """The row of each entry: int64 (entries,)."""
    return np.repeat(np.arange(rows.n_rows), np.diff(rows.indptr))


def _places(rows: npt.NDArray[Any], columns: npt.NDArray[Any]) -> Int64:
    """One number for each place of a matrix: int64 (entries,)."""
    return (rows.astype(np.int64) << 32) | columns.astype(np.int64)


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
