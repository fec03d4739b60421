"""Mean ratings: overall, of the person, and of the item."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_baselines.plugin import GLOBAL_MEAN, ITEM_MEAN, USER_MEAN
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
from recsys_desktop.toolkit.bias import rated_histories


class MeanRating(Recommender):
    """What the three means share: the overall mean of all ratings, which they start from.

    Fitted: `sum_` and `count_` of all ratings.
    """

    sum_: float
    count_: int

    label = ""

    @property
    def mean(self) -> float:
        """The overall mean rating."""
        return self.sum_ / self.count_

    def estimate(self, shape: DataShape) -> Forecast:
        """The codes of all interactions while they are counted, and the counters."""
        memory = 8 * shape.n_interactions + 50 * (shape.n_users + shape.n_items)
        return Forecast(1_000_000 + memory, 0.01 + shape.n_interactions / 1e8)

    def _fit(self, train: Dataset, run: RunContext) -> None:
        self.sum_, self.count_ = _total(train)

    def _updated(self, additions: Dataset) -> None:
        total, count = _total(additions)
        self.sum_, self.count_ = self.sum_ + total, self.count_ + count

    def predictable_items(self) -> Bool:
        """All: an item without ratings is rated like the others."""
        return np.ones(self.n_items, dtype=np.bool_)

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        mean = self.mean
        return [
            Explanation.of(
                int(item),
                float(score),
                [Contribution(Source.BIAS, float(score) - mean, label=self.label)] if self.label else [],
                base=mean if self.label else float(score),
                additive=True,
                faithful_to_removal=False,
                method="mean rating",
            )
            for item, score in zip(items, scores, strict=True)
        ]


def _total(data: Dataset) -> tuple[float, int]:
    return (0.0, 0) if data.ratings is None else (float(data.ratings.sum(dtype=np.float64)), len(data))


class GlobalMean(MeanRating):
    """Every rating is predicted as the mean of all."""

    spec = GLOBAL_MEAN

    def _score(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        return np.full((len(query), self.n_items if items is None else len(items)), self.mean, dtype=np.float32)


class UserMean(MeanRating):
    """A person's rating is predicted as (Σ r + caution · mean) / (n + caution) over the n ratings of their history."""

    spec = USER_MEAN
    label = "how this person rates"

    def _score(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        rated = rated_histories(query, self.n_items)
        owner = np.repeat(np.arange(len(query)), np.diff(rated.indptr))
        sums: npt.NDArray[Any] = np.bincount(owner, weights=rated.data, minlength=len(query))
        means = _damped(sums, np.diff(rated.indptr), self.mean, self.params.caution)
        return np.tile(means[:, None], (1, self.n_items if items is None else len(items)))


class ItemMean(MeanRating):
    """An item's rating is predicted as (Σ r + caution · mean) / (n + caution) over its n ratings.

    Fitted: `sums_` float64 (n_items,) and `counts_` int64 (n_items,) of each item's ratings.
    """

    spec = ITEM_MEAN
    label = "how this item is rated"

    sums_: npt.NDArray[np.float64]
    counts_: Int64

    def estimate(self, shape: DataShape) -> Forecast:
        """The codes and ratings of all interactions in 64 bits while they are summed, and the counters."""
        forecast = super().estimate(shape)
        return forecast._replace(memory_bytes=forecast.memory_bytes + 8 * shape.n_interactions)

    def _fit(self, train: Dataset, run: RunContext) -> None:
        super()._fit(train, run)
        sums: npt.NDArray[Any] = np.bincount(train.items, weights=train.ratings, minlength=train.n_items)
        self.sums_ = sums
        self.counts_ = train.item_counts

    def _score(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        means = _damped(self.sums_, self.counts_, self.mean, self.params.caution)
        return np.tile(means if items is None else means[items], (len(query), 1))

    def _updated(self, additions: Dataset) -> None:
        super()._updated(additions)
        sums, counts = np.zeros(additions.n_items), np.zeros(additions.n_items, dtype=np.int64)
        sums[: len(self.sums_)], counts[: len(self.counts_)] = self.sums_, self.counts_
        if additions.ratings is not None:
            sums += np.bincount(additions.items, weights=additions.ratings, minlength=additions.n_items)
            counts += additions.item_counts
        self.sums_, self.counts_ = sums, counts


def _damped(sums: npt.NDArray[np.float64], counts: npt.NDArray[Any], mean: float, caution: float) -> Float32:
    """(sum + caution · mean) / (count + caution), the mean itself where both count and caution are 0."""
    weights = counts + caution
    damped = np.divide(sums + caution * mean, weights, out=np.full(len(sums), mean), where=weights > 0)
    result: Float32 = damped.astype(np.float32)
    return result
