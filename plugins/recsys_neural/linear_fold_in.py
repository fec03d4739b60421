"""Folding newcomers in: what people came to in training, as a linear function of their histories."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from recsys_desktop.api.dataset import Float32

_AVERAGE_ENTRIES = 5.0
"""So many entries that say nothing are mixed with every history, so that a short one says little."""

_PENALTY = 1e-3
"""Of the regression, in proportion to the mean square of a history's numbers."""


def history_vectors(
    owners: npt.NDArray[Any], items: npt.NDArray[Any], values: Float32, vectors: Float32, people: int
) -> Float32:
    """Each history as (Σ y_i, Σ y_i V_i) / (n + 5): float32 (people, 1 + factors).

    owners, items: int (m,), whose entry it is and of what. values: float32 (m,), y. vectors: float32 (n_items,
    factors), V.
    """
    sums = np.zeros((people, 1 + vectors.shape[1]), dtype=np.float32)
    _add_entries(owners, items, values, vectors, sums)
    sums /= (np.bincount(owners, minlength=people) + np.float32(_AVERAGE_ENTRIES))[:, None].astype(np.float32)
    return sums


def fit_fold_in(histories: Float32, people: Float32) -> Float32:
    """The matrix M that minimises ‖histories M - people‖² with a small ridge penalty: float32 (a, b).

    histories: float32 (n, a). people: float32 (n, b), what they came to in training.
    """
    gram = histories.T.astype(np.float64) @ histories
    gram[np.diag_indices(len(gram))] += _PENALTY * max(float(np.trace(gram)) / len(gram), 1e-12)
    solved: Float32 = np.linalg.solve(gram, histories.T.astype(np.float64) @ people).astype(np.float32)
    return solved


@numba.njit(nogil=True, cache=True)
def _add_entries(owners: Any, items: Any, values: Any, vectors: Any, sums: Any) -> None:
    for at in range(len(owners)):
        target, source, value = sums[owners[at]], vectors[items[at]], values[at]
        target[0] += value
        for column in range(len(source)):
            target[1 + column] += value * source[column]
