"""Sequences of text that are made when they are asked for."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from recsys_desktop.data.texts import ArrowTexts, PairTexts


def pairs() -> PairTexts:
    codes = np.array([0, 1, 1, 0], dtype=np.int32)
    return PairTexts(codes, codes[::-1], pa.array(["u", "v"]), pa.array(["i", "j"]))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (ArrowTexts([pa.array(["a", None]), pa.array(["c", "d"])]), ["a", "", "c", "d"]),
        (pairs(), ["u, i", "v, j", "v, j", "u, i"]),
        (ArrowTexts([]), []),
    ],
)
def test_they_behave_as_lists(texts, expected) -> None:
    assert list(texts) == expected
    assert len(texts) == len(expected)
    for part in (slice(None), slice(1, 3), slice(None, None, 2), slice(3, 1), slice(None, None, -1), slice(-2, None)):
        assert texts[part] == expected[part]
    for place in range(-len(expected), len(expected)):
        assert texts[place] == expected[place]
    with pytest.raises(IndexError):
        texts[len(expected)]
