"""Negative sampling: items that a user has not met, drawn in whole arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.dataset import Float32, Int64

_REJECTION_ROUNDS = 12


class NegativeSampler:
    """Draws items for users who have not interacted with them: rejection first, the exact complement for what is left.

    Item i is proposed with probability q_i ∝ count_i ^ exponent among the items that occur: 0 is uniform, 1 follows
    popularity (Mikolov et al. 2013 use 0.75).

    Parameters
    ----------
    users, items: int (n,), the interactions, codes; a pair may occur more than once.
    n_items: size of the item vocabulary; items that never occur are never drawn.
    exponent: of the popularity, from 0.

    Attributes
    ----------
    log_probabilities: float32 (n_items,), log(q_i · m) with m the number of items that occur: 0 for uniform sampling;
        0 too for items that never occur.
    """

    def __init__(self, users: npt.NDArray[Any], items: npt.NDArray[Any], n_items: int, exponent: float = 0.0) -> None:
        self._n_items = n_items
        self._seen: Int64 = users.astype(np.int64)
        self._seen *= n_items
        self._seen += items
        self._seen.sort()
        counts = np.bincount(items, minlength=n_items)
        self._present = np.flatnonzero(counts)
        weights = counts[self._present].astype(np.float64) ** exponent
        self._cumulative = np.cumsum(weights)
        self.log_probabilities: Float32 = np.zeros(n_items, dtype=np.float32)
        if len(self._present):
            shares = weights / self._cumulative[-1]
            self.log_probabilities[self._present] = np.log(shares * len(self._present))
        self._urn: npt.NDArray[Any] | None = None
        if exponent in (0, 1):
            self._urn = self._present if exponent == 0 else items

    def draw(self, users: npt.NDArray[Any], count: int, generator: np.random.Generator) -> Int64:
        """`count` unseen items for each of `users` (int (m,)): int64 (m, count); -1 where a user has met every item."""
        owners = np.repeat(users.astype(np.int64), count)
        drawn = self._propose(len(owners), generator)
        open_places = np.flatnonzero(self._is_seen(owners, drawn))
        for _ in range(_REJECTION_ROUNDS):
            if not len(open_places):
                break
            drawn[open_places] = self._propose(len(open_places), generator)
            open_places = open_places[self._is_seen(owners[open_places], drawn[open_places])]
        for user in np.unique(owners[open_places]).tolist():
            places = open_places[owners[open_places] == user]
            drawn[places] = self._from_complement(user, len(places), generator)
        return drawn.reshape(len(users), count)

    def _propose(self, size: int, generator: np.random.Generator) -> Int64:
        if self._urn is not None:
            drawn: Int64 = self._urn[generator.integers(0, len(self._urn), size)].astype(np.int64)
            return drawn
        points = generator.random(size) * self._cumulative[-1]
        places = np.searchsorted(self._cumulative, points, side="right")
        found: Int64 = self._present[np.minimum(places, len(self._present) - 1)]
        return found

    def _is_seen(self, users: Int64, items: Int64) -> npt.NDArray[np.bool_]:
        keys = users * self._n_items + items
        places = np.searchsorted(self._seen, keys)
        found: npt.NDArray[np.bool_] = self._seen[np.minimum(places, len(self._seen) - 1)] == keys
        return found

    def _from_complement(self, user: int, size: int, generator: np.random.Generator) -> Int64:
        """Items that a user with almost everything in the history has not met, by the same probabilities."""
        begin, end = np.searchsorted(self._seen, (user * self._n_items, (user + 1) * self._n_items))
        unseen = ~np.isin(self._present, self._seen[begin:end] - user * self._n_items)
        if not unseen.any():
            return np.full(size, -1, dtype=np.int64)
        weights = np.diff(self._cumulative, prepend=0.0)[unseen]
        return generator.choice(self._present[unseen], size, p=weights / weights.sum())
