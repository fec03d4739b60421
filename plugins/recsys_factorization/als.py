"""Alternating least squares on ratings, with biases."""

from __future__ import annotations

import numpy as np

from recsys_desktop.api import Dataset, DataShape, Forecast, RunContext
from recsys_desktop.api.dataset import Float32
from recsys_desktop.toolkit.parallel import in_blocks
from recsys_desktop.toolkit.products import SparseRows
from recsys_factorization.plugin import ALS, ALSParams
from recsys_factorization.rehearsal import compile_kernels
from recsys_factorization.ridge_recommender import ROWS_PER_BLOCK, RidgeRecommender, with_constant

_ERROR_BLOCK = 1 << 13


class ExplicitALS(RidgeRecommender):
    """Alternating least squares with weighted regularisation (Zhou, Wilkinson, Schreiber, Pan 2008), with biases.

    A rating r_ui is about mean + spread (b_u + b_i + p_u.q_i). Each half sweep solves (b_u, p_u) of every person, or
    (b_i, q_i) of every item, exactly, the other side held fixed; the objective is the squared errors in units of the
    spread + sum_u ((regularisation n_u + factor_shrinkage) |p_u|^2 + bias_shrinkage b_u^2) + the same for items, n
    being the number of ratings. It needs no learning rate and its result does not depend on the number of threads. How
    people are folded in is told of the base class.

    Fitted state: that of the base class.
    """

    spec = ALS
    params: ALSParams

    def estimate(self, shape: DataShape) -> Forecast:
        """Forecast; see the base class."""
        rows, factors, ratings = shape.n_users + shape.n_items, self.params.factors, shape.n_interactions
        memory = 48 * ratings + 12 * rows * factors + 40 * rows + (4 << 20)
        operations = self.params.iterations * (2.0 * ratings * factors**2 + rows * factors**3 / 3)
        return Forecast(int(memory), 0.1 + operations / 6e9, cheaper="svd")

    def _fit(self, train: Dataset, run: RunContext) -> None:
        compile_kernels(self, run)
        by_user = self._begin(train)
        by_item = by_user.transposed(train.n_items)
        deviations = (by_item.data - np.float32(self.mean_)) / np.float32(self.spread_)
        factors = self.params.factors
        self.item_factors_ = self._initial_factors(train.n_items, run.generator(self.spec.id))
        self.item_factors_[~self.known_items_] = 0
        self.item_biases_ = np.zeros(train.n_items, dtype=np.float32)
        of_users, of_items = self._penalty(train.user_counts), self._penalty(train.item_counts)
        people = np.zeros((train.n_users, factors + 1), dtype=np.float32)
        things = np.zeros((train.n_items, factors + 1), dtype=np.float32)
        for sweep in range(self.params.iterations):
            rows = by_user._replace(data=self._deviations(by_user))
            if not self._half(rows, self.item_factors_, of_users, people, run, 2 * sweep):
                break
            run.log(sweep + 1, loss=self._error(rows, people))
            self._hold_people(people)
            rows = by_item._replace(data=deviations - self.user_biases_[by_item.indices])
            if not self._half(rows, self.user_factors_, of_items, things, run, 2 * sweep + 1):
                break
            self.item_biases_, self.item_factors_ = things[:, 0].copy(), things[:, 1:].copy()
        self._finish(run)

    def _initial_factors(self, n_items: int, generator: np.random.Generator) -> Float32:
        """Where the items start: float32 (n_items, factors)."""
        factors = generator.standard_normal((n_items, self.params.factors), dtype=np.float32)
        factors *= np.float32(0.1 / np.sqrt(self.params.factors))
        return factors

    def _half(
        self, rows: SparseRows, fixed: Float32, penalty: Float32, solution: Float32, run: RunContext, done: int
    ) -> bool:
        """Solve one side into `solution`; False when the person asked to stop."""
        features = with_constant(fixed)
        halves = 2 * self.params.iterations
        return in_blocks(
            lambda begin, end: self.solver(begin, end, *rows, features, penalty, solution),
            rows.n_rows,
            ROWS_PER_BLOCK,
            run.threads,
            should_stop=lambda: run.should_stop,
            progress=lambda share: run.progress((done + share) / halves, f"sweep {done // 2 + 1}"),
        )

    def _error(self, rows: SparseRows, people: Float32) -> float:
        """The root mean squared error on the training ratings, in rating units, of freshly solved people."""
        owners = np.repeat(np.arange(rows.n_rows), np.diff(rows.indptr))
        squared = 0.0
        for begin in range(0, len(owners), _ERROR_BLOCK):
            part = slice(begin, begin + _ERROR_BLOCK)
            own, other = people[owners[part]], self.item_factors_[rows.indices[part]]
            errors = rows.data[part] - own[:, 0] - np.einsum("nf,nf->n", own[:, 1:], other)
            squared += float(np.square(errors).sum(dtype=np.float64))
        return self.spread_ * float(np.sqrt(squared / len(owners)))
