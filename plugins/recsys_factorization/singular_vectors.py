"""PureSVD and its like for ratings: scores are projections of a history onto leading singular vectors."""

from __future__ import annotations

import copy
from abc import abstractmethod
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
from recsys_desktop.toolkit.bias import Biases, fit_biases
from recsys_desktop.toolkit.held_out_choice import (
    MOST_INTERACTIONS,
    StretchOfRun,
    best_on_held_out,
    choice_memory,
    choice_seconds,
)
from recsys_desktop.toolkit.products import SparseRows, sparse_times_dense
from recsys_factorization.arrays import (
    Changed,
    known_ratings,
    lengthened,
    own_places,
    rows_of_columns,
    with_additions,
    with_ratings,
)
from recsys_factorization.plugin import PURE_SVD, TRUNCATED_SVD, PureSVDParams, SingularVectorParams, TruncatedSVDParams
from recsys_factorization.popularity_base import WEIGHTS, are_short, may_be_short, popularity_bases
from recsys_factorization.randomised_svd import Decomposition, truncated_svd
from recsys_factorization.rehearsal import compile_kernels

# In the order in which they win ties: where few data are held out, chance alone can make one vector look as good.
_RANKS = (8, 5, 3, 2, 1, 12, 18, 27, 40, 64)
_FLOOR = 1.15
_TRIAL_SPAN = 0.7
# For forecasts: seconds to find the place of a held-out item, for each interaction and item of the catalogue.
_FIND_PLACES = 3e-11


class SingularVectorModel(Recommender):
    """With V the leading right singular vectors of D X, a history x scores x V V^T (Cremonesi, Koren, Turrin 2010,
    "Performance of recommender algorithms on top-N recommendation tasks", section 3.3).

    X (users, items) holds a value for each interaction, and 0 where there are none; D divides each person's row by
    (number of entries) ^ history_exponent, so that those with long histories do not outvote the rest. V alone is
    learnt: a person is folded in exactly, and each entry of the history adds its own part to the score.

    While fitting, the share of the squared entries of D X that the first 1, 2, ... ranks explain, and the relative
    error of reconstruction, are logged, one step a rank.

    Fitted state: item_factors_ float32 (n_items, rank), V; singular_values_ float32 (rank,); user_factors_ float32
    (n_users, rank), x V of the training people; entry_indptr_, entry_items_, entries_: the interactions by user as
    `_interactions` gives them.
    """

    params: SingularVectorParams
    method: ClassVar[str]

    item_factors_: Float32
    singular_values_: Float32
    user_factors_: Float32
    entry_indptr_: Int64
    entry_items_: Int32
    entries_: Float32

    @abstractmethod
    def _interactions(self, data: Dataset) -> SparseRows:
        """The interactions that count, by user."""

    @abstractmethod
    def _asked(self, query: Query) -> SparseRows:
        """The histories as `_interactions` holds the training ones, without items that the model does not know."""

    def _centred(self, rows: SparseRows) -> SparseRows:
        """X of people with these interactions; by default the interactions themselves."""
        return rows

    def estimate(self, shape: DataShape) -> Forecast:
        """Forecast; see the base class."""
        rank = min(self.params.rank or _RANKS[-1], shape.n_users, shape.n_items)
        width = rank + max(10, rank // 2)
        entries = shape.n_interactions
        memory = 44 * entries + 4 * width * (shape.n_users + 3.3 * shape.n_items) + 4 * rank * shape.n_users
        seconds = _seconds(entries, width)
        if self.params.rank is None:
            memory += choice_memory(shape)
            typical = _RANKS[0]
            seconds = _seconds(min(entries, MOST_INTERACTIONS), width) + _seconds(entries, typical)
            seconds += choice_seconds(shape, len(_RANKS))
            seconds += len(_RANKS) * _FIND_PLACES * min(entries, MOST_INTERACTIONS) * shape.n_items
        return Forecast(int(memory) + (3 << 20), 0.1 + seconds, cheaper="popularity")

    def check_state(self) -> None:
        """As `Recommender.check_state`."""
        super().check_state()
        users, rank = len(self.known_users_), len(self.singular_values_)
        require_array("item_factors_", self.item_factors_, (self.n_items, rank), np.float32)
        require_array("singular_values_", self.singular_values_, (rank,), np.float32)
        require_array("user_factors_", self.user_factors_, (users, rank), np.float32)
        require_rows(("entry_indptr_", "entry_items_"), self.entry_indptr_, self.entry_items_, users, self.n_items)
        require_array("entries_", self.entries_, self.entry_items_.shape, np.float32)

    def _fit(self, train: Dataset, run: RunContext) -> None:
        compile_kernels(self, run)
        rows = self._interactions(train)
        self._hold(rows, train.n_items)
        self._begin(train, run)
        centred = self._centred(rows)
        scaled = centred._replace(data=centred.data * self._scales(centred))
        found = self._decomposition(scaled, train, run)
        kept = self._kept(found)
        for place, share in enumerate(found.explained[:kept]):
            run.log(place + 1, explained_share=float(share), reconstruction_error=float(np.sqrt(1 - share)))
        self.item_factors_ = found.vectors[:, :kept].copy()
        self.singular_values_ = found.values[:kept].astype(np.float32)
        self.user_factors_ = sparse_times_dense(centred, self.item_factors_, run.threads)

    def _decomposition(self, scaled: SparseRows, train: Dataset, run: RunContext) -> Decomposition:
        """The leading singular vectors of D X, `scaled`, as many as `rank` says."""
        return truncated_svd(scaled, train.n_items, self.setting("rank"), run, self.spec.id)

    def _kept(self, found: Decomposition) -> int:
        """How many of them to keep, at least one."""
        return len(found.values)

    def _above_chance(self, found: Decomposition, times: float) -> int:
        """How many singular values, at least one, are above a multiple of what chance gives.

        What chance gives is |D X|_Frobenius (1 / sqrt(people) + 1 / sqrt(items)), the largest that the same entries
        would have if they were scattered evenly at random; long tails raise it a little.
        """
        chance = float(self.known_users_.sum()) ** -0.5 + float(self.known_items_.sum()) ** -0.5
        return max(1, int((found.values >= times * chance * np.sqrt(found.total)).sum()))

    def _begin(self, train: Dataset, run: RunContext) -> None:
        """What a subclass learns first."""

    def _hold(self, rows: SparseRows, n_items: int) -> None:
        self.entry_indptr_, self.entry_items_, self.entries_ = rows
        self.known_users_ = np.diff(rows.indptr) > 0
        self.known_items_ = np.bincount(rows.indices, minlength=n_items) > 0

    def _scales(self, rows: SparseRows) -> Float32:
        """D for every entry: float32 (entries,)."""
        lengths = np.diff(rows.indptr)
        scales = np.maximum(lengths, 1).astype(np.float32) ** np.float32(-self.params.history_exponent)
        return np.repeat(scales, lengths)

    def _serves(self, query: Query) -> Bool:
        return np.diff(self._asked(query).indptr) > 0

    def _projections(self, query: Query, items: Int32 | None) -> Float32:
        """x V V^T: float32 (n, n_items) or (n, len(items))."""
        people = sparse_times_dense(self._centred(self._asked(query)), self.item_factors_)
        wanted = self.item_factors_ if items is None else self.item_factors_[items]
        scores: Float32 = people @ wanted.T
        return scores

    def _parts(self, query: Query, items: Int32) -> tuple[list[int], npt.NDArray[np.float64]]:
        """The items of one person's history, and what each adds: float64 (items, history)."""
        history = self._centred(self._asked(query))
        own = self.item_factors_[history.indices].astype(np.float64)
        parts = (self.item_factors_[items] @ own.T) * history.data
        return history.indices.tolist(), parts

    def item_embeddings(self) -> Float32:
        """float32 (n_items, rank), V times the singular values, in which an item's length tells how much the patterns
        have of it; NaN for items without interactions. With `user_embeddings` they multiply to x V V^T."""
        embeddings = self.item_factors_ * self.singular_values_
        embeddings[~self.known_items_] = np.nan
        return embeddings

    def user_embeddings(self) -> Float32:
        """float32 (n_users, rank), x V over the singular values; NaN for users without interactions."""
        embeddings = np.zeros_like(self.user_factors_)
        np.divide(self.user_factors_, self.singular_values_, out=embeddings, where=self.singular_values_ > 0)
        embeddings[~self.known_users_] = np.nan
        return embeddings

    def _updated(self, additions: Dataset) -> None:
        """Fold in the people, then the items, of the new interactions: v_j = X_j^T D^2 (X V) / s^2 of those who have j,
        which is the equation that V solves."""
        had = SparseRows(self.entry_indptr_, self.entry_items_, self.entries_)
        rows, users, items = self._with_additions(had, additions)
        self._hold(rows, additions.n_items)
        self.item_factors_ = lengthened(self.item_factors_, additions.n_items)
        self.user_factors_ = lengthened(self.user_factors_, additions.n_users)
        self._take_in(items, rows)
        self._refold(users, rows)
        centred = self._centred(rows)
        by_item = rows_of_columns(centred._replace(data=centred.data * np.square(self._scales(centred))), items)
        squares = np.square(self.singular_values_, dtype=np.float64)
        found = sparse_times_dense(by_item, self.user_factors_)
        self.item_factors_[items] = np.divide(found, squares, out=np.zeros_like(found), where=squares > 0)
        self._refold(users, rows)

    @abstractmethod
    def _with_additions(self, had: SparseRows, additions: Dataset) -> Changed:
        """The interactions with new ones, as `_interactions` holds them."""

    def _take_in(self, items: npt.NDArray[Any], rows: SparseRows) -> None:
        """What a subclass learns anew of these items from all interactions."""

    def _refold(self, users: npt.NDArray[Any], rows: SparseRows) -> None:
        self.user_factors_[users] = sparse_times_dense(self._centred(rows.take(users)), self.item_factors_)


class PureSVD(SingularVectorModel):
    """PureSVD: every interaction is 1, and the score of an item is its entry of x V V^T (see the base class).

    To it comes popularity times the share of people who have the item, which the leading vectors do not hold where
    people have one or two interactions each: those are single items then. Unless `popularity` is given, it is 0 where
    people have 10 interactions or more on the mean, and else 10, 100, 1 and 0 are tried with each rank.

    Unless `rank` says how many singular vectors are kept, one decomposition without a tenth of the interactions is
    cut to ten ranks from 1 to 64, and the number that ranks the tenth best is taken: the share of the entries that a
    vector explains does not tell whether it is a pattern or chance. Vectors that chance would explain are left out.

    Fitted state beyond the base class: bases_ float32 (n_items,), what popularity adds.
    """

    spec = PURE_SVD
    state_version = 3
    params: PureSVDParams

    bases_: Float32
    method = "projection onto singular vectors: each item of the history adds its part"

    def estimate(self, shape: DataShape) -> Forecast:
        """Forecast; see the base class."""
        forecast = super().estimate(shape)
        options = len(_RANKS) if self.params.rank is None else 1
        if self.params.popularity is not None or not may_be_short(shape):
            return forecast
        seconds = choice_seconds(shape, options * (len(WEIGHTS) - 1))
        if self.params.rank is not None:
            seconds = 2 * forecast.seconds + choice_seconds(shape, len(WEIGHTS))
            return forecast._replace(seconds=seconds, memory_bytes=forecast.memory_bytes + choice_memory(shape))
        return forecast._replace(seconds=forecast.seconds + seconds)

    def check_state(self) -> None:
        """As `Recommender.check_state`."""
        super().check_state()
        require_array("bases_", self.bases_, (self.n_items,), np.float32)

    @classmethod
    def migrate_params(cls, params: dict[str, Any], version: int) -> dict[str, Any]:
        """In version 1 vectors below a floor were left out (how many were kept is in the state); in versions 1 and 2
        popularity counted nothing."""
        kept = {name: value for name, value in params.items() if name != "noise_floor"}
        return {**kept, "popularity": 0.0}

    def migrate_state(self, fitted: dict[str, Any], version: int) -> dict[str, Any]:
        """As it was, with a popularity that counts nothing."""
        return {**fitted, "bases_": np.zeros(len(fitted["known_items_"]), dtype=np.float32)}

    def _decomposition(self, scaled: SparseRows, train: Dataset, run: RunContext) -> Decomposition:
        if None in (self.setting("rank"), self.setting("popularity")):
            run = self._choose(train, np.diff(scaled.indptr), run)
        self._set_bases()
        return super()._decomposition(scaled, train, run)

    def _kept(self, found: Decomposition) -> int:
        if self.params.rank is not None:
            return super()._kept(found)
        kept = min(int(self.setting("rank")), self._above_chance(found, _FLOOR))
        self.chosen_ = {**(self.chosen_ or {}), "rank": kept}
        return kept

    def _choose(self, train: Dataset, lengths: Int64, run: RunContext) -> RunContext:
        """Settle the parameters that were left open; the rest of the run."""
        rank, popularity = self.setting("rank"), self.setting("popularity")
        ranks = _RANKS if rank is None else (rank,)
        weights: tuple[float, ...] = (popularity,)
        if popularity is None:
            weights = WEIGHTS if are_short(lengths) else (0.0,)
        options = [(rank, popularity) for popularity in weights for rank in ranks]
        rank, popularity = options[0] if len(options) == 1 else self._best(options, train, run)
        best = {"rank": rank, "popularity": popularity}
        self.chosen_ = {name: value for name, value in best.items() if getattr(self.params, name) is None}
        return StretchOfRun(run, _TRIAL_SPAN, 1.0) if len(options) > 1 else run

    def _best(self, options: list[tuple[int, float]], train: Dataset, run: RunContext) -> tuple[int, float]:
        """The best of some ranks and weights of popularity."""
        widest: list[_Widest] = []

        def trial(option: tuple[int, float], kept: Dataset, part: RunContext) -> Recommender:
            if not widest:
                params = self.params.model_copy(update={"rank": max(rank for rank, _ in options), "popularity": 0.0})
                widest.append(_Widest(params).fit(kept, part))
            rank, popularity = option
            most = widest[0].above_chance if self.params.rank is None else rank
            return widest[0]._cut_to(min(rank, most), popularity)

        return best_on_held_out(options, trial, train, run, span=_TRIAL_SPAN, min_rating=self.params.min_rating)

    def _cut_to(self, rank: int, popularity: float) -> PureSVD:
        """This model with the first `rank` singular vectors, and another weight of popularity."""
        model = copy.copy(self)
        model.params = self.params.model_copy(update={"popularity": popularity})
        model._set_bases()
        model.item_factors_ = np.ascontiguousarray(self.item_factors_[:, :rank])
        model.singular_values_ = self.singular_values_[:rank]
        model.user_factors_ = self.user_factors_[:, :rank]
        return model

    def _set_bases(self) -> None:
        counts = np.bincount(self.entry_items_, minlength=len(self.known_items_))
        self.bases_ = popularity_bases(self.setting("popularity"), counts, int(np.count_nonzero(self.known_users_)))

    def _interactions(self, data: Dataset) -> SparseRows:
        return SparseRows.of(data.matrix("one", self.params.min_rating))

    def _with_additions(self, had: SparseRows, additions: Dataset) -> Changed:
        return with_additions(had, additions, self.params.min_rating)

    def _asked(self, query: Query) -> SparseRows:
        rows = SparseRows.of(query.matrix(self.n_items, "one", self.params.min_rating))
        return rows.with_columns(own_places(self.known_items_))

    def _score(self, query: Query, items: Int32 | None) -> Float32:
        scores = self._projections(query, items)
        scores += self.bases_ if items is None else self.bases_[items]
        return scores

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        codes, parts = self._parts(query, items)
        return [
            Explanation.of(
                int(item),
                float(score),
                [Contribution(Source.HISTORY, float(value), code) for value, code in zip(part, codes, strict=True)],
                base=float(self.bases_[item]),
                additive=True,
                faithful_to_removal=True,
                method=self.method,
            )
            for item, score, part in zip(items, scores, parts, strict=True)
        ]

    def _take_in(self, items: npt.NDArray[Any], rows: SparseRows) -> None:
        self._set_bases()


class _Widest(PureSVD):
    """With as many vectors as are ever tried; above_chance: how many of them chance would not explain."""

    above_chance: int

    def _kept(self, found: Decomposition) -> int:
        self.above_chance = self._above_chance(found, _FLOOR)
        return super()._kept(found)


class RatingSVD(SingularVectorModel):
    """Truncated SVD of ratings, imputed by bias: X is rating - mean - b_u - b_i, so that a missing rating is taken to
    be what the biases say, and a prediction is those plus the entry of x V V^T (see the base class). The biases are
    shrunk as strongly as their spread in the data asks for, and a person's own is folded in from the history.

    Vectors whose singular values are below noise_floor times what chance would give, |D X|_Frobenius (1 / sqrt(people)
    + 1 / sqrt(items)), are left out, down to one.

    Fitted state beyond the base class: biases_, the fields of a `Biases`.
    """

    spec = TRUNCATED_SVD
    params: TruncatedSVDParams
    method = "averages, and the projection of the history's deviations onto singular vectors"

    biases_: dict[str, Any]

    def check_state(self) -> None:
        """As `Recommender.check_state`."""
        super().check_state()
        require_array("biases_['users']", self._biases.users, (len(self.known_users_),), np.float32)
        require_array("biases_['items']", self._biases.items, (self.n_items,), np.float32)

    def _kept(self, found: Decomposition) -> int:
        return self._above_chance(found, self.params.noise_floor)

    @property
    def _biases(self) -> Biases:
        return Biases(**self.biases_)

    def _begin(self, train: Dataset, run: RunContext) -> None:
        self.biases_ = fit_biases(train, None, None, run)._asdict()

    def _interactions(self, data: Dataset) -> SparseRows:
        return SparseRows.of(data.matrix("rating"))

    def _with_additions(self, had: SparseRows, additions: Dataset) -> Changed:
        return with_ratings(had, additions)

    def _asked(self, query: Query) -> SparseRows:
        return known_ratings(query, self.known_items_)

    def _centred(self, rows: SparseRows) -> SparseRows:
        biases = self._biases
        levels = np.repeat(biases.of_rows(rows), np.diff(rows.indptr))
        return rows._replace(data=rows.data - np.float32(biases.mean) - biases.items[rows.indices] - levels)

    def predictable_items(self) -> Bool:
        """All: an item without ratings is taken to be an average one."""
        return np.ones(self.n_items, dtype=np.bool_)

    def _score(self, query: Query, items: Int32 | None) -> Float32:
        scores = self._projections(query, items)
        scores += self._biases.ratings(self._biases.of_rows(self._asked(query)), items)
        return scores

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        codes, parts = self._parts(query, items)
        biases, level = self._biases, float(self._biases.of_rows(self._asked(query))[0])
        return [
            Explanation.of(
                int(item),
                float(score),
                [
                    Contribution(Source.BIAS, level, label="how this person rates"),
                    Contribution(Source.BIAS, float(biases.items[item]), label="how this item is rated"),
                    *(Contribution(Source.HISTORY, float(v), code) for v, code in zip(part, codes, strict=True)),
                ],
                base=biases.mean,
                additive=True,
                faithful_to_removal=False,
                method=self.method,
            )
            for item, score, part in zip(items, scores, parts, strict=True)
        ]

    def _take_in(self, items: npt.NDArray[Any], rows: SparseRows) -> None:
        """The biases of these items, from the deviations of all who rated them."""
        biases = self._biases
        of_items = lengthened(biases.items, len(self.known_items_))
        of_users = lengthened(biases.users, len(self.known_users_))
        by_item = rows_of_columns(rows, items)
        owners = np.repeat(np.arange(len(items)), np.diff(by_item.indptr))
        deviations = by_item.data - biases.mean - of_users[by_item.indices]
        sums = np.bincount(owners, weights=deviations, minlength=len(items))
        of_items[items] = sums / np.maximum(np.diff(by_item.indptr) + biases.item_regularisation, 1e-9)
        moved = biases._replace(items=of_items)
        self.biases_ = moved._replace(users=moved.of_rows(rows))._asdict()


def _seconds(entries: int, width: int) -> float:
    """Of the decomposition of so many entries in a subspace of so many dimensions."""
    return 2.4e-8 * entries * (width + 30)
