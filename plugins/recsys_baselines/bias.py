"""User and item bias: how generous a person and how well rated an item is."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_baselines.plugin import BIAS
from recsys_desktop.api import (
    Contribution,
    Dataset,
    DataShape,
    Explanation,
    Forecast,
    Query,
    Recommender,
    RunContext,
    Source,
)
from recsys_desktop.api.dataset import Bool, Float32, Int32, Int64
from recsys_desktop.toolkit.bias import Biases, fit_biases


class Bias(Recommender):
    """The rating is mean + bias of the person + bias of the item (Koren 2010, section 2.1), fitted to convergence,
    each bias shrunk as strongly as the spread of biases in the data asks for (see `fit_biases`).

    A person's bias is recomputed from the history that is asked about, so that a stranger is served like anybody else.

    Fitted: `mean_`; `user_biases_` float32 (n_users,) and `item_biases_` float32 (n_items,), in rating units;
    `item_counts_` int64 (n_items,), the ratings each item bias rests on; `user_regularisation_` and
    `item_regularisation_`, as given or estimated.
    """

    spec = BIAS

    mean_: float
    user_biases_: Float32
    item_biases_: Float32
    item_counts_: Int64
    user_regularisation_: float
    item_regularisation_: float

    def estimate(self, shape: DataShape) -> Forecast:
        """The codes of all interactions while they are counted, and some float64 arrays of users and of items."""
        memory = 8 * shape.n_interactions + 80 * (shape.n_users + shape.n_items)
        return Forecast(1_000_000 + memory, 0.05 + shape.n_interactions / 1e7)

    @property
    def biases(self) -> Biases:
        """The fitted biases."""
        return Biases(
            self.mean_,
            self.user_biases_,
            self.item_biases_,
            self.user_regularisation_,
            self.item_regularisation_,
        )

    def _fit(self, train: Dataset, run: RunContext) -> None:
        fitted = fit_biases(train, self.params.user_regularisation, self.params.item_regularisation, run)
        self.mean_, self.user_biases_, self.item_biases_ = fitted.mean, fitted.users, fitted.items
        self.user_regularisation_, self.item_regularisation_ = fitted.user_regularisation, fitted.item_regularisation
        self.item_counts_ = train.item_counts
        taken = {
            "user_regularisation": fitted.user_regularisation,
            "item_regularisation": fitted.item_regularisation,
        }
        self.chosen_ = {name: value for name, value in taken.items() if getattr(self.params, name) is None} or None

    def _score(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        return self.biases.ratings(self.biases.of_histories(query), items)

    def predictable_items(self) -> Bool:
        """All: an item without ratings has no bias."""
        return np.ones(self.n_items, dtype=np.bool_)

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        of_person = float(self.biases.of_histories(query)[0])
        return [
            Explanation.of(
                int(item),
                float(score),
                [
                    Contribution(Source.BIAS, of_person, label="how this person rates"),
                    Contribution(Source.BIAS, float(self.item_biases_[item]), label="how this item is rated"),
                ],
                base=self.mean_,
                additive=True,
                faithful_to_removal=False,
                method="average rating, plus the person's and the item's deviation from it",
            )
            for item, score in zip(items, scores, strict=True)
        ]

    def _updated(self, additions: Dataset) -> None:
        """New ratings move the biases of their items as one further step of the fit would; people's follow."""
        if additions.ratings is None:
            return
        items = np.zeros(additions.n_items)
        counts = np.zeros(additions.n_items, dtype=np.int64)
        users = np.zeros(additions.n_users)
        items[: len(self.item_biases_)] = self.item_biases_
        counts[: len(self.item_counts_)] = self.item_counts_
        users[: len(self.user_biases_)] = self.user_biases_
        totals = items * (counts + self.item_regularisation_)
        residuals = additions.ratings - self.mean_ - users[additions.users]
        totals += np.bincount(additions.items, weights=residuals, minlength=len(items))
        counts += additions.item_counts
        scale = np.maximum(counts + self.item_regularisation_, 1e-9)
        self.item_biases_ = (totals / scale).astype(np.float32)
        self.item_counts_ = counts
        self.user_biases_ = users.astype(np.float32)
