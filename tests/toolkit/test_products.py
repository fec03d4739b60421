"""Sparse products against SciPy's, on random matrices."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix, random_array

from recsys_desktop.api import CannotFit, RunContext
from recsys_desktop.toolkit.products import (
    SparseRows,
    gram_lower,
    quadratic_forms,
    sparse_times_dense,
    sparse_times_sparse,
)


def made(rows: int, columns: int, density: float = 0.2, seed: int = 0) -> csr_matrix:
    generator = np.random.default_rng(seed)
    found = csr_matrix(random_array((rows, columns), density=density, rng=generator, dtype=np.float32))
    found.sort_indices()
    return found


sizes = st.integers(1, 30)


@settings(max_examples=40, deadline=None)
@given(sizes, sizes, st.floats(0, 1), st.integers(0, 1000))
def test_transposes_like_scipy(rows: int, columns: int, density: float, seed: int) -> None:
    matrix = made(rows, columns, density, seed)
    turned = SparseRows.of(matrix).transposed(columns)
    assert np.array_equal(turned.to_csr(rows).toarray(), matrix.T.toarray())
    assert all(np.all(np.diff(turned.indices[a:b]) > 0) for a, b in zip(turned.indptr, turned.indptr[1:], strict=False))


@settings(max_examples=40, deadline=None)
@given(sizes, sizes, st.floats(0, 1), st.integers(0, 1000))
def test_keeps_and_takes_what_was_asked_for(rows: int, columns: int, density: float, seed: int) -> None:
    matrix = made(rows, columns, density, seed)
    generator = np.random.default_rng(seed)
    kept = np.flatnonzero(generator.random(columns) < 0.5).astype(np.int32)
    places = np.full(columns, -1, dtype=np.int32)
    places[kept] = np.arange(len(kept))
    assert np.array_equal(
        SparseRows.of(matrix).with_columns(places).to_csr(len(kept)).toarray(), matrix[:, kept].toarray()
    )
    chosen = generator.integers(0, rows, 7).astype(np.int32)
    assert np.array_equal(SparseRows.of(matrix).take(chosen).to_csr(columns).toarray(), matrix[chosen].toarray())


def test_a_square_part_is_put_back_in_its_place() -> None:
    part = made(3, 3, 0.7)
    codes = np.array([1, 4, 5], dtype=np.int32)
    whole = SparseRows.of(part).renumbered(codes, 7).to_csr(7).toarray()
    assert np.array_equal(whole[np.ix_(codes, codes)], part.toarray())
    assert whole.sum() == part.toarray().sum()


@pytest.mark.parametrize("threads", [1, 3])
def test_the_gram_matrix_fills_the_lower_triangle(threads: int) -> None:
    rows = SparseRows.of(made(70, 40))
    found = gram_lower(rows, rows.transposed(40), RunContext(threads=threads))
    dense = rows.to_csr(40).toarray()
    assert np.allclose(found, np.tril(dense @ dense.T), atol=1e-5)


def test_the_gram_matrix_has_the_same_bits_for_any_number_of_threads() -> None:
    rows = SparseRows.of(made(300, 80))
    columns = rows.transposed(80)
    first, second = (gram_lower(rows, columns, RunContext(threads=threads)) for threads in (1, 4))
    assert np.array_equal(first, second)


def test_counting_stops_when_asked() -> None:
    class Stopping(RunContext):
        @property
        def should_stop(self) -> bool:
            return True

    rows = SparseRows.of(made(30, 10))
    with pytest.raises(CannotFit, match="stopped"):
        gram_lower(rows, rows.transposed(10), Stopping())


@pytest.mark.parametrize("width", [1, 3, 256, 600])
@pytest.mark.parametrize("threads", [1, 2])
def test_times_dense_like_scipy(width: int, threads: int) -> None:
    matrix = made(400, 50)
    dense = np.random.default_rng(2).standard_normal((50, width)).astype(np.float32)
    assert np.allclose(sparse_times_dense(SparseRows.of(matrix), dense, threads), matrix @ dense, atol=1e-5)


def test_times_sparse_like_scipy() -> None:
    left, right = made(12, 30), made(30, 17, seed=3)
    found = sparse_times_sparse(SparseRows.of(left), SparseRows.of(right), 17)
    assert np.allclose(found, (left @ right).toarray(), atol=1e-5)


def test_quadratic_forms_read_the_lower_triangle_alone() -> None:
    columns = made(25, 9)
    square = np.random.default_rng(4).standard_normal((9, 9)).astype(np.float32)
    symmetric = np.tril(square) + np.tril(square, -1).T
    expected = np.einsum("ki,ij,kj->k", columns.toarray(), symmetric, columns.toarray())
    spoilt = np.tril(square) + np.triu(np.full_like(square, np.nan), 1)
    assert np.allclose(quadratic_forms(SparseRows.of(columns), spoilt, RunContext()), expected, atol=1e-4)
