"""SVD++: biased factorisation of ratings with implicit sets, and biases that move with time."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recsys_desktop.api import Dataset, DataShape, Explanation, Forecast, Query, RunContext
from recsys_desktop.api.dataset import Float32, Int32, Int64
from recsys_desktop.api.state_checks import require_array
from recsys_desktop.toolkit.parallel import in_blocks
from recsys_desktop.toolkit.products import SparseRows
from recsys_factorization.arrays import Float64, known_ratings, lengthened, rows_of_columns, set_shares
from recsys_factorization.plugin import SVDPP, SVDPPParams
from recsys_factorization.rehearsal import compile_kernels
from recsys_factorization.ridge_recommender import (
    ROWS_PER_BLOCK,
    RidgeRecommender,
    ridge_contributions,
    ridge_solutions,
    with_constant,
)
from recsys_factorization.svdpp_kernels import descend_with_sets, sum_sets
from recsys_factorization.temporal import TemporalBiases, times_of

_RATINGS_PER_CALL = 100_000
_INITIAL_LENGTH = 0.1
_EPOCHS = 30
_FEW_RATINGS = 20_000


class SVDPlusPlus(RidgeRecommender):
    """Matrix factorisation with implicit feedback on both sides (Koren 2008, "Factorization Meets the Neighborhood",
    equation 15, and the same for items) and temporal biases (Koren 2009, equations 6 and 8).

    A rating of u for i is about mean + spread (b_u + b_i + (p_u + s_u).(q_i + t_i)) + what moves with time, where
    s_u = |N(u)|^-1/2 sum of y_j over the items j that u has rated, and t_i = |N(i)|^-1/2 sum of z_v over the people v
    who have rated i. In training the rating's own user and item are left out of the sets: they would learn the rating
    itself, which is not there to be had for an item that is yet to be rated. Gradient descent visits the ratings by
    user and by item in turn. The penalty of bias and factors is that of the SVD here; that of y_j is
    regularisation n_j + set_shrinkage / (mean number of ratings of an item), and of z_v likewise.

    People are folded in by ridge regression as in the base class, s_u being summed from their history, in which t_i
    lacks one n-th: the expected part of the person themselves.

    What moves with time is fitted first and taken out of the ratings; it comes back where a query names a moment
    (`as_of`). Without one, a prediction is the average over the person's time.

    Fitted state beyond the base class: item_factors_ holds q_i + t_i; item_sets_ float32 (n_items, factors), t_i;
    item_counts_ int64; set_factors_ float32 (n_items, factors), y_j; user_set_factors_ float32 (n_users, factors), z_v;
    ratings_ lacks what moves with time; temporal_: the arrays of TemporalBiases, or None.
    """

    spec = SVDPP
    params: SVDPPParams

    item_sets_: Float32
    item_counts_: Int64
    set_factors_: Float32
    user_set_factors_: Float32
    temporal_: dict[str, Any] | None

    def estimate(self, shape: DataShape) -> Forecast:
        """Forecast; see the base class."""
        rows, factors, ratings = shape.n_users + shape.n_items, self.params.factors, shape.n_interactions
        memory = 60 * ratings + 20 * rows * factors + 200 * shape.n_items + 40 * shape.n_users + (4 << 20)
        seconds = 0.2 + self._epochs(ratings) * ratings * (factors + 20) / 4e8
        return Forecast(int(memory), seconds, cheaper="svd")

    def _epochs(self, n_ratings: int) -> int:
        """As the parameter says, else more passes over fewer ratings, which make fewer steps each."""
        asked: int | None = self.params.epochs
        more = max(1.0, _FEW_RATINGS / max(n_ratings, 1)) ** 0.5
        return asked or round(_EPOCHS * more)

    def check_state(self) -> None:
        """As `Recommender.check_state`."""
        super().check_state()
        factors = self.params.factors
        require_array("item_sets_", self.item_sets_, (self.n_items, factors), np.float32)
        require_array("item_counts_", self.item_counts_, (self.n_items,), np.int64)
        require_array("set_factors_", self.set_factors_, (self.n_items, factors), np.float32)
        require_array("user_set_factors_", self.user_set_factors_, (len(self.known_users_), factors), np.float32)
        if (temporal := self._temporal) is not None:
            periods = len(temporal.edges) + 1
            require_array("temporal_['edges']", temporal.edges, (None,), np.float64)
            require_array("temporal_['items']", temporal.items, (self.n_items,), np.float32)
            require_array("temporal_['period_biases']", temporal.period_biases, (self.n_items, periods), np.float32)

    def _fit(self, train: Dataset, run: RunContext) -> None:
        compile_kernels(self, run)
        self._begin(train)
        self._begin_temporal(train)
        generator = run.generator("svdpp")
        factors = self.params.factors
        length = np.float32(_INITIAL_LENGTH / np.sqrt(factors))
        users = _Learnt.begin(self._rated, train.n_users, length, factors, generator)
        items = _Learnt.begin(self._rated.transposed(train.n_items), train.n_items, length, factors, generator)
        for side in (users, items):
            side.ratings.data[:] = (side.ratings.data - np.float32(self.mean_)) / np.float32(self.spread_)
            side.penalty = self._penalty_per_rating(side.lengths)
            mean_length = len(side.ratings.data) / max(int((side.lengths > 0).sum()), 1)
            shrinkage = np.float32(self.params.set_shrinkage / mean_length)
            side.member_penalty = np.float32(self.params.regularisation) + shrinkage / np.maximum(
                side.lengths, 1
            ).astype(np.float32)
        self.item_counts_ = items.lengths
        self._descend(users, items, generator, run)
        self.item_biases_ = items.biases
        self.item_sets_ = items.sets
        self.item_factors_ = items.factors + items.sets
        self.set_factors_, self.user_set_factors_ = items.members, users.members
        self._finish(run)

    def _descend(self, users: _Learnt, items: _Learnt, generator: np.random.Generator, run: RunContext) -> None:
        """Epochs over the ratings, by user and by item in turn."""
        epochs = self._epochs(len(users.ratings.data))
        if self.params.epochs is None:
            self.chosen_ = {"epochs": epochs}
        for epoch in range(epochs):
            rate = self.params.learning_rate * (1 - epoch / epochs)
            rows, columns = (items, users) if epoch % 2 else (users, items)
            order = generator.permutation(np.flatnonzero(rows.lengths > 0))
            done = np.cumsum(rows.lengths[order])
            squared, begin = 0.0, 0
            while begin < len(order) and not run.should_stop:
                before = int(done[begin - 1]) if begin else 0
                end = max(begin + 1, int(np.searchsorted(done, before + _RATINGS_PER_CALL)))
                run.progress((epoch + before / done[-1]) / epochs, f"epoch {epoch + 1} of {epochs}")
                squared += rows.descend(columns, order, begin, end, rate)
                begin = end
            rows.renew_sets(columns.members, run.threads)
            if run.should_stop:
                break
            self._log_loss(run, epoch, squared / done[-1])
        items.renew_sets(users.members, run.threads)

    def _begin_temporal(self, train: Dataset) -> None:
        """Fit what moves with time, and take it out of the training ratings."""
        self.temporal_ = None
        times = times_of(train, train.n_items)
        if not self.params.temporal_dynamics or times is None or times.min() == times.max():
            return
        fitted = TemporalBiases.fit(self._rated, times, train.n_items)
        self.temporal_ = fitted._asdict()
        self.ratings_ = fitted.static(self._rated, times)[0].data

    @property
    def _temporal(self) -> TemporalBiases | None:
        return None if self.temporal_ is None else TemporalBiases(**self.temporal_)

    @property
    def _history_factors(self) -> Float32:
        """Items as a person's history sees them: without the part of the set expected to be the person's own."""
        part = self.item_sets_ / np.maximum(self.item_counts_, 1).astype(np.float32)[:, None]
        return self.item_factors_ - part

    def _solve_people(self, rated: SparseRows, threads: int = 1) -> Float32:
        factors = self._history_factors
        sets = np.zeros((rated.n_rows, factors.shape[1]), dtype=np.float32)
        shares = set_shares(np.diff(rated.indptr))
        in_blocks(
            lambda begin, end: sum_sets(begin, end, rated.indptr, rated.indices, self.set_factors_, shares, sets),
            rated.n_rows,
            ROWS_PER_BLOCK,
            threads,
        )
        targets = self._deviations(rated)
        owners = np.repeat(np.arange(rated.n_rows), np.diff(rated.indptr))
        for begin in range(0, len(owners), 1 << 14):
            part = slice(begin, begin + (1 << 14))
            targets[part] -= np.einsum("nf,nf->n", sets[owners[part]], factors[rated.indices[part]])
        penalty = self._penalty(np.diff(rated.indptr))
        solution = ridge_solutions(rated._replace(data=targets), with_constant(factors), penalty, threads)
        solution[:, 1:] += sets
        return solution

    def _contributions(self, rated: SparseRows, items: Int32) -> Float64:
        """As the base class, the parts of the set included, towards which the regression is drawn."""
        priors = np.zeros((len(rated.indices), 1 + self.params.factors), dtype=np.float32)
        priors[:, 1:] = self.set_factors_[rated.indices] * set_shares(np.diff(rated.indptr))[0]
        return ridge_contributions(
            with_constant(self._history_factors[rated.indices]),
            self._deviations(rated),
            self._penalty(np.diff(rated.indptr))[0],
            with_constant(self.item_factors_[items]),
            priors,
        )

    def _histories(self, query: Query) -> SparseRows:
        return self._timed_histories(query).rated

    def _timed_histories(self, query: Query) -> _Timed:
        rated = known_ratings(query, self.known_items_)
        temporal, times = self._temporal, times_of(query, self.n_items)
        if temporal is None or times is None:
            return _Timed(rated)
        full = query.matrix(self.n_items, "rating")
        times = times[self.known_items_[full.indices]]
        static, slopes = temporal.static(rated, times)
        return _Timed(static, times, slopes)

    def _score(self, query: Query, items: Int32 | None) -> Float32:
        timed = self._timed_histories(query)
        scores = self._scores(timed.rated, items)
        moving = self._moving(query, timed)
        if moving is not None:
            scores += moving if items is None else moving[:, items]
        return scores

    def _moving(self, query: Query, timed: _Timed) -> Float32 | None:
        """What moves with time at the moment of asking: float32 (n, n_items), or None where no moment is named."""
        temporal = self._temporal
        if temporal is None or query.as_of is None or timed.times is None or timed.slopes is None:
            return None
        return temporal.at(query.as_of, timed.rated, timed.times, timed.slopes)

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        timed = self._timed_histories(query)
        moving = self._moving(query, timed)
        found = self._explanations(timed.rated, items, scores)
        if moving is None:
            return found
        return [_moved(part, float(moving[0, item])) for part, item in zip(found, items, strict=True)]

    def _ratings_of(self, additions: Dataset) -> SparseRows:
        rated = super()._ratings_of(additions)
        temporal, times = self._temporal, times_of(additions, additions.n_items)
        return rated if temporal is None or times is None else temporal.static(rated, times)[0]

    def _updated(self, additions: Dataset) -> None:
        more = additions.n_items
        self.item_sets_ = lengthened(self.item_sets_, more)
        self.set_factors_ = lengthened(self.set_factors_, more)
        self.user_set_factors_ = lengthened(self.user_set_factors_, additions.n_users)
        self.item_counts_ = lengthened(self.item_counts_, more)
        if self.temporal_ is not None:
            self.temporal_ = {
                **self.temporal_,
                "items": lengthened(self.temporal_["items"], more),
                "period_biases": lengthened(self.temporal_["period_biases"], more),
            }
        super()._updated(additions)

    def _solve_items(self, items: npt.NDArray[Any], rated: SparseRows) -> None:
        """As the base class, for q_i; t_i is summed from everybody who has rated the item."""
        by_item = rows_of_columns(rated, items)
        counts = np.diff(by_item.indptr)
        shares = set_shares(counts)
        sets = np.zeros((len(items), self.params.factors), dtype=np.float32)
        sum_sets(0, len(items), by_item.indptr, by_item.indices, self.user_set_factors_, shares, sets)
        deviations = ((by_item.data - self.mean_) / self.spread_).astype(np.float32)
        deviations -= self.user_biases_[by_item.indices]
        owners = np.repeat(np.arange(len(items)), counts)
        deviations -= np.einsum("nf,nf->n", self.user_factors_[by_item.indices], sets[owners])
        features = with_constant(self.user_factors_)
        solution = ridge_solutions(by_item._replace(data=deviations), features, self._penalty(counts))
        self.item_counts_ = self.item_counts_.copy()
        self.item_counts_[items] = counts
        self.item_biases_[items], self.item_factors_[items] = solution[:, 0], solution[:, 1:] + sets
        self.item_sets_[items] = sets


class _Timed(NamedTuple):
    """Ratings of known items without what moves with time, their times, and the people's slopes, where there are any.

    times: int64 (entries,). slopes: float32 (people,).
    """

    rated: SparseRows
    times: Int64 | None = None
    slopes: Float32 | None = None


class _Learnt:
    """What is learnt of users, or of items: biases, factors, sums of sets, and what each adds to sets of the others."""

    penalty: Float32
    member_penalty: Float32

    def __init__(self, ratings: SparseRows, factors: Float32) -> None:
        self.ratings = ratings
        self.lengths = np.diff(ratings.indptr)
        self.shares = set_shares(self.lengths)
        self.biases = np.zeros(len(factors), dtype=np.float32)
        self.factors = factors
        self.sets = np.zeros_like(factors)
        self.members = np.zeros_like(factors)

    @classmethod
    def begin(
        cls, ratings: SparseRows, rows: int, length: np.float32, factors: int, generator: np.random.Generator
    ) -> _Learnt:
        """Small random factors, 0 for rows without ratings."""
        drawn = generator.standard_normal((rows, factors), dtype=np.float32) * length
        drawn[np.diff(ratings.indptr) == 0] = 0
        return cls(ratings._replace(data=ratings.data.copy()), drawn)

    def descend(self, columns: _Learnt, order: Int64, begin: int, end: int, rate: float) -> float:
        """Visit some rows of this side; the sum of squared errors."""
        return float(
            descend_with_sets(
                begin,
                end,
                order,
                *self.ratings,
                self.biases,
                columns.biases,
                self.factors,
                columns.factors,
                columns.sets,
                columns.members,
                self.members,
                self.shares,
                columns.shares,
                self.penalty,
                columns.penalty,
                columns.member_penalty,
                rate,
            )
        )

    def renew_sets(self, members: Float32, threads: int) -> None:
        """Sum up the sets of this side anew."""
        in_blocks(
            lambda begin, end: sum_sets(
                begin, end, self.ratings.indptr, self.ratings.indices, members, self.shares, self.sets
            ),
            len(self.sets),
            ROWS_PER_BLOCK,
            threads,
        )


def _moved(explanation: Explanation, moving: float) -> Explanation:
    """The explanation with a base that holds what moves with time."""
    return Explanation.of(
        explanation.item,
        explanation.score,
        list(explanation.contributions),
        base=explanation.base + moving,
        additive=explanation.additive,
        faithful_to_removal=explanation.faithful_to_removal,
        method=f"{explanation.method}, and what moves with time",
    )
