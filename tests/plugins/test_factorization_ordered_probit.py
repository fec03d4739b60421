"""The ordered probit link of the Bayesian factorisation machine: known distributions, recovery of cuts, accuracy."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import truncnorm

from recsys_desktop.api import Dataset, Query, RatingScale, Recommender, RunContext, Vocabulary, state
from recsys_desktop.api.testing import AlgorithmConformance, made_data
from recsys_desktop.evaluation import rmse
from recsys_factorization.ordered_probit import (
    Levels,
    OrderedProbit,
    bounds,
    expected_latent,
    expected_ratings,
)
from recsys_factorization.plugin import BAYESIAN_FM
from tests.plugins.damaged_states import hold_refuses_short_arrays

BRIEF = {"sweeps": 40, "kept_draws": 10, "ordered_probit": True}


class TestOrderedProbitConforms(AlgorithmConformance):
    spec = BAYESIAN_FM
    params = BRIEF
    forecast_params = {**BRIEF, "sweeps": 12}


def fitted(data: Dataset, **params) -> Recommender:
    return BAYESIAN_FM.load()(BAYESIAN_FM.params(**{**BRIEF, **params})).fit(data, RunContext(threads=1))


def test_levels_are_the_ratings_that_occur() -> None:
    levels = Levels.of(np.array([1, 5, 3, 3, 1], dtype=np.float32))
    assert levels.values.tolist() == [1, 3, 5]
    assert levels.codes(np.array([1, 3, 5, 4.2, 0.5], dtype=np.float32)).tolist() == [0, 1, 2, 2, 0]


def test_a_continuous_scale_is_divided_into_ranges_none_of_them_empty() -> None:
    ratings = np.random.default_rng(0).gamma(1.0, 2.0, 5000).round(2).astype(np.float32)
    levels = Levels.of(ratings)
    counts = np.bincount(levels.codes(ratings), minlength=len(levels.values))
    assert 15 < len(levels.values) <= 24
    assert len(levels.edges) == len(levels.values) - 1
    assert counts.min() > 0
    assert (np.diff(levels.values) > 0).all()


@pytest.mark.parametrize("latent", [-8.0, -1.0, 0.0, 0.4, 9.0])
def test_expected_latent_values_are_those_of_the_truncated_normal(latent: float) -> None:
    cuts = np.array([-1.0, 0.2, 1.5])
    lower, upper = bounds(cuts, np.arange(4, dtype=np.int32))
    expected = [truncnorm.mean(low - latent, high - latent, loc=latent) for low, high in zip(lower, upper, strict=True)]
    assert np.allclose(expected_latent(np.full(4, latent), lower, upper), expected, atol=1e-6)


def test_latent_values_are_drawn_from_the_truncated_normal() -> None:
    levels = np.repeat(np.arange(3, dtype=np.int32), 40_000)
    probit = OrderedProbit(levels, 3)
    predictions = np.tile(np.linspace(-2, 2, 40_000, dtype=np.float32), 3)
    drawn = probit.sample_latent(predictions, np.random.default_rng(1))
    lower, upper = bounds(probit.cuts, levels)
    assert ((drawn >= lower - 1e-5) & (drawn <= upper + 1e-5)).all()
    expected = expected_latent(predictions, lower, upper)
    assert np.abs((drawn - expected).reshape(3, -1).mean(axis=1)).max() < 0.02


def test_the_derivatives_of_the_cuts_are_right() -> None:
    generator = np.random.default_rng(2)
    predictions = generator.standard_normal(500).astype(np.float32)
    probit = OrderedProbit(generator.integers(0, 4, 500).astype(np.int32), 4)
    cuts = np.array([-0.9, 0.1, 1.1])
    gradient, precision = probit._derivatives(cuts, predictions)
    steps = 1e-5 * np.eye(3)
    numeric = [
        (probit._log_posterior(cuts + step, predictions) - probit._log_posterior(cuts - step, predictions)) / 2e-5
        for step in steps
    ]
    assert np.allclose(gradient, numeric, rtol=1e-4, atol=1e-3)
    curvature = [
        (probit._derivatives(cuts + step, predictions)[0] - probit._derivatives(cuts - step, predictions)[0]) / 2e-5
        for step in steps
    ]
    assert np.allclose(-np.array(curvature), precision, rtol=1e-3, atol=1e-2)


def test_cut_points_are_recovered() -> None:
    generator = np.random.default_rng(3)
    true = np.array([-1.5, -0.2, 0.3, 2.0])
    predictions = generator.standard_normal(20_000).astype(np.float32)
    levels = np.searchsorted(true, predictions + generator.standard_normal(20_000)).astype(np.int32)
    probit = OrderedProbit(levels, 5)
    draws = []
    for _ in range(60):
        probit.sample_cuts(predictions, generator)
        draws.append(probit.cuts)
    kept = np.array(draws[20:])
    assert np.allclose(kept.mean(axis=0), true, atol=0.06)
    assert (kept.std(axis=0) > 0.002).all()
    assert (kept.std(axis=0) < 0.05).all()


def test_predictions_are_the_mean_over_levels() -> None:
    cuts, values = np.array([-1.0, 1.0]), np.array([1, 2, 5], dtype=np.float32)
    assert expected_ratings(np.array([-50.0, 0.0, 50.0]), cuts, values) == pytest.approx(
        [1, 0.1587 + 1.3654 + 0.7933, 5], abs=1e-3
    )


def uneven_scale() -> tuple[Dataset, Dataset]:
    """Train and test: people say 1, 2, 9 or 10 where their latent opinion passes -1, 0 and 1."""
    generator = np.random.default_rng(4)
    n_users, n_items = 150, 80
    users, items = np.nonzero(generator.random((n_users, n_items)) < 0.5)
    of_people, of_items = generator.standard_normal((n_users, 2)), generator.standard_normal((n_items, 2))
    latent = np.einsum("nf,nf->n", of_people[users], of_items[items]) + 0.3 * generator.standard_normal(len(users))
    ratings = np.array([1, 2, 9, 10], dtype=np.float32)[np.searchsorted([-1, 0, 1], latent)]
    data = Dataset(
        Vocabulary(f"u{code}" for code in range(n_users)),
        Vocabulary(f"i{code}" for code in range(n_items)),
        users,
        items,
        ratings,
        rating_scale=RatingScale(1, 10, 1),
    )
    return data.hold_out(0.3, np.random.default_rng(5))


def test_levels_beat_numbers_on_a_scale_with_uneven_steps() -> None:
    train, test = uneven_scale()
    assert test.ratings is not None
    everyone = Query.of_users(train, np.arange(train.n_users))
    errors = {}
    for ordered in (True, False):
        model = fitted(train, sweeps=80, factors=4, implicit_sets=False, ordered_probit=ordered)
        errors[ordered] = rmse(model.predict_pairs(everyone, test.users, test.items), test.ratings)
    assert errors[True] < errors[False] - 0.02


def test_the_state_is_checked_and_the_first_version_read(tmp_path) -> None:
    data = made_data.communities().train
    first = fitted(data, sweeps=6, factors=2)
    hold_refuses_short_arrays(first, tmp_path)
    model = fitted(data, sweeps=6, factors=2, ordered_probit=False)
    model.save(tmp_path)
    path = tmp_path / state.MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["model"]["state_version"] = 1
    del manifest["model"]["params"]["ordered_probit"]
    for name in ("level_edges_", "level_values_", "cut_draws_", "person_moments_", "settled_users_"):
        del manifest["model"]["state"][name]
    path.write_text(json.dumps(manifest), encoding="utf-8")
    loaded = Recommender.load(tmp_path, lambda name: BAYESIAN_FM)
    everyone = Query.of_users(data, np.arange(data.n_users))
    assert np.array_equal(loaded.score(everyone), model.score(everyone), equal_nan=True)
