"""Bayesian factorisation machine over ids, implicit sets and side features, by Gibbs sampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from recsys_desktop.api import (
    Contribution,
    Dataset,
    DataShape,
    Explanation,
    FeatureTable,
    Forecast,
    Query,
    Recommender,
    RunContext,
    Source,
)
from recsys_desktop.api.dataset import Bool, Float32, Int32, Int64
from recsys_desktop.api.state_checks import require_array, require_rows
from recsys_desktop.toolkit.parallel import announce_compilation, in_blocks
from recsys_desktop.toolkit.products import SparseRows
from recsys_factorization.arrays import Float64, known_ratings, lengthened, merged, rows_of_columns, taken_rows
from recsys_factorization.bayesian_fm_kernels import (
    MOST_ROUNDS,
    fold_in_samples,
    gather_errors,
    sample_weights,
    settle_errors,
)
from recsys_factorization.gibbs import Design, GibbsSampler, aligned
from recsys_factorization.ordered_probit import Levels, OrderedProbit, bounds, expected_latent, expected_ratings
from recsys_factorization.plugin import BAYESIAN_FM, BayesianFMParams
from recsys_factorization.side_features import Encoding, encode, fit_encodings

_BURN_IN_SHARE = 0.2
_PEOPLE_PER_BLOCK = 64
_MOST_RATERS = 256
_RESTS = 1e-5


class BayesianFM(Recommender):
    """Factorisation machine whose parameters are averaged over draws from their posterior distribution.

    Features of the user side are the user's id, the set of items that they have rated (each 1 / sqrt(size), as in
    SVD++) and their attributes; those of the item side the item's id, the set of others who have rated it and its
    categories, tags, numbers and year. With (b, v) the sum of value times weights over a person's features and (c, q)
    that over an item's, a rating is level + b + c + v.q with normal noise: the factorisation machine of Rendle 2012
    ("Factorization Machines with libFM", equation 1, section 4.3) without the products of two features of the same
    side. Every weight, the priors of every block of features and the noise are drawn in turn from their conditional
    distributions (Gibbs sampling); nothing needs tuning. Ratings are less their mean and in units of their spread.

    The weights of an item and of sets do not depend on any one person much, so a person is folded in exactly: for each
    of the kept draws the posterior mean of their own part given their history is a ridge regression. There the items
    of the history lack one n-th of what their set of n users adds: the expected part of the person. Draws are turned
    into a common frame (orthogonal Procrustes, as factors are only defined up to a rotation) and averaged: one vector
    a person and one an item.

    With `ordered_probit` a rating says between which two cut points a latent value lies, and it is the latent values
    that the machine models (Albert, Chib 1993; see `OrderedProbit`). Serving replaces those of a history by their
    posterior means, to convergence; a score is linear in the latent prediction, and a predicted rating the mean over
    the levels.

    Fitted state: mean_, spread_; item_levels_ float32 (n_items,), item_factors_ float32 (n_items, factors): averages
    over draws; user_levels_, user_factors_: the training people; the S kept draws, D = 1 + factors: item_draws_,
    set_draws_ float32 (n_items, S, D), user_prior_ and item_prior_ float32 (2, S, D) (means and precisions of id
    weights), level_draws_, noise_precisions_ float32 (S,), rotations_ float32 (S, factors, factors),
    user_attribute_draws_, item_attribute_draws_ float32 (columns, S, D); user_encodings_, item_encodings_;
    drawn_items_ bool (n_items,), which have draws; rated_indptr_, rated_items_, ratings_: the training ratings by user;
    level_edges_, level_values_: the fields of `Levels`, and cut_draws_ float32 (S, levels - 1), all empty without
    `ordered_probit`.
    """

    spec = BAYESIAN_FM
    state_version: ClassVar[int] = 2
    params: BayesianFMParams

    mean_: float
    spread_: float
    item_levels_: Float32
    item_factors_: Float32
    user_levels_: Float32
    user_factors_: Float32
    item_draws_: Float32
    set_draws_: Float32
    user_prior_: Float32
    item_prior_: Float32
    level_draws_: Float32
    noise_precisions_: Float32
    rotations_: Float32
    user_attribute_draws_: Float32
    item_attribute_draws_: Float32
    user_encodings_: list[Any]
    item_encodings_: list[Any]
    drawn_items_: Bool
    rated_indptr_: Int64
    rated_items_: Int32
    ratings_: Float32
    level_edges_: Float32
    level_values_: Float32
    cut_draws_: Float32

    def estimate(self, shape: DataShape) -> Forecast:
        """Forecast; see the base class."""
        rows, ratings, width = shape.n_users + shape.n_items, shape.n_interactions, 1 + self.params.factors
        sets = 2 if self.params.implicit_sets else 1
        draws = min(self.params.kept_draws, self.params.sweeps)
        values = shape.item_values + shape.user_values if self.params.side_features else 0
        memory = 48 * sets * ratings + 4 * sets * (shape.n_items * draws * width + 4 * rows * width)
        memory += 40 * values + (5 << 20) + (50 * ratings if self.params.ordered_probit else 0)
        seconds = self.params.sweeps * width * (sets * ratings * 1.2e-8 + sets * rows * 2e-8)
        seconds += self.params.sweeps * 2.5e-7 * ratings if self.params.ordered_probit else 0
        return Forecast(int(memory), 0.2 + seconds, cheaper="svd")

    def migrate_state(self, fitted: dict[str, Any], version: int) -> dict[str, Any]:
        """Version 1 knew no ordered probit."""
        nothing = np.empty(0, dtype=np.float32)
        cuts = np.empty((len(fitted["level_draws_"]), 0), dtype=np.float32)
        return {**fitted, "level_edges_": nothing, "level_values_": nothing, "cut_draws_": cuts}

    def check_state(self) -> None:
        """As `Recommender.check_state`."""
        super().check_state()
        users, items, factors = len(self.known_users_), self.n_items, self.params.factors
        draws, width = len(self.level_draws_), 1 + self.params.factors
        set_width = width if self.params.implicit_sets else 0
        of_users, of_items = (_total_width(side) for side in (self.user_encodings_, self.item_encodings_))
        for name, shape in (
            ("item_levels_", (items,)),
            ("item_factors_", (items, factors)),
            ("user_levels_", (users,)),
            ("user_factors_", (users, factors)),
            ("item_draws_", (items, draws, width)),
            ("set_draws_", (items, draws, set_width)),
            ("user_prior_", (2, draws, width)),
            ("item_prior_", (2, draws, width)),
            ("level_draws_", (draws,)),
            ("noise_precisions_", (draws,)),
            ("rotations_", (draws, factors, factors)),
            ("user_attribute_draws_", (of_users, draws, width)),
            ("item_attribute_draws_", (of_items, draws, width)),
            ("ratings_", self.rated_items_.shape),
        ):
            require_array(name, getattr(self, name), shape, np.float32)
        levels = len(self.level_values_)
        require_array("level_values_", self.level_values_, (None,), np.float32)
        require_array("level_edges_", self.level_edges_, (max(levels - 1, 0),), np.float32)
        require_array("cut_draws_", self.cut_draws_, (draws, max(levels - 1, 0)), np.float32)
        require_array("drawn_items_", self.drawn_items_, (items,), np.bool_)
        require_rows(("rated_indptr_", "rated_items_"), self.rated_indptr_, self.rated_items_, users, items)

    def _fit(self, train: Dataset, run: RunContext) -> None:
        announce_compilation(run, gather_errors, sample_weights, settle_errors, fold_in_samples)
        rated = SparseRows.of(train.matrix("rating"))
        self.mean_ = float(rated.data.mean(dtype=np.float64))
        self.spread_ = float(rated.data.std(dtype=np.float64)) or 1.0
        self.rated_indptr_, self.rated_items_, self.ratings_ = rated
        tables = (train.user_features, train.item_features)
        known = (self.known_users_, self.known_items_)
        encodings = [
            fit_encodings(table, active) if self.params.side_features else []
            for table, active in zip(tables, known, strict=True)
        ]
        self.user_encodings_, self.item_encodings_ = ([_to_state(part) for part in side] for side in encodings)
        sampler = self._sampler(train, rated, encodings, run)
        self._sample(sampler, train, run)
        del sampler
        if self.params.ordered_probit:
            self._set_scale()
        run.progress(1.0, "people")
        solution = self._fold_in(rated, train.user_features, run.threads)
        self.user_levels_, self.user_factors_ = solution[:, 0].copy(), solution[:, 1:].copy()

    def _sampler(
        self, train: Dataset, rated: SparseRows, encodings: list[list[Encoding]], run: RunContext
    ) -> GibbsSampler:
        """The design of both sides and the first draw."""
        from scipy.sparse import identity

        pattern = SparseRows(rated.indptr, rated.indices, np.ones(len(rated.data), dtype=np.float32))
        users = [identity(train.n_users, dtype=np.float32, format="csc")[:, self.known_users_]]
        items = [identity(train.n_items, dtype=np.float32, format="csc")[:, self.known_items_]]
        if self.params.implicit_sets:
            users.append(_scaled(pattern, train.n_items)[:, self.known_items_])
            items.append(_scaled(pattern.transposed(train.n_items), train.n_users)[:, self.known_users_])
        users += [encode(train.user_features, encoding) for encoding in encodings[0]]
        items += [encode(train.item_features, encoding) for encoding in encodings[1]]
        generator = run.generator("bayesian-fm")
        factors = self.params.factors
        targets = (rated.data - np.float32(self.mean_)) / np.float32(self.spread_)
        probit = None
        self.level_edges_ = self.level_values_ = np.empty(0, dtype=np.float32)
        if self.params.ordered_probit:
            levels = Levels.of(rated.data)
            self.level_edges_, self.level_values_ = levels.edges, levels.values
            probit = OrderedProbit(levels.codes(rated.data), len(levels.values))
            targets = probit.initial
        of_users, of_items = Design(users, factors, generator), Design(items, factors, generator)
        user_sets = of_items.blocks[1] if self.params.implicit_sets else None
        return GibbsSampler(rated._replace(data=targets), of_users, of_items, generator, user_sets, probit)

    def _sample(self, sampler: GibbsSampler, train: Dataset, run: RunContext) -> None:
        """Run the sweeps; keep some draws after the burn-in, and the averages of all of them."""
        sweeps = self.params.sweeps
        burn_in = int(sweeps * _BURN_IN_SHARE)
        chosen = np.unique(np.linspace(burn_in, sweeps - 1, min(self.params.kept_draws, sweeps - burn_in)).astype(int))
        self._reserve(sampler, train, len(chosen))
        levels = np.zeros(train.n_items)
        factors = np.zeros((train.n_items, self.params.factors))
        averaged = kept = 0
        for sweep in range(sweeps):
            run.progress(sweep / sweeps, f"sweep {sweep + 1} of {sweeps}" + (", burn-in" if sweep < burn_in else ""))
            error = sampler.sweep(run)
            run.log(sweep + 1, loss=error if self.params.ordered_probit else self.spread_ * error)
            stopping = run.should_stop
            if sweep >= burn_in or stopping:
                items = sampler.items.totals.T.copy()
                items[~self.known_items_] += sampler.items.means[:, 0]
                turned = items[:, 1:]
                levels += items[:, 0]
                factors += turned @ aligned(turned, factors, train.item_counts) if averaged else turned
                averaged += 1
                if sweep in chosen or stopping:
                    self._keep(kept, items, sampler, train)
                    kept += 1
            if stopping:
                break
        self.item_levels_ = (levels / averaged).astype(np.float32)
        self.item_factors_ = (factors / averaged).astype(np.float32)
        self.drawn_items_ = self.known_items_.copy()
        self._cut(kept)
        self.rotations_ = np.stack(
            [aligned(self.item_draws_[:, draw, 1:], self.item_factors_, train.item_counts) for draw in range(kept)]
        ).astype(np.float32)

    def _reserve(self, sampler: GibbsSampler, train: Dataset, draws: int) -> None:
        """Room for the kept draws."""
        width = 1 + self.params.factors
        attributes = [_attributes(side, self.params.implicit_sets) for side in (sampler.users, sampler.items)]
        self.item_draws_ = np.empty((train.n_items, draws, width), dtype=np.float32)
        self.set_draws_ = np.zeros((train.n_items, draws, width if self.params.implicit_sets else 0), dtype=np.float32)
        self.user_prior_ = np.empty((2, draws, width), dtype=np.float32)
        self.item_prior_ = np.empty((2, draws, width), dtype=np.float32)
        self.user_attribute_draws_ = np.empty((attributes[0].shape[1], draws, width), dtype=np.float32)
        self.item_attribute_draws_ = np.empty((attributes[1].shape[1], draws, width), dtype=np.float32)
        self.level_draws_ = np.empty(draws, dtype=np.float32)
        self.cut_draws_ = np.empty((draws, len(self.level_edges_)), dtype=np.float32)
        self.noise_precisions_ = np.empty(draws, dtype=np.float32)

    def _keep(self, place: int, items: Float32, sampler: GibbsSampler, train: Dataset) -> None:
        """Keep what serving needs of the present draw. items: float32 (n_items, 1 + factors)."""
        self.item_draws_[:, place] = items
        if self.params.implicit_sets:
            part = sampler.user_set_parts() / np.maximum(train.item_counts, 1).astype(np.float32)[:, None]
            self.item_draws_[:, place] -= part
            self.set_draws_[self.known_items_, place] = sampler.users.weights[:, sampler.users.blocks[1]].T
        for side, prior, draws in (
            (sampler.users, self.user_prior_, self.user_attribute_draws_),
            (sampler.items, self.item_prior_, self.item_attribute_draws_),
        ):
            prior[0, place], prior[1, place] = side.means[:, 0], side.precisions[:, 0]
            draws[:, place] = _attributes(side, self.params.implicit_sets).T
        self.level_draws_[place] = sampler.level
        self.cut_draws_[place] = sampler.cuts
        self.noise_precisions_[place] = sampler.noise_precision

    def _cut(self, kept: int) -> None:
        """Give up the room for draws that were not made because the person asked to stop."""
        if kept == len(self.level_draws_):
            return
        for name in ("item_draws_", "set_draws_", "user_attribute_draws_", "item_attribute_draws_"):
            setattr(self, name, getattr(self, name)[:, :kept].copy())
        self.user_prior_, self.item_prior_ = self.user_prior_[:, :kept].copy(), self.item_prior_[:, :kept].copy()
        self.level_draws_ = self.level_draws_[:kept].copy()
        self.cut_draws_ = self.cut_draws_[:kept].copy()
        self.noise_precisions_ = self.noise_precisions_[:kept].copy()

    def _set_scale(self) -> None:
        """Mean and spread by which a score, which is linear in the latent prediction, is a rating near the middle."""
        cuts = self.cut_draws_.mean(axis=0)
        middle = np.array([self._middle() + step for step in (-0.5, 0.0, 0.5)])
        low, centre, high = expected_ratings(middle, cuts, self.level_values_).tolist()
        self.spread_ = (high - low) or 1.0
        self.mean_ = centre - self.spread_ * float(middle[1])

    def _middle(self) -> float:
        """The latent prediction of an average item for an average person."""
        return float(self.item_levels_[self.known_items_].mean() + self.user_prior_[0, :, 0].mean())

    @property
    def _levels(self) -> Levels:
        return Levels(self.level_edges_, self.level_values_)

    @property
    def _cut_bounds(self) -> Float32:
        """float32 (draws, levels + 1): cut points with infinite ends; (draws, 0) where ratings are numbers."""
        if not len(self.level_values_):
            return self.cut_draws_
        ends = np.full((len(self.cut_draws_), 1), np.inf, dtype=np.float32)
        return np.concatenate((-ends, self.cut_draws_, ends), axis=1)

    def _offsets(self, people: int, attributes: FeatureTable | None) -> Float32:
        """The overall level and what attributes add: float32 (people, draws, 1 + factors)."""
        draws, width = self.user_prior_.shape[1:]
        offsets = np.zeros((people, draws, width), dtype=np.float32)
        if attributes is not None and len(self.user_encodings_):
            design = _encoded(attributes, self.user_encodings_)
            offsets += (design @ self.user_attribute_draws_.reshape(-1, draws * width)).reshape(-1, draws, width)
        offsets[:, :, 0] += self.level_draws_
        return offsets

    def _fold_in(self, rated: SparseRows, attributes: FeatureTable | None, threads: int = 1) -> Float32:
        """Level and factors of people with these ratings of known items: float32 (n, 1 + factors)."""
        solution = np.zeros((rated.n_rows, 1 + self.params.factors), dtype=np.float32)
        targets = ((rated.data - self.mean_) / self.spread_).astype(np.float32)
        levels = self._levels.codes(rated.data)
        cuts = self._cut_bounds
        scales = _scales(np.diff(rated.indptr))

        def block(begin: int, end: int) -> None:
            table = None if attributes is None else attributes.take(np.arange(begin, end))
            fold_in_samples(
                begin,
                end,
                rated.indptr,
                rated.indices,
                targets,
                levels,
                cuts,
                scales,
                self.item_draws_,
                self.set_draws_,
                self._offsets(end - begin, table),
                self.user_prior_[0],
                self.user_prior_[1],
                self.noise_precisions_,
                self.rotations_,
                solution,
            )

        in_blocks(block, rated.n_rows, _PEOPLE_PER_BLOCK, threads)
        return solution

    def _histories(self, query: Query) -> SparseRows:
        """The ratings that the people of a query gave to items that the model knows."""
        return known_ratings(query, self.known_items_)

    def _serves(self, query: Query) -> Bool:
        return np.diff(self._histories(query).indptr) > 0

    def predictable_items(self) -> Bool:
        """All: an item without ratings has its features, and for the rest is an average one."""
        return np.ones(self.n_items, dtype=np.bool_)

    def _people(self, query: Query) -> Float32:
        """Level and factors of people, from store where they are as they were in training: float32 (n, 1 + factors)."""
        rated = self._histories(query)
        stored = self._in_store(query.users, rated)
        people = np.empty((len(query), 1 + self.params.factors), dtype=np.float32)
        people[stored, 0] = self.user_levels_[query.users[stored]]
        people[stored, 1:] = self.user_factors_[query.users[stored]]
        if not stored.all():
            others = np.flatnonzero(~stored)
            attributes = None if query.attributes is None else query.attributes.take(others)
            people[others] = self._fold_in(taken_rows(rated, others), attributes)
        return people

    def _in_store(self, users: Int32, rated: SparseRows) -> Bool:
        """bool (n,): whose ratings are those of the training data, where nothing else matters."""
        stored = np.zeros(len(users), dtype=np.bool_)
        if len(self.user_encodings_):
            return stored
        own = SparseRows(self.rated_indptr_, self.rated_items_, self.ratings_)
        known = (users >= 0) & (users < own.n_rows)
        stored[known] = np.diff(own.indptr)[users[known]] == np.diff(rated.indptr)[known]
        candidates = np.flatnonzero(stored)
        asked, had = taken_rows(rated, candidates), taken_rows(own, users[candidates])
        differ = (asked.indices != had.indices) | (asked.data != had.data)
        stored[candidates[np.repeat(np.arange(len(candidates)), np.diff(asked.indptr))[differ]]] = False
        return stored

    def _score(self, query: Query, items: Int32 | None) -> Float32:
        people = self._people(query)
        factors, levels = self.item_factors_, self.item_levels_
        if items is not None:
            factors, levels = factors[items], levels[items]
        scores: Float32 = people[:, 1:] @ factors.T
        scores += people[:, :1]
        scores += levels
        scores *= np.float32(self.spread_)
        scores += np.float32(self.mean_)
        return scores

    def _predict(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        scores = self._score(query, items)
        if not len(self.level_values_):
            return scores
        latent = (scores - np.float32(self.mean_)) / np.float32(self.spread_)
        return expected_ratings(latent, self.cut_draws_.mean(axis=0), self.level_values_)

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        """In every draw a person's level and factors are linear in what each item of the history says; see the method.

        With x_j = (1, q_j), A = L + noise sum_j x_j x_j^T and t_j the centred rating less c_j and what the person's
        attributes predict, they are attributes + A^-1 L mean + sum_j A^-1 (noise t_j x_j + L set_j / sqrt(n)).
        """
        rated = self._histories(query)
        offsets = self._offsets(1, query.attributes)[0].astype(np.float64)
        base, parts = self._posterior(rated, offsets)
        factors = np.einsum("sfg,ig->isf", self.rotations_.astype(np.float64), self.item_factors_[items])
        wanted = np.concatenate((np.ones((*factors.shape[:2], 1)), factors), axis=2)
        draws = len(self.level_draws_)
        shares = self.spread_ / draws * np.einsum("isd,jsd->ij", wanted, parts)
        bases = self.mean_ + self.spread_ * self.item_levels_[items]
        bases = bases + self.spread_ / draws * np.einsum("isd,sd->i", wanted, base)
        codes = rated.indices.tolist()
        return [
            Explanation.of(
                int(item),
                float(score),
                [Contribution(Source.HISTORY, float(value), code) for value, code in zip(share, codes, strict=True)],
                base=float(start),
                additive=True,
                faithful_to_removal=False,
                method="posterior mean of the person's own part; the base is what an average person would give",
            )
            for item, score, share, start in zip(items, scores, shares, bases, strict=True)
        ]

    def _posterior(self, rated: SparseRows, offsets: Float64) -> tuple[Float64, Float64]:
        """One person's level and factors in every draw, split: what no item says (draws, 1 + factors), and what each
        item of the history says (items, draws, 1 + factors).

        rated: one row. offsets: float64 (draws, 1 + factors).
        """
        known = self.item_draws_[rated.indices].astype(np.float64)
        levels = known[:, :, 0].copy()
        known[:, :, 0] = 1.0
        means, precisions = self.user_prior_.astype(np.float64)
        noise = self.noise_precisions_.astype(np.float64)
        matrix = noise[:, None, None] * np.einsum("jsd,jse->sde", known, known)
        diagonal = np.arange(matrix.shape[1])
        matrix[:, diagonal, diagonal] += precisions
        expected = self._expected(rated.data)
        ahead = levels + np.einsum("jsd,sd->js", known, offsets)
        base = offsets + np.linalg.solve(matrix, (precisions * means)[:, :, None])[:, :, 0]
        together, parts = offsets + means, known
        for _ in range(self._rounds):
            targets = expected(levels + np.einsum("jsd,sd->js", known, together)) - ahead
            said = noise[None, :, None] * targets[:, :, None] * known
            if self.set_draws_.shape[2]:
                said += precisions * self.set_draws_[rated.indices] * _scales(np.diff(rated.indptr))[0]
            parts = np.linalg.solve(matrix, said.transpose(1, 2, 0)).transpose(2, 0, 1)
            before, together = together, base + parts.sum(axis=0)
            if np.abs(together - before).max() < _RESTS:
                break
        return base, parts

    @property
    def _rounds(self) -> int:
        return MOST_ROUNDS if len(self.level_values_) else 1

    def _expected(self, ratings: Float32) -> Callable[[Float64], Float64]:
        """What is said by each of these ratings given its prediction, both float64 (ratings, draws)."""
        if not len(self.level_values_):
            numbers = ((ratings - self.mean_) / self.spread_).astype(np.float64)[:, None]
            return lambda predictions: numbers
        lower, upper = bounds(self.cut_draws_.astype(np.float64), self._levels.codes(ratings))
        return lambda predictions: expected_latent(predictions, lower.T, upper.T)

    def item_embeddings(self) -> Float32:
        """float32 (n_items, factors), averages over draws; NaN for items without ratings."""
        embeddings: Float32 = np.where(self.known_items_[:, None], self.item_factors_, np.float32(np.nan))
        return embeddings

    def user_embeddings(self) -> Float32:
        """float32 (n_users, factors), folded in from the training ratings; NaN for users without any."""
        embeddings: Float32 = np.where(self.known_users_[:, None], self.user_factors_, np.float32(np.nan))
        return embeddings

    def _updated(self, additions: Dataset) -> None:
        """Fold the people of the new ratings in again; draw in items that had no ratings from those who rated them.

        Items that had ratings in `fit` keep their factors: one more rating moves them little, and every draw of them
        has taken in the old ones already.
        """
        new = SparseRows.of(additions.matrix("rating"))
        rated = merged(SparseRows(self.rated_indptr_, self.rated_items_, self.ratings_), new)
        self.rated_indptr_, self.rated_items_, self.ratings_ = rated
        drawn = np.zeros(additions.n_items, dtype=np.bool_)
        drawn[: len(self.drawn_items_)] = self.drawn_items_
        self.user_levels_ = lengthened(self.user_levels_, additions.n_users)
        self.user_factors_ = lengthened(self.user_factors_, additions.n_users)
        self.item_levels_ = lengthened(self.item_levels_, additions.n_items)
        self.item_factors_ = lengthened(self.item_factors_, additions.n_items)
        self.item_draws_ = lengthened(self.item_draws_, additions.n_items)
        self.set_draws_ = lengthened(self.set_draws_, additions.n_items)
        fresh = np.flatnonzero(~drawn & (additions.item_counts > 0))
        if len(fresh):
            self._draw_in(fresh, rated, drawn, additions)
        self.drawn_items_ = drawn | (additions.item_counts > 0)
        users = np.flatnonzero(np.diff(new.indptr) > 0)
        solution = self._fold_in(taken_rows(rated, users), additions.user_features.take(users))
        self.user_levels_[users], self.user_factors_[users] = solution[:, 0], solution[:, 1:]

    def _draw_in(self, fresh: npt.NDArray[Any], rated: SparseRows, drawn: Bool, additions: Dataset) -> None:
        """Set the draws of items without any from the people who have rated them: a ridge regression in every draw."""
        means, precisions = self.item_prior_.astype(np.float64)
        noise = self.noise_precisions_.astype(np.float64)
        raters = rows_of_columns(rated, fresh)
        known = np.zeros((len(fresh), *means.shape))
        if len(self.item_encodings_):
            design = _encoded(additions.item_features.take(fresh), self.item_encodings_)
            known += (design @ self.item_attribute_draws_.reshape(-1, means.size)).reshape(known.shape)
        for place, item in enumerate(fresh):
            part = slice(raters.indptr[place], min(raters.indptr[place + 1], raters.indptr[place] + _MOST_RATERS))
            people = np.stack([self._person(int(user), rated, drawn, additions) for user in raters.indices[part]])
            expected = self._expected(raters.data[part])
            levels = people[:, :, 0].copy()
            people[:, :, 0] = 1.0
            ahead = levels + np.einsum("nsd,sd->ns", people, known[place])
            matrix = noise[:, None, None] * np.einsum("nsd,nse->sde", people, people)
            diagonal = np.arange(matrix.shape[1])
            matrix[:, diagonal, diagonal] += precisions
            draws = known[place] + means
            for _ in range(self._rounds):
                targets = expected(levels + np.einsum("nsd,sd->ns", people, draws)) - ahead
                right = precisions * means + noise[:, None] * np.einsum("ns,nsd->sd", targets, people)
                before, draws = draws, known[place] + np.linalg.solve(matrix, right[:, :, None])[:, :, 0]
                if np.abs(draws - before).max() < _RESTS:
                    break
            self.item_draws_[item] = draws
            self.item_levels_[item] = draws[:, 0].mean()
            self.item_factors_[item] = np.einsum("sf,sfg->g", draws[:, 1:], self.rotations_) / len(draws)

    def _person(self, user: int, rated: SparseRows, drawn: Bool, additions: Dataset) -> Float64:
        """Level and factors of one person in every draw, by the items that have draws: float64 (draws, 1 + factors)."""
        own = taken_rows(rated, np.array([user]))
        kept = drawn[own.indices]
        own = SparseRows(np.array([0, kept.sum()]), own.indices[kept], own.data[kept])
        offsets = self._offsets(1, additions.user_features.take([user]))[0].astype(np.float64)
        base, parts = self._posterior(own, offsets)
        together: Float64 = base + parts.sum(axis=0)
        return together


def _scales(lengths: npt.NDArray[Any]) -> Float32:
    """The value of each item in an implicit set of this size: 1 / sqrt(size)."""
    scales: Float32 = (1 / np.sqrt(np.maximum(lengths, 1))).astype(np.float32)
    return scales


def _scaled(pattern: SparseRows, n_columns: int) -> Any:
    """Implicit sets, one a row, as a CSC matrix of 1 / sqrt(size of the row)."""
    lengths = np.diff(pattern.indptr)
    return pattern._replace(data=np.repeat(_scales(lengths), lengths)).to_csr(n_columns).tocsc()


def _attributes(side: Design, implicit_sets: bool) -> Float32:
    """The weights of the side features: float32 (1 + factors, features)."""
    blocks = side.blocks[2 if implicit_sets else 1 :]
    return side.weights[:, blocks[0].start if blocks else side.weights.shape[1] :]


def _to_state(encoding: Encoding) -> dict[str, Any]:
    return {"name": encoding.name, "categories": list(encoding.categories), "edges": encoding.edges}


def _total_width(encodings: list[Any]) -> int:
    """The columns that the encodings of one side make together."""
    return sum(_encoding(part).width for part in encodings)


def _encoding(part: dict[str, Any]) -> Encoding:
    return Encoding(part["name"], tuple(part["categories"]), np.asarray(part["edges"]))


def _encoded(table: FeatureTable, encodings: list[Any]) -> Any:
    """A side table as CSR float32 (rows, columns of all encodings)."""
    from scipy.sparse import hstack

    return hstack([encode(table, _encoding(part)) for part in encodings], format="csr", dtype=np.float32)
