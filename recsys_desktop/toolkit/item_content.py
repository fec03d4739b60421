"""Item content as numbers: titles, texts, categories, tags and numbers as one weighted sparse matrix.

Terms are weighted by tf-idf (Salton and Buckley, Term-Weighting Approaches in Automatic Text Retrieval, 1988) with
logarithmic term frequency and smoothed document frequency, idf(t) = 1 + ln((1 + n) / (1 + df(t))).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from recsys_desktop.api import (
    CategoryColumn,
    Column,
    FeatureTable,
    NumericColumn,
    Role,
    TagsColumn,
    TextColumn,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

WORD = r"(?u)\b\w\w+\b"
NUMERIC_LEVELS = 8


class ItemContent(NamedTuple):
    """Content of items in a space where the dot product of two rows is their weighted similarity.

    matrix: CSR float32 (n_items, n_terms); each group of columns (a role) has rows of length sqrt(its weight), or 0
    where the item has none of it. terms: what each column stands for, as a person would read it. scales: float32
    (n_terms,), the
    weight of a term alone: sqrt(weight of its group) times its share after idf, 1 for the rarest.
    """

    matrix: csr_matrix
    terms: list[str]
    scales: npt.NDArray[np.float32]


def encode_items(table: FeatureTable, weights: Mapping[Role, float], min_items: int, max_terms: int) -> ItemContent:
    """Encode the columns whose role has a positive weight.

    weights: weight of each role in the similarity of two items. min_items: words and tags of fewer items are left out.
    max_terms: the most words kept of each text role, the most frequent ones.
    """
    from scipy.sparse import csr_matrix, hstack

    blocks: list[Any] = []
    terms: list[str] = []
    scales: list[npt.NDArray[np.float32]] = []
    for role, weight in weights.items():
        columns = table.of_role(role)
        if weight <= 0 or not columns:
            continue
        counts, names = _group_counts(columns, table.n_rows, min_items, max_terms)
        if counts.shape[1] == 0:
            continue
        if role is Role.NUMERIC:
            block, idf = counts, np.ones(counts.shape[1], dtype=np.float32)
        else:
            block, idf = _tf_idf(counts)
        blocks.append(_unit_rows(block, float(np.sqrt(weight))))
        terms.extend(names)
        scales.append((idf / idf.max() * np.sqrt(weight)).astype(np.float32))
    if not blocks:
        return ItemContent(csr_matrix((table.n_rows, 0), dtype=np.float32), [], np.zeros(0, dtype=np.float32))
    matrix = hstack(blocks, format="csr", dtype=np.float32)
    matrix.sort_indices()
    return ItemContent(matrix, terms, np.concatenate(scales))


def _group_counts(
    columns: Mapping[str, Column], n_rows: int, min_items: int, max_terms: int
) -> tuple[csr_matrix, list[str]]:
    """Counts of the terms of one role: CSR float32 (n_rows, n_terms), and the terms' names."""
    from scipy.sparse import hstack

    texts = [column.values for column in columns.values() if isinstance(column, TextColumn)]
    if texts:
        joined = texts[0] if len(texts) == 1 else [" ".join(parts) for parts in zip(*texts, strict=True)]
        return _word_counts(joined, min_items, max_terms)
    blocks: list[Any] = []
    names: list[str] = []
    for name, column in columns.items():
        block, labels = _column_counts(name, column, n_rows)
        used = np.diff(block.tocsc().indptr) >= (1 if isinstance(column, NumericColumn) else min_items)
        blocks.append(block[:, used])
        names.extend(label for label, kept in zip(labels, used, strict=True) if kept)
    return hstack(blocks, format="csr", dtype=np.float32), names


def _word_counts(texts: Any, min_items: int, max_terms: int) -> tuple[csr_matrix, list[str]]:
    from scipy.sparse import csr_matrix
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(token_pattern=WORD, min_df=min_items, max_features=max_terms, dtype=np.float32)
    try:
        counts = vectorizer.fit_transform(texts)
    except ValueError:
        # scikit-learn raises where no word is frequent enough; no words is an answer here.
        return csr_matrix((len(texts), 0), dtype=np.float32), []
    return counts.tocsr(), vectorizer.get_feature_names_out().tolist()


def _column_counts(name: str, column: Column, n_rows: int) -> tuple[csr_matrix, list[str]]:
    from scipy.sparse import csr_matrix

    if isinstance(column, TagsColumn):
        ones = np.ones(len(column.indices), dtype=np.float32)
        counts = csr_matrix((ones, column.indices, column.indptr), shape=(n_rows, len(column.categories)))
        counts.sum_duplicates()
        return counts, list(column.categories)
    if isinstance(column, CategoryColumn):
        rows = np.flatnonzero(column.codes >= 0)
        ones = np.ones(len(rows), dtype=np.float32)
        counts = csr_matrix((ones, (rows, column.codes[rows])), shape=(n_rows, len(column.categories)))
        return counts, list(column.categories)
    if isinstance(column, NumericColumn):
        return _soft_levels(name, column)
    raise TypeError(f"column '{name}' is a {type(column).__name__}, which is no category, tags or number")


def _soft_levels(name: str, column: NumericColumn) -> tuple[csr_matrix, list[str]]:
    """A number as shares of the two nearest of a few of its quantiles, so that close numbers are similar."""
    from scipy.sparse import csr_matrix

    n_rows = len(column)
    rows = np.flatnonzero(np.isfinite(column.values))
    values = column.values[rows].astype(np.float64)
    # Fewer levels than values: a level for each value would tell close numbers apart as much as distant ones.
    n_levels = int(np.clip(len(np.unique(values)) // 4, 2, NUMERIC_LEVELS))
    levels = np.unique(np.quantile(values, np.linspace(0, 1, n_levels))) if len(rows) else np.zeros(0)
    unit = f" {column.unit}" if column.unit else ""
    labels = [f"{name} about {level:.4g}{unit}" for level in levels]
    if len(levels) < 2:
        ones = np.ones(len(rows) * len(levels), dtype=np.float32)
        return csr_matrix(
            (ones, (rows[: len(ones)], np.zeros(len(ones), dtype=int))), shape=(n_rows, len(levels))
        ), labels
    upper = np.clip(np.searchsorted(levels, values, side="right"), 1, len(levels) - 1)
    share = (values - levels[upper - 1]) / (levels[upper] - levels[upper - 1])
    data = np.concatenate((1 - share, share)).astype(np.float32)
    places = (np.concatenate((rows, rows)), np.concatenate((upper - 1, upper)))
    counts = csr_matrix((data, places), shape=(n_rows, len(levels)))
    counts.eliminate_zeros()
    return counts, labels


def _tf_idf(counts: csr_matrix) -> tuple[csr_matrix, npt.NDArray[np.float32]]:
    frequency = np.bincount(counts.indices, minlength=counts.shape[1])
    idf = (1 + np.log((1 + counts.shape[0]) / (1 + frequency))).astype(np.float32)
    weighted = counts.astype(np.float32)
    weighted.data = (1 + np.log(weighted.data)) * idf[weighted.indices]
    return weighted, idf


def _unit_rows(matrix: csr_matrix, length: float) -> csr_matrix:
    """Rows scaled to `length`; empty rows stay empty."""
    squares = np.add.reduceat(np.append(matrix.data**2, 0), matrix.indptr[:-1])
    filled = np.diff(matrix.indptr) > 0
    factors = np.zeros(matrix.shape[0], dtype=np.float32)
    factors[filled] = length / np.sqrt(squares[filled])
    scaled = matrix.copy()
    scaled.data = (scaled.data * np.repeat(factors, np.diff(matrix.indptr))).astype(np.float32)
    return scaled
