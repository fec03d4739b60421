"""Figures of the factorisations on the frozen split, and where one has to beat another, a paired interval."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from benchmarks.frozen_splits import final_split, movielens_small
from recsys_desktop.api import AlgorithmSpec, Dataset, Query, Recommender, RunContext
from recsys_desktop.evaluation import RANKING_METRICS, rank_test_users, rmse
from recsys_factorization.plugin import ALS, BAYESIAN_FM, BPR, IMPLICIT_ALS, SVD, SVDPP

IDS = {"factors": 8, "sweeps": 300, "implicit_sets": False, "side_features": False}


def fitted(spec: AlgorithmSpec, train: Dataset, **params: Any) -> Recommender:
    return spec.load()(spec.params(**params)).fit(train, RunContext(threads=2))


def predictions(model: Recommender, train: Dataset, test: Dataset) -> npt.NDArray[np.float32]:
    return model.predict_pairs(Query.of_users(train, np.arange(train.n_users)), test.users, test.items)


@pytest.mark.parametrize(("spec", "least", "most"), [(IMPLICIT_ALS, 0.254, 0.272), (BPR, 0.225, 0.25)])
def test_ranks_movielens_as_well_as_it_should(spec: AlgorithmSpec, least: float, most: float) -> None:
    split = final_split("random")
    ranked, _ = rank_test_users(fitted(spec, split.train).score, split.train, split.test, 10)
    assert least <= np.nanmean(RANKING_METRICS["ndcg"].compute(ranked)) <= most


@pytest.mark.parametrize(
    ("spec", "params", "least", "most"),
    [
        (SVD, {}, 0.855, 0.873),
        (ALS, {}, 0.855, 0.873),
        (BAYESIAN_FM, IDS, 0.85, 0.861),
        (BAYESIAN_FM, {}, 0.82, 0.836),
    ],
    ids=["svd", "als", "ids only", "sets and film features"],
)
def test_predicts_movielens_as_well_as_it_should(
    spec: AlgorithmSpec, params: dict[str, Any], least: float, most: float
) -> None:
    split = final_split("random")
    assert split.test.ratings is not None
    reached = rmse(predictions(fitted(spec, split.train, **params), split.train, split.test), split.test.ratings)
    assert least <= reached <= most


def paired_interval(
    first: npt.NDArray[Any], second: npt.NDArray[Any], test: Dataset, draws: int = 1000
) -> tuple[float, float]:
    """The middle 95 % of RMSE of `first` less that of `second` over resampled users."""
    assert test.ratings is not None
    counts = test.user_counts.astype(np.float64)
    sums = [
        np.bincount(test.users, weights=np.square(found - test.ratings), minlength=test.n_users)
        for found in (first, second)
    ]
    people = np.flatnonzero(counts)
    generator = np.random.default_rng(0)
    differences = []
    for _ in range(draws):
        chosen = generator.choice(people, len(people))
        total = counts[chosen].sum()
        differences.append(np.sqrt(sums[0][chosen].sum() / total) - np.sqrt(sums[1][chosen].sum() / total))
    low, high = np.percentile(differences, [2.5, 97.5])
    return float(low), float(high)


def test_svdpp_beats_svd_by_more_than_chance() -> None:
    split = final_split("random")
    found = [predictions(fitted(spec, split.train), split.train, split.test) for spec in (SVDPP, SVD)]
    assert paired_interval(found[0], found[1], split.test)[1] < -0.01


def test_temporal_dynamics_help_at_a_stated_moment() -> None:
    """The last fifth of all ratings is predicted from those before, each at its own moment."""
    data = movielens_small()
    assert data.timestamps is not None
    cut = np.quantile(data.timestamps, 0.8)
    train = data.subset(data.timestamps <= cut)
    later = data.subset(data.timestamps > cut)
    test = later.subset(train.user_counts[later.users] > 0)
    assert test.timestamps is not None
    assert test.ratings is not None
    moving, still = (fitted(SVDPP, train, temporal_dynamics=temporal) for temporal in (True, False))
    timed = np.empty(len(test), dtype=np.float32)
    for begin in range(0, len(test), 500):
        part = slice(begin, begin + 500)
        people = replace(Query.of_users(train, test.users[part]), as_of=test.timestamps[part])
        wanted, column = np.unique(test.items[part], return_inverse=True)
        timed[part] = moving.predict(people, wanted)[np.arange(len(people)), column]
    assert paired_interval(timed, predictions(still, train, test), test)[1] < 0
