"""Side information about users or items: typed columns whose rows follow a vocabulary's codes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.errors import InvalidData
from recsys_desktop.api.roles import Role

Codes: TypeAlias = npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class TextColumn:
    """Free text, one string a row; the empty string is a missing value.

    values: object (n_rows,) of str.
    role: `Role.TITLE` (the name a person sees) or `Role.TEXT`.
    """

    values: npt.NDArray[np.object_]
    role: Role = Role.TEXT

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: npt.NDArray[np.int64]) -> TextColumn:
        """The rows named by `rows` (int (m,)); -1 gives a missing value."""
        out = np.empty(len(rows), dtype=object)
        out[:] = ""
        known = rows >= 0
        out[known] = self.values[rows[known]]
        return TextColumn(out, self.role)


@dataclass(frozen=True, eq=False)
class CategoryColumn:
    """One category a row.

    codes: int32 (n_rows,), -1 where missing.
    categories: the distinct category names in code order.
    """

    codes: Codes
    categories: tuple[str, ...]
    role: Role = Role.CATEGORY

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: npt.NDArray[np.int64]) -> CategoryColumn:
        """The rows named by `rows` (int (m,)); -1 gives a missing value."""
        out = np.full(len(rows), -1, dtype=np.int32)
        known = rows >= 0
        out[known] = self.codes[rows[known]]
        return CategoryColumn(out, self.categories, self.role)


@dataclass(frozen=True, eq=False)
class TagsColumn:
    """Any number of categories a row (genres, tags, skills), ragged.

    indptr: int64 (n_rows + 1,), indices: int32 (n_values,) into `categories`.
    """

    indptr: npt.NDArray[np.int64]
    indices: Codes
    categories: tuple[str, ...]
    role: Role = Role.TAGS

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def take(self, rows: npt.NDArray[np.int64]) -> TagsColumn:
        """The rows named by `rows` (int (m,)); -1 gives an empty row."""
        lengths = np.zeros(len(rows), dtype=np.int64)
        known = rows >= 0
        lengths[known] = np.diff(self.indptr)[rows[known]]
        indptr = np.concatenate(([0], np.cumsum(lengths)))
        starts = np.where(known, self.indptr[np.where(known, rows, 0)], 0)
        positions = np.repeat(starts - indptr[:-1], lengths) + np.arange(indptr[-1])
        return TagsColumn(indptr, self.indices[positions], self.categories, self.role)

    def row(self, index: int) -> list[str]:
        """The categories of one row."""
        return [self.categories[code] for code in self.indices[self.indptr[index] : self.indptr[index + 1]]]


@dataclass(frozen=True, eq=False)
class NumericColumn:
    """One number a row.

    values: float32 (n_rows,), NaN where missing.
    unit: what the number counts ("min", "year"), may be empty.
    """

    values: npt.NDArray[np.float32]
    unit: str = ""
    role: Role = Role.NUMERIC

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: npt.NDArray[np.int64]) -> NumericColumn:
        """The rows named by `rows` (int (m,)); -1 gives NaN."""
        out = np.full(len(rows), np.nan, dtype=np.float32)
        known = rows >= 0
        out[known] = self.values[rows[known]]
        return NumericColumn(out, self.unit, self.role)


Column: TypeAlias = TextColumn | CategoryColumn | TagsColumn | NumericColumn


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """Columns over users or items; row i belongs to code i.

    Raises
    ------
    InvalidData: a column's length differs from `n_rows`.
    """

    n_rows: int
    columns: Mapping[str, Column] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, column in self.columns.items():
            if len(column) != self.n_rows:
                raise InvalidData(f"column '{name}' has {len(column)} rows where {self.n_rows} were expected")

    def __len__(self) -> int:
        return self.n_rows

    def of_role(self, *roles: Role) -> dict[str, Column]:
        """The columns that have one of `roles`, in table order."""
        return {name: column for name, column in self.columns.items() if column.role in roles}

    @property
    def titles(self) -> npt.NDArray[np.object_] | None:
        """object (n_rows,) of str from the first title column, or None."""
        for column in self.of_role(Role.TITLE).values():
            if isinstance(column, TextColumn):
                return column.values
        return None

    def take(self, rows: Sequence[int] | npt.NDArray[Any]) -> FeatureTable:
        """The rows named by `rows` (int (m,)) in that order; -1 gives a row of missing values."""
        chosen = np.asarray(rows, dtype=np.int64)
        return FeatureTable(len(chosen), {name: column.take(chosen) for name, column in self.columns.items()})

    def describe(self, row: int) -> dict[str, str | float | list[str]]:
        """The values of one row that are present, by column name."""
        found: dict[str, str | float | list[str]] = {}
        for name, column in self.columns.items():
            if isinstance(column, TextColumn):
                if column.values[row]:
                    found[name] = str(column.values[row])
            elif isinstance(column, CategoryColumn):
                if column.codes[row] >= 0:
                    found[name] = column.categories[column.codes[row]]
            elif isinstance(column, TagsColumn):
                if names := column.row(row):
                    found[name] = names
            elif not np.isnan(column.values[row]):
                found[name] = float(column.values[row])
        return found
