"""ImportReport: what was read, what was left out or merged and where, and what that means."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.roles import Role

_STRETCH = 1 << 16


class ProblemKind(StrEnum):
    """What can be wrong with a row; the values are what reports show."""

    UNPARSABLE_ROW = "unparsable row"
    MISSING_USER = "missing user"
    MISSING_ITEM = "missing item"
    MISSING_RATING = "missing rating"
    UNPARSABLE_RATING = "unparsable rating"
    NOT_FINITE_RATING = "rating is not finite"
    RATING_OUT_OF_RANGE = "rating out of range"
    UNPARSABLE_TIME = "unparsable time"
    INVALID_WEIGHT = "weight is not a positive number"
    REPEATED_PAIR = "repeated user-item pair"
    TOO_FEW_INTERACTIONS = "too few interactions"
    ITEM_NOT_IN_FILE = "item is not in the item file"
    USER_NOT_IN_FILE = "user is not in the user file"
    REPEATED_ENTRY = "repeated entry in a side file"
    UNKNOWN_USER = "user of a side file has no interactions"
    UNPARSABLE_NUMBER = "unparsable number"
    CATEGORY_MERGED = "category spellings merged"
    OVERLAP_OF_PARTS = "pair in more than one part"


class Action(StrEnum):
    """What was done about a problem."""

    LEFT_OUT = "left out"
    MERGED = "merged"
    KEPT = "kept"


@dataclass(frozen=True, eq=False)
class Problem:
    """One kind of problem in one column of one file, with every place where it occurs.

    lines: int64 (count,), 1-based lines (rows where the format has no lines; 0 where there is no line).
    values: what stood there, parallel to `lines` and made when asked for, or empty. message: one sentence with the
    count. advice: what to do.
    """

    kind: ProblemKind
    action: Action
    file: str
    lines: npt.NDArray[np.int64]
    message: str
    column: str = ""
    values: Sequence[str] = ()
    advice: str = ""

    @property
    def count(self) -> int:
        """How many rows (or names) are concerned."""
        return len(self.lines)

    def places(self, most: int | None = None) -> Iterator[tuple[int, str]]:
        """(line, value) of every occurrence, or of the first `most`."""
        count = self.count if most is None else min(most, self.count)
        for begin in range(0, count, _STRETCH):
            end = min(begin + _STRETCH, count)
            values = self.values[begin:end] if len(self.values) else [""] * (end - begin)
            yield from zip(self.lines[begin:end].tolist(), values, strict=True)

    def to_dict(self, examples: int = 5) -> dict[str, Any]:
        """Plain values with the first few places."""
        shown = [{"line": line, "value": value} for line, value in self.places(examples)]
        return {
            "kind": self.kind.value,
            "action": self.action.value,
            "file": self.file,
            "column": self.column,
            "count": self.count,
            "message": self.message,
            "advice": self.advice,
            "examples": shown,
        }


@dataclass(frozen=True)
class FileSummary:
    """One file as it was read. layout: encoding, delimiter and the like, in words. roles: by column, used ones only."""

    path: Path
    kind: str
    reader: str
    rows: int
    layout: dict[str, str]
    roles: dict[str, Role]

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "path": str(self.path),
            "kind": self.kind,
            "reader": self.reader,
            "rows": self.rows,
            "layout": dict(self.layout),
            "roles": {column: role.value for column, role in self.roles.items()},
        }


@dataclass(frozen=True)
class Check:
    """One line of the check list. state: "ok" or "warning". count: rows concerned, 0 where it is about the whole."""

    state: str
    text: str
    count: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"state": self.state, "text": self.text, "count": self.count}


@dataclass(frozen=True)
class ImportReport:
    """The written report of an import.

    rows_read: data rows of the interaction files, unparsable ones included. rows_kept: interactions of the Dataset.
    notes: choices that were made (scale, time format, event strengths), one sentence each.
    """

    files: tuple[FileSummary, ...]
    rows_read: int
    rows_kept: int
    n_users: int
    n_items: int
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    checks: tuple[Check, ...] = field(default=())

    @property
    def rows_left_out(self) -> int:
        """Rows that gave no interaction of their own: left out or merged into another."""
        return self.rows_read - self.rows_kept

    def to_dict(self) -> dict[str, Any]:
        """Plain values; problems carry their first few places (the rest is in `write_csv`)."""
        return {
            "files": [summary.to_dict() for summary in self.files],
            "rows_read": self.rows_read,
            "rows_kept": self.rows_kept,
            "users": self.n_users,
            "items": self.n_items,
            "problems": [problem.to_dict() for problem in self.problems],
            "notes": list(self.notes),
            "checks": [check.to_dict() for check in self.checks],
        }

    def write_csv(self, path: Path) -> int:
        """Write every problem row as file,line,column,problem,value,action; returns how many were written."""
        written = 0
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("file", "line", "column", "problem", "value", "action"))
            for problem in self.problems:
                name, column, kind, action = problem.file, problem.column, problem.kind.value, problem.action.value
                writer.writerows((name, line or "", column, kind, value, action) for line, value in problem.places())
                written += problem.count
        return written
