"""Implicit alternating least squares: factors of what people chose, with a weight on what they did not."""

from __future__ import annotations

import copy
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from recsys_desktop.api import (
    Contribution,
    Dataset,
    DataShape,
    Explanation,
    Forecast,
    Query,
    Recommender,
    RunContext,
    Source,
)
from recsys_desktop.api.dataset import Bool, Float32, Int32, Int64
from recsys_desktop.api.state_checks import require_array, require_rows
from recsys_desktop.toolkit.held_out_choice import (
    StretchOfRun,
    best_on_held_out,
    choice_memory,
    choice_seconds,
)
from recsys_desktop.toolkit.parallel import blas_threads, in_blocks
from recsys_desktop.toolkit.products import SparseRows
from recsys_factorization.arrays import Ragged, lengthened, of_known_items, with_additions
from recsys_factorization.least_squares_kernels import observed_errors, solve_implicit_rows
from recsys_factorization.plugin import IMPLICIT_ALS, ImplicitALSParams
from recsys_factorization.popularity_base import WEIGHTS, are_short, may_be_short, popularity_bases, trial_share
from recsys_factorization.rehearsal import compile_kernels

_TRAINING_STEPS = 3
_EXACT_STEPS = 100
_TOLERANCE = 1e-6
_MOST_ROWS_PER_BLOCK = 512
_ROWS_PER_PRODUCT = 2048
_TRIAL_SPAN = 0.3
# A trial makes one of so many sweeps. After fewer, factors tell less, and popularity would count for too much.
_TRIAL_SWEEPS = 2
_TOLERANCE_OF_TRIAL = 0.04


class ImplicitALS(Recommender):
    """Implicit matrix factorisation by alternating least squares, with frequency-scaled regularisation.

    With S the observed pairs, N of them, among n active users and m active items, the factors w_u and h_i minimise

        sum_{(u,i) in S} (1 - w_u.h_i)^2 + a sum_{u,i} (w_u.h_i)^2 + sum_u r_u |w_u|^2 + sum_i r_i |h_i|^2

    (Rendle, Krichene, Zhang, Koren 2021, "Revisiting the Performance of iALS on Item Recommendation Benchmarks",
    equations 2 to 4; Hu, Koren, Volinsky 2008, "Collaborative Filtering for Implicit Feedback Datasets"). Two
    parameters are made free of the data's size, so that one default serves data of many shapes:

    - a = unobserved_weight * N / (n m): the weight of all pairs together relative to the observed ones.
    - r_u = l f_u^v F_u^(1-v) with f_u = |S_u| + a m, F_u the mean of f_u and v = frequency_exponent; r_i likewise with
      f_i = |S_i| + a n. l = regularisation * c * |R_u^(-1/2) S R_i^(-1/2)|_Frobenius (1/sqrt(n) + 1/sqrt(m)), R being r
      at l = 1: the largest singular value that the observed pairs would have if they were scattered at random; a
      pattern weaker than l leaves no trace in the factors. c = 4 / sqrt(mean |S_u|), held within 0.4 and 1, because
      short histories say less about a taste than long ones.

    Each half sweep rotates both sides into the eigenvectors of the fixed side's Gram matrix, where the quadratic form
    of the unobserved pairs is diagonal. A row with few entries is then solved exactly through the Woodbury identity, a
    long one by conjugate gradients from its last value, preconditioned by that diagonal: the cost is in proportion to
    entries x factors. Serving solves to convergence, so that a person is their history.

    To w_u.h_i comes popularity times the share of people who have i, which no factor of a pattern so weak holds where
    people have one or two interactions each. Unless `popularity` is given, it is 0 where people have 10 interactions or
    more on the mean, and else the least of 0, 1, 10 and 100 that comes within 4 % of the best by a tenth of all
    interactions, set aside: those who are judged have one less there than they will have when they are served.

    Fitted state: bases_ float32 (n_items,), what popularity adds; item_factors_ float32 (n_items, factors);
    user_factors_ float32 (n_users, factors); spectrum_ float32 (factors,), a times the eigenvalues of the items' Gram
    matrix; interaction_indptr_, interaction_items_: the training pairs by user; unobserved_ (a), user_level_,
    item_level_ (l F^(1-v)), n_active_users_, n_active_items_.
    """

    spec = IMPLICIT_ALS
    state_version: ClassVar[int] = 2
    params: ImplicitALSParams

    bases_: Float32
    item_factors_: Float32
    user_factors_: Float32
    spectrum_: Float32
    interaction_indptr_: Int64
    interaction_items_: Int32
    unobserved_: float
    user_level_: float
    item_level_: float
    n_active_users_: int
    n_active_items_: int

    def estimate(self, shape: DataShape) -> Forecast:
        """Forecast; see the base class."""
        rows, factors, pairs = shape.n_users + shape.n_items, self.params.factors, shape.n_interactions
        memory = 36 * pairs + 9 * rows * factors + 24 * rows + 44 * factors**2 + (2 << 20)
        # Both sides are rotated into the eigenvectors of a square matrix of factors in each sweep.
        sweep = 4e-9 * pairs * factors + 2e-10 * rows * factors**2 + 4e-10 * factors**3
        seconds = self.params.iterations * sweep
        if self.params.popularity is None and may_be_short(shape):
            memory += choice_memory(shape)
            seconds = (1 + 1 / _TRIAL_SWEEPS) * seconds + choice_seconds(shape, len(WEIGHTS))
        return Forecast(int(memory), 0.1 + seconds, cheaper="popularity")

    @classmethod
    def migrate_params(cls, params: dict[str, Any], version: int) -> dict[str, Any]:
        """In version 1 popularity counted nothing."""
        return {**params, "popularity": 0.0}

    def migrate_state(self, fitted: dict[str, Any], version: int) -> dict[str, Any]:
        """As it was, with a popularity that counts nothing."""
        return {**fitted, "bases_": np.zeros(len(fitted["known_items_"]), dtype=np.float32)}

    def check_state(self) -> None:
        """As `Recommender.check_state`."""
        super().check_state()
        users, factors = len(self.known_users_), self.params.factors
        require_array("bases_", self.bases_, (self.n_items,), np.float32)
        require_array("item_factors_", self.item_factors_, (self.n_items, factors), np.float32)
        require_array("user_factors_", self.user_factors_, (users, factors), np.float32)
        require_array("spectrum_", self.spectrum_, (factors,), np.float32)
        names = ("interaction_indptr_", "interaction_items_")
        require_rows(names, self.interaction_indptr_, self.interaction_items_, users, self.n_items)

    def _fit(self, train: Dataset, run: RunContext) -> None:
        compile_kernels(self, run)
        by_user = Ragged.of(train.matrix("one", self.params.min_rating))
        if self.setting("popularity") is None:
            is_short = are_short(by_user.lengths)
            self.chosen_ = {"popularity": self._best_popularity(train, by_user, run) if is_short else 0.0}
            run = StretchOfRun(run, _TRIAL_SPAN, 1.0) if is_short else run
        by_item = by_user.transposed(train.n_items)
        self.known_users_, self.known_items_ = by_user.lengths > 0, by_item.lengths > 0
        self.interaction_indptr_, self.interaction_items_ = by_user.indptr, by_user.columns
        self._set_bases(by_item.lengths)
        self._set_weights(by_user, by_item)
        users = self._user_regularisation(by_user.lengths)
        items = self._item_regularisation(by_item.lengths)

        factors = self.params.factors
        generator = run.generator("ials")
        self.item_factors_ = generator.standard_normal((train.n_items, factors), dtype=np.float32)
        self.item_factors_ *= 0.1 / np.sqrt(factors)
        self.item_factors_[~self.known_items_] = 0
        self.user_factors_ = np.zeros((train.n_users, factors), dtype=np.float32)
        # Held open throughout: to limit BLAS anew costs more than one of the small products in between.
        with blas_threads(1):
            self._sweep(by_user, by_item, users, items, run)
        in_blocks(
            lambda begin, end: solve_implicit_rows(
                begin,
                end,
                *by_user,
                self.item_factors_,
                self.spectrum_,
                users,
                self.user_factors_,
                _EXACT_STEPS,
                _TOLERANCE,
            ),
            train.n_users,
            _rows_per_block(train.n_users),
            run.threads,
        )

    def _best_popularity(self, train: Dataset, by_user: Ragged, run: RunContext) -> float:
        learnt: list[ImplicitALS] = []

        def trial(popularity: float, kept: Dataset, part: RunContext) -> Recommender:
            if not learnt:
                sweeps = -(-self.params.iterations // _TRIAL_SWEEPS)
                params = self.params.model_copy(update={"popularity": 0.0, "iterations": sweeps})
                learnt.append(ImplicitALS(params).fit(kept, part))
            return learnt[0]._with_popularity(popularity)

        return best_on_held_out(
            sorted(WEIGHTS),
            trial,
            train,
            run,
            span=_TRIAL_SPAN,
            min_rating=self.params.min_rating,
            people=trial_share(by_user.lengths),
            tolerance=_TOLERANCE_OF_TRIAL,
            fallback=WEIGHTS[0],
        )

    def _with_popularity(self, popularity: float) -> ImplicitALS:
        """This model with another weight of popularity."""
        model = copy.copy(self)
        model.params = self.params.model_copy(update={"popularity": popularity})
        model._set_bases(np.bincount(self.interaction_items_, minlength=self.n_items))
        return model

    def _set_bases(self, item_counts: npt.NDArray[Any]) -> None:
        n_people = int(np.count_nonzero(self.known_users_))
        self.bases_ = popularity_bases(self.setting("popularity"), item_counts, n_people)

    def _sweep(self, by_user: Ragged, by_item: Ragged, users: Float32, items: Float32, run: RunContext) -> None:
        """Solve for people and items in turn until the last iteration or until the person asks to stop."""
        self.spectrum_ = self._diagonalise(run.threads)
        for sweep in range(self.params.iterations):
            begin = sweep / self.params.iterations
            text = f"sweep {sweep + 1} of {self.params.iterations}"
            run.progress(begin, text)
            half = begin + 0.5 / self.params.iterations
            if not self._solve(
                by_user, self.item_factors_, self.spectrum_, users, self.user_factors_, run, begin, text
            ):
                break
            spectrum = self._diagonalise(run.threads, of_users=True)
            done = self._solve(by_item, self.user_factors_, spectrum, items, self.item_factors_, run, half, text)
            self.spectrum_ = self._diagonalise(run.threads)
            if not done:
                break
            run.log(sweep + 1, loss=self._loss(by_user, users, items, run.threads))

    def _set_weights(self, by_user: Ragged, by_item: Ragged) -> None:
        """Turn the relative parameters into the weights of the objective (see the class)."""
        pairs = len(by_user.columns)
        self.n_active_users_ = int(self.known_users_.sum())
        self.n_active_items_ = int(self.known_items_.sum())
        self.unobserved_ = self.params.unobserved_weight * pairs / (self.n_active_users_ * self.n_active_items_)
        exponent = self.params.frequency_exponent
        user_frequency = by_user.lengths[self.known_users_] + self.unobserved_ * self.n_active_items_
        item_frequency = by_item.lengths[self.known_items_] + self.unobserved_ * self.n_active_users_
        self.user_level_ = float(user_frequency.mean() ** (1 - exponent))
        self.item_level_ = float(item_frequency.mean() ** (1 - exponent))
        user_scale = self._user_regularisation(by_user.lengths).astype(np.float64)
        item_scale = 1 / self._item_regularisation(by_item.lengths).astype(np.float64)
        sums = np.add.reduceat(np.append(item_scale[by_user.columns], 0.0), by_user.indptr[:-1][self.known_users_])
        norm = np.sqrt((sums / user_scale[self.known_users_]).sum())
        edge = norm * (self.n_active_users_**-0.5 + self.n_active_items_**-0.5)
        caution = np.clip(4 / np.sqrt(pairs / self.n_active_users_), 0.4, 1.0)
        level = float(self.params.regularisation * caution * edge)
        self.user_level_ *= level
        self.item_level_ *= level

    def _user_regularisation(self, lengths: Int64) -> Float32:
        frequency = lengths + self.unobserved_ * self.n_active_items_
        strength: Float32 = (self.user_level_ * frequency**self.params.frequency_exponent).astype(np.float32)
        return strength

    def _item_regularisation(self, lengths: Int64) -> Float32:
        frequency = lengths + self.unobserved_ * self.n_active_users_
        strength: Float32 = (self.item_level_ * frequency**self.params.frequency_exponent).astype(np.float32)
        return strength

    def _diagonalise(self, threads: int, of_users: bool = False) -> Float32:
        """Rotate both sides so that the Gram matrix of one is diagonal; the weighted diagonal, float32 (factors,)."""
        side = self.user_factors_ if of_users else self.item_factors_
        with blas_threads(1):
            eigenvalues, rotation = np.linalg.eigh(_gram(side, threads).astype(np.float64))
            turned = rotation.astype(np.float32)
            self.item_factors_ = _product(self.item_factors_, turned, threads)
            self.user_factors_ = _product(self.user_factors_, turned, threads)
        spectrum: Float32 = (self.unobserved_ * np.maximum(eigenvalues, 0)).astype(np.float32)
        return spectrum

    def _solve(
        self,
        rows: Ragged,
        fixed: Float32,
        spectrum: Float32,
        regularisation: Float32,
        solution: Float32,
        run: RunContext,
        begin: float,
        text: str,
    ) -> bool:
        """Half a sweep, in place; False when the person asked to stop."""

        def block(first: int, last: int) -> None:
            solve_implicit_rows(
                first, last, *rows, fixed, spectrum, regularisation, solution, _TRAINING_STEPS, _TOLERANCE
            )

        share = 0.5 / self.params.iterations
        return in_blocks(
            block,
            len(solution),
            _rows_per_block(len(solution)),
            run.threads,
            should_stop=lambda: run.should_stop,
            progress=lambda done: run.progress(begin + done * share, text),
        )

    def _loss(self, by_user: Ragged, users: Float32, items: Float32, threads: int) -> float:
        """The objective for each observed pair, where the items' factors have just been made diagonal."""
        errors = np.zeros(len(self.user_factors_))
        in_blocks(
            lambda begin, end: observed_errors(begin, end, *by_user, self.item_factors_, self.user_factors_, errors),
            len(errors),
            _rows_per_block(len(errors)),
            threads,
        )
        squares = np.square(self.user_factors_)
        penalty = float(users @ squares.sum(axis=1))
        penalty += float(items @ np.einsum("if,if->i", self.item_factors_, self.item_factors_))
        unobserved = float((squares @ self.spectrum_).sum(dtype=np.float64))
        return (float(errors.sum()) + unobserved + penalty) / len(by_user.columns)

    def _histories(self, query: Query) -> Ragged:
        """The known items of each person's history that count for this model."""
        rows = Ragged.of(query.matrix(self.n_items, "one", self.params.min_rating))
        return of_known_items(rows, self.known_items_)

    def _fold_in(self, histories: Ragged) -> Float32:
        """The factors of people with these histories, float32 (n, factors)."""
        solution = np.zeros((len(histories.indptr) - 1, self.params.factors), dtype=np.float32)
        regularisation = self._user_regularisation(histories.lengths)
        solve_implicit_rows(
            0,
            len(solution),
            *histories,
            self.item_factors_,
            self.spectrum_,
            regularisation,
            solution,
            _EXACT_STEPS,
            _TOLERANCE,
        )
        return solution

    def _serves(self, query: Query) -> Bool:
        return self._histories(query).lengths > 0

    def _score(self, query: Query, items: Int32 | None) -> Float32:
        people = self._fold_in(self._histories(query))
        wanted, bases = self.item_factors_, self.bases_
        if items is not None:
            wanted, bases = wanted[items], bases[items]
        scores: Float32 = people @ wanted.T
        scores += bases
        return scores

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        """Hu, Koren, Volinsky 2008, section 5: score_i = base_i + sum over the history j of h_i^T A^-1 h_j.

        A = diag(spectrum) + r_u I + H_u^T H_u is the person's own matrix, so a contribution says how near j is to i in
        the eyes of this person. As j has its own share in A, taking j away changes the score by another amount.
        """
        history = self._histories(query)
        own = self.item_factors_[history.columns].astype(np.float64)
        matrix = own.T @ own
        matrix[np.diag_indices_from(matrix)] += self.spectrum_ + self._user_regularisation(history.lengths)[0]
        weights = np.linalg.solve(matrix, self.item_factors_[items].astype(np.float64).T)
        parts = own @ weights
        codes = history.columns.tolist()
        return [
            Explanation.of(
                int(item),
                float(score),
                [Contribution(Source.HISTORY, value, code) for value, code in zip(part.tolist(), codes, strict=True)],
                base=float(self.bases_[item]),
                additive=True,
                faithful_to_removal=False,
                method="closed form of the person's own least squares (Hu, Koren, Volinsky 2008)",
            )
            for item, score, part in zip(items, scores, parts.T, strict=True)
        ]

    def item_embeddings(self) -> Float32:
        """float32 (n_items, factors); NaN for items without interactions."""
        embeddings: Float32 = np.where(self.known_items_[:, None], self.item_factors_, np.float32(np.nan))
        return embeddings

    def user_embeddings(self) -> Float32:
        """float32 (n_users, factors), folded in from the training interactions; NaN for users without any."""
        embeddings: Float32 = np.where(self.known_users_[:, None], self.user_factors_, np.float32(np.nan))
        return embeddings

    def _updated(self, additions: Dataset) -> None:
        """Solve the people and items of the new interactions again, the others held fixed."""
        had = SparseRows(
            self.interaction_indptr_, self.interaction_items_, np.ones(len(self.interaction_items_), dtype=np.float32)
        )
        rows, users, items = with_additions(had, additions, self.params.min_rating)
        by_user = Ragged(rows.indptr, rows.indices)
        self.interaction_indptr_, self.interaction_items_ = by_user
        self.known_users_ = by_user.lengths > 0
        item_counts = np.bincount(by_user.columns, minlength=additions.n_items)
        self.known_items_ = item_counts > 0
        self._set_bases(item_counts)
        self.item_factors_ = lengthened(self.item_factors_, additions.n_items)
        self.user_factors_ = lengthened(self.user_factors_, additions.n_users)
        histories = by_user.take(users)
        self.user_factors_[users] = self._fold_in(histories)
        self._solve_items(items, by_user)
        self.spectrum_ = self._diagonalise(1)
        self.user_factors_[users] = self._fold_in(histories)

    def _solve_items(self, items: npt.NDArray[Any], by_user: Ragged) -> None:
        """Set the factors of `items` from everybody who has them."""
        chosen = np.zeros(len(self.item_factors_), dtype=np.bool_)
        chosen[items] = True
        positions = np.flatnonzero(chosen[by_user.columns])
        people = np.searchsorted(by_user.indptr, positions, side="right") - 1
        order = np.argsort(by_user.columns[positions], kind="stable")
        lengths = np.bincount(by_user.columns[positions], minlength=len(chosen))[items]
        rows = Ragged(
            np.concatenate(([0], np.cumsum(lengths))).astype(np.int64), people[order].astype(np.int32, copy=False)
        )
        spectrum = self._diagonalise(1, of_users=True)
        solution = self.item_factors_[items]
        solve_implicit_rows(
            0,
            len(items),
            *rows,
            self.user_factors_,
            spectrum,
            self._item_regularisation(rows.lengths),
            solution,
            _EXACT_STEPS,
            _TOLERANCE,
        )
        self.item_factors_[items] = solution


def _rows_per_block(rows: int) -> int:
    """Enough blocks that threads end together, and no more than keep them from waiting for one another."""
    return min(max(rows // 16, 16), _MOST_ROWS_PER_BLOCK)


def _gram(side: Float32, threads: int) -> Float32:
    """side^T side, with the same bits for any number of threads: float32 (factors, factors)."""
    parts: dict[int, Float32] = {}

    def block(begin: int, end: int) -> None:
        parts[begin] = side[begin:end].T @ side[begin:end]

    in_blocks(block, len(side), _ROWS_PER_PRODUCT, threads)
    total: Float32 = sum((parts[begin] for begin in sorted(parts)), np.zeros((side.shape[1],) * 2, np.float32))
    return total


def _product(side: Float32, square: Float32, threads: int) -> Float32:
    """side @ square, with the same bits for any number of threads."""
    out = np.empty_like(side)

    def block(begin: int, end: int) -> None:
        np.matmul(side[begin:end], square, out=out[begin:end])

    in_blocks(block, len(side), _ROWS_PER_PRODUCT, threads)
    return out
