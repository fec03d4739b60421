"""Query: histories of known users, strangers and what-if copies."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_desktop.api import Dataset, FeatureTable, InvalidData, NumericColumn, Query, Vocabulary

N_ITEMS = 7
histories = st.lists(
    st.lists(st.tuples(st.integers(0, N_ITEMS - 1), st.integers(1, 5)), max_size=6), min_size=0, max_size=5
)


def query_of(people):
    entries = [entry for person in people for entry in person]
    return Query(
        np.arange(len(people)),
        np.concatenate(([0], np.cumsum([len(person) for person in people]))),
        np.array([item for item, _ in entries], dtype=np.int32),
        np.array([rating for _, rating in entries], dtype=np.float32),
        timestamps=np.arange(len(entries)),
        as_of=np.arange(len(people)) * 10,
        interests=tuple((f"interest {person}",) for person in range(len(people))),
    )


def people_of(query):
    return [
        list(zip(query.history(person).tolist(), query.ratings[query.owner == person].tolist(), strict=True))
        for person in range(len(query))
    ]


@given(histories, st.data())
def test_taking_people_keeps_what_is_theirs(people, choice):
    query = query_of(people)
    chosen = choice.draw(st.lists(st.integers(0, len(people) - 1), max_size=6)) if people else []
    taken = query.take(chosen)
    assert people_of(taken) == [people[person] for person in chosen]
    assert taken.users.tolist() == chosen
    assert taken.as_of.tolist() == [10 * person for person in chosen]
    assert taken.interests == tuple((f"interest {person}",) for person in chosen)


@given(histories, st.integers(0, N_ITEMS - 1))
def test_a_what_if_copy_lacks_the_item_for_one_person_alone(people, item):
    if not people:
        return
    query = query_of(people)
    changed = query.without(0, [item])
    expected = [[entry for entry in people[0] if entry[0] != item], *people[1:]]
    assert people_of(changed) == expected
    assert people_of(query) == people
    assert changed.users.tolist() == query.users.tolist()


@given(histories, st.sampled_from(["one", "rating"]), st.sampled_from([None, 3.0]), st.integers(1, N_ITEMS))
def test_matrix_counts_a_repeated_item_once_by_its_latest_value(people, values, min_rating, n_items):
    expected = np.zeros((len(people), n_items), dtype=np.float32)
    for person, entries in enumerate(people):
        for item, rating in entries:
            if item < n_items and (min_rating is None or rating >= min_rating):
                expected[person, item] = 1 if values == "one" else rating
    matrix = query_of(people).matrix(n_items, values, min_rating)
    np.testing.assert_array_equal(matrix.toarray(), expected)
    assert matrix.nnz == (expected != 0).sum()


def test_known_users_come_with_their_histories_in_time_order():
    data = Dataset(
        Vocabulary("abc"),
        Vocabulary("xyz"),
        [0, 2, 0, 0],
        [2, 1, 0, 1],
        [5.0, 4.0, 3.0, 2.0],
        timestamps=[30, 5, 10, 10],
        user_features=FeatureTable(3, {"age": NumericColumn(np.array([20, 30, 40], dtype=np.float32))}),
    )
    query = Query.of_users(data, [2, 0, 1, 0])
    assert [query.history(person).tolist() for person in range(4)] == [[1], [0, 1, 2], [], [0, 1, 2]]
    assert query.ratings.tolist() == [4, 3, 2, 5, 3, 2, 5]
    assert query.timestamps.tolist() == [5, 10, 10, 30, 10, 10, 30]
    assert query.weights is None
    assert query.attributes.columns["age"].values.tolist() == [40, 20, 30, 20]
    assert query.lengths.tolist() == [1, 3, 0, 3]
    assert query.as_strangers().users.tolist() == [-1] * 4
    assert query.as_strangers().items.tolist() == query.items.tolist()


def test_a_person_built_on_screen():
    query = Query.of_history([3, 1], ratings=[5, 2], timestamps=[1, 2], interests=(("sailing",),))
    assert query.users.tolist() == [-1]
    assert query.history(0).tolist() == [3, 1]
    assert query.interests == (("sailing",),)
    assert len(Query.of_history([])) == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"indptr": [0, 1]}, "indptr does not divide 3 items among 2 people"),
        ({"indptr": [0, 4, 3]}, "indptr does not divide"),
        ({"indptr": [1, 2, 3]}, "indptr does not divide"),
        ({"ratings": [1.0]}, "ratings has 1 values where items has 3"),
        ({"items": [0, -1, 2]}, "negative codes"),
        ({"as_of": [1]}, "as_of has 1 rows for 2 people"),
        ({"attributes": FeatureTable(3)}, "attributes has 3 rows for 2 people"),
        ({"interests": (("a",),)}, "interests is given for 1 of 2 people"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(changes, says):
    arguments = {"users": [0, 1], "indptr": [0, 1, 3], "items": [0, 1, 2], **changes}
    with pytest.raises(InvalidData, match=says):
        Query(**arguments)


def test_a_matrix_of_ratings_that_were_not_given_is_refused():
    query = Query.of_history([1])
    with pytest.raises(InvalidData, match="no ratings"):
        query.matrix(3, "rating")
    with pytest.raises(InvalidData, match="not 'stars'"):
        query.matrix(3, "stars")
    assert replace(query, weights=np.array([2.5])).matrix(3, "weight").toarray().tolist() == [[0, 2.5, 0]]
