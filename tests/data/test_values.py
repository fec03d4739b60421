"""Text to numbers, and any column to text."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from recsys_desktop.data.values import as_text, numbers, trimmed


@given(
    st.lists(
        st.one_of(
            st.floats(allow_nan=False, allow_infinity=False).map(repr),
            st.sampled_from(["x", "", "1_0", "+3", " 4 ", "5."]),
        ),
        max_size=200,
    )
)
def test_numbers_equal_python_one_by_one(texts) -> None:
    values, bad = numbers(pa.array(texts, pa.string()))
    for text, value, wrong in zip(texts, values, bad, strict=True):
        if text in ("x", "1_0"):
            assert wrong
        elif text == "":
            assert math.isnan(value)
            assert not wrong
        else:
            assert (value, wrong) == (float(text), False)


def test_decimal_commas() -> None:
    values, bad = numbers(pa.array(["3,5", "4", "x,y"]), ",")
    assert values[:2].tolist() == [3.5, 4.0]
    assert bad.tolist() == [False, False, True]


def test_dictionaries_are_read_by_their_distinct_values() -> None:
    array = pa.array(["1.5", "x", "1.5", None]).dictionary_encode()
    values, bad = numbers(array)
    assert values[[0, 2]].tolist() == [1.5, 1.5]
    assert np.isnan(values[[1, 3]]).all()
    assert bad.tolist() == [False, True, False, False]


def test_ids_of_typed_columns_keep_every_digit() -> None:
    assert as_text(pa.array([12345678901234567890], pa.uint64())).to_pylist() == ["12345678901234567890"]
    assert as_text(pa.array([9007199254740993], pa.int64())).to_pylist() == ["9007199254740993"]
    assert as_text(pa.array([7.0, 12.0])).to_pylist() == ["7", "12"]
    assert as_text(pa.array([7.5, 12.0])).to_pylist() == ["7.5", "12"]
    assert as_text(pa.array([True, False])).to_pylist() == ["true", "false"]
    assert as_text(pa.array([["a", "b"], None, []])).to_pylist() == [["a", "b"], None, []]
    assert as_text(pa.array(["007", "7"]).dictionary_encode()).to_pylist() == ["007", "7"]


def test_trimming_joins_what_becomes_equal() -> None:
    array = trimmed(pa.array(["a", " a", "b\t", None, "\u00a0b"]).dictionary_encode())
    assert array.to_pylist() == ["a", "a", "b", "", "b"]
    assert array.dictionary.to_pylist() == ["a", "b", ""]
