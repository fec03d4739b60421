"""Top-K of sparse similarities against a dense computation, with ties, stops and threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from recsys_desktop.api import CannotFit, RunContext
from recsys_desktop.api.dataset import Float32
from recsys_desktop.toolkit.products import SparseRows
from recsys_desktop.toolkit.topk import top_k_similarities


def interactions(rows: int, columns: int, density: float, seed: int) -> csr_matrix:
    generator = np.random.default_rng(seed)
    return csr_matrix((generator.random((rows, columns)) < density).astype(np.float32))


def selected(matrix: csr_matrix, k: int, shrinkage: float, threads: int = 1) -> Float32:
    rows = SparseRows.of(matrix)
    scale = np.sqrt(np.maximum(np.diff(rows.indptr), 1)).astype(np.float32)
    found = top_k_similarities(
        rows, rows.transposed(matrix.shape[1]), scale, scale, k, shrinkage, RunContext(threads=threads)
    )
    dense: Float32 = found.transposed(rows.n_rows).to_csr(rows.n_rows).toarray().T
    return dense


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 40), st.integers(1, 30), st.floats(0, 1), st.integers(1, 12), st.sampled_from([0.0, 3.0]))
def test_keeps_the_k_largest_with_ties_to_the_lower(n: int, m: int, density: float, k: int, shrinkage: float) -> None:
    matrix = interactions(n, m, density, seed=n * 31 + m)
    dense = matrix.toarray()
    norms = np.sqrt(np.maximum(dense.sum(axis=1), 1)).astype(np.float32)
    similar = (dense @ dense.T) / (np.outer(norms, norms) + np.float32(shrinkage))
    np.fill_diagonal(similar, 0)
    expected = np.zeros_like(similar)
    for row in range(n):
        best = np.lexsort((np.arange(n), -similar[row]))[:k]
        expected[row, best] = similar[row, best]
    assert np.allclose(selected(matrix, k, shrinkage), expected, atol=1e-6)


@pytest.mark.parametrize("k", [1, 3, 20])
def test_thinning_out_on_the_way_loses_nothing(k: int) -> None:
    """Rows with far more candidates than are kept, many of them tied."""
    matrix = interactions(300, 40, 0.4, seed=k)
    whole = selected(matrix, 300, 0.0)
    expected = np.zeros_like(whole)
    for row in range(300):
        best = np.lexsort((np.arange(300), -whole[row]))[:k]
        expected[row, best] = whole[row, best]
    assert np.array_equal(selected(matrix, k, 0.0), expected)


def test_the_same_bits_for_any_number_of_threads() -> None:
    matrix = interactions(500, 60, 0.1, seed=9)
    assert np.array_equal(selected(matrix, 20, 0.0, threads=1), selected(matrix, 20, 0.0, threads=4))


class StoppingAfter(RunContext):
    def __init__(self, checks: int) -> None:
        super().__init__(threads=1)
        self.left = checks

    @property
    def should_stop(self) -> bool:
        self.left -= 1
        return self.left < 0


def test_a_stop_leaves_the_rows_not_reached_empty() -> None:
    rows = SparseRows.of(interactions(300, 40, 0.2, seed=1))
    scale = np.ones(300, dtype=np.float32)
    found = top_k_similarities(rows, rows.transposed(40), scale, scale, 5, 0.0, StoppingAfter(2))
    sizes = np.diff(found.indptr)
    assert (sizes[:128] == 5).all()
    assert (sizes[128:] == 0).all()


def test_a_stop_before_the_first_rows_leaves_no_model() -> None:
    rows = SparseRows.of(interactions(10, 10, 0.5, seed=1))
    scale = np.ones(10, dtype=np.float32)
    with pytest.raises(CannotFit, match="stopped"):
        top_k_similarities(rows, rows.transposed(10), scale, scale, 5, 0.0, StoppingAfter(0))
