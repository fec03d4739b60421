"""Popularity: how many interactions each item has."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_baselines.plugin import POPULARITY
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


class Popularity(Recommender):
    """The score of an item is the number of its counted interactions, the same for everybody.

    Fitted: `counts_` int64 (n_items,), interactions of each item rated at least `min_rating`.
    """

    spec = POPULARITY

    counts_: Int64

    def estimate(self, shape: DataShape) -> Forecast:
        """The codes of all interactions while they are counted, and the counters."""
        memory = 8 * shape.n_interactions + 24 * (shape.n_users + shape.n_items)
        return Forecast(1_000_000 + memory, 0.01 + shape.n_interactions / 2e8)

    def _fit(self, train: Dataset, run: RunContext) -> None:
        self.counts_ = self._count(train)

    def _count(self, data: Dataset) -> Int64:
        if self.params.min_rating is None or data.ratings is None:
            return data.item_counts
        chosen = data.items[data.ratings >= self.params.min_rating]
        return np.bincount(chosen, minlength=data.n_items).astype(np.int64)

    def _score(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        counts = self.counts_ if items is None else self.counts_[items]
        return np.tile(counts.astype(np.float32), (len(query), 1))

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        return [
            Explanation.of(
                int(item),
                float(score),
                [Contribution(Source.BIAS, float(score), label="people who chose it")],
                additive=True,
                faithful_to_removal=False,
                method="number of interactions",
            )
            for item, score in zip(items, scores, strict=True)
        ]

    def _updated(self, additions: Dataset) -> None:
        counts = self._count(additions).copy()
        counts[: len(self.counts_)] += self.counts_
        self.counts_ = counts
