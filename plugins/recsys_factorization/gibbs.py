"""Gibbs sampler of a factorisation machine whose features belong to a user side or an item side."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_desktop.api import RunContext
from recsys_desktop.api.dataset import Float32
from recsys_desktop.toolkit.parallel import in_blocks
from recsys_desktop.toolkit.products import SparseRows
from recsys_factorization.arrays import Float64
from recsys_factorization.bayesian_fm_kernels import gather_errors, sample_weights, settle_errors

_ROWS_PER_BLOCK = 32_768
_INITIAL_DEVIATION = 0.1


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
        self.weights *= np.float32(_INITIAL_DEVIATION)
        self.weights[0] = 0
        self.totals = np.ascontiguousarray((design.tocsr() @ self.weights.T).T, dtype=np.float32)
        self.means = np.zeros((1 + factors, len(blocks)), dtype=np.float32)
        self.precisions = np.ones((1 + factors, len(blocks)), dtype=np.float32)
        self.moved = np.zeros(design.shape[0], dtype=np.float32)
        self.sums = np.zeros((design.shape[0], 2), dtype=np.float32)

    def sample_priors(self, generator: np.random.Generator) -> None:
        """Draw mean and precision of every block and dimension, with the hyperpriors of Rendle 2012, section 4.3."""
        for place, block in enumerate(self.blocks):
            weights = self.weights[:, block].astype(np.float64)
            n = weights.shape[1]
            mean = self.means[:, place].astype(np.float64)
            spread = np.square(weights - mean[:, None]).sum(axis=1) + np.square(mean)
            precision = generator.gamma((2 + n) / 2, size=len(mean)) / ((1 + spread) / 2)
            deviation = generator.standard_normal(len(mean)) / np.sqrt((n + 1) * precision)
            self.precisions[:, place] = precision
            self.means[:, place] = weights.sum(axis=1) / (n + 1) + deviation

    def sample(
        self,
        errors: SparseRows,
        others: Float32,
        noise_precision: float,
        generator: np.random.Generator,
        run: RunContext,
    ) -> None:
        """Draw all weights, dimension by dimension.

        errors: rating less prediction, by row of this side; kept up to date. others: float32 (1 + factors, other rows),
        the totals of the other side, of which row 0 is not read.
        """
        indptr, columns, data = errors
        ones = np.ones(others.shape[1], dtype=np.float32)
        previous = present = ones
        for dimension in range(len(self.weights)):
            previous, present = present, others[dimension] if dimension else ones
            last, this, first = previous, present, dimension == 0
            in_blocks(
                lambda begin, end, last=last, this=this, first=first: gather_errors(  # type: ignore[misc]
                    begin, end, indptr, columns, data, self.moved, last, this, self.sums, first
                ),
                errors.n_rows,
                _ROWS_PER_BLOCK,
                run.threads,
            )
            sample_weights(
                self.starts,
                self.rows,
                self.values,
                self.groups,
                self.weights[dimension],
                self.totals[dimension],
                self.moved,
                self.sums,
                self.means[dimension],
                self.precisions[dimension],
                noise_precision,
                generator.standard_normal(len(self.groups), dtype=np.float32),
            )
        in_blocks(
            lambda begin, end: settle_errors(begin, end, indptr, columns, data, self.moved, present),
            errors.n_rows,
            _ROWS_PER_BLOCK,
            run.threads,
        )


class GibbsSampler:
    """Draws of level, weights, priors and noise of a bipartite factorisation machine, one sweep at a time.

    users, items: the present draw of both sides. level, noise_precision: floats.
    """

    def __init__(self, ratings: SparseRows, users: Design, items: Design, generator: np.random.Generator) -> None:
        """ratings: by user, less their mean and in units of their spread."""
        self.users, self.items = users, items
        self.level = 0.0
        self.noise_precision = 1.0
        self._generator = generator
        n_items = items.totals.shape[1]
        owners = np.repeat(np.arange(ratings.n_rows), np.diff(ratings.indptr))
        self._to_items = np.argsort(ratings.indices, kind="stable")
        counts = np.bincount(ratings.indices, minlength=n_items)
        errors = ratings.data - users.totals[0, owners] - items.totals[0, ratings.indices]
        for user, item in zip(users.totals[1:], items.totals[1:], strict=True):
            errors -= user[owners] * item[ratings.indices]
        self._by_user = SparseRows(ratings.indptr, ratings.indices, errors)
        self._by_item = SparseRows(
            np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
            owners[self._to_items].astype(np.int32),
            np.empty_like(errors),
        )

    def sweep(self, run: RunContext) -> float:
        """Draw everything once; the root mean squared error of the training ratings under the new draw."""
        generator, errors = self._generator, self._by_user.data
        n = len(errors)
        squared = float(np.square(errors, dtype=np.float64).sum())
        self.noise_precision = float(generator.gamma((1 + n) / 2) / ((1 + squared) / 2))
        self.users.sample_priors(generator)
        self.items.sample_priors(generator)
        precision = n * self.noise_precision + 1
        mean = self.noise_precision * (float(errors.sum(dtype=np.float64)) + n * self.level) / precision
        level = mean + float(generator.standard_normal()) / np.sqrt(precision)
        errors -= np.float32(level - self.level)
        self.level = float(level)
        self.users.sample(self._by_user, self.items.totals, self.noise_precision, generator, run)
        np.take(errors, self._to_items, out=self._by_item.data)
        self.items.sample(self._by_item, self.users.totals, self.noise_precision, generator, run)
        errors[self._to_items] = self._by_item.data
        return float(np.sqrt(np.square(errors, dtype=np.float64).mean()))


def aligned(factors: npt.NDArray[Any], reference: npt.NDArray[Any], weights: npt.NDArray[Any]) -> Float64:
    """The rotation that turns `factors` nearest to `reference`: float64 (dimensions, dimensions).

    Orthogonal Procrustes: R minimises sum over rows of weight |factors R - reference|^2.
    """
    left, _, right = np.linalg.svd((factors * weights[:, None]).T.astype(np.float64) @ reference)
    rotation: Float64 = left @ right
    return rotation
