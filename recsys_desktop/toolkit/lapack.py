"""LAPACK called without the GIL: float32 Cholesky factors and inverses, in place."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.dataset import Float32
from recsys_desktop.toolkit.parallel import blas_threads, in_blocks

_TILE = 768


class NotPositiveDefinite(ArithmeticError):
    """A matrix that should have a Cholesky factor has none."""


@cache
def _routine(name: str, n_arguments: int) -> Any:
    """A LAPACK routine of SciPy's own library; ctypes lets go of the GIL while it runs.

    All of LAPACK's arguments are pointers. `scipy.linalg` itself keeps the GIL, which stops the window.
    """
    from scipy.linalg import cython_lapack

    capsule = cython_lapack.__pyx_capi__[name]
    name_of = ctypes.pythonapi.PyCapsule_GetName
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    address = pointer_of(capsule, name_of(capsule))
    return ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * n_arguments)(address)


def _square(matrix: npt.NDArray[Any]) -> int:
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"a square matrix is needed, not one of shape {matrix.shape}")
    if matrix.dtype != np.float32 or not matrix.flags.c_contiguous or not matrix.flags.writeable:
        raise ValueError("the matrix must be float32, in C order and writeable: it is changed in place")
    return len(matrix)


def cholesky_factor(matrix: Float32) -> None:
    """Replace a symmetric positive definite matrix by its Cholesky factor L (matrix = L Lᵀ), in place.

    matrix: float32 (n, n), C order; only the lower triangle is read and written, the upper one is left as it was.
    BLAS runs on one thread (more make this factorisation many times slower where cores are few) and the GIL is free.

    Raises
    ------
    NotPositiveDefinite: there is no factor. ValueError: shape, dtype or order is wrong.
    """
    _call("spotrf", matrix)


def inverse_from_factor(factor: Float32) -> None:
    """Replace the lower Cholesky factor of a matrix by the lower triangle of the matrix's inverse, in place.

    factor: as `cholesky_factor` leaves it. The upper triangle is left as it was: see `mirror_lower`.
    """
    _call("spotri", factor)


def _call(name: str, matrix: Float32) -> None:
    size = ctypes.c_int(_square(matrix))
    info = ctypes.c_int(0)
    # LAPACK counts by columns: what lies in C order as a lower triangle is to it an upper one.
    triangle = ctypes.c_char(b"U")
    references = [
        ctypes.byref(triangle),
        ctypes.byref(size),
        matrix.ctypes.data,
        ctypes.byref(size),
        ctypes.byref(info),
    ]
    with blas_threads(1):
        _routine(name, 5)(*references)
    _check(name, info.value)


def inverse(
    matrix: Float32,
    threads: int = 1,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Callable[[float], object] = lambda fraction: None,
) -> bool:
    """Replace a symmetric positive definite matrix by its whole inverse, in place; False when it was stopped.

    matrix: float32 (n, n), C order, of which only the lower triangle is read; it is spoilt after a stop. threads: small
    matrices take one; large ones are worked on tile by tile, with the same bits for any number of threads. Besides the
    matrix a column of tiles is allocated.

    Raises
    ------
    NotPositiveDefinite, ValueError: as `cholesky_factor`.
    """
    size = _square(matrix)
    if size <= 2 * _TILE:
        cholesky_factor(matrix)
        inverse_from_factor(matrix)
        finished = True
    else:
        with blas_threads(1):
            finished = all(
                not should_stop() and (progress(done) or True) for done in _tiled_inverse(matrix, size, threads)
            )
    if finished:
        mirror_lower(matrix)
    return finished


def _tiled_inverse(matrix: Float32, size: int, threads: int) -> Iterator[float]:
    """Invert the lower triangle tile by tile, in place; yields the finished share of the work after every step.

    The three passes of LAPACK's potrf, trtri and lauum, on tiles: factor L, invert it, multiply L⁻ᵀ L⁻¹.
    """
    edges = [slice(begin, min(begin + _TILE, size)) for begin in range(0, size, _TILE)]
    count = len(edges)

    def tile(row: int, column: int) -> Float32:
        part: Float32 = matrix[edges[row], edges[column]]
        return part

    def each(task: Callable[[int], object], places: Sequence[int]) -> None:
        in_blocks(lambda begin, end: task(places[begin]), len(places), 1, threads)

    for step in range(count):
        corner = np.ascontiguousarray(tile(step, step))
        cholesky_factor(corner)
        tile(step, step)[:] = corner
        undo = np.tril(corner)
        _invert_triangle(undo)

        def solve(row: int, step: int = step, undo: Float32 = undo) -> None:
            tile(row, step)[:] = tile(row, step) @ undo.T

        def subtract(row: int, step: int = step) -> None:
            for column in range(step + 1, row + 1):
                tile(row, column)[:] -= tile(row, step) @ tile(column, step).T

        each(solve, range(step + 1, count))
        each(subtract, range(count - 1, step, -1))
        yield (step + 1) / count / 3
    for done, column in enumerate(range(count - 1, -1, -1), 1):
        corner = np.tril(tile(column, column))
        _invert_triangle(corner)
        tile(column, column)[:] = corner
        below = matrix[edges[column].stop :, edges[column]].copy()
        offset = edges[column].stop

        def invert(row: int, column: int = column, below: Float32 = below, offset: int = offset) -> None:
            end = edges[row].stop
            product = np.tril(tile(row, row)) @ below[edges[row].start - offset : end - offset]
            if row > column + 1:
                product += matrix[edges[row], offset : edges[row].start] @ below[: edges[row].start - offset]
            tile(row, column)[:] = -product @ tile(column, column)

        each(invert, range(count - 1, column, -1))
        yield 1 / 3 + done / count / 3
    for row in range(count):
        corner = np.tril(tile(row, row))

        def multiply(column: int, row: int = row, corner: Float32 = corner) -> None:
            right = corner if column == row else tile(row, column)
            product = corner.T @ right
            if row + 1 < count:
                after = edges[row].stop
                product += matrix[after:, edges[row]].T @ matrix[after:, edges[column]]
            tile(row, column)[:] = product

        each(multiply, range(row + 1))
        yield 2 / 3 + (row + 1) / count / 3


def _invert_triangle(lower: Float32) -> None:
    """Replace a lower triangular matrix by its inverse, in place."""
    size = ctypes.c_int(_square(lower))
    info = ctypes.c_int(0)
    triangle, diagonal = ctypes.c_char(b"U"), ctypes.c_char(b"N")
    n = ctypes.byref(size)
    _routine("strtri", 6)(ctypes.byref(triangle), ctypes.byref(diagonal), n, lower.ctypes.data, n, ctypes.byref(info))
    _check("strtri", info.value)


def mirror_lower(matrix: Float32, block: int = 512) -> None:
    """Copy the lower triangle onto the upper one, in place, tile by tile."""
    size = len(matrix)
    for begin in range(0, size, block):
        end = min(begin + block, size)
        tile = matrix[begin:end, begin:end]
        matrix[begin:end, begin:end] = np.tril(tile) + np.tril(tile, -1).T
        for low in range(end, size, block):
            high = min(low + block, size)
            matrix[begin:end, low:high] = matrix[low:high, begin:end].T


def _check(name: str, info: int) -> None:
    if info < 0:
        raise ValueError(f"LAPACK {name} refused its argument {-info}")
    if info > 0:
        raise NotPositiveDefinite(
            f"the matrix is not positive definite (LAPACK {name}, minor {info}): raise the regularisation"
        )
