"""Content-based recommendation: the promises of the contract, and what its scores mean."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from recsys_content.content import ContentBased
from recsys_content.plugin import CONTENT
from recsys_desktop.api import CannotFit, Dataset, FeatureTable, Query, RatingScale, Source, Vocabulary
from recsys_desktop.api.testing import AlgorithmConformance, made_data
from recsys_desktop.api.testing.made_data import tags_column


class TestContent(AlgorithmConformance):
    spec = CONTENT


def catalogue(tags: list[list[str]], pairs: list[tuple[int, int]], n_users: int = 3, **more: Any) -> Dataset:
    return Dataset(
        Vocabulary(f"u{user}" for user in range(n_users)),
        Vocabulary(f"i{item}" for item in range(len(tags))),
        np.array([user for user, _ in pairs], dtype=np.int32),
        np.array([item for _, item in pairs], dtype=np.int32),
        item_features=FeatureTable(len(tags), {"tags": tags_column(tags)}),
        **more,
    )


TAGS = [["red", "round"], ["red", "square"], ["blue", "round"], ["blue", "square"], ["red", "round"]]
NO_POPULARITY = {"popularity": 0.0}


def fitted(data: Dataset, **params: Any) -> ContentBased:
    return ContentBased(CONTENT.params.parse(params)).fit(data)


def test_scores_are_sums_of_similarities() -> None:
    model = fitted(catalogue(TAGS, [(0, 0), (1, 1)]), **NO_POPULARITY)
    similarity = np.vstack([model.score(Query.of_history([item]))[0] for item in range(5)])
    np.testing.assert_allclose(similarity, similarity.T, atol=1e-6)
    np.testing.assert_allclose(np.diag(similarity), 1, atol=1e-6)
    assert similarity[0, 4] == pytest.approx(1)
    assert similarity[0, 3] == 0
    both = model.score(Query.of_history([0, 3]))[0]
    np.testing.assert_allclose(both, similarity[0] + similarity[3], atol=1e-6)


def test_a_catalogue_without_interactions_serves_a_typed_history() -> None:
    model = fitted(catalogue(TAGS, []))
    scores = model.score(Query.of_history([0]))[0]
    assert np.argsort(-scores, kind="stable")[:2].tolist() == [0, 4]
    assert model.similar_items(0, 1)[0].tolist() == [4]


def test_popularity_prefers_among_those_that_fit() -> None:
    data = catalogue([["red"], ["red"], ["red"], ["blue"], ["blue"]], [(0, 1), (1, 1), (2, 1), (0, 2), (0, 3)])
    plain = fitted(data, **NO_POPULARITY).score(Query.of_history([0]))[0]
    assert plain[1] == plain[2]
    popular = fitted(data).score(Query.of_history([0]))[0]
    assert popular[1] > popular[2]
    assert popular[0] > 0, "an item that nobody has met is scored as the median item"


def test_a_stated_interest_serves_somebody_without_a_history() -> None:
    model = fitted(catalogue(TAGS, [(0, 0), (1, 1)]), **NO_POPULARITY)
    query = Query.of_history([], interests=(("blue",),))
    scores = model.score(query)[0]
    assert scores[[2, 3]].min() > 0
    assert scores[0] == 0
    (explanation,) = model.explain(query, [2])
    assert [(part.kind, part.label) for part in explanation.contributions] == [(Source.FEATURE, "interest in blue")]
    assert explanation.residual == pytest.approx(0, abs=1e-6)
    nothing = Query.of_history([], interests=(("unheard of",),))
    assert np.isnan(model.score(nothing)).all(), "an interest that matches no feature leaves the answer to the fallback"


def test_the_explanation_names_what_is_in_common() -> None:
    model = fitted(catalogue(TAGS, [(0, 0), (1, 1)]))
    (explanation,) = model.explain(Query.of_history([0, 2]), [4])
    labels = {part.code: part.label for part in explanation.contributions}
    assert set(labels[0].split(", ")) == {"red", "round"}
    assert labels[2] == "round"


def test_people_whose_history_has_no_features_have_no_score() -> None:
    model = fitted(catalogue([*TAGS, []], [(0, 5), (1, 1)]))
    assert np.isnan(model.score(Query.of_history([5]))).all()
    assert not np.isnan(model.score(Query.of_history([0]))).any()


def test_low_ratings_are_left_out_where_asked() -> None:
    data = catalogue(
        TAGS,
        [(0, 0), (0, 3), (1, 1)],
        ratings=np.array([5, 1, 4], dtype=np.float32),
        rating_scale=RatingScale(1, 5, 1),
    )
    query = Query.of_users(data, [0])
    liked = fitted(data, min_rating=3.0, **NO_POPULARITY).score(query)[0]
    np.testing.assert_allclose(liked, fitted(data, **NO_POPULARITY).score(Query.of_history([0]))[0], atol=1e-6)


def test_data_without_common_features_is_refused_with_a_reason() -> None:
    lonely = catalogue([["a"], ["b"], ["c"]], [(0, 0), (1, 1)])
    with pytest.raises(CannotFit, match="no feature that two items share in tags"):
        fitted(lonely)
    with pytest.raises(CannotFit, match="no feature that two items share"):
        fitted(catalogue(TAGS, [(0, 0)]), category_weight=0)


def test_an_item_that_arrives_later_is_placed_by_its_content() -> None:
    data = catalogue(TAGS, [(0, 0), (1, 1)])
    model = fitted(data, **NO_POPULARITY)
    more = Vocabulary([*data.item_vocabulary, "new"])
    additions = replace(
        catalogue([*TAGS, ["blue", "round"]], [(2, 5)]),
        user_vocabulary=data.user_vocabulary,
        item_vocabulary=more,
    )
    updated = model.updated(additions)
    scores = updated.score(Query.of_history([2]))[0]
    assert scores[5] == pytest.approx(1, abs=1e-5)
    np.testing.assert_allclose(scores[:5], model.score(Query.of_history([2]))[0], atol=1e-6)


def test_it_finds_people_their_community_by_content_alone() -> None:
    train, test = made_data.communities()
    model = fitted(train, **NO_POPULARITY)
    scores = model.score(Query.of_users(train, np.arange(60)))
    own = np.array([scores[user, user % 2 :: 2].mean() > scores[user, 1 - user % 2 :: 2].mean() for user in range(60)])
    assert own.mean() > 0.95
    assert len(test)
