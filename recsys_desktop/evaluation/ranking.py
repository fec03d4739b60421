"""Ranking metrics at k: how well a top-k list finds the held-out items of each user.

Notation: a user's list is i_1 .. i_k, R is the set of their held-out items, and rel_j is 1 where i_j is in R, else 0.
A list shorter than k counts its empty places as misses. Where R is empty nothing can be judged, and the figure is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from recsys_desktop.api import InvalidData, MetricSpec, RankedLists

Float64: TypeAlias = npt.NDArray[np.float64]
Ragged: TypeAlias = tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]


class Judgement(NamedTuple):
    """Which places of each list hold a held-out item.

    hits: bool (n, k). n_relevant: int64 (n,), the number of distinct held-out items of each user.
    """

    hits: npt.NDArray[np.bool_]
    n_relevant: npt.NDArray[np.int64]

    @property
    def k(self) -> int:
        """The length at which lists are judged."""
        return int(self.hits.shape[1])

    def at(self, k: int) -> Judgement:
        """The same lists cut to their first k places.

        Raises
        ------
        InvalidData: k is below 1 or beyond the length of the lists.
        """
        if not 1 <= k <= self.k:
            raise InvalidData(f"k is {k}; these lists can be judged from 1 to {self.k}")
        return Judgement(self.hits[:, :k], self.n_relevant)


def judge(lists: npt.NDArray[Any], relevant: Ragged) -> Judgement:
    """Mark the hits of every list.

    lists: int (n, k) item codes, -1 where a list is short, no item twice in a row. relevant: (indptr int64 (n + 1,),
    items int32): the held-out items of list i are items[indptr[i]:indptr[i + 1]]; an item named twice counts once.

    Raises
    ------
    InvalidData: the two do not have the same number of users.
    """
    indptr, items = relevant
    n = len(lists)
    if len(indptr) != n + 1:
        raise InvalidData(f"there are {n} lists and held-out items for {len(indptr) - 1} users")
    width = 1 + max(int(lists.max(initial=-1)), int(items.max(initial=-1)))
    owners = np.repeat(np.arange(n, dtype=np.int64), np.diff(indptr))
    named = np.sort(owners * width + items)
    held_out = named[np.diff(named, prepend=-1) > 0]
    n_relevant = np.bincount(held_out // width, minlength=n) if width else np.zeros(n, dtype=np.int64)
    if not len(held_out):
        return Judgement(np.zeros(lists.shape, dtype=np.bool_), n_relevant.astype(np.int64))
    listed = np.arange(n, dtype=np.int64)[:, None] * width + lists
    place = np.minimum(np.searchsorted(held_out, listed), len(held_out) - 1)
    hits = (held_out[place] == listed) & (lists >= 0)
    return Judgement(hits, n_relevant.astype(np.int64))


def _where_judged(judgement: Judgement, figures: Float64) -> Float64:
    return np.where(judgement.n_relevant > 0, figures, np.nan)


def precision(judgement: Judgement) -> Float64:
    """Precision at k: (1/k) Σ_j rel_j. float64 (n,).

    Source: Manning, Raghavan and Schütze, Introduction to Information Retrieval (2008), section 8.4.
    """
    return _where_judged(judgement, judgement.hits.sum(axis=1) / judgement.k)


def recall(judgement: Judgement) -> Float64:
    """Recall at k: (1/|R|) Σ_j rel_j. float64 (n,).

    Source: Manning, Raghavan and Schütze (2008), section 8.3; divided by |R|, not by min(k, |R|).
    """
    shares: Float64 = judgement.hits.sum(axis=1) / np.maximum(judgement.n_relevant, 1)
    return _where_judged(judgement, shares)


def hit_rate(judgement: Judgement) -> Float64:
    """Hit rate at k: 1 where any rel_j is 1, else 0. float64 (n,).

    Source: Deshpande and Karypis, Item-based top-N recommendation algorithms, ACM TOIS 22 (2004).
    """
    hit = np.asarray(judgement.hits.any(axis=1))
    return _where_judged(judgement, hit.astype(np.float64))


def ndcg(judgement: Judgement) -> Float64:
    """Normalised discounted cumulative gain at k with binary gain, float64 (n,).

    Σ_j rel_j / log2(j + 1), divided by Σ_{j ≤ min(k, |R|)} 1 / log2(j + 1).

    Source: Järvelin and Kekäläinen, Cumulated gain-based evaluation of IR techniques, ACM TOIS 20 (2002),
    with the discount log2(j + 1) of Burges et al. (2005) and the ideal list cut at min(k, |R|).
    """
    discounts = 1 / np.log2(np.arange(2, judgement.k + 2))
    ideal = np.concatenate(([0.0], np.cumsum(discounts)))
    best = ideal[np.clip(judgement.n_relevant, 1, judgement.k)]
    gains: Float64 = judgement.hits.astype(np.float64) @ discounts
    return _where_judged(judgement, gains / best)


def mean_average_precision(judgement: Judgement) -> Float64:
    """Average precision at k: (1/min(k, |R|)) Σ_j rel_j · precision at j; its mean over users is MAP. float64 (n,).

    Source: Manning, Raghavan and Schütze (2008), equation 8.8, cut at k.
    """
    hits = judgement.hits
    precision_at = np.cumsum(hits, axis=1) / np.arange(1, judgement.k + 1)
    best = np.clip(judgement.n_relevant, 1, judgement.k)
    return _where_judged(judgement, (precision_at * hits).sum(axis=1) / best)


def mean_reciprocal_rank(judgement: Judgement) -> Float64:
    """Reciprocal rank at k: 1/j for the first j with rel_j = 1, or 0; its mean over users is MRR. float64 (n,).

    Source: Voorhees, The TREC-8 question answering track report (1999).
    """
    first = np.argmax(judgement.hits, axis=1)
    return _where_judged(judgement, np.where(judgement.hits.any(axis=1), 1 / (first + 1), 0.0))


def _metric(id: str, name: str, function: Callable[[Judgement], Float64], formula: str) -> MetricSpec:
    def compute(ranked: RankedLists) -> Float64:
        return function(judge(ranked.lists, ranked.relevant))

    return MetricSpec(id, name, formula, compute)


RANKING_METRICS: dict[str, MetricSpec] = {
    metric.id: metric
    for metric in (
        _metric(
            "ndcg",
            "NDCG",
            ndcg,
            "Σ rel_j / log2(j + 1) over the list, divided by the same sum of a list that begins with min(k, |R|) hits "
            "(Järvelin and Kekäläinen 2002)",
        ),
        _metric("recall", "Recall", recall, "Hits / |R| (Manning, Raghavan and Schütze 2008)"),
        _metric("precision", "Precision", precision, "Hits / k (Manning, Raghavan and Schütze 2008)"),
        _metric(
            "hit-rate", "Hit rate", hit_rate, "1 where the list holds any hit, else 0 (Deshpande and Karypis 2004)"
        ),
        _metric(
            "map",
            "MAP",
            mean_average_precision,
            "Σ rel_j · precision at j, divided by min(k, |R|) (Manning, Raghavan and Schütze 2008)",
        ),
        _metric("mrr", "MRR", mean_reciprocal_rank, "1 / rank of the first hit, or 0 (Voorhees 1999)"),
    )
}
"""The built-in ranking metrics by id; each judges at the length of the lists it is given."""
