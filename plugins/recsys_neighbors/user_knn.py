"""User-based collaborative filtering for ranking."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
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
from recsys_desktop.api.dataset import Float32, Int32
from recsys_desktop.api.state_checks import require_array, require_matrix
from recsys_desktop.toolkit.held_out_choice import (
    MOST_INTERACTIONS,
    MOST_PEOPLE,
    StretchOfRun,
    best_on_held_out,
    choice_memory,
    choice_seconds,
)
from recsys_desktop.toolkit.products import SparseRows
from recsys_desktop.toolkit.topk import select_largest
from recsys_neighbors.agreement import is_own_copy
from recsys_neighbors.plugin import USER_KNN

_TRIED: dict[str, tuple[int | float, ...]] = {
    "neighbours": (50, 100, 200, 400),
    "popularity": (0.0, 0.3, 1.0, 3.0, 10.0, 100.0),
}


class _Rule(NamedTuple):
    """How similarities are normalised."""

    asymmetry: float
    shrinkage: float
    least: float


class _People(NamedTuple):
    """Their interactions by user and by item, and what each person's weights sum up to, float32 (n_users,)."""

    by_user: SparseRows
    by_item: SparseRows
    lengths: Float32


class UserKnn(Recommender):
    """User-based CF (Sarwar et al. 2000): the score of j is the sum of the similarities of the neighbours who have it.

    With w_i the weight of item i (1, or log(1 + n_users / n_i) under "tf-idf") and |v|² = Σ_{i in v} w_i² for the items
    of a person v, the similarity of a person with history h to v is

        Σ_{i in h and v} w_i² / (|h|^(2α) |v|^(2(1-α)) + shrinkage)

    and the `neighbours` most similar people speak, of those whose similarity without shrinkage is at least
    `least_similarity`. To their sum comes popularity · (sum of their similarities) · (share
    of all people who have j), as if so many times everybody spoke beside them: where histories have little in common,
    similarities say less than popularity does. Unless they are given, both parameters are those that rank a tenth of
    everybody's interactions, set aside, best.

    Those who have nothing beyond the history cannot add to it and take no place; nor does the person's own training
    part, as long as it holds three quarters of the history: it would answer what-ifs with what they leave out. Where
    popularity counts nothing, an item that no neighbour has scores NaN: the model has no opinion on it, and the
    engine's fallback completes the list. People are compared when somebody asks, so that a stranger is served like
    anybody else.

    Fitted: `interactions_` CSR float32 (n_users, n_items), 1 where counted; `weights_` float32 (n_items,), w_i²;
    `shares_` float32 (n_items,), the share of people who have an item.
    """

    spec = USER_KNN
    state_version = 2

    interactions_: Any
    weights_: Float32
    shares_: Float32

    def estimate(self, shape: DataShape) -> Forecast:
        """The interactions by user, and in trials by item; people are compared when somebody asks, and in trials."""
        options = sum(len(values) for name, values in _TRIED.items() if getattr(self.params, name) is None)
        memory = 40 * shape.n_interactions + 40 * (shape.n_users + shape.n_items)
        seconds = 0.02 + shape.n_interactions / 3e7
        if options:
            entries = min(shape.n_interactions, MOST_INTERACTIONS)
            length, people = shape.n_interactions / max(shape.n_users, 1), entries / max(shape.n_items, 1)
            asked = options * min(shape.n_users, MOST_PEOPLE)
            memory += choice_memory(shape) + 30 * entries
            seconds += choice_seconds(shape, options) + asked * length * (6e-9 * people + 1e-6)
        return Forecast(int(memory) + 2_000_000, seconds, cheaper="popularity")

    def _fit(self, train: Dataset, run: RunContext) -> None:
        self._compare(train)
        if None in (self.setting("neighbours"), self.setting("popularity")):
            self.chosen_ = self._best(train, run)

    def _compare(self, train: Dataset) -> None:
        self.interactions_ = train.matrix("one", self.params.min_rating)
        counts = np.bincount(self.interactions_.indices, minlength=train.n_items)
        if self.params.weighting == "tf-idf":
            self.weights_ = (np.log1p(train.n_users / np.maximum(counts, 1)) ** 2).astype(np.float32)
        else:
            self.weights_ = np.ones(train.n_items, dtype=np.float32)
        active = int(np.count_nonzero(np.diff(self.interactions_.indptr)))
        self.shares_ = (counts / np.float32(active or 1)).astype(np.float32)

    def _best(self, train: Dataset, run: RunContext) -> dict[str, int | float]:
        """The parameters that were left open: first how many neighbours speak, then what popularity counts."""
        chosen: dict[str, int | float] = {}
        found: dict[bytes, tuple[Int32, Float32]] = {}

        def trial(settings: dict[str, int | float], kept: Dataset, part: RunContext) -> Recommender:
            model = _Trial(self.params.model_copy(update=settings)).fit(kept, part)
            model._found = found
            return model

        for place, (name, values) in enumerate(_TRIED.items()):
            if getattr(self.params, name) is None:
                others = {"popularity": self.params.popularity or 0.0, **chosen}
                options = [{**others, name: value} for value in values]
                part = StretchOfRun(run, place / len(_TRIED), (place + 1) / len(_TRIED))
                best = best_on_held_out(options, trial, train, part, span=1.0, min_rating=self.params.min_rating)
                chosen[name] = best[name]
        return chosen

    def check_state(self) -> None:
        """As `Recommender.check_state`."""
        super().check_state()
        require_matrix("interactions_", self.interactions_, (len(self.known_users_), self.n_items))
        require_array("weights_", self.weights_, (self.n_items,), np.float32)
        require_array("shares_", self.shares_, (self.n_items,), np.float32)

    @property
    def _rule(self) -> _Rule:
        params = self.params
        return _Rule(float(params.asymmetry), float(params.shrinkage), float(params.least_similarity))

    @property
    def _people(self) -> _People:
        if "_compared" not in vars(self):
            by_user = SparseRows.of(self.interactions_)
            owners = np.repeat(np.arange(by_user.n_rows), np.diff(by_user.indptr))
            lengths = np.bincount(owners, self.weights_[by_user.indices], by_user.n_rows).astype(np.float32)
            self._compared = _People(by_user, by_user.transposed(self.n_items), lengths)
        return self._compared

    def _history(self, query: Query) -> SparseRows:
        return SparseRows.of(query.matrix(self.n_items, "one", self.params.min_rating))

    def migrate_state(self, fitted: dict[str, Any], version: int) -> dict[str, Any]:
        """In models of version 1 popularity counted nothing."""
        shares = np.zeros(len(fitted["known_items_"]), dtype=np.float32)
        return {**fitted, "shares_": shares, "chosen_": {"popularity": 0.0}}

    def _nearest(self, query: Query) -> tuple[Int32, Float32]:
        """Codes int32 (n, neighbours), -1 where there are fewer, and similarities float32 of the same shape."""
        return self._most_similar(query, self.setting("neighbours"))

    def _most_similar(self, query: Query, most: int) -> tuple[Int32, Float32]:
        people = self._people
        shape = (len(query), min(most, max(people.by_user.n_rows, 1)))
        codes, similarities = np.full(shape, -1, dtype=np.int32), np.zeros(shape, dtype=np.float32)
        _nearest(self._history(query), query.users, people, self.weights_, self._rule, codes, similarities)
        return codes, similarities

    def _score(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        scores = np.full((len(query), self.n_items), np.nan, dtype=np.float32)
        codes, similarities = self._nearest(query)
        _add_up(codes, similarities, self._people.by_user, scores)
        if self.setting("popularity"):
            sums = similarities.sum(axis=1)
            found = np.flatnonzero(sums > 0)
            scores[found] = np.nan_to_num(scores[found], nan=0.0) + self._bases(sums[found])
        return scores if items is None else scores[:, items]

    def _bases(self, sums: Float32) -> Float32:
        """What popularity adds for people whose neighbours' similarities have these sums: float32 (n, n_items)."""
        bases: Float32 = np.float32(self.setting("popularity")) * sums[:, None] * self.shares_
        return bases

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        codes, similarities = self._nearest(query)
        present = codes[0] >= 0
        neighbours, values = codes[0][present], similarities[0][present]
        have = self.interactions_[neighbours][:, items].toarray() > 0
        bases = self._bases(similarities.sum(axis=1))[0][items]
        return [
            Explanation.of(
                int(item),
                float(score),
                [
                    *([Contribution(Source.BIAS, float(base), label="how often it is chosen")] if base else []),
                    *(
                        Contribution(Source.NEIGHBOUR, float(value), int(neighbour))
                        for neighbour, value in zip(neighbours[who], values[who], strict=True)
                    ),
                ],
                additive=True,
                faithful_to_removal=False,
                method=f"user-based: {who.sum()} of the {present.sum()} most similar people have it",
            )
            for item, score, base, who in zip(items, scores, bases, have.T, strict=True)
        ]


class _Trial(UserKnn):
    """Finds a block's neighbours once for all trials, which are fitted to the same people; fewer are the first ones."""

    _found: dict[bytes, tuple[Int32, Float32]]

    def _nearest(self, query: Query) -> tuple[Int32, Float32]:
        block, wanted = query.users.tobytes(), self.setting("neighbours")
        if block not in self._found:
            codes, similarities = self._most_similar(query, max(wanted, *_TRIED["neighbours"]))
            order = np.lexsort((codes, -similarities), axis=1)
            self._found[block] = (
                np.take_along_axis(codes, order, axis=1),
                np.take_along_axis(similarities, order, axis=1),
            )
        codes, similarities = self._found[block]
        return codes[:, :wanted], similarities[:, :wanted]


@numba.njit(cache=True, nogil=True)
def _nearest(history: Any, codes: Any, people: Any, weights: Any, rule: Any, chosen: Any, similarities: Any) -> None:
    by_user, by_item, lengths = people
    n_users = len(lengths)
    common = np.zeros(n_users, dtype=np.float32)
    counts = np.zeros(n_users, dtype=np.int32)
    touched = np.empty(n_users, dtype=np.int32)
    values = np.empty(n_users, dtype=np.float32)
    keys = np.empty(n_users, dtype=np.uint64)
    for person in range(len(codes)):
        met = 0
        own_length = np.float32(0)
        length = history.indptr[person + 1] - history.indptr[person]
        for at in range(history.indptr[person], history.indptr[person + 1]):
            item = history.indices[at]
            own_length += weights[item]
            for other in range(by_item.indptr[item], by_item.indptr[item + 1]):
                user = by_item.indices[other]
                if counts[user] == 0:
                    touched[met] = user
                    met += 1
                counts[user] += 1
                common[user] += weights[item]
        size = 0
        for user in touched[:met]:
            beyond = counts[user] < by_user.indptr[user + 1] - by_user.indptr[user]
            scale = own_length**rule.asymmetry * lengths[user] ** (1 - rule.asymmetry)
            themself = user == codes[person] and is_own_copy(counts[user], length)
            if beyond and not themself and common[user] >= rule.least * scale:
                values[size] = common[user] / (scale + rule.shrinkage)
                touched[size] = user
                size += 1
            counts[user] = 0
            common[user] = 0
        select_largest(touched, values, size, keys, chosen[person], similarities[person])


@numba.njit(cache=True, nogil=True)
def _add_up(chosen: Any, similarities: Any, by_user: Any, scores: Any) -> None:
    for person in range(len(chosen)):
        row = scores[person]
        for place in range(chosen.shape[1]):
            user = chosen[person, place]
            if user < 0:
                break
            for at in range(by_user.indptr[user], by_user.indptr[user + 1]):
                item = by_user.indices[at]
                if np.isnan(row[item]):
                    row[item] = similarities[person, place]
                else:
                    row[item] += similarities[person, place]
