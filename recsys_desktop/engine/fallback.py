"""Fallback: who answers where a model cannot: popularity for lists; item, user and global means for ratings."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.dataset import Dataset, Float32, Int32
from recsys_desktop.api.query import Query

DAMPING = 5.0
"""Ratings at the global mean that every item and user mean is mixed with."""

POPULARITY = "popularity"


class RatingSource(IntEnum):
    """Whose rating a prediction is."""

    MODEL = 0
    ITEM_MEAN = 1
    USER_MEAN = 2
    GLOBAL_MEAN = 3
    NOBODY = 4

    @property
    def label(self) -> str:
        """The name shown."""
        return self.name.lower().replace("_", " ")


@dataclass(frozen=True, eq=False)
class Fallback:
    """What the data alone says, without any model.

    popularity: float32 (n_items,), people who chose an item; NaN where nobody did. item_means: float32 (n_items,),
    (sum of ratings + d·g) / (count + d) with d = `DAMPING` and the global mean g, NaN without ratings. global_mean: NaN
    where the data has no ratings.
    """

    popularity: Float32
    item_means: Float32
    global_mean: float

    @classmethod
    def of(cls, train: Dataset) -> Fallback:
        """Compute from the interactions that a model may see."""
        counts = train.item_counts
        popularity = np.where(counts > 0, counts, np.nan).astype(np.float32)
        if train.ratings is None or len(train) == 0:
            return cls(popularity, np.full(train.n_items, np.nan, dtype=np.float32), float("nan"))
        mean = float(np.mean(train.ratings, dtype=np.float64))
        sums = np.bincount(train.items, weights=train.ratings, minlength=train.n_items)
        means = np.where(counts > 0, (sums + DAMPING * mean) / (counts + DAMPING), np.nan)
        return cls(popularity, means.astype(np.float32), mean)

    @property
    def predicts(self) -> bool:
        """Whether there are ratings to go by."""
        return not np.isnan(self.global_mean)

    def user_mean(self, query: Query, person: int) -> float:
        """The damped mean of one person's ratings; NaN where the history has none."""
        if query.ratings is None or query.lengths[person] == 0 or not self.predicts:
            return float("nan")
        ratings = query.ratings[query.indptr[person] : query.indptr[person + 1]]
        return float((ratings.sum(dtype=np.float64) + DAMPING * self.global_mean) / (len(ratings) + DAMPING))

    def fill(
        self, predictions: Float32, query: Query, people: npt.NDArray[np.int64], items: Int32
    ) -> tuple[Float32, npt.NDArray[np.int8]]:
        """Replace the NaN among predictions of pairs.

        predictions: float32 (m,). people: int (m,), positions in the query. items: int32 (m,), codes, -1 for an item
        that is not in the data. Returns the predictions and for each its `RatingSource` int8 (m,); NOBODY keeps NaN.
        """
        filled = predictions.astype(np.float64)
        source = np.full(len(filled), RatingSource.MODEL, dtype=np.int8)
        missing = np.flatnonzero(np.isnan(filled))
        if not self.predicts:
            source[missing] = RatingSource.NOBODY
            return predictions, source
        in_data = missing[items[missing] >= 0]
        filled[in_data] = self.item_means[items[in_data]]
        source[missing] = RatingSource.ITEM_MEAN
        for rank, means in (
            (RatingSource.USER_MEAN, lambda rows: self._user_means(query, people[rows])),
            (RatingSource.GLOBAL_MEAN, lambda rows: np.full(len(rows), self.global_mean)),
        ):
            missing = missing[np.isnan(filled[missing])]
            filled[missing] = means(missing)
            source[missing] = rank
        return filled.astype(np.float32), source

    def _user_means(self, query: Query, people: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        whose, position = np.unique(people, return_inverse=True)
        return np.array([self.user_mean(query, int(person)) for person in whose], dtype=np.float64)[position]
