"""The Bayesian factorisation machine: oracles of its kernels, explanations that add up, learning live, small data."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy.optimize import minimize
from scipy.sparse import csr_matrix, identity
from scipy.stats import norm

from recsys_desktop.api import (
    Dataset,
    DataShape,
    FeatureTable,
    Query,
    RatingScale,
    Recommender,
    RunContext,
    Source,
    Vocabulary,
    state,
)
from recsys_desktop.api.testing import made_data
from recsys_desktop.toolkit.bias import fit_biases
from recsys_desktop.toolkit.products import SparseRows
from recsys_factorization.bayesian_fm import _moments
from recsys_factorization.bayesian_fm_kernels import average_draws, fold_in_draws, fold_in_levels, level_likelihood
from recsys_factorization.gibbs import Design, GibbsSampler
from recsys_factorization.plugin import BAYESIAN_FM
from tests.plugins.damaged_states import hold_refuses_short_arrays

Float64 = npt.NDArray[np.float64]
BRIEF = {"sweeps": 40, "kept_draws": 10}


def fitted(data: Dataset, **params: Any) -> Any:
    return BAYESIAN_FM.load()(BAYESIAN_FM.params(**{**BRIEF, **params})).fit(data, RunContext(threads=1))


def everyone(data: Dataset) -> Query:
    return Query.of_users(data, np.arange(data.n_users))


class Middle:
    """Draws that are no chance: the middle of the normal, and the mean of the gamma distribution."""

    def standard_normal(self, size: Any = None, dtype: Any = np.float64) -> Any:
        return 0.0 if size is None else np.zeros(size, dtype=dtype)

    def gamma(self, shape: float, size: int | None = None) -> Any:
        return shape if size is None else np.full(size, shape)


class NaiveSampler:
    """The sampler with dense features of every single rating, one weight after the other, in float64."""

    def __init__(
        self, ratings: Float64, of_users: Float64, of_items: Float64, weights: list[Float64], groups: list[Any]
    ) -> None:
        """of_users, of_items: (ratings, features). weights: of both sides (1 + factors, features)."""
        self.ratings, self.features, self.weights, self.groups = ratings, [of_users, of_items], weights, groups
        self.level, self.noise = 0.0, 1.0
        blocks = [max(group) + 1 for group in groups]
        self.means = [np.zeros((len(weights[0]), number)) for number in blocks]
        self.precisions = [np.ones((len(weights[0]), number)) for number in blocks]

    def errors(self) -> Float64:
        users, items = (x @ w.T for x, w in zip(self.features, self.weights, strict=True))
        found: Float64 = self.ratings - self.level - users[:, 0] - items[:, 0] - (users[:, 1:] * items[:, 1:]).sum(1)
        return found

    def sweep(self) -> float:
        n, errors = len(self.ratings), self.errors()
        self.noise = ((1 + n) / 2) / ((1 + errors @ errors) / 2)
        self.level = self.noise * (errors.sum() + n * self.level) / (n * self.noise + 1)
        for side in (0, 1):
            for block in range(self.means[side].shape[1]):
                weights = self.weights[side][:, self.groups[side] == block]
                mean, count = self.means[side][:, block], weights.shape[1]
                spread = np.square(weights - mean[:, None]).sum(1) + np.square(mean)
                self.precisions[side][:, block] = ((2 + count) / 2) / ((0.1 + spread) / 2)
                self.means[side][:, block] = weights.sum(1) / (count + 1)
        for side in (0, 1):
            other = self.features[1 - side] @ self.weights[1 - side].T
            for dimension in range(len(self.weights[side])):
                values = other[:, dimension] if dimension else np.ones(n)
                for feature, block in enumerate(self.groups[side]):
                    slope = self.features[side][:, feature] * values
                    old = self.weights[side][dimension, feature]
                    mean, prior = (part[side][dimension, block] for part in (self.means, self.precisions))
                    told = self.noise * slope @ (self.errors() + slope * old)
                    precision = prior + self.noise * slope @ slope
                    self.weights[side][dimension, feature] = (prior * mean + told) / precision
        return float(np.sqrt(np.square(self.errors()).mean()))


def test_a_sweep_goes_to_the_means_of_the_conditional_distributions() -> None:
    """With ids, implicit sets of both sides and features, in the sampler's order; so its errors stay right too."""
    generator = np.random.default_rng(0)
    n_users, n_items, factors = 9, 7, 2
    pattern = generator.random((n_users, n_items)) < 0.5
    pattern[np.arange(n_users), np.arange(n_users) % n_items] = True
    users, items = np.nonzero(pattern)
    ratings = generator.standard_normal(len(users))
    sets = pattern / np.sqrt(pattern.sum(1, keepdims=True))
    sets_of_items = (pattern / np.sqrt(pattern.sum(0))).T
    kinds = np.eye(2)[np.arange(n_items) % 2]
    blocks = ([np.eye(n_users), sets], [np.eye(n_items), sets_of_items, kinds])
    sides = [Design([csr_matrix(block) for block in side], factors, generator) for side in blocks]
    of_users, of_items = (np.hstack(side) for side in blocks)
    of_ratings = of_items[items].copy()
    of_ratings[np.arange(len(items)), n_items + users] = 0
    groups = [np.repeat(np.arange(len(side)), [block.shape[1] for block in side]) for side in blocks]
    weights = [side.weights.astype(np.float64) for side in sides]
    naive = NaiveSampler(ratings, of_users[users], of_ratings, weights, groups)
    rated = SparseRows.of(csr_matrix((ratings.astype(np.float32), (users, items)), shape=(n_users, n_items)))
    sampler = GibbsSampler(rated, *sides, Middle(), sides[1].blocks[1])  # type: ignore[arg-type]
    for _ in range(5):
        assert sampler.sweep(RunContext(threads=1)) == pytest.approx(naive.sweep(), rel=1e-4)
        assert sampler.noise_precision == pytest.approx(naive.noise, rel=1e-4)
        assert sampler.level == pytest.approx(naive.level, abs=1e-4)
        for side, expected in zip(sides, naive.weights, strict=True):
            assert np.allclose(side.weights, expected, atol=1e-4)
    part = of_items[:, n_items : n_items + n_users] @ naive.weights[1][:, n_items : n_items + n_users].T
    assert np.allclose(sampler.user_set_parts(), part, atol=1e-4)


def test_the_moments_of_people_are_means_over_ratings() -> None:
    factors = np.random.default_rng(7).standard_normal((2, 4)).astype(np.float32)
    counts = np.array([3, 0, 1, 4])
    x = np.repeat(np.vstack((np.ones(4), factors)).T, counts, axis=0)
    assert np.allclose(_moments(factors, counts), x.T @ x / 8, atol=1e-5)


def test_errors_stay_right_over_many_sweeps() -> None:
    generator = np.random.default_rng(1)
    users, items = np.nonzero(generator.random((40, 30)) < 0.4)
    ratings = generator.standard_normal(len(users)).astype(np.float32)
    sides = [Design([identity(size, dtype=np.float32)], 3, generator) for size in (40, 30)]
    rated = SparseRows.of(csr_matrix((ratings, (users, items)), shape=(40, 30)))
    sampler = GibbsSampler(rated, *sides, generator)
    for _ in range(100):
        error = sampler.sweep(RunContext(threads=1))
    of_users, of_items = (side.weights.astype(np.float64) for side in sides)
    predicted = sampler.level + of_users[0, users] + of_items[0, items]
    predicted += (of_users[1:, users] * of_items[1:, items]).sum(axis=0)
    assert error == pytest.approx(float(np.sqrt(np.square(ratings - predicted).mean())), rel=1e-4)


def test_priors_are_drawn_around_what_the_weights_say() -> None:
    generator = np.random.default_rng(2)
    side = Design([identity(50, dtype=np.float32)], 1, generator)
    side.weights[:] = (0.5 + 0.2 * generator.standard_normal((2, 50))).astype(np.float32)
    draws = []
    for _ in range(4000):
        side.means[:] = 0.4
        side.sample_priors(generator, 2.0)
        draws.append((side.means[0, 0], side.precisions[0, 0]))
    weights = side.weights[0].astype(np.float64)
    mean, precision = np.mean(draws, axis=0)
    assert mean == pytest.approx(weights.sum() / 51, abs=0.003)
    assert precision == pytest.approx(52 / (2 + np.square(weights - 0.4).sum() + 0.16), rel=0.01)


class Known:
    """What folding in takes as given, for three rows and two draws; row 2 has nothing."""

    def __init__(self) -> None:
        generator = np.random.default_rng(3)

        def normal(*shape: int, scale: float = 1.0) -> npt.NDArray[np.float32]:
            return (scale * generator.standard_normal(shape)).astype(np.float32)

        self.indptr = np.array([0, 4, 6, 6])
        self.columns = np.array([0, 2, 3, 5, 1, 2], dtype=np.int32)
        self.ratings = normal(6)
        self.levels = np.array([0, 2, 1, 2, 2, 2], dtype=np.int32)
        self.scales = np.array([0.5, 0.7, 1.0], dtype=np.float32)
        self.samples, self.sets = normal(6, 2, 4), normal(6, 2, 4, scale=0.3)
        self.offsets, self.means = normal(3, 2, 4, scale=0.5), normal(2, 4, scale=0.3)
        self.precisions = np.array([[1, 2, 3, 4], [5, 1, 0.5, 2]], dtype=np.float32)
        self.noise = np.array([1.5, 4.0], dtype=np.float32)
        self.cuts = np.array([[-np.inf, -0.5, 0.8, np.inf], [-np.inf, 0, 0.1, np.inf]], dtype=np.float32)

    def of(self, row: int, draw: int, with_sets: bool) -> tuple[slice, Float64, Float64, Float64]:
        """The row's ratings, their slopes (ratings, 4) and constants, and what is shared (4,)."""
        part = slice(self.indptr[row], self.indptr[row + 1])
        shared = self.offsets[row, draw].astype(np.float64)
        if with_sets:
            shared = shared + self.scales[row] * self.sets[self.columns[part], draw].sum(axis=0)
        x = self.samples[self.columns[part], draw].astype(np.float64)
        constant = x[:, 0].copy()
        x[:, 0] = 1
        return part, x, constant, shared


@pytest.mark.parametrize("with_sets", [True, False])
def test_folding_in_numbers_is_a_ridge_regression(with_sets: bool) -> None:
    known = Known()
    sets = known.sets if with_sets else known.sets[:, :, :0]
    found = np.empty((2, 2, 4), dtype=np.float32)
    given = (known.scales, known.samples, sets, known.offsets[1:], known.means, known.precisions, known.noise)
    fold_in_draws(1, 3, known.indptr, known.columns, known.ratings, *given, found)
    for row in (1, 2):
        for draw in (0, 1):
            part, x, constant, shared = known.of(row, draw, with_sets)
            prior = np.diag(known.precisions[draw].astype(np.float64))
            matrix = prior + known.noise[draw] * x.T @ x
            right = prior @ known.means[draw] + known.noise[draw] * x.T @ (known.ratings[part] - constant - x @ shared)
            assert np.allclose(found[row - 1, draw], shared + np.linalg.solve(matrix, right), atol=1e-5)


def level_loss(x: Float64, ahead: Float64, lower: Any, upper: Any, means: Any, precisions: Any, own: Float64) -> float:
    """Minus the log posterior of one row's own part, but for a constant."""
    latent = ahead + x @ own
    masses = norm.cdf(upper - latent) - norm.cdf(lower - latent)
    return float(0.5 * precisions @ np.square(own - means) - np.log(masses).sum())


@pytest.mark.parametrize("with_sets", [True, False])
def test_folding_in_levels_finds_the_mode(with_sets: bool) -> None:
    known = Known()
    sets = known.sets if with_sets else known.sets[:, :, :0]
    found = np.empty((3, 2, 4), dtype=np.float32)
    given = (known.cuts, known.scales, known.samples, sets, known.offsets, known.means, known.precisions)
    fold_in_levels(0, 3, known.indptr, known.columns, known.levels, *given, found)
    for row in range(3):
        for draw in (0, 1):
            part, x, constant, shared = known.of(row, draw, with_sets)
            lower, upper = (known.cuts[draw, known.levels[part] + step].astype(np.float64) for step in (0, 1))

            prior = (known.means[draw], known.precisions[draw])
            loss = partial(level_loss, x, constant + x @ shared, lower, upper, *prior)
            mode = minimize(loss, known.means[draw].astype(np.float64), tol=1e-10).x
            assert np.allclose(found[row, draw], shared + mode, atol=2e-4)


def test_levels_far_from_what_is_expected_do_not_throw_the_mode_off() -> None:
    """One level a hundred deviations away from all that was expected: the steps overshoot unless they are held."""
    levels = np.zeros(3, dtype=np.int32)
    cuts = np.array([[-np.inf, -30, np.inf]], dtype=np.float32)
    samples = np.zeros((3, 1, 2), dtype=np.float32)
    samples[:, 0, 1] = (1, -4, 9)
    nothing, one = np.zeros((1, 1, 2), dtype=np.float32), np.ones((1, 2), dtype=np.float32)
    found = np.empty((1, 1, 2), dtype=np.float32)
    ratings = (np.array([0, 3]), np.arange(3, dtype=np.int32), levels, cuts, np.ones(1, dtype=np.float32))
    fold_in_levels(0, 1, *ratings, samples, samples[:, :, :0], nothing, np.zeros_like(one), one, found)
    level, factor = found[0, 0].astype(np.float64)
    latent = level + samples[:, 0, 1] * factor
    slopes = np.array([level_likelihood(value, -np.inf, -30.0)[2] for value in latent])
    assert level == pytest.approx(slopes.sum(), rel=1e-3)
    assert factor == pytest.approx(slopes @ samples[:, 0, 1], rel=1e-3)


@pytest.mark.parametrize(("lower", "upper"), [(-np.inf, -1.0), (-0.3, 0.4), (1.0, np.inf), (5.0, 6.0), (-7.0, -6.5)])
def test_the_likelihood_of_a_level_and_its_derivatives(lower: float, upper: float) -> None:
    def log_mass(latent: float) -> float:
        if lower > latent:
            return float(np.log(norm.sf(lower - latent) - norm.sf(upper - latent)))
        return float(np.log(norm.cdf(upper - latent) - norm.cdf(lower - latent)))

    for latent in (-1.0, 0.0, 0.7):
        value, curvature, slope = level_likelihood(latent, lower, upper)
        step = 1e-3
        low, high = log_mass(latent - step), log_mass(latent + step)
        assert value == pytest.approx(log_mass(latent), rel=1e-6)
        assert slope == pytest.approx((high - low) / (2 * step), rel=1e-3)
        assert curvature == pytest.approx(-(high - 2 * log_mass(latent) + low) / step**2, rel=1e-2)


def test_draws_are_averaged_in_the_common_frame() -> None:
    generator = np.random.default_rng(4)
    drawn = generator.standard_normal((2, 3, 4)).astype(np.float32)
    rotations = generator.standard_normal((3, 3, 3)).astype(np.float32)
    averages = np.zeros((3, 4), dtype=np.float32)
    average_draws(1, drawn, rotations, averages)
    assert np.array_equal(averages[0], np.zeros(4))
    assert np.allclose(averages[1:, 0], drawn[:, :, 0].mean(axis=1), atol=1e-6)
    assert np.allclose(averages[1:, 1:], np.einsum("nsf,sfg->nsg", drawn[:, :, 1:], rotations).mean(axis=1), atol=1e-6)


def of_rows(rows: list[tuple[int, int, float]], n_users: int, n_items: int) -> Dataset:
    users, items, ratings = (np.array(column) for column in zip(*rows, strict=True))
    return Dataset(
        Vocabulary(f"u{code}" for code in range(n_users)),
        Vocabulary(f"i{code}" for code in range(n_items)),
        users.astype(np.int32),
        items.astype(np.int32),
        ratings.astype(np.float32),
        rating_scale=RatingScale(1, 5, 1),
    )


def five_ratings() -> Dataset:
    return of_rows([(0, 0, 5), (0, 1, 3), (1, 0, 4), (1, 2, 1), (2, 1, 2)], 3, 3)


def planted(n_users: int, n_items: int, n_ratings: int, seed: int) -> Dataset:
    """Few ratings, 1 to 5, of people and items that differ in level and in three tastes; some of both are met often."""
    generator = np.random.default_rng(seed)
    often, active = 1 / (1 + np.arange(n_items)) ** 0.8, generator.lognormal(0, 1, n_users)
    users = generator.choice(n_users, 3 * n_ratings, p=active / active.sum())
    items = generator.choice(n_items, 3 * n_ratings, p=often / often.sum())
    pairs = generator.permutation(np.unique(users.astype(np.int64) * n_items + items))[:n_ratings]
    users, items = np.divmod(pairs, n_items)
    tastes, traits = generator.standard_normal((n_users, 3)), generator.standard_normal((n_items, 3))
    opinions = 0.5 * generator.standard_normal(n_users)[users] + 0.5 * generator.standard_normal(n_items)[items]
    opinions += 0.6 / np.sqrt(3) * (tastes[users] * traits[items]).sum(axis=1)
    ratings = np.clip(np.round(3 + 0.8 * (opinions + 0.7 * generator.standard_normal(len(users)))), 1, 5)
    return of_rows(list(zip(users.tolist(), items.tolist(), ratings.tolist(), strict=True)), n_users, n_items)


def constant_ratings() -> Dataset:
    data = planted(20, 10, 60, 0)
    return replace(data, ratings=np.full(len(data), 4.0, dtype=np.float32))


@pytest.mark.parametrize("ordered_probit", [True, False], ids=["levels", "numbers"])
@pytest.mark.parametrize("sets", [True, False], ids=["sets", "ids"])
@pytest.mark.parametrize("data", [five_ratings(), planted(30, 10, 90, 1), constant_ratings()], ids=len)
def test_contributions_add_up(data: Dataset, sets: bool, ordered_probit: bool) -> None:
    model = fitted(data, implicit_sets=sets, ordered_probit=ordered_probit)
    known = np.flatnonzero(data.item_counts)
    for user in np.flatnonzero(data.user_counts):
        for explanation in model.explain(Query.of_users(data, [user]), known):
            assert explanation.additive
            assert abs(explanation.residual) < 1e-4 * max(1, abs(explanation.score))


@pytest.mark.parametrize("ordered_probit", [True, False], ids=["levels", "numbers"])
def test_the_base_is_the_score_of_somebody_unknown(ordered_probit: bool) -> None:
    data = made_data.communities().train
    model = fitted(data, ordered_probit=ordered_probit)
    unknown = model._score(Query.of_history([], []), np.array([0, 5, 12], dtype=np.int32))[0]
    for user in (0, 1, 30):
        bases = [explanation.base for explanation in model.explain(Query.of_users(data, [user]), [0, 5, 12])]
        assert np.allclose(bases, unknown, atol=1e-4)


def test_an_attribute_contributes_what_its_removal_takes_away() -> None:
    data = made_data.communities().train
    model = fitted(data)
    for user in (0, 1):
        person = Query.of_users(data, [user])
        without = replace(person, attributes=None)
        for explanation in model.explain(person, [0, 3]):
            attributes = [part for part in explanation.contributions if part.kind is Source.FEATURE]
            assert [part.label for part in attributes] == ["region valley" if user == 0 else "region shore"]
            lost = explanation.score - model.score(without, [explanation.item])[0, 0]
            assert attributes[0].value == pytest.approx(lost, abs=1e-4)


def additions(data: Dataset, rows: list[tuple[int, int, float]], like: int | None = None) -> Dataset:
    """Only these ratings, in a catalogue with one more item that has the features of item `like`, or no more."""
    users, items, ratings = (np.array(column) for column in zip(*rows, strict=True))
    more = [] if like is None else [like]
    return replace(
        data,
        item_vocabulary=data.item_vocabulary.extended(["novelty"] if more else []),
        users=users.astype(np.int32),
        items=items.astype(np.int32),
        ratings=ratings.astype(np.float32),
        timestamps=np.full(len(rows), 1_800_000_000),
        item_features=data.item_features.take([*range(data.n_items), *more]),
    )


@pytest.mark.parametrize("ordered_probit", [True, False], ids=["levels", "numbers"])
def test_a_new_item_learns_the_same_in_one_update_and_in_two(ordered_probit: bool) -> None:
    data = made_data.communities().train
    model = fitted(data, ordered_probit=ordered_probit)
    novelty = data.n_items
    low, high = [(0, novelty, 1.0)], [(user, novelty, 5.0) for user in range(1, 30)]
    once, first = model.updated(additions(data, low + high, 40)), model.updated(additions(data, low, 40))
    twice = first.updated(additions(data, high, 40))
    person = Query.of_users(data, [50])
    early, late, together = (found.predict(person, [novelty])[0, 0] for found in (first, twice, once))
    assert late > early + 0.3
    assert late == pytest.approx(together, abs=0.02)


@pytest.mark.parametrize("ordered_probit", [True, False], ids=["levels", "numbers"])
def test_an_item_of_fit_moves_as_a_refit_moves_it(ordered_probit: bool) -> None:
    """Forty people, old raters and new, call item 0 bad: about as far as what a refit on all ratings predicts."""
    data = made_data.communities().train
    model = fitted(data, ordered_probit=ordered_probit, sweeps=100)
    bad = [(user, 0, 1.0) for user in range(40)]
    updated = model.updated(additions(data, bad))
    kept = ~((data.items == 0) & (data.users < 40))
    assert data.ratings is not None
    assert data.timestamps is not None
    together = replace(
        data,
        users=np.append(data.users[kept], np.arange(40)),
        items=np.append(data.items[kept], np.zeros(40, dtype=np.int32)),
        ratings=np.append(data.ratings[kept], np.ones(40, dtype=np.float32)),
        timestamps=np.append(data.timestamps[kept], np.full(40, 1_800_000_000)),
    )
    refit = fitted(together, ordered_probit=ordered_probit, sweeps=100)
    others = Query.of_users(data, np.arange(40, 60))
    before, after, wanted = (found.predict(others, [0]).mean() for found in (model, updated, refit))
    assert wanted < before - 0.5
    assert 0.4 < (after - before) / (wanted - before) < 1.4


def test_more_new_raters_than_are_folded_in_still_move_a_new_item() -> None:
    data = made_data.of_shape(DataShape(400, 60, 6000), False)
    model = fitted(data, sweeps=20)
    novelty = data.n_items
    many = model.updated(additions(data, [(user, novelty, 5.0) for user in range(300)], 0))
    person = Query.of_users(data, [399])
    before = many.predict(person, [novelty])[0, 0]
    after = many.updated(additions(data, [(user, novelty, 1.0) for user in range(300, 390)], 0))
    assert after.predict(person, [novelty])[0, 0] < before - 0.3


def test_a_new_item_without_ratings_is_what_its_features_say() -> None:
    data = made_data.communities().train
    model = fitted(data, sweeps=60)
    updated = model.updated(additions(data, [(0, 0, 5.0)], 40))
    people = np.arange(2, data.n_users - 2)
    scores = updated.predict(Query.of_users(data, people), [40, data.n_items])
    assert np.ptp(scores[:, 0]) > 1
    assert np.abs(scores[:, 0] - scores[:, 1]).max() < 0.35


def test_after_an_update_known_people_score_as_strangers_with_their_history() -> None:
    data = made_data.communities().train
    data = replace(data, user_features=FeatureTable(data.n_users, {}))
    model = fitted(data)
    updated = model.updated(additions(data, [(user, 0, 1.0) for user in range(20)]))
    people = Query.of_users(data, np.arange(20, 60))
    known, strange = updated.score(people), updated.score(people.as_strangers())
    assert np.allclose(known, strange, atol=1e-4, equal_nan=True)


@pytest.mark.parametrize(("shape", "seeds"), [((30, 20, 120), 12), ((100, 60, 600), 4)], ids=["smallest", "small"])
def test_little_data_are_predicted_as_well_as_by_biases(shape: tuple[int, int, int], seeds: int) -> None:
    found: dict[str, list[float]] = {"machine": [], "biases": []}
    for seed in range(seeds):
        train, test = planted(*shape, seed=seed).hold_out(0.2, np.random.default_rng(1))
        test = test.subset(train.user_counts[test.users] > 0)
        assert test.ratings is not None
        biases = fit_biases(train, None, None, RunContext())
        simple = np.clip(biases.mean + biases.users[test.users] + biases.items[test.items], 1, 5)
        machine = fitted(train, sweeps=200, kept_draws=40).predict_pairs(everyone(train), test.users, test.items)
        found["biases"].extend(np.square(simple - test.ratings))
        found["machine"].extend(np.square(machine - test.ratings))
    assert np.sqrt(np.mean(found["machine"])) < 1.01 * np.sqrt(np.mean(found["biases"]))


def telling_choices() -> Dataset:
    """Two kinds of people who mostly choose two kinds of items; one kind likes everything better. Five ratings each."""
    generator = np.random.default_rng(6)
    rows = []
    for user in range(500):
        chance = np.where(np.arange(40) % 2 == user % 2, 0.95, 0.05)
        items = generator.choice(40, 5, replace=False, p=chance / chance.sum())
        ratings = np.clip(np.round(3 + (0.8 if user % 2 else -0.8) + generator.standard_normal(5)), 1, 5)
        rows += list(zip([user] * 5, items.tolist(), ratings.tolist(), strict=True))
    return of_rows(rows, 500, 40)


def test_implicit_sets_are_taken_where_choices_tell_something_and_where_they_are_asked_for() -> None:
    telling, chance = telling_choices(), planted(100, 60, 600, 0)
    assert fitted(telling).setting("implicit_sets") is True
    assert fitted(chance).setting("implicit_sets") is False
    asked = fitted(chance, implicit_sets=True)
    assert asked.chosen_ is None
    assert asked.set_draws_.any()


def test_what_was_left_open_does_not_go_by_the_seed() -> None:
    data = planted(60, 40, 400, 3)
    spec = BAYESIAN_FM
    chosen = [spec.load()(spec.params(**BRIEF)).fit(data, RunContext(seed, threads=1)).chosen_ for seed in (1, 2, 3)]
    assert chosen[0] == chosen[1] == chosen[2]


def test_a_damaged_state_is_refused_and_the_second_version_read(tmp_path: Path) -> None:
    data = made_data.communities().train
    first = fitted(data, sweeps=6, factors=2, implicit_sets=True)
    hold_refuses_short_arrays(first, tmp_path)
    first.save(tmp_path)
    path = tmp_path / state.MANIFEST
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["model"]["state_version"] = 2
    for name in ("person_moments_", "settled_users_", "chosen_"):
        del manifest["model"]["state"][name]
    path.write_text(json.dumps(manifest), encoding="utf-8")
    loaded = Recommender.load(tmp_path, lambda name: BAYESIAN_FM)
    assert np.array_equal(loaded.score(everyone(data)), first.score(everyone(data)), equal_nan=True)
    moved = loaded.updated(additions(data, [(user, 0, 1.0) for user in range(40)]))
    expected = first.updated(additions(data, [(user, 0, 1.0) for user in range(40)]))
    person = Query.of_users(data, [50])
    assert moved.predict(person, [0])[0, 0] == pytest.approx(expected.predict(person, [0])[0, 0], abs=0.4)
