"""Item-based collaborative filtering for ranking."""

from __future__ import annotations

import numpy as np

from recsys_desktop.api import Dataset, DataShape, Forecast, RunContext
from recsys_desktop.api.dataset import Float32
from recsys_desktop.toolkit.item_weights import ItemWeightModel, constant_weight
from recsys_desktop.toolkit.products import SparseRows
from recsys_desktop.toolkit.topk import top_k_similarities
from recsys_neighbors.plugin import ITEM_KNN
from recsys_neighbors.weighting import bm25, bm25_terms, inverse_user_frequency, squared_lengths


class ItemKnn(ItemWeightModel):
    """Item-based CF (Deshpande & Karypis 2004): the score of j is the sum of its similarities to the history.

    With v_i the column of item i in the weighted interactions (users, items), the similarity that speaks for j is

        s_ij = v_i·v_j / (|v_j|^(2α) |v_i|^(2(1-α)) + shrinkage)

    for the `neighbours` items i with the largest s_ij for that j (asymmetric cosine, Aiolli 2013; α = `asymmetry`, ½
    is the cosine), and 0 for all others. Interactions count 1, weighted by `weighting`: "tf-idf" multiplies those of
    user u by log(1 + n_items / n_u); "bm25" by that and by BM25's term with items as documents, and leaves the product
    unnormalised; "none" leaves them at 1.

    With `popularity` every history has one more item, which everybody has: its similarity to j, times
    `constant_weight`, is what j starts from. Where items have few people this keeps chance meetings from leading lists.

    Blocks of rows of the sparse product are reduced to their neighbours at once; no items × items array is ever made.
    """

    spec = ITEM_KNN
    method = "item-based: each item of the history adds its similarity"

    def estimate(self, shape: DataShape) -> Forecast:
        """The interactions by user and by item, and the neighbours of each item twice."""
        neighbours = min(self.params.neighbours * shape.n_items, shape.co_occurrences)
        memory = 60 * shape.n_interactions + 24 * neighbours + 60 * (shape.n_users + shape.n_items)
        return Forecast(int(memory) + 4_000_000, 0.1 + 2 * shape.co_occurrences / 3e8, cheaper="popularity")

    def _fit(self, train: Dataset, run: RunContext) -> None:
        by_user = SparseRows.of(train.matrix("one", self.params.min_rating))
        by_user, by_item = self._weighted(by_user, train.n_items)
        squares = squared_lengths(by_item) if self.params.weighting != "bm25" else np.ones(train.n_items, np.float32)
        scale, other_scale = squares**self.params.asymmetry, squares ** (1 - self.params.asymmetry)
        self.bases_ = self._bases(by_user, by_item, scale) if self.params.popularity else None
        top = top_k_similarities(
            by_item,
            by_item.transposed(train.n_users),
            scale,
            other_scale,
            self.params.neighbours,
            self.params.shrinkage,
            run,
        )
        self.weights_ = top.transposed(train.n_items).to_csr(train.n_items)

    def _weighted(self, by_user: SparseRows, n_items: int) -> tuple[SparseRows, SparseRows]:
        """Interactions by user with the weights of users, and by item with all weights."""
        if self.params.weighting != "none":
            by_user = inverse_user_frequency(by_user, n_items)
        by_item = by_user.transposed(n_items)
        if self.params.weighting == "bm25":
            by_item = bm25(by_item, self.params.bm25_saturation, self.params.bm25_length)
        return by_user, by_item

    def _bases(self, by_user: SparseRows, by_item: SparseRows, scale: Float32) -> Float32:
        """The similarity of every item to one that all active people have, weighted: float32 (n_items,)."""
        counts = np.diff(by_item.indptr)
        active = np.diff(by_user.indptr) > 0
        of_users = np.zeros(by_user.n_rows, dtype=np.float32)
        of_users[active] = by_user.data[by_user.indptr[:-1][active]]
        others = 1.0
        if self.params.weighting == "bm25":
            term = bm25_terms(active.sum(), counts, self.params.bm25_saturation, self.params.bm25_length)
            of_users *= np.float32(term)
        else:
            others = float(np.square(of_users, dtype=np.float64).sum()) ** (1 - self.params.asymmetry)
        owners = np.repeat(np.arange(by_item.n_rows), counts)
        products = np.bincount(owners, weights=by_item.data * of_users[by_item.indices], minlength=by_item.n_rows)
        similarities = products / np.maximum(scale * others + self.params.shrinkage, 1e-30)
        bases: Float32 = (constant_weight(self.params.popularity, counts) * similarities).astype(np.float32)
        return bases
