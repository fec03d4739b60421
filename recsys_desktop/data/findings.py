"""Findings: what an import has to say, collected while it goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.dataset import Dataset
from recsys_desktop.api.roles import Role
from recsys_desktop.data.interactions import Interactions, counted_problem
from recsys_desktop.data.report import Action, Check, FileSummary, ImportReport, Problem, ProblemKind
from recsys_desktop.data.texts import PairTexts


@dataclass
class Findings:
    """Problems, notes and checks for the report, and what the Dataset remembers of its making."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    files: list[FileSummary] = field(default_factory=list)
    provenance: dict[str, str] = field(default_factory=dict)
    rows_read: int = 0

    def note_rows(
        self,
        rows: Interactions,
        positions: npt.NDArray[np.int64],
        kind: ProblemKind,
        role: Role | None,
        action: Action,
        words: str = "",
    ) -> None:
        """Report rows that are in `rows` now, file by file."""
        for file, (within, lines) in rows.located(positions).items():
            chosen = positions[within]
            if role is Role.RATING and rows.ratings is not None:
                values: Sequence[str] = [f"{value:g}" for value in rows.ratings[chosen].tolist()]
            else:
                values = PairTexts(rows.users[chosen], rows.items[chosen], rows.user_ids, rows.item_ids)
            message = counted_problem(kind, len(lines)) + (f": {words}" if words else "")
            self.problems.append(Problem(kind, action, file, lines, message, role.value if role else "", values))

    def main_problem(self) -> str:
        """The problem that concerns most rows, as a sentence; empty where there is none."""
        if not self.problems:
            return ""
        return "Mostly: " + max(self.problems, key=lambda problem: problem.count).message

    def report(self, dataset: Dataset) -> ImportReport:
        """The report, once the Dataset is there."""
        return ImportReport(
            tuple(self.files),
            self.rows_read,
            len(dataset),
            dataset.n_users,
            dataset.n_items,
            tuple(self.problems),
            tuple(self.notes),
            tuple(self.checks),
        )
