"""The baselines: conformance, known answers, and figures on the frozen split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.frozen_splits import final_split
from recsys_baselines.plugin import (
    BIAS,
    GLOBAL_MEAN,
    ITEM_MEAN,
    POPULARITY,
    RANDOM,
    RECENT_POPULARITY,
    USER_MEAN,
)
from recsys_desktop.api import AlgorithmSpec, Dataset, Query, RatingScale, Vocabulary
from recsys_desktop.api.testing import AlgorithmConformance
from recsys_desktop.evaluation import RANKING_METRICS, rank_test_users, rmse
from tests.plugins.damaged_states import hold_refuses_short_arrays, loaded_as_of_version_1


class TestPopularityConformance(AlgorithmConformance):
    spec = POPULARITY


class TestRecentPopularityConformance(AlgorithmConformance):
    spec = RECENT_POPULARITY


class TestGlobalMeanConformance(AlgorithmConformance):
    spec = GLOBAL_MEAN


class TestItemMeanConformance(AlgorithmConformance):
    spec = ITEM_MEAN


class TestUserMeanConformance(AlgorithmConformance):
    spec = USER_MEAN
    personalised = False


class TestBiasConformance(AlgorithmConformance):
    spec = BIAS
    personalised = False


class TestRandomConformance(AlgorithmConformance):
    """Chance is no better than chance, nor does it know the checkerboard."""

    spec = RANDOM
    test_lists_are_better_than_chance = None
    test_checkerboard_has_its_known_answer = None

    def test_every_item_comes_first_equally_often(self) -> None:
        model = self.model
        first = np.nanargmax(
            np.vstack([self.fit(self.train, seed=seed).score(self.active()) for seed in range(20)]), axis=1
        )
        counts = np.bincount(first, minlength=self.train.n_items)[model.known_items_]
        expected = len(first) / model.known_items_.sum()
        assert np.abs(counts - expected).max() < 5 * np.sqrt(expected)


def table(
    pairs: list[tuple[int, int, float]], days: list[int] | None = None, n_users: int = 3, n_items: int = 4
) -> Dataset:
    users, items, ratings = zip(*pairs, strict=True)
    return Dataset(
        Vocabulary(f"u{code}" for code in range(n_users)),
        Vocabulary(f"i{code}" for code in range(n_items)),
        np.array(users),
        np.array(items),
        np.array(ratings, dtype=np.float32),
        timestamps=None if days is None else np.array(days, dtype=np.int64) * 86_400,
        rating_scale=RatingScale(1, 5),
    )


PAIRS = [(0, 0, 5.0), (0, 1, 3.0), (1, 0, 4.0), (1, 2, 1.0), (2, 0, 2.0)]
ANYBODY = Query.of_history([3], [4.0])


def fitted(spec: AlgorithmSpec, data: Dataset, **params: Any) -> Any:
    return spec.load()(spec.params(**params)).fit(data)


def test_popularity_counts_what_is_rated_high_enough() -> None:
    assert fitted(POPULARITY, table(PAIRS)).score(ANYBODY)[0, :3].tolist() == [3, 1, 1]
    assert fitted(POPULARITY, table(PAIRS), min_rating=3).score(ANYBODY)[0, :3].tolist() == [2, 1, 0]


def test_recent_popularity_halves_with_age() -> None:
    model = fitted(RECENT_POPULARITY, table(PAIRS, days=[0, 20, 10, 20, 20]), half_life=10)
    assert np.allclose(model.score(ANYBODY)[0, :3], [1 / 4 + 1 / 2 + 1, 1, 1])


def test_recent_popularity_ages_when_it_learns() -> None:
    model = fitted(RECENT_POPULARITY, table(PAIRS, days=[0, 20, 10, 20, 20]), half_life=10)
    later = model.updated(table([(2, 3, 5.0)], days=[30]))
    assert np.allclose(later.score(ANYBODY)[0], [1.75 / 2, 0.5, 0.5, 1])
    assert np.allclose(model.score(ANYBODY)[0, :3], [1.75, 1, 1])


def test_means_are_means() -> None:
    data = table(PAIRS)
    first = Query.of_users(data, [0])
    assert np.allclose(fitted(GLOBAL_MEAN, data).predict(first), 3.0)
    assert np.allclose(fitted(USER_MEAN, data, caution=0).predict(first), 4.0)
    assert np.allclose(fitted(USER_MEAN, data, caution=2).predict(first), (8 + 2 * 3) / 4)
    assert np.allclose(fitted(ITEM_MEAN, data, caution=0).predict(first), [[11 / 3, 3, 1, 3]])
    assert np.allclose(fitted(ITEM_MEAN, data, caution=1).predict(first), [[14 / 4, 3, 2, 3]])


@pytest.mark.parametrize("spec", [GLOBAL_MEAN, USER_MEAN, ITEM_MEAN, BIAS])
def test_an_unrated_item_is_predicted_but_not_listed(spec: AlgorithmSpec) -> None:
    data = table(PAIRS)
    model, person = fitted(spec, data), Query.of_users(data, [0])
    assert np.isnan(model.score(person)[0, 3])
    assert 1 <= model.predict(person)[0, 3] <= 5


def test_an_item_mean_learns_what_a_fit_would() -> None:
    more = [(1, 3, 5.0), (2, 1, 1.0)]
    live = fitted(ITEM_MEAN, table(PAIRS)).updated(table(more))
    again = fitted(ITEM_MEAN, table(PAIRS + more))
    assert np.allclose(live.score(ANYBODY), again.score(ANYBODY))


def test_a_bias_moves_towards_a_refit_when_it_learns() -> None:
    before = fitted(BIAS, table(PAIRS), user_regularisation=1, item_regularisation=1)
    more = [(2, 1, 5.0)]
    live = before.updated(table(more))
    again = fitted(BIAS, table(PAIRS + more), user_regularisation=1, item_regularisation=1)
    assert again.item_biases_[1] > before.item_biases_[1]
    assert live.item_biases_[1] > before.item_biases_[1]


def test_a_bias_takes_newcomers_for_as_generous_as_they_are() -> None:
    """Newcomers who rate everything high say it of themselves, not of the items."""
    generator = np.random.default_rng(0)
    users, items = np.nonzero(generator.random((60, 30)) < 0.5)
    of_users, of_items = generator.normal(0, 0.5, 60) + np.where(np.arange(60) < 30, 0, 1), generator.normal(0, 0.4, 30)
    ratings = (3 + of_users[users] + of_items[items] + generator.normal(0, 0.1, len(users))).astype(np.float32)
    whole = Dataset(Vocabulary(map(str, range(60))), Vocabulary(map(str, range(30))), users, items, ratings)
    first = users < 30
    before = Dataset(Vocabulary(map(str, range(30))), whole.item_vocabulary, users[first], items[first], ratings[first])
    model = fitted(BIAS, before).updated(whole.subset(~first))
    assert model.user_biases_[30:].mean() - model.user_biases_[:30].mean() > 0.8
    refit = fitted(BIAS, whole)
    apart = np.subtract(model.item_biases_ - model.item_biases_.mean(), refit.item_biases_ - refit.item_biases_.mean())
    assert np.abs(apart).max() < 0.1


def test_a_bias_learns_nothing_from_what_is_not_rated() -> None:
    data = table(PAIRS)
    model = fitted(BIAS, data)
    novelty = Dataset(data.user_vocabulary, data.item_vocabulary.extended(["novelty"]), np.array([0]), np.array([4]))
    updated = model.updated(novelty)
    everyone = Query.of_users(data, np.arange(3))
    assert np.array_equal(updated.predict(everyone, np.arange(4)), model.predict(everyone, np.arange(4)))
    assert updated.predict(everyone).shape == (3, 5)


def test_a_bias_whose_arrays_do_not_fit_together_is_refused(tmp_path: Path) -> None:
    hold_refuses_short_arrays(fitted(BIAS, table(PAIRS)), tmp_path)


def test_a_bias_saved_before_it_counted_ratings_can_learn(tmp_path: Path) -> None:
    model = fitted(BIAS, table(PAIRS))
    loaded = loaded_as_of_version_1(model, tmp_path, model.params.to_dict(), ("user_counts_",))
    learnt = loaded.updated(table([(2, 1, 5.0)]))
    assert np.allclose(learnt.user_biases_, model.user_biases_, atol=1e-4)
    assert learnt.item_biases_[1] > model.item_biases_[1]


def test_random_lists_differ_between_people_and_repeat_for_each() -> None:
    model = fitted(RANDOM, final_split("random").train)
    people = Query.of_users(final_split("random").train, np.arange(50))
    scores = model.score(people)
    assert np.array_equal(scores, model.score(people.as_strangers()), equal_nan=True)
    tops = np.argsort(-np.nan_to_num(scores, nan=-1), axis=1)[:, 0]
    assert len(set(tops.tolist())) > 40
    assert np.nanmean(scores) == pytest.approx(0.5, abs=0.005)


@pytest.mark.parametrize(("spec", "least", "most"), [(POPULARITY, 0.105, 0.115), (RANDOM, 0.0, 0.005)])
def test_ranks_movielens_as_it_should(spec: AlgorithmSpec, least: float, most: float) -> None:
    split = final_split("random")
    ranked, _ = rank_test_users(fitted(spec, split.train).score, split.train, split.test, 10)
    assert least <= np.nanmean(RANKING_METRICS["ndcg"].compute(ranked)) <= most


@pytest.mark.parametrize(
    ("spec", "least", "most"),
    [(GLOBAL_MEAN, 1.04, 1.07), (USER_MEAN, 0.94, 0.97), (ITEM_MEAN, 0.95, 0.99), (BIAS, 0.88, 0.89)],
)
def test_predicts_movielens_as_it_should(spec: AlgorithmSpec, least: float, most: float) -> None:
    split = final_split("random")
    everyone = Query.of_users(split.train, np.arange(split.train.n_users))
    predictions = fitted(spec, split.train).predict_pairs(everyone, split.test.users, split.test.items)
    assert least <= rmse(predictions, np.asarray(split.test.ratings)) <= most
