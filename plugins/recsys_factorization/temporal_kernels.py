"""Compiled kernels of biases that move with time, without the GIL."""

from __future__ import annotations

import math

import numba
import numpy as np

from recsys_desktop.api.dataset import Float32, Int32, Int64
from recsys_factorization.arrays import Float64


@numba.njit(nogil=True, cache=True)
def distances_in_time(indptr: Int64, days: Float32, power: float, distances: Float32) -> None:
    """dev_u(t) = sign(t - mean) |t - mean|^power of every rating from the mean day of its row (Koren 2009, eq. 5)."""
    for row in range(len(indptr) - 1):
        first, last = indptr[row], indptr[row + 1]
        if first == last:
            continue
        total = 0.0
        for at in range(first, last):
            total += days[at]
        mean = total / (last - first)
        for at in range(first, last):
            distance = days[at] - mean
            distances[at] = math.copysign(abs(distance) ** power, distance)


@numba.njit(nogil=True, cache=True, error_model="numpy")
def lines(
    indptr: Int64,
    distances: Float32,
    residuals: Float32,
    level_shrinkage: float,
    slope_shrinkage: float,
    solution: Float32,
) -> None:
    """Level and slope of every row over its distances in time, a ridge regression: float32 (rows, 2)."""
    for row in range(len(indptr) - 1):
        n, x, xx, y, xy = level_shrinkage, 0.0, slope_shrinkage, 0.0, 0.0
        for at in range(indptr[row], indptr[row + 1]):
            distance, residual = distances[at], residuals[at]
            n += 1.0
            x += distance
            xx += distance * distance
            y += residual
            xy += distance * residual
        determinant = n * xx - x * x
        if indptr[row] == indptr[row + 1] or determinant <= 0.0:
            solution[row] = np.float32(0.0)
        else:
            solution[row, 0] = (y * xx - x * xy) / determinant
            solution[row, 1] = (n * xy - x * y) / determinant


@numba.njit(nogil=True, cache=True, error_model="numpy")
def fit_item_times(
    indptr: Int64,
    items: Int32,
    periods: Int32,
    residuals: Float32,
    item_shrinkage: float,
    period_shrinkage: float,
    item_biases: Float32,
    period_biases: Float32,
    sums: Float64,
    counts: Float64,
) -> None:
    """The bias of every item, and what it differs by in each period, from ratings less mean and the people's lines.

    periods: int32 (ratings,). item_biases: float32 (n_items,), period_biases: float32 (n_items, n_periods): replaced.
    sums, counts: float64 (n_items, n_periods), room to work in.
    """
    n_items, n_periods = period_biases.shape
    sums[:] = 0.0
    counts[:] = 0.0
    for at in range(len(items)):
        sums[items[at], periods[at]] += residuals[at]
        counts[items[at], periods[at]] += 1.0
    for item in range(n_items):
        total, count = 0.0, item_shrinkage
        for period in range(n_periods):
            total += sums[item, period] - counts[item, period] * period_biases[item, period]
            count += counts[item, period]
        item_biases[item] = total / count
        for period in range(n_periods):
            rest = sums[item, period] - counts[item, period] * item_biases[item]
            period_biases[item, period] = rest / (counts[item, period] + period_shrinkage)
