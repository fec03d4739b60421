"""Clean the rows of interactions: feedback, mistaken ratings, strengths of events, repeated pairs, k-core."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.dataset import RatingScale
from recsys_desktop.api.roles import Role
from recsys_desktop.data.cleaning import RepeatedPairs, guess_scale, infer_range, k_core, repeated_pairs
from recsys_desktop.data.findings import Findings
from recsys_desktop.data.interactions import Interactions
from recsys_desktop.data.report import Action, Check, ProblemKind
from recsys_desktop.data.request import CleaningOptions
from recsys_desktop.data.texts import counted

_HIGHEST_WITH_ZEROS = (1.0, 5.0, 10.0)


def decide_feedback(rows: Interactions, findings: Findings) -> None:
    """Where events and ratings come together, rows without a rating count only if ratings are the minority."""
    if rows.ratings is None:
        return
    unrated = np.isnan(rows.ratings)
    count = int(unrated.sum())
    if count == 0:
        return
    if count > len(rows) / 2:
        rows.ratings = None
        findings.notes.append(
            f"{count:,} of {counted(len(rows), 'row')} {'has' if count == 1 else 'have'} an event and no "
            "rating: ratings are not used, events count."
        )
        return
    findings.note_rows(rows, np.flatnonzero(unrated), ProblemKind.MISSING_RATING, Role.RATING, Action.LEFT_OUT)
    rows.keep(~unrated)


def leave_out_mistaken_ratings(rows: Interactions, options: CleaningOptions, findings: Findings) -> None:
    """Drop ratings that are surely mistakes; nothing where the person has given a range."""
    if rows.ratings is None or options.rating_minimum is not None or options.rating_maximum is not None:
        return
    values, counts = distinct_values(rows.ratings)
    found = infer_range(values, counts)
    if found is None:
        return
    low, high = found
    wrong = (rows.ratings < low) | (rows.ratings > high)
    words = f"outside {low:g} to {high:g}"
    findings.note_rows(
        rows, np.flatnonzero(wrong), ProblemKind.RATING_OUT_OF_RANGE, Role.RATING, Action.LEFT_OUT, words
    )
    findings.checks.append(Check("warning", f"ratings {words}, left out", int(wrong.sum())))
    findings.notes.append(f"Ratings {words} were taken for mistakes; give the lowest and highest rating to keep them.")
    rows.keep(~wrong)


def apply_strengths(rows: Interactions, options: CleaningOptions, findings: Findings) -> None:
    """Strength of a row: its weight times the strength of its event, 1 where it has neither."""
    if rows.events is None:
        return
    table = options.strengths()
    other = options.unknown_event_strength
    strengths = np.array([table.get(name.casefold(), other) for name in rows.event_names], dtype=np.float64)
    by_row = strengths[rows.events]
    rows.weights = by_row if rows.weights is None else rows.weights * by_row
    present = np.unique(rows.events)
    rule = ", ".join(f"{rows.event_names[code] or '(none)'}={strengths[code]:g}" for code in present)
    findings.provenance["events"] = rule
    findings.notes.append(f"Events count as {rule}.")


def merge_repeats(rows: Interactions, findings: Findings, pause: Callable[[], None]) -> None:
    """One row for each user-item pair: the latest rating, the sum of strengths, the strongest event."""
    repeats = repeated_pairs(rows.users, rows.items, rows.timestamps, rows.parts, pause)
    if repeats is None:
        findings.checks.append(Check("ok", "no repeated user-item pairs"))
        return
    given_way = np.flatnonzero(~repeats.kept)
    explicit = rows.ratings is not None
    if rows.weights is not None or not explicit:
        each = np.ones(len(rows)) if rows.weights is None else rows.weights
        rows.weights = each.copy()
        rows.weights[repeats.survivors] = np.minimum(repeats.sums(each), np.finfo(np.float32).max)
        if rows.events is not None:
            rows.events = _strongest_events(rows, repeats, each)
    done = "the latest rating stays" if explicit else "their strengths are added up"
    findings.note_rows(rows, given_way, ProblemKind.REPEATED_PAIR, None, Action.MERGED, done)
    findings.checks.append(Check("warning", f"repeated user-item pairs: {done}", len(given_way)))
    rows.keep(repeats.kept)


def _strongest_events(
    rows: Interactions, repeats: RepeatedPairs, strengths: npt.NDArray[np.float64]
) -> npt.NDArray[np.int32]:
    """The events with the strongest one of each repeated pair at its surviving row; the latest among equals."""
    assert rows.events is not None
    group = np.repeat(np.arange(len(repeats.starts)), np.diff(np.append(repeats.starts, len(repeats.members))))
    order = np.lexsort((np.arange(len(group)), strengths[repeats.members], group))
    last = np.append(repeats.starts[1:], len(group)) - 1
    events = rows.events.copy()
    events[repeats.survivors] = rows.events[repeats.members[order[last]]]
    return events


def apply_k_core(rows: Interactions, options: CleaningOptions, findings: Findings) -> None:
    """Drop people and items with too few interactions, where that was asked for."""
    users, items = options.minimum_user_interactions, options.minimum_item_interactions
    if users == 1 and items == 1:
        return
    kept = k_core(rows.users, rows.items, users, items)
    if not kept.all():
        words = f"of people with fewer than {users} or items with fewer than {items} interactions"
        findings.note_rows(rows, np.flatnonzero(~kept), ProblemKind.TOO_FEW_INTERACTIONS, None, Action.LEFT_OUT, words)
    rows.keep(kept)


def rating_scale(rows: Interactions, options: CleaningOptions, findings: Findings) -> RatingScale | None:
    """The scale of the ratings, learnt without the test part; None for implicit feedback."""
    if rows.ratings is None:
        return None
    seen = rows.ratings if rows.parts is None else rows.ratings[rows.parts < 2]
    values, _ = distinct_values(seen if len(seen) else rows.ratings)
    scale = guess_scale(values, options.rating_minimum, options.rating_maximum)
    steps = f" in steps of {scale.step:g}" if scale.step else ""
    if len(values) == 1:
        findings.notes.append(f"All ratings are {values[0]:g}: they are read as implicit feedback.")
    else:
        findings.notes.append(
            f"Ratings run from {scale.minimum:g} to {scale.maximum:g}{steps}, read as explicit feedback."
        )
    _note_zeros(rows.ratings, scale, findings)
    return scale


def _note_zeros(ratings: npt.NDArray[np.float32], scale: RatingScale, findings: Findings) -> None:
    """Say what zeros among ratings to 1, 5 or 10 probably mean, and what algorithms make of them."""
    zeros = int((ratings == 0).sum())
    if not zeros or scale.minimum < 0 or scale.maximum not in _HIGHEST_WITH_ZEROS:
        return
    count = f"{zeros:,} of {len(ratings):,} ratings {'is' if zeros == 1 else 'are'} 0"
    meaning = "not chosen" if scale.maximum == 1 else "not rated"
    least = "1" if scale.step == 1 else "the lowest real rating"
    findings.notes.append(
        f"{count}, which usually means '{meaning}'. Algorithms that rank count every row as chosen, whatever its "
        f"rating; set the lowest rating (rating_minimum) to {least} to leave the zeros out."
    )


def distinct_values(values: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Distinct values in rising order and how often each occurs, without sorting all of them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    counted_values = pc.value_counts(pa.array(values))
    distinct = counted_values.field("values").to_numpy(zero_copy_only=False).astype(np.float64)
    counts = counted_values.field("counts").to_numpy(zero_copy_only=False)
    order = np.argsort(distinct)
    return distinct[order], counts[order]
