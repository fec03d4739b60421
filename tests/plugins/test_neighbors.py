"""The neighbourhood models: conformance, naive computations as oracles, and figures on the frozen split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.frozen_splits import final_split
from recsys_desktop.api import (
    AlgorithmSpec,
    Dataset,
    DataShape,
    InvalidData,
    Query,
    RatingScale,
    RunContext,
    Source,
    Vocabulary,
)
from recsys_desktop.api.testing import AlgorithmConformance, made_data
from recsys_desktop.evaluation import RANKING_METRICS, rank_test_users, rmse
from recsys_linear.plugin import RP3BETA
from recsys_neighbors import user_knn
from recsys_neighbors.plugin import ITEM_KNN, ITEM_KNN_RATING, USER_KNN, USER_KNN_RATING
from tests.plugins.damaged_states import hold_refuses_short_arrays, loaded_as_of_version_1

CAUTION = 0.4
NEIGHBOURS = 4


class TestItemKnnConformance(AlgorithmConformance):
    spec = ITEM_KNN


class TestUserKnnConformance(AlgorithmConformance):
    spec = USER_KNN


class TestItemKnnRatingConformance(AlgorithmConformance):
    spec = ITEM_KNN_RATING


class TestUserKnnRatingConformance(AlgorithmConformance):
    spec = USER_KNN_RATING


def made(n_users: int = 24, n_items: int = 15, density: float = 0.5, seed: int = 0) -> Dataset:
    """Random ratings between 1 and 5, hardly two alike."""
    generator = np.random.default_rng(seed)
    users, items = np.nonzero(generator.random((n_users, n_items)) < density)
    return Dataset(
        Vocabulary(f"u{code}" for code in range(n_users)),
        Vocabulary(f"i{code}" for code in range(n_items)),
        users,
        items,
        generator.uniform(1, 5, len(users)).astype(np.float32),
        rating_scale=RatingScale(1, 5),
    )


def fitted(spec: AlgorithmSpec, data: Dataset, threads: int = 1, **params: Any) -> Any:
    return spec.load()(spec.params(**params)).fit(data, RunContext(threads=threads))


def everyone(data: Dataset) -> Query:
    return Query.of_users(data, np.arange(data.n_users))


@pytest.mark.parametrize("asymmetry", [0.5, 0.2])
@pytest.mark.parametrize("shrinkage", [0.0, 3.0])
def test_item_neighbours_are_those_of_the_definition(asymmetry: float, shrinkage: float) -> None:
    data = made()
    model = fitted(
        ITEM_KNN, data, weighting="none", asymmetry=asymmetry, shrinkage=shrinkage, neighbours=NEIGHBOURS, popularity=0
    )
    dense = data.matrix().toarray().astype(np.float64)
    counts = dense.sum(axis=0)
    similar = dense.T @ dense / (np.outer(counts ** (1 - asymmetry), counts**asymmetry) + shrinkage)
    np.fill_diagonal(similar, 0)
    scores = np.zeros_like(dense)
    for item in range(data.n_items):
        nearest = np.lexsort((np.arange(data.n_items), -similar[:, item].round(6)))[:NEIGHBOURS]
        scores[:, item] = dense[:, nearest] @ similar[nearest, item]
    found = model.score(everyone(data))
    assert np.allclose(np.nan_to_num(found), scores, atol=1e-5)
    assert np.array_equal(np.isnan(found), scores == 0)


def test_inverse_user_frequency_trusts_short_histories_more() -> None:
    items = [(0, 0), (0, 1), *((1, item) for item in (0, *range(2, 12)))]
    data = Dataset(
        Vocabulary("ab"),
        Vocabulary(f"i{code}" for code in range(12)),
        np.array([user for user, _ in items]),
        np.array([item for _, item in items]),
    )
    scores = fitted(ITEM_KNN, data, weighting="tf-idf", shrinkage=0.0, popularity=0).score(Query.of_history([0]))[0]
    assert scores[1] > scores[2] > 0
    assert np.ptp(fitted(ITEM_KNN, data, weighting="none", popularity=0).score(Query.of_history([0]))[0, 1:]) < 1e-6


def test_bm25_is_its_formula() -> None:
    data = made(density=0.4)
    model = fitted(ITEM_KNN, data, weighting="bm25", shrinkage=0.0, neighbours=data.n_items)
    dense = data.matrix().toarray().astype(np.float64)
    lengths = dense.sum(axis=0)
    idf = np.log1p(data.n_items / np.maximum(dense.sum(axis=1), 1))
    idf /= np.sqrt((dense * idf[:, None] ** 2).sum() / dense.sum())
    terms = dense * idf[:, None] * 1.2 / (0.2 * (0.5 + 0.5 * lengths / lengths.mean()) + 1)
    expected = terms.T @ terms
    np.fill_diagonal(expected, 0)
    assert np.allclose(model.weights_.toarray(), expected, atol=1e-5)


@pytest.mark.parametrize("weighting", ["none", "tf-idf", "bm25"])
def test_popularity_speaks_as_an_item_that_everybody_has(weighting: str) -> None:
    """Told by data in which there is such an item: popularity adds what this one adds, but for its own idf."""
    data = made(density=0.3)
    params: dict[str, Any] = {"weighting": weighting, "shrinkage": 2.0, "neighbours": 50}
    model = fitted(ITEM_KNN, data, popularity=1.0, **params)
    active = np.flatnonzero(data.user_counts)
    more = Dataset(
        data.user_vocabulary,
        data.item_vocabulary.extended(["everybody's"]),
        np.concatenate((data.users, active)),
        np.concatenate((data.items, np.full(len(active), data.n_items))),
    )
    with_it = fitted(ITEM_KNN, more, popularity=0.0, **params)
    added = with_it.weights_[data.n_items].toarray()[0, : data.n_items]
    counts = data.item_counts
    weight = 1 + 8 / counts[counts > 0].mean()
    tolerance = 1e-4 if weighting == "none" else 0.25
    assert np.allclose(model.bases_, weight * added, rtol=tolerance, atol=1e-6)
    assert np.array_equal(model.weights_.toarray(), fitted(ITEM_KNN, data, popularity=0.0, **params).weights_.toarray())


@pytest.mark.parametrize("spec", [ITEM_KNN, RP3BETA])
def test_where_items_have_few_people_lists_are_no_worse_than_popularity(spec: AlgorithmSpec) -> None:
    data = made_data.of_shape(DataShape(800, 3000, 5000), False)
    train, test = data.hold_out(0.3, np.random.default_rng(1))
    popular = train.item_counts.astype(np.float32)

    def ndcg(score: Any) -> float:
        ranked, _ = rank_test_users(score, train, test, 10, popular)
        return float(np.nanmean(RANKING_METRICS["ndcg"].compute(ranked)))

    assert train.item_counts[train.item_counts > 0].mean() < 3
    by_popularity = ndcg(lambda query: np.tile(popular, (len(query), 1)))
    assert ndcg(fitted(spec, train).score) > 0.7 * by_popularity
    assert ndcg(fitted(spec, train, popularity=0).score) < 0.6 * by_popularity


def test_an_item_without_evidence_has_no_score() -> None:
    data = Dataset(Vocabulary("abcd"), Vocabulary("pqrs"), np.array([0, 0, 1, 1, 2, 3]), np.array([0, 1, 0, 1, 2, 3]))
    for spec in (ITEM_KNN, USER_KNN):
        scores = fitted(spec, data, popularity=0).score(Query.of_history([0]))[0]
        assert scores[1] > 0
        assert np.isnan(scores[[2, 3]]).all()


@pytest.mark.parametrize("popularity", [0.0, 0.7])
def test_user_neighbours_are_those_of_the_definition(popularity: float) -> None:
    data = made()
    model = fitted(USER_KNN, data, neighbours=NEIGHBOURS, asymmetry=0.5, shrinkage=2.0, popularity=popularity)
    dense = data.matrix().toarray().astype(np.float64)
    counts = dense.sum(axis=1)
    similar = dense @ dense.T / (np.sqrt(np.outer(counts, counts)) + 2.0)
    np.fill_diagonal(similar, 0)
    scores = np.zeros_like(dense)
    for user in range(data.n_users):
        beyond = (dense > dense[user]).any(axis=1)
        worth = np.where(beyond, similar[user], 0)
        nearest = np.lexsort((np.arange(data.n_users), -worth.round(6)))[:NEIGHBOURS]
        scores[user] = worth[nearest] @ dense[nearest]
        scores[user] += popularity * worth[nearest].sum() * dense.mean(axis=0)
    assert np.allclose(np.nan_to_num(model.score(everyone(data))), scores, atol=1e-5)


def test_without_an_item_a_person_is_not_answered_from_their_own_copy() -> None:
    """A person alone in what they have: without it, nobody else speaks for it."""
    data = made()
    others = data.subset(data.items != 14)
    alone = Dataset(
        data.user_vocabulary,
        data.item_vocabulary,
        np.append(others.users, 3),
        np.append(others.items, 14),
        np.append(np.asarray(others.ratings), 5.0),
        rating_scale=data.rating_scale,
    )
    what_if = Query.of_users(alone, [3]).without(0, [14])
    assert np.isnan(fitted(USER_KNN, alone, popularity=0).score(what_if, [14])[0, 0])
    model = fitted(USER_KNN_RATING, alone)
    support, spread = model.evidence(what_if, np.array([14], dtype=np.int32))
    assert support[0] == 0
    assert np.isnan(spread[0])


@pytest.mark.parametrize("spec", [USER_KNN, USER_KNN_RATING])
def test_what_is_left_out_stays_so_after_another_rating(spec: AlgorithmSpec) -> None:
    """One more rating in the history makes the person's own training part no stranger: nothing is read from it."""
    data = made(60, 30, density=0.4)
    assert data.ratings is not None
    mine = np.flatnonzero(data.users == 3)
    left_out, kept = mine[0], mine[1:]
    novelty = np.setdiff1d(np.arange(30), data.items[mine])[0]
    items, ratings = np.append(data.items[kept], novelty), np.append(data.ratings[kept], 4.0)
    what_if = Query.of_history(items, ratings, user=3)
    model = fitted(spec, data)
    item = int(data.items[left_out])
    others = {part.code for part in model.explain(what_if, [item])[0].contributions if part.kind is Source.NEIGHBOUR}
    assert others
    assert 3 not in others
    changed = data.ratings.copy()
    changed[left_out] = 1.0 if changed[left_out] > 3 else 5.0
    if spec is USER_KNN_RATING:
        # All that another rating of what is left out may move are the biases.
        again = fitted(spec, replace(data, ratings=changed))
        deviations = (
            each.predict(what_if, [item])[0, 0] - each.biases.ratings(each.biases.of_histories(what_if), [item])[0, 0]
            for each in (model, again)
        )
        assert abs(np.subtract(*deviations)) < 0.1


def test_people_below_the_threshold_do_not_speak() -> None:
    data = made(60, 30, density=0.4)
    dense = data.matrix().toarray().astype(np.float64)
    counts = dense.sum(axis=1)
    cosine = dense @ dense.T / np.sqrt(np.outer(counts, counts))
    model = fitted(USER_KNN, data, least_similarity=0.45, neighbours=10_000, popularity=0.0, shrinkage=20.0)
    for user in range(10):
        codes, _ = model._nearest(Query.of_users(data, [user]))
        beyond = (dense > dense[user]).any(axis=1)
        expected = np.flatnonzero((cosine[user] >= 0.45) & beyond & (np.arange(60) != user))
        assert sorted(codes[0][codes[0] >= 0].tolist()) == expected.tolist()


def test_a_trial_asks_the_neighbours_that_a_fit_with_its_settings_would() -> None:
    data = made(120, 30, density=0.4)
    model, trial = (
        fitted(USER_KNN, data, neighbours=5, popularity=0.0),
        user_knn._Trial(USER_KNN.params(neighbours=5, popularity=0.0)).fit(data, RunContext(threads=1)),
    )
    trial._found = {}
    for _ in range(2):
        assert np.allclose(trial.score(everyone(data)), model.score(everyone(data)), atol=1e-6, equal_nan=True)
    assert len(trial._found) == 1


@pytest.mark.parametrize("spec", [ITEM_KNN_RATING, USER_KNN_RATING])
def test_ratings_all_alike_correlate_with_nothing(spec: AlgorithmSpec) -> None:
    """Pearson's correlation of a constant is undefined, however many ratings are in common."""
    generator = np.random.default_rng(2)
    rows, columns = np.nonzero(np.ones((100, 100), dtype=bool))
    ratings = np.round(generator.uniform(1, 10, len(rows))) / 2
    constant = columns == 0 if spec is ITEM_KNN_RATING else rows == 0
    ratings[constant] = 3.5
    vocabulary = Vocabulary(map(str, range(100)))
    data = Dataset(vocabulary, vocabulary, rows, columns, ratings.astype(np.float32), rating_scale=RatingScale(0.5, 5))
    model = fitted(spec, data, similarity="pearson", shrinkage=0.0)
    of_code = [0] if spec is ITEM_KNN_RATING else [5]
    person = Query.of_users(data, [5 if spec is ITEM_KNN_RATING else 0])
    support, _ = model.evidence(person, np.array(of_code, dtype=np.int32))
    assert support.tolist() == [0]
    others, _ = model.evidence(Query.of_users(data, [7]), np.array([9], dtype=np.int32))
    assert others[0] > 5


def test_one_neighbour_has_no_spread() -> None:
    data = Dataset(
        Vocabulary("abcd"),
        Vocabulary("pqr"),
        np.array([0, 0, 1, 1, 2, 2, 3]),
        np.array([0, 1, 0, 1, 0, 1, 0]),
        np.array([5, 5, 1, 1, 4, 5, 2], dtype=np.float32),
    )
    model = fitted(ITEM_KNN_RATING, data, similarity="cosine", shrinkage=0.0)
    person, item = Query.of_users(data, [3]), np.array([1], dtype=np.int32)
    support, spread = model.evidence(person, item)
    assert support.tolist() == [1]
    assert np.isnan(spread[0])
    assert model.explain(person, item)[0].method.endswith("(1 of them)")


@pytest.mark.parametrize("spec", [ITEM_KNN_RATING, USER_KNN_RATING])
def test_a_history_without_ratings_is_explained_by_averages(spec: AlgorithmSpec) -> None:
    model = fitted(spec, made())
    explanation = model.explain(Query.of_history([0, 1]), [3])[0]
    assert abs(explanation.residual) < 1e-5
    assert "none of them" in explanation.method
    assert model.evidence(Query.of_history([]), np.array([3], dtype=np.int32))[0].tolist() == [0]


def test_pairs_of_an_unaligned_history_are_refused() -> None:
    model = fitted(ITEM_KNN_RATING, made())
    with pytest.raises(InvalidData, match="align it first"):
        model.predict_pairs(Query.of_history([99], [4.0]), np.array([0]), np.array([1]))


def test_one_long_history_is_forecast_to_take_its_time() -> None:
    """Everything that one busy account has goes with everything else that it has."""
    for spec in (ITEM_KNN, RP3BETA, ITEM_KNN_RATING):
        model = spec.load()(spec.params())
        plain, long = (
            model.estimate(DataShape(20_000, 20_000, 60_000, longest_history=longest)) for longest in (10, 20_000)
        )
        assert long.seconds > plain.seconds + 1
        if spec is not ITEM_KNN_RATING:
            assert long.memory_bytes > 5 * plain.memory_bytes


def shrunk(similarity: float, common: int, shrinkage: float) -> float:
    return similarity * (common - 1) / (common - 1 + shrinkage)


def similarities_by_definition(
    kind: str, rated: np.ndarray, biases: np.ndarray, shrinkage: float, along_people: int
) -> np.ndarray:
    """Of columns, over the rows where both have a rating; rated: NaN where there is none. Negative ones count as 0.

    along_people: the axis along which one person's ratings lie.
    """
    of_users = np.nanmean(rated, axis=along_people, keepdims=True)
    compared = {
        "cosine": rated,
        "pearson": rated,
        "adjusted-cosine": rated - of_users,
        "pearson-baseline": rated - biases,
    }[kind]
    n = rated.shape[1]
    found = np.zeros((n, n))
    for left in range(n):
        for right in range(n):
            both = ~np.isnan(rated[:, left]) & ~np.isnan(rated[:, right])
            x, y = compared[both, left], compared[both, right]
            if kind == "pearson" and len(x):
                x, y = x - x.mean(), y - y.mean()
            norm = np.sqrt((x @ x) * (y @ y))
            if left != right and norm > 1e-6:
                found[left, right] = max(shrunk(x @ y / norm, len(x), shrinkage), 0)
    return found


def by_neighbours(similar: np.ndarray, deviations: np.ndarray, k: int) -> np.ndarray:
    """Σ s d / (Σ s + caution) over the k most similar columns that have a deviation: (rows, columns)."""
    found = np.zeros_like(deviations)
    for row in range(len(deviations)):
        for column in range(deviations.shape[1]):
            weights = np.where(np.isnan(deviations[row]), 0, similar[:, column])
            nearest = np.lexsort((np.arange(len(weights)), -weights.round(7)))[:k]
            nearest = nearest[weights[nearest] > 0]
            total = weights[nearest] @ deviations[row, nearest]
            found[row, column] = total / (weights[nearest].sum() + CAUTION)
    return found


@pytest.mark.parametrize("kind", ["pearson-baseline", "pearson", "adjusted-cosine", "cosine"])
@pytest.mark.parametrize("spec", [ITEM_KNN_RATING, USER_KNN_RATING])
def test_rating_predictions_are_those_of_the_definition(spec: AlgorithmSpec, kind: str) -> None:
    data = made(30, 40, density=0.7)
    model = fitted(spec, data, similarity=kind, shrinkage=2.0, caution=CAUTION, neighbours=NEIGHBOURS)
    rated = np.full((data.n_users, data.n_items), np.nan)
    rated[data.users, data.items] = np.asarray(data.ratings)
    biases = model.biases.ratings(model.biases.users).astype(np.float64)
    if spec is ITEM_KNN_RATING:
        similar = similarities_by_definition(kind, rated, biases, 2.0, 1)
        expected = by_neighbours(similar, rated - biases, NEIGHBOURS)
    else:
        similar = similarities_by_definition(kind, rated.T, biases.T, 2.0, 0)
        expected = by_neighbours(similar, (rated - biases).T, NEIGHBOURS).T
    # A person's ratings of their own past are beside the point: neighbours there may include themselves.
    unseen = np.isnan(rated)
    found = model.score(everyone(data)) - biases
    assert np.allclose(found[unseen], expected[unseen], atol=1e-4)


def test_pairs_are_predicted_as_in_whole_rows() -> None:
    data = made()
    generator = np.random.default_rng(3)
    people, items = generator.integers(0, data.n_users, 60), generator.integers(0, data.n_items, 60)
    for spec in (ITEM_KNN_RATING, USER_KNN_RATING):
        model = fitted(spec, data)
        whole = model.predict(everyone(data))
        assert np.allclose(model.predict_pairs(everyone(data), people, items), whole[people, items], atol=1e-6)


def test_a_rating_explanation_names_its_neighbours() -> None:
    data = made(density=0.8)
    person = Query.of_users(data, [2])
    for spec, kind in ((ITEM_KNN_RATING, Source.HISTORY), (USER_KNN_RATING, Source.NEIGHBOUR)):
        model = fitted(spec, data, shrinkage=0.0)
        explanation = model.explain(person, [4])[0]
        support, _ = model.evidence(person, np.array([4], dtype=np.int32))
        named = [part for part in explanation.contributions if part.kind is kind]
        assert 0 < len(named) <= support[0]
        assert f"{support[0]} of them" in explanation.method
        assert abs(explanation.residual) < 1e-5


def test_a_threshold_and_significance_leave_fewer_and_weaker_neighbours() -> None:
    data = made(density=0.8)
    person, item = Query.of_users(data, [2]), np.array([4], dtype=np.int32)
    everybody = fitted(ITEM_KNN_RATING, data, shrinkage=0.0)
    near = fitted(ITEM_KNN_RATING, data, shrinkage=0.0, least_similarity=0.3)
    assert 0 < near.evidence(person, item)[0][0] < everybody.evidence(person, item)[0][0]
    assert (near.similarities_.data >= 0.3).all()
    shrunk_too = fitted(ITEM_KNN_RATING, data, shrinkage=100.0, least_similarity=0.3)
    assert (shrunk_too.similarities_ > 0).nnz == (near.similarities_ > 0).nnz
    assert shrunk_too.similarities_.max() < 0.3
    weak = fitted(ITEM_KNN_RATING, data, shrinkage=0.0, significance=1000)
    common = (data.matrix().T @ data.matrix()).toarray()
    for row in range(data.n_items):
        here = slice(weak.similarities_.indptr[row], weak.similarities_.indptr[row + 1])
        for column, value in zip(weak.similarities_.indices[here], weak.similarities_.data[here], strict=True):
            assert value == pytest.approx(everybody.similarities_[row, column] * common[row, column] / 1000, rel=1e-4)


@pytest.mark.parametrize("spec", [ITEM_KNN, ITEM_KNN_RATING])
def test_fits_have_the_same_bits_for_any_number_of_threads(spec: AlgorithmSpec) -> None:
    data = made(200, 300, 0.1)
    first, second = (fitted(spec, data, threads).score(everyone(data)) for threads in (1, 4))
    assert np.array_equal(first, second, equal_nan=True)


@pytest.mark.parametrize(("spec", "least", "most"), [(ITEM_KNN, 0.215, 0.25), (USER_KNN, 0.215, 0.25)])
def test_ranks_movielens_as_well_as_it_should(spec: AlgorithmSpec, least: float, most: float) -> None:
    split = final_split("random")
    ranked, _ = rank_test_users(fitted(spec, split.train, 2).score, split.train, split.test, 10)
    assert least <= np.nanmean(RANKING_METRICS["ndcg"].compute(ranked)) <= most


@pytest.mark.parametrize(("spec", "least", "most"), [(ITEM_KNN_RATING, 0.85, 0.869), (USER_KNN_RATING, 0.86, 0.88)])
def test_predicts_movielens_as_well_as_it_should(spec: AlgorithmSpec, least: float, most: float) -> None:
    split = final_split("random")
    predictions = fitted(spec, split.train, 2).predict_pairs(everyone(split.train), split.test.users, split.test.items)
    assert least <= rmse(predictions, np.asarray(split.test.ratings)) <= most


@pytest.mark.parametrize("spec", [ITEM_KNN, USER_KNN, ITEM_KNN_RATING, USER_KNN_RATING])
def test_a_state_that_does_not_fit_together_is_refused(spec: AlgorithmSpec, tmp_path: Path) -> None:
    hold_refuses_short_arrays(fitted(spec, made()), tmp_path)


def test_a_user_based_model_saved_before_popularity_counted_answers_as_it_did(tmp_path: Path) -> None:
    data = made()
    model = fitted(USER_KNN, data, neighbours=5, popularity=0)
    params = {name: value for name, value in model.params.to_dict().items() if name != "popularity"}
    loaded = loaded_as_of_version_1(model, tmp_path, params, ("shares_", "chosen_"))
    assert np.array_equal(loaded.score(everyone(data)), model.score(everyone(data)), equal_nan=True)
