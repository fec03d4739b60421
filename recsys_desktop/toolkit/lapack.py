"""LAPACK called without the GIL: float32 Cholesky factors, inverses and solutions, in place."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.dataset import Float32
from recsys_desktop.toolkit.parallel import blas_threads


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


def solve_from_factor(factor: Float32, right_sides: Float32) -> None:
    """Solve A x = b for several b at once, in place.

    factor: float32 (n, n), the lower Cholesky factor of A as `cholesky_factor` leaves it.
    right_sides: float32 (m, n), C order: each row is one b and becomes its x.
    """
    size = _square(factor)
    if right_sides.dtype != np.float32 or not right_sides.flags.c_contiguous or right_sides.shape[1:] != (size,):
        raise ValueError(f"right_sides must be float32 (m, {size}) in C order, not {right_sides.shape}")
    n, m, info = ctypes.c_int(size), ctypes.c_int(len(right_sides)), ctypes.c_int(0)
    triangle = ctypes.c_char(b"U")
    with blas_threads(1):
        _routine("spotrs", 8)(
            ctypes.byref(triangle),
            ctypes.byref(n),
            ctypes.byref(m),
            factor.ctypes.data,
            ctypes.byref(n),
            right_sides.ctypes.data,
            ctypes.byref(n),
            ctypes.byref(info),
        )
    _check("spotrs", info.value)


def inverse(matrix: Float32) -> None:
    """Replace a symmetric positive definite matrix by its whole inverse, in place; nothing else is allocated.

    matrix: float32 (n, n), C order, of which only the lower triangle is read.
    """
    cholesky_factor(matrix)
    inverse_from_factor(matrix)
    mirror_lower(matrix)


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
