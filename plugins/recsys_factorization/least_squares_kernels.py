"""Compiled kernels of implicit alternating least squares: one small ridge regression per row, without the GIL."""

from __future__ import annotations

import math

import numba
import numpy as np

from recsys_desktop.api.dataset import Float32, Int32, Int64
from recsys_factorization.arrays import Float64

LONGEST_DUAL = 24
"""Rows of up to this many entries are solved exactly in the space of their entries."""


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _dual_solution(
    entries: Int32, factors: Float32, reciprocal: Float32, solution: Float32, inner: Float32, dual: Float32
) -> None:
    """w = D^-1 F^T (I + F D^-1 F^T)^-1 1 for the rows F of `factors` named by `entries` (Woodbury identity)."""
    length, dimensions = len(entries), len(reciprocal)
    for a in range(length):
        row = factors[entries[a]]
        for b in range(a + 1):
            other = factors[entries[b]]
            total = np.float32(0.0)
            for f in range(dimensions):
                total += row[f] * other[f] * reciprocal[f]
            inner[a, b] = total
        inner[a, a] += np.float32(1.0)
    for a in range(length):
        for b in range(a + 1):
            total = inner[a, b]
            for c in range(b):
                total -= inner[a, c] * inner[b, c]
            inner[a, b] = math.sqrt(total) if a == b else total / inner[b, b]
    for a in range(length):
        total = np.float32(1.0)
        for b in range(a):
            total -= inner[a, b] * dual[b]
        dual[a] = total / inner[a, a]
    for a in range(length - 1, -1, -1):
        total = dual[a]
        for b in range(a + 1, length):
            total -= inner[b, a] * dual[b]
        dual[a] = total / inner[a, a]
    solution[:] = np.float32(0.0)
    for a in range(length):
        row = factors[entries[a]]
        weight = dual[a]
        for f in range(dimensions):
            solution[f] += weight * row[f]
    for f in range(dimensions):
        solution[f] *= reciprocal[f]


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _apply(entries: Int32, factors: Float32, diagonal: Float32, vector: Float32, out: Float32) -> None:
    """out = (D + F^T F) vector."""
    dimensions = len(diagonal)
    for f in range(dimensions):
        out[f] = diagonal[f] * vector[f]
    for entry in entries:
        row = factors[entry]
        total = np.float32(0.0)
        for f in range(dimensions):
            total += row[f] * vector[f]
        for f in range(dimensions):
            out[f] += total * row[f]


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _conjugate_gradients(
    entries: Int32,
    factors: Float32,
    diagonal: Float32,
    reciprocal: Float32,
    solution: Float32,
    steps: int,
    tolerance: float,
    residual: Float32,
    direction: Float32,
    image: Float32,
) -> None:
    """Improve `solution` of (D + F^T F) w = F^T 1 by at most `steps` steps preconditioned by D."""
    dimensions = len(diagonal)
    _apply(entries, factors, diagonal, solution, residual)
    for f in range(dimensions):
        residual[f] = -residual[f]
        direction[f] = np.float32(0.0)
    for entry in entries:
        row = factors[entry]
        for f in range(dimensions):
            residual[f] += row[f]
            direction[f] += row[f]
    target = np.float32(0.0)
    energy = np.float32(0.0)
    for f in range(dimensions):
        target += direction[f] * direction[f] * reciprocal[f]
        direction[f] = residual[f] * reciprocal[f]
        energy += residual[f] * direction[f]
    target *= tolerance * tolerance
    for _ in range(steps):
        if energy <= target:
            break
        _apply(entries, factors, diagonal, direction, image)
        curvature = np.float32(0.0)
        for f in range(dimensions):
            curvature += direction[f] * image[f]
        step = energy / curvature
        renewed = np.float32(0.0)
        for f in range(dimensions):
            solution[f] += step * direction[f]
            residual[f] -= step * image[f]
            renewed += residual[f] * residual[f] * reciprocal[f]
        ratio = renewed / energy
        for f in range(dimensions):
            direction[f] = residual[f] * reciprocal[f] + ratio * direction[f]
        energy = renewed


@numba.njit(nogil=True, cache=True)
def solve_implicit_rows(
    begin: int,
    end: int,
    indptr: Int64,
    columns: Int32,
    factors: Float32,
    spectrum: Float32,
    regularisation: Float32,
    solution: Float32,
    steps: int,
    tolerance: float,
) -> None:
    """Solve rows `begin` to `end` of an implicit least-squares problem in place.

    Row r minimises the sum of (1 - w.h)^2 over its entries + the sum of spectrum_f w_f^2 over dimensions f +
    regularisation_r |w|^2, that is (diag(spectrum) + regularisation_r I + H_r^T H_r) w = H_r^T 1, where the quadratic
    form of the unobserved entries has been made diagonal by a rotation of `factors`.

    Parameters
    ----------
    indptr: int64 (rows + 1,). columns: int32 (entries,), rows of `factors`.
    factors: float32 (n, dimensions). spectrum: float32 (dimensions,). regularisation: float32 (rows,), positive.
    solution: float32 (rows, dimensions), the starting point of long rows and the result.
    steps, tolerance: limits of the conjugate gradients, which serve rows longer than `LONGEST_DUAL`.
    """
    dimensions = len(spectrum)
    diagonal = np.empty(dimensions, dtype=np.float32)
    reciprocal = np.empty(dimensions, dtype=np.float32)
    inner = np.empty((LONGEST_DUAL, LONGEST_DUAL), dtype=np.float32)
    dual = np.empty(LONGEST_DUAL, dtype=np.float32)
    residual = np.empty(dimensions, dtype=np.float32)
    direction = np.empty(dimensions, dtype=np.float32)
    image = np.empty(dimensions, dtype=np.float32)
    for row in range(begin, end):
        entries = columns[indptr[row] : indptr[row + 1]]
        if len(entries) == 0:
            solution[row] = np.float32(0.0)
            continue
        for f in range(dimensions):
            diagonal[f] = spectrum[f] + regularisation[row]
            reciprocal[f] = np.float32(1.0) / diagonal[f]
        if len(entries) <= LONGEST_DUAL:
            _dual_solution(entries, factors, reciprocal, solution[row], inner, dual)
        else:
            _conjugate_gradients(
                entries,
                factors,
                diagonal,
                reciprocal,
                solution[row],
                steps,
                tolerance,
                residual,
                direction,
                image,
            )


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def observed_errors(
    begin: int, end: int, indptr: Int64, columns: Int32, factors: Float32, solution: Float32, errors: Float64
) -> None:
    """errors[r] = sum over the entries of row r of (1 - w_r.h)^2, for rows `begin` to `end`."""
    dimensions = factors.shape[1]
    for row in range(begin, end):
        errors[row] = 0.0
        for entry in columns[indptr[row] : indptr[row + 1]]:
            score = np.float32(0.0)
            for f in range(dimensions):
                score += solution[row, f] * factors[entry, f]
            errors[row] += (1.0 - score) ** 2
