"""How far two rows of ratings agree over the columns that both have: cosine and correlation, shrunk by support."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from recsys_desktop.api import RunContext
from recsys_desktop.api.dataset import Float32, Int32, Int64
from recsys_desktop.toolkit.bias import Biases
from recsys_desktop.toolkit.parallel import announce_compilation
from recsys_desktop.toolkit.products import SparseRows
from recsys_desktop.toolkit.topk import collect_rows, select_largest
from recsys_neighbors.plugin import Similarity

_ALMOST_NOTHING = 1e-6
_LOST_IN_ROUNDING = 1e-5
"""Share of the sum of squares below which a sum of squares around the mean is rounding error in float32."""


class Rule(NamedTuple):
    """How a similarity is made from sums over common columns.

    take_off_means: subtract the two means over their common columns first (Pearson). shrinkage: λ multiplies by
    (n - 1) / (n - 1 + λ), n the number of common columns (Koren 2010, equation 3). significance: s multiplies by
    min(n, s) / s (Herlocker et al. 1999). least: similarities that are below it before either count as none.
    """

    take_off_means: bool
    shrinkage: float
    significance: int
    least: float


def deviations(similarity: Similarity, by_user: SparseRows, biases: Biases, of_people: Float32) -> Float32:
    """What is compared instead of the ratings themselves: float32, one for each entry of `by_user`.

    "pearson-baseline": the rating less mean, user and item bias (Koren 2010, equation 2). "adjusted-cosine": less the
    user's mean rating (Sarwar et al. 2001). "pearson": less the overall mean; the means over common columns are taken
    off later. "cosine": the rating.
    """
    if similarity == "cosine":
        return by_user.data
    lengths = np.diff(by_user.indptr)
    if similarity == "pearson":
        return by_user.data - np.float32(biases.mean)
    if similarity == "adjusted-cosine":
        owner = np.repeat(np.arange(by_user.n_rows), lengths)
        sums = np.bincount(owner, weights=by_user.data, minlength=by_user.n_rows)
        means = (sums / np.maximum(lengths, 1)).astype(np.float32)
        return by_user.data - np.repeat(means, lengths)
    return residuals(by_user, biases, of_people)


def residuals(by_user: SparseRows, biases: Biases, of_people: Float32) -> Float32:
    """Ratings less mean, user bias and item bias: float32, one for each entry of `by_user`."""
    people = np.repeat(of_people, np.diff(by_user.indptr))
    return by_user.data - np.float32(biases.mean) - people - biases.items[by_user.indices]


def most_similar(
    rows: SparseRows,
    columns: SparseRows,
    k: int,
    rule: Rule,
    run: RunContext,
    text: str,
) -> SparseRows:
    """The k largest positive similarities of each row to the others, over common columns, from sums of moments.

    rows: (n, m), deviations. columns: its transpose (m, n).

    Returns
    -------
    SparseRows (n, n), at most k entries a row, in no order. Raises as `collect_rows`.
    """
    announce_compilation(run, _most_similar_rows)

    def block(neighbours: Int32, values: Float32, sizes: Int64, begin: int) -> None:
        _most_similar_rows(rows, columns, rule, neighbours, values, sizes, begin)

    return collect_rows(block, rows.n_rows, min(k, rows.n_rows), run, text)


@numba.njit(cache=True, nogil=True)
def agreement(sums: Any, rule: Any) -> Any:
    """The similarity of two rows x and y, 0 where it is undefined, not positive, or below the rule's least.

    sums: count, Σxy, Σx², Σy² over the common columns, and Σx, Σy where means are taken off. Called from other kernels.
    """
    count, product, left, right = sums[0], sums[1], sums[2], sums[3]
    nothing_left = nothing_right = np.float32(_ALMOST_NOTHING)
    if rule.take_off_means:
        nothing_left += np.float32(_LOST_IN_ROUNDING) * left
        nothing_right += np.float32(_LOST_IN_ROUNDING) * right
        product -= sums[4] * sums[5] / count
        left -= sums[4] * sums[4] / count
        right -= sums[5] * sums[5] / count
    if left <= nothing_left or right <= nothing_right or product <= 0:
        return np.float32(0)
    similarity = min(product / np.sqrt(left * right), np.float32(1))
    if similarity < rule.least:
        return np.float32(0)
    if rule.shrinkage > 0:
        similarity *= (count - 1) / (count - 1 + rule.shrinkage)
    if count < rule.significance:
        similarity *= count / rule.significance
    return np.float32(similarity)


@numba.njit(cache=True, nogil=True)
def is_own_copy(common: Any, length: int) -> Any:
    """Whether the training part of the code asked about is the person's own: it holds three quarters of their history.

    A whole history is its own copy, and so are what-ifs without some of it and with some more. Under another person's
    code a history is answered like a stranger's. common: items of the history that the training part holds. length:
    of the history. Called from other kernels.
    """
    return 4 * common >= 3 * length


@numba.njit(cache=True, nogil=True)
def empty_sums(n: int, rule: Any) -> Any:
    """Room for the sums of `agreement` with n rows: float32 (n, 4), or (n, 6) where means are taken off."""
    return np.zeros((n, 6 if rule.take_off_means else 4), dtype=np.float32)


@numba.njit(cache=True, nogil=True)
def add_common(indices: Any, data: Any, columns: Any, rule: Any, sums: Any, touched: Any) -> int:
    """Add the sums of `agreement` between one row and all rows that share a column with it.

    indices, data: the row. columns: SparseRows, the matrix by columns. sums: of `empty_sums`, all 0, to fill. touched:
    int32 (n + 1,), to fill with the rows met. Returns how many were met. Called from other kernels.
    """
    others, their_data, indptr = columns.indices, columns.data, columns.indptr
    count = 0
    for at in range(len(indices)):
        column, x = indices[at], data[at]
        square = x * x
        for other in range(indptr[column], indptr[column + 1]):
            row, y = others[other], their_data[other]
            # Written always and counted when new: a branch here would be mispredicted half of the time.
            touched[count] = row
            count += sums[row, 0] == 0
            sums[row, 0] += np.float32(1)
            sums[row, 1] += x * y
            sums[row, 2] += square
            sums[row, 3] += y * y
        if rule.take_off_means:
            for other in range(indptr[column], indptr[column + 1]):
                sums[others[other], 4] += x
                sums[others[other], 5] += their_data[other]
    return count


@numba.njit(cache=True, nogil=True)
def _most_similar_rows(
    rows: Any, columns: Any, rule: Any, neighbours: Any, values: Any, sizes: Any, begin: int
) -> None:
    n = len(rows.indptr) - 1
    sums = empty_sums(n, rule)
    touched = np.empty(n + 1, dtype=np.int32)
    similarities = np.empty(n, dtype=np.float32)
    keys = np.empty(n, dtype=np.uint64)
    least_common = 2 if rule.shrinkage > 0 else 1
    for place in range(len(sizes)):
        row = begin + place
        here = slice(rows.indptr[row], rows.indptr[row + 1])
        count = add_common(rows.indices[here], rows.data[here], columns, rule, sums, touched)
        size = 0
        for met in range(count):
            other = touched[met]
            # Most pairs share a single column or disagree; they are set aside before anything is computed.
            may_agree = rule.take_off_means or sums[other, 1] > 0
            if may_agree and sums[other, 0] >= least_common and other != row:
                similarity = agreement(sums[other], rule)
                if similarity > 0:
                    similarities[size] = similarity
                    touched[size] = other
                    size += 1
            for moment in range(sums.shape[1]):
                sums[other, moment] = 0
        sizes[place] = select_largest(touched, similarities, size, keys, neighbours[place], values[place])
