"""Rating metrics: how far predicted ratings are from those that were given.

r is a given rating and p its prediction. A prediction of NaN makes the figure that it enters NaN: an unanswered pair
must be answered by a fallback first, never left out, or a model could look good by answering only what is easy.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from recsys_desktop.api import InvalidData

Float64: TypeAlias = npt.NDArray[np.float64]


class UserErrors(NamedTuple):
    """Errors summed for each user, from which overall figures and their intervals are made.

    squared, absolute: float64 (n_users,), sums of (p - r)² and |p - r|. counts: int64 (n_users,), pairs judged.
    """

    squared: Float64
    absolute: Float64
    counts: npt.NDArray[np.int64]

    @property
    def rmse(self) -> Float64:
        """Root mean squared error of each user: float64 (n_users,), NaN for a user without pairs."""
        root: Float64 = np.sqrt(_ratio(self.squared, self.counts))
        return root

    @property
    def mae(self) -> Float64:
        """Mean absolute error of each user: float64 (n_users,), NaN for a user without pairs."""
        return _ratio(self.absolute, self.counts)


def _ratio(sums: Float64, counts: npt.NDArray[np.int64]) -> Float64:
    means: Float64 = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return means


def _errors(predictions: npt.NDArray[Any], ratings: npt.NDArray[Any]) -> Float64:
    if predictions.shape != ratings.shape:
        raise InvalidData(f"there are {predictions.shape} predictions for {ratings.shape} ratings")
    errors: Float64 = predictions.astype(np.float64) - ratings
    return errors


def rmse(predictions: npt.NDArray[Any], ratings: npt.NDArray[Any]) -> float:
    """Root mean squared error over all pairs: sqrt(mean (p - r)²), in rating units; NaN where there are no pairs.

    predictions, ratings: float (m,). Source: Herlocker et al., Evaluating collaborative filtering recommender systems,
    ACM TOIS 22 (2004), section 4.1.
    """
    errors = _errors(predictions, ratings)
    return float(np.sqrt(np.mean(errors**2))) if len(errors) else float("nan")


def mae(predictions: npt.NDArray[Any], ratings: npt.NDArray[Any]) -> float:
    """Mean absolute error over all pairs: mean |p - r|, in rating units; NaN where there are no pairs.

    predictions, ratings: float (m,). Source: Herlocker et al. (2004), section 4.1.
    """
    errors = _errors(predictions, ratings)
    return float(np.mean(np.abs(errors))) if len(errors) else float("nan")


def user_errors(
    predictions: npt.NDArray[Any], ratings: npt.NDArray[Any], users: npt.NDArray[Any], n_users: int
) -> UserErrors:
    """Errors by user. predictions, ratings: float (m,). users: int (m,), positions from 0 to n_users - 1."""
    errors = _errors(predictions, ratings)
    return UserErrors(
        np.bincount(users, weights=errors**2, minlength=n_users).astype(np.float64),
        np.bincount(users, weights=np.abs(errors), minlength=n_users).astype(np.float64),
        np.bincount(users, minlength=n_users).astype(np.int64),
    )
