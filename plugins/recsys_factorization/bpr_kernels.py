"""Compiled kernels of Bayesian personalised ranking, without the GIL."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from recsys_desktop.api.dataset import Bool, Float32, Int32, Int64


@numba.njit(nogil=True, cache=True)
def _mixed(state: Any) -> Any:
    """The finaliser of SplitMix64: 64 well mixed bits from any 64 bits."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


@numba.njit(nogil=True, cache=True)
def _next(state: Any) -> Any:
    """The next state of a 64-bit linear congruential generator; its upper half is used."""
    return state * np.uint64(6364136223846793005) + np.uint64(1442695040888963407)


@numba.njit(nogil=True, cache=True)
def _below(state: Any, bound: int) -> Any:
    """A whole number from 0 to bound - 1 out of the upper half of a state."""
    return np.int64(((state >> np.uint64(32)) * np.uint64(bound)) >> np.uint64(32))


@numba.njit(nogil=True, cache=True, fastmath=True)
def _hardest(
    state: Any,
    candidates: int,
    seen: Bool,
    catalogue: Int32,
    person: Float32,
    item_factors: Float32,
    item_biases: Float32,
) -> Any:
    """Of some items drawn at random the one that the person does not have and that scores highest.

    Returns the item (-1 where all were had), its score and the state of the generator.
    """
    chosen, highest = -1, np.float32(0.0)
    for _ in range(candidates):
        state = _next(state)
        item = catalogue[_below(state, len(catalogue))]
        if seen[item]:
            continue
        score = item_biases[item]
        factors = item_factors[item]
        for f in range(len(person)):
            score += person[f] * factors[f]
        if chosen < 0 or score > highest:
            chosen, highest = item, score
    return chosen, highest, state


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def learn_pairs(
    people: Int64,
    indptr: Int64,
    items: Int32,
    catalogue: Int32,
    user_factors: Float32,
    item_factors: Float32,
    item_biases: Float32,
    rate: float,
    regularisation: float,
    candidates: int,
    seed: int,
) -> float:
    """Stochastic gradient steps on ln sigmoid(x_ui - x_uj), as many for each of `people` as they have items, in place.

    For each step one of the person's items i is drawn, and as j the highest scoring of `candidates` items that they do
    not have. Returns the sum of -ln sigmoid(x_ui - x_uj) met on the way.

    Parameters
    ----------
    people: int64, rows, in the order of visits. indptr: int64 (n_users + 1,), items: int32, what each has.
    catalogue: int32, the items to draw j from. user_factors, item_factors: float32. item_biases: float32 (n_items,).
    """
    dimensions = user_factors.shape[1]
    seen = np.zeros(len(item_biases), dtype=np.bool_)
    keep = np.float32(1.0 - rate * regularisation)
    loss = 0.0
    for user in people:
        own = items[indptr[user] : indptr[user + 1]]
        person = user_factors[user]
        for item in own:
            seen[item] = True
        start = np.uint64(seed) + np.uint64(user) * np.uint64(0x9E3779B97F4A7C15)
        for step in range(len(own)):
            state = _mixed(start + np.uint64(step) * np.uint64(0xD1B54A32D192ED03))
            liked = own[_below(state, len(own))]
            other, score, state = _hardest(state, candidates, seen, catalogue, person, item_factors, item_biases)
            if other < 0:
                continue
            better, worse = item_factors[liked], item_factors[other]
            margin = item_biases[liked] - score
            for f in range(dimensions):
                margin += person[f] * better[f]
            pull = 1.0 / (1.0 + math.exp(margin))
            loss -= math.log(1.0 - pull + 1e-12)
            push = np.float32(rate * pull)
            for f in range(dimensions):
                w, h, g = person[f], better[f], worse[f]
                person[f] = keep * w + push * (h - g)
                better[f] = keep * h + push * w
                worse[f] = keep * g - push * w
            item_biases[liked] = keep * item_biases[liked] + push
            item_biases[other] = keep * item_biases[other] - push
        for item in own:
            seen[item] = False
    return loss


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def fold_in_pairs(
    begin: int,
    end: int,
    indptr: Int64,
    items: Int32,
    catalogue: Int32,
    item_factors: Float32,
    item_biases: Float32,
    rate: float,
    regularisation: float,
    candidates: int,
    epochs: int,
    seed: int,
    solution: Float32,
    others: Int32,
    pushes: Float32,
) -> None:
    """The factors of people `begin` to `end` from their items alone, items held fixed, by the steps of `learn_pairs`.

    Every step's draws depend on the item and the epoch only, so that the same history gives the same factors, and a
    history that lacks an item shares the draws of all the others.

    solution: float32 (rows, dimensions), the result. others: int32 (epochs, entries), pushes: float32, the same shape:
    the steps w = (1 - rate regularisation) w + push (h_i - h_j) that were taken, j in the place of entry i, -1 where
    none was to be had; not told where the arrays have no entries.
    """
    dimensions = item_factors.shape[1]
    are_told = others.shape[1] > 0
    seen = np.zeros(len(item_biases), dtype=np.bool_)
    for row in range(begin, end):
        own = items[indptr[row] : indptr[row + 1]]
        person = solution[row]
        person[:] = np.float32(0.0)
        for item in own:
            seen[item] = True
        for epoch in range(epochs):
            now = rate * (1.0 - epoch / epochs)
            keep = np.float32(1.0 - now * regularisation)
            start = np.uint64(seed) + np.uint64(epoch) * np.uint64(0x9E3779B97F4A7C15)
            for at in range(len(own)):
                liked = own[at]
                state = _mixed(start + np.uint64(liked) * np.uint64(0xD1B54A32D192ED03))
                other, score, state = _hardest(state, candidates, seen, catalogue, person, item_factors, item_biases)
                if are_told:
                    others[epoch, indptr[row] + at] = other
                if other < 0:
                    continue
                better, worse = item_factors[liked], item_factors[other]
                margin = item_biases[liked] - score
                for f in range(dimensions):
                    margin += person[f] * better[f]
                push = np.float32(now / (1.0 + math.exp(margin)))
                if are_told:
                    pushes[epoch, indptr[row] + at] = push
                for f in range(dimensions):
                    person[f] = keep * person[f] + push * (better[f] - worse[f])
        for item in own:
            seen[item] = False
