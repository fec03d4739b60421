"""Scores of different algorithms made comparable, and their weighted mean."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from recsys_desktop.api.dataset import Float32

_LEAST_RELATIVE_SPREAD = 1e-6


class Standardised(NamedTuple):
    """Scores less their mean, in standard deviations, for each person.

    values: float32 (n, items), NaN where there was no score, 0 for a person whose scores are all alike.
    mean, deviation: float32 (n,), over the items with a score; deviation is 0 for such a person, and for one without
    scores.
    """

    values: Float32
    mean: Float32
    deviation: Float32


def standardised(scores: Float32) -> Standardised:
    """Standardise each row of scores float32 (n, items), in which NaN stands for no score."""
    answered = ~np.isnan(scores)
    counts = np.maximum(answered.sum(axis=1), 1)
    mean = np.where(answered, scores, 0).sum(axis=1, dtype=np.float64) / counts
    values = scores - mean.astype(np.float32)[:, None]
    squares = np.square(values, where=answered, out=np.zeros_like(values))
    deviation = np.sqrt(squares.sum(axis=1, dtype=np.float64) / counts)
    alike = deviation <= _LEAST_RELATIVE_SPREAD * np.abs(mean)
    deviation[alike] = 0
    values /= np.where(alike, np.inf, deviation).astype(np.float32)[:, None]
    return Standardised(values, mean.astype(np.float32), deviation.astype(np.float32))


def weighted_mean(parts: Iterable[tuple[float, Float32]]) -> tuple[Float32, Float32]:
    """The weighted mean of scores over those that are not NaN, and the weight that they have together.

    parts: pairs of a weight and scores float32 (n, items), all of one shape, at least one. Returns two float32
    (n, items): the mean, NaN where nothing with a weight above 0 answered, and the weight.
    """
    total = together = None
    for weight, scores in parts:
        if total is None or together is None:
            total, together = np.zeros_like(scores), np.zeros_like(scores)
        answered = ~np.isnan(scores)
        np.add(total, np.float32(weight) * scores, out=total, where=answered)
        np.add(together, np.float32(weight), out=together, where=answered)
    assert total is not None
    assert together is not None
    together[together == 0] = np.nan
    total /= together
    return total, together
