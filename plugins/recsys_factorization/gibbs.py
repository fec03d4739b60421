"""Gibbs sampler of a factorisation machine whose features belong to a user side or an item side."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recsys_desktop.api import RunContext
from recsys_desktop.api.dataset import Float32, Int64
from recsys_desktop.toolkit.parallel import in_blocks
from recsys_desktop.toolkit.products import SparseRows
from recsys_factorization.arrays import Float64
from recsys_factorization.bayesian_fm_kernels import gather_errors, sample_weights, settle_errors
from recsys_factorization.ordered_probit import OrderedProbit

_ROWS_PER_BLOCK = 32_768
# Sweeps narrow a spread of levels that is too wide at once, but widen one that is too narrow only little by little.
_INITIAL_DEVIATIONS = (0.3, 0.1)
_SQUARES_AT_FIRST = 1.0
_SQUARES = 0.1


class Design:
    """The features of all users, or of all items, and the present draw of their weights.

    blocks: slices of features, each with priors of its own. weights: float32 (1 + factors, features); row 0 is the
    linear part. totals: float32 (1 + factors, rows), the sums of weight times value. means, precisions: float32
    (1 + factors, blocks), the priors.
    """

    def __init__(self, blocks: list[Any], factors: int, generator: np.random.Generator) -> None:
        """blocks: sparse matrices (rows, features of the block)."""
        from scipy.sparse import hstack

        design = hstack(blocks, format="csc", dtype=np.float32)
        self.starts = design.indptr.astype(np.int64)
        self.rows = design.indices.astype(np.int32)
        self.values = design.data
        bounds = np.cumsum([0, *(block.shape[1] for block in blocks)])
        self.blocks = [slice(int(begin), int(end)) for begin, end in pairwise(bounds)]
        self.groups = np.repeat(np.arange(len(blocks), dtype=np.int32), np.diff(bounds))
        self.weights = generator.standard_normal((1 + factors, design.shape[1]), dtype=np.float32)
        of_levels, of_factors = _INITIAL_DEVIATIONS
        self.weights[0] *= np.float32(of_levels)
        self.weights[1:] *= np.float32(of_factors)
        self.totals = np.ascontiguousarray((design.tocsr() @ self.weights.T).T, dtype=np.float32)
        self.means = np.zeros((1 + factors, len(blocks)), dtype=np.float32)
        self.precisions = np.ones((1 + factors, len(blocks)), dtype=np.float32)
        self.moved = np.zeros(design.shape[0], dtype=np.float32)
        self.sums = np.zeros((design.shape[0], 2), dtype=np.float32)

    def sample_priors(self, generator: np.random.Generator, squares: float) -> None:
        """Draw mean and precision of every block and dimension, with the hyperpriors of Rendle 2012, section 4.3.

        squares: the precision is as if one more weight had been seen whose square is this.
        """
        for place, block in enumerate(self.blocks):
            weights = self.weights[:, block].astype(np.float64)
            n = weights.shape[1]
            mean = self.means[:, place].astype(np.float64)
            spread = np.square(weights - mean[:, None]).sum(axis=1) + np.square(mean)
            precision = generator.gamma((2 + n) / 2, size=len(mean)) / ((squares + spread) / 2)
            deviation = generator.standard_normal(len(mean)) / np.sqrt((n + 1) * precision)
            self.precisions[:, place] = precision
            self.means[:, place] = weights.sum(axis=1) / (n + 1) + deviation


class LeftOut(NamedTuple):
    """The features of one side that do not apply to every rating of their rows.

    features: their slice. ratings: int64, for each of their entries in the design the rating left out, a place among
    the ratings by row of this side.
    """

    features: slice
    ratings: Int64


class GibbsSampler:
    """Draws of level, weights, priors and noise of a bipartite factorisation machine, one sweep at a time.

    The set of users who have rated an item leaves out the user whose rating is in question: with it, a person's
    contribution to the sets would learn their own ratings, which it cannot tell of an item that they have yet to rate.

    With an ordered probit link the ratings are latent values, which are drawn too; their noise has precision 1 and the
    level is part of the cut points.

    users, items: the present draw of both sides. level, noise_precision: floats.
    """

    def __init__(
        self,
        ratings: SparseRows,
        users: Design,
        items: Design,
        generator: np.random.Generator,
        user_sets: slice | None = None,
        probit: OrderedProbit | None = None,
    ) -> None:
        """ratings: by user, less their mean and in units of their spread, or first latent values.

        user_sets: the features of `items` that are the sets of users, one for each user with ratings, in their order;
        each counts 1 / sqrt(size of the set). probit: the link, where ratings are levels.
        """
        self.users, self.items = users, items
        self.level = 0.0
        self.noise_precision = 1.0
        self._generator = generator
        self._probit = probit
        self._latent = ratings.data
        n_items = items.totals.shape[1]
        owners = np.repeat(np.arange(ratings.n_rows), np.diff(ratings.indptr))
        self._to_items = np.argsort(ratings.indices, kind="stable")
        counts = np.bincount(ratings.indices, minlength=n_items)
        nothing = slice(0, 0)
        self._left_out = LeftOut(nothing, np.empty(0, dtype=np.int64))
        self._shares = np.zeros(n_items, dtype=np.float32)
        self._raters = np.diff(ratings.indptr) > 0
        if user_sets is not None:
            places = np.empty(len(self._to_items), dtype=np.int64)
            places[self._to_items] = np.arange(len(places))
            self._left_out = LeftOut(user_sets, places)
            self._shares[counts > 0] = 1 / np.sqrt(counts[counts > 0])
        own = self._own_parts()
        shares = self._shares[ratings.indices]
        errors = ratings.data - users.totals[0, owners] - items.totals[0, ratings.indices] + shares * own[0, owners]
        for user, item, part in zip(users.totals[1:], items.totals[1:], own[1:], strict=True):
            errors -= user[owners] * (item[ratings.indices] - shares * part[owners])
        self._by_user = SparseRows(ratings.indptr, ratings.indices, errors)
        self._by_item = SparseRows(
            np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
            owners[self._to_items].astype(np.int32),
            np.empty_like(errors),
        )

    def sweep(self, run: RunContext, burning_in: bool = False) -> float:
        """Draw everything once; the root mean squared error of the training ratings under the new draw.

        The hyperpriors add a square of 0.1, where Rendle has 1: with few people and items that is most of what a block
        is told. During the burn-in it is 1, lest factors vanish before they have found anything.
        """
        generator, errors = self._generator, self._by_user.data
        if self._probit is None:
            self._sample_noise_and_level(errors)
        else:
            self._sample_latent(self._probit, errors)
        squares = _SQUARES_AT_FIRST if burning_in else _SQUARES
        self.users.sample_priors(generator, squares)
        self.items.sample_priors(generator, squares)
        nothing = LeftOut(slice(0, 0), np.empty(0, dtype=np.int64))
        self._sample(self.users, self._by_user, self.items.totals, self._shares, self._own_parts(), nothing, run)
        np.take(errors, self._to_items, out=self._by_item.data)
        no_shares = np.zeros(self.users.totals.shape[1], dtype=np.float32)
        no_parts = np.zeros_like(self.items.totals)
        self._sample(self.items, self._by_item, self.users.totals, no_shares, no_parts, self._left_out, run)
        errors[self._to_items] = self._by_item.data
        return float(np.sqrt(np.square(errors, dtype=np.float64).mean()))

    def _sample_noise_and_level(self, errors: Float32) -> None:
        generator, n = self._generator, len(errors)
        squared = float(np.square(errors, dtype=np.float64).sum())
        self.noise_precision = float(generator.gamma((1 + n) / 2) / ((1 + squared) / 2))
        precision = n * self.noise_precision + 1
        mean = self.noise_precision * (float(errors.sum(dtype=np.float64)) + n * self.level) / precision
        level = mean + float(generator.standard_normal()) / np.sqrt(precision)
        errors -= np.float32(level - self.level)
        self.level = float(level)

    def _sample_latent(self, probit: OrderedProbit, errors: Float32) -> None:
        predictions = self._latent - errors
        probit.sample_cuts(predictions, self._generator)
        self._latent = probit.sample_latent(predictions, self._generator)
        errors[:] = self._latent - predictions

    @property
    def cuts(self) -> Float64:
        """The present draw of the cut points, empty where ratings are numbers."""
        return np.empty(0) if self._probit is None else self._probit.cuts

    def user_set_parts(self) -> Float32:
        """What the sets of users add to the totals of items: float32 (n_items, 1 + factors)."""
        own = self._own_parts()
        sums = np.empty((self.items.totals.shape[1], len(own)), dtype=np.float32)
        for dimension, part in enumerate(own):
            values = np.append(part[self._by_item.indices], np.float32(0))
            sums[:, dimension] = np.add.reduceat(values, self._by_item.indptr[:-1])
        sums[np.diff(self._by_item.indptr) == 0] = 0
        return sums * self._shares[:, None]

    def _own_parts(self) -> Float32:
        """What users add to the totals of items they have rated, before the share: float32 (1 + factors, n_users)."""
        own = np.zeros_like(self.users.totals)
        if len(self._left_out.ratings):
            own[:, self._raters] = self.items.weights[:, self._left_out.features]
        return own

    def _sample(
        self,
        side: Design,
        ratings: SparseRows,
        others: Float32,
        shares: Float32,
        own: Float32,
        left_out: LeftOut,
        run: RunContext,
    ) -> None:
        """Draw all weights of one side, dimension by dimension.

        ratings: the errors, by row of this side; kept up to date. others: float32 (1 + factors, other rows), the totals
        of the other side; in the linear dimension they count 1. shares: float32 (other rows,), own: float32
        (1 + factors, rows): see `gather_errors`.
        """
        indptr, columns, errors = ratings
        rows = ratings.n_rows
        ones, zeros = np.ones(others.shape[1], dtype=np.float32), np.zeros(rows, dtype=np.float32)
        values, parts = [ones, *others[1:]], [zeros, *own[1:]]
        side.moved[:] = 0
        for dimension in range(len(side.weights)):
            before = max(dimension - 1, 0)
            steps = (values[before], values[dimension], shares, parts[before], parts[dimension], side.sums)
            in_blocks(
                lambda begin, end, steps=steps: gather_errors(begin, end, indptr, columns, errors, side.moved, *steps),  # type: ignore[misc]
                rows,
                _ROWS_PER_BLOCK,
                run.threads,
            )
            sample_weights(
                side.starts,
                side.rows,
                side.values,
                side.groups,
                left_out.ratings,
                left_out.features.start,
                left_out.features.stop,
                columns,
                values[dimension],
                errors,
                side.weights[dimension],
                side.totals[dimension],
                side.moved,
                side.sums,
                side.means[dimension],
                side.precisions[dimension],
                self.noise_precision,
                self._generator.standard_normal(len(side.groups), dtype=np.float32),
            )
        in_blocks(
            lambda begin, end: settle_errors(
                begin, end, indptr, columns, errors, side.moved, values[-1], shares, parts[-1]
            ),
            rows,
            _ROWS_PER_BLOCK,
            run.threads,
        )


def aligned(factors: npt.NDArray[Any], reference: npt.NDArray[Any], weights: npt.NDArray[Any]) -> Float64:
    """The rotation that turns `factors` nearest to `reference`: float64 (dimensions, dimensions).

    Orthogonal Procrustes: R minimises sum over rows of weight |factors R - reference|^2.
    """
    left, _, right = np.linalg.svd((factors * weights[:, None]).T.astype(np.float64) @ reference)
    rotation: Float64 = left @ right
    return rotation
