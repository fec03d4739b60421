"""What lists are like besides accurate: coverage, novelty, popularity, concentration."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from recsys_desktop.api import Dataset, MetricSpec, RankedLists

Float64: TypeAlias = npt.NDArray[np.float64]


def exposure(lists: npt.NDArray[Any], n_items: int) -> npt.NDArray[np.int64]:
    """How many lists each item is in: int64 (n_items,). lists: int (n, k), -1 where a list is short."""
    return np.bincount(lists[lists >= 0].ravel(), minlength=n_items).astype(np.int64)


def catalogue_coverage(lists: npt.NDArray[Any], n_items: int) -> float:
    """Share of the catalogue that is in any list: |∪_u list(u)| / n_items; NaN for an empty catalogue.

    Source: Ge, Delgado-Battenfeld and Jannach, Beyond accuracy, RecSys (2010), catalogue coverage.
    """
    return float((exposure(lists, n_items) > 0).sum() / n_items) if n_items else float("nan")


def user_coverage(lists: npt.NDArray[Any], scores: npt.NDArray[Any]) -> float:
    """Share of users for whom the model itself lists something; NaN without users.

    lists: int (n, k), -1 where a list is short. scores: float (n, k), NaN in places that a fallback filled.
    Source: Herlocker et al., ACM TOIS 22 (2004), section 4.2, by user.
    """
    return float(((lists >= 0) & ~np.isnan(scores)).any(axis=1).mean()) if len(lists) else float("nan")


def gini(lists: npt.NDArray[Any], n_items: int) -> float:
    """Gini index of how often items are listed: 1/(m - 1) Σ_j (2j - m - 1) p_j, with p sorted upwards over all m items.

    0 where all items are listed equally often, 1 where a single one always is; NaN with under two items or no list.
    Source: Shani and Gunawardana, Evaluating recommendation systems (2011), section 3.3.
    """
    counts = np.sort(exposure(lists, n_items)).astype(np.float64)
    total = counts.sum()
    if n_items < 2 or total == 0:
        return float("nan")
    weights = 2.0 * np.arange(1, n_items + 1) - n_items - 1
    return float(weights @ (counts / total) / (n_items - 1))


def _mean_over_list(lists: npt.NDArray[Any], item_values: Float64) -> Float64:
    listed = lists >= 0
    if not len(item_values):
        return np.full(len(lists), np.nan)
    sums = np.where(listed, item_values[np.where(listed, lists, 0)], 0.0).sum(axis=1)
    counts = listed.sum(axis=1)
    means: Float64 = np.divide(sums, counts, out=np.full(len(lists), np.nan), where=counts > 0)
    return means


def self_information(train: Dataset) -> Float64:
    """Bits of surprise at each item: -log2(share of active users who have it in `train`). float64 (n_items,).

    An item that nobody has counts as if one user had it, so that the figure stays finite.
    """
    active = max(int((train.user_counts > 0).sum()), 1)
    return -np.log2(np.maximum(train.item_counts, 1) / active)


def novelty(lists: npt.NDArray[Any], train: Dataset) -> Float64:
    """Mean self-information of each list in bits: mean_j -log2(share of users who have i_j in train). float64 (n,).

    NaN where a list is empty. Source: Zhou et al., Solving the apparent diversity-accuracy dilemma of recommender
    systems, PNAS 107 (2010).
    """
    return _mean_over_list(lists, self_information(train))


def popularity(lists: npt.NDArray[Any], train: Dataset) -> Float64:
    """Mean train popularity of each list: mean_j (number of users who have i_j in train). float64 (n,).

    NaN where a list is empty. Its mean over users is the average recommendation popularity of Yin et al., Challenging
    the long tail recommendation, VLDB 5 (2012).
    """
    return _mean_over_list(lists, train.item_counts.astype(np.float64))


def _novelty(ranked: RankedLists) -> Float64:
    return novelty(ranked.lists, ranked.train)


def _popularity(ranked: RankedLists) -> Float64:
    return popularity(ranked.lists, ranked.train)


BEYOND_ACCURACY_METRICS: dict[str, MetricSpec] = {
    "novelty": MetricSpec(
        "novelty",
        "Novelty",
        "Mean of -log2(share of users who have the item in train), in bits (Zhou et al. 2010)",
        _novelty,
    ),
    "popularity": MetricSpec(
        "popularity",
        "Popularity",
        "Mean number of users who have the item in train (Yin et al. 2012)",
        _popularity,
        larger_is_better=False,
    ),
}
"""The built-in metrics of lists that do not look at the held-out items, by id."""
