"""Vocabulary: ids are text, codes are positions, and nothing is confused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys_desktop.api import InvalidData, Vocabulary

ids = st.lists(st.text(min_size=1), max_size=20, unique=True)


@given(ids)
def test_codes_are_positions(values):
    vocabulary = Vocabulary(values)
    assert list(vocabulary) == values
    assert vocabulary.codes(values).tolist() == list(range(len(values)))
    assert [vocabulary[code] for code in range(len(values))] == values
    assert all(vocabulary.code(value) == code and value in vocabulary for code, value in enumerate(values))


def test_ids_keep_their_characters():
    vocabulary = Vocabulary(["7", "007", "12345678901234567890", "Ünïcode", " "])
    assert vocabulary.code("007") == 1
    assert vocabulary.code("12345678901234567890") == 2
    assert vocabulary.code("unknown") == -1
    assert "unknown" not in vocabulary


@pytest.mark.parametrize("values", [["a", ""], ["a", "a"], ["a", 7], [None]])
def test_what_is_no_id_is_refused(values):
    with pytest.raises(InvalidData):
        Vocabulary(values)


@given(ids, ids)
def test_an_extension_keeps_every_code(values, more):
    vocabulary = Vocabulary(values)
    longer = vocabulary.extended([*more, *more])
    assert list(longer)[: len(values)] == values
    assert set(longer) == set(values) | set(more)
    if set(more) <= set(values):
        assert longer is vocabulary


@given(ids, ids)
def test_mapping_finds_the_same_id(values, others):
    here, there = Vocabulary(values), Vocabulary(others)
    mapping = here.mapping_to(there)
    assert mapping.dtype == np.int32
    for code, other in enumerate(mapping):
        assert (there[other] == here[code]) if other >= 0 else (here[code] not in there)


@given(ids, ids)
def test_digests_are_equal_exactly_where_the_ids_are(values, others):
    assert (Vocabulary(values).digest == Vocabulary(others).digest) == (values == others)
    assert (Vocabulary(values) == Vocabulary(others)) == (values == others)


def test_joined_ids_are_told_apart():
    assert Vocabulary(["ab", "c"]).digest != Vocabulary(["a", "bc"]).digest
    assert Vocabulary(["1:a"]).digest != Vocabulary(["a"]).digest


def test_a_vocabulary_does_not_change():
    vocabulary = Vocabulary(["a", "b"])
    with pytest.raises(ValueError, match="read-only"):
        vocabulary.ids[0] = "c"
