"""Biased, regularised SVD of ratings by stochastic gradient descent."""

from __future__ import annotations

import numpy as np

from recsys_desktop.api import Dataset, DataShape, Forecast, RunContext
from recsys_factorization.plugin import SVD, SVDParams
from recsys_factorization.rehearsal import compile_kernels
from recsys_factorization.ridge_recommender import RidgeRecommender
from recsys_factorization.sgd_kernels import descend_on_ratings

_RATINGS_PER_CALL = 200_000
_INITIAL_LENGTH = 0.1


class BiasedSVD(RidgeRecommender):
    """Matrix factorisation with biases (Koren, Bell, Volinsky 2009, "Matrix Factorization Techniques", equation 4).

    A rating r_ui is about mean + spread (b_u + b_i + p_u.q_i). Stochastic gradient descent over the ratings in a random
    order, with a step that falls linearly to 0 over the epochs, minimises the squared errors in units of the spread +
    sum_u ((regularisation n_u + factor_shrinkage) |p_u|^2 + bias_shrinkage b_u^2) + the same for items, n being the
    number of ratings; the unit makes one default serve scales of five stars and of ten points. People are then folded
    in by ridge regression, which is the exact minimum for them (see the base class).

    Fitted state: that of the base class.
    """

    spec = SVD
    params: SVDParams

    def estimate(self, shape: DataShape) -> Forecast:
        """Forecast; see the base class."""
        rows, factors, ratings = shape.n_users + shape.n_items, self.params.factors, shape.n_interactions
        memory = 38 * ratings + 10 * rows * factors + 40 * rows + (2 << 20)
        return Forecast(int(memory), 0.1 + self.params.epochs * ratings * (factors + 20) / 1.2e9, cheaper="bias")

    def _fit(self, train: Dataset, run: RunContext) -> None:
        compile_kernels(self, run)
        rated = self._begin(train)
        generator = run.generator("svd")
        order = generator.permutation(len(rated.indices))
        users = np.repeat(np.arange(train.n_users, dtype=np.int32), np.diff(rated.indptr))[order]
        items = rated.indices[order]
        targets = ((rated.data - np.float32(self.mean_)) / np.float32(self.spread_))[order]
        del order
        factors = self.params.factors
        length = np.float32(_INITIAL_LENGTH / np.sqrt(factors))
        self.user_factors_ = generator.standard_normal((train.n_users, factors), dtype=np.float32) * length
        self.item_factors_ = generator.standard_normal((train.n_items, factors), dtype=np.float32) * length
        self.item_factors_[~self.known_items_] = 0
        self.user_biases_ = np.zeros(train.n_users, dtype=np.float32)
        self.item_biases_ = np.zeros(train.n_items, dtype=np.float32)
        user_penalty = self._penalty_per_rating(train.user_counts)
        item_penalty = self._penalty_per_rating(train.item_counts)
        for epoch in range(self.params.epochs):
            rate = self.params.learning_rate * (1 - epoch / self.params.epochs)
            squared = 0.0
            for begin in range(0, len(targets), _RATINGS_PER_CALL):
                if run.should_stop:
                    break
                end = min(begin + _RATINGS_PER_CALL, len(targets))
                run.progress((epoch + begin / len(targets)) / self.params.epochs, f"epoch {epoch + 1}")
                squared += descend_on_ratings(
                    begin,
                    end,
                    users,
                    items,
                    targets,
                    self.user_biases_,
                    self.item_biases_,
                    self.user_factors_,
                    self.item_factors_,
                    user_penalty,
                    item_penalty,
                    rate,
                )
            if run.should_stop:
                break
            self._log_loss(run, epoch, squared / len(targets))
        self._finish(run)
