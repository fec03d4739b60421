"""Rating metrics: naive implementations, per-user sums, and predictions that are missing."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_desktop.api import InvalidData
from recsys_desktop.evaluation import mae, rmse, user_errors

pairs = st.lists(st.tuples(st.floats(0.5, 5), st.floats(0.5, 5), st.integers(0, 4)), min_size=1, max_size=40)


@given(pairs)
def test_overall_figures_equal_a_naive_implementation(data):
    predictions, ratings, _ = (np.array(column) for column in zip(*data, strict=True))
    assert rmse(predictions, ratings) == pytest.approx(
        math.sqrt(sum((p - r) ** 2 for p, r, _ in data) / len(data)), abs=1e-12
    )
    assert mae(predictions, ratings) == pytest.approx(sum(abs(p - r) for p, r, _ in data) / len(data), abs=1e-12)


@given(pairs)
def test_user_figures_equal_a_naive_implementation(data):
    predictions, ratings, users = (np.array(column) for column in zip(*data, strict=True))
    errors = user_errors(predictions, ratings, users, 6)
    for user in range(6):
        own = [(p, r) for p, r, owner in data if owner == user]
        assert errors.counts[user] == len(own)
        if not own:
            assert math.isnan(errors.rmse[user])
            assert math.isnan(errors.mae[user])
            continue
        assert errors.rmse[user] == pytest.approx(math.sqrt(sum((p - r) ** 2 for p, r in own) / len(own)), abs=1e-9)
        assert errors.mae[user] == pytest.approx(sum(abs(p - r) for p, r in own) / len(own), abs=1e-9)
    assert math.sqrt(errors.squared.sum() / len(data)) == pytest.approx(rmse(predictions, ratings), abs=1e-9)


def test_known_answer():
    assert rmse(np.array([3.0, 5.0]), np.array([4.0, 2.0])) == pytest.approx(math.sqrt(5))
    assert mae(np.array([3.0, 5.0]), np.array([4.0, 2.0])) == pytest.approx(2)


def test_an_unanswered_pair_is_not_left_out():
    predictions, ratings = np.array([3.0, np.nan]), np.array([3.0, 3.0])
    assert math.isnan(rmse(predictions, ratings))
    assert math.isnan(mae(predictions, ratings))
    errors = user_errors(predictions, ratings, np.array([0, 1]), 2)
    assert errors.rmse[0] == 0
    assert math.isnan(errors.rmse[1])


def test_no_pairs_have_no_figure():
    assert math.isnan(rmse(np.array([]), np.array([])))
    assert math.isnan(mae(np.array([]), np.array([])))


def test_different_lengths_are_refused():
    with pytest.raises(InvalidData, match="predictions"):
        rmse(np.zeros(2), np.zeros(3))
