"""EASE: item-to-item weights by one matrix inversion, over items or, where users are fewer, over users."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from recsys_desktop.api import (
    CannotFit,
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
from recsys_desktop.api.dataset import Float32, Int32
from recsys_desktop.api.state_checks import require_array, require_codes, require_matrix
from recsys_desktop.toolkit import lapack
from recsys_desktop.toolkit.held_out_choice import StretchOfRun, best_on_held_out, choice_memory, choice_seconds
from recsys_desktop.toolkit.products import (
    SparseRows,
    gram_lower,
    quadratic_forms,
    sparse_times_dense,
    sparse_times_sparse,
)
from recsys_linear.plugin import EASE

_REGULARISATIONS = (200.0, 50.0, 1000.0)
_LARGEST_TRIED_SIDE = 2000
_TRIAL_SPAN = 0.7


class Ease(Recommender):
    """Embarrassingly shallow autoencoder (Steck 2019, equations 8 and 9).

    With X the interactions (users, items), every one 1, and λ the regularisation:

        P = (XᵀX + λI)⁻¹        B_ij = -P_ij / P_jj for i ≠ j, B_jj = 0        score of a history h (0/1): h B

    Where people are fewer than items, B stays implicit (the dual form): by Woodbury's identity

        P = (I - Xᵀ W X) / λ   with   W = (XXᵀ + λI)⁻¹ (users, users)

    so that with d_j = λ P_jj = 1 - x_jᵀ W x_j (x_j a column of X)

        score of j = (h Xᵀ W x_j - h_j (1 - d_j)) / d_j

    and no items × items array is ever made. Both forms give the same scores to rounding. Scores are sums over the
    history, so each history item's part is exact and is what its removal would take away.

    With `intercept`, X and every history have one more column, always 1, before all this. Its weights are the part of a
    score that the history does not claim, close to popularity where data are sparse; the others then explain what
    popularity does not.

    Unless `regularisation` is given, λ is that of 50, 200 and 1000 which ranks a tenth of the interactions, set aside,
    best. Where the square's side is above 2,000, so that trials would take longer than the fit, it is 200.

    Where people and items are both many, neither square fits: `estimate` says how large it would be and names item-knn,
    whose memory grows with the interactions alone.

    Only items and people with a counted interaction take part; other items score NaN, as does a person whose history
    holds none of them.

    Fitted, over the m items that take part and, with `intercept`, the constant after them (M = m or m + 1): `items_`
    int32 (m,), their codes; `precision_` float32 (M,), P_jj (dual: d_j). Directly: `weights_` float32 (M, M), B. Dual:
    `inverse_` float32 (n, n), W, and `rows_by_item_` CSR (M, n), Xᵀ.
    """

    spec = EASE
    state_version: ClassVar[int] = 2

    items_: Int32
    precision_: Float32
    weights_: Float32 | None
    inverse_: Float32 | None
    rows_by_item_: Any

    def estimate(self, shape: DataShape) -> Forecast:
        """One float32 square of the smaller side, in place, and the interactions a few times."""
        side = min(shape.n_users, shape.n_items)
        memory = 4 * side * side + 66 * shape.n_interactions + 24 * (shape.n_users + shape.n_items)
        counting = shape.n_interactions * max(shape.n_interactions / max(shape.n_users, shape.n_items, 1), 1) / 5e8
        seconds, trials = counting + side**3 / 6e10, 0
        if self.params.regularisation is None and side <= _LARGEST_TRIED_SIDE:
            trials = choice_memory(shape)
            seconds = (1 + len(_REGULARISATIONS)) * seconds + choice_seconds(shape, len(_REGULARISATIONS))
        return Forecast(
            int(1.2 * memory) + trials + 4_000_000,
            0.1 + seconds,
            cheaper="item-knn",
            note=f"inverts one {side:,} × {side:,} matrix of {'users' if shape.n_users < shape.n_items else 'items'}",
        )

    def migrate_state(self, fitted: dict[str, Any], version: int) -> dict[str, Any]:
        """Version 1 began before there was an intercept: whether a model has one is told by its size."""
        has_constant = len(fitted["precision_"]) > len(fitted["items_"])
        self.params = self.params.model_copy(update={"intercept": has_constant})
        return fitted

    def check_state(self) -> None:
        """As `Recommender.check_state`."""
        super().check_state()
        require_codes("items_", self.items_, None, self.n_items, ascending=True)
        require_array("precision_", self.precision_, (self._width,), np.float32)
        if self.weights_ is not None:
            require_array("weights_", self.weights_, (self._width, self._width), np.float32)
        else:
            require_array("inverse_", self.inverse_, (None, None), np.float32)
            people = len(self._dual[1])
            require_array("inverse_", self.inverse_, (people, people), np.float32)
            require_matrix("rows_by_item_", self.rows_by_item_, (self._width, people))

    def _fit(self, train: Dataset, run: RunContext) -> None:
        matrix = train.matrix("one", self.params.min_rating)
        self.items_ = np.flatnonzero(np.bincount(matrix.indices, minlength=train.n_items)).astype(np.int32)
        people = np.flatnonzero(np.diff(matrix.indptr))
        by_user = self._with_constant(SparseRows.of(matrix[people]).with_columns(self._place_of))
        by_item = by_user.transposed(self._width)
        self.weights_ = self.inverse_ = self.rows_by_item_ = None
        if self.setting("regularisation") is None:
            self.chosen_ = {"regularisation": self._best_regularisation(train, min(len(people), self._width), run)}
            run = StretchOfRun(run, _TRIAL_SPAN, 1.0)
        if len(people) < len(self.items_):
            self._fit_users(by_user, by_item, run)
        else:
            self._fit_items(by_user, by_item, run)

    def _best_regularisation(self, train: Dataset, side: int, run: RunContext) -> float:
        if side > _LARGEST_TRIED_SIDE:
            return _REGULARISATIONS[0]

        def trial(regularisation: float, kept: Dataset, part: RunContext) -> Recommender:
            return type(self)(self.params.model_copy(update={"regularisation": regularisation})).fit(kept, part)

        return best_on_held_out(
            _REGULARISATIONS, trial, train, run, span=_TRIAL_SPAN, min_rating=self.params.min_rating
        )

    def _fit_items(self, by_user: SparseRows, by_item: SparseRows, run: RunContext) -> None:
        run.progress(0.05, "counting items seen together")
        square = gram_lower(by_item, by_user, run)
        self._invert(square, run)
        self.precision_ = np.diagonal(square).copy()
        np.multiply(square, -1 / self.precision_, out=square)
        np.fill_diagonal(square, 0)
        self.weights_ = square

    def _fit_users(self, by_user: SparseRows, by_item: SparseRows, run: RunContext) -> None:
        run.progress(0.05, "counting items that people share")
        square = gram_lower(by_user, by_item, run)
        self._invert(square, run)
        run.progress(0.9, "scaling")
        self.precision_ = 1 - quadratic_forms(by_item, square, run)
        self.inverse_ = square
        self.rows_by_item_ = by_item.to_csr(by_user.n_rows)

    def _invert(self, square: Float32, run: RunContext) -> None:
        square[np.diag_indices(len(square))] += np.float32(self.setting("regularisation"))
        text = f"inverting a matrix of {len(square):,} × {len(square):,}"
        run.progress(0.3, text)
        try:
            finished = lapack.inverse(
                square,
                run.threads,
                should_stop=lambda: run.should_stop,
                progress=lambda done: run.progress(0.3 + 0.6 * done, text),
            )
        except lapack.NotPositiveDefinite:
            raise CannotFit(
                f"the matrix cannot be inverted with a regularisation of {self.setting('regularisation'):g}: raise it"
            ) from None
        if not finished:
            raise CannotFit("stopped before there was a model to keep")

    @property
    def _place_of(self) -> Int32:
        """int32 (n_items,): position of each item among those that take part, -1 for the others."""
        if "_places" not in vars(self):
            places = np.full(self.n_items, -1, dtype=np.int32)
            places[self.items_] = np.arange(len(self.items_), dtype=np.int32)
            self._places = places
        return self._places

    @property
    def _width(self) -> int:
        """M: the items that take part, and the constant."""
        return len(self.items_) + int(self.params.intercept)

    def _with_constant(self, rows: SparseRows) -> SparseRows:
        """The rows, which lie over the items that take part, with the constant after them."""
        return rows.with_constant(len(self.items_)) if self.params.intercept else rows

    def _history(self, query: Query) -> SparseRows:
        """The histories over the items that take part, in their positions."""
        matrix = query.matrix(self.n_items, "one", self.params.min_rating)
        return SparseRows.of(matrix).with_columns(self._place_of)

    def _score(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        history = self._history(query)
        if items is None:
            out = np.full((len(query), self.n_items), np.nan, dtype=np.float32)
            out[:, self.items_] = self._scores(history, None)[:, : len(self.items_)]
        else:
            places = self._place_of[items]
            taking_part = places >= 0
            out = np.full((len(query), len(items)), np.nan, dtype=np.float32)
            out[:, taking_part] = self._scores(history, places[taking_part])
        out[np.diff(history.indptr) == 0] = np.nan
        return out

    @property
    def _dual(self) -> tuple[SparseRows, Float32]:
        """Xᵀ and W of the dual form."""
        assert self.inverse_ is not None
        return SparseRows.of(self.rows_by_item_), self.inverse_

    def _scores(self, history: SparseRows, places: Int32 | None) -> Float32:
        """float32 (people, places), or all M places."""
        history = self._with_constant(history)
        if self.weights_ is not None:
            if places is None:
                return sparse_times_dense(history, self.weights_)
            sources, indices = np.unique(history.indices, return_inverse=True)
            part = self.weights_[np.ix_(sources, places)]
            return sparse_times_dense(history._replace(indices=indices.astype(np.int32)), part)
        by_item, inverse = self._dual
        shared = sparse_times_sparse(history, by_item, len(inverse))
        wanted = by_item if places is None else by_item.take(places)
        scores = sparse_times_dense(wanted, inverse @ shared.T).T
        scale = self.precision_ if places is None else self.precision_[places]
        present = history.to_csr(self._width)
        present = (present if places is None else present[:, places]).tocoo()
        scores[present.row, present.col] -= 1 - scale[present.col]
        scores /= scale
        return scores

    def _contributions(self, sources: Int32, targets: Int32) -> Float32:
        """B of these positions: float32 (len(sources), len(targets))."""
        if self.weights_ is not None:
            return self.weights_[np.ix_(sources, targets)]
        by_item, inverse = self._dual
        few, many = (targets, sources) if len(targets) < len(sources) else (sources, targets)
        of_few = np.ascontiguousarray((self.rows_by_item_[few].toarray() @ inverse).T)
        parts = sparse_times_dense(by_item.take(many), of_few)
        if few is sources:
            parts = parts.T
        parts = parts / self.precision_[targets]
        parts[sources[:, None] == targets] = 0
        return parts

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        sources = self._history(query).indices
        places = self._place_of[items]
        parts = self._contributions(sources, places)
        bases = np.zeros(len(items))
        if self.params.intercept:
            bases = self._contributions(np.array([len(self.items_)], dtype=np.int32), places)[0]
        codes = self.items_[sources].tolist()
        return [
            Explanation.of(
                int(item),
                float(score),
                [Contribution(Source.HISTORY, value, code) for code, value in zip(codes, column.tolist(), strict=True)],
                base=float(base),
                additive=True,
                faithful_to_removal=True,
                method="item weights of EASE: each item of the history adds its weight",
            )
            for item, score, base, column in zip(items, scores, bases, parts.T, strict=True)
        ]

    def _item_similarities(self, item: int) -> npt.NDArray[Any]:
        """Partial correlation, -P_ij / √(P_ii P_jj)."""
        out = np.full(self.n_items, np.nan, dtype=np.float32)
        place = int(self._place_of[item])
        if place >= 0:
            every = np.arange(len(self.items_), dtype=np.int32)
            weights = self._contributions(np.array([place], dtype=np.int32), every)[0]
            out[self.items_] = weights * np.sqrt(self.precision_[every] / self.precision_[place])
        return out
