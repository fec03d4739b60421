"""Compiled kernels of ridge regression, one small problem per row, without the GIL."""

from __future__ import annotations

import math

import numba
import numpy as np

from recsys_desktop.api.dataset import Float32, Int32, Int64


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _factorise(matrix: Float32, size: int) -> None:
    """Cholesky factor of the leading block of `matrix`, in its lower triangle, in place."""
    for a in range(size):
        for b in range(a + 1):
            total = matrix[a, b]
            for c in range(b):
                total -= matrix[a, c] * matrix[b, c]
            matrix[a, b] = math.sqrt(total) if a == b else total / matrix[b, b]


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _substitute(factor: Float32, size: int, vector: Float32) -> None:
    """Solve L L^T x = vector in place."""
    for a in range(size):
        total = vector[a]
        for b in range(a):
            total -= factor[a, b] * vector[b]
        vector[a] = total / factor[a, a]
    for a in range(size - 1, -1, -1):
        total = vector[a] / factor[a, a]
        vector[a] = total
        for b in range(a):
            vector[b] -= factor[a, b] * total


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def solve_ridge_rows(
    begin: int,
    end: int,
    indptr: Int64,
    columns: Int32,
    targets: Float32,
    features: Float32,
    penalty: Float32,
    solution: Float32,
) -> None:
    """Solve rows `begin` to `end`: row r minimises the sum over its entries of (y - w.x)^2 + penalty[r, 0] w_0^2 +
    penalty[r, 1] (w_1^2 + w_2^2 + ...).

    The normal equations are solved by Cholesky, in the space of the entries where these are no more than the
    dimensions. A row without entries gets 0.

    Parameters
    ----------
    indptr: int64 (rows + 1,). columns: int32 (entries,), rows of `features`. targets: float32 (entries,), y.
    features: float32 (n, dimensions), x; its column 0 is the constant 1 of a bias.
    penalty: float32 (rows, 2), positive, of the bias and of the other dimensions.
    solution: float32 (rows, dimensions), the result.
    """
    dimensions = features.shape[1]
    matrix = np.empty((dimensions, dimensions), dtype=np.float32)
    dual = np.empty(dimensions, dtype=np.float32)
    reciprocal = np.empty(dimensions, dtype=np.float32)
    scaled = np.empty(dimensions, dtype=np.float32)
    for row in range(begin, end):
        first, length = indptr[row], indptr[row + 1] - indptr[row]
        weights = solution[row]
        weights[:] = np.float32(0.0)
        if length == 0:
            continue
        if length <= dimensions:
            reciprocal[0] = np.float32(1.0) / penalty[row, 0]
            for f in range(1, dimensions):
                reciprocal[f] = np.float32(1.0) / penalty[row, 1]
            for a in range(length):
                left = features[columns[first + a]]
                for f in range(dimensions):
                    scaled[f] = left[f] * reciprocal[f]
                for b in range(a + 1):
                    right = features[columns[first + b]]
                    total = np.float32(0.0)
                    for f in range(dimensions):
                        total += scaled[f] * right[f]
                    matrix[a, b] = total
                matrix[a, a] += np.float32(1.0)
                dual[a] = targets[first + a]
            _factorise(matrix, length)
            _substitute(matrix, length, dual)
            for a in range(length):
                left = features[columns[first + a]]
                for f in range(dimensions):
                    weights[f] += dual[a] * left[f]
            for f in range(dimensions):
                weights[f] *= reciprocal[f]
        else:
            for a in range(dimensions):
                for b in range(a):
                    matrix[a, b] = np.float32(0.0)
                matrix[a, a] = penalty[row, 0] if a == 0 else penalty[row, 1]
            for entry in range(first, first + length):
                left = features[columns[entry]]
                target = targets[entry]
                for a in range(dimensions):
                    value = left[a]
                    weights[a] += target * value
                    for b in range(a + 1):
                        matrix[a, b] += value * left[b]
            _factorise(matrix, dimensions)
            _substitute(matrix, dimensions, weights)
