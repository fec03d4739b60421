"""Side tables as sparse design matrices: one column for each category, tag and range of numbers."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recsys_desktop.api import CategoryColumn, FeatureTable, NumericColumn, Role, TagsColumn, TextColumn
from recsys_desktop.api.dataset import Int64

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_RANGES = 10
_FEWEST_ROWS = 2
_YEAR = re.compile(r"\((\d{4})\)\s*$")


class Encoding(NamedTuple):
    """How one column of a side table becomes columns of a design matrix.

    name: the column, or "year" for the years that titles end with. categories: the names that have a column of their
    own; none for numbers. edges: float64, the inner bounds of the ranges of a numeric column.
    """

    name: str
    categories: tuple[str, ...]
    edges: npt.NDArray[np.float64]

    @property
    def width(self) -> int:
        """The columns of the design matrix."""
        return len(self.categories) or len(self.edges) + 1

    @property
    def names(self) -> list[str]:
        """What to call each column of the design matrix."""
        if self.categories:
            return [f"{self.name} {category}" for category in self.categories]
        low, high = [f"{self.name} below {self.edges[0]:g}"], [f"{self.name} from {self.edges[-1]:g}"]
        return low + [f"{self.name} {begin:g} to {end:g}" for begin, end in pairwise(self.edges)] + high


def fit_encodings(table: FeatureTable, active: npt.NDArray[np.bool_]) -> list[Encoding]:
    """Encodings of the categories, tags and numbers of a side table, and of the years in its titles.

    active: bool (rows,), the rows that count. A category is kept where at least two of them have it.
    """
    found = []
    for name, column in _columns(table).items():
        if isinstance(column, CategoryColumn | TagsColumn):
            rows, codes = _entries(column)
            counts = np.bincount(codes[active[rows]], minlength=len(column.categories))
            kept = tuple(column.categories[code] for code in np.flatnonzero(counts >= _FEWEST_ROWS))
            if kept:
                found.append(Encoding(name, kept, np.empty(0)))
        else:
            values = column.values[active & ~np.isnan(column.values)]
            edges = np.unique(np.quantile(values, np.linspace(0, 1, _RANGES + 1)[1:-1])) if len(values) else values
            if len(edges) and len(np.unique(values)) > 1:
                found.append(Encoding(name, (), edges.astype(np.float64)))
    return found


def encode(table: FeatureTable, encoding: Encoding) -> csr_matrix:
    """One column of a side table as float32 (rows, width); the values of a row with n tags are 1/sqrt(n)."""
    from scipy.sparse import csr_matrix

    column = _columns(table).get(encoding.name)
    if column is None:
        return csr_matrix((len(table), encoding.width), dtype=np.float32)
    if isinstance(column, CategoryColumn | TagsColumn):
        rows, codes = _entries(column)
        places = {category: place for place, category in enumerate(encoding.categories)}
        place = np.array([places.get(category, -1) for category in column.categories], dtype=np.int64)
        known = place[codes] >= 0
        rows, columns = rows[known], place[codes[known]]
    else:
        rows = np.flatnonzero(~np.isnan(column.values))
        columns = np.searchsorted(encoding.edges, column.values[rows], side="right")
    counts = np.bincount(rows, minlength=len(table))
    values = (1 / np.sqrt(counts[rows])).astype(np.float32)
    return csr_matrix((values, (rows, columns)), shape=(len(table), encoding.width))


def _columns(table: FeatureTable) -> dict[str, Any]:
    """The columns that can be encoded, with the year that titles end with, as in "Heat (1995)", as a further one."""
    found: dict[str, Any] = dict(table.of_role(Role.CATEGORY, Role.TAGS, Role.NUMERIC))
    for column in table.of_role(Role.TITLE).values():
        if isinstance(column, TextColumn) and "year" not in found:
            years = np.array([_year(title) for title in column.values], dtype=np.float32)
            if not np.isnan(years).all():
                found["year"] = NumericColumn(years, unit="year")
    return found


def _year(title: str) -> float:
    match = _YEAR.search(title)
    return float(match.group(1)) if match else float("nan")


def _entries(column: CategoryColumn | TagsColumn) -> tuple[Int64, npt.NDArray[np.int32]]:
    """Row and category of every value that is there."""
    if isinstance(column, CategoryColumn):
        rows = np.flatnonzero(column.codes >= 0)
        return rows, column.codes[rows]
    return np.repeat(np.arange(len(column)), np.diff(column.indptr)), column.indices
