"""Learning from one rating without a refit: who moves, who does not, and that the old model stays as it was."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recsys_desktop.api import AlgorithmSpec, Dataset, Query, Recommender, RunContext
from recsys_desktop.api.testing import made_data
from recsys_factorization.plugin import (
    ALS,
    BAYESIAN_FM,
    BPR,
    IMPLICIT_ALS,
    NMF,
    PURE_SVD,
    SVD,
    SVDPP,
    TRUNCATED_SVD,
)

# How far the scores of people who do not have the rated item may move, in units of their spread: not at all where a
# step solves this person and this item alone; a little where the items share a Gram matrix, or negatives are drawn.
EXACT = (PURE_SVD, SVD, SVDPP, ALS, NMF, TRUNCATED_SVD, BAYESIAN_FM)
MOVES_OF_OTHERS = {IMPLICIT_ALS: 0.2, BPR: 0.5, **dict.fromkeys(EXACT, 0.0)}
SETTINGS: dict[AlgorithmSpec, dict[str, Any]] = {BAYESIAN_FM: {"sweeps": 30, "kept_draws": 8}}
LEARNER = 4


def with_one_more(data: Dataset, rating: float) -> tuple[Dataset, Dataset, int]:
    """The rating of one more item by `LEARNER` alone, the data with it, and the item: the most popular one not seen."""
    assert data.timestamps is not None
    assert data.ratings is not None
    seen = data.matrix()[LEARNER].toarray()[0] > 0
    item = int(np.argmax(np.where(seen, -1, data.item_counts)))
    later = int(data.timestamps.max()) + 60
    alone = replace(
        data,
        users=np.array([LEARNER]),
        items=np.array([item]),
        ratings=np.array([rating]),
        timestamps=np.array([later]),
    )
    together = replace(
        data,
        users=np.append(data.users, LEARNER),
        items=np.append(data.items, item),
        ratings=np.append(data.ratings, rating),
        timestamps=np.append(data.timestamps, later),
    )
    return alone, together, item


def fitted(spec: AlgorithmSpec, data: Dataset) -> Recommender:
    return spec.load()(spec.params(**SETTINGS.get(spec, {}))).fit(data, RunContext(threads=1))


@pytest.mark.parametrize("spec", MOVES_OF_OTHERS, ids=lambda spec: spec.id)
def test_one_rating_moves_its_person_and_leaves_others_and_the_old_model_alone(spec: AlgorithmSpec) -> None:
    data = made_data.communities().train
    alone, together, item = with_one_more(data, 5.0)
    model = fitted(spec, data)
    before = copy.deepcopy(model.fitted_state())
    updated = model.updated(alone)
    after = model.fitted_state()
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_equal(after[name], value, err_msg=name)

    elsewhere = np.flatnonzero((data.item_counts > 0) & (np.arange(data.n_items) != item))
    learner_before = model.score(Query.of_users(data, [LEARNER]))[0, elsewhere]
    learner_after = updated.score(Query.of_users(together, [LEARNER]))[0, elsewhere]
    assert np.abs(learner_after - learner_before).max() > 1e-3 * np.std(learner_before)

    have_it = data.matrix()[:, [item]].toarray()[:, 0] > 0
    others = np.flatnonzero(~have_it & (data.user_counts > 0) & (np.arange(data.n_users) != LEARNER))
    assert len(others) > 10
    then, now = (asked.score(Query.of_users(data, others))[:, elsewhere] for asked in (model, updated))
    assert np.abs(now - then).max() <= MOVES_OF_OTHERS[spec] * np.std(then) + 1e-5


@pytest.mark.parametrize("spec", [SVD, SVDPP, ALS, NMF, TRUNCATED_SVD], ids=lambda spec: spec.id)
def test_a_better_rating_of_an_item_raises_what_is_predicted_for_it(spec: AlgorithmSpec) -> None:
    """For the person and, on average, for others: the item's own average has risen."""
    data = made_data.communities().train
    model = fitted(spec, data)
    high, low = (with_one_more(data, rating) for rating in (5.0, 1.0))
    raised, lowered = (
        model.updated(alone).predict(Query.of_users(together, [LEARNER]), [item])[0, 0]
        for alone, together, item in (high, low)
    )
    assert raised > lowered
    item = high[2]
    without_it = np.flatnonzero((data.matrix()[:, [item]].toarray()[:, 0] == 0) & (data.user_counts > 0))
    others = Query.of_users(data, without_it[without_it != LEARNER])
    raise_for_others = model.updated(high[0]).score(others, [item]) - model.updated(low[0]).score(others, [item])
    assert raise_for_others.mean() > 0
