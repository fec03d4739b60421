"""Ratings as ordered levels of a latent scale: the ordered probit link, its cut points and their draws."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.dataset import Float32, Int32
from recsys_factorization.arrays import Float64

_MOST_LEVELS = 24
_NEWTON_STEPS = 8
_NEWTON_TOLERANCE = 1e-3
_CUT_PRECISION = 0.01
_SMALLEST = 1e-300


class Levels:
    """The levels that ratings have: their values where they are few, ranges of them otherwise.

    edges: float32 (levels - 1,), what separates them on the scale of ratings. values: float32 (levels,), the mean
    rating of each.
    """

    def __init__(self, edges: Float32, values: Float32) -> None:
        self.edges = edges
        self.values = values

    @classmethod
    def of(cls, ratings: Float32) -> Levels:
        """One level for each rating that occurs, or, where these are more than 24, ranges of about as many ratings."""
        found = np.unique(ratings).astype(np.float64)
        edges = (found[1:] + found[:-1]) / 2
        if len(found) > _MOST_LEVELS:
            edges = np.unique(np.quantile(ratings, np.linspace(0, 1, _MOST_LEVELS + 1)[1:-1]))
        levels = np.searchsorted(edges, ratings, side="right")
        counts = np.bincount(levels, minlength=len(edges) + 1)
        sums = np.bincount(levels, weights=ratings, minlength=len(edges) + 1)
        kept = counts > 0
        values = (sums[kept] / counts[kept]).astype(np.float32)
        return cls(edges[kept[:-1]].astype(np.float32), values)

    def codes(self, ratings: Float32) -> Int32:
        """The level of each rating: int32, 0 for the lowest."""
        return np.searchsorted(self.edges, ratings, side="right").astype(np.int32)


def expected_ratings(latent: npt.NDArray[Any], cuts: npt.NDArray[Any], values: Float32) -> Float32:
    """The mean rating at each latent value: sum over levels of value times P(level), the same shape as `latent`.

    cuts: (levels - 1,), ascending. P(level above cut) = Phi(latent - cut).
    """
    from scipy.special import ndtr

    rating = np.full(latent.shape, values[0], dtype=np.float32)
    for cut, step in zip(cuts, np.diff(values), strict=True):
        rating += step * ndtr(latent - np.float32(cut))
    return rating


def expected_latent(latent: npt.NDArray[Any], lower: npt.NDArray[Any], upper: npt.NDArray[Any]) -> Float64:
    """The mean of a normal value around `latent` with deviation 1, given that it lies between `lower` and `upper`."""
    from scipy.special import ndtr

    below, above = lower - latent, upper - latent
    mirrored = below > 0
    below, above = np.where(mirrored, -above, below), np.where(mirrored, -below, above)
    mass = np.maximum(ndtr(above) - ndtr(below), _SMALLEST)
    shift = (_density(below) - _density(above)) / mass
    shift = np.clip(shift, below, above)
    found: Float64 = latent + np.where(mirrored, -shift, shift)
    return found


def bounds(cuts: npt.NDArray[Any], levels: Int32) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """The cut points below and above each level, infinite at the ends.

    cuts: (..., levels - 1). Returns two arrays (..., len(levels)).
    """
    infinite = np.full((*cuts.shape[:-1], 1), np.inf)
    whole = np.concatenate((-infinite, cuts, infinite), axis=-1)
    return whole[..., levels], whole[..., levels + 1]


def _density(values: npt.NDArray[Any]) -> Float64:
    found: Float64 = np.exp(-0.5 * np.square(values)) / np.sqrt(2 * np.pi)
    return found


class OrderedProbit:
    """Draws of cut points and latent values given what a model predicts (Albert, Chib 1993, section 4; the cut points
    given the predictions alone, with the latent values integrated out, by Metropolis-Hastings around their mode).

    A rating has level r where its latent value, normal with deviation 1 around the prediction, lies between cut r - 1
    and cut r. cuts: float64 (levels - 1,), the present draw.
    """

    def __init__(self, levels: Int32, n_levels: int) -> None:
        """levels: int32 (ratings,), every one of 0 to n_levels - 1 at least once."""
        from scipy.special import ndtri

        self._levels = levels
        shares = np.cumsum(np.bincount(levels, minlength=n_levels)) / len(levels)
        self.cuts: Float64 = ndtri(shares[:-1])
        middle = (np.concatenate(([0.0], shares[:-1])) + shares) / 2
        self.initial: Float32 = ndtri(middle)[levels].astype(np.float32)
        self._mode = self.cuts.copy()

    def sample_cuts(self, predictions: Float32, generator: np.random.Generator) -> None:
        """Draw the cut points given predictions, float32 (ratings,)."""
        if not len(self.cuts):
            return
        precision = np.eye(len(self.cuts))
        for _ in range(_NEWTON_STEPS):
            gradient, precision = self._derivatives(self._mode, predictions)
            step = np.linalg.solve(precision, gradient)
            while (np.diff(self._mode + step) <= 0).any():
                step /= 2
            self._mode = self._mode + step
            if np.abs(step).max() < _NEWTON_TOLERANCE:
                break
        root = np.linalg.cholesky(precision)
        proposed = self._mode + np.linalg.solve(root.T, generator.standard_normal(len(self.cuts)))
        if (np.diff(proposed) <= 0).any():
            return

        def log_weight(cuts: Float64) -> float:
            distance = root.T @ (cuts - self._mode)
            return self._log_posterior(cuts, predictions) + 0.5 * float(distance @ distance)

        if np.log(generator.random()) < log_weight(proposed) - log_weight(self.cuts):
            self.cuts = proposed

    def sample_latent(self, predictions: Float32, generator: np.random.Generator) -> Float32:
        """Draw the latent values given predictions and cut points: float32 (ratings,)."""
        from scipy.special import ndtr, ndtri

        lower, upper = bounds(self.cuts, self._levels)
        below, above = lower - predictions, upper - predictions
        mirrored = below > 0
        below, above = np.where(mirrored, -above, below), np.where(mirrored, -below, above)
        left, right = ndtr(below), ndtr(above)
        drawn = ndtri(left + generator.random(len(left)) * (right - left))
        drawn = np.clip(drawn, below, above)
        latent: Float32 = (predictions + np.where(mirrored, -drawn, drawn)).astype(np.float32)
        return latent

    def _log_posterior(self, cuts: Float64, predictions: Float32) -> float:
        return float(np.log(self._masses(cuts, predictions)[0]).sum()) - 0.5 * _CUT_PRECISION * float(cuts @ cuts)

    def _masses(self, cuts: Float64, predictions: Float32) -> tuple[Float64, Float64, Float64]:
        """P(level) of every rating, and the two distances from its prediction to the cuts around it."""
        from scipy.special import ndtr

        lower, upper = bounds(cuts, self._levels)
        below: Float64 = lower - predictions.astype(np.float64)
        above: Float64 = upper - predictions.astype(np.float64)
        mirrored = below > 0
        mass = np.where(mirrored, ndtr(-below) - ndtr(-above), ndtr(above) - ndtr(below))
        return np.maximum(mass, _SMALLEST), below, above

    def _derivatives(self, cuts: Float64, predictions: Float32) -> tuple[Float64, Float64]:
        """Gradient of the log posterior of the cuts, and minus its Hessian, which is tridiagonal."""
        mass, below, above = self._masses(cuts, predictions)
        size = len(cuts)
        under, over = _density(below) / mass, _density(above) / mass
        tilt_under = np.where(np.isfinite(below), below, 0) * under
        tilt_over = np.where(np.isfinite(above), above, 0) * over

        def by_level(values: Float64) -> Float64:
            return np.bincount(self._levels, weights=values, minlength=size + 1).astype(np.float64)

        gradient = by_level(over)[:-1] - by_level(under)[1:] - _CUT_PRECISION * cuts
        diagonal = by_level(np.square(over) + tilt_over)[:-1] + by_level(np.square(under) - tilt_under)[1:]
        precision = np.diag(diagonal + _CUT_PRECISION)
        between = by_level(over * under)[1:-1]
        precision[np.arange(size - 1), np.arange(1, size)] = -between
        precision[np.arange(1, size), np.arange(size - 1)] = -between
        return gradient, precision
