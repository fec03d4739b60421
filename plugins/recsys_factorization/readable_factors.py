"""What non-negative factors stand for: their top items, the categories these share, and a name made from both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from recsys_desktop.api import CategoryColumn, Dataset, Factor, Role, TagsColumn
from recsys_desktop.api.dataset import Float32

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_TOP_ITEMS = 10
_TOP_CATEGORIES = 5
_NAMING_CATEGORIES = 2
_LEAST_LIFT = 0.05
_FEWEST_ITEMS = 3
_SUPPORT = 10.0


def describe_factors(factors: Float32, shares: npt.NDArray[Any], train: Dataset) -> list[Factor]:
    """What each column of `factors` stands for.

    An item stands for a factor by how much it has of it times the factor's share of all that the item has: items that
    have much of it and little else come first. With n ratings this counts n / (n + 10), as what an item has that few
    have rated tells of those few, not of the item. A category's lift is its share among the items, each counted by how
    it stands for the factor, less its share among all items.

    factors: float32 (n_items, factors), not negative. shares: float (factors,), of what all factors add together.
    """
    totals = factors.sum(axis=1, keepdims=True)
    support = (train.item_counts / (train.item_counts + _SUPPORT)).astype(np.float32)[:, None]
    typical = support * factors * np.divide(factors, totals, out=np.zeros_like(factors), where=totals > 0)
    names, lifts = _lifts(typical, train)
    found: list[Factor] = []
    for place, share in enumerate(shares):
        weights = typical[:, place]
        items = np.argsort(-weights, kind="stable")[:_TOP_ITEMS]
        items = items[weights[items] > 0]
        rising = [code for code in np.argsort(-lifts[place], kind="stable") if lifts[place, code] >= _LEAST_LIFT]
        rising = rising[:_TOP_CATEGORIES]
        titles = [_title(train, int(item)) for item in items]
        taken = {factor.name for factor in found}
        found.append(
            Factor(
                _name(place, [names[code] for code in rising], titles, taken),
                tuple(int(item) for item in items),
                tuple(float(weights[item]) for item in items),
                tuple(names[code] for code in rising),
                tuple(float(lifts[place, code]) for code in rising),
                float(share),
            )
        )
    return found


def _name(place: int, categories: list[str], titles: list[str], taken: set[str]) -> str:
    """The first of the possible names that no other factor has."""
    shared = " & ".join(categories[:_NAMING_CATEGORIES])
    candidates = [shared] if shared else []
    candidates += [f"{shared}, as in {title}" if shared else f"as in {title}" for title in titles]
    return next((name for name in candidates if name not in taken), f"taste {place + 1}")


def _title(train: Dataset, item: int) -> str:
    titles = train.item_features.titles
    return str(titles[item]) if titles is not None and titles[item] else train.item_vocabulary[item]


def _lifts(typical: Float32, train: Dataset) -> tuple[list[str], npt.NDArray[np.float64]]:
    """Names of categories, and the lift of each in every factor: float64 (factors, categories)."""
    from scipy.sparse import hstack

    known = train.item_counts > 0
    parts, names = [], []
    for column in train.item_features.of_role(Role.CATEGORY, Role.TAGS).values():
        if isinstance(column, CategoryColumn | TagsColumn):
            matrix = _memberships(column)
            frequent = np.flatnonzero(np.asarray(matrix[known].sum(axis=0)).ravel() >= _FEWEST_ITEMS)
            parts.append(matrix[:, frequent])
            names += [column.categories[code] for code in frequent]
    if not names:
        return [], np.zeros((typical.shape[1], 0))
    matrix = hstack(parts, format="csr")
    overall = np.asarray(matrix[known].mean(axis=0)).ravel()
    within = (matrix.T @ typical.astype(np.float64)).T
    sums = typical.sum(axis=0, dtype=np.float64)[:, None]
    lifts: npt.NDArray[np.float64] = np.divide(within, sums, out=np.zeros_like(within), where=sums > 0) - overall
    return names, lifts


def _memberships(column: CategoryColumn | TagsColumn) -> csr_matrix:
    """1 where an item has a category: CSR (n_items, categories)."""
    from scipy.sparse import csr_matrix

    if isinstance(column, CategoryColumn):
        rows = np.flatnonzero(column.codes >= 0)
        entries = (np.ones(len(rows)), (rows, column.codes[rows]))
    else:
        rows = np.repeat(np.arange(len(column)), np.diff(column.indptr))
        entries = (np.ones(len(rows)), (rows, column.indices))
    return csr_matrix(entries, shape=(len(column), len(column.categories)))
