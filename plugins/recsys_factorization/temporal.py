"""Biases that move with time: how a person's level drifts, and how an item's differs from period to period."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recsys_desktop.api import Dataset, Query
from recsys_desktop.api.dataset import Float32, Int64
from recsys_desktop.toolkit.products import SparseRows
from recsys_factorization.arrays import Float64
from recsys_factorization.temporal_kernels import distances_in_time, fit_item_times, lines

_POWER = 0.4
_PERIODS = 10
_SWEEPS = 10
_LEVEL_SHRINKAGE = 5.0
_SLOPE_SHRINKAGE = 3000.0
_ITEM_SHRINKAGE = 5.0
_PERIOD_SHRINKAGE = 300.0
_DAY = 86_400.0


class TemporalBiases(NamedTuple):
    """A rating has a part slope_u dev_u(t) + d_i,period(t) beside its static one (Koren 2009, "Collaborative Filtering
    with Temporal Dynamics", equations 6 and 8, without the effects of single days, which tell nothing of other days).

    start: seconds, day 0. edges: float64 (periods - 1,), days. mean: rating units. items: float32 (n_items,), static
    biases, period_biases: float32 (n_items, periods), both in rating units.
    """

    start: int
    edges: Float64
    mean: float
    items: Float32
    period_biases: Float32

    @classmethod
    def fit(cls, rated: SparseRows, timestamps: Int64, n_items: int) -> TemporalBiases:
        """Alternate between the people's lines and the items' biases.

        rated: ratings by user. timestamps: int64, the time of each, in the same order.
        """
        start = int(timestamps.min())
        days = ((timestamps - start) / _DAY).astype(np.float32)
        edges = np.unique(np.quantile(days, np.linspace(0, 1, _PERIODS + 1)[1:-1])).astype(np.float64)
        periods = np.searchsorted(edges, days, side="right").astype(np.int32)
        mean = float(rated.data.mean(dtype=np.float64))
        deviations = rated.data - np.float32(mean)
        distances = np.zeros(len(days), dtype=np.float32)
        distances_in_time(rated.indptr, days, _POWER, distances)
        items = np.zeros(n_items, dtype=np.float32)
        period_biases = np.zeros((n_items, len(edges) + 1), dtype=np.float32)
        people = np.zeros((rated.n_rows, 2), dtype=np.float32)
        sums, counts = np.zeros(period_biases.shape), np.zeros(period_biases.shape)
        lengths = np.diff(rated.indptr)
        for _ in range(_SWEEPS):
            residuals = deviations - items[rated.indices] - period_biases[rated.indices, periods]
            lines(rated.indptr, distances, residuals, _LEVEL_SHRINKAGE, _SLOPE_SHRINKAGE, people)
            residuals = deviations - np.repeat(people[:, 0], lengths) - np.repeat(people[:, 1], lengths) * distances
            fit_item_times(
                rated.indptr,
                rated.indices,
                periods,
                residuals,
                _ITEM_SHRINKAGE,
                _PERIOD_SHRINKAGE,
                items,
                period_biases,
                sums,
                counts,
            )
        return cls(start, edges, mean, items, period_biases)

    def static(self, rated: SparseRows, timestamps: Int64) -> tuple[SparseRows, Float32]:
        """The ratings without what moves with time, and each person's slope: float32 (people,).

        A person's level and slope are a ridge regression on the ratings given here alone.
        """
        days = ((timestamps - self.start) / _DAY).astype(np.float32)
        periods = np.searchsorted(self.edges, days, side="right")
        distances = np.zeros(len(days), dtype=np.float32)
        distances_in_time(rated.indptr, days, _POWER, distances)
        moving = self.period_biases[rated.indices, periods]
        residuals = rated.data - np.float32(self.mean) - self.items[rated.indices] - moving
        people = np.zeros((rated.n_rows, 2), dtype=np.float32)
        lines(rated.indptr, distances, residuals, _LEVEL_SHRINKAGE, _SLOPE_SHRINKAGE, people)
        slopes = people[:, 1].copy()
        moving = moving + np.repeat(slopes, np.diff(rated.indptr)) * distances
        return rated._replace(data=rated.data - moving), slopes

    def at(self, moments: Int64, rated: SparseRows, timestamps: Int64, slopes: Float32) -> Float32:
        """What moves with time, at one moment a person: float32 (people, n_items), rating units.

        moments: int64 (people,), seconds. A moment beyond a person's own times counts as the nearest of them for their
        drift, which is not carried on.
        """
        present = ((moments - self.start) / _DAY).astype(np.float32)
        days = ((timestamps - self.start) / _DAY).astype(np.float32)
        lengths = np.diff(rated.indptr)
        drift = np.zeros(len(moments), dtype=np.float32)
        has = np.flatnonzero(lengths > 0)
        starts = rated.indptr[has]
        earliest, latest = np.minimum.reduceat(days, starts), np.maximum.reduceat(days, starts)
        means = np.add.reduceat(days, starts) / lengths[has]
        distance = np.clip(present[has], earliest, latest) - means
        drift[has] = slopes[has] * np.copysign(np.abs(distance) ** _POWER, distance)
        periods = np.searchsorted(self.edges, present, side="right")
        moving: Float32 = self.period_biases.T[periods] + drift[:, None]
        return moving


def times_of(data: Dataset | Query, n_items: int) -> Int64 | None:
    """The timestamps in the order of `data.matrix("rating")`, int64; None where there are none."""
    if data.timestamps is None or data.ratings is None:
        return None
    places = np.arange(len(data.timestamps))
    if isinstance(data, Query):
        keep = data.items < n_items
        owners, items, places = data.owner[keep], data.items[keep], places[keep]
        order = np.lexsort((places, items, owners))
        owners, items, places = owners[order], items[order], places[order]
        if len(items):
            last = np.append((owners[1:] != owners[:-1]) | (items[1:] != items[:-1]), True)
            places = places[last]
        return data.timestamps[places]
    by_item = np.argsort(data.items, kind="stable")
    return data.timestamps[by_item[np.argsort(data.users[by_item], kind="stable")]]
