"""Compiled kernel of ridge regression with weights that are not negative, without the GIL."""

from __future__ import annotations

import numba
import numpy as np

from recsys_desktop.api.dataset import Float32, Int32, Int64

_SWEEPS = 200
_TOLERANCE = 1e-5


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def solve_nonnegative_rows(
    begin: int,
    end: int,
    indptr: Int64,
    columns: Int32,
    targets: Float32,
    features: Float32,
    penalty: Float32,
    solution: Float32,
) -> None:
    """As `solve_ridge_rows`, with w_1, w_2, ... >= 0 (w_0, of the constant, may be negative).

    Each row is a strictly convex problem, solved by coordinate descent on its normal equations until no weight moves by
    more than 1e-5 (Franc, Hlavac, Navara 2005, "Sequential Coordinate-Wise Algorithm for the Non-negative Least Squares
    Problem"). solution: float32 (rows, dimensions), the starting point, in which w_1, w_2, ... >= 0, and the result.
    """
    dimensions = features.shape[1]
    matrix = np.empty((dimensions, dimensions), dtype=np.float32)
    gradient = np.empty(dimensions, dtype=np.float32)
    for row in range(begin, end):
        first, last = indptr[row], indptr[row + 1]
        weights = solution[row]
        if first == last:
            weights[:] = np.float32(0.0)
            continue
        for a in range(dimensions):
            gradient[a] = np.float32(0.0)
            for b in range(a):
                matrix[a, b] = np.float32(0.0)
            matrix[a, a] = penalty[row, 0] if a == 0 else penalty[row, 1]
        for at in range(first, last):
            left = features[columns[at]]
            target = targets[at]
            for a in range(dimensions):
                value = left[a]
                gradient[a] += target * value
                for b in range(a + 1):
                    matrix[a, b] += value * left[b]
        for a in range(dimensions):
            for b in range(a):
                matrix[b, a] = matrix[a, b]
        for a in range(dimensions):
            weight = weights[a]
            if weight != np.float32(0.0):
                for b in range(dimensions):
                    gradient[b] -= weight * matrix[a, b]
        for _ in range(_SWEEPS):
            largest = np.float32(0.0)
            for a in range(dimensions):
                moved = weights[a] + gradient[a] / matrix[a, a]
                if a > 0 and moved < np.float32(0.0):
                    moved = np.float32(0.0)
                step = moved - weights[a]
                if step != np.float32(0.0):
                    weights[a] = moved
                    for b in range(dimensions):
                        gradient[b] -= step * matrix[a, b]
                    largest = max(largest, abs(step))
            if largest < np.float32(_TOLERANCE):
                break
