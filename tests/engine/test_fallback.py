"""The fallback chain: item mean, user mean, global mean for ratings; popularity for lists."""

from __future__ import annotations

import numpy as np

from recsys_desktop.api import Dataset, Query, Vocabulary
from recsys_desktop.engine.fallback import DAMPING, Fallback, RatingSource


def dataset(ratings: bool = True) -> Dataset:
    users = Vocabulary(["a", "b", "c"])
    items = Vocabulary(["x", "y", "z"])
    return Dataset(
        users,
        items,
        np.array([0, 0, 1], dtype=np.int32),
        np.array([0, 1, 0], dtype=np.int32),
        np.array([5, 3, 4], dtype=np.float32) if ratings else None,
    )


def test_each_missing_prediction_is_answered_by_the_nearest_mean_and_says_which() -> None:
    data = dataset()
    fallback = Fallback.of(data)
    query = Query.of_users(data, [0, 2])
    predictions = np.array([4.5, np.nan, np.nan, np.nan, np.nan], dtype=np.float32)
    people = np.array([0, 0, 0, 1, 1])
    items = np.array([0, 0, 2, 2, -1], dtype=np.int32)
    filled, sources = fallback.fill(predictions, query, people, items)
    item_mean = (5 + 4 + DAMPING * 4) / (2 + DAMPING)
    user_mean = (5 + 3 + DAMPING * 4) / (2 + DAMPING)
    np.testing.assert_allclose(filled, [4.5, item_mean, user_mean, 4.0, 4.0], rtol=1e-6)
    assert [RatingSource(source) for source in sources] == [
        RatingSource.MODEL,
        RatingSource.ITEM_MEAN,
        RatingSource.USER_MEAN,
        RatingSource.GLOBAL_MEAN,
        RatingSource.GLOBAL_MEAN,
    ]


def test_the_predictions_handed_in_are_not_changed() -> None:
    data = dataset()
    predictions = np.array([np.nan], dtype=np.float32)
    Fallback.of(data).fill(predictions, Query.of_users(data, [0]), np.array([0]), np.array([0], dtype=np.int32))
    assert np.isnan(predictions[0])


def test_without_ratings_nobody_predicts() -> None:
    data = dataset(ratings=False)
    filled, sources = Fallback.of(data).fill(
        np.array([np.nan], dtype=np.float32), Query.of_users(data, [0]), np.array([0]), np.array([0], dtype=np.int32)
    )
    assert np.isnan(filled[0]) and sources[0] == RatingSource.NOBODY


def test_popularity_counts_people_and_leaves_out_what_nobody_chose() -> None:
    np.testing.assert_array_equal(Fallback.of(dataset()).popularity, [2, 1, np.nan])
