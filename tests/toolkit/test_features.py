"""Item features as sparse vectors: products that are weighted means of similarities."""

from __future__ import annotations

import numpy as np
import pytest

from recsys_desktop.api import CategoryColumn, FeatureTable, NumericColumn, Role, TextColumn
from recsys_desktop.api.testing.made_data import tags_column, text_column
from recsys_desktop.toolkit.features import FeatureGroup, FieldEncoder, GroupWeights, ItemEncoder

TITLES = [
    "Toy Story (1995)",
    "Toy Soldiers (1991)",
    "Story of Rome (1951)",
    "Amelie (2001)",
    "Rome (2000)",
    "Ran (1985)",
]
GENRES = [["Comedy", "Toys"], ["War", "Toys"], ["Drama"], ["Comedy"], ["Drama", "War"], []]


def table(rows: list[int] | None = None) -> FeatureTable:
    whole = FeatureTable(
        len(TITLES),
        {
            "title": text_column(TITLES, Role.TITLE),
            "genres": tags_column(GENRES),
            "level": CategoryColumn(np.array([0, 1, 1, 0, -1, 0], dtype=np.int32), ("easy", "hard")),
            "minutes": NumericColumn(np.array([80, 100, np.nan, 120, 95, 160], dtype=np.float32), "min"),
        },
    )
    return whole if rows is None else whole.take(rows)


def products(weights: GroupWeights) -> np.ndarray:
    rows = ItemEncoder.fit(table(), weights).encode(table())
    return np.asarray((rows @ rows.T).todense())


ONLY = {"title": 0.0, "text": 0.0, "categories": 0.0, "numbers": 0.0}


def test_a_product_is_the_weighted_mean_of_its_groups() -> None:
    title = products(GroupWeights(**{**ONLY, "title": 1.0}))
    categories = products(GroupWeights(**{**ONLY, "categories": 1.0}))
    numbers = products(GroupWeights(**{**ONLY, "numbers": 1.0}))
    together = products(GroupWeights(title=2.0, categories=1.0, numbers=0.5))
    # One title column, two columns of categories, two numbers (minutes and the year of the title).
    expected = (2.0 * title + 2 * 1.0 * categories + 2 * 0.5 * numbers) / 5.0
    np.testing.assert_allclose(together, expected, atol=1e-5)
    assert together.max() <= 1 + 1e-5


def test_tf_idf_against_a_naive_computation() -> None:
    rows = products(GroupWeights(**{**ONLY, "title": 1.0}))
    in_rows = {"toy": 2, "story": 2, "rome": 2}
    rarity = {word: 1 + np.log(7 / (1 + count)) for word, count in in_rows.items()}

    def cosine(first: set[str], second: set[str]) -> float:
        length = [np.sqrt(sum(rarity[word] ** 2 for word in words)) for words in (first, second)]
        return sum(rarity[word] ** 2 for word in first & second) / (length[0] * length[1])

    assert rows[0, 1] == pytest.approx(cosine({"toy", "story"}, {"toy"}), abs=1e-5)
    assert rows[2, 4] == pytest.approx(cosine({"story", "rome"}, {"rome"}), abs=1e-5)
    assert rows[3].sum() == 0, "a title whose words occur nowhere else matches nothing"


def test_near_numbers_are_similar() -> None:
    rows = products(GroupWeights(**{**ONLY, "numbers": 1.0}))
    assert rows[0, 0] == pytest.approx(1, abs=1e-5)
    assert rows[0, 1] > rows[0, 3] > rows[0, 5]


def test_missing_values_are_empty_rows() -> None:
    encoder = ItemEncoder.fit(table(), GroupWeights())
    rows = encoder.encode(table([0, -1, 2]))
    assert rows.shape == (3, encoder.width)
    assert rows[[1]].nnz == 0
    np.testing.assert_allclose(rows[[0]].toarray(), encoder.encode(table())[[0]].toarray(), atol=1e-6)


def test_new_rows_are_encoded_by_what_was_learnt() -> None:
    encoder = ItemEncoder.fit(table(), GroupWeights())
    other = FeatureTable(
        1,
        {
            "title": text_column(["Toy Cosmonauts (1996)"], Role.TITLE),
            "genres": tags_column([["Comedy", "Space"]]),
            "unheard of": text_column(["toy"]),
        },
    )
    row = encoder.encode(other)
    names = {encoder.name(int(feature)) for feature in row.indices}
    assert {"toy", "Comedy"} <= names
    assert "cosmonauts" not in names
    assert "Space" not in names
    assert any(name.startswith("years around 19") for name in names)


def test_the_state_is_the_encoder() -> None:
    encoder = ItemEncoder.fit(table(), GroupWeights(title=0.3))
    again = ItemEncoder.of_state(encoder.to_state())
    np.testing.assert_array_equal(encoder.encode(table()).toarray(), again.encode(table()).toarray())
    assert [again.name(feature) for feature in range(again.width)] == [
        encoder.name(feature) for feature in range(encoder.width)
    ]


def test_phrases_match_words_and_whole_names() -> None:
    encoder = ItemEncoder.fit(table(), GroupWeights())
    rows = encoder.encode_phrases(["comedy about TOYS", "war", "nothing of it"])
    names = [{encoder.name(int(feature)) for feature in rows[[row]].indices} for row in range(3)]
    assert names == [{"Comedy", "Toys"}, {"War"}, set()]


def test_columns_that_tell_nothing_apart_are_left_out() -> None:
    same = FeatureTable(
        3, {"n": NumericColumn(np.ones(3, dtype=np.float32)), "t": TextColumn(np.array([""] * 3, object))}
    )
    encoder = ItemEncoder.fit(same, GroupWeights())
    assert encoder.width == 0
    assert encoder.encode(same).shape == (3, 0)
    assert encoder.encode_phrases(["x"]).shape == (1, 0)


def test_fields_are_rows_of_length_one() -> None:
    encoder = FieldEncoder.fit(table(), 2, np.random.default_rng(0))
    assert [field.column for field in encoder.fields] == ["year", "genres", "level", "minutes"]
    rows = encoder.encode(table([0, 5, -1]))
    lengths = np.array([[np.sqrt(block[[row]].multiply(block[[row]]).sum()) for block in rows] for row in range(3)])
    np.testing.assert_allclose(lengths, [[1, 1, 1, 1], [1, 0, 1, 1], [0, 0, 0, 0]], atol=1e-6)
    names = [[field.name(feature) for feature in range(field.width)] for field in encoder.fields]
    assert "genres: Comedy" in names[1]
    assert names[2] == ["level: easy", "level: hard"]
    assert names[0][0] == "years around 1951"
    bag = {names[1][feature]: value for feature, value in zip(rows[1].indices, rows[1].data, strict=True)}
    assert set(bag) == {"genres: Comedy", "genres: Toys"}


def test_numbers_are_named_in_few_digits() -> None:
    knots = np.array([0.12345, 80.25, 79_999.6], dtype=np.float32)
    group = FeatureGroup("length", "number", 1.0, [], np.empty(0, dtype=np.float32), knots)
    names = [group.name(feature) for feature in range(group.width)]
    assert names == ["length near 0.123", "length near 80.2", "length near 80,000"]


def test_texts_are_places_along_topics() -> None:
    about = [
        "sea ship storm",
        "ship sea sail",
        "sail storm sea",
        "stove soup bread",
        "bread soup oven",
        "oven stove",
        "",
    ]
    texts = FeatureTable(7, {"about": text_column(about)})
    encoder = FieldEncoder.fit(texts, 2, np.random.default_rng(0))
    field = encoder.fields[0]
    assert (field.width, field.name(0)) == (2, "about")
    rows = encoder.encode(texts)[0].toarray()
    products = rows @ rows.T
    assert products[:3, :3].min() > 0.95
    assert products[3:6, 3:6].min() > 0.95
    assert np.abs(products[:3, 3:6]).max() < 0.1
    assert not rows[6].any()
    assert not FieldEncoder.fit(texts, 0, np.random.default_rng(0)).fields


def test_topics_are_the_strongest_singular_vectors() -> None:
    generator = np.random.default_rng(1)
    words = np.array([f"word{code}" for code in range(30)])
    chosen = [" ".join(words[(generator.random(12) ** 2 * 30).astype(int)]) for _ in range(60)]
    texts = FeatureTable(60, {"about": text_column(chosen)})
    field = FieldEncoder.fit(texts, 3, generator).fields[0]
    group = ItemEncoder([field.group]).encode(texts).toarray()
    strengths, right = np.linalg.svd(group)[1:]
    np.testing.assert_allclose(np.linalg.norm(group @ field.directions, axis=0), strengths[:3], rtol=1e-2)
    np.testing.assert_allclose(np.abs(np.sum(field.directions[:, 0] * right[0])), 1, atol=1e-3)
