"""Bayesian personalised ranking: factors learnt from pairs of a chosen and a not chosen item."""

from __future__ import annotations

from typing import Any

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
from recsys_desktop.api.dataset import Bool, Float32, Int32, Int64
from recsys_desktop.api.state_checks import require_array, require_rows
from recsys_desktop.toolkit.held_out_choice import (
    MOST_INTERACTIONS,
    StretchOfRun,
    best_on_held_out,
    choice_memory,
    choice_seconds,
)
from recsys_desktop.toolkit.parallel import in_blocks
from recsys_desktop.toolkit.products import SparseRows
from recsys_factorization.arrays import Float64, Ragged, lengthened, of_known_items, with_additions
from recsys_factorization.bpr_kernels import fold_in_pairs, learn_pairs
from recsys_factorization.divergence import DIVERGED, require_converging
from recsys_factorization.plugin import BPR, BPRParams
from recsys_factorization.rehearsal import compile_kernels

_PAIRS_PER_CALL = 200_000
_FOLD_IN_EPOCHS = 10
_FOLD_IN_BLOCK = 64
_UPDATE_EPOCHS = 5
_UPDATE_SHARE = 0.2
_CANDIDATES = (1, 8)
_TRIAL_PEOPLE = 0.4
_TOLERANCE_OF_TRIAL = 0.05
_TRIAL_SPAN = 0.4
# For forecasts: bytes of items' factors that a processor keeps near, and seconds of a step whose items are not there.
_CACHE = 8 << 20
_MISS = 2e-7


class BayesianPersonalisedRanking(Recommender):
    """Matrix factorisation that orders pairs of items (Rendle, Freudenthaler, Gantner, Schmidt-Thieme 2009, section 4).

    x_ui = b_i + w_u.h_i, and stochastic gradient descent minimises -ln sigmoid(x_ui - x_uj) + regularisation / 2 of the
    squared parameters over pairs of an item i that the person has and an item j that they have not. j is the highest
    scoring of some items drawn at random (Zhang, Chen, Wang, Yu 2013, "Optimizing top-N collaborative filtering via
    dynamic negative item sampling"), which learns the top of the list faster; 1 gives the original method. The more
    there are, the more often j is an item that the person would like as well, which does harm where tastes say little
    beside popularity. So unless `candidates` says how many, 1 and 8 are tried on two fifths of the people, with a tenth
    of their interactions set aside, and the better is taken for the training on all; 1 where it comes within 5 % of the
    other. (Trials of fewer epochs do not show the harm.) An epoch visits people in random order and makes as many steps
    for each as they have items.

    When the items are learnt everybody is folded in: their factors are learnt anew from their own items, by the same
    steps with the items held fixed and draws that depend on the history alone. So a person is their history, and their
    factors are a sum of what the steps on each item of it added, which explains a score.

    Fitted state: item_factors_ float32 (n_items, factors), item_biases_ float32 (n_items,); user_factors_ float32
    (n_users, factors), the folded-in training histories, and fresh_users_ bool (n_users,), where they go with the
    present items; interaction_indptr_, interaction_items_: the training pairs by user; draws_: the seed of the fold-in.
    """

    spec = BPR
    params: BPRParams

    item_factors_: Float32
    item_biases_: Float32
    user_factors_: Float32
    fresh_users_: Bool
    interaction_indptr_: Int64
    interaction_items_: Int32
    draws_: int
    _threads: int = 1
    """How many threads fold people in who are asked about."""

    def estimate(self, shape: DataShape) -> Forecast:
        """Forecast; see the base class."""
        rows, factors, pairs = shape.n_users + shape.n_items, self.params.factors, shape.n_interactions
        memory = 30 * pairs + 8.5 * rows * factors + 24 * rows + (2 << 20)
        given, tried_pairs = self.params.candidates, min(_TRIAL_PEOPLE * pairs, MOST_INTERACTIONS)
        tried = () if given is not None else _CANDIDATES
        if tried:
            memory += choice_memory(shape)
        missed = _MISS * min(1.0, 4 * shape.n_items * factors / _CACHE)

        def seconds(candidates: int, of_pairs: float) -> float:
            """Of a training: products of factors, and factors of items that are not in the processor's cache."""
            epochs = self.params.epochs
            products = (candidates + 4) * epochs + (candidates + 2) * _FOLD_IN_EPOCHS
            return of_pairs * (products * (factors + 16) / 5e9 + (epochs + _FOLD_IN_EPOCHS) * missed)

        total = 0.1 + seconds(given or _CANDIDATES[-1], pairs) + sum(seconds(each, tried_pairs) for each in tried)
        total += choice_seconds(shape, len(tried)) + len(tried) * 5e-11 * tried_pairs * shape.n_items
        return Forecast(int(memory), total, cheaper="ials")

    def check_state(self) -> None:
        """As `Recommender.check_state`."""
        super().check_state()
        users, factors = len(self.known_users_), self.params.factors
        require_array("item_factors_", self.item_factors_, (self.n_items, factors), np.float32)
        require_array("item_biases_", self.item_biases_, (self.n_items,), np.float32)
        require_array("user_factors_", self.user_factors_, (users, factors), np.float32)
        require_array("fresh_users_", self.fresh_users_, (users,), np.bool_)
        names = ("interaction_indptr_", "interaction_items_")
        require_rows(names, self.interaction_indptr_, self.interaction_items_, users, self.n_items)

    def _fit(self, train: Dataset, run: RunContext) -> None:
        compile_kernels(self, run)
        pairs = Ragged.of(train.matrix("one", self.params.min_rating))
        self.known_users_ = pairs.lengths > 0
        self.known_items_ = np.bincount(pairs.columns, minlength=train.n_items) > 0
        self.interaction_indptr_, self.interaction_items_ = pairs
        if self.setting("candidates") is None:
            self.chosen_ = {"candidates": self._best_candidates(train, run)}
            run = StretchOfRun(run, _TRIAL_SPAN, 1.0)
        generator = run.generator("bpr")
        factors = self.params.factors
        length = np.float32(0.1 / np.sqrt(factors))
        self.user_factors_ = generator.standard_normal((train.n_users, factors), dtype=np.float32) * length
        self.item_factors_ = generator.standard_normal((train.n_items, factors), dtype=np.float32) * length
        self.item_factors_[~self.known_items_] = 0
        self.item_biases_ = np.zeros(train.n_items, dtype=np.float32)
        active = np.flatnonzero(self.known_users_)
        for epoch in range(self.params.epochs):
            rate = self.params.learning_rate * (1 - epoch / self.params.epochs)
            loss = self._learn(generator.permutation(active), pairs, rate, generator, run, epoch)
            if run.should_stop:
                break
            require_converging(loss)
            run.log(epoch + 1, loss=loss)
        self.draws_ = int(generator.integers(1 << 62))
        self._settle(pairs, run)

    def _best_candidates(self, train: Dataset, run: RunContext) -> int:
        def trial(candidates: int, kept: Dataset, part: RunContext) -> Recommender:
            return _Trial(self.params.model_copy(update={"candidates": candidates})).fit(kept, part)

        return best_on_held_out(
            _CANDIDATES,
            trial,
            train,
            run,
            span=_TRIAL_SPAN,
            min_rating=self.params.min_rating,
            people=_TRIAL_PEOPLE,
            tolerance=_TOLERANCE_OF_TRIAL,
        )

    def _learn(
        self,
        people: Int64,
        pairs: Ragged,
        rate: float,
        generator: np.random.Generator,
        run: RunContext,
        epoch: int,
    ) -> float:
        """Visit `people` once, in this order; the mean loss of a pair."""
        catalogue = np.flatnonzero(self.known_items_).astype(np.int32)
        seed = int(generator.integers(1 << 62))
        done = np.cumsum(pairs.lengths[people])
        loss, begin = 0.0, 0
        while begin < len(people) and not run.should_stop:
            before = int(done[begin - 1]) if begin else 0
            end = max(begin + 1, int(np.searchsorted(done, before + _PAIRS_PER_CALL)))
            run.progress((epoch + before / done[-1]) / self.params.epochs, f"epoch {epoch + 1}")
            loss += learn_pairs(
                people[begin:end],
                *pairs,
                catalogue,
                self.user_factors_,
                self.item_factors_,
                self.item_biases_,
                rate,
                self.params.regularisation,
                self.setting("candidates"),
                seed,
            )
            begin = end
        return loss / int(done[-1])

    def _settle(self, pairs: Ragged, run: RunContext) -> None:
        """Learn everybody anew with the items that have been learnt; who is not reached before a stop stays as learnt
        with the items, and is learnt anew when asked about."""
        run.progress(1.0, "people")
        self.fresh_users_ = np.zeros(len(pairs.lengths), dtype=np.bool_)

        def block(begin: int, end: int) -> None:
            self._fold_in_rows(begin, end, pairs, self.user_factors_)
            self.fresh_users_[begin:end] = True

        in_blocks(block, len(pairs.lengths), _FOLD_IN_BLOCK, run.threads, should_stop=lambda: run.should_stop)
        if not (np.isfinite(self.item_factors_).all() and np.isfinite(self.user_factors_).all()):
            raise CannotFit(DIVERGED)

    def _fold_in(self, histories: Ragged, threads: int = 1) -> Float32:
        """The factors of people with these histories, float32 (n, factors)."""
        solution = np.zeros((len(histories.indptr) - 1, self.params.factors), dtype=np.float32)
        in_blocks(
            lambda begin, end: self._fold_in_rows(begin, end, histories, solution),
            len(solution),
            _FOLD_IN_BLOCK,
            threads,
        )
        return solution

    def _fold_in_rows(
        self, begin: int, end: int, histories: Ragged, solution: Float32, steps: tuple[Int32, Float32] | None = None
    ) -> None:
        """Set rows of `solution` to the factors of people with these histories; `steps`: see `fold_in_pairs`."""
        others, pushes = steps or (np.empty((0, 0), dtype=np.int32), np.empty((0, 0), dtype=np.float32))
        fold_in_pairs(
            begin,
            end,
            *histories,
            np.flatnonzero(self.known_items_).astype(np.int32),
            self.item_factors_,
            self.item_biases_,
            self.params.learning_rate,
            self.params.regularisation,
            self.setting("candidates"),
            _FOLD_IN_EPOCHS,
            self.draws_,
            solution,
            others,
            pushes,
        )

    def _histories(self, query: Query) -> Ragged:
        rows = Ragged.of(query.matrix(self.n_items, "one", self.params.min_rating))
        return of_known_items(rows, self.known_items_)

    def _serves(self, query: Query) -> Bool:
        return self._histories(query).lengths > 0

    def _score(self, query: Query, items: Int32 | None) -> Float32:
        people = self._people(query.users, self._histories(query))
        factors, biases = self.item_factors_, self.item_biases_
        if items is not None:
            factors, biases = factors[items], biases[items]
        scores: Float32 = people @ factors.T
        scores += biases
        return scores

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        """score_k = b_k + sum over the history i of what the steps on i added to w_u, times h_k.

        Each step adds to w_u a multiple of h_i - h_j, which all later steps shrink; the multiples are those that the
        fold-in took. What a step on another item would have been without i is not part of this.
        """
        history = self._histories(query)
        parts = self._parts(history).astype(np.float64) @ self.item_factors_[items].T.astype(np.float64)
        codes = history.columns.tolist()
        return [
            Explanation.of(
                int(item),
                float(score),
                [Contribution(Source.HISTORY, value, code) for value, code in zip(part.tolist(), codes, strict=True)],
                base=float(self.item_biases_[item]),
                additive=True,
                faithful_to_removal=False,
                method="what the steps on each item of the history added to the person; the base is the item's own",
            )
            for item, score, part in zip(items, scores, parts.T, strict=True)
        ]

    def _parts(self, history: Ragged) -> Float64:
        """What the steps on each item of one history added to the person: float64 (entries, factors)."""
        own = history.columns
        person = np.zeros((1, self.params.factors), dtype=np.float32)
        others = np.full((_FOLD_IN_EPOCHS, len(own)), -1, dtype=np.int32)
        pushes = np.zeros(others.shape, dtype=np.float32)
        self._fold_in_rows(0, 1, history, person, (others, pushes))
        rates = self.params.learning_rate * (1 - np.arange(_FOLD_IN_EPOCHS) / _FOLD_IN_EPOCHS)
        keeps = np.where(others >= 0, 1 - rates[:, None] * self.params.regularisation, 1.0).ravel()
        later = np.append(np.cumprod(keeps[:0:-1])[::-1], 1.0)
        weights = pushes * later.reshape(others.shape)
        parts: Float64 = weights.sum(axis=0)[:, None] * self.item_factors_[own]
        for of_epoch, drawn in zip(weights, others, strict=True):
            parts -= of_epoch[:, None] * self.item_factors_[drawn]
        return parts

    def _people(self, users: Int32, histories: Ragged) -> Float32:
        """The factors of people: those in store where the history is the one they were folded in from."""
        stored = self._in_store(users, histories)
        factors = np.empty((len(users), self.params.factors), dtype=np.float32)
        factors[stored] = self.user_factors_[users[stored]]
        if not stored.all():
            others = np.flatnonzero(~stored)
            factors[others] = self._fold_in(histories.take(others), self._threads)
        return factors

    def _in_store(self, users: Int32, histories: Ragged) -> Bool:
        """bool (n,): whose history is that of the fit."""
        known = (users >= 0) & (users < len(self.fresh_users_))
        stored = np.zeros(len(users), dtype=np.bool_)
        stored[known] = self.fresh_users_[users[known]]
        own = Ragged(self.interaction_indptr_, self.interaction_items_)
        stored[stored] = own.lengths[users[stored]] == histories.lengths[stored]
        candidates = np.flatnonzero(stored)
        asked, had = histories.take(candidates), own.take(users[candidates])
        differ = np.repeat(np.arange(len(candidates)), asked.lengths)[asked.columns != had.columns]
        stored[candidates[differ]] = False
        return stored

    def item_embeddings(self) -> Float32:
        """float32 (n_items, factors); NaN for items without interactions."""
        embeddings: Float32 = np.where(self.known_items_[:, None], self.item_factors_, np.float32(np.nan))
        return embeddings

    def user_embeddings(self) -> Float32:
        """float32 (n_users, factors), folded in from the training interactions, or as learnt with the items for people
        whom a stop came before; NaN for users without any."""
        embeddings: Float32 = np.where(self.known_users_[:, None], self.user_factors_, np.float32(np.nan))
        return embeddings

    def _updated(self, additions: Dataset) -> None:
        """Some more epochs over the people of the new interactions at a small rate; their items move with them."""
        had = SparseRows(
            self.interaction_indptr_, self.interaction_items_, np.ones(len(self.interaction_items_), dtype=np.float32)
        )
        rows, people, _ = with_additions(had, additions, self.params.min_rating)
        pairs = Ragged(rows.indptr, rows.indices)
        self.interaction_indptr_, self.interaction_items_ = pairs
        self.known_users_ = pairs.lengths > 0
        self.known_items_ = np.bincount(pairs.columns, minlength=additions.n_items) > 0
        self.item_factors_ = lengthened(self.item_factors_, additions.n_items)
        self.item_biases_ = lengthened(self.item_biases_, additions.n_items)
        self.user_factors_ = lengthened(self.user_factors_, additions.n_users)
        self.fresh_users_ = lengthened(self.fresh_users_, additions.n_users)
        if not len(people):
            return
        self.user_factors_[people] = self._fold_in(pairs.take(people))
        self._move_items(people, pairs)
        self.user_factors_[people] = self._fold_in(pairs.take(people))
        self.fresh_users_ = np.zeros(additions.n_users, dtype=np.bool_)
        self.fresh_users_[people] = True

    def _move_items(self, people: npt.NDArray[Any], pairs: Ragged) -> None:
        catalogue = np.flatnonzero(self.known_items_).astype(np.int32)
        for epoch in range(_UPDATE_EPOCHS):
            learn_pairs(
                people,
                *pairs,
                catalogue,
                self.user_factors_,
                self.item_factors_,
                self.item_biases_,
                _UPDATE_SHARE * self.params.learning_rate,
                self.params.regularisation,
                self.setting("candidates"),
                self.draws_ + epoch,
            )


class _Trial(BayesianPersonalisedRanking):
    """Only those are folded in by whose lists a trial is judged."""

    def _settle(self, pairs: Ragged, run: RunContext) -> None:
        self._threads = run.threads
        self.fresh_users_ = np.zeros(len(pairs.lengths), dtype=np.bool_)
