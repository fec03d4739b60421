"""Checks of a restored state: arrays of the shapes that a model reads, so that a damaged file is refused on load."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.errors import StateError


def require_array(name: str, value: Any, shape: tuple[int | None, ...], dtype: npt.DTypeLike) -> None:
    """Refuse what is no array of this shape and type; None stands for any length.

    Raises
    ------
    StateError: naming the attribute, what it is and what was due.
    """
    due = f"{np.dtype(dtype)} ({', '.join('any' if size is None else str(size) for size in shape)})"
    if not isinstance(value, np.ndarray):
        raise _misfit(name, type(value).__name__, due)
    fits = len(value.shape) == len(shape) and all(
        size in (None, found) for size, found in zip(shape, value.shape, strict=True)
    )
    if not fits or value.dtype != np.dtype(dtype):
        raise _misfit(name, f"{value.dtype} {value.shape}", due)


def require_matrix(name: str, value: Any, shape: tuple[int, int]) -> None:
    """Refuse what is no CSR matrix of this shape; that its indices lie within it is checked for all on loading.

    Raises
    ------
    StateError: as `require_array`.
    """
    if getattr(value, "format", None) != "csr":
        raise _misfit(name, type(value).__name__, f"CSR {shape}")
    if value.shape != shape:
        raise _misfit(name, f"CSR {value.shape}", f"CSR {shape}")


def require_codes(name: str, value: Any, length: int | None, limit: int, *, ascending: bool = False) -> None:
    """Refuse what is no int32 (length,) of codes from 0 to limit - 1, each larger than the one before if `ascending`.

    Raises
    ------
    StateError: as `require_array`.
    """
    require_array(name, value, (length,), np.int32)
    if len(value) and (value.min() < 0 or value.max() >= limit or (ascending and (np.diff(value) <= 0).any())):
        raise _misfit(name, f"codes from {value.min()} to {value.max()}", f"codes from 0 to {limit - 1}")


def require_rows(names: tuple[str, str], indptr: Any, columns: Any, n_rows: int, n_columns: int) -> None:
    """Refuse what are not the bounds int64 (n_rows + 1,) and the columns int32 of a sparse matrix.

    Raises
    ------
    StateError: as `require_array`.
    """
    require_array(names[0], indptr, (n_rows + 1,), np.int64)
    if indptr[0] != 0 or (np.diff(indptr) < 0).any():
        raise _misfit(names[0], "falling", "bounds that rise from 0")
    require_codes(names[1], columns, int(indptr[-1]), n_columns)


def _misfit(name: str, found: str, due: str) -> StateError:
    return StateError(
        f"the saved model does not fit together: '{name}' is {found} where {due} was due; the file is damaged or from "
        "another version: use another version of the model, or train it again"
    )
