"""Truncated singular value decomposition of a sparse matrix, without ARPACK and without the GIL."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recsys_desktop.api import CannotFit, RunContext
from recsys_desktop.api.dataset import Float32
from recsys_desktop.toolkit.parallel import blas_threads
from recsys_desktop.toolkit.products import SparseRows, sparse_times_dense
from recsys_factorization.arrays import Float64

_LEAST_SPARE = 10
_TOLERANCE = 1e-6
_MOST_ROUNDS = 40
_ROWS_PER_BLOCK = 1 << 14


class Decomposition(NamedTuple):
    """The leading right singular vectors of a matrix.

    vectors: float32 (columns, rank), orthonormal. values: float64 (rank,), the singular values, falling. total: the sum
    of all singular values squared, which is that of the squared entries.
    """

    vectors: Float32
    values: Float64
    total: float

    @property
    def explained(self) -> Float64:
        """The share of `total` that the first 1, 2, ... singular values explain: float64 (rank,)."""
        shares: Float64 = np.minimum(np.cumsum(np.square(self.values)) / max(self.total, 1e-30), 1.0)
        return shares


def truncated_svd(rows: SparseRows, n_columns: int, rank: int, run: RunContext, name: str) -> Decomposition:
    """Randomised subspace iteration with Rayleigh-Ritz (Halko, Martinsson, Tropp 2011, algorithms 4.4 and 5.1).

    A random subspace, half as large again as `rank` and at least 10 more, is multiplied by A^T A and made orthonormal
    until no singular value moves by more than 1e-6 of the largest. Products are sparse kernels on the run's threads,
    with the same bits for any number of them; only squares of the size of the subspace are ever decomposed.

    rows: A, (n, n_columns). rank: at most min(n, n_columns) are found. name: of the random draws.

    Raises
    ------
    CannotFit: the run was asked to stop before the first round.
    """
    n_rows = rows.n_rows
    rank = min(rank, n_rows, n_columns)
    width = min(rank + max(_LEAST_SPARE, rank // 2), n_rows, n_columns)
    by_column = rows.transposed(n_columns)
    drawn = run.generator(name).standard_normal((n_columns, width), dtype=np.float32)
    drawn[np.diff(by_column.indptr) == 0] = 0
    basis = _orthonormal(drawn)
    values = np.zeros(rank)
    for round_ in range(_MOST_ROUNDS):
        if run.should_stop:
            if round_ == 0:
                raise CannotFit("stopped before there was a model to keep")
            break
        images = sparse_times_dense(rows, basis, run.threads)
        before, values = values, _singular_values(images)[:rank]
        run.progress(min(1.0, (round_ + 1) / 12), f"round {round_ + 1}")
        basis = _orthonormal(sparse_times_dense(by_column, images, run.threads))
        del images
        if np.abs(values - before).max(initial=0.0) <= _TOLERANCE * values.max(initial=0.0):
            break
    squares, turn = _eigenvectors(_gram(sparse_times_dense(rows, basis, run.threads)))
    with blas_threads(1):
        vectors = basis @ turn[:, :rank].astype(np.float32)
    total = float(np.square(rows.data, dtype=np.float64).sum())
    return Decomposition(np.ascontiguousarray(vectors), np.sqrt(squares[:rank]), total)


def _gram(tall: Float32) -> Float64:
    """tall^T tall in float64, block by block: float64 (width, width)."""
    gram = np.zeros((tall.shape[1], tall.shape[1]))
    with blas_threads(1):
        for begin in range(0, len(tall), _ROWS_PER_BLOCK):
            block = tall[begin : begin + _ROWS_PER_BLOCK].astype(np.float64)
            gram += block.T @ block
    return gram


def _eigenvectors(gram: Float64) -> tuple[Float64, Float64]:
    """Eigenvalues, falling and from 0, and eigenvectors in columns, of a symmetric matrix."""
    with blas_threads(1):
        squares, turn = np.linalg.eigh(gram)
    return np.maximum(squares[::-1], 0.0), turn[:, ::-1]


def _singular_values(tall: Float32) -> Float64:
    values: Float64 = np.sqrt(_eigenvectors(_gram(tall))[0])
    return values


def _orthonormal(tall: Float32) -> Float32:
    """An orthonormal basis of the columns, twice over for accuracy; directions that vanish become 0."""
    for _ in range(2):
        squares, turn = _eigenvectors(_gram(tall))
        kept = squares > squares.max(initial=0.0) * 1e-12
        scale = np.divide(1.0, np.sqrt(squares), out=np.zeros_like(squares), where=kept)
        with blas_threads(1):
            tall = tall @ (turn * scale).astype(np.float32)
    return tall
