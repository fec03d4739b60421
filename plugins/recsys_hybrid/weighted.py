"""The weighted hybrid: one score from several algorithms, each with the weight that ranks held-out items best."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from recsys_desktop.api import (
    CannotFit,
    Contribution,
    Dataset,
    DataShape,
    Explanation,
    Forecast,
    InvalidParameter,
    Query,
    Recommender,
    RunContext,
    Source,
)
from recsys_desktop.api.dataset import Bool, Float32, Int32
from recsys_hybrid.combining import Standardised, standardised, weighted_mean
from recsys_hybrid.plugin import WEIGHTED_HYBRID, WeightedHybridParams
from recsys_hybrid.weight_search import BEST_OF_EACH, LENGTH, Weights, gather_candidates, lattice, undistinguished_mean

_HELD_OUT_SHARE = 0.1
_FEWEST_PEOPLE = 20
_MOST_PEOPLE = 2000
_TRIAL_ENDS, _LEARNING_ENDS = 0.45, 0.55
_GROWS_WITH_INTERACTIONS = frozenset(
    ("ials", "item-knn", "user-knn", "rp3beta", "bpr", "content", "popularity", "recent-popularity", "bias")
)


class WeightedHybrid(Recommender):
    """Weighted hybrid (Burke 2002, section 2.1).

    With z_m(u, i) the score of member m for item i, less the mean of its scores for this person and in their standard
    deviations (over all items that it scores), the score is

        s(u, i) = Σ w_m z_m(u, i) / Σ w_m        over the members that have a score for this person and item

    so that a member without an opinion neither helps nor harms. Weights are given, or learnt: the members are fitted
    without a tenth of each person's interactions, the weights are the mean of all those that rank that tenth as well as
    the best by NDCG@10 (for at most 2,000 people, see `weight_search`), and the members that have any weight are fitted
    again to everything.
    With fewer than 20 people to learn from, all members weigh the same.

    A member that cannot be fitted to the data is left out, as is one that gets no weight. Asked to stop, the hybrid
    keeps the members that it has: equal weights before they were learnt, afterwards members fitted without the tenth
    where those fitted to everything are missing.

    Serves whom any member serves and lists what any member lists; the declared capabilities are those of the default
    members. An explanation adds up what each history entry (feature, factor, ...) is to every member; a member
    that cannot be broken down so is one contribution. The means by which scores were standardised are in the base.

    Fitted: `members_`, the fitted members; `weights_` float64 (m,), theirs, 1 together; `left_out_`, the reasons by id;
    `held_out_ndcg_`, the NDCG@10 that the weights reached where they were learnt, or None.
    """

    spec = WEIGHTED_HYBRID
    params: WeightedHybridParams

    members_: list[Recommender]
    weights_: Weights
    left_out_: dict[str, str]
    held_out_ndcg_: float | None

    def estimate(self, shape: DataShape) -> Forecast:
        """All members together, at their default parameters.

        A hybrid knows its members by id only, until they are fitted. Those known to grow with the interactions are
        forecast like implicit ALS or item neighbours, whichever is more; every other like EASE, whose square of the
        smaller side is the largest form there is.
        """
        members = self.params.members
        squares = sum(member not in _GROWS_WITH_INTERACTIONS for member in members)
        side, rows = min(shape.n_users, shape.n_items), shape.n_users + shape.n_items
        memory = 4 * side * side * (squares + 0.2) * bool(squares)
        memory += 30 * len(members) * shape.n_interactions + 450 * len(members) * (rows + 2 * shape.n_items)
        fits = 1 if self.params.weights else 2
        if fits == 2:
            width = BEST_OF_EACH * len(members)
            memory += min(shape.n_users, _MOST_PEOPLE) * width * (8 * len(members) + 30)
        walks = shape.n_interactions * max(shape.n_interactions / max(rows, 1), 1)
        seconds = fits * (squares * side**3 / 6e10 + len(members) * (walks / 2e8 + 2e-4 * rows))
        return Forecast(
            int(memory) + 6_000_000,
            0.5 + seconds,
            cheaper="item-knn",
            note=f"{len(members)} members, fitted {'twice, to learn their weights' if fits == 2 else 'once'}",
        )

    def _fit(self, train: Dataset, run: RunContext) -> None:
        self.left_out_ = {}
        self.held_out_ndcg_ = None
        if self.params.weights:
            given = dict(zip(self.params.members, self.params.weights, strict=True))
            wanted = {member: float(weight) for member, weight in given.items() if weight > 0}
            self._keep(self._fit_members(list(wanted), train, run, 0.0, 1.0), wanted)
        elif len(self.params.members) == 1 or not self._fit_learning(train, run):
            self.left_out_ = {}
            members = self._fit_members(self.params.members, train, run, _LEARNING_ENDS, 1.0)
            self._keep(members, dict.fromkeys(self.params.members, 1.0))
            _log_weights(run, {member: 1 / len(members) for member in members})

    def _fit_learning(self, train: Dataset, run: RunContext) -> bool:
        """Learn the weights and fit the members to everything; False where there is too little to learn from."""
        kept, held_out = train.hold_out(_HELD_OUT_SHARE, run.generator("weighted-hybrid held out"))
        people = np.flatnonzero(held_out.user_counts)
        if len(people) < _FEWEST_PEOPLE:
            run.progress(0.0, f"only {len(people)} people have interactions to learn weights from: all members equal")
            return False
        if len(people) > _MOST_PEOPLE:
            people = np.sort(run.generator("weighted-hybrid people").choice(people, _MOST_PEOPLE, replace=False))
        members = self._fit_members(self.params.members, kept, run, 0.0, _TRIAL_ENDS)
        if not members:
            return False
        weights = dict.fromkeys(members, 1.0)
        if not run.should_stop:
            weights = self._learn(list(members.values()), kept, held_out, people, run)
        for member in [member for member in members if not weights[member]]:
            del members[member]
            self.left_out_[member] = "no weight: lists of held-out items are best without it"
        for place, member in enumerate(list(members)):
            if run.should_stop:
                break
            begin = _LEARNING_ENDS + (1 - _LEARNING_ENDS) * place / len(members)
            self._announce(run, begin, f"fitting {member} to everything")
            del members[member]
            self._fit_member(member, train, run, members)
        self._keep(members, weights)
        return True

    def _fit_members(
        self, wanted: Sequence[str], train: Dataset, run: RunContext, begin: float, end: float
    ) -> dict[str, Recommender]:
        """Fit members one by one; asked to stop, at least one."""
        members: dict[str, Recommender] = {}
        for place, member in enumerate(wanted):
            if members and run.should_stop:
                break
            self._announce(run, begin + (end - begin) * place / len(wanted), f"fitting {member}")
            self._fit_member(member, train, run, members)
        return members

    def _fit_member(self, member: str, train: Dataset, run: RunContext, members: dict[str, Recommender]) -> None:
        """Add the fitted member to `members`, or its reason to `left_out_`."""
        try:
            members[member] = run.fit(member, self.params.of_member(member), train)
        except CannotFit as reason:
            self.left_out_[member] = str(reason)
        except InvalidParameter as error:
            raise InvalidParameter("member_params", f"'{member}.{error.name}': {error.reason}") from error

    def _announce(self, run: RunContext, fraction: float, text: str) -> None:
        missing = "; ".join(f"{member} is left out ({reason})" for member, reason in self.left_out_.items())
        run.progress(fraction, f"{text}; {missing}" if missing else text)

    def _learn(
        self,
        members: list[Recommender],
        kept: Dataset,
        held_out: Dataset,
        people: npt.NDArray[np.int64],
        run: RunContext,
    ) -> dict[str, float]:
        """Weights by member id, 1 together; equal where the person asked to stop or there is one member only."""
        ids = [member.spec.id for member in members]
        equal = dict.fromkeys(ids, 1 / max(len(ids), 1))
        if len(members) < 2:
            return equal

        def advance(fraction: float) -> bool:
            begin = _TRIAL_ENDS + (_LEARNING_ENDS - _TRIAL_ENDS) * 0.5 * fraction
            self._announce(run, begin, f"asking {len(ids)} members about {len(people)} people")
            return not run.should_stop

        candidates = gather_candidates(members, kept, held_out, people, advance)
        if candidates is None:
            return equal
        self._announce(run, (_TRIAL_ENDS + _LEARNING_ENDS) / 2, "learning how far to trust each member")
        tried = lattice(len(members))
        figures = np.empty((len(tried), len(people)))
        for row, weights in enumerate(tried):
            if run.should_stop:
                return equal
            figures[row] = candidates.ndcg(weights)
        learnt = undistinguished_mean(tried, figures)
        self.held_out_ndcg_ = float(candidates.ndcg(learnt).mean())
        shares = dict(zip(ids, learnt.tolist(), strict=True))
        _log_weights(run, shares, **{f"ndcg@{LENGTH}": self.held_out_ndcg_})
        return shares

    def _keep(self, members: dict[str, Recommender], weights: dict[str, float]) -> None:
        if not members:
            reasons = "; ".join(f"{member}: {reason}" for member, reason in self.left_out_.items())
            raise CannotFit(f"no member of the hybrid can be fitted ({reasons})")
        shares = np.array([weights[member] for member in members])
        self.members_ = list(members.values())
        self.weights_ = shares / shares.sum()

    def _serves(self, query: Query) -> Bool:
        served: Bool = np.logical_or.reduce([member._serves(query) for member in self.members_])
        return served

    def scorable_items(self) -> Bool:
        """bool (n_items,): the items that any member lists."""
        listed: Bool = np.logical_or.reduce([member.scorable_items() for member in self.members_])
        return listed

    def _score(self, query: Query, items: Int32 | None) -> Float32:
        scores, _ = weighted_mean(
            (weight, standardised(member.score(query)).values)
            for weight, member in zip(self.weights_.tolist(), self.members_, strict=True)
        )
        return scores if items is None else scores[:, items]

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        asked = [standardised(member.score(query)) for member in self.members_]
        weights = self.weights_.tolist()
        _, together = weighted_mean(zip(weights, (answer.values[:, items] for answer in asked), strict=True))
        gathered = [_Parts() for _ in items]
        for member, weight, answer in zip(self.members_, weights, asked, strict=True):
            values = answer.values[0, items]
            answered = np.flatnonzero(~np.isnan(values))
            shares = weight / together[0, answered].astype(np.float64)
            own = self._own_explanations(member, query, items[answered])
            for place, share, explanation in zip(answered.tolist(), shares.tolist(), own, strict=True):
                gathered[place].add(member.spec.name, share, float(values[place]), answer, explanation)
        return [
            parts.explanation(int(item), float(score))
            for item, score, parts in zip(items, scores, gathered, strict=True)
        ]

    def _own_explanations(self, member: Recommender, query: Query, items: Int32) -> list[Explanation] | list[None]:
        if not member.spec.capabilities.additive or not len(items):
            return [None] * len(items)
        return member.explain(query, items)


def _log_weights(run: RunContext, weights: dict[str, float], **figures: float) -> None:
    run.log(1, **figures, **{f"weight of {member}": weight for member, weight in weights.items()})


class _Parts:
    """One score being taken apart: the members' contributions to it, summed by what they come from."""

    def __init__(self) -> None:
        self.base = 0.0
        self.sums: dict[tuple[Source, int, str], float] = {}
        self.shares: list[str] = []

    def add(self, name: str, share: float, value: float, answer: Standardised, explanation: Explanation | None) -> None:
        """A member's part: share of the weight, standardised score, and its own explanation where that adds up."""
        self.shares.append(f"{name} {share * value:+.2f} (weight {share:.2f})")
        deviation = float(answer.deviation[0])
        if not deviation:
            return
        if explanation is None:
            self._count(Source.MODEL, -1, name, share * value)
            return
        scale = share / deviation
        self.base += scale * (explanation.base - float(answer.mean[0]))
        for part in explanation.contributions:
            self._count(part.kind, part.code, part.label, scale * part.value)

    def _count(self, kind: Source, code: int, label: str, value: float) -> None:
        key = (kind, code, label)
        self.sums[key] = self.sums.get(key, 0.0) + value

    def explanation(self, item: int, score: float) -> Explanation:
        """The sums as an explanation of the score."""
        return Explanation.of(
            item,
            score,
            [Contribution(kind, value, code, label) for (kind, code, label), value in self.sums.items()],
            base=self.base,
            additive=True,
            faithful_to_removal=False,
            method="weighted mean of standardised scores: " + ", ".join(self.shares),
        )
