"""Non-negative factorisation of ratings with biases, whose factors can be read."""

from __future__ import annotations

from typing import Any

import numpy as np

from recsys_desktop.api import Contribution, Dataset, Explanation, Factor, Query, RunContext, Source
from recsys_desktop.api.dataset import Float32, Int32
from recsys_factorization.als import ExplicitALS
from recsys_factorization.nonnegative_kernels import solve_nonnegative_rows
from recsys_factorization.plugin import NMF, NMFParams
from recsys_factorization.readable_factors import describe_factors

_RATINGS_PER_BLOCK = 1 << 14


class NonNegativeFactorisation(ExplicitALS):
    """Non-negative matrix factorisation with biases (Lee, Seung 1999, "Learning the parts of objects by non-negative
    matrix factorization"; by alternating non-negative least squares as Kim, Park 2008).

    A rating r_ui is about mean + spread (b_u + b_i + p_u.q_i) with p_u, q_i >= 0: biases say how a person and an item
    are rated in general, and every factor can only add, so that each stands for a taste of its own. The objective is
    that of the explicit ALS here; each half sweep solves every row exactly under the bounds, and a person is folded in
    the same way, so that a person is their history.

    A prediction is explained by what each factor adds to it, which is exact. `factors` tells what they stand for. They
    are ordered by what they add to the ratings of training, the weightiest first.

    Fitted state beyond the base class: factors_, the fields of every Factor.
    """

    spec = NMF
    solver = staticmethod(solve_nonnegative_rows)
    params: NMFParams

    factors_: list[Any]

    def _fit(self, train: Dataset, run: RunContext) -> None:
        super()._fit(train, run)
        run.progress(1.0, "naming the factors")
        added = self._added()
        order = np.argsort(-added, kind="stable")
        self.item_factors_ = np.ascontiguousarray(self.item_factors_[:, order])
        self.user_factors_ = np.ascontiguousarray(self.user_factors_[:, order])
        shares = added[order] / max(float(added.sum()), 1e-30)
        self.factors_ = [vars(factor).copy() for factor in describe_factors(self.item_factors_, shares, train)]

    def _initial_factors(self, n_items: int, generator: np.random.Generator) -> Float32:
        """Uniform, about 1 in sum over the factors of an item."""
        return generator.random((n_items, self.params.factors), dtype=np.float32) * np.float32(2 / self.params.factors)

    def _added(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """What each factor adds to the ratings of training, summed: float64 (factors,)."""
        added = np.zeros(self.params.factors)
        owners = np.repeat(np.arange(len(self.rated_indptr_) - 1), np.diff(self.rated_indptr_))
        for begin in range(0, len(owners), _RATINGS_PER_BLOCK):
            part = slice(begin, begin + _RATINGS_PER_BLOCK)
            of_people, of_items = self.user_factors_[owners[part]], self.item_factors_[self.rated_items_[part]]
            added += np.einsum("nf,nf->f", of_people, of_items)
        return added

    def factors(self) -> list[Factor]:
        """What the factors stand for, the weightiest first."""
        self._require_fitted()
        return [Factor(**fields) for fields in self.factors_]

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        """score = mean + the person's bias + the item's + what each factor adds, all in rating units."""
        person = self._solve_people(self._histories(query))[0].astype(np.float64) * self.spread_
        names = [fields["name"] for fields in self.factors_]
        return [
            Explanation.of(
                int(item),
                float(score),
                [
                    Contribution(Source.BIAS, float(person[0]), label="how this person rates"),
                    Contribution(
                        Source.BIAS, self.spread_ * float(self.item_biases_[item]), label="how this item is rated"
                    ),
                    *(
                        Contribution(Source.FACTOR, float(value), label=name)
                        for name, value in zip(names, person[1:] * self.item_factors_[item], strict=True)
                    ),
                ],
                base=self.mean_,
                additive=True,
                faithful_to_removal=False,
                method="what each taste adds to the averages of the person and the item",
            )
            for item, score in zip(items, scores, strict=True)
        ]
