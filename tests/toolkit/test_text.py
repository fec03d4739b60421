"""Words of texts and counts of terms."""

from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from recsys_desktop.toolkit.text import count_terms, tokens


def test_words_are_folded_and_single_letters_left_out() -> None:
    assert tokens("Toy Story (1995): a Tale") == ["toy", "story", "1995", "tale"]
    assert tokens("Ｔｏｙ ＳＴＯＲＹ") == ["toy", "story"]
    assert tokens("STRASSE Straße") == ["strasse", "strasse"]
    assert tokens("don't stop-motion") == ["don't", "stop", "motion"]
    assert tokens("茶 道") == ["茶", "道"]
    assert tokens(" ... ") == []


@given(st.lists(st.lists(st.sampled_from("abcdefg"), max_size=6), max_size=12))
def test_counts_are_those_of_a_counter(rows: list[list[str]]) -> None:
    counted = count_terms(rows)
    found: list[Counter[str]] = [Counter() for _ in rows]
    for row, code, count in zip(counted.rows, counted.codes, counted.counts, strict=True):
        found[row][counted.terms[code]] += int(count)
    assert found == [Counter(row) for row in rows]
    assert dict(zip(counted.terms, counted.in_rows().tolist(), strict=True)) == {
        term: sum(term in row for row in rows) for term in counted.terms
    }


def test_known_terms_keep_their_codes_and_others_are_left_out() -> None:
    counted = count_terms([["b", "x"], [], ["a", "b", "b"]], known=["a", "b"])
    assert counted.terms == ["a", "b"]
    assert counted.rows.tolist() == [0, 2, 2]
    assert counted.codes.tolist() == [1, 0, 1]
    assert counted.counts.tolist() == [1, 1, 2]


def test_restricting_keeps_the_terms_of_most_rows() -> None:
    counted = count_terms([["a", "b"], ["a", "b", "c"], ["a"], ["d"]])
    assert counted.restricted(2, 10).terms == ["a", "b"]
    assert counted.restricted(1, 1).terms == ["a"]
    few = counted.restricted(2, 1)
    assert few.rows.tolist() == [0, 1, 2]
    assert few.codes.dtype == np.int32
