"""No ranker's defaults fall below popularity where popularity alone decides, or where histories hardly meet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recsys_desktop.api import AlgorithmSpec, Dataset, DataShape, Query, RunContext, Vocabulary
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


def short_histories(n_users: int, n_items: int, n_interactions: int, seed: int = 0) -> Dataset:
    """Everybody has an item, some have more, and all choose by popularity, (place in the catalogue) ^ -0.8, alone."""
    generator = np.random.default_rng(seed)
    chances = (1.0 + np.arange(n_items)) ** -0.8
    users = np.append(np.arange(n_users), generator.integers(0, n_users, n_interactions - n_users))
    items = generator.choice(n_items, n_interactions, p=chances / chances.sum())
    pairs = np.unique(np.stack((users, items), axis=1), axis=0)
    pairs = generator.permutation(pairs)
    return Dataset(
        Vocabulary(f"u{code}" for code in range(n_users)),
        Vocabulary(f"i{code}" for code in range(n_items)),
        pairs[:, 0],
        pairs[:, 1],
    )


SHORT = [(2000, 100, 2500), (5000, 300, 7500), (3000, 1000, 6000)]


@pytest.mark.parametrize("spec", RANKERS, ids=lambda spec: spec.id)
@pytest.mark.parametrize("shape", SHORT, ids=lambda shape: f"{shape[2] / shape[0]:g} each")
def test_where_people_have_one_or_two_interactions(spec: AlgorithmSpec, shape: tuple[int, int, int]) -> None:
    """On the mean of two draws: in a single one chance alone moves a figure by a tenth."""
    shares = []
    for seed in (0, 1):
        train, test = short_histories(*shape, seed=seed).hold_out(0.3, np.random.default_rng(1))
        shares.append(ndcg(fitted(spec, train).score, train, test) / by_popularity(train, test))
    assert np.mean(shares) > 0.9


@pytest.mark.parametrize("seed", [0, 1])
def test_where_few_clicks_tell_of_tastes_popularity_is_not_all(seed: int) -> None:
    """Three clicks each, half of the pages of one kind: what popularity counts is told by people with two of them."""
    generator = np.random.default_rng(seed)
    kinds = generator.integers(0, 20, 6000)
    places = np.minimum(generator.geometric(0.15, (6000, 5)) - 1, 24)
    users, items = np.repeat(np.arange(6000), 5), (kinds[:, None] * 25 + places).ravel()
    pairs = np.unique(np.stack((users, items), axis=1), axis=0)
    data = Dataset(Vocabulary(map(str, range(6000))), Vocabulary(map(str, range(500))), pairs[:, 0], pairs[:, 1])
    train, test = data.hold_out(0.3, np.random.default_rng(1))
    model = fitted(IMPLICIT_ALS, train)
    assert train.user_counts[train.user_counts > 0].mean() < 4
    assert model.setting("popularity") < 10
    assert ndcg(model.score, train, test) > 3 * by_popularity(train, test)
    assert ndcg(fitted(IMPLICIT_ALS, train, popularity=100.0).score, train, test) < 0.7 * ndcg(model.score, train, test)


@pytest.mark.parametrize(("spec", "params"), [(IMPLICIT_ALS, {}), (PURE_SVD, {"rank": 8})])
def test_without_popularity_they_do_fall_below_it(spec: AlgorithmSpec, params: dict[str, Any]) -> None:
    train, test = short_histories(*SHORT[1]).hold_out(0.3, np.random.default_rng(1))
    assert ndcg(fitted(spec, train, popularity=0.0, **params).score, train, test) < 0.7 * by_popularity(train, test)


@pytest.mark.parametrize("spec", [IMPLICIT_ALS, PURE_SVD], ids=lambda spec: spec.id)
def test_popularity_is_a_part_that_explanations_name(spec: AlgorithmSpec) -> None:
    """Where histories are long it is no part unless it is asked for."""
    data = short_histories(2000, 100, 2500)
    person = Query.of_users(data, [3])
    without, with_it = (fitted(spec, data, popularity=weight) for weight in (0.0, 2.0))
    shares = data.item_counts / (data.user_counts > 0).sum()
    for before, after in zip(without.explain(person, [0, 40]), with_it.explain(person, [0, 40]), strict=True):
        assert before.base == 0
        assert after.base == pytest.approx(2 * shares[after.item], rel=1e-5)
        assert after.score - before.score == pytest.approx(after.base, abs=1e-4)
        assert abs(after.residual) < 1e-4
    assert fitted(spec, made_data.of_shape(DataShape(100, 60, 3000), False)).setting("popularity") == 0.0


def test_fixed_settings_do_fall_below_it() -> None:
    """What the tests above could not tell otherwise: the choice on held-out data is what holds."""
    train, test = made_data.of_shape(DataShape(1000, 300, 15_000), False).hold_out(0.2, np.random.default_rng(1))
    popular = by_popularity(train, test)
    for spec, params in ((BPR, {"candidates": 8}), (PURE_SVD, {"rank": 24})):
        assert ndcg(fitted(spec, train, **params).score, train, test) < 0.75 * popular


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (BPR, "candidates"),
        (PURE_SVD, "rank"),
        (IMPLICIT_ALS, "popularity"),
        (USER_KNN, "popularity"),
        (EASE, "regularisation"),
    ],
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
