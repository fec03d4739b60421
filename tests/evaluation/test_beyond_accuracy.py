"""Coverage, novelty, popularity and concentration: naive implementations and known answers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_desktop.api import Dataset, RankedLists, Vocabulary
from recsys_desktop.evaluation import (
    BEYOND_ACCURACY_METRICS,
    catalogue_coverage,
    gini,
    novelty,
    popularity,
    user_coverage,
)

N_ITEMS = 9
item_lists = st.lists(st.lists(st.integers(0, N_ITEMS - 1), max_size=4, unique=True), max_size=6)


def padded(lists, k=4):
    out = np.full((len(lists), k), -1, dtype=np.int32)
    for row, listed in enumerate(lists):
        out[row, : len(listed)] = listed
    return out


@pytest.fixture(scope="module")
def train():
    # Item i is had by users 0 .. i; item 0 by one user, items 5 to 8 by nobody; user 5 has nothing.
    pairs = [(user, item) for item in range(5) for user in range(item + 1)]
    users, items = zip(*pairs, strict=True)
    return Dataset(Vocabulary("abcdef"), Vocabulary("ABCDEFGHI"), np.array(users), np.array(items))


@given(item_lists)
def test_catalogue_coverage_is_the_share_of_items_listed(lists):
    distinct = {item for listed in lists for item in listed}
    assert catalogue_coverage(padded(lists), N_ITEMS) == pytest.approx(len(distinct) / N_ITEMS)


@given(item_lists)
def test_gini_equals_the_mean_absolute_difference_form(lists):
    counts = [sum(item in listed for listed in lists) for item in range(N_ITEMS)]
    total = sum(counts)
    figure = gini(padded(lists), N_ITEMS)
    if not total:
        assert math.isnan(figure)
        return
    differences = sum(abs(a - b) for a in counts for b in counts)
    unscaled = differences / (2 * N_ITEMS * total)
    assert figure == pytest.approx(unscaled * N_ITEMS / (N_ITEMS - 1), abs=1e-12)


def test_gini_extremes():
    everyone_once = padded([[0, 1, 2], [3, 4, 5], [6, 7, 8]])
    assert gini(everyone_once, N_ITEMS) == pytest.approx(0, abs=1e-12)
    assert gini(padded([[3]] * 5), N_ITEMS) == pytest.approx(1)


def test_novelty_in_bits(train):
    # Five active users: item 0 is had by one of them, item 4 by all, item 8 by none (counted as one).
    figures = novelty(padded([[0], [4], [0, 4], [8], []]), train)
    np.testing.assert_allclose(figures[:4], [math.log2(5), 0, math.log2(5) / 2, math.log2(5)], atol=1e-12)
    assert math.isnan(figures[4])


def test_popularity_counts_users(train):
    figures = popularity(padded([[0], [4, 2], [8], []]), train)
    np.testing.assert_allclose(figures[:3], [1, 4, 0])
    assert math.isnan(figures[3])


def test_user_coverage_counts_only_what_the_model_listed_itself():
    lists = padded([[0, 1], [2], [3], []], k=2)
    scores = np.array([[0.5, np.nan], [np.nan, np.nan], [0.1, np.nan], [np.nan, np.nan]], dtype=np.float32)
    assert user_coverage(lists, scores) == pytest.approx(2 / 4)


def test_nobody_and_nothing_have_no_figure():
    nobody = np.empty((0, 4), dtype=np.int32)
    assert math.isnan(user_coverage(nobody, np.empty((0, 4), dtype=np.float32)))
    assert math.isnan(catalogue_coverage(nobody, 0))
    assert math.isnan(gini(nobody, N_ITEMS))


def test_metric_specifications(train):
    lists = padded([[0, 4], [1]])
    ranked = RankedLists(lists, np.zeros(lists.shape, np.float32), np.arange(2), (np.zeros(3, int), []), train, train)
    np.testing.assert_array_equal(BEYOND_ACCURACY_METRICS["novelty"].compute(ranked), novelty(lists, train))
    np.testing.assert_array_equal(BEYOND_ACCURACY_METRICS["popularity"].compute(ranked), popularity(lists, train))
    assert not BEYOND_ACCURACY_METRICS["popularity"].larger_is_better
