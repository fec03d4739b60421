"""Feature tables: rows follow codes, and a missing row is missing in every column."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_desktop.api import CategoryColumn, FeatureTable, InvalidData, NumericColumn, Role, TagsColumn, TextColumn
from recsys_desktop.api.testing.made_data import tags_column, text_column

N_ROWS = 5
TAGS = [["a", "b"], [], ["b"], ["c", "a", "b"], ["a"]]


def table():
    return FeatureTable(
        N_ROWS,
        {
            "name": text_column(["One", "Two", "", "Four", "Five"], Role.TITLE),
            "about": text_column(["first", "", "third", "fourth", "fifth"]),
            "kind": CategoryColumn(np.array([0, 1, -1, 0, 1], dtype=np.int32), ("film", "book")),
            "tags": tags_column(TAGS),
            "year": NumericColumn(np.array([1990, np.nan, 2000, 2010, 2020], dtype=np.float32), "year"),
        },
    )


@given(st.lists(st.integers(-1, N_ROWS - 1), max_size=12))
def test_taken_rows_equal_a_loop_over_rows(rows):
    whole, taken = table(), table().take(rows)
    assert len(taken) == len(rows)
    for position, row in enumerate(rows):
        assert taken.describe(position) == (whole.describe(row) if row >= 0 else {})


def test_a_row_is_described_by_what_is_present():
    assert table().describe(0) == {"name": "One", "about": "first", "kind": "film", "tags": ["a", "b"], "year": 1990.0}
    assert table().describe(1) == {"name": "Two", "kind": "book"}


def test_columns_are_found_by_role():
    assert list(table().of_role(Role.TITLE, Role.TEXT)) == ["name", "about"]
    assert table().titles.tolist() == ["One", "Two", "", "Four", "Five"]
    assert FeatureTable(3).titles is None


def test_a_column_of_another_length_is_refused():
    with pytest.raises(InvalidData, match="column 'year' has 2 rows where 3 were expected"):
        FeatureTable(3, {"year": NumericColumn(np.zeros(2, dtype=np.float32))})


def test_rows_of_an_empty_table():
    empty = FeatureTable(
        0,
        {
            "tags": TagsColumn(np.zeros(1, np.int64), np.empty(0, np.int32), ()),
            "about": TextColumn(np.empty(0, object)),
        },
    )
    assert empty.take([-1, -1]).describe(1) == {}
