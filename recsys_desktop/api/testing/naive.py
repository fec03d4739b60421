"""Naive answers that the kit holds models against: plain loops, no engine, no evaluation package."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.dataset import Dataset
from recsys_desktop.api.query import Query
from recsys_desktop.api.recommender import Recommender


def top_n(scores: npt.NDArray[Any], seen: Collection[int], n: int) -> list[int]:
    """The n best item codes by falling score (float (n_items,)), ties by code, without NaN and without `seen`."""
    listable = [code for code in range(len(scores)) if not math.isnan(scores[code]) and code not in seen]
    return sorted(listable, key=lambda code: (-scores[code], code))[:n]


def ndcg(listed: list[int], relevant: Collection[int], n: int) -> float:
    """NDCG at n with binary gain and the ideal cut at min(n, relevant)."""
    gained = sum(1 / math.log2(place + 2) for place, code in enumerate(listed[:n]) if code in relevant)
    return gained / sum(1 / math.log2(place + 2) for place in range(min(n, len(relevant))))


def mean_ndcg(model: Recommender, history: Dataset, held_out: Dataset, n: int = 10) -> float:
    """Mean NDCG at n over the users of `held_out`; what they have in `history` and what scores NaN is not listed."""
    users = np.flatnonzero(held_out.user_counts > 0)
    query = Query.of_users(history, users)
    scores = model.score(query)
    relevant = [set(held_out.items[held_out.users == user].tolist()) for user in users]
    lists = [top_n(scores[person], set(query.history(person).tolist()), n) for person in range(len(users))]
    return float(np.mean([ndcg(listed, wanted, n) for listed, wanted in zip(lists, relevant, strict=True)]))


def rmse(model: Recommender, history: Dataset, held_out: Dataset) -> float:
    """Root mean squared error over the pairs of `held_out` that the model answers; NaN where it answers none."""
    if held_out.ratings is None:
        raise ValueError("the held-out data has no ratings")
    users = np.flatnonzero(held_out.user_counts > 0)
    predictions = model.predict(Query.of_users(history, users))
    rows = np.searchsorted(users, held_out.users)
    errors = predictions[rows, held_out.items] - held_out.ratings
    answered = errors[~np.isnan(errors)]
    return float(np.sqrt(np.mean(answered**2))) if len(answered) else float("nan")
