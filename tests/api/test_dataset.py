"""Dataset: matrices, histories, held-out parts and fingerprints against naive implementations."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys_desktop.api import (
    CategoryColumn,
    Dataset,
    FeatureTable,
    Feedback,
    InvalidData,
    NumericColumn,
    RatingScale,
    Role,
    Vocabulary,
)
from recsys_desktop.api.testing import made_data
from recsys_desktop.api.testing.made_data import tags_column, text_column

N_USERS, N_ITEMS = 5, 6


@st.composite
def datasets(draw):
    pairs = draw(
        st.lists(st.tuples(st.integers(0, N_USERS - 1), st.integers(0, N_ITEMS - 1)), unique=True, max_size=25)
    )
    n = len(pairs)
    return Dataset(
        Vocabulary(f"u{code}" for code in range(N_USERS)),
        Vocabulary(f"i{code}" for code in range(N_ITEMS)),
        np.array([user for user, _ in pairs], dtype=np.int32),
        np.array([item for _, item in pairs], dtype=np.int32),
        np.array(draw(st.lists(st.integers(1, 5), min_size=n, max_size=n)), dtype=np.float32),
        np.array(draw(st.lists(st.floats(0.5, 9), min_size=n, max_size=n)), dtype=np.float32),
        # Few different moments, so that there are ties.
        np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), dtype=np.int64)
        if draw(st.booleans())
        else None,
    )


@given(datasets(), st.sampled_from(["one", "rating", "weight"]), st.sampled_from([None, 1.0, 3.5, 9.0]))
def test_matrix_equals_a_loop_over_interactions(data, values, min_rating):
    expected = np.zeros((N_USERS, N_ITEMS), dtype=np.float32)
    source = {"one": np.ones(len(data)), "rating": data.ratings, "weight": data.weights}[values]
    for user, item, rating, value in zip(data.users, data.items, data.ratings, source, strict=True):
        if min_rating is None or rating >= min_rating:
            expected[user, item] = value
    matrix = data.matrix(values, min_rating)
    np.testing.assert_array_equal(matrix.toarray(), expected)
    assert matrix.dtype == np.float32
    assert matrix.nnz == (expected != 0).sum()
    for user in range(N_USERS):
        row = matrix.indices[matrix.indptr[user] : matrix.indptr[user + 1]]
        assert row.tolist() == sorted(row.tolist())
    assert data.matrix(values, min_rating) is matrix


def test_a_matrix_of_what_is_not_there_is_refused():
    data = Dataset(Vocabulary("a"), Vocabulary("b"), [0], [0])
    with pytest.raises(InvalidData, match="no ratings"):
        data.matrix("rating")
    with pytest.raises(InvalidData, match="'one', 'rating' or 'weight', not 'weights'"):
        data.matrix("weights")
    assert data.matrix("weight").toarray().tolist() == [[1]]


@given(datasets())
def test_histories_are_in_time_order_and_ties_keep_file_order(data):
    histories = data.histories
    for user in range(N_USERS):
        rows = [row for row in range(len(data)) if data.users[row] == user]
        if data.timestamps is not None:
            rows.sort(key=lambda row: (data.timestamps[row], row))
        part = slice(histories.indptr[user], histories.indptr[user + 1])
        assert histories.rows[part].tolist() == rows
        assert histories.items[part].tolist() == data.items[rows].tolist()
        assert histories.ratings[part].tolist() == data.ratings[rows].tolist()
        assert histories.weights[part].tolist() == data.weights[rows].tolist()


@given(datasets(), st.floats(0.05, 0.95), st.integers(0, 5), st.booleans(), st.integers(0, 9))
def test_holding_out_takes_a_share_of_each_user(data, fraction, minimum, latest, seed):
    kept, held = data.hold_out(fraction, np.random.default_rng(seed), minimum, latest)
    for user, count in enumerate(data.user_counts):
        expected = 0
        if count >= max(minimum, 2):
            expected = min(max(int(np.floor(count * fraction + 0.5)), 1), count - 1)
        assert held.user_counts[user] == expected
    pairs = [sorted(zip(part.users.tolist(), part.items.tolist(), strict=True)) for part in (kept, held, data)]
    assert sorted(pairs[0] + pairs[1]) == pairs[2]
    if latest and data.timestamps is not None:
        for user in range(N_USERS):
            before, after = kept.timestamps[kept.users == user], held.timestamps[held.users == user]
            assert not len(after) or before.max() <= after.min()
    again = data.hold_out(fraction, np.random.default_rng(seed), minimum, latest)
    assert again[1].items.tolist() == held.items.tolist()


@given(datasets())
def test_parts_keep_file_order_and_everything_else(data):
    rows = np.arange(len(data)) % 2 == 0
    part = data.subset(rows)
    assert part.items.tolist() == data.items[rows].tolist()
    assert part.ratings.tolist() == data.ratings[rows].tolist()
    assert part.user_vocabulary is data.user_vocabulary
    assert part.rating_scale == data.rating_scale
    assert data.subset(np.flatnonzero(rows)).fingerprint == part.fingerprint


def test_constant_ratings_mean_implicit_feedback():
    vocabularies = Vocabulary("ab"), Vocabulary("cd")
    assert Dataset(*vocabularies, [0, 1], [0, 1], [3.0, 3.0]).feedback is Feedback.IMPLICIT
    assert Dataset(*vocabularies, [0, 1], [0, 1], [3.0, 4.0]).feedback is Feedback.EXPLICIT
    assert Dataset(*vocabularies, [0, 1], [0, 1]).feedback is Feedback.IMPLICIT


def test_the_scale_is_what_was_seen_where_nothing_else_is_said():
    data = Dataset(Vocabulary("ab"), Vocabulary("cd"), [0, 1], [0, 1], [2.0, 4.5])
    assert data.rating_scale == RatingScale(2.0, 4.5)
    assert data.rating_scale.middle == 3.25
    assert Dataset(Vocabulary("ab"), Vocabulary("cd"), [0], [0]).rating_scale is None


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"items": [0, 1]}, "items has 2 values where users has 1"),
        ({"ratings": [1.0, 2.0]}, "ratings has 2 values"),
        ({"users": [2]}, "users holds codes outside 0 to 1"),
        ({"items": [-1]}, "items holds codes outside 0 to 1"),
        ({"ratings": [np.nan]}, "NaN or infinite"),
        ({"ratings": [np.inf]}, "NaN or infinite"),
        ({"weights": [0.0]}, "finite and positive"),
        ({"item_features": FeatureTable(3)}, "item_features has 3 rows where 2 were expected"),
        ({"user_features": FeatureTable(1)}, "user_features has 1 rows where 2 were expected"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes, says):
    arguments = {"users": [0], "items": [0], **changes}
    with pytest.raises(InvalidData, match=says):
        Dataset(Vocabulary("ab"), Vocabulary("cd"), **arguments)


def test_data_does_not_change():
    ratings = np.array([3.0], dtype=np.float32)
    data = Dataset(Vocabulary("a"), Vocabulary("b"), [0], [0], ratings)
    with pytest.raises(ValueError, match="read-only"):
        data.ratings[0] = 5


def test_shape_counts_what_is_stored():
    features = FeatureTable(
        2,
        {
            "name": text_column(["abc", "de"], Role.TITLE),
            "about": text_column(["", "12345"]),
            "tags": tags_column([["x", "y"], ["y"]]),
            "year": NumericColumn(np.zeros(2, dtype=np.float32)),
        },
    )
    data = Dataset(Vocabulary("uvw"), Vocabulary("ab"), [0, 0, 1], [0, 1, 1], item_features=features)
    assert data.shape == (3, 2, 3, 5, 0, 10, 2)
    assert Dataset(Vocabulary(), Vocabulary(), [], []).shape == (0, 0, 0, 0, 0, 0, 0)


def described():
    return Dataset(
        Vocabulary(["a", "b", "c"]),
        Vocabulary(["x", "y"]),
        [0, 1, 2],
        [0, 1, 1],
        [1.0, 2.0, 3.0],
        [1.0, 2.0, 3.0],
        [10, 20, 30],
        [0, 1, 0],
        ("view", "buy"),
        user_features=FeatureTable(3, {"age": NumericColumn(np.array([1, 2, 3], dtype=np.float32))}),
        item_features=FeatureTable(
            2,
            {
                "name": text_column(["One", "Two"], Role.TITLE),
                "kind": CategoryColumn(np.array([0, 1], dtype=np.int32), ("film", "book")),
                "tags": tags_column([["p"], ["p", "q"]]),
            },
        ),
        rating_scale=RatingScale(1, 5, 1),
        provenance={"roles": "user,item,rating", "duplicates": "latest"},
        name="described",
    )


def item_column(name, column):
    data = described()
    return replace(data, item_features=FeatureTable(2, {**data.item_features.columns, name: column}))


@pytest.mark.parametrize(
    "changed",
    [
        replace(described(), users=[1, 0, 2]),
        replace(described(), items=[1, 1, 1]),
        replace(described(), ratings=[1.0, 2.0, 3.5]),
        replace(described(), weights=[1.0, 2.0, 4.0]),
        replace(described(), weights=None),
        replace(described(), timestamps=[10, 20, 31]),
        replace(described(), events=[1, 1, 0]),
        replace(described(), event_names=("view", "sale")),
        replace(described(), user_vocabulary=Vocabulary(["a", "b", "d"])),
        replace(described(), item_vocabulary=Vocabulary(["y", "x"])),
        replace(described(), rating_scale=RatingScale(1, 10, 1)),
        replace(described(), provenance={"roles": "user,item,rating", "duplicates": "first"}),
        replace(described(), provenance={"roles": "user,item,rating"}),
        replace(described(), user_features=FeatureTable(3)),
        described().subset(np.array([0, 2, 1])),
        item_column("name", text_column(["One", "Three"], Role.TITLE)),
        item_column("name", text_column(["One", "Two"], Role.TEXT)),
        item_column("kind", CategoryColumn(np.array([0, 0], dtype=np.int32), ("film", "book"))),
        item_column("kind", CategoryColumn(np.array([0, 1], dtype=np.int32), ("film", "song"))),
        item_column("tags", tags_column([["p"], ["q", "p"]])),
        item_column("tags", tags_column([["p", "p"], ["q"]])),
        item_column("more", text_column(["", ""])),
    ],
)
def test_every_change_changes_the_fingerprint(changed):
    assert changed.fingerprint != described().fingerprint


def test_the_fingerprint_is_of_meaning_and_not_of_names_or_storage():
    original = described()
    assert replace(original, name="another name").fingerprint == original.fingerprint
    assert described().fingerprint == original.fingerprint
    stored = replace(
        original,
        users=np.array([0, 1, 2], dtype=np.int64),
        ratings=np.array([1, 9, 2, 9, 3], dtype=np.float64)[::2],
        rating_scale=RatingScale(1.0, 5.0, 1.0),
        provenance=dict(reversed(original.provenance.items())),
    )
    assert stored.fingerprint == original.fingerprint


@settings(max_examples=40)
@given(datasets(), datasets())
def test_equal_fingerprints_mean_equal_interactions(first, second):
    def content(data):
        columns = (data.users, data.items, data.ratings, data.weights, data.timestamps)
        return [None if column is None else column.tolist() for column in columns]

    assert (first.fingerprint == second.fingerprint) == (content(first) == content(second))


def test_no_more_than_the_fraction_is_held_out_of_short_histories() -> None:
    """One of each person's two would be half of all: only some people set one aside then."""
    users = np.repeat(np.arange(3000), 2)
    data = Dataset(Vocabulary(map(str, range(3000))), Vocabulary(map(str, range(50))), users, np.tile([0, 1], 3000))
    kept, held_out = data.hold_out(0.1, np.random.default_rng(0), within_fraction=True)
    assert 0.09 * len(data) < len(held_out) <= 0.11 * len(data)
    assert len(kept) + len(held_out) == len(data)
    assert held_out.user_counts.max() == 1
    assert len(data.hold_out(0.1, np.random.default_rng(0))[1]) == 3000
    few = data.subset(users < 250)
    assert len(few.hold_out(0.1, np.random.default_rng(0), within_fraction=True)[1]) == 200


def test_longer_histories_are_held_out_as_ever() -> None:
    data = made_data.communities().train
    plain, within = (data.hold_out(0.1, np.random.default_rng(4), within_fraction=asked)[1] for asked in (False, True))
    assert np.array_equal(plain.users, within.users)
    assert np.array_equal(plain.items, within.items)
