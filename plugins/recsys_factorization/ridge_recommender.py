"""RidgeRecommender: what the rating factorisations share whose people are folded in by ridge regression."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from recsys_desktop.api import (
    Contribution,
    Dataset,
    Explanation,
    Query,
    Recommender,
    RunContext,
    Source,
)
from recsys_desktop.api.dataset import Bool, Float32, Int32, Int64
from recsys_desktop.api.state_checks import require_array, require_rows
from recsys_desktop.toolkit.parallel import in_blocks
from recsys_desktop.toolkit.products import SparseRows
from recsys_factorization.arrays import Float64, known_ratings, lengthened, merged, rows_of_columns
from recsys_factorization.divergence import require_converging
from recsys_factorization.ridge_kernels import solve_ridge_rows

ROWS_PER_BLOCK = 512


class RidgeRecommender(Recommender):
    """A rating is mean + spread (b_u + b_i + p_u.q_i), with (b_u, p_u) by ridge regression on the person's history.

    With x_i = (1, q_i) and y_i = (rating - mean) / spread - b_i over the n known items of a history, (b_u, p_u) = w
    minimises sum (y_i - w.x_i)^2 + bias_shrinkage b_u^2 + (regularisation n + factor_shrinkage) |p_u|^2: exactly the
    objective of the training for this person, the items held fixed. So a person is their history.

    Fitted state: mean_, spread_ (rating units); item_biases_ float32 (n_items,) and item_factors_ float32 (n_items,
    factors), user_biases_ and user_factors_ likewise, in units of the spread; rated_indptr_, rated_items_, ratings_:
    the training ratings by user.
    """

    # A `_fit` calls `_begin`, sets `item_biases_` and `item_factors_`, and calls `_finish`.

    solver: ClassVar[Any] = staticmethod(solve_ridge_rows)
    """The kernel that solves one side: of the signature, and for the objective, of `solve_ridge_rows`."""

    mean_: float
    spread_: float
    item_biases_: Float32
    item_factors_: Float32
    user_biases_: Float32
    user_factors_: Float32
    rated_indptr_: Int64
    rated_items_: Int32
    ratings_: Float32

    def check_state(self) -> None:
        """As `Recommender.check_state`."""
        super().check_state()
        users, factors = len(self.known_users_), self.params.factors
        require_array("item_biases_", self.item_biases_, (self.n_items,), np.float32)
        require_array("item_factors_", self.item_factors_, (self.n_items, factors), np.float32)
        require_array("user_biases_", self.user_biases_, (users,), np.float32)
        require_array("user_factors_", self.user_factors_, (users, factors), np.float32)
        names = ("rated_indptr_", "rated_items_")
        require_rows(names, self.rated_indptr_, self.rated_items_, users, self.n_items)
        require_array("ratings_", self.ratings_, self.rated_items_.shape, np.float32)

    @property
    def _rated(self) -> SparseRows:
        """The training ratings by user."""
        return SparseRows(self.rated_indptr_, self.rated_items_, self.ratings_)

    def _begin(self, train: Dataset) -> SparseRows:
        """Set the mean, the spread and the training ratings; the latter are returned."""
        rated = SparseRows.of(train.matrix("rating"))
        self.mean_ = float(rated.data.mean(dtype=np.float64))
        self.spread_ = float(rated.data.std(dtype=np.float64)) or 1.0
        self.rated_indptr_, self.rated_items_, self.ratings_ = rated
        return rated

    def _finish(self, run: RunContext) -> None:
        """Fold in the people of the training data."""
        self._hold_people(self._solve_people(self._rated, run.threads))

    def _hold_people(self, solution: Float32) -> None:
        self.user_biases_, self.user_factors_ = solution[:, 0].copy(), solution[:, 1:].copy()

    def _penalty(self, lengths: npt.NDArray[Any]) -> Float32:
        """float32 (rows, 2): the penalty of the bias and of the factors for rows of this many ratings."""
        penalty = np.empty((len(lengths), 2), dtype=np.float32)
        penalty[:, 0] = self.params.bias_shrinkage
        penalty[:, 1] = self.params.regularisation * lengths + self.params.factor_shrinkage
        return penalty

    def _penalty_per_rating(self, counts: Int64) -> Float32:
        """The penalty of each row, divided among its ratings: float32 (rows, 2)."""
        penalty: Float32 = self._penalty(counts) / np.maximum(counts, 1).astype(np.float32)[:, None]
        return penalty

    def _log_loss(self, run: RunContext, epoch: int, squared: float) -> None:
        """Log the root of a mean squared error in units of the spread, in rating units.

        Raises
        ------
        CannotFit: it is not finite.
        """
        loss = self.spread_ * float(np.sqrt(squared))
        require_converging(loss)
        run.log(epoch + 1, loss=loss)

    def _deviations(self, rated: SparseRows) -> Float32:
        """float32 (entries,): the ratings in units of the spread, less mean and item bias."""
        deviations: Float32 = ((rated.data - self.mean_) / self.spread_).astype(np.float32)
        deviations -= self.item_biases_[rated.indices]
        return deviations

    def _solve_people(self, rated: SparseRows, threads: int = 1) -> Float32:
        """(b_u, p_u) of people with these ratings of known items: float32 (n, 1 + factors)."""
        return ridge_solutions(
            rated._replace(data=self._deviations(rated)),
            with_constant(self.item_factors_),
            self._penalty(np.diff(rated.indptr)),
            threads,
            self.solver,
        )

    def _histories(self, query: Query) -> SparseRows:
        """The ratings that the people of a query gave to items that the model knows."""
        return known_ratings(query, self.known_items_)

    def _serves(self, query: Query) -> Bool:
        return np.diff(known_ratings(query, self.known_items_).indptr) > 0

    def predictable_items(self) -> Bool:
        """All: an item without ratings is taken to be an average one."""
        return np.ones(self.n_items, dtype=np.bool_)

    def _score(self, query: Query, items: Int32 | None) -> Float32:
        return self._scores(self._histories(query), items)

    def _scores(self, rated: SparseRows, items: Int32 | None) -> Float32:
        """Of people with these ratings of known items: float32 (n, n_items) or (n, len(items))."""
        people = self._solve_people(rated)
        people *= np.float32(self.spread_)
        factors, biases = self.item_factors_, self.item_biases_
        if items is not None:
            factors, biases = factors[items], biases[items]
        scores: Float32 = people[:, 1:] @ factors.T
        scores += people[:, :1]
        scores += np.float32(self.mean_) + np.float32(self.spread_) * biases
        return scores

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        return self._explanations(self._histories(query), items, scores)

    def _explanations(self, rated: SparseRows, items: Int32, scores: Float32) -> list[Explanation]:
        """score_j = base_j + sum over the history i of x_j^T A^-1 x_i y_i, A being the person's own ridge matrix."""
        parts = self.spread_ * self._contributions(rated, items)
        codes = rated.indices.tolist()
        return [
            Explanation.of(
                int(item),
                float(score),
                [Contribution(Source.HISTORY, float(value), code) for value, code in zip(part, codes, strict=True)],
                base=self.mean_ + self.spread_ * float(self.item_biases_[item]),
                additive=True,
                faithful_to_removal=False,
                method="closed form of the person's own ridge regression; the base is the mean and the item's bias",
            )
            for item, score, part in zip(items, scores, parts, strict=True)
        ]

    def _contributions(self, rated: SparseRows, items: Int32) -> Float64:
        """What each rating of one person adds to b_u + p_u.q_j: float64 (items, ratings), in units of the spread."""
        return ridge_contributions(
            with_constant(self.item_factors_[rated.indices]),
            self._deviations(rated),
            self._penalty(np.diff(rated.indptr))[0],
            with_constant(self.item_factors_[items]),
        )

    def item_embeddings(self) -> Float32:
        """float32 (n_items, factors); NaN for items without ratings."""
        embeddings: Float32 = np.where(self.known_items_[:, None], self.item_factors_, np.float32(np.nan))
        return embeddings

    def user_embeddings(self) -> Float32:
        """float32 (n_users, factors), folded in from the training ratings; NaN for users without any."""
        embeddings: Float32 = np.where(self.known_users_[:, None], self.user_factors_, np.float32(np.nan))
        return embeddings

    def _updated(self, additions: Dataset) -> None:
        """Solve the people and items of the new ratings again by ridge regression, the others held fixed."""
        self.item_biases_ = lengthened(self.item_biases_, additions.n_items)
        self.item_factors_ = lengthened(self.item_factors_, additions.n_items)
        self.user_biases_ = lengthened(self.user_biases_, additions.n_users)
        self.user_factors_ = lengthened(self.user_factors_, additions.n_users)
        new = self._ratings_of(additions)
        rated = merged(self._rated, new)
        self.rated_indptr_, self.rated_items_, self.ratings_ = rated
        users = np.flatnonzero(np.diff(new.indptr) > 0)
        items = np.unique(new.indices)
        self._refold(users, rated)
        self._solve_items(items, rated)
        self._refold(users, rated)

    def _ratings_of(self, additions: Dataset) -> SparseRows:
        """The ratings of new interactions, as `_rated` holds the old ones."""
        return SparseRows.of(additions.matrix("rating"))

    def _refold(self, users: npt.NDArray[Any], rated: SparseRows) -> None:
        solution = self._solve_people(rated.take(users))
        self.user_biases_[users], self.user_factors_[users] = solution[:, 0], solution[:, 1:]

    def _solve_items(self, items: npt.NDArray[Any], rated: SparseRows) -> None:
        by_item = rows_of_columns(rated, items)
        deviations = (by_item.data - np.float32(self.mean_)) / np.float32(self.spread_)
        deviations -= self.user_biases_[by_item.indices]
        penalty = self._penalty(np.diff(by_item.indptr))
        features = with_constant(self.user_factors_)
        solution = ridge_solutions(by_item._replace(data=deviations), features, penalty, solver=self.solver)
        self.item_biases_[items], self.item_factors_[items] = solution[:, 0], solution[:, 1:]


def ridge_solutions(
    rows: SparseRows, features: Float32, penalty: Float32, threads: int = 1, solver: Any = solve_ridge_rows
) -> Float32:
    """A ridge regression for each row: float32 (rows, dimensions); see `solve_ridge_rows`."""
    solution = np.zeros((rows.n_rows, features.shape[1]), dtype=np.float32)
    in_blocks(
        lambda begin, end: solver(begin, end, *rows, features, penalty, solution),
        rows.n_rows,
        ROWS_PER_BLOCK,
        threads,
    )
    return solution


def with_constant(factors: Float32) -> Float32:
    """float32 (n, 1 + factors): a first column of ones, for a bias."""
    features = np.ones((len(factors), factors.shape[1] + 1), dtype=np.float32)
    features[:, 1:] = factors
    return features


def ridge_contributions(
    own: Float32, targets: Float32, penalty: Float32, wanted: Float32, priors: Float32 | None = None
) -> Float64:
    """What each entry of one ridge regression adds to the predictions: float64 (wanted, entries).

    own: float32 (entries, dimensions), x. targets: float32 (entries,). penalty: float32 (2,), of the first dimension
    and the others. wanted: float32 (wanted, dimensions), x of what is predicted. priors: float32 (entries, dimensions),
    parts of the solution that the regression is drawn towards instead of 0.
    """
    rows = own.astype(np.float64)
    matrix = rows.T @ rows
    diagonal = np.full(rows.shape[1], float(penalty[1]))
    diagonal[0] = penalty[0]
    matrix[np.diag_indices_from(matrix)] += diagonal
    weights = np.linalg.solve(matrix, wanted.astype(np.float64).T)
    parts: Float64 = (rows @ weights).T * targets
    if priors is not None:
        parts += ((priors * diagonal) @ weights).T
    return parts
