"""RP3β: three-step random walks, with popularity held back."""

from __future__ import annotations

import numpy as np

from recsys_desktop.api import Dataset, DataShape, Forecast, RunContext
from recsys_desktop.toolkit.item_weights import ItemWeightModel, constant_weight
from recsys_desktop.toolkit.products import SparseRows
from recsys_desktop.toolkit.topk import top_k_similarities
from recsys_linear.plugin import RP3BETA


class Rp3Beta(ItemWeightModel):
    """RP3β (Paudel et al. 2016, section 3): from a history item to the people who have it, and on to their items.

    With n_i and n_u the interactions of item i and user u, the weight from history item i to item j is

        w_ij = Σ_u (1/n_i)^α (1/n_u)^α / n_j^β        over the users u who have both

    kept for the `neighbours` items i with the largest w_ij for each j. α = 1 and β = 0 is the probability of the walk.

    With `popularity` every history has one more item, which all active people have: its w to j, times
    `constant_weight`, is what j starts from.
    """

    spec = RP3BETA
    method = "random walks: each item of the history leads to it through the people who have both"

    def estimate(self, shape: DataShape) -> Forecast:
        """The interactions by user and by item, and the neighbours of each item twice."""
        neighbours = min(self.params.neighbours * shape.n_items, shape.co_occurrences)
        memory = 60 * shape.n_interactions + 24 * neighbours + 60 * (shape.n_users + shape.n_items)
        return Forecast(int(memory) + 4_000_000, 0.1 + 2 * shape.co_occurrences / 3e8, cheaper="popularity")

    def _fit(self, train: Dataset, run: RunContext) -> None:
        by_user = SparseRows.of(train.matrix("one", self.params.min_rating))
        by_item = by_user.transposed(train.n_items)
        of_users = np.maximum(np.diff(by_user.indptr), 1)
        of_items = np.maximum(np.diff(by_item.indptr), 1).astype(np.float32)
        steps = (1.0 / of_users**self.params.alpha).astype(np.float32)
        self.bases_ = None
        if self.params.popularity:
            owners = np.repeat(np.arange(train.n_items), np.diff(by_item.indptr))
            walks = np.bincount(owners, weights=steps[by_item.indices], minlength=train.n_items)
            start = np.count_nonzero(np.diff(by_user.indptr)) ** -self.params.alpha
            weight = constant_weight(self.params.popularity, np.diff(by_item.indptr))
            self.bases_ = (weight * start * walks / of_items**self.params.beta).astype(np.float32)
        top = top_k_similarities(
            by_item,
            by_user._replace(data=np.repeat(steps, np.diff(by_user.indptr))),
            of_items**self.params.beta,
            of_items**self.params.alpha,
            self.params.neighbours,
            0.0,
            run,
            "walking",
        )
        self.weights_ = top.transposed(train.n_items).to_csr(train.n_items)
