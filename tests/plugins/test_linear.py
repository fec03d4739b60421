"""The linear item models: conformance, oracles, and figures on the frozen split."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.linear_model import ElasticNet

from benchmarks.frozen_splits import final_split
from recsys_desktop.api import CannotFit, Dataset, Query, Recommender, RunContext, Vocabulary, state
from recsys_desktop.api.testing import AlgorithmConformance
from recsys_desktop.evaluation import RANKING_METRICS, rank_test_users
from recsys_linear.plugin import EASE, RP3BETA, SLIM
from tests.plugins.damaged_states import hold_refuses_short_arrays


class TestEaseConformance(AlgorithmConformance):
    spec = EASE


class TestEaseWithoutInterceptConformance(AlgorithmConformance):
    spec = EASE
    params = {"intercept": False}


class TestSlimConformance(AlgorithmConformance):
    spec = SLIM


class TestRp3BetaConformance(AlgorithmConformance):
    spec = RP3BETA


def made(n_users: int, n_items: int, density: float, seed: int = 0) -> Dataset:
    """Random interactions with a long tail; some users and items have none."""
    generator = np.random.default_rng(seed)
    liked = generator.random((n_users, n_items)) < density * 2 * generator.random(n_items)
    liked[0] = False
    liked[:, 1] = False
    users, items = np.nonzero(liked)
    return Dataset(
        Vocabulary(f"u{code}" for code in range(n_users)),
        Vocabulary(f"i{code}" for code in range(n_items)),
        users,
        items,
    )


def fitted(spec, data: Dataset, threads: int = 1, **params: object) -> Recommender:
    return spec.load()(spec.params(**params)).fit(data, RunContext(threads=threads))


def ease_by_definition(data: Dataset, regularisation: float, intercept: bool) -> np.ndarray:
    """Scores of all users by inverting items × items in float64; NaN for items without interactions."""
    dense = data.matrix().toarray().astype(np.float64)
    extended = np.hstack([dense, np.ones((len(dense), 1))]) if intercept else dense
    active = dense.sum(axis=1) > 0
    inverse = np.linalg.inv(extended[active].T @ extended[active] + regularisation * np.eye(extended.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    scores = (extended @ weights)[:, : data.n_items]
    scores[:, data.item_counts == 0] = np.nan
    scores[~active] = np.nan
    return scores


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("n_users", "n_items"), [(30, 80), (80, 30)])
def test_ease_in_either_form_is_its_definition(n_users: int, n_items: int, intercept: bool) -> None:
    data = made(n_users, n_items, 0.3)
    model = fitted(EASE, data, regularisation=5.0, intercept=intercept)
    assert (model.weights_ is None) == (n_users < n_items)
    scores = model.score(Query.of_users(data, np.arange(n_users)))
    assert np.allclose(scores, ease_by_definition(data, 5.0, intercept), atol=1e-4, equal_nan=True)


@pytest.mark.parametrize(("n_users", "n_items"), [(30, 80), (80, 30)])
def test_ease_finds_partial_correlations_in_either_form(n_users: int, n_items: int) -> None:
    data = made(n_users, n_items, 0.3)
    model = fitted(EASE, data, regularisation=5.0, intercept=False)
    inverse = np.linalg.inv(data.matrix().toarray().T @ data.matrix().toarray() + 5.0 * np.eye(n_items))
    expected = -inverse[3] / np.sqrt(np.diag(inverse) * inverse[3, 3])
    expected[[1, 3]] = -np.inf
    codes, similarities = model.similar_items(3, 5)
    assert codes.tolist() == np.argsort(-expected)[:5].tolist()
    assert np.allclose(similarities, expected[codes], atol=1e-4)


def test_ease_counts_only_ratings_that_are_high_enough() -> None:
    data = final_split("random").train
    rated = data.subset(np.isin(data.users, np.arange(40)))
    assert rated.ratings is not None
    model = fitted(EASE, rated, min_rating=4.0)
    chosen = fitted(EASE, rated.subset(rated.ratings >= 4.0))
    people = Query.of_users(rated, np.arange(40))
    kept = people.keep_entries(np.asarray(people.ratings) >= 4.0)
    assert np.allclose(model.score(people), chosen.score(kept), atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("threads", [1, 3])
def test_slim_solves_the_elastic_net_of_every_item(threads: int) -> None:
    data = made(90, 40, 0.4)
    absolute, square = 1.5, 6.0
    model = fitted(SLIM, data, threads, absolute_penalty=absolute, square_penalty=square, intercept=False)
    dense = data.matrix().toarray().astype(np.float64)
    weights = model.weights_.toarray()
    for item in range(0, 40, 7):
        others = dense.copy()
        others[:, item] = 0
        penalty = (absolute + square) / len(dense)
        oracle = ElasticNet(
            alpha=penalty,
            l1_ratio=absolute / (absolute + square),
            positive=True,
            fit_intercept=False,
            tol=1e-8,
            max_iter=20_000,
        ).fit(others, dense[:, item])
        assert np.allclose(weights[:, item], oracle.coef_, atol=2e-3)


def test_slim_with_an_intercept_is_at_the_minimum_where_the_constant_pays_no_absolute_penalty() -> None:
    """The conditions of Karush, Kuhn and Tucker, item by item."""
    data = made(90, 40, 0.4)
    absolute, square = 1.5, 6.0
    model = fitted(SLIM, data, absolute_penalty=absolute, square_penalty=square)
    active = data.user_counts > 0
    dense = np.hstack([data.matrix().toarray(), np.ones((len(active), 1))])[active].astype(np.float64)
    penalties = np.append(np.full(data.n_items, absolute), 0)
    for item in np.flatnonzero(data.item_counts):
        weights = np.append(model.weights_[:, [item]].toarray()[:, 0], model.bases_[item]).astype(np.float64)
        gradient = dense.T @ (dense[:, item] - dense @ weights) - square * weights - penalties
        others = np.arange(data.n_items + 1) != item
        assert np.abs(gradient[others & (weights > 0)]).max() < 0.02
        assert gradient[others & (weights == 0)].max(initial=0) < 1e-3


def test_what_slim_has_no_reasons_for_is_listed_by_popularity() -> None:
    """Whether items have more people than the penalty asks for or not."""
    counts = np.array([9, 7, 6, 5, 4, 3, 3, 2, 2, 1])
    users = np.arange(counts.sum())
    data = Dataset(Vocabulary(map(str, users)), Vocabulary("abcdefghij"), users, np.repeat(np.arange(10), counts))
    scores = fitted(SLIM, data).score(Query.of_history([9]))[0]
    assert np.array_equal(counts[np.argsort(-scores, kind="stable")], counts)


@pytest.mark.parametrize("spec", [SLIM, RP3BETA, EASE])
def test_whoever_has_nothing_that_counts_is_left_to_the_fallback(spec) -> None:
    rated = final_split("random").train
    data = rated.subset(np.isin(rated.users, np.arange(60)))
    model = fitted(spec, data, min_rating=4.0)
    assert data.ratings is not None
    item = int(data.items[np.argmax(data.ratings)])
    assert np.isnan(model.score(Query.of_history([item], [2.0]))).all()
    assert not np.isnan(model.score(Query.of_history([item], [5.0]))).all()


def test_ease_says_when_its_matrix_cannot_be_inverted() -> None:
    users, items = np.nonzero(np.ones((60_000, 3), dtype=bool))
    data = Dataset(Vocabulary(map(str, range(60_000))), Vocabulary("abc"), users, items)
    with pytest.raises(CannotFit, match=r"regularisation of 0\.001: raise it"):
        fitted(EASE, data, regularisation=0.001, intercept=False)


def test_walks_have_the_probabilities_of_the_paper() -> None:
    data = made(25, 12, 0.5)
    model = fitted(RP3BETA, data, alpha=1.0, beta=0.0, neighbours=50)
    dense = data.matrix().toarray().astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        to_users = np.nan_to_num(dense.T / dense.sum(axis=0)[:, None])
        to_items = np.nan_to_num(dense / dense.sum(axis=1)[:, None])
    walk = to_users @ to_items
    np.fill_diagonal(walk, 0)
    assert np.allclose(model.weights_.toarray(), walk, atol=1e-6)


@pytest.mark.parametrize(
    ("spec", "n_users"), [(EASE, 30), (EASE, 90), (SLIM, 90), (RP3BETA, 90)], ids=["dual", "direct", "slim", "rp3beta"]
)
def test_a_state_that_does_not_fit_together_is_refused(spec, n_users: int, tmp_path) -> None:
    hold_refuses_short_arrays(fitted(spec, made(n_users, 60, 0.4)), tmp_path)


@pytest.mark.parametrize("spec", [EASE, SLIM])
def test_a_model_of_the_first_version_is_read_as_what_it_is(spec, tmp_path) -> None:
    """There, parameters did not yet say whether there is an intercept."""
    data = made(90, 40, 0.4)
    model = fitted(spec, data, intercept=False)
    model.save(tmp_path)
    path = tmp_path / state.MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["model"]["state_version"] = 1
    del manifest["model"]["params"]["intercept"]
    manifest["model"]["state"].pop("bases_", None)
    path.write_text(json.dumps(manifest), encoding="utf-8")
    loaded = Recommender.load(tmp_path, lambda name: spec)
    assert loaded.params.intercept is False
    people = Query.of_users(data, np.arange(90))
    assert np.array_equal(loaded.score(people), model.score(people), equal_nan=True)


@pytest.mark.parametrize(
    ("spec", "least", "most"), [(EASE, 0.262, 0.275), (SLIM, 0.260, 0.275), (RP3BETA, 0.215, 0.25)]
)
def test_ranks_movielens_as_well_as_it_should(spec, least: float, most: float) -> None:
    split = final_split("random")
    ranked, _ = rank_test_users(fitted(spec, split.train, 2).score, split.train, split.test, 10)
    assert least <= np.nanmean(RANKING_METRICS["ndcg"].compute(ranked)) <= most
