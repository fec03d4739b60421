"""Regularised user and item biases: the part of a rating that needs no interaction between the two."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np

from recsys_desktop.api import Dataset, Query, RunContext
from recsys_desktop.api.dataset import Float32, Int32
from recsys_desktop.toolkit.parallel import announce_compilation

_MAX_SWEEPS = 50
_TOLERANCE = 1e-5


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
        """The bias of each person from their history alone: float32 (n,), 0 where there is none.

        For the users of `fit_biases` with the histories they had there, these are `users`.

        Raises
        ------
        InvalidData: the query has no ratings.
        """
        rated = query.matrix(len(self.items), "rating")
        lengths = np.diff(rated.indptr)
        owner = np.repeat(np.arange(len(query)), lengths)
        deviation = rated.data.astype(np.float64) - self.mean - self.items[rated.indices]
        sums = np.bincount(owner, weights=deviation, minlength=len(query))
        biases = np.divide(sums, lengths + self.user_regularisation, out=np.zeros(len(query)), where=lengths > 0)
        of_people: Float32 = biases.astype(np.float32)
        return of_people

    def ratings(self, of_people: Float32, items: Int32 | None = None) -> Float32:
        """mean + bias of each person + bias of each item: float32 (n, n_items) or (n, len(items)).

        of_people: float32 (n,), biases of people. items: int32, codes.
        """
        of_items = self.items if items is None else self.items[items]
        together: Float32 = np.add.outer(of_people + np.float32(self.mean), of_items)
        return together


def fit_biases(train: Dataset, user_regularisation: float, item_regularisation: float, run: RunContext) -> Biases:
    """Minimise Σ (r - mean - b_u - b_i)² + λ_u Σ b_u² + λ_i Σ b_i² by exact alternating steps, to convergence.

    The last step is the users', so that a user's bias is what `Biases.of_histories` makes of their own ratings.
    """
    ratings = train.ratings
    if ratings is None:
        raise ValueError("biases need ratings")
    announce_compilation(run, _sums_of_residuals)
    mean = float(ratings.mean(dtype=np.float64))
    users, items = np.zeros(train.n_users), np.zeros(train.n_items)
    user_scale = 1 / np.maximum(train.user_counts + user_regularisation, 1e-9)
    item_scale = 1 / np.maximum(train.item_counts + item_regularisation, 1e-9)
    for _ in range(_MAX_SWEEPS):
        users = user_scale * _sums_of_residuals(train.users, train.items, ratings, mean, items, len(users))
        before = items
        items = item_scale * _sums_of_residuals(train.items, train.users, ratings, mean, users, len(items))
        if np.abs(items - before).max() < _TOLERANCE or run.should_stop:
            break
    users = user_scale * _sums_of_residuals(train.users, train.items, ratings, mean, items, len(users))
    return Biases(
        mean,
        users.astype(np.float32),
        items.astype(np.float32),
        float(user_regularisation),
        float(item_regularisation),
    )


@numba.njit(cache=True, nogil=True)
def _sums_of_residuals(owners: Any, others: Any, ratings: Any, mean: float, other_biases: Any, size: int) -> Any:
    sums = np.zeros(size)
    for at in range(len(owners)):
        sums[owners[at]] += ratings[at] - mean - other_biases[others[at]]
    return sums
