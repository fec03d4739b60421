"""Ranked lists: the exact top k, what is never listed, ties, and what the fallback fills."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recsys_desktop.api import Dataset, InvalidData, Vocabulary
from recsys_desktop.evaluation import rank_test_users, rank_users, relevant_items, test_users, top_k


def naive_top_k(row, k):
    listable = [item for item in range(len(row)) if not np.isnan(row[item]) and row[item] > -np.inf]
    order = sorted(listable, key=lambda item: (-row[item], item))
    competing = [row[item] for item in order[: k + 1]]
    return order[:k], len(set(competing)) < len(competing)


def assert_exact(scores, k):
    answer = top_k(scores, k)
    for row in range(len(scores)):
        order, tied = naive_top_k(scores[row], k)
        assert answer.items[row].tolist() == order + [-1] * (k - len(order))
        np.testing.assert_array_equal(answer.scores[row, : len(order)], scores[row, order])
        assert np.isnan(answer.scores[row, len(order) :]).all()
        assert bool(answer.tied[row]) == tied


few_values = st.sampled_from([0.0, 1.0, 1.5, -2.0, np.nan, np.inf, -np.inf])


@given(hnp.arrays(np.float32, st.tuples(st.integers(0, 4), st.integers(0, 60)), elements=few_values), st.integers(1, 6))
def test_small_rows_full_of_ties(scores, k):
    assert_exact(scores, k)


@pytest.mark.parametrize("levels", [1, 3, 40, 100_000])
@pytest.mark.parametrize("missing", [0.0, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("width", [321, 1600])
def test_wide_rows(levels, missing, width):
    generator = np.random.default_rng(levels)
    scores = generator.integers(0, levels, (25, width)).astype(np.float32)
    scores[generator.random(scores.shape) < missing] = np.nan
    assert_exact(scores, 10)


def test_rows_of_different_kinds_side_by_side():
    generator = np.random.default_rng(0)
    scores = generator.standard_normal((6, 900)).astype(np.float32)
    scores[1] = 1.0
    scores[2] = np.nan
    scores[3, 5:] = np.nan
    scores[4, :450] = 3.0
    assert_exact(scores, 10)


def test_a_list_without_places_is_refused():
    with pytest.raises(InvalidData, match="at least one place"):
        top_k(np.zeros((1, 3)), 0)


@pytest.fixture
def history():
    # Users a to d; d has nothing. Items A to F.
    return Dataset(Vocabulary("abcd"), Vocabulary("ABCDEF"), np.array([0, 0, 1, 2]), np.array([0, 3, 0, 5]))


def constant(rows):
    def score(query):
        return np.array([rows[user] for user in query.users], dtype=np.float32)

    return score


def test_seen_items_are_left_out_and_ties_go_to_the_smaller_code(history):
    report = rank_users(constant({0: [9, 1, 1, 8, 1, 2]}), history, [0], 3)
    assert report.items.tolist() == [[5, 1, 2]]
    assert report.scores.tolist() == [[2, 1, 1]]
    assert report.tied_lists == 1
    assert report.fallback_places == 0


def test_a_tie_with_a_seen_item_is_no_tie(history):
    report = rank_users(constant({0: [5, 5, 4, 3, 2, 1]}), history, [0], 2)
    assert report.items.tolist() == [[1, 2]]
    assert report.tied_lists == 0


def test_nan_is_never_listed_and_the_fallback_answers_after_the_model(history):
    nan = np.nan
    rows = {0: [nan, nan, 3, nan, nan, nan], 1: [nan] * 6, 3: [6, 5, 4, 3, 2, 1]}
    popular = np.array([10, 1, 2, 9, 8, nan])
    report = rank_users(constant(rows), history, [0, 1, 3], 4, popular)
    # User 0 has seen A and D: the model's C, then E and B; F has no fallback score either.
    assert report.items.tolist() == [[2, 4, 1, -1], [3, 4, 2, 1], [0, 1, 2, 3]]
    np.testing.assert_array_equal(
        report.scores, np.array([[3, nan, nan, nan], [nan] * 4, [6, 5, 4, 3]], dtype=np.float32)
    )
    assert report.fallback_lists == 1
    assert report.fallback_places == 6


def test_without_a_fallback_lists_stay_short(history):
    report = rank_users(constant({1: [np.nan] * 6}), history, [1], 3)
    assert report.items.tolist() == [[-1, -1, -1]]
    assert (report.fallback_lists, report.fallback_places) == (0, 0)


def test_a_list_longer_than_the_catalogue(history):
    report = rank_users(constant({0: [1, 2, 3, 4, 5, 6]}), history, [0], 9, np.ones(6))
    assert report.items.tolist() == [[5, 4, 2, 1, -1, -1, -1, -1, -1]]


@st.composite
def worlds(draw):
    n_users, n_items = draw(st.integers(1, 7)), draw(st.integers(1, 30))
    seen = draw(hnp.arrays(np.bool_, (n_users, n_items)))
    scores = draw(hnp.arrays(np.float32, (n_users, n_items), elements=st.sampled_from([0, 1, 2, np.nan])))
    fallback = draw(hnp.arrays(np.float32, n_items, elements=st.sampled_from([0, 5, 7, np.nan])))
    return seen, scores, fallback, draw(st.integers(1, 8)), draw(st.sampled_from([1, 2000, 10**8]))


@given(worlds())
def test_equal_to_a_naive_ranking_whatever_the_blocks(world):
    seen, scores, fallback, k, budget = world
    users, items = np.nonzero(seen)
    data = Dataset(
        Vocabulary(f"u{code}" for code in range(seen.shape[0])),
        Vocabulary(f"i{code}" for code in range(seen.shape[1])),
        users,
        items,
    )
    before = scores.copy()
    report = rank_users(
        lambda query: scores[query.users], data, np.arange(len(seen)), k, fallback, memory_budget=budget
    )
    np.testing.assert_array_equal(scores, before)
    filled = 0
    for user in range(len(seen)):
        own, _ = naive_top_k(np.where(seen[user], np.nan, scores[user]), k)
        rest = np.where(seen[user], np.nan, fallback)
        rest[own] = np.nan
        more, _ = naive_top_k(rest, k)
        expected = (own + more)[:k]
        filled += len(expected) - len(own)
        assert report.items[user].tolist() == expected + [-1] * (k - len(expected))
        assert np.isnan(report.scores[user, len(own) :]).all()
        assert (np.diff(report.scores[user, : len(own)]) <= 0).all()
    assert report.fallback_places == filled


def test_a_block_of_one_user_gives_the_same_bits_as_one_block_of_all():
    generator = np.random.default_rng(3)
    scores = generator.standard_normal((40, 700)).astype(np.float32)
    data = Dataset(
        Vocabulary(f"u{code}" for code in range(40)),
        Vocabulary(f"i{code}" for code in range(700)),
        np.repeat(np.arange(40), 30),
        generator.permuted(np.tile(np.arange(700), (40, 1)), axis=1)[:, :30].ravel(),
    )
    shares = []
    one = rank_users(lambda query: scores[query.users], data, np.arange(40), 10, memory_budget=1)
    all_at_once = rank_users(lambda query: scores[query.users], data, np.arange(40), 10, progress=shares.append)
    np.testing.assert_array_equal(one.items, all_at_once.items)
    np.testing.assert_array_equal(one.scores, all_at_once.scores)
    assert shares[-1] == 1


def test_read_only_scores_are_welcome(history):
    scores = np.broadcast_to(np.arange(6, dtype=np.float32), (1, 6))
    assert rank_users(lambda query: scores, history, [0], 2).items.tolist() == [[5, 4]]


def test_wrong_shapes_are_refused(history):
    with pytest.raises(InvalidData, match=r"shape \(1, 5\) where \(1, 6\)"):
        rank_users(lambda query: np.zeros((1, 5), np.float32), history, [0], 2)
    with pytest.raises(InvalidData, match="fallback"):
        rank_users(lambda query: np.zeros((1, 6), np.float32), history, [0], 2, np.zeros(5))


def test_every_user_of_the_test_part_is_judged_the_unknown_included(history):
    test = Dataset(history.user_vocabulary, history.item_vocabulary, np.array([3, 0]), np.array([1, 2]))
    assert test_users(test).tolist() == [0, 3]
    ranked, report = rank_test_users(
        lambda query: np.full((len(query), 6), np.nan, np.float32), history, test, 2, np.arange(6)
    )
    assert ranked.users.tolist() == [0, 3]
    assert ranked.lists.tolist() == [[5, 4], [5, 4]]
    assert ranked.relevant[0].tolist() == [0, 1, 2]
    assert ranked.relevant[1].tolist() == [2, 1]
    assert report.fallback_lists == 2


def test_people_held_out_of_training_are_asked_with_a_history_of_their_own(history):
    nobody = history.subset(np.array([], dtype=int))
    test = Dataset(history.user_vocabulary, history.item_vocabulary, np.array([0]), np.array([4]))
    ranked, _ = rank_test_users(
        lambda query: np.tile(np.arange(6, dtype=np.float32), (len(query), 1)) + query.lengths[:, None],
        nobody,
        test,
        6,
        history=history,
    )
    assert ranked.lists.tolist() == [[5, 4, 2, 1, -1, -1]]
    assert ranked.scores[0, 0] == 5 + 2
    assert ranked.train is nobody


def test_relevant_items_may_need_a_rating():
    test = Dataset(
        Vocabulary("ab"),
        Vocabulary("ABC"),
        np.array([0, 0, 1]),
        np.array([0, 1, 2]),
        ratings=np.array([2.0, 4.0, 3.0]),
    )
    indptr, items = relevant_items(test, np.array([0, 1]), min_rating=3.5)
    assert indptr.tolist() == [0, 1, 1]
    assert items.tolist() == [1]
