"""Popularity as a part of every score, for data in which people have too few interactions to tell of tastes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_desktop.api import DataShape
from recsys_desktop.api.dataset import Float32

SHORT_HISTORY = 10.0
"""Where people have fewer interactions than this on the mean, what popularity counts is tried on data set aside."""
WEIGHTS = (10.0, 100.0, 1.0, 0.0)
"""What is tried; the first, which leaves little beside popularity, is taken where too few people can tell."""
_TRIAL_PEOPLE = 0.4
_ENOUGH_PEOPLE = 4_000


def popularity_bases(weight: float, item_counts: npt.NDArray[Any], n_people: int) -> Float32:
    """weight times the share of people who have each item: float32 (n_items,).

    item_counts: int (n_items,), people who have each. n_people: people who have any.
    """
    bases: Float32 = (weight * item_counts / max(n_people, 1)).astype(np.float32)
    return bases


def are_short(lengths: npt.NDArray[Any]) -> bool:
    """Whether people with so many interactions each, int (n_users,), have fewer than `SHORT_HISTORY` on the mean.

    Those who have none do not count.
    """
    return bool(lengths.sum() < SHORT_HISTORY * np.count_nonzero(lengths))


def may_be_short(shape: DataShape) -> bool:
    """Whether a forecast for data of this shape has to reckon with the trials."""
    return shape.n_interactions < SHORT_HISTORY * shape.n_users


def trial_share(lengths: npt.NDArray[Any]) -> float:
    """The share of people to try on: two fifths where these are 4,000, else all."""
    return _TRIAL_PEOPLE if _TRIAL_PEOPLE * np.count_nonzero(lengths) >= _ENOUGH_PEOPLE else 1.0
