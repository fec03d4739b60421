"""No ranker's defaults fall below popularity where popularity alone decides, or where histories hardly meet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recsys_desktop.api import AlgorithmSpec, Dataset, DataShape, Query, RunContext
from recsys_desktop.api.testing import made_data
from recsys_desktop.evaluation import RANKING_METRICS, rank_test_users
from recsys_factorization.plugin import BPR, IMPLICIT_ALS, PURE_SVD
from recsys_linear.plugin import EASE, RP3BETA, SLIM
from recsys_neighbors.plugin import ITEM_KNN, USER_KNN

RANKERS = [EASE, SLIM, RP3BETA, ITEM_KNN, USER_KNN, IMPLICIT_ALS, BPR, PURE_SVD]


def ndcg(score: Any, train: Dataset, test: Dataset) -> float:
    ranked, _ = rank_test_users(score, train, test, 10, train.item_counts.astype(np.float32))
    return float(np.nanmean(RANKING_METRICS["ndcg"].compute(ranked)))


def by_popularity(train: Dataset, test: Dataset) -> float:
    popular = train.item_counts.astype(np.float32)
    return ndcg(lambda query: np.tile(popular, (len(query), 1)), train, test)


def fitted(spec: AlgorithmSpec, data: Dataset, **params: Any) -> Any:
    return spec.load()(spec.params(**params)).fit(data, RunContext(threads=1))


@pytest.mark.parametrize("spec", RANKERS, ids=lambda spec: spec.id)
@pytest.mark.parametrize(
    ("shape", "share"), [(DataShape(60, 40, 900), 0.8), (DataShape(1000, 300, 15_000), 0.85)], ids=["small", "larger"]
)
def test_where_people_choose_by_popularity_alone(spec: AlgorithmSpec, shape: DataShape, share: float) -> None:
    """What is less than all of popularity's figure is chance: these data have nothing else to be learnt."""
    train, test = made_data.of_shape(shape, False).hold_out(0.2, np.random.default_rng(1))
    assert ndcg(fitted(spec, train).score, train, test) > share * by_popularity(train, test)


@pytest.mark.parametrize("spec", RANKERS, ids=lambda spec: spec.id)
def test_where_items_have_two_interactions_each(spec: AlgorithmSpec) -> None:
    train, test = made_data.of_shape(DataShape(800, 3000, 6000), False).hold_out(0.2, np.random.default_rng(1))
    assert ndcg(fitted(spec, train).score, train, test) > 0.7 * by_popularity(train, test)


def test_fixed_settings_do_fall_below_it() -> None:
    """What the tests above could not tell otherwise: the choice on held-out data is what holds."""
    train, test = made_data.of_shape(DataShape(1000, 300, 15_000), False).hold_out(0.2, np.random.default_rng(1))
    popular = by_popularity(train, test)
    for spec, params in ((BPR, {"candidates": 8}), (PURE_SVD, {"rank": 24})):
        assert ndcg(fitted(spec, train, **params).score, train, test) < 0.75 * popular


@pytest.mark.parametrize(
    ("spec", "name"), [(BPR, "candidates"), (PURE_SVD, "rank"), (USER_KNN, "popularity"), (EASE, "regularisation")]
)
def test_what_was_left_open_is_told_and_what_is_given_is_kept(spec: AlgorithmSpec, name: str) -> None:
    data = made_data.communities().train
    model = fitted(spec, data)
    assert model.setting(name) == model.chosen_[name]
    assert getattr(model.params, name) is None
    given = fitted(spec, data, **{name: 2})
    assert given.setting(name) == 2
    assert name not in (given.chosen_ or {})
    again = fitted(spec, data, **model.chosen_)
    assert again.chosen_ is None
    everyone = Query.of_users(data, np.arange(data.n_users))
    assert np.allclose(model.score(everyone), again.score(everyone), atol=1e-4, equal_nan=True)
