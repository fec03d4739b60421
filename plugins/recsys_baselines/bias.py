"""User and item bias: how generous a person and how well rated an item is."""

from __future__ import annotations

from typing import Any, ClassVar, TypeAlias

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
from recsys_desktop.api.state_checks import require_array
from recsys_desktop.toolkit.bias import Biases, fit_biases

Float64: TypeAlias = npt.NDArray[np.float64]

_MANY = 1_000_000


class Bias(Recommender):
    """The rating is predicted as mean + b_u + b_i (Koren 2010, section 2.1), with the biases that minimise

        Σ (r_ui - mean - b_u - b_i)² + λ_u Σ b_u² + λ_i Σ b_i²

    by alternating exact steps. Unless they are given, λ_u and λ_i are the variance of the residuals over the variance
    of the biases, estimated along with them (empirical Bayes): biases that rest on few ratings are shrunk as strongly
    as the spread of the others asks for.

    A person's bias is recomputed from the history that is asked about, so that a stranger is served like anybody else.

    Fitted: `mean_`; `user_biases_` float32 (n_users,) and `item_biases_` float32 (n_items,), in rating units;
    `user_counts_` int64 (n_users,) and `item_counts_` int64 (n_items,), the ratings each bias rests on;
    `user_regularisation_` and `item_regularisation_`, as given or estimated.
    """

    spec = BIAS
    state_version: ClassVar[int] = 2

    mean_: float
    user_biases_: Float32
    item_biases_: Float32
    user_counts_: Int64
    item_counts_: Int64
    user_regularisation_: float
    item_regularisation_: float

    def estimate(self, shape: DataShape) -> Forecast:
        """The codes of all interactions while they are counted, and some float64 arrays of users and of items."""
        memory = 8 * shape.n_interactions + 80 * (shape.n_users + shape.n_items)
        return Forecast(1_000_000 + memory, 0.05 + shape.n_interactions / 1e7)

    def migrate_state(self, fitted: dict[str, Any], version: int) -> dict[str, Any]:
        """Version 1 did not say how many ratings a person's bias rests on: so many that updates leave it as it is."""
        return {**fitted, "user_counts_": np.where(fitted["known_users_"], _MANY, 0).astype(np.int64)}

    def check_state(self) -> None:
        """As `Recommender.check_state`."""
        super().check_state()
        users, items = len(self.known_users_), self.n_items
        require_array("user_biases_", self.user_biases_, (users,), np.float32)
        require_array("user_counts_", self.user_counts_, (users,), np.int64)
        require_array("item_biases_", self.item_biases_, (items,), np.float32)
        require_array("item_counts_", self.item_counts_, (items,), np.int64)

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
        self.user_counts_, self.item_counts_ = train.user_counts, train.item_counts
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
        """New ratings move the biases of their people, then those of their items, as a further step of the fit would.

        Interactions without a rating say nothing here.
        """
        users, user_counts = _lengthened(self.user_biases_, self.user_counts_, additions.n_users)
        items, item_counts = _lengthened(self.item_biases_, self.item_counts_, additions.n_items)
        if additions.ratings is not None:
            rated = additions.ratings - self.mean_
            users, user_counts = _moved(
                users, user_counts, self.user_regularisation_, additions.users, rated - items[additions.items]
            )
            items, item_counts = _moved(
                items, item_counts, self.item_regularisation_, additions.items, rated - users[additions.users]
            )
        self.user_biases_, self.user_counts_ = users.astype(np.float32), user_counts
        self.item_biases_, self.item_counts_ = items.astype(np.float32), item_counts


def _lengthened(biases: Float32, counts: Int64, size: int) -> tuple[Float64, Int64]:
    more = size - len(biases)
    return np.pad(biases.astype(np.float64), (0, more)), np.pad(counts, (0, more))


def _moved(
    biases: Float64, counts: Int64, regularisation: float, owners: Int32, residuals: npt.NDArray[Any]
) -> tuple[Float64, Int64]:
    """Biases that rest on `counts` ratings, after further ratings with these residuals; and what they rest on then."""
    totals = biases * (counts + regularisation) + np.bincount(owners, residuals, minlength=len(biases))
    counts = counts + np.bincount(owners, minlength=len(biases))
    return totals / np.maximum(counts + regularisation, 1e-9), counts
