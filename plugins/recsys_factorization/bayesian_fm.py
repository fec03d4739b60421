"""Bayesian factorisation machine over ids, implicit sets and side features, by Gibbs sampling."""

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
    FeatureTable,
    Forecast,
    Query,
    Recommender,
    RunContext,
    Source,
)
from recsys_desktop.api.dataset import Bool, Float32, Int32, Int64
from recsys_desktop.api.state_checks import require_array, require_rows
from recsys_desktop.toolkit.held_out_choice import HELD_OUT_SHARE, StretchOfRun
from recsys_desktop.toolkit.parallel import in_blocks
from recsys_desktop.toolkit.products import SparseRows
from recsys_factorization.arrays import Float64, known_ratings, lengthened, merged, rows_of_columns, set_shares
from recsys_factorization.bayesian_fm_kernels import (
    average_draws,
    fold_in_draws,
    fold_in_levels,
)
from recsys_factorization.gibbs import Design, GibbsSampler, aligned
from recsys_factorization.ordered_probit import Levels, OrderedProbit, bounds, expected_latent, expected_ratings
from recsys_factorization.plugin import BAYESIAN_FM, BayesianFMParams
from recsys_factorization.rehearsal import compile_kernels
from recsys_factorization.side_features import Encoding, encode, fit_encodings

_BURN_IN_SHARE = 0.2
_ROWS_PER_BLOCK = 64
_MOST_RATERS = 256
_MOST_ROUNDS = 30
_ENOUGH_FOR_SETS = 20_000
_TRIAL_SWEEPS = 60
_TRIAL_DRAWS = 10
_TRIAL_SPAN = 0.3
_ENOUGH_HELD_OUT = 1000
_MOST_SPLITS = 5
_DRAWS = 20
_RESTS = 1e-4


class BayesianFM(Recommender):
    """Factorisation machine whose parameters are averaged over draws from their posterior distribution.

    Features of the user side are the user's id, the set of items that they have rated (each 1 / sqrt(size), as in
    SVD++) and their attributes; those of the item side the item's id, the set of others who have rated it and its
    categories, tags, numbers and year. With (b, v) the sum of value times weights over a person's features and (c, q)
    that over an item's, a rating is level + b + c + v.q with normal noise: the factorisation machine of Rendle 2012
    ("Factorization Machines with libFM", equation 1, section 4.3) without the products of two features of the same
    side. Every weight, the priors of every block of features and the noise are drawn in turn from their conditional
    distributions (Gibbs sampling); nothing needs tuning. Ratings are less their mean and in units of their spread.
    Where fewer than 20,000 ratings leave open whether the sets say anything, that is tried on ratings held out.

    The weights of an item and of sets do not depend on any one person much, so a person is folded in exactly: for each
    of the kept draws the posterior mean of their own part given their history is a ridge regression. There the items
    of the history lack one n-th of what their set of n users adds: the expected part of the person. Draws are turned
    into a common frame (orthogonal Procrustes, as factors are only defined up to a rotation) and averaged: one vector
    a person and one an item.

    With `ordered_probit` a rating says between which two cut points a latent value lies, and it is the latent values
    that the machine models (Albert, Chib 1993; see `OrderedProbit`). A person is folded in to the mode of their
    posterior, which has no mean in closed form; a score is linear in the latent prediction, and a predicted rating the
    mean over the levels.

    Learning live, items that `fit` has not met are to people as people are to items: their part is folded in from all
    who have rated them. The draws of the others move from their present place by what the new ratings say, against a
    precision that counts the ratings already taken in as those of usual people.

    Fitted state: mean_, spread_; item_levels_ float32 (n_items,), item_factors_ float32 (n_items, factors): averages
    over draws; user_levels_, user_factors_: the training people; the S kept draws, D = 1 + factors: item_draws_,
    set_draws_ float32 (n_items, S, D), user_prior_ and item_prior_ float32 (2, S, D) (means and precisions of id
    weights), level_draws_, noise_precisions_ float32 (S,), rotations_ float32 (S, factors, factors), person_moments_
    float32 (S, D, D), the mean of x x^T over training ratings with x = (1, v) of the person;
    user_attribute_draws_, item_attribute_draws_ float32 (columns, S, D); user_encodings_, item_encodings_;
    drawn_items_ bool (n_items,), which had ratings in `fit`; settled_users_ bool (n_users,), whose user_levels_ and
    user_factors_ are what the present items make of their ratings; rated_indptr_, rated_items_, ratings_: the training
    ratings by user; level_edges_, level_values_: the fields of `Levels`, and cut_draws_ float32 (S, levels - 1), all
    empty without `ordered_probit`.
    """

    spec = BAYESIAN_FM
    state_version: ClassVar[int] = 3
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
    person_moments_: Float32
    user_attribute_draws_: Float32
    item_attribute_draws_: Float32
    user_encodings_: list[Any]
    item_encodings_: list[Any]
    drawn_items_: Bool
    settled_users_: Bool
    rated_indptr_: Int64
    rated_items_: Int32
    ratings_: Float32
    level_edges_: Float32
    level_values_: Float32
    cut_draws_: Float32

    def estimate(self, shape: DataShape) -> Forecast:
        """Forecast; see the base class."""
        rows, ratings, width = shape.n_users + shape.n_items, shape.n_interactions, 1 + self.params.factors
        sets = 1 if self.params.implicit_sets is False else 2
        draws = min(self.params.kept_draws, self.params.sweeps)
        values = shape.item_values + shape.user_values if self.params.side_features else 0
        memory = 48 * sets * ratings + 4 * sets * (shape.n_items * draws * width + 4 * rows * width)
        memory += 40 * values + (5 << 20) + (50 * ratings if self.params.ordered_probit else 0)
        sweeps, probit = self.params.sweeps, self.params.ordered_probit
        seconds = 0.2 + sweeps * self._sweep_seconds(sets, rows, ratings)
        seconds += draws * ratings * (1.4e-7 + 1.2e-9 * width**2 if probit else 7e-10 * width**2)
        if self.params.implicit_sets is None and ratings <= _ENOUGH_FOR_SETS:
            both = self._sweep_seconds(1, rows, ratings) + self._sweep_seconds(2, rows, ratings)
            seconds += _splits(ratings) * (0.1 + min(sweeps, _TRIAL_SWEEPS) * both)
        return Forecast(int(memory), seconds, cheaper="svd")

    def _sweep_seconds(self, sets: int, rows: int, ratings: int) -> float:
        """Seconds of one sweep with `sets` blocks of features a side."""
        seconds: float = (1 + self.params.factors) * sets * (ratings * 1.2e-8 + rows * 2e-8)
        return seconds + (3.6e-7 * ratings if self.params.ordered_probit else 0)

    def migrate_state(self, fitted: dict[str, Any], version: int) -> dict[str, Any]:
        """Version 1 knew no ordered probit. Version 2 folded nobody in again, and had averages of people alone."""
        if version < 2:
            nothing = np.empty(0, dtype=np.float32)
            cuts = np.empty((len(fitted["level_draws_"]), 0), dtype=np.float32)
            fitted = {**fitted, "level_edges_": nothing, "level_values_": nothing, "cut_draws_": cuts}
        counts = np.diff(fitted["rated_indptr_"])
        moments = np.stack([_moments(turn @ fitted["user_factors_"].T, counts) for turn in fitted["rotations_"]])
        settled = np.ones(len(fitted["known_users_"]), dtype=np.bool_)
        return {**fitted, "person_moments_": moments, "settled_users_": settled}

    def check_state(self) -> None:
        """As `Recommender.check_state`."""
        super().check_state()
        users, items, factors = len(self.known_users_), self.n_items, self.params.factors
        draws, width = len(self.level_draws_), 1 + self.params.factors
        set_width = width if self._with_sets else 0
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
            ("person_moments_", (draws, width, width)),
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
        require_array("settled_users_", self.settled_users_, (users,), np.bool_)
        require_rows(("rated_indptr_", "rated_items_"), self.rated_indptr_, self.rated_items_, users, items)

    def _fit(self, train: Dataset, run: RunContext) -> None:
        compile_kernels(self, run)
        rated = SparseRows.of(train.matrix("rating"))
        self.mean_ = float(rated.data.mean(dtype=np.float64))
        self.spread_ = float(rated.data.std(dtype=np.float64)) or 1.0
        self.rated_indptr_, self.rated_items_, self.ratings_ = rated
        if self.setting("implicit_sets") is None:
            self.chosen_ = {"implicit_sets": self._sets_help(train, run)}
            run = StretchOfRun(run, _TRIAL_SPAN, 1.0)
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
        self.settled_users_ = np.ones(train.n_users, dtype=np.bool_)

    @property
    def _with_sets(self) -> bool:
        return bool(self.setting("implicit_sets"))

    def _sets_help(self, train: Dataset, run: RunContext) -> bool:
        """Whether implicit sets lower the squared error of ratings held out by more than its standard error.

        Where there are more than 20,000 ratings they are not tried but taken: there they help where who rates what
        means something, and learn to be next to nothing where it does not. Up to five times a tenth is held out, until
        that is 1000 ratings.
        """
        if len(train) > _ENOUGH_FOR_SETS:
            return True
        generator = np.random.default_rng(_DRAWS)
        splits = _splits(len(train))
        gains = []
        for split in range(splits):
            kept, held_out = train.hold_out(HELD_OUT_SHARE, generator, within_fraction=True)
            if held_out.ratings is None or run.should_stop:
                return False
            squares = []
            for place, with_sets in enumerate((True, False)):
                begin, end = (_TRIAL_SPAN * (split + (place + at) / 2) / splits for at in (0, 1))
                part = StretchOfRun(run, begin, end, trial=f"trying {'with' if with_sets else 'without'} implicit sets")
                try:
                    model = self._trial(with_sets).fit(kept, part)
                except CannotFit:
                    return False
                everyone = Query.of_users(kept, np.arange(kept.n_users))
                found = model.predict_pairs(everyone, held_out.users, held_out.items)
                squares.append(np.square(found - held_out.ratings, dtype=np.float64))
            gain = squares[1] - squares[0]
            gains.append(gain[~np.isnan(gain)])
        gain = np.concatenate(gains)
        return len(gain) > 1 and bool(gain.mean() > gain.std() / np.sqrt(len(gain)))

    def _trial(self, with_sets: bool) -> BayesianFM:
        shorter = {
            "implicit_sets": with_sets,
            "sweeps": min(self.params.sweeps, _TRIAL_SWEEPS),
            "kept_draws": min(self.params.kept_draws, _TRIAL_DRAWS),
        }
        return BayesianFM(self.params.model_copy(update=shorter))

    def _sampler(
        self, train: Dataset, rated: SparseRows, encodings: list[list[Encoding]], run: RunContext
    ) -> GibbsSampler:
        """The design of both sides and the first draw."""
        from scipy.sparse import identity

        pattern = SparseRows(rated.indptr, rated.indices, np.ones(len(rated.data), dtype=np.float32))
        users = [identity(train.n_users, dtype=np.float32, format="csc")[:, self.known_users_]]
        items = [identity(train.n_items, dtype=np.float32, format="csc")[:, self.known_items_]]
        if self._with_sets:
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
        user_sets = of_items.blocks[1] if self._with_sets else None
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
            error = sampler.sweep(run, burning_in=sweep < burn_in)
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
        attributes = [_attributes(side, self._with_sets) for side in (sampler.users, sampler.items)]
        self.item_draws_ = np.empty((train.n_items, draws, width), dtype=np.float32)
        self.set_draws_ = np.zeros((train.n_items, draws, width if self._with_sets else 0), dtype=np.float32)
        self.user_prior_ = np.empty((2, draws, width), dtype=np.float32)
        self.item_prior_ = np.empty((2, draws, width), dtype=np.float32)
        self.user_attribute_draws_ = np.empty((attributes[0].shape[1], draws, width), dtype=np.float32)
        self.item_attribute_draws_ = np.empty((attributes[1].shape[1], draws, width), dtype=np.float32)
        self.person_moments_ = np.empty((draws, width, width), dtype=np.float32)
        self.level_draws_ = np.empty(draws, dtype=np.float32)
        self.cut_draws_ = np.empty((draws, len(self.level_edges_)), dtype=np.float32)
        self.noise_precisions_ = np.empty(draws, dtype=np.float32)

    def _keep(self, place: int, items: Float32, sampler: GibbsSampler, train: Dataset) -> None:
        """Keep what serving needs of the present draw. items: float32 (n_items, 1 + factors)."""
        self.item_draws_[:, place] = items
        if self._with_sets:
            part = sampler.user_set_parts() / np.maximum(train.item_counts, 1).astype(np.float32)[:, None]
            self.item_draws_[:, place] -= part
            self.set_draws_[self.known_items_, place] = sampler.users.weights[:, sampler.users.blocks[1]].T
        for side, prior, draws in (
            (sampler.users, self.user_prior_, self.user_attribute_draws_),
            (sampler.items, self.item_prior_, self.item_attribute_draws_),
        ):
            prior[0, place], prior[1, place] = side.means[:, 0], side.precisions[:, 0]
            draws[:, place] = _attributes(side, self._with_sets).T
        self.person_moments_[place] = _moments(sampler.users.totals[1:], train.user_counts)
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
        self.person_moments_ = self.person_moments_[:kept].copy()
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
        scales, levels = set_shares(np.diff(rated.indptr)), self._codes(rated.data)
        targets, cuts = self._targets(rated.data), self._cut_bounds

        def block(begin: int, end: int) -> None:
            table = None if attributes is None else attributes.take(np.arange(begin, end))
            ratings = (rated.indptr, rated.indices, targets, levels, cuts, scales, self.item_draws_, self.set_draws_)
            drawn = self._folded(begin, end, *ratings, self._offsets(end - begin, table), self.user_prior_)
            average_draws(begin, drawn, self.rotations_, solution)

        in_blocks(block, rated.n_rows, _ROWS_PER_BLOCK, threads)
        return solution

    def _folded(
        self,
        begin: int,
        end: int,
        indptr: Int64,
        columns: Int32,
        targets: Float32,
        levels: Int32,
        cuts: Float32,
        scales: Float32,
        samples: Float32,
        set_samples: Float32,
        offsets: Float32,
        prior: Float32,
    ) -> Float32:
        """Rows `begin` to `end` of ratings in every draw: float32 (end - begin, S, D); see `fold_in_draws`."""
        drawn = np.empty((end - begin, *prior.shape[1:]), dtype=np.float32)
        known = (scales, samples, set_samples, offsets, prior[0], prior[1])
        if cuts.shape[1]:
            fold_in_levels(begin, end, indptr, columns, levels, cuts, *known, drawn)
        else:
            fold_in_draws(begin, end, indptr, columns, targets, *known, self.noise_precisions_, drawn)
        return drawn

    def _targets(self, ratings: Float32) -> Float32:
        """Ratings less their mean and in units of their spread."""
        return ((ratings - self.mean_) / self.spread_).astype(np.float32)

    def _codes(self, ratings: Float32) -> Int32:
        """The level of each rating; 0 where ratings are numbers."""
        return self._levels.codes(ratings)

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
            people[others] = self._fold_in(rated.take(others), attributes)
        return people

    def _in_store(self, users: Int32, rated: SparseRows) -> Bool:
        """bool (n,): whose ratings are those of the training data, where nothing else matters."""
        stored = np.zeros(len(users), dtype=np.bool_)
        if len(self.user_encodings_):
            return stored
        own = SparseRows(self.rated_indptr_, self.rated_items_, self.ratings_)
        known = (users >= 0) & (users < own.n_rows)
        known[known] = self.settled_users_[users[known]]
        stored[known] = np.diff(own.indptr)[users[known]] == np.diff(rated.indptr)[known]
        candidates = np.flatnonzero(stored)
        asked, had = rated.take(candidates), own.take(users[candidates])
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

        With x_j = (1, q_j), A = L + noise sum_j x_j x_j^T, m the average person and t_j the centred rating, or with
        levels the mean of its latent value, a person is m + A^-1 L attributes
        + sum_j A^-1 (noise (t_j - c_j - x_j.m) x_j + L set_j / sqrt(n)).
        """
        rated = self._histories(query)
        factors = np.einsum("sfg,ig->sif", self.rotations_.astype(np.float64), self.item_factors_[items])
        wanted = np.concatenate((np.ones((*factors.shape[:2], 1)), factors), axis=2)
        wanted *= self.spread_ / len(self.level_draws_)
        average, of_attributes, shares = self._posterior(rated, query.attributes, wanted)
        bases = self.mean_ + self.spread_ * self.item_levels_[items] + average
        codes, labels = rated.indices.tolist(), self._attribute_labels(query.attributes)
        found = "mode" if len(self.level_values_) else "mean"
        return [
            Explanation.of(
                int(item),
                float(score),
                [
                    *(Contribution(Source.HISTORY, value, code) for value, code in zip(share, codes, strict=True)),
                    *(
                        Contribution(Source.FEATURE, value, label=label)
                        for value, label in zip(own, labels, strict=True)
                    ),
                ],
                base=float(start),
                additive=True,
                faithful_to_removal=False,
                method=f"posterior {found} of the person's own part; the base is what somebody unknown would get",
            )
            for item, score, share, own, start in zip(
                items, scores, shares.tolist(), of_attributes.tolist(), bases, strict=True
            )
        ]

    def _attribute_labels(self, attributes: FeatureTable | None) -> list[str]:
        """A name for every column that the person of a table of one row has a value in."""
        if attributes is None or not len(self.user_encodings_):
            return []
        names = [name for part in self.user_encodings_ for name in _encoding(part).names]
        return [names[column] for column in _encoded(attributes, self.user_encodings_).indices]

    def _posterior(
        self, rated: SparseRows, attributes: FeatureTable | None, wanted: Float64
    ) -> tuple[Float64, Float64, Float64]:
        """Products of one person's level and factors with `wanted`, summed over draws, split: those of what the average
        person has (m,), of what each value of the attributes adds (m, values), and each item of the history (m, items).

        rated: one row. attributes: None, or one row. wanted: float64 (S, m, D).
        """
        known = self.item_draws_[rated.indices].astype(np.float64)
        levels = known[:, :, 0].copy()
        known[:, :, 0] = 1.0
        means, precisions = self.user_prior_.astype(np.float64)
        noise = self.noise_precisions_.astype(np.float64)[:, None]
        matrix = noise[:, :, None] * (known.transpose(1, 2, 0) @ known.transpose(1, 0, 2))
        diagonal = np.arange(matrix.shape[1])
        matrix[:, diagonal, diagonal] += precisions
        average = means.copy()
        average[:, 0] += self.level_draws_
        weights = np.linalg.solve(matrix, wanted.transpose(0, 2, 1)).transpose(2, 0, 1)
        own = np.zeros((0, *means.shape))
        if attributes is not None and len(self.user_encodings_):
            design = _encoded(attributes, self.user_encodings_)
            own = design.data[:, None, None] * self.user_attribute_draws_[design.indices].astype(np.float64)
        told = self._expected(rated, attributes, levels, known) - levels - np.einsum("jsd,sd->js", known, average)
        known *= (told * noise[:, 0])[:, :, None]
        if self.set_draws_.shape[2]:
            known += precisions * self.set_draws_[rated.indices] * set_shares(np.diff(rated.indptr))[0]
        return (
            np.einsum("smd,sd->m", wanted, average),
            _products(weights, precisions * own),
            _products(weights, known),
        )

    def _expected(self, rated: SparseRows, attributes: FeatureTable | None, levels: Float64, known: Float64) -> Float64:
        """What one person's ratings say: centred ratings (items, 1), or the means of latent values (items, S).

        levels: float64 (items, S), c. known: float64 (items, S, D), (1, q).
        """
        targets = self._targets(rated.data)
        if not len(self.level_values_):
            return targets.astype(np.float64)[:, None]
        person = self._folded(
            0,
            1,
            rated.indptr,
            rated.indices,
            targets,
            self._codes(rated.data),
            self._cut_bounds,
            set_shares(np.diff(rated.indptr)),
            self.item_draws_,
            self.set_draws_,
            self._offsets(1, attributes),
            self.user_prior_,
        )[0].astype(np.float64)
        predictions = (levels + np.einsum("jsd,sd->js", known, person)).T
        return expected_latent(predictions, *bounds(self.cut_draws_.astype(np.float64), self._codes(rated.data))).T

    def item_embeddings(self) -> Float32:
        """float32 (n_items, factors), averages over draws; NaN for items without ratings."""
        embeddings: Float32 = np.where(self.known_items_[:, None], self.item_factors_, np.float32(np.nan))
        return embeddings

    def user_embeddings(self) -> Float32:
        """float32 (n_users, factors), folded in from the training ratings; NaN for users without any."""
        embeddings: Float32 = np.where(self.known_users_[:, None], self.user_factors_, np.float32(np.nan))
        return embeddings

    def _updated(self, additions: Dataset) -> None:
        """Learn the rated items from their raters, then fold the people of the new ratings in again.

        People are told from the items that had ratings before and are not drawn anew themselves. Other people with
        these items are folded in when they are asked for.
        """
        new = SparseRows.of(additions.matrix("rating"))
        had = SparseRows(self.rated_indptr_, self.rated_items_, self.ratings_)
        rated = merged(had, new)
        self.rated_indptr_, self.rated_items_, self.ratings_ = rated
        first = len(self.item_levels_)
        self._lengthen(additions)
        counts = np.bincount(rated.indices, minlength=additions.n_items)
        touched = np.unique(new.indices)
        anew = touched[~self.drawn_items_[touched] & (counts[touched] <= _MOST_RATERS)]
        unmet = np.arange(first, additions.n_items)
        self._set_draws(unmet, self._item_offsets(additions, unmet) + self.item_prior_[0])
        moved = np.setdiff1d(touched, anew)
        known = np.zeros(additions.n_items, dtype=np.bool_)
        known[had.indices] = True
        known[anew] = False
        raters = rows_of_columns(rated, anew)
        people = np.union1d(raters.indices, np.flatnonzero(np.diff(new.indptr))).astype(np.int64)
        drawn = self._draws_of_people(people, rated, known, additions)
        if len(anew):
            self._draw_items(anew, raters, people, drawn, additions)
        if len(moved):
            self._move_items(moved, had, new, people, drawn)
        self.settled_users_[rows_of_columns(rated, touched).indices] = False
        users = np.flatnonzero(np.diff(new.indptr) > 0)
        solution = self._fold_in(rated.take(users), additions.user_features.take(users))
        self.user_levels_[users], self.user_factors_[users] = solution[:, 0], solution[:, 1:]
        self.settled_users_[users] = True

    def _lengthen(self, additions: Dataset) -> None:
        """Copies of what is by user or item, with rows for those who are new."""
        for name in ("user_levels_", "user_factors_", "settled_users_"):
            setattr(self, name, lengthened(getattr(self, name), additions.n_users))
        for name in ("item_levels_", "item_factors_", "item_draws_", "set_draws_", "drawn_items_"):
            setattr(self, name, lengthened(getattr(self, name), additions.n_items))

    def _item_offsets(self, additions: Dataset, items: npt.NDArray[Any]) -> Float32:
        """What features add to these items: float32 (items, S, D)."""
        draws, width = self.item_prior_.shape[1:]
        if not len(self.item_encodings_):
            return np.zeros((len(items), draws, width), dtype=np.float32)
        design = _encoded(additions.item_features.take(items), self.item_encodings_)
        added = design @ self.item_attribute_draws_.reshape(-1, draws * width)
        return np.asarray(added, dtype=np.float32).reshape(-1, draws, width)

    def _set_draws(self, items: npt.NDArray[Any], draws: Float32) -> None:
        """Give items these draws, float32 (items, S, D), and their averages."""
        self.item_draws_[items] = draws
        averages = np.zeros((len(items), draws.shape[2]), dtype=np.float32)
        average_draws(0, np.ascontiguousarray(draws), self.rotations_, averages)
        self.item_levels_[items], self.item_factors_[items] = averages[:, 0], averages[:, 1:]

    def _draws_of_people(self, people: npt.NDArray[Any], rated: SparseRows, known: Bool, additions: Dataset) -> Float32:
        """Level and factors of people in every draw, by their ratings of `known` items: float32 (people, S, D)."""
        own = rated.take(people)
        kept = known[own.indices]
        indptr = np.concatenate(([0], np.cumsum(kept)))[own.indptr]
        own = SparseRows(indptr, own.indices[kept], own.data[kept])
        return self._folded(
            0,
            len(people),
            *own[:2],
            self._targets(own.data),
            self._codes(own.data),
            self._cut_bounds,
            set_shares(np.diff(indptr)),
            self.item_draws_,
            self.set_draws_,
            self._offsets(len(people), additions.user_features.take(people)),
            self.user_prior_,
        )

    def _draw_items(
        self,
        items: npt.NDArray[Any],
        raters: SparseRows,
        people: npt.NDArray[Any],
        drawn: Float32,
        additions: Dataset,
    ) -> None:
        """Set the draws of items from all who have rated them, as those of a person are set from what they rated.

        raters: the ratings of each item. people: ascending codes, drawn: float32 (people, S, D), who they are.
        """
        draws = self._folded(
            0,
            len(items),
            raters.indptr,
            np.searchsorted(people, raters.indices).astype(np.int32),
            self._targets(raters.data),
            self._codes(raters.data),
            self._cut_bounds,
            np.zeros(len(items), dtype=np.float32),
            drawn,
            drawn[:, :, :0],
            self._item_offsets(additions, items),
            self.item_prior_,
        )
        self._set_draws(items, draws)

    def _move_items(
        self, items: npt.NDArray[Any], had: SparseRows, new: SparseRows, people: npt.NDArray[Any], drawn: Float32
    ) -> None:
        """Move the draws of items by new ratings: Gaussian updates of what the earlier ratings have made of them.

        With P = L + n noise M, n the earlier ratings that stand and M the mean of x x^T over ratings, an item moves by
        d = (P + noise sum x x^T)^-1 noise sum x (t - prediction), the sums over new ratings; of a rating that replaces
        another only the difference counts. With levels t is the mean of the latent value at the place moved to.
        """
        noise = self.noise_precisions_.astype(np.float64)[:, None]
        counts = np.bincount(had.indices, minlength=len(self.item_levels_))
        latest, earlier = rows_of_columns(new, items), rows_of_columns(had, items)
        for place, item in enumerate(items):
            raters, ratings = _column(latest, place)
            before, replaced = _column(earlier, place)
            again = np.isin(before, raters)
            x = drawn[np.searchsorted(people, raters)].transpose(1, 0, 2).astype(np.float64)
            levels = x[:, :, 0].copy()
            x[:, :, 0] = 1.0
            precision = (counts[item] - again.sum()) * noise[:, :, None] * self.person_moments_
            diagonal = np.arange(precision.shape[1])
            precision[:, diagonal, diagonal] += self.item_prior_[1]
            precision += noise[:, :, None] * (x.transpose(0, 2, 1) @ x)
            start = self.item_draws_[item].astype(np.float64)
            predicted = levels + (x @ start[:, :, None])[:, :, 0]
            old = np.zeros_like(predicted)
            at = np.searchsorted(raters, before[again])
            old[:, at] = self._says(replaced[again], predicted[:, at]) - predicted[:, at]
            move = np.zeros_like(start)
            for _ in range(_MOST_ROUNDS if len(self.level_values_) else 1):
                surprise = self._says(ratings, predicted + (x @ move[:, :, None])[:, :, 0]) - predicted - old
                right = noise * np.einsum("sn,snd->sd", surprise, x)
                last, move = move, np.linalg.solve(precision, right[:, :, None])[:, :, 0]
                if np.abs(move - last).max() < _RESTS:
                    break
            self.item_draws_[item] = start + move
            self.item_levels_[item] += move[:, 0].mean()
            self.item_factors_[item] += np.einsum("sf,sfg->g", move[:, 1:], self.rotations_) / len(move)

    def _says(self, ratings: Float32, predictions: Float64) -> Float64:
        """Centred ratings, or the means of their latent values around predictions: float64 (S, ratings)."""
        if not len(self.level_values_):
            return np.broadcast_to(self._targets(ratings).astype(np.float64), predictions.shape)
        return expected_latent(predictions, *bounds(self.cut_draws_.astype(np.float64), self._codes(ratings)))


def _products(left: npt.NDArray[Any], right: npt.NDArray[Any]) -> Float64:
    """The products of rows that are tables themselves: (m, ...) and (n, ...) to (m, n)."""
    products: Float64 = left.reshape(len(left), -1) @ right.reshape(-1, left[0].size).T
    return products


def _column(rows: SparseRows, place: int) -> tuple[Int32, Float32]:
    """Indices and values of one row."""
    part = slice(rows.indptr[place], rows.indptr[place + 1])
    return rows.indices[part], rows.data[part]


def _moments(factors: Float32, counts: Int64) -> Float32:
    """The mean of x x^T over ratings, x being 1 and the factors of the person: float32 (1 + factors, 1 + factors).

    factors: float32 (factors, people). counts: (people,), their ratings.
    """
    shares = (counts / max(int(counts.sum()), 1)).astype(np.float32)
    moments = np.ones((1 + len(factors), 1 + len(factors)), dtype=np.float32)
    moments[0, 1:] = moments[1:, 0] = factors @ shares
    moments[1:, 1:] = (factors * shares) @ factors.T
    return moments


def _splits(ratings: int) -> int:
    """How often a tenth of so many ratings is held out."""
    return int(np.clip(np.ceil(_ENOUGH_HELD_OUT / (HELD_OUT_SHARE * max(ratings, 1))), 1, _MOST_SPLITS))


def _scaled(pattern: SparseRows, n_columns: int) -> Any:
    """Implicit sets, one a row, as a CSC matrix of 1 / sqrt(size of the row)."""
    lengths = np.diff(pattern.indptr)
    return pattern._replace(data=np.repeat(set_shares(lengths), lengths)).to_csr(n_columns).tocsc()


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
