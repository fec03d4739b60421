"""SLIM: sparse positive item weights by coordinate descent, one item at a time."""

from __future__ import annotations

from typing import Any, ClassVar

import numba
import numpy as np

from recsys_desktop.api import Dataset, DataShape, Forecast, RunContext
from recsys_desktop.api.dataset import Float32, Int32, Int64
from recsys_desktop.toolkit.item_weights import ItemWeightModel
from recsys_desktop.toolkit.lapack import mirror_lower
from recsys_desktop.toolkit.parallel import announce_compilation
from recsys_desktop.toolkit.products import SparseRows, gram_lower
from recsys_desktop.toolkit.topk import collect_rows, select_largest
from recsys_linear.plugin import SLIM

_NEWCOMERS = 48
_ROUNDS = 60
_SWEEPS = 200
_TOLERANCE = 1e-4


class Slim(ItemWeightModel):
    """SLIM (Ning & Karypis 2011, equation 4): item j is rebuilt from few other items.

    With X the interactions (users, items), every one 1, the weights w of item j minimise

        ½ ‖x_j - X w‖² + λ₂ ½ ‖w‖² + λ₁ Σ w        with w ≥ 0 and w_j = 0

    (λ₁ `absolute_penalty`, λ₂ `square_penalty`, both in people). Every item's problem is convex and solved on its own,
    by coordinate descent on the Gram matrix XᵀX: items that violate optimality by more than 1e-4 people join a small
    active set, in order of how much they promise, until none does; within the set the descent ends when no weight moves
    by more than 1e-4.

    Only items that share more than λ₁ people with j can have a weight for it, so items with no more than λ₁
    interactions take no part; the Gram matrix is made of the others alone.

    With `intercept`, X and every history have one more column, always 1, whose weights do not pay λ₁; they are the
    bases of the scores, so that other items explain what popularity does not. Items that take no part have the base
    n_j / (people + λ₂), which is the best where no other item has a weight. Without `intercept`, items for which
    nothing in the history speaks score NaN.
    """

    spec = SLIM
    state_version: ClassVar[int] = 2
    method = "item weights of SLIM: each item of the history adds its weight"

    def estimate(self, shape: DataShape) -> Forecast:
        """One float32 square of the items, the interactions a few times, and some hundred weights an item."""
        items = min(shape.n_items, int(shape.n_interactions / (np.floor(self.params.absolute_penalty) + 1)))
        memory = 4 * items**2 + 60 * shape.n_interactions + 1000 * shape.n_items
        # The lower the penalties, the more items speak for each, and the longer the descent.
        laxity = 2 / max(self.params.absolute_penalty, 0.05) * 60 / max(self.params.square_penalty, 1.0)
        seconds = shape.co_occurrences / 5e8 + shape.n_interactions * 1.2e-5 * min(max(laxity, 0.1), 1e3)
        return Forecast(int(1.2 * memory) + 4_000_000, 0.1 + seconds, cheaper="rp3beta")

    def migrate_state(self, fitted: dict[str, Any], version: int) -> dict[str, Any]:
        """Version 1 began before there was an intercept: a model without bases has none."""
        self.params = self.params.model_copy(update={"intercept": fitted.get("bases_") is not None})
        return fitted

    def _fit(self, train: Dataset, run: RunContext) -> None:
        matrix = train.matrix("one", self.params.min_rating)
        counts = np.bincount(matrix.indices, minlength=train.n_items)
        items = np.flatnonzero((counts > self.params.absolute_penalty) & (counts > 0)).astype(np.int32)
        place_of = np.full(train.n_items, -1, dtype=np.int32)
        place_of[items] = np.arange(len(items), dtype=np.int32)
        by_user = SparseRows.of(matrix).with_columns(place_of)
        width = len(items)
        if self.params.intercept:
            by_user = by_user.take(np.flatnonzero(np.diff(matrix.indptr)).astype(np.int32)).with_constant(width)
            width += 1
        run.progress(0.0, "counting items seen together")
        gram = gram_lower(by_user.transposed(width), by_user, run)
        mirror_lower(gram)
        announce_compilation(run, _solve)

        absolute = np.full(width, self.params.absolute_penalty, dtype=np.float32)
        absolute[len(items) :] = 0

        def block(sources: Int32, weights: Float32, sizes: Int64, begin: int) -> None:
            _solve(gram, absolute, self.params.square_penalty, sources, weights, sizes, begin)

        solved = collect_rows(block, len(items), width, run, "fitting item by item").transposed(width)
        if self.params.intercept:
            constant = slice(solved.indptr[-2], solved.indptr[-1])
            self.bases_ = (counts / (by_user.n_rows + self.params.square_penalty)).astype(np.float32)
            self.bases_[items] = 0
            self.bases_[items[solved.indices[constant]]] = solved.data[constant]
            solved = solved.take(np.arange(len(items), dtype=np.int32))
        self.weights_ = solved.renumbered(items, train.n_items).to_csr(train.n_items)


@numba.njit(cache=True, nogil=True)
def _solve(
    gram: Any, absolute: Any, square: float, out_sources: Any, out_weights: Any, out_sizes: Any, begin: int
) -> None:
    n = len(gram)
    candidates = np.empty(n, dtype=np.int32)
    promises = np.empty(n, dtype=np.float32)
    promising = np.empty(n, dtype=np.int32)
    keys = np.empty(n, dtype=np.uint64)
    newcomers = np.empty(_NEWCOMERS, dtype=np.int32)
    gains = np.empty(_NEWCOMERS, dtype=np.float32)
    active = np.empty(n, dtype=np.int32)
    weights = np.empty(n, dtype=np.float32)
    gradient = np.empty(n, dtype=np.float32)
    is_active = np.zeros(n, dtype=np.bool_)
    for target_place in range(len(out_sizes)):
        target = begin + target_place
        n_candidates = 0
        for item in range(n):
            if item != target and gram[target, item] > absolute[item]:
                candidates[n_candidates] = item
                gradient[n_candidates] = gram[target, item]
                n_candidates += 1
        n_active = 0
        for _ in range(_ROUNDS):
            n_promising = 0
            for place in range(n_candidates):
                item = candidates[place]
                excess = gradient[place] - absolute[item]
                if excess > _TOLERANCE and not is_active[item]:
                    promising[n_promising] = item
                    promises[n_promising] = excess * excess / (gram[item, item] + square)
                    n_promising += 1
            if n_promising == 0:
                break
            for place in range(select_largest(promising, promises, n_promising, keys, newcomers, gains)):
                active[n_active] = newcomers[place]
                weights[n_active] = 0
                is_active[newcomers[place]] = True
                n_active += 1
            n_active = _descend(gram, target, active, weights, n_active, is_active, absolute, square)
            for place in range(n_candidates):
                gradient[place] = gram[target, candidates[place]]
            for at in range(n_active):
                row = gram[active[at]]
                weight = weights[at]
                for place in range(n_candidates):
                    gradient[place] -= weight * row[candidates[place]]
        for at in range(n_active):
            out_sources[target_place, at] = active[at]
            out_weights[target_place, at] = weights[at]
            is_active[active[at]] = False
        out_sizes[target_place] = n_active


@numba.njit(cache=True, nogil=True)
def _descend(
    gram: Any,
    target: int,
    active: Any,
    weights: Any,
    n_active: int,
    is_active: Any,
    absolute: Any,
    square: float,
) -> int:
    """Coordinate descent on the active items until no weight moves; returns how many keep a weight above 0."""
    part = np.empty((n_active, n_active), dtype=np.float32)
    gradient = np.empty(n_active, dtype=np.float32)
    for left in range(n_active):
        row = gram[active[left]]
        gradient[left] = row[target]
        for right in range(n_active):
            part[left, right] = row[active[right]]
    for left in range(n_active):
        for right in range(n_active):
            gradient[right] -= weights[left] * part[left, right]
    for _ in range(_SWEEPS):
        largest = np.float32(0)
        for at in range(n_active):
            norm = part[at, at]
            moved = max((gradient[at] + weights[at] * norm - absolute[active[at]]) / (norm + square), 0.0)
            step = np.float32(moved - weights[at])
            if step != 0:
                weights[at] = moved
                row = part[at]
                for other in range(n_active):
                    gradient[other] -= step * row[other]
                if abs(step) > largest:
                    largest = abs(step)
        if largest < _TOLERANCE:
            break
    kept = 0
    for at in range(n_active):
        if weights[at] > 0:
            active[kept] = active[at]
            weights[kept] = weights[at]
            kept += 1
        else:
            is_active[active[at]] = False
    return kept
