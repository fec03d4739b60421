"""The weighted hybrid: members' scores made alike for each person, mixed with weights learnt on data set aside."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recsys_desktop.api import (
    AlgorithmSpec,
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
    Validation,
)
from recsys_desktop.api.dataset import Bool, Float32, Int32, Int64
from recsys_hybrid.plugin import WEIGHTED_HYBRID, WeightedHybridParams

HELD_OUT_SHARE = 0.1
MOST_USERS = 1000
"""The most users whose lists the weights are learnt on."""

CANDIDATES = 100
"""How many of each member's best items a list can be made of while weights are learnt."""

STEPS = (0.2, 0.1)
"""How much weight moves from one member to another in a step of the search, coarse to fine."""

PLATEAU = 0.01
"""Share of the best figure by which weights may fall behind and still count as equally good."""

_PEOPLE_AT_ONCE = 128


class WeightedHybrid(Recommender):
    """A weighted mean of members' scores (Burke 2002, section 2.1), each scaled for the person.

    With z_m(i) member m's score of item i, scaled over the items that the person has not met (to mean 0 and standard
    deviation 1, or to -log2(1 + place in the member's list)), and M the members that score the item for this person:

        score(i) = Σ_{m ∈ M} w_m z_m(i) / Σ_{m ∈ M} w_m

    So a member that knows nothing of a person or an item leaves the decision to the others.

    Weights, where they are not given: members are fitted without a tenth of the interactions, chosen at random;
    weight moves between pairs of members while the figure of the lists on that tenth rises (`best_weights`); then
    members are fitted on everything. Where the run cannot validate, all weigh alike. A member that cannot be fitted on
    this data is left out, and the run's progress says so.

    Fitted: `members_`, the fitted Recommenders; `weights_` float32 (members,), their sum is 1; `left_out_`, for each
    member that could not be fitted its id and the reason.
    """

    spec = WEIGHTED_HYBRID

    params: WeightedHybridParams
    members_: list[Recommender]
    weights_: Float32
    left_out_: list[str]

    def estimate(self, shape: DataShape) -> Forecast:
        """The members' own forecasts, as far as their plugins are installed; the data without the held-out part."""
        specs = _installed()
        settings = self.params.settings()
        known = [specs[member] for member in self.params.members if member in specs]
        forecasts = [spec.load()(spec.params.parse(settings.get(spec.id, {}))).estimate(shape) for spec in known]
        largest = max((forecast.memory_bytes for forecast in forecasts), default=0)
        others = sum(forecast.memory_bytes for forecast in forecasts) - largest
        memory = largest + others // 2 + 60 * shape.n_interactions
        seconds = sum(forecast.seconds for forecast in forecasts)
        note = f"{len(known)} members"
        if missing := [member for member in self.params.members if member not in specs]:
            note += f"; nothing is known of {', '.join(missing)}"
        cheapest = min(zip(forecasts, known, strict=True), key=lambda pair: pair[0].memory_bytes, default=None)
        return Forecast(
            memory + 4_000_000,
            seconds if self.params.weights else 2 * seconds + 2,
            cheaper="" if cheapest is None else cheapest[1].id,
            note=note,
        )

    def _fit(self, train: Dataset, run: RunContext) -> None:
        weights = {member: float(text) for member, text in zip(self.params.members, self.params.weights, strict=False)}
        if not weights and len(self.params.members) > 1 and not run.should_stop:
            weights = self._learnt_weights(train, run)
        members, self.left_out_ = self._fitted_members(train, run, 0.5 if not self.params.weights else 0.0, 1.0)
        if not members:
            raise CannotFit("no member of the hybrid could be fitted: " + "; ".join(self.left_out_))
        chosen = np.array([weights.get(member.spec.id, 0.0) for member in members])
        if chosen.sum() == 0:
            chosen = np.ones(len(members))
        self.members_ = members
        self.weights_ = (chosen / chosen.sum()).astype(np.float32)

    def _fitted_members(
        self, train: Dataset, run: RunContext, begin: float, end: float
    ) -> tuple[list[Recommender], list[str]]:
        """The members that can be fitted, in order, and "id: reason" of the others."""
        settings = self.params.settings()
        fitted: list[Recommender] = []
        left_out: list[str] = []
        for place, member in enumerate(self.params.members):
            fraction = begin + (end - begin) * place / len(self.params.members)
            without = f" (without {', '.join(text.split(':')[0] for text in left_out)})" if left_out else ""
            run.progress(fraction, f"fitting {member}{without}")
            try:
                fitted.append(run.fit(member, settings.get(member, {}), train))
            except CannotFit as error:
                left_out.append(f"{member}: {error}")
        if left_out and fitted:
            run.progress(end, f"goes on without {'; '.join(left_out)}")
        return fitted, left_out

    def _learnt_weights(self, train: Dataset, run: RunContext) -> dict[str, float]:
        """By member, the weights that do best on a tenth of the interactions; empty where none are learnt."""
        kept, held_out = train.hold_out(HELD_OUT_SHARE, run.generator("weights"), within_fraction=True)
        if not len(held_out):
            return {}
        members, _ = self._fitted_members(kept, run, 0.0, 0.4)
        if len(members) < 2:
            return {member.spec.id: 1.0 for member in members}
        users = np.flatnonzero(held_out.user_counts)
        if len(users) > MOST_USERS:
            users = np.sort(run.generator("users for weights").choice(users, MOST_USERS, replace=False))
        chosen = np.zeros(train.n_users, dtype=np.bool_)
        chosen[users] = True
        part = held_out.subset(chosen[held_out.users])
        run.progress(0.42, "learning weights")
        blend = _CandidateBlend.of(self, members, Query.of_users(kept, users))

        def figure(weights: npt.NDArray[np.float64]) -> Validation | None:
            blend.weights_ = weights.astype(np.float32)
            return run.validate(blend, part, kept)

        weights = best_weights(len(members), figure, lambda: run.should_stop)
        if weights is None:
            return {}
        return {member.spec.id: float(weight) for member, weight in zip(members, weights, strict=True)}

    def scorable_items(self) -> Bool:
        """bool (n_items,): the items that at least one member with some weight can list."""
        if "members_" not in vars(self):
            return self.known_items_
        scorable = np.zeros(self.n_items, dtype=np.bool_)
        for member, weight in zip(self.members_, self.weights_, strict=True):
            if weight > 0:
                scorable |= member.scorable_items()
        return scorable

    def _score(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        chosen = np.arange(self.n_items, dtype=np.int32) if items is None else items
        out = np.empty((len(query), len(chosen)), dtype=np.float32)
        for begin in range(0, len(query), _PEOPLE_AT_ONCE):
            people = np.arange(begin, min(begin + _PEOPLE_AT_ONCE, len(query)))
            parts = (
                _Scaled.of(member.score(block), block, self.params.normalisation).values[:, chosen]
                for block in [query.take(people)]
                for member in self.members_
            )
            out[people] = _mixed(parts, self.weights_, (len(people), len(chosen)))
        return out

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        scaled = [
            _Scaled.of(member.score(query), query, self.params.normalisation)
            for member, weight in zip(self.members_, self.weights_, strict=True)
            if weight > 0
        ]
        members = [member for member, weight in zip(self.members_, self.weights_, strict=True) if weight > 0]
        weights = self.weights_[self.weights_ > 0]
        by_history = self.params.explain_by == "history" and self.params.normalisation == "z-score"
        own_parts = [
            self._additive_parts(member, query, items[~np.isnan(part.values[0, items])]) if by_history else {}
            for member, part in zip(members, scaled, strict=True)
        ]
        explanations = []
        for item, score in zip(items.tolist(), scores, strict=True):
            values = np.array([part.values[0, item] for part in scaled])
            taking_part = ~np.isnan(values)
            shares = np.where(taking_part, weights, 0) / weights[taking_part].sum()
            base = 0.0
            contributions: list[Contribution] = []
            of_history: dict[int, float] = {}
            for place in np.flatnonzero(taking_part).tolist():
                member, share, part = members[place], float(shares[place]), scaled[place]
                own = own_parts[place].get(item)
                if own is None:
                    contributions.append(
                        Contribution(Source.MODEL, share * float(values[place]), label=member.spec.name)
                    )
                    continue
                factor = share / float(part.spread[0])
                base += factor * (own.base + own.residual - float(part.mean[0]))
                for one in own.contributions:
                    if one.kind is Source.HISTORY:
                        of_history[one.code] = of_history.get(one.code, 0.0) + factor * one.value
                    else:
                        contributions.append(
                            Contribution(one.kind, factor * one.value, one.code, f"{member.spec.name}: {one.label}")
                        )
            contributions += [Contribution(Source.HISTORY, value, code) for code, value in of_history.items()]
            described = ", ".join(
                f"{share:.0%} {member.spec.name}"
                for member, share in zip(members, shares.tolist(), strict=True)
                if share > 0
            )
            explanations.append(
                Explanation.of(
                    item,
                    float(score),
                    contributions,
                    base=base,
                    additive=True,
                    faithful_to_removal=False,
                    method=f"weights of the members, each scaled to the person's other items: {described}",
                )
            )
        return explanations

    @staticmethod
    def _additive_parts(member: Recommender, query: Query, items: Int32) -> dict[int, Explanation]:
        """A member's explanations by item, where their parts add up; else none."""
        if not (len(items) and member.spec.capabilities.explains and member.spec.capabilities.additive):
            return {}
        return {explanation.item: explanation for explanation in member.explain(query, items)}


class _Scaled(NamedTuple):
    """A member's scores made alike: values float32 (n, n_items), NaN where it has none.

    By z-score they are (score - mean) / spread; mean, spread: float64 (n,), 0 and 1 where places count.
    """

    values: Float32
    mean: npt.NDArray[np.float64]
    spread: npt.NDArray[np.float64]

    @classmethod
    def of(cls, scores: Float32, query: Query, normalisation: str) -> _Scaled:
        """Scale scores (n, n_items) over the items that each person has not met; they are overwritten."""
        others = ~np.isnan(scores)
        if normalisation == "rank":
            return cls(_places(scores, others, query), np.zeros(len(query)), np.ones(len(query)))
        compared = others.copy()
        compared[query.owner, query.items] = False
        compared[~compared.any(axis=1)] = others[~compared.any(axis=1)]
        count = np.maximum(compared.sum(axis=1), 1)
        mean = np.sum(scores, axis=1, where=compared, dtype=np.float64) / count
        scores -= mean[:, None].astype(np.float32)
        spread = np.sqrt(np.sum(np.square(scores), axis=1, where=compared, dtype=np.float64) / count)
        spread[spread < 1e-12] = 1.0
        scores /= spread[:, None].astype(np.float32)
        return cls(scores, mean, spread)


def _places(scores: Float32, answered: Bool, query: Query) -> Float32:
    """-log2(1 + place) of each answered item among those not met, the best at place 1; items met by the same rule."""
    out = np.full(scores.shape, np.nan, dtype=np.float32)
    for person in range(len(query)):
        row = scores[person]
        compared = answered[person].copy()
        compared[query.history(person)] = False
        ordered = np.sort(-row[compared])
        places = 1 + np.searchsorted(ordered, -row[answered[person]], side="left")
        out[person, answered[person]] = -np.log2(1 + places)
    return out


def _mixed(parts: Any, weights: npt.NDArray[Any], shape: tuple[int, int]) -> Float32:
    """The weighted mean of arrays of this shape over those that are not NaN; NaN where all are."""
    total = np.zeros(shape, dtype=np.float32)
    present = np.zeros(shape, dtype=np.float32)
    for part, weight in zip(parts, weights, strict=True):
        if weight > 0:
            missing = np.isnan(part)
            part[missing] = 0
            total += weight * part
            present += weight * ~missing
    with np.errstate(divide="ignore", invalid="ignore"):
        mixed: Float32 = total / present
    return mixed


class _CandidateBlend(WeightedHybrid):
    """The hybrid while its weights are learnt: for some users, only the best items of each member, kept in memory.

    `_places` int64 (n_users,), the position of each user, -1 for others; `_items` int32 (users, candidates);
    `_parts` float32 (members, users, candidates), scaled scores, NaN where there are fewer candidates.
    """

    _places: Int64
    _items: Int32
    _parts: Float32

    @classmethod
    def of(cls, hybrid: WeightedHybrid, members: Sequence[Recommender], query: Query) -> _CandidateBlend:
        """Score the people of a query by every member and keep what can be listed."""
        blend = cls(hybrid.params)
        blend.user_vocabulary, blend.item_vocabulary = hybrid.user_vocabulary, hybrid.item_vocabulary
        blend.known_users_, blend.known_items_ = hybrid.known_users_, hybrid.known_items_
        blend.rating_scale_ = None
        width = min(CANDIDATES * len(members), hybrid.n_items)
        blend._places = np.full(hybrid.n_users, -1, dtype=np.int64)
        blend._places[query.users] = np.arange(len(query))
        blend._items = np.zeros((len(query), width), dtype=np.int32)
        blend._parts = np.full((len(members), len(query), width), np.nan, dtype=np.float32)
        for begin in range(0, len(query), _PEOPLE_AT_ONCE):
            people = np.arange(begin, min(begin + _PEOPLE_AT_ONCE, len(query)))
            block = query.take(people)
            scaled = [_Scaled.of(member.score(block), block, hybrid.params.normalisation).values for member in members]
            for values in scaled:
                values[block.owner, block.items] = np.nan
            for row, person in enumerate(people.tolist()):
                found = np.unique(np.concatenate([_best(values[row], CANDIDATES) for values in scaled]))
                blend._items[person, : len(found)] = found
                for place, values in enumerate(scaled):
                    blend._parts[place, person, : len(found)] = values[row, found]
        return blend

    def scorable_items(self) -> Bool:
        """Every item: those that are no candidates score NaN."""
        return np.ones(self.n_items, dtype=np.bool_)

    def _score(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        rows = self._places[query.users]
        of_people = self._items[rows]
        mixed = _mixed((part[rows] for part in self._parts), self.weights_, of_people.shape)
        out = np.full((len(query), self.n_items), np.nan, dtype=np.float32)
        people, columns = np.nonzero(~np.isnan(mixed))
        out[people, of_people[people, columns]] = mixed[people, columns]
        return out if items is None else out[:, items]


def _best(values: Float32, count: int) -> Int64:
    """The codes of the `count` largest values (n_items,), fewer where others are NaN; in no order."""
    answered = np.flatnonzero(~np.isnan(values))
    if len(answered) <= count:
        return answered
    return answered[np.argpartition(-values[answered], count)[:count]]


def best_weights(
    count: int, figure: Callable[[npt.NDArray[np.float64]], Validation | None], should_stop: Callable[[], bool]
) -> npt.NDArray[np.float64] | None:
    """Weights (count,), from 0 with sum 1, for which `figure` is best; None where it never answers.

    Starts at the best of all alike and each alone, and moves weight from one member to another as long as that helps,
    first in large steps, then in small ones. The answer is the mean of all weights tried whose figure is within
    `PLATEAU` of the best: the middle of what is equally good rather than its luckiest corner.
    """
    tried: dict[bytes, tuple[npt.NDArray[np.float64], Validation]] = {}
    best: Validation | None = None
    weights: npt.NDArray[np.float64] | None = None

    def try_out(candidate: npt.NDArray[np.float64]) -> bool:
        nonlocal best, weights
        key = np.round(candidate, 6).tobytes()
        if key in tried or should_stop():
            return False
        found = figure(candidate)
        if found is None:
            return False
        tried[key] = candidate, found
        if not found.better_than(best):
            return False
        best, weights = found, candidate
        return True

    for start in (np.full(count, 1 / count), *np.eye(count)):
        try_out(start)
    for step in STEPS:
        improved = weights is not None
        while improved:
            improved = False
            for source in range(count):
                for target in range(count):
                    assert weights is not None
                    moved = min(step, float(weights[source]))
                    if source == target or moved <= 0:
                        continue
                    candidate = weights.copy()
                    candidate[source] -= moved
                    candidate[target] += moved
                    improved |= try_out(candidate)
    if best is None:
        return None
    near = [w for w, found in tried.values() if abs(found.value - best.value) <= PLATEAU * abs(best.value)]
    mean: npt.NDArray[np.float64] = np.mean(near, axis=0)
    return mean


def _installed() -> dict[str, AlgorithmSpec]:
    """The algorithms that installed plugins announce, by id; plugins that fail are the application's to report."""
    found: dict[str, AlgorithmSpec] = {}
    for entry in importlib.metadata.entry_points(group="recsys_desktop"):
        try:
            announce = getattr(entry.load(), "recsys_desktop_algorithms", None)
            specs = announce() if announce is not None else ()
        except Exception:  # noqa: BLE001 - a broken plugin of somebody else must not break this forecast
            continue
        for spec in specs:
            found.setdefault(spec.id, spec)
    return found
