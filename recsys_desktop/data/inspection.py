"""Look at a file without importing it: layout, columns, guessed roles, first rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from recsys_desktop.api.extensions import ReaderSpec
from recsys_desktop.api.roles import Role
from recsys_desktop.api.run import RunContext
from recsys_desktop.data.request import FileSource, ReadOptions

PREVIEW_ROWS = 200


class FileKind(StrEnum):
    """What the rows of a file are."""

    INTERACTIONS = "interactions"
    ITEMS = "items"
    USERS = "users"


@dataclass(frozen=True)
class ColumnGuess:
    """One column: its name, the guessed role with the reason in words, and a few of its values.

    declared: the type that the file itself declares (RecBole, Orange, Parquet), or empty. detail: more about the role
    ("Unix seconds", "separated by |"), or empty.
    """

    name: str
    role: Role
    reason: str
    examples: tuple[str, ...] = ()
    declared: str = ""
    detail: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "name": self.name,
            "role": self.role.value,
            "reason": self.reason,
            "examples": list(self.examples),
            "declared": self.declared,
            "detail": self.detail,
        }


@dataclass(frozen=True)
class FileInspection:
    """One file as it would be imported.

    kind: what its rows are. options: the reading options that were sniffed or given (pass them back to fix them).
    layout: the same in words, for display. preview: the first rows as text, parallel to `columns`. rows: exact row count
    where the sample is the whole file, else an estimate (`rows_exact` tells). warnings: one sentence each.
    """

    path: Path
    size_bytes: int
    reader: str
    reader_name: str
    kind: FileKind
    options: ReadOptions
    layout: dict[str, str]
    columns: tuple[ColumnGuess, ...]
    preview: tuple[tuple[str, ...], ...]
    rows: int
    rows_exact: bool
    warnings: tuple[str, ...] = ()

    @property
    def roles(self) -> dict[str, Role]:
        """The role of each column, ready for correction and for `FileSource.roles`."""
        return {column.name: column.role for column in self.columns}

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "path": str(self.path),
            "size_bytes": self.size_bytes,
            "reader": self.reader,
            "reader_name": self.reader_name,
            "kind": self.kind.value,
            "options": self.options.to_dict(),
            "layout": dict(self.layout),
            "columns": [column.to_dict() for column in self.columns],
            "preview": [list(row) for row in self.preview],
            "rows": self.rows,
            "rows_exact": self.rows_exact,
            "warnings": list(self.warnings),
        }
