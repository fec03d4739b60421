"""NeighbourhoodRating: the base of rating predictions as a bias plus the weighted deviations of neighbours."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from recsys_desktop.api import Contribution, Dataset, Explanation, Query, Recommender, RunContext, Source
from recsys_desktop.api.dataset import Bool, Float32, Int32, Int64
from recsys_desktop.api.state_checks import require_array
from recsys_desktop.toolkit.bias import Biases, fit_biases, rated_histories
from recsys_desktop.toolkit.products import SparseRows
from recsys_neighbors.agreement import Rule


class Neighbours(NamedTuple):
    """Who or what speaks for one prediction: int32 codes, float32 weights, float32 deviations in rating units."""

    codes: Int32
    weights: Float32
    deviations: Float32

    @property
    def spread(self) -> float:
        """The standard deviation of the deviations, weighted by similarity, in rating units; NaN for fewer than two."""
        if len(self.weights) < 2:
            return float("nan")
        mean = np.average(self.deviations, weights=self.weights)
        return float(np.sqrt(np.average((self.deviations - mean) ** 2, weights=self.weights)))

    def in_words(self) -> str:
        """How much they are worth: how many there are and how far they differ."""
        support = len(self.codes)
        if support < 2:
            return f"{support or 'none'} of them"
        return f"{support} of them, ±{self.spread:.1f}"


class Requests(NamedTuple):
    """Which items to rate for whom: those of person p are items[indptr[p]:indptr[p + 1]]."""

    indptr: Int64
    items: Int32

    @classmethod
    def grid(cls, n_people: int, items: Int32) -> Requests:
        """The same items for everybody."""
        return cls(np.arange(n_people + 1, dtype=np.int64) * len(items), np.tile(items, n_people))


class NeighbourhoodRating(Recommender):
    """The rating of item j by person u is predicted as (Koren 2010, section 2.2)

        b_uj + Σ_n s_n d_n / (Σ_n s_n + caution)

    over the `neighbours` nearest neighbours n that have something to say on u and j, with similarity s_n > 0 and
    deviation d_n of a rating from its own bias. b_uj = mean + b_u + b_j is the bias model (see `Biases`), which alone
    answers where there is no neighbour. `caution` pulls predictions that rest on little similarity towards it.

    Fitted: `biases_`, the fields of a `Biases`; and what a subclass says.
    """

    biases_: dict[str, Any]
    method: ClassVar[str]
    source: ClassVar[Source]

    @abstractmethod
    def _deviations(self, query: Query, requests: Requests) -> Float32:
        """Σ s d / (Σ s + caution) of every request, float32 (len(requests.items),)."""

    @abstractmethod
    def _neighbours(self, query: Query, items: Int32) -> list[Neighbours]:
        """The neighbours behind the prediction of each of `items` for the one person in `query`."""

    @property
    def biases(self) -> Biases:
        """The fitted biases."""
        return Biases(**self.biases_)

    @property
    def rule(self) -> Rule:
        """How similarities are computed, from the parameters."""
        return Rule(
            self.params.similarity == "pearson",
            float(self.params.shrinkage),
            int(self.params.significance),
            float(self.params.least_similarity),
        )

    def check_state(self) -> None:
        """As `Recommender.check_state`."""
        super().check_state()
        require_array("biases_['users']", self.biases.users, (len(self.known_users_),), np.float32)
        require_array("biases_['items']", self.biases.items, (self.n_items,), np.float32)

    def _fit_biases(self, train: Dataset, run: RunContext) -> Biases:
        biases = fit_biases(train, None, None, run)
        self.biases_ = biases._asdict()
        return biases

    def _rated(self, query: Query) -> SparseRows:
        return rated_histories(query, self.n_items)

    def predictable_items(self) -> Bool:
        """All: an item without ratings has no bias and no neighbours."""
        return np.ones(self.n_items, dtype=np.bool_)

    def _score(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        wanted = np.arange(self.n_items, dtype=np.int32) if items is None else items
        biases = self.biases
        ratings = biases.ratings(biases.of_histories(query), wanted)
        ratings += self._deviations(query, Requests.grid(len(query), wanted)).reshape(ratings.shape)
        return ratings

    def predict_pairs(self, query: Query, people: npt.NDArray[Any], items: npt.NDArray[Any]) -> Float32:
        """As `Recommender.predict_pairs`, at the cost of the pairs alone."""
        self._require_fitted()
        self._require_known_codes(query)
        codes = self._item_codes(items)
        order = np.argsort(people, kind="stable")
        indptr = np.concatenate(([0], np.cumsum(np.bincount(people, minlength=len(query))))).astype(np.int64)
        deviations = np.empty(len(codes), dtype=np.float32)
        deviations[order] = self._deviations(query, Requests(indptr, codes[order]))
        biases = self.biases
        ratings: Float32 = biases.of_histories(query)[people] + biases.items[codes] + deviations
        ratings += np.float32(biases.mean)
        if self.rating_scale_ is not None:
            np.clip(ratings, self.rating_scale_[0], self.rating_scale_[1], out=ratings)
        ratings[~self._serves(query)[people]] = np.nan
        return ratings

    def evidence(self, query: Query, items: Int32) -> tuple[Int32, Float32]:
        """What the predictions of `items` for the one person in `query` rest on: how many neighbours, and their spread.

        Returns
        -------
        int32 (len(items),) and float32 (len(items),): the standard deviation of the neighbours' deviations, weighted by
        similarity, in rating units; NaN where there are fewer than two neighbours.
        """
        found = self._neighbours(query, items)
        support = np.array([len(neighbours.codes) for neighbours in found], dtype=np.int32)
        spread = np.array([neighbours.spread for neighbours in found], dtype=np.float32)
        return support, spread

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        biases = self.biases
        of_person = float(biases.of_histories(query)[0])
        explanations = []
        for item, score, found in zip(items, scores, self._neighbours(query, items), strict=True):
            codes, weights, deviations = found
            parts = weights * deviations / (weights.sum() + np.float32(self.params.caution))
            contributions = [
                Contribution(Source.BIAS, of_person, label="how this person rates"),
                Contribution(Source.BIAS, float(biases.items[item]), label="how this item is rated"),
                *(Contribution(self.source, float(part), int(code)) for code, part in zip(codes, parts, strict=True)),
            ]
            explanations.append(
                Explanation.of(
                    int(item),
                    float(score),
                    contributions,
                    base=biases.mean,
                    additive=True,
                    faithful_to_removal=False,
                    method=f"{self.method} ({found.in_words()})",
                )
            )
        return explanations


@numba.njit(cache=True, nogil=True)
def weighted_deviation(weights: Any, deviations: Any, count: int, caution: float) -> Any:
    """Σ s d / (Σ s + caution) of the first `count`, 0 where there are none. Called from other kernels."""
    total, weight = 0.0, caution
    for at in range(count):
        total += weights[at] * deviations[at]
        weight += weights[at]
    return total / weight if count else 0.0
