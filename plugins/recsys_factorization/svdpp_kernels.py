"""Compiled kernels of SVD++ with implicit sets on both sides, without the GIL."""

from __future__ import annotations

import numba
import numpy as np

from recsys_desktop.api.dataset import Float32, Int32, Int64


@numba.njit(nogil=True, cache=True, fastmath=True)
def descend_with_sets(
    begin: int,
    end: int,
    order: Int64,
    indptr: Int64,
    columns: Int32,
    targets: Float32,
    row_biases: Float32,
    column_biases: Float32,
    row_factors: Float32,
    column_factors: Float32,
    column_sets: Float32,
    members: Float32,
    own_parts: Float32,
    row_shares: Float32,
    column_shares: Float32,
    row_penalty: Float32,
    column_penalty: Float32,
    member_penalty: Float32,
    rate: float,
) -> float:
    """A gradient step on each rating of rows `order[begin]` to `order[end - 1]`, in place; the sum of squared errors.

    A row's vector is row_factors[r] + row_shares[r] * the sum of `members` over its columns; a column's vector is
    column_factors[c] + column_sets[c]. For the rating of r and c, c's member is left out of the former, and r's own
    part column_shares[c] * own_parts[r] out of the latter. The members of a row move together when its ratings are
    done, each by what the other ratings of the row ask for; in between the row's sum moves as they will. The gradients
    of penalties are taken where a step ends, as in `descend_on_ratings`.

    Parameters
    ----------
    order: int64, rows in the order of visits. indptr: int64, columns: int32, targets: float32: ratings by row.
    row_factors, own_parts: float32 (rows, dimensions). column_factors, column_sets, members: float32 (columns,
    dimensions). row_shares, column_shares: float32, 1 / sqrt(size of the set), 0 for no sets.
    row_penalty, column_penalty: float32 (n, 2), for each rating, of bias and factors. member_penalty: float32
    (columns,).
    """
    dimensions = row_factors.shape[1]
    gradient = np.empty(dimensions, dtype=np.float32)
    together = np.empty(dimensions, dtype=np.float32)
    errors = np.empty(len(column_biases), dtype=np.float32)
    step, one = np.float32(rate), np.float32(1.0)
    squared = 0.0
    for visit in range(begin, end):
        row = order[visit]
        first, last = indptr[row], indptr[row + 1]
        factors, own, share = row_factors[row], own_parts[row], row_shares[row]
        for f in range(dimensions):
            gradient[f] = np.float32(0.0)
            together[f] = np.float32(0.0)
        for at in range(first, last):
            member = members[columns[at]]
            for f in range(dimensions):
                together[f] += share * member[f]
        row_decay = one / (one + step * row_penalty[row, 1])
        for at in range(first, last):
            column = columns[at]
            other, others_set, member = column_factors[column], column_sets[column], members[column]
            column_share = column_shares[column]
            inner = np.float32(0.0)
            for f in range(dimensions):
                left = factors[f] + together[f] - share * member[f]
                inner += left * (other[f] + others_set[f] - column_share * own[f])
            error = targets[at] - row_biases[row] - column_biases[column] - inner
            errors[at - first] = error
            squared += error * error
            weighted = step * error
            row_biases[row] = (row_biases[row] + weighted) / (one + step * row_penalty[row, 0])
            column_biases[column] = (column_biases[column] + weighted) / (one + step * column_penalty[column, 0])
            column_decay = one / (one + step * column_penalty[column, 1])
            for f in range(dimensions):
                left = factors[f] + together[f] - share * member[f]
                right = other[f] + others_set[f] - column_share * own[f]
                factors[f] = row_decay * (factors[f] + weighted * right)
                other[f] = column_decay * (other[f] + weighted * left)
                gradient[f] += error * right
                together[f] += share * share * (last - first) * weighted * right
        if share == np.float32(0.0):
            continue
        for at in range(first, last):
            column = columns[at]
            other, others_set, member = column_factors[column], column_sets[column], members[column]
            column_share, error = column_shares[column], errors[at - first]
            decay = one / (one + step * member_penalty[column])
            for f in range(dimensions):
                asked = gradient[f] - error * (other[f] + others_set[f] - column_share * own[f])
                member[f] = decay * (member[f] + step * share * asked)
    return squared


@numba.njit(nogil=True, cache=True, fastmath=True)
def sum_sets(
    begin: int, end: int, indptr: Int64, columns: Int32, members: Float32, shares: Float32, out: Float32
) -> None:
    """out[r] = shares[r] * the sum of `members` over the columns of row r, for rows `begin` to `end`."""
    for row in range(begin, end):
        out[row] = np.float32(0.0)
        for at in range(indptr[row], indptr[row + 1]):
            out[row] += members[columns[at]]
        out[row] *= shares[row]
