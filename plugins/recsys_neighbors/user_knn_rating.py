"""User-based collaborative filtering for rating prediction."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from recsys_desktop.api import Dataset, DataShape, Forecast, Query, RunContext, Source
from recsys_desktop.api.dataset import Float32, Int32
from recsys_desktop.api.state_checks import require_matrix
from recsys_desktop.toolkit.products import SparseRows
from recsys_desktop.toolkit.topk import select_largest
from recsys_neighbors.agreement import add_common, agreement, deviations, empty_sums, is_own_copy, residuals
from recsys_neighbors.neighbourhood_rating import NeighbourhoodRating, Neighbours, Requests, weighted_deviation
from recsys_neighbors.plugin import USER_KNN_RATING


class UserKnnRating(NeighbourhoodRating):
    """User-based CF for ratings (Herlocker et al. 1999): neighbours are people of similar taste who rated the item.

        r_uj = b_uj + Σ_v s_uv (r_vj - b_vj) / (Σ_v s_uv + caution)        b_uj = mean + b_u + b_j (see `bias`)

    over the `neighbours` people v most similar to u who rated j. With x_ui what is compared and the sums over the items
    i that both rated,

        s_uv = Σ x_ui x_vi / √(Σ x_ui² Σ x_vi²) · (n - 1) / (n - 1 + shrinkage) · min(n, significance) / significance

    where n is how many they are, and only positive similarities count, of at least `least_similarity` before the last
    two factors. x is r - b under "pearson-baseline" (Koren 2010, equation 3), r less the mean over those items under
    "pearson", r less the person's mean under "adjusted-cosine", r under "cosine".

    People are compared when they are asked for, a stranger like anybody else. For items that the history asked about
    lacks, the person's own training part, as long as it holds three quarters of the history, is no neighbour: what-ifs
    would be answered from their own ratings.

    Fitted: `biases_`; `ratings_` CSR float32 (n_users, n_items).
    """

    spec = USER_KNN_RATING
    method = "ratings of people with similar taste"
    source = Source.NEIGHBOUR

    ratings_: Any

    def estimate(self, shape: DataShape) -> Forecast:
        """The ratings by user; they are compared when somebody asks."""
        memory = 45 * shape.n_interactions + 100 * (shape.n_users + shape.n_items)
        return Forecast(int(memory) + 4_000_000, 0.1 + shape.n_interactions / 1e7, cheaper="bias")

    def check_state(self) -> None:
        """As `Recommender.check_state`."""
        super().check_state()
        require_matrix("ratings_", self.ratings_, (len(self.known_users_), self.n_items))

    def _fit(self, train: Dataset, run: RunContext) -> None:
        self._fit_biases(train, run)
        self.ratings_ = train.matrix("rating")

    @property
    def _by_item(self) -> tuple[SparseRows, SparseRows]:
        """By item, who rated it: with what is compared, and with the deviations from the biases."""
        if "_columns" not in vars(self):
            by_user, biases = SparseRows.of(self.ratings_), self.biases
            compared = by_user._replace(data=deviations(self.params.similarity, by_user, biases, biases.users))
            residual = by_user._replace(data=residuals(by_user, biases, biases.users))
            self._columns = compared.transposed(self.n_items), residual.transposed(self.n_items)
        return self._columns

    def _compared(self, query: Query) -> SparseRows:
        history = self._rated(query)
        biases = self.biases
        return history._replace(data=deviations(self.params.similarity, history, biases, biases.of_histories(query)))

    def _deviations(self, query: Query, requests: Requests) -> Float32:
        compared, residual = self._by_item
        out = np.empty(len(requests.items), dtype=np.float32)
        _user_deviations(
            self._compared(query),
            query.users,
            compared,
            residual,
            requests,
            self.ratings_.shape[0],
            self.rule,
            self.params.neighbours,
            float(self.params.caution),
            out,
        )
        return out

    def _neighbours(self, query: Query, items: Int32) -> list[Neighbours]:
        compared, residual = self._by_item
        history = self._compared(query)
        similarities = np.zeros(self.ratings_.shape[0], dtype=np.float32)
        themself = _user_similarities(history, query.users, compared, self.rule, similarities)
        had = set(history.indices.tolist())

        def of_item(item: int) -> Neighbours:
            here = slice(residual.indptr[item], residual.indptr[item + 1])
            raters, deviation = residual.indices[here], residual.data[here]
            weights = similarities[raters]
            present = np.flatnonzero((weights > 0) & ((raters != themself) | (item in had)))
            nearest = present[np.lexsort((raters[present], -weights[present]))[: self.params.neighbours]]
            return Neighbours(raters[nearest], weights[nearest], deviation[nearest])

        return [of_item(int(item)) for item in items]


@numba.njit(cache=True, nogil=True)
def _own_copy(history: Any, person: int, code: int, sums: Any) -> int:
    """The code, where its training part `is_own_copy`, else -1; sums: as `add_common` leaves them."""
    length = history.indptr[person + 1] - history.indptr[person]
    return code if 0 <= code < len(sums) and is_own_copy(sums[code, 0], length) else -1


@numba.njit(cache=True, nogil=True)
def _user_similarities(history: Any, codes: Any, compared: Any, rule: Any, similarities: Any) -> int:
    """Fill the similarities of one person to all users; returns `_own_copy`."""
    sums = empty_sums(len(similarities), rule)
    touched = np.empty(len(similarities) + 1, dtype=np.int32)
    for user in touched[: add_common(history.indices, history.data, compared, rule, sums, touched)]:
        similarities[user] = agreement(sums[user], rule)
    return _own_copy(history, 0, codes[0], sums)


@numba.njit(cache=True, nogil=True)
def _user_deviations(
    history: Any,
    codes: Any,
    compared: Any,
    residual: Any,
    requests: Any,
    n_users: int,
    rule: Any,
    k: int,
    caution: float,
    out: Any,
) -> None:
    similarities = np.zeros(n_users, dtype=np.float32)
    sums = empty_sums(n_users, rule)
    touched = np.empty(n_users + 1, dtype=np.int32)
    deviation = np.empty(n_users, dtype=np.float32)
    candidates = np.empty(n_users, dtype=np.int32)
    values = np.empty(n_users, dtype=np.float32)
    keys = np.empty(n_users, dtype=np.uint64)
    chosen = np.empty(k, dtype=np.int32)
    weights = np.empty(k, dtype=np.float32)
    chosen_deviations = np.empty(k, dtype=np.float32)
    has = np.zeros(len(residual.indptr) - 1, dtype=np.bool_)
    for person in range(len(codes)):
        here = slice(history.indptr[person], history.indptr[person + 1])
        met = touched[: add_common(history.indices[here], history.data[here], compared, rule, sums, touched)]
        themself = _own_copy(history, person, codes[person], sums)
        for user in met:
            similarities[user] = agreement(sums[user], rule)
            sums[user] = 0
        has[history.indices[here]] = True
        for place in range(requests.indptr[person], requests.indptr[person + 1]):
            item = requests.items[place]
            count = 0
            for at in range(residual.indptr[item], residual.indptr[item + 1]):
                user = residual.indices[at]
                if similarities[user] > 0 and (has[item] or user != themself):
                    candidates[count] = user
                    values[count] = similarities[user]
                    deviation[user] = residual.data[at]
                    count += 1
            kept = select_largest(candidates, values, count, keys, chosen, weights)
            for at in range(kept):
                chosen_deviations[at] = deviation[chosen[at]]
            out[place] = weighted_deviation(weights, chosen_deviations, kept, caution)
        has[history.indices[here]] = False
        similarities[met] = 0
