"""DatasetStatistics: sizes, density, long tail, ratings, activity over time, and what deserves a warning."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_desktop.api.dataset import Dataset
from recsys_desktop.data.cleaning import tied_times

LONG_TAIL_POINTS = 200
MOST_RATING_BARS = 20
MOST_TIME_BARS = 40
COLD_AT_MOST = 4

_DAY = 86_400
_MONTH_SECONDS = 30.44 * _DAY


@dataclass(frozen=True)
class Spread:
    """How a count is distributed over users or items that have at least one interaction."""

    minimum: int
    median: float
    mean: float
    maximum: int


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram: the values from `low` to `high` (equal where it is one value) and how many there are."""

    low: float
    high: float
    label: str
    count: int


@dataclass(frozen=True)
class DatasetStatistics:
    """Figures of one Dataset; all plain values.

    users, items: with at least one interaction. users_in_vocabulary, items_in_vocabulary: all, side tables included.
    density: interactions / (users x items). per_user, per_item: interactions. long_tail: (rank, interactions) of items
    from the most to the least used, thinned out. top_tenth_share: interactions held by the most used tenth of the
    items. gini: inequality of the item counts, 0 (equal) to 1. ratings, activity: bars. activity_unit: "day", "month"
    or "year". cold_users, cold_items: with 1 to 4 interactions. unused_items: in the item file, without interactions.
    tied_times: share of interactions that share their second with another one of the same user. first, last: seconds
    since 1970 UTC, or None. events: name -> count. item_columns, user_columns: name -> role. warnings: one sentence
    each.
    """

    users: int
    items: int
    users_in_vocabulary: int
    items_in_vocabulary: int
    interactions: int
    density: float
    feedback: str
    per_user: Spread
    per_item: Spread
    long_tail: tuple[tuple[int, int], ...]
    top_tenth_share: float
    gini: float
    rating_mean: float | None
    rating_scale: tuple[float, float, float] | None
    ratings: tuple[Bar, ...]
    activity: tuple[Bar, ...]
    activity_unit: str
    cold_users: int
    cold_items: int
    unused_items: int
    tied_times: float | None
    first: int | None
    last: int | None
    events: dict[str, int]
    item_columns: dict[str, str]
    user_columns: dict[str, str]
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def describe(dataset: Dataset) -> DatasetStatistics:
    """The statistics of `dataset`; a few passes over its arrays, nothing dense."""
    user_counts = dataset.user_counts[dataset.user_counts > 0]
    item_counts = dataset.item_counts[dataset.item_counts > 0]
    users, items, interactions = len(user_counts), len(item_counts), len(dataset)
    falling = np.sort(item_counts)[::-1]
    ratings = dataset.ratings
    scale = dataset.rating_scale
    times = dataset.timestamps if interactions else None
    activity, unit = _activity(times)
    tied = _tied_times(dataset)
    statistics = DatasetStatistics(
        users=users,
        items=items,
        users_in_vocabulary=dataset.n_users,
        items_in_vocabulary=dataset.n_items,
        interactions=interactions,
        density=interactions / (users * items) if interactions else 0.0,
        feedback=dataset.feedback.value,
        per_user=_spread(user_counts),
        per_item=_spread(item_counts),
        long_tail=_long_tail(falling),
        top_tenth_share=float(falling[: -(-items // 10)].sum() / interactions) if interactions else 0.0,
        gini=_gini(falling[::-1]),
        rating_mean=float(ratings.mean(dtype=np.float64)) if ratings is not None and interactions else None,
        rating_scale=None if scale is None else (float(scale.minimum), float(scale.maximum), float(scale.step)),
        ratings=_rating_bars(ratings),
        activity=activity,
        activity_unit=unit,
        cold_users=int((user_counts <= COLD_AT_MOST).sum()),
        cold_items=int((item_counts <= COLD_AT_MOST).sum()),
        unused_items=dataset.n_items - items,
        tied_times=tied,
        first=None if times is None else int(times.min()),
        last=None if times is None else int(times.max()),
        events=_event_counts(dataset),
        item_columns={name: column.role.value for name, column in dataset.item_features.columns.items()},
        user_columns={name: column.role.value for name, column in dataset.user_features.columns.items()},
        warnings=(),
    )
    return _with_warnings(statistics)


def _spread(counts: npt.NDArray[np.int64]) -> Spread:
    if not len(counts):
        return Spread(0, 0.0, 0.0, 0)
    return Spread(int(counts.min()), float(np.median(counts)), float(counts.mean()), int(counts.max()))


def _long_tail(falling: npt.NDArray[np.int64]) -> tuple[tuple[int, int], ...]:
    """Ranks spaced evenly in their logarithm, so that the head keeps its shape."""
    if not len(falling):
        return ()
    ranks = np.unique(np.geomspace(1, len(falling), LONG_TAIL_POINTS).round().astype(np.int64))
    return tuple((int(rank), int(falling[rank - 1])) for rank in ranks)


def _gini(rising: npt.NDArray[np.int64]) -> float:
    total = float(rising.sum())
    if total == 0:
        return 0.0
    n = len(rising)
    return float((2 * np.arange(1, n + 1) - n - 1) @ rising / (n * total))


def _rating_bars(ratings: npt.NDArray[np.float32] | None) -> tuple[Bar, ...]:
    if ratings is None or not len(ratings):
        return ()
    values, counts = np.unique(ratings, return_counts=True)
    if len(values) <= MOST_RATING_BARS:
        return tuple(
            Bar(float(value), float(value), f"{value:g}", int(count))
            for value, count in zip(values, counts, strict=True)
        )
    counts, edges = np.histogram(ratings, bins=MOST_RATING_BARS)
    return tuple(
        Bar(float(low), float(high), f"{low:.3g} to {high:.3g}", int(count))
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    )


def _activity(times: npt.NDArray[np.int64] | None) -> tuple[tuple[Bar, ...], str]:
    """Interactions per day, month or year, whichever needs at most `MOST_TIME_BARS` bars; else several years a bar."""
    if times is None:
        return (), ""
    moments = times.astype("datetime64[s]")
    for unit, code in (("day", "D"), ("month", "M"), ("year", "Y")):
        periods = moments.astype(f"datetime64[{code}]").astype(np.int64)
        first = int(periods.min())
        length = int(periods.max()) - first + 1
        if length <= MOST_TIME_BARS:
            return _periods(np.bincount(periods - first, minlength=length), first, code, 1), unit
    width = -(-length // MOST_TIME_BARS)
    counts = np.bincount((periods - first) // width, minlength=-(-length // width))
    return _periods(counts, first, "Y", width), "year"


def _periods(counts: npt.NDArray[np.int64], first: int, code: str, width: int) -> tuple[Bar, ...]:
    edges = np.arange(first, first + width * (len(counts) + 1), width).astype(f"datetime64[{code}]")
    seconds = edges.astype("datetime64[s]").astype(np.int64)
    return tuple(
        Bar(float(seconds[position]), float(seconds[position + 1]), str(edges[position]), int(count))
        for position, count in enumerate(counts)
    )


def _tied_times(dataset: Dataset) -> float | None:
    """Share of the interactions whose user has another interaction in the same second."""
    if dataset.timestamps is None or not len(dataset):
        return None
    return tied_times(dataset.users, dataset.timestamps) / len(dataset)


def _event_counts(dataset: Dataset) -> dict[str, int]:
    if dataset.events is None:
        return {}
    counts = np.bincount(dataset.events, minlength=len(dataset.event_names))
    return {name: int(count) for name, count in zip(dataset.event_names, counts, strict=True)}


def _with_warnings(statistics: DatasetStatistics) -> DatasetStatistics:
    found: list[str] = []
    if statistics.interactions == 0:
        found.append("There are no interactions: only algorithms that work from item descriptions can be used.")
        return replace(statistics, warnings=tuple(found))
    if statistics.users == 1 or statistics.items == 1:
        found.append("With one person or one item, algorithms that compare people or items cannot be trained.")
    cold = statistics.cold_users / statistics.users
    if cold > 0.5:
        found.append(
            f"{cold:.0%} of the people have fewer than {COLD_AT_MOST + 1} interactions: expect fallbacks for them."
        )
    if statistics.density > 0.5 and statistics.users * statistics.items > 100:
        found.append(f"{statistics.density:.0%} of all user-item pairs are present: little is left to recommend.")
    if statistics.tied_times is not None and statistics.tied_times > 0.05:
        found.append(
            f"{statistics.tied_times:.0%} of the times are tied within a person: leave-last-out keeps file order there."
        )
    if statistics.first is not None and statistics.last is not None:
        now = np.datetime64("now").astype("datetime64[s]").astype(np.int64)
        if statistics.last > now + _DAY:
            found.append("Some times lie in the future: check the time column.")
        if statistics.first < 0 or (statistics.last - statistics.first) > 600 * _MONTH_SECONDS:
            found.append("The times span more than 50 years or lie before 1970: check the time column.")
    scale = statistics.rating_scale
    if scale is not None and scale[0] == scale[1]:
        found.append("All ratings are the same: they are read as implicit feedback.")
    if scale is not None and scale[0] == 0 and scale[1] >= 5 and statistics.ratings:
        zeros = statistics.ratings[0].count / statistics.interactions
        if statistics.ratings[0].high == 0 and zeros > 0.3:
            found.append(
                f"{zeros:.0%} of the ratings are 0: in some data 0 means 'not rated'; if so, set 1 as the lowest."
            )
    if statistics.top_tenth_share > 0.9:
        found.append(f"A tenth of the items holds {statistics.top_tenth_share:.0%} of the interactions.")
    return replace(statistics, warnings=tuple(found))
