"""Which weights rank held-out items best: members' scores for the items that could be listed, and weights to try."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations_with_replacement
from math import comb
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys_desktop.api import Dataset, Query, Recommender
from recsys_desktop.api.dataset import Bool, Float32
from recsys_hybrid.combining import standardised, weighted_mean

Weights = npt.NDArray[np.float64]

LENGTH = 10
"""The length at which lists are judged."""

BEST_OF_EACH = 100
"""How many of each member's best items are candidates for a list."""

_SCORES_AT_ONCE = 500_000
_STANDARD_ERRORS = 1.5


class Candidates(NamedTuple):
    """The items that could be listed for some people: the best hundred unseen ones of each member.

    An item outside would need a good place in the combined list without one among the best hundred of any member.

    scores: float32 (members, people, width), standardised over all of a member's items; NaN where the member has none,
    and for all members in an empty place. held_out: bool (people, width). n_held_out: int64 (people,), of each person
    in all.
    """

    scores: Float32
    held_out: Bool
    n_held_out: npt.NDArray[np.int64]

    def ndcg(self, weights: Weights) -> npt.NDArray[np.float64]:
        """NDCG@10 (binary gain, the ideal cut at 10) of each person's list by the weighted mean of scores: (people,).

        weights: (members,).
        """
        combined, _ = weighted_mean(zip(weights.tolist(), self.scores, strict=True))
        combined[np.isnan(combined)] = -np.inf
        places = np.sort(np.argpartition(-combined, min(LENGTH, combined.shape[1]) - 1, axis=1)[:, :LENGTH], axis=1)
        listed = np.take_along_axis(combined, places, axis=1)
        order = np.take_along_axis(places, np.argsort(-listed, axis=1, kind="stable"), axis=1)
        hits = np.take_along_axis(self.held_out, order, axis=1)
        discounts = 1 / np.log2(np.arange(2, LENGTH + 2))
        ideal = np.cumsum(discounts)[np.minimum(self.n_held_out, LENGTH) - 1]
        figures: npt.NDArray[np.float64] = hits @ discounts[: hits.shape[1]] / ideal
        return figures


def gather_candidates(
    members: Sequence[Recommender],
    history: Dataset,
    held_out: Dataset,
    users: npt.NDArray[np.int64],
    advance: Callable[[float], bool],
) -> Candidates | None:
    """Ask every member about `users` (codes, each with held-out items), block by block.

    history: what the members were fitted on. advance: told the fraction that is done; False ends it, with None.
    """
    relevant = held_out.matrix()
    block = max(1, _SCORES_AT_ONCE // max(history.n_items, 1))
    scores, marks = [], []
    for begin in range(0, len(users), block):
        if not advance(begin / len(users)):
            return None
        people = users[begin : begin + block]
        query = Query.of_users(history, people)
        rows = np.stack([standardised(member.score(query)).values for member in members])
        rows[:, query.owner, query.items] = np.nan
        places, empty = _best_places(rows)
        chosen = np.take_along_axis(rows, places[None], axis=2)
        chosen[:, empty] = np.nan
        scores.append(chosen)
        wanted = relevant[people].toarray() > 0
        marks.append(np.take_along_axis(wanted, places, axis=1) & ~empty)
    return Candidates(np.concatenate(scores, axis=1), np.concatenate(marks), held_out.user_counts[users])


def _best_places(rows: Float32) -> tuple[npt.NDArray[np.int64], Bool]:
    """Places of the best items of each member: int64 (people, width), in rising order, and which repeat another."""
    best = min(BEST_OF_EACH, rows.shape[2])
    found = []
    for scores in rows:
        known = np.where(np.isnan(scores), -np.inf, scores)
        found.append(np.argpartition(-known, best - 1, axis=1)[:, :best])
    places = np.sort(np.concatenate(found, axis=1), axis=1)
    repeated = np.zeros(places.shape, dtype=np.bool_)
    repeated[:, 1:] = places[:, 1:] == places[:, :-1]
    return places, repeated


def lattice(n_members: int) -> Weights:
    """Weights to try, float64 (m, n_members), rows 1 together: even steps over the simplex, then equal weights.

    The steps are the finest with at most a hundred rows, and no finer than a sixteenth.
    """
    parts = max(parts for parts in range(1, 17) if parts == 1 or comb(parts + n_members - 1, parts) <= 100)
    rows = [
        np.bincount(chosen, minlength=n_members) / parts
        for chosen in combinations_with_replacement(range(n_members), parts)
    ]
    return np.array([*rows, np.full(n_members, 1 / n_members)])


def undistinguished_mean(weights: Weights, figures: npt.NDArray[np.float64]) -> Weights:
    """The mean of all rows that are as good as the best one, as far as these people can tell: (n_members,).

    weights: (m, n_members). figures: float64 (m, people), what each row of weights reached for each person. A row is as
    good as the best where the mean difference is within 1.5 of its standard errors, the differences taken person by
    person. The single best row would follow chance: many rows are equally good, and their mean lies amid them.
    """
    lost = figures[figures.mean(axis=1).argmax()] - figures
    error = lost.std(axis=1) / np.sqrt(figures.shape[1])
    mean: Weights = weights[lost.mean(axis=1) <= _STANDARD_ERRORS * error].mean(axis=0)
    return mean
