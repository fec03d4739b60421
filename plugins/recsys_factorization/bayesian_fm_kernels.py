"""Compiled kernels of the Bayesian factorisation machine: Gibbs sweeps over one side, and folding people in."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from recsys_desktop.api.dataset import Float32, Int32, Int64

_MOST_STEPS = 100
_RESTS = 1e-3
_SMALLEST = 1e-300
_ROUNDING = 1e-10


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def gather_errors(
    begin: int,
    end: int,
    indptr: Int64,
    others: Int32,
    errors: Float32,
    moved: Float32,
    previous: Float32,
    present: Float32,
    shares: Float32,
    own_previous: Float32,
    own_present: Float32,
    sums: Float32,
) -> None:
    """Take the last dimension's moves out of the errors of rows `begin` to `end` and sum up what the next one needs.

    The other side's value for a rating is its total less shares[other] * own[row], the row's own part of that total.

    Parameters
    ----------
    indptr: int64 (rows + 1,), others: int32, errors: float32: the ratings by row of this side.
    moved: float32 (rows,), by how much each row's total in the last dimension has changed; 0 before the first.
    previous, present: float32 (other rows,), the other side's totals in the last dimension and in this one.
    shares: float32 (other rows,). own_previous, own_present: float32 (rows,).
    sums: float32 (rows, 2), receives the sums of the value squared and of error times value.
    """
    for row in range(begin, end):
        squares, products = np.float32(0.0), np.float32(0.0)
        change, before, now = moved[row], own_previous[row], own_present[row]
        for at in range(indptr[row], indptr[row + 1]):
            other = others[at]
            share = shares[other]
            value = present[other] - share * now
            error = errors[at] - change * (previous[other] - share * before)
            errors[at] = error
            squares += value * value
            products += error * value
        sums[row, 0], sums[row, 1] = squares, products


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def sample_weights(
    starts: Int64,
    rows: Int32,
    values: Float32,
    groups: Int32,
    left_out: Int64,
    left_out_begin: int,
    left_out_end: int,
    others: Int32,
    present: Float32,
    errors: Float32,
    weights: Float32,
    totals: Float32,
    moved: Float32,
    sums: Float32,
    means: Float32,
    precisions: Float32,
    noise_precision: float,
    normals: Float32,
) -> None:
    """Draw the weights of all features of one side in one dimension, each from its conditional distribution.

    Parameters
    ----------
    starts: int64 (features + 1,), rows: int32, values: float32: the design matrix by feature.
    groups: int32 (features,). left_out: int64, for the design's entries of features `left_out_begin` to `left_out_end`
    the one rating of the entry's row to which the feature does not apply (an implicit set without the rating itself).
    others: int32, errors: float32, the ratings by row; present: float32 (other rows,), the other side's values.
    weights: float32 (features,), replaced. totals: float32 (rows,), the sum of weight times value of each row, kept up
    to date. moved: float32 (rows,), receives the change of totals. sums: as `gather_errors` leaves them; spent.
    means, precisions: float32 (groups,), the priors. normals: float32 (features,), standard draws.
    """
    moved[:] = np.float32(0.0)
    noise = np.float32(noise_precision)
    for feature in range(len(weights)):
        group = groups[feature]
        first, last = starts[feature], starts[feature + 1]
        leaves_out = left_out_begin <= feature < left_out_end
        skipped = starts[left_out_begin]
        squares, products = np.float32(0.0), np.float32(0.0)
        for at in range(first, last):
            row, value = rows[at], values[at]
            square, product = sums[row, 0], sums[row, 1]
            if leaves_out:
                place = left_out[at - skipped]
                other = present[others[place]]
                square -= other * other
                product -= other * (errors[place] - moved[row] * other)
            squares += value * value * square
            products += value * product
        old = weights[feature]
        precision = precisions[group] + noise * squares
        mean = (precisions[group] * means[group] + noise * (products + squares * old)) / precision
        weights[feature] = mean + normals[feature] / math.sqrt(precision)
        step = weights[feature] - old
        for at in range(first, last):
            row, change = rows[at], values[at] * step
            square = sums[row, 0]
            if leaves_out:
                place = left_out[at - skipped]
                other = present[others[place]]
                square -= other * other
                errors[place] += change * other
            totals[row] += change
            moved[row] += change
            sums[row, 1] -= change * square


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def settle_errors(
    begin: int,
    end: int,
    indptr: Int64,
    others: Int32,
    errors: Float32,
    moved: Float32,
    values: Float32,
    shares: Float32,
    own: Float32,
) -> None:
    """Take the last dimension's moves out of the errors of rows `begin` to `end`; arguments as `gather_errors`."""
    for row in range(begin, end):
        for at in range(indptr[row], indptr[row + 1]):
            other = others[at]
            errors[at] -= moved[row] * (values[other] - shares[other] * own[row])


@numba.njit(nogil=True, cache=True)
def _tail(value: float) -> float:
    """Phi(value)."""
    return 0.5 * math.erfc(-value / math.sqrt(2.0))


@numba.njit(nogil=True, cache=True)
def _density(value: float) -> float:
    return math.exp(-0.5 * value * value) / math.sqrt(2.0 * math.pi) if abs(value) < 30.0 else 0.0


@numba.njit(nogil=True, cache=True)
def level_likelihood(latent: float, lower: float, upper: float) -> tuple[float, float, float]:
    """The log of the probability that a normal value around `latent` with deviation 1 lies between `lower` and `upper`.

    With it minus its curvature and its slope by `latent`, which is the mean of such values less `latent`.
    """
    below, above = lower - latent, upper - latent
    sign = 1.0
    if below > 0.0:
        sign, below, above = -1.0, -above, -below
    mass = max(_tail(above) - _tail(below), _SMALLEST)
    under, over = _density(below), _density(above)
    shift = min(max((under - over) / mass, below), above)
    curvature = shift * shift
    if over > 0.0:
        curvature += above * over / mass
    if under > 0.0:
        curvature -= below * under / mass
    return math.log(mass), min(max(curvature, 0.0), 1.0), sign * shift


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def fold_in_draws(
    begin: int,
    end: int,
    indptr: Int64,
    columns: Int32,
    ratings: Float32,
    scales: Float32,
    samples: Float32,
    set_samples: Float32,
    offsets: Float32,
    means: Float32,
    precisions: Float32,
    noise_precisions: Float32,
    solution: Float32,
) -> None:
    """The posterior means of rows `begin` to `end`, people or items, in each sample of everything else.

    In sample s a rating is (b + v.q) + c with normal noise of precision noise_precisions[s], (c, q) being of the
    column; (b, v) is an own part with prior means[s], precisions[s], plus `offsets` plus scale times the sum of the set
    parts of the columns.

    Parameters
    ----------
    indptr: int64 (rows + 1,), columns: int32, ratings: float32, less the mean and in units of the spread.
    scales: float32 (rows,). samples: float32 (n_columns, S, 1 + factors), c and q.
    set_samples: the same shape, what a column adds to (b, v) of the rows that have it; or (n_columns, S, 0) for none.
    offsets: float32 (end - begin, S, 1 + factors), what is known beside the ratings.
    means, precisions: float32 (S, 1 + factors). noise_precisions: float32 (S,).
    solution: float32 (end - begin, S, 1 + factors), the result: (b, v).
    """
    draws, width = samples.shape[1], samples.shape[2]
    matrix = np.empty((width, width), dtype=np.float32)
    shared = np.empty(width, dtype=np.float32)
    own = np.empty(width, dtype=np.float32)
    for row in range(begin, end):
        first, last = indptr[row], indptr[row + 1]
        for draw in range(draws):
            noise = noise_precisions[draw]
            _sum_of_sets(columns, first, last, set_samples, draw, scales[row], offsets[row - begin, draw], shared)
            for f in range(width):
                own[f] = precisions[draw, f] * means[draw, f]
                for g in range(f):
                    matrix[f, g] = np.float32(0.0)
                matrix[f, f] = precisions[draw, f]
            for at in range(first, last):
                part = samples[columns[at], draw]
                known = part[0] + shared[0]
                for f in range(1, width):
                    known += shared[f] * part[f]
                target = noise * (ratings[at] - known)
                own[0] += target
                matrix[0, 0] += noise
                for f in range(1, width):
                    own[f] += target * part[f]
                    scaled = noise * part[f]
                    matrix[f, 0] += scaled
                    for g in range(1, f + 1):
                        matrix[f, g] += scaled * part[g]
            _solve(matrix, own)
            for f in range(width):
                solution[row - begin, draw, f] = own[f] + shared[f]


@numba.njit(nogil=True, cache=True, fastmath={"nsz", "arcp", "contract", "reassoc"}, error_model="numpy")
def fold_in_levels(
    begin: int,
    end: int,
    indptr: Int64,
    columns: Int32,
    levels: Int32,
    cuts: Float32,
    scales: Float32,
    samples: Float32,
    set_samples: Float32,
    offsets: Float32,
    means: Float32,
    precisions: Float32,
    solution: Float32,
) -> None:
    """The posterior modes of rows `begin` to `end` where ratings are levels of latent values; see `fold_in_draws`.

    The log posterior is concave. Newton's steps find its top, halved where they overshoot.

    Parameters
    ----------
    levels: int32, of each rating, cuts: float32 (S, levels + 1), between which its latent value lies, the first and
    last infinite; that value has noise of precision 1.
    """
    draws, width = samples.shape[1], samples.shape[2]
    matrix = np.empty((width, width))
    own, step, part = np.empty(width), np.empty(width), np.empty(width)
    shared = np.empty(width, dtype=np.float32)
    for row in range(begin, end):
        first, last = indptr[row], indptr[row + 1]
        for draw in range(draws):
            _sum_of_sets(columns, first, last, set_samples, draw, scales[row], offsets[row - begin, draw], shared)
            for f in range(width):
                own[f] = means[draw, f]
                step[f] = 0.0
            highest = -np.inf
            for _ in range(_MOST_STEPS):
                height = 0.0
                gradient = np.zeros(width)
                for f in range(width):
                    distance = own[f] - means[draw, f]
                    height -= 0.5 * precisions[draw, f] * distance * distance
                    gradient[f] = -precisions[draw, f] * distance
                    for g in range(f):
                        matrix[f, g] = 0.0
                    matrix[f, f] = precisions[draw, f]
                for at in range(first, last):
                    column = columns[at]
                    latent = samples[column, draw, 0] + own[0] + shared[0]
                    part[0] = 1.0
                    for f in range(1, width):
                        part[f] = samples[column, draw, f]
                        latent += part[f] * (own[f] + shared[f])
                    level = levels[at]
                    likelihood, curvature, slope = level_likelihood(latent, cuts[draw, level], cuts[draw, level + 1])
                    height += likelihood
                    for f in range(width):
                        gradient[f] += slope * part[f]
                        scaled = curvature * part[f]
                        for g in range(f + 1):
                            matrix[f, g] += scaled * part[g]
                if height < highest - _ROUNDING * (1.0 + abs(highest)):
                    for f in range(width):
                        step[f] *= 0.5
                        own[f] -= step[f]
                    continue
                highest = height
                moved = 0.0
                _solve(matrix, gradient)
                for f in range(width):
                    step[f] = gradient[f]
                    own[f] += step[f]
                    moved = max(moved, abs(step[f]))
                if moved < _RESTS:
                    break
            for f in range(width):
                solution[row - begin, draw, f] = own[f] + shared[f]


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def average_draws(begin: int, drawn: Float32, rotations: Float32, solution: Float32) -> None:
    """Turn levels and factors of every draw into the common frame and average them into `solution` from row `begin`.

    drawn: float32 (rows, S, 1 + factors). rotations: float32 (S, factors, factors). solution: float32 (n, 1 + factors).
    """
    rows, draws, width = drawn.shape
    for place in range(rows):
        row = begin + place
        solution[row] = np.float32(0.0)
        for draw in range(draws):
            solution[row, 0] += drawn[place, draw, 0]
            for f in range(1, width):
                value = drawn[place, draw, f]
                for g in range(width - 1):
                    solution[row, 1 + g] += value * rotations[draw, f - 1, g]
        for f in range(width):
            solution[row, f] /= draws


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _sum_of_sets(
    columns: Int32,
    first: int,
    last: int,
    set_samples: Float32,
    draw: int,
    scale: float,
    offset: Float32,
    shared: Float32,
) -> None:
    """What the set of columns adds to a row in one draw, with the row's offset: into `shared`, float32 (width,)."""
    width = len(shared)
    for f in range(width):
        shared[f] = np.float32(0.0)
    if set_samples.shape[2] > 0:
        for at in range(first, last):
            part = set_samples[columns[at], draw]
            for f in range(width):
                shared[f] += part[f]
    for f in range(width):
        shared[f] = shared[f] * scale + offset[f]


@numba.njit(nogil=True, cache=True, fastmath=True, error_model="numpy")
def _solve(matrix: npt.NDArray[Any], right: npt.NDArray[Any]) -> None:
    """Solve a positive definite system in place: `matrix` (lower triangle) becomes its root, `right` the solution."""
    width = len(right)
    for a in range(width):
        for b in range(a + 1):
            total = matrix[a, b]
            for c in range(b):
                total -= matrix[a, c] * matrix[b, c]
            matrix[a, b] = math.sqrt(total) if a == b else total / matrix[b, b]
    for a in range(width):
        total = right[a]
        for b in range(a):
            total -= matrix[a, b] * right[b]
        right[a] = total / matrix[a, a]
    for a in range(width - 1, -1, -1):
        total = right[a]
        for b in range(a + 1, width):
            total -= matrix[b, a] * right[b]
        right[a] = total / matrix[a, a]
