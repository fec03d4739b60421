"""Popularity: how many interactions each item has, in all and of late."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_baselines.plugin import POPULARITY, RECENT_POPULARITY
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
from recsys_desktop.api.dataset import Float32, Int32, Int64

_DAY = 86_400


class CountedInteractions(Recommender):
    """What both popularities share: one number for each item, the same for everybody."""

    label = ""
    method = ""

    def _counts(self) -> npt.NDArray[Any]:
        """The score of each item: (n_items,)."""
        raise NotImplementedError

    def _chosen(self, data: Dataset) -> npt.NDArray[np.bool_] | None:
        """Which interactions count; None for all."""
        if self.params.min_rating is None or data.ratings is None:
            return None
        chosen: npt.NDArray[np.bool_] = data.ratings >= self.params.min_rating
        return chosen

    def _score(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        counts = self._counts() if items is None else self._counts()[items]
        return np.tile(counts.astype(np.float32), (len(query), 1))

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        return [
            Explanation.of(
                int(item),
                float(score),
                [Contribution(Source.BIAS, float(score), label=self.label)],
                additive=True,
                faithful_to_removal=False,
                method=self.method,
            )
            for item, score in zip(items, scores, strict=True)
        ]


class Popularity(CountedInteractions):
    """The score of an item is the number of its interactions.

    Fitted: `counts_` int64 (n_items,), interactions of each item rated at least `min_rating`.
    """

    spec = POPULARITY
    label = "people who chose it"
    method = "number of interactions"

    counts_: Int64

    def estimate(self, shape: DataShape) -> Forecast:
        """The codes of all interactions while they are counted, and the counters."""
        memory = 8 * shape.n_interactions + 24 * (shape.n_users + shape.n_items)
        return Forecast(1_000_000 + memory, 0.01 + shape.n_interactions / 2e8)

    def _fit(self, train: Dataset, run: RunContext) -> None:
        self.counts_ = self._count(train)

    def _count(self, data: Dataset) -> Int64:
        chosen = self._chosen(data)
        return data.item_counts if chosen is None else np.bincount(data.items[chosen], minlength=data.n_items)

    def _counts(self) -> npt.NDArray[Any]:
        return self.counts_

    def _updated(self, additions: Dataset) -> None:
        counts = self._count(additions).copy()
        counts[: len(self.counts_)] += self.counts_
        self.counts_ = counts


class RecentPopularity(CountedInteractions):
    """The score of an item is Σ 2^(-age / half_life) over its interactions, their age counted from the latest of all.

    Fitted: `decayed_` float64 (n_items,), the scores; `latest_`, the time of the latest interaction in seconds.
    """

    spec = RECENT_POPULARITY
    label = "people who chose it lately"
    method = "number of interactions, older ones counting less"

    decayed_: npt.NDArray[np.float64]
    latest_: int

    def estimate(self, shape: DataShape) -> Forecast:
        """Age and codes of all interactions in 64 bits."""
        memory = 24 * shape.n_interactions + 24 * (shape.n_users + shape.n_items)
        return Forecast(1_000_000 + memory, 0.01 + shape.n_interactions / 5e7)

    def _fit(self, train: Dataset, run: RunContext) -> None:
        assert train.timestamps is not None
        self.latest_ = int(train.timestamps.max())
        self.decayed_ = self._decay(train)

    def _decay(self, data: Dataset) -> npt.NDArray[np.float64]:
        if data.timestamps is None:
            weights = np.ones(len(data))
        else:
            weights = np.exp2((data.timestamps - self.latest_) / (self.params.half_life * _DAY))
        if (chosen := self._chosen(data)) is not None:
            weights = np.where(chosen, weights, 0.0)
        decayed = np.bincount(data.items, weights=weights, minlength=data.n_items)
        # Counts of nothing are whole numbers.
        return decayed.astype(np.float64)

    def _counts(self) -> npt.NDArray[Any]:
        return self.decayed_

    def _updated(self, additions: Dataset) -> None:
        """Interactions without a time count as the latest."""
        before, decayed = self.latest_, self.decayed_
        if additions.timestamps is not None and len(additions):
            self.latest_ = max(before, int(additions.timestamps.max()))
        scores = self._decay(additions)
        scores[: len(decayed)] += decayed * np.exp2((before - self.latest_) / (self.params.half_life * _DAY))
        self.decayed_ = scores
