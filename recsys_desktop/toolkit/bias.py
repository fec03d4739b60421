"""Regularised user and item biases: the part of a rating that needs no interaction between the two."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from recsys_desktop.api import Dataset, Query, RunContext
from recsys_desktop.api.dataset import Float32, Int32, Int64
from recsys_desktop.toolkit.parallel import announce_compilation
from recsys_desktop.toolkit.products import SparseRows

_MAX_SWEEPS = 50
_TOLERANCE = 1e-4
_LEAST, _MOST = 1e-3, 1e6


class Biases(NamedTuple):
    """A rating is about mean + user bias + item bias (Koren, Factor in the Neighbors, TKDD 2010, section 2.1).

    mean: the overall mean rating. users: float32 (n_users,), 0 for users without ratings. items: float32 (n_items,), 0
    for items without. user_regularisation, item_regularisation: how many ratings without deviation a bias is shrunk by.
    All but the regularisations are in rating units.
    """

    mean: float
    users: Float32
    items: Float32
    user_regularisation: float
    item_regularisation: float

    def of_histories(self, query: Query) -> Float32:
        """The bias of each person from their history alone: float32 (n,), 0 where it holds no rating.

        For the users of `fit_biases` with the histories they had there, these are `users`.
        """
        return self.of_rows(rated_histories(query, len(self.items)))

    def of_rows(self, rated: SparseRows) -> Float32:
        """The bias of people with these ratings, (n, n_items): float32 (n,), 0 where a row is empty."""
        lengths = np.diff(rated.indptr)
        owner = np.repeat(np.arange(rated.n_rows), lengths)
        deviation = rated.data.astype(np.float64) - self.mean - self.items[rated.indices]
        sums = np.bincount(owner, weights=deviation, minlength=rated.n_rows)
        biases = np.divide(sums, lengths + self.user_regularisation, out=np.zeros(rated.n_rows), where=lengths > 0)
        of_people: Float32 = biases.astype(np.float32)
        return of_people

    def ratings(self, of_people: Float32, items: Int32 | None = None) -> Float32:
        """mean + bias of each person + bias of each item: float32 (n, n_items) or (n, len(items)).

        of_people: float32 (n,), biases of people. items: int32, codes.
        """
        of_items = self.items if items is None else self.items[items]
        together: Float32 = np.add.outer(of_people + np.float32(self.mean), of_items)
        return together


def rated_histories(query: Query, n_items: int) -> SparseRows:
    """The histories with their ratings, (n, n_items); empty where the query is of items alone."""
    if query.ratings is None:
        return SparseRows(np.zeros(len(query) + 1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32))
    return SparseRows.of(query.matrix(n_items, "rating"))


def fit_biases(
    train: Dataset, user_regularisation: float | None, item_regularisation: float | None, run: RunContext
) -> Biases:
    """Minimise Σ (r - mean - b_u - b_i)² + λ_u Σ b_u² + λ_i Σ b_i² by exact alternating steps.

    They end when no item bias moves by 1e-4, after 50 at the latest: where a regularisation of 0 is given and people
    and items hang together by few ratings, that is before the minimum.

    A regularisation of None is estimated with the biases: λ is the variance of ratings around mean + b_u + b_i over
    the variance of the biases, both by expectation maximisation with a factorised Gaussian posterior (empirical Bayes).
    Where people, or items, do not differ it grows without limit and their biases vanish.

    The last step is the users', so that a user's bias is what `Biases.of_histories` makes of their own ratings.
    """
    ratings = train.ratings
    if ratings is None:
        raise ValueError("biases need ratings")
    announce_compilation(run, _sums_of_residuals, _sum_of_squares)
    mean = float(ratings.mean(dtype=np.float64))
    sides = (
        _Side(train.users, train.items, train.user_counts, user_regularisation),
        _Side(train.items, train.users, train.item_counts, item_regularisation),
    )
    users, items = sides
    for _ in range(_MAX_SWEEPS):
        before = items.biases
        for mine, other in ((users, items), (items, users)):
            mine.step(ratings, mean, other.biases)
        if user_regularisation is None or item_regularisation is None:
            residual = _sum_of_squares(train.users, train.items, ratings, mean, users.biases, items.biases)
            spread = sum(float((side.counts / side.weights).sum()) for side in sides)
            # A bias is only known to within noise / weight, which adds to each of its ratings' squares.
            noise = residual / max(len(ratings) - spread, 1e-3 * len(ratings))
            for side in sides:
                side.estimate(noise)
        if np.abs(items.biases - before).max() < _TOLERANCE or run.should_stop:
            break
    users.step(ratings, mean, items.biases)
    return Biases(
        mean,
        users.biases.astype(np.float32),
        items.biases.astype(np.float32),
        float(users.regularisation),
        float(items.regularisation),
    )


class _Side:
    """The biases of users or of items while they are fitted."""

    def __init__(self, owners: Int32, others: Int32, counts: Int64, regularisation: float | None) -> None:
        self.owners = owners
        self.others = others
        self.counts = counts
        self.estimated = regularisation is None
        self.regularisation = 5.0 if regularisation is None else regularisation
        self.biases = np.zeros(len(counts))

    @property
    def weights(self) -> npt.NDArray[np.float64]:
        """Ratings plus regularisation of each."""
        weights: npt.NDArray[np.float64] = np.maximum(self.counts + self.regularisation, 1e-9)
        return weights

    def step(self, ratings: Float32, mean: float, other_biases: npt.NDArray[np.float64]) -> None:
        """The best biases for those of the other side."""
        sums = _sums_of_residuals(self.owners, self.others, ratings, mean, other_biases, len(self.counts))
        self.biases = sums / self.weights

    def estimate(self, noise: float) -> None:
        """The regularisation for which the biases are as spread out as their posterior says."""
        present = self.counts > 0
        if not self.estimated or not present.any():
            return
        variance = float(np.mean(self.biases[present] ** 2 + noise / self.weights[present]))
        self.regularisation = min(max(noise / variance, _LEAST), _MOST) if variance > 0 else _MOST


@numba.njit(cache=True, nogil=True)
def _sums_of_residuals(owners: Any, others: Any, ratings: Any, mean: float, other_biases: Any, size: int) -> Any:
    sums = np.zeros(size)
    for at in range(len(owners)):
        sums[owners[at]] += ratings[at] - mean - other_biases[others[at]]
    return sums


@numba.njit(cache=True, nogil=True)
def _sum_of_squares(users: Any, items: Any, ratings: Any, mean: float, of_users: Any, of_items: Any) -> float:
    total = 0.0
    for at in range(len(users)):
        residual = ratings[at] - mean - of_users[users[at]] - of_items[items[at]]
        total += residual * residual
    return total
