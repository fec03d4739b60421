"""Weights of interactions, as information retrieval weighs words in documents."""

from __future__ import annotations

from typing import Any

import numpy as np

from recsys_desktop.api.dataset import Float32, Int64
from recsys_desktop.toolkit.products import SparseRows


def inverse_user_frequency(by_user: SparseRows, n_items: int) -> SparseRows:
    """Multiply the interactions of user u by log(1 + n_items / n_u), n_u how many they have: the idf of TF-IDF.

    Scaled so that the mean square over all interactions is 1: sums of products then count people, whatever the data.
    """
    lengths = np.diff(by_user.indptr)
    idf = np.repeat(np.log1p(n_items / np.maximum(lengths, 1)), lengths)
    scale = np.sqrt(np.mean(idf**2)) if len(idf) else 1.0
    return by_user._replace(data=by_user.data * (idf / scale).astype(np.float32))


def bm25(by_item: SparseRows, saturation: float, length: float) -> SparseRows:
    """BM25's term, with items as documents: x (k1 + 1) / (k1 (1 - b + b n_i / mean n) + 1).

    by_item: (n_items, n_users), interactions that count 1, perhaps already multiplied by their idf x.
    saturation: k1. length: b.
    """
    lengths = np.diff(by_item.indptr)
    terms = bm25_terms(lengths, lengths, saturation, length)
    return by_item._replace(data=by_item.data * np.repeat(terms.astype(np.float32), lengths))


def bm25_terms(of: Any, lengths: Int64, saturation: float, length: float) -> Any:
    """BM25's term for interactions of items with `of` people each, among items with `lengths` (int64 (n_items,))."""
    mean = lengths[lengths > 0].mean() if lengths.any() else 1.0
    return (saturation + 1) / (saturation * (1 - length + length * of / mean) + 1)


def squared_lengths(rows: SparseRows) -> Float32:
    """The sum of squares of each row: float32 (n,), 0 for empty rows."""
    owner = np.repeat(np.arange(rows.n_rows), np.diff(rows.indptr))
    return np.bincount(owner, weights=rows.data.astype(np.float64) ** 2, minlength=rows.n_rows).astype(np.float32)
