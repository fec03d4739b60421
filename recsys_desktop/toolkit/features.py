"""Feature tables as sparse rows: terms, categories, numbers and topics, for similarities and for learnt weights."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix, diags, hstack

from recsys_desktop.api import CategoryColumn, Column, FeatureTable, NumericColumn, Role, TagsColumn, TextColumn
from recsys_desktop.api.dataset import Float32
from recsys_desktop.toolkit.products import SparseRows, sparse_times_dense
from recsys_desktop.toolkit.text import TermCounts, count_terms, tokens

MOST_TERMS = 100_000
"""The most terms of one column; rarer ones are left out."""

_MOST_KNOTS = 8
_VALUES_A_KNOT = 4
_LEAST_ROWS = 2
_EXTRA_DIRECTIONS = 8
_POWER_ITERATIONS = 3
_YEAR = re.compile(r"\((\d{4})(?:[-–]\d{0,4})?\)\s*$")


@dataclass(frozen=True)
class GroupWeights:
    """How much each kind of column counts in a similarity; 0 leaves it out."""

    title: float = 1.0
    text: float = 1.0
    categories: float = 1.0
    numbers: float = 1.0


@dataclass(frozen=True, eq=False)
class FeatureGroup:
    """One column as a block of sparse features.

    column: its name. kind: "words" (of a text), "names" (categories, tags), "number", or "year" (ending a title).
    weight: its share of a similarity. terms: of words and names, in code order. rarity: float32 (len(terms),), their
    inverse document frequencies. knots: float32 (k,), ascending values of a number between which it is interpolated.
    """

    column: str
    kind: str
    weight: float
    terms: list[str]
    rarity: Float32
    knots: Float32

    @property
    def width(self) -> int:
        """How many features it has."""
        return len(self.knots) if self.kind in ("number", "year") else len(self.terms)

    def name(self, feature: int) -> str:
        """A feature's name for a person: the term, or the column and near which value."""
        if self.kind == "year":
            return f"years around {self.knots[feature]:.0f}"
        if self.kind == "number":
            return f"{self.column} near {_few_digits(float(self.knots[feature]))}"
        return self.terms[feature]


class ItemEncoder:
    """Turns a feature table into sparse rows such that the product of two rows is a weighted mean of similarities.

    Each column is a group g with weight w_g, scaled to Σ w_g = 1, and a row x has one block x_g for each, of length
    √w_g (or 0, where nothing is known). So x · y = Σ_g w_g cos(x_g, y_g), and it is at most 1.

    Words, tags and categories are weighted by tf-idf: (1 + log tf) (1 + log((1 + n) / (1 + df))) (Salton and Buckley,
    Term-weighting approaches in automatic text retrieval, 1988). Terms that occur in one row only match nothing and are
    left out. A number falls between two of its knots (quantiles) and has two features that say how near it is to each,
    so that near numbers are similar. A year in brackets at the end of most titles is a number too.
    """

    def __init__(self, groups: Sequence[FeatureGroup]) -> None:
        self.groups = tuple(groups)
        self._ends = list(accumulate(group.width for group in self.groups))

    @classmethod
    def fit(cls, table: FeatureTable, weights: GroupWeights) -> ItemEncoder:
        """Learn terms, rarities and knots from the rows of `table`; columns that tell nothing apart are left out."""
        found: list[FeatureGroup] = []
        for name, column in table.columns.items():
            found.extend(_groups_of(name, column, weights))
        useful = [group for group in found if group.width > 0 and group.weight > 0]
        total = sum(group.weight for group in useful)
        return cls([FeatureGroup(g.column, g.kind, g.weight / total, g.terms, g.rarity, g.knots) for g in useful])

    @property
    def width(self) -> int:
        """How many features a row has."""
        return self._ends[-1] if self._ends else 0

    def name(self, feature: int) -> str:
        """A feature's name for a person."""
        place = int(np.searchsorted(self._ends, feature, side="right"))
        return self.groups[place].name(feature - (self._ends[place - 1] if place else 0))

    def encode(self, table: FeatureTable) -> csr_matrix:
        """The rows of a table with the columns known from `fit`: CSR float32 (n_rows, width), indices sorted."""
        blocks = [_encoded(group, table) for group in self.groups]
        if not blocks:
            return csr_matrix((len(table), 0), dtype=np.float32)
        rows = hstack(blocks, format="csr", dtype=np.float32)
        rows.sort_indices()
        return rows

    def encode_phrases(self, phrases: Sequence[str]) -> csr_matrix:
        """What people say they like, as rows: words match words, whole phrases match names; CSR float32 (n, width)."""
        split = [tokens(phrase) for phrase in phrases]
        whole = [[_folded(phrase), *words] for phrase, words in zip(phrases, split, strict=True)]
        blocks = []
        for group in self.groups:
            if group.kind in ("number", "year"):
                blocks.append(csr_matrix((len(phrases), group.width), dtype=np.float32))
            else:
                rows = split if group.kind == "words" else whole
                known = group.terms if group.kind == "words" else [_folded(term) for term in group.terms]
                blocks.append(_weighted(count_terms(rows, known), group, len(phrases)))
        if not blocks:
            return csr_matrix((len(phrases), 0), dtype=np.float32)
        return hstack(blocks, format="csr", dtype=np.float32)

    def to_state(self) -> list[dict[str, Any]]:
        """As plain values and arrays, one dict for each group."""
        return [dict(vars(group)) for group in self.groups]

    @classmethod
    def of_state(cls, state: Sequence[Mapping[str, Any]]) -> ItemEncoder:
        """What `to_state` gave."""
        return cls([FeatureGroup(**group) for group in state])


@dataclass(frozen=True, eq=False)
class FeatureField:
    """One column as a block of features of its own.

    group: how the column is read. directions: float32 (terms, topics), the topics that stand for the words of a text
    column; (terms, 0) where the terms themselves are the features.
    """

    group: FeatureGroup
    directions: Float32

    @property
    def column(self) -> str:
        """What the field is called: the column, or "year" for the years that titles end with."""
        return "year" if self.group.kind == "year" else self.group.column

    @property
    def width(self) -> int:
        """How many features it has."""
        return self.directions.shape[1] or self.group.width

    def name(self, feature: int) -> str:
        """A feature's name for a person: the column and the value; for all topics of a text the column alone."""
        if self.directions.shape[1]:
            return self.column
        name = self.group.name(feature)
        return name if self.group.kind in ("number", "year") else f"{self.column}: {name}"

    def encode(self, table: FeatureTable) -> csr_matrix:
        """The rows of a table: CSR float32 (n_rows, width), of length 1, or 0 where nothing is known."""
        rows = _encoded(self.group, table)
        if not self.directions.shape[1]:
            rows.sort_indices()
            return rows
        return _of_length(csr_matrix(sparse_times_dense(SparseRows.of(rows), self.directions)), 1.0)


class FieldEncoder:
    """Turns a feature table into one block of sparse features a column, for models that learn a weight of each.

    Every row of a block has length 1, or 0 where nothing is known, so that no column outweighs another by how many
    values it has. Categories and tags are weighted bags, rarer ones weighing more; a number is shared between its two
    nearest knots (see `ItemEncoder`). A text is its place along the `topics` strongest singular vectors of the tf-idf
    of all texts (latent semantic analysis, Deerwester et al. 1990).
    """

    def __init__(self, fields: Sequence[FeatureField]) -> None:
        self.fields = tuple(fields)

    @classmethod
    def fit(cls, table: FeatureTable, topics: int, generator: np.random.Generator) -> FieldEncoder:
        """Learn terms, knots and topics from the rows of `table`; columns that tell nothing apart are left out.

        topics: how many for each text column; 0 leaves texts out. Titles give their year alone.
        """
        fields = []
        for name, column in table.columns.items():
            for group in _groups_of(name, column, GroupWeights(title=0.0, text=float(topics > 0))):
                if not group.width or not group.weight:
                    continue
                directions = np.empty((group.width, 0), dtype=np.float32)
                if group.kind == "words":
                    directions = _topics(_encoded(group, table), topics, generator)
                fields.append(FeatureField(group, directions))
        return cls(fields)

    def encode(self, table: FeatureTable) -> list[csr_matrix]:
        """One CSR float32 (n_rows, width) for each field, indices sorted."""
        return [field.encode(table) for field in self.fields]


def _topics(rows: csr_matrix, count: int, generator: np.random.Generator) -> Float32:
    """The strongest right singular vectors of sparse rows (n, terms): float32 (terms, at most `count`).

    By a randomised range finder with power iterations (Halko, Martinsson and Tropp 2011, algorithms 4.4 and 5.1).
    """
    there = SparseRows.of(rows)
    back = there.transposed(rows.shape[1])
    width = min(count + _EXTRA_DIRECTIONS, *rows.shape)
    basis: Any = generator.standard_normal((rows.shape[1], width), dtype=np.float32)
    for _ in range(_POWER_ITERATIONS):
        left = np.linalg.qr(sparse_times_dense(there, basis))[0]
        basis = np.linalg.qr(sparse_times_dense(back, left))[0]
    _, _, turned = np.linalg.svd(sparse_times_dense(there, basis), full_matrices=False)
    directions: Float32 = np.ascontiguousarray((basis @ turned.T)[:, :count], dtype=np.float32)
    return directions


def _few_digits(value: float) -> str:
    """A number to three digits, or to units where it has more of them."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _groups_of(name: str, column: Column, weights: GroupWeights) -> list[FeatureGroup]:
    if isinstance(column, TextColumn):
        is_title = column.role is Role.TITLE
        groups = [_terms_group(name, "words", weights.title if is_title else weights.text, _words(column), len(column))]
        if is_title:
            groups.append(_number_group(name, "year", weights.numbers, _years(column)))
        return groups
    if isinstance(column, TagsColumn | CategoryColumn):
        return [_terms_group(name, "names", weights.categories, _names(column), len(column))]
    return [_number_group(name, "number", weights.numbers, column.values)]


def _terms_group(name: str, kind: str, weight: float, rows: Iterable[Sequence[str]], n_rows: int) -> FeatureGroup:
    counts = count_terms(rows).restricted(_LEAST_ROWS, MOST_TERMS)
    rarity = 1 + np.log((1 + n_rows) / (1 + counts.in_rows()))
    return FeatureGroup(name, kind, weight, counts.terms, rarity.astype(np.float32), np.empty(0, dtype=np.float32))


def _number_group(name: str, kind: str, weight: float, values: Float32) -> FeatureGroup:
    known = values[np.isfinite(values)]
    enough = len(known) >= max(2, len(values) / 2)
    count = min(_MOST_KNOTS, max(2, len(np.unique(known)) // _VALUES_A_KNOT))
    knots = np.unique(np.quantile(known, np.linspace(0, 1, count))) if enough else np.empty(0)
    if len(knots) < 2:
        knots = np.empty(0)
    return FeatureGroup(name, kind, weight, [], np.empty(0, dtype=np.float32), knots.astype(np.float32))


def _words(column: TextColumn) -> Iterable[list[str]]:
    return (tokens(value) for value in column.values)


def _names(column: TagsColumn | CategoryColumn) -> Iterable[list[str]]:
    if isinstance(column, TagsColumn):
        return (column.row(row) for row in range(len(column)))
    return ([column.categories[code]] if code >= 0 else [] for code in column.codes.tolist())


def _years(column: TextColumn) -> Float32:
    found = (_YEAR.search(value) for value in column.values)
    return np.array([float(match[1]) if match else np.nan for match in found], dtype=np.float32)


def _folded(name: str) -> str:
    return " ".join(tokens(name)) or name.strip().casefold()


def _encoded(group: FeatureGroup, table: FeatureTable) -> csr_matrix:
    column = table.columns.get(group.column)
    if isinstance(column, TextColumn) and group.kind == "words":
        return _weighted(count_terms(_words(column), group.terms), group, len(table))
    if isinstance(column, TextColumn) and group.kind == "year":
        return _interpolated(_years(column), group)
    if isinstance(column, TagsColumn | CategoryColumn) and group.kind == "names":
        return _weighted(count_terms(_names(column), group.terms), group, len(table))
    if isinstance(column, NumericColumn) and group.kind == "number":
        return _interpolated(column.values, group)
    return csr_matrix((len(table), group.width), dtype=np.float32)


def _weighted(counts: TermCounts, group: FeatureGroup, n_rows: int) -> csr_matrix:
    values = (1 + np.log(counts.counts)) * group.rarity[counts.codes]
    indptr = np.concatenate(([0], np.cumsum(np.bincount(counts.rows, minlength=n_rows))))
    rows = csr_matrix((values.astype(np.float32), counts.codes, indptr), shape=(n_rows, group.width))
    return _of_length(rows, group.weight**0.5)


def _interpolated(values: Float32, group: FeatureGroup) -> csr_matrix:
    """Each number as its two nearest knots, with the nearer one weighing more."""
    known = np.flatnonzero(np.isfinite(values))
    places = np.interp(values[known], group.knots, np.arange(group.width))
    lower = np.minimum(places.astype(np.int32), group.width - 2)
    share = (places - lower).astype(np.float32)
    data = np.stack([1 - share, share], axis=1).ravel()
    indices = np.stack([lower, lower + 1], axis=1).ravel()
    indptr = np.zeros(len(values) + 1, dtype=np.int64)
    indptr[known + 1] = 2
    rows = csr_matrix((data, indices, np.cumsum(indptr)), shape=(len(values), group.width))
    return _of_length(rows, group.weight**0.5)


def _of_length(rows: csr_matrix, length: float) -> csr_matrix:
    """Every row scaled to this Euclidean length; empty rows stay empty."""
    norms = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1), dtype=np.float64)).ravel()
    scale: npt.NDArray[Any] = np.divide(length, norms, out=np.zeros_like(norms), where=norms > 0)
    return (diags(scale) @ rows).astype(np.float32).tocsr()
