"""Compiled kernels of the Bayesian factorisation machine: Gibbs sweeps over one side, and folding people in."""

from __future__ import annotations

import math

import numba
import numpy as np

from recsys_desktop.api.dataset import Float32, Int32, Int64

MOST_ROUNDS = 60
"""Of expectation maximisation when a person is folded in from levels."""

_RESTS = 1e-5
_SMALLEST = 1e-300


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
def _expected_latent(latent: float, lower: float, upper: float) -> float:
    """The mean of a normal value around `latent` with deviation 1, given that it lies between `lower` and `upper`."""
    below, above = lower - latent, upper - latent
    sign = 1.0
    if below > 0.0:
        sign, below, above = -1.0, -above, -below
    mass = max(_tail(above) - _tail(below), _SMALLEST)
    shift = min(max((_density(below) - _density(above)) / mass, below), above)
    return latent + sign * shift


@numba.njit(nogil=True, cache=True, fastmath={"nsz", "arcp", "contract", "afn", "reassoc"}, error_model="numpy")
def fold_in_samples(
    begin: int,
    end: int,
    indptr: Int64,
    items: Int32,
    ratings: Float32,
    levels: Int32,
    cuts: Float32,
    scales: Float32,
    item_samples: Float32,
    set_samples: Float32,
    offsets: Float32,
    means: Float32,
    precisions: Float32,
    noise_precisions: Float32,
    rotations: Float32,
    solution: Float32,
) -> None:
    """The posterior mean of people `begin` to `end`, averaged over samples of everything but their own parameters.

    In sample s a rating is (b + v.q_i) + c_i with normal noise of precision noise_precisions[s]; (b, v) is an own part
    with prior means[s], precisions[s], plus `offsets` plus scale times the sum of the set parts of the person's items.

    Parameters
    ----------
    indptr: int64 (people + 1,), items: int32, ratings: float32, less the mean and in units of the spread.
    levels: int32, of each rating, cuts: float32 (samples, levels + 1), between which its latent value lies, the first
    and last infinite; or (samples, 0), where ratings are taken as numbers. With levels the posterior mode is found by
    expectation maximisation: latent values are replaced by their means until these rest.
    scales: float32 (people,). item_samples: float32 (n_items, samples, 1 + factors), c and q.
    set_samples: the same shape, what an item adds to (b, v) of those who have it; or (n_items, samples, 0) for nothing.
    offsets: float32 (end - begin, samples, 1 + factors), the overall level and what attributes add.
    means, precisions: float32 (samples, 1 + factors). noise_precisions: float32 (samples,).
    rotations: float32 (samples, factors, factors), into the common frame.
    solution: float32 (people, 1 + factors), the result: level and factors in the common frame.
    """
    samples, width = item_samples.shape[1], item_samples.shape[2]
    with_sets = set_samples.shape[2] > 0
    matrix = np.empty((width, width), dtype=np.float32)
    shared = np.empty(width, dtype=np.float32)
    own = np.empty(width, dtype=np.float32)
    start = np.empty(width, dtype=np.float32)
    before = np.empty(width, dtype=np.float32)
    with_levels = cuts.shape[1] > 0
    rounds = MOST_ROUNDS if with_levels else 1
    for person in range(begin, end):
        solution[person] = np.float32(0.0)
        first, last = indptr[person], indptr[person + 1]
        for sample in range(samples):
            noise = noise_precisions[sample]
            for f in range(width):
                shared[f] = np.float32(0.0)
            if with_sets:
                for at in range(first, last):
                    part = set_samples[items[at], sample]
                    for f in range(width):
                        shared[f] += part[f]
            for f in range(width):
                shared[f] = shared[f] * scales[person] + offsets[person - begin, sample, f]
                start[f] = precisions[sample, f] * means[sample, f]
                own[f] = means[sample, f]
                for g in range(f):
                    matrix[f, g] = np.float32(0.0)
                matrix[f, f] = precisions[sample, f]
            for at in range(first, last):
                part = item_samples[items[at], sample]
                matrix[0, 0] += noise
                for f in range(1, width):
                    scaled = noise * part[f]
                    matrix[f, 0] += scaled
                    for g in range(1, f + 1):
                        matrix[f, g] += scaled * part[g]
            for a in range(width):
                for b in range(a + 1):
                    total = matrix[a, b]
                    for c in range(b):
                        total -= matrix[a, c] * matrix[b, c]
                    matrix[a, b] = math.sqrt(total) if a == b else total / matrix[b, b]
            for _ in range(rounds):
                for f in range(width):
                    before[f] = own[f]
                    own[f] = start[f]
                for at in range(first, last):
                    part = item_samples[items[at], sample]
                    known = part[0] + shared[0]
                    for f in range(1, width):
                        known += shared[f] * part[f]
                    if with_levels:
                        latent = known + before[0]
                        for f in range(1, width):
                            latent += before[f] * part[f]
                        level = levels[at]
                        rating = np.float32(_expected_latent(latent, cuts[sample, level], cuts[sample, level + 1]))
                    else:
                        rating = ratings[at]
                    target = noise * (rating - known)
                    own[0] += target
                    for f in range(1, width):
                        own[f] += target * part[f]
                for a in range(width):
                    total = own[a]
                    for b in range(a):
                        total -= matrix[a, b] * own[b]
                    own[a] = total / matrix[a, a]
                for a in range(width - 1, -1, -1):
                    total = own[a]
                    for b in range(a + 1, width):
                        total -= matrix[b, a] * own[b]
                    own[a] = total / matrix[a, a]
                moved = np.float32(0.0)
                for f in range(width):
                    moved = max(moved, abs(own[f] - before[f]))
                if moved < np.float32(_RESTS):
                    break
            solution[person, 0] += own[0] + shared[0]
            for f in range(1, width):
                value = own[f] + shared[f]
                for g in range(width - 1):
                    solution[person, 1 + g] += value * rotations[sample, f - 1, g]
        for f in range(width):
            solution[person, f] /= samples
