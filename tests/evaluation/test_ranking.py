"""Ranking metrics: equal to naive implementations, to hand-computed answers and to published identities."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_desktop.api import Dataset, InvalidData, RankedLists, Vocabulary
from recsys_desktop.evaluation import RANKING_METRICS, judge
from recsys_desktop.evaluation.ranking import (
    hit_rate,
    mean_average_precision,
    mean_reciprocal_rank,
    ndcg,
    precision,
    recall,
)


def naive_precision(listed, relevant, k):
    return sum(item in relevant for item in listed) / k


def naive_recall(listed, relevant, k):
    return sum(item in relevant for item in listed) / len(relevant)


def naive_hit_rate(listed, relevant, k):
    return 1.0 if any(item in relevant for item in listed) else 0.0


def naive_ndcg(listed, relevant, k):
    gained = sum(1 / math.log2(place + 1) for place, item in enumerate(listed, 1) if item in relevant)
    return gained / sum(1 / math.log2(place + 1) for place in range(1, min(k, len(relevant)) + 1))


def naive_average_precision(listed, relevant, k):
    total = 0.0
    for place, item in enumerate(listed, 1):
        if item in relevant:
            total += naive_precision(listed[:place], relevant, place)
    return total / min(k, len(relevant))


def naive_reciprocal_rank(listed, relevant, k):
    return next((1 / place for place, item in enumerate(listed, 1) if item in relevant), 0.0)


METRICS = [
    (precision, naive_precision),
    (recall, naive_recall),
    (hit_rate, naive_hit_rate),
    (ndcg, naive_ndcg),
    (mean_average_precision, naive_average_precision),
    (mean_reciprocal_rank, naive_reciprocal_rank),
]


def ragged(relevant):
    indptr = np.concatenate(([0], np.cumsum([len(items) for items in relevant]))).astype(np.int64)
    return indptr, np.array([item for items in relevant for item in items], dtype=np.int32)


def padded(lists, k):
    out = np.full((len(lists), k), -1, dtype=np.int32)
    for row, listed in enumerate(lists):
        out[row, : len(listed)] = listed
    return out


@st.composite
def judged_lists(draw):
    k = draw(st.integers(1, 7))
    items = st.integers(0, 12)
    users = draw(st.integers(0, 6))
    lists = [draw(st.lists(items, max_size=k, unique=True)) for _ in range(users)]
    relevant = [draw(st.lists(items, max_size=10, unique=True)) for _ in range(users)]
    return lists, relevant, k


@pytest.mark.parametrize(("metric", "naive"), METRICS, ids=[metric.__name__ for metric, _ in METRICS])
@given(data=judged_lists())
def test_metric_equals_its_naive_implementation(metric, naive, data):
    lists, relevant, k = data
    expected = [
        naive(listed, set(held_out), k) if held_out else math.nan
        for listed, held_out in zip(lists, relevant, strict=True)
    ]
    figures = metric(judge(padded(lists, k), ragged(relevant)))
    assert figures.dtype == np.float64
    np.testing.assert_allclose(figures, expected, rtol=1e-12)


def test_known_answers():
    # Five places, hits at the second and fourth, three relevant items, one of them not listed.
    judgement = judge(np.array([[9, 1, 8, 3, 7]], dtype=np.int32), ragged([[1, 3, 5]]))
    assert precision(judgement)[0] == pytest.approx(2 / 5)
    assert recall(judgement)[0] == pytest.approx(2 / 3)
    assert hit_rate(judgement)[0] == 1
    assert mean_reciprocal_rank(judgement)[0] == pytest.approx(1 / 2)
    assert mean_average_precision(judgement)[0] == pytest.approx((1 / 2 + 2 / 4) / 3)
    gained = 1 / math.log2(3) + 1 / math.log2(5)
    assert ndcg(judgement)[0] == pytest.approx(gained / (1 + 1 / math.log2(3) + 1 / 2))


@given(judged_lists(), st.data())
def test_cutting_a_judgement_equals_judging_the_cut_list(data, choice):
    lists, relevant, k = data
    shorter = choice.draw(st.integers(1, k))
    cut = judge(padded(lists, k), ragged(relevant)).at(shorter)
    again = judge(padded(lists, k)[:, :shorter], ragged(relevant))
    for metric, _ in METRICS:
        np.testing.assert_array_equal(metric(cut), metric(again))


@given(judged_lists())
def test_identities(data):
    lists, relevant, k = data
    judgement = judge(padded(lists, k), ragged(relevant))
    sizes = np.array([len(items) for items in relevant])
    some = sizes > 0
    hits = judgement.hits.sum(axis=1)[some]
    np.testing.assert_allclose(precision(judgement)[some] * k, recall(judgement)[some] * sizes[some])
    np.testing.assert_array_equal(hit_rate(judgement)[some] == 1, hits > 0)
    assert (mean_average_precision(judgement)[some] <= mean_reciprocal_rank(judgement)[some] * k + 1e-12).all()
    for metric, _ in METRICS:
        assert ((metric(judgement)[some] >= 0) & (metric(judgement)[some] <= 1 + 1e-12)).all()
        assert np.isnan(metric(judgement)[~some]).all()


def test_one_relevant_item_makes_map_the_reciprocal_rank():
    lists = np.array([[4, 2, 0], [1, 3, 5]], dtype=np.int32)
    judgement = judge(lists, ragged([[0], [3]]))
    np.testing.assert_allclose(mean_average_precision(judgement), mean_reciprocal_rank(judgement))
    np.testing.assert_allclose(ndcg(judgement), [1 / math.log2(4), 1 / math.log2(3)])


def test_a_perfect_list_scores_one_even_where_more_is_relevant_than_it_holds():
    judgement = judge(np.array([[0, 1, 2]], dtype=np.int32), ragged([[2, 1, 0, 7, 8]]))
    assert ndcg(judgement)[0] == pytest.approx(1)
    assert mean_average_precision(judgement)[0] == pytest.approx(1)
    assert recall(judgement)[0] == pytest.approx(3 / 5)


def test_an_item_held_out_twice_counts_once():
    judgement = judge(np.array([[0, 1]], dtype=np.int32), ragged([[1, 1, 1]]))
    assert judgement.n_relevant.tolist() == [1]
    assert recall(judgement)[0] == 1


def test_padding_is_never_a_hit():
    judgement = judge(np.full((2, 3), -1, dtype=np.int32), ragged([[0, 11], [11]]))
    assert not judgement.hits.any()
    assert (hit_rate(judgement) == 0).all()


def test_lists_and_held_out_items_of_different_numbers_of_users_are_refused():
    with pytest.raises(InvalidData, match="2 lists and held-out items for 1 users"):
        judge(np.zeros((2, 3), dtype=np.int32), ragged([[0]]))


@pytest.mark.parametrize("k", [0, 4])
def test_a_cut_beyond_the_list_is_refused(k):
    with pytest.raises(InvalidData, match=f"k is {k}"):
        judge(np.zeros((1, 3), dtype=np.int32), ragged([[0]])).at(k)


@settings(max_examples=20)
@given(judged_lists())
def test_metric_specifications_compute_what_the_functions_do(data):
    lists, relevant, k = data
    vocabulary = Vocabulary([str(code) for code in range(13)])
    empty = Dataset(Vocabulary(), vocabulary, [], [])
    ranked = RankedLists(
        padded(lists, k), np.zeros((len(lists), k), np.float32), np.arange(len(lists)), ragged(relevant), empty, empty
    )
    judgement = judge(ranked.lists, ranked.relevant)
    by_id = {
        "precision": precision,
        "recall": recall,
        "hit-rate": hit_rate,
        "ndcg": ndcg,
        "map": mean_average_precision,
        "mrr": mean_reciprocal_rank,
    }
    assert set(by_id) == set(RANKING_METRICS)
    for name, metric in RANKING_METRICS.items():
        np.testing.assert_array_equal(metric.compute(ranked), by_id[name](judgement))
        assert metric.id == name
        assert metric.formula
