"""Regularised biases: a direct solution as oracle, strangers, and regularisation estimated from the data."""

from __future__ import annotations

import numpy as np
import pytest

from recsys_desktop.api import Dataset, Query, RatingScale, RunContext, Vocabulary
from recsys_desktop.toolkit.bias import fit_biases


def made(n_users: int, n_items: int, of_users: float, of_items: float, noise: float, seed: int = 0) -> Dataset:
    """Ratings that are main effects plus noise, each kind with its own standard deviation."""
    generator = np.random.default_rng(seed)
    users, items = np.nonzero(generator.random((n_users, n_items)) < 0.4)
    effects = generator.normal(0, of_users, n_users)[users] + generator.normal(0, of_items, n_items)[items]
    ratings = 3.5 + effects + generator.normal(0, noise, len(users))
    return Dataset(
        Vocabulary(f"u{code}" for code in range(n_users)),
        Vocabulary(f"i{code}" for code in range(n_items)),
        users,
        items,
        ratings.astype(np.float32),
        rating_scale=RatingScale(0, 7),
    )


def test_solves_the_regularised_least_squares_problem() -> None:
    data = made(12, 9, 0.5, 0.5, 0.3)
    found = fit_biases(data, 4.0, 2.0, RunContext())
    design = np.zeros((len(data), 21))
    design[np.arange(len(data)), data.users] = 1
    design[np.arange(len(data)), 12 + data.items] = 1
    penalty = np.diag([4.0] * 12 + [2.0] * 9)
    assert data.ratings is not None
    solution = np.linalg.solve(design.T @ design + penalty, design.T @ (data.ratings - data.ratings.mean()))
    assert np.allclose(np.concatenate([found.users, found.items]), solution, atol=2e-3)


def test_a_history_gives_the_bias_of_its_user() -> None:
    data = made(30, 20, 0.5, 0.5, 0.3)
    found = fit_biases(data, None, None, RunContext())
    everyone = Query.of_users(data, np.arange(30))
    assert np.allclose(found.of_histories(everyone.as_strangers()), found.users, atol=1e-5)


def test_a_history_without_ratings_has_no_bias() -> None:
    found = fit_biases(made(10, 10, 0.5, 0.5, 0.3), None, None, RunContext())
    assert found.of_histories(Query.of_history([1, 2, 3])).tolist() == [0.0]


@pytest.mark.parametrize("of_users", [0.3, 0.8])
@pytest.mark.parametrize("of_items", [0.3, 0.8])
def test_the_estimated_regularisation_is_noise_over_spread(of_users: float, of_items: float) -> None:
    found = fit_biases(made(300, 250, of_users, of_items, 1.0), None, None, RunContext())
    assert found.user_regularisation == pytest.approx(1 / of_users**2, rel=0.25)
    assert found.item_regularisation == pytest.approx(1 / of_items**2, rel=0.25)


def test_biases_all_but_vanish_where_nobody_differs() -> None:
    found = fit_biases(made(100, 80, 0.0, 0.0, 1.0), None, None, RunContext())
    assert np.abs(found.users).max() < 0.1
    assert np.abs(found.items).max() < 0.1
