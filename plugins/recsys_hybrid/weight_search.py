"""Which weights rank held-out items best: members' scores for the items that could be listed, and a search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys_desktop.api import Dataset, Query, Recommender
from recsys_desktop.api.dataset import Bool, Float32
from recsys_hybrid.combining import standardised, weighted_mean

Weights = npt.NDArray[np.float64]

LENGTH = 10
"""The length at which lists are judged."""

_BEST_OF_EACH = 100
_SCORES_AT_ONCE = 1_000_000
_STEPS = (0.25, 0.125, 0.0625, 0.03125)
_MOVES_PER_STEP = 10


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

    def ndcg(self, weights: Weights) -> float:
        """Mean NDCG@10 (binary gain, the ideal cut at 10) of lists by the weighted mean of scores."""
        combined, _ = weighted_mean(zip(weights.tolist(), self.scores, strict=True))
        combined[np.isnan(combined)] = -np.inf
        places = np.sort(np.argpartition(-combined, min(LENGTH, combined.shape[1]) - 1, axis=1)[:, :LENGTH], axis=1)
        listed = np.take_along_axis(combined, places, axis=1)
        order = np.take_along_axis(places, np.argsort(-listed, axis=1, kind="stable"), axis=1)
        hits = np.take_along_axis(self.held_out, order, axis=1)
        discounts = 1 / np.log2(np.arange(2, LENGTH + 2))
        ideal = np.cumsum(discounts)[np.minimum(self.n_held_out, LENGTH) - 1]
        return float((hits @ discounts[: hits.shape[1]] / ideal).mean())


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
    best = min(_BEST_OF_EACH, rows.shape[2])
    found = []
    for scores in rows:
        known = np.where(np.isnan(scores), -np.inf, scores)
        found.append(np.argpartition(-known, best - 1, axis=1)[:, :best])
    places = np.sort(np.concatenate(found, axis=1), axis=1)
    repeated = np.zeros(places.shape, dtype=np.bool_)
    repeated[:, 1:] = places[:, 1:] == places[:, :-1]
    return places, repeated


def best_weights(
    objective: Callable[[Weights], float],
    n_members: int,
    report: Callable[[Weights, float], bool],
) -> tuple[Weights, float]:
    """The weights (n_members,), 0 or more and 1 together, with the largest objective, and that.

    Begins at the best of equal weights and each member alone, and moves weight from one member to another as long as
    that helps, in steps from a quarter to a thirty-second. Without randomness; among equals the first found stays, and
    equal weights are looked at first.

    report: told every improvement; False ends the search.
    """
    known: dict[tuple[float, ...], float] = {}

    def value(weights: Weights) -> float:
        key = tuple(np.round(weights, 9).tolist())
        if key not in known:
            known[key] = objective(weights)
        return known[key]

    starts = [np.full(n_members, 1 / n_members), *np.eye(n_members)]
    best = max(starts, key=value)
    going = report(best, value(best))
    for step in _STEPS:
        for _ in range(_MOVES_PER_STEP):
            if not going:
                break
            moved = max(_moves(best, step), key=value, default=best)
            if value(moved) <= value(best):
                break
            best = moved
            going = report(best, value(best))
    return best, value(best)


def _moves(weights: Weights, step: float) -> list[Weights]:
    """Every way to give at most `step` of one member's weight to another."""
    moves = []
    for giver in np.flatnonzero(weights > 0):
        for taker in range(len(weights)):
            if taker != giver:
                moved = weights.copy()
                amount = min(step, weights[giver])
                moved[taker] += amount
                moved[giver] -= amount
                moves.append(moved)
    return moves
