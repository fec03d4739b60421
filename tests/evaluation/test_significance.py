"""Bootstrap intervals, paired differences and corrections: coverage, known answers, textbook examples."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_desktop.api import InvalidData
from recsys_desktop.evaluation import (
    against_best,
    best_model,
    bootstrap_interval,
    holm,
    indistinguishable_from_best,
    paired_difference,
)
from recsys_desktop.evaluation.significance import bootstrap_intervals, resampled_means


def test_intervals_hold_the_true_mean_about_as_often_as_they_say():
    generator = np.random.default_rng(1)
    held = 0
    for trial in range(300):
        interval = bootstrap_interval(generator.exponential(2.0, 120), resamples=400, seed=trial)
        held += interval.low <= 2.0 <= interval.high
    # 95 % nominal; a percentile interval of a skewed sample of 120 falls a little short of it.
    assert 0.89 <= held / 300 <= 0.98


def test_interval_agrees_with_the_normal_approximation():
    values = np.random.default_rng(2).normal(5.0, 3.0, 2000)
    interval = bootstrap_interval(values)
    half = 1.96 * values.std(ddof=1) / math.sqrt(len(values))
    assert interval.value == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half, abs=0.1 * half)
    assert interval.high == pytest.approx(values.mean() + half, abs=0.1 * half)


def test_same_seed_same_interval_another_seed_another():
    values = np.random.default_rng(3).random(50)
    assert bootstrap_interval(values, seed=7) == bootstrap_interval(values, seed=7)
    assert bootstrap_interval(values, seed=7) != bootstrap_interval(values, seed=8)


def test_blocks_of_draws_do_not_change_their_distribution(monkeypatch):
    values = np.random.default_rng(4).random((30, 2))
    monkeypatch.setattr("recsys_desktop.evaluation.significance._DRAWS_AT_ONCE", 100)
    means = resampled_means(values, 2000, seed=1)
    assert means.shape == (2000, 2)
    np.testing.assert_allclose(means.mean(axis=0), values.mean(axis=0), atol=0.01)
    np.testing.assert_allclose(means.std(axis=0), values.std(axis=0) / math.sqrt(30), rtol=0.1)


def test_resamples_are_paired_over_columns():
    values = np.random.default_rng(5).random(40)
    means = resampled_means(np.column_stack((values, values + 1)), 100)
    np.testing.assert_allclose(means[:, 1] - means[:, 0], 1)


def counted_draws(monkeypatch) -> list[int]:
    """How many resamples are drawn from now on, one number a block."""
    drawn = []
    generator_of = np.random.default_rng

    class Counting:
        def __init__(self, seed):
            self._generator = generator_of(seed)

        def integers(self, high, size, dtype):
            drawn.append(size[0])
            return self._generator.integers(high, size=size, dtype=dtype)

    monkeypatch.setattr("recsys_desktop.evaluation.significance.np.random.default_rng", Counting)
    return drawn


def test_figures_of_the_same_users_share_their_draws_and_have_the_intervals_of_each_alone(monkeypatch):
    generator = np.random.default_rng(8)
    figures = {name: generator.random(60) for name in ("ndcg", "recall", "mrr")}
    figures["gaps"] = np.where(generator.random(60) < 0.3, np.nan, figures["mrr"])
    alone = {name: bootstrap_interval(values, seed=2) for name, values in figures.items()}
    drawn = counted_draws(monkeypatch)
    together = bootstrap_intervals(figures, seed=2)
    assert list(together) == list(figures)
    for name, interval in together.items():
        assert interval == pytest.approx(alone[name], rel=1e-12)
    assert sum(drawn) == 2 * 2000, "once for everybody and once for those without gaps"


def test_models_with_the_same_users_share_their_draws(monkeypatch):
    generator = np.random.default_rng(9)
    vectors = {f"model {n}": generator.random(80) + 0.05 * n for n in range(5)}
    alone = {name: paired_difference(vectors["model 4"], vectors[name]) for name in list(vectors)[:4]}
    drawn = counted_draws(monkeypatch)
    verdicts = against_best(vectors)
    assert sum(drawn) == 2000
    for name, verdict in verdicts.items():
        assert verdict.difference == pytest.approx(alone[name], rel=1e-9)


def test_what_the_check_raises_ends_the_draws(monkeypatch):
    class Stopped(Exception):
        pass

    calls = []

    def check():
        calls.append(1)
        if len(calls) == 3:
            raise Stopped

    monkeypatch.setattr("recsys_desktop.evaluation.significance._DRAWS_AT_ONCE", 1000)
    values = np.random.default_rng(0).random(100)
    with pytest.raises(Stopped):
        bootstrap_intervals({"ndcg": values}, check=check)
    calls.clear()
    with pytest.raises(Stopped):
        against_best({"a": values, "b": values + 1}, check=check)


def test_users_without_a_figure_take_no_part():
    values = np.random.default_rng(6).random(30)
    with_gaps = np.concatenate((values, [np.nan] * 5))
    assert bootstrap_interval(with_gaps) == bootstrap_interval(values)


def test_the_overall_rmse_is_a_weighted_interval():
    squared = np.array([4.0, 1.0, 9.0])
    pairs = np.array([1, 10, 2])
    interval = bootstrap_interval(squared, pairs, np.sqrt)
    assert interval.value == pytest.approx(math.sqrt((4 + 10 + 18) / 13))
    assert interval.low <= interval.value <= interval.high


@pytest.mark.parametrize("values", [[], [np.nan]])
def test_nobody_has_no_figure(values):
    assert all(math.isnan(figure) for figure in bootstrap_interval(np.array(values)))


def test_one_user_has_a_figure_but_no_interval():
    interval = bootstrap_interval(np.array([0.5]))
    assert interval.value == 0.5
    assert math.isnan(interval.low)
    assert math.isnan(interval.high)


def test_bad_arguments_are_refused():
    with pytest.raises(InvalidData, match="level"):
        bootstrap_interval(np.ones(3), level=1.5)
    with pytest.raises(InvalidData, match="2 weights for 3 users"):
        bootstrap_interval(np.ones(3), np.ones(2))
    with pytest.raises(InvalidData, match="cannot be paired"):
        paired_difference(np.ones(3), np.ones(2))


def test_a_small_difference_that_every_user_shares_is_found_where_unpaired_intervals_overlap():
    generator = np.random.default_rng(7)
    base = generator.random(300)
    better = base + 0.01 + generator.normal(0, 0.02, 300)
    first, second = bootstrap_interval(better), bootstrap_interval(base)
    assert first.low < second.high
    difference = paired_difference(better, base)
    assert difference.low > 0
    assert difference.p_value < 0.01
    assert difference.effect_size == pytest.approx((better - base).mean() / (better - base).std(ddof=1))
    assert difference.n_users == 300


def test_p_values_of_equal_models_are_spread_evenly():
    generator = np.random.default_rng(8)
    p_values = [
        paired_difference(generator.normal(size=80), generator.normal(size=80), resamples=300, seed=trial).p_value
        for trial in range(300)
    ]
    assert 0.02 <= np.mean(np.array(p_values) < 0.05) <= 0.10
    assert np.mean(np.array(p_values) < 0.5) == pytest.approx(0.5, abs=0.1)


def test_the_difference_is_antisymmetric():
    generator = np.random.default_rng(9)
    first, second = generator.random(60), generator.random(60)
    forth, back = paired_difference(first, second), paired_difference(second, first)
    assert forth.value == pytest.approx(-back.value)
    assert forth.low == pytest.approx(-back.high)
    assert forth.p_value == pytest.approx(back.p_value)


def test_a_model_against_itself_shows_no_difference():
    values = np.random.default_rng(10).random(20)
    difference = paired_difference(values, values)
    assert difference.value == 0
    assert difference.p_value == 1
    assert difference.effect_size == 0


def test_the_same_gain_for_everyone_has_an_infinite_effect():
    difference = paired_difference(np.array([2.0, 3.0, 4.0]), np.array([1.0, 2.0, 3.0]))
    assert difference.effect_size == math.inf
    assert difference.low == difference.high == 1


def test_holm_by_hand():
    # Sorted .01 .03 .04 -> times 3, 2, 1 -> .03 .06 .04 -> never falling: .03 .06 .06.
    np.testing.assert_allclose(holm(np.array([0.04, 0.01, 0.03])), [0.06, 0.03, 0.06])
    np.testing.assert_allclose(holm(np.array([0.9, 0.8])), [1.0, 1.0])
    assert holm(np.array([])).shape == (0,)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_lies_between_raw_and_bonferroni_and_keeps_the_order(p_values):
    raw = np.array(p_values)
    corrected = holm(raw)
    assert (corrected >= raw - 1e-15).all()
    assert (corrected <= np.minimum(1, raw * len(raw)) + 1e-15).all()
    assert (np.diff(corrected[np.argsort(raw, kind="stable")]) >= 0).all()


def test_the_best_and_those_that_cannot_be_told_from_it():
    generator = np.random.default_rng(11)
    base = generator.random(400)
    vectors = {
        "worse": base - 0.1 + generator.normal(0, 0.05, 400),
        "twin": base + generator.normal(0, 0.05, 400),
        "best": base + 0.005 + generator.normal(0, 0.05, 400),
        "failed": np.full(400, np.nan),
    }
    assert best_model(vectors) == "best"
    assert indistinguishable_from_best(vectors) == ["twin", "best"]
    verdicts = against_best(vectors)
    assert set(verdicts) == {"worse", "twin"}
    assert verdicts["worse"].difference.low > 0
    assert verdicts["worse"].corrected_p_value == pytest.approx(2 * verdicts["worse"].difference.p_value)
    assert not verdicts["worse"].indistinguishable


def test_smaller_may_be_better():
    generator = np.random.default_rng(12)
    base = generator.random(200)
    vectors = {"large error": base + 0.5, "small error": base}
    assert best_model(vectors, larger_is_better=False) == "small error"
    assert indistinguishable_from_best(vectors, larger_is_better=False) == ["small error"]


def test_models_without_figures_are_nobodys_equal():
    nothing = np.full(5, np.nan)
    assert best_model({"a": nothing}) == ""
    assert indistinguishable_from_best({"a": nothing}) == []
    assert against_best({"a": np.ones(5)}) == {}
