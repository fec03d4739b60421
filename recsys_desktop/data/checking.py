"""Check what was built: ratings in range, tied times, overlapping parts, ids that nothing describes, odd names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from recsys_desktop.api.dataset import RatingScale
from recsys_desktop.api.roles import Role
from recsys_desktop.api.vocabulary import Vocabulary
from recsys_desktop.data.cleaning import tied_times
from recsys_desktop.data.findings import Findings
from recsys_desktop.data.interactions import Interactions
from recsys_desktop.data.report import Action, Check, Problem, ProblemKind
from recsys_desktop.data.request import CleaningOptions
from recsys_desktop.data.side_tables import SideTable
from recsys_desktop.data.texts import ArrowTexts
from recsys_desktop.data.values import MISSING_TEXTS

if TYPE_CHECKING:
    import pyarrow as pa

PART_NAMES = ("train", "validation", "test")


def check_ratings(rows: Interactions, scale: RatingScale | None, options: CleaningOptions, findings: Findings) -> None:
    """Say whether every rating is within the scale (which is learnt without the test part)."""
    if scale is None or rows.ratings is None:
        return
    outside = sum(problem.count for problem in findings.problems if problem.kind is ProblemKind.RATING_OUT_OF_RANGE)
    words = f"{scale.minimum:g} to {scale.maximum:g}"
    if outside and (declared := _declared_range(options)):
        findings.checks.append(Check("warning", f"ratings {declared}, left out", outside))
    if beyond := int(((rows.ratings < scale.minimum) | (rows.ratings > scale.maximum)).sum()):
        findings.checks.append(
            Check("warning", f"test ratings outside {words}, the range of the training part", beyond)
        )
    elif not outside:
        findings.checks.append(Check("ok", f"every rating within {words}"))


def _declared_range(options: CleaningOptions) -> str:
    """What the person's lowest and highest rating leave out, in words; empty where none is given."""
    minimum, maximum = options.rating_minimum, options.rating_maximum
    if minimum is not None and maximum is not None:
        return f"outside {minimum:g} to {maximum:g}"
    if minimum is not None:
        return f"below {minimum:g}"
    return f"above {maximum:g}" if maximum is not None else ""


def check_ties(rows: Interactions, findings: Findings, pause: Callable[[], None]) -> None:
    """Say how many times are tied within a person."""
    if rows.timestamps is None:
        return
    tied = tied_times(rows.users, rows.timestamps, pause)
    if tied:
        text = f"{tied / len(rows):.0%} of times are tied within a person: leave-last-out keeps file order"
        findings.checks.append(Check("warning", text, tied))
    else:
        findings.checks.append(Check("ok", "no two times of a person are the same"))


def check_overlaps(rows: Interactions, findings: Findings) -> None:
    """Pairs that stand in two parts: a model that has seen them in training is not tested by them."""
    if rows.parts is None:
        return
    keys = rows.users.astype(np.int64) * (int(rows.items.max()) + 1) + rows.items
    for later in (1, 2):
        within = np.flatnonzero(rows.parts == later)
        shared = within[np.isin(keys[within], keys[rows.parts < later])]
        if len(shared):
            words = f"{PART_NAMES[later]} pairs that are in an earlier part too; they cannot be recommended again"
            findings.note_rows(rows, shared, ProblemKind.OVERLAP_OF_PARTS, None, Action.KEPT, words)
            findings.checks.append(Check("warning", words, len(shared)))


def check_coverage(
    rows: Interactions | None,
    ids: pa.Array,
    tables: Sequence[SideTable],
    kind: ProblemKind,
    word: str,
    findings: Findings,
) -> None:
    """Report ids of the interactions that no file of descriptions knows."""
    import pyarrow as pa
    import pyarrow.compute as pc

    full = [table for table in tables if not all(table.roles[name] is Role.TAGS for name in table.columns)]
    if rows is None or not full:
        return
    known = pc.is_in(ids, value_set=pa.concat_arrays([table.ids for table in full]).unique())
    missing = np.flatnonzero(~known.to_numpy(zero_copy_only=False))
    names = " and ".join(table.name for table in full)
    plural = {"item": "items", "user": "people"}[word]
    if not len(missing):
        findings.checks.append(Check("ok", f"all {plural} of the interactions are in {names}"))
        return
    codes = rows.items if word == "item" else rows.users
    first = np.full(len(ids), -1, dtype=np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    for file, (within, lines) in rows.located(first[missing]).items():
        chosen = missing[within]
        message = f"{len(chosen):,} {word if len(chosen) == 1 else plural} of the interactions not in {names}"
        values = ArrowTexts([ids.take(pa.array(chosen))])
        findings.problems.append(Problem(kind, Action.KEPT, file, lines, message, values=values))
    findings.checks.append(Check("warning", f"{plural} of the interactions that are not in {names}", len(missing)))


def check_names(users: Vocabulary, items: Vocabulary, findings: Findings) -> None:
    """Warn of ids that look like a missing value."""
    for word, vocabulary in (("user", users), ("item", items)):
        found = [text for text in ("NULL", "null", "NA", "N/A", "nan", "NaN", "None", "none") if text in vocabulary]
        if found and found[0].casefold() in MISSING_TEXTS:
            findings.checks.append(Check("warning", f"a {word} is called '{found[0]}': is it a missing value?"))
