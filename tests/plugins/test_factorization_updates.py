"""Learning from one rating without a refit: who moves, who does not, and that the old model stays as it was."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from recsys_desktop.api import AlgorithmSpec, Dataset, Query, Recommender, RunContext
from recsys_desktop.api.testing import made_data
from recsys_factorization.plugin import (
    ALS,
    BAYESIAN_FM,
    BPR,
    IMPLICIT_ALS,
    NMF,
    PURE_SVD,
    SVD,
    SVDPP,
    TRUNCATED_SVD,
)
from recsys_factorization.singular_vectors import SingularVectorModel

# How far the scores of people who do not have the rated item may move, in units of their spread: not at all where a
# step solves this person and this item alone; a little where the items share a Gram matrix, or negatives are drawn.
EXACT = (PURE_SVD, SVD, SVDPP, ALS, NMF, TRUNCATED_SVD, BAYESIAN_FM)
MOVES_OF_OTHERS = {IMPLICIT_ALS: 0.2, BPR: 0.5, **dict.fromkeys(EXACT, 0.0)}
SETTINGS: dict[AlgorithmSpec, dict[str, Any]] = {BAYESIAN_FM: {"sweeps": 30, "kept_draws": 8}}
LEARNER = 4


def with_one_more(data: Dataset, rating: float) -> tuple[Dataset, Dataset, int]:
    """The rating of one more item by `LEARNER` alone, the data with it, and the item: the most popular one not seen."""
    assert data.timestamps is not None
    assert data.ratings is not None
    seen = data.matrix()[LEARNER].toarray()[0] > 0
    item = int(np.argmax(np.where(seen, -1, data.item_counts)))
    later = int(data.timestamps.max()) + 60
    alone = replace(
        data,
        users=np.array([LEARNER]),
        items=np.array([item]),
        ratings=np.array([rating]),
        timestamps=np.array([later]),
    )
    together = replace(
        data,
        users=np.append(data.users, LEARNER),
        items=np.append(data.items, item),
        ratings=np.append(data.ratings, rating),
        timestamps=np.append(data.timestamps, later),
    )
    return alone, together, item


def fitted(spec: AlgorithmSpec, data: Dataset) -> Recommender:
    return spec.load()(spec.params(**SETTINGS.get(spec, {}))).fit(data, RunContext(threads=1))


@pytest.mark.parametrize("spec", MOVES_OF_OTHERS, ids=lambda spec: spec.id)
def test_one_rating_moves_its_person_and_leaves_others_and_the_old_model_alone(spec: AlgorithmSpec) -> None:
    data = made_data.communities().train
    alone, together, item = with_one_more(data, 5.0)
    model = fitted(spec, data)
    before = copy.deepcopy(model.fitted_state())
    updated = model.updated(alone)
    after = model.fitted_state()
    assert before.keys() == after.keys()
    for name, value in before.items():
        np.testing.assert_equal(after[name], value, err_msg=name)

    elsewhere = np.flatnonzero((data.item_counts > 0) & (np.arange(data.n_items) != item))
    learner_before = model.score(Query.of_users(data, [LEARNER]))[0, elsewhere]
    learner_after = updated.score(Query.of_users(together, [LEARNER]))[0, elsewhere]
    assert np.abs(learner_after - learner_before).max() > 1e-3 * np.std(learner_before)

    have_it = data.matrix()[:, [item]].toarray()[:, 0] > 0
    others = np.flatnonzero(~have_it & (data.user_counts > 0) & (np.arange(data.n_users) != LEARNER))
    assert len(others) > 10
    then, now = (asked.score(Query.of_users(data, others))[:, elsewhere] for asked in (model, updated))
    assert np.abs(now - then).max() <= MOVES_OF_OTHERS[spec] * np.std(then) + 1e-5


@pytest.mark.parametrize("spec", [SVD, SVDPP, ALS, NMF, TRUNCATED_SVD], ids=lambda spec: spec.id)
def test_a_better_rating_of_an_item_raises_what_is_predicted_for_it(spec: AlgorithmSpec) -> None:
    """For the person and, on average, for others: the item's own average has risen."""
    data = made_data.communities().train
    model = fitted(spec, data)
    high, low = (with_one_more(data, rating) for rating in (5.0, 1.0))
    raised, lowered = (
        model.updated(alone).predict(Query.of_users(together, [LEARNER]), [item])[0, 0]
        for alone, together, item in (high, low)
    )
    assert raised > lowered
    item = high[2]
    without_it = np.flatnonzero((data.matrix()[:, [item]].toarray()[:, 0] == 0) & (data.user_counts > 0))
    others = Query.of_users(data, without_it[without_it != LEARNER])
    raise_for_others = model.updated(high[0]).score(others, [item]) - model.updated(low[0]).score(others, [item])
    assert raise_for_others.mean() > 0


def additions_to(data: Dataset, rows: list[tuple[int, int, float]], grown: bool = False) -> Dataset:
    """Only these ratings (user, item, rating), with one more person and one more item where `grown`."""
    users, items = data.user_vocabulary, data.item_vocabulary
    if grown:
        users, items = users.extended(["newcomer"]), items.extended(["novelty"])
    assert data.timestamps is not None
    return replace(
        data,
        user_vocabulary=users,
        item_vocabulary=items,
        users=np.array([user for user, _, _ in rows], dtype=np.int32),
        items=np.array([item for _, item, _ in rows], dtype=np.int32),
        ratings=np.array([rating for _, _, rating in rows], dtype=np.float32),
        timestamps=np.full(len(rows), int(data.timestamps.max()) + 60),
        item_features=data.item_features.take([*range(data.n_items), *[0] * (len(items) - data.n_items)]),
        user_features=data.user_features.take([*range(data.n_users), *[-1] * (len(users) - data.n_users)]),
    )


@pytest.mark.parametrize("spec", MOVES_OF_OTHERS, ids=lambda spec: spec.id)
def test_a_person_and_an_item_without_interactions_are_taken_in(spec: AlgorithmSpec) -> None:
    data = made_data.communities().train
    model = fitted(spec, data)
    updated = model.updated(additions_to(data, [], grown=True))
    people = Query.of_users(data, np.arange(data.n_users))
    assert np.allclose(
        updated.score(people, np.arange(data.n_items)), model.score(people), atol=1e-4, rtol=0, equal_nan=True
    )
    assert not updated.known_users_[data.n_users]
    assert not updated.known_items_[data.n_items]


def of_high_ratings(spec: AlgorithmSpec, data: Dataset) -> Recommender:
    return spec.load()(spec.params(min_rating=4.0)).fit(data, RunContext(threads=1))


@pytest.mark.parametrize("spec", [IMPLICIT_ALS, BPR, PURE_SVD], ids=lambda spec: spec.id)
def test_a_new_rating_that_does_not_count_changes_no_score(spec: AlgorithmSpec) -> None:
    data = made_data.communities().train
    model = of_high_ratings(spec, data)
    unseen = np.flatnonzero(data.matrix()[LEARNER].toarray()[0] == 0)[0]
    updated = model.updated(additions_to(data, [(LEARNER, int(unseen), 1.0), (data.n_users, 0, 2.0)], grown=True))
    people = Query.of_users(data, np.arange(data.n_users))
    assert np.allclose(
        updated.score(people, np.arange(data.n_items)), model.score(people), atol=1e-4, rtol=0, equal_nan=True
    )
    assert not updated.known_users_[data.n_users]


def counted_pairs(model: Any) -> npt.NDArray[Any]:
    """How often each item is among the interactions that a model holds: int64 (n_items,)."""
    held = model.entry_items_ if isinstance(model, SingularVectorModel) else model.interaction_items_
    return np.bincount(held, minlength=model.n_items)


@pytest.mark.parametrize("also_new", [False, True])
@pytest.mark.parametrize("spec", [IMPLICIT_ALS, BPR, PURE_SVD], ids=lambda spec: spec.id)
def test_an_item_that_is_rated_low_anew_no_longer_counts(spec: AlgorithmSpec, also_new: bool) -> None:
    """The stored person is whom a query without the item folds in."""
    data = made_data.communities().train
    assert data.ratings is not None
    model = of_high_ratings(spec, data)
    lost = int(data.items[(data.users == LEARNER) & (data.ratings >= 4)][0])
    new = int(np.flatnonzero(data.matrix()[LEARNER].toarray()[0] == 0)[0])
    rows = [(LEARNER, lost, 1.0), *([(LEARNER, new, 5.0)] if also_new else [])]
    updated = model.updated(additions_to(data, rows))
    change = counted_pairs(updated) - counted_pairs(model)
    assert np.array_equal(np.flatnonzero(change < 0), [lost])
    assert np.array_equal(np.flatnonzero(change > 0), [new] if also_new else [])

    kept = data.subset(~((data.users == LEARNER) & (data.items == lost)))
    after = kept
    if also_new:
        after = replace(
            kept,
            users=np.append(kept.users, LEARNER),
            items=np.append(kept.items, new),
            ratings=np.append(kept.ratings, 5.0),
            timestamps=None,
        )
    scores = updated.score(Query.of_users(after, [LEARNER]).as_strangers())[0]
    stored = updated.item_embeddings() @ updated.user_embeddings()[LEARNER]
    stored += getattr(updated, "item_biases_", 0) + getattr(updated, "bases_", 0)
    assert np.allclose(stored, scores, atol=1e-4, equal_nan=True)


def test_the_only_interaction_of_an_item_can_be_taken_back() -> None:
    data = made_data.communities().train
    for spec in (IMPLICIT_ALS, BPR, PURE_SVD):
        model = of_high_ratings(spec, data)
        once = model.updated(additions_to(data, [(LEARNER, data.n_items, 5.0)], grown=True))
        assert once.known_items_[data.n_items]
        low = additions_to(data, [(LEARNER, data.n_items, 1.0)], grown=True)
        assert not once.updated(low).known_items_[data.n_items]
