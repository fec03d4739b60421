"""Item-based collaborative filtering for rating prediction."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from recsys_desktop.api import Dataset, DataShape, Forecast, Query, RunContext, Source
from recsys_desktop.api.dataset import Float32, Int32
from recsys_desktop.api.state_checks import require_matrix
from recsys_desktop.toolkit.products import SparseRows
from recsys_desktop.toolkit.topk import select_largest
from recsys_neighbors.agreement import deviations, most_similar, residuals
from recsys_neighbors.neighbourhood_rating import NeighbourhoodRating, Neighbours, Requests, weighted_deviation
from recsys_neighbors.plugin import ITEM_KNN_RATING


class ItemKnnRating(NeighbourhoodRating):
    """Item-based CF for ratings (Sarwar et al. 2001; Koren 2010): neighbours are similar items that the person rated.

        r_uj = b_uj + Σ_i s_ij (r_ui - b_ui) / (Σ_i s_ij + caution)        b_uj = mean + b_u + b_j (see `bias`)

    over the `neighbours` most similar to j of the items i that the person rated, of the `candidates` most similar that
    are kept for j. With x_ui what is compared and the sums over the people u who rated both,

        s_ij = Σ x_ui x_uj / √(Σ x_ui² Σ x_uj²) · (n - 1) / (n - 1 + shrinkage) · min(n, significance) / significance

    where n is how many they are, and only positive similarities count, of at least `least_similarity` before the last
    two factors. x is r - b under "pearson-baseline" (Koren 2010, equations 2 and 3), r less the mean over those people
    under "pearson", r less the person's mean under "adjusted-cosine" (Sarwar et al. 2001), r under "cosine".

    Fitted: `biases_`; `similarities_` CSR float32 (n_items, n_items), in row j the items that may speak for item j.
    """

    spec = ITEM_KNN_RATING
    method = "ratings of similar items"
    source = Source.HISTORY

    similarities_: Any

    def estimate(self, shape: DataShape) -> Forecast:
        """The ratings by user and by item with their deviations, and the candidates of each item twice.

        Items that one person alone rated both are not alike, so the longest history adds to the time only.
        """
        alike = shape.n_interactions * max(shape.n_interactions / max(shape.n_users, 1), 1)
        candidates = min(self.params.candidates * shape.n_items, alike)
        memory = 32 * shape.n_interactions + 14 * candidates + 100 * (shape.n_users + shape.n_items)
        return Forecast(int(memory) + 4_000_000, 0.1 + 4 * shape.co_occurrences / 2e8, cheaper="bias")

    def check_state(self) -> None:
        """As `Recommender.check_state`."""
        super().check_state()
        require_matrix("similarities_", self.similarities_, (self.n_items, self.n_items))

    def _fit(self, train: Dataset, run: RunContext) -> None:
        biases = self._fit_biases(train, run)
        by_user = SparseRows.of(train.matrix("rating"))
        by_user = by_user._replace(data=deviations(self.params.similarity, by_user, biases, biases.users))
        top = most_similar(
            by_user.transposed(train.n_items), by_user, self.params.candidates, self.rule, run, "comparing items"
        )
        # Turned twice, its rows are in order; one after the other, so that no more than two copies are there.
        top = top.transposed(train.n_items)
        top = top.transposed(train.n_items)
        self.similarities_ = top.to_csr(train.n_items)

    def _deviations(self, query: Query, requests: Requests) -> Float32:
        history = self._rated(query)
        biases = self.biases
        history = history._replace(data=residuals(history, biases, biases.of_histories(query)))
        out = np.empty(len(requests.items), dtype=np.float32)
        _item_deviations(
            history,
            SparseRows.of(self.similarities_),
            requests,
            self.params.neighbours,
            float(self.params.caution),
            out,
        )
        return out

    def _neighbours(self, query: Query, items: Int32) -> list[Neighbours]:
        history = self._rated(query)
        biases = self.biases
        own = residuals(history, biases, biases.of_histories(query))
        similarities = SparseRows.of(self.similarities_)

        def of_item(item: int) -> Neighbours:
            here = slice(similarities.indptr[item], similarities.indptr[item + 1])
            rated, places, of_candidates = np.intersect1d(
                history.indices, similarities.indices[here], assume_unique=True, return_indices=True
            )
            values = similarities.data[here][of_candidates]
            nearest = np.lexsort((rated, -values))[: self.params.neighbours]
            return Neighbours(rated[nearest], values[nearest], own[places[nearest]])

        return [of_item(int(item)) for item in items]

    def _item_similarities(self, item: int) -> npt.NDArray[Any]:
        out = np.full(self.n_items, np.nan, dtype=np.float32)
        row = self.similarities_[[item]]
        out[row.indices] = row.data
        return out


@numba.njit(cache=True, nogil=True)
def _item_deviations(history: Any, similarities: Any, requests: Any, k: int, caution: float, out: Any) -> None:
    n_items = len(similarities.indptr) - 1
    own = np.empty(n_items, dtype=np.float32)
    rated = np.zeros(n_items, dtype=np.bool_)
    candidates = np.empty(n_items, dtype=np.int32)
    values = np.empty(n_items, dtype=np.float32)
    keys = np.empty(n_items, dtype=np.uint64)
    chosen = np.empty(k, dtype=np.int32)
    weights = np.empty(k, dtype=np.float32)
    chosen_deviations = np.empty(k, dtype=np.float32)
    for person in range(len(history.indptr) - 1):
        for at in range(history.indptr[person], history.indptr[person + 1]):
            own[history.indices[at]] = history.data[at]
            rated[history.indices[at]] = True
        for place in range(requests.indptr[person], requests.indptr[person + 1]):
            item = requests.items[place]
            count = 0
            for at in range(similarities.indptr[item], similarities.indptr[item + 1]):
                if rated[similarities.indices[at]]:
                    candidates[count] = similarities.indices[at]
                    values[count] = similarities.data[at]
                    count += 1
            kept = select_largest(candidates, values, count, keys, chosen, weights)
            for at in range(kept):
                chosen_deviations[at] = own[chosen[at]]
            out[place] = weighted_deviation(weights, chosen_deviations, kept, caution)
        for at in range(history.indptr[person], history.indptr[person + 1]):
            rated[history.indices[at]] = False
