"""ItemWeightModel: the base of rankers whose scores are sums of sparse item-to-item weights over a history."""

from __future__ import annotations

from typing import Any, ClassVar

import numba
import numpy as np
import numpy.typing as npt

from recsys_desktop.api import Contribution, Explanation, Query, Recommender, Source
from recsys_desktop.api.dataset import Float32, Int32
from recsys_desktop.api.state_checks import require_array, require_matrix
from recsys_desktop.toolkit.products import SparseRows

_FEW_PEOPLE = 8.0


class ItemWeightModel(Recommender):
    """The score of item j for history h is b_j + Σ_{i in h} w_ij, over the items i that have a weight for j.

    In a model without bases b an item for which no item of the history has a weight scores NaN: the model has no
    opinion on it, and the engine's fallback completes the list. So it is with all items for a person whose history
    holds no known item rated at least `min_rating`. A subclass sets `weights_`, and `bases_` if it has
    them, in `_fit`, and may have a parameter `min_rating`.

    Fitted: `weights_` CSR float32 (n_items, n_items), w_ij in row i of the history item and column j of the scored one;
    `bases_` float32 (n_items,), b, or None.
    """

    weights_: Any
    bases_: Float32 | None = None
    method: ClassVar[str]

    def check_state(self) -> None:
        """As `Recommender.check_state`."""
        super().check_state()
        require_matrix("weights_", self.weights_, (self.n_items, self.n_items))
        if self.bases_ is not None:
            require_array("bases_", self.bases_, (self.n_items,), np.float32)

    def _history(self, query: Query) -> SparseRows:
        return SparseRows.of(query.matrix(self.n_items, "one", getattr(self.params, "min_rating", None)))

    def _score(self, query: Query, items: Int32 | None) -> npt.NDArray[Any]:
        history = self._history(query)
        scores = history_scores(history, SparseRows.of(self.weights_), self.n_items, self.bases_)
        people = np.repeat(np.arange(len(query)), np.diff(history.indptr))
        scores[np.bincount(people[self.known_items_[history.indices]], minlength=len(query)) == 0] = np.nan
        return scores if items is None else scores[:, items]

    def _explain(self, query: Query, items: Int32, scores: Float32) -> list[Explanation]:
        sources = self._history(query).indices
        parts = self.weights_[sources][:, items].toarray()
        return [
            Explanation.of(
                int(item),
                float(score),
                [
                    Contribution(Source.HISTORY, float(parts[row, column]), int(sources[row]))
                    for row in np.flatnonzero(parts[:, column])
                ],
                base=0.0 if self.bases_ is None else float(self.bases_[item]),
                additive=True,
                faithful_to_removal=True,
                method=self.method,
            )
            for column, (item, score) in enumerate(zip(items, scores, strict=True))
        ]

    def _item_similarities(self, item: int) -> npt.NDArray[Any]:
        """The weights that speak for `item`, by history item."""
        out = np.full(self.n_items, np.nan, dtype=np.float32)
        column = self.weights_[:, [item]].tocoo()
        out[column.row] = column.data
        return out


def constant_weight(popularity: float, counts: npt.NDArray[Any]) -> float:
    """How much an item that everybody has speaks for others beside the history: popularity (1 + 8 / mean count).

    Where items have few people these say little of one another, and popularity counts for more. counts: int (n_items,),
    interactions of each; items without any are not part of the mean.
    """
    present = counts[counts > 0]
    return popularity * (1 + _FEW_PEOPLE / float(present.mean())) if len(present) else 0.0


def history_scores(history: SparseRows, weights: SparseRows, n_items: int, bases: Float32 | None = None) -> Float32:
    """Sums of weights over histories: float32 (people, n_items).

    Without bases NaN where no item of the history has a weight. history: (people, n_items). weights: (n_items,
    n_items), rows of history items. bases: float32 (n_items,), what each item starts from. Summed in the order of the
    history.
    """
    out = np.empty((history.n_rows, n_items), dtype=np.float32)
    out[:] = np.nan if bases is None else bases
    _history_scores(*history, *weights, out)
    return out


@numba.njit(cache=True, nogil=True)
def _history_scores(
    indptr: Any, indices: Any, data: Any, weight_indptr: Any, weight_indices: Any, weight_data: Any, out: Any
) -> None:
    for person in range(len(out)):
        for at in range(indptr[person], indptr[person + 1]):
            source = indices[at]
            for other in range(weight_indptr[source], weight_indptr[source + 1]):
                item = weight_indices[other]
                value = data[at] * weight_data[other]
                if np.isnan(out[person, item]):
                    out[person, item] = value
                else:
                    out[person, item] += value
