"""Content-based recommendation: conformance, known answers, catalogues without interactions, and a figure."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.frozen_splits import final_split
from recsys_content.plugin import CONTENT, ContentParams
from recsys_content.tfidf import ContentRecommender
from recsys_desktop.api import (
    CannotFit,
    Dataset,
    FeatureTable,
    NumericColumn,
    Query,
    Role,
    Source,
    TagsColumn,
    TextColumn,
    Vocabulary,
)
from recsys_desktop.api.testing import AlgorithmConformance
from recsys_desktop.evaluation import RANKING_METRICS, bootstrap_interval, rank_test_users
from recsys_desktop.toolkit.item_content import encode_items


class TestContentConformance(AlgorithmConformance):
    spec = CONTENT


def tags(*rows: tuple[str, ...]) -> TagsColumn:
    names = tuple(sorted({name for row in rows for name in row}))
    indptr = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    return TagsColumn(indptr, np.array([names.index(name) for row in rows for name in row], dtype=np.int32), names)


def texts(*values: str, role: Role = Role.TEXT) -> TextColumn:
    return TextColumn(np.array(values, dtype=object), role)


def catalogue(**columns: TextColumn | TagsColumn | NumericColumn) -> Dataset:
    """Items without a single interaction."""
    n_items = len(next(iter(columns.values())))
    none = np.zeros(0, dtype=np.int32)
    ids = Vocabulary(f"course {code}" for code in range(n_items))
    return Dataset(Vocabulary(), ids, none, none, item_features=FeatureTable(n_items, columns))


COURSES = catalogue(
    title=texts("Python for data", "Python for the web", "Baking bread", "Baking cakes", "Empty", role=Role.TITLE),
    skills=tags(("code", "data"), ("code", "web"), ("baking",), ("baking",), ()),
)


def test_a_catalogue_without_interactions_serves_a_history_and_stated_interests() -> None:
    model = ContentRecommender().fit(COURSES)
    by_history = model.score(Query.of_history([0]))[0]
    assert by_history[1] > 0
    assert by_history[2] == by_history[3] == 0
    by_interest = model.score(Query.of_history([], interests=(("Baking bread",),)))[0]
    assert by_interest[2] > by_interest[0] == 0
    explanation = model.explain(Query.of_history([0], interests=(("baking",),)), [3])[0]
    assert [part.label for part in explanation.contributions if part.kind is Source.FEATURE] == ["baking"]
    assert explanation.residual == pytest.approx(0, abs=1e-6)


def test_an_item_without_content_has_no_score_and_an_unknown_interest_no_answer() -> None:
    model = ContentRecommender().fit(COURSES)
    assert np.isnan(model.score(Query.of_history([0]))[0, 4])
    assert np.isnan(model.score(Query.of_history([], interests=(("zoology",),)))).all()


def test_contributions_name_the_shared_terms() -> None:
    model = ContentRecommender().fit(COURSES)
    part = model.explain(Query.of_history([0]), [1])[0].contributions[0]
    assert part.code == 0
    assert set(part.label.split(", ")) <= {"code", "python", "for"}
    assert "code" in part.label


def test_similarity_is_the_cosine_of_naive_tf_idf() -> None:
    rows = [("a", "b"), ("a", "c"), ("b", "c"), ("a",)]
    matrix = encode_items(catalogue(t=tags(*rows)).item_features, {Role.TAGS: 1.0}, 1, 100).matrix.toarray()
    idf = {name: 1 + np.log((1 + 4) / (1 + sum(name in row for row in rows))) for name in "abc"}
    naive = np.array([[idf[name] * (name in row) for name in "abc"] for row in rows])
    naive /= np.linalg.norm(naive, axis=1, keepdims=True)
    np.testing.assert_allclose(matrix @ matrix.T, naive @ naive.T, atol=1e-6)


def test_close_numbers_are_more_alike_than_distant_ones() -> None:
    years = NumericColumn(np.array([1990, 1991, 2005, 2020, np.nan], dtype=np.float32), "")
    matrix = encode_items(FeatureTable(5, {"year": years}), {Role.NUMERIC: 1.0}, 1, 10).matrix.toarray()
    likeness = matrix @ matrix.T
    assert likeness[0, 1] > likeness[0, 2] >= likeness[0, 3]
    assert likeness[4].sum() == 0


def test_weights_of_zero_leave_nothing_to_go_by() -> None:
    with pytest.raises(CannotFit, match="weights"):
        ContentRecommender(ContentParams(tags_weight=0, title_weight=0)).fit(COURSES)


def test_a_popular_item_comes_before_an_equally_similar_one() -> None:
    features = FeatureTable(3, {"t": tags(("x",), ("x",), ("x",))})
    users, items = np.array([0, 1, 1, 2, 2]), np.array([0, 0, 2, 0, 2])
    data = Dataset(Vocabulary("abc"), Vocabulary("pqr"), users, items, item_features=features)
    scores = ContentRecommender().fit(data).score(Query.of_users(data, [0]))[0]
    assert scores[2] > scores[1] > 0


def test_accuracy_on_the_frozen_split() -> None:
    split = final_split("random")
    model = ContentRecommender().fit(split.train)
    popular = split.train.item_counts.astype(np.float32)
    ranked, _ = rank_test_users(model.score, split.train, split.test, 10, popular)
    interval = bootstrap_interval(RANKING_METRICS["ndcg"].compute(ranked))
    assert interval.low > 0.08
