"""Rules of cleaning on arrays: rating range and scale, repeated pairs, k-core."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.dataset import RatingScale

BLOCK_ROWS = 1 << 21
MOST_STEPS = 1000

_KNOWN_RANGES = ((0.0, 1.0), (0.0, 5.0), (1.0, 7.0), (0.0, 10.0), (0.0, 100.0))
_HIGHEST_OF_SCALES_FROM_1 = (5.0, 7.0, 10.0)
_RARE = 0.005
_LONE = 0.02
_LONE_GAP = 2.0
_FAR = 2.0
_MOST_FAR = 0.2


class RepeatedPairs(NamedTuple):
    """Rows that share a user and an item.

    kept: bool (n,), False for the rows that give way to a later one of their pair. survivors: int64 (groups,), the row
    that stays of each repeated pair. members: int64 (m,), all rows of repeated pairs, group after group;
    starts: int64 (groups,), where each group begins in `members`.
    """

    kept: npt.NDArray[np.bool_]
    survivors: npt.NDArray[np.int64]
    members: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]

    def sums(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The sum of `values` (one each row) over each repeated pair: float64 (groups,)."""
        return np.add.reduceat(values[self.members], self.starts)


class UserBlock(NamedTuple):
    """Some rows, all of some users. rows: a slice where they stand together, else int64 positions, rising."""

    rows: slice | npt.NDArray[np.int64]

    def positions(self, chosen: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The positions in the whole of rows of this block."""
        return chosen + self.rows.start if isinstance(self.rows, slice) else self.rows[chosen]


def user_blocks(users: npt.NDArray[np.int32], block_rows: int = BLOCK_ROWS) -> Iterator[UserBlock]:
    """All rows in blocks of about `block_rows`, all rows of a user in one block."""
    n_blocks = min(-(-len(users) // block_rows), int(np.iinfo(np.uint16).max))
    if n_blocks <= 1:
        yield UserBlock(slice(0, len(users)))
        return
    if (users[1:] >= users[:-1]).all():
        edges = np.searchsorted(users, users[np.arange(0, len(users), block_rows)])
        order = None
    else:
        block = (users.astype(np.int64) * n_blocks // (int(users.max()) + 1)).astype(np.uint16)
        order = np.argsort(block, kind="stable")
        edges = np.searchsorted(block[order], np.arange(n_blocks))
        del block
    for begin, end in pairwise([*edges.tolist(), len(users)]):
        if begin < end:
            yield UserBlock(slice(begin, end) if order is None else order[begin:end])


def repeated_pairs(
    users: npt.NDArray[np.int32],
    items: npt.NDArray[np.int32],
    timestamps: npt.NDArray[np.int64] | None,
    part: npt.NDArray[np.int8] | None = None,
    pause: Callable[[], None] = lambda: None,
) -> RepeatedPairs | None:
    """Rows of the same user and item; the latest stays: by timestamp, the last in the file among ties or without times.

    part: rows of different parts are never the same. pause: called between blocks of about two million rows; may raise
    to stop. Returns None where every pair occurs once.
    """
    if len(users) < 2:
        return None
    width = int(items.max()) + 1
    n_parts = 1 if part is None else int(part.max()) + 1
    kept: npt.NDArray[np.bool_] | None = None
    survivors: list[npt.NDArray[np.int64]] = []
    members: list[npt.NDArray[np.int64]] = []
    sizes: list[npt.NDArray[np.int64]] = []
    for block in user_blocks(users):
        pause()
        keys = users[block.rows].astype(np.int64) * width + items[block.rows]
        if part is not None:
            keys = keys * n_parts + part[block.rows]
        found = _repeats_in_block(keys, None if timestamps is None else timestamps[block.rows])
        if found is None:
            continue
        rows, ends = found
        if kept is None:
            kept = np.ones(len(users), dtype=np.bool_)
        members.append(block.positions(rows))
        survivors.append(block.positions(rows[ends - 1]))
        sizes.append(np.diff(ends, prepend=0))
        kept[members[-1]] = False
        kept[survivors[-1]] = True
    if kept is None:
        return None
    starts = np.concatenate(([0], np.cumsum(np.concatenate(sizes))[:-1]))
    return RepeatedPairs(kept, np.concatenate(survivors), np.concatenate(members), starts)


def _repeats_in_block(
    keys: npt.NDArray[np.int64], timestamps: npt.NDArray[np.int64] | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None:
    """Positions of keys that occur more than once, group after group in time order, and where each group ends."""
    ordered = np.sort(keys)
    again = ordered[1:] == ordered[:-1]
    if not again.any():
        return None
    shared = np.unique(ordered[1:][again])
    at = np.minimum(np.searchsorted(shared, keys), len(shared) - 1)
    rows = np.flatnonzero(shared[at] == keys)
    groups = at[rows]
    order = np.argsort(groups, kind="stable") if timestamps is None else np.lexsort((timestamps[rows], groups))
    ends = np.append(np.flatnonzero(np.diff(groups[order])) + 1, len(rows))
    return rows[order], ends


def k_core(
    users: npt.NDArray[np.int32], items: npt.NDArray[np.int32], user_minimum: int, item_minimum: int
) -> npt.NDArray[np.bool_]:
    """Which rows are left when users and items with too few rows are taken out until none is: bool (n,)."""
    kept = np.ones(len(users), dtype=np.bool_)
    while True:
        enough_by_user = np.bincount(users[kept], minlength=int(users.max(initial=-1)) + 1) >= user_minimum
        enough_by_item = np.bincount(items[kept], minlength=int(items.max(initial=-1)) + 1) >= item_minimum
        remaining = kept & enough_by_user[users] & enough_by_item[items]
        if remaining.sum() == kept.sum():
            return kept
        kept = remaining


def infer_range(values: npt.NDArray[np.float64], counts: npt.NDArray[np.int64]) -> tuple[float, float] | None:
    """The range outside which a rating is surely a mistake, or None where every value may be meant.

    values, counts: the distinct ratings and how often each occurs. A usual range (0 to 1, 5, 7, 10 or 100) is believed
    if the ratings inside it reach its upper fifth, and what lies outside is rare (1 in 200), or consists of lone values
    (each occurs once, together 1 in 50, twice as far from the rest as any two neighbours inside), or is far away (below
    zero, or more than twice the highest) and not more than a fifth.
    """
    total = int(counts.sum())
    if total == 0:
        return None
    for low, high in _KNOWN_RANGES:
        inside = (values >= low) & (values <= high)
        if inside.all():
            return None
        if inside.sum() < 2 or values[inside].max() < 0.8 * high or (high == 1.0 and inside.sum() > 2):
            continue
        outside = int(counts[~inside].sum())
        far = ((values < low) | (values > _FAR * high))[~inside].all()
        few_values = int((~inside).sum()) <= 3
        lone = outside <= _LONE * total and _are_lone(values, counts, inside)
        if outside <= _RARE * total or lone or (far and few_values and outside <= _MOST_FAR * total):
            return low, high
    return None


def _are_lone(values: npt.NDArray[np.float64], counts: npt.NDArray[np.int64], inside: npt.NDArray[np.bool_]) -> bool:
    """Whether every value outside occurs once and stands apart from the values inside (rising, two at least)."""
    within, beyond = values[inside], values[~inside]
    distance = np.maximum(within[0] - beyond, beyond - within[-1])
    return bool((counts[~inside] == 1).all() and (distance >= _LONE_GAP * np.diff(within).max()).all())


def guess_scale(
    values: npt.NDArray[np.float64], minimum: float | None = None, maximum: float | None = None
) -> RatingScale:
    """The scale that the distinct ratings come from; `minimum` and `maximum` where they are declared.

    The step is the largest of 1, .5, .25 and .1 that divides every rating, 0 where none does. Whole numbers up to 5, 7
    or 10 begin at 1, though nobody gave it; every other scale is from the lowest to the highest rating that is there.
    """
    if not len(values):
        return RatingScale(minimum or 0.0, maximum if maximum is not None else (minimum or 0.0))
    low, high = float(values.min()), float(values.max())
    step = _step(values)
    if step == 1.0 and high in _HIGHEST_OF_SCALES_FROM_1 and low > 1.0 and minimum is None:
        low = 1.0
    return RatingScale(
        min(low, minimum) if minimum is not None else low, max(high, maximum) if maximum is not None else high, step
    )


def _step(values: npt.NDArray[np.float64]) -> float:
    if len(values) < 2 or len(values) > MOST_STEPS:
        return 1.0 if len(values) == 1 and float(values[0]).is_integer() else 0.0
    for step in (1.0, 0.5, 0.25, 0.1):
        places = values / step
        if np.allclose(places, np.round(places), atol=1e-4):
            return step
    return 0.0


def tied_times(
    users: npt.NDArray[np.int32], timestamps: npt.NDArray[np.int64], pause: Callable[[], None] = lambda: None
) -> int:
    """How many rows share their second with another row of the same user. pause: as for `repeated_pairs`."""
    if len(users) < 2:
        return 0
    earliest = int(timestamps.min())
    span = int(timestamps.max()) - earliest + 1
    ranks = None
    if span > np.iinfo(np.int64).max // (int(users.max()) + 1):
        distinct, ranks = np.unique(timestamps, return_inverse=True)
        span = len(distinct)
    tied = 0
    for block in user_blocks(users):
        pause()
        moments = timestamps[block.rows] - earliest if ranks is None else ranks[block.rows]
        keys = users[block.rows].astype(np.int64) * span + moments
        if (keys[1:] < keys[:-1]).any():
            keys.sort()
        same = keys[1:] == keys[:-1]
        tied += int(same.sum() + (same & ~np.concatenate(([False], same[:-1]))[: len(same)]).sum())
    return tied
